//! What is refused in built-in kinds, in the words that clients see.
//!
//! Owns the dispatch to the kinds' modules and what may not change in an update. Each module has the checks of the real
//! server (kubernetes `pkg/apis/*/validation`, v1.36) that a client of plain data can meet; what needs a feature gate or
//! a node's operating system is left out.

mod access;
mod admission;
mod autoscaling;
pub(super) mod certificates;
mod conditions;
mod container;
mod data;
mod discovery;
mod downward;
mod drivers;
mod events;
mod flow;
mod jobs;
mod limits;
mod networking;
pub(crate) mod nodes;
mod place;
mod pod;
mod pod_change;
mod policy;
mod quotas;
mod schedule;
mod security;
mod service;
mod storage;
mod volumes;
mod webhooks;
mod workloads;

use drover_structural::FieldError;
use serde_json::{Value, json};

pub(super) use self::container::read as read_quantity;
pub(super) use self::place::Place;
use super::services;
use crate::rest::{Api, object};

const IMMUTABLE: &str = "field is immutable";

/// What is wrong with a new object.
pub(super) fn create(group: &str, kind: &str, object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    match (group, kind) {
        ("batch", "CronJob") => jobs::cron_job(object, None, &mut errors),
        ("batch", "Job") => jobs::own_selector(object, None, &mut errors),
        ("", "Pod") => {
            let spec = Place::of(object, "spec");
            let ephemeral = spec.child("ephemeralContainers");
            if !ephemeral.is_empty() {
                errors.push(ephemeral.forbidden("cannot be set on create"));
            }
        }
        ("", "Node") => nodes::ranges(object, &mut errors),
        ("", "Namespace") => {
            nodes::namespace_finalizers(object, nodes::Finalizers::OfNew, &mut errors)
        }
        ("certificates.k8s.io", _) => certificates::request(object, None, &mut errors),
        ("networking.k8s.io", "ServiceCIDR") => nodes::service_ranges(object, None, &mut errors),
        ("networking.k8s.io", "IPAddress") => nodes::address(object, &mut errors),
        ("storage.k8s.io", "CSIDriver") => drivers::driver(object, &mut errors),
        ("storage.k8s.io", "CSIStorageCapacity") => drivers::capacity(object, &mut errors),
        _ => {}
    }
    every_write(group, kind, object, None, &mut errors);
    errors
}

/// What is wrong with a changed object.
pub(super) fn update(group: &str, kind: &str, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    match (group, kind) {
        ("", "Secret") => {
            immutable(new, old, "/type", &mut errors);
            data::frozen(new, old, &["data"], &mut errors);
        }
        ("", "ConfigMap") => data::frozen(new, old, &["data", "binaryData"], &mut errors),
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet") => {
            immutable(new, old, "/spec/selector", &mut errors);
        }
        ("apps", "StatefulSet") => workloads::stateful_update(new, old, &mut errors),
        ("batch", "Job") => jobs::job_update(new, old, &mut errors),
        ("batch", "CronJob") => jobs::cron_job(new, Some(old), &mut errors),
        ("", "Pod") => pod_change::update(new, old, &mut errors),
        // The real server checks taints twice, and says so.
        ("", "Node") => nodes::node_update(new, old, &mut errors),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding")
            if new.get("roleRef") != old.get("roleRef") =>
        {
            let role = Place::of(new, "roleRef");
            let held = json!({
                "APIGroup": role.child("apiGroup").text(),
                "Kind": role.child("kind").text(),
                "Name": role.child("name").text(),
            });
            errors.push(FieldError::invalid(
                "roleRef",
                held,
                "cannot change roleRef",
            ));
        }
        ("", "Service") => service::update(new, old, &mut errors),
        ("", "PersistentVolume") => {
            // The real server checks all of it twice, and says so.
            storage::volume(new, &mut errors);
            storage::volume_update(new, old, &mut errors);
        }
        ("", "PersistentVolumeClaim") => storage::claim_update(new, old, &mut errors),
        ("storage.k8s.io", "StorageClass") => {
            drivers::storage_class_update(new, old, &mut errors);
        }
        ("storage.k8s.io", "VolumeAttributesClass") => {
            drivers::attributes_class_update(new, old, &mut errors);
        }
        ("storage.k8s.io", "CSIDriver") => {
            drivers::driver(new, &mut errors);
            drivers::driver_update(new, old, &mut errors);
        }
        ("storage.k8s.io", "CSINode") => drivers::node_update(new, old, &mut errors),
        ("storage.k8s.io", "VolumeAttachment") => immutable(new, old, "/spec", &mut errors),
        ("storage.k8s.io", "CSIStorageCapacity") => {
            for member in ["/nodeTopology", "/storageClassName"] {
                immutable(new, old, member, &mut errors);
            }
        }
        ("scheduling.k8s.io", "PriorityClass") => {
            if new.get("value") != old.get("value") {
                let detail = "may not be changed in an update.";
                errors.push(FieldError::forbidden("value", detail));
            }
            immutable(new, old, "/preemptionPolicy", &mut errors);
        }
        ("networking.k8s.io", "IngressClass") => {
            immutable(new, old, "/spec/controller", &mut errors);
        }
        ("networking.k8s.io", "IPAddress") => {
            immutable(new, old, "/spec/parentRef", &mut errors);
        }
        ("networking.k8s.io", "ServiceCIDR") => {
            nodes::service_ranges(new, Some(old), &mut errors);
        }
        ("certificates.k8s.io", _) => {
            certificates::update(new, old, certificates::Part::Whole, &mut errors);
        }
        ("", "ResourceQuota") => quotas::update(new, old, &mut errors),
        ("discovery.k8s.io", "EndpointSlice") => immutable(new, old, "/addressType", &mut errors),
        ("apps", "ControllerRevision") => immutable(new, old, "/data", &mut errors),
        ("node.k8s.io", "RuntimeClass") => immutable(new, old, "/handler", &mut errors),
        ("resource.k8s.io", "ResourceClaim" | "ResourceClaimTemplate") => {
            immutable(new, old, "/spec", &mut errors);
        }
        _ => {}
    }
    every_write(group, kind, new, Some(old), &mut errors);
    errors
}

