use http::Method;
use serde_json::json;

use super::*;

fn shown(method: &Method, path: &str, query: Option<&str>, content: &Value) -> Value {
    body(&Target::of(method, path, query), content)
}

#[test]
fn a_known_kind_shows_its_listed_fields() {
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "web", "namespace": "a",
            "labels": {"app.kubernetes.io/name": "web", "mine": "x"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        },
        "spec": {"replicas": 2, "template": {"spec": {"containers": [
            {"name": "web", "image": "nginx:1.27", "env": [{"name": "A", "value": "b"}], "args": ["-p", "x"]},
        ]}}},
    });
    let path = "/k8s/clusters/c-1/apis/apps/v1/namespaces/a/deployments";
    assert_eq!(
        shown(&Method::POST, path, None, &deployment),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "web", "namespace": "a",
                "labels": {"app.kubernetes.io/name": "web", "mine": REDACTED},
                "annotations": REDACTED,
            },
            "spec": {"replicas": 2, "template": {"spec": {"containers": [
                {"name": "web", "image": "nginx:1.27", "env": REDACTED, "args": REDACTED},
            ]}}},
        })
    );
}

#[test]
fn secrets_and_unknown_kinds_show_their_identity_alone() {
    let secret = json!({
        "kind": "Secret", "type": "Opaque", "metadata": {"name": "s"},
        "data": {"name": "c2VjcmV0"}, "stringData": {"kind": "x"}, "immutable": true,
    });
    let expected = json!({
        "kind": "Secret", "type": "Opaque", "metadata": {"name": "s"},
        "data": REDACTED, "stringData": REDACTED, "immutable": REDACTED,
    });
    for path in ["/api/v1/namespaces/a/secrets", "/api/v1/namespaces/a/pods"] {
        assert_eq!(
            shown(&Method::POST, path, None, &secret),
            expected,
            "{path}"
        );
    }
    let custom = json!({"kind": "Vault", "metadata": {"name": "v"}, "spec": {"name": "secret"}});
    assert_eq!(
        shown(&Method::POST, "/apis/x.io/v1/vaults", None, &custom),
        json!({"kind": "Vault", "metadata": {"name": "v"}, "spec": REDACTED})
    );
}

#[test]
fn items_of_lists_that_name_no_kind_are_judged_by_the_path() {
    let list = json!({"kind": "SecretList", "items": [{"metadata": {"name": "s"}, "data": {"name": "x"}}]});
    let expected =
        json!({"kind": "SecretList", "items": [{"metadata": {"name": "s"}, "data": REDACTED}]});
    assert_eq!(
        shown(&Method::GET, "/api/v1/secrets", None, &list),
        expected
    );
    let patch = json!({"spec": {"replicas": 3, "template": {"spec": {"nodeName": "n", "x": "y"}}}});
    assert_eq!(
        shown(
            &Method::PATCH,
            "/apis/apps/v1/namespaces/a/deployments/web",
            None,
            &patch
        ),
        json!({"spec": {"replicas": 3, "template": {"spec": {"nodeName": "n", "x": REDACTED}}}})
    );
}

#[test]
fn logins_actions_and_settings() {
    let login = json!({"username": "ada", "password": "p", "responseType": "json"});
    assert_eq!(
        shown(
            &Method::POST,
            "/v3-public/localProviders/local",
            Some("action=login"),
            &login
        ),
        json!({"username": REDACTED, "password": REDACTED, "responseType": REDACTED})
    );
    let answer = json!({"type": "generateKubeconfigOutput", "config": "apiVersion: v1"});
    assert_eq!(
        shown(
            &Method::POST,
            "/v3/clusters/c-1",
            Some("action=generateKubeconfig"),
            &answer
        ),
        json!({"type": "generateKubeconfigOutput", "config": REDACTED})
    );
    let setting = json!({"id": "server-url", "value": "https://a.example"});
    assert_eq!(
        shown(&Method::PUT, "/v3/settings/server-url", None, &setting),
        setting
    );
    let other = json!({"id": "x", "value": "https://a.example"});
    assert_eq!(
        shown(&Method::PUT, "/v3/preferences/x", None, &other),
        json!({"id": "x", "value": REDACTED})
    );
}

#[test]
fn addresses_lose_tokens() {
    let check = |given: &str, expected: &str| assert_eq!(uri(given), expected);
    check("/v3/clusters?limit=1&name=a", "/v3/clusters?limit=1&name=a");
    check(
        "/v3/import/zzzzz_c-abcde.yaml",
        "/v3/import/[redacted]_c-abcde.yaml",
    );
    check("/v3/import/zzzzz", "/v3/import/[redacted]");
    check("/ws?token=abc&x=1", "/ws?token=[redacted]&x=1");
    check("/a?continue=eyJhbGciOiJub25lIn0", "/a?continue=[redacted]");
}

#[test]
fn headers_show_values_of_known_ones() {
    let mut given = HeaderMap::new();
    given.insert("authorization", "Bearer token-abcde:key".parse().unwrap());
    given.insert("cookie", "R_SESS=token-abcde:key".parse().unwrap());
    given.insert("user-agent", "kubectl".parse().unwrap());
    given.insert("x-novel", "who knows".parse().unwrap());
    assert_eq!(
        Value::Object(headers(&given)),
        json!({
            "authorization": [REDACTED], "cookie": [REDACTED],
            "user-agent": ["kubectl"], "x-novel": [REDACTED],
        })
    );
}
