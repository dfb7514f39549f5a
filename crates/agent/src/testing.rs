//! A Kubernetes API of a few lines and a TLS server, for this crate's tests.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use drover_types::checks::Checks;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{config::KubernetesConfig, kubernetes::Api};

/// A self-signed certificate for `names`, changed by `adjust`.
pub(crate) fn certificate(
    names: &[&str],
    adjust: impl FnOnce(&mut CertificateParams),
) -> (String, Arc<ServerConfig>) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    adjust(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
    (certificate.pem(), Arc::new(config))
}

/// A TLS server that answers every request with `handle`.
pub(crate) struct TlsServer {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TlsServer {
    pub(crate) async fn start<H, F>(tls: Arc<ServerConfig>, handle: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(tls);
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, handle) = (acceptor.clone(), handle.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(tcp).await else {
                        return;
                    };
                    let service = service_fn(move |request| {
                        let answer = handle(request);
                        async move { Ok::<_, std::convert::Infallible>(answer.await) }
                    });
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .with_upgrades();
                    let _ = connection.await;
                });
            }
        });
        Self { address, task }
    }
}

type Objects = Arc<Mutex<BTreeMap<String, Value>>>;

/// Objects by path, with just enough of the API's behaviour.
pub(crate) struct FakeKubernetes {
    objects: Objects,
    server: TlsServer,
    pem: String,
}

impl FakeKubernetes {
    pub(crate) async fn start() -> Self {
        let (pem, tls) = certificate(&["127.0.0.1"], |_| {});
        let objects = Objects::default();
        let shared = Arc::clone(&objects);
        let server =
            TlsServer::start(tls, move |request| answer(Arc::clone(&shared), request)).await;
        Self {
            objects,
            server,
            pem,
        }
    }

    pub(crate) fn api(&self) -> Api {
        Api::with_token(
            "127.0.0.1",
            self.server.address.port(),
            self.pem.as_bytes(),
            "token".into(),
        )
        .unwrap()
    }

    /// Writes the files of a service account and returns the configuration a pod would have.
    pub(crate) fn in_cluster(&self, dir: &Path) -> KubernetesConfig {
        std::fs::write(dir.join("ca.crt"), &self.pem).unwrap();
        std::fs::write(dir.join("token"), "pod-token").unwrap();
        KubernetesConfig {
            host: "127.0.0.1".to_owned(),
            port: self.server.address.port(),
            service_account_dir: dir.to_owned(),
        }
    }

    pub(crate) fn put(&self, path: &str, mut object: Value) {
        fill(path, &mut object);
        self.objects.lock().unwrap().insert(path.to_owned(), object);
    }

    pub(crate) fn object(&self, path: &str) -> Option<Value> {
        self.objects.lock().unwrap().get(path).cloned()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }
}

fn fill(path: &str, object: &mut Value) {
    let parts: Vec<&str> = path.split('/').collect();
    object["metadata"]["name"] = json!(parts[parts.len() - 1]);
    object["metadata"]["uid"] = json!(format!("uid-{path}"));
    if let Some(at) = parts.iter().position(|part| *part == "namespaces")
        && parts.len() > at + 3
    {
        object["metadata"]["namespace"] = json!(parts[at + 1]);
    }
}

fn reply(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap()
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}

async fn answer(objects: Objects, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let not_found = || {
        reply(
            StatusCode::NOT_FOUND,
            &json!({"kind": "Status", "message": format!("{path} not found")}),
        )
    };
    let mut objects = objects.lock().unwrap();
    match path.as_str() {
        "/version" => return reply(StatusCode::OK, &json!({"gitVersion": "v1.36.3"})),
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" => {
            return reply(StatusCode::CREATED, &json!({"status": {"allowed": true}}));
        }
        "/apis/authentication.k8s.io/v1/selfsubjectreviews" => {
            let username = "system:serviceaccount:cattle-system:cattle";
            return reply(
                StatusCode::CREATED,
                &json!({"status": {"userInfo": {"username": username}}}),
            );
        }
        "/echo" => {
            let headers: BTreeMap<String, String> = parts
                .headers
                .iter()
                .map(|(k, v)| (k.to_string(), v.to_str().unwrap().to_owned()))
                .collect();
            return reply(StatusCode::OK, &json!({"headers": headers}));
        }
        _ => {}
    }
    match parts.method {
        Method::GET => {
            if let Some(object) = objects.get(&path) {
                return reply(StatusCode::OK, object);
            }
            let kind = path.rsplit('/').next().unwrap();
            let selector =
                url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
                    .find(|(key, _)| key == "labelSelector")
                    .map(|(_, value)| value.into_owned());
            // A collection: directly below, or the same kind in any namespace.
            let root = path.strip_suffix(&format!("/{kind}")).unwrap();
            let items: Vec<&Value> = objects
                .iter()
                .filter(|(at, _)| {
                    let Some((collection, _)) = at.rsplit_once('/') else {
                        return false;
                    };
                    collection == path
                        || (collection.starts_with(&format!("{root}/namespaces/"))
                            && collection.ends_with(&format!("/{kind}")))
                })
                .map(|(_, object)| object)
                .filter(|object| {
                    selector.as_ref().is_none_or(|selector| {
                        let (key, value) = selector.split_once('=').unwrap();
                        object["metadata"]["labels"][key] == value
                    })
                })
                .collect();
            let is_object = kind.ends_with("-class") || kind.ends_with("-reviews");
            let is_collection = kind.ends_with('s') && !is_object;
            if is_collection {
                reply(StatusCode::OK, &json!({"items": items, "metadata": {}}))
            } else {
                not_found()
            }
        }
        Method::POST => {
            let name = sent["metadata"]["name"].as_str().unwrap();
            let at = format!("{path}/{name}");
            if objects.contains_key(&at) {
                return reply(StatusCode::CONFLICT, &json!({"message": "already exists"}));
            }
            let mut object = sent.clone();
            fill(&at, &mut object);
            // The token controller.
            if object["type"] == "kubernetes.io/service-account-token" {
                object["data"] = json!({"token": "bGFzdGluZw=="});
            }
            objects.insert(at, object.clone());
            reply(StatusCode::CREATED, &object)
        }
        Method::PATCH => match objects.get_mut(&path) {
            Some(object) => {
                merge(object, &sent);
                reply(StatusCode::OK, object)
            }
            None => not_found(),
        },
        Method::DELETE => match objects.remove(&path) {
            Some(_) => reply(StatusCode::OK, &json!({"status": "Success"})),
            None => not_found(),
        },
        _ => reply(StatusCode::METHOD_NOT_ALLOWED, &json!({})),
    }
}

