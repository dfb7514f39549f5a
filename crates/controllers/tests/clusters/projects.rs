//! Namespaces of projects: their label, whoever wrote the annotation, and their network.

use drover_types::management::{Cluster, Project};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::world::{World, until};

const CLUSTER: &str = "c-skw55";
const MEMBERSHIP: &str = "field.cattle.io/projectId";

/// Changes the cluster's wish, and waits until what was done about it is told.
async fn wish(world: &World, isolated: bool) {
    let clusters = Api::<Cluster>::all(world.hub.clone());
    let wish = json!({ "spec": { "enableNetworkPolicy": isolated } });
    clusters
        .patch(CLUSTER, &PatchParams::default(), &Patch::Merge(&wish))
        .await
        .unwrap();
    until("the cluster to tell what was done", || async {
        let cluster = clusters.get(CLUSTER).await.unwrap();
        let done = cluster.status.isolates_projects() == isolated;
        let annotation = "networking.management.cattle.io/enable-network-policy";
        let said = cluster.annotations().get(annotation) == Some(&isolated.to_string());
        (done && said).then_some(())
    })
    .await;
}

async fn policies(world: &World, namespace: &str) -> Vec<String> {
    let policies = Api::<NetworkPolicy>::namespaced(world.cluster.clone(), namespace);
    let found = policies.list(&ListParams::default()).await.unwrap();
    let mut names: Vec<_> = found.iter().map(kube::ResourceExt::name_any).collect();
    names.sort_unstable();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn projects_are_kept_from_each_other_as_long_as_it_is_asked_for() {
    let world = World::start().await;
    world.create_node("node-1").await;
    world.create_cluster(CLUSTER).await;
    world.connect(CLUSTER).await;
    world.condition(CLUSTER, "Ready", "True").await;
    let projects = Api::<Project>::namespaced(world.hub.clone(), CLUSTER);
    let project = until("the Default project", || async {
        let found = projects.list(&ListParams::default()).await.unwrap();
        let default = |project: &Project| project.spec.display_name == "Default";
        found.into_iter().find(default)
    })
    .await
    .name_any();

    // As kubectl writes it: the annotation alone.
    let namespaces = Api::<Namespace>::all(world.cluster.clone());
    let membership = json!({ MEMBERSHIP: format!("{CLUSTER}:{project}") });
    let shop = json!({ "metadata": { "name": "shop", "annotations": membership } });
    world.create(namespaces.clone(), shop).await;
    let labelled = async |wanted: Option<&str>| {
        until("the label to follow", || async {
            let namespace = namespaces.get("shop").await.unwrap();
            let label = namespace.labels().get(MEMBERSHIP).map(String::as_str);
            (label == wanted).then_some(())
        })
        .await;
    };
    labelled(Some(&project)).await;
    assert!(policies(&world, "shop").await.is_empty());

    wish(&world, true).await;
    assert_eq!(policies(&world, "shop").await, ["np-default"]);
    let own = Api::<NetworkPolicy>::namespaced(world.cluster.clone(), "shop");
    own.delete("np-default", &DeleteParams::default())
        .await
        .unwrap();
    let services = Api::<Service>::namespaced(world.cluster.clone(), "shop");
    let port = json!({ "port": 80, "nodePort": 30080 });
    let service = json!({
        "metadata": { "name": "web" },
        "spec": { "type": "NodePort", "selector": { "app": "web" }, "ports": [port] },
    });
    world.create(services, service).await;
    let are = async |namespace: &str, wanted: &[&str]| {
        until("policies", || async {
            (policies(&world, namespace).await == wanted).then_some(())
        })
        .await;
    };
    // What somebody removes comes back, and what is offered is open.
    are("shop", &["np-default", "np-web"]).await;
    let nodes = Api::<k8s_openapi::api::core::v1::Node>::all(world.cluster.clone());
    let range = json!({ "spec": { "podCIDR": "10.42.0.0/24", "podCIDRs": ["10.42.0.0/24"] } });
    nodes
        .patch("node-1", &PatchParams::default(), &Patch::Merge(&range))
        .await
        .unwrap();
    are("shop", &["hn-nodes", "np-default", "np-web"]).await;

    // Out of the project.
    let leave = json!({ "metadata": { "annotations": { MEMBERSHIP: Value::Null } } });
    namespaces
        .patch("shop", &PatchParams::default(), &Patch::Merge(&leave))
        .await
        .unwrap();
    labelled(None).await;
    are("shop", &[]).await;
    are("default", &["hn-nodes", "np-default"]).await;
    wish(&world, false).await;
    assert!(policies(&world, "default").await.is_empty());
}
