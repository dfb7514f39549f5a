//! What the hub keeps of clusters and projects, written by who may by their roles: owners, not administrators.

#![cfg(test)]

mod common;

use common::{World, ids};
use drover_auth::{Attributes, Identity};
use drover_testkit::embedded::put;
use drover_types::management::{GROUP, GlobalRoleBinding, ProjectRoleTemplateBinding, User};
use drover_types::provisioning::Cluster;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

const PROJECTS: &str = "/v1/management.cattle.io.projects";
const OF_PROJECTS: &str = "/v1/management.cattle.io.projectroletemplatebindings";
const OF_CLUSTERS: &str = "/v1/management.cattle.io.clusterroletemplatebindings";
const CLUSTERS: &str = "/v1/provisioning.cattle.io.clusters";

/// A world in which `lead` owns the project `p-1`, and what the cluster was provisioned from is there.
async fn world() -> World {
    let world = World::start().await;
    let hub = || world.hub.clone();
    put::<User>(
        Api::all(hub()),
        json!({"metadata": {"name": "lead"}, "username": "lead"}),
    )
    .await;
    let binding = json!({
        "metadata": {"name": "prtb-2"}, "projectName": "c-1:p-1", "roleTemplateName": "project-owner",
        "userName": "lead",
    });
    put::<ProjectRoleTemplateBinding>(Api::namespaced(hub(), "c-1-p-1"), binding).await;
    let standard =
        json!({"metadata": {"name": "grb-1"}, "globalRoleName": "user", "userName": "stranger"});
    put::<GlobalRoleBinding>(Api::all(hub()), standard).await;
    let clusters: Api<Cluster> = Api::namespaced(hub(), "fleet-default");
    let object = json!({"metadata": {"name": "c-1"}, "spec": {}});
    put::<Cluster>(clusters.clone(), object).await;
    let status = json!({"status": {"clusterName": "c-1", "observedGeneration": 1}});
    clusters
        .patch_status("c-1", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .expect("its cluster is named");
    world
        .until(|access| {
            let may = |user: &str, verb, resource, namespace, name| {
                let asked = Attributes {
                    verb,
                    group: GROUP,
                    resource,
                    namespace,
                    name,
                };
                access.is_allowed(&Identity::of(user), &asked)
            };
            may("lead", "update", "projects", Some("c-1"), Some("p-1"))
                && may("stranger", "create", "clusters", None, None)
        })
        .await;
    world
}

fn methods<'a>(schema: &'a Value, of: &str) -> Vec<&'a str> {
    let methods = schema[of].as_array().into_iter().flatten();
    let mut methods: Vec<&str> = methods.filter_map(Value::as_str).collect();
    methods.sort_unstable();
    methods
}

