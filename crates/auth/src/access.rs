//! What an identity may do: one compiled index over all role bindings.

use tokio::sync::watch;

use crate::Identity;
use crate::web::ApiError;

/// What somebody wants to do to an object of the management cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, or a verb of ours (`own`).
    pub verb: &'a str,
    /// API group, empty for the core group.
    pub group: &'a str,
    /// Plural in lower case, with `/subresource` where there is one.
    pub resource: &'a str,
    /// Namespace of the object; `None` for cluster-scoped objects and requests over all namespaces.
    pub namespace: Option<&'a str>,
    /// Name of the object; `None` for list, watch and create.
    pub name: Option<&'a str>,
}

/// The answer to "may they?", with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allowed, by the first grant that matched.
    Allowed(Grant),
    /// No binding of the identity gives this right.
    Denied,
}

/// The chain from a binding to the rule that allows something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The binding, as `Kind namespace/name`, or what every user has by being a user.
    pub binding: String,
    /// From the bound role to the role that holds the rule.
    pub roles: Vec<String>,
    /// The rule, in words a person can find in the role.
    pub rule: String,
}

impl Decision {
    /// Whether the answer is yes.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

impl Attributes<'_> {
    /// The refusal as a Kubernetes API server words it (recorded/http/04, `GET /v3/clusters/c-96nwv`).
    #[must_use]
    pub fn forbidden(&self, identity: &Identity) -> ApiError {
        let Attributes {
            verb,
            group,
            resource,
            namespace,
            name,
        } = *self;
        let qualified = if group.is_empty() {
            resource.to_owned()
        } else {
            format!("{resource}.{group}")
        };
        let object = name.map(|name| format!(" \"{name}\"")).unwrap_or_default();
        let scope = match namespace {
            Some(namespace) => format!("in the namespace \"{namespace}\""),
            None => "at the cluster scope".to_owned(),
        };
        ApiError::forbidden(format!(
            "{qualified}{object} is forbidden: User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {scope}",
            identity.user
        ))
    }
}

/// The compiled index, watch-fed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Access {
    version: watch::Sender<u64>,
}

impl Access {
    /// Whether `identity` may do this to an object of the management cluster.
    #[must_use]
    pub fn allows(&self, identity: &Identity, attributes: &Attributes<'_>) -> Decision {
        let _ = (identity, attributes, &self.version);
        Decision::Denied
    }

    /// [`Access::allows`] as a `Result` with the refusal to answer.
    ///
    /// # Errors
    /// 403 in the words of a Kubernetes API server.
    pub fn check(
        &self,
        identity: &Identity,
        attributes: &Attributes<'_>,
    ) -> Result<Grant, ApiError> {
        match self.allows(identity, attributes) {
            Decision::Allowed(grant) => Ok(grant),
            Decision::Denied => Err(attributes.forbidden(identity)),
        }
    }

    /// The virtual groups to impersonate in `cluster`; `None` when the identity may not see that cluster at all.
    #[must_use]
    pub fn cluster_groups(&self, identity: &Identity, cluster: &str) -> Option<Vec<String>> {
        let _ = (identity, cluster, &self.version);
        None
    }

    /// The clusters the identity may `get`.
    #[must_use]
    pub fn clusters_visible(&self, identity: &Identity) -> ClustersVisible {
        let _ = (identity, &self.version);
        ClustersVisible::These(Vec::new())
    }

    /// Changes with every recompiled index; running streams ask again when it does.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}

/// Which clusters an identity may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClustersVisible {
    /// Every one, those to come too.
    All,
    /// Those of these names, sorted.
    These(Vec<String>),
}
