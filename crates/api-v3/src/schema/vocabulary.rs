//! The words of declarations: where a type is served, how its objects lie, and what it does beyond the ordinary.

use serde_json::{Value, json};

/// The part of the API that a type is served in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Base {
    /// `/v3`.
    Management,
    /// `/v3/cluster/{id}`.
    Cluster,
    /// `/v3/project/{id}`.
    Project,
}

impl Base {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Management => "/v3",
            Self::Cluster => "/v3/cluster",
            Self::Project => "/v3/project",
        }
    }

    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::Management => "management.cattle.io",
            Self::Cluster => "cluster.cattle.io",
            Self::Project => "project.cattle.io",
        }
    }

    /// The version object of documents.
    pub(crate) fn document(self) -> Value {
        match self {
            Self::Management => {
                json!({"group": self.group(), "path": self.path(), "version": "v3"})
            }
            Self::Cluster | Self::Project => {
                let target = if self == Self::Cluster {
                    "cluster"
                } else {
                    "project"
                };
                json!({
                    "group": self.group(),
                    "path": self.path(),
                    "version": "v3",
                    "subContext": true,
                    "filterField": format!("/v3/schemas/{target}"),
                })
            }
        }
    }
}

/// How a kind's objects lie in Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Fields at the top of the object.
    Flat,
    /// Writable fields in `spec`; `status` is one field of its own.
    Spec,
    /// Writable fields in `spec`, read-only ones in `status`, both shown at the top.
    SpecAndStatus,
}

/// What a type's name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// `name` is the object's display name; the identifier is its own.
    Display,
    /// `name` is the object's name, chosen by the client or made up.
    Object,
    /// `name` is the object's name and must be given.
    ObjectRequired,
    /// The same, and it may have dots.
    Hostname,
    /// It must be given, and begins with a letter, because a Service is named like it.
    Restricted,
}

/// What a Secret holds; each is a type of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secret {
    /// Anything.
    Any,
    /// Credentials of image registries.
    Docker,
    /// A certificate with its key.
    Certificate,
    /// A user's name and password.
    Basic,
    /// A private key for SSH.
    Ssh,
    /// A token of a service account.
    Account,
}

/// What runs pods, and pods themselves; each is a type of its own, and `Any` is all that run pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    Any,
    Deployment,
    DaemonSet,
    StatefulSet,
    Job,
    CronJob,
    ReplicaSet,
    ReplicationController,
    Pod,
}

/// Types in projects whose fields lie otherwise in their objects; `kinds::form` knows how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A Service, with all that it has.
    Service,
    /// A Service as a name in DNS.
    DnsRecord,
    Ingress,
    Autoscaler,
}

/// What a type does beyond the ordinary, implemented in `kinds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Plain,
    Cluster,
    RegistrationToken,
    Node,
    Project,
    Setting,
    Feature,
    User,
    Principal,
    Token,
    Preference,
    GlobalRole,
    GlobalRoleBinding,
    RoleTemplate,
    ClusterBinding,
    ProjectBinding,
    /// Lies in a cluster; served by `downstream`.
    Namespace,
    /// Lies in a cluster or project; served by `inside`.
    Inside,
    PodSecurity,
    /// A way to sign in, shown as the type that it names.
    AuthConfig,
    /// Secrets on the hub; served by `kinds::credential`.
    CloudCredential,
    /// A question, answered at once and not kept.
    AccessReview,
    /// A command line that asks for a token; confirmed, and not kept.
    CliLogin,
}

/// The Kubernetes kind that a type stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) kind: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) namespaced: bool,
    pub(crate) layout: Layout,
}

/// An action: its name and the types of what goes in and comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    pub(crate) name: &'static str,
    pub(crate) input: Option<&'static str>,
    pub(crate) output: Option<&'static str>,
}

impl Action {
    pub(crate) const fn new(
        name: &'static str,
        input: Option<&'static str>,
        output: Option<&'static str>,
    ) -> Self {
        Self {
            name,
            input,
            output,
        }
    }
}
