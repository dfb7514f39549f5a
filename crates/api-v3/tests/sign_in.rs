//! Ways to sign in as recorded, and those that a hub was left by another installation.

#[cfg(test)]
mod common;

use common::{MANAGEMENT, World};
use serde_json::json;

/// As recorded (recorded/http/11), with the object that it comes from.
fn with_local(world: &World) {
    world.store.put(
        &format!("{MANAGEMENT}/authconfigs/local"),
        json!({
            "metadata": {
                "labels": {"cattle.io/creator": "norman"}, "uid": "62bf3951-4e16-46c8-a724-e0365fc5bc83",
                "annotations": {"management.cattle.io/auth-provider-cleanup": "unlocked"},
                "creationTimestamp": "2026-11-20T21:08:20Z",
            },
            "type": "localConfig", "enabled": true, "logoutAllSupported": false,
            "status": {"conditions": [{"status": "True", "type": "SecretsMigrated"}]},
        }),
    );
}

#[tokio::test]
async fn the_local_way_to_sign_in_is_shown_as_recorded() {
    let world = World::new();
    with_local(&world);
    let recorded = json!({
        "annotations": {"management.cattle.io/auth-provider-cleanup": "unlocked"},
        "baseType": "authConfig",
        "created": "2026-11-20T21:08:20Z", "createdTS": 1_795_208_900_000_i64,
        "creatorId": null,
        "enabled": true,
        "id": "local",
        "labels": {"cattle.io/creator": "norman"},
        "links": {"self": "https://server.example:8443/v3/localConfigs/local"},
        "logoutAllSupported": false,
        "name": "local",
        "status": {
            "conditions": [{"status": "True", "type": "SecretsMigrated"}],
            "type": "/v3/schemas/authConfigStatus",
        },
        "type": "localConfig",
        "uuid": "62bf3951-4e16-46c8-a724-e0365fc5bc83",
    });
    let list = world.get("/v3/authConfigs").await.json();
    assert_eq!(list["data"], json!([recorded]));
    assert_eq!(list["resourceType"], "authConfig");
    assert_eq!(list.get("createTypes"), None);
    for path in ["/v3/authConfigs/local", "/v3/localConfigs/local"] {
        assert_eq!(world.get(path).await.json(), recorded, "{path}");
    }
}

#[tokio::test]
async fn ways_to_sign_in_are_made_and_changed_by_nobody() {
    let world = World::new();
    with_local(&world);
    let before = world.store.all();
    for (method, path, expected) in [
        ("POST", "/v3/authConfigs", 405),
        ("PUT", "/v3/authConfigs/local", 405),
        ("DELETE", "/v3/authConfigs/local", 405),
        ("PUT", "/v3/localConfigs/local", 405),
        ("DELETE", "/v3/localConfigs/local", 405),
        ("GET", "/v3/localConfigs", 404),
        ("POST", "/v3/localConfigs", 404),
        ("GET", "/v3/localConfigs/github", 404),
        ("GET", "/v3/authConfigs/github", 404),
        ("POST", "/v3/authConfigs/local?action=disable", 422),
    ] {
        let answer = world
            .send(
                Some(common::ADMIN),
                method,
                path,
                &[("content-type", "application/json")],
                br#"{"enabled": false, "accessMode": "required"}"#,
            )
            .await;
        assert_eq!(answer.error().0, expected, "{method} {path}");
    }
    assert_eq!(world.store.all(), before);
}

#[tokio::test]
async fn what_is_not_known_of_a_way_to_sign_in_is_not_shown() {
    let world = World::new();
    world.store.put(
        &format!("{MANAGEMENT}/authconfigs/github"),
        json!({
            "type": "githubConfig", "enabled": true, "accessMode": "required", "clientId": "id",
            "clientSecret": "never-to-be-shown", "allowedPrincipalIds": ["github_user://1"],
        }),
    );
    let shown = world.get("/v3/authConfigs/github").await.json();
    assert_eq!(shown["type"], "githubConfig");
    assert_eq!(shown["accessMode"], "required");
    assert_eq!(shown["allowedPrincipalIds"], json!(["github_user://1"]));
    assert!(!shown.to_string().contains("never-to-be-shown"), "{shown}");
    // It is none of the local kind.
    assert_eq!(world.get("/v3/localConfigs/github").await.status, 404);
}
