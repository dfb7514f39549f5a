//! Users, their tokens and passwords, principals, preferences, roles and bindings.

#[cfg(test)]
mod common;

use common::{ADMIN, MANAGEMENT, World};
use serde_json::{Value, json};

const JANE: &str = "u-jane";

fn with_jane(world: &World) {
    world.store.put(
        &format!("{MANAGEMENT}/users/{JANE}"),
        json!({"displayName": "Jane", "username": "jane", "enabled": true, "principalIds": [format!("local://{JANE}")]}),
    );
}

#[tokio::test]
async fn a_user_is_created_without_its_password_in_sight() {
    let world = World::new();
    let answer = world
        .post(
            "/v3/users",
            json!({"username": "jane", "name": "Jane", "password": "a-long-password-1", "principalIds": ["local://user-p8sfq", "system://x"]}),
        )
        .await;
    assert_eq!(answer.status, 201);
    let user = answer.json();
    let id = user["id"].as_str().unwrap();
    assert!(id.starts_with("u-") && id.len() == 7, "{id}");
    assert_eq!(
        user["principalIds"],
        json!([format!("local://{id}")]),
        "foreign principals cannot be claimed"
    );
    assert_eq!(
        (
            user["enabled"].clone(),
            user["me"].clone(),
            user.get("password")
        ),
        (json!(true), json!(false), None)
    );
    let stored = world
        .store
        .get(&format!("{MANAGEMENT}/users/{id}"))
        .unwrap();
    assert!(!stored.to_string().contains("a-long-password-1"));
    assert_eq!(
        world
            .keys
            .passwords
            .lock()
            .unwrap()
            .get(id)
            .map(String::as_str),
        Some("a-long-password-1")
    );

    assert_eq!(
        world
            .post(
                "/v3/users",
                json!({"username": "JANE", "password": "a-long-password-1"})
            )
            .await
            .error()
            .1,
        "NotUnique"
    );
    assert_eq!(
        world
            .post("/v3/users", json!({"password": "a-long-password-1"}))
            .await
            .error()
            .1,
        "MissingRequired"
    );
    assert_eq!(world.get("/v3/users?username=jane").await.ids(), [id]);
    assert_eq!(world.get("/v3/users?me=true").await.ids(), [ADMIN]);
}

#[tokio::test]
async fn nobody_locks_itself_out() {
    let world = World::new();
    let own = format!("/v3/users/{ADMIN}");
    assert_eq!(
        world.put(&own, json!({"enabled": false})).await.error().1,
        "InvalidAction"
    );
    assert_eq!(world.delete(&own).await.error().1, "InvalidAction");
    let renamed = world
        .put(&own, json!({"name": "Root", "principalIds": []}))
        .await
        .json();
    assert_eq!(
        (renamed["name"].as_str(), &renamed["principalIds"]),
        (Some("Root"), &json!([format!("local://{ADMIN}")]))
    );
}

#[tokio::test]
async fn passwords_are_set_and_changed() {
    let world = World::new();
    let set = world
        .post(
            &format!("/v3/users/{ADMIN}?action=setpassword"),
            json!({"newPassword": "another-long-pass-1"}),
        )
        .await;
    assert_eq!(
        (set.status, set.json()["mustChangePassword"].clone()),
        (200, json!(false))
    );

    let change = |current: &'static str, new: &'static str| {
        world.post(
            "/v3/users?action=changepassword",
            json!({"currentPassword": current, "newPassword": new}),
        )
    };
    assert_eq!(change("wrong", "third-long-pass-1").await.error().0, 422);
    assert_eq!(
        change("another-long-pass-1", "another-long-pass-1")
            .await
            .error()
            .0,
        422
    );
    assert_eq!(change("another-long-pass-1", "short").await.error().0, 422);
    let changed = change("another-long-pass-1", "third-long-pass-1").await;
    assert_eq!((changed.status, changed.bytes.len()), (200, 0));
    assert_eq!(
        world.keys.passwords.lock().unwrap()[ADMIN],
        "third-long-pass-1"
    );

    with_jane(&world);
    let other = world
        .send(
            Some(JANE),
            "POST",
            &format!("/v3/users/{ADMIN}?action=setpassword"),
            &[],
            b"{\"newPassword\":\"x\"}",
        )
        .await;
    assert_eq!(other.error().0, 403);
}

