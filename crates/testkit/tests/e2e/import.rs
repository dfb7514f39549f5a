//! From an empty folder to an imported cluster, and out of it again.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use drover_testkit::control_plane::{self, ControlPlane};
use drover_testkit::{hub, wait};
use serde_json::Value;

use crate::fixture::{LIMIT, World, behind, kubectl, turn};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_imported_into_the_embedded_hub_and_leaves_no_trace() -> Result<()> {
    let _turn = turn().await;
    imported_and_removed(hub::Config::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_imported_into_a_hub_on_a_real_kubernetes() -> Result<()> {
    let _turn = turn().await;
    let (_behind, config) = behind().await?;
    imported_and_removed(config).await
}

/// What is true of a cluster whose import is complete.
const CONDITIONS: [&str; 7] = [
    "Pending",
    "Provisioned",
    "Waiting",
    "Connected",
    "Ready",
    "AgentDeployed",
    "SystemAccountCreated",
];

fn condition_status<'a>(cluster: &'a Value, condition: &str) -> Option<&'a str> {
    cluster["conditions"]
        .as_array()?
        .iter()
        .find(|one| one["type"] == condition)?["status"]
        .as_str()
}

async fn imported_and_removed(config: hub::Config) -> Result<()> {
    let plane = ControlPlane::start(&control_plane::Config::default()).await?;
    let deployment = [
        "create",
        "deployment",
        "web",
        "--image=registry.example/web:1",
        "--replicas=2",
        "-n",
        "default",
    ];
    kubectl(&plane.kubeconfig(), &deployment).await?;
    let rollout = [
        "rollout",
        "status",
        "deployment/web",
        "-n",
        "default",
        "--timeout=60s",
    ];
    kubectl(&plane.kubeconfig(), &rollout).await?;
    let before = everything(&plane.kubeconfig()).await?;

    let hub = hub::Hub::start(config).await?;
    let mut world = World::join(hub, plane).await?;
    let cluster = wait::until(
        "nodes, version and conditions to be known",
        LIMIT,
        || async {
            let cluster = world.session.cluster(&world.id).await?;
            ensure!(
                cluster["nodeCount"] == 3,
                "nodeCount is {}",
                cluster["nodeCount"]
            );
            ensure!(
                cluster["version"]["gitVersion"] == "v1.36.3",
                "version is {}",
                cluster["version"]
            );
            ensure!(
                cluster["capacity"]["pods"] == "330",
                "capacity is {}",
                cluster["capacity"]
            );
            for condition in CONDITIONS {
                let status = condition_status(&cluster, condition);
                ensure!(
                    status == Some("True"),
                    "{condition} of {}",
                    cluster["conditions"]
                );
            }
            Ok(cluster)
        },
    )
    .await?;
    assert_eq!(cluster["driver"], "imported");
    assert_eq!(cluster["transitioning"], "no");
    assert_eq!(cluster["capacity"]["cpu"], "96");
    assert_eq!(cluster["linuxWorkerCount"], 3);
    let kubeconfig = world.kubeconfig().await?;
    let nodes = kubectl(&kubeconfig, &["get", "nodes", "-o", "name"]).await?;
    assert_eq!(nodes, "node/node-1\nnode/node-2\nnode/node-3\n");
    let nodes = world
        .session
        .http
        .get(&format!("/v3/nodes?clusterId={}", world.id))
        .await?
        .expect(200)?
        .json()?;
    assert_eq!(nodes["data"].as_array().map(Vec::len), Some(3));

    world
        .session
        .http
        .delete(&format!("/v3/clusters/{}", world.id))
        .await?;
    let gone = format!("/v3/clusters/{}", world.id);
    wait::until("the cluster to be gone", LIMIT, || async {
        let answer = world.session.http.get(&gone).await?;
        ensure!(
            matches!(answer.status.as_u16(), 403 | 404),
            "{} {}",
            answer.status,
            answer.body
        );
        Ok(())
    })
    .await?;
    let plane = world.plane.kubeconfig();
    wait::until(
        "nothing of ours to be left in the cluster",
        LIMIT,
        || async {
            let after = everything(&plane).await?;
            let added: Vec<&String> = after
                .keys()
                .filter(|key| !before.contains_key(*key))
                .collect();
            let removed: Vec<&String> = before
                .keys()
                .filter(|key| !after.contains_key(*key))
                .collect();
            let changed: Vec<&String> = before
                .iter()
                .filter(|(key, value)| after.get(*key).is_some_and(|now| now != *value))
                .map(|(key, _)| key)
                .collect();
            ensure!(
                added.is_empty() && removed.is_empty() && changed.is_empty(),
                "added {added:?}, removed {removed:?}, changed {changed:?}"
            );
            Ok(())
        },
    )
    .await?;
    world.hub.process()?.still_running()
}

/// Every object of the cluster that is not of the moment, by kind and name: its labels, annotations, finalizers and spec.
async fn everything(kubeconfig: &Path) -> Result<BTreeMap<String, String>> {
    let resources = kubectl(kubeconfig, &["api-resources", "--verbs=list", "-o", "name"]).await?;
    let resources: Vec<&str> = resources
        .lines()
        .filter(|name| {
            let moment = [
                "events",
                "leases",
                "endpoints",
                "endpointslices",
                "componentstatuses",
                "ipaddresses",
            ];
            !moment
                .iter()
                .any(|moment| name.split('.').next() == Some(moment))
        })
        .collect();
    let list = kubectl(
        kubeconfig,
        &["get", &resources.join(","), "-A", "-o", "json"],
    )
    .await?;
    let list: Value = serde_json::from_str(&list)?;
    let mut all = BTreeMap::new();
    for object in list["items"].as_array().context("no items")? {
        let metadata = &object["metadata"];
        let key = format!(
            "{} {}/{}",
            object["kind"], metadata["namespace"], metadata["name"]
        );
        let kept = serde_json::json!({
            "labels": metadata["labels"], "annotations": metadata["annotations"],
            "finalizers": metadata["finalizers"], "spec": object["spec"], "data": object["data"], "rules": object["rules"],
        });
        all.insert(key, kept.to_string());
    }
    Ok(all)
}
