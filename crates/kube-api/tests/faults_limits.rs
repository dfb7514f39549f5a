//! Limits on what clients send, with the answers the real server gave to the same bodies (kube-apiserver 1.36.3 over
//! etcd 3.7.3, asked directly).

mod common;

use common::{Answer, Api, config_map};
use http::Method;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";

/// A role of about `kilobytes`: the real server limits the data of ConfigMaps by itself, of roles only etcd does.
fn role(name: &str, kilobytes: usize) -> Value {
    let rule = |n| json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "resourceNames": [format!("{}{n}", "x".repeat(920))]});
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name},
        "rules": (0..kilobytes).map(rule).collect::<Vec<_>>(),
    })
}

/// What etcd says, as kube-apiserver passes it on: no reason.
fn is_too_large_for_etcd(answer: &Answer) {
    let status = answer.expect(500);
    assert_eq!(status["message"], "etcdserver: request is too large");
    assert!(
        status["reason"].as_str().unwrap_or_default().is_empty(),
        "{status}"
    );
}

#[tokio::test]
async fn an_object_above_1536_kib_is_refused_as_etcd_does() {
    let api = Api::memory().await;
    api.post(ROLES, &role("fits", 1_450)).await.expect(201);
    is_too_large_for_etcd(&api.post(ROLES, &role("large", 1_700)).await);
    api.get(&format!("{ROLES}/large")).await.expect(404);
    // By a small request too: what counts is what would be stored.
    let before = api.get(&format!("{ROLES}/fits")).await.expect(200);
    let patch = json!({"rules": role("x", 1_700)["rules"]});
    is_too_large_for_etcd(&api.merge(&format!("{ROLES}/fits"), &patch).await);
    assert_eq!(api.get(&format!("{ROLES}/fits")).await.expect(200), before);
}

#[tokio::test]
async fn a_body_above_3_mib_is_refused_unread() {
    let api = Api::memory().await;
    let map = config_map("body", &json!({"f": "x".repeat(3 * 1024 * 1024 + 10)}));
    let status = api.post(MAPS, &map).await.expect(413);
    assert_eq!(status["reason"], "RequestEntityTooLarge");
    assert_eq!(
        status["message"],
        "Request entity too large: limit is 3145728"
    );
}

#[tokio::test]
async fn nesting_without_end_is_a_bad_request() {
    let api = Api::memory().await;
    for depth in [20_000, 1_400_000] {
        let body = format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"deep"}},"data":{{"a":{}{}}}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        );
        for content_type in ["application/json", "application/yaml"] {
            let status = api
                .call(Method::POST, MAPS, content_type, body.clone())
                .await
                .expect(400);
            assert_eq!(status["reason"], "BadRequest");
        }
        for content_type in [
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
            "application/apply-patch+yaml",
        ] {
            let uri = format!("{MAPS}/deep?fieldManager=x");
            let answer = api
                .call(Method::PATCH, &uri, content_type, body.clone())
                .await;
            assert!(
                matches!(answer.code.as_u16(), 400 | 404),
                "{content_type}: {}",
                answer.text()
            );
        }
    }
    api.get(&format!("{MAPS}/deep")).await.expect(404);
}

#[tokio::test]
async fn a_json_patch_has_at_most_10000_operations() {
    let api = Api::memory().await;
    api.post(MAPS, &config_map("s", &json!({})))
        .await
        .expect(201);
    let operations = vec![json!({"op": "add", "path": "/data", "value": {"a": "b"}}); 10_001];
    let uri = format!("{MAPS}/s");
    let patch = json!(operations).to_string();
    let status = api
        .call(Method::PATCH, &uri, "application/json-patch+json", patch)
        .await
        .expect(413);
    assert_eq!(status["reason"], "RequestEntityTooLarge");
    assert_eq!(
        status["message"],
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
    );
}

#[tokio::test]
async fn what_a_kind_limits_by_itself_comes_first() {
    let api = Api::memory().await;
    let map = config_map("big", &json!({"f": "x".repeat(1_100 * 1024)}));
    let status = api.post(MAPS, &map).await.expect(422);
    assert_eq!(
        status["message"],
        r#"ConfigMap "big" is invalid: []: Too long: may not be more than 1048576 bytes"#
    );
    api.post(MAPS, &config_map("s", &json!({})))
        .await
        .expect(201);
    let patch = json!({"metadata": {"annotations": {"a": "x".repeat(262_200)}}});
    let status = api.merge(&format!("{MAPS}/s"), &patch).await.expect(422);
    assert_eq!(status["reason"], "Invalid");
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .contains("metadata.annotations: Too long: may not be more than 262144 bytes")
    );
}
