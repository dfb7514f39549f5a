//! Built-in kinds, definitions, access and discovery as clients see them.

mod common;

use common::Api;
use drover_kube_api::Identity;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::ServiceExt as _;

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// A request as somebody, with headers; the code and the body.
async fn ask(
    api: &Api,
    identity: Option<Identity>,
    method: Method,
    uri: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> (u16, Value) {
    let service = identity.map_or_else(
        || api.server.service(),
        |identity| api.server.client_service(identity),
    );
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let response = service
        .oneshot(
            request
                .body(Full::new(bytes::Bytes::from(body)))
                .expect("a valid request"),
        )
        .await
        .unwrap();
    let code = response.status().as_u16();
    let bytes = response
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    (code, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

fn user(name: &str) -> Identity {
    Identity {
        user: name.to_owned(),
        groups: vec!["system:authenticated".to_owned()],
        ..Identity::default()
    }
}

fn definition(plural: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.g.io")},
        "spec": {
            "group": "g.io", "scope": "Namespaced", "names": {"plural": plural, "kind": kind},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 3}}},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }}},
            }],
        },
    })
}

#[tokio::test]
async fn a_deployment_gets_the_defaults_of_a_real_server() {
    let api = Api::memory().await;
    let made = api
        .post(
            "/apis/apps/v1/namespaces/default/deployments",
            &json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
                "spec": {
                    "selector": {"matchLabels": {"a": "b"}},
                    "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
                },
            }),
        )
        .await
        .expect(201);
    assert_eq!(made["metadata"]["generation"], 1);
    assert_eq!(made["status"], json!({}));
    assert_eq!(
        made["spec"],
        json!({
            "progressDeadlineSeconds": 600, "replicas": 1, "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"a": "b"}},
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}, "type": "RollingUpdate"},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {
                    "containers": [{
                        "image": "i", "imagePullPolicy": "Always", "name": "c", "resources": {},
                        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                    }],
                    "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
                    "securityContext": {}, "terminationGracePeriodSeconds": 30,
                },
            },
        })
    );
}

#[tokio::test]
async fn secrets_take_plain_text_and_keep_their_type() {
    let api = Api::memory().await;
    let path = "/api/v1/namespaces/default/secrets";
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"a": "b"}, "immutable": true});
    let made = api.post(path, &secret).await.expect(201);
    assert_eq!(made["data"], json!({"a": "Yg=="}));
    assert_eq!(made["type"], "Opaque");
    let refused = api
        .merge(&format!("{path}/s"), &json!({"data": {"a": "Yw=="}}))
        .await
        .expect(422);
    assert_eq!(refused["details"]["causes"][0]["field"], "data");
}

#[tokio::test]
async fn services_get_addresses_and_keep_them() {
    let api = Api::memory().await;
    let path = "/api/v1/namespaces/default/services";
    let service = |name: &str, kind: &str| json!({"metadata": {"name": name}, "spec": {"type": kind, "ports": [{"port": 80}], "selector": {"a": "b"}}});
    let made = api.post(path, &service("a", "NodePort")).await.expect(201);
    let address = made["spec"]["clusterIP"].as_str().unwrap().to_owned();
    assert!(address.starts_with("10.96."));
    assert!(made["spec"]["ports"][0]["nodePort"].as_i64().unwrap() >= 30_000);
    assert_eq!(made["status"], json!({"loadBalancer": {}}));
    let mut taken = service("b", "ClusterIP");
    taken["spec"]["clusterIP"] = json!(address);
    api.post(path, &taken).await.expect(422);
    let changed = api
        .put(&format!("{path}/a"), &service("a", "NodePort"))
        .await
        .expect(200);
    assert_eq!(changed["spec"], made["spec"]);
}

