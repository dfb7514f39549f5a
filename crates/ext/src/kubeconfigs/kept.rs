//! What is kept of a kubeconfig: a ConfigMap with a text per key, as the peer's.

use std::collections::BTreeMap;

use drover_auth::ext::{HOLDS_LABEL, OWNER_LABEL};
use drover_auth::web::ApiError;
use drover_types::condition::timestamp;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{GENERATED, KIND, UID};
use crate::bad_request;
use crate::request::{flag, number, text};
use crate::tokens::{Metadata, metadata};

const CLUSTERS: &str = "clusters";
const CONTEXT: &str = "current-context";
pub(super) const DESCRIPTION: &str = "description";
const TTL: &str = "ttl";
const WITH_DEFAULT: &str = "include-default-entry";
pub(super) const CONDITIONS: &str = "status-conditions";
/// Who owns which field, as `metadata.managedFields` says it.
pub(super) const OWNERS: &str = "managed-fields";
pub(super) const SUMMARY: &str = "status-summary";
pub(super) const TOKENS: &str = "status-tokens";

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) clusters: Vec<String>,
    pub(super) current: String,
    pub(super) description: String,
    /// Seconds.
    pub(super) ttl: i64,
    pub(super) with_default: Option<bool>,
}

impl Spec {
    pub(super) fn of(object: &Value) -> Result<Self, ApiError> {
        let clusters = object.pointer("/spec/clusters").cloned();
        let clusters = clusters.filter(|list| !list.is_null()).unwrap_or(json!([]));
        Ok(Self {
            clusters: serde_json::from_value(clusters)
                .map_err(|_| bad_request("spec.clusters must be a list of texts"))?,
            current: text(object, "/spec/currentContext")?,
            description: text(object, "/spec/description")?,
            ttl: number(object, "/spec/ttl")?,
            with_default: flag(object, "/spec/includeDefaultEntry")?,
        })
    }

    pub(super) fn of_config_map(config: &ConfigMap) -> Self {
        let data = |key: &str| value(config, key);
        Self {
            clusters: serde_json::from_str(data(CLUSTERS)).unwrap_or_default(),
            current: data(CONTEXT).to_owned(),
            description: data(DESCRIPTION).to_owned(),
            ttl: data(TTL).parse().unwrap_or_default(),
            with_default: data(WITH_DEFAULT).parse().ok(),
        }
    }

    fn shown(&self) -> Value {
        let mut spec = json!({"ttl": self.ttl});
        if !self.clusters.is_empty() {
            spec["clusters"] = json!(self.clusters);
        }
        for (name, value) in [
            ("currentContext", &self.current),
            ("description", &self.description),
        ] {
            if !value.is_empty() {
                spec[name] = json!(value);
            }
        }
        if let Some(with_default) = self.with_default {
            spec["includeDefaultEntry"] = json!(with_default);
        }
        spec
    }

    pub(super) fn write(&self, data: &mut BTreeMap<String, String>) {
        let mut put = |key: &str, value: String| drop(data.insert(key.to_owned(), value));
        if !self.clusters.is_empty() {
            put(CLUSTERS, json!(self.clusters).to_string());
        }
        put(CONTEXT, self.current.clone());
        put(DESCRIPTION, self.description.clone());
        put(TTL, self.ttl.to_string());
        if let Some(with_default) = self.with_default {
            put(WITH_DEFAULT, with_default.to_string());
        }
    }
}

pub(super) fn value<'a>(config: &'a ConfigMap, key: &str) -> &'a str {
    let data = config.data.as_ref();
    data.and_then(|data| data.get(key))
        .map_or("", String::as_str)
}

pub(super) fn tokens_of(config: &ConfigMap) -> Vec<String> {
    serde_json::from_str(value(config, TOKENS)).unwrap_or_default()
}

pub(super) fn owner_of(config: &ConfigMap) -> &str {
    config.labels().get(OWNER_LABEL).map_or("", String::as_str)
}

/// A kubeconfig as clients see it, without the file.
pub(super) fn shown(config: &ConfigMap) -> Value {
    let mut labels = config.labels().clone();
    labels.remove(HOLDS_LABEL);
    let mut annotations = config.annotations().clone();
    let uid = annotations.remove(UID).unwrap_or_default();
    let mut status = json!({"summary": value(config, SUMMARY)});
    let tokens = tokens_of(config);
    if !tokens.is_empty() {
        status["tokens"] = json!(tokens);
    }
    if let Ok(conditions @ Value::Array(_)) = serde_json::from_str(value(config, CONDITIONS)) {
        status["conditions"] = conditions;
    }
    json!({
        "apiVersion": "ext.cattle.io/v1", "kind": KIND,
        "metadata": metadata(&Metadata {
            name: &config.name_any(), prefix: GENERATED, uid: &uid,
            version: &config.resource_version().unwrap_or_default(),
            created: config.metadata.creation_timestamp.as_ref().map(|at| at.0),
            labels: &labels, annotations: &annotations,
            owners: &serde_json::from_str(value(config, OWNERS)).unwrap_or_default(),
        }),
        "spec": Spec::of_config_map(config).shown(), "status": status,
    })
}

pub(super) fn condition(kind: &str, message: &str, now: Timestamp) -> Value {
    json!({
        "type": kind, "status": "True", "reason": kind, "message": message, "lastTransitionTime": timestamp(now),
    })
}
