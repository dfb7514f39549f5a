//! Agents that connect: authorisation, answers, what is written, and the session.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use drover_auth::web;
use drover_tunnel::{
    Accept, Acceptor, ClientRequest, ConnectError, Options, Role, Session, Sessions, connect,
};
use drover_types::names::AGENT_FINALIZER;
use http::{HeaderName, Method, Request, StatusCode};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::convert::Infallible;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Answer;
use super::world::Store;
use crate::{Clusters, Connect};

struct Hub {
    store: Store,
    sessions: Sessions,
    connect: Connect,
}

const CLUSTER: &str = "/apis/management.cattle.io/v3/clusters/c-abcde";
const SECRET: &str =
    "/api/v1/namespaces/cattle-global-data/secrets/cluster-serviceaccounttoken-04ae98b345";

fn hub() -> Hub {
    let store = Store::default();
    let cluster = json!({"apiVersion": "management.cattle.io/v3", "kind": "Cluster", "metadata": {"name": "c-abcde", "uid": "u-1"}, "spec": {}});
    store.put(CLUSTER, cluster);
    let registration = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "crt-token-default-token", "namespace": "c-abcde"},
        "data": {"token": STANDARD.encode("good"), "previousToken": STANDARD.encode("older")},
    });
    store.put(
        "/api/v1/namespaces/c-abcde/secrets/crt-token-default-token",
        registration,
    );
    let sessions = Sessions::new();
    let clusters = Clusters::new(store.client(), sessions.clone(), store.client());
    Hub {
        connect: Connect::new(clusters, store.client()),
        sessions,
        store,
    }
}

fn params(token: &str) -> String {
    STANDARD.encode(json!({"cluster": {"address": "fd00::1:443", "token": format!(" {token}\n"), "caCert": "Y2E="}}).to_string())
}

impl Hub {
    async fn ask(&self, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(Method::GET).uri("/v3/connect");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(
            self.connect
                .handle(request.body(web::empty()).unwrap())
                .await,
        )
        .await
    }

    /// Serves a connection.
    fn serve(&self, far: tokio::io::DuplexStream) {
        let connect_api = self.connect.clone();
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let connect = connect_api.clone();
            async move { Ok::<_, Infallible>(connect.handle(request.map(web::boxed)).await) }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(far), service)
                .with_upgrades(),
        );
    }

    async fn dial(&self, headers: &[(&str, &str)]) -> Result<Session, ConnectError> {
        let (near, far) = tokio::io::duplex(64 << 10);
        self.serve(far);
        let mut request =
            ClientRequest::new("wss://hub.example/v3/connect/register".parse().unwrap());
        for (name, value) in headers {
            request
                .headers
                .insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let socket = connect(request, near).await?;
        let (session, driver) = Session::serve(socket, Role::Client, Echo, Options::agent());
        tokio::spawn(driver);
        Ok(session)
    }
}

struct Echo;

impl Acceptor for Echo {
    fn accept(&self, _protocol: &str, _address: &str) -> Accept {
        Accept::Serve(Box::new(|stream| {
            Box::pin(async move {
                let (mut read, mut write) = tokio::io::split(stream);
                let _ = tokio::io::copy(&mut read, &mut write).await;
            })
        }))
    }
}

#[tokio::test]
async fn what_is_not_authorised_gets_the_peers_answers() {
    let hub = hub();
    let check = async |headers: &[(&str, &str)], status: u16, text: &str| {
        let answer = hub.ask(headers).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body.as_ref()),
            (status, text.as_bytes()),
            "{headers:?}"
        );
    };
    let missing = STANDARD.encode("{}");
    let tokenless = STANDARD.encode(r#"{"cluster":{"address":"10.43.0.1:443"}}"#);
    check(&[], 401, "failed authentication").await;
    check(
        &[("authorization", "Bearer stv-cluster-bad")],
        401,
        "failed authentication",
    )
    .await;
    check(&[("x-api-tunnel-token", "bad")], 400, "cluster not found").await;
    check(
        &[
            ("x-api-tunnel-token", "good"),
            ("x-api-tunnel-params", &missing),
        ],
        400,
        "missing node or cluster registration info",
    )
    .await;
    check(
        &[
            ("x-api-tunnel-token", "good"),
            ("x-api-tunnel-params", &tokenless),
        ],
        400,
        "invalid input, token empty",
    )
    .await;
    let answer = hub
        .ask(&[("x-api-tunnel-token", "good"), ("x-api-tunnel-params", "%")])
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(hub.sessions.keys().is_empty());
}

