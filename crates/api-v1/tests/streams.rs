//! The event stream, and the bounds of what it stands on.

#![cfg(test)]

mod common;

use std::time::Duration;

use common::{INSIDE, World, ids};
use drover_api_v1::Limits;
use serde_json::{Value, json};

async fn change(world: &World, method: &str, name: &str) -> Value {
    let (path, body) = match method {
        "POST" => (
            format!("{INSIDE}/configmaps"),
            json!({"metadata": {"name": name, "namespace": "mine"}, "data": {"k": "v"}}),
        ),
        "PATCH" => (
            format!("{INSIDE}/configmaps/mine/{name}"),
            json!({"data": {"k": "w"}}),
        ),
        _ => (format!("{INSIDE}/configmaps/mine/{name}"), Value::Null),
    };
    let (status, body) = world.send("owner", method, &path, body).await;
    assert!(status < 300, "{method} {name}: {status} {body}");
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_come_with_their_objects_in_the_recorded_frames() {
    let world = World::start().await;
    let mut stream = world.subscribe("owner", INSIDE, None).await.ok().unwrap();
    stream
        .say(json!({"resourceType": "configmap", "namespace": "mine"}))
        .await;
    assert_eq!(
        stream.next().await,
        json!({
            "data": {"links": {}, "type": "subscribe"}, "name": "resource.start",
            "namespace": "mine", "resourceType": "configmap",
        })
    );
    world.configmap("other", "not-asked-for", json!({})).await;
    change(&world, "POST", "wscm").await;
    let made = stream.next().await;
    assert_eq!(
        (made["name"].as_str(), made["data"]["id"].as_str()),
        (Some("resource.create"), Some("mine/wscm"))
    );
    assert_eq!(made["data"]["type"], "configmap");
    assert_eq!(
        made["revision"],
        made["data"]["metadata"]["resourceVersion"]
    );
    change(&world, "PATCH", "wscm").await;
    let changed = stream.next().await;
    assert_eq!(
        (
            changed["name"].as_str(),
            changed["data"]["data"]["k"].as_str()
        ),
        (Some("resource.change"), Some("w"))
    );
    change(&world, "DELETE", "wscm").await;
    let gone = stream.next().await;
    assert_eq!(
        (gone["name"].as_str(), gone["data"]["id"].as_str()),
        (Some("resource.remove"), Some("mine/wscm"))
    );

    // Going on from a revision brings what came after it.
    stream
        .say(json!({"resourceType": "configmap", "namespace": "mine", "stop": true}))
        .await;
    assert_eq!(stream.next().await["name"], "resource.stop");
    stream
        .say(json!({"resourceType": "configmap", "namespace": "mine", "resourceVersion": made["revision"]}))
        .await;
    assert_eq!(stream.next().await["name"], "resource.start");
    assert_eq!(stream.next().await["name"], "resource.change");
    assert_eq!(stream.next().await["name"], "resource.remove");
    let ping = stream.wait(|frame| frame["name"] == "ping").await;
    assert!(ping["data"]["version"].is_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_are_gathered_and_errors_told() {
    let world = World::start().await;
    let mut stream = world.subscribe("owner", INSIDE, None).await.ok().unwrap();
    stream.say(json!({"resourceType": "nosuch"})).await;
    assert_eq!(
        stream.next().await,
        json!({"data": {"error": "failed to find schema nosuch"}, "name": "resource.error", "resourceType": "nosuch"})
    );
    assert_eq!(stream.next().await["name"], "resource.stop");
    stream
        .say(json!({"resourceType": "configmap", "resourceVersion": "1"}))
        .await;
    let error = stream.next().await;
    assert!(
        error["data"]["error"].as_str().unwrap().contains("too old"),
        "{error}"
    );
    assert_eq!(stream.next().await["name"], "resource.stop");
    // Who watches one object names the revision that the object is at, however much came since.
    let listed = world
        .get("owner", &format!("{INSIDE}/configmaps/mine/in-mine"))
        .await;
    let at = &listed["metadata"]["resourceVersion"];
    for (id, expected) in [
        ("in-mine", "resource.start"),
        ("in-other", "resource.error"),
    ] {
        stream
            .say(json!({"resourceType": "configmap", "namespace": "mine", "id": id, "resourceVersion": at}))
            .await;
        assert_eq!(stream.next().await["name"], expected, "{id}");
    }
    assert_eq!(stream.next().await["name"], "resource.stop");

    let window = 400;
    stream
        .say(json!({"resourceType": "configmap", "mode": "resource.changes", "debounceMs": window}))
        .await;
    let start = stream.next().await;
    assert_eq!(
        (start["name"].as_str(), start["mode"].as_str()),
        (Some("resource.start"), Some("resource.changes"))
    );
    let mut last = String::new();
    for at in 0..10 {
        let made = change(&world, "POST", &format!("quick-{at}")).await;
        last = made["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .to_owned();
    }
    let mut notices = 0;
    loop {
        let notice = stream.next().await;
        notices += 1;
        assert_eq!(notice["name"], "resource.changes");
        assert_eq!(notice["data"], json!({"type": "subscribe", "links": {}}));
        if notice["revision"] == last.as_str() {
            break;
        }
    }
    assert!(notices < 10, "{notices} notices of 10 changes");
    // A notice's revision can be asked for.
    let list = world
        .get(
            "owner",
            &format!("{INSIDE}/configmaps?revision={last}&filter=metadata.name~quick-"),
        )
        .await;
    assert_eq!(ids(&list).len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_opened_by_who_may_and_from_the_own_site() {
    let world = World::start().await;
    let status = |user: &'static str, path: &'static str, origin: Option<&'static str>| {
        let world = &world;
        async move { world.subscribe(user, path, origin).await.err() }
    };
    assert_eq!(status("", INSIDE, None).await, Some(401));
    assert_eq!(status("stranger", INSIDE, None).await, Some(401));
    assert_eq!(
        status("owner", INSIDE, Some("https://elsewhere.example")).await,
        Some(403)
    );
    assert_eq!(status("owner", INSIDE, None).await, None);
    // A member's stream shows what its lists show.
    let mut stream = world.subscribe("member", INSIDE, None).await.ok().unwrap();
    stream.say(json!({"resourceType": "configmap"})).await;
    assert_eq!(stream.next().await["name"], "resource.start");
    world.configmap("other", "hidden", json!({})).await;
    world.configmap("mine", "shown", json!({})).await;
    assert_eq!(stream.next().await["data"]["id"], "mine/shown");
    stream.say(json!({"resourceType": "node"})).await;
    assert_eq!(stream.next().await["name"], "resource.error");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_and_schemas_can_be_watched() {
    let world = World::start().await;
    let mut stream = world.subscribe("owner", INSIDE, None).await.ok().unwrap();
    stream.say(json!({"resourceType": "count"})).await;
    assert_eq!(stream.next().await["name"], "resource.start");
    change(&world, "POST", "counted").await;
    let frame = stream.next().await;
    assert_eq!(
        (frame["name"].as_str(), frame["data"]["id"].as_str()),
        (Some("resource.change"), Some("count"))
    );
    let counts = frame["data"]["counts"].as_object().unwrap();
    assert!(
        counts.contains_key("configmap") && !counts.contains_key("node"),
        "{counts:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_to_copy_is_listed_all_the_same() {
    let world = World::with_limits(Limits {
        bytes: 6_000,
        idle: Duration::from_secs(60),
        ..Limits::default()
    })
    .await;
    for at in 0..20 {
        world
            .configmap("mine", &format!("many-{at:02}"), json!({}))
            .await;
    }
    let list = world
        .get(
            "owner",
            &format!(
                "{INSIDE}/configmaps?filter=metadata.name~many-&sort=-metadata.name&pagesize=1"
            ),
        )
        .await;
    assert_eq!(
        (ids(&list), list["count"].as_u64()),
        (vec!["mine/many-19"], Some(20))
    );
    change(&world, "POST", "many-99").await;
    let list = world
        .get(
            "owner",
            &format!(
                "{INSIDE}/configmaps?filter=metadata.name~many-&sort=-metadata.name&pagesize=1"
            ),
        )
        .await;
    assert_eq!(ids(&list), ["mine/many-99"]);
    let mut stream = world.subscribe("owner", INSIDE, None).await.ok().unwrap();
    stream.say(json!({"resourceType": "configmap"})).await;
    assert_eq!(stream.next().await["name"], "resource.error");
}
