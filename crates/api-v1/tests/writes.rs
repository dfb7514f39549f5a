//! What people change through the explorer: single objects, documents, their preferences.

#![cfg(test)]

mod common;

use common::{INSIDE, World, ids};
use drover_auth::logins::{Credentials, Purpose};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_is_in_the_next_list() {
    let world = World::start().await;
    let at = format!("{INSIDE}/configmaps");
    let names =
        |list: Value| -> Vec<String> { ids(&list).into_iter().map(str::to_owned).collect() };
    let before = names(world.get("owner", &format!("{at}/mine")).await);
    for round in 0..20 {
        let name = format!("made-{round}");
        let body = json!({"metadata": {"name": name, "namespace": "mine"}, "data": {"a": "b"}});
        let (status, made) = world.send("owner", "POST", &at, body).await;
        assert_eq!(status, 201, "{made}");
        assert_eq!(made["metadata"]["fields"][0], name.as_str());
        assert!(
            names(world.get("owner", &format!("{at}/mine")).await)
                .contains(&format!("mine/{name}"))
        );

        let mut changed = made.clone();
        changed["data"]["a"] = json!("c");
        let path = format!("{at}/mine/{name}");
        let (status, answer) = world.send("owner", "PUT", &path, changed).await;
        assert_eq!(status, 200, "{answer}");
        let listed = world
            .get("owner", &format!("{at}?filter=metadata.name={name}"))
            .await;
        assert_eq!(listed["data"][0]["data"]["a"], "c");

        let patch = json!({"data": {"more": "x"}});
        let (status, answer) = world.send("owner", "PATCH", &path, patch).await;
        assert_eq!((status, answer["data"]["more"].as_str()), (200, Some("x")));
        let listed = world
            .get("owner", &format!("{at}?filter=metadata.name={name}"))
            .await;
        assert_eq!(listed["data"][0]["data"], json!({"a": "c", "more": "x"}));

        let (status, _) = world.send("owner", "DELETE", &path, Value::Null).await;
        assert_eq!(status, 204);
        assert_eq!(
            names(world.get("owner", &format!("{at}/mine")).await),
            before
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_checked_and_refused_as_the_reference_says() {
    let world = World::start().await;
    let at = format!("{INSIDE}/configmaps");
    let check = |method: &'static str, path: String, body: Value| {
        let world = &world;
        async move { world.send("owner", method, &path, body).await }
    };
    let (status, body) = check("POST", at.clone(), json!({"metadata": {"name": "x"}})).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (422, Some("MissingRequired"))
    );
    assert_eq!(body["fieldName"], "metadata.namespace");
    let (status, body) = check("POST", format!("{at}/mine"), json!({"data": {"a": "b"}})).await;
    assert_eq!(status, 201);
    assert!(
        body["id"].as_str().unwrap().starts_with("mine/cm-"),
        "{body}"
    );
    let (status, body) = check("PUT", format!("{at}/mine/in-mine"), json!({"data": {}})).await;
    assert_eq!(
        (status, body["fieldName"].as_str()),
        (422, Some("metadata.resourceVersion"))
    );
    let stale = json!({"metadata": {"name": "in-mine", "resourceVersion": "1"}});
    assert_eq!(
        check("PUT", format!("{at}/mine/in-mine"), stale).await.0,
        409
    );
    let twice = json!({"metadata": {"name": "in-mine", "namespace": "mine"}});
    let (status, body) = check("POST", at.clone(), twice).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (409, Some("AlreadyExists"))
    );
    let answer = world
        .ask("owner", "POST", &at, "application/json", json!("no object"))
        .await;
    assert_eq!(
        (answer.status, answer.body["code"].as_str()),
        (422, Some("InvalidBodyContent"))
    );

    let held =
        json!({"metadata": {"name": "held", "namespace": "mine", "finalizers": ["x.example/y"]}});
    assert_eq!(check("POST", at.clone(), held).await.0, 201);
    let (status, left) = check("DELETE", format!("{at}/mine/held"), Value::Null).await;
    assert_eq!(status, 200);
    assert!(left["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(left["metadata"]["state"]["name"], "removing");
    let dry = json!({"metadata": {"name": "dry", "namespace": "mine"}});
    assert_eq!(check("POST", format!("{at}?dryRun=All"), dry).await.0, 201);
    assert_eq!(
        check("GET", format!("{at}/mine/dry"), Value::Null).await.0,
        404
    );

    // A secret's own type comes back where it was.
    let secret = json!({"_type": "Opaque", "type": "secret", "metadata": {"name": "s", "namespace": "mine"}, "data": {"k": "djE="}});
    let (status, made) = check("POST", format!("{INSIDE}/secrets"), secret).await;
    assert_eq!(
        (status, made["_type"].as_str(), made["type"].as_str()),
        (201, Some("Opaque"), Some("secret"))
    );
    let (status, body) = check("PUT", format!("{INSIDE}/secrets/mine/s"), made).await;
    assert_eq!(status, 200, "{body}");
    // On the hub clusters are changed through /v3 only.
    let (status, body) = world
        .send(
            &world.admin,
            "PUT",
            "/v1/management.cattle.io.clusters/c-1",
            json!({}),
        )
        .await;
    assert_eq!(
        (status, body["code"].as_str()),
        (403, Some("PermissionDenied"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_applied_and_preferences_kept() {
    let world = World::start().await;
    let admin = world.admin.as_str();
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\ndata: {a: b}\n";
    let at = "/v1/management.cattle.io.clusters/c-1?action=apply";
    let (status, applied) = world
        .send(
            admin,
            "POST",
            at,
            json!({"yaml": yaml, "defaultNamespace": "mine"}),
        )
        .await;
    assert_eq!(status, 200, "{applied}");
    assert_eq!(ids(&applied), ["mine/applied"]);
    assert_eq!(
        applied["links"]["self"],
        "https://drover.example/k8s/clusters/c-1/v1/management.cattle.io.clusters/local"
    );
    assert_eq!(applied["resourceType"], "management.cattle.io.cluster");
    for (input, field) in [
        (json!({}), "yaml"),
        (json!({"yaml": "kind: ["}), "yaml"),
        (
            json!({"yaml": "kind: Nope\napiVersion: v9\nmetadata: {name: x}"}),
            "yaml",
        ),
    ] {
        let (status, body) = world.send(admin, "POST", at, input).await;
        assert_eq!(
            (status, body["fieldName"].as_str()),
            (422, Some(field)),
            "{body}"
        );
    }

    let own = "/v1/userpreferences/member";
    assert_eq!(world.get("member", own).await["data"], json!({}));
    let (status, put) = world
        .send(
            "member",
            "PUT",
            own,
            json!({"data": {"theme": "ui-dark", "landing": "home"}}),
        )
        .await;
    assert_eq!((status, &put["data"]["theme"]), (200, &json!("ui-dark")));
    world
        .send("member", "PUT", own, json!({"data": {"theme": "ui-light"}}))
        .await;
    let list = world.get("member", "/v1/userpreferences").await;
    assert_eq!(list["data"][0]["data"], json!({"theme": "ui-light"}));
    assert_eq!(list["data"][0]["id"], "member");
    assert_eq!(world.send("stranger", "GET", own, Value::Null).await.0, 404);
    assert_eq!(
        world
            .send("stranger", "PUT", own, json!({"data": {}}))
            .await
            .0,
        404
    );
    assert_eq!(
        world.get("member", own).await["data"],
        json!({"theme": "ui-light"})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_of_users_are_kept_as_hashes() {
    let world = World::start().await;
    let at = "/v1/secrets/cattle-local-user-passwords";
    let admin = world.admin.as_str();
    let (status, user) = world
        .send(
            admin,
            "POST",
            "/v1/management.cattle.io.users",
            json!({"username": "robin-of-locksley"}),
        )
        .await;
    assert_eq!(status, 201, "{user}");
    let name = user["id"].as_str().unwrap();
    let secret = |name: &str, password: &str| json!({"metadata": {"name": name, "namespace": "cattle-local-user-passwords"}, "stringData": {"password": password}});
    for (name, password) in [
        (name, "short"),
        (name, "robin-of-locksley"),
        ("nobody", "long enough it is"),
    ] {
        let (status, refused) = world.send(admin, "POST", at, secret(name, password)).await;
        assert_eq!(
            (status, refused["fieldName"].as_str()),
            (400, Some("data.password")),
            "{refused}"
        );
    }
    let nobodys = json!({
        "metadata": {"namespace": "cattle-local-user-passwords"}, "stringData": {"password": "long enough it is"},
    });
    let (status, refused) = world.send(admin, "POST", at, nobodys).await;
    assert_eq!(
        (status, refused["fieldName"].as_str()),
        (400, Some("metadata.name")),
        "{refused}"
    );
    let mut odd = secret(name, "long enough it is");
    odd["metadata"]["annotations"] = json!(5);
    let (status, refused) = world.send(admin, "POST", at, odd).await;
    assert_eq!(
        (status, refused["fieldName"].as_str()),
        (422, Some("metadata.annotations")),
        "{refused}"
    );
    let (status, _) = world
        .send("owner", "POST", at, secret(name, "long enough it is"))
        .await;
    assert!(status == 403 || status == 404, "{status}");

    let login = |password: &'static str| {
        let auth = world.ways.auth().clone();
        async move {
            let credentials = Credentials {
                username: "robin-of-locksley".to_owned(),
                password: password.into(),
                remote: None,
            };
            auth.logins
                .login(&credentials, &Purpose::Session, "")
                .await
                .map(drop)
        }
    };
    for (method, path, password) in [
        ("POST", at.to_owned(), "long enough it is"),
        ("PUT", format!("{at}/{name}"), "another long one"),
    ] {
        let mut body = secret(name, password);
        if method == "PUT" {
            let now = world.get(admin, &path).await;
            body["metadata"]["resourceVersion"] = now["metadata"]["resourceVersion"].clone();
        }
        let (status, made) = world.send(admin, method, &path, body).await;
        assert!(status < 300, "{made}");
        assert_eq!(
            made["metadata"]["annotations"]["cattle.io/password-hash"],
            "pbkdf2sha3512"
        );
        let shown = made.to_string();
        assert!(
            !shown.contains(password) && made["data"]["salt"].is_string(),
            "{shown}"
        );
        login(password).await.unwrap();
    }
    // Applied it is kept in no other way.
    let yaml = json!({
        "apiVersion": "v1", "kind": "Secret", "stringData": {"password": "a third long one"},
        "metadata": {"name": name, "namespace": "cattle-local-user-passwords"},
    });
    let action = "/v1/management.cattle.io.clusters/local?action=apply";
    let (status, applied) = world
        .send(admin, "POST", action, json!({"yaml": yaml.to_string()}))
        .await;
    assert_eq!(status, 200, "{applied}");
    assert!(
        !applied.to_string().contains("a third long one"),
        "{applied}"
    );
    login("a third long one").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_api_server_warns_of_is_passed_on_and_writes_have_an_owner() {
    let world = World::start().await;
    let json = "application/json";
    let warnings = |answer: &common::Answer| -> Vec<String> {
        let found = answer.headers.get_all("warning").iter();
        let found = found.map(|value| value.to_str().expect("text").to_owned());
        found.collect()
    };
    let sent =
        json!({"metadata": {"name": "warned", "namespace": "mine"}, "data": {"a": "b"}, "nope": 1});
    let at = format!("{INSIDE}/configmaps");
    let made = world.ask("owner", "POST", &at, json, sent.clone()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let expected = r#"299 - unknown field "nope""#;
    assert_eq!(warnings(&made), [expected]);
    let managers = |body: &Value| -> Vec<String> {
        let managers = body["metadata"]["managedFields"].as_array().into_iter();
        let managers = managers.flatten().filter_map(|one| one["manager"].as_str());
        managers.map(str::to_owned).collect()
    };
    assert_eq!(managers(&made.body), ["drover"]);
    let at = format!("{at}/mine/warned");
    let mut sent = made.body.clone();
    sent["nope"] = json!(2);
    let put = world.ask("owner", "PUT", &at, json, sent).await;
    assert_eq!(
        (put.status, warnings(&put)),
        (200, vec![expected.to_owned()])
    );
    let merge = "application/merge-patch+json";
    let patch = json!({"data": {"c": "d"}});
    let own = format!("{at}?fieldManager=me");
    let patched = world.ask("owner", "PATCH", &own, merge, patch).await;
    assert_eq!((patched.status, warnings(&patched).len()), (200, 0));
    assert_eq!(managers(&patched.body), ["drover", "me"]);
    // On the hub, where the index of roles decides, as well.
    let project = "/v1/management.cattle.io.projects/c-1/p-1";
    let patch = json!({"spec": {"description": "d", "nope": 1}});
    let changed = world.ask("owner", "PATCH", project, merge, patch).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(warnings(&changed), [r#"299 - unknown field "spec.nope""#]);
    // Old kinds are warned of when they are read.
    let old = json!({"metadata": {"name": "old", "namespace": "mine"}});
    let at = format!("{INSIDE}/endpoints");
    let made = world.ask("owner", "POST", &at, json, old).await;
    assert!(warnings(&made)[0].contains("v1 Endpoints is deprecated"));
    let read = world
        .ask("owner", "GET", &format!("{at}/mine/old"), json, Value::Null)
        .await;
    assert!(warnings(&read)[0].contains("v1 Endpoints is deprecated"));
}
