use drover_types::management::EnvVar;

use super::*;

fn now() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

/// Both sides, and what a plan makes of them, as the API would.
#[derive(Default)]
struct World {
    object: Option<Cluster>,
    cluster: Option<Managed>,
}

impl World {
    fn imported() -> Self {
        let mut cluster = Managed::named("c-abcde");
        cluster.metadata.uid = Some("m-uid".to_owned());
        cluster.spec.display_name = "one".to_owned();
        cluster.metadata.labels = Some([("team".to_owned(), "a".to_owned())].into());
        Self {
            cluster: Some(cluster),
            object: None,
        }
    }

    fn asked_for() -> Self {
        let mut object = Cluster::named("mine");
        object.metadata.namespace = Some("fleet-default".to_owned());
        object.metadata.uid = Some("p-uid".to_owned());
        object.metadata.annotations =
            Some([(CREATOR_ANNOTATION.to_owned(), "u-1".to_owned())].into());
        Self {
            object: Some(object),
            cluster: None,
        }
    }

    /// Does what plans say until they say nothing more; whether anything was done.
    fn settle(&mut self) -> bool {
        for round in 0..10 {
            let plan = reconcile(self.object.as_ref(), self.cluster.as_ref(), now());
            if plan.is_empty() {
                return round > 0;
            }
            for action in plan.actions.into_iter().chain(plan.status) {
                self.apply(action);
            }
        }
        panic!("the plans do not end");
    }

    fn apply(&mut self, action: Action) {
        let is_managed =
            action.target() == &Reference::new::<Managed>(None, action.target().name());
        match action {
            Action::Create { object, .. } | Action::Replace { object, .. } if is_managed => {
                self.cluster = Some(serde_json::from_value(object).unwrap());
            }
            Action::Create { object, .. } | Action::Replace { object, .. } => {
                self.object = Some(serde_json::from_value(object).unwrap());
            }
            Action::Patch { patch, .. } => {
                let finalizers = serde_json::from_value(patch["metadata"]["finalizers"].clone());
                let object = self.object.as_mut().unwrap();
                object.metadata.finalizers = finalizers.unwrap();
                if object.metadata.deletion_timestamp.is_some()
                    && object
                        .metadata
                        .finalizers
                        .as_ref()
                        .is_none_or(Vec::is_empty)
                {
                    self.object = None;
                }
            }
            Action::Delete { .. } if is_managed => {
                mark_deleted(&mut self.cluster.as_mut().unwrap().metadata);
            }
            Action::Delete { .. } => mark_deleted(&mut self.object.as_mut().unwrap().metadata),
            Action::Apply { .. } => panic!("nothing is applied"),
        }
    }

    fn status(&self) -> &ClusterStatus {
        &self.object.as_ref().unwrap().status
    }
}

fn mark_deleted(meta: &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) {
    let at = serde_json::from_value(json!("2026-11-29T12:00:00Z")).unwrap();
    meta.deletion_timestamp = Some(at);
}

fn condition_of(kind: &str, status: &str) -> Condition {
    Condition {
        kind: kind.to_owned(),
        status: status.to_owned(),
        ..Condition::default()
    }
}

#[test]
fn an_imported_cluster_gets_an_object_of_its_id_that_follows_it() {
    let mut world = World::imported();
    assert!(world.settle());
    let object = world.object.clone().unwrap();
    assert_eq!(object.metadata.namespace.as_deref(), Some("fleet-default"));
    assert_eq!(object.metadata.name.as_deref(), Some("c-abcde"));
    assert_eq!(object.metadata.labels.as_ref().unwrap()["team"], "a");
    assert_eq!(
        annotation(&object.metadata, OWNER_NAME),
        Some("c-abcde"),
        "clients find it by this"
    );
    assert_eq!(object.status.cluster_name, "c-abcde");
    assert!(!object.status.ready);

    let cluster = world.cluster.as_mut().unwrap();
    cluster.status.conditions = vec![condition_of("Ready", "True")];
    cluster.spec.agent_env_vars = vec![EnvVar {
        name: "HTTP_PROXY".to_owned(),
        ..EnvVar::default()
    }];
    assert!(world.settle());
    assert!(world.status().ready);
    assert_eq!(world.object.as_ref().unwrap().spec.agent_env_vars.len(), 1);

    let cluster = world.cluster.as_mut().unwrap();
    cluster.status.conditions = vec![condition_of("Ready", "False")];
    assert!(world.settle());
    assert!(world.status().ready, "it came about once");
    assert_eq!(world.status().conditions[1].status, "False");
    assert!(!world.settle());
}

