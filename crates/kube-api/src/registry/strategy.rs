//! What one kind does differently.
//!
//! Owns the hooks a kind may fill in; every hook has a default, and [`Plain`] fills in none. The order of calls in a
//! write is fixed by `rest::write`:
//!
//! create: decode -> `default` -> schema defaults, prune -> `complete` -> `prepare_for_create` -> `validate_create` ->
//! schema validation -> `admit` -> stored -> `after_write`.
//! update: the same with `prepare_for_update` and `validate_update`, and generation.
//! delete: `before_delete` -> finalizers and grace -> stored -> `after_write`.
//!
//! Hooks are synchronous: all reading is from memory (`api.store`), and what must be written as a consequence is done by
//! a task that follows the store, not by a hook.

use std::fmt::Debug;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value;

use super::{Gvk, Resource};
use crate::rest::options::Query;
use crate::rest::{Api, Context};
use crate::status::{FieldError, StatusError};

/// A write on its way to the store, after everything else was decided.
#[derive(Debug)]
pub(crate) struct Write<'a> {
    pub(crate) resource: &'a Resource,
    pub(crate) old: Option<&'a Value>,
    /// `None` for a delete.
    pub(crate) new: Option<&'a Value>,
}

/// The hooks of one kind. Objects arrive in the version of the request's resource.
pub(crate) trait Strategy: Debug + Send + Sync + 'static {
    /// The syntax of names.
    fn name_rule(&self) -> NameRule {
        NameRule::Subdomain
    }

    /// How often an update checks everything that a create does, beside what it keeps.
    fn checks_as_new(&self) -> usize {
        0
    }

    /// Whether a delete answers the object rather than a Status (pods, services, service accounts, claims ...).
    fn returns_deleted_object(&self) -> bool {
        false
    }

    /// Fills in defaults of a built-in kind; runs on create, update and after each patch. Must be idempotent.
    fn default(&self, _object: &mut Value) {}

    /// The labels that a new object without any has of another part of itself, and that go on being those of that part
    /// while the object is completed.
    fn derived_labels(&self, _object: &Value) -> Option<Value> {
        None
    }

    /// Adds what the real server's admission adds: on create and update, before policies look at the object, and again
    /// if they changed it. Must be idempotent. Says why the object is forbidden, if it is.
    fn complete(&self, _api: &Api, _new: &mut Value, _old: Option<&Value>) -> Result<(), String> {
        Ok(())
    }

    /// Drops what a client may not set on create. The default drops `status` if the resource has that subresource.
    /// The only hook that changes an object by what else is stored (a service's address).
    fn prepare_for_create(
        &self,
        _api: &Api,
        resource: &Resource,
        _cx: &Context,
        object: &mut Value,
    ) {
        if resource.has_status()
            && let Some(map) = object.as_object_mut()
        {
            map.remove("status");
        }
    }

    fn validate_create(&self, _api: &Api, _cx: &Context, _object: &Value) -> Vec<FieldError> {
        Vec::new()
    }

    /// Carries over what a client may not change. The default keeps the old `status` if the resource has that
    /// subresource.
    fn prepare_for_update(
        &self,
        _api: &Api,
        resource: &Resource,
        _cx: &Context,
        new: &mut Value,
        old: &Value,
    ) {
        if resource.has_status() {
            keep(new, old, "status");
        }
    }

    fn validate_update(
        &self,
        _api: &Api,
        _cx: &Context,
        _new: &Value,
        _old: &Value,
    ) -> Vec<FieldError> {
        Vec::new()
    }

    /// Refuses a write for a reason that is not one of its fields: 403, 409 ... Escalation checks live here.
    fn admit(&self, _api: &Api, _cx: &Context, _write: &Write<'_>) -> Result<(), StatusError> {
        Ok(())
    }

    /// Whether this update makes a new `metadata.generation`. The default: any change outside `metadata` and `status`,
    /// for kinds with a status subresource and for custom resources.
    fn bumps_generation(&self, resource: &Resource, new: &Value, old: &Value) -> bool {
        (resource.custom || resource.has_status()) && spec_differs(resource, new, old)
    }

    /// Whether objects of this kind carry `metadata.generation` at all.
    fn has_generation(&self, resource: &Resource) -> bool {
        resource.custom || resource.has_status()
    }

    /// Whether an update without resourceVersion overwrites. Custom resources refuse (apiextensions-apiserver
    /// `customresource_strategy.go`), most built-ins allow.
    fn allow_unconditional_update(&self, resource: &Resource) -> bool {
        !resource.custom
    }

    /// Whether PUT on a name that does not exist creates it.
    fn allow_create_on_update(&self) -> bool {
        false
    }

    /// Seconds of graceful deletion for this object when the client names none; `None` = deleted at once.
    /// Pods on a node answer their `terminationGracePeriodSeconds`.
    fn grace_period(&self, _object: &Value, _asked: Option<i64>) -> Option<i64> {
        None
    }

    /// Whether dependents of a deleted object stay if nobody says what becomes of them.
    fn orphans_dependents(&self) -> bool {
        false
    }

    /// Refuses a deletion, or adds to the object before its finalizers are looked at.
    fn before_delete(
        &self,
        _api: &Api,
        _cx: &Context,
        _object: &mut Value,
    ) -> Result<(), StatusError> {
        Ok(())
    }

    /// Whether the object must stay although nothing in `metadata.finalizers` holds it (namespaces: `spec.finalizers`).
    fn holds_deletion(&self, _object: &Value) -> bool {
        false
    }

    /// What keeps a create or update from beginning, told before and instead of anything else that is wrong.
    fn obstacles(&self, _api: &Api, _new: &Value, _old: Option<&Value>) -> Vec<FieldError> {
        Vec::new()
    }

    /// Warnings to send with a create or update.
    fn warnings(&self, _new: &Value, _old: Option<&Value>) -> Vec<String> {
        Vec::new()
    }

    /// Told after a write is durable; must be quick and must not block.
    fn after_write(&self, _api: &Arc<Api>, _write: &Write<'_>) {}

    /// What follows from a write that is durable and must be done before it is answered. An object that goes has no
    /// `new`.
    fn settle<'a>(
        &'a self,
        _api: &'a Arc<Api>,
        _write: &'a Write<'a>,
    ) -> Option<BoxFuture<'a, ()>> {
        None
    }

    /// A field of `selectable_fields` that is no plain path (`involvedObject.kind` of events in both groups,
    /// `status.successful` of jobs). `None` = look it up by path.
    fn field(&self, _object: &Value, _path: &str) -> Option<String> {
        None
    }
}

