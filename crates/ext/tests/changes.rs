//! What changes: watches of one's own, lists of changes as patches, and groups that are looked at again.

#[cfg(test)]
mod common;

use common::{World, names};
use drover_auth::Identity;
use drover_auth::web::Response;
use drover_testkit::embedded::{self, PATIENCE, put};
use drover_types::management::{GlobalRoleBinding, User};
use http_body_util::BodyExt;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::{Value, json};

const JSON_PATCH: &str = "application/json-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";

/// A watch that is read line by line.
struct Watch {
    body: drover_auth::web::Body,
    read: Vec<u8>,
}

impl Watch {
    fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        Self {
            body: response.into_body(),
            read: Vec::new(),
        }
    }

    /// The next line, none at the end.
    async fn next(&mut self) -> Option<Value> {
        let line = async {
            loop {
                if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = self.read.drain(..=end).collect();
                    return Some(serde_json::from_slice(&line).expect("a line of JSON"));
                }
                let frame = self.body.frame().await?.expect("a frame");
                self.read.extend(frame.into_data().expect("data"));
            }
        };
        tokio::time::timeout(PATIENCE, line)
            .await
            .expect("a line in time")
    }

    /// Kind of change, name, and description of the next object.
    async fn change(&mut self) -> (String, String, String) {
        let line = self.next().await.expect("a change");
        let text = |pointer: &str| {
            let found = line.pointer(pointer).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        (
            text("/type"),
            text("/object/metadata/name"),
            text("/object/spec/description"),
        )
    }
}

impl World {
    async fn watch(&self, user: &str, path: &str) -> Watch {
        let identity = Some(Identity::of(user));
        let answer = self.ask(identity, "GET", path, "application/json", Value::Null);
        Watch::of(answer.await)
    }

    async fn make(&self, user: &str, kind: &str, description: &str) -> String {
        let body = json!({"spec": {"description": description}});
        let (status, made) = self.send(user, "POST", &format!("/{kind}"), body).await;
        assert_eq!(status, 201, "{made}");
        let name = made["metadata"]["name"].as_str();
        name.expect("a name").to_owned()
    }
}