#[test]
fn the_hub_is_in_its_own_workspace_and_outlives_its_object() {
    let mut world = World {
        cluster: Some(crate::clusters::local_cluster()),
        object: None,
    };
    assert!(world.settle());
    let object = world.object.as_mut().unwrap();
    assert_eq!(object.metadata.namespace.as_deref(), Some("fleet-local"));
    mark_deleted(&mut object.metadata);
    world.settle();
    let cluster = world.cluster.unwrap();
    assert_eq!(cluster.metadata.deletion_timestamp, None);
    assert!(
        world
            .object
            .is_some_and(|object| object.metadata.deletion_timestamp.is_none()),
        "made anew"
    );
}

#[test]
fn an_object_that_somebody_made_gets_one_management_cluster() {
    let mut world = World::asked_for();
    assert!(world.settle());
    let cluster = world.cluster.clone().unwrap();
    let id = cluster.metadata.name.clone().unwrap();
    assert!(id.starts_with("c-m-") && id.len() == 12, "{id}");
    assert_eq!(cluster.spec.display_name, "mine");
    assert_eq!(
        annotation(&cluster.metadata, CREATOR_ANNOTATION),
        Some("u-1")
    );
    assert_eq!(world.status().cluster_name, id);
    // Its own specification leads, not the cluster's.
    let spec = &mut world.object.as_mut().unwrap().spec;
    spec.agent_env_vars = vec![EnvVar::default()];
    let endpoint = json!({"enabled": true, "fqdn": "c.example"});
    spec.other
        .insert("localClusterAuthEndpoint".to_owned(), endpoint);
    assert!(world.settle());
    let spec = &world.cluster.as_ref().unwrap().spec;
    assert_eq!(spec.agent_env_vars.len(), 1);
    assert_eq!(spec.auth_endpoint().fqdn, "c.example");
    assert!(!world.settle());
    // No second object for the cluster.
    let alone = reconcile(None, world.cluster.as_ref(), now());
    assert!(alone.is_empty(), "{alone:?}");
}

#[test]
fn the_removal_of_either_removes_the_other() {
    for mut world in [World::imported(), World::asked_for()] {
        world.settle();
        mark_deleted(&mut world.object.as_mut().unwrap().metadata);
        world.settle();
        assert!(
            world
                .cluster
                .as_ref()
                .unwrap()
                .metadata
                .deletion_timestamp
                .is_some()
        );
        assert!(world.object.is_some(), "it waits until the cluster is gone");
        world.cluster = None;
        world.settle();
        assert!(world.object.is_none());
    }
    for mut world in [World::imported(), World::asked_for()] {
        world.settle();
        mark_deleted(&mut world.cluster.as_mut().unwrap().metadata);
        world.settle();
        world.cluster = None;
        world.settle();
        assert!(world.object.is_none());
    }
}

#[test]
fn an_object_never_reaches_a_cluster_that_is_not_its_own() {
    let victim = World::imported().cluster;
    let mut world = World::asked_for();
    world.cluster = victim;
    world.object.as_mut().unwrap().status.cluster_name = "c-abcde".to_owned();
    world.settle();
    assert_eq!(world.status().conditions[0].status, "False");
    mark_deleted(&mut world.object.as_mut().unwrap().metadata);
    world.object.as_mut().unwrap().metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    world.settle();
    // What is there now is the object of the cluster itself.
    let object = world.object.unwrap();
    assert_eq!(object.metadata.name.as_deref(), Some("c-abcde"));
    assert_eq!(world.cluster.unwrap().metadata.deletion_timestamp, None);
}

#[test]
fn machines_are_refused_in_words() {
    let mut world = World::asked_for();
    world.object.as_mut().unwrap().spec.rke_config = Some(json!({}));
    world.settle();
    assert!(world.cluster.is_none());
    let created = &world.status().conditions[0];
    assert_eq!(
        (created.kind.as_str(), created.reason.as_str()),
        ("Created", "Error")
    );
}
