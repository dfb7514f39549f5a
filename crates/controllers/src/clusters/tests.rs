//! The life of a cluster, state by state, against what was recorded.

use std::collections::BTreeMap;

use drover_types::condition::Condition;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::facts::{Access, Deployed, Health, Session};
use crate::nodes::Summary;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_209_718 + seconds).unwrap()
}

/// The hub's objects of one cluster, as a store would hold them.
struct World {
    cluster: Cluster,
    namespace: Option<Namespace>,
    projects: Vec<Project>,
    bindings: Vec<ClusterRoleTemplateBinding>,
    has_token: bool,
    facts: Facts,
}

impl World {
    fn new(mut cluster: Cluster) -> Self {
        cluster.metadata.uid = Some("ed6c6079-43d7-4bc5-baa5-08c73ae8a80d".to_owned());
        Self {
            cluster,
            namespace: None,
            projects: Vec::new(),
            bindings: Vec::new(),
            has_token: false,
            facts: Facts::unknown(at(0)),
        }
    }

    fn imported() -> Self {
        let mut cluster = Cluster::named("c-skw55");
        cluster.metadata.annotations =
            Some([(CREATOR_ANNOTATION.to_owned(), "user-p8sfq".to_owned())].into());
        Self::new(cluster)
    }

    fn plan(&self, now: Timestamp) -> Plan {
        let observed = Observed {
            cluster: &self.cluster,
            namespace: self.namespace.as_ref(),
            projects: &self.projects,
            creator_roles: &["cluster-owner".to_owned()],
            bindings: &self.bindings,
            has_token: self.has_token,
            facts: &self.facts,
        };
        reconcile(&observed, now)
    }

    fn act(&mut self, plan: &Plan) {
        for action in plan.actions.iter().chain(&plan.status) {
            match action {
                Action::Create { target, object, .. } => {
                    let object = object.clone();
                    match target.kind() {
                        "Namespace" => {
                            self.namespace = Some(serde_json::from_value(object).unwrap())
                        }
                        "Project" => self.projects.push(serde_json::from_value(object).unwrap()),
                        "ClusterRoleTemplateBinding" => {
                            self.bindings.push(serde_json::from_value(object).unwrap())
                        }
                        "ClusterRegistrationToken" => self.has_token = true,
                        other => panic!("not expected: {other}"),
                    }
                }
                Action::Patch { target, patch, .. } if target.kind() == "Cluster" => {
                    let mut value = serde_json::to_value(&self.cluster).unwrap();
                    merge(&mut value, patch);
                    self.cluster = serde_json::from_value(value).unwrap();
                }
                Action::Replace { object, .. } => {
                    self.cluster = serde_json::from_value(object.clone()).unwrap()
                }
                Action::Patch { .. } | Action::Apply { .. } | Action::Delete { .. } => {
                    panic!("not expected: {action:?}")
                }
            }
        }
    }

    /// Repeats until there is nothing to do.
    fn settle(&mut self, now: Timestamp) {
        for _ in 0..10 {
            let plan = self.plan(now);
            if plan.is_empty() {
                return;
            }
            self.act(&plan);
        }
        panic!("does not come to rest");
    }

    fn conditions(&self) -> Vec<(&str, &str)> {
        let conditions = &self.cluster.status.conditions;
        conditions
            .iter()
            .map(|condition| (condition.kind.as_str(), condition.status.as_str()))
            .collect()
    }

    fn condition(&self, kind: &str) -> Option<&Condition> {
        condition::find(&self.cluster.status.conditions, kind)
    }

    fn connect(&mut self, now: Timestamp) {
        "imported".clone_into(&mut self.cluster.status.driver);
        self.facts.session = Session::Live;
        self.facts.health = Health::Good;
        self.facts.access = Access::Given;
        self.facts.version = Some(
            json!({ "gitVersion": "v1.36.3", "buildDate": "x", "platform": "y", "major": "1" }),
        );
        self.settle(now);
    }
}

fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    let map = value.as_object_mut().unwrap();
    for (name, patch) in patch {
        if patch.is_null() {
            map.remove(name);
        } else {
            merge(map.entry(name.clone()).or_insert(Value::Null), patch);
        }
    }
}

#[test]
fn a_new_cluster_becomes_what_was_recorded() {
    let mut world = World::imported();
    world.settle(at(0));
    assert_eq!(
        world.conditions(),
        [
            ("CreatorMadeOwner", "True"),
            ("InitialRolesPopulated", "True"),
            ("BackingNamespaceCreated", "True"),
            ("DefaultProjectCreated", "True"),
            ("SystemProjectCreated", "True"),
            ("Pending", "Unknown"),
            ("Provisioned", "Unknown"),
            ("Waiting", "Unknown"),
            ("NoDiskPressure", "True"),
            ("NoMemoryPressure", "True"),
            ("ServiceAccountSecretsMigrated", "True"),
        ]
    );
    let times = |kind: &str| world.condition(kind).unwrap().last_update_time.clone();
    assert_eq!(times("Pending"), "");
    assert_eq!(times("Waiting"), "2026-11-20T21:21:58Z");
    assert_eq!(
        world.condition("Waiting").unwrap().message,
        "Waiting for API to be available"
    );
    let annotations = world.cluster.metadata.annotations.as_ref().unwrap();
    assert_eq!(
        annotations[CREATOR_BINDINGS],
        r#"{"created":["cluster-owner"],"required":["cluster-owner"]}"#
    );
    assert_eq!(
        world.cluster.metadata.finalizers.as_deref().unwrap(),
        [AGENT_FINALIZER, HUB_FINALIZER]
    );
    assert_eq!(
        world.cluster.spec.other["fleetWorkspaceName"],
        "fleet-default"
    );
    let status = &world.cluster.status;
    assert_eq!(status.capacity["memory"], "0");
    assert_eq!(status.info.as_ref().unwrap().machine_provider, "imported");
    assert_eq!(status.other["eksStatus"]["subnets"], Value::Null);
    let names: Vec<_> = world
        .projects
        .iter()
        .map(|project| project.spec.display_name.as_str())
        .collect();
    assert_eq!(names, ["Default", "System"]);
    assert!(
        world.projects[0]
            .metadata
            .name
            .as_deref()
            .unwrap()
            .starts_with("p-")
    );
    assert_eq!(
        world.projects[1].spec.description,
        "System project created for the cluster"
    );
    assert_eq!(
        world.bindings[0].metadata.name.as_deref(),
        Some("creator-cluster-owner")
    );
    assert_eq!(world.bindings[0].user_name, "user-p8sfq");
    assert!(world.has_token);
}

#[test]
fn a_connected_cluster_becomes_what_was_recorded() {
    let mut world = World::imported();
    world.settle(at(0));
    world.connect(at(10));
    world.facts.tls_strict = Some(true);
    world.settle(at(11));
    let conditions = world.conditions();
    let expected = [
        ("Pending", "True"),
        ("Provisioned", "True"),
        ("Waiting", "True"),
        ("NoDiskPressure", "True"),
        ("NoMemoryPressure", "True"),
        ("ServiceAccountSecretsMigrated", "True"),
        // Not there yet when the peer's was recorded, seconds after it became ready; its own cluster has it.
        ("Updated", "True"),
        ("Connected", "True"),
        ("AgentTlsStrictCheck", "True"),
        ("GlobalAdminsSynced", "True"),
        ("Ready", "True"),
    ];
    assert_eq!(conditions[5..], expected);
    assert_eq!(world.condition("Waiting").unwrap().message, "");
    let version = world.cluster.status.version.as_ref().unwrap();
    assert_eq!(version["buildDate"], "");
    assert_eq!(version["platform"], "");
    assert_eq!(
        world
            .cluster
            .status
            .info
            .as_ref()
            .unwrap()
            .kubernetes_version,
        "v1.36.3"
    );
}

