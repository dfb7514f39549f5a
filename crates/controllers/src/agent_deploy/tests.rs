use serde_json::Value;

use super::*;
use crate::facts::Health;

fn world() -> (Cluster, Settings, Facts) {
    let mut cluster = Cluster::named("c-abcde");
    "imported".clone_into(&mut cluster.status.driver);
    let mut facts = Facts::unknown(Timestamp::UNIX_EPOCH);
    facts.session = Session::Live;
    facts.health = Health::Good;
    facts.inventory = Some(Arc::new(inventory(&["a", "b", "c"])));
    (
        cluster,
        Settings::of([("server-url", "https://server.example:8443")]),
        facts,
    )
}

fn inventory(names: &[&str]) -> Inventory {
    let node = |name: &str| {
        serde_json::from_value(json!({
            "metadata": { "name": name, "labels": { "node-role.kubernetes.io/control-plane": "" } },
            "spec": { "taints": [
                { "key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule" },
                { "key": "node.kubernetes.io/not-ready", "effect": "NoSchedule" },
            ] },
        }))
        .unwrap()
    };
    Inventory {
        nodes: names
            .iter()
            .map(|name| ((*name).to_owned(), node(name)))
            .collect(),
        loads: BTreeMap::new(),
        exposed: None,
    }
}

fn decide(cluster: &Cluster, settings: &Settings, facts: &Facts, token: Option<&str>) -> Decision {
    let observed = Observed {
        cluster,
        settings,
        has_registration: true,
        token,
        pull_secrets: Vec::new(),
        facts,
    };
    reconcile(&observed, Timestamp::UNIX_EPOCH).unwrap()
}

/// Keeps the annotations of a plan, as the API would.
fn keep(cluster: &mut Cluster, plan: &Plan) {
    let Some(Action::Patch { patch, .. }) = plan.actions.last() else {
        panic!("no patch of the cluster")
    };
    let annotations = cluster.metadata.annotations.get_or_insert_default();
    for (name, value) in patch["metadata"]["annotations"].as_object().unwrap() {
        match value {
            Value::String(value) => annotations.insert(name.clone(), value.clone()),
            _ => annotations.remove(name),
        };
    }
}

#[test]
fn the_manifest_is_applied_once_and_again_only_when_an_input_changes() {
    let (mut cluster, settings, mut facts) = world();
    let decision = decide(&cluster, &settings, &facts, Some("tok"));
    assert_eq!(decision.plan.actions.len(), 9 + 2);
    keep(&mut cluster, &decision.plan);
    assert_eq!(
        annotation(&cluster.metadata, TOKEN_HASH),
        Some(crate::random::short_hash("tok").as_str())
    );
    assert!(
        decide(&cluster, &settings, &facts, Some("tok"))
            .plan
            .is_empty()
    );
    assert!(
        !decide(&cluster, &settings, &facts, Some("rotated"))
            .plan
            .is_empty()
    );
    let moved = Settings::of([("server-url", "https://other.example")]);
    assert!(
        decide(&cluster, &moved, &facts, Some("tok"))
            .plan
            .is_empty(),
        "a new URL moves no agent by itself"
    );
    facts.inventory = Some(Arc::new(inventory(&["a", "b", "c", "d"])));
    assert!(
        decide(&cluster, &settings, &facts, Some("tok"))
            .plan
            .is_empty(),
        "more nodes change nothing"
    );
    facts.inventory = Some(Arc::new(inventory(&["a"])));
    assert!(
        !decide(&cluster, &settings, &facts, Some("tok"))
            .plan
            .is_empty(),
        "one node means one agent"
    );
}