/// A hub of a few lines: ping, CA, registration, and real tunnel sessions.
pub(crate) struct FakeHub {
    pub(crate) server: TlsServer,
    pub(crate) pem: String,
    pub(crate) sessions:
        tokio::sync::mpsc::UnboundedReceiver<(Request<()>, drover_tunnel::Session)>,
    /// Status and body that refuse registrations, if any.
    pub(crate) refusal: Arc<Mutex<Option<(StatusCode, &'static str)>>>,
    /// The value of the CA setting; the hub's own certificate by default.
    pub(crate) cacerts: Arc<Mutex<String>>,
    /// The date that answers carry.
    pub(crate) date: Arc<Mutex<Option<String>>>,
    /// What agents told of their checks.
    pub(crate) told: tokio::sync::mpsc::UnboundedReceiver<Checks>,
}

impl FakeHub {
    pub(crate) async fn start(names: &[&str], adjust: impl FnOnce(&mut CertificateParams)) -> Self {
        let (pem, tls) = certificate(names, adjust);
        let (sender, sessions) = tokio::sync::mpsc::unbounded_channel();
        let refusal: Arc<Mutex<Option<(StatusCode, &'static str)>>> = Arc::default();
        let cacerts = Arc::new(Mutex::new(pem.trim().to_owned()));
        let date: Arc<Mutex<Option<String>>> = Arc::default();
        let (telling, told) = tokio::sync::mpsc::unbounded_channel();
        let shared = (
            Arc::clone(&refusal),
            Arc::clone(&cacerts),
            Arc::clone(&date),
        );
        let server = TlsServer::start(tls, move |request: Request<Incoming>| {
            let ((refusal, cacerts, date), sender) = (shared.clone(), sender.clone());
            let telling = telling.clone();
            async move {
                if request.uri().path() == drover_types::checks::PATH {
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    telling.send(serde_json::from_slice(&body).unwrap()).ok();
                    return reply(StatusCode::OK, &json!({}));
                }
                let mut response = hub_answer(&refusal, &cacerts, sender, request);
                if let Some(date) = date.lock().unwrap().clone() {
                    response.headers_mut().insert("date", date.parse().unwrap());
                }
                response
            }
        })
        .await;
        Self {
            server,
            pem,
            sessions,
            refusal,
            cacerts,
            date,
            told,
        }
    }

    pub(crate) fn checksum(&self) -> String {
        use sha2::{Digest, Sha256};
        hex::encode(Sha256::digest(format!("{}\n", self.pem.trim())))
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.server.address.port())
    }
}

fn hub_answer(
    refusal: &Mutex<Option<(StatusCode, &'static str)>>,
    cacerts: &Mutex<String>,
    sender: tokio::sync::mpsc::UnboundedSender<(Request<()>, drover_tunnel::Session)>,
    mut request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let plain = |status: StatusCode, text: &str| {
        Response::builder()
            .status(status)
            .body(Full::new(Bytes::from(text.to_owned())))
            .unwrap()
    };
    match request.uri().path() {
        "/ping" => plain(StatusCode::OK, "pong"),
        "/v3/settings/cacerts" => {
            reply(StatusCode::OK, &json!({"value": *cacerts.lock().unwrap()}))
        }
        "/v3/connect" | "/v3/connect/register" => {
            if let Some((status, text)) = *refusal.lock().unwrap() {
                return plain(status, text);
            }
            match drover_tunnel::server_upgrade(request.method(), request.headers()) {
                Ok(upgrade) => {
                    let upgraded = hyper::upgrade::on(&mut request);
                    let head = request.map(|_| ());
                    tokio::spawn(async move {
                        let socket = TokioIo::new(upgraded.await.unwrap());
                        let options = drover_tunnel::Options::hub("c-1", 1);
                        let refuse = drover_tunnel::RefuseAll;
                        let (session, driver) = drover_tunnel::Session::serve(
                            socket,
                            drover_tunnel::Role::Server,
                            refuse,
                            options,
                        );
                        sender.send((head, session)).unwrap();
                        driver.await
                    });
                    upgrade.response.map(|()| Full::default())
                }
                Err(error) => plain(error.status, &error.message),
            }
        }
        _ => plain(StatusCode::NOT_FOUND, "404 page not found"),
    }
}
