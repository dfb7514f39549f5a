//! A server in memory, spoken to through its service.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use drover_kube_api::{Body, Config, Identity, Server, Service, Storage};
use futures::FutureExt;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::ServiceExt;

/// How long anything a test waits for may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A server and an administrator's client.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) server: Server,
    service: Service,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("a body of JSON")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The body, after checking the code.
    #[track_caller]
    pub(crate) fn expect(&self, code: u16) -> Value {
        assert_eq!(self.code.as_u16(), code, "{}", self.text());
        self.json()
    }
}

impl Api {
    pub(crate) async fn memory() -> Self {
        Self::open(Config::new(Storage::Memory)).await
    }

    /// Waits for what a server writes by itself after its start, so that revisions move by the test's writes alone.
    pub(crate) async fn settled(self) -> Self {
        for namespace in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            for object in ["configmaps/kube-root-ca.crt", "serviceaccounts/default"] {
                let path = format!("/api/v1/namespaces/{namespace}/{object}");
                eventually(&path, || async {
                    (self.get(&path).await.code == StatusCode::OK).then_some(())
                })
                .await;
            }
        }
        // Each of these roles gathers the rules of the one before it.
        eventually("the gathered rules", || async {
            let mut gathered = Vec::new();
            for role in ["view", "edit", "admin"] {
                let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{role}");
                let rules = self.get(&path).await.json()["rules"].as_array()?.clone();
                if rules.is_empty() || gathered.iter().any(|rule| !rules.contains(rule)) {
                    return None;
                }
                gathered = rules;
            }
            Some(())
        })
        .await;
        self
    }

    pub(crate) async fn file(path: &Path) -> Self {
        Self::open(Config::new(Storage::File(path.to_owned()))).await
    }

    pub(crate) async fn open(config: Config) -> Self {
        Self::of(Server::open(config).await.expect("the server opens"))
    }

    pub(crate) fn of(server: Server) -> Self {
        let service = server.client_service(Identity::admin());
        Self { server, service }
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let response = self
            .service
            .clone()
            .oneshot(request)
            .await
            .expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        Answer {
            code: parts.status,
            headers: parts.headers,
            bytes,
        }
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        uri: &str,
        content_type: &str,
        body: impl Into<Bytes>,
    ) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("content-type", content_type)
            .header("user-agent", "test/1")
            .body(Full::new(body.into()))
            .expect("a request");
        self.send(request).await
    }

    pub(crate) async fn get(&self, uri: &str) -> Answer {
        self.call(Method::GET, uri, "application/json", Bytes::new())
            .await
    }

    pub(crate) async fn get_as(&self, uri: &str, accept: &str) -> Answer {
        let request = Request::get(uri)
            .header("accept", accept)
            .body(Full::new(Bytes::new()))
            .expect("a request");
        self.send(request).await
    }

    pub(crate) async fn post(&self, uri: &str, body: &Value) -> Answer {
        self.call(Method::POST, uri, "application/json", body.to_string())
            .await
    }

    pub(crate) async fn put(&self, uri: &str, body: &Value) -> Answer {
        self.call(Method::PUT, uri, "application/json", body.to_string())
            .await
    }

    pub(crate) async fn merge(&self, uri: &str, body: &Value) -> Answer {
        self.call(
            Method::PATCH,
            uri,
            "application/merge-patch+json",
            body.to_string(),
        )
        .await
    }

    pub(crate) async fn apply(&self, uri: &str, body: &Value) -> Answer {
        self.call(
            Method::PATCH,
            uri,
            "application/apply-patch+yaml",
            body.to_string(),
        )
        .await
    }

    pub(crate) async fn delete(&self, uri: &str) -> Answer {
        self.call(Method::DELETE, uri, "application/json", Bytes::new())
            .await
    }

    pub(crate) async fn delete_with(&self, uri: &str, options: &Value) -> Answer {
        self.call(Method::DELETE, uri, "application/json", options.to_string())
            .await
    }

    pub(crate) async fn watch(&self, uri: &str) -> Watch {
        let request = Request::get(uri)
            .body(Full::new(Bytes::new()))
            .expect("a request");
        let response = self
            .service
            .clone()
            .oneshot(request)
            .await
            .expect("infallible");
        assert_eq!(response.status(), StatusCode::OK, "{uri}");
        Watch {
            body: Some(response.into_body()),
            buffer: BytesMut::new(),
        }
    }
}

/// A running watch.
pub(crate) struct Watch {
    body: Option<Body>,
    buffer: BytesMut,
}

impl Watch {
    /// The next event, `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        tokio::time::timeout(DEADLINE, self.read())
            .await
            .expect("an event in time")
    }

    async fn read(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                return Some(serde_json::from_slice(&line).expect("a JSON line"));
            }
            let frame = self.body.as_mut()?.frame().await?.expect("a frame");
            self.buffer
                .extend_from_slice(&frame.into_data().expect("data"));
        }
    }

    /// The type and the name of the next event.
    pub(crate) async fn event(&mut self) -> (String, String) {
        let event = self.next().await.expect("an event");
        (
            event["type"].as_str().unwrap_or_default().to_owned(),
            event["object"]["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    }

    /// Whether nothing waits to be read.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.buffer.is_empty() && self.read().now_or_never().is_none()
    }
}

pub(crate) fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

/// Waits until `check` answers something.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut check: impl FnMut() -> F,
) -> T {
    let end = tokio::time::Instant::now() + DEADLINE;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(
            tokio::time::Instant::now() < end,
            "{what} did not happen in time"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
