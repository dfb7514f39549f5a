//! What Services of several workloads lead to, and names that stand for other names.
//!
//! Owns the label of pods by which such a Service finds them, and the Endpoints of such names. In the peer its agent does
//! both (rancher/rancher `managementagent/{targetworkloadservice,dnsrecord}`); where that agent runs, the two agree.
//! The Services themselves are written through the management API.
//!
//! Invariants: no labels of pods are touched but those of our prefix; no name leads into another project; what somebody
//! else made is left alone.

mod names;
mod pods;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use drover_types::names::{CREATOR_LABEL, CREATOR_NORMAN};
use drover_types::targets::{self, NO_LABELS, RECORDS, WORKLOADS};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Api, Client, ResourceExt as _};

use crate::downstream::Reach;
use crate::namespaces;
use crate::plan::Plan;
use crate::runtime::{Controller, LookError, metadata_in};

/// Label of the Endpoints made here.
const LABEL: (&str, &str) = ("drover.cattle.io/stands-for", "records");

/// Namespace and name.
type Key = (String, String);

/// What a reconciliation reads of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// All namespaces.
    pub namespaces: Vec<ObjectMeta>,
    /// All Services written through the management API.
    pub services: Vec<Service>,
    /// The labels by which workloads that are named find their pods, by identifier.
    pub workloads: BTreeMap<String, BTreeMap<String, String>>,
    /// Pods in namespaces of Services of several workloads, now or before.
    pub pods: Vec<ObjectMeta>,
    /// Services that names stand for.
    pub others: BTreeMap<Key, Service>,
    /// Endpoints of those, of the names, and all that were made here.
    pub endpoints: BTreeMap<Key, Endpoints>,
}

/// Decides about pods and names of a cluster.
#[must_use]
pub fn reconcile(observed: &Observed, cluster: &str) -> Plan {
    let mut plan = Plan::default();
    pods::label(observed, &mut plan);
    names::resolve(observed, cluster, &mut plan);
    plan
}

/// The workloads whose pods a Service leads to, if they are several.
fn several(service: &Service) -> Vec<String> {
    let ids = aimed_at(service);
    if ids.iter().any(|id| Some(id) != ids.first()) {
        ids
    } else {
        Vec::new()
    }
}

fn aimed_at(service: &Service) -> Vec<String> {
    let annotations = service.metadata.annotations.as_ref();
    let has_own_labels = annotations.and_then(|all| all.get(NO_LABELS));
    if has_own_labels.is_some_and(|value| value == "true") {
        return Vec::new();
    }
    targets::listed(annotations, WORKLOADS)
}

/// The names that a name stands for.
fn records(service: &Service) -> Vec<String> {
    targets::listed(service.metadata.annotations.as_ref(), RECORDS)
}

fn key(meta: &ObjectMeta) -> Key {
    let text = |of: &Option<String>| of.clone().unwrap_or_default();
    (text(&meta.namespace), text(&meta.name))
}

/// Looks after what Services lead to; keys are cluster ids.
pub(crate) struct Targets {
    pub(crate) reach: Reach,
}

impl Targets {
    async fn observe(
        &self,
        client: &Client,
        services: Vec<Service>,
        places: &BTreeSet<String>,
    ) -> Result<Observed, LookError> {
        let mut observed = Observed {
            namespaces: namespaces::all(client).await?,
            ..Observed::default()
        };
        for id in services.iter().flat_map(several) {
            if !observed.workloads.contains_key(&id)
                && let Some(labels) = labels_of(client, &id).await?
            {
                observed.workloads.insert(id, labels);
            }
        }
        for place in places {
            let pods = metadata_in::<Pod>(client, place);
            let found = pods.list(&ListParams::default()).await?.items;
            let found = found.into_iter().map(|pod| pod.metadata);
            observed.pods.extend(found);
        }
        let (label, value) = LABEL;
        let made = ListParams::default().labels(&format!("{label}={value}"));
        let made = Api::<Endpoints>::all(client.clone()).list(&made).await?;
        for endpoints in made {
            observed
                .endpoints
                .insert(key(&endpoints.metadata), endpoints);
        }
        for service in services
            .iter()
            .filter(|service| !records(service).is_empty())
        {
            observed
                .read_endpoints(client, key(&service.metadata))
                .await?;
            for id in records(service) {
                if let Some((place, name)) = targets::record_id(&id) {
                    let key = (place.to_owned(), name.to_owned());
                    observed.read_other(client, key).await?;
                }
            }
        }
        observed.services = services;
        Ok(observed)
    }
}

impl Observed {
    async fn read_other(&mut self, client: &Client, key: Key) -> Result<(), kube::Error> {
        if self.others.contains_key(&key) {
            return Ok(());
        }
        let services = Api::<Service>::namespaced(client.clone(), &key.0);
        if let Some(found) = services.get_opt(&key.1).await? {
            self.others.insert(key.clone(), found);
        }
        self.read_endpoints(client, key).await
    }

    async fn read_endpoints(&mut self, client: &Client, key: Key) -> Result<(), kube::Error> {
        if self.endpoints.contains_key(&key) {
            return Ok(());
        }
        let endpoints = Api::<Endpoints>::namespaced(client.clone(), &key.0);
        if let Some(found) = endpoints.get_opt(&key.1).await? {
            self.endpoints.insert(key, found);
        }
        Ok(())
    }
}

/// The labels by which a workload finds its pods; `None` if there is no such workload.
async fn labels_of(
    client: &Client,
    id: &str,
) -> Result<Option<BTreeMap<String, String>>, kube::Error> {
    let Some((word, namespace, name)) = targets::workload_id(id) else {
        return Ok(None);
    };
    let Some((kind, api)) = targets::workload_of_word(word) else {
        return Ok(None);
    };
    let (group, version) = api.split_once('/').unwrap_or(("", api));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let workloads = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
    let found = workloads.get_opt(name).await?;
    Ok(found.and_then(|found| {
        let labels = targets::selector(&found.data)?.iter();
        let text = |(key, value): (&String, &serde_json::Value)| {
            Some((key.clone(), value.as_str()?.to_owned()))
        };
        labels.map(text).collect()
    }))
}

impl Controller for Targets {
    const NAME: &'static str = "targets";

    async fn look(&self, id: &str) -> Result<Option<Timestamp>, LookError> {
        let board = &self.reach.board;
        let Some(client) = self.reach.ours(id).await? else {
            board.aim(id, BTreeSet::new());
            board.name(id, false);
            return Ok(None);
        };
        let ours = ListParams::default().labels(&format!("{CREATOR_LABEL}={CREATOR_NORMAN}"));
        let services = Api::<Service>::all(client.clone()).list(&ours).await?.items;
        let aims = |service: &&Service| !several(service).is_empty();
        let now: BTreeSet<String> = services
            .iter()
            .filter(aims)
            .filter_map(Service::namespace)
            .collect();
        let has_names = services.iter().any(|service| !records(service).is_empty());
        let had_names = board.named().borrow().contains(id);
        // Somebody has to tell of pods and addresses from before they are read.
        let mut places = board.aimed(id);
        places.extend(now.iter().cloned());
        board.aim(id, places.clone());
        board.name(id, has_names || had_names);
        if places.is_empty() && !has_names && !had_names {
            return Ok(None);
        }
        let observed = self.observe(&client, services, &places).await?;
        let plan = reconcile(&observed, id);
        self.reach.sites(Some(client)).execute(&plan).await?;
        // Those that were given up have been cleaned up.
        board.aim(id, now);
        board.name(id, has_names);
        Ok(None)
    }
}
