//! One identity in a storm leaves room to the others; who reads too slowly is told so.

mod common;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Api, DEADLINE, config_map};
use drover_kube_api::{Body, Config, Identity, Server, Storage};
use futures::FutureExt;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use serde_json::{Value, json};
use tower::ServiceExt;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// How long another identity may wait at the median while one lists without end.
const PATIENCE: Duration = Duration::from_millis(100);

fn identity(user: &str) -> Identity {
    Identity {
        user: user.to_owned(),
        groups: vec!["system:masters".to_owned()],
        uid: String::new(),
        extra: BTreeMap::new(),
    }
}

async fn get(server: &Server, user: &str, uri: &str) -> Response<Body> {
    let request = Request::get(uri)
        .body(Empty::<Bytes>::new())
        .expect("a request");
    server
        .client_service(identity(user))
        .oneshot(request)
        .await
        .expect("infallible")
}

async fn read(response: Response<Body>) -> Bytes {
    response
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes()
}

/// Makes `n` objects of a kilobyte, beside the one the server makes itself.
async fn fill(api: &Api, n: usize) {
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..16 {
        let api = api.clone();
        writers.spawn(async move {
            for number in (writer..n).step_by(16) {
                let data = json!({"data": "x".repeat(1000)});
                api.post(MAPS, &config_map(&format!("map-{number}"), &data))
                    .await
                    .expect(201);
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.expect("a writer");
    }
}

async fn server_with(lists: usize, timeout: Duration) -> Api {
    let mut config = Config::new(Storage::Memory);
    config.limits.lists_per_identity = lists;
    config.limits.request_timeout = timeout;
    Api::open(config).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_lists_keeps_nobody_else_waiting() {
    let api = Api::memory().await;
    fill(&api, 3_000).await;
    let over = Arc::new(AtomicBool::new(false));
    let lists = Arc::new(AtomicUsize::new(0));
    let mut storm = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (server, over, lists) = (api.server.clone(), Arc::clone(&over), Arc::clone(&lists));
        storm.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let listed = read(get(&server, "storm", MAPS).await).await;
                assert!(listed.len() > 3_000_000, "a whole list");
                lists.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let mut waits = Vec::new();
    // As long as it takes to see a storm.
    while lists.load(Ordering::Relaxed) < 64 || waits.len() < 60 {
        let number = waits.len() % 3_000;
        let start = Instant::now();
        if number % 2 == 0 {
            read(get(&api.server, "calm", &format!("{MAPS}/map-{number}")).await).await;
        } else {
            read(get(&api.server, "calm", &format!("{MAPS}?limit=10")).await).await;
        }
        waits.push(start.elapsed());
    }
    over.store(true, Ordering::Relaxed);
    while let Some(done) = storm.join_next().await {
        done.unwrap();
    }
    waits.sort();
    let median = waits[waits.len() / 2];
    assert!(
        median < PATIENCE,
        "median {median:?}, longest {:?}, {} requests",
        waits.last(),
        waits.len()
    );
    println!(
        "median {median:?}, longest {:?}, {} requests",
        waits.last(),
        waits.len()
    );
}

#[tokio::test]
async fn more_waiting_requests_than_can_be_answered_are_refused_at_once() {
    let api = server_with(1, Duration::from_secs(30)).await;
    fill(&api, 400).await;
    let held = get(&api.server, "a", MAPS).await;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..1100 {
        let server = api.server.clone();
        waiting.spawn(async move {
            let response = get(&server, "a", MAPS).await;
            (
                response.status().as_u16(),
                response.headers().get("retry-after").is_some(),
                read(response).await,
            )
        });
    }
    // All of them are waiting or refused once the first refusals are here; another identity is let in.
    let (code, retry, body) = waiting.join_next().await.unwrap().unwrap();
    let status: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (code, retry, &status["reason"]),
        (429, true, &json!("TooManyRequests"))
    );
    assert_eq!(get(&api.server, "b", MAPS).await.status(), 200);
    drop(held);
    let mut codes = BTreeMap::from([(code, 1)]);
    while let Some(done) = waiting.join_next().await {
        *codes.entry(done.unwrap().0).or_insert(0) += 1;
    }
    assert_eq!(codes, BTreeMap::from([(200, 1024), (429, 76)]));
}

#[tokio::test]
async fn who_asks_what_they_may_do_does_not_wait_behind_their_own_writes() {
    let mut config = Config::new(Storage::Memory);
    config.limits.writes_per_identity = 1;
    let api = Api::open(config).await;
    let post = |uri: &str, body: UnsyncBoxBody<Bytes, Infallible>| {
        let request = Request::post(uri).header("content-type", "application/json");
        let request = request.body(body).expect("a request");
        api.server.client_service(identity("a")).oneshot(request)
    };
    // A write holds its place for as long as its body does not end.
    let endless = StreamBody::new(futures::stream::pending()).boxed_unsync();
    let mut write = Box::pin(post(MAPS, endless));
    assert!(write.as_mut().now_or_never().is_none());
    let full = |object: &Value| Full::from(object.to_string()).boxed_unsync();
    let mut second = Box::pin(post(MAPS, full(&config_map("b", &json!({})))));
    assert!(second.as_mut().now_or_never().is_none(), "it waits");
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": "default"}});
    let asked = post(
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
        full(&review),
    );
    let answer = tokio::time::timeout(DEADLINE, asked).await;
    assert_eq!(answer.expect("in time").unwrap().status(), 201);
    drop(write);
    assert_eq!(second.await.unwrap().status(), 201);
}

#[tokio::test]
async fn a_list_that_is_not_read_in_time_ends_with_an_error_and_frees_its_place() {
    let api = server_with(1, Duration::from_millis(300)).await;
    fill(&api, 400).await;
    let mut stalled = get(&api.server, "a", MAPS).await.into_body();
    let first = stalled.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b"{\"kind\":\"ConfigMapList\""));
    // The next list of the identity gets the place when the deadline of the first has passed, before its own.
    let next = async {
        loop {
            let response = get(&api.server, "a", MAPS).await;
            if response.status() == 200 {
                return read(response).await;
            }
            assert_eq!(response.status(), 504);
        }
    };
    let next = tokio::time::timeout(DEADLINE, next).await.unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&next).unwrap()["items"]
            .as_array()
            .unwrap()
            .len(),
        401
    );
    let error = stalled.collect().await.unwrap_err();
    assert!(error.to_string().contains("not read within"), "{error}");
}

