//! What authentication and logins need of users and their attributes.

use std::collections::BTreeSet;

use drover_types::management::{User, UserAttribute};
use kube::ResourceExt;
use serde_json::Value;

use crate::UserId;

/// A user, reduced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) id: UserId,
    pub(crate) uid: String,
    pub(crate) username: String,
    pub(crate) display_name: String,
    pub(crate) principals: Vec<String>,
    pub(crate) enabled: bool,
}

impl Person {
    pub(crate) fn of(user: User) -> Self {
        Self {
            id: UserId::new(user.name_any()),
            uid: user.uid().unwrap_or_default(),
            enabled: user.is_enabled(),
            username: user.username,
            display_name: user.display_name,
            principals: user.principal_ids,
        }
    }
}

/// The group principals of a user, of all providers.
///
/// Names in Kubernetes' or our own name space are left out: no provider can make anybody a member of those.
pub(crate) fn groups(attribute: &UserAttribute) -> BTreeSet<String> {
    // The peer's objects write these keys with capitals (rancher/rancher `authn_types.go` has no JSON names there).
    let capital = attribute
        .other
        .get("GroupPrincipals")
        .and_then(Value::as_object);
    let providers = attribute
        .group_principals
        .values()
        .chain(capital.into_iter().flat_map(|map| map.values()));
    providers
        .filter_map(|provider| {
            provider
                .get("Items")
                .or_else(|| provider.get("items"))
                .and_then(Value::as_array)
        })
        .flatten()
        .filter_map(|principal| principal.pointer("/metadata/name").and_then(Value::as_str))
        .filter(|name| {
            name.contains("://") && !name.starts_with("system:") && !name.starts_with("drover:")
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn groups_come_from_both_spellings_and_never_from_our_name_space() {
        let attribute: UserAttribute = serde_json::from_value(json!({
            "metadata": {"name": "u-1"},
            "GroupPrincipals": {"github": {"Items": [
                {"metadata": {"name": "github_org://1"}},
                {"metadata": {"name": "drover:cluster-owner"}},
                {"metadata": {"name": "system:masters"}},
                {"nothing": true},
            ]}},
            "groupPrincipals": {"okta": {"items": [{"metadata": {"name": "okta_group://2"}}]}},
        }))
        .unwrap();
        assert_eq!(
            groups(&attribute),
            ["github_org://1", "okta_group://2"]
                .map(String::from)
                .into()
        );
    }
}