#[tokio::test]
async fn everybody_sees_itself_and_systems_are_seen_by_nobody() {
    let world = World::new();
    with_jane(&world);
    world.store.put(
        &format!("{MANAGEMENT}/users/u-system"),
        json!({"principalIds": ["system://c-1"]}),
    );
    assert_eq!(
        world
            .send(Some(JANE), "GET", "/v3/users", &[], b"")
            .await
            .ids(),
        [JANE]
    );
    assert_eq!(world.get("/v3/users").await.ids(), [JANE, ADMIN]);
    assert_eq!(world.get("/v3/users/u-system").await.error().0, 404);
    assert_eq!(world.delete("/v3/users/u-system").await.error().0, 404);
    let jane = world
        .send(Some(JANE), "GET", "/v3/users/u-jane", &[], b"")
        .await
        .json();
    assert_eq!(
        jane.get("actions"),
        None,
        "not even its own password, without the present one"
    );
    assert_eq!(jane["links"].get("update"), None);
}

#[tokio::test]
async fn tokens_are_their_owners_alone() {
    let world = World::new();
    with_jane(&world);
    let made = world
        .post(
            "/v3/tokens",
            json!({"description": "api key", "ttl": 3_600_000, "userId": JANE}),
        )
        .await;
    assert_eq!(made.status, 201);
    let token = made.json();
    let id = token["id"].as_str().unwrap();
    assert_eq!(token["token"], format!("{id}:key"));
    assert_eq!(
        (token["userId"].as_str(), token["isDerived"].clone()),
        (Some(ADMIN), json!(true))
    );

    let read = world.get(&format!("/v3/tokens/{id}")).await.json();
    assert_eq!(read.get("token"), None);
    assert_eq!(
        (read["expired"].clone(), read["expiresAt"].as_str()),
        (json!(false), Some("2026-11-20T22:21:58Z"))
    );
    assert!(!read.to_string().contains("$3:1"));
    let list = world.get("/v3/tokens?description=other").await;
    assert_eq!(list.ids(), [id], "filters do not count here");
    assert_eq!(list.json()["pagination"], json!({"limit": 1000}));

    assert_eq!(
        world
            .send(Some(JANE), "GET", &format!("/v3/tokens/{id}"), &[], b"")
            .await
            .error()
            .0,
        404
    );
    assert_eq!(
        world
            .send(Some(JANE), "DELETE", &format!("/v3/tokens/{id}"), &[], b"")
            .await
            .error()
            .0,
        404
    );
    let put = world
        .put(&format!("/v3/tokens/{id}"), json!({"description": "x"}))
        .await;
    assert_eq!(
        (put.error().0, put.json()["message"].as_str()),
        (404, Some("no store found"))
    );
    world.store.put(
        &format!("{MANAGEMENT}/tokens/token-now"),
        json!({"userId": ADMIN, "isDerived": false}),
    );
    assert_eq!(
        world.get("/v3/tokens/token-now").await.json()["current"],
        json!(true)
    );
    assert_eq!(world.delete("/v3/tokens/token-now").await.error().0, 400);
    let gone = world.delete(&format!("/v3/tokens/{id}")).await;
    assert_eq!(
        (gone.status, gone.header("content-type")),
        (204, "application/json")
    );
    let out = world.post("/v3/tokens?action=logout", json!({})).await;
    assert_eq!((out.status, out.bytes.len()), (200, 0));
    assert!(out.header("set-cookie").starts_with("R_SESS=;"));
}

#[tokio::test]
async fn principals_are_found() {
    let world = World::new();
    with_jane(&world);
    let me = world.get("/v3/principals?me=true").await;
    assert_eq!(me.ids(), [format!("local://{ADMIN}")]);
    let me = me.json();
    assert_eq!(
        me["actions"]["search"],
        "https://server.example:8443/v3/principals?action=search"
    );
    assert_eq!(
        me["data"][0]["links"],
        json!({"self": "https://server.example:8443/v3/principals/local:%2F%2Fuser-p8sfq"})
    );
    let found = world
        .post(
            "/v3/principals?action=search",
            json!({"name": "jan", "principalType": "user"}),
        )
        .await;
    assert_eq!(
        (found.status, found.ids()),
        (200, vec![format!("local://{JANE}")])
    );
    assert_eq!(
        world
            .post(
                "/v3/principals?action=search",
                json!({"name": "jan", "principalType": "group"})
            )
            .await
            .ids(),
        Vec::<String>::new()
    );
    let one = world.get("/v3/principals/local:%2F%2Fu-jane").await.json();
    assert_eq!(
        (one["loginName"].as_str(), one["me"].clone()),
        (Some("jane"), json!(false))
    );
    assert_eq!(
        world
            .get("/v3/principals/local:%2F%2Fu-none")
            .await
            .error()
            .0,
        404
    );
    assert_eq!(world.post("/v3/principals", json!({})).await.error().0, 405);
}

