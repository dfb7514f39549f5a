//! The explorer over two embedded Kubernetes APIs: the hub's and a cluster's, with real rights.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use drover_api_v1::{Explorer, Limits, Parts, Reach};
use drover_auth::web::{self, ApiError};
use drover_auth::{Access, Auth, Clock, Config, Entropy, Identity};
use drover_kube_api as kube_api;
use drover_types::management::{
    Cluster, ClusterRoleTemplateBinding, Project, ProjectRoleTemplateBinding, User,
};
use futures::future::BoxFuture;
use futures::{FutureExt, SinkExt, StreamExt};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_util::sync::CancellationToken;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Base of everything inside the cluster.
pub(crate) const INSIDE: &str = "/k8s/clusters/c-1/v1";

/// The ways into the hub (`local`) and the cluster `c-1`, with the rights the proxy would give.
#[derive(Clone)]
pub(crate) struct Ways {
    auth: Auth,
    hub: kube_api::Server,
    cluster: kube_api::Server,
}

impl Ways {
    fn server(&self, cluster: &str) -> Option<&kube_api::Server> {
        match cluster {
            "local" => Some(&self.hub),
            "c-1" => Some(&self.cluster),
            _ => None,
        }
    }

    fn client(server: &kube_api::Server, identity: kube_api::Identity) -> kube::Client {
        kube::Client::new(server.client_service(identity), "default")
    }
}

impl Reach for Ways {
    fn as_user(&self, identity: &Identity, cluster: &str) -> kube::Client {
        let virtual_groups = self.auth.access.cluster_groups(identity, cluster);
        let groups = identity
            .groups
            .iter()
            .cloned()
            .chain(virtual_groups.into_iter().flatten())
            .collect();
        let identity = kube_api::Identity {
            user: identity.user.to_string(),
            groups,
            ..kube_api::Identity::admin()
        };
        Self::client(self.server(cluster).unwrap_or(&self.cluster), identity)
    }

    fn whole<'a>(&'a self, cluster: &'a str) -> BoxFuture<'a, Result<kube::Client, ApiError>> {
        let found = self
            .server(cluster)
            .map(|server| Self::client(server, kube_api::Identity::admin()))
            .ok_or_else(|| ApiError::not_found(format!("there is no cluster {cluster}")));
        async move { found }.boxed()
    }

    fn revoked<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, ()> {
        self.auth.authenticator.revoked(identity).boxed()
    }
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
    ways: Ways,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

pub(crate) async fn put<K>(api: kube::Api<K>, object: Value)
where
    K: kube::Resource + serde::Serialize + serde::de::DeserializeOwned + Clone + std::fmt::Debug,
{
    let object: K = serde_json::from_value(object).expect("an object");
    api.create(&PostParams::default(), &object)
        .await
        .expect("it is taken");
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with_limits(Limits::default()).await
    }

