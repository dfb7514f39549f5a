//! An API over a small store in memory, and requests to it.
//!
//! The store knows create, read, list, replace and delete of any path, names
//! made up from a prefix, resource versions and finalizers: what the API uses.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use drover_api_v3::{Api, Credentials, Hooks, Parts, Rights, YamlImport};
use drover_auth::access::Grant;
use drover_auth::access::{Explanation, Holder, Question};
use drover_auth::logins::{Handover, NewToken};
use drover_auth::web::{self, ApiError};
use drover_auth::{Attributes, Clock, Decision, Entropy, Identity, IssuedToken, TokenRef, UserId};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

pub(crate) const NOW: &str = "2026-11-20T21:21:58Z";
pub(crate) const ADMIN: &str = "user-p8sfq";

/// Objects by path.
#[derive(Clone, Default)]
pub(crate) struct Store {
    objects: Arc<Mutex<BTreeMap<String, Value>>>,
    counter: Arc<Mutex<u64>>,
    /// Answers the next replacements with a conflict.
    pub(crate) conflicts: Arc<Mutex<usize>>,
}

impl Store {
    pub(crate) fn put(&self, path: &str, mut object: Value) {
        let name = path.rsplit('/').next().unwrap().to_owned();
        object["metadata"]["name"] = json!(name);
        let parts: Vec<&str> = path.split('/').collect();
        if let Some(at) = parts.iter().position(|part| *part == "namespaces")
            && parts.len() > at + 3
        {
            object["metadata"]["namespace"] = json!(parts[at + 1]);
        }
        self.stamp(&mut object);
        self.objects.lock().unwrap().insert(path.to_owned(), object);
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.objects.lock().unwrap().get(path).cloned()
    }

    fn stamp(&self, object: &mut Value) {
        let mut counter = self.counter.lock().unwrap();
        *counter += 1;
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = json!(counter.to_string());
        if metadata.get("uid").is_none() {
            metadata["uid"] = json!(format!("uid-{counter}"));
            metadata["creationTimestamp"] = json!(NOW);
        }
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        let status = |code: u16, reason: &str, message: String| {
            (
                code,
                json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code}),
            )
        };
        let missing = || {
            let parts: Vec<&str> = path.rsplit('/').take(2).collect();
            let resource = if path.starts_with("/apis/management") {
                format!("{}.management.cattle.io", parts[1])
            } else {
                parts[1].to_owned()
            };
            status(
                404,
                "NotFound",
                format!("{resource} \"{}\" not found", parts[0]),
            )
        };
        match *method {
            Method::GET => {
                if let Some(found) = self.get(path) {
                    return (200, found);
                }
                let last = path.rsplit('/').next().unwrap();
                let is_list = last.ends_with('s')
                    && !path.contains("/secrets/")
                    && !path.contains("/api/v1/namespaces/");
                if !is_list {
                    return missing();
                }
                let under = path.rsplit_once('/').unwrap().0;
                let objects = self.objects.lock().unwrap();
                let items: Vec<&Value> = objects
                    .iter()
                    .filter(|(key, _)| {
                        let parts: Vec<&str> = key.rsplit('/').collect();
                        parts[1] == last && key.starts_with(under)
                    })
                    .map(|(_, object)| object)
                    .collect();
                (200, json!({"kind": "List", "metadata": {}, "items": items}))
            }
            Method::POST => {
                let mut object: Value = serde_json::from_slice(body).unwrap();
                if let Some(prefix) = object["metadata"]["generateName"]
                    .as_str()
                    .map(str::to_owned)
                {
                    let number = *self.counter.lock().unwrap();
                    object["metadata"]["name"] = json!(format!("{prefix}{number:0>5}"));
                }
                let name = object["metadata"]["name"].as_str().unwrap().to_owned();
                let key = format!("{path}/{name}");
                if self.get(&key).is_some() {
                    let resource = path.rsplit('/').next().unwrap();
                    return status(
                        409,
                        "AlreadyExists",
                        format!("{resource}.management.cattle.io \"{name}\" already exists"),
                    );
                }
                self.put(&key, object);
                (201, self.get(&key).unwrap())
            }
            Method::PUT => {
                let mut object: Value = serde_json::from_slice(body).unwrap();
                let Some(current) = self.get(path) else {
                    return missing();
                };
                let mut conflicts = self.conflicts.lock().unwrap();
                if *conflicts > 0
                    || current["metadata"]["resourceVersion"]
                        != object["metadata"]["resourceVersion"]
                {
                    *conflicts = conflicts.saturating_sub(1);
                    return status(409, "Conflict", "the object has been modified".to_owned());
                }
                self.stamp(&mut object);
                self.objects
                    .lock()
                    .unwrap()
                    .insert(path.to_owned(), object.clone());
                (200, object)
            }
            Method::DELETE => {
                let Some(mut current) = self.get(path) else {
                    return missing();
                };
                if current["metadata"]["finalizers"]
                    .as_array()
                    .is_some_and(|list| !list.is_empty())
                {
                    current["metadata"]["deletionTimestamp"] = json!("2026-11-20T21:22:02Z");
                    self.objects
                        .lock()
                        .unwrap()
                        .insert(path.to_owned(), current.clone());
                    return (200, current);
                }
                self.objects.lock().unwrap().remove(path);
                (200, json!({"kind": "Status", "status": "Success"}))
            }
            _ => status(405, "MethodNotAllowed", "no".to_owned()),
        }
    }

    /// A client of a cluster, whose nodes can be patched by merging.
    fn cluster_client(&self, cluster: &str) -> kube::Client {
        let (store, cluster) = (self.clone(), cluster.to_owned());
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let (store, cluster) = (store.clone(), cluster.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let path = format!("/clusters/{cluster}{}", parts.uri.path());
                assert_eq!(parts.method, Method::PATCH, "{path}");
                let mut node = store.get(&path).unwrap();
                let patch: Value = serde_json::from_slice(&body).unwrap();
                node["spec"]["unschedulable"] = patch["spec"]["unschedulable"].clone();
                store.put(&path, node.clone());
                let body = Full::new(Bytes::from(serde_json::to_vec(&node).unwrap()));
                Ok::<_, Infallible>(Response::new(body))
            }
        });
        kube::Client::new(service, "default")
    }

    /// Every object with its path.
    pub(crate) fn all(&self) -> BTreeMap<String, Value> {
        self.objects.lock().unwrap().clone()
    }

    pub(crate) fn client(&self) -> kube::Client {
        let store = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let store = store.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let (status, value) = store.answer(&parts.method, parts.uri.path(), &body);
                let mut response =
                    Response::new(Full::new(Bytes::from(serde_json::to_vec(&value).unwrap())));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                Ok::<_, Infallible>(response)
            }
        });
        kube::Client::new(service, "default")
    }
}

