//! What is done to pods beside writing them: binding.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::StatusCode;
use serde_json::{Value, json};

use super::eviction::Evict;
use crate::admission::{CallOf, Operation};
use crate::builtin::call_kind;
use crate::clock::seconds;
use crate::registry::{Action, Call, Gvk, Reply, Resource, ServersOwn};
use crate::rest::notes::Notes;
use crate::rest::{Api, Context, object, options, write};
use crate::status::StatusError;

/// The action behind `bindings`, and behind kinds without one of their own.
pub(in crate::builtin) fn action(group: &str, kind: &str) -> Option<Arc<dyn Action>> {
    match (group, kind) {
        ("", "Binding") => Some(Arc::new(Bind::default())),
        _ => None,
    }
}

/// The action behind a subresource of pods, if it is one of these.
pub(in crate::builtin) fn subresource(name: &str) -> Option<Arc<dyn Action>> {
    match name {
        "binding" => Some(Arc::new(Bind::of_pods())),
        "eviction" => Some(Arc::new(Evict::new())),
        _ => None,
    }
}

/// Puts a pod on a node.
#[derive(Debug, Default)]
struct Bind {
    /// The kind of the body, where it is not that of the resource.
    kind: Option<Resource>,
}

impl Bind {
    fn of_pods() -> Self {
        Self {
            kind: Some(call_kind("", "Binding", "bindings")),
        }
    }
}

impl Action for Bind {
    fn body(&self) -> Option<&Resource> {
        self.kind.as_ref()
    }

    fn gvk(&self) -> Gvk {
        Gvk::new("", "v1", "Binding")
    }

    fn verbs(&self) -> &[&'static str] {
        &["create"]
    }

    fn call<'a>(
        &'a self,
        api: &'a Arc<Api>,
        cx: &'a Context,
        call: Call,
    ) -> BoxFuture<'a, Result<Reply, StatusError>> {
        bind(api, cx, self.kind.as_ref(), call).boxed()
    }
}

pub(super) fn pods(api: &Api) -> Result<Arc<crate::registry::Resource>, StatusError> {
    api.registry
        .get("", "v1", "pods")
        .ok_or_else(StatusError::no_such_resource)
}

/// `form` is the kind of the body, where it is not that of the resource.
async fn bind(
    api: &Arc<Api>,
    cx: &Context,
    form: Option<&Resource>,
    mut call: Call,
) -> Result<Reply, StatusError> {
    let resource = pods(api)?;
    let of_pod = !call.name.is_empty();
    let asked_for = if of_pod {
        call.name.clone()
    } else {
        object::meta(&call.body, "name").to_owned()
    };
    let asked = CallOf {
        operation: Operation::Create,
        resource: if of_pod { &resource } else { &call.resource },
        form: form.unwrap_or(&call.resource),
        subresource: if of_pod { "binding" } else { "" },
        namespace: &call.namespace,
        name: &asked_for,
    };
    asked.mutate(api, cx, &mut call.body)?;
    let named = object::meta(&call.body, "name").to_owned();
    let name = if call.name.is_empty() || named == call.name {
        named
    } else {
        return Err(StatusError::bad_request(
            "name in URL does not match name in Binding object",
        ));
    };
    let node = call
        .body
        .pointer("/target/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let kind = call.body.pointer("/target/kind").and_then(Value::as_str);
    if !matches!(kind, None | Some("" | "Node")) {
        return Err(StatusError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "",
            format!(
                "target.kind: Unsupported value: {:?}: supported values: \"Node\", \"<empty>\"",
                kind.unwrap_or_default()
            ),
        ));
    }
    if node.is_empty() {
        // The real server does not name the object (kubernetes `ValidatePodBinding`).
        return Err(StatusError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "",
            "target.name: Required value",
        ));
    }
    asked.validate(api, cx, &call.body)?;
    let mut target = write::Target::object(&resource, &call.namespace, &name);
    target.strategy = Arc::new(ServersOwn);
    let mut change = |old: &Value| {
        check_free(&name, &call.body, old)?;
        let mut pod = old.clone();
        pod["spec"]["nodeName"] = json!(node);
        for part in ["labels", "annotations"] {
            for (key, value) in call.body["metadata"][part]
                .as_object()
                .into_iter()
                .flatten()
            {
                pod["metadata"][part][key] = value.clone();
            }
        }
        set_condition(
            &mut pod,
            json!({"type": "PodScheduled", "status": "True"}),
            cx.now,
        );
        Ok(owned_by_nobody(pod))
    };
    let options = options::WriteOptions::default();
    write::update(api, &cx.own(), &target, &options, &mut change).await?;
    Ok(success())
}

/// Whether a pod may be put on a node.
fn check_free(name: &str, binding: &Value, pod: &Value) -> Result<(), StatusError> {
    let conflict = |why: String| StatusError::conflict("", "pods/binding", name, &why);
    for (field, what) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
        let (wanted, held) = (object::meta(binding, field), object::meta(pod, field));
        if !wanted.is_empty() && wanted != held {
            return Err(StatusError::conflict(
                "",
                "pods",
                name,
                &format!(
                    "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {held}"
                ),
            ));
        }
    }
    if object::is_deleting(pod) {
        return Err(conflict(format!(
            "pod {name} is being deleted, cannot be assigned to a host"
        )));
    }
    let held = pod.pointer("/spec/nodeName").and_then(Value::as_str);
    if let Some(held) = held.filter(|held| !held.is_empty()) {
        return Err(conflict(format!(
            "pod {name} is already assigned to node {held:?}"
        )));
    }
    let gates = pod.pointer("/spec/schedulingGates");
    if gates
        .and_then(Value::as_array)
        .is_some_and(|gates| !gates.is_empty())
    {
        return Err(conflict(format!(
            "pod {name} has non-empty .spec.schedulingGates"
        )));
    }
    Ok(())
}

/// A changed pod whose owners stay as they are.
pub(super) fn owned_by_nobody(object: Value) -> write::Mutated {
    write::Mutated {
        object,
        notes: Notes::default(),
        tracking: write::Tracking::Done,
    }
}

/// Sets a condition of a pod; its time moves only with its status (kubernetes `UpdatePodCondition`).
pub(super) fn set_condition(pod: &mut Value, mut condition: Value, now: jiff::Timestamp) {
    condition["lastProbeTime"] = Value::Null;
    condition["lastTransitionTime"] = seconds(now).into();
    let conditions = &mut pod["status"]["conditions"];
    match conditions.as_array_mut() {
        None => *conditions = json!([condition]),
        Some(list) => match list
            .iter_mut()
            .find(|held| held["type"] == condition["type"])
        {
            None => list.push(condition),
            Some(held) => {
                if held["status"] == condition["status"] {
                    condition["lastTransitionTime"] = held["lastTransitionTime"].take();
                }
                *held = condition;
            }
        },
    }
}

pub(super) fn success() -> Reply {
    Reply {
        code: StatusCode::CREATED,
        object: json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
    }
}
