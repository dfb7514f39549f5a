//! The kinds of `management.cattle.io/v3`.
//!
//! Field names and places are Rancher's (`recorded/crds`): some kinds have
//! `spec` and `status`, others carry their fields at the top.

mod access;
mod cluster;
mod people;
mod settings;

pub use access::{
    ClusterRoleTemplateBinding, GlobalRole, GlobalRoleBinding, PolicyRule,
    ProjectRoleTemplateBinding, RoleTemplate,
};
pub use cluster::{
    AuthEndpoint, Cluster, ClusterInfo, ClusterRegistrationToken, ClusterRegistrationTokenSpec,
    ClusterRegistrationTokenStatus, ClusterSpec, ClusterStatus, EnvVar, ImportedConfig, Node,
    NodeSpec, NodeStatus, Project, ProjectSpec, ProjectStatus,
};
pub use people::{SamlToken, Token, User, UserAttribute, UserStatus};
pub use settings::{
    AuthConfig, Feature, FeatureSpec, FeatureStatus, PodSecurityAdmissionConfigurationTemplate,
    Preference, Setting,
};

/// The group of all kinds here.
pub const GROUP: &str = "management.cattle.io";
/// The version of all kinds here.
pub const VERSION: &str = "v3";

/// `management.cattle.io/v3`.
#[must_use]
pub fn api_version() -> String {
    format!("{GROUP}/{VERSION}")
}
