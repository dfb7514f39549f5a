//! A hub with its controllers, a cluster, and somebody for every built-in role.
//!
//! Everybody's writes are dry runs, on the hub and in the cluster: they are checked and answered like any other, and
//! the next role finds the world as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use drover_api_v3::{Api, Hooks, Parts, YamlImport};
use drover_auth::web::ApiError;
use drover_auth::{Auth, Clock, Entropy, Identity};
use drover_controllers::{Controllers, Downstream, Unreachable};
use drover_kube_api as kube_api;
use drover_testkit::embedded::{self, Embedded, Hub, put, until};
use drover_testkit::roles::{Asked, Bound, Role};
use drover_types::management::{
    Cluster, ClusterRoleTemplateBinding, GlobalRole, GlobalRoleBinding, Project,
    ProjectRoleTemplateBinding, RoleTemplate, User,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

pub(crate) const CLUSTER: &str = "c-1";
/// A cluster that nobody has a role in.
pub(crate) const FAR: &str = "c-2";
/// The project that roles of projects are bound in, and another of the same cluster.
pub(crate) const PROJECT: &str = "p-shop";
pub(crate) const OTHER: &str = "p-other";
/// Namespaces of these in the cluster, and one of no project.
pub(crate) const INSIDE: &str = "inside";
pub(crate) const ELSEWHERE: &str = "elsewhere";
pub(crate) const OUTSIDE: &str = "outside";
/// Somebody to be changed and given roles.
pub(crate) const TARGET: &str = "target";
/// A client whose writes change nothing.
fn dry(server: &kube_api::Server, identity: kube_api::Identity) -> Client {
    let service = server.client_service(identity);
    let dried = tower::service_fn(move |request: Request<Body>| {
        let service = service.clone();
        async move { service.oneshot(dried(request).await).await }
    });
    Client::new(dried, "default")
}

async fn dried(request: Request<Body>) -> Request<Body> {
    let (mut parts, body) = request.into_parts();
    let reads = [Method::GET, Method::HEAD].contains(&parts.method);
    // A review is a question, though it is posted.
    if reads || parts.uri.path().contains("reviews") {
        return Request::from_parts(parts, body);
    }
    let bytes = body.collect().await.unwrap().to_bytes();
    if parts.method == Method::DELETE && !bytes.is_empty() {
        // What the body says of a removal counts, not what the query says.
        let mut options: Value = serde_json::from_slice(&bytes).unwrap();
        options["dryRun"] = json!(["All"]);
        return Request::from_parts(parts, Body::from(options.to_string().into_bytes()));
    }
    let target = parts.uri.path_and_query().map_or("/", |part| part.as_str());
    let joint = if target.contains('?') { '&' } else { '?' };
    parts.uri = format!("{target}{joint}dryRun=All").parse().unwrap();
    Request::from_parts(parts, Body::from(bytes.to_vec()))
}

/// The cluster, reached with the user's name and virtual groups as the proxy would.
#[derive(Clone)]
struct Reach {
    auth: Auth,
    cluster: kube_api::Server,
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

    fn cluster_client(&self, identity: &Identity, cluster: &str) -> Option<Client> {
        let mut groups: Vec<String> = identity.groups.iter().cloned().collect();
        groups.extend(self.auth.access.cluster_groups(identity, cluster)?);
        let identity = kube_api::Identity {
            user: identity.user.to_string(),
            groups,
            ..kube_api::Identity::admin()
        };
        Some(dry(&self.cluster, identity))
    }

    fn cluster<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Client, ApiError>> {
        async { Ok(dry(&self.cluster, kube_api::Identity::admin())) }.boxed()
    }

    fn revoked<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, ()> {
        self.auth.authenticator.revoked(identity).boxed()
    }
}

/// The way of the controllers into the one cluster that is connected.
struct Switch {
    client: Client,
    changes: broadcast::Sender<String>,
}

impl Downstream for Switch {
    fn client<'a>(&'a self, cluster: &'a str) -> BoxFuture<'a, Result<Client, Unreachable>> {
        let client = self.connected(cluster).then(|| self.client.clone());
        let error = Unreachable {
            cluster: cluster.to_owned(),
            reason: "no session".to_owned(),
        };
        async move { client.ok_or(error) }.boxed()
    }

    fn connected(&self, cluster: &str) -> bool {
        cluster == CLUSTER
    }

    fn changes(&self) -> broadcast::Receiver<String> {
        self.changes.subscribe()
    }
}

/// The hub and its one cluster, at rest.
pub(crate) struct World {
    pub(crate) hub: Client,
    pub(crate) cluster: Client,
    /// Every role, and none.
    pub(crate) roles: Vec<Role>,
    /// The namespaces of the projects on the hub.
    pub(crate) backing: String,
    pub(crate) backing_other: String,
    kept: Hub,
    api: Api,
}

/// Makes an object of any kind.
pub(crate) async fn make(client: &Client, plural: &str, object: Value) {
    let version = object["apiVersion"].as_str().unwrap().to_owned();
    let (group, short) = version.split_once('/').unwrap_or(("", &version));
    let resource = ApiResource {
        group: group.to_owned(),
        version: short.to_owned(),
        api_version: version.clone(),
        kind: object["kind"].as_str().unwrap().to_owned(),
        plural: plural.to_owned(),
    };
    let api: kube::Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => kube::Api::namespaced_with(client.clone(), namespace, &resource),
        None => kube::Api::all_with(client.clone(), &resource),
    };
    put(api, object).await;
}

