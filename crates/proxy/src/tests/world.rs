//! A hub, a cluster's agent and its API server in one process.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use drover_auth::web::{self, ApiError, Body, Response};
use drover_auth::{Attributes, Identity};
use drover_tunnel::{
    Accept, Acceptor, BoxedIo, Options, RefuseAll, Registration, Role, Session, Sessions,
};
use futures::future::BoxFuture;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, watch};

use super::Answer;
use crate::{Clusters, Gate, Proxy};

pub(super) const CLUSTER: &str = "c-abcde";
pub(super) const LARGE: usize = 24 << 20;

/// The hub's store: objects by path.
#[derive(Debug, Clone, Default)]
pub(super) struct Store {
    pub(super) objects: Arc<Mutex<BTreeMap<String, Value>>>,
}

impl Store {
    pub(super) fn client(&self) -> kube::Client {
        let store = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let store = store.clone();
            async move { Ok::<_, Infallible>(store.answer(request).await) }
        });
        kube::Client::new(service, "default")
    }

    pub(super) fn put(&self, path: &str, object: Value) {
        self.objects.lock().insert(path.to_owned(), object);
    }

    pub(super) fn delete(&self, path: &str) {
        self.objects.lock().remove(path);
    }

    pub(super) fn get(&self, path: &str) -> Option<Value> {
        self.objects.lock().get(path).cloned()
    }

    async fn answer(&self, request: Request<kube::client::Body>) -> Response {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        if path == "/local-echo" {
            return echo(parts, &[]).await;
        }
        let body = body.collect().await.unwrap().to_bytes();
        let not_found = || {
            let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound", "message": format!("{path} not found")});
            web::json(StatusCode::NOT_FOUND, &status)
        };
        match parts.method {
            Method::GET if path == "/api/v1/secrets" => {
                let objects = self.objects.lock();
                let items: Vec<&Value> = objects
                    .iter()
                    .filter(|(path, _)| path.contains("/secrets/"))
                    .map(|(_, secret)| secret)
                    .collect();
                web::json(
                    StatusCode::OK,
                    &json!({"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": items}),
                )
            }
            Method::GET => match self.get(&path) {
                Some(object) => web::json(StatusCode::OK, &object),
                None => not_found(),
            },
            Method::PATCH => {
                let target = path.trim_end_matches("/status");
                let patch: Value = serde_json::from_slice(&body).unwrap();
                match self.get(target) {
                    None => not_found(),
                    Some(mut object) => {
                        merge(&mut object, &patch);
                        self.put(target, object.clone());
                        web::json(StatusCode::OK, &object)
                    }
                }
            }
            Method::POST => {
                let mut object: Value = serde_json::from_slice(&body).unwrap();
                let prefix = object["metadata"]["generateName"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                let name = object["metadata"]["name"]
                    .as_str()
                    .map_or_else(|| format!("{prefix}x1y2z"), str::to_owned);
                object["metadata"]["name"] = json!(name);
                self.put(&format!("{path}/{name}"), object.clone());
                web::json(StatusCode::CREATED, &object)
            }
            _ => not_found(),
        }
    }
}

