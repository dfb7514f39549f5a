//! The second phase of an import: the manifest as the hub applies it.
//!
//! Owns the re-applied manifest, with features, the cluster's id and the
//! `system` token (reference 4.1), and the agent's scale.
//!
//! Invariant: same inputs, no touch. A hash of all that would be applied is
//! kept at the Cluster; only a different one, or a wish by annotation, makes
//! the hub touch a cluster.

mod outdated;

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_auth::Clock;
use drover_types::management::{Cluster, ClusterRegistrationToken};
use drover_types::names::{
    AGENT_DEPLOYMENT, LOCAL_CLUSTER, REGISTRATION_SECRET_PREFIX, SYSTEM_NAMESPACE,
};
use drover_types::review::KEPT_SECRET;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Secret, Taint};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::clusters::annotation;
use crate::downstream::Downstream;
use crate::facts::{Board, Deployed, Facts, Inventory, Session};
use crate::manifest::{self, AUTH_DAEMON_SET, Inputs, Object, PRIORITY_CLASS, PullSecret};
use crate::nodes::roles;
use crate::plan::{Action, Plan, Reference, Site, Sites, chain};
use crate::registration::{SYSTEM_TOKEN, registration_token};
use crate::runtime::{Controller, LookError, Trigger};
use crate::settings::{self, Settings};

/// Hash of the token in the manifest applied last (reference 3.1).
pub const TOKEN_HASH: &str = "io.cattle.agent.registration-token-hash";
/// Hash of all that was applied last.
pub const PLAN_HASH: &str = "io.cattle.agent.plan-hash";
/// Says that the DaemonSet for the cluster's own endpoint was applied, so that it goes when the endpoint does.
pub const ENDPOINT: &str = "io.cattle.agent.auth-endpoint";
/// Applies the manifest once more, whatever the hashes say (reference 3.4).
pub const FORCE: &str = "io.cattle.agent.force.deploy";

/// What a reconciliation reads.
#[derive(Debug)]
pub struct Observed<'a> {
    /// The Cluster.
    pub cluster: &'a Cluster,
    /// The settings.
    pub settings: &'a Settings,
    /// Whether the `system` registration token is there.
    pub has_registration: bool,
    /// That token, once its Secret is there.
    pub token: Option<&'a str>,
    /// Registry credentials.
    pub pull_secrets: Vec<PullSecret>,
    /// What is known of the cluster.
    pub facts: &'a Facts,
}

/// A plan, and what is deployed once it has been carried out.
#[derive(Debug, Default)]
pub struct Decision {
    /// The changes.
    pub plan: Plan,
    /// The agent's image, if the manifest is due or in place.
    pub image: Option<String>,
}