async fn list<K>(client: &Client) -> Vec<K>
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + serde::de::DeserializeOwned,
{
    let api: kube::Api<K> = kube::Api::all(client.clone());
    api.list(&ListParams::default()).await.unwrap().items
}

impl World {
    pub(crate) async fn start() -> Self {
        let (kept, below) = (Hub::start().await, Embedded::start().await);
        let (hub, cluster) = (kept.api.client(), below.client());
        let roles = roles(&hub).await;
        let backing = populate(&hub, &cluster, &kept.auth, &roles).await;
        let api = Api::new(Parts {
            client: dry(&kept.api.0, kube_api::Identity::admin()),
            rights: Arc::new(kept.auth.access.clone()),
            credentials: Arc::new(kept.auth.logins.clone()),
            hooks: Arc::new(Reach {
                auth: kept.auth.clone(),
                cluster: below.0.clone(),
            }),
            clock: Clock::system(),
            entropy: Entropy::system(),
            setting_overrides: BTreeMap::new(),
        });
        let [backing, backing_other] = backing;
        Self {
            hub,
            cluster,
            roles,
            backing,
            backing_other,
            kept,
            api,
        }
    }

    /// Waits until the index knows what was last made on the hub: a cluster that everything else came before.
    pub(crate) async fn settled(&self) {
        put(
            kube::Api::<Cluster>::all(self.hub.clone()),
            json!({"apiVersion": "management.cattle.io/v3", "kind": "Cluster", "metadata": {"name": "c-last"}}),
        )
        .await;
        put(
            kube::Api::<ClusterRoleTemplateBinding>::namespaced(self.hub.clone(), FAR),
            json!({"apiVersion": "management.cattle.io/v3", "kind": "ClusterRoleTemplateBinding",
                "metadata": {"name": "last"}, "clusterName": FAR, "roleTemplateName": "cluster-member", "userName": "last"}),
        )
        .await;
        until("the index to know all", || async {
            let access = &self.kept.auth.access;
            access.cluster_groups(&Identity::of("last"), FAR)
        })
        .await;
    }

    pub(crate) async fn send(
        &self,
        user: &str,
        method: &str,
        url: &str,
        body: &Value,
    ) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header("host", "drover.example")
            .header("content-type", "application/json")
            .body(embedded::body(body))
            .unwrap();
        let identity = Some(user).filter(|user| !user.is_empty()).map(Identity::of);
        embedded::read(self.api.handle(request, identity).await).await
    }
}