/// Everything for some users, `(user, verb, resource, namespace or *, name or *)` for others.
#[derive(Default)]
pub(crate) struct Rules {
    pub(crate) administrators: BTreeSet<String>,
    pub(crate) grants: Mutex<Vec<[String; 5]>>,
}

impl Rights for Rules {
    fn explain(&self, identity: &Identity, question: &Question<'_>) -> Explanation {
        let grant = match self.allows(identity, &question.asked) {
            Decision::Allowed(grant) => Some(grant),
            Decision::Denied => None,
        };
        Explanation {
            grant,
            groups: None,
            missing: Vec::new(),
        }
    }

    fn who_can(&self, _: &Question<'_>) -> Vec<Holder> {
        Vec::new()
    }

    fn allows(&self, identity: &Identity, attributes: &Attributes<'_>) -> Decision {
        let user = identity.user.as_str();
        let granted =
            self.grants
                .lock()
                .unwrap()
                .iter()
                .any(|[who, verb, resource, namespace, name]| {
                    who == user
                        && verb == attributes.verb
                        && resource == attributes.resource
                        && (namespace == "*" || Some(namespace.as_str()) == attributes.namespace)
                        && (name == "*" || Some(name.as_str()) == attributes.name)
                });
        if granted || self.administrators.contains(user) {
            Decision::Allowed(Grant {
                binding: "test".to_owned(),
                roles: Vec::new(),
                rule: String::new(),
            })
        } else {
            Decision::Denied
        }
    }

    fn cluster_groups(&self, _: &Identity, _: &str) -> Option<Vec<String>> {
        None
    }
}

/// Tokens and passwords kept in the open.
pub(crate) struct Keys {
    store: Store,
    pub(crate) passwords: Mutex<BTreeMap<String, String>>,
    /// Users that requests were to be refused of.
    pub(crate) shut_out: Mutex<Vec<UserId>>,
}