/// What keeps addresses from being given to a service (kubernetes `pkg/registry/core/service/storage/alloc.go`).
pub(super) fn service_obstacles(api: &Api, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let errors = service::addresses(new);
    if errors.is_empty() {
        services::obstacles(api, new, old)
    } else {
        errors
    }
}

/// What is wrong with containers that were added to a running pod.
pub(super) fn ephemeral_containers(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    pod::check(&Place::of(new, "spec"), &mut errors);
    pod_change::ephemeral_update(new, old, &mut errors);
    errors
}

/// What is wrong with other resources of a pod's containers.
pub(super) fn resized_pod(new: &Value, old: &Value, same_class: bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    pod::check(&Place::of(new, "spec"), &mut errors);
    pod_change::resize_update(new, old, same_class, &mut errors);
    errors
}

/// What is wrong with a changed status.
pub(super) fn status(group: &str, kind: &str, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    match (group, kind) {
        ("apps", "Deployment") => workloads::deployment_status(new, old, &mut errors),
        ("", "Service") => service::status(new, &mut errors),
        ("", "Pod") => pod_change::status(new, old, &mut errors),
        ("batch", "Job") => jobs::status(new, old, &mut errors),
        ("", "PersistentVolumeClaim") => storage::claim_status(new, &mut errors),
        ("", "Node") => nodes::addresses(new, &mut errors),
        ("", "Namespace") => nodes::namespace_status(new, &mut errors),
        ("", "ResourceQuota") => quotas::status(new, &mut errors),
        ("apps", "StatefulSet" | "ReplicaSet" | "DaemonSet") | ("", "ReplicationController") => {
            workloads::status(kind, new, old, &mut errors);
        }
        ("policy", "PodDisruptionBudget") => policy::budget_status(new, &mut errors),
        ("autoscaling", _) => autoscaling::status(new, &mut errors),
        ("certificates.k8s.io", _) => {
            certificates::update(new, old, certificates::Part::Status, &mut errors);
        }
        ("flowcontrol.apiserver.k8s.io", _) => flow::conditions(new, &mut errors),
        ("networking.k8s.io", "Ingress") => service::ingresses(
            &Place::of(new, "status")
                .child("loadBalancer")
                .child("ingress"),
            &mut errors,
        ),
        ("apiregistration.k8s.io", _) => access::api_service_status(new, &mut errors),
        _ => {}
    }
    errors
}

fn immutable(new: &Value, old: &Value, pointer: &str, errors: &mut Vec<FieldError>) {
    let at = |object: &Value| object.pointer(pointer).cloned().unwrap_or_default();
    if at(new) != at(old) {
        let field = pointer.trim_start_matches('/').replace('/', ".");
        errors.push(FieldError::invalid(field, at(new), IMMUTABLE));
    }
}

