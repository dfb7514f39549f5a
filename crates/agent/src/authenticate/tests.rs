//! The whole program against a hub and a cluster of a few lines each.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use drover_types::review;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::config::Environment;
use crate::testing::{FakeKubernetes, TlsServer, certificate};

/// What the hub is asked, and what it says.
#[derive(Default)]
struct Said {
    /// Registration token and question of each review.
    asked: Mutex<Vec<(String, Value)>>,
    /// Status and body of the next answers.
    answer: Mutex<(u16, Value)>,
    down: AtomicBool,
}

struct World {
    said: Arc<Said>,
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), AuthenticateError>>,
    _hub: TlsServer,
    _kubernetes: FakeKubernetes,
    _folder: tempfile::TempDir,
}

const IN: &str = "kubeconfig-u-1.c-1:key";

fn jane(seconds: u64) -> (u16, Value) {
    let user = json!({"username": "u-1", "groups": ["drover:cluster-member"], "extra": {"username": ["jane"]}});
    (200, json!({"user": user, "holdsForSeconds": seconds}))
}

impl World {
    async fn start() -> Self {
        let said = Arc::new(Said::default());
        *said.answer.lock() = jane(60);
        let (pem, tls) = certificate(&["localhost"], |_| {});
        let (cacerts, shared) = (pem.trim().to_owned(), Arc::clone(&said));
        let hub = TlsServer::start(tls, move |request| {
            hub_answer(request, cacerts.clone(), Arc::clone(&shared))
        })
        .await;
        let kubernetes = FakeKubernetes::start().await;
        let folder = tempfile::tempdir().unwrap();
        let in_cluster = kubernetes.in_cluster(folder.path());
        std::fs::write(
            folder.path().join("url"),
            format!("https://localhost:{}", hub.address.port()),
        )
        .unwrap();
        let checksum = {
            use sha2::{Digest as _, Sha256};
            hex::encode(Sha256::digest(format!("{}\n", pem.trim())))
        };
        let environment = Environment::from_iter([
            ("KUBERNETES_SERVICE_HOST", in_cluster.host.as_str()),
            ("KUBERNETES_SERVICE_PORT", &in_cluster.port.to_string()),
            ("CATTLE_CA_CHECKSUM", &checksum),
            ("CATTLE_TOKEN", "registration"),
            ("STRICT_VERIFY", "true"),
        ]);
        // The folder of the service account holds a `token` too, which is not the registration token.
        let credentials = folder.path().join("credentials");
        std::fs::create_dir(&credentials).unwrap();
        std::fs::rename(folder.path().join("url"), credentials.join("url")).unwrap();
        let config = Config::read(&environment, &credentials, folder.path(), &[]).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let task = tokio::spawn(async move { run(config, address, "node-1", [5; 32], stop).await });
        let world = Self {
            said,
            address,
            shutdown,
            task,
            _hub: hub,
            _kubernetes: kubernetes,
            _folder: folder,
        };
        world.wait_until_it_asks().await;
        world
    }

    /// The hub counts as away until its certificate was verified.
    async fn wait_until_it_asks(&self) {
        let asks = async {
            loop {
                if TcpStream::connect(self.address).await.is_ok() {
                    self.review("probe:key").await;
                    if !self.said.asked.lock().is_empty() {
                        self.said.asked.lock().clear();
                        return;
                    }
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), asks)
            .await
            .expect("it never asked the hub");
    }

    async fn send(&self, method: Method, path: &str, body: impl Into<Bytes>) -> (u16, Value) {
        let socket = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket))
            .await
            .unwrap();
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .body(Full::new(body.into()))
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
        (
            status,
            serde_json::from_slice(&body).unwrap_or_else(|_| text()),
        )
    }

    async fn review(&self, token: &str) -> Value {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}});
        let (status, answer) = self
            .send(Method::POST, "/v1/authenticate", review.to_string())
            .await;
        assert_eq!(status, 200, "{answer}");
        answer["status"].clone()
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

