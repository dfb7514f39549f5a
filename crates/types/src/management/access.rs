//! Roles and bindings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kind::kind;
use crate::null::or_default;

/// A rule of a role: verbs on resources or on URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRule {
    /// API groups, `*` for all.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    /// Resources (`pods`, `pods/log`), `*` for all.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Names of objects; none means all.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    /// URLs that are no resources, a `*` at the end for all below.
    #[serde(
        default,
        rename = "nonResourceURLs",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub non_resource_urls: Vec<String>,
    /// Verbs, `*` for all.
    #[serde(default, deserialize_with = "or_default")]
    pub verbs: Vec<String>,
}

kind! {
    /// A role in the whole installation.
    GlobalRole, "globalroles", ClusterResourceScope {
        /// The name people see.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        display_name: String,
        /// Free text.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        description: String,
        /// Rules on the management objects.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "Vec::is_empty")]
        rules: Vec<PolicyRule>,
        /// Rules in namespaces of the hub.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        namespaced_rules: BTreeMap<String, Vec<PolicyRule>>,
        /// Role templates held in every cluster but the local one.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "Vec::is_empty")]
        inherited_cluster_roles: Vec<String>,
        /// Whether new users get it.
        #[serde(default, deserialize_with = "or_default")]
        new_user_default: bool,
        /// Whether it came with the product.
        #[serde(default, deserialize_with = "or_default")]
        builtin: bool,
    }
}

kind! {
    /// Gives a user or a group a global role.
    GlobalRoleBinding, "globalrolebindings", ClusterResourceScope {
        /// The role.
        #[serde(default, deserialize_with = "or_default")]
        global_role_name: String,
        /// Id of the user.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        user_name: String,
        /// Principal of the user.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        user_principal_name: String,
        /// Principal of the group.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        group_principal_name: String,
    }
}

kind! {
    /// A role in a cluster or a project.
    RoleTemplate, "roletemplates", ClusterResourceScope {
        /// The name people see.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        display_name: String,
        /// Free text.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        description: String,
        /// `cluster` or `project`.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        context: String,
        /// Its own rules.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "Vec::is_empty")]
        rules: Vec<PolicyRule>,
        /// Rules of an external role, as somebody stated them.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "Vec::is_empty")]
        external_rules: Vec<PolicyRule>,
        /// Role templates whose rules it includes.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "Vec::is_empty")]
        role_template_names: Vec<String>,
        /// Whether a ClusterRole of this name in the cluster has the rules.
        #[serde(default, deserialize_with = "or_default")]
        external: bool,
        /// Whether it is left out of lists for people.
        #[serde(default, deserialize_with = "or_default")]
        hidden: bool,
        /// Whether new bindings to it are refused.
        #[serde(default, deserialize_with = "or_default")]
        locked: bool,
        /// Whether it came with the product.
        #[serde(default, deserialize_with = "or_default")]
        builtin: bool,
        /// Rancher's old mark for powerful roles.
        #[serde(default, deserialize_with = "or_default")]
        administrative: bool,
        /// Whether makers of clusters get it.
        #[serde(default, deserialize_with = "or_default")]
        cluster_creator_default: bool,
        /// Whether makers of projects get it.
        #[serde(default, deserialize_with = "or_default")]
        project_creator_default: bool,
    }
}

kind! {
    /// Gives a user or a group a role in a cluster; lives in the cluster's namespace.
    ClusterRoleTemplateBinding, "clusterroletemplatebindings", NamespaceResourceScope {
        /// Id of the cluster.
        #[serde(default, deserialize_with = "or_default")]
        cluster_name: String,
        /// The role.
        #[serde(default, deserialize_with = "or_default")]
        role_template_name: String,
        /// Id of the user.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        user_name: String,
        /// Principal of the user.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        user_principal_name: String,
        /// Group by name.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        group_name: String,
        /// Principal of the group.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        group_principal_name: String,
        /// Progress as Rancher reports it.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        status: Value,
    }
}

kind! {
    /// Gives a user or a group a role in a project; lives in the project's backing namespace.
    ProjectRoleTemplateBinding, "projectroletemplatebindings", NamespaceResourceScope {
        /// `cluster:project`.
        #[serde(default, deserialize_with = "or_default")]
        project_name: String,
        /// The role.
        #[serde(default, deserialize_with = "or_default")]
        role_template_name: String,
        /// Id of the user.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        user_name: String,
        /// Principal of the user.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        user_principal_name: String,
        /// Group by name.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        group_name: String,
        /// Principal of the group.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        group_principal_name: String,
        /// Service account (`namespace:name`).
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        service_account: String,
    }
}
