//! Nobody in where they don't belong: every route without a login, as a stranger, as a member; and rights that end.

#![cfg(test)]

mod common;

use common::{INSIDE, World, ids};
use drover_auth::{Identity, TokenRef};
use drover_types::management::ProjectRoleTemplateBinding;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::DeleteParams;
use serde_json::{Value, json};

/// Every route, below the base.
const ROUTES: [(&str, &str); 22] = [
    ("GET", ""),
    ("GET", "/schemas"),
    ("GET", "/schemas/pod"),
    ("GET", "/schemaDefinitions/pod"),
    ("GET", "/counts"),
    ("GET", "/counts/count"),
    ("GET", "/subscribe"),
    ("GET", "/search?q=in"),
    ("GET", "/configmaps"),
    ("GET", "/configmaps/other"),
    ("GET", "/configmaps/other/in-other"),
    ("POST", "/configmaps"),
    ("POST", "/configmaps/other"),
    ("PUT", "/configmaps/other/in-other"),
    ("PATCH", "/configmaps/other/in-other"),
    ("DELETE", "/configmaps/other/in-other"),
    ("GET", "/nodes"),
    ("GET", "/nodes/x"),
    ("GET", "/namespaces/other"),
    ("POST", "/namespaces"),
    ("GET", "/configmaps/other/in-other/log"),
    ("POST", "/management.cattle.io.clusters/local?action=apply"),
];