/// Decides about one cluster's agent.
///
/// # Errors
/// When the Cluster's specification cannot be turned into a manifest.
pub fn reconcile(
    observed: &Observed<'_>,
    now: Timestamp,
) -> Result<Decision, manifest::InputsError> {
    let mut decision = Decision::default();
    let cluster = observed.cluster;
    let Some(id) = cluster.metadata.name.as_deref() else {
        return Ok(decision);
    };
    if id == LOCAL_CLUSTER
        || cluster.metadata.deletion_timestamp.is_some()
        || cluster.status.driver.is_empty()
    {
        return Ok(decision);
    }
    if !observed.facts.is_usable() {
        return Ok(decision);
    }
    // As Rancher does, not before a node is known: taints and scale follow from the nodes.
    let Some(inventory) = observed
        .facts
        .inventory
        .as_deref()
        .filter(|inventory| !inventory.nodes.is_empty())
    else {
        return Ok(decision);
    };
    let url = observed.settings.server_url();
    if url.is_empty() {
        return Ok(decision);
    }
    if !observed.has_registration {
        decision.plan.actions.push(Action::create(
            Site::Hub,
            &registration_token(id, SYSTEM_TOKEN),
        ));
        return Ok(decision);
    }
    // Its Secret triggers us when it is there.
    let Some(token) = observed.token.filter(|token| !token.is_empty()) else {
        return Ok(decision);
    };
    let mut inputs = Inputs::for_download(cluster, observed.settings, url, token)?;
    id.clone_into(&mut inputs.namespace);
    inputs.features = Some(features());
    inputs.control_plane_taints = Some(taints(inventory));
    inputs.pull_secrets.clone_from(&observed.pull_secrets);
    let priority = priority_class(&inputs);
    inputs.priority_class_exists = priority.is_some();
    let replicas = inventory.nodes.len().min(2);
    decision.image = Some(inputs.image(&inputs.agent_image));

    let objects = manifest::objects(&inputs);
    let hash = hash(&inputs, priority.as_ref(), replicas);
    let token_hash = crate::random::short_hash(token);
    let meta = &cluster.metadata;
    let forced = annotation(meta, FORCE) == Some("true");
    if !forced
        && annotation(meta, PLAN_HASH) == Some(hash.as_str())
        && annotation(meta, TOKEN_HASH) == Some(token_hash.as_str())
    {
        return Ok(decision);
    }
    let actions = &mut decision.plan.actions;
    if let Some(class) = &priority {
        // A priority cannot be changed, only made anew; running pods keep theirs.
        actions.push(Action::delete(
            Site::Cluster,
            Reference::new::<PriorityClass>(None, PRIORITY_CLASS),
        ));
        actions.push(Action::apply(Site::Cluster, class));
    }
    actions.extend(objects.iter().map(apply));
    let has_endpoint = inputs.endpoint_image.is_some();
    let had_endpoint = annotation(meta, ENDPOINT) == Some("true");
    if had_endpoint && !has_endpoint {
        actions.extend(without_endpoint());
    }
    actions.push(Action::Patch {
        site: Site::Cluster,
        target: Reference::new::<Deployment>(Some(SYSTEM_NAMESPACE), AGENT_DEPLOYMENT),
        subresource: Some("scale"),
        patch: json!({ "spec": { "replicas": replicas } }),
    });
    let mut annotations = json!({ PLAN_HASH: hash, TOKEN_HASH: token_hash });
    if has_endpoint {
        annotations[ENDPOINT] = json!("true");
    } else if had_endpoint {
        annotations[ENDPOINT] = serde_json::Value::Null;
    }
    if forced {
        annotations[FORCE] = serde_json::Value::Null;
    }
    actions.push(Action::patch(
        Site::Hub,
        Reference::new::<Cluster>(None, id),
        json!({ "metadata": { "annotations": annotations } }),
    ));
    tracing::info!(cluster = id, forced, at = %now, "the agent's manifest is due");
    Ok(decision)
}

/// Takes away what answers for the cluster's own endpoint, and what it keeps.
fn without_endpoint() -> [Action; 2] {
    let system = Some(SYSTEM_NAMESPACE);
    [
        Action::delete(
            Site::Cluster,
            Reference::new::<DaemonSet>(system, AUTH_DAEMON_SET),
        ),
        Action::delete(Site::Cluster, Reference::new::<Secret>(system, KEPT_SECRET)),
    ]
}

/// What Rancher's agent is told to run (reference 4.1).
fn features() -> BTreeMap<String, bool> {
    let on = ["multi-cluster-management-agent"];
    let off = [
        "fleet",
        "managed-system-upgrade-controller",
        "multi-cluster-management",
        "provisioningprebootstrap",
        "provisioningv2",
        "rke2",
        "turtles",
    ];
    let on = on.into_iter().map(|name| (name.to_owned(), true));
    on.chain(off.into_iter().map(|name| (name.to_owned(), false)))
        .collect()
}

fn taints(inventory: &Inventory) -> Vec<Taint> {
    let control_planes = inventory
        .nodes
        .values()
        .filter(|node| roles(node).control_plane || roles(node).etcd);
    let taints = control_planes.flat_map(|node| {
        node.spec
            .iter()
            .flat_map(|spec| spec.taints.iter().flatten())
    });
    // Those of every node that are about its state come and go.
    let mut taints: Vec<Taint> = taints
        .filter(|taint| !taint.key.starts_with("node.kubernetes.io/"))
        .map(|taint| Taint {
            time_added: None,
            ..taint.clone()
        })
        .collect();
    taints.sort_by(|a, b| (&a.key, &a.value, &a.effect).cmp(&(&b.key, &b.value, &b.effect)));
    taints.dedup();
    taints
}

fn priority_class(inputs: &Inputs) -> Option<PriorityClass> {
    let priority = inputs
        .customization
        .scheduling_customization
        .as_ref()?
        .priority_class
        .as_ref()?;
    Some(PriorityClass {
        metadata: ObjectMeta {
            name: Some(PRIORITY_CLASS.to_owned()),
            ..ObjectMeta::default()
        },
        description: Some("Priority of the cluster agent".to_owned()),
        value: Some(priority.value),
        preemption_policy: priority
            .preemption_policy
            .clone()
            .filter(|policy| !policy.is_empty()),
        global_default: None,
    })
}

