//! Names that stand for other names: their addresses, or the host elsewhere.

use std::collections::BTreeSet;

use drover_types::targets::{listed, record_id};
use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Service, ServicePort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::{LABEL, Observed, key, records};
use crate::namespaces::project_of;
use crate::plan::{Action, Plan, Reference, Site};

/// Annotation with the addresses of a name that stands for nothing else; then Endpoints are the management API's.
const ADDRESSES: &str = "field.cattle.io/ipAddresses";
const ELSEWHERE: &str = "ExternalName";

/// Keeps what names stand for.
pub(super) fn resolve(observed: &Observed, cluster: &str, plan: &mut Plan) {
    for service in &observed.services {
        let records = records(service);
        if records.is_empty() {
            continue;
        }
        let spec = service.spec.as_ref();
        let finds_pods = spec
            .and_then(|spec| spec.selector.as_ref())
            .is_some_and(|selector| !selector.is_empty());
        if finds_pods || service.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let found = Found::of(observed, cluster, service, &records);
        plan.actions.extend(match found {
            Found::Host(host) => lead_elsewhere(service, Some(&host)),
            Found::Addresses(addresses) => match lead_elsewhere(service, None) {
                // Its addresses follow once it has any.
                Some(back) => Some(back),
                None => keep(observed, service, &addresses),
            },
        });
    }
    plan.actions.extend(left_over(observed));
}

/// What a name stands for.
enum Found {
    /// A host elsewhere.
    Host(String),
    /// Addresses here.
    Addresses(BTreeSet<String>),
}

impl Found {
    fn of(observed: &Observed, cluster: &str, service: &Service, records: &[String]) -> Self {
        let own = service.namespace().unwrap_or_default();
        let mut addresses = BTreeSet::new();
        for record in records {
            let Some((namespace, name)) = record_id(record) else {
                continue;
            };
            if !observed.is_within(cluster, &own, namespace) {
                continue;
            }
            let at = (namespace.to_owned(), name.to_owned());
            let other = observed
                .others
                .get(&at)
                .and_then(|other| other.spec.as_ref());
            let host = other
                .filter(|other| other.type_.as_deref() == Some(ELSEWHERE))
                .and_then(|other| other.external_name.clone());
            if let Some(host) = host.filter(|host| !host.is_empty()) {
                return Self::Host(host);
            }
            if other.is_none() || at == key(&service.metadata) {
                continue;
            }
            let subsets = observed.endpoints.get(&at);
            let subsets = subsets.and_then(|found| found.subsets.as_deref());
            let ready = subsets.into_iter().flatten();
            let ready = ready.filter_map(|subset| subset.addresses.as_deref());
            addresses.extend(ready.flatten().map(|address| address.ip.clone()));
        }
        Self::Addresses(addresses)
    }
}

impl Observed {
    /// Whether a name in one namespace may stand for one in the other: both are the same, or of the same project.
    fn is_within(&self, cluster: &str, own: &str, other: &str) -> bool {
        let project = |name: &str| {
            let named = |namespace: &&ObjectMeta| namespace.name.as_deref() == Some(name);
            let namespace = self.namespaces.iter().find(named)?;
            project_of(namespace, cluster).filter(|project| !project.is_empty())
        };
        own == other || project(own).is_some_and(|of| project(other) == Some(of))
    }
}

/// Has a name lead to a host elsewhere, or not any more; nothing if it does.
fn lead_elsewhere(service: &Service, host: Option<&str>) -> Option<Action> {
    let spec = service.spec.as_ref()?;
    let is_elsewhere = spec.type_.as_deref() == Some(ELSEWHERE);
    let change = match host {
        Some(host) if is_elsewhere && spec.external_name.as_deref() == Some(host) => return None,
        None if !is_elsewhere => return None,
        Some(host) => json!({
            "type": ELSEWHERE, "externalName": host,
            "clusterIP": null, "clusterIPs": null, "ipFamilies": null, "ipFamilyPolicy": null,
        }),
        None => json!({
            "type": "ClusterIP", "externalName": null, "clusterIP": "None", "ipFamilyPolicy": "SingleStack",
        }),
    };
    let version = &service.metadata.resource_version;
    let target = Reference::new::<Service>(service.namespace().as_deref(), &service.name_any());
    let patch = json!({ "metadata": { "resourceVersion": version }, "spec": change });
    Some(Action::patch(Site::Cluster, target, patch))
}

