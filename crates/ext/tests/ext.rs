//! The group on a real store, with the index of rights: whose objects are whose, and that what is shown once lets in.

#[cfg(test)]
mod common;

use common::{World, names};
use drover_testkit::embedded::{PATIENCE, put};
use drover_types::management::{Cluster, Token, User};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_shown_once_lets_in_and_ends() {
    let world = World::start().await;
    let asked = json!({"apiVersion": "ext.cattle.io/v1", "kind": "Token", "metadata": {}, "spec": {
        "ttl": 3_600_000, "description": "ext",
    }});
    let (status, made) = world.send("ann", "POST", "/tokens", asked).await;
    assert_eq!(status, 201, "{made}");
    let name = made["metadata"]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    let bearer = made["status"]["bearerToken"]
        .as_str()
        .expect("a bearer")
        .to_owned();
    let key = made["status"]["value"].as_str().expect("a key").to_owned();
    assert_eq!(bearer, format!("ext/{name}:{key}"));
    assert_eq!(
        made["metadata"]["labels"],
        json!({"authn.management.cattle.io/kind": "", "cattle.io/user-id": "ann"})
    );
    let principal = &made["spec"]["userPrincipal"];
    assert_eq!(
        (&principal["name"], &principal["provider"]),
        (&json!("local://ann"), &json!("local"))
    );
    assert_eq!(made["spec"]["enabled"], true);
    assert_eq!(
        (&made["status"]["current"], &made["status"]["expired"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(made["status"].get("hash"), None);

    let identity = world.lets_in(&bearer).await.expect("it lets in");
    assert_eq!(identity.user.as_str(), "ann");
    assert_eq!(identity.extras["requesttokenid"].join(","), name);
    assert!(world.lets_in(&format!("ext/{name}:x")).await.is_none());
    assert!(world.lets_in(&format!("{name}:{key}")).await.is_none());

    // Nobody reads the key again, and what is stored is a hash of it.
    let path = format!("/tokens/{name}");
    for (user, url) in [
        ("ann", path.as_str()),
        ("ann", "/tokens"),
        (&world.kept.admin, "/tokens"),
    ] {
        let (status, shown) = world.send(user, "GET", url, Value::Null).await;
        assert_eq!(status, 200);
        assert!(
            !shown.to_string().contains(&key) && !shown.to_string().contains("$3:"),
            "{shown}"
        );
    }
    let secrets: kube::Api<Secret> = kube::Api::namespaced(world.hub.clone(), "cattle-tokens");
    let stored = secrets.get(&name).await.expect("it is there");
    let data = stored.data.expect("data");
    assert!(data.values().all(|value| value.0 != key.as_bytes()));
    assert!(data["hash"].0.starts_with(b"$3:1:"));

    // Used with itself, it is the current one.
    let (_, shown) = world
        .send_as(Some(identity.clone()), "GET", &path, Value::Null)
        .await;
    assert_eq!(shown["status"]["current"], true);
    let (status, changed) = world
        .send(
            "ann",
            "PATCH",
            &path,
            json!({"spec": {"description": "new", "ttl": 1_800_000}}),
        )
        .await;
    assert_eq!(
        (status, &changed["spec"]["description"]),
        (200, &json!("new")),
        "{changed}"
    );
    assert_eq!(changed["spec"]["ttl"], 1_800_000);
    for (spec, said) in [
        (json!({"ttl": 3_600_000}), "ttl"),
        (json!({"userID": "bob"}), "userID"),
        (json!({"kind": "session"}), "kind"),
        (json!({"clusterName": "c-1"}), "clusterName"),
    ] {
        let (status, error) = world
            .send("ann", "PATCH", &path, json!({ "spec": spec }))
            .await;
        assert_eq!((status, &error["reason"]), (400, &json!("BadRequest")));
        assert!(
            error["message"].as_str().expect("words").contains(said),
            "{error}"
        );
    }
    // Disabled it lets nobody in, and running requests end.
    let ended = world.kept.auth.authenticator.revoked(&identity);
    let off = json!({"spec": {"enabled": false}});
    let (status, _) = world.send("ann", "PATCH", &path, off).await;
    assert_eq!(status, 200);
    tokio::time::timeout(PATIENCE, ended)
        .await
        .expect("its requests end");
    assert!(world.lets_in(&bearer).await.is_none());
    let on = json!({"spec": {"enabled": true}});
    let (status, _) = world.send("ann", "PATCH", &path, on).await;
    assert_eq!(status, 200);
    let again = async {
        while world.lets_in(&bearer).await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again)
        .await
        .expect("it lets in again");
    let (status, _) = world.send("ann", "DELETE", &path, Value::Null).await;
    assert_eq!(status, 200);
    assert!(
        world.lets_in(&bearer).await.is_none(),
        "from this moment on"
    );
    assert_eq!(world.send("ann", "GET", &path, Value::Null).await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_reach_their_own_and_administrators_all() {
    let world = World::start().await;
    let admin = world.kept.admin.as_str();
    for kind in ["tokens", "kubeconfigs"] {
        let all = format!("/{kind}");
        let (status, own) = world.send("ann", "POST", &all, json!({"spec": {}})).await;
        assert_eq!(status, 201, "{own}");
        let name = own["metadata"]["name"].as_str().expect("a name");
        let one = format!("{all}/{name}");
        let only = format!("{all}?labelSelector=cattle.io/user-id%3Dann");
        for (user, expected) in [("ann", true), ("bob", false), (admin, true)] {
            for url in [&all, &only] {
                let (status, list) = world.send(user, "GET", url, Value::Null).await;
                assert_eq!(status, 200);
                assert_eq!(names(&list).contains(&name), expected, "{user} {url}");
            }
            let (status, _) = world.send(user, "GET", &one, Value::Null).await;
            assert_eq!(status, if expected { 200 } else { 404 }, "{user}");
        }
        let patch = json!({"spec": {"description": "x"}});
        for (method, body) in [
            ("PATCH", patch),
            ("PUT", own.clone()),
            ("DELETE", Value::Null),
        ] {
            let (status, _) = world.send("bob", method, &one, body).await;
            assert_eq!(status, 404, "{method}");
        }
        // Nobody is let in at all without a login or a role.
        for (method, url) in [
            ("GET", &all),
            ("POST", &all),
            ("GET", &one),
            ("PUT", &one),
            ("PATCH", &one),
            ("DELETE", &one),
            ("DELETE", &all),
        ] {
            assert_eq!(
                world.send("", method, url, Value::Null).await.0,
                401,
                "{method} {url}"
            );
            let (status, error) = world.send("stranger", method, url, Value::Null).await;
            assert_eq!(
                (status, &error["reason"]),
                (403, &json!("Forbidden")),
                "{method} {url}"
            );
        }
        let (status, _) = world.send(admin, "DELETE", &one, Value::Null).await;
        assert_eq!(status, 200);
        assert_eq!(world.send("ann", "GET", &one, Value::Null).await.0, 404);
    }
    for (body, said) in [
        (json!({"spec": {"userID": "bob"}}), "userID"),
        (json!({"spec": {"kind": "session"}}), "kind"),
        (json!({"spec": {"ttl": "soon"}}), "spec.ttl"),
    ] {
        let (status, error) = world.send("ann", "POST", "/tokens", body).await;
        assert_eq!(status, 400);
        assert!(
            error["message"].as_str().expect("words").contains(said),
            "{error}"
        );
    }
    // A cluster that one may not see is no cluster for a token or a kubeconfig.
    for (kind, spec) in [
        ("tokens", json!({"clusterName": "c-1"})),
        ("kubeconfigs", json!({"clusters": ["c-1"]})),
    ] {
        let (status, _) = world
            .send("ann", "POST", &format!("/{kind}"), json!({ "spec": spec }))
            .await;
        assert_eq!(status, 403, "{kind}");
    }
    let (status, made) = world
        .send(
            admin,
            "POST",
            "/tokens",
            json!({"spec": {"clusterName": "c-1"}}),
        )
        .await;
    assert_eq!((status, &made["spec"]["clusterName"]), (201, &json!("c-1")));
    let bearer = made["status"]["bearerToken"].as_str().expect("a bearer");
    assert!(
        world.lets_in(bearer).await.is_none(),
        "it is good for its cluster only"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_with_an_endpoint_of_its_own_has_a_token_of_its_own() {
    let world = World::start().await;
    // Called as the user whose token is good everywhere.
    let cluster = json!({"metadata": {"name": "c-2"}, "spec": {
        "displayName": "rancher", "localClusterAuthEndpoint": {"enabled": true, "fqdn": "two.example", "caCerts": "ca"},
    }});
    put::<Cluster>(kube::Api::all(world.hub.clone()), cluster).await;
    let asked = json!({"spec": {"clusters": ["c-2", "c-1"]}});
    let (status, made) = world
        .send(&world.kept.admin, "POST", "/kubeconfigs", asked)
        .await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["status"]["tokens"].as_array().map(Vec::len), Some(2));
    let file = made["status"]["value"].as_str().expect("a file");
    let config: Value = serde_saphyr::from_str(file).expect("YAML");
    let contexts: Vec<_> = config["contexts"]
        .as_array()
        .expect("contexts")
        .iter()
        .map(|context| (&context["name"], &context["context"]["user"]))
        .collect();
    let (everywhere, alone) = (json!("rancher"), json!("rancher-c-2"));
    assert_eq!(
        contexts,
        [
            (&json!("rancher"), &everywhere),
            (&json!("rancher"), &alone),
            (&json!("rancher-fqdn"), &alone),
            (&json!("one"), &everywhere),
        ]
    );
    assert_eq!(config["current-context"], "rancher-fqdn");
    assert_eq!(
        config["clusters"][2]["cluster"],
        json!({"server": "https://two.example", "certificate-authority-data": "Y2E="})
    );
    for (number, scope) in [(0, None), (1, Some("c-2"))] {
        let bearer = config["users"][number]["user"]["token"].as_str();
        let (name, _) = bearer.expect("a token").split_once(':').expect("a key");
        let path = format!("/tokens/{}", name.trim_start_matches("ext/"));
        let (_, token) = world
            .send(&world.kept.admin, "GET", &path, Value::Null)
            .await;
        assert_eq!(token["spec"]["clusterName"].as_str(), scope, "{token}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kubeconfig_is_shown_once_and_takes_its_token_with_it() {
    let world = World::start().await;
    let admin = world.kept.admin.as_str();
    let asked = json!({"spec": {"clusters": ["c-1"], "ttl": 3600, "description": "x"}});
    let (status, made) = world.send(admin, "POST", "/kubeconfigs", asked).await;
    assert_eq!(status, 201, "{made}");
    let name = made["metadata"]["name"].as_str().expect("a name");
    assert!(name.starts_with("kubeconfig-"));
    assert_eq!(
        made["spec"],
        json!({"clusters": ["c-1"], "currentContext": "c-1", "description": "x", "ttl": 3600})
    );
    assert_eq!(made["status"]["summary"], "Complete");
    let file = made["status"]["value"].as_str().expect("a file");
    let config: Value = serde_saphyr::from_str(file).expect("YAML");
    assert_eq!(config["current-context"], "one");
    assert_eq!(
        config["clusters"][0]["cluster"]["server"],
        "https://drover.example"
    );
    assert_eq!(
        config["clusters"][1]["cluster"]["server"],
        "https://drover.example/k8s/clusters/c-1"
    );
    assert_eq!(
        config["contexts"][1]["context"],
        json!({"user": "rancher", "cluster": "one"})
    );
    let bearer = config["users"][0]["user"]["token"]
        .as_str()
        .expect("a token");
    let identity = world.lets_in(bearer).await.expect("it lets in");
    assert_eq!(identity.user.as_str(), admin);
    assert_eq!(identity.token.expect("a token").kind, "kubeconfig");

    let one = format!("/kubeconfigs/{name}");
    let (_, shown) = world.send(admin, "GET", &one, Value::Null).await;
    assert_eq!(shown["status"].get("value"), None);
    let maps: kube::Api<ConfigMap> = kube::Api::namespaced(world.hub.clone(), "cattle-tokens");
    let stored = maps.get(name).await.expect("it is there");
    let key = bearer.rsplit(':').next().expect("a key");
    assert!(!format!("{stored:?}").contains(key));

    let (status, changed) = world
        .send(admin, "PATCH", &one, json!({"spec": {"description": "y"}}))
        .await;
    assert_eq!(
        (status, &changed["spec"]["description"]),
        (200, &json!("y")),
        "{changed}"
    );
    for spec in [
        json!({"ttl": 1}),
        json!({"clusters": []}),
        json!({"currentContext": "x"}),
        json!({"includeDefaultEntry": false}),
    ] {
        let (status, error) = world
            .send(admin, "PATCH", &one, json!({ "spec": spec }))
            .await;
        assert_eq!(status, 400, "{spec} {error}");
    }
    let (status, _) = world.send(admin, "DELETE", &one, Value::Null).await;
    assert_eq!(status, 200);
    assert!(world.lets_in(bearer).await.is_none());
    assert!(maps.get_opt(name).await.expect("an answer").is_none());

    let (status, all) = world
        .send(
            admin,
            "POST",
            "/kubeconfigs",
            json!({"spec": {"clusters": ["*"], "includeDefaultEntry": false}}),
        )
        .await;
    assert_eq!(
        (status, &all["spec"]["ttl"]),
        (201, &json!(2_592_000)),
        "{all}"
    );
    for (spec, said) in [
        (json!({"clusters": ["c-1", "c-1"]}), "unique"),
        (json!({"includeDefaultEntry": false}), "at least one"),
        (json!({"ttl": -1}), "ttl"),
        (json!({"ttl": 1_000_000_000}), "max ttl"),
        (
            json!({"clusters": ["c-1"], "currentContext": "c-2"}),
            "currentContext",
        ),
        (json!({"clusters": ["c-9"]}), "not found"),
        (json!({"clusters": "c-1"}), "clusters"),
    ] {
        let (status, error) = world
            .send(admin, "POST", "/kubeconfigs", json!({ "spec": spec }))
            .await;
        assert_eq!(status, 400, "{error}");
        assert!(
            error["message"].as_str().expect("words").contains(said),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_changed_by_its_owner_or_an_administrator() {
    let world = World::start().await;
    let admin = world.kept.admin.as_str();
    let ask = async |user: &str, of: &str, current: &str, new: &str| {
        let spec = json!({"userID": of, "currentPassword": current, "newPassword": new});
        world
            .send(
                user,
                "POST",
                "/passwordchangerequests",
                json!({ "spec": spec }),
            )
            .await
    };
    let must = async || {
        let users: kube::Api<User> = kube::Api::all(world.hub.clone());
        users
            .get("ann")
            .await
            .expect("she is there")
            .must_change_password
    };
    assert!(must().await);
    let (status, done) = ask(admin, "ann", "", "a-long-password-2").await;
    assert_eq!(
        (status, &done["status"]["summary"]),
        (201, &json!("Completed")),
        "{done}"
    );
    assert_eq!(
        done["spec"],
        json!({"userID": "ann"}),
        "no password comes back"
    );
    assert!(!must().await);
    for (user, of, current, new, expected) in [
        ("ann", "ann", "wrong-password-1", "a-long-password-3", 400),
        ("ann", "ann", "a-long-password-2", "short", 400),
        ("ann", "ann", "a-long-password-2", "a-long-password-2", 400),
        ("ann", "bob", "a-long-password-2", "a-long-password-3", 403),
        ("ann", "u-nosuch", "", "a-long-password-3", 403),
        ("ann", "", "", "a-long-password-3", 400),
        (admin, "u-nosuch", "", "x", 400),
        (admin, "u-nosuch", "", "a-long-password-3", 400),
        ("stranger", "stranger", "", "a-long-password-3", 403),
        ("", "ann", "", "a-long-password-3", 401),
    ] {
        let (status, error) = ask(user, of, current, new).await;
        assert_eq!(status, expected, "{user} {of} {new}: {error}");
        assert!(
            new.len() < 10 || !error.to_string().contains(new),
            "{error}"
        );
    }
    let (status, error) = ask(admin, "u-nosuch", "", "x").await;
    assert_eq!((status, &error["reason"]), (400, &json!("BadRequest")));
    assert!(
        error["message"]
            .as_str()
            .expect("words")
            .contains("12 characters"),
        "{error}"
    );
    let (status, done) = ask("ann", "ann", "a-long-password-2", "a-long-password-3").await;
    assert_eq!(status, 201, "{done}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_kept_alive_by_its_owner() {
    let world = World::start().await;
    let session = |name: &str, derived: bool| {
        json!({
            "metadata": {"name": name, "labels": {"authn.management.cattle.io/kind": "session"}},
            "userId": "ann", "isDerived": derived, "ttl": 3_600_000, "enabled": true, "token": "x",
        })
    };
    for (name, derived) in [("token-one", false), ("token-two", true)] {
        put::<Token>(kube::Api::all(world.hub.clone()), session(name, derived)).await;
    }
    let path = "/useractivities/token-one";
    let (status, none) = world.send("ann", "GET", path, Value::Null).await;
    assert_eq!((status, none["spec"].get("seenAt")), (200, None), "{none}");
    let (status, noted) = world.send("ann", "PUT", path, json!({"spec": {}})).await;
    assert_eq!(status, 200, "{noted}");
    let seen = noted["spec"]["seenAt"].as_str().expect("a time");
    assert!(noted["status"]["expiresAt"].as_str().expect("a time") > seen);
    // It never runs backwards, and never ahead.
    for at in ["2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"] {
        let (_, again) = world
            .send("ann", "PATCH", path, json!({"spec": {"seenAt": at}}))
            .await;
        let again = again["spec"]["seenAt"].as_str().expect("a time");
        assert!(again >= seen && again < "2900", "{at}: {again}");
    }
    assert_eq!(
        world
            .send("ann", "PUT", path, json!({"spec": {"seenAt": "x"}}))
            .await
            .0,
        400
    );
    let (_, now) = world.send("ann", "GET", path, Value::Null).await;
    assert!(now["spec"]["seenAt"].is_string());
    for (user, url, expected) in [
        ("bob", path, 404),
        (&world.kept.admin, path, 404),
        ("ann", "/useractivities/token-nosuch", 404),
        ("ann", "/useractivities/token-two", 403),
        ("stranger", path, 403),
        ("", path, 401),
        ("ann", "/useractivities", 404),
    ] {
        assert_eq!(
            world.send(user, "GET", url, Value::Null).await.0,
            expected,
            "{user} {url}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_group_is_found_as_kubernetes_clients_look_for_it() {
    let world = World::start().await;
    let (status, list) = world.send("ann", "GET", "", Value::Null).await;
    assert_eq!((status, &list["kind"]), (200, &json!("APIResourceList")));
    let resources = list["resources"].as_array().expect("resources");
    let shown: Vec<&str> = resources
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    let recorded = [
        "groupmembershiprefreshrequests",
        "kubeconfigs",
        "passwordchangerequests",
        "selfusers",
        "tokens",
        "useractivities",
    ];
    assert_eq!(shown, recorded);
    let (status, made) = world.send("ann", "POST", "/selfusers", json!({})).await;
    assert_eq!((status, &made["status"]["userID"]), (201, &json!("ann")));
    // As recorded (recorded/http/12).
    for (path, expected) in [
        ("/selfusers", 405),
        ("/groupmembershiprefreshrequests", 405),
        ("/passwordchangerequests", 405),
        ("/useractivities", 404),
        ("/nosuch", 404),
    ] {
        let (status, refused) = world.send("ann", "GET", path, Value::Null).await;
        assert_eq!(
            (status, &refused["kind"]),
            (expected, &json!("Status")),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_yaml_gets_it() {
    let world = World::start().await;
    let (status, made) = world
        .send("bob", "POST", "/tokens", json!({"spec": {}}))
        .await;
    assert_eq!(status, 201, "{made}");
    let name = made["metadata"]["name"].as_str().unwrap();
    let asked = async |path: &str, accept: &str| {
        let url = format!("{}{path}", common::ROOT);
        let request = http::Request::get(&url)
            .header("accept", accept)
            .body(drover_auth::web::empty())
            .unwrap();
        let path = request.uri().path().to_owned();
        let identity = Some(drover_auth::Identity::of("bob"));
        let (parts, body) = world
            .ext
            .handle(request, identity, &path)
            .await
            .into_parts();
        let body = http_body_util::BodyExt::collect(body).await.unwrap();
        let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        let kind = parts.headers["content-type"].to_str().unwrap().to_owned();
        (parts.status.as_u16(), kind, text)
    };
    let one = format!("/tokens/{name}");
    let (status, kind, text) = asked(&one, "application/yaml").await;
    assert_eq!((status, kind.as_str()), (200, "application/yaml"), "{text}");
    let shown: Value = serde_saphyr::from_str(&text).unwrap();
    let (_, kind, text) = asked(&one, "application/json, application/yaml").await;
    assert_eq!(kind, "application/json");
    assert_eq!(shown, serde_json::from_str::<Value>(&text).unwrap());
    let (_, kind, text) = asked("/tokens", "application/yaml").await;
    assert_eq!(kind, "application/yaml");
    let list: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(names(&list), [name]);
    let (status, kind, text) = asked("/tokens/no-such", "application/yaml").await;
    assert_eq!((status, kind.as_str()), (404, "application/yaml"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_acts_here_as_somebody_else() {
    let world = World::start().await;
    let admin = world.kept.admin.clone();
    for (name, value, expected) in [
        ("impersonate-user", "bob", 403),
        ("impersonate-group", "system:masters", 403),
        ("impersonate-user", admin.as_str(), 201),
    ] {
        let request = http::Request::post(format!("{}/selfusers", common::ROOT))
            .header(name, value)
            .body(drover_auth::web::full("{}"))
            .unwrap();
        let path = request.uri().path().to_owned();
        let identity = Some(drover_auth::Identity::of(&admin));
        let answer = world.ext.handle(request, identity, &path).await;
        assert_eq!(answer.status().as_u16(), expected, "{name}: {value}");
    }
}
