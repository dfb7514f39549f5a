//! Who may ask about tokens, and about whom.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use drover_auth::web;
use drover_auth::{Auth, Clock, Config, Entropy};
use drover_tunnel::Sessions;
use drover_types::review::PATH;
use http::{Method, Request};
use serde_json::{Value, json};

use super::Answer;
use super::world::{Store, TestGate};
use crate::review::Reviews;
use crate::{Clusters, Connect};

const MANAGEMENT: &str = "/apis/management.cattle.io/v3";
/// Jane's token for `c-one`.
const JANE: &str = "kubeconfig-u-jane:key";

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

struct Hub {
    store: Store,
    clock: Clock,
    gate: Arc<TestGate>,
    reviews: Reviews,
}

impl Hub {
    fn new() -> Self {
        let store = Store::default();
        for (cluster, enabled) in [
            ("c-one", true),
            ("c-two", true),
            ("c-off", false),
            ("c-other", true),
        ] {
            store.put(
                &format!("{MANAGEMENT}/clusters/{cluster}"),
                json!({
                    "metadata": {"name": cluster, "uid": cluster},
                    "spec": {"localClusterAuthEndpoint": {"enabled": enabled}},
                }),
            );
            store.put(
                &format!("/api/v1/namespaces/{cluster}/secrets/crt-token-system"),
                json!({
                    "metadata": {"name": "crt-token-system", "namespace": cluster},
                    "data": {"token": STANDARD.encode(format!("of-{cluster}"))},
                }),
            );
        }
        store.put(
            &format!("{MANAGEMENT}/users/u-jane"),
            json!({"metadata": {"name": "u-jane", "uid": "u-jane"}, "username": "jane"}),
        );
        let clock = Clock::manual("2026-11-20T00:00:00Z".parse().unwrap());
        let (auth, ..) = Auth::new(Config {
            client: store.client(),
            clock: clock.clone(),
            entropy: Entropy::seeded(1),
            environment: std::collections::BTreeMap::new(),
        });
        let clusters = Clusters::new(store.client(), Sessions::new(), store.client());
        let gate = Arc::new(TestGate::new(&["drover:cluster-member"]));
        let hub = Self {
            reviews: Reviews::with_gate(
                Connect::new(clusters, store.client()),
                store.client(),
                gate.clone(),
                auth.authenticator,
                auth.settings,
            ),
            store,
            clock,
            gate,
        };
        hub.token("kubeconfig-u-jane", &json!({"clusterName": "c-one"}));
        hub
    }

    fn token(&self, name: &str, fields: &Value) {
        let mut token = json!({
            "metadata": {"name": name, "uid": name, "creationTimestamp": "2026-11-20T00:00:00Z"},
            "token": "key", "userId": "u-jane",
        });
        for (key, value) in fields.as_object().unwrap() {
            token[key] = value.clone();
        }
        self.store
            .put(&format!("{MANAGEMENT}/tokens/{name}"), token);
    }

    async fn send(&self, method: Method, headers: &[(&str, &str)], body: String) -> Answer {
        let mut request = Request::builder().method(method).uri(PATH);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(web::full(body)).unwrap();
        Answer::of(self.reviews.handle(request).await).await
    }

