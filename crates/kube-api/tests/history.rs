//! History: what watches and pages see of the past, and when they are told that it is gone.

mod common;

use common::{Api, Watch, config_map};
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn revision(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"]
        .as_str()
        .expect("as made by the test")
        .parse()
        .expect("as made by the test")
}

fn labelled(name: &str, app: &str) -> Value {
    let mut map = config_map(name, &json!({}));
    map["metadata"]["labels"] = json!({"app": app});
    map
}

async fn list_revision(api: &Api) -> u64 {
    revision(&api.get(MAPS).await.expect(200))
}

async fn names_until(watch: &mut Watch, last: &str) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let (kind, name) = watch.event().await;
        assert_ne!(kind, "ERROR");
        let done = name == last;
        names.push(name);
        if done {
            return names;
        }
    }
}

#[tokio::test]
async fn a_watch_finds_its_event_behind_many_of_others() {
    let api = Api::memory().await;
    let start = list_revision(&api).await;
    for n in 0..700 {
        api.post(MAPS, &labelled(&format!("other-{n}"), "other"))
            .await
            .expect(201);
    }
    api.post(MAPS, &labelled("mine", "mine")).await.expect(201);
    for n in 0..300 {
        api.post(MAPS, &labelled(&format!("later-{n}"), "other"))
            .await
            .expect(201);
    }
    // Nothing is written any more: it must come without a push.
    let mut watch = api
        .watch(&format!(
            "{MAPS}?watch=1&labelSelector=app%3Dmine&resourceVersion={start}"
        ))
        .await;
    assert_eq!(watch.event().await, ("ADDED".to_owned(), "mine".to_owned()));
    assert!(watch.is_quiet());
}

#[tokio::test]
async fn a_watch_under_constant_writing_ends_with_its_time() {
    let api = Api::memory().await;
    let start = list_revision(&api).await;
    let mut watch =
        api.watch(&format!("{MAPS}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true&labelSelector=app&resourceVersion={start}")).await;
    let writer = tokio::spawn({
        let api = api.clone();
        async move {
            for n in 0_u64.. {
                api.post(MAPS, &labelled(&format!("map-{n}"), "x"))
                    .await
                    .expect(201);
            }
        }
    });
    let mut last = start;
    let mut last_kind = String::new();
    while let Some(event) = watch.next().await {
        let now = revision(&event["object"]);
        assert!(
            now > last || event["type"] == "BOOKMARK" && now == last,
            "{now} after {last}"
        );
        last = now;
        event["type"].as_str().unwrap().clone_into(&mut last_kind);
    }
    assert_eq!(last_kind, "BOOKMARK");
    writer.abort();
}

#[tokio::test]
async fn deletions_carry_the_revision_of_the_deletion_and_order_holds() {
    let api = Api::memory().await.settled().await;
    let start = list_revision(&api).await;
    for name in ["a", "b", "c"] {
        api.post(MAPS, &labelled(name, "x")).await.expect(201);
    }
    api.delete(&format!("{MAPS}/b")).await.expect(200);
    api.post(MAPS, &labelled("b", "x")).await.expect(201);
    let mut watch = api
        .watch(&format!(
            "{MAPS}?watch=1&labelSelector=app&resourceVersion={start}"
        ))
        .await;
    let mut last = start;
    let mut seen = Vec::new();
    for _ in 0..5 {
        let event = watch.next().await.unwrap();
        assert!(revision(&event["object"]) > last);
        last = revision(&event["object"]);
        seen.push(format!(
            "{} {}",
            event["type"].as_str().unwrap(),
            event["object"]["metadata"]["name"].as_str().unwrap()
        ));
    }
    assert_eq!(
        seen,
        ["ADDED a", "ADDED b", "ADDED c", "DELETED b", "ADDED b"]
    );
    assert_eq!(last, list_revision(&api).await);
}