/// Every built-in role with its rules; the hub and the cluster have the same ClusterRoles.
async fn roles(hub: &Client) -> Vec<Role> {
    let cluster_roles = until("admin, edit and view to have rules", || async {
        let all = list::<ClusterRole>(hub).await;
        let full = all.iter().filter(|role| {
            ["admin", "edit", "view"].contains(&role.name_any().as_str())
                && role.rules.as_ref().is_some_and(|rules| !rules.is_empty())
        });
        (full.count() == 3).then(|| all.clone())
    })
    .await;
    let mut roles = Role::of_global(&list::<GlobalRole>(hub).await);
    let templates = list::<RoleTemplate>(hub).await;
    assert!(roles.len() >= 13 && templates.len() >= 40, "all are there");
    roles.extend(Role::of_templates(&templates, &cluster_roles));
    roles.push(Role::none());
    roles
}

/// Makes the clusters and projects, binds each role to its user, and lets the controllers do their part.
async fn populate(hub: &Client, cluster: &Client, auth: &Auth, roles: &[Role]) -> [String; 2] {
    let (changes, _) = broadcast::channel(16);
    let switch = Arc::new(Switch {
        client: cluster.clone(),
        changes,
    });
    for name in [INSIDE, ELSEWHERE, OUTSIDE] {
        let project = match name {
            INSIDE => json!({"field.cattle.io/projectId": format!("{CLUSTER}:{PROJECT}")}),
            ELSEWHERE => json!({"field.cattle.io/projectId": format!("{CLUSTER}:{OTHER}")}),
            _ => json!({}),
        };
        let object = json!({"metadata": {"name": name, "annotations": project}});
        put(kube::Api::<Namespace>::all(cluster.clone()), object).await;
    }
    let stop = CancellationToken::new();
    let controllers = Controllers::new(hub.clone(), switch, drover_controllers::Config::system());
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { controllers.run(stop).await }
    });
    for (name, shown) in [(CLUSTER, "one"), (FAR, "far")] {
        put(
            kube::Api::<Cluster>::all(hub.clone()),
            json!({"apiVersion": "management.cattle.io/v3", "kind": "Cluster", "metadata": {"name": name},
                "spec": {"displayName": shown}}),
        )
        .await;
        until("the cluster's namespace", || async {
            let namespaces: kube::Api<Namespace> = kube::Api::all(hub.clone());
            namespaces.get_opt(name).await.unwrap()
        })
        .await;
    }
    let patch = json!({"status": {"driver": "imported", "apiEndpoint": "https://10.43.0.1:443"}});
    kube::Api::<Cluster>::all(hub.clone())
        .patch_status(CLUSTER, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    for name in [PROJECT, OTHER] {
        put(
            kube::Api::<Project>::namespaced(hub.clone(), CLUSTER),
            json!({"apiVersion": "management.cattle.io/v3", "kind": "Project", "metadata": {"name": name},
                "spec": {"clusterName": CLUSTER, "displayName": name}}),
        )
        .await;
    }
    put(
        kube::Api::<Project>::namespaced(hub.clone(), FAR),
        json!({"apiVersion": "management.cattle.io/v3", "kind": "Project", "metadata": {"name": "p-far"},
            "spec": {"clusterName": FAR, "displayName": "far"}}),
    )
    .await;
    let backing = |project: &'static str| async move {
        until("the project's namespace", || async {
            let projects: kube::Api<Project> = kube::Api::namespaced(hub.clone(), CLUSTER);
            let found = projects.get(project).await.unwrap();
            Some(found.status.backing_namespace).filter(|name| !name.is_empty())
        })
        .await
    };
    let backing = [backing(PROJECT).await, backing(OTHER).await];
    bind(hub, roles, &backing[0]).await;
    in_force(cluster, auth, roles).await;
    stop.cancel();
    running.await.unwrap();
    backing
}