fn every_write(
    group: &str,
    kind: &str,
    object: &Value,
    old: Option<&Value>,
    errors: &mut Vec<FieldError>,
) {
    let is_new = old.is_none();
    let spec = Place::of(object, "spec");
    match (group, kind) {
        ("", "ConfigMap") => data::config_map(object, errors),
        ("", "Secret") => data::secret(object, errors),
        ("", "Service") => service::check(object, errors),
        ("", "Pod") => pod::check(&spec, errors),
        ("", "PodTemplate") => pod::template(&Place::of(object, "template"), errors),
        ("", "Node") => pod::taints(object, errors),
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet")
        | ("", "ReplicationController") => workloads::check(kind, object, is_new, errors),
        ("batch", "Job") => jobs::job(object, errors),
        ("", "Event") => events::check(false, object, old, errors),
        ("events.k8s.io", "Event") => events::check(true, object, old, errors),
        ("", "Endpoints") => discovery::plain(object, old, errors),
        ("discovery.k8s.io", "EndpointSlice") => discovery::slice(object, old, errors),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => flow::schema(object, errors),
        ("flowcontrol.apiserver.k8s.io", _) => flow::level(object, errors),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration") => {
            webhooks::check(object, false, errors);
        }
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration") => {
            webhooks::check(object, true, errors);
        }
        ("node.k8s.io", "RuntimeClass") if is_new => runtime_class(object, errors),
        ("networking.k8s.io", "IngressClass") => networking::class(&spec, errors),
        ("", "PersistentVolumeClaim") => storage::claim(object, errors),
        ("", "PersistentVolume") => storage::volume(object, errors),
        ("", "ResourceQuota") => quotas::check(object, errors),
        ("", "LimitRange") => limits::check(object, errors),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => {
            access::role(kind, object, errors);
            access::aggregation(object, errors);
        }
        ("apiregistration.k8s.io", _) => access::api_service(object, errors),
        ("apps", "ControllerRevision") => workloads::revision(object, errors),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            access::binding(kind, object, errors);
        }
        ("networking.k8s.io", "Ingress") => networking::ingress(object, is_new, errors),
        ("networking.k8s.io", "NetworkPolicy") => networking::policy(object, errors),
        ("storage.k8s.io", "StorageClass") if is_new => drivers::storage_class(object, errors),
        ("storage.k8s.io", "VolumeAttributesClass") => {
            drivers::attributes_class(object, errors);
        }
        ("storage.k8s.io", "CSINode") => drivers::node(object, errors),
        ("storage.k8s.io", "VolumeAttachment") => drivers::attachment(object, errors),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => {
            admission::policy(object, errors);
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => {
            admission::binding(object, errors);
        }
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy") => {
            admission::mutating_policy(object, errors);
        }
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding") => {
            admission::mutating_binding(object, errors);
        }
        ("autoscaling", _) => autoscaling::autoscaler(object, old, errors),
        ("coordination.k8s.io", "Lease") => lease(&spec, errors),
        ("policy", "PodDisruptionBudget") => policy::budget(object, errors),
        ("resource.k8s.io", "DeviceClass") => {
            for selector in spec.child("selectors").items() {
                place::required(&selector.child("cel"), errors);
            }
        }
        ("scheduling.k8s.io", "PriorityClass") if is_new => priority_class(object, errors),
        _ => {}
    }
}

fn priority_class(object: &Value, errors: &mut Vec<FieldError>) {
    const MOST: i64 = 1_000_000_000;
    let name = object::meta(object, "name");
    let is_system = name.starts_with("system-");
    if is_system && !matches!(name, "system-node-critical" | "system-cluster-critical") {
        let detail =
            "priority class names with 'system-' prefix are reserved for system use only. error: ";
        let detail = format!("{detail}{name} is not a known system priority class");
        errors.push(FieldError::forbidden("metadata.name", detail));
    }
    let value = Place::of(object, "value");
    if !is_system && value.number().is_some_and(|value| value > MOST) {
        let detail = format!("maximum allowed value of a user defined priority is {MOST}");
        errors.push(value.forbidden(detail));
    }
    let policy = Place::of(object, "preemptionPolicy");
    place::perhaps_one_of(&policy, &["PreemptLowerPriority", "Never"], errors);
}

fn runtime_class(object: &Value, errors: &mut Vec<FieldError>) {
    let handler = Place::of(object, "handler");
    if handler.is_empty() {
        errors.push(handler.missing(""));
    } else {
        let found = drover_structural::names::dns_1123_label(handler.text());
        place::problems(&handler, found, errors);
    }
    for (name, amount) in Place::of(object, "overhead").child("podFixed").members() {
        let amount = amount.called(format!("overhead.limits[{name}]"));
        container::resource_name(name, &amount, errors);
        container::quantity(name, &amount, errors);
    }
    let scheduling = Place::of(object, "scheduling");
    place::labels(&scheduling.child("nodeSelector"), errors);
    pod::tolerations(&scheduling.child("tolerations"), errors);
    let mut seen = Vec::new();
    for toleration in scheduling.child("tolerations").items() {
        let key = ["key", "operator", "value", "effect"].map(|part| toleration.child(part).text());
        if seen.contains(&key) {
            errors.push(toleration.duplicate());
        }
        seen.push(key);
    }
}

fn lease(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let seconds = spec.child("leaseDurationSeconds");
    if seconds.number().is_some_and(|seconds| seconds <= 0) {
        errors.push(seconds.invalid("must be greater than 0"));
    }
    place::not_negative(&spec.child("leaseTransitions"), errors);
}