impl Keys {
    fn issue(
        &self,
        owner: &Identity,
        kind: &str,
        derived: bool,
        token: &NewToken,
    ) -> Result<IssuedToken, ApiError> {
        let name = format!(
            "{kind}-{}",
            self.passwords.lock().unwrap().len() + 90_000 + owner.groups.len()
        );
        self.store.put(
            &format!("/apis/management.cattle.io/v3/tokens/{name}"),
            json!({
                "metadata": {"labels": {"authn.management.cattle.io/token-userId": owner.user.as_str()}},
                "userId": owner.user.as_str(), "authProvider": "local", "isDerived": derived, "ttl": token.ttl,
                "description": token.description, "clusterName": token.cluster.clone().unwrap_or_default(),
                "token": "$3:1:hash", "enabled": true,
                "userPrincipal": {"metadata": {"name": owner.user.local_principal()}, "displayName": "Default Admin"},
            }),
        );
        Ok(IssuedToken {
            bearer: SecretString::from(format!("{name}:key")),
            name,
            expires_at: None,
            user: owner.user.clone(),
        })
    }
}

impl Credentials for Keys {
    fn create_token<'a>(
        &'a self,
        owner: &'a Identity,
        token: &'a NewToken,
    ) -> BoxFuture<'a, Result<IssuedToken, ApiError>> {
        async move { self.issue(owner, "token", true, token) }.boxed()
    }

    fn kubeconfig_token<'a>(
        &'a self,
        owner: &'a Identity,
        cluster: Option<&'a str>,
    ) -> BoxFuture<'a, Result<IssuedToken, ApiError>> {
        let token = NewToken {
            cluster: cluster.map(str::to_owned),
            ..NewToken::default()
        };
        async move { self.issue(owner, "kubeconfig", true, &token) }.boxed()
    }

    fn hand_over<'a>(
        &'a self,
        owner: &'a Identity,
        _: &'a Handover,
    ) -> BoxFuture<'a, Result<Option<jiff::Timestamp>, ApiError>> {
        let issued = self.issue(owner, "token", false, &NewToken::default());
        async move { issued.map(|issued| issued.expires_at) }.boxed()
    }

    fn logout<'a>(&'a self, _: &'a Identity) -> BoxFuture<'a, Result<(), ApiError>> {
        async { Ok(()) }.boxed()
    }

    fn shut_out<'a>(&'a self, user: &'a UserId) -> BoxFuture<'a, ()> {
        self.shut_out.lock().unwrap().push(user.clone());
        async {}.boxed()
    }

    fn delete_token<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), ApiError>> {
        self.store
            .objects
            .lock()
            .unwrap()
            .remove(&format!("{MANAGEMENT}/tokens/{name}"));
        async { Ok(()) }.boxed()
    }

    fn check_password(&self, username: &str, password: &SecretString) -> Result<(), ApiError> {
        let password = password.expose_secret();
        if password.chars().count() >= 12 && password != username {
            Ok(())
        } else {
            Err(ApiError::invalid_body("at least 12 characters"))
        }
    }

    fn set_password<'a>(
        &'a self,
        user: &'a UserId,
        username: &'a str,
        password: &'a SecretString,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        let checked = self.check_password(username, password);
        if checked.is_ok() {
            let mut passwords = self.passwords.lock().unwrap();
            passwords.insert(
                user.as_str().to_owned(),
                password.expose_secret().to_owned(),
            );
        }
        async move { checked }.boxed()
    }

    fn change_password<'a>(
        &'a self,
        identity: &'a Identity,
        current: &'a SecretString,
        new: &'a SecretString,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        let kept = self
            .passwords
            .lock()
            .unwrap()
            .get(identity.user.as_str())
            .cloned();
        if kept.as_deref() == Some(current.expose_secret())
            && current.expose_secret() != new.expose_secret()
        {
            self.set_password(&identity.user, &identity.username, new)
        } else {
            async { Err(ApiError::invalid_body("the current password is not right")) }.boxed()
        }
    }
}

/// A cluster is what the store has below `/clusters/{id}`; others are away.
struct StoreHooks(Store);

impl Hooks for StoreHooks {
    fn cluster_client(&self, _: &Identity, cluster: &str) -> Option<kube::Client> {
        Some(self.0.cluster_client(cluster))
    }

    fn import_yaml<'a>(
        &'a self,
        identity: &'a Identity,
        cluster: &'a str,
        import: YamlImport,
    ) -> BoxFuture<'a, Result<String, ApiError>> {
        async move {
            Ok(format!(
                "{} imports {} bytes into {cluster}",
                identity.user,
                import.yaml.len()
            ))
        }
        .boxed()
    }

    fn cluster<'a>(&'a self, cluster: &'a str) -> BoxFuture<'a, Result<kube::Client, ApiError>> {
        let below = format!("/clusters/{cluster}/");
        let reached = self.0.all().keys().any(|path| path.starts_with(&below));
        let client = if reached {
            Ok(self.0.cluster_client(cluster))
        } else {
            Err(ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "ClusterUnavailable",
                format!("{cluster} is away"),
            ))
        };
        async move { client }.boxed()
    }

    fn revoked<'a>(&'a self, _: &'a Identity) -> BoxFuture<'a, ()> {
        futures::future::pending().boxed()
    }
}

