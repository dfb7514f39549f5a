//! Where the links of objects lead, and methods by parameter.

#![cfg(test)]

mod common;

use base64::Engine as _;
use common::{INSIDE, World, ids};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_of_a_cluster_lead_to_its_projects_and_its_schemas() {
    let world = World::start().await;
    let at = "/v1/management.cattle.io.clusters/c-1";
    let cluster = world.get("owner", at).await;
    for link in ["log", "projects", "schemas", "subscribe"] {
        let expected = format!("https://drover.example{at}?link={link}");
        assert_eq!(cluster["links"][link], expected.as_str());
    }
    let projects = world.get("owner", &format!("{at}?link=projects")).await;
    assert_eq!(ids(&projects), ["c-1/p-1"]);
    let schemas = world.get("owner", &format!("{at}?link=schemas")).await;
    let own = "https://drover.example/k8s/clusters/c-1/v1/schemas";
    assert_eq!(schemas["links"]["self"], own);
    assert!(ids(&schemas).contains(&"configmap"));
    // Who has no part in the cluster learns nothing by them.
    let (status, body) = world
        .send(
            "stranger",
            "GET",
            &format!("{at}?link=schemas"),
            Value::Null,
        )
        .await;
    assert_eq!((status, body), (401, Value::Null));
    let strangers = world.get("stranger", &format!("{at}?link=projects")).await;
    assert_eq!(ids(&strangers), Vec::<&str>::new());
    for (user, link) in [
        ("owner", "nosuch"),
        ("owner", "icon"),
        ("stranger", "nosuch"),
    ] {
        let path = format!("{at}?link={link}");
        let (status, body) = world.send(user, "GET", &path, Value::Null).await;
        assert_eq!((status, body), (404, Value::Null), "{user} {link}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parameter_names_the_method_where_a_client_can_only_post() {
    let world = World::start().await;
    let path = format!("{INSIDE}/configmaps/mine/in-mine");
    // Only of a POST: nothing is deleted by following a link.
    let (status, body) = world
        .send(
            "owner",
            "GET",
            &format!("{path}?_method=DELETE"),
            Value::Null,
        )
        .await;
    assert_eq!((status, body["id"].as_str()), (200, Some("mine/in-mine")));
    let (status, _) = world
        .send(
            "member",
            "POST",
            &format!("{INSIDE}/configmaps/other/in-other?_method=delete"),
            Value::Null,
        )
        .await;
    assert!(matches!(status, 403 | 404), "{status}");
    let (status, _) = world
        .send(
            "owner",
            "POST",
            &format!("{path}?_method=delete"),
            Value::Null,
        )
        .await;
    assert_eq!(status, 204);
    let (status, _) = world.send("owner", "GET", &path, Value::Null).await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_a_cluster_comes_line_by_line_to_those_with_a_part_in_it() {
    let world = World::start().await;
    let at = "/v1/management.cattle.io.clusters/c-1";
    let open = format!("{at}?link=log");
    assert_eq!(world.open("stranger", &open, None).await.err(), Some(403));
    assert_eq!(world.open("", &open, None).await.err(), Some(401));
    let foreign = Some("https://elsewhere.example");
    assert_eq!(world.open("owner", &open, foreign).await.err(), Some(403));

    let maps = Api::<ConfigMap>::namespaced(world.hub.clone(), "c-1");
    let write = async |log: &str| {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "provisioning-log"}, "data": {"log": log}});
        let params = PatchParams::apply("test").force();
        maps.patch("provisioning-log", &params, &Patch::Apply(map))
            .await
            .expect("it is written");
    };
    let engine = base64::engine::general_purpose::STANDARD;
    let mut stream = world.open("owner", &open, None).await.unwrap();
    write("first\nsecond\n").await;
    let read = |text: Option<String>| {
        let bytes = engine.decode(text.expect("a line")).expect("base64");
        String::from_utf8(bytes).expect("text")
    };
    assert_eq!(read(stream.text().await), "first");
    assert_eq!(read(stream.text().await), "second");
    write("second\nthird\n").await;
    assert_eq!(read(stream.text().await), "third");
    // Who comes later is told what there is.
    let mut later = world.open("member", &open, None).await.unwrap();
    assert_eq!(read(later.text().await), "second");
    assert_eq!(read(later.text().await), "third");

    maps.delete("provisioning-log", &DeleteParams::default())
        .await
        .expect("it is deleted");
    stream.ended().await;
    later.ended().await;
}