#[tokio::test]
async fn a_definition_is_served_when_its_creation_is_acknowledged() {
    let api = Api::memory().await;
    api.post(CRDS, &definition("things", "Thing"))
        .await
        .expect(201);
    // The answer is the definition as it was written; what came of it is there to be read.
    let made = api.get(&format!("{CRDS}/things.g.io")).await.expect(200);
    let conditions = made["status"]["conditions"].as_array().unwrap();
    assert!(
        conditions
            .iter()
            .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
    );
    assert_eq!(made["status"]["storedVersions"], json!(["v1"]));
    let thing =
        json!({"apiVersion": "g.io/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {}});
    let made = api
        .post("/apis/g.io/v1/namespaces/default/things", &thing)
        .await
        .expect(201);
    assert_eq!(made["spec"]["size"], 3);
    let table = api
        .get_as(
            "/apis/g.io/v1/things",
            "application/json;as=Table;v=v1;g=meta.k8s.io",
        )
        .await
        .expect(200);
    assert_eq!(table["rows"][0]["cells"], json!(["t", 3]));
    let root = api.get("/openapi/v3").await.expect(200);
    let url = root["paths"]["apis/g.io/v1"]["serverRelativeURL"]
        .as_str()
        .unwrap()
        .to_owned();
    let document = api.get(&url).await.expect(200);
    assert!(document["components"]["schemas"]["io.g.v1.Thing"]["properties"]["spec"].is_object());
}

#[tokio::test]
async fn names_in_use_are_not_accepted_until_they_are_free() {
    let api = Api::memory().await;
    api.post(CRDS, &definition("things", "Thing"))
        .await
        .expect(201);
    api.post(CRDS, &definition("others", "Thing"))
        .await
        .expect(201);
    let other = api.get(&format!("{CRDS}/others.g.io")).await.expect(200);
    let condition = |object: &Value, kind: &str| {
        let all = object["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        all.into_iter()
            .find(|condition| condition["type"] == kind)
            .unwrap_or(Value::Null)
    };
    assert_eq!(
        condition(&other, "NamesAccepted")["reason"],
        "ListKindConflict"
    );
    assert_eq!(condition(&other, "Established")["status"], "False");
    assert_eq!(api.get("/apis/g.io/v1/others").await.code, 404);
    let mut watch = api
        .watch(&format!(
            "{CRDS}?watch=true&fieldSelector=metadata.name%3Dothers.g.io"
        ))
        .await;
    api.delete(&format!("{CRDS}/things.g.io")).await;
    loop {
        let event = watch.next().await.expect("an event");
        if condition(&event["object"], "Established")["status"] == "True" {
            break;
        }
    }
    assert_eq!(api.get("/apis/g.io/v1/others").await.code, 200);
}

#[tokio::test]
async fn deleting_a_definition_removes_its_instances() {
    let api = Api::memory().await;
    api.post(CRDS, &definition("things", "Thing"))
        .await
        .expect(201);
    let thing = json!({"apiVersion": "g.io/v1", "kind": "Thing", "metadata": {"name": "t"}});
    api.post("/apis/g.io/v1/namespaces/default/things", &thing)
        .await
        .expect(201);
    let mut things = api.watch("/apis/g.io/v1/things?watch=true").await;
    let mut definitions = api.watch(&format!("{CRDS}?watch=true")).await;
    api.delete(&format!("{CRDS}/things.g.io")).await.expect(200);
    while things.next().await.expect("an event")["type"] != "DELETED" {}
    while definitions.next().await.expect("an event")["type"] != "DELETED" {}
    assert_eq!(api.get("/apis/g.io/v1/things").await.code, 404);
}

#[tokio::test]
async fn nobody_grants_what_he_does_not_hold() {
    let api = Api::memory().await;
    let rule = |verbs: Value| json!({"apiGroups": [""], "resources": ["pods"], "verbs": verbs});
    let roles = json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["create"]});
    api.post(
        &format!("{RBAC}/clusterroles"),
        &json!({"metadata": {"name": "author"}, "rules": [roles, rule(json!(["get"]))]}),
    )
    .await
    .expect(201);
    let subject = json!({"kind": "User", "name": "ann", "apiGroup": "rbac.authorization.k8s.io"});
    let role =
        json!({"kind": "ClusterRole", "name": "author", "apiGroup": "rbac.authorization.k8s.io"});
    api.post(
        &format!("{RBAC}/clusterrolebindings"),
        &json!({"metadata": {"name": "author"}, "roleRef": role, "subjects": [subject]}),
    )
    .await
    .expect(201);
    let wanted =
        |name: &str, verbs: Value| json!({"metadata": {"name": name}, "rules": [rule(verbs)]});
    let ann = || Some(user("ann"));
    let path = format!("{RBAC}/clusterroles");
    let (code, _) = ask(
        &api,
        ann(),
        Method::POST,
        &path,
        &[],
        &wanted("fine", json!(["get"])),
    )
    .await;
    assert_eq!(code, 201);
    let (code, refused) = ask(
        &api,
        ann(),
        Method::POST,
        &path,
        &[],
        &wanted("more", json!(["get", "delete"])),
    )
    .await;
    assert_eq!(code, 403);
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("is attempting to grant RBAC permissions not currently held"),
        "{message}"
    );
    assert!(message.contains("Verbs:[\"delete\"]"), "{message}");
}

#[tokio::test]
async fn cluster_roles_aggregate() {
    let api = Api::memory().await;
    let mut watch = api
        .watch(&format!(
            "{RBAC}/clusterroles?watch=true&fieldSelector=metadata.name%3Dview"
        ))
        .await;
    let label = json!({"rbac.authorization.k8s.io/aggregate-to-view": "true"});
    let rule = json!({"apiGroups": ["g.io"], "resources": ["things"], "verbs": ["get"]});
    api.post(
        &format!("{RBAC}/clusterroles"),
        &json!({"metadata": {"name": "things", "labels": label}, "rules": [rule]}),
    )
    .await
    .expect(201);
    loop {
        let event = watch.next().await.expect("an event");
        if event["object"]["rules"]
            .as_array()
            .is_some_and(|rules| rules.contains(&rule))
        {
            break;
        }
    }
}

