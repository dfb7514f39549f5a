//! What writes and reads of objects answer.

mod common;

use common::{Api, config_map, eventually};
use http::Method;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test]
async fn an_object_lives_from_create_to_delete() {
    let api = Api::memory().await;
    let made = api
        .post(MAPS, &config_map("a", &json!({"k": "v"})))
        .await
        .expect(201);
    let meta = &made["metadata"];
    assert_eq!(meta["namespace"], "default");
    assert_eq!(meta["uid"].as_str().unwrap().len(), 36);
    assert!(
        meta["resourceVersion"]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 0
    );
    assert_eq!(meta["managedFields"][0]["manager"], "test");
    assert_eq!(
        meta["managedFields"][0]["fieldsV1"]["f:data"]["f:k"],
        json!({})
    );
    let read = api.get(&format!("{MAPS}/a")).await.expect(200);
    assert_eq!(read, made);

    let mut changed = read.clone();
    changed["data"]["k"] = "w".into();
    let updated = api.put(&format!("{MAPS}/a"), &changed).await.expect(200);
    assert_ne!(
        updated["metadata"]["resourceVersion"],
        read["metadata"]["resourceVersion"]
    );
    // The same again changes nothing.
    let mut again = updated.clone();
    again["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("resourceVersion");
    let same = api.put(&format!("{MAPS}/a"), &again).await.expect(200);
    assert_eq!(same, updated);
    // An old version is refused.
    let conflict = api.put(&format!("{MAPS}/a"), &changed).await.expect(409);
    assert_eq!(conflict["reason"], "Conflict");

    let patched = api
        .merge(
            &format!("{MAPS}/a"),
            &json!({"data": {"k": null, "l": "1"}}),
        )
        .await
        .expect(200);
    assert_eq!(patched["data"], json!({"l": "1"}));
    let gone = api.delete(&format!("{MAPS}/a")).await.expect(200);
    assert_eq!(gone["status"], "Success");
    assert_eq!(gone["details"]["uid"], made["metadata"]["uid"]);
    let missing = api.get(&format!("{MAPS}/a")).await.expect(404);
    assert_eq!(missing["message"], "configmaps \"a\" not found");
    assert_eq!(
        missing["details"],
        json!({"name": "a", "kind": "configmaps"})
    );
    api.server.shutdown().await;
}

#[tokio::test]
async fn names_are_generated_and_checked() {
    let api = Api::memory().await;
    let made = api
        .post(
            MAPS,
            &json!({"kind": "ConfigMap", "metadata": {"generateName": "x-"}}),
        )
        .await
        .expect(201);
    assert_eq!(made["metadata"]["name"].as_str().unwrap().len(), 7);
    let bad = api
        .post(MAPS, &config_map("A_b", &json!({})))
        .await
        .expect(422);
    assert_eq!(bad["details"]["causes"][0]["field"], "metadata.name");
    api.post(MAPS, &config_map("a", &json!({})))
        .await
        .expect(201);
    let twice = api
        .post(MAPS, &config_map("a", &json!({})))
        .await
        .expect(409);
    assert_eq!(twice["reason"], "AlreadyExists");
    let nameless = api.post(MAPS, &json!({"metadata": {}})).await.expect(422);
    assert!(
        nameless["message"]
            .as_str()
            .unwrap()
            .contains("name or generateName is required")
    );
}

#[tokio::test]
async fn dry_runs_leave_nothing() {
    let api = Api::memory().await;
    let uri = format!("{MAPS}?dryRun=All");
    api.post(&uri, &config_map("a", &json!({})))
        .await
        .expect(201);
    api.get(&format!("{MAPS}/a")).await.expect(404);
    api.post(MAPS, &config_map("a", &json!({"k": "v"})))
        .await
        .expect(201);
    let patched = api
        .merge(
            &format!("{MAPS}/a?dryRun=All"),
            &json!({"data": {"k": "w"}}),
        )
        .await
        .expect(200);
    assert_eq!(patched["data"]["k"], "w");
    assert_eq!(
        api.get(&format!("{MAPS}/a")).await.expect(200)["data"]["k"],
        "v"
    );
    api.delete(&format!("{MAPS}/a?dryRun=All"))
        .await
        .expect(200);
    api.get(&format!("{MAPS}/a")).await.expect(200);
    api.post(&format!("{MAPS}?dryRun=some"), &config_map("b", &json!({})))
        .await
        .expect(422);
}

#[tokio::test]
async fn bodies_and_media_types_are_checked() {
    let api = Api::memory().await;
    let check = async |content_type: &str, body: &str, code: u16| {
        api.call(Method::POST, MAPS, content_type, body.to_owned())
            .await
            .expect(code)
    };
    check("application/json", "{", 400).await;
    check("application/json", "[]", 400).await;
    check("application/json", "", 400).await;
    check("application/json", &"[".repeat(10_000), 400).await;
    check("text/plain", "{}", 415).await;
    check(
        "application/json",
        r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"}}"#,
        400,
    )
    .await;
    check(
        "application/json",
        r#"{"kind":"ConfigMap","apiVersion":"v2","metadata":{"name":"a"}}"#,
        400,
    )
    .await;
    check(
        "application/json",
        r#"{"metadata":{"name":"a","namespace":"other"}}"#,
        400,
    )
    .await;
    check(
        "application/yaml",
        "metadata:\n  name: yaml\ndata:\n  a: b\n",
        201,
    )
    .await;
    let large = format!(
        r#"{{"metadata":{{"name":"a"}},"data":{{"a":"{}"}}}}"#,
        "x".repeat(4 << 20)
    );
    check("application/json", &large, 413).await;
    api.get_as(
        &format!("{MAPS}/yaml"),
        "application/vnd.kubernetes.protobuf",
    )
    .await
    .expect(406);
    let yaml = api
        .get_as(&format!("{MAPS}/yaml"), "application/yaml")
        .await;
    assert_eq!(yaml.headers["content-type"], "application/yaml");
    assert!(yaml.text().contains("name: yaml"));
    let strict = api
        .post(
            &format!("{MAPS}?fieldValidation=Strict"),
            &json!({"metadata": {"name": "s"}, "spec": 1}),
        )
        .await
        .expect(400);
    assert!(
        strict["message"]
            .as_str()
            .unwrap()
            .contains("unknown field \"spec\"")
    );
    let warned = api
        .post(MAPS, &json!({"metadata": {"name": "w"}, "spec": 1}))
        .await;
    assert_eq!(
        warned.headers["warning"],
        "299 - \"unknown field \\\"spec\\\"\""
    );
    let object_too_large = "x".repeat(1_600_000);
    let refused = api
        .post(MAPS, &config_map("big", &json!({"a": object_too_large})))
        .await;
    assert!(refused.code.is_client_error() || refused.code.is_server_error());
}

#[tokio::test]
async fn pages_of_a_list_are_one_snapshot() {
    let api = Api::memory().await;
    for n in 0..10 {
        api.post(
            MAPS,
            &config_map(&format!("m{n}"), &json!({"n": n.to_string()})),
        )
        .await
        .expect(201);
    }
    let first = api.get(&format!("{MAPS}?limit=4")).await.expect(200);
    assert_eq!(first["kind"], "ConfigMapList");
    assert!(first["items"][0].get("kind").is_none());
    let revision = first["metadata"]["resourceVersion"].clone();
    let names = |page: &Value| -> Vec<String> {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut seen = names(&first);
    let mut remaining = first["metadata"]["remainingItemCount"].as_u64().unwrap();
    // Changes between the pages stay invisible.
    api.delete(&format!("{MAPS}/m7")).await.expect(200);
    api.post(MAPS, &config_map("m55", &json!({})))
        .await
        .expect(201);
    api.merge(&format!("{MAPS}/m9"), &json!({"data": {"n": "changed"}}))
        .await
        .expect(200);
    let mut token = first["metadata"]["continue"].as_str().map(str::to_owned);
    let mut last = Value::Null;
    while let Some(next) = token {
        let page = api
            .get(&format!("{MAPS}?limit=4&continue={next}"))
            .await
            .expect(200);
        assert_eq!(page["metadata"]["resourceVersion"], revision);
        assert_eq!(
            remaining,
            names(&page).len() as u64
                + page["metadata"]["remainingItemCount"].as_u64().unwrap_or(0)
        );
        remaining = page["metadata"]["remainingItemCount"].as_u64().unwrap_or(0);
        seen.extend(names(&page));
        token = page["metadata"]["continue"].as_str().map(str::to_owned);
        last = page;
    }
    // kube-root-ca.crt and the like may be there too.
    seen.retain(|name| name.starts_with('m'));
    let expected: Vec<String> = (0..10).map(|n| format!("m{n}")).collect();
    assert_eq!(seen, expected);
    assert!(last.to_string().contains("\"n\":\"9\""));
    let exact = revision.as_str().unwrap();
    let then = api
        .get(&format!(
            "{MAPS}?resourceVersion={exact}&resourceVersionMatch=Exact"
        ))
        .await
        .expect(200);
    assert!(names(&then).contains(&"m7".to_owned()));
    api.get(&format!("{MAPS}?continue=nonsense"))
        .await
        .expect(400);
    let far = api
        .get(&format!("{MAPS}?resourceVersion=999999999"))
        .await
        .expect(504);
    assert_eq!(
        far["details"]["causes"][0]["reason"],
        "ResourceVersionTooLarge"
    );
}

#[tokio::test]
async fn selectors_select() {
    let api = Api::memory().await;
    for (name, app) in [("a", "x"), ("b", "y"), ("c", "x")] {
        let mut map = config_map(name, &json!({}));
        map["metadata"]["labels"] = json!({"app": app});
        api.post(MAPS, &map).await.expect(201);
    }
    let count = async |query: &str| -> usize {
        api.get(&format!("{MAPS}?{query}")).await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count("labelSelector=app%3Dx").await, 2);
    assert_eq!(count("labelSelector=app%20in%20(x,y)").await, 3);
    assert_eq!(count("labelSelector=app%3Dx&limit=1").await, 1);
    assert_eq!(count("fieldSelector=metadata.name%3Db").await, 1);
    assert_eq!(
        count("fieldSelector=metadata.name%3Db&labelSelector=app%3Dx").await,
        0
    );
    api.get(&format!("{MAPS}?fieldSelector=spec.x%3Db"))
        .await
        .expect(400);
    api.get(&format!("{MAPS}?labelSelector=a%20b"))
        .await
        .expect(400);
    let deleted = api
        .delete(&format!("{MAPS}?labelSelector=app%3Dx"))
        .await
        .expect(200);
    assert_eq!(deleted["items"].as_array().unwrap().len(), 2);
    assert_eq!(count("labelSelector=app").await, 1);
}

#[tokio::test]
async fn finalizers_hold_an_object() {
    let api = Api::memory().await;
    let mut map = config_map("a", &json!({}));
    map["metadata"]["finalizers"] = json!(["x.io/hold"]);
    api.post(MAPS, &map).await.expect(201);
    let marked = api.delete(&format!("{MAPS}/a")).await.expect(200);
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
    let refused = api
        .merge(
            &format!("{MAPS}/a"),
            &json!({"metadata": {"finalizers": ["x.io/hold", "y.io/more"]}}),
        )
        .await
        .expect(422);
    assert_eq!(
        refused["details"]["causes"][0]["field"],
        "metadata.finalizers"
    );
    api.merge(
        &format!("{MAPS}/a"),
        &json!({"metadata": {"finalizers": null}}),
    )
    .await
    .expect(200);
    api.get(&format!("{MAPS}/a")).await.expect(404);
    let wrong = api
        .delete_with(
            &format!("{MAPS}/kube-root-ca.crt"),
            &json!({"preconditions": {"uid": "other"}}),
        )
        .await;
    assert!(matches!(wrong.code.as_u16(), 404 | 409));
}

#[tokio::test]
async fn a_namespace_named_for_what_has_none_is_cleared() {
    let api = Api::memory().await;
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "reader", "namespace": "elsewhere"}, "rules": [],
    });
    let made = api
        .post("/apis/rbac.authorization.k8s.io/v1/clusterroles", &role)
        .await
        .expect(201);
    assert_eq!(made["metadata"]["namespace"], Value::Null);
}

