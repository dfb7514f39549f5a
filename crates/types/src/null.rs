//! Fields that are null.
//!
//! Definitions of the peer allow null for most of its fields, its dashboard writes it (the value of a setting that it takes
//! back), and Go reads it as the zero value. One such field must not make a whole list unreadable.

use serde::{Deserialize, Deserializer};

/// What is there, or the default for null.
///
/// # Errors
///
/// When what is there is of another type.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::management::{Cluster, Feature, Project, RoleTemplate, Setting, User};

    #[test]
    fn null_reads_as_nothing() {
        let setting: Setting = serde_json::from_value(json!({
            "metadata": {"name": "ui-primary-color"},
            "value": null, "default": null, "source": null, "customized": null,
        }))
        .unwrap();
        assert_eq!(setting, Setting::named("ui-primary-color"));
        let user: User = serde_json::from_value(json!({
            "metadata": {"name": "u-1"}, "displayName": null, "principalIds": null,
            "mustChangePassword": null, "enabled": null, "status": {"conditions": null},
        }))
        .unwrap();
        assert!(user.is_enabled() && user.display_name.is_empty());
        let project: Result<Project, _> = serde_json::from_value(json!({
            "metadata": {"name": "p-1"}, "spec": {"displayName": null, "description": null, "clusterName": "c-1"},
        }));
        assert_eq!(project.unwrap().spec.cluster_name, "c-1");
        for read in [
            serde_json::from_value::<Cluster>(json!({"spec": null, "status": null})).map(drop),
            serde_json::from_value::<Feature>(
                json!({"spec": {"value": null}, "status": {"description": null}}),
            )
            .map(drop),
            serde_json::from_value::<RoleTemplate>(json!({"rules": null, "displayName": null}))
                .map(drop),
        ] {
            read.unwrap();
        }
        let wrong = serde_json::from_value::<Setting>(json!({"value": 5}));
        assert!(wrong.is_err());
    }
}
