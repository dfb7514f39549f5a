//! The group over a hub with its index of rights: an administrator, and `ann` and `bob`.

#![allow(dead_code, reason = "each test program uses a part of it")]

use drover_auth::web::Response;
use drover_auth::{Clock, Identity};
use drover_ext::{Ext, HubClient, Parts};
use drover_testkit::embedded::{self, Hub, PATIENCE, put};
use drover_types::management::{Cluster, GlobalRoleBinding, Setting, User};
use http::Request;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

pub(crate) const ROOT: &str = "/apis/ext.cattle.io/v1";

pub(crate) struct World {
    pub(crate) hub: kube::Client,
    pub(crate) kept: Hub,
    pub(crate) ext: Ext,
}

impl World {
    /// An administrator, and `ann` and `bob`, who hold what every user holds.
    pub(crate) async fn start() -> Self {
        let kept = Hub::start().await;
        let hub = kept.api.client();
        for user in ["ann", "bob"] {
            let made = json!({"metadata": {"name": user}, "username": user, "mustChangePassword": user == "ann"});
            put::<User>(kube::Api::all(hub.clone()), made).await;
            let bound = json!({"metadata": {"name": user}, "userName": user, "globalRoleName": "user-base"});
            put::<GlobalRoleBinding>(kube::Api::all(hub.clone()), bound).await;
        }
        let cluster = json!({"metadata": {"name": "c-1"}, "spec": {"displayName": "one"}});
        put::<Cluster>(kube::Api::all(hub.clone()), cluster).await;
        let url = json!({"value": "https://drover.example"});
        let settings: kube::Api<Setting> = kube::Api::all(hub.clone());
        let patched = settings
            .patch("server-url", &PatchParams::default(), &Patch::Merge(url))
            .await;
        patched.expect("it is taken");
        let auth = &kept.auth;
        let ext = Ext::new(Parts {
            client: HubClient(hub.clone()),
            access: auth.access.clone(),
            authenticator: auth.authenticator.clone(),
            logins: auth.logins.clone(),
            settings: auth.settings.clone(),
            clock: Clock::system(),
        });
        let world = Self { hub, kept, ext };
        world.settle().await;
        world
    }

    /// Waits until the bindings and the setting are known.
    async fn settle(&self) {
        let known = async {
            for user in ["ann", "bob", self.kept.admin.as_str()] {
                while self.send(user, "GET", "/tokens", Value::Null).await.0 != 200 {
                    tokio::task::yield_now().await;
                }
            }
            while self.kept.auth.settings.get("server-url").is_empty() {
                tokio::task::yield_now().await;
            }
        };
        let settled = tokio::time::timeout(PATIENCE, known).await;
        settled.expect("what is stored is known");
    }

    pub(crate) async fn send(
        &self,
        user: &str,
        method: &str,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        self.send_as(
            Some(user).filter(|user| !user.is_empty()).map(Identity::of),
            method,
            path,
            body,
        )
        .await
    }

    pub(crate) async fn send_as(
        &self,
        identity: Option<Identity>,
        method: &str,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        let kind = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        embedded::read(self.ask(identity, method, path, kind, body).await).await
    }

    /// Sends a body of some type; the answer as it comes.
    pub(crate) async fn ask(
        &self,
        identity: Option<Identity>,
        method: &str,
        path: &str,
        kind: &str,
        body: Value,
    ) -> Response {
        let url = format!("{ROOT}{path}");
        let request = Request::builder()
            .method(method)
            .uri(&url)
            .header("content-type", kind)
            .body(embedded::body(&body))
            .expect("a request");
        let path = request.uri().path().to_owned();
        self.ext.handle(request, identity, &path).await
    }

    /// Who a bearer token lets in.
    pub(crate) async fn lets_in(&self, bearer: &str) -> Option<Identity> {
        let request = Request::builder()
            .uri("/v3/users")
            .header("authorization", format!("Bearer {bearer}"))
            .body(())
            .expect("a request");
        let (parts, ()) = request.into_parts();
        self.kept
            .auth
            .authenticator
            .authenticate(&parts)
            .await
            .ok()
            .flatten()
    }
}

pub(crate) fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().into_iter().flatten();
    items
        .filter_map(|item| item["metadata"]["name"].as_str())
        .collect()
}