#[tokio::test]
async fn namespaces_live_and_are_emptied() {
    let api = Api::memory().await;
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        let namespace = api
            .get(&format!("/api/v1/namespaces/{name}"))
            .await
            .expect(200);
        assert_eq!(
            namespace["metadata"]["labels"]["kubernetes.io/metadata.name"],
            name
        );
        assert_eq!(namespace["status"]["phase"], "Active");
    }
    api.delete("/api/v1/namespaces/default").await.expect(403);
    let missing = api
        .post(
            "/api/v1/namespaces/none/configmaps",
            &config_map("a", &json!({})),
        )
        .await
        .expect(404);
    assert_eq!(missing["message"], "namespaces \"none\" not found");
    api.post("/api/v1/namespaces", &json!({"metadata": {"name": "team"}}))
        .await
        .expect(201);
    let mut held = config_map("a", &json!({}));
    held["metadata"]["finalizers"] = json!(["x.io/hold"]);
    api.post("/api/v1/namespaces/team/configmaps", &held)
        .await
        .expect(201);
    api.post(
        "/api/v1/namespaces/team/secrets",
        &json!({"metadata": {"name": "s"}}),
    )
    .await
    .expect(201);
    let going = api.delete("/api/v1/namespaces/team").await.expect(200);
    assert_eq!(going["status"]["phase"], "Terminating");
    let refused = api
        .post(
            "/api/v1/namespaces/team/configmaps",
            &config_map("b", &json!({})),
        )
        .await
        .expect(403);
    assert_eq!(
        refused["details"]["causes"][0]["reason"],
        "NamespaceTerminating"
    );
    eventually("the secret goes", async || {
        (api.get("/api/v1/namespaces/team/secrets/s").await.code == 404).then_some(())
    })
    .await;
    eventually("the condition", async || {
        let namespace = api.get("/api/v1/namespaces/team").await.json();
        namespace["status"]["conditions"].is_array().then_some(())
    })
    .await;
    api.merge(
        "/api/v1/namespaces/team/configmaps/a",
        &json!({"metadata": {"finalizers": null}}),
    )
    .await
    .expect(200);
    eventually("the namespace goes", async || {
        (api.get("/api/v1/namespaces/team").await.code == 404).then_some(())
    })
    .await;
    api.server.shutdown().await;
}