#[tokio::test]
async fn good_credentials_without_a_websocket_get_the_librarys_text() {
    let hub = hub();
    let params = params("sa-token");
    let answer = hub
        .ask(&[
            ("x-api-tunnel-token", "good"),
            ("x-api-tunnel-params", &params),
        ])
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(
        text.starts_with("websocket: the client is not using"),
        "{text}"
    );
    assert!(
        text.contains("Error during upgrade for host [c-abcde]: "),
        "{text}"
    );
}

#[tokio::test]
async fn an_agent_connects_and_its_cluster_is_described() {
    let hub = hub();
    let params = params("sa-token");
    let agent = hub
        .dial(&[
            ("x-api-tunnel-token", "good"),
            ("x-api-tunnel-params", &params),
        ])
        .await
        .unwrap();
    let cluster = hub.store.get(CLUSTER).unwrap();
    let expected = json!({
        "driver": "imported",
        "apiEndpoint": "https://[fd00::1]:443",
        "caCert": "Y2E=",
        "serviceAccountTokenSecret": "cluster-serviceaccounttoken-04ae98b345",
    });
    assert_eq!(cluster["status"], expected);
    let secret = hub.store.get(SECRET).unwrap();
    assert_eq!(secret["data"]["credential"], STANDARD.encode("sa-token"));
    let owner = json!([{"apiVersion": "management.cattle.io/v3", "kind": "Cluster", "name": "c-abcde", "uid": "u-1"}]);
    assert_eq!(secret["metadata"]["ownerReferences"], owner);

    let mut changes = hub.sessions.changes();
    if !hub.sessions.connected("c-abcde") {
        changes.recv().await.unwrap();
    }
    let mut stream = hub
        .sessions
        .dial("c-abcde", "tcp", "10.43.0.1:443")
        .unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut echoed = [0; 5];
    stream.read_exact(&mut echoed).await.unwrap();
    assert_eq!(&echoed, b"hello");
    agent.close("test");
    let gone = changes.recv().await.unwrap();
    assert!(!gone.connected && !hub.sessions.connected("c-abcde"));
}

#[tokio::test]
async fn a_second_report_changes_only_what_is_new() {
    let hub = hub();
    let first = params("one");
    let headers = |params| {
        [
            ("x-api-tunnel-token", "older"),
            ("x-api-tunnel-params", params),
        ]
    };
    hub.ask(&headers(&first)).await;
    let before = hub.store.get(CLUSTER).unwrap();
    let second = params("two");
    hub.ask(&headers(&second)).await;
    assert_eq!(hub.store.get(CLUSTER).unwrap(), before);
    assert_eq!(
        hub.store.get(SECRET).unwrap()["data"]["credential"],
        STANDARD.encode("two")
    );
}

#[tokio::test]
async fn a_credential_that_was_kept_and_not_yet_named_is_the_clusters() {
    let hub = hub();
    let first = params("one");
    let headers = [
        ("x-api-tunnel-token", "good"),
        ("x-api-tunnel-params", first.as_str()),
    ];
    let before = hub.store.get(CLUSTER).unwrap();
    hub.ask(&headers).await;
    // The hub ended before it wrote the status.
    hub.store.put(CLUSTER, before);
    let second = params("two");
    hub.ask(&[headers[0], ("x-api-tunnel-params", second.as_str())])
        .await;
    let kept = hub.store.objects.lock().keys().cloned().collect::<Vec<_>>();
    let credentials = kept
        .iter()
        .filter(|path| path.contains("serviceaccounttoken"));
    assert_eq!(credentials.collect::<Vec<_>>(), [SECRET]);
    let secret = hub.store.get(SECRET).unwrap();
    assert_eq!(secret["data"]["credential"], STANDARD.encode("two"));
    let named = &hub.store.get(CLUSTER).unwrap()["status"]["serviceAccountTokenSecret"];
    assert!(SECRET.ends_with(named.as_str().unwrap()), "{named}");
}