/// A kind that is plain data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain;

impl Strategy for Plain {}

/// The strategy of a `status` subresource: `spec` and its like stay as they were. Of a custom resource, all metadata
/// but managed fields stays too; built-in kinds take metadata from the writer, as kubelets rely on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StatusOnly;

impl Strategy for StatusOnly {
    fn prepare_for_update(
        &self,
        _api: &Api,
        resource: &Resource,
        _cx: &Context,
        new: &mut Value,
        old: &Value,
    ) {
        let status = new.get_mut("status").map(Value::take);
        let metadata = new.get_mut("metadata").map(Value::take).unwrap_or_default();
        *new = old.clone();
        let Some(map) = new.as_object_mut() else {
            return;
        };
        match status {
            // What an apply emptied is null, and refused as such.
            Some(status) if resource.custom || !status.is_null() => {
                map.insert("status".to_owned(), status)
            }
            _ => map.remove("status"),
        };
        if resource.custom {
            let Some(kept) = map.get_mut("metadata").and_then(Value::as_object_mut) else {
                return;
            };
            for field in ["managedFields", "resourceVersion"] {
                match metadata.get(field) {
                    Some(value) => kept.insert(field.to_owned(), value.clone()),
                    None => kept.remove(field),
                };
            }
        } else {
            map.insert("metadata".to_owned(), metadata);
        }
    }