#[tokio::test]
async fn dependents_follow_their_owners() {
    let api = Api::memory().await;
    let owner = api
        .post(MAPS, &config_map("owner", &json!({})))
        .await
        .expect(201);
    let reference = |owner: &Value, block: bool| {
        json!([{
            "apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"], "blockOwnerDeletion": block,
        }])
    };
    let dependent = |name: &str, references: Value| {
        let mut map = config_map(name, &json!({}));
        map["metadata"]["ownerReferences"] = references;
        map
    };
    let gone = async |name: &str| {
        eventually(name, async || {
            (api.get(&format!("{MAPS}/{name}")).await.code == 404).then_some(())
        })
        .await;
    };
    let child = api
        .post(MAPS, &dependent("child", reference(&owner, false)))
        .await
        .expect(201);
    api.post(MAPS, &dependent("grandchild", reference(&child, false)))
        .await
        .expect(201);
    api.delete(&format!("{MAPS}/owner?propagationPolicy=Background"))
        .await
        .expect(200);
    gone("child").await;
    gone("grandchild").await;

    let owner = api
        .post(MAPS, &config_map("owner", &json!({})))
        .await
        .expect(201);
    api.post(MAPS, &dependent("child", reference(&owner, true)))
        .await
        .expect(201);
    let marked = api
        .delete(&format!("{MAPS}/owner?propagationPolicy=Foreground"))
        .await
        .expect(200);
    assert_eq!(
        marked["metadata"]["finalizers"],
        json!(["foregroundDeletion"])
    );
    gone("owner").await;
    gone("child").await;

    let owner = api
        .post(MAPS, &config_map("owner", &json!({})))
        .await
        .expect(201);
    api.post(MAPS, &dependent("child", reference(&owner, true)))
        .await
        .expect(201);
    api.delete(&format!("{MAPS}/owner?propagationPolicy=Orphan"))
        .await
        .expect(200);
    gone("owner").await;
    let child = api.get(&format!("{MAPS}/child")).await.expect(200);
    assert!(child["metadata"].get("ownerReferences").is_none());

    // An owner of a kind nobody serves is not gone, only unknown.
    let foreign = json!([{"apiVersion": "x.io/v1", "kind": "X", "name": "x", "uid": "u"}]);
    api.post(MAPS, &dependent("kept", foreign))
        .await
        .expect(201);
    let absent = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "u"}]);
    api.post(MAPS, &dependent("dangling", absent))
        .await
        .expect(201);
    gone("dangling").await;
    api.get(&format!("{MAPS}/kept")).await.expect(200);
    api.server.shutdown().await;
}

