//! A cluster from import to deletion, over two Kubernetes APIs: one is the hub, one is the managed cluster.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use drover_auth::web;
use drover_controllers::ImportApi;
use drover_testkit::control_plane::{self, ControlPlane};
use drover_testkit::real::component;
use drover_types::condition;
use drover_types::management::{Cluster, ClusterRegistrationToken, Node, Project};
use http_body_util::BodyExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{
    ConfigMap, LimitRange, Namespace, Node as KubeNode, ResourceQuota, Secret,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::world::{LIMIT, World, api_server, apply, until};

/// Everything in the managed cluster that a user could have, by kind and name, with its contents.
async fn contents(client: &Client) -> Vec<String> {
    let mut found = Vec::new();
    macro_rules! all {
        ($($kind:ty),*) => {$(
            for object in Api::<$kind>::all(client.clone()).list(&ListParams::default()).await.unwrap() {
                let mut value = serde_json::to_value(&object).unwrap();
                for name in ["resourceVersion", "managedFields", "generation"] {
                    value["metadata"].as_object_mut().unwrap().remove(name);
                }
                // Heartbeats and the like.
                value.as_object_mut().unwrap().remove("status");
                // An empty map is as good as none.
                for name in ["annotations", "labels"] {
                    if value["metadata"][name].as_object().is_some_and(serde_json::Map::is_empty) {
                        value["metadata"].as_object_mut().unwrap().remove(name);
                    }
                }
                found.push(value.to_string());
            }
        )*};
    }
    all!(
        Namespace,
        ResourceQuota,
        LimitRange,
        KubeNode,
        ConfigMap,
        Secret,
        Deployment,
        ClusterRole,
        ClusterRoleBinding,
        NetworkPolicy
    );
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_imported_lost_found_and_deleted_without_a_trace() {
    live(World::start().await).await;
}

/// The same with real control planes on both sides: the hub keeps its objects
/// in a real Kubernetes, and the cluster is one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_happens_on_real_control_planes() {
    if component("kube-apiserver").is_err() {
        eprintln!("skipped: `cargo xtask real` builds the control planes");
        return;
    }
    let config = control_plane::Config {
        nodes: 0,
        ..control_plane::Config::default()
    };
    let (hub, cluster) = tokio::join!(ControlPlane::start(&config), ControlPlane::start(&config));
    let (hub, cluster) = (hub.unwrap(), cluster.unwrap());
    let clients = (hub.client().await.unwrap(), cluster.client().await.unwrap());
    live(World::over(clients.0, clients.1, Box::new((hub, cluster))).await).await;
}

async fn live(mut world: World) {
    world.condition("local", "Ready", "True").await;

    // A user's own things, there before us.
    world.create_node("node-1").await;
    world
        .create(
            Api::<Namespace>::all(world.cluster.clone()),
            json!({ "metadata": { "name": "shop", "annotations": { "mine": "1" } } }),
        )
        .await;
    let maps = Api::<ConfigMap>::namespaced(world.cluster.clone(), "shop");
    world
        .create(
            maps,
            json!({ "metadata": { "name": "mine" }, "data": { "a": "b" } }),
        )
        .await;
    // The cluster puts its own certificates into every namespace, a moment after it is made.
    until(
        "every namespace to have the cluster's certificates",
        || async {
            let everywhere = ListParams::default();
            let namespaces = Api::<Namespace>::all(world.cluster.clone())
                .list(&everywhere)
                .await
                .unwrap();
            let certificates = Api::<ConfigMap>::all(world.cluster.clone())
                .list(&everywhere.fields("metadata.name=kube-root-ca.crt"))
                .await
                .unwrap();
            (certificates.items.len() == namespaces.items.len()).then_some(())
        },
    )
    .await;
    let before = contents(&world.cluster).await;

    // Made, but not connected.
    world.create_cluster("c-skw55").await;
    let cluster = world
        .condition("c-skw55", "ServiceAccountSecretsMigrated", "True")
        .await;
    assert_eq!(
        condition::find(&cluster.status.conditions, "Waiting")
            .unwrap()
            .status,
        "Unknown"
    );
    assert!(condition::find(&cluster.status.conditions, "Connected").is_none());
    let projects = Api::<Project>::namespaced(world.hub.clone(), "c-skw55");
    let named = until("two projects", || async {
        let found = projects.list(&ListParams::default()).await.unwrap().items;
        (found.len() == 2
            && found
                .iter()
                .all(|project| !project.status.backing_namespace.is_empty()))
        .then_some(found)
    })
    .await;
    let backing: Vec<_> = named
        .iter()
        .map(|project| project.status.backing_namespace.clone())
        .collect();
    let tokens = Api::<ClusterRegistrationToken>::namespaced(world.hub.clone(), "c-skw55");
    let registration = until("the registration token", || async {
        tokens
            .get_opt("default-token")
            .await
            .unwrap()
            .filter(|token| !token.status.command.is_empty())
    })
    .await;
    assert!(registration.status.command.contains("{token}_c-skw55.yaml"));
    let secrets = Api::<Secret>::namespaced(world.hub.clone(), "c-skw55");
    let secret = secrets.get("crt-token-default-token").await.unwrap();
    let token = String::from_utf8(secret.data.unwrap().remove("token").unwrap().0).unwrap();

    // The import manifest, as a person downloads it.
    let import = ImportApi::new(world.hub.clone());
    let get = |path: String| {
        let import = import.clone();
        async move {
            let response = import
                .handle(http::Request::get(path).body(web::empty()).unwrap())
                .await;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, String::from_utf8(body.to_vec()).unwrap())
        }
    };
    assert_eq!(get("/v3/import/abc".to_owned()).await.0, 404);
    let unknown = (400, "cluster not found or invalid token".to_owned());
    assert_eq!(get("/v3/import/bad_c-xxxxx.yaml".to_owned()).await, unknown);
    assert_eq!(get("/v3/import/bad_c-skw55.yaml".to_owned()).await, unknown);
    assert_eq!(
        get(format!("/v3/import/{token}_c-skw55.yaml?authImage=%20"))
            .await
            .0,
        400
    );
    let (status, manifest) = get(format!("/v3/import/{token}_c-skw55.yaml")).await;
    assert_eq!(status, 200);
    assert!(!manifest.contains("CATTLE_FEATURES"));

    // Its objects, as kubectl applies them.
    for document in manifest
        .split("---\n")
        .filter(|document| !document.is_empty())
    {
        let value: Value = serde_saphyr::from_str(document).unwrap();
        apply(&world.cluster, value).await;
    }

    // The agent connects.
    world.connect("c-skw55").await;
    let cluster = world.condition("c-skw55", "Ready", "True").await;
    assert!(condition::is_true(&cluster.status.conditions, "Connected"));
    let cluster = world.condition("c-skw55", "AgentDeployed", "True").await;
    assert_eq!(
        cluster.status.version.as_ref().unwrap()["gitVersion"],
        "v1.36.3"
    );
    let clusters = Api::<Cluster>::all(world.hub.clone());
    let cluster = until("figures", || async {
        clusters
            .get("c-skw55")
            .await
            .ok()
            .filter(|cluster| cluster.status.node_count == 1)
    })
    .await;
    assert_eq!(cluster.status.capacity["memory"], "256Gi");
    let nodes = Api::<Node>::namespaced(world.hub.clone(), "c-skw55");
    let node = until("the node", || async {
        nodes
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .into_iter()
            .next()
    })
    .await;
    assert_eq!(node.status.node_name, "node-1");
    let deployments = Api::<Deployment>::namespaced(world.cluster.clone(), "cattle-system");
    let agent = deployments.get("cattle-cluster-agent").await.unwrap();
    let text = serde_json::to_string(&agent).unwrap();
    assert!(
        text.contains("multi-cluster-management-agent=true"),
        "the second manifest has features"
    );
    // What somebody wishes for the agent reaches it, though nothing happens in the cluster.
    let wish = json!({ "spec": { "agentEnvVars": [{ "name": "WISHED", "value": "1" }] } });
    clusters
        .patch("c-skw55", &PatchParams::default(), &Patch::Merge(&wish))
        .await
        .unwrap();
    let agent = until("the wish to be heard", || async {
        let agent = deployments.get("cattle-cluster-agent").await.unwrap();
        let text = serde_json::to_string(&agent).unwrap();
        text.contains("WISHED").then_some(agent)
    })
    .await;
    let touched = agent.metadata.resource_version;
    world
        .condition("c-skw55", "GlobalAdminsSynced", "True")
        .await;
    let bindings = Api::<ClusterRoleBinding>::all(world.cluster.clone());
    bindings.get("drover-cluster-owner").await.unwrap();
    let namespaces = Api::<Namespace>::all(world.cluster.clone());
    until("the default namespace to be in a project", || async {
        namespaces
            .get("default")
            .await
            .unwrap()
            .annotations()
            .contains_key("field.cattle.io/projectId")
            .then_some(())
    })
    .await;

    // A project gets a quota; its namespace gets its part, and keeps it.
    let projects = Api::<Project>::namespaced(world.hub.clone(), "c-skw55");
    let project = projects
        .list(&ListParams::default())
        .await
        .unwrap()
        .into_iter()
        .find(|project| project.spec.display_name == "Default")
        .unwrap();
    let patch = json!({"spec": {
        "resourceQuota": {"limit": {"pods": "10"}},
        "namespaceDefaultResourceQuota": {"limit": {"pods": "2"}},
        "containerDefaultResourceLimit": {"limitsCpu": "200m"},
    }});
    projects
        .patch(
            &project.name_any(),
            &PatchParams::default(),
            &Patch::Merge(patch),
        )
        .await
        .unwrap();
    let quotas = Api::<ResourceQuota>::namespaced(world.cluster.clone(), "default");
    for _ in 0..2 {
        let quota = until("the namespace's quota", || async {
            let all = quotas.list(&ListParams::default()).await.unwrap().items;
            all.into_iter().next()
        })
        .await;
        let hard = quota.spec.as_ref().and_then(|spec| spec.hard.as_ref());
        assert_eq!(hard.unwrap()["pods"].0, "2");
        // Somebody removes it.
        quotas
            .delete(&quota.name_any(), &DeleteParams::default())
            .await
            .unwrap();
    }
    until("the project to know what is used", || async {
        let project = projects.get(&project.name_any()).await.unwrap();
        let quota = project.spec.other.get("resourceQuota")?;
        (quota["usedLimit"]["pods"] == "2").then_some(())
    })
    .await;
    let limits = Api::<LimitRange>::namespaced(world.cluster.clone(), "default");
    until("the defaults of containers", || async {
        let all = limits.list(&ListParams::default()).await.unwrap().items;
        all.into_iter().next()
    })
    .await;

    // Its namespaces are kept apart on the network until the cluster is let go.
    let wish = json!({ "spec": { "enableNetworkPolicy": true } });
    clusters
        .patch("c-skw55", &PatchParams::default(), &Patch::Merge(&wish))
        .await
        .unwrap();
    let policies = Api::<NetworkPolicy>::namespaced(world.cluster.clone(), "default");
    until("the policy of the network", || async {
        policies.get_opt("np-default").await.unwrap()
    })
    .await;

    // A Secret of the project comes to its namespace, and goes with the original.
    let backing_of_project = projects.get(&project.name_any()).await.unwrap();
    let backing_of_project = backing_of_project.status.backing_namespace;
    let originals = Api::<Secret>::namespaced(world.hub.clone(), &backing_of_project);
    let secret = json!({"metadata": {"name": "shared"}, "type": "Opaque", "data": {"k": "dg=="}});
    world.create(originals.clone(), secret).await;
    let copies = Api::<Secret>::namespaced(world.cluster.clone(), "default");
    let copy = until("the copy of a Secret", || async {
        copies.get_opt("shared").await.unwrap()
    })
    .await;
    assert_eq!(copy.data.unwrap()["k"].0, b"v");
    originals
        .delete("shared", &DeleteParams::default())
        .await
        .unwrap();
    until("the copy to be gone", || async {
        copies
            .get_opt("shared")
            .await
            .unwrap()
            .is_none()
            .then_some(())
    })
    .await;
    let secret = json!({"metadata": {"name": "left"}, "type": "Opaque", "data": {"k": "dg=="}});
    world.create(originals, secret).await;
    until("the copy of a Secret", || async {
        copies.get_opt("left").await.unwrap()
    })
    .await;

    // Somebody removes a binding of ours.
    bindings
        .delete("drover-cluster-owner", &DeleteParams::default())
        .await
        .unwrap();
    until("the binding to be put back", || async {
        bindings.get_opt("drover-cluster-owner").await.unwrap()
    })
    .await;

    // A second node comes, the first goes.
    world.create_node("node-2").await;
    Api::<KubeNode>::all(world.cluster.clone())
        .delete("node-1", &DeleteParams::default())
        .await
        .unwrap();
    until("the nodes to follow", || async {
        let found = nodes.list(&ListParams::default()).await.unwrap().items;
        (found.len() == 1 && found[0].status.node_name == "node-2").then_some(())
    })
    .await;

    // The agent goes and comes back.
    world.switch.set("c-skw55", false);
    let lost = Instant::now();
    let cluster = world.condition("c-skw55", "Ready", "False").await;
    assert!(lost.elapsed() < Duration::from_secs(20));
    let ready = condition::find(&cluster.status.conditions, "Ready").unwrap();
    assert_eq!(
        (ready.reason.as_str(), ready.message.as_str()),
        ("Disconnected", "Cluster agent is not connected")
    );
    assert_eq!(
        nodes
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len(),
        1,
        "absence deletes nothing"
    );
    world.switch.set("c-skw55", true);
    let found = Instant::now();
    world.condition("c-skw55", "Ready", "True").await;
    assert!(found.elapsed() < Duration::from_secs(5));

    // The hub restarts: nothing is touched.
    world.stop().await;
    world.lead();
    world.create_node("node-3").await;
    until("the new node to be seen after the restart", || async {
        (nodes
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len()
            == 2)
            .then_some(())
    })
    .await;
    // One node more means one agent more, which is the only change.
    let agent = until("the second agent", || async {
        deployments
            .get("cattle-cluster-agent")
            .await
            .ok()
            .filter(|agent| agent.spec.replicas == Some(2))
    })
    .await;
    assert_ne!(agent.metadata.resource_version, touched);

    // Deleted: the user's things stay, ours go.
    for name in ["node-2", "node-3"] {
        Api::<KubeNode>::all(world.cluster.clone())
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }
    clusters
        .delete("c-skw55", &DeleteParams::default())
        .await
        .unwrap();
    until("the cluster to be gone", || async {
        clusters
            .get_opt("c-skw55")
            .await
            .unwrap()
            .is_none()
            .then_some(())
    })
    .await;
    let hub_namespaces = Api::<Namespace>::all(world.hub.clone());
    for name in backing.iter().map(String::as_str).chain(["c-skw55"]) {
        until("the hub's namespaces to be gone", || async {
            hub_namespaces
                .get_opt(name)
                .await
                .unwrap()
                .is_none()
                .then_some(())
        })
        .await;
    }
    let without_nodes = |all: &[String]| {
        let all = all
            .iter()
            .filter(|object| !object.contains("\"kind\":\"Node\""));
        all.cloned().collect::<BTreeSet<_>>()
    };
    let before = without_nodes(&before);
    let start = Instant::now();
    loop {
        let now = without_nodes(&contents(&world.cluster).await);
        if now == before {
            break;
        }
        let left: Vec<_> = now.symmetric_difference(&before).collect();
        assert!(start.elapsed() < LIMIT, "still different: {left:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_never_connected_is_deleted_at_once() {
    let mut world = World::start().await;
    world.create_cluster("c-never").await;
    world
        .condition("c-never", "ServiceAccountSecretsMigrated", "True")
        .await;
    let clusters = Api::<Cluster>::all(world.hub.clone());
    clusters
        .delete("c-never", &DeleteParams::default())
        .await
        .unwrap();
    let namespaces = Api::<Namespace>::all(world.hub.clone());
    until("all of it to be gone", || async {
        let gone = clusters.get_opt("c-never").await.unwrap().is_none()
            && namespaces.get_opt("c-never").await.unwrap().is_none();
        gone.then_some(())
    })
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_candidates_never_lead_together() {
    let (_server, client) = api_server().await;
    let leading = Arc::new(Mutex::new(Vec::<&'static str>::new()));
    let mut tasks = JoinSet::new();
    let mut shutdowns = Vec::new();
    for identity in ["a", "b"] {
        let (client, leading, shutdown) = (
            client.clone(),
            Arc::clone(&leading),
            CancellationToken::new(),
        );
        shutdowns.push((identity, shutdown.clone()));
        tasks.spawn(async move {
            drover_controllers::leader::run(
                client,
                identity,
                drover_controllers::leader::Rivals::MayBe,
                drover_auth::Clock::system(),
                shutdown,
                |token| {
                    let leading = Arc::clone(&leading);
                    async move {
                        leading.lock().push(identity);
                        token.cancelled().await;
                        leading.lock().retain(|name| *name != identity);
                    }
                },
            )
            .await;
        });
    }
    let first = until("a leader", || async { leading.lock().first().copied() }).await;
    let (_, shutdown) = shutdowns
        .iter()
        .find(|(identity, _)| *identity == first)
        .unwrap();
    shutdown.cancel();
    let second = until("the other", || async {
        leading.lock().iter().find(|name| **name != first).copied()
    })
    .await;
    assert_eq!(leading.lock().as_slice(), [second]);
    for (_, shutdown) in &shutdowns {
        shutdown.cancel();
    }
    while tasks.join_next().await.is_some() {}
    assert!(leading.lock().is_empty());
}