async fn bind(hub: &Client, roles: &[Role], backing: &str) {
    let version = "management.cattle.io/v3";
    let users = roles.iter().map(Role::user).chain([TARGET.to_owned()]);
    for user in users {
        put(
            kube::Api::<User>::all(hub.clone()),
            json!({"apiVersion": version, "kind": "User", "metadata": {"name": user}, "username": user,
                "principalIds": [format!("local://{user}")]}),
        )
        .await;
    }
    for role in roles.iter().filter(|role| role.name != "nothing") {
        let (name, user) = (role.user(), role.user());
        match role.bound {
            Bound::Hub => {
                let binding = json!({"apiVersion": version, "kind": "GlobalRoleBinding",
                    "metadata": {"name": name}, "globalRoleName": role.name, "userName": user});
                put(kube::Api::<GlobalRoleBinding>::all(hub.clone()), binding).await;
            }
            Bound::Cluster => {
                let binding = json!({"apiVersion": version, "kind": "ClusterRoleTemplateBinding",
                    "metadata": {"name": name}, "clusterName": CLUSTER, "roleTemplateName": role.name,
                    "userName": user});
                let api = kube::Api::<ClusterRoleTemplateBinding>::namespaced(hub.clone(), CLUSTER);
                put(api, binding).await;
            }
            Bound::Project => {
                let binding = json!({"apiVersion": version, "kind": "ProjectRoleTemplateBinding",
                    "metadata": {"name": name}, "projectName": format!("{CLUSTER}:{PROJECT}"),
                    "roleTemplateName": role.name, "userName": user});
                let api = kube::Api::<ProjectRoleTemplateBinding>::namespaced(hub.clone(), backing);
                put(api, binding).await;
            }
        }
    }
}

/// Waits until the cluster decides by every role that the controllers put there.
async fn in_force(cluster: &Client, auth: &Auth, roles: &[Role]) {
    let reviews: kube::Api<SubjectAccessReview> = kube::Api::all(cluster.clone());
    let bound = roles.iter().filter(|role| role.bound != Bound::Hub);
    for role in bound {
        let asked = role.all_rules().flat_map(questions);
        let mut asked = asked.filter(|asked| role.allows_in_cluster(asked, &[INSIDE]));
        let Some(asked) = asked.next() else { continue };
        until(&format!("{} to be in force", role.name), || async {
            let groups = auth
                .access
                .cluster_groups(&Identity::of(role.user()), CLUSTER)?;
            let review = json!({"metadata": {}, "spec": {"user": role.user(), "groups": groups,
            "resourceAttributes": {
                "verb": asked.verb, "group": asked.group, "resource": asked.resource,
                "namespace": asked.namespace, "name": asked.name,
            }}});
            let review: SubjectAccessReview = serde_json::from_value(review).unwrap();
            let answer = reviews
                .create(&PostParams::default(), &review)
                .await
                .unwrap();
            answer.status.filter(|status| status.allowed).map(drop)
        })
        .await;
    }
}

/// What a rule says about, in the project's namespace.
fn questions(rule: &Value) -> Vec<Asked> {
    let texts = |list: &str| -> Vec<String> {
        let entries = rule[list].as_array().into_iter().flatten();
        entries
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let names: BTreeSet<Option<String>> = match texts("resourceNames") {
        names if names.is_empty() => [None].into(),
        names => names.into_iter().map(Some).collect(),
    };
    let mut all = Vec::new();
    for verb in ["get", "create", "list"] {
        for group in texts("apiGroups") {
            for resource in texts("resources") {
                if resource.contains('/') {
                    continue;
                }
                all.extend(names.iter().map(|name| Asked {
                    verb,
                    group: group.replace('*', ""),
                    resource: resource.replace('*', "pods"),
                    namespace: Some(INSIDE.to_owned()),
                    name: name.clone(),
                }));
            }
        }
    }
    all
}