fn links(object: &Value) -> [bool; 3] {
    ["update", "patch", "remove"].map(|link| object["links"].get(link).is_some())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_and_methods_follow_the_roles_of_who_asks() {
    let world = world().await;
    for (user, expected) in [("owner", true), ("lead", true), ("member", false)] {
        let project = world.get(user, &format!("{PROJECTS}/c-1/p-1")).await;
        assert_eq!(links(&project), [expected; 3], "{user}: {project}");
        let schema = world
            .get(user, "/v1/schemas/management.cattle.io.project")
            .await;
        assert_eq!(
            methods(&schema, "resourceMethods").contains(&"PUT"),
            expected,
            "{user}"
        );
        let creates = user == "owner";
        assert_eq!(
            methods(&schema, "collectionMethods").contains(&"POST"),
            creates,
            "{user}"
        );
        let binding = world
            .get(user, &format!("{OF_PROJECTS}/c-1-p-1/prtb-1"))
            .await;
        assert_eq!(links(&binding), [expected; 3], "{user}: {binding}");
        let list = world.get(user, OF_PROJECTS).await;
        assert_eq!(ids(&list), ["c-1-p-1/prtb-1", "c-1-p-1/prtb-2"], "{user}");
        assert_eq!(list["createTypes"].is_object(), expected, "{user}: {list}");
    }
    // A cluster itself is changed through `/v3`, which its links say.
    let cluster = world
        .get("owner", "/v1/management.cattle.io.clusters/c-1")
        .await;
    assert_eq!(cluster["links"]["update"], "blocked");
    assert_eq!(cluster["links"]["remove"], "blocked");
    let cluster = world
        .get("member", "/v1/management.cattle.io.clusters/c-1")
        .await;
    assert_eq!(links(&cluster), [false; 3]);
    for (user, expected) in [("owner", true), ("lead", false), ("member", false)] {
        let shown = world
            .get(user, &format!("{CLUSTERS}/fleet-default/c-1"))
            .await;
        assert_eq!(links(&shown), [expected; 3], "{user}: {shown}");
    }
    let schema = world
        .get("stranger", "/v1/schemas/provisioning.cattle.io.cluster")
        .await;
    assert_eq!(methods(&schema, "collectionMethods"), ["POST"]);
    // Management clusters are made through `/v3`, which their schema says to who may (recorded/v1-schemas.json).
    for (user, expected) in [
        ("stranger", vec!["GET", "blocked-POST"]),
        ("lead", vec!["GET"]),
    ] {
        let schema = world
            .get(user, "/v1/schemas/management.cattle.io.cluster")
            .await;
        assert_eq!(methods(&schema, "collectionMethods"), expected, "{user}");
    }
    let binding = world
        .get("owner", &format!("{OF_CLUSTERS}/c-1/crtb-1"))
        .await;
    assert_eq!(links(&binding), [true; 3]);
    for path in [OF_CLUSTERS, OF_PROJECTS] {
        let (status, _) = world.send("stranger", "GET", path, Value::Null).await;
        assert_eq!(status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_change_their_project_and_nobody_else_does() {
    let world = world().await;
    let path = format!("{PROJECTS}/c-1/p-1");
    let mut project = world.get("lead", &path).await;
    project["spec"]["displayName"] = json!("renamed");
    project["spec"]["description"] = json!("ours");
    project["metadata"]["labels"] = json!({"team": "a"});
    for (user, expected) in [("member", 403), ("stranger", 403), ("lead", 200)] {
        let (status, body) = world.send(user, "PUT", &path, project.clone()).await;
        assert_eq!(status, expected, "{user}: {body}");
    }
    let shown = world.get("owner", &path).await;
    assert_eq!(shown["spec"]["displayName"], "renamed");
    assert_eq!(shown["metadata"]["labels"], json!({"team": "a"}));
    // What it was read at counts, as everywhere.
    let (status, body) = world.send("lead", "PUT", &path, project).await;
    assert_eq!((status, body["code"].as_str()), (409, Some("Conflict")));
    let patch = json!({"spec": {"description": "patched"}});
    let merge = "application/merge-patch+json";
    for (user, expected) in [("member", 403), ("stranger", 403), ("lead", 200)] {
        let answer = world.ask(user, "PATCH", &path, merge, patch.clone()).await;
        assert_eq!(answer.status, expected, "{user}: {}", answer.body);
    }
    let dry = json!({"spec": {"description": "dry"}});
    let answer = world
        .ask("lead", "PATCH", &format!("{path}?dryRun=All"), merge, dry)
        .await;
    assert_eq!(
        (answer.status, &answer.body["spec"]["description"]),
        (200, &json!("dry"))
    );
    let shown = world.get("owner", &path).await;
    assert_eq!(shown["spec"]["description"], "patched");
    // What is the server's, or was settled when it was made, is named and refused.
    for (patch, field) in [
        (
            json!({"metadata": {"finalizers": ["mine"]}}),
            "metadata.finalizers",
        ),
        (
            json!({"metadata": {"annotations": {"lifecycle.cattle.io/x": "y"}}}),
            "metadata.annotations.lifecycle.cattle.io/x",
        ),
        (
            json!({"spec": {"resourceQuota": {"limit": {"pods": "1"}}}}),
            "namespaceDefaultResourceQuota",
        ),
        (json!({"spec": {"clusterName": "c-2"}}), "clusterId"),
    ] {
        let answer = world
            .ask("lead", "PATCH", &path, merge, patch.clone())
            .await;
        assert_eq!(answer.status, 422, "{patch}: {}", answer.body);
        assert_eq!(answer.body["fieldName"], field, "{patch}: {}", answer.body);
    }
    let mut odd = world.get("lead", &path).await;
    odd["spec"]["unknown"] = json!(true);
    let (status, body) = world.send("lead", "PUT", &path, odd).await;
    assert_eq!((status, &body["fieldName"]), (422, &json!("spec.unknown")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_make_members_and_give_no_more_than_they_hold() {
    let world = world().await;
    let binding = |role: &str, project: &str| {
        json!({
            "metadata": {"namespace": "c-1-p-1"}, "projectName": project, "roleTemplateName": role,
            "userName": "stranger",
        })
    };
    for (user, expected) in [("member", 403), ("stranger", 404)] {
        let sent = binding("project-member", "c-1:p-1");
        let (status, body) = world.send(user, "POST", OF_PROJECTS, sent).await;
        assert_eq!(status, expected, "{user}: {body}");
    }
    let (status, made) = world
        .send(
            "lead",
            "POST",
            OF_PROJECTS,
            binding("project-member", "c-1:p-1"),
        )
        .await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["userPrincipalName"], "local://stranger");
    assert_eq!(
        made["metadata"]["annotations"]["field.cattle.io/creatorId"],
        "lead"
    );
    assert_eq!(links(&made), [true; 3]);
    let name = made["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("prtb-"), "{name}");
    world.until_access(|has| has("stranger")).await;
    // It lies where its project says, names a role that there is, and stays what it is.
    for (sent, status) in [
        (binding("cluster-owner", "c-1:p-1"), 422),
        (binding("project-member", "c-1:p-9"), 404),
        (binding("nosuch", "c-1:p-1"), 404),
        (
            json!({"metadata": {"namespace": "c-1"}, "projectName": "c-1:p-1", "roleTemplateName": "read-only", "userName": "x"}),
            422,
        ),
        (
            json!({"metadata": {"namespace": "c-1-p-1"}, "projectName": "c-1:p-1", "roleTemplateName": "read-only"}),
            422,
        ),
    ] {
        let (answered, body) = world.send("lead", "POST", OF_PROJECTS, sent.clone()).await;
        assert_eq!(answered, status, "{sent}: {body}");
    }
    let at = format!("{OF_PROJECTS}/c-1-p-1/{name}");
    let merge = "application/merge-patch+json";
    let more = json!({"roleTemplateName": "project-owner"});
    let answer = world.ask("lead", "PATCH", &at, merge, more).await;
    assert_eq!(
        (answer.status, &answer.body["fieldName"]),
        (422, &json!("roleTemplateName"))
    );
    // A cluster's members are its owner's to make.
    let whole = json!({
        "metadata": {"namespace": "c-1"}, "clusterName": "c-1", "roleTemplateName": "cluster-member", "userName": "lead",
    });
    let (status, _) = world.send("lead", "POST", OF_CLUSTERS, whole.clone()).await;
    assert!(matches!(status, 403 | 404), "{status}");
    let (status, body) = world.send("owner", "POST", OF_CLUSTERS, whole).await;
    assert_eq!(status, 201, "{body}");
    for (user, expected) in [("member", 403), ("lead", 204)] {
        let (status, body) = world.send(user, "DELETE", &at, Value::Null).await;
        assert_eq!(status, expected, "{user}: {body}");
    }
    let (status, _) = world.send("owner", "GET", &at, Value::Null).await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_are_made_and_changed_by_who_may() {
    let world = world().await;
    let sent =
        |namespace: &str| json!({"metadata": {"namespace": namespace, "name": "mine"}, "spec": {}});
    let (status, made) = world
        .send("stranger", "POST", CLUSTERS, sent("fleet-default"))
        .await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(
        made["metadata"]["annotations"]["field.cattle.io/creatorId"],
        "stranger"
    );
    let (status, _) = world.send("stranger", "POST", CLUSTERS, sent("c-1")).await;
    assert_eq!(status, 403, "credentials are read in a cluster's workspace");
    let (status, _) = world
        .send("member", "POST", CLUSTERS, sent("fleet-default"))
        .await;
    assert_eq!(status, 403);
    let posing = json!({"metadata": {"namespace": "fleet-default", "name": "c-9", "annotations": {
        "objectset.rio.cattle.io/owner-gvk": "management.cattle.io/v3, Kind=Cluster",
    }}});
    let (status, body) = world.send("stranger", "POST", CLUSTERS, posing).await;
    assert_eq!(status, 422, "{body}");
    let path = format!("{CLUSTERS}/fleet-default/c-1");
    let merge = "application/merge-patch+json";
    let patch = json!({"spec": {"agentEnvVars": [{"name": "HTTP_PROXY", "value": "http://p"}]}});
    for (user, expected) in [
        ("member", 403),
        ("lead", 403),
        ("stranger", 403),
        ("owner", 200),
    ] {
        let answer = world.ask(user, "PATCH", &path, merge, patch.clone()).await;
        assert_eq!(answer.status, expected, "{user}: {}", answer.body);
    }
    let mut shown = world.get("owner", &path).await;
    assert_eq!(shown["spec"]["agentEnvVars"][0]["name"], "HTTP_PROXY");
    shown["spec"]["localClusterAuthEndpoint"] =
        json!({"enabled": true, "fqdn": "https://not.a.host"});
    let (status, body) = world.send("owner", "PUT", &path, shown).await;
    assert_eq!(status, 422, "{body}");
    for (user, expected) in [("member", 403), ("owner", 204)] {
        let (status, body) = world.send(user, "DELETE", &path, Value::Null).await;
        assert_eq!(status, expected, "{user}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_applied_by_the_rights_of_other_writes() {
    let world = world().await;
    let at = "/v1/management.cattle.io.clusters/local?action=apply";
    let apply =
        async |user: &str, yaml: &str| world.send(user, "POST", at, json!({"yaml": yaml})).await;
    let project = "apiVersion: management.cattle.io/v3\nkind: Project\nmetadata: {name: p-1, namespace: c-1}\nspec: {displayName: applied}\n";
    for (user, expected) in [("member", 403), ("stranger", 403), ("lead", 200)] {
        let (status, body) = apply(user, project).await;
        assert_eq!(status, expected, "{user}: {body}");
    }
    let shown = world.get("owner", &format!("{PROJECTS}/c-1/p-1")).await;
    assert_eq!(shown["spec"]["displayName"], "applied");
    let field = "apiVersion: management.cattle.io/v3\nkind: Project\nmetadata: {name: p-1, namespace: c-1, finalizers: [mine]}\n";
    let (status, body) = apply("lead", field).await;
    assert_eq!(
        (status, &body["fieldName"]),
        (422, &json!("metadata.finalizers"))
    );
    let member = "apiVersion: management.cattle.io/v3\nkind: ProjectRoleTemplateBinding\nmetadata: {name: applied, namespace: c-1-p-1}\nprojectName: c-1:p-1\nroleTemplateName: project-member\nuserName: stranger\n";
    for (user, expected) in [("member", 403), ("lead", 200), ("lead", 200)] {
        let (status, body) = apply(user, member).await;
        assert_eq!(status, expected, "{user}: {body}");
    }
    let cluster = |name: &str| {
        format!(
            "apiVersion: provisioning.cattle.io/v1\nkind: Cluster\nmetadata: {{name: {name}, namespace: fleet-default}}\nspec: {{}}\n"
        )
    };
    for (user, name, expected) in [
        ("stranger", "applied", 200),
        ("stranger", "c-1", 403),
        ("member", "another", 403),
        ("member", "c-1", 403),
        ("owner", "c-1", 200),
    ] {
        let (status, body) = apply(user, &cluster(name)).await;
        assert_eq!(status, expected, "{user} {name}: {body}");
    }
    let made = world
        .get(&world.admin, &format!("{CLUSTERS}/fleet-default/applied"))
        .await;
    let creator = &made["metadata"]["annotations"]["field.cattle.io/creatorId"];
    assert_eq!(creator, "stranger");
    let (status, _) = world
        .send(
            &world.admin,
            "GET",
            &format!("{CLUSTERS}/fleet-default/another"),
            Value::Null,
        )
        .await;
    assert_eq!(status, 404);
    let management = "apiVersion: management.cattle.io/v3\nkind: Cluster\nmetadata: {name: c-1}\n";
    let (status, body) = apply("owner", management).await;
    assert_eq!(
        (status, &body["code"]),
        (403, &json!("PermissionDenied")),
        "{body}"
    );
}
