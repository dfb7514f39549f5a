//! A hub with its index of rights, and a cluster, both played by Kubernetes APIs in the test's own process.
//!
//! For tests of what stands above them: who asks is whom the test says, and what a cluster decides it decides by its own
//! RBAC, with the groups that the index gives. Where the real control plane matters, see [`crate::control_plane`].

#![expect(clippy::panic, reason = "what a fixture cannot make ends its test")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use drover_auth::bootstrap::Outcome;
use drover_auth::{Access, Auth, Clock, Config, Entropy, Identity, web};
use drover_kube_api::{Server, Storage};
use drover_types::management::{
    Cluster, ClusterRoleTemplateBinding, Project, ProjectRoleTemplateBinding, User,
};
use http_body_util::BodyExt as _;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// The longest that anything takes.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The longest that controllers may take to do their part.
pub const LIMIT: Duration = Duration::from_secs(60);
/// The administrator's password.
pub const PASSWORD: &str = "a-long-password-1";

/// Makes an object.
///
/// # Panics
///
/// When it is none of this kind, or refused.
pub async fn put<K>(api: Api<K>, object: Value)
where
    K: Serialize + DeserializeOwned + Clone + Debug,
{
    let parsed: K =
        serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{error}: {object}"));
    if let Err(error) = api.create(&PostParams::default(), &parsed).await {
        panic!("{error}: {object}");
    }
}

/// Waits until `look` finds what it looks for.
///
/// # Panics
///
/// After [`LIMIT`], with `what`.
pub async fn until<T, F, Fut>(what: &str, look: F) -> T
where
    F: Fn() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "waited {LIMIT:?} for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The body of a request; none for `null`.
#[must_use]
pub fn body(json: &Value) -> web::Body {
    if json.is_null() {
        web::empty()
    } else {
        web::full(json.to_string())
    }
}

/// The status of an answer, and its body; `null` where that is no JSON.
///
/// # Panics
///
/// When the body breaks off.
pub async fn read(response: web::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body");
    let json = serde_json::from_slice(&body.to_bytes());
    (status, json.unwrap_or(Value::Null))
}

/// A Kubernetes API in memory.
#[derive(Clone, Debug)]
pub struct Embedded(pub Server);

impl Embedded {
    /// An empty one.
    ///
    /// # Panics
    ///
    /// When it cannot be opened.
    pub async fn start() -> Self {
        let config = drover_kube_api::Config::new(Storage::Memory);
        Self(Server::open(config).await.expect("it opens"))
    }

    /// A client with all rights.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_of(drover_kube_api::Identity::admin())
    }

    /// A client of somebody with these groups.
    #[must_use]
    pub fn client_as(&self, user: &str, groups: Vec<String>) -> Client {
        self.client_of(drover_kube_api::Identity {
            user: user.to_owned(),
            groups,
            ..drover_kube_api::Identity::admin()
        })
    }

    fn client_of(&self, identity: drover_kube_api::Identity) -> Client {
        Client::new(self.0.client_service(identity), "default")
    }
}

/// What a hub is kept in, with our kinds, its index of rights, and an administrator.
#[derive(Debug)]
pub struct Hub {
    /// Where it is kept.
    pub api: Embedded,
    /// Who may do what, and who is who.
    pub auth: Auth,
    /// The administrator's user.
    pub admin: String,
    driver: JoinHandle<()>,
}

