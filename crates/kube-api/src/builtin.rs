//! The built-in kinds: their names, schemas, defaults and strategies.
//!
//! Owns what is served without any definition, all of it as plain data: no kind here is acted upon (no pod runs, no
//! replica set makes pods). Facts come from `data/`, which `examples/record-builtin-kinds.rs` records from a running
//! kube-apiserver; what no recording tells (defaults that are code, validation) is in the modules below.
//!
//! Invariant: what a built-in strategy's `default` leaves behind is what a kube-apiserver would answer for the same
//! input: unknown members and nulls gone, members that it always writes present.

mod api_services;
mod autoscaling;
mod bootstrap;
mod claims;
mod conform;
mod connect;
mod data;
mod decode;
mod defaults;
mod events;
mod kind;
mod pods;
mod services;
mod status;
mod validation;
mod warnings;

use std::sync::Arc;

use drover_structural::Schema;

pub(crate) use api_services::run as keep_api_services;
pub(crate) use bootstrap::{run, start};
pub(crate) use conform::conform;
pub(crate) use data::{component_name, schema_bytes};
pub(crate) use decode::{decode_problem, delete_options_problem, metadata_problem};
pub(crate) use defaults::TEMPLATE_GENERATION;
pub(crate) use kind::BuiltIn;
pub(crate) use services::addresses::run as keep_addresses;
pub(crate) use status::reset_by_status;
pub(crate) use validation::nodes;

use crate::registry::{Convert, Kin, Other, Registry, Resource, ScalePaths, Subresource};
use crate::{crd, identity, reviews};
use data::{KindFacts, SubresourceFacts};

/// The published schema of a Scale.
pub(crate) fn scale_schema() -> Schema {
    data::schema_document()
        .component("io.k8s.api.autoscaling.v1.Scale")
        .unwrap_or_else(Schema::any)
}

/// Whether a kind is built in.
pub(crate) fn is_kind(group: &str, version: &str, kind: &str) -> bool {
    component_name(group, version, kind).is_some()
}

/// Registers every built-in kind except namespaces, which the namespaces module adds.
pub(crate) fn install(registry: &Registry) {
    let versions = data::kinds();
    registry.update(|table| {
        for version in &versions {
            for facts in &version.resources {
                if facts.name == "namespaces" && version.group.is_empty() {
                    continue;
                }
                table.insert(resource(&version.group, &version.version, facts));
            }
        }
    });
}

/// The groups in the order in which discovery lists them.
pub(crate) fn group_order() -> Vec<String> {
    let mut groups = data::kinds()
        .into_iter()
        .map(|version| version.group)
        .collect::<Vec<_>>();
    groups.dedup();
    groups
}

/// What a real server warns of (kubernetes `zz_generated.prerelease-lifecycle.go` and `pkg/apis`).
fn deprecation(group: &str, kind: &str) -> Option<String> {
    match (group, kind) {
        ("", "Endpoints") => Some(
            "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
                .to_owned(),
        ),
        ("", "ComponentStatus") => Some("v1 ComponentStatus is deprecated in v1.19+".to_owned()),
        _ => None,
    }
}

fn resource(group: &str, version: &str, facts: &KindFacts) -> Resource {
    let kind = Arc::new(BuiltIn::new(group, version, &facts.kind));
    let mut resource = Resource::new(
        group,
        version,
        &facts.name,
        &facts.kind,
        facts.namespaced,
        kind.clone(),
    );
    resource.singular = facts.singular_name.as_str().into();
    resource.short_names.clone_from(&facts.short_names);
    resource.categories.clone_from(&facts.categories);
    resource.verbs = facts
        .verbs
        .iter()
        .filter_map(|verb| known_verb(verb))
        .collect();
    resource.deprecation = deprecation(group, &facts.kind);
    resource.schema = kind.schema().map(Arc::new);
    resource.blank = Some(Arc::new(kind.zero()));
    resource.action =
        reviews::action(group, &facts.kind).or_else(|| pods::action(group, &facts.kind));
    resource.selectable_fields = selectable_fields(group, &facts.name);
    for part in &facts.subresources {
        if let Some(subresource) = subresource(group, facts, part, &kind) {
            resource.subresources.insert(part.name.clone(), subresource);
        }
    }
    match (group, &*facts.name) {
        ("events.k8s.io", "events") => {
            resource.storage = "/events".into();
            resource.storage_api_version = "v1".into();
            resource.convert = Some(Arc::new(events::NewForm));
            resource.kin = Some(Arc::new(Kin::alone()));
        }
        // What is owned through one group cannot be told in the other.
        ("", "events") => resource.kin = Some(Arc::new(Kin::alone())),
        ("autoscaling", "horizontalpodautoscalers") => {
            resource.storage_api_version = "autoscaling/v2".into();
            let first = || Arc::new(autoscaling::FirstVersion) as Arc<dyn Convert>;
            let (own, other, convert) = match version {
                "v1" => (Some(first()), "v2", None),
                _ => (None, "v1", Some(first())),
            };
            resource.convert.clone_from(&own);
            resource.kin = kin(own, (group, other, &facts.kind), convert);
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => {
            resource.strategy = Arc::new(crd::Definitions::new(kind));
            resource.subresources.insert(
                "status".to_owned(),
                Subresource::Part(Arc::new(crd::DefinitionStatus)),
            );
        }
        _ => {}
    }
    resource
}

/// A kind that is served in one version more: its group, version and name, and how that is converted.
fn kin(
    own: Option<Arc<dyn Convert>>,
    (group, version, kind): (&str, &str, &str),
    convert: Option<Arc<dyn Convert>>,
) -> Option<Arc<Kin>> {
    let other = BuiltIn::new(group, version, kind);
    let schema = Arc::new(other.schema()?);
    let other = Other {
        api_version: other.api_version().to_owned(),
        schema,
        convert,
    };
    Some(Arc::new(Kin {
        own,
        others: vec![other],
    }))
}

fn known_verb(verb: &str) -> Option<&'static str> {
    crate::registry::ALL_VERBS
        .iter()
        .copied()
        .find(|known| *known == verb)
}

