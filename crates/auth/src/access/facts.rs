//! What the index is compiled from: roles, bindings and projects, reduced to what decisions need.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_types::management::PolicyRule;

/// Whom a binding is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Subject {
    /// A user by name.
    User(String),
    /// A user by principal.
    Principal(String),
    /// A group.
    Group(String),
}

/// What a binding is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    Global,
    Cluster(String),
    Project { cluster: String, project: String },
}

/// A binding, reduced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Binding {
    /// `Kind namespace/name`.
    pub(super) name: String,
    /// `None` for bindings that name nobody, or more than one.
    pub(super) subject: Option<Subject>,
    pub(super) role: String,
    pub(super) scope: Scope,
}

/// A global role, reduced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GlobalRoleFacts {
    pub(super) rules: Vec<PolicyRule>,
    pub(super) namespaced: BTreeMap<String, Vec<PolicyRule>>,
    pub(super) inherited: Vec<String>,
    pub(super) is_admin: bool,
}

/// A role template, reduced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TemplateFacts {
    /// `cluster` or `project`.
    pub(super) context: String,
    /// A ClusterRole of this name in each cluster has the rules that count there.
    pub(super) external: bool,
    /// Shared by all templates that inherit them.
    pub(super) rules: Vec<Arc<PolicyRule>>,
    pub(super) inherits: Vec<String>,
}

/// A ClusterRole of the hub, reduced to what role templates that stand for it may give there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ClusterRoleFacts {
    pub(super) rules: Vec<Arc<PolicyRule>>,
}

/// A project's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProjectFacts {
    pub(super) cluster: String,
    pub(super) project: String,
    /// The namespace named after both.
    pub(super) backing: String,
}