    async fn ask(&self, credential: &str, token: &str) -> Value {
        let headers = [("x-api-tunnel-token", credential)];
        let body = json!({ "token": token }).to_string();
        let answer = self.send(Method::POST, &headers, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_str(&answer.text()).unwrap()
    }

    async fn lets_in(&self, credential: &str, token: &str) -> bool {
        self.ask(credential, token).await.get("user").is_some()
    }
}

#[tokio::test]
async fn only_a_cluster_itself_may_ask() {
    let hub = Hub::new();
    let body = || json!({ "token": JANE }).to_string();
    let own = format!("Bearer {JANE}");
    for headers in [
        vec![],
        vec![("x-api-tunnel-token", "")],
        vec![("x-api-tunnel-token", "unknown")],
        // A person's own token is none of a cluster.
        vec![("authorization", own.as_str())],
        vec![("x-api-tunnel-token", JANE)],
        vec![("authorization", "Bearer of-c-one")],
        vec![("authorization", "Bearer stv-cluster-of-c-one")],
    ] {
        let answer = hub.send(Method::POST, &headers, body()).await;
        assert_eq!(answer.status, 401, "{headers:?}");
        assert!(!answer.text().contains("u-jane"), "{}", answer.text());
    }
    let off = [("x-api-tunnel-token", "of-c-off")];
    assert_eq!(hub.send(Method::POST, &off, body()).await.status, 403);
}

#[tokio::test]
async fn the_answer_is_what_would_be_impersonated() {
    let hub = Hub::new();
    assert_eq!(
        hub.ask("of-c-one", JANE).await,
        json!({
            "user": {
                "username": "u-jane",
                "groups": ["drover:cluster-member", "system:authenticated", "system:cattle:authenticated"],
                "extra": {
                    "principalid": ["local://u-jane"], "requesttokenid": ["kubeconfig-u-jane"], "username": ["jane"],
                },
            },
            "holdsForSeconds": 86_400,
        })
    );
    hub.gate.set_groups(&["drover:cluster-owner"]);
    let groups = &hub.ask("of-c-one", JANE).await["user"]["groups"];
    assert_eq!(groups[0], "drover:cluster-owner", "as it is now");
}

#[tokio::test]
async fn a_cluster_learns_of_its_own_people_only() {
    let hub = Hub::new();
    hub.token("everywhere", &json!({}));
    hub.token(
        "disabled",
        &json!({"clusterName": "c-one", "enabled": false}),
    );
    // The gate lets nobody into this one.
    hub.token("shut-out", &json!({"clusterName": "c-other"}));
    hub.token(
        "ghost",
        &json!({"clusterName": "c-one", "userId": "u-ghost"}),
    );
    assert!(hub.lets_in("of-c-one", JANE).await);
    for (credential, token) in [
        ("of-c-two", JANE),
        ("of-c-one", "kubeconfig-u-jane:other"),
        ("of-c-one", "nobody:key"),
        ("of-c-one", "everywhere:key"),
        ("of-c-one", "disabled:key"),
        ("of-c-one", "ghost:key"),
        ("of-c-other", "shut-out:key"),
        ("of-c-one", "no token at all"),
        ("of-c-one", "line\nbreak:key"),
        ("of-c-one", ""),
    ] {
        let answer = hub.ask(credential, token).await;
        assert_eq!(
            answer,
            json!({"holdsForSeconds": 0}),
            "{credential} {token}"
        );
    }
}

#[tokio::test]
async fn an_answer_holds_no_longer_than_the_token() {
    let hub = Hub::new();
    hub.token("short", &json!({"clusterName": "c-one", "ttl": 90_000}));
    assert_eq!(
        hub.ask("of-c-one", "short:key").await["holdsForSeconds"],
        90
    );
    hub.clock.advance(std::time::Duration::from_secs(80));
    assert_eq!(
        hub.ask("of-c-one", "short:key").await["holdsForSeconds"],
        10
    );
    hub.clock.advance(std::time::Duration::from_secs(10));
    assert!(!hub.lets_in("of-c-one", "short:key").await);
}

#[tokio::test]
async fn what_is_no_question_is_refused_without_an_echo() {
    let hub = Hub::new();
    let own = [("x-api-tunnel-token", "of-c-one")];
    let answer = hub.send(Method::GET, &own, String::new()).await;
    assert_eq!(answer.status, 405);
    for body in [
        "",
        "[]",
        r#"{"token":7}"#,
        r#"{"token":"sesame:key","more":1}"#,
    ] {
        let answer = hub.send(Method::POST, &own, body.to_owned()).await;
        assert_eq!(answer.status, 422, "{body}");
        assert!(!answer.text().contains("sesame"), "{}", answer.text());
    }
    let large = json!({ "token": "x".repeat(5 << 10) }).to_string();
    assert_eq!(hub.send(Method::POST, &own, large).await.status, 413);
}