fn change(kind: &str, name: &str, description: &str) -> (String, String, String) {
    (kind.to_owned(), name.to_owned(), description.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_tells_of_ones_own_and_goes_on_where_a_list_ends() {
    let world = World::start().await;
    for kind in ["tokens", "kubeconfigs"] {
        let all = format!("/{kind}");
        let first = world.make("ann", kind, "first").await;
        // Without a version it begins with what is there.
        let mut watch = world.watch("ann", &format!("{all}?watch=true")).await;
        assert_eq!(watch.change().await, change("ADDED", &first, "first"));

        let (_, list) = world.send("ann", "GET", &all, Value::Null).await;
        let version = list["metadata"]["resourceVersion"]
            .as_str()
            .expect("a version");
        assert_eq!(names(&list), [first.as_str()]);
        let later = format!("{all}?watch=1&resourceVersion={version}");
        let mut later = world.watch("ann", &later).await;

        // What is others' is not told of.
        world.make("bob", kind, "not hers").await;
        let second = world.make("ann", kind, "second").await;
        let one = format!("{all}/{second}");
        let patch = json!({"spec": {"description": "changed"}});
        assert_eq!(world.send("ann", "PATCH", &one, patch).await.0, 200);
        assert_eq!(world.send("ann", "DELETE", &one, Value::Null).await.0, 200);
        for watch in [&mut watch, &mut later] {
            let mut seen = watch.change().await;
            assert_eq!((seen.0.as_str(), &seen.1), ("ADDED", &second), "{kind}");
            // A kubeconfig is finished in a second step.
            while seen.0 != "DELETED" {
                seen = watch.change().await;
                assert_eq!(seen.1, second, "{kind}");
            }
            assert_eq!(seen, change("DELETED", &second, "changed"), "{kind}");
        }

        let only = format!("{all}?watch=true&fieldSelector=metadata.name%3D{first}");
        let mut only = world.watch(&world.kept.admin, &only).await;
        assert_eq!(only.change().await, change("ADDED", &first, "first"));
        // Nobody sees what opens a door: neither keys nor their hashes.
        let mut everything = world
            .watch(&world.kept.admin, &format!("{all}?watch=true"))
            .await;
        for _ in 0..2 {
            let line = everything.next().await.expect("a line").to_string();
            assert!(
                !line.contains("$3:") && !line.contains("bearerToken"),
                "{line}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_ends_with_its_time_its_right_and_its_user() {
    let world = World::start().await;
    let (status, refused) = world
        .send("stranger", "GET", "/tokens?watch=true", Value::Null)
        .await;
    assert_eq!((status, &refused["reason"]), (403, &json!("Forbidden")));
    assert_eq!(
        world
            .send("", "GET", "/tokens?watch=true", Value::Null)
            .await
            .0,
        401
    );
    // Those that are made only cannot be watched.
    for path in ["/selfusers?watch=true", "/useractivities?watch=true"] {
        let (status, _) = world.send("ann", "GET", path, Value::Null).await;
        assert!(matches!(status, 404 | 405), "{path}: {status}");
    }

    let mut timed = world
        .watch("ann", "/tokens?watch=true&timeoutSeconds=1")
        .await;
    assert_eq!(timed.next().await, None);

    let mut righted = world.watch("ann", "/tokens?watch=true").await;
    let bindings: Api<GlobalRoleBinding> = Api::all(world.hub.clone());
    let gone = bindings.delete("ann", &DeleteParams::default()).await;
    gone.expect("it was there");
    assert_eq!(righted.next().await, None);

    let mut known = world.watch("bob", "/tokens?watch=true").await;
    let users: Api<User> = Api::all(world.hub.clone());
    let gone = users.delete("bob", &DeleteParams::default()).await;
    gone.expect("he was there");
    assert_eq!(known.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_rows_of_tables_where_that_is_asked_for() {
    let world = World::start().await;
    let name = world.make("ann", "tokens", "d").await;
    let request = http::Request::builder()
        .uri(format!("{}/tokens?watch=true", common::ROOT))
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(drover_auth::web::empty())
        .expect("a request");
    let path = format!("{}/tokens", common::ROOT);
    let answer = world
        .ext
        .handle(request, Some(Identity::of("ann")), &path)
        .await;
    let line = Watch::of(answer).next().await.expect("a line");
    assert_eq!(
        (&line["type"], &line["object"]["kind"]),
        (&json!("ADDED"), &json!("Table"))
    );
    assert_eq!(line["object"]["rows"][0]["cells"][0], json!(name));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_changes_are_patches() {
    let world = World::start().await;
    for kind in ["tokens", "kubeconfigs"] {
        let name = world.make("ann", kind, "first").await;
        let one = format!("/{kind}/{name}");
        let patch = async |user: &str, kind: &str, body: Value| {
            let identity = Some(Identity::of(user));
            let answer = world.ask(identity, "PATCH", &one, kind, body).await;
            let status = answer.status().as_u16();
            let body = answer
                .into_body()
                .collect()
                .await
                .expect("a body")
                .to_bytes();
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            (status, body)
        };
        let change = json!([
            {"op": "test", "path": "/spec/description", "value": "first"},
            {"op": "replace", "path": "/spec/description", "value": "second"},
        ]);
        let (status, changed) = patch("ann", JSON_PATCH, change.clone()).await;
        assert_eq!(
            (status, &changed["spec"]["description"]),
            (200, &json!("second")),
            "{changed}"
        );
        // The test fails now, and nothing is changed.
        assert_eq!(patch("ann", JSON_PATCH, change.clone()).await.0, 422);
        assert_eq!(patch("bob", JSON_PATCH, change).await.0, 404);
        let fixed = json!([{"op": "replace", "path": "/spec/ttl", "value": -1}]);
        assert_eq!(patch("ann", JSON_PATCH, fixed).await.0, 400);
        assert_eq!(patch("ann", JSON_PATCH, json!({"spec": {}})).await.0, 400);
    }
}

/// Managers with the fields of `spec` that each owns.
fn owners(object: &Value) -> Vec<(&str, &str, Vec<&str>)> {
    let entries = object["metadata"]["managedFields"].as_array();
    let entries = entries.into_iter().flatten().map(|entry| {
        let text = |field: &str| entry[field].as_str().unwrap_or_default();
        let spec = entry["fieldsV1"]["f:spec"].as_object();
        let fields = spec.into_iter().flatten().map(|(field, _)| field.as_str());
        (text("manager"), text("operation"), fields.collect())
    });
    entries.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_applied_is_its_managers() {
    let world = World::start().await;
    for (plural, kind) in [("tokens", "Token"), ("kubeconfigs", "Kubeconfig")] {
        let name = world.make("ann", plural, "first").await;
        let one = format!("/{plural}/{name}");
        let apply = async |user: &str, query: &str, body: Value| {
            let path = format!("{one}?{query}");
            let identity = Some(Identity::of(user)).filter(|_| !user.is_empty());
            let answer = world.ask(identity, "PATCH", &path, APPLY_PATCH, body).await;
            embedded::read(answer).await
        };
        let config = |spec: Value, labels: Value| {
            json!({
                "apiVersion": "ext.cattle.io/v1", "kind": kind,
                "metadata": {"name": name, "labels": labels}, "spec": spec,
            })
        };
        let second = config(json!({"description": "second"}), json!({"team": "a"}));

        // The description is whose it was made by.
        let (status, refused) = apply("ann", "fieldManager=me", second.clone()).await;
        assert_eq!((status, &refused["reason"]), (409, &json!("Conflict")));
        let cause = &refused["details"]["causes"][0];
        assert_eq!(
            (&cause["reason"], &cause["field"]),
            (&json!("FieldManagerConflict"), &json!(".spec.description"))
        );

        let (status, applied) = apply("ann", "fieldManager=me&force=true", second.clone()).await;
        assert_eq!(status, 200, "{applied}");
        assert_eq!(applied["spec"]["description"], "second");
        assert_eq!(applied["metadata"]["labels"]["team"], "a");
        let mine = ("me", "Apply", vec!["f:description"]);
        assert!(owners(&applied).contains(&mine), "{applied}");
        let again = apply("ann", "fieldManager=me", second.clone()).await.1;
        assert_eq!(owners(&again), owners(&applied));

        // What is no longer applied goes, and what is others' stays.
        let third = config(json!({"description": "third"}), json!({}));
        let (status, applied) = apply("ann", "fieldManager=me", third.clone()).await;
        assert_eq!(status, 200, "{applied}");
        assert_eq!(applied["metadata"]["labels"].get("team"), None);
        assert_eq!(applied["metadata"]["labels"]["cattle.io/user-id"], "ann");

        // Who changes it otherwise takes it over.
        let patch = json!({"spec": {"description": "fourth"}});
        let path = format!("{one}?fieldManager=other");
        let (_, patched) = world.send("ann", "PATCH", &path, patch).await;
        assert!(owners(&patched).contains(&("other", "Update", vec!["f:description"])));
        let (status, refused) = apply("ann", "fieldManager=me", third.clone()).await;
        assert_eq!(status, 409, "{refused}");
        let dry = apply(
            "ann",
            "fieldManager=me&force=true&dryRun=All",
            third.clone(),
        )
        .await;
        assert_eq!(dry.1["spec"]["description"], "third");
        let (_, stored) = world.send("ann", "GET", &one, Value::Null).await;
        assert_eq!(stored["spec"]["description"], "fourth");
        assert_eq!(owners(&stored), owners(&patched));

        let force = "fieldManager=me&force=true";
        for (user, query, body, expected) in [
            ("ann", "", third.clone(), 422),
            ("ann", force, json!({}), 400),
            ("ann", force, config(json!({"ttl": -1}), json!({})), 400),
            ("ann", force, config(json!({"nonsense": 1}), json!({})), 400),
            ("ann", force, config(json!({"ttl": "long"}), json!({})), 400),
            ("bob", force, third.clone(), 404),
            ("stranger", force, third.clone(), 403),
            ("", force, third.clone(), 401),
        ] {
            let (status, answer) = apply(user, query, body).await;
            assert_eq!(status, expected, "{user} {query}: {answer}");
        }
        // It makes nothing: names are given here.
        let path = format!("/{plural}/none?{force}");
        let body = json!({"apiVersion": "ext.cattle.io/v1", "kind": kind});
        let ann = Some(Identity::of("ann"));
        let answer = world.ask(ann, "PATCH", &path, APPLY_PATCH, body).await;
        assert_eq!(answer.status(), 404);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_are_looked_at_again_for_those_who_make_users() {
    let world = World::start().await;
    let made = json!({"metadata": {"name": "people"}, "userName": "bob", "globalRoleName": "users-manage"});
    put::<GlobalRoleBinding>(Api::all(world.hub.clone()), made).await;
    let path = "/groupmembershiprefreshrequests";
    let asked = |user: &str| json!({"spec": {"userId": user}});
    let known = async {
        while world.send("bob", "POST", path, asked("ann")).await.0 != 201 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, known)
        .await
        .expect("the binding is known");
    for (who, of, expected) in [
        ("bob", "ann", 201),
        ("bob", "*", 201),
        (world.kept.admin.as_str(), "bob", 201),
        ("bob", "nobody", 400),
        ("bob", "", 400),
        ("ann", "ann", 403),
        ("", "ann", 401),
    ] {
        let (status, answer) = world.send(who, "POST", path, asked(of)).await;
        assert_eq!(status, expected, "{who} {of}: {answer}");
        if status == 201 {
            assert_eq!(answer["status"]["summary"], "Completed");
            let condition = &answer["status"]["conditions"][0];
            assert_eq!(
                (&condition["type"], &condition["status"]),
                (&json!("UserRefreshInitiated"), &json!("True"))
            );
        }
    }
}
