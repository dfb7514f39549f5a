//! The audit log over `/v1/audit`: who reads it, pages, filters, new entries, and whether it is whole.

#![cfg(test)]

mod common;

use common::{World, ids, put};
use drover_audit::{Entry, Object, Stage, User};
use drover_auth::{Attributes, Identity, TokenRef};
use drover_types::management::{GlobalRole, GlobalRoleBinding};
use kube::api::DeleteParams;
use serde_json::{Value, json};

const ROUTES: [(&str, &str, &str); 5] = [
    ("GET", "/v1/audit", "list"),
    ("GET", "/v1/audit/1", "get"),
    ("GET", "/v1/audit/follow", "watch"),
    ("GET", "/v1/audit/verification", "list"),
    ("POST", "/v1/audit/verification", "list"),
];

fn entry(number: u16, user: &str, verb: &str) -> Entry {
    let at = "2026-11-29T12:00:00Z".parse().unwrap();
    Entry {
        audit_id: format!("id-{number}"),
        request_uri: "/v3/clusters".to_owned(),
        user: Some(User {
            name: user.to_owned(),
            ..User::default()
        }),
        user_login_name: None,
        method: "GET".to_owned(),
        remote_addr: None,
        request_timestamp: at,
        response_timestamp: at,
        response_code: 200 + number,
        stage: Stage::ResponseComplete,
        verb: verb.to_owned(),
        object: Object {
            cluster: Some("c-1".to_owned()),
            ..Object::default()
        },
        duration_millis: 1,
        request_header: None,
        response_header: None,
        request_body: Some(json!({"name": "[redacted]"})),
        response_body: None,
    }
}