fn merge(object: &mut Value, patch: &Value) {
    let (Value::Object(object), Value::Object(patch)) = (object, patch) else {
        panic!("objects only")
    };
    for (key, value) in patch {
        match (object.get_mut(key), value) {
            (_, Value::Null) => {
                object.remove(key);
            }
            (Some(inner @ Value::Object(_)), Value::Object(_)) => merge(inner, value),
            _ => {
                object.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Lets everybody into every cluster but `c-other`.
#[derive(Debug)]
pub(super) struct TestGate {
    groups: Mutex<Vec<String>>,
    changes: watch::Sender<u64>,
    revoked: Arc<Notify>,
}

impl TestGate {
    pub(super) fn new(groups: &[&str]) -> Self {
        let gate = Self {
            groups: Mutex::default(),
            changes: watch::Sender::new(0),
            revoked: Arc::default(),
        };
        gate.set_groups(groups);
        gate
    }

    pub(super) fn set_groups(&self, groups: &[&str]) {
        *self.groups.lock() = groups.iter().map(|group| (*group).to_owned()).collect();
        self.changes.send_modify(|version| *version += 1);
    }

    pub(super) fn revoke(&self) {
        self.revoked.notify_one();
    }
}

impl Gate for TestGate {
    fn enter(&self, _identity: &Identity, cluster: &str) -> Result<Vec<String>, ApiError> {
        if cluster == "c-other" {
            Err(ApiError::forbidden("not for you"))
        } else {
            Ok(self.groups.lock().clone())
        }
    }

    fn may(&self, _identity: &Identity, _attributes: &Attributes<'_>) -> bool {
        false
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn revoked(&self, _identity: &Identity) -> BoxFuture<'static, ()> {
        let revoked = Arc::clone(&self.revoked);
        Box::pin(async move { revoked.notified().await })
    }
}

/// The cluster's API server.
#[derive(Debug, Clone)]
pub(super) struct Upstream {
    tls: Arc<rustls::ServerConfig>,
    connections: Arc<AtomicUsize>,
    watches: Arc<AtomicUsize>,
    credential: Arc<Mutex<String>>,
}

/// A count that goes down when its holder is dropped.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Upstream {
    async fn serve_tls(self, socket: tokio::io::DuplexStream) {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&self.tls));
        if let Ok(secured) = acceptor.accept(socket).await {
            self.serve(secured).await;
        }
    }

    async fn serve(
        self,
        socket: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    ) {
        self.connections.fetch_add(1, Ordering::SeqCst);
        let service = service_fn(move |request| {
            let upstream = self.clone();
            async move { Ok::<_, Infallible>(upstream.answer(request).await) }
        });
        let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
            .serve_connection_with_upgrades(TokioIo::new(socket), service)
            .await;
    }

    async fn answer(&self, mut request: Request<hyper::body::Incoming>) -> Response {
        let expected = format!("Bearer {}", self.credential.lock());
        let plain = request.uri().path().starts_with("/v1/");
        if !plain && request.headers()[http::header::AUTHORIZATION] != expected.as_str() {
            return web::text(StatusCode::UNAUTHORIZED, "who?");
        }
        match request.uri().path() {
            "/large" => {
                let chunk = Bytes::from(vec![1; 64 << 10]);
                let frames = (0..LARGE / chunk.len())
                    .map(move |_| Ok::<_, io::Error>(http_body::Frame::data(chunk.clone())));
                Response::new(web::boxed(StreamBody::new(futures::stream::iter(frames))))
            }
            "/watch" => {
                let running = Running::new(&self.watches);
                let events = futures::stream::unfold(running, |running| async move {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    Some((
                        Ok::<_, io::Error>(http_body::Frame::data(Bytes::from_static(b"{}\n"))),
                        running,
                    ))
                });
                Response::new(web::boxed(StreamBody::new(events)))
            }
            "/upgrade" => {
                let seen = |name: &str| {
                    request
                        .headers()
                        .get(name)
                        .cloned()
                        .unwrap_or(http::HeaderValue::from_static("-"))
                };
                let response = http::Response::builder()
                    .status(StatusCode::SWITCHING_PROTOCOLS)
                    .header("connection", "Upgrade")
                    .header("upgrade", seen("upgrade"))
                    .header("x-seen-protocol", seen("sec-websocket-protocol"))
                    .header("x-seen-user", seen("impersonate-user"))
                    .body(web::empty())
                    .unwrap();
                let upgrade = hyper::upgrade::on(&mut request);
                tokio::spawn(async move {
                    let Ok(socket) = upgrade.await else { return };
                    let (mut read, mut write) = tokio::io::split(TokioIo::new(socket));
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                    let _ = write.shutdown().await;
                });
                response
            }
            _ => {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                echo(parts, &body).await
            }
        }
    }
}

async fn echo(parts: http::request::Parts, body: &[u8]) -> Response {
    let mut headers = BTreeMap::<String, String>::new();
    for (name, value) in &parts.headers {
        let value = value.to_str().unwrap();
        headers
            .entry(name.to_string())
            .and_modify(|all| *all = format!("{all}, {value}"))
            .or_insert_with(|| value.to_owned());
    }
    let uri = parts.uri.path_and_query().unwrap().as_str();
    let echoed = json!({"method": parts.method.as_str(), "uri": uri, "headers": headers, "body": String::from_utf8_lossy(body)});
    web::json(StatusCode::OK, &echoed)
}

/// The cluster's agent.
struct Agent {
    upstream: Upstream,
    plain: bool,
}

impl Acceptor for Agent {
    fn accept(&self, protocol: &str, address: &str) -> Accept {
        assert_eq!(protocol, "tcp");
        let (upstream, plain) = (self.upstream.clone(), self.plain);
        if plain {
            assert_eq!(address, "127.0.0.1:6080");
            return Accept::Serve(Box::new(move |stream| Box::pin(upstream.serve(stream))));
        }
        assert_eq!(address, "10.43.0.1:443");
        Accept::Dial(Box::pin(async move {
            let (near, far) = tokio::io::duplex(64 << 10);
            tokio::spawn(upstream.serve_tls(far));
            Ok(Box::new(near) as BoxedIo)
        }))
    }
}

/// One tunnel, both ends.
pub(super) struct Tunnel {
    pub(super) hub: Session,
    agent: Session,
    _registration: Registration,
}

pub(super) struct World {
    pub(super) clusters: Clusters,
    pub(super) gate: Arc<TestGate>,
    store: Store,
    sessions: Sessions,
    proxy: Proxy,
    upstream: Upstream,
    first: Mutex<Option<Tunnel>>,
}

fn certificate() -> (rcgen::Certificate, rcgen::KeyPair) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["10.43.0.1".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    (certificate, key)
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with_protocols(&["h2", "http/1.1"]).await
    }

    /// One whose API server speaks these protocols.
    pub(super) async fn with_protocols(protocols: &[&str]) -> Self {
        let (certificate, key) = certificate();
        let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
        let names = protocols.iter().map(|name| name.as_bytes().to_vec());
        tls.alpn_protocols = names.collect();
        let upstream = Upstream {
            tls: Arc::new(tls),
            connections: Arc::default(),
            watches: Arc::default(),
            credential: Arc::new(Mutex::new("cluster-credential".to_owned())),
        };
        let store = Store::default();
        let sessions = Sessions::new();
        let clusters = Clusters::new(store.client(), sessions.clone(), store.client());
        let gate = Arc::new(TestGate::new(&["drover:cluster-owner"]));
        let proxy = Proxy::with_gate(clusters.clone(), Arc::clone(&gate) as Arc<dyn Gate>);
        let world = Self {
            clusters,
            gate,
            store,
            sessions,
            proxy,
            upstream,
            first: Mutex::new(None),
        };
        world.set_cluster(CLUSTER, &certificate.pem());
        world.set_cluster("c-aways", &certificate.pem());
        let young = json!({"apiVersion": "management.cattle.io/v3", "kind": "Cluster", "metadata": {"name": "c-young"}, "spec": {}});
        world
            .store
            .put("/apis/management.cattle.io/v3/clusters/c-young", young);
        world.set_credential("cluster-credential");
        let first = world.connect().await;
        *world.first.lock() = Some(first);
        world
    }

    fn set_cluster(&self, name: &str, ca: &str) {
        let cluster = json!({
            "apiVersion": "management.cattle.io/v3", "kind": "Cluster", "metadata": {"name": name}, "spec": {},
            "status": {
                "driver": "imported",
                "apiEndpoint": "https://10.43.0.1:443",
                "caCert": STANDARD.encode(ca),
                "serviceAccountTokenSecret": "cluster-serviceaccounttoken-abcde",
            },
        });
        self.store.put(
            &format!("/apis/management.cattle.io/v3/clusters/{name}"),
            cluster,
        );
    }

    pub(super) fn set_ca_of_a_stranger(&self) {
        self.set_cluster(CLUSTER, &certificate().0.pem());
    }

    pub(super) fn set_credential(&self, credential: &str) {
        *self.upstream.credential.lock() = credential.to_owned();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "cluster-serviceaccounttoken-abcde", "namespace": "cattle-global-data"},
            "data": {"credential": STANDARD.encode(credential)},
        });
        self.store.put(
            "/api/v1/namespaces/cattle-global-data/secrets/cluster-serviceaccounttoken-abcde",
            secret,
        );
    }

    pub(super) async fn connect(&self) -> Tunnel {
        self.tunnel(CLUSTER, false)
    }

    pub(super) async fn connect_steve(&self) -> Tunnel {
        self.tunnel(&format!("stv-cluster-{CLUSTER}"), true)
    }

    fn tunnel(&self, key: &str, plain: bool) -> Tunnel {
        let (hub_socket, agent_socket) = tokio::io::duplex(64 << 10);
        let (hub, driver) =
            Session::serve(hub_socket, Role::Server, RefuseAll, Options::hub(key, 1));
        tokio::spawn(driver);
        let agent = Agent {
            upstream: self.upstream.clone(),
            plain,
        };
        let (agent, driver) = Session::serve(agent_socket, Role::Client, agent, Options::agent());
        tokio::spawn(driver);
        Tunnel {
            _registration: self.sessions.add(key, hub.clone()),
            hub,
            agent,
        }
    }

    pub(super) async fn kill_first_session(&self) {
        let first = self.first.lock().take().unwrap();
        first.agent.close("killed");
        first.hub.closed().await;
    }

    pub(super) fn upstream_connections(&self) -> usize {
        self.upstream.connections.load(Ordering::SeqCst)
    }

    pub(super) fn running_watches(&self) -> usize {
        self.upstream.watches.load(Ordering::SeqCst)
    }

    pub(super) fn open_streams(&self) -> usize {
        let first = self.first.lock();
        first.as_ref().map_or(0, |tunnel| {
            tunnel.hub.stats().streams.max(tunnel.agent.stats().streams)
        })
    }

    pub(super) fn identity() -> Option<Identity> {
        Some(Identity::of("u-abcde"))
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, &[], "").await
    }

    pub(super) async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> Answer {
        self.ask(Self::identity(), CLUSTER, method, path, headers, body)
            .await
    }

    pub(super) async fn ask(
        &self,
        identity: Option<Identity>,
        cluster: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> Answer {
        let request = request(method, cluster, path, headers, web::full(body));
        let path = path.split('?').next().unwrap();
        Answer::of(self.proxy.handle(request, identity, cluster, path).await).await
    }

    pub(super) async fn stream(&self, path: &str) -> Body {
        let request = request(Method::GET, CLUSTER, path, &[], web::empty());
        let answer = self
            .proxy
            .handle(request, Self::identity(), CLUSTER, path)
            .await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.into_body()
    }

    /// Upgrades through a real HTTP server in front of the proxy.
    pub(super) async fn upgrade(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(HeaderMap, TokioIo<hyper::upgrade::Upgraded>), StatusCode> {
        let (near, far) = tokio::io::duplex(64 << 10);
        let (proxy, identity) = (self.proxy.clone(), Self::identity());
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let (proxy, identity) = (proxy.clone(), identity.clone());
            async move {
                let path = request.uri().path().to_owned();
                Ok::<_, Infallible>(
                    proxy
                        .handle(request.map(web::boxed), identity, CLUSTER, &path)
                        .await,
                )
            }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(far), service)
                .with_upgrades(),
        );
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near))
            .await
            .unwrap();
        tokio::spawn(connection.with_upgrades());
        let mut answer = sender
            .send_request(request(Method::GET, CLUSTER, path, headers, web::empty()))
            .await
            .unwrap();
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(answer.status());
        }
        let headers = answer.headers().clone();
        Ok((
            headers,
            TokioIo::new(hyper::upgrade::on(&mut answer).await.unwrap()),
        ))
    }

    pub(super) async fn wait_until(&self, what: &str, condition: impl Fn() -> bool) {
        let wait = async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait)
            .await
            .unwrap_or_else(|_| panic!("{what}"));
    }
}

fn request(
    method: Method,
    _cluster: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Body,
) -> web::Request {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "hub.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}
