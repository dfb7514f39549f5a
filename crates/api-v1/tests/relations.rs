//! What objects own and apply, by name and state, and never more than the caller may see; clusters that are asked for.

#![cfg(test)]

mod common;

use common::{INSIDE, World, put};
use drover_types::management::Cluster;
use drover_types::provisioning;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

fn pods(name: &str) -> Value {
    json!({
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "c", "image": "registry.example/c:1"}]},
        },
    })
}

/// The relations of an object that go to a type.
fn to<'v>(object: &'v Value, kind: &str) -> Vec<&'v Value> {
    let relations = object["metadata"]["relationships"].as_array();
    let relations = relations.into_iter().flatten();
    relations
        .filter(|one| one["toType"] == kind && one.get("toId").is_some())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_object_owns_is_named_with_its_state_though_nobody_listed_it() {
    let world = World::start().await;
    let deployments: kube::Api<Deployment> = kube::Api::namespaced(world.cluster.clone(), "mine");
    put(
        deployments.clone(),
        json!({"metadata": {"name": "web"}, "spec": pods("web")}),
    )
    .await;
    let uid = deployments.get("web").await.unwrap().metadata.uid;
    for name in ["web-2", "web-1"] {
        put::<ReplicaSet>(
            kube::Api::namespaced(world.cluster.clone(), "mine"),
            json!({
                "metadata": {"name": name, "ownerReferences": [
                    {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": uid, "controller": true}]},
                "spec": pods(name),
            }),
        )
        .await;
    }
    for user in ["owner", "member"] {
        let web = world
            .get(user, &format!("{INSIDE}/apps.deployments/mine/web"))
            .await;
        let owned = to(&web, "apps.replicaset");
        let ids: Vec<&Value> = owned.iter().map(|one| &one["toId"]).collect();
        assert_eq!(ids, ["mine/web-1", "mine/web-2"], "{user}: {web}");
        assert!(
            owned
                .iter()
                .all(|one| one["rel"] == "owner" && one["state"].is_string()),
            "{owned:?}"
        );
        let set = world
            .get(user, &format!("{INSIDE}/apps.replicasets/mine/web-1"))
            .await;
        let relations = set["metadata"]["relationships"].as_array().unwrap();
        let owner = relations
            .iter()
            .find(|one| one["fromType"] == "apps.deployment")
            .unwrap();
        assert_eq!(
            (&owner["fromId"], &owner["rel"]),
            (&json!("mine/web"), &json!("owner"))
        );
    }
}

/// The cluster `c-1` with what it was asked for by.
async fn world_with_asked() -> World {
    let world = World::start().await;
    let asked: kube::Api<provisioning::Cluster> =
        kube::Api::namespaced(world.hub.clone(), "fleet-default");
    put(
        asked,
        json!({"metadata": {"name": "one", "annotations": {
            "objectset.rio.cattle.io/owner-gvk": "management.cattle.io/v3, Kind=Cluster",
            "objectset.rio.cattle.io/owner-name": "c-1",
        }}, "spec": {}}),
    )
    .await;
    world
}

/// The peer's dashboard takes the provisioning cluster of each cluster from lists and from changes, and shows none of them
/// where one has no relations at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_changes_of_clusters_name_what_they_were_asked_for_by() {
    let world = world_with_asked().await;
    let named = |object: &Value| {
        let found = to(object, "provisioning.cattle.io.cluster");
        let ids: Vec<&Value> = found.iter().map(|one| &one["toId"]).collect();
        assert_eq!(ids, ["fleet-default/one"], "{object}");
    };
    let kind = "management.cattle.io.cluster";
    let mut stream = world
        .subscribe(&world.admin, "/v1", None)
        .await
        .ok()
        .unwrap();
    stream.say(json!({"resourceType": kind})).await;
    assert_eq!(stream.next().await["name"], "resource.start");
    let clusters: kube::Api<Cluster> = kube::Api::all(world.hub.clone());
    let noted = json!({"metadata": {"annotations": {"noted": "yes"}}});
    clusters
        .patch("c-1", &PatchParams::default(), &Patch::Merge(noted))
        .await
        .expect("a change");
    let changed = stream
        .wait(|frame| frame["data"]["metadata"]["annotations"]["noted"] == "yes")
        .await;
    named(&changed["data"]);

    // Where nobody has looked at anything yet.
    let world = world_with_asked().await;
    let list = world.get(&world.admin, &format!("/v1/{kind}s")).await;
    let listed = list["data"].as_array().unwrap();
    named(listed.iter().find(|one| one["id"] == "c-1").unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_learns_of_what_they_may_not_see() {
    let world = World::start().await;
    let namespaces: kube::Api<Namespace> = kube::Api::all(world.cluster.clone());
    let uid = namespaces.get("mine").await.unwrap().metadata.uid;
    for (namespace, name) in [("mine", "seen"), ("other", "hidden")] {
        put::<ConfigMap>(
            kube::Api::namespaced(world.cluster.clone(), namespace),
            json!({"metadata": {"name": name, "ownerReferences": [
                {"apiVersion": "v1", "kind": "Namespace", "name": "mine", "uid": uid}]}}),
        )
        .await;
    }
    // The copy that knows of them.
    world.get("owner", &format!("{INSIDE}/configmaps")).await;
    for (user, expected) in [
        ("owner", vec!["mine/seen", "other/hidden"]),
        ("member", vec!["mine/seen"]),
    ] {
        let one = world.get(user, &format!("{INSIDE}/namespaces/mine")).await;
        let ids: Vec<&Value> = to(&one, "configmap")
            .iter()
            .map(|one| &one["toId"])
            .collect();
        assert_eq!(ids, expected, "{user}");
        let list = world.get(user, &format!("{INSIDE}/namespaces")).await;
        let items = list["data"].as_array().unwrap();
        let same = items.iter().find(|item| item["id"] == "mine").unwrap();
        assert_eq!(to(same, "configmap").len(), expected.len(), "{user}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_asked_for_is_its_makers() {
    let world = World::start().await;
    put::<Namespace>(
        kube::Api::all(world.hub.clone()),
        json!({"metadata": {"name": "workspace"}}),
    )
    .await;
    let path = "/v1/provisioning.cattle.io.clusters";
    let asked = json!({
        "metadata": {"name": "one", "namespace": "workspace",
            "annotations": {"field.cattle.io/creatorId": "somebody-else", "kept": "yes"}},
        "spec": {},
    });
    for user in ["stranger", "member", "owner"] {
        let (status, _) = world.send(user, "POST", path, asked.clone()).await;
        assert!(matches!(status, 403 | 404), "{user}: {status}");
    }
    let (status, made) = world.send(&world.admin, "POST", path, asked).await;
    assert_eq!(status, 201, "{made}");
    let annotations = &made["metadata"]["annotations"];
    assert_eq!(annotations["field.cattle.io/creatorId"], world.admin);
    assert_eq!(annotations["kept"], "yes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_is_told_that_there_are_no_plugins() {
    let world = World::start().await;
    for user in ["", "stranger"] {
        let plugins = world.get(user, "/v1/uiplugins").await;
        assert_eq!(plugins, json!({"entries": {}}));
    }
    for (user, method, path, expected) in [
        ("", "POST", "/v1/uiplugins".to_owned(), 401),
        ("", "GET", "/v1/uiplugins/x".to_owned(), 401),
        ("", "GET", format!("{INSIDE}/uiplugins"), 401),
        ("owner", "GET", format!("{INSIDE}/uiplugins"), 404),
    ] {
        let (status, _) = world.send(user, method, &path, Value::Null).await;
        assert_eq!(status, expected, "{user} {method} {path}");
    }
}