/// The hash leaves out the server's URL and CA: as with Rancher, changing them
/// moves no agent by itself (reference 3.4), since one wrong letter would cut
/// every cluster off at once.
fn hash(inputs: &Inputs, priority: Option<&PriorityClass>, replicas: usize) -> String {
    let mut inputs = inputs.clone();
    inputs.server_url.clear();
    inputs.ca_checksum.clear();
    let objects = manifest::objects(&inputs);
    let text =
        json!({ "objects": objects, "priority": priority, "replicas": replicas }).to_string();
    hex::encode(&Sha256::digest(text.as_bytes())[..16])
}

fn apply(object: &Object) -> Action {
    match object {
        Object::ClusterRole(object) => Action::apply(Site::Cluster, object),
        Object::ClusterRoleBinding(object) => {
            let mut object = object.clone();
            // Written as Rancher does in the download; the API knows none here.
            object.metadata.namespace = None;
            Action::apply(Site::Cluster, &object)
        }
        Object::Namespace(object) => Action::apply(Site::Cluster, object),
        Object::ServiceAccount(object) => Action::apply(Site::Cluster, object),
        Object::Secret(object) => Action::apply(Site::Cluster, object),
        Object::PodDisruptionBudget(object) => Action::apply(Site::Cluster, object),
        Object::Deployment(object) => Action::apply(Site::Cluster, &**object),
        Object::DaemonSet(object) => Action::apply(Site::Cluster, &**object),
        Object::Service(object) => Action::apply(Site::Cluster, &**object),
    }
}

/// Looks after the agents of imported clusters; keys are cluster ids.
pub(crate) struct AgentDeploy {
    pub(crate) client: Client,
    pub(crate) settings: settings::Shared,
    pub(crate) downstream: Arc<dyn Downstream>,
    pub(crate) board: Arc<Board>,
    pub(crate) clusters: Trigger,
    pub(crate) clock: Clock,
}

impl AgentDeploy {
    async fn deploy(
        &self,
        id: &str,
        cluster: &Cluster,
        facts: &Facts,
    ) -> Result<Option<String>, LookError> {
        let settings = self.settings.read().await?;
        let tokens = Api::<ClusterRegistrationToken>::namespaced(self.client.clone(), id);
        let has_registration = tokens.get_opt(SYSTEM_TOKEN).await?.is_some();
        let secrets = Api::<Secret>::namespaced(self.client.clone(), id);
        let secret = secrets
            .get_opt(&format!("{REGISTRATION_SECRET_PREFIX}{SYSTEM_TOKEN}"))
            .await?;
        let token =
            secret.and_then(|secret| String::from_utf8(secret.data?.remove("token")?.0).ok());
        let observed = Observed {
            cluster,
            settings: &settings,
            has_registration,
            token: token.as_deref(),
            pull_secrets: crate::pull_secrets::read(&self.client, cluster, &settings).await?,
            facts,
        };
        let decision = reconcile(&observed, self.clock.now())?;
        let cluster_site = match decision.plan.is_empty() {
            true => None,
            false => Some(self.downstream.client(id).await?),
        };
        Sites {
            hub: self.client.clone(),
            cluster: cluster_site,
        }
        .execute(&decision.plan)
        .await?;
        Ok(decision.image)
    }
}

impl Controller for AgentDeploy {
    const NAME: &'static str = "agent-deploy";

    async fn look(&self, id: &str) -> Result<Option<Timestamp>, LookError> {
        if id == LOCAL_CLUSTER {
            return Ok(None);
        }
        let Some(cluster) = Api::<Cluster>::all(self.client.clone()).get_opt(id).await? else {
            return Ok(None);
        };
        let plan = outdated::reconcile(&cluster, &*self.settings.read().await?);
        Sites::hub(&self.client).execute(&plan).await?;
        let facts = self.board.get(id);
        if !facts.is_usable() || facts.inventory.is_none() {
            return Ok(None);
        }
        let outcome = self.deploy(id, &cluster, &facts).await;
        let deployed = match &outcome {
            Ok(Some(image)) => Some(Deployed::Yes {
                image: image.clone(),
            }),
            Ok(None) => None,
            Err(error) if error.is_refusal() => Some(Deployed::Failed(chain(error))),
            // It did not get through, which is no verdict on the manifest: it is tried again.
            Err(_) => None,
        };
        if let Some(deployed) = deployed {
            // The session may have ended meanwhile; then nothing is known any more.
            let still = self.board.get(id).session == Session::Live;
            if still && self.board.update(id, |facts| facts.deployed = deployed) {
                self.clusters.now(id);
            }
        }
        outcome.map(|_| None)
    }
}

#[cfg(test)]
mod tests;