/// Keeps the Endpoints of a name.
fn keep(observed: &Observed, service: &Service, addresses: &BTreeSet<String>) -> Option<Action> {
    let subsets = subsets(service, addresses);
    let Some(found) = observed.endpoints.get(&key(&service.metadata)) else {
        return Some(Action::create(Site::Cluster, &made(service, subsets)));
    };
    let (label, value) = LABEL;
    let is_labelled = found
        .labels()
        .get(label)
        .is_some_and(|found| found == value);
    let is_same = found.subsets.as_deref().unwrap_or_default() == subsets.as_slice();
    if !is_owned(found, service) || (is_same && is_labelled) {
        return None;
    }
    let mut changed = found.clone();
    changed
        .labels_mut()
        .insert(label.to_owned(), value.to_owned());
    changed.subsets = Some(subsets);
    Some(Action::replace(Site::Cluster, &changed))
}

fn made(service: &Service, subsets: Vec<EndpointSubset>) -> Endpoints {
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Service".to_owned(),
        name: service.name_any(),
        uid: service.uid().unwrap_or_default(),
        controller: Some(true),
        ..OwnerReference::default()
    };
    let (label, value) = LABEL;
    Endpoints {
        metadata: ObjectMeta {
            name: Some(service.name_any()),
            namespace: service.namespace(),
            labels: Some([(label.to_owned(), value.to_owned())].into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        subsets: Some(subsets),
    }
}

fn subsets(service: &Service, addresses: &BTreeSet<String>) -> Vec<EndpointSubset> {
    if addresses.is_empty() {
        return Vec::new();
    }
    let address = |ip: &String| EndpointAddress {
        ip: ip.clone(),
        ..EndpointAddress::default()
    };
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref());
    let port = |port: &ServicePort| EndpointPort {
        name: port.name.clone(),
        port: match port.target_port {
            Some(IntOrString::Int(number)) => number,
            Some(IntOrString::String(_)) | None => port.port,
        },
        protocol: port.protocol.clone(),
        app_protocol: None,
    };
    vec![EndpointSubset {
        addresses: Some(addresses.iter().map(address).collect()),
        ports: Some(ports.unwrap_or_default().iter().map(port).collect()),
        not_ready_addresses: None,
    }]
}

fn is_owned(endpoints: &Endpoints, service: &Service) -> bool {
    let uid = service.metadata.uid.as_ref();
    let mut owners = endpoints.owner_references().iter();
    uid.is_some_and(|uid| owners.any(|owner| owner.uid == *uid))
}

/// Endpoints that were made here for names that stand for nothing any more.
fn left_over(observed: &Observed) -> Vec<Action> {
    let (label, value) = LABEL;
    let made = observed.endpoints.values();
    let made = made.filter(|found| found.labels().get(label).is_some_and(|of| of == value));
    let is_over = |found: &&Endpoints| {
        let owner = observed
            .services
            .iter()
            .find(|service| is_owned(found, service));
        owner.is_some_and(|owner| {
            let addresses = listed(owner.metadata.annotations.as_ref(), ADDRESSES);
            let spec = json!(owner.spec);
            records(owner).is_empty() && addresses.is_empty() && spec["selector"] == Value::Null
        })
    };
    let delete = |found: &Endpoints| Action::Delete {
        site: Site::Cluster,
        target: Reference::new::<Endpoints>(found.namespace().as_deref(), &found.name_any()),
        uid: found.uid(),
    };
    made.filter(is_over).map(delete).collect()
}