#[tokio::test]
async fn hosted_clusters_are_not_described_by_their_agent() {
    let hub = hub();
    let hosted = json!({
        "apiVersion": "management.cattle.io/v3", "kind": "Cluster", "metadata": {"name": "c-abcde"}, "spec": {},
        "status": {"driver": "EKS"},
    });
    hub.store.put(CLUSTER, hosted.clone());
    let params = params("sa-token");
    hub.dial(&[
        ("x-api-tunnel-token", "good"),
        ("x-api-tunnel-params", &params),
    ])
    .await
    .unwrap();
    assert_eq!(hub.store.get(CLUSTER).unwrap(), hosted);
    assert_eq!(hub.store.get(SECRET), None);
}

#[tokio::test]
async fn the_second_tunnel_has_its_own_key() {
    let hub = hub();
    let mut changes = hub.sessions.changes();
    let _agent = hub
        .dial(&[("authorization", "Bearer stv-cluster-good")])
        .await
        .unwrap();
    assert_eq!(changes.recv().await.unwrap().key, "stv-cluster-c-abcde");
    assert!(!hub.sessions.connected("c-abcde"));
}

#[tokio::test]
async fn shutting_down_ends_all_sessions() {
    let hub = hub();
    let mut changes = hub.sessions.changes();
    let agent = hub
        .dial(&[("authorization", "Bearer stv-cluster-good")])
        .await
        .unwrap();
    changes.recv().await.unwrap();
    hub.connect.shutdown().await;
    agent.closed().await;
    assert!(hub.sessions.keys().is_empty());
}

#[tokio::test]
async fn a_cluster_deleted_while_its_agent_connects_has_no_session() {
    let hub = hub();
    // The answer waits for somebody who reads it, and the session for the answer.
    let (mut near, far) = tokio::io::duplex(1);
    hub.serve(far);
    let request = format!(
        "GET /v3/connect HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         X-API-Tunnel-Token: good\r\nX-API-Tunnel-Params: {}\r\n\r\n",
        params("sa-token")
    );
    near.write_all(request.as_bytes()).await.unwrap();
    while hub.store.get(SECRET).is_none() {
        tokio::task::yield_now().await;
    }
    // The token was read and accepted.
    assert_eq!(near.read_u8().await.unwrap(), b'H');
    hub.store.delete(CLUSTER);
    let mut answer = Vec::new();
    // Ends: with a session that stays, it would not.
    near.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"TTP/1.1 101"));
    assert!(hub.sessions.keys().is_empty());
}

#[tokio::test]
async fn an_agent_connects_while_its_cluster_waits_to_be_cleaned_and_not_afterwards() {
    let hub = hub();
    let params = params("sa-token");
    let headers = [
        ("x-api-tunnel-token", "good"),
        ("x-api-tunnel-params", params.as_str()),
    ];
    let deleting = |finalizers: &[&str]| {
        json!({
            "apiVersion": "management.cattle.io/v3", "kind": "Cluster", "spec": {},
            "metadata": {"name": "c-abcde", "uid": "u-1", "deletionTimestamp": "2026-11-30T10:00:00Z", "finalizers": finalizers},
        })
    };
    let of_hub = "controller.cattle.io/mgmt-cluster-rbac-remove";
    hub.store.put(CLUSTER, deleting(&[AGENT_FINALIZER, of_hub]));
    hub.dial(&headers).await.unwrap();
    hub.store.put(CLUSTER, deleting(&[of_hub]));
    let refused = hub.dial(&headers).await;
    assert!(
        matches!(
            &refused,
            Err(ConnectError::Refused { status, .. }) if *status == StatusCode::BAD_REQUEST
        ),
        "{:?}",
        refused.err()
    );
}
