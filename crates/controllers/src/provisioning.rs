//! Clusters as `provisioning.cattle.io` shows them, kept equal to the management clusters.
//!
//! Two ways to the same pair. A management cluster that was made through `/v3` gets an object of its id in its
//! workspace (recorded/http/06: `fleet-default/c-96nwv`, `fleet-local/local`). An object that somebody made gets a
//! management cluster (`c-m-…`) with its specification. Either end's removal removes the other. Machines are not
//! provisioned: an object that asks for them says so in its condition `Created` and gets no cluster.
//!
//! Invariant: a management cluster is touched only for the object that it names as its maker, or that is named after
//! it; no status that somebody wrote leads to another cluster.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use drover_auth::Clock;
use drover_types::condition::{self, Condition, timestamp};
use drover_types::management::Cluster as Managed;
use drover_types::names::{CREATOR_ANNOTATION, LOCAL_CLUSTER};
use drover_types::provisioning::{Cluster, ClusterStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client};
use serde_json::{Map, Value, json};

use crate::clusters::annotation;
use crate::plan::{Action, Plan, Reference, Site, Sites};
use crate::runtime::{Controller, LookError};

/// Keeps an object until its management cluster is gone; the peer's name for it.
pub const FINALIZER: &str = "wrangler.cattle.io/provisioning-cluster-remove";
const OWNER_KIND: &str = "objectset.rio.cattle.io/owner-gvk";
const OWNER_NAME: &str = "objectset.rio.cattle.io/owner-name";
const OWNER_NAMESPACE: &str = "objectset.rio.cattle.io/owner-namespace";
const ADMINISTRATED: &str = "provisioning.cattle.io/administrated";
const BY_MANAGEMENT: &str = "management.cattle.io/v3, Kind=Cluster";
const BY_PROVISIONING: &str = "provisioning.cattle.io/v1, Kind=Cluster";
/// How long to wait before looking whether a cluster that is being removed is gone.
const GOING: Duration = Duration::from_secs(2);

/// Namespace and name of the object of a management cluster.
fn place_of(cluster: &Managed) -> Option<(String, String)> {
    let meta = &cluster.metadata;
    if annotation(meta, OWNER_KIND) == Some(BY_PROVISIONING) {
        return Some((
            annotation(meta, OWNER_NAMESPACE)?.to_owned(),
            annotation(meta, OWNER_NAME)?.to_owned(),
        ));
    }
    let id = meta.name.clone()?;
    let workspace = cluster
        .spec
        .other
        .get("fleetWorkspaceName")
        .and_then(|name| name.as_str())
        .filter(|name| !name.is_empty());
    let workspace = workspace.unwrap_or(if id == LOCAL_CLUSTER {
        "fleet-local"
    } else {
        "fleet-default"
    });
    Some((workspace.to_owned(), id))
}

/// Id of the management cluster that an object has, or is to have.
fn id_of(object: &Cluster) -> String {
    let meta = &object.metadata;
    if !object.status.cluster_name.is_empty() {
        return object.status.cluster_name.clone();
    }
    if is_copy(object) {
        return meta.name.clone().unwrap_or_default();
    }
    let seed = meta.uid.as_deref().unwrap_or_default();
    // Two makers make one cluster.
    let [first, second] = ["1", "2"].map(|part| crate::random::suffix(&format!("{seed}/{part}")));
    format!("c-m-{first}{}", &second[..3])
}

/// Whether an object was made for a management cluster, not the other way around.
fn is_copy(object: &Cluster) -> bool {
    annotation(&object.metadata, OWNER_KIND) == Some(BY_MANAGEMENT)
}

/// Whether the two belong to each other, as the management cluster says it.
fn is_pair(object: &Cluster, cluster: &Managed) -> bool {
    place_of(cluster).is_some_and(|(namespace, name)| {
        object.metadata.namespace.as_deref() == Some(namespace.as_str())
            && object.metadata.name.as_deref() == Some(name.as_str())
    })
}

fn reference(object: &Cluster) -> Reference {
    Reference::new::<Cluster>(
        object.metadata.namespace.as_deref(),
        object.metadata.name.as_deref().unwrap_or_default(),
    )
}