async fn hub_answer(
    request: Request<Incoming>,
    cacerts: String,
    said: Arc<Said>,
) -> Response<Full<Bytes>> {
    let reply = |status: u16, body: String| {
        Response::builder()
            .status(status)
            .body(Full::new(Bytes::from(body)))
            .unwrap()
    };
    if said.down.load(Ordering::Relaxed) {
        return reply(503, String::new());
    }
    let path = request.uri().path().to_owned();
    match path.as_str() {
        "/ping" => reply(200, "pong".to_owned()),
        "/v3/settings/cacerts" => reply(200, json!({ "value": cacerts }).to_string()),
        review::PATH => {
            let shown = request.headers()["x-api-tunnel-token"].to_str().unwrap();
            let shown = shown.to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            said.asked
                .lock()
                .push((shown, serde_json::from_slice(&body).unwrap()));
            let (status, answer) = said.answer.lock().clone();
            reply(status, answer.to_string())
        }
        _ => reply(404, String::new()),
    }
}

#[tokio::test]
async fn a_token_is_reviewed_by_the_hub_and_outlives_it() {
    let world = World::start().await;
    let expected = json!({"authenticated": true, "user": {
        "username": "u-1", "groups": ["drover:cluster-member"], "extra": {"username": ["jane"]},
    }});
    assert_eq!(world.review(IN).await, expected);
    assert_eq!(world.review(IN).await, expected);
    let asked = std::mem::take(&mut *world.said.asked.lock());
    assert_eq!(asked, [("registration".to_owned(), json!({ "token": IN }))]);

    world.said.down.store(true, Ordering::Relaxed);
    assert_eq!(world.review(IN).await, expected);
    let stranger = world.review("other:key").await;
    assert_eq!(stranger["authenticated"], false);
    assert!(stranger["error"].is_string(), "{stranger}");
    world.end().await;
}

#[tokio::test]
async fn refusals_are_plain_and_tokens_of_others_stay_in_the_cluster() {
    let world = World::start().await;
    *world.said.answer.lock() = (200, json!({"holdsForSeconds": 0}));
    assert_eq!(world.review(IN).await, json!({"authenticated": false}));
    assert_eq!(world.review(IN).await, json!({"authenticated": false}));
    assert_eq!(
        world.said.asked.lock().len(),
        1,
        "a refusal is kept for a moment"
    );
    let account = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln";
    assert_eq!(world.review(account).await, json!({"authenticated": false}));
    assert_eq!(world.said.asked.lock().len(), 1);
    *world.said.answer.lock() = (401, json!({}));
    let disowned = world.review("another:key").await;
    assert!(disowned["error"].is_string(), "{disowned}");
    world.end().await;
}

#[tokio::test]
async fn other_requests_get_the_peers_statuses() {
    let world = World::start().await;
    let check = async |method: Method, path: &str, body: &str, expected: u16| {
        let (status, answer) = world.send(method.clone(), path, body.to_owned()).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
    };
    check(Method::GET, "/healthcheck", "", 200).await;
    check(Method::POST, "/v1/authenticate", "no JSON", 400).await;
    check(Method::POST, "/v1/authenticate", "{}", 400).await;
    check(Method::GET, "/v1/authenticate", "", 405).await;
    check(Method::GET, "/", "", 404).await;
    let large = "x".repeat(65 << 10);
    check(Method::POST, "/v1/authenticate", &large, 413).await;
    assert!(world.said.asked.lock().is_empty());
    world.end().await;
}

#[tokio::test]
async fn it_listens_on_the_loopback_device_only() {
    let kubernetes = FakeKubernetes::start().await;
    let folder = tempfile::tempdir().unwrap();
    let in_cluster = kubernetes.in_cluster(folder.path());
    let environment = Environment::from_iter([
        ("KUBERNETES_SERVICE_HOST", in_cluster.host.as_str()),
        ("KUBERNETES_SERVICE_PORT", &in_cluster.port.to_string()),
    ]);
    let config = Config::read(&environment, folder.path(), folder.path(), &[]).unwrap();
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let refused = run(config, everywhere, "n", [0; 32], CancellationToken::new()).await;
    assert!(matches!(refused, Err(AuthenticateError::NotLoopback(_))));
}
