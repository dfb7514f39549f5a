//! The strategy of every built-in kind.
//!
//! Owns the hooks that `registry::strategy` calls; what they do per kind is in the sibling modules. One type serves all
//! kinds, since most differ in one hook only.

use std::borrow::Cow;
use std::sync::Arc;

use drover_structural::{FieldError, Schema};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{
    api_services, autoscaling, claims, conform, data, defaults, events, pods, services, validation,
    warnings,
};
use crate::admission::limits;
use crate::rbac;
use crate::registry::{Convert, NameRule, Resource, Strategy, Write, keep};
use crate::rest::{Api, Context};
use crate::status::StatusError;

/// A built-in kind in one version.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    group: String,
    version: String,
    api_version: String,
    kind: String,
    schema: Option<Schema>,
}

impl BuiltIn {
    pub(crate) fn new(group: &str, version: &str, kind: &str) -> Self {
        let schema = data::component_name(group, version, kind)
            .and_then(|name| data::schema_document().component(&name));
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: if group.is_empty() {
                version.to_owned()
            } else {
                format!("{group}/{version}")
            },
            kind: kind.to_owned(),
            schema,
        }
    }

    /// The published schema of the kind.
    pub(crate) fn schema(&self) -> Option<Schema> {
        self.schema.clone()
    }

    /// An object of the kind without any content, as Go writes it.
    pub(crate) fn zero(&self) -> Value {
        let mut object = json!({});
        conform::conform(&self.api_version, &self.kind, &mut object);
        object
    }

    pub(super) fn api_version(&self) -> &str {
        &self.api_version
    }

    /// The form in which an object is checked: that of the version that says most.
    fn checked<'o>(&self, object: &'o Value) -> Cow<'o, Value> {
        if (&*self.group, &*self.version) != ("autoscaling", "v1") {
            return Cow::Borrowed(object);
        }
        let mut object = object.clone();
        autoscaling::FirstVersion.to_storage(&mut object);
        Cow::Owned(object)
    }

    /// Its group and name.
    pub(super) fn id(&self) -> (&str, &str) {
        (&self.group, &self.kind)
    }
}

impl Strategy for BuiltIn {
    fn name_rule(&self) -> NameRule {
        match self.id() {
            (
                "rbac.authorization.k8s.io"
                | "flowcontrol.apiserver.k8s.io"
                | "apiregistration.k8s.io",
                _,
            )
            | ("networking.k8s.io", "IPAddress") => NameRule::PathSegment,
            ("", "Service") => NameRule::Label,
            _ => NameRule::Subdomain,
        }
    }

    fn checks_as_new(&self) -> usize {
        match self.id() {
            ("", "Pod" | "PersistentVolume") => 2,
            (
                "",
                "Service"
                | "ConfigMap"
                | "Secret"
                | "ServiceAccount"
                | "Endpoints"
                | "Node"
                | "ReplicationController"
                | "PersistentVolumeClaim",
            )
            | ("apps", "ReplicaSet")
            | ("discovery.k8s.io", "EndpointSlice")
            | ("networking.k8s.io", "IngressClass")
            | ("storage.k8s.io", "VolumeAttachment" | "CSINode")
            | ("rbac.authorization.k8s.io" | "flowcontrol.apiserver.k8s.io", _) => 1,
            _ => 0,
        }
    }

    fn returns_deleted_object(&self) -> bool {
        matches!(
            self.id(),
            (
                "",
                "Pod"
                    | "Service"
                    | "ServiceAccount"
                    | "PersistentVolumeClaim"
                    | "PersistentVolume"
                    | "PodTemplate"
                    | "ResourceQuota"
            ) | (
                "storage.k8s.io",
                "CSIDriver"
                    | "StorageClass"
                    | "VolumeAttachment"
                    | "CSINode"
                    | "VolumeAttributesClass"
            ) | ("resource.k8s.io", _)
        )
    }

