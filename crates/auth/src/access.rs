//! What an identity may do: one compiled index over all role bindings.
//!
//! Owns decisions on the objects of the management cluster, and which virtual
//! groups an identity holds in each cluster (design.md section 3). It follows
//! the bindings and roles by watches and recompiles what a change touches.
//!
//! Invariant: what no binding of an identity gives is refused, also while
//! nothing has been read yet.

mod compiler;
mod decide;
mod explain;
mod facts;
mod feed;
mod index;
mod rules;
mod shards;
mod template;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use kube::Client;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::Identity;
use crate::web::ApiError;
use compiler::Compiler;
pub use explain::{Explanation, Holder, HolderKind, Question};
pub use feed::backing_namespace;
use index::Index;
pub use rules::{PROMOTED, PROMOTED_CLUSTER};
pub use template::MAX_DEPTH;

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

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.binding)?;
        for role in &self.roles {
            write!(f, " -> {role}")?;
        }
        write!(f, ": {}", self.rule)
    }
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

/// Which clusters an identity may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClustersVisible {
    /// Every one, those to come too.
    All,
    /// Those of these names, sorted.
    These(Vec<String>),
}

/// The compiled index, watch-fed. Cheap to clone.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    index: ArcSwap<Index>,
    compiler: Mutex<Compiler>,
    version: watch::Sender<u64>,
    sources: feed::Sources,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("version", &*self.0.version.borrow())
            .finish_non_exhaustive()
    }
}

impl Access {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            index: ArcSwap::from_pointee(Index::default()),
            compiler: Mutex::new(Compiler::default()),
            version: watch::Sender::new(0),
            sources: feed::Sources::new(),
        }))
    }

    /// Follows the store for as long as it is polled.
    pub(crate) async fn follow(&self, client: Client) {
        self.0.sources.follow(client, self).await;
    }

    /// Completes once all bindings and roles have been read for the first time. Before that, less is allowed.
    pub async fn ready(&self) {
        self.0.sources.ready().await;
    }

    fn publish(&self) {
        // Published under the lock, so that a later index never gives way to an earlier one.
        let mut compiler = self.0.compiler.lock();
        if let Some(index) = compiler.compile() {
            self.0.index.store(Arc::new(index));
            self.0.version.send_modify(|version| *version += 1);
        }
    }

    /// Whether `identity` may do this to an object of the management cluster, and why.
    ///
    /// A right on single objects (a member's on its cluster) does not allow `list` and `watch` without a name; lists
    /// are made of what the caller may `get`.
    #[must_use]
    pub fn allows(&self, identity: &Identity, attributes: &Attributes<'_>) -> Decision {
        match self.0.index.load().decide(identity, attributes) {
            Some(reason) => Decision::Allowed(reason.grant()),
            None => Decision::Denied,
        }
    }

    /// [`Access::allows`] without the reason, for filtering lists.
    #[must_use]
    pub fn is_allowed(&self, identity: &Identity, attributes: &Attributes<'_>) -> bool {
        self.0.index.load().decide(identity, attributes).is_some()
    }

    /// Whether there is any object, or any namespace, where `identity` may do this; what `attributes` names of either does
    /// not count.
    #[must_use]
    pub fn is_allowed_somewhere(&self, identity: &Identity, attributes: &Attributes<'_>) -> bool {
        let index = self.0.index.load();
        index.decide_somewhere(identity, attributes)
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

    /// The virtual groups to impersonate in `cluster`, sorted, beside the identity's own groups; `None` when the
    /// identity may not see that cluster at all, or its token is another cluster's.
    #[must_use]
    pub fn cluster_groups(&self, identity: &Identity, cluster: &str) -> Option<Vec<String>> {
        self.0.index.load().cluster_groups(identity, cluster)
    }

    /// The clusters the identity may `get`.
    #[must_use]
    pub fn clusters_visible(&self, identity: &Identity) -> ClustersVisible {
        self.0.index.load().clusters_visible(identity)
    }

    /// Why `identity` may, or may not, do what is asked.
    #[must_use]
    pub fn explain(&self, identity: &Identity, question: &Question<'_>) -> Explanation {
        explain::explain(&self.0.index.load(), identity, question)
    }

    /// Everybody a binding allows to do what is asked, in order of names; people of a group are not listed one by one.
    #[must_use]
    pub fn who_can(&self, question: &Question<'_>) -> Vec<Holder> {
        explain::who_can(&self.0.index.load(), question)
    }

    /// Changes with every recompiled index; running streams ask again when it does.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    /// Completes once `may` says no: it is asked now, and whenever the index has changed.
    pub async fn until_lost(&self, may: impl Fn() -> bool) {
        let mut changes = self.changes();
        while may() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
