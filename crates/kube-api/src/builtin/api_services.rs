//! A group and version as an object: an APIService for each that is served.
//!
//! Those of built-in kinds are made at start, those of custom resources come and go with their definitions
//! (kube-aggregator `pkg/controllers/autoregister`, kubernetes `pkg/controlplane/controller/crdregistration`, v1.36).
//! One that somebody makes for a server of their own is kept and never available: nothing is forwarded from here.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::bootstrap::{AT_ONCE, ensure};
use super::data;
use crate::clock::seconds;
use crate::registry::Subresource;
use crate::rest::{Api, Context, delete, object, options, write};
use crate::status::StatusError;
use crate::store::{Key, Range};

const GROUP: &str = "apiregistration.k8s.io";
const PLURAL: &str = "apiservices";
const TABLE: &str = "apiregistration.k8s.io/apiservices";
/// Who keeps an object: the server from its start on, or as long as its definition is there.
const MANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";

/// How groups and versions of built-in kinds are ordered: kubernetes `cmd/kube-apiserver/app/aggregator.go` and
/// `pkg/controlplane/apiserver/aggregator.go`.
const PRIORITIES: &[(&str, &str, i64, i64)] = &[
    ("", "v1", 18_000, 1),
    ("apps", "v1", 17_800, 15),
    ("events.k8s.io", "v1", 17_750, 15),
    ("authentication.k8s.io", "v1", 17_700, 15),
    ("authorization.k8s.io", "v1", 17_600, 15),
    ("autoscaling", "v1", 17_500, 15),
    ("autoscaling", "v2", 17_500, 30),
    ("batch", "v1", 17_400, 15),
    ("certificates.k8s.io", "v1", 17_300, 15),
    ("networking.k8s.io", "v1", 17_200, 15),
    ("policy", "v1", 17_100, 15),
    ("rbac.authorization.k8s.io", "v1", 17_000, 15),
    ("storage.k8s.io", "v1", 16_800, 15),
    ("apiextensions.k8s.io", "v1", 16_700, 15),
    ("admissionregistration.k8s.io", "v1", 16_700, 15),
    ("scheduling.k8s.io", "v1", 16_600, 15),
    ("coordination.k8s.io", "v1", 16_500, 15),
    ("node.k8s.io", "v1", 16_300, 15),
    ("discovery.k8s.io", "v1", 16_200, 15),
    ("resource.k8s.io", "v1", 16_200, 21),
    ("flowcontrol.apiserver.k8s.io", "v1", 16_100, 21),
];
/// Those of custom resources.
const OF_CUSTOM: (i64, i64) = (1000, 100);

fn local(group: &str, version: &str, managed: &str, (of_group, of_version): (i64, i64)) -> Value {
    json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": format!("{version}.{group}"), "labels": {MANAGED: managed}},
        "spec": {
            "group": group, "version": version,
            "groupPriorityMinimum": of_group, "versionPriority": of_version,
        },
    })
}

/// Makes those of built-in kinds.
pub(super) async fn start(api: &Arc<Api>) -> Result<(), StatusError> {
    let served = data::kinds();
    let is_served = |group: &str, version: &str| {
        let mut served = served.iter();
        served.any(|served| served.group == group && served.version == version)
    };
    let wanted = PRIORITIES
        .iter()
        .filter(|(group, version, ..)| is_served(group, version))
        .map(|(group, version, of_group, of_version)| {
            local(group, version, "onstart", (*of_group, *of_version))
        });
    stream::iter(wanted)
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, |object| ensure(api, object))
        .await
}

/// Keeps those of custom resources as the registry has them, until `stop`.
pub(crate) async fn run(api: Arc<Api>, stop: CancellationToken) {
    let mut served = api.registry.subscribe();
    loop {
        served.mark_unchanged();
        round(&api).await;
        tokio::select! {
            () = stop.cancelled() => return,
            changed = served.changed() => if changed.is_err() { return },
        }
    }
}

async fn round(api: &Arc<Api>) {
    let mut wanted = BTreeMap::new();
    let table = api.registry.table();
    for resource in table.all().filter(|resource| resource.custom) {
        let object = local(&resource.group, &resource.version, "true", OF_CUSTOM);
        wanted.insert(object::meta(&object, "name").to_owned(), object);
    }
    let Ok(held) = api.store.list(TABLE, &Range::default()) else {
        return;
    };
    for (key, stored) in held.items {
        let of_definition = stored.value()["metadata"]["labels"][MANAGED] == "true";
        if wanted.remove(key.name()).is_none() && of_definition {
            remove(api, key.name()).await;
        }
    }
    for (name, object) in wanted {
        if let Err(error) = ensure(api, object).await {
            tracing::debug!(%name, %error, "object of a group not made; tried again with the next change");
        }
    }
}

async fn remove(api: &Arc<Api>, name: &str) {
    let Some(resource) = api.registry.get(GROUP, "v1", PLURAL) else {
        return;
    };
    let target = write::Target::object(&resource, "", name);
    let cx = Context::system(api.clock.now(), "kube-apiserver");
    let options = options::DeleteOptions::default();
    if let Err(error) = delete::delete(api, &cx, &target, &options).await {
        tracing::debug!(%name, %error, "object of a group not removed");
    }
}

/// Marks a local APIService as available when it is made.
pub(super) fn prepare(now: jiff::Timestamp, object: &mut Value) {
    if object.pointer("/spec/service").is_none_or(Value::is_null) {
        let message = "Local APIServices are always available";
        object["status"] = available("True", "Local", message, now);
    }
}

fn available(status: &str, reason: &str, message: &str, now: jiff::Timestamp) -> Value {
    json!({"conditions": [{
        "type": "Available", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": seconds(now),
    }]})
}

/// Says of an APIService with a server behind it why that is not asked.
pub(super) async fn settle(api: &Arc<Api>, service: &Value) {
    let behind = &service["spec"]["service"];
    if behind.is_null() || !service["status"]["conditions"].is_null() {
        return;
    }
    let part = |member: &str| behind[member].as_str().unwrap_or_default();
    let (namespace, name) = (part("namespace"), part("name"));
    let stored = api.store.get("/services", &Key::new(namespace, name));
    let (reason, message) = match stored {
        None => (
            "ServiceNotFound",
            format!("service/{name} in {namespace:?} is not present"),
        ),
        Some(_) => (
            "NotForwarded",
            "this server forwards to no other API servers".to_owned(),
        ),
    };
    let status = available("False", reason, &message, api.clock.now());
    let Some(resource) = api.registry.get(GROUP, "v1", PLURAL) else {
        return;
    };
    let mut target = write::Target::object(&resource, "", object::meta(service, "name"));
    if let Some(Subresource::Part(strategy)) = resource.subresources.get("status") {
        target.strategy = Arc::clone(strategy);
    }
    "status".clone_into(&mut target.subresource);
    let written = write::amend(api, &target, "kube-apiserver", |object| {
        object["status"] = status.clone();
    });
    if let Err(error) = written.await {
        tracing::debug!(name = object::meta(service, "name"), %error, "condition of a group not written");
    }
}
