//! The explorer over two embedded Kubernetes APIs: the hub's and a cluster's, with real rights.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use drover_api_v1::{Explorer, Limits, Parts, Reach};
use drover_api_v3::{Hooks, YamlImport};
use drover_auth::web::{self, ApiError};
use drover_auth::{Access, Auth, Clock, Entropy, Identity};
use drover_testkit::embedded::{self, Embedded, Pair};
pub(crate) use drover_testkit::embedded::{PATIENCE, put};
use futures::future::BoxFuture;
use futures::{FutureExt, SinkExt, StreamExt};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_util::sync::CancellationToken;

/// Base of everything inside the cluster.
pub(crate) const INSIDE: &str = "/k8s/clusters/c-1/v1";

/// The ways into the hub (`local`) and the cluster `c-1`, with the rights the proxy would give.
#[derive(Clone)]
pub(crate) struct Ways(Arc<Pair>);

impl Ways {
    /// Who may what on the hub.
    pub(crate) fn auth(&self) -> &Auth {
        &self.0.hub.auth
    }

    fn api(&self, cluster: &str) -> Option<&Embedded> {
        match cluster {
            "local" => Some(&self.0.hub.api),
            "c-1" => Some(&self.0.cluster),
            _ => None,
        }
    }
}

impl Reach for Ways {
    fn as_user(&self, identity: &Identity, cluster: &str) -> kube::Client {
        let virtual_groups = self.0.hub.auth.access.cluster_groups(identity, cluster);
        let groups = identity
            .groups
            .iter()
            .cloned()
            .chain(virtual_groups.into_iter().flatten())
            .collect();
        self.api(cluster)
            .unwrap_or(&self.0.cluster)
            .client_as(identity.user.as_str(), groups)
    }

    fn whole<'a>(&'a self, cluster: &'a str) -> BoxFuture<'a, Result<kube::Client, ApiError>> {
        let found = self
            .api(cluster)
            .map(Embedded::client)
            .map(|client| match cluster {
                "local" => drover_ext::discovery::completed(client),
                _ => client,
            })
            .ok_or_else(|| ApiError::not_found(format!("there is no cluster {cluster}")));
        async move { found }.boxed()
    }

    fn revoked<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, ()> {
        self.0.hub.auth.authenticator.revoked(identity).boxed()
    }
}

impl Hooks for Ways {
    fn import_yaml<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a str,
        _: YamlImport,
    ) -> BoxFuture<'a, Result<String, ApiError>> {
        async { Ok(String::new()) }.boxed()
    }

    fn cluster<'a>(&'a self, cluster: &'a str) -> BoxFuture<'a, Result<kube::Client, ApiError>> {
        self.whole(cluster)
    }

    fn revoked<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, ()> {
        self.0.hub.auth.authenticator.revoked(identity).boxed()
    }
}

/// The other API of the hub, which takes what the index of roles decides about.
fn norman(ways: &Ways, hub: &kube::Client) -> drover_api_v3::Api {
    drover_api_v3::Api::new(drover_api_v3::Parts {
        client: hub.clone(),
        rights: Arc::new(ways.auth().access.clone()),
        credentials: Arc::new(ways.auth().logins.clone()),
        hooks: Arc::new(ways.clone()),
        clock: Clock::system(),
        entropy: Entropy::system(),
        setting_overrides: ways.auth().settings.overrides(),
    })
}

