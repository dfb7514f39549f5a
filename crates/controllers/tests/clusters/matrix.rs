//! Every built-in role template against everything that any of them speaks of, in a real cluster.
//!
//! What is expected follows from the rules of the roles by an evaluation of its own (`testkit::roles`). It is compared with
//! what the cluster's API server decides of the virtual groups, with the ClusterRoles and bindings that controllers
//! made, and with what the hub says of who may do it.
//!
//! RBAC only adds up: what a caller with the groups of many roles is refused, each of these roles is refused. So all
//! roles that should be refused are asked for at once, and those that should be allowed one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drover_auth::access::Question;
use drover_auth::{Access, Attributes, Auth, Clock, Config, Entropy, Identity};
use drover_testkit::control_plane::{self, ControlPlane};
use drover_testkit::real::component;
use drover_testkit::roles::{Asked, Bound, Role};
use drover_types::management::{
    ClusterRoleTemplateBinding, PolicyRule, Project, ProjectRoleTemplateBinding, RoleTemplate,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::world::{World, until};

const CLUSTER: &str = "c-skw55";
const PROJECT: &str = "p-shop";
/// A namespace of the project, and one of none.
const INSIDE: &str = "inside";
const OUTSIDE: &str = "outside";
/// Questions on their way at once.
const AT_ONCE: usize = 24;

const VERBS: [&str; 12] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "own",
    "view",
    "bind",
    "updatepsa",
];

/// Kinds that no built-in role names, and subresources of such as some do.
const OTHER_KINDS: [(&str, &str); 6] = [
    ("", "namespaces"),
    ("", "pods/eviction"),
    ("apps", "controllerrevisions"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("management.cattle.io", "users"),
    ("nobody.example", "things"),
];

/// All kinds, verbs and places, and the names that rules name.
fn questions(roles: &[Role]) -> Vec<Asked> {
    let texts = |rule: &Value, list: &str| -> Vec<String> {
        let entries = rule[list].as_array().into_iter().flatten();
        entries
            .map(|entry| entry.as_str().unwrap().to_owned())
            .collect()
    };
    let mut kinds: BTreeSet<(String, String, Option<String>)> = OTHER_KINDS
        .into_iter()
        .map(|(group, resource)| (group.to_owned(), resource.to_owned(), None))
        .collect();
    // The cluster's own roles name hundreds of kinds; those of templates are what matters here.
    for rule in roles.iter().flat_map(Role::own_rules) {
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                if group != "*" && resource != "*" {
                    kinds.insert((group.clone(), resource.clone(), None));
                    for name in texts(rule, "resourceNames") {
                        kinds.insert((group.clone(), resource.clone(), Some(name)));
                    }
                }
            }
        }
    }
    let mut questions = Vec::new();
    for (group, resource, name) in kinds {
        for verb in VERBS {
            for namespace in [None, Some(INSIDE), Some(OUTSIDE)] {
                questions.push(Asked {
                    verb,
                    group: group.clone(),
                    resource: resource.clone(),
                    namespace: namespace.map(str::to_owned),
                    name: name.clone(),
                });
            }
        }
    }
    questions
}