/// Decides about one pair; either side may be missing.
#[must_use]
pub fn reconcile(object: Option<&Cluster>, cluster: Option<&Managed>, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    match (object, cluster) {
        (None, None) => {}
        (None, Some(cluster)) => {
            let is_made_here = annotation(&cluster.metadata, OWNER_KIND) != Some(BY_PROVISIONING);
            if cluster.metadata.deletion_timestamp.is_none()
                && is_made_here
                && let Some(object) = copy(cluster)
            {
                plan.actions.push(Action::create(Site::Hub, &object));
                plan.requeue(now);
            }
        }
        (Some(object), cluster) if object.metadata.deletion_timestamp.is_some() => {
            let own = cluster.filter(|cluster| is_pair(object, cluster));
            leave(object, own, &mut plan, now);
        }
        (Some(object), None) => {
            if is_copy(object) || !object.status.cluster_name.is_empty() {
                // Its cluster was removed.
                plan.actions.push(delete(object));
            } else if object.spec.rke_config.is_some() {
                refuse(
                    object,
                    "machines are not provisioned by this server",
                    &mut plan,
                    now,
                );
            } else {
                make(object, &mut plan, now);
            }
        }
        (Some(object), Some(cluster)) if !is_pair(object, cluster) => {
            refuse(
                object,
                "its cluster belongs to another object",
                &mut plan,
                now,
            );
        }
        (Some(object), Some(cluster)) if cluster.metadata.deletion_timestamp.is_some() => {
            plan.actions.push(delete(object));
        }
        (Some(object), Some(cluster)) => keep(object, cluster, &mut plan, now),
    }
    plan
}

fn delete(object: &Cluster) -> Action {
    Action::Delete {
        site: Site::Hub,
        target: reference(object),
        uid: object.metadata.uid.clone(),
    }
}

/// An object on its way out takes its cluster with it; the hub itself stays.
fn leave(object: &Cluster, cluster: Option<&Managed>, plan: &mut Plan, now: Timestamp) {
    let own = cluster.filter(|cluster| cluster.metadata.name.as_deref() != Some(LOCAL_CLUSTER));
    if let Some(cluster) = own {
        if cluster.metadata.deletion_timestamp.is_none() {
            plan.actions.push(Action::Delete {
                site: Site::Hub,
                target: Reference::new::<Managed>(
                    None,
                    cluster.metadata.name.as_deref().unwrap_or_default(),
                ),
                uid: cluster.metadata.uid.clone(),
            });
        }
        plan.requeue(now + GOING);
        return;
    }
    let finalizers = object.metadata.finalizers.clone().unwrap_or_default();
    if finalizers.iter().any(|one| one == FINALIZER) {
        let left: Vec<String> = finalizers
            .into_iter()
            .filter(|one| one != FINALIZER)
            .collect();
        plan.actions
            .push(metadata_patch(object, json!({"finalizers": left})));
    }
}

fn metadata_patch(object: &Cluster, mut metadata: serde_json::Value) -> Action {
    metadata["resourceVersion"] = json!(object.metadata.resource_version);
    Action::patch(Site::Hub, reference(object), json!({"metadata": metadata}))
}

/// The object of a management cluster.
fn copy(cluster: &Managed) -> Option<Cluster> {
    let (namespace, name) = place_of(cluster)?;
    let mut object = Cluster::named(&name);
    object.metadata.namespace = Some(namespace);
    object.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    object.metadata.labels = Some(labels(cluster)).filter(|labels| !labels.is_empty());
    object.metadata.annotations = Some(made_for(BY_MANAGEMENT, &name, "", &cluster.metadata));
    copy_spec(cluster, &mut object);
    Some(object)
}