/// `admin` may do everything, `owner` owns the cluster, `member` has a part in its project `p-1`, `stranger` in nothing.
pub(crate) struct World {
    pub(crate) hub: kube::Client,
    pub(crate) cluster: kube::Client,
    pub(crate) explorer: Explorer,
    pub(crate) admin: String,
    /// The audit log that `/v1/audit` reads; tests write it.
    pub(crate) audit: drover_audit::AuditLog,
    /// Where it is.
    pub(crate) audit_folder: tempfile::TempDir,
    address: SocketAddr,
    pub(crate) ways: Ways,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with_limits(Limits::default()).await
    }

    pub(crate) async fn with_limits(limits: Limits) -> Self {
        let pair = Pair::start(&[("p-1", json!({}))]).await;
        let (hub, cluster) = (pair.hub.api.client(), pair.cluster.client());
        let (admin, access) = (pair.hub.admin.clone(), pair.hub.auth.access.clone());
        let ways = Ways(Arc::new(pair));
        let audit_folder = tempfile::tempdir().expect("a folder");
        let (audit, writer) = drover_audit::AuditLog::open(drover_audit::Config {
            path: audit_folder.path().join("audit.log"),
            limits: drover_audit::Limits {
                size: 1 << 20,
                age: None,
                backups: None,
            },
            now: Arc::new(jiff::Timestamp::now),
        })
        .expect("an audit log");
        tokio::spawn(writer.run(CancellationToken::new()));
        let explorer = Explorer::new(Parts {
            reach: Arc::new(ways.clone()),
            keeper: Arc::new(norman(&ways, &hub)),
            access,
            logins: ways.auth().logins.clone(),
            settings: ways.auth().settings.clone(),
            clock: Clock::system(),
            setting_overrides: [("ui-brand".to_owned(), "given".to_owned())].into(),
            limits,
            ping: Duration::from_millis(200),
            audit: Some(audit.reader()),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(serve(listener, explorer.clone()));
        let world = Self {
            hub,
            cluster,
            explorer,
            admin,
            audit,
            audit_folder,
            address,
            ways,
        };
        world.fill().await;
        world
    }

    /// What the explorer shows beside what every test starts with.
    async fn fill(&self) {
        put::<ClusterRoleBinding>(kube::Api::all(self.hub.clone()), embedded::owners()).await;
        for name in ["mine", "other"] {
            self.configmap(name, &format!("in-{name}"), json!({"team": name}))
                .await;
        }
    }

    /// Makes a config map in the cluster, past the explorer.
    pub(crate) async fn configmap(&self, namespace: &str, name: &str, labels: Value) {
        put::<ConfigMap>(
            kube::Api::namespaced(self.cluster.clone(), namespace),
            json!({"metadata": {"name": name, "labels": labels}, "data": {"k": name}}),
        )
        .await;
    }

    /// Waits until the index says so of who has a part in the cluster.
    pub(crate) async fn until_access(&self, fits: impl Fn(&dyn Fn(&str) -> bool) -> bool) {
        self.until(|access| {
            let has = |user: &str| access.cluster_groups(&Identity::of(user), "c-1").is_some();
            fits(&has)
        })
        .await;
    }

    /// Waits until the index is as it should be.
    pub(crate) async fn until(&self, fits: impl Fn(&Access) -> bool) {
        self.ways.0.hub.until(fits).await;
    }

    pub(crate) async fn ask(
        &self,
        user: &str,
        method: &str,
        path: &str,
        kind: &str,
        body: Value,
    ) -> Answer {
        let identity = Some(user).filter(|user| !user.is_empty()).map(Identity::of);
        self.ask_as(identity, method, path, kind, body).await
    }

    pub(crate) async fn ask_as(
        &self,
        identity: Option<Identity>,
        method: &str,
        path: &str,
        kind: &str,
        body: Value,
    ) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path.replace(' ', "%20").replace('"', "%22"))
            .header("host", "drover.example")
            .header("content-type", kind)
            .body(embedded::body(&body))
            .expect("a request");
        let (cluster, inner) = place(path);
        let response = self
            .explorer
            .handle(request, identity, &cluster, &inner)
            .await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    pub(crate) async fn send(
        &self,
        user: &str,
        method: &str,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        let answer = self.ask(user, method, path, "application/json", body).await;
        (answer.status, answer.body)
    }

    /// Status and body of an answer that need not be JSON.
    pub(crate) async fn text(&self, user: &str, path: &str) -> (u16, String) {
        let request = Request::builder()
            .uri(path)
            .header("host", "drover.example")
            .body(web::empty())
            .expect("a request");
        let (cluster, inner) = place(path);
        let identity = Some(Identity::of(user));
        let response = self
            .explorer
            .handle(request, identity, &cluster, &inner)
            .await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body");
        (
            status,
            String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        )
    }

    pub(crate) async fn get(&self, user: &str, path: &str) -> Value {
        let (status, body) = self.send(user, "GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Opens a stream; the status where it is refused.
    pub(crate) async fn subscribe(
        &self,
        user: &str,
        path: &str,
        origin: Option<&str>,
    ) -> Result<Stream, u16> {
        self.open(user, &format!("{path}/subscribe"), origin).await
    }

    /// Opens any websocket; the status where it is refused.
    pub(crate) async fn open(
        &self,
        user: &str,
        path: &str,
        origin: Option<&str>,
    ) -> Result<Stream, u16> {
        let browser = origin.map(|origin| [("origin", origin), ("user-agent", "Mozilla/5.0")]);
        self.open_with(user, path, browser.as_ref().map_or(&[], |two| two))
            .await
    }

    /// Opens any websocket with further headers; the status where it is refused.
    pub(crate) async fn open_with(
        &self,
        user: &str,
        path: &str,
        more: &[(&'static str, &str)],
    ) -> Result<Stream, u16> {
        let mut request = format!("ws://{}{path}", self.address)
            .into_client_request()
            .expect("a URL");
        let headers = request.headers_mut();
        if !user.is_empty() {
            headers.insert("x-test-user", user.parse().expect("a header"));
        }
        for (name, value) in more {
            headers.insert(*name, value.parse().expect("a header"));
        }
        let stream = TcpStream::connect(self.address).await.expect("connects");
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Stream(socket)),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                Err(response.status().as_u16())
            }
            Err(other) => panic!("no handshake: {other}"),
        }
    }
}

/// Cluster and inner path, as the server's routes have them.
fn place(uri: &str) -> (String, String) {
    let path = uri.split('?').next().unwrap_or_default();
    match path.strip_prefix("/k8s/clusters/") {
        Some(rest) => {
            let (cluster, inner) = rest.split_once('/').expect("a path");
            (cluster.to_owned(), format!("/{inner}"))
        }
        None => ("local".to_owned(), path.to_owned()),
    }
}

async fn serve(listener: TcpListener, explorer: Explorer) {
    while let Ok((stream, remote)) = listener.accept().await {
        let explorer = explorer.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request
                .extensions_mut()
                .insert(web::Connection { remote, tls: false });
            let identity = request
                .headers()
                .get("x-test-user")
                .and_then(|user| user.to_str().ok())
                .map(Identity::of);
            let (cluster, inner) = place(request.uri().path());
            let explorer = explorer.clone();
            async move {
                let answer = explorer
                    .handle(request.map(web::boxed), identity, &cluster, &inner)
                    .await;
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::spawn(connection);
    }
}

#[derive(Debug)]
pub(crate) struct Stream(tokio_tungstenite::WebSocketStream<TcpStream>);

impl Stream {
    pub(crate) async fn say(&mut self, frame: Value) {
        self.0
            .send(Message::text(frame.to_string()))
            .await
            .expect("it is taken");
    }

    /// The next frame that is no ping.
    pub(crate) async fn next(&mut self) -> Value {
        self.wait(|frame| frame["name"] != "ping").await
    }

    /// Reads until the server says goodbye.
    pub(crate) async fn ended(&mut self) {
        let ended = async {
            while let Some(Ok(message)) = self.0.next().await {
                if message.is_close() {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, ended)
            .await
            .expect("the stream ends");
    }

    /// The next text, whatever it is; `None` when the server said goodbye.
    pub(crate) async fn text(&mut self) -> Option<String> {
        let next = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(_)) => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, next)
            .await
            .expect("a frame in time")
    }

    pub(crate) async fn wait(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let frame: Value = serde_json::from_str(&text).expect("JSON");
                        if fits(&frame) {
                            return frame;
                        }
                    }
                    Some(Ok(_)) => {}
                    other => panic!("the stream ended: {other:?}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, found)
            .await
            .expect("a frame in time")
    }
}

pub(crate) fn ids(list: &Value) -> Vec<&str> {
    let items = list["data"].as_array().into_iter().flatten();
    items.filter_map(|item| item["id"].as_str()).collect()
}
