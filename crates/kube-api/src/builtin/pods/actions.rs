//! What is done to pods beside writing them: binding, and the parts that need a kubelet.
//!
//! Nothing runs here: logs, exec and proxies say so.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::StatusCode;
use serde_json::{Value, json};

use super::eviction::Evict;
use crate::admission;
use crate::builtin::call_kind;
use crate::builtin::data::SubresourceFacts;
use crate::clock::seconds;
use crate::registry::{Action, Call, Gvk, Reply, Resource, ServersOwn};
use crate::rest::notes::Notes;
use crate::rest::{Api, Context, object, options, write};
use crate::status::StatusError;
use crate::store::Key;

/// The action behind `bindings`, and behind kinds without one of their own.
pub(in crate::builtin) fn action(group: &str, kind: &str) -> Option<Arc<dyn Action>> {
    match (group, kind) {
        ("", "Binding") => Some(Arc::new(Bind::default())),
        _ => None,
    }
}

/// The action behind a subresource of pods, nodes or services.
pub(in crate::builtin) fn subresource(
    name: &str,
    facts: &SubresourceFacts,
) -> Option<Arc<dyn Action>> {
    match name {
        "binding" => Some(Arc::new(Bind::of_pods())),
        "eviction" => Some(Arc::new(Evict::new())),
        "attach" | "exec" | "log" | "portforward" | "proxy" => Some(Arc::new(NoKubelet {
            gvk: Gvk::new(
                &facts.group,
                if facts.version.is_empty() {
                    "v1"
                } else {
                    &facts.version
                },
                &facts.kind,
            ),
            verbs: crate::registry::ALL_VERBS
                .iter()
                .copied()
                .filter(|verb| facts.verbs.iter().any(|held| held == verb))
                .collect(),
        })),
        _ => None,
    }
}

/// What needs a process on a node, of which there is none.
#[derive(Debug)]
struct NoKubelet {
    gvk: Gvk,
    verbs: Vec<&'static str>,
}

impl Action for NoKubelet {
    fn gvk(&self) -> Gvk {
        self.gvk.clone()
    }

    fn verbs(&self) -> &[&'static str] {
        &self.verbs
    }

    fn call<'a>(
        &'a self,
        api: &'a Arc<Api>,
        _cx: &'a Context,
        call: Call,
    ) -> BoxFuture<'a, Result<Reply, StatusError>> {
        async move {
            let key = Key::new(&call.namespace, &call.name);
            if api.store.get(&call.resource.storage, &key).is_none() {
                return Err(StatusError::not_found(
                    &call.resource.group,
                    &call.resource.plural,
                    &call.name,
                ));
            }
            Err(StatusError::service_unavailable(
                "nodes and pods are plain data on this server: there is no kubelet to connect to",
            ))
        }
        .boxed()
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
        bind(api, cx, call).boxed()
    }
}

pub(super) fn pods(api: &Api) -> Result<Arc<crate::registry::Resource>, StatusError> {
    api.registry
        .get("", "v1", "pods")
        .ok_or_else(StatusError::no_such_resource)
}

async fn bind(api: &Arc<Api>, cx: &Context, call: Call) -> Result<Reply, StatusError> {
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
    let resource = pods(api)?;
    let names = [&*call.namespace, &*name];
    if call.name.is_empty() {
        admission::validate_call(api, cx, &call.resource, "", names, &call.body)?;
    } else {
        admission::validate_call(api, cx, &resource, "binding", names, &call.body)?;
    }
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
