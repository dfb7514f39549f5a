//! Names that more than one part relies on.

/// The cluster that Drover itself runs on.
pub const LOCAL_CLUSTER: &str = "local";
/// Namespace of the hub's own objects and of the agent in a cluster.
pub const SYSTEM_NAMESPACE: &str = "cattle-system";
/// Namespace of credentials that belong to no single project.
pub const GLOBAL_DATA_NAMESPACE: &str = "cattle-global-data";
/// Namespace of the password Secrets of local users.
pub const PASSWORDS_NAMESPACE: &str = "cattle-local-user-passwords";
/// Service account of the agent in a cluster.
pub const AGENT_SERVICE_ACCOUNT: &str = "cattle";
/// Deployment of the agent in a cluster.
pub const AGENT_DEPLOYMENT: &str = "cattle-cluster-agent";
/// Default image of the agent; setting `agent-image` overrides it.
pub const AGENT_IMAGE: &str = concat!("drover/drover-agent:v", env!("CARGO_PKG_VERSION"));
/// Variable of the agent with the registry in front of images.
pub const AGENT_REGISTRY_VARIABLE: &str = "CATTLE_SYSTEM_DEFAULT_REGISTRY";
/// Finalizer that keeps a Cluster until its objects in the cluster are gone.
pub const AGENT_FINALIZER: &str = "controller.cattle.io/cluster-agent-controller-cleanup";
/// Prefix of the Secrets that hold registration tokens, in the cluster's namespace.
pub const REGISTRATION_SECRET_PREFIX: &str = "crt-token-";
/// Prefix of the bearer token and the session key of an agent's second (Steve) tunnel.
pub const STEVE_PREFIX: &str = "stv-cluster-";
/// The version of Rancher whose interfaces are served; clients compare it (`/rancherversion`, setting `server-version`).
pub const PEER_VERSION: &str = "v2.15.0";

/// What the key is derived for that encrypts a token to a command line, as both ends have it (`info` of HKDF, RFC 5869).
pub const HANDOVER_CONTEXT: &[u8] = b"drover login";

/// An image with a registry in front: images without a folder are Rancher's own (reference tunnel-and-import, 3.3).
#[must_use]
pub fn image_behind(registry: &str, image: &str) -> String {
    let registry = registry.trim_end_matches('/');
    if registry.is_empty() || image.starts_with(&format!("{registry}/")) {
        return image.to_owned();
    }
    if image.contains('/') {
        format!("{registry}/{image}")
    } else {
        format!("{registry}/rancher/{image}")
    }
}

/// Whether a text can be the name of an object: a subdomain of RFC 1123 (apimachinery `IsDNS1123Subdomain`). Nothing in
/// such a text leads elsewhere when it becomes a part of a path.
#[must_use]
pub fn is_object_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.iter().all(|byte| letter(*byte) || *byte == b'-')
            && bytes.first().is_some_and(|byte| letter(*byte))
            && bytes.last().is_some_and(|byte| letter(*byte))
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// What labels begin with by which Kubernetes judges the pods of a namespace (Pod Security Admission).
pub const POD_SECURITY_PREFIX: &str = "pod-security.kubernetes.io/";

/// Annotation with the user who made an object.
pub const CREATOR_ANNOTATION: &str = "field.cattle.io/creatorId";
/// Annotation with the description of an object that has no such field.
pub const DESCRIPTION_ANNOTATION: &str = "field.cattle.io/description";
/// Label of everything that Drover (as Rancher) makes in a cluster.
pub const CREATOR_LABEL: &str = "cattle.io/creator";
/// Value of [`CREATOR_LABEL`].
pub const CREATOR_NORMAN: &str = "norman";
/// Annotation (`cluster:project`) and label (`project`) that put a namespace into a project.
pub const PROJECT_ANNOTATION: &str = "field.cattle.io/projectId";

/// The virtual group of those who own a cluster; bound to `cluster-admin` there.
pub const OWNER_GROUP: &str = "drover:cluster-owner";
/// The virtual group of a cluster's members.
pub const MEMBER_GROUP: &str = "drover:cluster-member";

/// The virtual group of a role template bound to a whole cluster (design.md, section 3).
#[must_use]
pub fn cluster_group(role_template: &str) -> String {
    match role_template {
        "cluster-owner" => OWNER_GROUP.to_owned(),
        "cluster-member" => MEMBER_GROUP.to_owned(),
        other => format!("drover:cluster:{other}"),
    }
}

/// The virtual group of a role template bound in a project.
#[must_use]
pub fn project_group(project: &str, role_template: &str) -> String {
    format!("drover:project:{project}:{role_template}")
}

/// Whether Kubernetes takes a text as the value of a label.
#[must_use]
pub fn is_label_value(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric();
    text.len() <= 63
        && text
            .bytes()
            .all(|byte| plain(&byte) || b"-_.".contains(&byte))
        && text.as_bytes().first().is_none_or(plain)
        && text.as_bytes().last().is_none_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_objects_lead_nowhere_else() {
        for good in [
            "local",
            "c-abcde",
            "c-m-8dzr2mpp",
            "1",
            "a.b",
            &"a".repeat(253),
        ] {
            assert!(is_object_name(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a..b",
            "a.",
            "a-",
            "-a",
            "a.-b",
            "%2e%2e",
            "%63-abcde",
            "c-abcde?x",
            "A",
            "a/b",
            "ä",
            &"a".repeat(254),
        ] {
            assert!(!is_object_name(bad), "{bad}");
        }
    }

    #[test]
    fn values_of_labels_are_short_and_begin_and_end_plainly() {
        for good in ["", "p-1", "a", "A.b_c-1", &"x".repeat(63)] {
            assert!(is_label_value(good), "{good}");
        }
        for bad in ["-a", "a-", "a b", "a:b", "ä", ".", &"x".repeat(64)] {
            assert!(!is_label_value(bad), "{bad}");
        }
    }
}
