//! What no client means: every parameter with values it was not made for, and wishes that no stream can fulfil.

#![cfg(test)]

mod common;

use common::{INSIDE, World};
use serde_json::{Value, json};

/// Values that mean nothing, or too much.
fn values() -> Vec<String> {
    let mut values: Vec<String> = [
        "x",
        "-1",
        "0",
        "1.5",
        "99999999999999999999999999",
        "((",
        "'",
        "\"",
        ",",
        ",,=,",
        "metadata.labels[",
        "metadata.fields[99999999999999999999]",
        "metadata.name=a,metadata.name in (",
        "-natural(ip(metadata.name))",
        "../../../etc/passwd",
        "\u{0}\r\nX-Evil: 1",
        "%00%ff",
        "\u{1f4a5}\u{202e}",
        "true",
        "*",
    ]
    .map(str::to_owned)
    .to_vec();
    values.push("(".repeat(4000));
    values.push("metadata.name=a,".repeat(500));
    values
}

const LIST: &[&str] = &[
    "filter",
    "sort",
    "page",
    "pagesize",
    "limit",
    "continue",
    "revision",
    "labelSelector",
    "fieldSelector",
    "projectsornamespaces",
    "projectsornamespaces!",
    "summary",
    "summaryonly",
    "summarynamespaced",
    "include",
    "exclude",
    "excludeValues",
    "includeAssociatedData",
    "checkPermissions",
    "link",
    "action",
    "_method",
    "_format",
];
const ONE: &[&str] = &[
    "include",
    "exclude",
    "excludeValues",
    "checkPermissions",
    "link",
    "action",
    "_method",
];
const AUDIT: &[&str] = &[
    "user",
    "cluster",
    "verb",
    "kind",
    "namespace",
    "name",
    "auditID",
    "outcome",
    "since",
    "until",
    "before",
    "after",
    "limit",
];
const WRITE: &[&str] = &[
    "dryRun",
    "fieldManager",
    "fieldValidation",
    "force",
    "propagationPolicy",
    "gracePeriodSeconds",
];

fn with(path: &str, key: &str, value: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair(key, value)
        .finish();
    format!("{path}?{query}")
}

