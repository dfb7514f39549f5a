//! No secret that a body, header or address holds comes out, whatever the level.

use drover_audit::{Target, redact};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Stands for a secret: a word that would pass for a name.
const PLANTED: &str = "hunter2";
/// The same as base64, and as a token.
const ENCODED: &str = "aHVudGVyMg";
const TOKEN: &str = "kubeconfig-u-abcde:bcdfghjklmnpqrstvwxz2456789bcdfghjklmnpqrstvwxz2456789";

fn secret() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(PLANTED)),
        Just(json!(ENCODED)),
        Just(json!(TOKEN)),
        Just(json!("-----BEGIN PRIVATE KEY-----\nhunter2")),
        Just(json!(4_815_162_342_u64)),
        Just(json!([PLANTED, {"name": PLANTED}])),
        Just(json!({"name": PLANTED, "id": TOKEN, "nested": {"kind": PLANTED}})),
    ]
}

/// Names of fields that hold secrets, in all spellings.
fn secret_name() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("password"),
        Just("newPassword"),
        Just("token"),
        Just("bearerToken"),
        Just("secretKey"),
        Just("accessKey"),
        Just("clientSecret"),
        Just("kubeconfig"),
        Just("caCert"),
        Just("privateKey"),
        Just("serviceAccountPassword"),
        Just("data"),
        Just("stringData"),
        Just("binaryData"),
        Just("config"),
        Just("yaml"),
        Just("env"),
        Just("args"),
        Just("command"),
        Just("annotations"),
        Just("description"),
        Just("message"),
        Just("certs"),
        Just("key"),
        Just("registries"),
        Just("answers"),
        Just("valuesYaml"),
        Just("agentEnvVars"),
        Just("value"),
        Just("content"),
        Just("x"),
    ];
    (name, 0..3).prop_map(|(name, spelling)| match spelling {
        0 => name.to_owned(),
        1 => name.to_ascii_uppercase(),
        _ => format!("my_{name}"),
    })
}

/// A tree of fields with secrets planted in it, some below fields that are looked into.
fn tree() -> impl Strategy<Value = Value> {
    let leaf = (secret_name(), secret()).prop_map(|(name, value)| json!({ name: value }));
    leaf.prop_recursive(5, 32, 4, |inner| {
        let container = prop_oneof![
            Just("spec"),
            Just("template"),
            Just("items"),
            Just("containers"),
            Just("rules"),
            Just("metadata"),
            Just("labels"),
            Just("limits"),
            Just("status"),
            Just("securityContext"),
            Just("novel"),
        ];
        prop::collection::vec((container, any::<bool>(), inner), 1..4).prop_map(|fields| {
            fields
                .into_iter()
                .map(|(name, list, value)| {
                    let value = if list { json!([value]) } else { value };
                    (name.to_owned(), value)
                })
                .collect::<Map<_, _>>()
                .into()
        })
    })
}

fn path() -> impl Strategy<Value = (&'static str, Option<&'static str>)> {
    prop_oneof![
        Just(("/v3/clusters", None)),
        Just(("/v3/users/u-abcde", Some("action=setpassword"))),
        Just(("/v3/clusters/c-1", Some("action=importYaml"))),
        Just(("/v3/project/c-1:p-1/secrets", None)),
        Just(("/v3/project/c-1:p-1/workloads", None)),
        Just(("/v3/tokens", None)),
        Just(("/v3-public/localProviders/local", Some("action=login"))),
        Just(("/v1-public/login", None)),
        Just(("/v1/secrets", None)),
        Just(("/k8s/clusters/c-1/api/v1/namespaces/a/secrets/s", None)),
        Just((
            "/k8s/clusters/c-1/apis/apps/v1/namespaces/a/deployments",
            None
        )),
        Just(("/apis/novel.io/v1/vaults", None)),
    ]
}

fn kind() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![
        Just(None),
        Just(Some("Secret")),
        Just(Some("Deployment")),
        Just(Some("ConfigMap")),
        Just(Some("List")),
    ]
}

fn check(shown: &str) -> Result<(), TestCaseError> {
    for secret in [PLANTED, ENCODED, "bcdfghjk", "4815162342", "PRIVATE KEY"] {
        prop_assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_secret_of_a_body_comes_out(
        (path, query) in path(),
        kind in kind(),
        mut body in tree(),
        write in any::<bool>(),
    ) {
        if let (Some(kind), Some(fields)) = (kind, body.as_object_mut()) {
            fields.insert("kind".to_owned(), json!(kind));
        }
        let method = if write { Method::POST } else { Method::GET };
        let target = Target::of(&method, path, query);
        check(&redact::body(&target, &body).to_string())?;
        check(&redact::body(&target, &json!([body])).to_string())?;
    }

    #[test]
    fn whole_secret_objects_show_nothing_but_their_identity(
        name in "[a-zA-Z]{1,12}",
        kind in prop_oneof![Just("Secret"), Just("secret"), Just("token"), Just("dockerCredential"), Just("ConfigMap")],
        value in secret(),
        (path, query) in path(),
    ) {
        let identity = ["kind", "type", "basetype", "id", "name", "namespace", "status", "reason", "code", "uid", "uuid", "created"];
        prop_assume!(!identity.contains(&name.to_ascii_lowercase().as_str()));
        let target = Target::of(&Method::POST, path, query);
        let inner = json!({"kind": kind, "data": {"name": value}, name: value});
        check(&redact::body(&target, &inner).to_string())?;
        check(&redact::body(&target, &json!({"kind": "List", "items": [inner]})).to_string())?;
    }

    #[test]
    fn no_secret_header_or_parameter_comes_out(
        name in "[a-z]{1,8}(-[a-z]{1,8}){0,2}",
        parameter in prop_oneof![Just("token"), Just("password"), Just("CSRF"), Just("access_key"), Just("secret")],
    ) {
        let mut headers = HeaderMap::new();
        for name in ["authorization", "cookie", "x-api-csrf", "x-api-tunnel-token", &format!("x-{name}-secret")] {
            headers.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_static(PLANTED));
        }
        headers.insert("location", HeaderValue::from_static("/a?token=hunter2"));
        check(&Value::Object(redact::headers(&headers)).to_string())?;
        check(&redact::uri(&format!("/v3/x?a=1&{parameter}={PLANTED}")))?;
        check(&redact::uri(&format!("/v3/import/{PLANTED}_c-abcde.yaml")))?;
        check(&redact::uri(&format!("/v3/tokens/{TOKEN}")))?;
    }
}
