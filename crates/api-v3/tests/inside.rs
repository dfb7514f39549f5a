//! Requests into a cluster: namespaces, nodes and questions about rights, with
//! the index of rights on one Kubernetes API and the cluster on another.

#![cfg(test)]

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
struct Reach {
    auth: Auth,
    cluster: kube_api::Server,
}

impl Reach {
    fn whole(&self) -> kube::Client {
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

struct World {
    hub: kube::Client,
    reach: Reach,
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
    async fn start() -> Self {
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

    async fn send(&self, user: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
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

fn names(list: &Value) -> Vec<&str> {
    let items = list["data"].as_array().into_iter().flatten();
    items.filter_map(|item| item["id"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_are_made_moved_and_removed_in_their_cluster() {
    let world = World::start().await;
    let at = "/v3/clusters/c-1/namespaces";
    let body =
        json!({"type": "namespace", "name": "shop", "projectId": "c-1:p-2", "description": "d"});
    let (status, made) = world.send("owner", "POST", at, body).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(
        (
            made["id"].as_str(),
            made["projectId"].as_str(),
            made["description"].as_str()
        ),
        (Some("shop"), Some("c-1:p-2"), Some("d"))
    );
    assert_eq!(made["creatorId"], "owner");
    assert_eq!(
        made["containerDefaultResourceLimit"],
        json!({"limitsCpu": "100m"})
    );
    assert_eq!(made["labels"]["field.cattle.io/projectId"], "p-2");
    assert_eq!(
        made["actions"]["move"]
            .as_str()
            .map(|url| url.ends_with("/v3/cluster/c-1/namespaces/shop?action=move")),
        Some(true),
        "{made}"
    );
    let stored: kube::Api<Namespace> = kube::Api::all(world.reach.whole());
    let annotation = |namespace: &Namespace| {
        namespace
            .metadata
            .annotations
            .as_ref()
            .and_then(|all| all.get("field.cattle.io/projectId").cloned())
    };
    assert_eq!(
        annotation(&stored.get("shop").await.expect("it is there")).as_deref(),
        Some("c-1:p-2")
    );

    // Into a project with a quota nothing is moved; out of it, and into another, it is.
    let (status, refused) = world
        .send(
            "owner",
            "POST",
            "/v3/clusters/c-1/namespaces/mine?action=move",
            json!({"projectId": "c-1:p-2"}),
        )
        .await;
    assert_eq!(
        (status, refused["code"].as_str()),
        (422, Some("InvalidState"))
    );
    for (project, expected) in [(json!("c-1:p-1"), Some("c-1:p-1")), (Value::Null, None)] {
        let (status, _) = world
            .send(
                "owner",
                "POST",
                &format!("{at}/shop?action=move"),
                json!({"projectId": project}),
            )
            .await;
        assert_eq!(status, 200);
        assert_eq!(
            annotation(&stored.get("shop").await.expect("it is there")).as_deref(),
            expected
        );
    }
    let (status, changed) = world
        .send(
            "owner",
            "PUT",
            &format!("{at}/shop"),
            json!({"description": "e", "labels": {"own": "1"}}),
        )
        .await;
    assert_eq!(
        (status, changed["description"].as_str()),
        (200, Some("e")),
        "{changed}"
    );
    assert_eq!(changed["labels"]["own"], "1");
    let (status, _) = world
        .send("owner", "DELETE", &format!("{at}/shop"), Value::Null)
        .await;
    assert!(status == 200 || status == 204, "{status}");
    let (status, body) = world
        .send("owner", "POST", &format!("{at}/mine?action=zzz"), json!({}))
        .await;
    assert_eq!(
        (status, body["code"].as_str()),
        (422, Some("InvalidAction"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_a_project_see_and_use_its_namespaces_only() {
    let world = World::start().await;
    let at = "/v3/clusters/c-1/namespaces";
    let (status, list) = world.send("member", "GET", at, Value::Null).await;
    assert_eq!((status, names(&list)), (200, vec!["mine"]), "{list}");
    let (_, all) = world.send("owner", "GET", at, Value::Null).await;
    assert!(names(&all).contains(&"other"), "{all}");
    for (method, path, body, expected) in [
        ("GET", "mine", Value::Null, 200),
        ("GET", "other", Value::Null, 403),
        ("PUT", "other", json!({"description": "x"}), 403),
        ("DELETE", "other", Value::Null, 403),
        (
            "POST",
            "other?action=move",
            json!({"projectId": "c-1:p-1"}),
            403,
        ),
        (
            "POST",
            "mine?action=move",
            json!({"projectId": "c-1:p-2"}),
            403,
        ),
    ] {
        let (status, answer) = world
            .send("member", method, &format!("{at}/{path}"), body)
            .await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
    }
    // Nobody gets into a project without a part in it, and strangers not into the cluster.
    let (status, _) = world
        .send(
            "member",
            "POST",
            at,
            json!({"name": "n", "projectId": "c-1:p-2"}),
        )
        .await;
    assert_eq!(status, 403);
    for (method, path) in [
        ("GET", at.to_owned()),
        ("POST", at.to_owned()),
        ("GET", format!("{at}/mine")),
        ("PUT", format!("{at}/mine")),
        ("DELETE", format!("{at}/mine")),
        ("POST", format!("{at}/mine?action=move")),
        ("POST", "/v3/accessreviews".to_owned()),
        ("POST", "/v3/accessreviews?action=whoCan".to_owned()),
    ] {
        let (status, _) = world.send("", method, &path, json!({})).await;
        assert_eq!(status, 401, "{method} {path}");
    }
    for method in ["GET", "POST"] {
        let (status, _) = world
            .send("stranger", method, at, json!({"name": "n"}))
            .await;
        assert_eq!(status, 403, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_explains_what_the_cluster_then_does() {
    let world = World::start().await;
    let ask = |user: &'static str, namespace: &'static str| {
        let body = json!({
            "clusterId": "c-1", "userId": user, "verb": "create", "resource": "configmaps", "namespace": namespace,
        });
        world.send("owner", "POST", "/v3/accessreviews", body)
    };
    let (status, allowed) = ask("member", "mine").await;
    assert_eq!(
        (status, &allowed["allowed"]),
        (201, &json!(true)),
        "{allowed}"
    );
    assert_eq!(
        allowed["binding"],
        "ProjectRoleTemplateBinding c-1-p-1/prtb-1"
    );
    assert_eq!(allowed["roles"], json!(["project-member", "edit"]));
    let (_, refused) = ask("member", "other").await;
    assert_eq!(refused["allowed"], false);
    assert!(
        refused["missing"]
            .as_array()
            .is_some_and(|roles| roles.contains(&json!("roleTemplate cluster-owner")))
    );
    // About others only owners learn.
    for path in ["/v3/accessreviews", "/v3/accessreviews?action=whoCan"] {
        let body =
            json!({"clusterId": "c-1", "userId": "owner", "verb": "get", "resource": "pods"});
        let (status, answer) = world.send("member", "POST", path, body).await;
        assert_eq!(status, 403, "{path}: {answer}");
    }
    let body = json!({"clusterId": "c-1", "verb": "create", "resource": "configmaps", "namespace": "mine"});
    let (status, holders) = world
        .send("owner", "POST", "/v3/accessreviews?action=whoCan", body)
        .await;
    let of = |name: &str| {
        holders["data"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|holder| holder["name"] == name)
    };
    assert_eq!(
        (status, of("owner"), of("member"), of("stranger")),
        (200, true, true, false),
        "{holders}"
    );
}