impl Hub {
    /// Starts one, and waits until the index has read everything.
    ///
    /// # Panics
    ///
    /// When a step fails or takes longer than [`PATIENCE`].
    pub async fn start() -> Self {
        let api = Embedded::start().await;
        let client = api.client();
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        for definition in drover_types::crds::all() {
            let made = definitions
                .create(&PostParams::default(), &definition)
                .await;
            made.expect("a definition is taken");
        }
        let projects: Api<Project> = Api::all(client.clone());
        let served = async {
            while projects.list(&ListParams::default()).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        let served = tokio::time::timeout(PATIENCE, served).await;
        served.expect("the kinds are served");
        let (auth, driver, bootstrap) = Auth::new(Config {
            client,
            clock: Clock::system(),
            entropy: Entropy::system(),
            environment: BTreeMap::new(),
        });
        let driver = tokio::spawn(driver.run());
        let password = SecretString::from(PASSWORD);
        let first = bootstrap
            .run(Some(&password))
            .await
            .expect("the first start");
        let Outcome::Created { admin, .. } = first else {
            panic!("no administrator was made");
        };
        let ready = tokio::time::timeout(PATIENCE, auth.ready()).await;
        ready.expect("everything is read");
        Self {
            api,
            auth,
            admin: admin.to_string(),
            driver,
        }
    }

    /// Waits until the index is as it should be.
    ///
    /// # Panics
    ///
    /// When that takes longer than [`PATIENCE`].
    pub async fn until(&self, fits: impl Fn(&Access) -> bool) {
        let mut changes = self.auth.access.changes();
        let known = async {
            while !fits(&self.auth.access) {
                changes.changed().await.expect("the index lives");
            }
        };
        let known = tokio::time::timeout(PATIENCE, known).await;
        known.expect("the index follows");
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A hub with the cluster `c-1`: `owner` owns it, `member` has a part in its project `p-1`, `stranger` in nothing.
///
/// In the cluster the namespace `mine` is the project's, `other` is nobody's.
#[derive(Debug)]
pub struct Pair {
    /// The hub.
    pub hub: Hub,
    /// The cluster.
    pub cluster: Embedded,
}

impl Pair {
    /// Starts both; `projects` are names with what their specifications say beside name and cluster.
    ///
    /// # Panics
    ///
    /// As [`Hub::start`].
    pub async fn start(projects: &[(&str, Value)]) -> Self {
        let pair = Self {
            hub: Hub::start().await,
            cluster: Embedded::start().await,
        };
        pair.fill_hub(projects).await;
        let has = |access: &Access, user| {
            let groups = access.cluster_groups(&Identity::of(user), "c-1");
            groups.is_some()
        };
        let known = pair
            .hub
            .until(|access| has(access, "owner") && has(access, "member"));
        known.await;
        pair.fill_cluster().await;
        pair
    }

    /// A client of the cluster as the proxy would reach it for somebody; none for those who may not see it.
    #[must_use]
    pub fn client_as(&self, identity: &Identity) -> Option<Client> {
        let of_index = self.hub.auth.access.cluster_groups(identity, "c-1")?;
        let groups = identity.groups.iter().cloned().chain(of_index).collect();
        Some(self.cluster.client_as(identity.user.as_str(), groups))
    }

    async fn fill_hub(&self, projects: &[(&str, Value)]) {
        let hub = || self.hub.api.client();
        for namespace in ["c-1", "c-1-p-1"] {
            let object = json!({"metadata": {"name": namespace}});
            put::<Namespace>(Api::all(hub()), object).await;
        }
        for user in ["owner", "member", "stranger"] {
            let object = json!({"metadata": {"name": user}, "username": user});
            put::<User>(Api::all(hub()), object).await;
        }
        let object = json!({"metadata": {"name": "c-1"}, "spec": {"displayName": "one"}});
        put::<Cluster>(Api::all(hub()), object).await;
        for (name, spec) in projects {
            let mut spec = spec.clone();
            spec["displayName"] = json!(name);
            spec["clusterName"] = json!("c-1");
            let object = json!({
                "metadata": {"name": name}, "spec": spec, "status": {"backingNamespace": format!("c-1-{name}")},
            });
            put::<Project>(Api::namespaced(hub(), "c-1"), object).await;
        }
        let object = json!({
            "metadata": {"name": "crtb-1"}, "clusterName": "c-1", "roleTemplateName": "cluster-owner",
            "userName": "owner",
        });
        put::<ClusterRoleTemplateBinding>(Api::namespaced(hub(), "c-1"), object).await;
        let object = json!({
            "metadata": {"name": "prtb-1"}, "projectName": "c-1:p-1", "roleTemplateName": "project-member",
            "userName": "member",
        });
        put::<ProjectRoleTemplateBinding>(Api::namespaced(hub(), "c-1-p-1"), object).await;
    }

    /// What the controllers keep in a cluster, as far as it counts here.
    async fn fill_cluster(&self) {
        let cluster = || self.cluster.client();
        put::<ClusterRoleBinding>(Api::all(cluster()), owners()).await;
        let mine = json!({"metadata": {
            "name": "mine", "labels": {"field.cattle.io/projectId": "p-1"},
            "annotations": {"field.cattle.io/projectId": "c-1:p-1"},
        }});
        put::<Namespace>(Api::all(cluster()), mine).await;
        let other = json!({"metadata": {"name": "other"}});
        put::<Namespace>(Api::all(cluster()), other).await;
        let member = bind("member", "admin", "drover:project:p-1:project-member");
        put::<RoleBinding>(Api::namespaced(cluster(), "mine"), member).await;
    }
}

fn bind(name: &str, role: &str, group: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
    })
}

/// The binding that lets owners do everything in a cluster.
#[must_use]
pub fn owners() -> Value {
    bind("owner", "cluster-admin", "drover:cluster-owner")
}