#[tokio::test]
async fn a_requested_token_is_its_account_until_the_account_is_gone() {
    let api = Api::memory().await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    api.post(accounts, &json!({"metadata": {"name": "robot"}}))
        .await
        .expect(201);
    let answer = api
        .post(
            &format!("{accounts}/robot/token"),
            &json!({"spec": {"expirationSeconds": 600}}),
        )
        .await
        .expect(201);
    let token = answer["status"]["token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let whoami = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let (code, body) = ask(
        &api,
        None,
        Method::POST,
        whoami,
        &[("authorization", &bearer)],
        &json!({}),
    )
    .await;
    assert_eq!(code, 201, "{body}");
    assert_eq!(
        body["status"]["userInfo"]["username"],
        "system:serviceaccount:default:robot"
    );
    let review = api
        .post(
            "/apis/authentication.k8s.io/v1/tokenreviews",
            &json!({"spec": {"token": token}}),
        )
        .await
        .expect(201);
    assert_eq!(review["status"]["authenticated"], true);
    api.delete(&format!("{accounts}/robot")).await.expect(200);
    let (code, _) = ask(
        &api,
        None,
        Method::POST,
        whoami,
        &[("authorization", &bearer)],
        &json!({}),
    )
    .await;
    assert_eq!(code, 401);
    let (code, _) = ask(
        &api,
        None,
        Method::GET,
        "/version",
        &[("authorization", "Bearer nonsense")],
        &Value::Null,
    )
    .await;
    assert_eq!(code, 401);
}

#[tokio::test]
async fn impersonation_needs_its_own_right() {
    let api = Api::memory().await;
    let whoami = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let headers = [
        ("impersonate-user", "bob"),
        ("impersonate-group", "crew"),
        ("impersonate-extra-scope", "x"),
    ];
    let (code, body) = ask(
        &api,
        Some(Identity::admin()),
        Method::POST,
        whoami,
        &headers,
        &json!({}),
    )
    .await;
    assert_eq!(code, 201, "{body}");
    let info = &body["status"]["userInfo"];
    assert_eq!(info["username"], "bob");
    assert_eq!(info["groups"], json!(["crew", "system:authenticated"]));
    assert_eq!(info["extra"], json!({"scope": ["x"]}));
    let (code, body) = ask(
        &api,
        Some(user("ann")),
        Method::POST,
        whoami,
        &headers,
        &json!({}),
    )
    .await;
    assert_eq!(code, 403);
    assert_eq!(
        body["message"],
        "users \"bob\" is forbidden: User \"ann\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
    );
}

#[tokio::test]
async fn reviews_answer_what_a_request_would_get() {
    let api = Api::memory().await;
    let subject = json!({"kind": "ServiceAccount", "name": "robot", "namespace": "default"});
    let role =
        json!({"kind": "ClusterRole", "name": "view", "apiGroup": "rbac.authorization.k8s.io"});
    api.post(
        &format!("{RBAC}/namespaces/default/rolebindings"),
        &json!({"metadata": {"name": "v"}, "roleRef": role, "subjects": [subject]}),
    )
    .await
    .expect(201);
    let review = |verb: &str, namespace: &str| {
        json!({"spec": {
            "user": "system:serviceaccount:default:robot",
            "resourceAttributes": {"verb": verb, "resource": "pods", "namespace": namespace},
        }})
    };
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    // The rules of `view` are aggregated by a task that starts with the server.
    let deadline = tokio::time::Instant::now() + common::DEADLINE;
    let allowed = loop {
        let answer = api.post(path, &review("list", "default")).await.expect(201);
        if answer["status"]["allowed"] == true || tokio::time::Instant::now() > deadline {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(
        allowed["status"]["reason"],
        "RBAC: allowed by RoleBinding \"v/default\" of ClusterRole \"view\" to ServiceAccount \"robot/default\""
    );
    assert_eq!(
        api.post(path, &review("delete", "default"))
            .await
            .expect(201)["status"]["allowed"],
        false
    );
    assert_eq!(
        api.post(path, &review("list", "kube-system"))
            .await
            .expect(201)["status"]["allowed"],
        false
    );
}

#[tokio::test]
async fn token_secrets_are_filled() {
    let api = Api::memory().await;
    let mut watch = api
        .watch("/api/v1/namespaces/default/secrets?watch=true")
        .await;
    api.post(
        "/api/v1/namespaces/default/serviceaccounts",
        &json!({"metadata": {"name": "robot"}}),
    )
    .await
    .expect(201);
    let secret = json!({
        "metadata": {"name": "t", "annotations": {"kubernetes.io/service-account.name": "robot"}},
        "type": "kubernetes.io/service-account-token",
    });
    api.post("/api/v1/namespaces/default/secrets", &secret)
        .await
        .expect(201);
    loop {
        let event = watch.next().await.expect("an event");
        if event["object"]["data"]["token"].is_string() {
            break;
        }
    }
}

#[tokio::test]
async fn a_restarted_server_serves_its_definitions() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("db");
    let api = Api::file(&file).await;
    api.post(CRDS, &definition("things", "Thing"))
        .await
        .expect(201);
    api.server.shutdown().await;
    let api = Api::file(&file).await;
    api.get("/apis/g.io/v1/things").await.expect(200);
}