#[test]
fn a_lost_session_counts_after_a_short_grace_and_ready_says_why() {
    let mut world = World::imported();
    world.settle(at(0));
    world.connect(at(10));
    world.facts.session = Session::Lost { since: at(20) };
    world.facts.health = Health::Unknown;
    let plan = world.plan(at(21));
    assert!(plan.is_empty());
    assert_eq!(plan.requeue_at, Some(at(24)));
    world.settle(at(24));
    assert_eq!(world.condition("Connected").unwrap().status, "False");
    let ready = world.condition("Ready").unwrap();
    assert_eq!(
        (
            ready.status.as_str(),
            ready.reason.as_str(),
            ready.message.as_str()
        ),
        ("False", "Disconnected", "Cluster agent is not connected")
    );
    world.connect(at(30));
    let ready = world.condition("Ready").unwrap();
    assert_eq!(
        (
            ready.status.as_str(),
            ready.reason.as_str(),
            ready.message.as_str()
        ),
        ("True", "", "")
    );
    assert_eq!(world.condition("Connected").unwrap().status, "True");
}

#[test]
fn after_our_own_restart_agents_get_time_to_return() {
    let mut world = World::imported();
    world.settle(at(0));
    world.connect(at(10));
    world.facts = Facts::unknown(at(100));
    assert!(world.plan(at(114)).is_empty());
    world.settle(at(115));
    assert_eq!(world.condition("Ready").unwrap().reason, "Disconnected");
}

#[test]
fn a_cluster_that_never_connected_is_never_called_disconnected() {
    let mut world = World::imported();
    world.settle(at(0));
    assert!(world.plan(at(100_000)).is_empty());
    assert!(world.condition("Connected").is_none());
}

#[test]
fn an_unhealthy_cluster_says_what_is_wrong_and_recovers() {
    let mut world = World::imported();
    world.settle(at(0));
    world.connect(at(10));
    world.facts.health = Health::Bad("etcd is down".to_owned());
    world.settle(at(20));
    let ready = world.condition("Ready").unwrap();
    assert_eq!(
        (
            ready.status.as_str(),
            ready.reason.as_str(),
            ready.message.as_str()
        ),
        ("False", "Error", "etcd is down")
    );
    world.connect(at(30));
    assert_eq!(world.condition("Ready").unwrap().status, "True");
}

#[test]
fn a_failed_deployment_is_told_and_forgotten_when_it_succeeds() {
    let mut world = World::imported();
    world.settle(at(0));
    world.connect(at(10));
    world.facts.deployed = Deployed::Failed("forbidden".to_owned());
    world.settle(at(11));
    let deployed = world.condition("AgentDeployed").unwrap();
    assert_eq!(
        deployed.message,
        "Error while applying agent YAML, it will be retried automatically: forbidden"
    );
    assert_eq!(deployed.reason, "Error");
    world.facts.deployed = Deployed::Yes {
        image: "drover/drover-agent:v1".to_owned(),
    };
    world.settle(at(12));
    let deployed = world.condition("AgentDeployed").unwrap();
    assert_eq!(
        (
            deployed.status.as_str(),
            deployed.reason.as_str(),
            deployed.message.as_str()
        ),
        ("True", "", "")
    );
    assert_eq!(world.cluster.status.agent_image, "drover/drover-agent:v1");
}