    pub(crate) async fn with_limits(limits: Limits) -> Self {
        let open = || kube_api::Server::open(kube_api::Config::new(kube_api::Storage::Memory));
        let (store, inner) = (open().await.expect("opens"), open().await.expect("opens"));
        let hub = Ways::client(&store, kube_api::Identity::admin());
        let cluster = Ways::client(&inner, kube_api::Identity::admin());
        let crds: kube::Api<CustomResourceDefinition> = kube::Api::all(hub.clone());
        for crd in drover_types::crds::all() {
            crds.create(&PostParams::default(), &crd)
                .await
                .expect("a CRD is taken");
        }
        let projects: kube::Api<Project> = kube::Api::all(hub.clone());
        let served = async {
            while projects.list(&ListParams::default()).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, served)
            .await
            .expect("the kinds are served");
        let (auth, driver, bootstrap) = Auth::new(Config {
            client: hub.clone(),
            clock: Clock::system(),
            entropy: Entropy::system(),
            environment: Default::default(),
        });
        tokio::spawn(driver.run());
        let first = bootstrap
            .run(Some(&SecretString::from("a-long-password-1")))
            .await
            .expect("the first start");
        let drover_auth::bootstrap::Outcome::Created { admin, .. } = first else {
            panic!("no administrator was made");
        };
        tokio::time::timeout(PATIENCE, auth.ready())
            .await
            .expect("everything is read");
        let ways = Ways {
            auth: auth.clone(),
            hub: store,
            cluster: inner,
        };
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
            access: auth.access.clone(),
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
            admin: admin.to_string(),
            audit,
            audit_folder,
            address,
            ways,
        };
        world.fill().await;
        world
    }

    async fn fill(&self) {
        let hub = || self.hub.clone();
        for namespace in ["c-1", "c-1-p-1"] {
            put::<Namespace>(
                kube::Api::all(hub()),
                json!({"metadata": {"name": namespace}}),
            )
            .await;
        }
        for user in ["owner", "member", "stranger"] {
            put::<User>(
                kube::Api::all(hub()),
                json!({"metadata": {"name": user}, "username": user}),
            )
            .await;
        }
        put::<Cluster>(
            kube::Api::all(hub()),
            json!({"metadata": {"name": "c-1"}, "spec": {"displayName": "one"}}),
        )
        .await;
        put::<Project>(
            kube::Api::namespaced(hub(), "c-1"),
            json!({
                "metadata": {"name": "p-1"}, "spec": {"displayName": "p-1", "clusterName": "c-1"},
                "status": {"backingNamespace": "c-1-p-1"},
            }),
        )
        .await;
        put::<ClusterRoleTemplateBinding>(
            kube::Api::namespaced(hub(), "c-1"),
            json!({
                "metadata": {"name": "crtb-1"}, "clusterName": "c-1",
                "roleTemplateName": "cluster-owner", "userName": "owner",
            }),
        )
        .await;
        put::<ProjectRoleTemplateBinding>(
            kube::Api::namespaced(hub(), "c-1-p-1"),
            json!({
                "metadata": {"name": "prtb-1"}, "projectName": "c-1:p-1",
                "roleTemplateName": "project-member", "userName": "member",
            }),
        )
        .await;
        self.until_access(|groups| groups("owner") && groups("member"))
            .await;
        // What the controllers keep in a cluster, as far as it counts here.
        let bind = |name: &str, role: &str, group: &str| {
            json!({
                "metadata": {"name": name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
            })
        };
        for client in [self.cluster.clone(), self.hub.clone()] {
            put::<ClusterRoleBinding>(
                kube::Api::all(client),
                bind("owner", "cluster-admin", "drover:cluster-owner"),
            )
            .await;
        }
        for (name, labels) in [
            ("mine", json!({"field.cattle.io/projectId": "p-1"})),
            ("other", json!({})),
        ] {
            put::<Namespace>(
                kube::Api::all(self.cluster.clone()),
                json!({"metadata": {"name": name, "labels": labels}}),
            )
            .await;
            self.configmap(name, &format!("in-{name}"), json!({"team": name}))
                .await;
        }
        put::<RoleBinding>(
            kube::Api::namespaced(self.cluster.clone(), "mine"),
            bind("member", "admin", "drover:project:p-1:project-member"),
        )
        .await;
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
        let access = &self.ways.auth.access;
        let mut changes = access.changes();
        let known = async {
            while !fits(access) {
                changes.changed().await.expect("the index lives");
            }
        };
        tokio::time::timeout(PATIENCE, known)
            .await
            .expect("the index follows");
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
        let body = if body.is_null() {
            web::empty()
        } else {
            web::full(body.to_string())
        };
        let request = Request::builder()
            .method(method)
            .uri(path.replace(' ', "%20").replace('"', "%22"))
            .header("host", "drover.example")
            .header("content-type", kind)
            .body(body)
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
        let mut request = format!("ws://{}{path}", self.address)
            .into_client_request()
            .expect("a URL");
        let headers = request.headers_mut();
        if !user.is_empty() {
            headers.insert("x-test-user", user.parse().expect("a header"));
        }
        if let Some(origin) = origin {
            headers.insert("origin", origin.parse().expect("a header"));
            headers.insert("user-agent", "Mozilla/5.0".parse().expect("a header"));
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