/// What the cluster's API server decides of somebody in these groups.
async fn decides(client: &Client, groups: &[&String], asked: &Asked) -> Result<bool, kube::Error> {
    let (resource, subresource) = asked
        .resource
        .split_once('/')
        .unwrap_or((&asked.resource, ""));
    let review = json!({"metadata": {}, "spec": {
        "user": "somebody", "groups": groups,
        "resourceAttributes": {
            "verb": asked.verb, "group": asked.group, "resource": resource, "subresource": subresource,
            "namespace": asked.namespace, "name": asked.name,
        },
    }});
    let review: SubjectAccessReview = serde_json::from_value(review).unwrap();
    let answer = Api::all(client.clone())
        .create(&PostParams::default(), &review)
        .await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// Whom the hub says may do it.
fn holders(
    access: &Access,
    external: &BTreeMap<String, Vec<PolicyRule>>,
    asked: &Asked,
) -> BTreeSet<String> {
    let question = Question {
        cluster: Some(CLUSTER),
        asked: Attributes {
            verb: asked.verb,
            group: &asked.group,
            resource: &asked.resource,
            namespace: asked.namespace.as_deref(),
            name: asked.name.as_deref(),
        },
        project: (asked.namespace.as_deref() == Some(INSIDE)).then_some(PROJECT),
        external,
    };
    let names = access
        .who_can(&question)
        .into_iter()
        .map(|holder| holder.name);
    // Beside those of this test there are the cluster's creator and the first administrator.
    names.filter(|name| name.starts_with("u-")).collect()
}

/// Binds each role to a user of its own.
async fn bind(world: &World, roles: &[Role]) {
    world
        .create(
            Api::<Project>::namespaced(world.hub.clone(), CLUSTER),
            json!({"apiVersion": "management.cattle.io/v3", "kind": "Project",
                "metadata": {"name": PROJECT}, "spec": {"clusterName": CLUSTER, "displayName": "Shop"}}),
        )
        .await;
    let projects = Api::<Project>::namespaced(world.hub.clone(), CLUSTER);
    let backing = until("the project's namespace", || async {
        let project = projects.get(PROJECT).await.unwrap();
        Some(project.status.backing_namespace).filter(|name| !name.is_empty())
    })
    .await;
    for role in roles {
        if role.bound == Bound::Project {
            let mut binding = ProjectRoleTemplateBinding::named(&role.user());
            binding.project_name = format!("{CLUSTER}:{PROJECT}");
            binding.role_template_name.clone_from(&role.name);
            binding.user_name = role.user();
            let api = Api::namespaced(world.hub.clone(), &backing);
            api.create(&PostParams::default(), &binding).await.unwrap();
        } else {
            let mut binding = ClusterRoleTemplateBinding::named(&role.user());
            binding.cluster_name = CLUSTER.to_owned();
            binding.role_template_name.clone_from(&role.name);
            binding.user_name = role.user();
            let api = Api::namespaced(world.hub.clone(), CLUSTER);
            api.create(&PostParams::default(), &binding).await.unwrap();
        }
    }
}

/// The ClusterRoles of the cluster once Kubernetes has put together those that others add to.
async fn cluster_roles(cluster: &Client) -> Vec<ClusterRole> {
    until("admin, edit and view to have rules", || async {
        let roles = Api::<ClusterRole>::all(cluster.clone())
            .list(&ListParams::default())
            .await
            .unwrap()
            .items;
        let whole = roles.iter().filter(|role| {
            ["admin", "edit", "view"].contains(&role.name_any().as_str())
                && role.rules.as_ref().is_some_and(|rules| !rules.is_empty())
        });
        (whole.count() == 3).then(|| roles.clone())
    })
    .await
}

/// Waits until the cluster decides by the last of the bindings: its authorizer learns of each a moment after it was made.
async fn in_force(
    cluster: &Client,
    roles: &[Role],
    groups: &BTreeMap<&str, Vec<String>>,
    questions: &[Asked],
) {
    for role in roles {
        let Some(asked) = questions
            .iter()
            .rev()
            .find(|asked| role.allows_in_cluster(asked, &[INSIDE]))
        else {
            continue;
        };
        let groups: Vec<&String> = groups[role.name.as_str()].iter().collect();
        until(&format!("{} to be in force", role.name), || async {
            decides(cluster, &groups, asked)
                .await
                .unwrap()
                .then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_built_in_role_gives_in_a_cluster_what_its_rules_say_and_no_more() {
    if component("kube-apiserver").is_err() {
        eprintln!("skipped: `cargo xtask real` builds the control planes");
        return;
    }
    let plane = ControlPlane::start(&control_plane::Config {
        nodes: 0,
        ..control_plane::Config::default()
    })
    .await
    .unwrap();
    let (server, hub) = crate::world::api_server().await;
    let cluster = plane.client().await.unwrap();
    let mut world = World::over(hub.clone(), cluster.clone(), Box::new((server, plane))).await;
    let (auth, driver, bootstrap) = Auth::new(Config {
        client: hub.clone(),
        clock: Clock::system(),
        entropy: Entropy::system(),
        environment: BTreeMap::new(),
    });
    bootstrap.run(None).await.unwrap();
    let driver = tokio::spawn(driver.run());
    auth.ready().await;

    for (name, project) in [
        (INSIDE, Some(format!("{CLUSTER}:{PROJECT}"))),
        (OUTSIDE, None),
    ] {
        let annotations = json!({"field.cattle.io/projectId": project});
        let metadata =
            json!({"name": name, "annotations": project.is_some().then_some(annotations)});
        world
            .create(
                Api::<Namespace>::all(cluster.clone()),
                json!({"metadata": metadata}),
            )
            .await;
    }
    let cluster_roles = cluster_roles(&cluster).await;
    let templates = Api::<RoleTemplate>::all(hub.clone())
        .list(&ListParams::default())
        .await
        .unwrap()
        .items;
    let roles = Role::of_templates(&templates, &cluster_roles);
    assert!(roles.len() >= 40, "{}", roles.len());
    world.create_cluster(CLUSTER).await;
    world
        .condition(CLUSTER, "ServiceAccountSecretsMigrated", "True")
        .await;
    bind(&world, &roles).await;
    world.connect(CLUSTER).await;
    world.condition(CLUSTER, "GlobalAdminsSynced", "True").await;

    let questions = questions(&roles);
    let groups: BTreeMap<&str, Vec<String>> = roles
        .iter()
        .map(|role| {
            let groups = auth
                .access
                .cluster_groups(&Identity::of(role.user()), CLUSTER);
            (role.name.as_str(), groups.unwrap())
        })
        .collect();
    in_force(&cluster, &roles, &groups, &questions).await;

    let external: BTreeMap<String, Vec<PolicyRule>> = cluster_roles
        .iter()
        .map(|role| {
            let rules = serde_json::to_value(role.rules.as_deref().unwrap_or_default()).unwrap();
            (role.name_any(), serde_json::from_value(rules).unwrap())
        })
        .collect();
    // Each question with the roles it is asked for and what is expected.
    let (mut reviews, mut n_allowed) = (Vec::new(), 0);
    for asked in &questions {
        let (allowed, refused): (Vec<&Role>, Vec<&Role>) = roles
            .iter()
            .partition(|role| role.allows_in_cluster(asked, &[INSIDE]));
        let expected: BTreeSet<String> = allowed.iter().map(|role| role.user()).collect();
        assert_eq!(
            holders(&auth.access, &external, asked),
            expected,
            "the hub says otherwise: {asked:?}"
        );
        n_allowed += allowed.len();
        reviews.extend(allowed.into_iter().map(|role| (asked, vec![role], true)));
        reviews.push((asked, refused, false));
    }
    let n_all = questions.len() * roles.len();
    // Neither everything nor nothing: the comparison means something.
    assert!(
        n_allowed > 5_000 && n_allowed * 4 < n_all,
        "{n_allowed} of {n_all}"
    );
    let (cluster, groups) = (&cluster, Arc::new(groups));
    let wrong: Vec<String> = stream::iter(reviews)
        .map(|(asked, roles, expected)| {
            let groups = Arc::clone(&groups);
            async move {
                let held: Vec<&String> = roles
                    .iter()
                    .flat_map(|role| &groups[role.name.as_str()])
                    .collect();
                let names: Vec<&str> = roles.iter().map(|role| role.name.as_str()).collect();
                let right = decides(cluster, &held, asked).await? == expected;
                Ok::<_, kube::Error>(
                    (!right).then(|| format!("expected {expected} of {names:?}: {asked:?}")),
                )
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_filter_map(|wrong| async move { Ok(wrong) })
        .try_collect()
        .await
        .unwrap();
    assert!(
        wrong.is_empty(),
        "{} of {n_all}: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(20)]
    );
    driver.abort();
    world.stop().await;
}
