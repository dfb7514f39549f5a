//! The kinds of `auditlog.cattle.io/v1`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::kind::kind;

/// The group of all kinds here.
pub const GROUP: &str = "auditlog.cattle.io";
/// The version of all kinds here.
pub const VERSION: &str = "v1";

kind! {
    GROUP, VERSION,
    /// What the audit log leaves out, shows and hides beyond what its flags say.
    AuditPolicy, "auditpolicies", ClusterResourceScope {
        /// What is asked for.
        spec: AuditPolicySpec,
        /// What came of it.
        status: AuditPolicyStatus,
    }
}

/// What is asked of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditPolicySpec {
    /// Whether it has any effect.
    pub enabled: bool,
    /// Requests it is about; all if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// What is hidden of these requests, beyond what always is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_redactions: Vec<Redaction>,
    /// How much is written of these requests.
    pub verbosity: Verbosity,
    /// Fields without a Rust field.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Takes requests up or leaves them out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// `allow` or `deny`.
    pub action: String,
    /// A regular expression for path and query.
    #[serde(rename = "requestURI")]
    pub request_uri: String,
}

/// What is to be hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Redaction {
    /// Regular expressions for names of headers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// JSONPaths into bodies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
}

/// How much is written of a request and its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Verbosity {
    /// 0 to 3; one above 0 counts in place of the rest.
    pub level: i64,
    /// Of the request.
    pub request: Parts,
    /// Of the answer.
    pub response: Parts,
}

/// Parts of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parts {
    /// Its headers.
    pub headers: bool,
    /// Its body.
    pub body: bool,
}

/// What came of a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditPolicyStatus {
    /// `Active`, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Fields without a Rust field.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}