#[tokio::test]
async fn applies_track_their_fields() {
    let api = Api::memory().await;
    let uri = format!("{MAPS}/a");
    let mut map = config_map("a", &json!({"k": "1"}));
    map["metadata"]["namespace"] = "default".into();
    api.apply(&uri, &map).await.expect(422);
    api.apply(&format!("{uri}?fieldManager=one"), &map)
        .await
        .expect(201);
    let same = api
        .apply(&format!("{uri}?fieldManager=one"), &map)
        .await
        .expect(200);
    let again = api
        .apply(&format!("{uri}?fieldManager=one"), &map)
        .await
        .expect(200);
    assert_eq!(same, again);
    map["data"]["k"] = "2".into();
    let conflict = api
        .apply(&format!("{uri}?fieldManager=two"), &map)
        .await
        .expect(409);
    assert_eq!(
        conflict["details"]["causes"][0]["reason"],
        "FieldManagerConflict"
    );
    assert_eq!(conflict["details"]["causes"][0]["field"], ".data.k");
    let forced = api
        .apply(&format!("{uri}?fieldManager=two&force=true"), &map)
        .await
        .expect(200);
    assert_eq!(forced["data"]["k"], "2");
    // What only one manager owned goes when it no longer applies it.
    let empty = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let left = api
        .apply(&format!("{uri}?fieldManager=two"), &empty)
        .await
        .expect(200);
    assert!(left.get("data").is_none() || left["data"].get("k").is_none());
}

