//! What Services of several workloads lead to, and names of other names.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Endpoints, Namespace, Pod, Service};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::world::{World, until};

const CLUSTER: &str = "c-skw55";

/// A Service as the management API writes it.
fn service(name: &str, annotation: &str, ids: &[&str], spec: &Value) -> Value {
    json!({
        "metadata": {
            "name": name, "labels": { "cattle.io/creator": "norman" }, "annotations": { annotation: json!(ids).to_string() },
        },
        "spec": spec,
    })
}

fn pod(name: &str, app: &str) -> Value {
    json!({
        "metadata": { "name": name, "labels": { "app": app } },
        "spec": { "containers": [{ "name": "c", "image": "nginx:1.27" }] },
    })
}

async fn connected() -> World {
    let world = World::start().await;
    world.create_node("node-1").await;
    world.create_cluster(CLUSTER).await;
    world.connect(CLUSTER).await;
    world.condition(CLUSTER, "Ready", "True").await;
    let namespace = json!({ "metadata": { "name": "shop" } });
    world
        .create(Api::<Namespace>::all(world.cluster.clone()), namespace)
        .await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_of_several_workloads_are_found_by_one_service() {
    let world = connected().await;
    let client = || world.cluster.clone();
    let deployments = Api::<Deployment>::namespaced(client(), "shop");
    let pods = Api::<Pod>::namespaced(client(), "shop");
    let services = Api::<Service>::namespaced(client(), "shop");
    for app in ["web", "api"] {
        let deployment = json!({
            "metadata": { "name": app },
            "spec": { "selector": { "matchLabels": { "app": app } }, "template": {
                "metadata": { "labels": { "app": app } }, "spec": { "containers": [{ "name": "c", "image": "nginx:1.27" }] },
            } },
        });
        world.create(deployments.clone(), deployment).await;
        world
            .create(pods.clone(), pod(&format!("{app}-1"), app))
            .await;
    }
    world.create(pods.clone(), pod("other-1", "other")).await;
    let ids = ["deployment:shop:web", "deployment:shop:api"];
    let spec = json!({ "selector": { "workloadID_both": "true" }, "ports": [{ "port": 80 }] });
    let both = service("both", "field.cattle.io/targetWorkloadIds", &ids, &spec);
    world.create(services.clone(), both).await;

    let is_labelled = async |name: &str| {
        let pod = pods.get(name).await.unwrap();
        pod.labels().contains_key("workloadID_both")
    };
    let labelled = async |name: &str, expected: bool| {
        until("the pod's label", || async {
            (is_labelled(name).await == expected).then_some(())
        })
        .await;
    };
    labelled("web-1", true).await;
    labelled("api-1", true).await;
    world.create(pods.clone(), pod("web-2", "web")).await;
    labelled("web-2", true).await;
    assert!(!is_labelled("other-1").await);

    let one = json!(["deployment:shop:web", "deployment:shop:web"]).to_string();
    let change =
        json!({ "metadata": { "annotations": { "field.cattle.io/targetWorkloadIds": one } } });
    let params = PatchParams::default();
    services
        .patch("both", &params, &Patch::Merge(&change))
        .await
        .unwrap();
    // The label of a Service of one workload may be Rancher's agent's.
    services
        .delete("both", &DeleteParams::default())
        .await
        .unwrap();
    labelled("api-1", false).await;
    labelled("web-2", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_follows_the_addresses_of_those_it_stands_for() {
    let world = connected().await;
    let client = || world.cluster.clone();
    let services = Api::<Service>::namespaced(client(), "shop");
    let endpoints = Api::<Endpoints>::namespaced(client(), "shop");
    let plain = json!({ "metadata": { "name": "svc" }, "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80 }] } });
    world.create(services.clone(), plain).await;
    let found = |ip: &str| json!({ "metadata": { "name": "svc" }, "subsets": [{ "addresses": [{ "ip": ip }], "ports": [{ "port": 80 }] }] });
    world.create(endpoints.clone(), found("10.0.0.1")).await;
    let spec = json!({ "clusterIP": "None", "ports": [{ "name": "default", "port": 42, "targetPort": 42 }] });
    let alias = service(
        "alias",
        "field.cattle.io/targetDnsRecordIds",
        &["shop:svc"],
        &spec,
    );
    world.create(services.clone(), alias).await;

    let stands_for = async |expected: Option<&str>| {
        until("the addresses of the name", || async {
            let found = endpoints.get_opt("alias").await.unwrap();
            let subsets = found.and_then(|found| found.subsets);
            let address = subsets
                .and_then(|subsets| Some(subsets.first()?.addresses.as_ref()?.first()?.ip.clone()));
            (address.as_deref() == expected).then_some(())
        })
        .await;
    };
    stands_for(Some("10.0.0.1")).await;
    let params = PatchParams::default();
    let moved = found("10.0.0.2");
    endpoints
        .patch("svc", &params, &Patch::Merge(&moved))
        .await
        .unwrap();
    stands_for(Some("10.0.0.2")).await;
    let nothing =
        json!({ "metadata": { "annotations": { "field.cattle.io/targetDnsRecordIds": null } } });
    services
        .patch("alias", &params, &Patch::Merge(&nothing))
        .await
        .unwrap();
    until("the addresses to go", || async {
        endpoints
            .get_opt("alias")
            .await
            .unwrap()
            .is_none()
            .then_some(())
    })
    .await;
}
