//! Nobody in where they don't belong: every route without a login, every route with a login that holds no role, and
//! what holds secrets.
//!
//! The routes come from the API's own root, so a new type fails here until it is added.

#![cfg(test)]

mod common;

use common::{ADMIN, MANAGEMENT, World};
use serde_json::{Value, json};

/// Plural, identifier, and where the object lies; what every user may see of its own stands apart.
const ROUTES: [(&str, &str, &str); 18] = [
    ("authConfigs", "x-1", "authconfigs/x-1"),
    (
        "clusterRegistrationTokens",
        "c-1:x-1",
        "namespaces/c-1/clusterregistrationtokens/x-1",
    ),
    (
        "clusterRoleTemplateBindings",
        "c-1:x-1",
        "namespaces/c-1/clusterroletemplatebindings/x-1",
    ),
    ("clusters", "c-1", "clusters/c-1"),
    ("features", "x-1", "features/x-1"),
    ("globalRoleBindings", "x-1", "globalrolebindings/x-1"),
    ("globalRoles", "x-1", "globalroles/x-1"),
    ("groupMembers", "x-1", "groupmembers/x-1"),
    ("groups", "x-1", "groups/x-1"),
    ("nodes", "c-1:x-1", "namespaces/c-1/nodes/x-1"),
    (
        "podSecurityAdmissionConfigurationTemplates",
        "x-1",
        "podsecurityadmissionconfigurationtemplates/x-1",
    ),
    (
        "preferences",
        "x-1",
        "namespaces/user-p8sfq/preferences/x-1",
    ),
    (
        "projectRoleTemplateBindings",
        "p-1:x-1",
        "namespaces/p-1/projectroletemplatebindings/x-1",
    ),
    ("projects", "c-1:p-1", "namespaces/c-1/projects/p-1"),
    ("roleTemplates", "x-1", "roletemplates/x-1"),
    ("settings", "x-1", "settings/x-1"),
    ("tokens", "x-1", "tokens/x-1"),
    ("users", "x-1", "users/x-1"),
];
const STRANGER: &str = "stranger";
const SECRET: &str = "never-to-be-shown";

/// An object of every type, with a secret wherever one could lie.
fn world() -> World {
    let world = World::new();
    for (_, _, path) in ROUTES {
        world.store.put(
            &format!("{MANAGEMENT}/{path}"),
            json!({
                "spec": {"displayName": "x", "clusterName": "c-1"}, "displayName": "x", "username": "x",
                "clusterName": "c-1", "projectName": "c-1:p-1", "userId": ADMIN, "userName": ADMIN,
                "globalRoleName": "x-1", "roleTemplateName": "x-1", "enabled": true,
            }),
        );
    }
    world
}

fn actions(schema: &Value, of: &str) -> Vec<String> {
    schema[of]
        .as_object()
        .into_iter()
        .flat_map(|actions| actions.keys().cloned())
        .collect()
}