#[tokio::test]
async fn patches_of_every_kind_apply() {
    let api = Api::memory().await;
    api.post(MAPS, &config_map("a", &json!({"k": "1"})))
        .await
        .expect(201);
    let uri = format!("{MAPS}/a");
    let json_patch = json!([{"op": "test", "path": "/data/k", "value": "1"}, {"op": "add", "path": "/data/l", "value": "2"}]);
    let patched = api
        .call(
            Method::PATCH,
            &uri,
            "application/json-patch+json",
            json_patch.to_string(),
        )
        .await
        .expect(200);
    assert_eq!(patched["data"], json!({"k": "1", "l": "2"}));
    let failed = json!([{"op": "test", "path": "/data/k", "value": "other"}]);
    api.call(
        Method::PATCH,
        &uri,
        "application/json-patch+json",
        failed.to_string(),
    )
    .await
    .expect(422);
    let strategic = json!({"metadata": {"labels": {"x": "y"}}});
    let patched = api
        .call(
            Method::PATCH,
            &uri,
            "application/strategic-merge-patch+json",
            strategic.to_string(),
        )
        .await
        .expect(200);
    assert_eq!(patched["metadata"]["labels"], json!({"x": "y"}));
    api.call(Method::PATCH, &uri, "application/json", "{}")
        .await
        .expect(415);
    api.merge(&uri, &json!({"metadata": {"resourceVersion": "1"}}))
        .await
        .expect(409);
    api.merge(&format!("{MAPS}/none"), &json!({}))
        .await
        .expect(404);
}

#[tokio::test]
async fn methods_and_paths_that_mean_nothing_are_refused() {
    let api = Api::memory().await;
    assert_eq!(api.get("/apis/none.io/v1/things").await.code, 404);
    assert_eq!(api.get("/none").await.code, 404);
    assert_eq!(api.get("/api/v1/namespaces/default/nodes").await.code, 404);
    api.post("/api/v1/configmaps", &config_map("a", &json!({})))
        .await
        .expect(405);
    api.delete("/api/v1/namespaces").await.expect(405);
    api.call(Method::OPTIONS, MAPS, "application/json", "")
        .await
        .expect(405);
    api.get("/api/v1/namespaces/default/configmaps/..%2fsecrets")
        .await
        .expect(404);
    assert_eq!(api.get("/healthz").await.text(), "ok");
    let version = api.get("/version").await.expect(200);
    assert_eq!(version["gitVersion"], "v1.36.3");
    // recorded/http/01
    for (field, value) in [
        ("emulationMinor", "36"),
        ("minCompatibilityMajor", "1"),
        ("minCompatibilityMinor", "35"),
    ] {
        assert_eq!(version[field], value, "{field}");
    }
    // Clients that read no other form get the schemas as a message; whoever asks for JSON first gets that.
    let message = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let both = format!("application/json,{message}");
    let plain = api.get_as("/openapi/v2", &both).await;
    let packed = api.get_as("/openapi/v2", message).await;
    assert_eq!(plain.expect(200)["swagger"], "2.0");
    assert_eq!(
        packed.headers["content-type"],
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    );
    assert!(packed.bytes.starts_with(b"\x0a\x032.0\x12"));
    assert_ne!(plain.headers["etag"], packed.headers["etag"]);
    assert_eq!(
        api.get_as("/openapi/v3/api/v1", message)
            .await
            .code
            .as_u16(),
        406
    );
    let head = api.call(Method::HEAD, MAPS, "application/json", "").await;
    assert_eq!((head.code.as_u16(), head.bytes.len()), (405, 0));
}
