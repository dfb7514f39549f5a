//! One entry, as it is written.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// Which moment of a request an entry tells of; Kubernetes' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Stage {
    /// A stream (watch, exec, tunnel) has begun; another entry with the same `auditID` tells its end.
    ResponseStarted,
    /// The answer is out, or the stream is over.
    ResponseComplete,
    /// The caller left before there was an answer.
    Abandoned,
}

/// Who asked. Names of the fields are the peer's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Id of the user.
    pub name: String,
    /// Groups held.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<String>,
    /// The token's name, never its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The user that the caller asked to be taken for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_user: Option<String>,
    /// The groups that the caller asked to be taken for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_groups: Vec<String>,
}

/// What a request is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// The cluster it is in, or that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Group of the API, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_group: Option<String>,
    /// The kind, as a plural in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name, or its id in `/v3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Part of it (`log`, `exec`, `status`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subresource: Option<String>,
}

/// One entry: the peer's fields under the peer's names, then ours (`stage`, `verb`, `object`, `durationMillis`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The request's id; also in the answer's header `Audit-Id`.
    #[serde(rename = "auditID")]
    pub audit_id: String,
    /// Path and query, redacted.
    #[serde(rename = "requestURI")]
    pub request_uri: String,
    /// Who, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// Name that was given at a login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_login_name: Option<String>,
    /// HTTP method.
    pub method: String,
    /// The other end of the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_addr: Option<String>,
    /// When the request's header was read.
    #[serde(serialize_with = "moment")]
    pub request_timestamp: Timestamp,
    /// When this stage was reached.
    #[serde(serialize_with = "moment")]
    pub response_timestamp: Timestamp,
    /// Status; 0 when there was no answer.
    pub response_code: u16,
    /// Which moment this is.
    pub stage: Stage,
    /// What was asked for: `list`, `create`, the name of an action.
    pub verb: String,
    /// What it is about.
    #[serde(skip_serializing_if = "is_empty")]
    pub object: Object,
    /// Time from the request to this stage.
    pub duration_millis: u64,
    /// Headers of the request, redacted (level 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_header: Option<Map<String, Value>>,
    /// Headers of the answer, redacted (level 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_header: Option<Map<String, Value>>,
    /// Body of the request, redacted (level 2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_body: Option<Value>,
    /// Body of the answer, redacted (level 3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_body: Option<Value>,
}

fn is_empty(object: &Object) -> bool {
    *object == Object::default()
}

/// RFC 3339 with milliseconds, as the peer's readers parse it.
pub(crate) fn moment<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
}