/// The annotations of what was made for another object, with its maker.
fn made_for(kind: &str, name: &str, namespace: &str, of: &ObjectMeta) -> BTreeMap<String, String> {
    let creator = annotation(of, CREATOR_ANNOTATION);
    [
        (OWNER_KIND, kind),
        (OWNER_NAME, name),
        (OWNER_NAMESPACE, namespace),
    ]
    .into_iter()
    .chain(creator.map(|creator| (CREATOR_ANNOTATION, creator)))
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

/// What people and the server say of a cluster by labels.
fn labels(cluster: &Managed) -> BTreeMap<String, String> {
    let mut labels = cluster.metadata.labels.clone().unwrap_or_default();
    labels.remove("cattle.io/creator");
    labels
}

fn copy_spec(cluster: &Managed, object: &mut Cluster) {
    object
        .spec
        .agent_env_vars
        .clone_from(&cluster.spec.agent_env_vars);
    object
        .spec
        .cluster_agent_deployment_customization
        .clone_from(&cluster.spec.cluster_agent_deployment_customization);
    carry_endpoint(&cluster.spec.other, &mut object.spec.other);
}

fn take_spec(object: &Cluster, cluster: &mut Managed) {
    cluster
        .spec
        .agent_env_vars
        .clone_from(&object.spec.agent_env_vars);
    cluster
        .spec
        .cluster_agent_deployment_customization
        .clone_from(&object.spec.cluster_agent_deployment_customization);
    carry_endpoint(&object.spec.other, &mut cluster.spec.other);
}

/// Makes one specification say of the cluster's own endpoint what the other says. Saying nothing means that there is none.
fn carry_endpoint(from: &Map<String, Value>, to: &mut Map<String, Value>) {
    const ENDPOINT: &str = "localClusterAuthEndpoint";
    let said = |spec: &Map<String, Value>| {
        let endpoint = spec.get(ENDPOINT).filter(|endpoint| !endpoint.is_null());
        endpoint.cloned().unwrap_or(json!({ "enabled": false }))
    };
    let wanted = said(from);
    if said(to) != wanted {
        to.insert(ENDPOINT.to_owned(), wanted);
    }
}

/// Makes the management cluster of an object.
fn make(object: &Cluster, plan: &mut Plan, now: Timestamp) {
    if let Some(held) = with_finalizer(object) {
        // First, so that no cluster outlives its object unnoticed.
        plan.actions.push(held);
        plan.requeue(now);
        return;
    }
    let meta = &object.metadata;
    let (name, namespace) = (
        meta.name.clone().unwrap_or_default(),
        meta.namespace.clone().unwrap_or_default(),
    );
    let mut cluster = Managed::named(&id_of(object));
    let mut annotations = made_for(BY_PROVISIONING, &name, &namespace, meta);
    annotations.insert(ADMINISTRATED.to_owned(), "true".to_owned());
    cluster.metadata.annotations = Some(annotations);
    cluster.metadata.labels.clone_from(&meta.labels);
    cluster.spec.display_name = name;
    cluster.spec.imported_config = Some(Default::default());
    cluster
        .spec
        .other
        .insert("fleetWorkspaceName".to_owned(), json!(namespace));
    take_spec(object, &mut cluster);
    plan.actions.push(Action::create(Site::Hub, &cluster));
    plan.requeue(now);
}

fn with_finalizer(object: &Cluster) -> Option<Action> {
    let mut finalizers = object.metadata.finalizers.clone().unwrap_or_default();
    if finalizers.iter().any(|one| one == FINALIZER) {
        return None;
    }
    finalizers.push(FINALIZER.to_owned());
    Some(metadata_patch(object, json!({"finalizers": finalizers})))
}

/// Keeps both sides equal: the one that was made follows the other.
fn keep(object: &Cluster, cluster: &Managed, plan: &mut Plan, now: Timestamp) {
    if let Some(held) = with_finalizer(object) {
        plan.actions.push(held);
        plan.requeue(now);
        return;
    }
    if is_copy(object) {
        let mut wanted = object.clone();
        copy_spec(cluster, &mut wanted);
        let mut merged = object.metadata.labels.clone().unwrap_or_default();
        merged.extend(labels(cluster));
        wanted.metadata.labels = Some(merged).filter(|labels| !labels.is_empty());
        if wanted != *object {
            plan.actions.push(Action::replace(Site::Hub, &wanted));
            plan.requeue(now);
            return;
        }
    } else {
        let mut wanted = cluster.clone();
        take_spec(object, &mut wanted);
        if wanted != *cluster {
            plan.actions.push(Action::replace(Site::Hub, &wanted));
        }
    }
    let conditions = &cluster.status.conditions;
    let mut next = ClusterStatus {
        cluster_name: cluster.metadata.name.clone().unwrap_or_default(),
        // Once ready, always: it says that the cluster came about.
        ready: object.status.ready || condition::is_true(conditions, "Ready"),
        agent_deployed: condition::is_true(conditions, "AgentDeployed"),
        fleet_workspace_name: object.metadata.namespace.clone().unwrap_or_default(),
        observed_generation: object.metadata.generation.unwrap_or_default(),
        conditions: vec![created(object, "True", "", "", now)],
        other: object.status.other.clone(),
    };
    let others = conditions.iter().filter(|one| one.kind != "Created");
    next.conditions.extend(others.cloned());
    set_status(object, next, plan);
}

/// Says why an object gets no cluster.
fn refuse(object: &Cluster, why: &str, plan: &mut Plan, now: Timestamp) {
    let next = ClusterStatus {
        observed_generation: object.metadata.generation.unwrap_or_default(),
        conditions: vec![created(object, "False", "Error", why, now)],
        ..object.status.clone()
    };
    set_status(object, next, plan);
}

/// The condition `Created`, with its times unless it is the same as before.
fn created(
    object: &Cluster,
    status: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> Condition {
    let before = condition::find(&object.status.conditions, "Created");
    if let Some(before) = before
        && before.status == status
        && before.message == message
    {
        return before.clone();
    }
    Condition {
        kind: "Created".to_owned(),
        status: status.to_owned(),
        last_update_time: timestamp(now),
        last_transition_time: String::new(),
        reason: reason.to_owned(),
        message: message.to_owned(),
    }
}

fn set_status(object: &Cluster, status: ClusterStatus, plan: &mut Plan) {
    if status != object.status {
        let mut object = object.clone();
        object.status = status;
        plan.status = Some(Action::replace_status(Site::Hub, &object));
    }
}

/// Looks after all pairs; keys are ids of management clusters, or `namespace/name` of objects.
pub(crate) struct Provisioning {
    pub(crate) client: Client,
    pub(crate) clock: Clock,
}

impl Provisioning {
    async fn pair(&self, key: &str) -> Result<(Option<Cluster>, Option<Managed>), kube::Error> {
        let managed: Api<Managed> = Api::all(self.client.clone());
        let objects = |namespace: &str| Api::<Cluster>::namespaced(self.client.clone(), namespace);
        match key.split_once('/') {
            Some((namespace, name)) => match objects(namespace).get_opt(name).await? {
                Some(object) => {
                    let cluster = managed.get_opt(&id_of(&object)).await?;
                    Ok((Some(object), cluster))
                }
                // An object of that name may be missing for a cluster of that id.
                None => {
                    let cluster = managed.get_opt(name).await?.filter(|cluster| {
                        place_of(cluster).is_some_and(|place| place.0 == namespace)
                    });
                    Ok((None, cluster))
                }
            },
            None => {
                let Some(cluster) = managed.get_opt(key).await? else {
                    // Whoever it belonged to looks for itself.
                    let object = objects("fleet-default").get_opt(key).await?;
                    return Ok((object.filter(is_copy), None));
                };
                let object = match place_of(&cluster) {
                    Some((namespace, name)) => objects(&namespace).get_opt(&name).await?,
                    None => None,
                };
                Ok((object, Some(cluster)))
            }
        }
    }
}

impl Controller for Provisioning {
    const NAME: &'static str = "provisioning";

    async fn look(&self, key: &str) -> Result<Option<Timestamp>, LookError> {
        let (object, cluster) = self.pair(key).await?;
        let plan = reconcile(object.as_ref(), cluster.as_ref(), self.clock.now());
        Sites::hub(&self.client).execute(&plan).await?;
        Ok(plan.requeue_at)
    }
}
