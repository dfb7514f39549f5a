//! What a reconciliation decided, and the executor that does it.
//!
//! Owns the vocabulary of changes: create, apply, patch, delete, each on the
//! hub's API or on the managed cluster's. The executor makes no choices; it
//! only knows which answers mean that the change is already there.
//!
//! Invariant: a patch that follows from what was read carries the
//! resourceVersion it was read at, so a stale executor is refused.

mod execute;

use jiff::Timestamp;
use kube::api::DynamicObject;
use kube::discovery::ApiResource;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde_json::Value;

pub use execute::{ExecuteError, Sites};

/// The name under which changes are made, for field ownership.
pub const FIELD_MANAGER: &str = "drover";

/// Which API a change goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// The hub's own.
    Hub,
    /// The managed cluster's.
    Cluster,
}

/// An object, by kind and name.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    resource: ApiResource,
    namespace: Option<String>,
    name: String,
}

impl Reference {
    /// The object of this kind and name; `namespace` is `None` for kinds without one.
    pub fn new<K: Resource<DynamicType = ()>>(namespace: Option<&str>, name: &str) -> Self {
        Self {
            resource: ApiResource::erase::<K>(&()),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.resource.kind
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn api(&self, client: &Client) -> Api<DynamicObject> {
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &self.resource),
            None => Api::all_with(client.clone(), &self.resource),
        }
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} ", self.resource.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(formatter, "{namespace}/")?;
        }
        formatter.write_str(&self.name)
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Makes the object unless one of its name is there.
    Create {
        /// Where.
        site: Site,
        /// Which.
        target: Reference,
        /// What.
        object: Value,
    },
    /// Server-side apply, taking over fields that others own.
    Apply {
        /// Where.
        site: Site,
        /// Which.
        target: Reference,
        /// What.
        object: Value,
    },
    /// Puts the object, as it was read but for what changed.
    Replace {
        /// Where.
        site: Site,
        /// Which.
        target: Reference,
        /// `status`, or the object itself.
        subresource: Option<&'static str>,
        /// What, with the resourceVersion it was read at.
        object: Value,
    },
    /// JSON merge patch of the object or one of its subresources.
    Patch {
        /// Where.
        site: Site,
        /// Which.
        target: Reference,
        /// `status`, `scale`, or the object itself.
        subresource: Option<&'static str>,
        /// The patch.
        patch: Value,
    },
    /// Deletes the object, what it owns in the background.
    Delete {
        /// Where.
        site: Site,
        /// Which.
        target: Reference,
        /// Only if it is still this one.
        uid: Option<String>,
    },
}

impl Action {
    /// Makes a typed object.
    pub fn create<K: Resource<DynamicType = ()> + Serialize>(site: Site, object: &K) -> Self {
        Self::Create {
            site,
            target: reference_to(object),
            object: value_of(object),
        }
    }

    /// Applies a typed object.
    pub fn apply<K: Resource<DynamicType = ()> + Serialize>(site: Site, object: &K) -> Self {
        Self::Apply {
            site,
            target: reference_to(object),
            object: value_of(object),
        }
    }

    /// Puts a typed object back.
    pub fn replace<K: Resource<DynamicType = ()> + Serialize>(site: Site, object: &K) -> Self {
        Self::Replace {
            site,
            target: reference_to(object),
            subresource: None,
            object: value_of(object),
        }
    }

    /// Puts a typed object's status back.
    pub fn replace_status<K: Resource<DynamicType = ()> + Serialize>(
        site: Site,
        object: &K,
    ) -> Self {
        Self::Replace {
            site,
            target: reference_to(object),
            subresource: Some("status"),
            object: value_of(object),
        }
    }

    /// Patches an object.
    #[must_use]
    pub fn patch(site: Site, target: Reference, patch: Value) -> Self {
        Self::Patch {
            site,
            target,
            subresource: None,
            patch,
        }
    }

    /// Deletes an object, whichever has the name.
    #[must_use]
    pub fn delete(site: Site, target: Reference) -> Self {
        Self::Delete {
            site,
            target,
            uid: None,
        }
    }

    /// What is changed.
    #[must_use]
    pub fn target(&self) -> &Reference {
        match self {
            Self::Create { target, .. }
            | Self::Apply { target, .. }
            | Self::Replace { target, .. }
            | Self::Patch { target, .. }
            | Self::Delete { target, .. } => target,
        }
    }

    fn site(&self) -> Site {
        match self {
            Self::Create { site, .. }
            | Self::Apply { site, .. }
            | Self::Replace { site, .. }
            | Self::Patch { site, .. }
            | Self::Delete { site, .. } => *site,
        }
    }

    fn verb(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Apply { .. } => "apply",
            Self::Replace { .. } => "replace",
            Self::Patch { .. } => "patch",
            Self::Delete { .. } => "delete",
        }
    }
}

/// Refers to a typed object.
fn reference_to<K: Resource<DynamicType = ()>>(object: &K) -> Reference {
    let meta = object.meta();
    Reference::new::<K>(
        meta.namespace.as_deref(),
        meta.name.as_deref().unwrap_or_default(),
    )
}

fn value_of<T: Serialize>(object: &T) -> Value {
    serde_json::to_value(object)
        .expect("Kubernetes objects have string keys only, so they serialise")
}

/// What a reconciliation decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Changes, in order; a failure ends them.
    pub actions: Vec<Action>,
    /// The one status this controller writes; after the actions.
    pub status: Option<Action>,
    /// When to look again without being asked.
    pub requeue_at: Option<Timestamp>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty() && self.status.is_none()
    }

    /// Looks again at `at`, or earlier if that was planned.
    pub fn requeue(&mut self, at: Timestamp) {
        self.requeue_at = Some(self.requeue_at.map_or(at, |planned| planned.min(at)));
    }
}

/// The whole chain of an error, for conditions and logs.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = error.source();
    }
    text
}
