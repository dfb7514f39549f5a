//! The API over the embedded Kubernetes API, with real tokens, passwords and rights.

#![cfg(test)]

mod side_by_side;
mod subscribers;
mod taken_names;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use drover_api_v3::{Api, Hooks, Parts, YamlImport};
use drover_auth::web::{self, ApiError};
use drover_auth::{Auth, Clock, Config, Entropy, Identity};
use drover_kube_api as kube_api;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const PASSWORD: &str = "a-long-password-1";
/// Shorter than the default, so that nobody waits for it.
const PING: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(20);

struct NoHooks(Auth);

impl Hooks for NoHooks {
    fn cluster_client(&self, _: &Identity, _: &str) -> Option<kube::Client> {
        None
    }

    fn import_yaml<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a str,
        _: YamlImport,
    ) -> BoxFuture<'a, Result<String, ApiError>> {
        async { Ok(String::new()) }.boxed()
    }

    fn cluster<'a>(&'a self, cluster: &'a str) -> BoxFuture<'a, Result<kube::Client, ApiError>> {
        let unavailable = ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ClusterUnavailable",
            format!("{cluster} is away"),
        );
        async move { Err(unavailable) }.boxed()
    }

    fn revoked<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, ()> {
        self.0.authenticator.revoked(identity).boxed()
    }
}

/// A server on a port, as the edge would run it.
struct World {
    url: String,
    address: std::net::SocketAddr,
    store: kube_api::Server,
}

impl World {
    async fn start() -> Self {
        let store = kube_api::Server::open(kube_api::Config::new(kube_api::Storage::Memory))
            .await
            .expect("opens");
        let client =
            kube::Client::new(store.client_service(kube_api::Identity::admin()), "default");
        let crds: kube::Api<CustomResourceDefinition> = kube::Api::all(client.clone());
        for crd in drover_types::crds::all() {
            crds.create(&PostParams::default(), &crd)
                .await
                .expect("a CRD is taken");
        }
        let users: kube::Api<drover_types::management::User> = kube::Api::all(client.clone());
        let served = async {
            while users.list(&ListParams::default()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, served)
            .await
            .expect("the kinds are served");

        let config = Config {
            client: client.clone(),
            clock: Clock::system(),
            entropy: Entropy::system(),
            environment: [(
                "CATTLE_SERVER_URL".to_owned(),
                "https://drover.example".to_owned(),
            )]
            .into(),
        };
        let (auth, driver, bootstrap) = Auth::new(config);
        tokio::spawn(driver.run());
        auth.settings
            .ensure(&client, &Entropy::system())
            .await
            .expect("settings");
        bootstrap
            .run(Some(&SecretString::from(PASSWORD)))
            .await
            .expect("the first start");
        tokio::time::timeout(PATIENCE, auth.ready())
            .await
            .expect("everything is read");

        let parts = Parts {
            client,
            rights: Arc::new(auth.access.clone()),
            credentials: Arc::new(auth.logins.clone()),
            hooks: Arc::new(NoHooks(auth.clone())),
            clock: Clock::system(),
            entropy: Entropy::system(),
            setting_overrides: auth.settings.overrides(),
        };
        let api = Api::pinging_every(parts, PING);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(serve(listener, api, auth));
        Self {
            url: format!("http://{address}"),
            address,
            store,
        }
    }

    /// Sends a request over a connection of its own.
    async fn send(&self, token: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        let stream = TcpStream::connect(self.address).await.expect("connects");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .expect("speaks HTTP");
        tokio::spawn(connection);
        let bytes = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string());
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request
            .body(http_body_util::Full::new(bytes::Bytes::from(bytes)))
            .expect("a request");
        let response = sender.send_request(request).await.expect("an answer");
        let status = response.status().as_u16();
        let bytes = response
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }

    async fn login(&self, username: &str, password: &str) -> (String, String) {
        let body = json!({"username": username, "password": password, "responseType": "json"});
        let (status, answer) = self
            .send(
                "",
                "POST",
                "/v3-public/localProviders/local?action=login",
                body,
            )
            .await;
        assert_eq!(status, 201, "{answer}");
        let token = answer["token"].as_str().expect("a token").to_owned();
        let (_, users) = self
            .send(&token, "GET", "/v3/users?me=true", Value::Null)
            .await;
        (
            token,
            users["data"][0]["id"].as_str().expect("an id").to_owned(),
        )
    }

    async fn subscribe(&self, token: &str, query: &str) -> Subscription {
        let mut request = format!("ws://{}/v3/subscribe?{query}", self.address)
            .into_client_request()
            .expect("a URL");
        request.headers_mut().insert(
            "authorization",
            format!("Bearer {token}").parse().expect("a header"),
        );
        let stream = TcpStream::connect(self.address).await.expect("connects");
        let (socket, response) = tokio_tungstenite::client_async(request, stream)
            .await
            .expect("a websocket");
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        Subscription(socket)
    }
}

async fn serve(listener: TcpListener, api: Api, auth: Auth) {
    while let Ok((stream, remote)) = listener.accept().await {
        let (api, auth) = (api.clone(), auth.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request
                .extensions_mut()
                .insert(web::Connection { remote, tls: false });
            let (api, auth) = (api.clone(), auth.clone());
            async move {
                Ok::<Response<web::Body>, Infallible>(
                    answer(&api, &auth, request.map(web::boxed)).await,
                )
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::spawn(connection);
    }
}

async fn answer(api: &Api, auth: &Auth, request: web::Request) -> web::Response {
    if request.uri().path().starts_with("/v3-public") {
        return auth.public.handle(request).await;
    }
    let (parts, body) = request.into_parts();
    match auth.authenticator.authenticate(&parts).await {
        Ok(identity) => api.handle(Request::from_parts(parts, body), identity).await,
        Err(error) => error.into_response(),
    }
}

struct Subscription(tokio_tungstenite::WebSocketStream<TcpStream>);

impl Subscription {
    /// The next frame that fits.
    async fn wait(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
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

    async fn ended(&mut self) {
        let end = async { while let Some(Ok(_)) = self.0.next().await {} };
        tokio::time::timeout(PATIENCE, end)
            .await
            .expect("the end in time");
    }
}

/// Waits until a request is answered as wanted; for what follows from what was written.
async fn eventually(
    world: &World,
    token: &str,
    path: &str,
    fits: impl Fn(u16, &Value) -> bool,
) -> Value {
    let answered = async {
        loop {
            let (status, body) = world.send(token, "GET", path, Value::Null).await;
            if fits(status, &body) {
                return body;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, answered)
        .await
        .unwrap_or_else(|_| panic!("{path} never answered as wanted"))
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item["id"].as_str())
        .collect()
}
