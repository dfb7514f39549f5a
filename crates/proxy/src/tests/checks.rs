//! Who may tell what an agent found, and what is kept of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use drover_auth::settings::authority_checksum;
use drover_auth::web;
use drover_tunnel::Sessions;
use drover_types::checks::{ANNOTATION, PATH};
use http::{Method, Request};
use serde_json::{Value, json};

use super::Answer;
use super::world::Store;
use crate::{Clusters, Connect};

const CLUSTER: &str = "/apis/management.cattle.io/v3/clusters/c-abcde";

struct Hub {
    store: Store,
    connect: Connect,
}

impl Hub {
    fn new() -> Self {
        let store = Store::default();
        store.put(
            CLUSTER,
            json!({"metadata": {"name": "c-abcde", "annotations": {"own": "kept"}}, "spec": {}}),
        );
        for cluster in ["c-abcde", "c-gone"] {
            store.put(
                &format!("/api/v1/namespaces/{cluster}/secrets/crt-token-system"),
                json!({
                    "metadata": {"name": "crt-token-system", "namespace": cluster},
                    "data": {"token": STANDARD.encode(format!("of-{cluster}"))},
                }),
            );
        }
        let clusters = Clusters::new(store.client(), Sessions::new(), store.client());
        Self {
            connect: Connect::new(clusters, store.client()),
            store,
        }
    }

    async fn send(&self, method: Method, token: &str, body: &str) -> u16 {
        let request = Request::builder()
            .method(method)
            .uri(PATH)
            .header("x-api-tunnel-token", token)
            .body(web::full(body.to_owned()))
            .unwrap();
        Answer::of(self.connect.handle(request).await)
            .await
            .status
            .as_u16()
    }

    async fn tell(&self, checks: &Value) -> u16 {
        self.send(Method::POST, "of-c-abcde", &checks.to_string())
            .await
    }

    fn kept(&self) -> Option<String> {
        let cluster = self.store.get(CLUSTER).unwrap();
        assert_eq!(cluster["metadata"]["annotations"]["own"], "kept");
        cluster["metadata"]["annotations"][ANNOTATION]
            .as_str()
            .map(str::to_owned)
    }
}

fn failed(reason: &str) -> Value {
    json!({"ready": false, "checks": [{"step": "clock", "outcome": "failed", "reason": reason, "advice": "set it"}]})
}

#[tokio::test]
async fn only_a_cluster_itself_may_tell() {
    let hub = Hub::new();
    let body = failed("late").to_string();
    for (method, token, expected) in [
        (Method::POST, "", 401),
        (Method::POST, "wrong", 401),
        (Method::GET, "of-c-abcde", 405),
        (Method::POST, "of-c-gone", 404),
    ] {
        assert_eq!(hub.send(method, token, &body).await, expected, "{token}");
    }
    assert_eq!(hub.kept(), None);
}

#[tokio::test]
async fn what_was_found_last_is_kept_with_the_cluster() {
    let hub = Hub::new();
    assert_eq!(hub.tell(&failed("an hour late")).await, 204);
    let kept: Value = serde_json::from_str(&hub.kept().unwrap()).unwrap();
    assert_eq!(kept["checks"][0]["reason"], "an hour late");
    assert_eq!(kept["checks"][0]["advice"], "set it");

    let well = |reason: &str| json!({"ready": true, "checks": [{"step": "clock", "outcome": "ok", "reason": reason}]});
    assert_eq!(hub.tell(&well("0.1 s late")).await, 204);
    assert_eq!(hub.tell(&well("0.2 s late")).await, 204);
    assert!(hub.kept().unwrap().contains("0.1 s"), "not written again");

    // Under another authority the same is news; what the agent itself says of it is not asked.
    hub.store.put(
        "/apis/management.cattle.io/v3/settings/cacerts",
        json!({"metadata": {"name": "cacerts"}, "value": "pem"}),
    );
    let mut again = well("0.3 s late");
    again["authority"] = json!("made up");
    assert_eq!(hub.tell(&again).await, 204);
    let kept: Value = serde_json::from_str(&hub.kept().unwrap()).unwrap();
    assert_eq!(kept["checks"][0]["reason"], "0.3 s late");
    assert_eq!(kept["authority"], authority_checksum("pem"));
}

#[tokio::test]
async fn what_tells_of_no_checks_is_refused() {
    let hub = Hub::new();
    for body in [
        "",
        "[]",
        r#"{"ready": true}"#,
        r#"{"ready": true, "checks": [{"step": "clock", "outcome": "perhaps"}]}"#,
    ] {
        assert_eq!(
            hub.send(Method::POST, "of-c-abcde", body).await,
            422,
            "{body}"
        );
    }
    let large = failed(&"x".repeat(40 << 10));
    assert_eq!(hub.tell(&large).await, 413);
    assert_eq!(hub.kept(), None);
}