    fn bumps_generation(&self, _resource: &Resource, _new: &Value, _old: &Value) -> bool {
        false
    }
}

/// Sets `new[field]` to what `old` has.
pub(crate) fn keep(new: &mut Value, old: &Value, field: &str) {
    let Some(map) = new.as_object_mut() else {
        return;
    };
    match old.get(field) {
        Some(value) => map.insert(field.to_owned(), value.clone()),
        None => map.remove(field),
    };
}

fn spec_differs(resource: &Resource, new: &Value, old: &Value) -> bool {
    let ignored = |key: &str| key == "metadata" || (key == "status" && resource.has_status());
    let (Some(new), Some(old)) = (new.as_object(), old.as_object()) else {
        return true;
    };
    let left = new.iter().filter(|(key, _)| !ignored(key));
    let right = old.iter().filter(|(key, _)| !ignored(key));
    !left.eq(right)
}

/// Between a version and the stored form of the same resource.
pub(crate) trait Convert: Debug + Send + Sync + 'static {
    /// Rewrites an object of this version into the stored form; `apiVersion` and `kind` are set afterwards.
    fn to_storage(&self, object: &mut Value);
    /// The reverse.
    fn of_storage(&self, object: &mut Value);
}

/// A request to an [`Action`].
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) resource: Arc<Resource>,
    /// Empty for cluster-scoped calls.
    pub(crate) namespace: String,
    /// The object a subresource belongs to; empty for a resource.
    pub(crate) name: String,
    /// Empty for `get`, unless the action reads the query.
    pub(crate) body: Value,
    /// The client asks for another protocol on its connection.
    pub(crate) upgrades: bool,
}

/// What an action answers.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) code: http::StatusCode,
    pub(crate) object: Value,
}

/// A kind or subresource that computes an answer and is not stored as such: access reviews, tokens, `binding`.
pub(crate) trait Action: Debug + Send + Sync + 'static {
    /// The kind of the body and of the answer, as discovery shows it.
    fn gvk(&self) -> Gvk;
    /// Sorted.
    fn verbs(&self) -> &[&'static str];
    /// As what the body is read and checked before the call, if that is done for it.
    fn body(&self) -> Option<&Resource> {
        None
    }
    /// Whether a body in this version is read as if it were in that of [`Self::body`].
    fn is_older(&self, _api_version: &str) -> bool {
        false
    }
    /// What is asked for by the query and by what follows the subresource in the path, if that stands in the place of a
    /// body.
    fn asked(&self, _query: &Query, _rest: &str) -> Option<Result<Value, StatusError>> {
        None
    }
    /// Whether more of a path may follow its name.
    fn leads_on(&self) -> bool {
        false
    }
    /// Whether a call only answers, and changes nothing that is stored.
    fn only_asks(&self) -> bool {
        false
    }
    fn call<'a>(
        &'a self,
        api: &'a Arc<Api>,
        cx: &'a Context,
        call: Call,
    ) -> BoxFuture<'a, Result<Reply, StatusError>>;
}

/// The syntax of `metadata.name` (apimachinery `pkg/api/validation/name.go`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameRule {
    /// RFC 1123 subdomain: most kinds.
    Subdomain,
    /// RFC 1123 label: namespaces.
    Label,
    /// RFC 1035 label: services.
    Label1035,
    /// Anything that can stand in a path: RBAC kinds.
    PathSegment,
}

/// Of changes that the server makes itself: no client could make them, and they are no new wish.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServersOwn;

impl Strategy for ServersOwn {
    fn prepare_for_update(
        &self,
        _api: &Api,
        _resource: &Resource,
        _cx: &Context,
        _new: &mut Value,
        _old: &Value,
    ) {
    }

    fn bumps_generation(&self, _resource: &Resource, _new: &Value, _old: &Value) -> bool {
        false
    }
}
