//! What lists tell beside their objects: the states of what those make, what may be done where they lie, and what the
//! clusters one sees were provisioned from.

#![cfg(test)]

mod common;

use common::{INSIDE, World, put};
use drover_types::provisioning;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

fn template(name: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": name, "tier": "front"}},
        "spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Always"},
    })
}

async fn pod(world: &World, namespace: &str, name: &str, labels: Value) {
    put::<Pod>(
        Api::namespaced(world.cluster.clone(), namespace),
        json!({"metadata": {"name": name, "labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}),
    )
    .await;
}

/// Name of an object and names of those that it makes.
fn associated(list: &Value) -> Vec<(String, Vec<String>)> {
    let items = list["data"].as_array().expect("data");
    items
        .iter()
        .map(|item| {
            let made = item["metadata"]["associatedData"][0]["data"].as_array();
            let names = made.into_iter().flatten();
            (
                item["id"].as_str().unwrap_or_default().to_owned(),
                names
                    .map(|one| one["childName"].as_str().unwrap_or_default().to_owned())
                    .collect(),
            )
        })
        .collect()
}

#[tokio::test]
async fn workloads_come_with_the_pods_that_their_selectors_find() {
    let world = World::start().await;
    for (namespace, name) in [("mine", "web"), ("mine", "idle"), ("other", "web")] {
        put::<Deployment>(
            Api::namespaced(world.cluster.clone(), namespace),
            json!({"metadata": {"name": name}, "spec": {
                "selector": {"matchLabels": {"app": name, "tier": "front"}}, "template": template(name),
            }}),
        )
        .await;
    }
    pod(
        &world,
        "mine",
        "web-1",
        json!({"app": "web", "tier": "front"}),
    )
    .await;
    pod(
        &world,
        "mine",
        "web-2",
        json!({"app": "web", "tier": "front", "more": "x"}),
    )
    .await;
    pod(
        &world,
        "mine",
        "web-back",
        json!({"app": "web", "tier": "back"}),
    )
    .await;
    pod(
        &world,
        "other",
        "web-3",
        json!({"app": "web", "tier": "front"}),
    )
    .await;
    let path = format!("{INSIDE}/apps.deployments?includeAssociatedData=true&sort=metadata.name");
    let own = |namespace: &str, name: &str, pods: &[&str]| {
        let pods = pods.iter().map(|&pod| pod.to_owned()).collect();
        (format!("{namespace}/{name}"), pods)
    };
    let list = world.get("owner", &path).await;
    assert_eq!(
        associated(&list),
        [
            own("mine", "idle", &[]),
            own("mine", "web", &["web-1", "web-2"]),
            own("other", "web", &["web-3"]),
        ]
    );
    let of = &list["data"][1]["metadata"]["associatedData"][0];
    assert_eq!(
        of["gvk"],
        json!({"group": "", "version": "v1", "kind": "Pod"})
    );
    let state = &of["data"][0]["state"];
    assert_eq!(
        (&state["error"], &state["transitioning"].is_string()),
        (&json!("false"), &true)
    );
    // What a member does not see is not told, and nothing is told that is not asked for.
    let list = world.get("member", &path).await;
    assert_eq!(
        associated(&list),
        [
            own("mine", "idle", &[]),
            own("mine", "web", &["web-1", "web-2"])
        ]
    );
    let list = world
        .get("owner", &format!("{INSIDE}/apps.deployments"))
        .await;
    assert!(associated(&list).iter().all(|(_, made)| made.is_empty()));
}

#[tokio::test]
async fn cron_jobs_come_with_their_jobs() {
    let world = World::start().await;
    let mut template = template("tick");
    template["spec"]["restartPolicy"] = json!("Never");
    let jobs = Api::<CronJob>::namespaced(world.cluster.clone(), "mine");
    put(
        jobs.clone(),
        json!({"metadata": {"name": "tick"}, "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}}}),
    )
    .await;
    let uid = jobs.get("tick").await.expect("it is there").metadata.uid;
    for (name, owners) in [
        (
            "tick-1",
            json!([{"apiVersion": "batch/v1", "kind": "CronJob", "name": "tick", "uid": uid}]),
        ),
        ("other", json!([])),
    ] {
        put::<Job>(
            Api::namespaced(world.cluster.clone(), "mine"),
            json!({"metadata": {"name": name, "ownerReferences": owners}, "spec": {"template": template}}),
        )
        .await;
    }
    let path = format!("{INSIDE}/batch.cronjobs?includeAssociatedData=true");
    let list = world.get("owner", &path).await;
    assert_eq!(
        associated(&list),
        [("mine/tick".to_owned(), vec!["tick-1".to_owned()])]
    );
}

#[tokio::test]
async fn what_may_be_done_in_a_project_is_told_with_it() {
    let world = World::start().await;
    let asked = "management.cattle.io.projectroletemplatebindings,nosuch";
    let path = format!("/v1/management.cattle.io.projects/c-1/p-1?checkPermissions={asked}");
    let told = |shown: &Value| {
        shown["resourcePermissions"]["management.cattle.io.projectroletemplatebindings"].clone()
    };
    let owner = world.get("owner", &path).await;
    let url = "https://drover.example/v1/management.cattle.io.projectroletemplatebindings/c-1-p-1";
    for verb in [
        "create", "update", "delete", "list", "get", "watch", "patch",
    ] {
        assert_eq!(told(&owner)[verb], url, "{verb} {owner}");
    }
    assert!(owner["resourcePermissions"].get("nosuch").is_none());
    let member = world.get("member", &path).await;
    assert!(member["resourcePermissions"].is_object(), "{member}");
    assert_eq!(told(&member)["create"], Value::Null, "{member}");
    let list = world
        .get(
            "owner",
            &format!("/v1/management.cattle.io.projects?include=id&checkPermissions={asked}"),
        )
        .await;
    assert_eq!(told(&list["data"][0])["create"], url, "{list}");
    let plain = world
        .get("owner", "/v1/management.cattle.io.projects/c-1/p-1")
        .await;
    assert!(plain.get("resourcePermissions").is_none());
    let many = vec!["pods"; 51].join(",");
    let path = format!("/v1/management.cattle.io.projects?checkPermissions={many}");
    let (status, refused) = world.send("owner", "GET", &path, Value::Null).await;
    assert_eq!(
        (status, &refused["fieldName"]),
        (422, &json!("checkPermissions"))
    );
}

#[tokio::test]
async fn members_see_what_their_clusters_were_provisioned_from() {
    let world = World::start().await;
    for (name, cluster) in [("one", "c-1"), ("two", "c-2")] {
        let asked: Api<provisioning::Cluster> = Api::namespaced(world.hub.clone(), "fleet-default");
        put(
            asked.clone(),
            json!({"metadata": {"name": name}, "spec": {}}),
        )
        .await;
        let status = Patch::Merge(json!({"status": {"clusterName": cluster}}));
        asked
            .patch_status(name, &PatchParams::default(), &status)
            .await
            .expect("a status");
    }
    let kind = "/v1/provisioning.cattle.io.clusters";
    for user in ["owner", "member"] {
        let list = world.get(user, kind).await;
        assert_eq!(common::ids(&list), ["fleet-default/one"], "{user}");
        let one = world.get(user, &format!("{kind}/fleet-default/one")).await;
        let changes = one["links"].get("update").is_some();
        assert_eq!(changes, user == "owner", "{user}");
        let (status, _) = world
            .send(
                user,
                "GET",
                &format!("{kind}/fleet-default/two"),
                Value::Null,
            )
            .await;
        assert_eq!(status, 403, "{user}");
        let (status, _) = world
            .send(
                user,
                "DELETE",
                &format!("{kind}/fleet-default/two"),
                Value::Null,
            )
            .await;
        assert_eq!(status, 403, "{user}");
        let schemas = world
            .get(user, "/v1/schemas/provisioning.cattle.io.cluster")
            .await;
        assert_eq!(schemas["id"], "provisioning.cattle.io.cluster");
    }
    let (status, _) = world.send("stranger", "GET", kind, Value::Null).await;
    assert_eq!(status, 404);
    let all = world.get(&world.admin, kind).await;
    assert_eq!(common::ids(&all).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_come_in_lines_for_those_who_ask() {
    let world = World::start().await;
    let path = format!("{INSIDE}/configmaps/mine?_format=jsonl&summary=metadata.namespace");
    let (status, text) = world.text("owner", &path).await;
    assert_eq!(status, 200);
    let lines: Vec<&str> = text.split('\n').collect();
    // The collection, its two items, its summary; an empty line says that it is whole.
    assert_eq!(lines.len(), 6, "{text}");
    assert_eq!(&lines[4..], ["", ""]);
    let parsed: Vec<Value> = lines[..4]
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(
        (parsed[0]["type"].as_str(), parsed[0]["count"].as_u64()),
        (Some("collection"), Some(2))
    );
    assert!(parsed[0].get("data").is_none());
    assert_eq!(parsed[1]["id"], "mine/in-mine");
    assert_eq!(parsed[3]["property"], "metadata.namespace");
    let (_, refused) = world
        .text(
            "owner",
            &format!("{INSIDE}/configmaps?_format=jsonl&page=x"),
        )
        .await;
    assert!(
        refused.contains("\"fieldName\":\"page\"") && refused.ends_with("\n\n"),
        "{refused}"
    );
}
