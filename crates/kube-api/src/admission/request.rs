//! A write as policies see it.

use serde_json::{Value, json};

use super::matching::Found;
use crate::registry::{Gvk, Resource, Subresource, api_version};
use crate::rest::{Api, Context};
use crate::store::Key;

/// What a write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Update,
    Delete,
    /// A way into an object: exec, port forwarding, proxies.
    Connect,
}

impl Operation {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }

    /// What `request.options` is; ways into objects have none.
    fn options(self) -> Value {
        let kind = match self {
            Self::Create => "CreateOptions",
            Self::Update => "UpdateOptions",
            Self::Delete => "DeleteOptions",
            Self::Connect => return Value::Null,
        };
        json!({"kind": kind, "apiVersion": api_version("meta.k8s.io", "v1")})
    }
}

/// A write on its way to the store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write<'w> {
    pub(crate) operation: Operation,
    pub(crate) resource: &'w Resource,
    /// Empty for the object itself.
    pub(crate) subresource: &'w str,
    pub(crate) namespace: &'w str,
    pub(crate) name: &'w str,
    pub(crate) old: Option<&'w Value>,
    /// `None` for a delete.
    pub(crate) new: Option<&'w Value>,
    /// The kind of `old` and `new` where they are not the resource's: a Scale, what a subresource is called with.
    pub(crate) form: Option<&'w Resource>,
    pub(crate) dry_run: bool,
}

impl<'w> Write<'w> {
    /// The same with another object.
    pub(crate) fn of<'o>(&self, object: &'o Value) -> Write<'o>
    where
        'w: 'o,
    {
        Write {
            new: Some(object),
            ..*self
        }
    }
    /// The namespace it is in; a namespace is in itself.
    pub(super) fn inside(&self) -> &str {
        if self.is_namespace() {
            self.name
        } else {
            self.namespace
        }
    }

    pub(super) fn is_namespace(&self) -> bool {
        &*self.resource.storage == "/namespaces"
    }
}

/// The variables of a policy's expressions.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) object: Value,
    pub(super) old: Value,
    pub(super) request: Value,
    pub(super) namespace: Value,
    pub(super) params: Value,
}

impl Seen {
    pub(super) fn new(
        api: &Api,
        cx: &Context,
        write: &Write<'_>,
        found: &Found,
        params: Value,
    ) -> Self {
        let other = found.other.as_deref();
        let shown = |object: Option<&Value>| match (object, write.form) {
            (None, _) => Value::Null,
            (Some(object), Some(_)) => object.clone(),
            (Some(object), None) => in_version(write.resource, other, object),
        };
        let namespace = if write.is_namespace() || write.namespace.is_empty() {
            Value::Null
        } else {
            let stored = api.store.get("/namespaces", &Key::new("", write.namespace));
            stored.map_or(Value::Null, |stored| namespace_object(stored.value()))
        };
        Self {
            object: shown(write.new),
            old: shown(write.old),
            request: request(cx, write, other),
            namespace,
            params,
        }
    }
}

/// `object`, of `resource`, as the version `other` shows it.
fn in_version(resource: &Resource, other: Option<&Resource>, object: &Value) -> Value {
    let mut object = object.clone();
    let Some(other) = other else {
        return object;
    };
    if let Some(convert) = &resource.convert {
        convert.to_storage(&mut object);
    }
    if let Some(convert) = &other.convert {
        convert.of_storage(&mut object);
    }
    object["apiVersion"] = other.api_version().into();
    object
}

/// What policies made of an object of a write, as the write has it: the reverse of what [`Seen`] shows.
pub(super) fn of_write(write: &Write<'_>, other: Option<&Resource>, object: Value) -> Value {
    match other {
        Some(other) if write.form.is_none() => in_version(other, Some(write.resource), &object),
        _ => object,
    }
}

/// What expressions see of a namespace.
fn namespace_object(mut namespace: Value) -> Value {
    if let Some(members) = namespace.as_object_mut() {
        members.remove("apiVersion");
        members.remove("kind");
    }
    if let Some(metadata) = namespace["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        metadata.remove("ownerReferences");
    }
    namespace
}

/// The `AdmissionRequest` without its objects.
fn request(cx: &Context, write: &Write<'_>, other: Option<&Resource>) -> Value {
    let kind =
        |of: &Resource| json!({"group": &*of.group, "version": &*of.version, "kind": &*of.kind});
    let resource = |of: &Resource| json!({"group": &*of.group, "version": &*of.version, "resource": &*of.plural});
    let seen = other.unwrap_or(write.resource);
    let identity = &cx.identity;
    let mut user = json!({});
    for (name, value) in [
        ("username", json!(identity.user)),
        ("uid", json!(identity.uid)),
        ("groups", json!(identity.groups)),
        ("extra", json!(identity.extra)),
    ] {
        if !is_empty(&value) {
            user[name] = value;
        }
    }
    let mut request = json!({
        "uid": "",
        "kind": kind(seen),
        "resource": resource(seen),
        "requestKind": kind(write.resource),
        "requestResource": resource(write.resource),
        "operation": write.operation.name(),
        "userInfo": user,
        "object": null,
        "oldObject": null,
        "dryRun": write.dry_run,
        "options": write.operation.options(),
    });
    let of_part = match write.resource.subresources.get(write.subresource) {
        Some(Subresource::Scale(_)) => Some(Gvk::new("autoscaling", "v1", "Scale")),
        Some(Subresource::Action(action)) => Some(action.gvk()),
        Some(Subresource::Part(_) | Subresource::Put(_)) | None => None,
    };
    if let Some(part) = of_part {
        let part = json!({"group": &*part.group, "version": &*part.version, "kind": &*part.kind});
        request["kind"] = part.clone();
        request["requestKind"] = part;
    }
    for (name, value) in [
        ("subResource", write.subresource),
        ("requestSubResource", write.subresource),
        ("name", write.name),
        ("namespace", write.inside()),
    ] {
        if !value.is_empty() {
            request[name] = value.into();
        }
    }
    request
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
