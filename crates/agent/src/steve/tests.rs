use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use super::Steve;
use crate::testing::FakeKubernetes;

async fn ask(fake: &FakeKubernetes, request: Request<Full<Bytes>>) -> (StatusCode, Bytes) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let serving = tokio::spawn(Steve::new(fake.api()).serve(theirs));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(ours))
        .await
        .unwrap();
    let driving = tokio::spawn(connection);
    let response = sender.send_request(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    drop(sender);
    driving.await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(5), serving)
        .await
        .expect("the connection ends with its client")
        .unwrap();
    (status, body)
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path)
        .header("host", "not-used")
        .body(Full::default())
        .unwrap()
}

#[tokio::test]
async fn pings_are_answered_here() {
    let fake = FakeKubernetes::start().await;
    assert_eq!(
        ask(&fake, get("/ping")).await,
        (StatusCode::OK, Bytes::from_static(b"pong"))
    );
    assert_eq!(
        ask(&fake, get("/healthz")).await,
        (StatusCode::OK, Bytes::from_static(b"ok"))
    );
}

#[tokio::test]
async fn v1_is_refused_in_so_many_words() {
    let fake = FakeKubernetes::start().await;
    for path in ["/v1", "/v1/pods", "/v1/management.cattle.io.clusters/local"] {
        let (status, body) = ask(&fake, get(path)).await;
        assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["reason"], "NotImplemented");
    }
}

#[tokio::test]
async fn the_api_gets_the_hub_s_impersonation_and_our_authorization() {
    let fake = FakeKubernetes::start().await;
    let mut request = get("/echo?x=1");
    request
        .headers_mut()
        .insert("impersonate-user", "u-abcde".parse().unwrap());
    request
        .headers_mut()
        .append("impersonate-group", "system:authenticated".parse().unwrap());
    request
        .headers_mut()
        .insert("authorization", "Bearer foreign".parse().unwrap());
    request
        .headers_mut()
        .insert("x-api-url-prefix", "/k8s/clusters/c-1".parse().unwrap());
    let (status, body) = ask(&fake, request).await;
    assert_eq!(status, StatusCode::OK);
    let seen: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(seen["headers"]["impersonate-user"], "u-abcde");
    assert_eq!(seen["headers"]["impersonate-group"], "system:authenticated");
    assert_eq!(seen["headers"]["authorization"], "Bearer token");
    assert_eq!(seen["headers"]["x-api-url-prefix"], Value::Null);
    assert!(
        seen["headers"]["host"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );
}