/// Writes entries 0, 1, … and waits until they can be read; they are the lines from 2 on.
async fn write(world: &World, n_entries: u16) {
    let mut written = world.audit.reader().written();
    for number in 0..n_entries {
        let user = if number.is_multiple_of(2) {
            "even"
        } else {
            "odd"
        };
        world.audit.submit(&entry(number, user, "list"));
    }
    let all = u64::from(n_entries) + 1;
    tokio::time::timeout(common::PATIENCE, written.wait_for(|last| *last >= all))
        .await
        .expect("they are written")
        .expect("the writer lives");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_has_the_right_reads_the_log_and_only_what_it_covers() {
    let world = World::start().await;
    write(&world, 1).await;
    for (method, path, verb) in ROUTES {
        let (status, _) = world.send("", method, path, Value::Null).await;
        assert_eq!(status, 401, "{method} {path}");
        // An owner of a cluster is nobody here: the log is of all clusters.
        for user in ["stranger", "member", "owner"] {
            let (status, answer) = world.send(user, method, path, Value::Null).await;
            assert_eq!(status, 403, "{user} {method} {path}");
            let message = answer["message"].as_str().unwrap();
            assert!(
                message.contains("auditlogs.auditlog.cattle.io") && message.contains(verb),
                "{message}"
            );
        }
        let scoped = Identity {
            token: Some(TokenRef {
                name: "token-1".to_owned(),
                cluster: Some("local".to_owned()),
                kind: "kubeconfig".to_owned(),
                derived: true,
            }),
            ..Identity::of(world.admin.clone())
        };
        let answer = world
            .ask_as(Some(scoped), method, path, "application/json", Value::Null)
            .await;
        assert_eq!(
            answer.status, 401,
            "a token of one cluster: {method} {path}"
        );
        let inside = path.replace("/v1", common::INSIDE);
        let (status, _) = world.send(&world.admin, method, &inside, Value::Null).await;
        assert_eq!(status, 404, "{method} {inside}");
    }
    assert_eq!(ids(&world.get(&world.admin, "/v1/audit").await).len(), 2);
    for (method, path) in [
        ("POST", "/v1/audit"),
        ("DELETE", "/v1/audit/1"),
        ("PUT", "/v1/audit/1"),
    ] {
        let (status, _) = world.send(&world.admin, method, path, Value::Null).await;
        assert_eq!(status, 403, "{method} {path}");
    }

    // A global role may give it, a verb at a time.
    let rule =
        json!({"apiGroups": ["auditlog.cattle.io"], "resources": ["auditlogs"], "verbs": ["list"]});
    put::<GlobalRole>(
        kube::Api::all(world.hub.clone()),
        json!({"metadata": {"name": "auditor"}, "displayName": "auditor", "rules": [rule]}),
    )
    .await;
    put::<GlobalRoleBinding>(
        kube::Api::all(world.hub.clone()),
        json!({"metadata": {"name": "grb-auditor"}, "globalRoleName": "auditor", "userName": "stranger"}),
    )
    .await;
    let asked = Attributes {
        verb: "list",
        group: "auditlog.cattle.io",
        resource: "auditlogs",
        namespace: None,
        name: None,
    };
    let stranger = Identity::of("stranger");
    world
        .until(|access| access.is_allowed(&stranger, &asked))
        .await;
    world.get("stranger", "/v1/audit").await;
    let (status, _) = world
        .send("stranger", "GET", "/v1/audit/1", Value::Null)
        .await;
    assert_eq!(status, 403);
}

/// A link without scheme and host.
fn path_of(link: &str) -> &str {
    &link[link.find("/v1/").unwrap()..]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_read_by_pages_filtered_and_one_by_one() {
    let world = World::start().await;
    write(&world, 10).await;
    let admin = world.admin.as_str();
    let first = world.get(admin, "/v1/audit?user=even&limit=3").await;
    assert_eq!(ids(&first), ["10", "8", "6"]);
    let entry = &first["data"][0];
    assert_eq!(entry["auditID"], "id-8");
    assert_eq!(entry["type"], "auditEntry");
    assert_eq!(entry.get("requestBody"), None);
    assert_eq!(first["newest"], 11);
    let next = first["pagination"]["next"].as_str().unwrap();
    let second = world.get(admin, path_of(next)).await;
    assert_eq!(ids(&second), ["4", "2"]);
    assert_eq!(second.get("continue"), None);

    let own = entry["links"]["self"].as_str().unwrap();
    let whole = world.get(admin, path_of(own)).await;
    assert_eq!(whole["requestBody"], json!({"name": "[redacted]"}));
    assert_eq!(whole["sequence"], 10);
    let (status, _) = world
        .send(admin, "GET", "/v1/audit/4711", Value::Null)
        .await;
    assert_eq!(status, 404);

    assert_eq!(ids(&world.get(admin, "/v1/audit?outcome=207").await), ["9"]);
    assert_eq!(
        ids(&world.get(admin, "/v1/audit?verb=!list").await).len(),
        0,
        "what the log says of itself is nobody's doing"
    );
    assert_eq!(
        ids(&world.get(admin, "/v1/audit?cluster=c-2").await).len(),
        0
    );
    let none = world
        .get(admin, "/v1/audit?user=odd&until=2026-11-29T11:00:00Z")
        .await;
    assert_eq!(ids(&none).len(), 0);
    let (status, refused) = world
        .send(admin, "GET", "/v1/audit?since=now", Value::Null)
        .await;
    assert_eq!(
        (status, refused["fieldName"].as_str()),
        (422, Some("since"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_entries_are_told_and_the_stream_ends_with_the_right() {
    let world = World::start().await;
    write(&world, 4).await;
    let rule = json!({"apiGroups": ["auditlog.cattle.io"], "resources": ["*"], "verbs": ["watch"]});
    put::<GlobalRole>(
        kube::Api::all(world.hub.clone()),
        json!({"metadata": {"name": "watcher"}, "displayName": "watcher", "rules": [rule]}),
    )
    .await;
    let bindings: kube::Api<GlobalRoleBinding> = kube::Api::all(world.hub.clone());
    put(
        bindings.clone(),
        json!({"metadata": {"name": "grb-w"}, "globalRoleName": "watcher", "userName": "stranger"}),
    )
    .await;
    let asked = Attributes {
        verb: "watch",
        group: "auditlog.cattle.io",
        resource: "auditlogs",
        namespace: None,
        name: None,
    };
    let stranger = Identity::of("stranger");
    world
        .until(|access| access.is_allowed(&stranger, &asked))
        .await;
    assert_eq!(
        world
            .open("stranger", "/v1/audit/follow?limit=x", None)
            .await
            .err(),
        Some(422)
    );
    let mut stream = world
        .open("stranger", "/v1/audit/follow?after=3&user=odd", None)
        .await
        .expect("a stream");
    let missed = stream.next().await;
    assert_eq!(
        (missed["name"].as_str(), ids(&missed)),
        (Some("audit.entries"), vec!["5"])
    );
    for number in 5..8 {
        let user = if number == 6 { "odd" } else { "even" };
        world.audit.submit(&entry(number, user, "get"));
    }
    let told = stream.next().await;
    assert_eq!(ids(&told), ["7"]);
    assert_eq!(told["more"], false);
    bindings
        .delete("grb-w", &DeleteParams::default())
        .await
        .unwrap();
    stream.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_the_log_is_whole_is_checked_on_demand_and_remembered() {
    let world = World::start().await;
    write(&world, 5).await;
    let admin = world.admin.as_str();
    let path = "/v1/audit/verification";
    assert_eq!(world.get(admin, path).await["state"], "unknown");
    let (status, checked) = world.send(admin, "POST", path, Value::Null).await;
    assert_eq!(
        (status, checked["state"].as_str(), checked["last"].as_u64()),
        (200, Some("whole"), Some(6))
    );
    assert_eq!(world.get(admin, path).await["state"], "whole");
    let log = world.audit_folder.path().join("audit.log");
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, text.replacen("id-2", "id-9", 1)).unwrap();
    let (_, checked) = world.send(admin, "POST", path, Value::Null).await;
    assert_eq!(
        (checked["state"].as_str(), checked["line"].as_u64()),
        (Some("broken"), Some(4))
    );
    assert_eq!(checked["file"], "audit.log");
}