#[tokio::test]
async fn preferences_are_personal() {
    let world = World::new();
    let made = world
        .post("/v3/preferences", json!({"name": "theme", "value": "dark"}))
        .await;
    assert_eq!(
        (made.status, made.json()["id"].as_str()),
        (201, Some("theme"))
    );
    assert!(
        world
            .store
            .get(&format!(
                "{MANAGEMENT}/namespaces/{ADMIN}/preferences/theme"
            ))
            .is_some()
    );
    let put = world
        .put("/v3/preferences/theme", json!({"value": "light"}))
        .await;
    assert_eq!(
        (put.status, put.json()["value"].as_str()),
        (200, Some("light"))
    );
    assert_eq!(
        world
            .send(Some(JANE), "GET", "/v3/preferences", &[], b"")
            .await
            .ids(),
        Vec::<String>::new()
    );
    assert_eq!(
        world
            .send(Some(JANE), "GET", "/v3/preferences/theme", &[], b"")
            .await
            .error()
            .0,
        404
    );
    assert_eq!(world.delete("/v3/preferences/theme").await.status, 204);
}

#[tokio::test]
async fn settings_come_from_the_environment_the_store_or_the_default() {
    let world = World::new();
    let shown = |answer: &Value| {
        (
            answer["value"].clone(),
            answer["source"].clone(),
            answer["customized"].clone(),
        )
    };
    let put = |value: &'static str| world.put("/v3/settings/ui-pl", json!({"value": value}));
    assert_eq!(
        shown(&put("Drover").await.json()),
        (json!("Drover"), json!("db"), json!(true))
    );
    assert_eq!(
        shown(&world.get("/v3/settings/ui-pl").await.json()),
        (json!("Drover"), json!("db"), json!(true))
    );
    assert_eq!(
        shown(&put("").await.json()),
        (json!("rancher"), json!("default"), json!(false))
    );
    let server = world.get("/v3/settings/server-url").await.json();
    assert_eq!(
        shown(&server),
        (
            json!("https://server.example:8443"),
            json!("env"),
            json!(false)
        )
    );
    assert_eq!(server["links"].get("update"), None);
    let list = world.get("/v3/settings?name_ne=server-url").await;
    assert_eq!(list.ids().len(), 4);
    assert_eq!(
        world.get("/v3/settings?name_prefix=ui").await.ids().len(),
        5
    );
    assert_eq!(world.delete("/v3/settings/ui-pl").await.error().0, 405);
    let own = json!({"name": "of-terraform", "value": "x"});
    let made = world.post("/v3/settings", own).await;
    assert_eq!(made.status, 201);
    assert!(made.json()["links"]["remove"].is_string());
    assert!(server["links"].get("remove").is_none());
    let own = "/v3/settings/of-terraform";
    assert_eq!(world.delete(own).await.status, 204);
    assert_eq!(world.get(own).await.status, 404);

    world.store.put(
        &format!("{MANAGEMENT}/features/fleet"),
        json!({"spec": {}, "status": {"default": true, "lockedValue": true}}),
    );
    assert_eq!(
        world.get("/v3/features/fleet").await.json()["value"],
        json!(true)
    );
    assert_eq!(
        world
            .put("/v3/features/fleet", json!({"value": false}))
            .await
            .error()
            .0,
        422
    );
    assert_eq!(world.delete("/v3/features/fleet").await.error().0, 405);
}