/// An API over a store with the administrator in it.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) rules: Arc<Rules>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) api: Api,
}

pub(crate) const MANAGEMENT: &str = "/apis/management.cattle.io/v3";

impl World {
    pub(crate) fn new() -> Self {
        let store = Store::default();
        Self::over(store.clone(), store.client())
    }

    pub(crate) fn over(store: Store, client: kube::Client) -> Self {
        let rules = Arc::new(Rules {
            administrators: [ADMIN.to_owned()].into(),
            grants: Mutex::default(),
        });
        let keys = Arc::new(Keys {
            store: store.clone(),
            passwords: Mutex::default(),
            shut_out: Mutex::default(),
        });
        let api = Api::new(Parts {
            client,
            rights: rules.clone(),
            credentials: keys.clone(),
            hooks: Arc::new(StoreHooks(store.clone())),
            clock: Clock::manual(NOW.parse().unwrap()),
            entropy: Entropy::seeded(7),
            setting_overrides: [(
                "server-url".to_owned(),
                "https://server.example:8443".to_owned(),
            )]
            .into(),
        });
        store.put(
            &format!("{MANAGEMENT}/users/{ADMIN}"),
            json!({"displayName": "Default Admin", "username": "admin", "enabled": true, "mustChangePassword": true, "principalIds": [format!("local://{ADMIN}")]}),
        );
        for (name, value, default) in [
            ("ui-pl", "", "rancher"),
            ("cacerts", "<pem>", ""),
            ("server-url", "", ""),
            ("first-login", "", "true"),
            ("agent-image", "", "x"),
        ] {
            store.put(
                &format!("{MANAGEMENT}/settings/{name}"),
                json!({"value": value, "default": default}),
            );
        }
        Self {
            store,
            rules,
            keys,
            api,
        }
    }

    pub(crate) fn grant(
        &self,
        user: &str,
        verb: &str,
        resource: &str,
        namespace: &str,
        name: &str,
    ) {
        self.rules
            .grants
            .lock()
            .unwrap()
            .push([user, verb, resource, namespace, name].map(str::to_owned));
    }

    pub(crate) fn identity(user: &str) -> Identity {
        let mut identity = Identity::of(user);
        identity.username = "admin".to_owned();
        identity.token = Some(TokenRef {
            name: "token-now".to_owned(),
            cluster: None,
            kind: "session".to_owned(),
            derived: false,
        });
        identity
    }

    pub(crate) async fn send(
        &self,
        user: Option<&str>,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header("host", "server.example:8443");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(web::full(Bytes::copy_from_slice(body)))
            .unwrap();
        let response = self.api.handle(request, user.map(Self::identity)).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            bytes,
        }
    }

    pub(crate) async fn get(&self, url: &str) -> Answer {
        self.send(Some(ADMIN), "GET", url, &[], b"").await
    }

    pub(crate) async fn post(&self, url: &str, body: Value) -> Answer {
        self.send(
            Some(ADMIN),
            "POST",
            url,
            &[("content-type", "application/json")],
            body.to_string().as_bytes(),
        )
        .await
    }

    pub(crate) async fn put(&self, url: &str, body: Value) -> Answer {
        self.send(
            Some(ADMIN),
            "PUT",
            url,
            &[("content-type", "application/json")],
            body.to_string().as_bytes(),
        )
        .await
    }

    pub(crate) async fn delete(&self, url: &str) -> Answer {
        self.send(Some(ADMIN), "DELETE", url, &[], b"").await
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.bytes))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }

    /// Status, code and field of an error.
    pub(crate) fn error(&self) -> (u16, String, Option<String>) {
        let body = self.json();
        assert_eq!(
            (body["type"].as_str(), body["baseType"].as_str()),
            (Some("error"), Some("error")),
            "{body}"
        );
        assert_eq!(body["status"], json!(self.status), "{body}");
        (
            self.status,
            body["code"].as_str().unwrap().to_owned(),
            body["fieldName"].as_str().map(str::to_owned),
        )
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.json()["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect()
    }
}
