//! What a cluster asks its hub about a token that was shown to the cluster's own API server, and the answer.
//!
//! Owns the two forms, which the agent writes and the hub reads and the other way round. Who may ask is the hub's
//! decision, for how long an answer is kept the agent's.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Where the hub is asked, with `POST` and the cluster's registration token.
pub const PATH: &str = "/v3/connect/review";
/// DaemonSet in the agent's namespace that asks.
pub const DAEMON_SET: &str = "kube-api-auth";
/// Secret in the agent's namespace with what the hub said last, for when it is away.
pub const KEPT_SECRET: &str = "drover-kept-reviews";

/// A question. Has no readable `Debug`: it holds a token.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// `name:key`, as it was shown.
    pub token: String,
}

impl fmt::Debug for Question {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Question")
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Whom the token lets in; none if it lets nobody into this cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<ReviewedUser>,
    /// For how many seconds this may be relied on without asking again, if the hub cannot be asked.
    #[serde(default)]
    pub holds_for_seconds: u64,
}

/// A user as a cluster's API server knows one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewedUser {
    /// Id of the user.
    pub username: String,
    /// All groups, the virtual ones among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// What else is known, by lower-case keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
}
