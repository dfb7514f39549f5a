//! An administrator and a member at work.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_and_a_member_work_side_by_side() {
    let world = World::start().await;
    let (admin, admin_id) = world.login("admin", PASSWORD).await;

    // The start of a client: the root, its schemas, settings it needs.
    let (status, root) = world.send(&admin, "GET", "/v3", Value::Null).await;
    assert_eq!(
        (status, root["links"]["clusters"].as_str()),
        (200, Some(format!("{}/v3/clusters", world.url).as_str()))
    );
    for setting in ["k8s-version", "server-version"] {
        let (status, _) = world
            .send(
                &admin,
                "GET",
                &format!("/v3/settings/{setting}"),
                Value::Null,
            )
            .await;
        assert_eq!(status, 200, "{setting}");
    }
    let (status, refused) = world
        .send(
            &admin,
            "PUT",
            "/v3/settings/server-url",
            json!({"value": "https://x"}),
        )
        .await;
    assert_eq!(
        (status, refused["code"].as_str()),
        (405, Some("MethodNotAllow"))
    );
    let (_, put) = world
        .send(
            &admin,
            "PUT",
            "/v3/settings/ui-pl",
            json!({"value": "Drover"}),
        )
        .await;
    assert_eq!(
        (put["value"].as_str(), put["source"].as_str()),
        (Some("Drover"), Some("db"))
    );
    let (status, refused) = world
        .send(
            &admin,
            "PUT",
            "/v3/settings/disable-inactive-user-after",
            json!({"value": "1h"}),
        )
        .await;
    assert_eq!(
        (status, refused["fieldName"].as_str(), &refused["message"]),
        (
            400,
            Some("value"),
            &json!("value: Forbidden: can't be less than auth-user-session-ttl-minutes")
        )
    );

    // A cluster, changed at once by the same hand.
    let (status, cluster) = world
        .send(
            &admin,
            "POST",
            "/v3/clusters",
            json!({"name": "one", "labels": {"team": "a"}}),
        )
        .await;
    assert_eq!(status, 201, "{cluster}");
    let id = cluster["id"].as_str().expect("an id").to_owned();
    assert_eq!(cluster["creatorId"], admin_id.as_str());
    let (status, changed) = world
        .send(
            &admin,
            "PUT",
            &format!("/v3/clusters/{id}"),
            json!({"name": "one", "description": "d"}),
        )
        .await;
    assert_eq!(
        (status, changed["description"].as_str()),
        (200, Some("d")),
        "{changed}"
    );
    let (status, twice) = world
        .send(&admin, "POST", "/v3/clusters", json!({"name": "ONE"}))
        .await;
    assert_eq!(
        (status, twice["code"].as_str()),
        (422, Some("InvalidFormat"))
    );
    let (status, twice) = world
        .send(&admin, "POST", "/v3/clusters", json!({"name": "one"}))
        .await;
    assert_eq!((status, twice["code"].as_str()), (422, Some("NotUnique")));
    let (status, config) = world
        .send(
            &admin,
            "POST",
            &format!("/v3/clusters/{id}?action=generateKubeconfig"),
            Value::Null,
        )
        .await;
    assert_eq!(status, 200);
    assert!(config["config"].as_str().is_some_and(|text| text.contains(&format!("https://drover.example/k8s/clusters/{id}"))), "{config}");

    // A new user sees nothing but itself, then what it is given.
    let (status, jane) = world
        .send(
            &admin,
            "POST",
            "/v3/users",
            json!({"username": "jane", "name": "Jane", "password": PASSWORD}),
        )
        .await;
    assert_eq!(status, 201, "{jane}");
    let jane_id = jane["id"].as_str().expect("an id").to_owned();
    let (status, bound) = world
        .send(
            &admin,
            "POST",
            "/v3/globalrolebindings",
            json!({"globalRoleId": "user", "userId": jane_id}),
        )
        .await;
    assert_eq!(status, 201, "{bound}");
    let (token, own) = world.login("jane", PASSWORD).await;
    assert_eq!(own, jane_id);
    let (_, users) = world.send(&token, "GET", "/v3/users", Value::Null).await;
    assert_eq!(ids(&users), [jane_id.as_str()]);
    let (_, clusters) = world.send(&token, "GET", "/v3/clusters", Value::Null).await;
    assert_eq!(ids(&clusters), Vec::<&str>::new());
    let (status, _) = world
        .send(&token, "GET", &format!("/v3/clusters/{id}"), Value::Null)
        .await;
    assert_eq!(status, 403);
    let (status, raised) = world
        .send(
            &token,
            "POST",
            "/v3/globalrolebindings",
            json!({"globalRoleId": "admin", "userId": jane_id}),
        )
        .await;
    assert_eq!((status, raised["code"].as_str()), (403, Some("Forbidden")));

    let body = json!({"clusterId": id, "roleTemplateId": "cluster-member", "userId": jane_id});
    let (status, binding) = world
        .send(&admin, "POST", "/v3/clusterroletemplatebindings", body)
        .await;
    assert_eq!(status, 201, "{binding}");
    let clusters = eventually(&world, &token, "/v3/clusters", |_, list| {
        !ids(list).is_empty()
    })
    .await;
    assert_eq!(ids(&clusters), [id.as_str()]);
    assert_eq!(clusters["data"][0]["links"].get("remove"), None);
    let (status, _) = world
        .send(
            &token,
            "PUT",
            &format!("/v3/clusters/{id}"),
            json!({"name": "mine"}),
        )
        .await;
    assert_eq!(status, 403);

    // What was given is taken away again.
    let (status, _) = world
        .send(
            &admin,
            "DELETE",
            &format!(
                "/v3/clusterroletemplatebindings/{}",
                binding["id"].as_str().expect("an id")
            ),
            Value::Null,
        )
        .await;
    assert!(status == 204 || status == 200, "{status}");
    eventually(
        &world,
        &token,
        &format!("/v3/clusters/{id}"),
        |status, _| status == 403,
    )
    .await;

    // Passwords and tokens.
    let change = json!({"currentPassword": PASSWORD, "newPassword": "another-long-pass-1"});
    let (status, _) = world
        .send(&token, "POST", "/v3/users?action=changepassword", change)
        .await;
    assert_eq!(status, 200);
    world.login("jane", "another-long-pass-1").await;
    let (status, key) = world
        .send(
            &token,
            "POST",
            "/v3/tokens",
            json!({"description": "key", "ttl": 60_000}),
        )
        .await;
    assert_eq!(status, 201);
    let bearer = key["token"].as_str().expect("a key").to_owned();
    let (_, tokens) = world.send(&bearer, "GET", "/v3/tokens", Value::Null).await;
    assert!(ids(&tokens).contains(&key["id"].as_str().expect("an id")));
    let (status, _) = world
        .send(
            &token,
            "DELETE",
            &format!("/v3/tokens/{}", key["id"].as_str().expect("an id")),
            Value::Null,
        )
        .await;
    assert_eq!(status, 204);
    let (status, _) = world.send(&bearer, "GET", "/v3/tokens", Value::Null).await;
    assert_eq!(status, 401, "a deleted token is refused at once");

    // Disabled, she is out.
    let (status, _) = world
        .send(
            &admin,
            "PUT",
            &format!("/v3/users/{jane_id}"),
            json!({"enabled": false}),
        )
        .await;
    assert_eq!(status, 200);
    let (status, _) = world.send(&token, "GET", "/v3/users", Value::Null).await;
    assert_eq!(status, 401, "a disabled user is refused at once");

    // So is a deleted one.
    let user = json!({"username": "joe", "password": PASSWORD});
    let (_, joe) = world.send(&admin, "POST", "/v3/users", user).await;
    let (token, _) = world.login("joe", PASSWORD).await;
    let path = format!("/v3/users/{}", joe["id"].as_str().expect("an id"));
    let (status, _) = world.send(&admin, "DELETE", &path, Value::Null).await;
    assert!([200, 204].contains(&status), "{status}");
    let (status, _) = world.send(&token, "GET", "/v3/users", Value::Null).await;
    assert_eq!(status, 401, "a deleted user is refused at once");
    world.store.shutdown().await;
}
