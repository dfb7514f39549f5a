//! What a kind is called, here and in Kubernetes.
//!
//! Pure. Owns ids (`apps.deployment`), plurals (`apps.deployments`) and paths
//! (reference api-v1 section 1.2).

use drover_api::urls::segment;
use drover_types::management::GROUP;
use drover_types::provisioning::GROUP as PROVISIONING;

/// A kind of object that a cluster serves, in its preferred version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// `pod`, `apps.deployment`.
    pub(crate) id: String,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    /// Plural as it stands in paths of Kubernetes.
    pub(crate) resource: String,
    pub(crate) namespaced: bool,
    pub(crate) verbs: Vec<String>,
}

impl Kind {
    pub(crate) fn new(group: &str, version: &str, kind: &str, resource: &str) -> Self {
        let lower = kind.to_ascii_lowercase();
        Self {
            id: qualified(group, &lower),
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            resource: resource.to_owned(),
            namespaced: false,
            verbs: Vec::new(),
        }
    }

    /// `pods`, `apps.deployments`.
    pub(crate) fn plural(&self) -> String {
        qualified(&self.group, &self.resource)
    }

    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    pub(crate) fn has(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }

    /// Whether its objects are their owners' alone, so that only the caller itself can ask for them.
    pub(crate) fn is_personal(&self) -> bool {
        self.group == "ext.cattle.io"
    }

    /// Whether the index of role bindings decides who writes it on the hub, beside the RBAC of the cluster that it is kept in.
    pub(crate) fn is_governed(&self) -> bool {
        self.group == GROUP || self.is_provisioning()
    }

    /// Whether it is what clusters are provisioned from: who may write a cluster may write this.
    pub(crate) fn is_provisioning(&self) -> bool {
        self.group == PROVISIONING && self.resource == "clusters"
    }

    /// Whether changes of it can be followed for all callers by one watch.
    pub(crate) fn is_watchable(&self) -> bool {
        self.has("list") && self.has("watch") && !self.is_personal()
    }

    /// Path in the cluster's Kubernetes API.
    pub(crate) fn path(&self, namespace: Option<&str>, name: Option<&str>) -> String {
        let mut path = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if let Some(namespace) = namespace.filter(|_| self.namespaced) {
            path.push_str("/namespaces/");
            path.push_str(&segment(namespace));
        }
        path.push('/');
        path.push_str(&self.resource);
        if let Some(name) = name {
            path.push('/');
            path.push_str(&segment(name));
        }
        path
    }

    /// Whether a type named in a request means this kind.
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        self.id.eq_ignore_ascii_case(name) || self.plural().eq_ignore_ascii_case(name)
    }
}

fn qualified(group: &str, name: &str) -> String {
    if group.is_empty() {
        name.to_owned()
    } else {
        format!("{group}.{name}")
    }
}

/// The id of the type that an object of this API version and kind has.
pub(crate) fn id_of(api_version: &str, kind: &str) -> String {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    qualified(group, &kind.to_ascii_lowercase())
}

/// `ns/name`, or the name alone.
pub(crate) fn object_id(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_paths_are_the_recorded_ones() {
        let mut deployment = Kind::new("apps", "v1", "Deployment", "deployments");
        deployment.namespaced = true;
        assert_eq!(deployment.id, "apps.deployment");
        assert_eq!(deployment.plural(), "apps.deployments");
        assert_eq!(
            deployment.path(Some("cattle-system"), Some("agent")),
            "/apis/apps/v1/namespaces/cattle-system/deployments/agent"
        );
        assert!(
            deployment.answers_to("apps.Deployments") && deployment.answers_to("apps.deployment")
        );
        let node = Kind::new("", "v1", "Node", "nodes");
        assert_eq!(node.path(None, Some("node-1")), "/api/v1/nodes/node-1");
        assert_eq!(node.api_version(), "v1");
        assert_eq!(id_of("apps/v1", "ReplicaSet"), "apps.replicaset");
    }
}