#[test]
fn figures_and_drivers_follow_what_is_seen() {
    let mut world = World::imported();
    world.settle(at(0));
    world.connect(at(10));
    world.facts.version = Some(json!({ "gitVersion": "v1.36.3+k3s1" }));
    world.facts.inventory = Some(Arc::default());
    world.facts.summary = Some(Summary {
        n_nodes: 3,
        n_linux_workers: 2,
        arch: "amd64".to_owned(),
        capacity: BTreeMap::from([("cpu".to_owned(), "96".to_owned())]),
        disk_pressure: vec!["node-1".to_owned()],
        ..Summary::default()
    });
    world.settle(at(11));
    let status = &world.cluster.status;
    assert_eq!(
        (
            status.driver.as_str(),
            status.provider.as_str(),
            status.node_count
        ),
        ("k3s", "k3s", 3)
    );
    assert_eq!(status.capacity["cpu"], "96");
    assert_eq!(status.info.as_ref().unwrap().arch, "amd64");
    assert_eq!(
        world.cluster.metadata.labels.as_ref().unwrap()["provider.cattle.io"],
        "k3s"
    );
    assert_eq!(
        world.condition("NoDiskPressure").unwrap().message,
        "disk pressure on node-1"
    );
}

#[test]
fn a_cluster_is_ready_when_its_people_can_work_in_it() {
    let mut world = World::imported();
    world.settle(at(0));
    world.facts.session = Session::Live;
    world.facts.health = Health::Good;
    for access in [Access::Unknown, Access::Written { since: at(1) }] {
        world.facts.access = access;
        world.settle(at(2));
        assert!(world.condition("Ready").is_none());
        // What waits for nothing more is shown as active.
        assert_eq!(world.condition("Waiting").unwrap().status, "Unknown");
    }
    world.facts.access = Access::Failed("not allowed".to_owned());
    world.settle(at(3));
    assert!(world.condition("Ready").is_none());
    let refused = world.condition("GlobalAdminsSynced").unwrap();
    assert_eq!(
        (refused.status.as_str(), refused.message.as_str()),
        ("False", "not allowed")
    );
    world.facts.access = Access::Given;
    world.settle(at(4));
    assert_eq!(world.condition("Ready").unwrap().status, "True");
    assert_eq!(world.condition("Waiting").unwrap().status, "True");
    // Later failures show, but do not undo that.
    world.facts.access = Access::Failed("not allowed".to_owned());
    world.settle(at(5));
    assert_eq!(world.condition("Ready").unwrap().status, "True");
}

#[test]
fn the_local_cluster_becomes_what_was_recorded() {
    let mut world = World::new(local_cluster());
    world.settle(at(0));
    world.facts.access = Access::Given;
    world.settle(at(1));
    assert_eq!(
        world.conditions(),
        [
            ("Ready", "True"),
            ("DefaultProjectCreated", "True"),
            ("SystemProjectCreated", "True"),
            ("CreatorMadeOwner", "True"),
            ("BackingNamespaceCreated", "True"),
            ("Pending", "True"),
            ("Provisioned", "True"),
            ("Waiting", "True"),
            ("PreBootstrapped", "Unknown"),
            ("NoDiskPressure", "True"),
            ("NoMemoryPressure", "True"),
            ("SystemAccountCreated", "True"),
            ("Updated", "True"),
            ("ServiceAccountSecretsMigrated", "True"),
            ("GlobalAdminsSynced", "True"),
            ("Connected", "True"),
        ]
    );
    assert!(world.cluster.metadata.finalizers.is_none());
    assert_eq!(world.cluster.status.driver, "imported");
    assert_eq!(
        world.cluster.status.info.as_ref().unwrap().machine_provider,
        "local"
    );
    let annotations = world.cluster.metadata.annotations.as_ref().unwrap();
    assert_eq!(
        annotations[CREATOR_BINDINGS],
        r#"{"created":[],"required":["cluster-owner"]}"#
    );
    assert!(world.bindings.is_empty());
}

#[test]
fn what_people_delete_is_not_made_again_but_the_token_is() {
    let mut world = World::imported();
    world.settle(at(0));
    world.projects.clear();
    world.bindings.clear();
    world.has_token = false;
    world.settle(at(1));
    assert!(world.projects.is_empty() && world.bindings.is_empty());
    assert!(world.has_token);
}