#[tokio::test]
async fn pages_show_one_moment_whatever_is_written_between_them() {
    let api = Api::memory().await;
    for n in 0..30 {
        api.post(MAPS, &labelled(&format!("map-{n:02}"), "x"))
            .await
            .expect(201);
    }
    let whole = api
        .get(&format!("{MAPS}?labelSelector=app"))
        .await
        .expect(200);
    let mut items = Vec::new();
    let mut token = String::new();
    let mut at = None;
    for page in 0.. {
        let uri = format!("{MAPS}?labelSelector=app&limit=7&continue={token}");
        let list = api.get(&uri).await.expect(200);
        assert_eq!(
            *at.get_or_insert(revision(&list)),
            revision(&list),
            "all pages are of one revision"
        );
        items.extend(list["items"].as_array().unwrap().iter().cloned());
        match list["metadata"]["continue"].as_str() {
            Some(next) if !next.is_empty() => next.clone_into(&mut token),
            _ => break,
        }
        // Before, within and after what was already shown.
        api.delete(&format!("{MAPS}/map-{:02}", page * 7 + 9)).await;
        api.merge(
            &format!("{MAPS}/map-{:02}", 29 - page),
            &json!({"data": {"page": page.to_string()}}),
        )
        .await
        .expect(200);
        api.post(MAPS, &labelled(&format!("map-{page}5-new"), "x"))
            .await
            .expect(201);
    }
    assert_eq!(json!(items), whole["items"]);
}

#[tokio::test]
async fn after_a_restart_only_the_newest_revision_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drover.db");
    let api = Api::file(&path).await;
    let old = list_revision(&api).await;
    for name in ["a", "a2"] {
        api.post(MAPS, &labelled(name, "x")).await.expect(201);
    }
    let page = api.get(&format!("{MAPS}?limit=1")).await.expect(200);
    api.server.shutdown().await;
    let api = Api::file(&path).await;
    let gone = api
        .get(&format!("{MAPS}?watch=1&resourceVersion={old}"))
        .await
        .expect(410);
    assert_eq!(gone["reason"], "Expired");
    let token = page["metadata"]["continue"].as_str().unwrap();
    let gone = api
        .get(&format!("{MAPS}?limit=1&continue={token}"))
        .await
        .expect(410);
    assert_eq!(gone["reason"], "Expired");
    let now = list_revision(&api).await;
    let mut watch = api
        .watch(&format!(
            "{MAPS}?watch=1&labelSelector=app&resourceVersion={now}"
        ))
        .await;
    let made = api.post(MAPS, &labelled("b", "x")).await.expect(201);
    assert!(revision(&made) > now);
    assert_eq!(names_until(&mut watch, "b").await, ["b"]);
    api.server.shutdown().await;
}

#[tokio::test]
async fn the_past_is_forgotten_by_bytes_and_the_rest_stays_whole() {
    let api = Api::memory().await;
    let start = list_revision(&api).await;
    let filler = "x".repeat(700_000);
    let mut revisions = vec![start];
    for n in 0..12 {
        let mut map = labelled("large", "x");
        map["data"] = json!({"filler": filler, "n": n.to_string()});
        let uri = format!("{MAPS}/large");
        let written = if n == 0 {
            api.post(MAPS, &map).await.expect(201)
        } else {
            api.put(&uri, &map).await.expect(200)
        };
        revisions.push(revision(&written));
    }
    // Of a watch only the code is looked at; its body would not end.
    let resumes = async |from: u64| {
        let request = http::Request::get(format!(
            "{MAPS}?watch=1&labelSelector=app&resourceVersion={from}"
        ));
        let request = request
            .body(http_body_util::Empty::<bytes::Bytes>::new())
            .unwrap();
        let service = api
            .server
            .client_service(drover_kube_api::Identity::admin());
        tower::ServiceExt::oneshot(service, request)
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(resumes(start).await, 410);
    let mut codes = Vec::new();
    for from in &revisions {
        codes.push(resumes(*from).await);
    }
    // Once a revision can be resumed, all later ones can.
    let first = codes
        .iter()
        .position(|code| *code == 200)
        .expect("the newest can be resumed");
    assert!(
        first > 1 && codes[first..].iter().all(|code| *code == 200),
        "{codes:?}"
    );
    let from = revisions[first];
    let mut watch = api
        .watch(&format!(
            "{MAPS}?watch=1&labelSelector=app&resourceVersion={from}"
        ))
        .await;
    for expected in &revisions[first + 1..] {
        assert_eq!(revision(&watch.next().await.unwrap()["object"]), *expected);
    }
    assert!(watch.is_quiet());
}
