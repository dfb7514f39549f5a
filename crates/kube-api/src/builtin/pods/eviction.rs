//! Evictions: a deletion that disruption budgets may forbid.
//!
//! Source: kubernetes `pkg/registry/core/pod/storage/eviction.go`, v1.36.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::StatusCode;
use serde_json::{Value, json};

use super::actions::{owned_by_nobody, pods, set_condition, success};
use crate::admission::{CallOf, Operation};
use crate::builtin::call_kind;
use crate::clock::seconds;
use crate::rbac::selects;
use crate::registry::{Action, Call, Gvk, Reply, Resource, ServersOwn};
use crate::rest::notes::Notes;
use crate::rest::{Api, Context, delete, object, options, write};
use crate::status::StatusError;
use crate::store::{Key, Range};

/// Deletes a pod unless a disruption budget forbids it.
#[derive(Debug)]
pub(super) struct Evict {
    /// The kind of the body.
    kind: Resource,
}

impl Evict {
    pub(super) fn new() -> Self {
        Self {
            kind: call_kind("policy", "Eviction", "evictions"),
        }
    }
}

impl Action for Evict {
    fn body(&self) -> Option<&Resource> {
        Some(&self.kind)
    }

    /// Clients of the first version go on evicting (kubernetes `pkg/registry/core/pod/storage/eviction.go`).
    fn is_older(&self, api_version: &str) -> bool {
        api_version == "policy/v1beta1"
    }

    fn gvk(&self) -> Gvk {
        Gvk::new("policy", "v1", "Eviction")
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
        evict(api, cx, &self.kind, call).boxed()
    }
}

async fn evict(
    api: &Arc<Api>,
    cx: &Context,
    form: &Resource,
    mut call: Call,
) -> Result<Reply, StatusError> {
    let resource = pods(api)?;
    let asked = CallOf {
        operation: Operation::Create,
        resource: &resource,
        form,
        subresource: "eviction",
        namespace: &call.namespace,
        name: &call.name,
    };
    asked.mutate(api, cx, &mut call.body)?;
    if object::meta(&call.body, "name") != call.name {
        return Err(StatusError::bad_request(
            "name in URL does not match name in Eviction object",
        ));
    }
    let target = write::Target::object(&resource, &call.namespace, &call.name);
    let body = call
        .body
        .get("deleteOptions")
        .filter(|options| options.is_object());
    let mut options = options::DeleteOptions::parse(&options::Query::parse(""), body)?;
    options.dry_run |= cx.dry_run;
    asked.validate(api, cx, &call.body)?;
    // The deletion that follows is not the caller's.
    let cx = &cx.own();
    let stored = api
        .store
        .get(&resource.storage, &Key::new(&call.namespace, &call.name))
        .ok_or_else(|| target.not_found())?;
    let pod = stored.value();
    let done = matches!(
        pod.pointer("/status/phase").and_then(Value::as_str),
        Some("Succeeded" | "Failed" | "Pending")
    );
    if !done && !object::is_deleting(&pod) {
        take_from_budget(api, cx, &call.namespace, &pod, options.dry_run).await?;
    }
    if !options.dry_run {
        tell_of_eviction(api, cx, &target, &mut options).await?;
    }
    delete::delete(api, cx, &target, &options).await?;
    Ok(success())
}

/// Writes into a pod why it goes.
async fn tell_of_eviction(
    api: &Arc<Api>,
    cx: &Context,
    target: &write::Target,
    options: &mut options::DeleteOptions,
) -> Result<(), StatusError> {
    let mut target = target.clone();
    target.strategy = Arc::new(ServersOwn);
    let mut change = |old: &Value| {
        delete::check_preconditions(&target.resource, &target.name, old, options)?;
        let mut pod = old.clone();
        let condition = json!({
            "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        });
        set_condition(&mut pod, condition, cx.now);
        Ok(owned_by_nobody(pod))
    };
    let quiet = options::WriteOptions::default();
    let written = write::update(api, cx, &target, &quiet, &mut change).await?;
    if options.revision.is_some() {
        let revision = object::meta(&written.into_value(), "resourceVersion").to_owned();
        options.revision = Some(revision);
    }
    Ok(())
}

/// Uses up one disruption of the pod's budget (kubernetes `pkg/registry/core/pod/storage/eviction.go`).
async fn take_from_budget(
    api: &Arc<Api>,
    cx: &Context,
    namespace: &str,
    pod: &Value,
    dry_run: bool,
) -> Result<(), StatusError> {
    let range = Range {
        namespace: Some(namespace),
        ..Range::default()
    };
    let Ok(page) = api.store.list("policy/poddisruptionbudgets", &range) else {
        return Ok(());
    };
    let labels = &pod["metadata"]["labels"];
    let selects = |budget: &Value| {
        let selector = budget.pointer("/spec/selector");
        selector.is_some_and(|selector| selects(selector, labels))
    };
    let budgets = page.items.into_iter().map(|(_, stored)| stored.value());
    let mut budgets = budgets.filter(selects);
    let Some(budget) = budgets.next() else {
        return Ok(());
    };
    if budgets.next().is_some() {
        return Err(StatusError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "",
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        ));
    }
    if !is_ready(pod) && spares_unready(&budget) {
        return Ok(());
    }
    let name = object::meta(&budget, "name");
    let pod = object::meta(pod, "name");
    let resource = api
        .registry
        .get("policy", "v1", "poddisruptionbudgets")
        .ok_or_else(StatusError::no_such_resource)?;
    let mut target = write::Target::object(&resource, namespace, name);
    target.strategy = Arc::new(crate::registry::StatusOnly);
    "status".clone_into(&mut target.subresource);
    let mut change = |old: &Value| {
        check_budget(old)?;
        let mut budget = old.clone();
        budget["status"]["disruptionsAllowed"] = json!(count(old, "disruptionsAllowed") - 1);
        budget["status"]["disruptedPods"][pod] = seconds(cx.now).into();
        Ok(write::Mutated {
            object: budget,
            notes: Notes::default(),
            tracking: write::Tracking::Update,
        })
    };
    let system = Context::system(cx.now, "kube-apiserver");
    let options = options::WriteOptions {
        dry_run,
        ..options::WriteOptions::default()
    };
    write::update(api, &system, &target, &options, &mut change).await?;
    Ok(())
}

fn count(budget: &Value, member: &str) -> i64 {
    budget["status"][member].as_i64().unwrap_or(0)
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Whether a pod that is not ready may go without counting.
fn spares_unready(budget: &Value) -> bool {
    let healthy = count(budget, "currentHealthy");
    let wanted = count(budget, "desiredHealthy");
    budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        || (wanted > 0 && healthy >= wanted)
}

/// Refuses an eviction that a budget does not allow.
fn check_budget(budget: &Value) -> Result<(), StatusError> {
    let name = object::meta(budget, "name");
    let refused = |seconds: u32, why: String| {
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        StatusError::too_many_requests(message, seconds).cause("DisruptionBudget", why, "")
    };
    let generation = budget["metadata"]["generation"].as_i64().unwrap_or(0);
    if count(budget, "observedGeneration") < generation {
        let why = format!("The disruption budget {name} is still being processed by the server.");
        return Err(refused(10, why));
    }
    if count(budget, "disruptionsAllowed") > 0 {
        return Ok(());
    }
    let (healthy, wanted) = (
        count(budget, "currentHealthy"),
        count(budget, "desiredHealthy"),
    );
    Err(refused(
        0,
        if healthy <= wanted {
            format!(
                "The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently"
            )
        } else {
            format!("The disruption budget {name} does not allow evicting pods currently")
        },
    ))
}
