//! What watches deliver: everything once, in order, or a clear end.

mod common;

use common::{Api, config_map};
use serde_json::json;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn make(api: &Api, name: &str, app: &str) {
    let mut map = config_map(name, &json!({}));
    map["metadata"]["labels"] = json!({"app": app});
    api.post(MAPS, &map).await.expect(201);
}

#[tokio::test]
async fn a_watch_shows_what_is_there_and_what_comes() {
    let api = Api::memory().await;
    make(&api, "a", "x").await;
    let mut watch = api
        .watch(&format!("{MAPS}?watch=true&labelSelector=app"))
        .await;
    assert_eq!(watch.event().await, ("ADDED".to_owned(), "a".to_owned()));
    make(&api, "b", "x").await;
    assert_eq!(watch.event().await, ("ADDED".to_owned(), "b".to_owned()));
    api.merge(&format!("{MAPS}/b"), &json!({"data": {"k": "v"}}))
        .await
        .expect(200);
    assert_eq!(watch.event().await, ("MODIFIED".to_owned(), "b".to_owned()));
    let before = api.get(&format!("{MAPS}/b")).await.json();
    api.delete(&format!("{MAPS}/b")).await.expect(200);
    let deleted = watch.next().await.unwrap();
    assert_eq!(deleted["type"], "DELETED");
    let revision = |value: &serde_json::Value| -> u64 {
        value["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    assert!(revision(&deleted["object"]) > revision(&before));
    assert!(watch.is_quiet());
}

#[tokio::test]
async fn leaving_a_selection_is_a_deletion_and_entering_it_an_addition() {
    let api = Api::memory().await;
    make(&api, "a", "x").await;
    let mut watch = api
        .watch(&format!("{MAPS}?watch=true&labelSelector=app%3Dx"))
        .await;
    assert_eq!(watch.event().await, ("ADDED".to_owned(), "a".to_owned()));
    api.merge(
        &format!("{MAPS}/a"),
        &json!({"metadata": {"labels": {"app": "y"}}}),
    )
    .await
    .expect(200);
    let left = watch.next().await.unwrap();
    assert_eq!(left["type"], "DELETED");
    assert_eq!(left["object"]["metadata"]["labels"]["app"], "x");
    let now = api.get(&format!("{MAPS}/a")).await.json();
    assert_eq!(
        left["object"]["metadata"]["resourceVersion"],
        now["metadata"]["resourceVersion"]
    );
    api.merge(
        &format!("{MAPS}/a"),
        &json!({"metadata": {"labels": {"app": "x"}}}),
    )
    .await
    .expect(200);
    assert_eq!(watch.event().await, ("ADDED".to_owned(), "a".to_owned()));
    let mut other = api
        .watch("/api/v1/namespaces/kube-public/configmaps?watch=true&labelSelector=app")
        .await;
    make(&api, "c", "x").await;
    assert_eq!(watch.event().await, ("ADDED".to_owned(), "c".to_owned()));
    assert!(other.is_quiet());
}

#[tokio::test]
async fn a_watch_resumes_after_its_revision() {
    let api = Api::memory().await;
    make(&api, "a", "x").await;
    let listed = api.get(MAPS).await.json();
    let revision = listed["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    make(&api, "b", "x").await;
    make(&api, "c", "x").await;
    let mut watch = api
        .watch(&format!(
            "{MAPS}?watch=1&resourceVersion={revision}&labelSelector=app"
        ))
        .await;
    assert_eq!(watch.event().await.1, "b");
    assert_eq!(watch.event().await.1, "c");
    let future = api
        .get(&format!("{MAPS}?watch=1&resourceVersion=99999999"))
        .await;
    future.expect(504);
    api.get(&format!("{MAPS}?watch=1&sendInitialEvents=true"))
        .await
        .expect(422);
    api.get(&format!(
        "{MAPS}?watch=1&resourceVersionMatch=NotOlderThan&resourceVersion=1"
    ))
    .await
    .expect(422);
}

#[tokio::test]
async fn a_streamed_list_ends_with_its_bookmark() {
    let api = Api::memory().await;
    make(&api, "a", "x").await;
    let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=app";
    let mut watch = api.watch(&format!("{MAPS}?{query}")).await;
    assert_eq!(watch.event().await, ("ADDED".to_owned(), "a".to_owned()));
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["kind"], "ConfigMap");
    assert_eq!(
        bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
    assert!(bookmark["object"]["metadata"]["resourceVersion"].is_string());
    make(&api, "b", "x").await;
    assert_eq!(watch.event().await, ("ADDED".to_owned(), "b".to_owned()));
}

#[tokio::test]
async fn a_watch_ends_with_its_time_and_with_the_server() {
    let api = Api::memory().await;
    let revision = api.get(MAPS).await.json()["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut short = api
        .watch(&format!("{MAPS}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true&labelSelector=app&resourceVersion={revision}"))
        .await;
    assert_eq!(short.event().await.0, "BOOKMARK");
    assert!(short.next().await.is_none());
    let mut long = api
        .watch(&format!(
            "{MAPS}?watch=1&labelSelector=app&resourceVersion={revision}"
        ))
        .await;
    assert!(long.is_quiet());
    api.server.shutdown().await;
    assert!(long.next().await.is_none());
}

#[tokio::test]
async fn a_reader_that_falls_behind_is_told_so() {
    let api = Api::memory().await;
    api.post(MAPS, &config_map("a", &json!({})))
        .await
        .expect(201);
    let revision = api.get(MAPS).await.json()["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut watch = api
        .watch(&format!("{MAPS}?watch=1&resourceVersion={revision}"))
        .await;
    // More bytes of outdated versions than the window keeps.
    let filler = "x".repeat(900_000);
    for n in 0..8 {
        api.merge(
            &format!("{MAPS}/a"),
            &json!({"data": {"k": filler, "n": n.to_string()}}),
        )
        .await
        .expect(200);
    }
    let error = watch.next().await.unwrap();
    assert_eq!(error["type"], "ERROR");
    assert_eq!(error["object"]["code"], 410);
    assert_eq!(error["object"]["reason"], "Expired");
    assert!(watch.next().await.is_none());
    api.get(&format!("{MAPS}?watch=1&resourceVersion={revision}"))
        .await
        .expect(410);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_watch_sees_every_write_once_and_in_order() {
    const WRITERS: usize = 8;
    const WRITES: usize = 40;
    let api = Api::memory().await;
    let revision = api.get(MAPS).await.json()["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut watches = Vec::new();
    for _ in 0..4 {
        watches.push(
            api.watch(&format!(
                "{MAPS}?watch=1&resourceVersion={revision}&labelSelector=app"
            ))
            .await,
        );
    }
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let api = api.clone();
        writers.spawn(async move {
            for n in 0..WRITES {
                make(&api, &format!("w{writer}-{n}"), "x").await;
            }
        });
    }
    writers.join_all().await;
    for mut watch in watches {
        let mut last = 0;
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..WRITERS * WRITES {
            let event = watch.next().await.unwrap();
            let metadata = &event["object"]["metadata"];
            let revision: u64 = metadata["resourceVersion"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap();
            assert!(revision > last);
            last = revision;
            assert!(seen.insert(metadata["name"].as_str().unwrap().to_owned()));
        }
        assert!(watch.is_quiet());
    }
    api.server.shutdown().await;
}
