//! Deletions, state by state.

use drover_types::names::{PROJECT_ANNOTATION, SYSTEM_NAMESPACE};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use proptest::prelude::*;

use super::*;
use crate::manifest::{self, Inputs, Object};
use crate::settings::Settings;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn cluster(connected: bool, finalizers: &[&str]) -> Cluster {
    let mut cluster = Cluster::named("c-abcde");
    cluster.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0)));
    cluster.metadata.finalizers = Some(
        finalizers
            .iter()
            .map(|&finalizer| finalizer.to_owned())
            .collect(),
    );
    cluster.metadata.resource_version = Some("7".to_owned());
    if connected {
        "imported".clone_into(&mut cluster.status.driver);
    }
    cluster
}

fn both() -> [&'static str; 2] {
    [AGENT_FINALIZER, HUB_FINALIZER]
}

/// By a process that has led for long.
fn plan(cluster: &Cluster, in_cluster: &InCluster, in_hub: &InHub, now: i64) -> Plan {
    plan_since(-1000, cluster, in_cluster, in_hub, now)
}

fn plan_since(
    since: i64,
    cluster: &Cluster,
    in_cluster: &InCluster,
    in_hub: &InHub,
    now: i64,
) -> Plan {
    reconcile(
        &Observed {
            cluster,
            in_cluster,
            in_hub,
            since: at(since),
        },
        at(now),
    )
}

fn targets(plan: &Plan) -> Vec<String> {
    plan.actions
        .iter()
        .map(|action| action.target().to_string())
        .collect()
}

/// A cluster with our manifest and roles in it, as they would be read back.
fn leftovers() -> Leftovers {
    let inputs = Inputs::for_download(
        &Cluster::named("c-abcde"),
        &Settings::default(),
        "https://x",
        "t",
    )
    .unwrap();
    let mut found = Leftovers {
        namespaces: vec![meta(SYSTEM_NAMESPACE), meta("shop"), meta("default")],
        ..Leftovers::default()
    };
    for object in manifest::objects(&inputs) {
        match object {
            Object::ClusterRole(role) => found.roles.push(role),
            Object::ClusterRoleBinding(binding) => found.bindings.push(binding),
            Object::Secret(secret) => found.secrets.push(secret.metadata),
            Object::Deployment(object) => found
                .in_system
                .push(("Deployment".to_owned(), object.metadata.name.unwrap())),
            Object::Service(object) => found
                .in_system
                .push(("Service".to_owned(), object.metadata.name.unwrap())),
            Object::Namespace(_)
            | Object::ServiceAccount(_)
            | Object::PodDisruptionBudget(_)
            | Object::DaemonSet(_) => {}
        }
    }
    let access =
        crate::downstream_access::reconcile(&crate::downstream_access::Observed::default(), &[]);
    for action in access.actions {
        let Action::Apply { target, object, .. } = action else {
            panic!("not expected")
        };
        match target.kind() {
            "ClusterRole" => found.roles.push(serde_json::from_value(object).unwrap()),
            _ => found.bindings.push(serde_json::from_value(object).unwrap()),
        }
    }
    found
}

fn meta(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        uid: Some(format!("uid-{name}")),
        ..ObjectMeta::default()
    }
}

fn read(leftovers: Leftovers) -> InCluster {
    InCluster::Read(Box::new(leftovers))
}

#[test]
fn a_cluster_that_never_connected_is_not_waited_for() {
    let plan = plan(
        &cluster(false, &both()),
        &InCluster::Away,
        &InHub::default(),
        0,
    );
    assert_eq!(targets(&plan), ["Cluster c-abcde"]);
    assert_eq!(plan.requeue_at, None);
}

#[test]
fn a_cluster_that_is_away_delays_its_deletion_for_a_bounded_time() {
    let cluster = cluster(true, &both());
    let waiting = plan(&cluster, &InCluster::Away, &InHub::default(), 1);
    assert!(waiting.is_empty());
    assert_eq!(waiting.requeue_at, Some(at(4)));
    assert_eq!(
        targets(&plan(&cluster, &InCluster::Away, &InHub::default(), 10)),
        ["Cluster c-abcde"]
    );
    let failed = InCluster::Failed("no".to_owned());
    assert!(plan(&cluster, &failed, &InHub::default(), 29).is_empty());
    assert_eq!(
        targets(&plan(&cluster, &failed, &InHub::default(), 30)),
        ["Cluster c-abcde"]
    );
}

