//! The API over the embedded Kubernetes API, with real tokens, passwords and rights.

#![cfg(test)]

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_and_a_member_work_side_by_side() {
    let world = World::start().await;
    let (admin, admin_id) = world.login("admin", PASSWORD).await;

    // The start of a client: the root, its schemas, settings it needs.
    let (status, root) = world.send(&admin, "GET", "/v3", Value::Null).await;
    assert_eq!(
        (status, root["links"]["clusters"].as_str()),
        (200, Some(format!("{}/v3/clusters", world.url).as_str()))
    );
    for setting in ["k8s-version", "server-version"] {
        let (status, _) = world
            .send(
                &admin,
                "GET",
                &format!("/v3/settings/{setting}"),
                Value::Null,
            )
            .await;
        assert_eq!(status, 200, "{setting}");
    }
    let (status, refused) = world
        .send(
            &admin,
            "PUT",
            "/v3/settings/server-url",
            json!({"value": "https://x"}),
        )
        .await;
    assert_eq!(
        (status, refused["code"].as_str()),
        (405, Some("MethodNotAllow"))
    );
    let (_, put) = world
        .send(
            &admin,
            "PUT",
            "/v3/settings/ui-pl",
            json!({"value": "Drover"}),
        )
        .await;
    assert_eq!(
        (put["value"].as_str(), put["source"].as_str()),
        (Some("Drover"), Some("db"))
    );
    let (status, refused) = world
        .send(
            &admin,
            "PUT",
            "/v3/settings/disable-inactive-user-after",
            json!({"value": "1h"}),
        )
        .await;
    assert_eq!(
        (status, refused["fieldName"].as_str(), &refused["message"]),
        (
            400,
            Some("value"),
            &json!("value: Forbidden: can't be less than auth-user-session-ttl-minutes")
        )
    );

    // A cluster, changed at once by the same hand.
    let (status, cluster) = world
        .send(
            &admin,
            "POST",
            "/v3/clusters",
            json!({"name": "one", "labels": {"team": "a"}}),
        )
        .await;
    assert_eq!(status, 201, "{cluster}");
    let id = cluster["id"].as_str().expect("an id").to_owned();
    assert_eq!(cluster["creatorId"], admin_id.as_str());
    let (status, changed) = world
        .send(
            &admin,
            "PUT",
            &format!("/v3/clusters/{id}"),
            json!({"name": "one", "description": "d"}),
        )
        .await;
    assert_eq!(
        (status, changed["description"].as_str()),
        (200, Some("d")),
        "{changed}"
    );
    let (status, twice) = world
        .send(&admin, "POST", "/v3/clusters", json!({"name": "ONE"}))
        .await;
    assert_eq!(
        (status, twice["code"].as_str()),
        (422, Some("InvalidFormat"))
    );
    let (status, twice) = world
        .send(&admin, "POST", "/v3/clusters", json!({"name": "one"}))
        .await;
    assert_eq!((status, twice["code"].as_str()), (422, Some("NotUnique")));
    let (status, config) = world
        .send(
            &admin,
            "POST",
            &format!("/v3/clusters/{id}?action=generateKubeconfig"),
            Value::Null,
        )
        .await;
    assert_eq!(status, 200);
    assert!(config["config"].as_str().is_some_and(|text| text.contains(&format!("https://drover.example/k8s/clusters/{id}"))), "{config}");

    // A new user sees nothing but itself, then what it is given.
    let (status, jane) = world
        .send(
            &admin,
            "POST",
            "/v3/users",
            json!({"username": "jane", "name": "Jane", "password": PASSWORD}),
        )
        .await;
    assert_eq!(status, 201, "{jane}");
    let jane_id = jane["id"].as_str().expect("an id").to_owned();
    let (status, bound) = world
        .send(
            &admin,
            "POST",
            "/v3/globalrolebindings",
            json!({"globalRoleId": "user", "userId": jane_id}),
        )
        .await;
    assert_eq!(status, 201, "{bound}");
    let (token, own) = world.login("jane", PASSWORD).await;
    assert_eq!(own, jane_id);
    let (_, users) = world.send(&token, "GET", "/v3/users", Value::Null).await;
    assert_eq!(ids(&users), [jane_id.as_str()]);
    let (_, clusters) = world.send(&token, "GET", "/v3/clusters", Value::Null).await;
    assert_eq!(ids(&clusters), Vec::<&str>::new());
    let (status, _) = world
        .send(&token, "GET", &format!("/v3/clusters/{id}"), Value::Null)
        .await;
    assert_eq!(status, 403);
    let (status, raised) = world
        .send(
            &token,
            "POST",
            "/v3/globalrolebindings",
            json!({"globalRoleId": "admin", "userId": jane_id}),
        )
        .await;
    assert_eq!((status, raised["code"].as_str()), (403, Some("Forbidden")));

    let body = json!({"clusterId": id, "roleTemplateId": "cluster-member", "userId": jane_id});
    let (status, binding) = world
        .send(&admin, "POST", "/v3/clusterroletemplatebindings", body)
        .await;
    assert_eq!(status, 201, "{binding}");
    let clusters = eventually(&world, &token, "/v3/clusters", |_, list| {
        !ids(list).is_empty()
    })
    .await;
    assert_eq!(ids(&clusters), [id.as_str()]);
    assert_eq!(clusters["data"][0]["links"].get("remove"), None);
    let (status, _) = world
        .send(
            &token,
            "PUT",
            &format!("/v3/clusters/{id}"),
            json!({"name": "mine"}),
        )
        .await;
    assert_eq!(status, 403);

    // What was given is taken away again.
    let (status, _) = world
        .send(
            &admin,
            "DELETE",
            &format!(
                "/v3/clusterroletemplatebindings/{}",
                binding["id"].as_str().expect("an id")
            ),
            Value::Null,
        )
        .await;
    assert!(status == 204 || status == 200, "{status}");
    eventually(
        &world,
        &token,
        &format!("/v3/clusters/{id}"),
        |status, _| status == 403,
    )
    .await;

    // Passwords and tokens.
    let change = json!({"currentPassword": PASSWORD, "newPassword": "another-long-pass-1"});
    let (status, _) = world
        .send(&token, "POST", "/v3/users?action=changepassword", change)
        .await;
    assert_eq!(status, 200);
    world.login("jane", "another-long-pass-1").await;
    let (status, key) = world
        .send(
            &token,
            "POST",
            "/v3/tokens",
            json!({"description": "key", "ttl": 60_000}),
        )
        .await;
    assert_eq!(status, 201);
    let bearer = key["token"].as_str().expect("a key").to_owned();
    let (_, tokens) = world.send(&bearer, "GET", "/v3/tokens", Value::Null).await;
    assert!(ids(&tokens).contains(&key["id"].as_str().expect("an id")));
    let (status, _) = world
        .send(
            &token,
            "DELETE",
            &format!("/v3/tokens/{}", key["id"].as_str().expect("an id")),
            Value::Null,
        )
        .await;
    assert_eq!(status, 204);
    let (status, _) = world.send(&bearer, "GET", "/v3/tokens", Value::Null).await;
    assert_eq!(status, 401, "a deleted token is refused at once");

    // Disabled, she is out.
    let (status, _) = world
        .send(
            &admin,
            "PUT",
            &format!("/v3/users/{jane_id}"),
            json!({"enabled": false}),
        )
        .await;
    assert_eq!(status, 200);
    let (status, _) = world.send(&token, "GET", "/v3/users", Value::Null).await;
    assert_eq!(status, 401, "a disabled user is refused at once");

    // So is a deleted one.
    let user = json!({"username": "joe", "password": PASSWORD});
    let (_, joe) = world.send(&admin, "POST", "/v3/users", user).await;
    let (token, _) = world.login("joe", PASSWORD).await;
    let path = format!("/v3/users/{}", joe["id"].as_str().expect("an id"));
    let (status, _) = world.send(&admin, "DELETE", &path, Value::Null).await;
    assert!([200, 204].contains(&status), "{status}");
    let (status, _) = world.send(&token, "GET", "/v3/users", Value::Null).await;
    assert_eq!(status, 401, "a deleted user is refused at once");
    world.store.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_see_changes_and_end_with_their_session() {
    let world = World::start().await;
    let (admin, _) = world.login("admin", PASSWORD).await;
    for (path, expected) in [
        ("/v3/subscribe", 400),
        ("/v3/subscribe?resourceTypes=zzz", 404),
    ] {
        let (status, body) = world.send(&admin, "GET", path, Value::Null).await;
        assert_eq!(
            (status, body["type"].as_str()),
            (expected, Some("error")),
            "{path}"
        );
    }
    let mut all = world
        .subscribe(&admin, "resourceTypes=setting&resourceTypes=cluster")
        .await;
    let first = all.wait(|frame| frame["data"]["id"] == "ui-pl").await;
    assert_eq!(
        (first["name"].as_str(), first["data"]["type"].as_str()),
        (Some("resource.change"), Some("setting"))
    );
    world
        .send(
            &admin,
            "PUT",
            "/v3/settings/ui-pl",
            json!({"value": "Drover"}),
        )
        .await;
    all.wait(|frame| frame["data"]["id"] == "ui-pl" && frame["data"]["value"] == "Drover")
        .await;
    let (_, cluster) = world
        .send(&admin, "POST", "/v3/clusters", json!({"name": "one"}))
        .await;
    let id = cluster["id"].clone();
    let made = all.wait(|frame| frame["data"]["id"] == id).await;
    assert_eq!(made["data"]["links"]["self"], cluster["links"]["self"]);
    world
        .send(
            &admin,
            "DELETE",
            &format!("/v3/clusters/{}", id.as_str().expect("an id")),
            Value::Null,
        )
        .await;
    all.wait(|frame| frame["name"] == "resource.remove" && frame["data"]["id"] == id)
        .await;
    all.wait(|frame| frame["name"] == "ping").await;

    // Somebody else hears of nothing it may not see, of tokens only its own.
    world
        .send(
            &admin,
            "POST",
            "/v3/users",
            json!({"username": "jane", "password": PASSWORD}),
        )
        .await;
    let (jane, jane_id) = world.login("jane", PASSWORD).await;
    let mut other = world.subscribe(&jane, "").await;
    world
        .send(&admin, "POST", "/v3/clusters", json!({"name": "two"}))
        .await;
    let mut owners = BTreeMap::new();
    other
        .wait(|frame| {
            if frame["name"] == "ping" {
                return true;
            }
            assert_ne!(frame["data"]["type"], "cluster", "{frame}");
            false
        })
        .await;
    let (_, key) = world
        .send(&jane, "POST", "/v3/tokens", json!({"description": "mine"}))
        .await;
    let told = other.wait(|frame| frame["data"]["id"] == key["id"]).await;
    owners.insert(told["data"]["userId"].as_str().map(str::to_owned), ());
    assert_eq!(owners.keys().flatten().collect::<Vec<_>>(), [&jane_id]);

    let (status, _) = world
        .send(&jane, "POST", "/v3/tokens?action=logout", Value::Null)
        .await;
    assert_eq!(status, 200);
    other.ended().await;
    world.store.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_name_is_given_twice_however_many_ask_at_once() {
    let world = World::start().await;
    let (admin, _) = world.login("admin", PASSWORD).await;
    for (path, body, list) in [
        (
            "/v3/clusters",
            json!({"name": "same"}),
            "/v3/clusters?name=same",
        ),
        (
            "/v3/users",
            json!({"username": "same", "name": "Same"}),
            "/v3/users?username=same",
        ),
    ] {
        let asked = (0..12).map(|_| world.send(&admin, "POST", path, body.clone()));
        let answers = futures::future::join_all(asked).await;
        let made = answers.iter().filter(|(status, _)| *status == 201).count();
        assert!(
            answers
                .iter()
                .all(|(status, body)| *status == 201 || body["code"] == "NotUnique"),
            "{answers:?}"
        );
        let (_, left) = world.send(&admin, "GET", list, Value::Null).await;
        assert_eq!(ids(&left).len(), made, "{path}");
        assert!(made <= 1, "{path}: {made}");
    }
    world.store.shutdown().await;
}
