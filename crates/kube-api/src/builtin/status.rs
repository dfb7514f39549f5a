//! The parts of built-in kinds that are written by themselves: their status, and the approval of signing requests.

use std::sync::Arc;

use drover_structural::FieldError;
use serde_json::{Value, json};

use super::kind::BuiltIn;
use super::validation::certificates;
use super::{conform, pods, validation};
use crate::registry::{Resource, StatusOnly, Strategy};
use crate::rest::{Api, Context};

/// The fields that a write to `status` never changes (kubernetes `GetResetFields` of the status strategies, v1.36).
pub(crate) fn reset_by_status(group: &str, kind: &str) -> &'static [&'static [&'static str]] {
    match (group, kind) {
        ("apps", "Deployment") => &[&["spec"], &["metadata", "labels"]],
        ("", "Pod") => &[
            &["spec"],
            &["metadata", "deletionTimestamp"],
            &["metadata", "ownerReferences"],
        ],
        ("networking.k8s.io", "ServiceCIDR")
        | ("storage.k8s.io", "VolumeAttachment")
        | ("flowcontrol.apiserver.k8s.io", _) => &[&["spec"], &["metadata"]],
        ("certificates.k8s.io", _) => &[&["spec"], &["status", "conditions"]],
        _ => &[&["spec"]],
    }
}

/// The status of a built-in kind: what [`StatusOnly`] keeps, read and checked as the kind's.
#[derive(Debug)]
pub(super) struct Status(pub(super) Arc<BuiltIn>);

impl Strategy for Status {
    fn default(&self, object: &mut Value) {
        self.0.default(object);
    }

    fn prepare_for_update(
        &self,
        api: &Api,
        resource: &Resource,
        cx: &Context,
        new: &mut Value,
        old: &Value,
    ) {
        StatusOnly.prepare_for_update(api, resource, cx, new, old);
        for path in reset_by_status(self.0.id().0, self.0.id().1) {
            if let ["metadata", member] = path
                && let (Some(metadata), held) =
                    (new["metadata"].as_object_mut(), &old["metadata"][*member])
            {
                if held.is_null() {
                    metadata.remove(*member);
                } else {
                    metadata.insert((*member).to_owned(), held.clone());
                }
            }
        }
        match self.0.id() {
            ("", "Pod") => pods::keep_observed(new, old),
            ("certificates.k8s.io", _) => {
                certificates::keep_decisions(new, old);
                certificates::date_conditions(new, old, &crate::clock::seconds(cx.now));
            }
            _ => {}
        }
        conform::forget_empty(self.0.api_version(), self.0.id().1, new);
    }

    fn validate_update(
        &self,
        _api: &Api,
        _cx: &Context,
        new: &Value,
        old: &Value,
    ) -> Vec<FieldError> {
        validation::status(self.0.id().0, self.0.id().1, new, old)
    }

    fn allow_unconditional_update(&self, resource: &Resource) -> bool {
        self.0.allow_unconditional_update(resource)
    }

    fn bumps_generation(&self, _resource: &Resource, _new: &Value, _old: &Value) -> bool {
        false
    }
}

/// The approval of a signing request: only its conditions change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Approval;

impl Strategy for Approval {
    fn prepare_for_update(
        &self,
        _api: &Api,
        _resource: &Resource,
        cx: &Context,
        new: &mut Value,
        old: &Value,
    ) {
        let conditions = new.pointer("/status/conditions").cloned();
        let metadata = new["metadata"].take();
        *new = old.clone();
        new["metadata"] = metadata;
        let Some(members) = new.as_object_mut() else {
            return;
        };
        let status = members.entry("status").or_insert_with(|| json!({}));
        if let Some(status) = status.as_object_mut() {
            status.remove("conditions");
            let said = conditions.filter(|said| said.as_array().is_some_and(|all| !all.is_empty()));
            status.extend(said.map(|said| ("conditions".to_owned(), said)));
        }
        certificates::date_conditions(new, old, &crate::clock::seconds(cx.now));
    }

    fn validate_update(
        &self,
        _api: &Api,
        _cx: &Context,
        new: &Value,
        old: &Value,
    ) -> Vec<FieldError> {
        let mut errors = Vec::new();
        certificates::update(new, old, certificates::Part::Approval, &mut errors);
        errors
    }

    fn bumps_generation(&self, _resource: &Resource, _new: &Value, _old: &Value) -> bool {
        false
    }
}
