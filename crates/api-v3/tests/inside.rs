//! Requests into a cluster: namespaces, nodes and questions about rights, with
//! the index of rights on one Kubernetes API and the cluster on another.

#[cfg(test)]
mod reached;

use drover_testkit::embedded::put;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Api;
use reached::{World, names};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_are_made_moved_and_removed_in_their_cluster() {
    let world = World::start().await;
    let at = "/v3/clusters/c-1/namespaces";
    let body =
        json!({"type": "namespace", "name": "shop", "projectId": "c-1:p-2", "description": "d"});
    let (status, made) = world.send("owner", "POST", at, body).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(
        (
            made["id"].as_str(),
            made["projectId"].as_str(),
            made["description"].as_str()
        ),
        (Some("shop"), Some("c-1:p-2"), Some("d"))
    );
    assert_eq!(made["creatorId"], "owner");
    assert_eq!(
        made["containerDefaultResourceLimit"],
        json!({"limitsCpu": "100m"})
    );
    assert_eq!(made["labels"]["field.cattle.io/projectId"], "p-2");
    assert_eq!(
        made["actions"]["move"]
            .as_str()
            .map(|url| url.ends_with("/v3/cluster/c-1/namespaces/shop?action=move")),
        Some(true),
        "{made}"
    );
    let stored: kube::Api<Namespace> = kube::Api::all(world.reach.whole());
    let annotation = |namespace: &Namespace| {
        namespace
            .metadata
            .annotations
            .as_ref()
            .and_then(|all| all.get("field.cattle.io/projectId").cloned())
    };
    assert_eq!(
        annotation(&stored.get("shop").await.expect("it is there")).as_deref(),
        Some("c-1:p-2")
    );

    for (project, expected) in [(json!("c-1:p-1"), Some("c-1:p-1")), (Value::Null, None)] {
        let (status, _) = world
            .send(
                "owner",
                "POST",
                &format!("{at}/shop?action=move"),
                json!({"projectId": project}),
            )
            .await;
        assert_eq!(status, 200);
        assert_eq!(
            annotation(&stored.get("shop").await.expect("it is there")).as_deref(),
            expected
        );
    }
    let (status, changed) = world
        .send(
            "owner",
            "PUT",
            &format!("{at}/shop"),
            json!({"description": "e", "labels": {"own": "1"}}),
        )
        .await;
    assert_eq!(
        (status, changed["description"].as_str()),
        (200, Some("e")),
        "{changed}"
    );
    assert_eq!(changed["labels"]["own"], "1");
    let (status, _) = world
        .send("owner", "DELETE", &format!("{at}/shop"), Value::Null)
        .await;
    assert!(status == 200 || status == 204, "{status}");
    let (status, body) = world
        .send("owner", "POST", &format!("{at}/mine?action=zzz"), json!({}))
        .await;
    assert_eq!(
        (status, body["code"].as_str()),
        (422, Some("InvalidAction"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pod_security_is_set_by_those_who_may() {
    let world = World::start().await;
    let at = "/v3/clusters/c-1/namespaces";
    let enforce = |level: &str| json!({"pod-security.kubernetes.io/enforce": level});
    let made = json!({"name": "loose", "projectId": "c-1:p-1", "labels": enforce("privileged")});
    let (status, refused) = world.send("member", "POST", at, made.clone()).await;
    assert_eq!((status, &refused["code"]), (403, &json!("Forbidden")));
    let said = refused["message"].as_str().unwrap();
    assert!(
        said.contains("updatepsa") && said.contains("c-1:p-1"),
        "{said}"
    );

    // Who has the right sets it, and who has not leaves it as it is, though the cluster would let it.
    let cluster = world.reach.whole();
    let role = json!({
        "metadata": {"name": "manages"},
        "rules": [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["*"]}],
    });
    put::<Role>(Api::namespaced(cluster.clone(), "mine"), role).await;
    let group = "rbac.authorization.k8s.io";
    let given = json!({
        "metadata": {"name": "manages"}, "roleRef": {"apiGroup": group, "kind": "Role", "name": "manages"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "member"}],
    });
    put::<RoleBinding>(Api::namespaced(cluster, "mine"), given).await;
    assert_eq!(world.send("owner", "POST", at, made).await.0, 201);
    let one = format!("{at}/mine");
    let labels = |labels: Value| json!({ "labels": labels });
    let with = |mut labels: Value| {
        labels["field.cattle.io/projectId"] = json!("p-1");
        labels["team"] = json!("a");
        labels
    };
    let set = labels(with(enforce("baseline")));
    let (status, answer) = world.send("owner", "PUT", &one, set).await;
    assert_eq!(status, 200, "{answer}");
    for (sent, expected) in [
        (labels(with(enforce("baseline"))), 200),
        (labels(with(enforce("privileged"))), 403),
        (labels(with(json!({}))), 403),
        (json!({"description": "d"}), 200),
    ] {
        let (status, answer) = world.send("member", "PUT", &one, sent).await;
        assert_eq!(status, expected, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_a_project_see_and_use_its_namespaces_only() {
    let world = World::start().await;
    let at = "/v3/clusters/c-1/namespaces";
    let (status, list) = world.send("member", "GET", at, Value::Null).await;
    assert_eq!((status, names(&list)), (200, vec!["mine"]), "{list}");
    let (_, all) = world.send("owner", "GET", at, Value::Null).await;
    assert!(names(&all).contains(&"other"), "{all}");
    for (method, path, body, expected) in [
        ("GET", "mine", Value::Null, 200),
        ("GET", "other", Value::Null, 403),
        ("PUT", "other", json!({"description": "x"}), 403),
        ("DELETE", "other", Value::Null, 403),
        (
            "POST",
            "other?action=move",
            json!({"projectId": "c-1:p-1"}),
            403,
        ),
        (
            "POST",
            "mine?action=move",
            json!({"projectId": "c-1:p-2"}),
            403,
        ),
    ] {
        let (status, answer) = world
            .send("member", method, &format!("{at}/{path}"), body)
            .await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
    }
    // Nobody gets into a project without a part in it, and strangers not into the cluster.
    let (status, _) = world
        .send(
            "member",
            "POST",
            at,
            json!({"name": "n", "projectId": "c-1:p-2"}),
        )
        .await;
    assert_eq!(status, 403);
    for (method, path) in [
        ("GET", at.to_owned()),
        ("POST", at.to_owned()),
        ("GET", format!("{at}/mine")),
        ("PUT", format!("{at}/mine")),
        ("DELETE", format!("{at}/mine")),
        ("POST", format!("{at}/mine?action=move")),
        ("POST", "/v3/accessreviews".to_owned()),
        ("POST", "/v3/accessreviews?action=whoCan".to_owned()),
    ] {
        let (status, _) = world.send("", method, &path, json!({})).await;
        assert_eq!(status, 401, "{method} {path}");
    }
    for method in ["GET", "POST"] {
        let (status, _) = world
            .send("stranger", method, at, json!({"name": "n"}))
            .await;
        assert_eq!(status, 403, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_explains_what_the_cluster_then_does() {
    let world = World::start().await;
    let ask = |user: &'static str, namespace: &'static str| {
        let body = json!({
            "clusterId": "c-1", "userId": user, "verb": "create", "resource": "configmaps", "namespace": namespace,
        });
        world.send("owner", "POST", "/v3/accessreviews", body)
    };
    let (status, allowed) = ask("member", "mine").await;
    assert_eq!(
        (status, &allowed["allowed"]),
        (201, &json!(true)),
        "{allowed}"
    );
    assert_eq!(
        allowed["binding"],
        "ProjectRoleTemplateBinding c-1-p-1/prtb-1"
    );
    assert_eq!(allowed["roles"], json!(["project-member", "edit"]));
    let (_, refused) = ask("member", "other").await;
    assert_eq!(refused["allowed"], false);
    assert!(
        refused["missing"]
            .as_array()
            .is_some_and(|roles| roles.contains(&json!("roleTemplate cluster-owner")))
    );
    // About others only owners learn.
    for path in ["/v3/accessreviews", "/v3/accessreviews?action=whoCan"] {
        let body =
            json!({"clusterId": "c-1", "userId": "owner", "verb": "get", "resource": "pods"});
        let (status, answer) = world.send("member", "POST", path, body).await;
        assert_eq!(status, 403, "{path}: {answer}");
    }
    let body = json!({"clusterId": "c-1", "verb": "create", "resource": "configmaps", "namespace": "mine"});
    let (status, holders) = world
        .send("owner", "POST", "/v3/accessreviews?action=whoCan", body)
        .await;
    let of = |name: &str| {
        holders["data"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|holder| holder["name"] == name)
    };
    assert_eq!(
        (status, of("owner"), of("member"), of("stranger")),
        (200, true, true, false),
        "{holders}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_s_quota_is_not_given_twice() {
    let world = World::start().await;
    let (at, projects) = ("/v3/clusters/c-1/namespaces", "/v3/projects");
    let project = |limit: &str, default: &str| {
        json!({
            "type": "project", "name": "limited", "clusterId": "c-1",
            "resourceQuota": {"limit": {"pods": limit}},
            "namespaceDefaultResourceQuota": {"limit": {"pods": default}},
        })
    };
    let (status, error) = world
        .send("owner", "POST", projects, project("1", "2"))
        .await;
    assert_eq!(
        (status, error["code"].as_str(), error["fieldName"].as_str()),
        (
            422,
            Some("MaxLimitExceeded"),
            Some("namespaceDefaultResourceQuota")
        )
    );
    let (status, error) = world
        .send("owner", "POST", projects, project("10", "-2"))
        .await;
    assert_eq!(
        (status, error["code"].as_str()),
        (422, Some("MinLimitExceeded"))
    );
    let (status, error) = world
        .send("owner", "POST", projects, project("many", "2"))
        .await;
    assert_eq!(
        (status, error["code"].as_str()),
        (422, Some("InvalidFormat"))
    );
    let (status, made) = world
        .send("owner", "POST", projects, project("10", "2"))
        .await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().expect("an id").to_owned();

    // Eight at once, of which five fit.
    let create = |n: usize| {
        let body = json!({"name": format!("n{n}"), "projectId": id});
        world.send("owner", "POST", at, body)
    };
    let answers = futures::future::join_all((0..8).map(create)).await;
    let refused: Vec<&Value> = answers
        .iter()
        .filter(|(status, _)| *status != 201)
        .map(|(_, error)| error)
        .collect();
    assert_eq!(refused.len(), 3, "{answers:?}");
    for error in refused {
        assert_eq!(error["code"], "MaxLimitExceeded");
        assert_eq!(error["fieldName"], "resourceQuota");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(
            message.contains("pods: 2 asked for, 10 of 10 used"),
            "{message}"
        );
    }
    let one = answers.iter().find(|(status, _)| *status == 201);
    let one = &one.expect("one that fits").1;
    assert_eq!(one["resourceQuota"]["limit"]["pods"], "2");
    let own = format!("{at}/{}", one["id"].as_str().expect("an id"));
    let ask = |pods: &str| json!({"resourceQuota": {"limit": {"pods": pods}}});
    let (status, error) = world.send("owner", "PUT", &own, ask("3")).await;
    assert_eq!(
        (status, error["code"].as_str()),
        (422, Some("MaxLimitExceeded"))
    );
    let (status, changed) = world.send("owner", "PUT", &own, ask("1")).await;
    assert_eq!(
        (status, &changed["resourceQuota"]["limit"]["pods"]),
        (200, &json!("1"))
    );

    // What is moved in has to fit too: with its own quota, or what the project gives.
    let into = async |id: &str| {
        let path = format!("{at}/mine?action=move");
        world
            .send("owner", "POST", &path, json!({"projectId": id}))
            .await
    };
    let (status, error) = into(&id).await;
    let message = error["message"].as_str().unwrap_or_default();
    assert_eq!(
        (status, error["code"].as_str()),
        (422, Some("MaxLimitExceeded"))
    );
    assert!(
        message.contains("pods: 2 asked for, 9 of 10 used"),
        "{message}"
    );
    let (status, _) = world.send("owner", "DELETE", &own, Value::Null).await;
    assert!(matches!(status, 200 | 204), "{status}");
    assert_eq!(into(&id).await.0, 200);
    let (_, moved) = world
        .send("owner", "GET", &format!("{at}/mine"), Value::Null)
        .await;
    assert_eq!(
        (
            moved["projectId"].as_str(),
            &moved["resourceQuota"]["limit"]["pods"]
        ),
        (Some(id.as_str()), &json!("2"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotas_of_namespaces_and_projects_speak_of_the_same_things() {
    let world = World::start().await;
    let (at, projects) = ("/v3/clusters/c-1/namespaces", "/v3/projects");
    let body = json!({
        "type": "project", "name": "two things", "clusterId": "c-1",
        "resourceQuota": {"limit": {"pods": "10", "secrets": "9"}},
        "namespaceDefaultResourceQuota": {"limit": {"pods": "2", "secrets": "3"}},
    });
    let (status, made) = world.send("owner", "POST", projects, body).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().expect("an id").to_owned();
    let one = format!("{projects}/{id}");

    // What a namespace sends names everything and nothing else; what it leaves out altogether is the project's.
    let create = async |name: &str, limit: Value| {
        let body = json!({"name": name, "projectId": id, "resourceQuota": {"limit": limit}});
        world.send("owner", "POST", at, body).await
    };
    let lacking = (422, Some("MissingRequired"), Some("resourceQuota"));
    for limit in [
        json!({"pods": "1"}),
        json!({}),
        json!({"pods": "1", "secrets": "1", "services": "1"}),
    ] {
        let (status, error) = create("wrong", limit).await;
        assert_eq!(
            (status, error["code"].as_str(), error["fieldName"].as_str()),
            lacking,
            "{error}"
        );
    }
    let (status, own) = create("own", json!({"pods": "1", "secrets": "1"})).await;
    assert_eq!(status, 201, "{own}");
    let text = own["annotations"]["cattle.io/status"]
        .as_str()
        .expect("a status");
    let waits: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(
        waits,
        json!({"conditions": [
            {"type": "InitialRolesPopulated", "status": "Unknown", "message": "Populating initial roles"},
            {"type": "ResourceQuotaValidated", "status": "Unknown", "message": "Validating resource quota"},
        ]})
    );
    assert_eq!(
        (&own["state"], &own["transitioning"]),
        (&json!("activating"), &json!("yes"))
    );
    let (status, error) = world
        .send(
            "owner",
            "PUT",
            &format!("{at}/own"),
            json!({"resourceQuota": {"limit": {"pods": "1"}}}),
        )
        .await;
    assert_eq!(
        (status, error["code"].as_str()),
        (422, Some("MissingRequired"))
    );
    // A change of something else leaves the quota as it is.
    let containers = json!({"containerDefaultResourceLimit": {"limitsCpu": "50m"}});
    let (status, kept) = world
        .send("owner", "PUT", &format!("{at}/own"), containers)
        .await;
    assert_eq!(
        (status, &kept["resourceQuota"]["limit"]),
        (200, &json!({"pods": "1", "secrets": "1"}))
    );
    let (status, _) = world
        .send(
            "owner",
            "POST",
            at,
            json!({"name": "default-one", "projectId": id}),
        )
        .await;
    assert_eq!(status, 201);

    // What is limited from now on, each of the two namespaces there are has to get.
    let more = |all: &str, each: &str| {
        json!({
            "resourceQuota": {"limit": {"pods": "10", "secrets": "9", "services": all}},
            "namespaceDefaultResourceQuota": {"limit": {"pods": "2", "secrets": "3", "services": each}},
        })
    };
    let (status, error) = world.send("owner", "PUT", &one, more("5", "3")).await;
    assert_eq!(
        (status, error["code"].as_str(), error["fieldName"].as_str()),
        (
            422,
            Some("MaxLimitExceeded"),
            Some("namespaceDefaultResourceQuota")
        ),
        "{error}"
    );
    let message = error["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("2 namespaces with the default have 6 together, of 5"),
        "{message}"
    );
    let (status, changed) = world.send("owner", "PUT", &one, more("6", "3")).await;
    assert_eq!(status, 200, "{changed}");
    let unlike = json!({"namespaceDefaultResourceQuota": {"limit": {"pods": "2"}}});
    let (status, error) = world.send("owner", "PUT", &one, unlike).await;
    assert_eq!(
        (status, error["code"].as_str(), error["fieldName"].as_str()),
        (
            422,
            Some("MissingRequired"),
            Some("namespaceDefaultResourceQuota")
        ),
        "{error}"
    );
}