#[tokio::test]
async fn a_long_list_is_the_same_packed_and_plain() {
    let api = Api::memory().await;
    fill(&api, 400).await;
    for accept in [
        "application/json",
        "application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    ] {
        let fetch = async |gzip: bool| {
            let mut request = Request::get(MAPS).header("accept", accept);
            if gzip {
                request = request.header("accept-encoding", "gzip");
            }
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            let response = api
                .server
                .client_service(Identity::admin())
                .oneshot(request)
                .await
                .unwrap();
            let packed = response.headers().get("content-encoding").is_some();
            (packed, read(response).await)
        };
        let (plain, text) = fetch(false).await;
        let (packed, bytes) = fetch(true).await;
        assert!(!plain && packed);
        assert!(bytes.len() * 4 < text.len());
        let mut unpacked = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*bytes), &mut unpacked)
            .unwrap();
        let mut value: Value = serde_json::from_slice(&text).unwrap();
        let mut other: Value = serde_json::from_slice(&unpacked).unwrap();
        for list in [&mut value, &mut other] {
            let rows = list.get_mut("rows").and_then(Value::as_array_mut);
            for row in rows.into_iter().flatten() {
                // The age, which may change between two requests.
                row["cells"].as_array_mut().unwrap().pop();
            }
        }
        assert!(value == other, "{accept}: not the same");
        let items = value.get("items").or(value.get("rows")).unwrap();
        assert_eq!(items.as_array().unwrap().len(), 401);
    }
}

#[tokio::test]
async fn a_watch_that_falls_behind_the_history_ends_with_expired() {
    let api = Api::memory().await;
    let uri = format!("{MAPS}/large");
    let version = |number: usize| {
        config_map(
            "large",
            &json!({"number": number.to_string(), "data": "x".repeat(200_000)}),
        )
    };
    let made = api.post(MAPS, &version(0)).await.expect(201);
    let revision = made["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch = api
        .watch(&format!("{MAPS}?watch=1&resourceVersion={revision}"))
        .await;
    for number in 1..=60 {
        api.put(&uri, &version(number)).await.expect(200);
    }
    let mut seen = 0;
    let last = loop {
        let event = watch.next().await.unwrap();
        if event["type"] == "ERROR" {
            break event;
        }
        seen += 1;
    };
    assert!(seen < 60);
    assert_eq!(
        (&last["object"]["code"], &last["object"]["reason"]),
        (&json!(410), &json!("Expired"))
    );
    assert!(watch.next().await.is_none());
    // A new list and watch goes on from the present.
    let listed = api.get(MAPS).await.json();
    let revision = listed["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch = api
        .watch(&format!("{MAPS}?watch=1&resourceVersion={revision}"))
        .await;
    api.put(&uri, &version(61)).await.expect(200);
    assert_eq!(
        watch.next().await.unwrap()["object"]["data"]["number"],
        "61"
    );
}
