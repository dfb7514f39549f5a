//! The definitions of Drover's kinds, as its Kubernetes API serves them.
//!
//! Names, scopes, schemas and columns are those that Rancher v2.15.0 installs
//! (`recorded/crds`), so that its clients find what they expect.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionSpec,
};
use kube::api::ObjectMeta;

/// The definitions, one line each, as recorded.
const DEFINITIONS: &str = include_str!("../data/crds.json");

/// All definitions, in the order in which they are installed.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    let specs: Vec<CustomResourceDefinitionSpec> =
        serde_json::from_str(DEFINITIONS).expect("the committed definitions are read by a test");
    specs
        .into_iter()
        .map(|spec| CustomResourceDefinition {
            metadata: ObjectMeta {
                name: Some(format!("{}.{}", spec.names.plural, spec.group)),
                ..ObjectMeta::default()
            },
            spec,
            status: None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use kube::Resource as _;

    use super::*;
    use crate::management;

    #[test]
    fn every_kind_has_a_definition_of_its_name_and_scope() {
        let all = all();
        let served = |kind: &str| {
            all.iter().find(|definition| {
                definition.spec.group == management::GROUP && definition.spec.names.kind == kind
            })
        };
        macro_rules! check {
            ($($kind:ident $scope:literal),*) => {$(
                let definition = served(stringify!($kind)).expect(stringify!($kind));
                assert_eq!(definition.spec.names.plural, management::$kind::plural(&()));
                assert_eq!(definition.spec.group, management::$kind::group(&()));
                assert_eq!(definition.spec.versions[0].name, management::$kind::version(&()));
                assert_eq!(definition.spec.scope, $scope);
            )*};
        }
        check!(
            Cluster "Cluster", ClusterRegistrationToken "Namespaced", Node "Namespaced", Setting "Cluster",
            Feature "Cluster", Token "Cluster", User "Cluster", UserAttribute "Cluster", Project "Namespaced",
            GlobalRole "Cluster", GlobalRoleBinding "Cluster", RoleTemplate "Cluster",
            ClusterRoleTemplateBinding "Namespaced", ProjectRoleTemplateBinding "Namespaced", Preference "Namespaced",
            PodSecurityAdmissionConfigurationTemplate "Cluster", AuthConfig "Cluster", SamlToken "Namespaced"
        );
        let provisioned = all
            .iter()
            .find(|definition| definition.spec.group == crate::provisioning::GROUP)
            .expect("provisioning.cattle.io");
        assert_eq!(
            provisioned.spec.names.plural,
            crate::provisioning::Cluster::plural(&())
        );
        assert_eq!(provisioned.spec.scope, "Namespaced");
        let policies = all
            .iter()
            .find(|definition| definition.spec.group == crate::auditlog::GROUP)
            .expect("auditlog.cattle.io");
        assert_eq!(
            policies.spec.names.plural,
            crate::auditlog::AuditPolicy::plural(&())
        );
        assert_eq!(policies.spec.scope, "Cluster");
        assert_eq!(all.len(), 22);
    }
}
