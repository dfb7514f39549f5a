//! What a namespace must look like, and who changes which part of it.

use serde_json::{Value, json};

use crate::builtin::nodes;
use crate::registry::{NameRule, Resource, StatusOnly, Strategy, keep};
use crate::rest::object::{meta, metadata_mut, strings};
use crate::rest::{Api, Context};
use crate::status::{FieldError, StatusError};

/// These cannot be deleted (apiserver `pkg/admission/plugin/namespace/lifecycle`).
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

#[derive(Debug)]
pub(super) struct NamespaceStrategy;

impl Strategy for NamespaceStrategy {
    fn name_rule(&self) -> NameRule {
        NameRule::Label
    }

    fn prepare_for_create(
        &self,
        _api: &Api,
        _resource: &Resource,
        _cx: &Context,
        object: &mut Value,
    ) {
        object["status"] = json!({"phase": "Active"});
        let mut finalizers = spec_finalizers(object);
        if !finalizers.iter().any(|finalizer| finalizer == "kubernetes") {
            finalizers.push("kubernetes".to_owned());
        }
        object["spec"] = json!({"finalizers": finalizers});
    }

    fn prepare_for_update(
        &self,
        _api: &Api,
        _resource: &Resource,
        _cx: &Context,
        new: &mut Value,
        old: &Value,
    ) {
        keep(new, old, "status");
        keep(new, old, "spec");
    }

    fn default(&self, object: &mut Value) {
        crate::builtin::conform("v1", "Namespace", object);
        let name = meta(object, "name").to_owned();
        if name.is_empty() {
            return;
        }
        let metadata = metadata_mut(object);
        if !metadata.get("labels").is_some_and(Value::is_object) {
            metadata.insert("labels".to_owned(), json!({}));
        }
        metadata["labels"]["kubernetes.io/metadata.name"] = name.into();
    }

    fn has_generation(&self, _resource: &Resource) -> bool {
        false
    }

    fn bumps_generation(&self, _resource: &Resource, _new: &Value, _old: &Value) -> bool {
        false
    }

    fn validate_create(&self, _api: &Api, _cx: &Context, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        nodes::namespace_finalizers(object, nodes::Finalizers::OfNew, &mut errors);
        errors
    }

    fn validate_update(
        &self,
        _api: &Api,
        _cx: &Context,
        _new: &Value,
        _old: &Value,
    ) -> Vec<FieldError> {
        Vec::new()
    }

    fn before_delete(
        &self,
        _api: &Api,
        _cx: &Context,
        object: &mut Value,
    ) -> Result<(), StatusError> {
        let name = meta(object, "name").to_owned();
        if IMMORTAL.contains(&name.as_str()) {
            return Err(StatusError::forbidden(
                "",
                "namespaces",
                &name,
                "this namespace may not be deleted",
            ));
        }
        if !spec_finalizers(object).is_empty() {
            object["status"]["phase"] = "Terminating".into();
        }
        Ok(())
    }

    fn holds_deletion(&self, object: &Value) -> bool {
        !spec_finalizers(object).is_empty()
    }
}

/// `namespaces/finalize`: changes `spec.finalizers` only.
#[derive(Debug)]
pub(super) struct Finalize;

impl Strategy for Finalize {
    fn prepare_for_update(
        &self,
        _api: &Api,
        _resource: &Resource,
        _cx: &Context,
        new: &mut Value,
        old: &Value,
    ) {
        let finalizers = spec_finalizers(new);
        *new = old.clone();
        new["spec"] = if finalizers.is_empty() {
            json!({})
        } else {
            json!({"finalizers": finalizers})
        };
    }

    fn validate_update(
        &self,
        _api: &Api,
        _cx: &Context,
        new: &Value,
        _old: &Value,
    ) -> Vec<FieldError> {
        let mut errors = Vec::new();
        nodes::namespace_finalizers(new, nodes::Finalizers::OfFinalize, &mut errors);
        errors
    }

    fn bumps_generation(&self, _resource: &Resource, _new: &Value, _old: &Value) -> bool {
        false
    }

    fn has_generation(&self, _resource: &Resource) -> bool {
        false
    }

    fn name_rule(&self) -> NameRule {
        NameRule::Label
    }
}

/// The status of a namespace.
#[derive(Debug)]
pub(super) struct Status;

impl Strategy for Status {
    fn default(&self, object: &mut Value) {
        NamespaceStrategy.default(object);
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
    }

    fn validate_update(
        &self,
        _api: &Api,
        _cx: &Context,
        new: &Value,
        _old: &Value,
    ) -> Vec<FieldError> {
        let mut errors = Vec::new();
        nodes::namespace_status(new, &mut errors);
        errors
    }

    fn bumps_generation(&self, _resource: &Resource, _new: &Value, _old: &Value) -> bool {
        false
    }
}

pub(super) fn spec_finalizers(object: &Value) -> Vec<String> {
    strings(&object["spec"], "finalizers")
}