fn with_roles(world: &World) {
    world.store.put(
        &format!("{MANAGEMENT}/clusters/c-1"),
        json!({"spec": {"displayName": "one"}}),
    );
    world.store.put(
        &format!("{MANAGEMENT}/globalroles/admin"),
        json!({"displayName": "Admin", "builtin": true, "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}),
    );
    for (name, context, locked) in [
        ("cluster-member", "cluster", false),
        ("project-member", "project", false),
        ("old", "cluster", true),
    ] {
        world.store.put(
            &format!("{MANAGEMENT}/roletemplates/{name}"),
            json!({"displayName": name, "context": context, "locked": locked, "builtin": name != "old", "projectCreatorDefault": name == "project-member"}),
        );
    }
}

#[tokio::test]
async fn roles_are_given_where_they_fit() {
    let world = World::new();
    with_jane(&world);
    with_roles(&world);
    let bind = |body: Value| world.post("/v3/clusterroletemplatebindings", body);
    let made = bind(json!({"clusterId": "c-1", "roleTemplateId": "cluster-member", "userPrincipalId": "local://u-jane"})).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    assert!(made["id"].as_str().unwrap().starts_with("c-1:crtb-"));
    assert_eq!(
        made["name"],
        json!(made["id"].as_str().unwrap().split(':').nth(1))
    );
    assert_eq!(made["namespaceId"], Value::Null);
    for (body, code) in [
        (
            json!({"clusterId": "c-1", "roleTemplateId": "project-member", "userId": JANE}),
            "InvalidReference",
        ),
        (
            json!({"clusterId": "c-1", "roleTemplateId": "old", "userId": JANE}),
            "InvalidState",
        ),
        (
            json!({"clusterId": "c-1", "roleTemplateId": "none", "userId": JANE}),
            "NotFound",
        ),
        (
            json!({"clusterId": "c-9", "roleTemplateId": "cluster-member", "userId": JANE}),
            "NotFound",
        ),
        (
            json!({"clusterId": "c-1", "roleTemplateId": "cluster-member"}),
            "InvalidBodyContent",
        ),
        (
            json!({"clusterId": "c-1", "roleTemplateId": "cluster-member", "userId": JANE, "groupPrincipalId": "g://1"}),
            "InvalidBodyContent",
        ),
        (
            json!({"clusterId": "c-1", "userId": JANE}),
            "MissingRequired",
        ),
    ] {
        assert_eq!(bind(body.clone()).await.error().1, code, "{body}");
    }

    let project = world
        .post("/v3/projects", json!({"name": "shop", "clusterId": "c-1"}))
        .await
        .json();
    let id = project["id"].as_str().unwrap();
    assert!(id.starts_with("c-1:p-"));
    assert_eq!(
        project["annotations"]["authz.management.cattle.io/creator-role-bindings"],
        "{\"required\":[\"project-member\"]}"
    );
    let bound = world
        .post(
            "/v3/projectroletemplatebindings",
            json!({"projectId": id, "roleTemplateId": "project-member", "userId": JANE}),
        )
        .await
        .json();
    assert_eq!(bound["projectId"], id);
    assert!(
        bound["id"]
            .as_str()
            .unwrap()
            .starts_with(&format!("{}:prtb-", id.split(':').nth(1).unwrap()))
    );
    assert_eq!(
        world
            .get(&format!("/v3/projects/{id}/projectroletemplatebindings"))
            .await
            .ids()
            .len(),
        1
    );
    assert_eq!(
        world
            .get(&format!("/v3/clusterroletemplatebindings?userId={JANE}"))
            .await
            .ids()
            .len(),
        1,
        "bound by principal, found by name"
    );

    let global = world
        .post(
            "/v3/globalrolebindings",
            json!({"globalRoleId": "admin", "userId": JANE}),
        )
        .await
        .json();
    assert_eq!(global["ownerReferences"][0]["name"], "admin");
    assert!(global["id"].as_str().unwrap().starts_with("grb-"));
}

#[tokio::test]
async fn nobody_gives_what_it_does_not_hold() {
    let world = World::new();
    with_jane(&world);
    with_roles(&world);
    for (resource, namespace) in [
        ("globalrolebindings", "*"),
        ("clusterroletemplatebindings", "c-1"),
        ("roletemplates", "*"),
        ("globalroles", "*"),
    ] {
        world.grant(JANE, "create", resource, namespace, "*");
    }
    let world = &world;
    let jane = |url: &'static str, body: Value| async move {
        let body = body.to_string();
        world
            .send(Some(JANE), "POST", url, &[], body.as_bytes())
            .await
            .status
    };
    let rules = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    let bind = json!({"clusterId": "c-1", "roleTemplateId": "cluster-member", "userId": JANE});
    assert_eq!(
        jane(
            "/v3/globalrolebindings",
            json!({"globalRoleId": "admin", "userId": JANE})
        )
        .await,
        403
    );
    assert_eq!(
        jane("/v3/globalroles", json!({"name": "mine", "rules": rules})).await,
        403
    );
    assert_eq!(
        jane(
            "/v3/roletemplates",
            json!({"name": "mine", "context": "cluster", "rules": rules})
        )
        .await,
        403
    );
    assert_eq!(
        jane("/v3/clusterroletemplatebindings", bind.clone()).await,
        403
    );
    // What one may do oneself, one may give.
    world.store.put(
        &format!("{MANAGEMENT}/globalroles/readers"),
        json!({"rules": [{"apiGroups": ["management.cattle.io"], "resources": ["settings"], "verbs": ["get"]}]}),
    );
    let readers = json!({"globalRoleId": "readers", "userId": JANE});
    assert_eq!(jane("/v3/globalrolebindings", readers.clone()).await, 403);
    world.grant(JANE, "get", "settings", "*", "*");
    assert_eq!(jane("/v3/globalrolebindings", readers).await, 201);
    world.grant(JANE, "own", "clusters", "*", "c-1");
    assert_eq!(jane("/v3/clusterroletemplatebindings", bind).await, 201);
}

#[tokio::test]
async fn administrators_are_changed_by_administrators_only() {
    let world = World::new();
    with_jane(&world);
    for verb in ["update", "delete", "get", "list"] {
        world.grant(JANE, verb, "users", "*", "*");
    }
    let own = format!("/v3/users/{ADMIN}");
    let taken = format!("{own}?action=setpassword");
    for (method, url) in [("PUT", &own), ("DELETE", &own), ("POST", &taken)] {
        let body = b"{\"enabled\":false,\"newPassword\":\"another-long-pass-1\"}";
        assert_eq!(
            world
                .send(Some(JANE), method, url, &[], body)
                .await
                .error()
                .0,
            403,
            "{method} {url}"
        );
    }
    assert!(world.keys.passwords.lock().unwrap().is_empty());
}

#[tokio::test]
async fn who_holds_more_is_changed_by_those_who_manage_users() {
    let world = World::new();
    with_jane(&world);
    with_roles(&world);
    for verb in ["update", "get", "list"] {
        world.grant(JANE, verb, "users", "*", "*");
    }
    for name in ["u-plain", "u-strong"] {
        world.store.put(
            &format!("{MANAGEMENT}/users/{name}"),
            json!({"username": name, "enabled": true}),
        );
    }
    world.store.put(
        &format!("{MANAGEMENT}/namespaces/c-1/clusterroletemplatebindings/crtb-1"),
        json!({"clusterName": "c-1", "roleTemplateName": "cluster-member", "userName": "u-strong"}),
    );
    let world = &world;
    let set = |name: &'static str| async move {
        let url = format!("/v3/users/{name}?action=setpassword");
        let body = b"{\"newPassword\":\"another-long-pass-1\"}";
        world.send(Some(JANE), "POST", &url, &[], body).await.status
    };
    assert_eq!(set("u-plain").await, 200);
    assert_eq!(set("u-strong").await, 403);
    world.grant(JANE, "manage-users", "users", "*", "*");
    assert_eq!(set("u-strong").await, 200);
}