    fn default(&self, object: &mut Value) {
        conform::conform(&self.api_version, &self.kind, object);
        if let Some(schema) = &self.schema {
            conform::fill(schema.view(), object);
        }
        if self.id() == ("", "Pod") {
            pods::complete_addresses(object);
        }
        defaults::apply(&self.group, &self.version, &self.kind, object);
        if self.id() == ("", "Secret") {
            string_data(object);
        }
    }

    fn derived_labels(&self, object: &Value) -> Option<Value> {
        (self.id() == ("batch", "Job")).then(|| pods::derived_job_labels(object))?
    }

    fn complete(&self, api: &Api, new: &mut Value, old: Option<&Value>) -> Result<(), String> {
        if self.id() != ("", "Pod") {
            return Ok(());
        }
        if old.is_none() {
            limits::fill(api, new);
        }
        pods::complete(api, new, old)
    }

    fn prepare_for_create(&self, api: &Api, resource: &Resource, cx: &Context, object: &mut Value) {
        let unlabelled = object.pointer("/metadata/labels").is_none();
        self.default(object);
        match self.id() {
            // Nodes may be created with their status (kubernetes `pkg/registry/core/node/strategy.go`).
            ("", "Node") => {
                pods::prepare_node(object);
                forget(object, &["configSource"]);
            }
            ("", "Pod") => pods::prepare_pod(object, cx.now),
            ("", "ServiceAccount") => name_secrets(object),
            ("", "Service") => {
                drop_status(object);
                services::allocate(api, object, None);
            }
            ("coordination.k8s.io", "Lease") => forget(object, &NOT_OF_LEASES),
            ("apps", "DaemonSet") => {
                drop_status(object);
                let said = template_generation(object).max(1);
                set_template_generation(object, said);
            }
            ("batch", "Job") => {
                drop_status(object);
                pods::prepare_job(object, unlabelled);
            }
            ("", "PersistentVolumeClaim") => {
                drop_status(object);
                claims::prepare(object, None);
            }
            ("certificates.k8s.io", "CertificateSigningRequest") => {
                drop_status(object);
                requestor(cx, object);
            }
            ("apiregistration.k8s.io", "APIService") => {
                drop_status(object);
                api_services::prepare(cx.now, object);
            }
            _ if resource.has_status() => drop_status(object),
            _ => {}
        }
        conform::forget_empty(&self.api_version, &self.kind, object);
    }

    fn obstacles(&self, api: &Api, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
        match self.id() {
            ("", "Service") => validation::service_obstacles(api, new, old),
            _ => Vec::new(),
        }
    }

    fn validate_create(&self, _api: &Api, _cx: &Context, object: &Value) -> Vec<FieldError> {
        let object = self.checked(object);
        validation::create(&self.group, &self.kind, &object)
    }

    fn prepare_for_update(
        &self,
        api: &Api,
        resource: &Resource,
        _cx: &Context,
        new: &mut Value,
        old: &Value,
    ) {
        self.default(new);
        if resource.has_status() {
            keep(new, old, "status");
        }
        match self.id() {
            ("", "Service") => services::allocate(api, new, Some(old)),
            ("certificates.k8s.io", "CertificateSigningRequest") => keep(new, old, "spec"),
            ("apps", "DaemonSet") => {
                let changed = new.pointer("/spec/template") != old.pointer("/spec/template");
                set_template_generation(new, template_generation(old) + i64::from(changed));
            }
            ("batch", "Job") => pods::keep_job_selector(new, old),
            ("", "PersistentVolumeClaim") => claims::prepare(new, Some(old)),
            ("coordination.k8s.io", "Lease") => forget(new, &NOT_OF_LEASES),
            ("", "Node") => forget(new, &["configSource"]),
            ("", "ServiceAccount") => name_secrets(new),
            _ => {}
        }
        conform::forget_empty(&self.api_version, &self.kind, new);
    }