/// Every request the API announces, with a body that says little.
async fn requests(world: &World) -> Vec<(&'static str, String)> {
    let root = world.get("/v3").await.json();
    let listed: Vec<&str> = root["links"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        // Of these other rules hold; `people.rs` and `config.rs` ask for them.
        .filter(|name| {
            ![
                "root",
                "self",
                "subscribe",
                "principals",
                "cloudCredentials",
            ]
            .contains(name)
        })
        .collect();
    let known = ROUTES.map(|(plural, _, _)| plural);
    assert_eq!(listed, known, "a type without a line here");

    let schemas = world.get("/v3/schemas").await.json();
    let mut requests = Vec::new();
    for (plural, id, _) in ROUTES {
        let schema = schemas["data"]
            .as_array()
            .unwrap()
            .iter()
            .find(|schema| schema["pluralName"] == plural)
            .unwrap();
        let (all, one) = (format!("/v3/{plural}"), format!("/v3/{plural}/{id}"));
        requests.push(("GET", all.clone()));
        requests.push(("POST", all.clone()));
        for method in ["GET", "PUT", "DELETE"] {
            requests.push((method, one.clone()));
        }
        for action in actions(schema, "collectionActions") {
            requests.push(("POST", format!("{all}?action={action}")));
        }
        for action in actions(schema, "resourceActions") {
            requests.push(("POST", format!("{one}?action={action}")));
        }
    }
    requests
}

/// A body that every type finds all it must have in.
fn full() -> Vec<u8> {
    json!({
        "name": "mine", "username": "mine", "password": "a-long-password-1", "clusterId": "c-1", "projectId": "c-1:p-1",
        "roleTemplateId": "x-1", "globalRoleId": "x-1", "userId": STRANGER, "value": "mine", "enabled": true,
        "newPassword": "a-long-password-1", "currentPassword": "another-password-1", "yaml": "", "description": "mine",
        "clusterCreatorDefault": false, "projectCreatorDefault": false, "newUserDefault": false, "requestedHostname": "h",
    })
    .to_string()
    .into_bytes()
}

#[tokio::test]
async fn no_route_but_the_public_ones_answers_without_a_login() {
    let world = world();
    for (method, url) in requests(&world).await {
        let before = world.store.all();
        let answer = world.send(None, method, &url, &[], &full()).await;
        assert_eq!(answer.status, 401, "{method} {url}");
        assert_eq!(world.store.all(), before, "{method} {url}");
    }
}

#[tokio::test]
async fn who_holds_no_role_sees_and_changes_nothing_of_others() {
    let world = world();
    for (method, url) in requests(&world).await {
        // A user's own keys and preferences need no role.
        let own = method == "POST" && (url == "/v3/tokens" || url == "/v3/preferences")
            || url.contains("action=logout")
            || url.contains("action=changepassword");
        let before = world.store.all();
        let answer = world
            .send(
                Some(STRANGER),
                method,
                &url,
                &[("content-type", "application/json")],
                &full(),
            )
            .await;
        if own {
            continue;
        }
        let (status, body) = (answer.status, answer.json());
        if method == "GET" && !url.contains('1') {
            let shown: Vec<&str> = body["data"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|item| item["id"].as_str())
                .collect();
            assert_eq!((status, shown), (200, vec![]), "{method} {url}: {body}");
        } else {
            assert!(
                [403, 404, 405, 422].contains(&status),
                "{method} {url}: {status} {body}"
            );
            let said = status != 422 || body["code"] == "InvalidAction";
            assert!(
                said,
                "{method} {url} is judged before it is allowed: {body}"
            );
        }
        assert_eq!(world.store.all(), before, "{method} {url}");
    }
}

#[tokio::test]
async fn an_owner_of_keys_cannot_take_those_of_others() {
    let world = world();
    let send = |method: &'static str, url: &'static str| {
        world.send(
            Some(STRANGER),
            method,
            url,
            &[("content-type", "application/json")],
            b"{}",
        )
    };
    assert_eq!(send("DELETE", "/v3/tokens/x-1").await.status, 404);
    assert_eq!(send("GET", "/v3/preferences/x-1").await.status, 404);
    let made = world
        .send(
            Some(STRANGER),
            "POST",
            "/v3/tokens",
            &[("content-type", "application/json")],
            json!({"userId": ADMIN, "description": "not mine"})
                .to_string()
                .as_bytes(),
        )
        .await;
    assert_eq!(
        (made.status, made.json()["userId"].as_str()),
        (201, Some(STRANGER))
    );
}

#[tokio::test]
async fn what_is_written_once_is_never_read_again() {
    let world = world();
    let schemas = world.get("/v3/schemas").await.json();
    let mut hidden = 0;
    for (plural, id, path) in ROUTES {
        let schema = schemas["data"]
            .as_array()
            .unwrap()
            .iter()
            .find(|schema| schema["pluralName"] == plural)
            .unwrap();
        let key = format!("{MANAGEMENT}/{path}");
        let mut object = world.store.get(&key).unwrap();
        for (name, field) in schema["resourceFields"].as_object().unwrap() {
            if field["writeOnly"] == json!(true) || field["type"] == "password" {
                hidden += 1;
                object[name] = json!(SECRET);
                object["spec"][name] = json!(SECRET);
            }
        }
        world.store.put(&key, object);
        for url in [format!("/v3/{plural}"), format!("/v3/{plural}/{id}")] {
            let answer = world.get(&url).await;
            assert_eq!(answer.status, 200, "{url}");
            let text = String::from_utf8_lossy(&answer.bytes).into_owned();
            assert!(!text.contains(SECRET), "{url}: {text}");
        }
    }
    assert!(hidden >= 2, "passwords and keys were looked for");
}

#[tokio::test]
async fn a_disabled_or_deleted_user_is_out_before_the_answer() {
    let world = world();
    assert_eq!(
        world
            .put("/v3/users/x-1", json!({"description": "d"}))
            .await
            .status,
        200
    );
    assert!(world.keys.shut_out.lock().unwrap().is_empty());
    assert_eq!(
        world
            .put("/v3/users/x-1", json!({"enabled": false}))
            .await
            .status,
        200
    );
    assert_eq!(world.delete("/v3/users/x-1").await.status, 204);
    let out = world.keys.shut_out.lock().unwrap();
    assert_eq!(
        out.iter().map(|user| user.as_str()).collect::<Vec<_>>(),
        ["x-1", "x-1"]
    );
}

#[tokio::test]
async fn nodes_are_cordoned_by_those_who_may_change_them() {
    let world = world();
    let key = format!("{MANAGEMENT}/namespaces/c-1/nodes/x-1");
    world
        .store
        .put(&key, json!({"spec": {}, "status": {"nodeName": "node-1"}}));
    let node = "/clusters/c-1/api/v1/nodes/node-1";
    let machine = json!({"apiVersion": "v1", "kind": "Node", "metadata": {}, "spec": {}});
    world.store.put(node, machine);

    let shown = world.get("/v3/nodes/c-1:x-1").await.json();
    assert_eq!(actions(&shown, "actions"), ["cordon", "drain"]);
    let cordon = "/v3/nodes/c-1:x-1?action=cordon";
    assert_eq!(world.post(cordon, json!({})).await.status, 200);
    assert_eq!(
        world.store.get(node).unwrap()["spec"]["unschedulable"],
        true
    );

    // The observer copies what the cluster says.
    let cordoned = json!({"spec": {"internalNodeSpec": {"unschedulable": true}}, "status": {"nodeName": "node-1"}});
    world.store.put(&key, cordoned);
    let shown = world.get("/v3/nodes/c-1:x-1").await.json();
    assert_eq!(actions(&shown, "actions"), ["drain", "uncordon"]);
    assert_eq!(
        world.post(cordon, json!({})).await.error().1,
        "ActionNotAvailable"
    );
    let uncordon = "/v3/nodes/c-1:x-1?action=uncordon";
    assert_eq!(world.post(uncordon, json!({})).await.status, 200);
    assert_eq!(
        world.store.get(node).unwrap()["spec"]["unschedulable"],
        false
    );

    // Who may not change the node is not offered it.
    for verb in ["get", "list"] {
        world.grant(STRANGER, verb, "nodes", "*", "*");
    }
    for action in ["cordon", "uncordon", "drain"] {
        let url = format!("/v3/nodes/c-1:x-1?action={action}");
        let refused = world.send(Some(STRANGER), "POST", &url, &[], b"{}").await;
        assert_eq!(refused.error().1, "ActionNotAvailable", "{action}");
    }
    assert_eq!(
        world.store.get(node).unwrap()["spec"]["unschedulable"],
        false
    );
}