#[tokio::test]
async fn only_administrators_say_who_a_user_is_elsewhere() {
    let world = World::new();
    with_jane(&world);
    for verb in ["create", "update", "get", "list"] {
        world.grant(JANE, verb, "users", "*", "*");
    }
    let world = &world;
    let claim = json!(["local://u-jane", "github_user://1"]);
    let send = |who: &'static str, method: &'static str, url: &'static str, body: Value| async move {
        let body = body.to_string();
        world
            .send(Some(who), method, url, &[], body.as_bytes())
            .await
    };
    let (all, own) = ("/v3/users", "/v3/users/u-jane");
    let create =
        json!({"username": "puppet", "password": "a-long-password-1", "principalIds": claim});
    let change = json!({"principalIds": claim});
    for (method, url, body) in [("POST", all, &create), ("PUT", own, &change)] {
        let refused = send(JANE, method, url, body.clone()).await;
        assert_eq!(
            (refused.status, refused.json()["fieldName"].as_str()),
            (403, Some("principalIds"))
        );
    }
    let given = send(ADMIN, "PUT", own, change.clone()).await;
    assert_eq!(given.json()["principalIds"], claim);
    // What is there already may be sent again.
    assert_eq!(send(JANE, "PUT", own, change).await.status, 200);
}

#[tokio::test]
async fn a_role_is_changed_by_those_who_hold_all_of_it() {
    let world = World::new();
    with_jane(&world);
    for verb in ["update", "get", "list"] {
        world.grant(JANE, verb, "roletemplates", "*", "*");
        world.grant(JANE, verb, "globalroles", "*", "*");
    }
    let rules = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    let dormant = json!({"context": "cluster", "external": true, "rules": rules});
    world
        .store
        .put(&format!("{MANAGEMENT}/roletemplates/dormant"), dormant);
    world.store.put(
        &format!("{MANAGEMENT}/globalroles/strong"),
        json!({"rules": rules}),
    );
    for (url, body) in [
        ("/v3/roletemplates/dormant", json!({"external": false})),
        ("/v3/roletemplates/dormant", json!({"description": "d"})),
        ("/v3/globalroles/strong", json!({"newUserDefault": true})),
    ] {
        let body = body.to_string();
        let refused = world
            .send(Some(JANE), "PUT", url, &[], body.as_bytes())
            .await;
        assert_eq!(refused.status, 403, "{url} {body}");
    }
}