#[test]
fn creators_without_wish_for_rights_get_none() {
    let mut world = World::imported();
    world
        .cluster
        .metadata
        .annotations
        .get_or_insert_default()
        .insert(NO_CREATOR_RBAC.to_owned(), "true".to_owned());
    world.settle(at(0));
    assert!(world.bindings.is_empty());
    assert_eq!(
        world.projects[0].metadata.annotations.as_ref().unwrap()[NO_CREATOR_RBAC],
        "true"
    );
}

#[test]
fn a_cluster_being_deleted_is_left_to_the_clean_up() {
    let mut world = World::imported();
    world.cluster.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0)));
    assert!(world.plan(at(1)).is_empty());
}

fn facts() -> impl Strategy<Value = Facts> {
    let session = prop_oneof![
        Just(Session::Live),
        (0i64..100).prop_map(|seconds| Session::Lost { since: at(seconds) }),
        (0i64..100).prop_map(|seconds| Session::Unseen { since: at(seconds) }),
    ];
    let health = prop_oneof![
        Just(Health::Unknown),
        Just(Health::Good),
        Just(Health::Bad("x".to_owned()))
    ];
    let deployed = prop_oneof![
        Just(Deployed::Unknown),
        Just(Deployed::Yes {
            image: "i".to_owned()
        }),
        Just(Deployed::Failed("f".to_owned()))
    ];
    let access = prop_oneof![
        Just(Access::Unknown),
        Just(Access::Written { since: at(0) }),
        Just(Access::Given),
        Just(Access::Failed("f".to_owned()))
    ];
    (
        session,
        health,
        deployed,
        access,
        any::<Option<bool>>(),
        any::<bool>(),
    )
        .prop_map(
            |(session, health, deployed, access, tls_strict, summed)| Facts {
                session,
                health,
                version: summed.then(|| json!({ "gitVersion": "v1.36.3+rke2r1" })),
                summary: summed.then(|| Summary {
                    n_nodes: 5,
                    ..crate::nodes::summarize(&crate::facts::Inventory::default())
                }),
                inventory: summed.then(Arc::default),
                deployed,
                access,
                tls_strict,
            },
        )
}

proptest! {
    #[test]
    fn any_history_comes_to_rest_and_unknown_facts_take_nothing_away(history in prop::collection::vec((facts(), any::<bool>()), 1..8)) {
        let mut world = World::imported();
        world.settle(at(0));
        for (seconds, (facts, driver)) in (100i64..).zip(history) {
            if driver {
                "imported".clone_into(&mut world.cluster.status.driver);
            }
            world.facts = facts;
            world.settle(at(seconds));
            let before = world.cluster.clone();
            world.facts = Facts::unknown(at(seconds));
            world.settle(at(seconds));
            prop_assert_eq!(&world.cluster, &before);
        }
        let kinds: std::collections::BTreeSet<_> = world.conditions().into_iter().map(|(kind, _)| kind).collect();
        prop_assert_eq!(kinds.len(), world.conditions().len());
    }
}

#[test]
fn a_status_is_no_wish() {
    let wishes = |cluster: &Cluster| Wishes::of(cluster).unwrap();
    let mut cluster = Cluster::named("c-skw55");
    let first = wishes(&cluster);
    cluster.status.node_count = 3;
    cluster.metadata.resource_version = Some("7".to_owned());
    assert_eq!(wishes(&cluster), first);
    cluster.spec.display_name = "other".to_owned();
    let second = wishes(&cluster);
    assert_ne!(second, first);
    cluster.status.driver = "imported".to_owned();
    let third = wishes(&cluster);
    assert_ne!(third, second);
    let force = (agent_deploy::FORCE.to_owned(), "true".to_owned());
    cluster.metadata.annotations = Some([force].into());
    assert_ne!(wishes(&cluster), third);
}