    fn validate_update(
        &self,
        _api: &Api,
        _cx: &Context,
        new: &Value,
        old: &Value,
    ) -> Vec<FieldError> {
        let (new, old) = (self.checked(new), self.checked(old));
        validation::update(&self.group, &self.kind, &new, &old)
    }

    fn admit(&self, api: &Api, cx: &Context, write: &Write<'_>) -> Result<(), StatusError> {
        match self.id() {
            ("rbac.authorization.k8s.io", _) => rbac::escalation::check(api, cx, write),
            _ => Ok(()),
        }
    }

    fn has_generation(&self, _resource: &Resource) -> bool {
        matches!(
            self.id(),
            ("", "Pod" | "PodTemplate" | "ReplicationController")
                | (
                    "apps",
                    "Deployment" | "DaemonSet" | "ReplicaSet" | "StatefulSet"
                )
                | ("batch", "Job" | "CronJob")
                | (
                    "networking.k8s.io",
                    "Ingress" | "NetworkPolicy" | "IngressClass"
                )
                | ("policy", "PodDisruptionBudget")
                | ("scheduling.k8s.io", "PriorityClass")
                | ("discovery.k8s.io", "EndpointSlice")
                | (
                    "flowcontrol.apiserver.k8s.io"
                        | "admissionregistration.k8s.io"
                        | "apiextensions.k8s.io",
                    _
                )
                | ("resource.k8s.io", "DeviceClass" | "ResourceSlice")
        )
    }

    fn bumps_generation(&self, resource: &Resource, new: &Value, old: &Value) -> bool {
        let changed = |object: &Value| {
            object
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status"))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect::<Vec<_>>()
        };
        // Annotations of deployments are part of what their controller works by.
        let annotated = self.id() == ("apps", "Deployment")
            && new["metadata"]["annotations"] != old["metadata"]["annotations"];
        // Of a priority class nothing that counts can change.
        // A driver is counted from its first change on.
        let counted = self.has_generation(resource) || self.id() == ("storage.k8s.io", "CSIDriver");
        counted
            && self.id() != ("scheduling.k8s.io", "PriorityClass")
            && (annotated || changed(new) != changed(old))
    }

    fn allow_create_on_update(&self) -> bool {
        matches!(
            self.id(),
            ("", "Event" | "Endpoints" | "LimitRange" | "Service")
                | ("events.k8s.io" | "rbac.authorization.k8s.io", _)
                | ("coordination.k8s.io", "Lease")
                | ("node.k8s.io", "RuntimeClass")
        )
    }

    fn allow_unconditional_update(&self, _resource: &Resource) -> bool {
        !matches!(
            self.id(),
            (
                "coordination.k8s.io"
                    | "admissionregistration.k8s.io"
                    | "apiextensions.k8s.io"
                    | "apiregistration.k8s.io",
                _
            ) | ("policy", "PodDisruptionBudget")
                | ("node.k8s.io", "RuntimeClass")
                | (
                    "storage.k8s.io",
                    "CSIDriver" | "CSINode" | "CSIStorageCapacity" | "VolumeAttachment"
                )
        )
    }

    fn grace_period(&self, object: &Value, asked: Option<i64>) -> Option<i64> {
        if self.id() == ("", "Pod") {
            pods::grace_period(object, asked)
        } else {
            None
        }
    }

    /// For the sake of clients older than the collector (kubernetes `pkg/registry/batch/job/strategy.go`).
    fn orphans_dependents(&self) -> bool {
        matches!(self.id(), ("batch", "Job") | ("", "ReplicationController"))
    }

    fn before_delete(
        &self,
        _api: &Api,
        _cx: &Context,
        object: &mut Value,
    ) -> Result<(), StatusError> {
        let name = object
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if self.id() == ("scheduling.k8s.io", "PriorityClass") && name.starts_with("system-") {
            return Err(StatusError::forbidden(
                &self.group,
                "priorityclasses",
                name,
                "this is a system priority class and cannot be deleted",
            ));
        }
        Ok(())
    }