#[tokio::test]
async fn built_in_roles_keep_what_they_are() {
    let world = World::new();
    with_roles(&world);
    let put = world
        .put(
            "/v3/roletemplates/cluster-member",
            json!({"name": "renamed", "locked": true, "rules": []}),
        )
        .await
        .json();
    assert_eq!(
        (put["name"].as_str(), put["locked"].clone()),
        (Some("cluster-member"), json!(true))
    );
    assert_eq!(
        world
            .delete("/v3/roletemplates/cluster-member")
            .await
            .error()
            .0,
        400
    );
    let refused = world.delete("/v3/globalroles/admin").await.error();
    assert_eq!((refused.0, refused.1.as_str()), (400, "BadRequest"));
    let inherited = world
        .post(
            "/v3/roletemplates",
            json!({"name": "mine", "context": "cluster", "roleTemplateIds": ["old"]}),
        )
        .await;
    assert_eq!(inherited.status, 201, "{}", inherited.json());
    assert_eq!(world.delete("/v3/roletemplates/old").await.error().0, 409);
    // A role of no context is for others to inherit.
    let part = world
        .post("/v3/roletemplates", json!({"name": "part"}))
        .await;
    assert_eq!(part.status, 201, "{}", part.json());
    let bound = json!({"clusterId": "c-1", "roleTemplateId": part.json()["id"], "userId": JANE});
    let bound = world.post("/v3/clusterroletemplatebindings", bound).await;
    assert_eq!(bound.status, 422, "{}", bound.json());
    let id = inherited.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(
        world
            .put(
                &format!("/v3/roletemplates/{id}"),
                json!({"roleTemplateIds": [id]})
            )
            .await
            .error()
            .1,
        "InvalidReference"
    );
    assert_eq!(
        world
            .delete(&format!("/v3/roletemplates/{id}"))
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn a_command_line_gets_a_token_by_whoever_confirms() {
    const KEY: &str =
        "eyJYMjU1MTkiOiJBUUVCQVFFQkFRRUJBUUVCQVFFQkFRRUJBUUVCQVFFQkFRRUJBUUVCQVFFPSJ9";
    const REQUEST: &str = "abcdfghjklmnpqrstvwxz12456789abc";
    let world = World::new();
    let body = json!({"requestId": REQUEST, "publicKey": KEY, "responseType": "json"});
    let made = world.post("/v3/cliLogins", body.clone()).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    assert_eq!(
        (made["type"].as_str(), made["requestId"].as_str()),
        (Some("cliLogin"), Some(REQUEST))
    );
    assert!(
        !made.to_string().contains(":key"),
        "the token is not in the answer"
    );
    for (field, bad, code) in [
        ("requestId", json!("short"), "InvalidFormat"),
        ("publicKey", json!("bm8="), "InvalidFormat"),
        ("responseType", json!("kubeconfig_A/b"), "InvalidFormat"),
        ("requestId", json!(null), "MissingRequired"),
    ] {
        let mut sent = body.clone();
        sent[field] = bad;
        let refused = world.post("/v3/cliLogins", sent).await.json();
        assert_eq!(
            (refused["status"].clone(), refused["code"].as_str()),
            (json!(422), Some(code)),
            "{refused}"
        );
        assert_eq!(refused["fieldName"], field);
    }
    assert_eq!(world.get("/v3/cliLogins").await.status, 405);
    let nobody = world
        .send(
            None,
            "POST",
            "/v3/cliLogins",
            &[],
            body.to_string().as_bytes(),
        )
        .await;
    assert_eq!(nobody.status, 401);
}