fn body(method: &str) -> Value {
    match method {
        "GET" | "DELETE" => Value::Null,
        _ => json!({
            "metadata": {"name": "in-other", "namespace": "other", "resourceVersion": "1"},
            "yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: other}",
        }),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_is_closed_without_a_login_and_to_strangers() {
    let world = World::start().await;
    for (method, route) in ROUTES.into_iter().chain([
        ("GET", "/userpreferences"),
        ("PUT", "/userpreferences/member"),
        ("POST", "/ext.cattle.io.selfuser"),
        ("POST", "/management.cattle.io.settings"),
        ("PUT", "/management.cattle.io.settings/ui-brand"),
        ("DELETE", "/management.cattle.io.settings/ui-brand"),
    ]) {
        for base in ["/v1", INSIDE] {
            let (status, answer) = world
                .send("", method, &format!("{base}{route}"), body(method))
                .await;
            assert_eq!(
                (status, answer["status"].as_str()),
                (401, Some("401")),
                "{method} {base}{route}"
            );
        }
    }
    for (method, route) in ROUTES {
        let (status, answer) = world
            .send(
                "stranger",
                method,
                &format!("{INSIDE}{route}"),
                body(method),
            )
            .await;
        assert_eq!((status, answer), (401, Value::Null), "{method} {route}");
    }
    // On the hub a stranger sees nothing of what is kept there.
    for (method, route) in ROUTES {
        let (status, answer) = world
            .send("stranger", method, &format!("/v1{route}"), body(method))
            .await;
        assert!(
            !answer.to_string().contains("in-other"),
            "{method} {route}: {answer}"
        );
        if method != "GET" {
            assert!(
                matches!(status, 401 | 403 | 404),
                "{method} {route}: {status} {answer}"
            );
        }
    }
    assert_eq!(
        ids(&world
            .get("stranger", "/v1/management.cattle.io.clusters")
            .await),
        Vec::<&str>::new()
    );
    for kind in [
        "secrets",
        "configmaps",
        "management.cattle.io.tokens",
        "management.cattle.io.globalrolebindings",
    ] {
        let (status, answer) = world
            .send("stranger", "GET", &format!("/v1/{kind}"), Value::Null)
            .await;
        assert!(matches!(status, 403 | 404), "{kind}: {status} {answer}");
    }
    // Tokens hold secrets; not even an administrator reads them here.
    let (status, _) = world
        .send(
            &world.admin,
            "GET",
            "/v1/management.cattle.io.tokens",
            Value::Null,
        )
        .await;
    assert_eq!(status, 403);
    let unknown = world
        .send("owner", "GET", "/k8s/clusters/c-9/v1/pods", Value::Null)
        .await;
    assert_eq!(unknown, (401, Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_sees_and_changes_its_own_project_only() {
    let world = World::start().await;
    let list = world.get("member", &format!("{INSIDE}/configmaps")).await;
    assert!(
        ids(&list).iter().all(|id| id.starts_with("mine/")),
        "{list}"
    );
    assert_eq!(list["count"], 2);
    assert_eq!(
        ids(&world
            .get("member", &format!("{INSIDE}/configmaps/other"))
            .await),
        Vec::<&str>::new()
    );
    assert_eq!(
        ids(&world
            .get(
                "member",
                &format!("{INSIDE}/configmaps?filter=metadata.name=in-other")
            )
            .await),
        Vec::<&str>::new()
    );
    let all = world.get("owner", &format!("{INSIDE}/configmaps")).await;
    assert!(ids(&all).contains(&"other/in-other"));
    for (method, route) in ROUTES.into_iter().filter(|(method, _)| *method != "GET") {
        let (status, answer) = world
            .send("member", method, &format!("{INSIDE}{route}"), body(method))
            .await;
        assert!(
            matches!(status, 403 | 404),
            "{method} {route}: {status} {answer}"
        );
    }
    let (status, answer) = world
        .send(
            "member",
            "GET",
            &format!("{INSIDE}/configmaps/other/in-other"),
            Value::Null,
        )
        .await;
    assert_eq!((status, answer["code"].as_str()), (403, Some("Forbidden")));
    assert_eq!(
        world
            .send("member", "GET", &format!("{INSIDE}/nodes"), Value::Null)
            .await
            .0,
        404
    );
    let made = json!({"metadata": {"name": "own", "namespace": "mine"}});
    assert_eq!(
        world
            .send("member", "POST", &format!("{INSIDE}/configmaps"), made)
            .await
            .0,
        201
    );
    let shown = world
        .get("member", &format!("{INSIDE}/configmaps/mine/own"))
        .await;
    assert!(shown["links"]["update"].is_string());
    // On the hub it sees its cluster and project, nobody's bindings, and changes none.
    assert_eq!(
        ids(&world
            .get("member", "/v1/management.cattle.io.clusters")
            .await),
        ["c-1"]
    );
    assert_eq!(
        ids(&world
            .get("member", "/v1/management.cattle.io.projects")
            .await),
        ["c-1/p-1"]
    );
    let project = world
        .get("member", "/v1/management.cattle.io.projects/c-1/p-1")
        .await;
    assert!(project["links"].get("update").is_none(), "{project}");
    let grab =
        json!({"metadata": {"name": "grab"}, "globalRoleName": "admin", "userName": "member"});
    let (status, _) = world
        .send(
            "member",
            "POST",
            "/v1/management.cattle.io.globalrolebindings",
            grab,
        )
        .await;
    assert!(matches!(status, 403 | 404), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_ends_ends_at_once() {
    let world = World::start().await;
    let at = format!("{INSIDE}/configmaps");
    assert_eq!(world.get("member", &at).await["count"], 2);
    let mut stream = world.subscribe("member", INSIDE, None).await.ok().unwrap();
    stream.say(json!({"resourceType": "configmap"})).await;
    assert_eq!(stream.next().await["name"], "resource.start");
    let bindings: kube::Api<ProjectRoleTemplateBinding> =
        kube::Api::namespaced(world.hub.clone(), "c-1-p-1");
    bindings
        .delete("prtb-1", &DeleteParams::default())
        .await
        .unwrap();
    world.until_access(|has| !has("member")).await;
    assert_eq!(
        world.send("member", "GET", &at, Value::Null).await,
        (401, Value::Null)
    );
    world.configmap("mine", "after", json!({})).await;
    let frame = stream.next().await;
    assert_eq!(frame["name"], "resource.stop", "{frame}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_taken_inside_the_cluster_ends_what_it_showed() {
    let world = World::start().await;
    let mut stream = world.subscribe("member", INSIDE, None).await.ok().unwrap();
    stream
        .say(json!({"resourceType": "configmap", "namespace": "mine"}))
        .await;
    assert_eq!(stream.next().await["name"], "resource.start");
    let bindings: kube::Api<RoleBinding> = kube::Api::namespaced(world.cluster.clone(), "mine");
    bindings
        .delete("member", &DeleteParams::default())
        .await
        .unwrap();
    assert_eq!(stream.next().await["name"], "resource.stop");
    let status = world
        .send(
            "member",
            "GET",
            &format!("{INSIDE}/configmaps"),
            Value::Null,
        )
        .await
        .0;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_one_cluster_is_good_for_nothing_else() {
    let world = World::start().await;
    let scoped = |cluster: &str| {
        let mut identity = Identity::of("owner");
        identity.token = Some(TokenRef {
            name: "token-1".to_owned(),
            cluster: Some(cluster.to_owned()),
            kind: "kubeconfig".to_owned(),
            derived: true,
        });
        Some(identity)
    };
    for (cluster, path, expected) in [
        ("c-1", format!("{INSIDE}/configmaps"), 200),
        ("c-2", format!("{INSIDE}/configmaps"), 401),
        ("c-1", "/v1/management.cattle.io.clusters".to_owned(), 401),
        ("local", "/v1/management.cattle.io.clusters".to_owned(), 401),
        ("c-1", "/v1/search?q=in".to_owned(), 401),
    ] {
        let answer = world
            .ask_as(
                scoped(cluster),
                "GET",
                &path,
                "application/json",
                Value::Null,
            )
            .await;
        assert_eq!(answer.status, expected, "{cluster} {path}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_page_reads_its_settings_and_no_others() {
    let world = World::start().await;
    for plural in [
        "management.cattle.io.settings",
        "management.cattle.io.setting",
    ] {
        let list = world
            .get(
                "",
                &format!("/v1/{plural}?pagesize=100000&exclude=metadata.managedFields"),
            )
            .await;
        let shown = ids(&list);
        assert!(shown.contains(&"first-login") && shown.contains(&"ui-banners"));
        for id in shown {
            assert!(id == "first-login" || id.starts_with("ui-"), "{id}");
        }
        assert_eq!(list["data"][0]["links"].get("update"), None);
        assert_eq!(list.get("createTypes"), None);
        let one = world.get("", &format!("/v1/{plural}/ui-brand")).await;
        assert_eq!(one["id"], "ui-brand");
    }
    for path in [
        "/v1/management.cattle.io.settings/server-url",
        "/v1/management.cattle.io.settings/no-such",
        "/v1/management.cattle.io.settings/ui-brand/log",
        "/k8s/clusters/local/v1/management.cattle.io.settings",
        "/k8s/clusters/c-1/v1/management.cattle.io.settings",
    ] {
        let (status, _) = world.send("", "GET", path, Value::Null).await;
        assert_eq!(status, 401, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_may_ask_who_they_are() {
    let world = World::start().await;
    for user in ["stranger", "member"] {
        let (status, body) = world
            .send(user, "POST", "/v1/ext.cattle.io.selfuser", json!({}))
            .await;
        assert_eq!(
            (status, body["status"]["userID"].as_str()),
            (201, Some(user))
        );
        assert_eq!(body["type"], "ext.cattle.io.selfuser");
    }
    let path = "/v1/ext.cattle.io.selfusers";
    let (status, body) = world.send("member", "GET", path, Value::Null).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (403, Some("PermissionDenied"))
    );
    let (status, body) = world.send("member", "POST", path, json!([])).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (422, Some("InvalidBodyContent"))
    );
    let inside = format!("{INSIDE}/ext.cattle.io.selfuser");
    assert_eq!(world.send("owner", "POST", &inside, json!({})).await.0, 404);
}