#[test]
fn everything_of_ours_goes_and_the_agents_rights_last() {
    let plan = plan(
        &cluster(true, &both()),
        &read(leftovers()),
        &InHub::default(),
        1,
    );
    assert_eq!(
        targets(&plan),
        [
            "ClusterRoleBinding drover-cluster-owner",
            "ClusterRoleBinding drover-cluster-member",
            "ClusterRoleBinding proxy-role-binding-kubernetes-master",
            "ClusterRole drover-cluster-member",
            "ClusterRole proxy-clusterrole-kubeapiserver",
            "ClusterRole cattle-admin",
            "ClusterRoleBinding cattle-admin-binding",
            "Namespace cattle-system",
            "Cluster c-abcde",
        ]
    );
    let owned = plan.actions.iter().filter(|action| {
        matches!(
            action,
            Action::Patch {
                site: Site::Cluster,
                ..
            }
        )
    });
    for action in owned {
        let Action::Patch { patch, .. } = action else {
            continue;
        };
        assert_eq!(
            patch["metadata"]["ownerReferences"][0]["uid"],
            "uid-cattle-system"
        );
    }
}

#[test]
fn an_agent_has_time_to_come_back_to_who_took_over_a_deletion() {
    // The hub was away for a minute, in the middle of the deletion.
    let waits = |in_cluster: &InCluster, now: i64| {
        let plan = plan_since(
            60,
            &cluster(true, &both()),
            in_cluster,
            &InHub::default(),
            now,
        );
        plan.requeue_at.is_some() && plan.actions.is_empty()
    };
    let failed = InCluster::Failed("the agent is not ready".to_owned());
    for in_cluster in [InCluster::Away, failed] {
        assert!(waits(&in_cluster, 60), "{in_cluster:?}");
        assert!(waits(&in_cluster, 89), "{in_cluster:?}");
        assert!(!waits(&in_cluster, 90), "{in_cluster:?}");
    }
    let never = cluster(false, &both());
    let plan = plan_since(60, &never, &InCluster::Away, &InHub::default(), 60);
    assert_eq!(targets(&plan), ["Cluster c-abcde"], "nothing is waited for");
}

#[test]
fn foreign_objects_of_our_names_stay() {
    let mut found = leftovers();
    for role in &mut found.roles {
        role.metadata.labels = None;
        role.rules = None;
    }
    for binding in &mut found.bindings {
        binding.metadata.labels = None;
        binding.subjects = None;
    }
    let actions = removal::removal("c-abcde", &found);
    assert_eq!(actions.len(), 1, "only the namespace: {actions:?}");
}

#[test]
fn a_system_namespace_with_foreign_workloads_stays_and_loses_only_our_parts() {
    let mut found = leftovers();
    found
        .in_system
        .push(("Deployment".to_owned(), "theirs".to_owned()));
    found.secrets.push(meta("theirs"));
    let plan = Plan {
        actions: removal::removal("c-abcde", &found),
        ..Plan::default()
    };
    let targets = targets(&plan);
    assert!(
        !targets
            .iter()
            .any(|target| target.contains("theirs") || target == "Namespace cattle-system"),
        "{targets:?}"
    );
    assert!(targets.contains(&"Deployment cattle-system/cattle-cluster-agent".to_owned()));
    assert_eq!(
        targets.last().map(String::as_str),
        Some("ClusterRoleBinding cattle-admin-binding")
    );
}

#[test]
fn only_namespaces_in_this_clusters_projects_lose_their_annotation() {
    let mut found = leftovers();
    let annotated = |namespace: &mut ObjectMeta, project: &str| {
        namespace.annotations = Some([(PROJECT_ANNOTATION.to_owned(), project.to_owned())].into());
    };
    annotated(&mut found.namespaces[1], "c-abcde:p-x");
    annotated(&mut found.namespaces[2], "c-other:p-y");
    let plan = Plan {
        actions: removal::removal("c-abcde", &found),
        ..Plan::default()
    };
    let namespaces: Vec<_> = targets(&plan)
        .into_iter()
        .filter(|target| target.starts_with("Namespace"))
        .collect();
    assert_eq!(namespaces, ["Namespace shop", "Namespace cattle-system"]);
}