#[test]
fn a_wish_by_annotation_is_granted_once() {
    let (mut cluster, settings, facts) = world();
    let plan = decide(&cluster, &settings, &facts, Some("tok")).plan;
    keep(&mut cluster, &plan);
    cluster
        .metadata
        .annotations
        .get_or_insert_default()
        .insert(FORCE.to_owned(), "true".to_owned());
    let plan = decide(&cluster, &settings, &facts, Some("tok")).plan;
    assert!(!plan.is_empty());
    keep(&mut cluster, &plan);
    assert!(
        decide(&cluster, &settings, &facts, Some("tok"))
            .plan
            .is_empty()
    );
}

#[test]
fn a_cluster_that_is_away_unhealthy_or_unknown_is_not_touched() {
    let (cluster, settings, facts) = world();
    let check = |change: &dyn Fn(&mut Facts)| {
        let mut facts = facts.clone();
        change(&mut facts);
        assert!(
            decide(&cluster, &settings, &facts, Some("tok"))
                .plan
                .is_empty()
        );
    };
    check(&|facts| {
        facts.session = Session::Lost {
            since: Timestamp::UNIX_EPOCH,
        }
    });
    check(&|facts| facts.health = Health::Bad(String::new()));
    check(&|facts| facts.health = Health::Unknown);
    check(&|facts| facts.inventory = None);
    check(&|facts| facts.inventory = Some(Arc::new(Inventory::default())));
    assert!(decide(&cluster, &settings, &facts, None).plan.is_empty());
    assert!(
        decide(&cluster, &Settings::default(), &facts, Some("tok"))
            .plan
            .is_empty()
    );
}

#[test]
fn without_the_system_token_it_is_asked_for_first() {
    let (cluster, settings, facts) = world();
    let observed = Observed {
        cluster: &cluster,
        settings: &settings,
        has_registration: false,
        token: None,
        pull_secrets: Vec::new(),
        facts: &facts,
    };
    let plan = reconcile(&observed, Timestamp::UNIX_EPOCH).unwrap().plan;
    assert_eq!(plan.actions.len(), 1);
    assert_eq!(
        plan.actions[0].target().to_string(),
        "ClusterRegistrationToken c-abcde/system"
    );
}

#[test]
fn passing_taints_of_nodes_do_not_touch_the_agent() {
    assert_eq!(taints(&inventory(&["a", "b"])).len(), 1);
}

#[test]
fn the_clusters_own_endpoint_comes_and_goes_with_its_switch() {
    let (mut cluster, settings, facts) = world();
    let kinds = |plan: &Plan, wanted: fn(&Action) -> Option<&Reference>| -> Vec<String> {
        plan.actions
            .iter()
            .filter_map(wanted)
            .map(|target| format!("{}/{}", target.kind(), target.name()))
            .collect()
    };
    let deleted = |plan: &Plan| {
        kinds(plan, |action| match action {
            Action::Delete { target, .. } => Some(target),
            _ => None,
        })
    };
    let switch = |cluster: &mut Cluster, on: bool| {
        cluster.spec.other.insert(
            "localClusterAuthEndpoint".to_owned(),
            json!({ "enabled": on }),
        );
    };
    let plan = decide(&cluster, &settings, &facts, Some("tok")).plan;
    assert!(deleted(&plan).is_empty(), "somebody else's stays");
    keep(&mut cluster, &plan);

    switch(&mut cluster, true);
    let plan = decide(&cluster, &settings, &facts, Some("tok")).plan;
    assert_eq!(plan.actions.len(), 10 + 2);
    keep(&mut cluster, &plan);
    assert!(
        decide(&cluster, &settings, &facts, Some("tok"))
            .plan
            .is_empty()
    );

    switch(&mut cluster, false);
    let plan = decide(&cluster, &settings, &facts, Some("tok")).plan;
    assert_eq!(
        deleted(&plan),
        ["DaemonSet/kube-api-auth", "Secret/drover-kept-reviews"]
    );
    keep(&mut cluster, &plan);
    assert!(
        decide(&cluster, &settings, &facts, Some("tok"))
            .plan
            .is_empty()
    );
}