fn subresource(
    group: &str,
    facts: &KindFacts,
    part: &SubresourceFacts,
    kind: &Arc<BuiltIn>,
) -> Option<Subresource> {
    let part = match (&*facts.name, &*part.name) {
        (_, "status") => Subresource::Part(Arc::new(status::Status(Arc::clone(kind)))),
        (_, "scale") => Subresource::Scale(scale_paths(&facts.name)),
        ("certificatesigningrequests", "approval") => Subresource::Part(Arc::new(status::Approval)),
        ("pods", "ephemeralcontainers" | "resize") => Subresource::Part(Arc::new(pods::PodPart {
            kind: Arc::clone(kind),
            part: if part.name == "resize" {
                pods::Part::Resize
            } else {
                pods::Part::Ephemeral
            },
        })),
        ("serviceaccounts", "token") => {
            let kind = call_kind("authentication.k8s.io", "TokenRequest", "tokenrequests");
            Subresource::Action(Arc::new(identity::TokenRequests::new(kind)))
        }
        ("pods" | "nodes" | "services", name) => {
            Subresource::Action(pods::subresource(name).or_else(|| connect::subresource(part))?)
        }
        _ => return None,
    };
    debug_assert!(group.is_empty() || matches!(part, Subresource::Part(_) | Subresource::Scale(_)));
    Some(part)
}

/// The kind of what a call is asked with, as if it were a resource of its own.
fn call_kind(group: &str, name: &str, plural: &str) -> Resource {
    let version = "v1";
    let kind = Arc::new(BuiltIn::new(group, version, name));
    let mut resource = Resource::new(group, version, plural, name, true, kind.clone());
    resource.schema = kind.schema().map(Arc::new);
    resource.blank = Some(Arc::new(kind.zero()));
    resource
}

/// Where replicas are counted. Labels as a selector's text come from `spec.selector`.
fn scale_paths(_plural: &str) -> ScalePaths {
    ScalePaths {
        spec_replicas: ".spec.replicas".to_owned(),
        status_replicas: ".status.replicas".to_owned(),
        label_selector: Some(".spec.selector".to_owned()),
    }
}

/// The field selectors of a kind beside name and namespace (kubernetes `pkg/apis/*/v1/conversion.go`, v1.36).
fn selectable_fields(group: &str, plural: &str) -> Vec<String> {
    let fields: &[&str] = match (group, plural) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "secrets") => &["type"],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        ("", "replicationcontrollers") => &["status.replicas"],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "events") => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        ("batch", "jobs") => &["status.successful"],
        ("certificates.k8s.io", "certificatesigningrequests") => &["spec.signerName"],
        ("resource.k8s.io", "resourceslices") => &["spec.nodeName", "spec.driver"],
        _ => &[],
    };
    fields.iter().map(|field| (*field).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_recording_is_served_with_its_schema() {
        let registry = Registry::default();
        install(&registry);
        let table = registry.table();
        for (group, version, plural) in [
            ("", "v1", "pods"),
            ("apps", "v1", "deployments"),
            ("batch", "v1", "cronjobs"),
            ("autoscaling", "v1", "horizontalpodautoscalers"),
            ("rbac.authorization.k8s.io", "v1", "clusterroles"),
            ("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
            ("authorization.k8s.io", "v1", "selfsubjectaccessreviews"),
        ] {
            let resource = table.get(group, version, plural).expect(plural);
            assert!(resource.schema.is_some(), "{plural} has a schema");
        }
        assert!(
            table
                .get("", "v1", "pods")
                .unwrap()
                .subresources
                .contains_key("binding")
        );
        assert!(table.get("", "v1", "services").unwrap().has_status());
        assert_eq!(
            table.get("", "v1", "events").unwrap().storage,
            table.get("events.k8s.io", "v1", "events").unwrap().storage
        );
    }
}