#[test]
fn webhooks_go_only_when_their_service_goes() {
    let mut found = leftovers();
    found.webhooks.push((
        "ValidatingWebhookConfiguration".to_owned(),
        "rancher.cattle.io".to_owned(),
        SYSTEM_NAMESPACE.to_owned(),
    ));
    found.webhooks.push((
        "MutatingWebhookConfiguration".to_owned(),
        "rancher.cattle.io".to_owned(),
        "other".to_owned(),
    ));
    let plan = Plan {
        actions: removal::removal("c-abcde", &found),
        ..Plan::default()
    };
    let webhooks: Vec<_> = targets(&plan)
        .into_iter()
        .filter(|target| target.contains("Webhook"))
        .collect();
    assert_eq!(
        webhooks,
        ["ValidatingWebhookConfiguration rancher.cattle.io"]
    );
}

#[test]
fn the_hub_keeps_nothing_of_the_cluster_and_everything_else() {
    let namespace = |name: &str, ours: bool| {
        let mut namespace = Namespace {
            metadata: meta(name),
            ..Namespace::default()
        };
        if ours {
            let annotation = crate::clusters::SYSTEM_NAMESPACE_ANNOTATION.to_owned();
            namespace.metadata.annotations = Some([(annotation, "true".to_owned())].into());
        }
        namespace
    };
    let token = |name: &str, cluster: &str| {
        let mut token = Token::named(name);
        cluster.clone_into(&mut token.cluster_name);
        token
    };
    let mut cluster = cluster(true, &[HUB_FINALIZER, "other"]);
    "cluster-serviceaccounttoken-x".clone_into(&mut cluster.status.service_account_token_secret);
    let hub = InHub {
        namespace: Some(namespace("c-abcde", true)),
        backing: vec![namespace("c-abcde-p-x", true), namespace("theirs", false)],
        tokens: vec![token("a", "c-abcde"), token("b", ""), token("c", "c-other")],
    };
    let plan = plan(&cluster, &InCluster::Away, &hub, 0);
    assert_eq!(
        targets(&plan),
        [
            "Namespace c-abcde-p-x",
            "Namespace c-abcde",
            "Token a",
            "Secret cattle-global-data/cluster-serviceaccounttoken-x",
            "Cluster c-abcde"
        ]
    );
    let Some(Action::Patch { patch, .. }) = plan.actions.last() else {
        panic!()
    };
    assert_eq!(patch["metadata"]["finalizers"], json!(["other"]));
}

proptest! {
    #[test]
    fn nothing_in_a_cluster_is_touched_that_was_not_read(seconds in 0i64..100, connected in any::<bool>(), failed in any::<bool>()) {
        let in_cluster = if failed { InCluster::Failed(String::new()) } else { InCluster::Away };
        let plan = plan(&cluster(connected, &both()), &in_cluster, &InHub::default(), seconds);
        let hub_only = plan.actions.iter().all(|action| matches!(action, Action::Patch { site: Site::Hub, .. }));
        prop_assert!(hub_only);
    }

    #[test]
    fn foreign_roles_are_never_touched(name in "[a-z-]{1,12}", labelled in any::<bool>()) {
        let mut found = leftovers();
        let mut foreign = meta(&format!("x-{name}"));
        if labelled {
            foreign.labels = Some([("cattle.io/creator".to_owned(), "norman".to_owned())].into());
        }
        found.roles.push(ClusterRole { metadata: foreign.clone(), ..ClusterRole::default() });
        found.bindings.push(ClusterRoleBinding { metadata: foreign.clone(), ..ClusterRoleBinding::default() });
        let touched = removal::removal("c-abcde", &found).iter().any(|action| Some(action.target().name()) == foreign.name.as_deref());
        prop_assert!(!touched);
    }
}
