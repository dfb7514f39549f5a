use std::time::Duration;

use drover_tunnel::Session;
use drover_types::checks::CheckOutcome;
use http::{Request, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{Exit, run};
use crate::{
    config::{Config, Environment},
    testing::{FakeHub, FakeKubernetes},
};

const DEADLINE: Duration = Duration::from_secs(20);

struct Agent {
    _dir: TempDir,
    kubernetes: FakeKubernetes,
    shutdown: CancellationToken,
    task: JoinHandle<Exit>,
}

async fn start(hub: &FakeHub, extra: &[(&str, &str)]) -> Agent {
    let dir = tempfile::tempdir().unwrap();
    let kubernetes = FakeKubernetes::start().await;
    kubernetes.put(
        "/api/v1/namespaces/cattle-system/serviceaccounts/cattle",
        json!({}),
    );
    let in_cluster = kubernetes.in_cluster(dir.path());
    std::fs::write(dir.path().join("url"), hub.url()).unwrap();
    let token_dir = dir.path().join("credentials");
    std::fs::create_dir(&token_dir).unwrap();
    std::fs::write(token_dir.join("url"), hub.url()).unwrap();
    std::fs::write(token_dir.join("token"), "registration").unwrap();
    let port = in_cluster.port.to_string();
    let checksum = hub.checksum();
    let environment: Environment = [
        ("KUBERNETES_SERVICE_HOST", "127.0.0.1"),
        ("KUBERNETES_SERVICE_PORT", port.as_str()),
        ("CATTLE_CA_CHECKSUM", checksum.as_str()),
        ("STRICT_VERIFY", "true"),
    ]
    .iter()
    .chain(extra)
    .map(|(name, value)| (*name, *value))
    .collect();
    let config = Config::read(&environment, &token_dir, dir.path(), &[]).unwrap();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(run(config, shutdown.clone()));
    Agent {
        _dir: dir,
        kubernetes,
        shutdown,
        task,
    }
}

async fn session(hub: &mut FakeHub) -> (Request<()>, Session) {
    timeout(DEADLINE, hub.sessions.recv())
        .await
        .expect("the agent connects in time")
        .unwrap()
}

/// A server that sends back what it gets.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

async fn echoes(session: &Session, address: &str) {
    let mut stream = session.dial("tcp", address).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut answer = [0; 5];
    timeout(DEADLINE, stream.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"hello");
}

#[tokio::test]
async fn the_agent_registers_and_dials_what_the_hub_asks_for() {
    let mut hub = FakeHub::start(&["localhost"], |_| {}).await;
    let agent = start(&hub, &[]).await;
    let (head, main) = session(&mut hub).await;
    assert_eq!(head.uri().path(), "/v3/connect/register");
    assert_eq!(head.headers()["x-api-tunnel-token"], "registration");
    assert!(head.headers().contains_key("x-api-tunnel-params"));
    let address = echo().await;
    echoes(&main, &address).await;

    // A target that refuses is that stream's end, not the session's.
    let mut stream = main.dial("tcp", "127.0.0.1:1").await.unwrap();
    let refused = timeout(DEADLINE, stream.read_u8()).await.unwrap();
    assert!(refused.is_err());
    let mut stream = main.dial("unix", "/var/run/docker.sock").await.unwrap();
    assert!(timeout(DEADLINE, stream.read_u8()).await.unwrap().is_err());
    echoes(&main, &address).await;

    // After a broken session the agent returns, and by the second path.
    main.close("the hub restarts");
    let (head, main) = session(&mut hub).await;
    assert_eq!(head.uri().path(), "/v3/connect");
    echoes(&main, &address).await;

    agent.shutdown.cancel();
    assert_eq!(
        timeout(DEADLINE, agent.task).await.unwrap().unwrap(),
        Exit::Shutdown
    );
    timeout(DEADLINE, main.closed())
        .await
        .expect("the hub sees the end");
}

#[tokio::test]
async fn the_hub_is_told_what_keeps_an_agent_away_until_it_comes() {
    let mut hub = FakeHub::start(&["localhost"], |_| {}).await;
    *hub.refusal.lock().unwrap() = Some((StatusCode::BAD_REQUEST, "cluster not found"));
    let agent = start(&hub, &[]).await;
    let told = timeout(DEADLINE, hub.told.recv()).await.unwrap().unwrap();
    assert!(!told.ready);
    let last = told.checks.last().unwrap();
    assert_eq!(
        (last.step.as_str(), last.outcome),
        ("registration", CheckOutcome::Failed)
    );
    assert!(last.reason.contains("cluster not found"), "{}", last.reason);

    *hub.refusal.lock().unwrap() = None;
    session(&mut hub).await;
    assert!(
        timeout(DEADLINE, hub.told.recv())
            .await
            .unwrap()
            .unwrap()
            .ready
    );
    agent.shutdown.cancel();
}

#[tokio::test]
async fn the_second_tunnel_opens_with_its_feature_and_serves_http() {
    let mut hub = FakeHub::start(&["localhost"], |_| {}).await;
    let features = "fleet=false,multi-cluster-management-agent=true";
    let agent = start(&hub, &[("CATTLE_FEATURES", features)]).await;
    let mut steve = None;
    for _ in 0..2 {
        let (head, session) = session(&mut hub).await;
        if let Some(bearer) = head.headers().get("authorization") {
            assert_eq!(bearer, "Bearer stv-cluster-registration");
            assert_eq!(head.uri().path(), "/v3/connect");
            steve = Some(session);
        }
    }
    let mut stream = steve.unwrap().dial("tcp", "not-used:80").await.unwrap();
    stream
        .write_all(b"GET /ping HTTP/1.1\r\nHost: not-used\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("pong"),
        "{answer}"
    );
    agent.shutdown.cancel();
    assert_eq!(
        timeout(DEADLINE, agent.task).await.unwrap().unwrap(),
        Exit::Shutdown
    );
}

#[tokio::test]
async fn a_shutdown_lets_an_open_stream_finish() {
    let mut hub = FakeHub::start(&["localhost"], |_| {}).await;
    let agent = start(&hub, &[]).await;
    let (_, main) = session(&mut hub).await;
    let address = echo().await;
    let mut stream = main.dial("tcp", &address).await.unwrap();
    stream.write_all(b"one").await.unwrap();
    let mut answer = [0; 3];
    stream.read_exact(&mut answer).await.unwrap();
    agent.shutdown.cancel();
    tokio::task::yield_now().await;
    stream.write_all(b"two").await.unwrap();
    timeout(DEADLINE, stream.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"two");
    drop(stream);
    assert_eq!(
        timeout(DEADLINE, agent.task).await.unwrap().unwrap(),
        Exit::Shutdown
    );
}

#[tokio::test]
async fn a_wrong_checksum_ends_the_agent() {
    let hub = FakeHub::start(&["localhost"], |_| {}).await;
    let agent = start(&hub, &[("CATTLE_CA_CHECKSUM", &"0".repeat(64))]).await;
    assert_eq!(
        timeout(DEADLINE, agent.task).await.unwrap().unwrap(),
        Exit::Definite
    );
}

#[tokio::test]
async fn a_refused_agent_keeps_trying_and_connects_once_it_may() {
    let mut hub = FakeHub::start(&["localhost"], |_| {}).await;
    *hub.refusal.lock().unwrap() = Some((http::StatusCode::UNAUTHORIZED, "failed authentication"));
    let agent = start(&hub, &[]).await;
    let asked = async {
        while !agent
            .kubernetes
            .paths()
            .iter()
            .any(|path| path.contains("/secrets/"))
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, asked).await.unwrap();
    assert!(!agent.task.is_finished());
    *hub.refusal.lock().unwrap() = None;
    let (_, main) = session(&mut hub).await;
    assert!(!main.is_closed());
    agent.shutdown.cancel();
    agent.task.await.unwrap();
}
