//! What a request carries through all layers, and the shared parts of one server.

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::Identity;
use crate::admission::Policies;
use crate::admission::quota::Quotas;
use crate::clock::Clock;
use crate::registry::Registry;
use crate::server::{Limits, Version};
use crate::store::Store;

/// Warnings that are remembered for one answer. Its headers hold 4,096 characters of them (`server/warnings.rs`), and none is empty.
const MAX_WARNINGS: usize = 4_096;

/// The parts of one server that every request reads. One per server, shared.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    pub(crate) version: Version,
    /// Decides every request; set by `server` when the server is opened.
    pub(crate) authorizer: Arc<dyn Authorizer>,
    /// What every write is asked against.
    pub(crate) policies: Policies,
    /// What writes and counts of quotas share.
    pub(crate) quotas: Quotas,
}

/// One request, apart from its body and its target.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) identity: Identity,
    /// The `fieldManager` parameter, else the start of the User-Agent.
    pub(crate) manager: String,
    pub(crate) now: Timestamp,
    pub(crate) dry_run: bool,
    /// Work of the server itself, which no policy is asked about.
    pub(crate) own: bool,
    /// Sent as `Warning` headers, in order.
    pub(crate) warnings: Arc<Mutex<Vec<String>>>,
}

impl Context {
    /// A context for work the server does on its own.
    pub(crate) fn system(now: Timestamp, manager: &str) -> Self {
        Self {
            identity: Identity::admin(),
            manager: manager.to_owned(),
            now,
            dry_run: false,
            own: true,
            warnings: Arc::default(),
        }
    }

    /// The same request, for what the server itself does to answer it.
    pub(crate) fn own(&self) -> Self {
        Self {
            own: true,
            identity: self.identity.clone(),
            manager: self.manager.clone(),
            warnings: Arc::clone(&self.warnings),
            ..*self
        }
    }

    /// Adds a warning to the answer; what was said is not said again, and neither is what finds no place any more.
    pub(crate) fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        let mut warnings = self.warnings.lock();
        if warnings.len() < MAX_WARNINGS && !warnings.contains(&text) {
            warnings.push(text);
        }
    }
}

/// What is asked of the authorizer (`authorization.k8s.io` SubjectAccessReviewSpec).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes<'a> {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, `impersonate` ...; for paths
    /// the lowercase HTTP method.
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    pub(crate) version: &'a str,
    /// Empty = `path` is asked.
    pub(crate) resource: &'a str,
    pub(crate) subresource: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    /// Of a request that is for no resource.
    pub(crate) path: &'a str,
}

/// The authorizer's answer, with the reason as `auth can-i` and 403 messages show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow(String),
    /// Nothing allows it.
    NoOpinion(String),
}

impl Decision {
    pub(crate) fn allowed(&self) -> bool {
        matches!(self, Self::Allow(_))
    }
}

/// Decides whether an identity may do something. Reads memory only.
pub(crate) trait Authorizer: std::fmt::Debug + Send + Sync + 'static {
    fn authorize(&self, api: &Api, identity: &Identity, attributes: &Attributes<'_>) -> Decision;

    /// All rules (`rbac.authorization.k8s.io` PolicyRule) that hold for an identity in a namespace, as
    /// SelfSubjectRulesReview lists them and as escalation checks need them.
    fn rules(&self, api: &Api, identity: &Identity, namespace: &str) -> Vec<serde_json::Value>;
}
