//! A hub with projects, and a cluster reached as the proxy would reach it.

use std::sync::Arc;
use std::time::Duration;

use drover_api_v3::{Api, Hooks, Parts, YamlImport};
use drover_auth::web::{self, ApiError};
use drover_auth::{Auth, Clock, Config, Entropy, Identity};
use drover_kube_api as kube_api;
use drover_types::management::{
    Cluster, ClusterRoleTemplateBinding, Project, ProjectRoleTemplateBinding, User,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::Request;
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use secrecy::SecretString;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

/// The cluster, reached with the user's name and virtual groups as the proxy would.
#[derive(Clone)]
pub(crate) struct Reach {
    auth: Auth,
    cluster: kube_api::Server,
}

impl Reach {
    pub(crate) fn whole(&self) -> kube::Client {
        kube::Client::new(
            self.cluster.client_service(kube_api::Identity::admin()),
            "default",
        )
    }
}

impl Hooks for Reach {
    fn import_yaml<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a str,
        _: YamlImport,
    ) -> BoxFuture<'a, Result<String, ApiError>> {
        async { Ok(String::new()) }.boxed()
    }

    fn cluster_client(&self, identity: &Identity, cluster: &str) -> Option<kube::Client> {
        let mut groups: Vec<String> = identity.groups.iter().cloned().collect();
        groups.extend(self.auth.access.cluster_groups(identity, cluster)?);
        let identity = kube_api::Identity {
            user: identity.user.to_string(),
            groups,
            ..kube_api::Identity::admin()
        };
        Some(kube::Client::new(
            self.cluster.client_service(identity),
            "default",
        ))
    }

    fn cluster<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<kube::Client, ApiError>> {
        async { Ok(self.whole()) }.boxed()
    }

    fn revoked<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, ()> {
        self.auth.authenticator.revoked(identity).boxed()
    }
}

pub(crate) struct World {
    pub(crate) hub: kube::Client,
    pub(crate) reach: Reach,
    api: Api,
}

async fn put<K>(api: kube::Api<K>, object: Value)
where
    K: kube::Resource + serde::Serialize + serde::de::DeserializeOwned + Clone + std::fmt::Debug,
{
    let object: K = serde_json::from_value(object).expect("an object");
    api.create(&PostParams::default(), &object)
        .await
        .expect("it is taken");
}

impl World {
    /// Two projects in the cluster `c-1`; `owner` owns the cluster, `member` has a part in the project `p-1`.
    pub(crate) async fn start() -> Self {
        let open = || kube_api::Server::open(kube_api::Config::new(kube_api::Storage::Memory));
        let (store, cluster) = (open().await.expect("opens"), open().await.expect("opens"));
        let hub = kube::Client::new(store.client_service(kube_api::Identity::admin()), "default");
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
        bootstrap
            .run(Some(&SecretString::from("a-long-password-1")))
            .await
            .expect("the first start");
        tokio::time::timeout(PATIENCE, auth.ready())
            .await
            .expect("everything is read");
        let reach = Reach {
            auth: auth.clone(),
            cluster,
        };
        let api = Api::new(Parts {
            client: hub.clone(),
            rights: Arc::new(auth.access.clone()),
            credentials: Arc::new(auth.logins.clone()),
            hooks: Arc::new(reach.clone()),
            clock: Clock::system(),
            entropy: Entropy::system(),
            setting_overrides: auth.settings.overrides(),
        });
        let world = Self { hub, reach, api };
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
        for user in ["owner", "member"] {
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
        for (project, quota) in [("p-1", json!({})), ("p-2", json!({"limit": {"pods": "4"}}))] {
            put::<Project>(
                kube::Api::namespaced(hub(), "c-1"),
                json!({
                    "metadata": {"name": project},
                    "spec": {
                        "displayName": project, "clusterName": "c-1", "resourceQuota": quota,
                        "containerDefaultResourceLimit": {"limitsCpu": "100m"},
                    },
                    "status": {"backingNamespace": format!("c-1-{project}")},
                }),
            )
            .await;
        }
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
        let mut changes = self.reach.auth.access.changes();
        let known = async {
            while ["owner", "member"].iter().any(|user| {
                self.reach
                    .auth
                    .access
                    .cluster_groups(&Identity::of(*user), "c-1")
                    .is_none()
            }) {
                changes.changed().await.expect("the index lives");
            }
        };
        tokio::time::timeout(PATIENCE, known)
            .await
            .expect("the bindings are known");

        // What the controllers keep in a cluster, as far as it counts here.
        let bind = |name: &str, role: &str, group: &str| {
            json!({
                "metadata": {"name": name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
            })
        };
        let whole = || self.reach.whole();
        put::<ClusterRoleBinding>(
            kube::Api::all(whole()),
            bind("owner", "cluster-admin", "drover:cluster-owner"),
        )
        .await;
        put::<Namespace>(kube::Api::all(whole()), json!({
            "metadata": {"name": "mine", "annotations": {"field.cattle.io/projectId": "c-1:p-1"}},
        })).await;
        put::<Namespace>(
            kube::Api::all(whole()),
            json!({"metadata": {"name": "other"}}),
        )
        .await;
        put::<RoleBinding>(
            kube::Api::namespaced(whole(), "mine"),
            bind("member", "admin", "drover:project:p-1:project-member"),
        )
        .await;
    }

    pub(crate) async fn send(
        &self,
        user: &str,
        method: &str,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        let identity = Some(user).filter(|user| !user.is_empty()).map(Identity::of);
        let body = if body.is_null() {
            web::empty()
        } else {
            web::full(body.to_string())
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "drover.example")
            .body(body)
            .expect("a request");
        let response = self.api.handle(request, identity).await;
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
}

pub(crate) fn names(list: &Value) -> Vec<&str> {
    let items = list["data"].as_array().into_iter().flatten();
    items.filter_map(|item| item["id"].as_str()).collect()
}
