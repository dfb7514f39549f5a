//! Quotas as one who relies on them sees them: nobody gets more than there is, and what goes makes room.

mod common;

use common::{Api, eventually};
use futures::future::join_all;
use serde_json::{Value, json};

const QUOTA: &str = "/api/v1/namespaces/q/resourcequotas/q";
const MAPS: &str = "/api/v1/namespaces/q/configmaps";

/// A namespace with a quota, once what is used is known.
async fn limited(api: &Api, hard: &Value) {
    api.post("/api/v1/namespaces", &json!({"metadata": {"name": "q"}}))
        .await
        .expect(201);
    // It counts as any other.
    eventually("the namespace's own map", || async {
        let map = api.get(&format!("{MAPS}/kube-root-ca.crt")).await;
        (map.code == 200).then_some(())
    })
    .await;
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": hard}});
    api.post("/api/v1/namespaces/q/resourcequotas", &quota)
        .await
        .expect(201);
    eventually("a count", || async {
        let quota = api.get(QUOTA).await.json();
        (quota["status"]["hard"] == *hard).then_some(())
    })
    .await;
}

async fn until_used(api: &Api, name: &str, amount: &str) {
    eventually(&format!("{name} = {amount}"), || async {
        let quota = api.get(QUOTA).await.json();
        (quota["status"]["used"][name] == amount).then_some(())
    })
    .await;
}

async fn make(api: &Api, name: &str) -> u16 {
    let made = api.post(MAPS, &json!({"metadata": {"name": name}})).await;
    made.code.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_at_once_get_no_more_than_there_is() {
    let api = Api::memory().await;
    limited(&api, &json!({"configmaps": "11"})).await;
    let names: Vec<String> = (0..40).map(|n| format!("m{n}")).collect();
    let codes = join_all(names.iter().map(|name| make(&api, name))).await;
    let made = codes.iter().filter(|code| **code == 201).count();
    assert_eq!(made, 10, "{codes:?}");
    assert!(
        codes.iter().all(|code| matches!(code, 201 | 403)),
        "{codes:?}"
    );
    let held = api.get(MAPS).await.json()["items"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(held, 11);
    until_used(&api, "configmaps", "11").await;
}

#[tokio::test]
async fn what_goes_and_what_failed_make_room() {
    let api = Api::memory().await;
    limited(&api, &json!({"count/configmaps": "3"})).await;
    assert_eq!(make(&api, "a").await, 201);
    assert_eq!(make(&api, "a").await, 409);
    until_used(&api, "count/configmaps", "2").await;
    assert_eq!(make(&api, "b").await, 201);
    assert_eq!(make(&api, "c").await, 403);
    api.delete(&format!("{MAPS}/a")).await.expect(200);
    until_used(&api, "count/configmaps", "2").await;
    assert_eq!(make(&api, "c").await, 201);
}

#[tokio::test]
async fn pods_that_are_done_use_nothing() {
    let api = Api::memory().await;
    limited(&api, &json!({"requests.cpu": "1"})).await;
    let pods = "/api/v1/namespaces/q/pods";
    let pod = |name: &str| {
        json!({"metadata": {"name": name}, "spec": {"containers": [
            {"name": "c", "image": "i", "resources": {"requests": {"cpu": "600m"}}},
        ]}})
    };
    api.post(pods, &pod("a")).await.expect(201);
    let refused = api.post(pods, &pod("b")).await.expect(403);
    assert_eq!(
        refused["message"],
        "pods \"b\" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1"
    );
    let done = json!({"status": {"phase": "Succeeded"}});
    api.merge(&format!("{pods}/a/status"), &done)
        .await
        .expect(200);
    until_used(&api, "requests.cpu", "0").await;
    api.post(pods, &pod("b")).await.expect(201);
}

#[tokio::test]
async fn what_is_used_is_known_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("db");
    let api = Api::file(&file).await;
    limited(&api, &json!({"configmaps": "2"})).await;
    assert_eq!(make(&api, "a").await, 201);
    // As if the server had ended between taking room and the write.
    let more = json!({"status": {"used": {"configmaps": "7"}}});
    api.merge(&format!("{QUOTA}/status"), &more)
        .await
        .expect(200);
    api.server.shutdown().await;
    let api = Api::file(&file).await;
    until_used(&api, "configmaps", "2").await;
    assert_eq!(make(&api, "b").await, 403);
    api.server.shutdown().await;
}