/// The server is never at fault, and a refusal says what is wrong.
async fn check(world: &World, method: &str, path: &str, body: Value) {
    let (status, answer) = world.send("owner", method, path, body).await;
    assert!(status < 500, "{method} {path}: {status} {answer}");
    if status < 400 || answer.is_null() {
        return;
    }
    assert_eq!(answer["status"], status, "{method} {path}: {answer}");
    for field in ["code", "message"] {
        let told = answer[field].as_str().unwrap_or_default();
        assert!(
            !told.is_empty(),
            "{method} {path} says no {field}: {answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_value_of_any_parameter_is_the_servers_fault() {
    let world = World::start().await;
    let object = format!("{INSIDE}/configmaps/mine/in-mine");
    let reads: [(&str, &[&str]); 9] = [
        (&format!("{INSIDE}/configmaps"), LIST),
        (&format!("{INSIDE}/pods/mine"), LIST),
        ("/v1/management.cattle.io.clusters", LIST),
        (&object, ONE),
        ("/v1/management.cattle.io.clusters/c-1", ONE),
        ("/v1/search", &["q", "limit"]),
        ("/v1/userpreferences", &["filter", "_method"]),
        (&format!("{INSIDE}/schemas"), &["filter", "page"]),
        (&format!("{INSIDE}/counts"), &["filter"]),
    ];
    for value in values() {
        for (path, keys) in reads {
            for key in keys {
                check(&world, "GET", &with(path, key, &value), Value::Null).await;
            }
        }
        for key in WRITE {
            let path = with(&object, key, &value);
            check(&world, "PATCH", &path, json!({"data": {"k": "v"}})).await;
        }
        let dry = format!("{}&dryRun=All", with(&object, "propagationPolicy", &value));
        check(&world, "DELETE", &dry, Value::Null).await;
        // Only an administrator reads the log.
        for key in AUDIT {
            let path = with("/v1/audit", key, &value);
            let (status, answer) = world.send(&world.admin, "GET", &path, Value::Null).await;
            assert!(status < 500, "{path}: {status} {answer}");
            if status >= 400 {
                assert_eq!(answer["fieldName"], *key, "{path}: {answer}");
            }
        }
        let audit = with("/v1/audit", "limit", &value);
        assert_eq!(world.send("owner", "GET", &audit, Value::Null).await.0, 403);
    }
    // Nothing of it harmed what everybody shares.
    let list = world
        .get("owner", &format!("{INSIDE}/configmaps/mine"))
        .await;
    assert_eq!(list["count"], 2, "{list}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wishes_that_cannot_be_fulfilled_are_refused_one_by_one() {
    let world = World::start().await;
    let mut stream = world.subscribe("owner", INSIDE, None).await.unwrap();
    let long = "x".repeat(20_000);
    let hostile = [
        (json!({"resourceType": "nosuch"}), "failed to find schema"),
        (json!({"resourceType": long}), "failed to find schema"),
        (
            json!({"resourceType": "../configmap"}),
            "failed to find schema",
        ),
        (
            json!({"resourceType": "configmap", "selector": "(("}),
            "labelSelector",
        ),
        (
            json!({"resourceType": "configmap", "selector": "a~b"}),
            "labelSelector",
        ),
        (
            json!({"resourceType": "configmap", "resourceVersion": "abc"}),
            "too old",
        ),
        (
            json!({"resourceType": "configmap", "resourceVersion": "1"}),
            "too old",
        ),
        (
            json!({"resourceType": "configmap", "resourceVersion": "99999999999999999999999"}),
            "too old",
        ),
    ];
    for (wish, reason) in hostile {
        let named = wish["resourceType"].clone();
        stream.say(wish.clone()).await;
        let refused = stream.next().await;
        assert_eq!(refused["name"], "resource.error", "{wish}: {refused}");
        assert_eq!(refused["resourceType"], named);
        let told = refused["data"]["error"].as_str().unwrap_or_default();
        assert!(told.contains(reason), "{wish}: {told}");
        assert_eq!(stream.next().await["name"], "resource.stop", "{wish}");
    }
    // What is no wish at all is passed over, as the peer does.
    for nonsense in [
        json!(null),
        json!([1, 2]),
        json!("text"),
        json!({"resourceType": 5}),
        json!({"resourceType": "configmap", "debounceMs": -1}),
        json!({"resourceType": "configmap", "debounceMs": "soon"}),
        json!({"stop": true}),
        json!({"resourceType": "configmap", "stop": true}),
        json!({}),
    ] {
        stream.say(nonsense).await;
    }
    // The same stream still serves, also with the longest of windows, and for namespaces that cannot be.
    for wish in [
        json!({"resourceType": "configmap", "mode": "resource.changes", "debounceMs": u64::MAX}),
        json!({"resourceType": "configmap", "namespace": "../mine"}),
        json!({"resourceType": "configmap", "mode": "no such mode"}),
    ] {
        stream.say(wish.clone()).await;
        assert_eq!(stream.next().await["name"], "resource.start", "{wish}");
    }
    world.configmap("mine", "after-all", json!({})).await;
    let told = stream
        .wait(|frame| frame["name"] == "resource.create")
        .await;
    assert_eq!(told["data"]["id"], "mine/after-all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_watches_than_a_socket_has_are_refused() {
    let world = World::start().await;
    let mut stream = world.subscribe("owner", INSIDE, None).await.unwrap();
    for number in 0..513 {
        let wish = json!({"resourceType": "configmap", "namespace": format!("n-{number}")});
        stream.say(wish).await;
    }
    let refused = stream.wait(|frame| frame["name"] == "resource.error").await;
    assert_eq!(refused["namespace"], "n-512");
    assert_eq!(refused["data"]["error"], "too many watches on one socket");
}