    fn settle<'a>(&'a self, api: &'a Arc<Api>, write: &'a Write<'a>) -> Option<BoxFuture<'a, ()>> {
        match self.id() {
            ("", "Service") => Some(services::addresses::settle(api, write.new, write.old).boxed()),
            ("apiregistration.k8s.io", _) => {
                write.new.map(|new| api_services::settle(api, new).boxed())
            }
            _ => None,
        }
    }

    fn warnings(&self, new: &Value, old: Option<&Value>) -> Vec<String> {
        warnings::of(&self.group, &self.kind, new, old)
    }

    fn field(&self, object: &Value, path: &str) -> Option<String> {
        match self.id() {
            ("" | "events.k8s.io", "Event") => events::field(object, path),
            ("", "Pod") => pods::field(object, path),
            ("batch", "Job") if path == "status.successful" => Some(
                object
                    .pointer("/status/succeeded")
                    .and_then(Value::as_i64)
                    .unwrap_or(0)
                    .to_string(),
            ),
            ("", "Node") if path == "spec.unschedulable" => Some(
                (object.pointer("/spec/unschedulable") == Some(&Value::Bool(true))).to_string(),
            ),
            ("", "ReplicationController") if path == "status.replicas" => Some(
                object
                    .pointer("/status/replicas")
                    .and_then(Value::as_i64)
                    .unwrap_or(0)
                    .to_string(),
            ),
            _ => None,
        }
    }
}

/// What leases say only where leaders are chosen for their holders.
const NOT_OF_LEASES: [&str; 2] = ["strategy", "preferredHolder"];

/// Takes members away from the spec that the real server does not keep, although they were said.
fn forget(object: &mut Value, members: &[&str]) {
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        for member in members {
            spec.remove(*member);
        }
    }
}

fn drop_status(object: &mut Value) {
    if let Some(members) = object.as_object_mut() {
        members.remove("status");
    }
}

/// Secrets of an account are known by their names alone (kubernetes `pkg/registry/core/serviceaccount/strategy.go`).
fn name_secrets(account: &mut Value) {
    let secrets = account.get_mut("secrets").and_then(Value::as_array_mut);
    for secret in secrets.into_iter().flatten() {
        if let Some(members) = secret.as_object_mut() {
            members.retain(|member, _| member == "name");
        }
    }
}

fn template_generation(object: &Value) -> i64 {
    object["metadata"]["annotations"][defaults::TEMPLATE_GENERATION]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

fn set_template_generation(object: &mut Value, generation: i64) {
    object["metadata"]["annotations"][defaults::TEMPLATE_GENERATION] =
        generation.to_string().into();
}

/// Moves `stringData` of a secret into `data`.
fn string_data(object: &mut Value) {
    let Some(members) = object.as_object_mut() else {
        return;
    };
    let Some(Value::Object(plain)) = members.remove("stringData") else {
        return;
    };
    let data = members.entry("data").or_insert_with(|| json!({}));
    if !data.is_object() {
        *data = json!({});
    }
    for (key, value) in plain {
        if let (Some(text), Some(data)) = (value.as_str(), data.as_object_mut()) {
            use base64::Engine as _;
            data.insert(
                key,
                json!(base64::engine::general_purpose::STANDARD.encode(text)),
            );
        }
    }
}

/// Who asks for a certificate is whoever sends the request.
fn requestor(cx: &Context, object: &mut Value) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    spec.insert("username".to_owned(), json!(cx.identity.user));
    spec.insert("groups".to_owned(), json!(cx.identity.groups));
    for (name, value) in [
        ("uid", json!(cx.identity.uid)),
        ("extra", json!(cx.identity.extra)),
    ] {
        spec.remove(name);
        if value.as_str().is_none_or(|text| !text.is_empty())
            && value.as_object().is_none_or(|members| !members.is_empty())
        {
            spec.insert(name.to_owned(), value);
        }
    }
}
