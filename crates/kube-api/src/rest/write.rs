//! create and update: what every kind shares, in one fixed order.
//!
//! Owns what a write is of, and what it leaves behind. What a body must be is [`body`]'s, the order of things [`create`]'s
//! and [`update`]'s, what admission sees [`admit`]'s.

mod admit;
mod body;
mod create;
mod update;

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

pub(crate) use self::admit::admit_scale;
pub(crate) use self::body::{cannot_be, check_call, check_name, unpatchable};
pub(crate) use self::create::{create, create_with};
pub(crate) use self::update::{Mutated, amend, replace, update};
use super::Context;
use super::object::{self, metadata_mut};
use super::read::{Shown, show};
use crate::registry::{Resource, Strategy};
use crate::status::{FieldError, StatusError};
use crate::store::{Draft, Key, Stored, WriteError};

/// One object, or one part of it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) resource: Arc<Resource>,
    /// Empty for cluster-scoped resources.
    pub(crate) namespace: String,
    /// Empty for a create.
    pub(crate) name: String,
    /// Empty for the object itself.
    pub(crate) subresource: String,
    /// The resource's, or the subresource's.
    pub(crate) strategy: Arc<dyn Strategy>,
}

impl Target {
    /// The object itself.
    pub(crate) fn object(resource: &Arc<Resource>, namespace: &str, name: &str) -> Self {
        Self {
            resource: Arc::clone(resource),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: String::new(),
            strategy: Arc::clone(&resource.strategy),
        }
    }

    fn key(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }

    pub(crate) fn not_found(&self) -> StatusError {
        StatusError::not_found(&self.resource.group, &self.resource.plural, &self.name)
    }

    fn invalid(&self, name: &str, errors: &[FieldError]) -> StatusError {
        // Events of either group are checked as those of the first.
        let group = match &*self.resource.group {
            "events.k8s.io" => "",
            group => group,
        };
        StatusError::invalid(group, &self.resource.kind, name, errors)
    }
}

/// What a write left behind.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) shown: Outcome,
    pub(crate) created: bool,
}

/// The object after the write.
#[derive(Debug)]
pub(crate) enum Outcome {
    Durable(Shown),
    /// Stored nowhere: of a dry run, or gone with this write.
    Imagined(Value),
}

impl Written {
    pub(crate) fn into_value(self) -> Value {
        match self.shown {
            Outcome::Durable(shown) => shown.into_value(),
            Outcome::Imagined(value) => value,
        }
    }
}

/// Maps a refused store write of an object.
pub(crate) fn write_error(error: WriteError, resource: &Resource, name: &str) -> StatusError {
    match error {
        WriteError::Exists => StatusError::already_exists(&resource.group, &resource.plural, name),
        WriteError::Conflict => StatusError::modified(&resource.group, &resource.plural, name),
        // What clients of the real server see when etcd refuses a value (etcd `rpctypes`).
        WriteError::TooLarge(_) => StatusError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "",
            "etcdserver: request is too large",
        ),
        WriteError::NoSpace => StatusError::insufficient_storage(
            "the disk of the database is full: nothing was written, reading goes on",
        ),
        error @ WriteError::Failed(_) => StatusError::internal(error),
        WriteError::Closed => StatusError::service_unavailable("the server is shutting down"),
    }
}

/// Turns an object of the request's version into what is stored.
fn encode(resource: &Resource, object: &Value) -> Result<Draft, StatusError> {
    let draft =
        if resource.convert.is_none() && resource.api_version() == *resource.storage_api_version {
            Draft::new(object, resource.schema_mark)
        } else {
            let mut stored = object.clone();
            if let Some(convert) = &resource.convert {
                convert.to_storage(&mut stored);
            }
            if let Some(schema) = resource.storage_schema() {
                drover_structural::prune::prune(&mut stored, schema);
                drover_structural::default::default(&mut stored, schema);
            }
            stored["apiVersion"] = (&*resource.storage_api_version).into();
            Draft::new(&stored, resource.schema_mark)
        };
    draft.map_err(|error| StatusError::bad_request(error.to_string()))
}

/// Who owns the fields of a write.
#[derive(Debug)]
pub(crate) enum Tracking {
    /// What changed belongs to the request's manager.
    Update,
    /// As `Update`, for an object that was made from the stored one by a patch.
    Patch,
    /// managedFields were computed by the caller (server-side apply).
    Done,
}

/// Whether finalizers must be the system's or somebody's: of all kinds but definitions and what they define, whose own
/// finalizer is neither.
fn qualifies_finalizers(resource: &Resource) -> bool {
    !resource.custom && &*resource.storage != crate::crd::TABLE
}

/// Warns of new finalizers of a custom resource that others may use too.
fn warn_of_finalizers(resource: &Resource, cx: &Context, new: &Value, old: Option<&Value>) {
    if !resource.custom {
        return;
    }
    let held = old.map(object::finalizers).unwrap_or_default();
    let mut added = object::finalizers(new);
    added.retain(|name| !held.contains(name));
    added.sort_unstable();
    added.dedup();
    for name in added
        .into_iter()
        .filter(|name| object::is_unqualified(name))
    {
        let path = if name.contains('.') {
            " including a path (/)"
        } else {
            ""
        };
        cx.warn(format!(
            "metadata.finalizers: {name:?}: prefer a domain-qualified finalizer name{path} to avoid accidental conflicts with other finalizer writers"
        ));
    }
}

/// Puts `managedFields` back as they were, whatever a strategy did to `metadata`.
fn keep_managed(object: &mut Value, managed: Option<Value>) {
    let metadata = metadata_mut(object);
    match managed {
        Some(managed) => metadata.insert("managedFields".to_owned(), managed),
        None => metadata.remove("managedFields"),
    };
}

/// The stored form of an object for writes that bypass the strategy (deletion marks).
pub(crate) fn draft_of(resource: &Resource, object: &Value) -> Result<Draft, StatusError> {
    encode(resource, object)
}

/// The object in `stored`, in the request's version.
pub(crate) fn value_of(resource: &Resource, stored: &Arc<Stored>) -> Value {
    show(resource, Arc::clone(stored)).into_value()
}
