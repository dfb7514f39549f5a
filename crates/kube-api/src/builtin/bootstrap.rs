//! What a server makes by itself: the objects of a fresh cluster, and the small controllers that clients expect.
//!
//! Everything is made through the same checks as a client's writes, and only if it is missing; roles that were changed
//! stay as they are, unless a rule of the shipped role is missing and the role asks for updates
//! (`rbac.authorization.kubernetes.io/autoupdate`).

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{api_services, data, services};
use crate::identity;
use crate::registry::Subresource;
use crate::rest::{Api, Context, notes, object, options, patch, write};
use crate::status::StatusError;
use crate::store::{Change, ChangeAction, Draft, Key, Range};

/// Events are kept this long (`--event-ttl`).
const EVENT_LIFE: i64 = 3600;
const EVENT_ROUND: Duration = Duration::from_secs(60);
/// Objects that are made at once, so that they share the syncs of the disk.
pub(super) const AT_ONCE: usize = 32;
const AUTO_UPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// Keeps default accounts, token secrets and old events in order until `stop`.
pub(crate) async fn run(api: Arc<Api>, stop: CancellationToken) {
    let mut namespaces = api.store.subscribe_table("/namespaces");
    let mut accounts = api.store.subscribe_table("/serviceaccounts");
    let mut secrets = api.store.subscribe_table("/secrets");
    let mut configs = api.store.subscribe_table("/configmaps");
    let mut events = tokio::time::interval(EVENT_ROUND);
    let mut tokens = identity::TokenSecrets::default();
    loop {
        for changes in [&mut namespaces, &mut accounts, &mut secrets, &mut configs] {
            changes.mark_unchanged();
        }
        fill_namespaces(&api).await;
        tokens.round(&api).await;
        tokio::select! {
            () = stop.cancelled() => return,
            changed = namespaces.changed() => if changed.is_err() { return },
            changed = accounts.changed() => if changed.is_err() { return },
            changed = secrets.changed() => if changed.is_err() { return },
            changed = configs.changed() => if changed.is_err() { return },
            _ = events.tick() => forget_events(&api).await,
        }
    }
}

/// Makes what is there before the first request.
pub(crate) async fn start(api: &Arc<Api>) -> Result<(), StatusError> {
    identity::ensure_signing_key(api)
        .await
        .map_err(StatusError::internal)?;
    stream::iter(data::bootstrap_objects())
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, |object| ensure(api, object))
        .await?;
    api_services::start(api).await?;
    service_range(api).await?;
    ensure(
        api,
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"},
            },
            "spec": {
                "clusterIP": services::API_ADDRESS,
                "clusterIPs": [services::API_ADDRESS],
                "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
            },
        }),
    )
    .await
}

/// The range from which services get addresses (kubernetes `pkg/controlplane/controller/defaultservicecidr`).
async fn service_range(api: &Arc<Api>) -> Result<(), StatusError> {
    const MANAGER: &str = "kubernetes-service-cidr-controller";
    ensure(
        api,
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
            "metadata": {"name": services::RANGE_NAME}, "spec": {"cidrs": [services::range()]},
        }),
    )
    .await?;
    let Some(resource) = api.registry.get("networking.k8s.io", "v1", "servicecidrs") else {
        return Err(StatusError::no_such_resource());
    };
    let stored = api
        .store
        .get(&resource.storage, &Key::new("", services::RANGE_NAME));
    if stored.is_some_and(|stored| !stored.value()["status"]["conditions"].is_null()) {
        return Ok(());
    }
    let mut target = write::Target::object(&resource, "", services::RANGE_NAME);
    if let Some(Subresource::Part(strategy)) = resource.subresources.get("status") {
        target.strategy = Arc::clone(strategy);
    }
    "status".clone_into(&mut target.subresource);
    let cx = Context::system(api.clock.now(), MANAGER);
    let status = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
        "metadata": {"name": services::RANGE_NAME},
        "status": {"conditions": [{
            "type": "Ready", "status": "True",
            "message": "Kubernetes default Service CIDR is ready",
            "lastTransitionTime": crate::clock::seconds(cx.now),
        }]},
    });
    let options = options::WriteOptions {
        field_manager: Some(MANAGER.to_owned()),
        force: Some(true),
        ..options::WriteOptions::default()
    };
    let notes = notes::Notes::default();
    patch::patch(
        api,
        &cx,
        &target,
        patch::PatchKind::Apply,
        status,
        &notes,
        &options,
    )
    .await
    .map(drop)
}

/// Makes one object if it is missing; gives a role the rules it lacks.
pub(super) async fn ensure(api: &Arc<Api>, object: Value) -> Result<(), StatusError> {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let api_version = text("/apiVersion");
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    let table = api.registry.table();
    let Some(resource) = table.by_kind(group, version, &text("/kind")) else {
        return Err(StatusError::no_such_resource());
    };
    let target = write::Target::object(resource, &namespace, &name);
    if let Some(stored) = api
        .store
        .get(&resource.storage, &Key::new(&namespace, &name))
    {
        if group == "rbac.authorization.k8s.io" {
            add_missing_rules(api, &target, &stored.value(), &object).await?;
        }
        return Ok(());
    }
    let cx = Context::system(api.clock.now(), "kube-apiserver");
    let made = write::create(
        api,
        &cx,
        &target,
        object,
        &notes::Notes::default(),
        &options::WriteOptions::default(),
    )
    .await;
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.reason == "AlreadyExists" => Ok(()),
        Err(error) => Err(error),
    }
}

async fn add_missing_rules(
    api: &Arc<Api>,
    target: &write::Target,
    held: &Value,
    shipped: &Value,
) -> Result<(), StatusError> {
    let updates =
        held["metadata"]["annotations"][AUTO_UPDATE] == "true" && held["aggregationRule"].is_null();
    let list =
        |object: &Value, member: &str| object[member].as_array().cloned().unwrap_or_default();
    let missing = |member: &str| {
        let held = list(held, member);
        list(shipped, member)
            .into_iter()
            .filter(|item| !held.contains(item))
            .collect::<Vec<_>>()
    };
    let (rules, subjects) = (missing("rules"), missing("subjects"));
    if !updates || (rules.is_empty() && subjects.is_empty()) {
        return Ok(());
    }
    write::amend(api, target, "kube-apiserver", |object| {
        for (member, items) in [("rules", &rules), ("subjects", &subjects)] {
            if items.is_empty() {
                continue;
            }
            match object.get_mut(member).and_then(Value::as_array_mut) {
                Some(list) => list.extend(items.iter().cloned()),
                None => object[member] = json!(items),
            }
        }
    })
    .await
    .map(drop)
}

/// Every namespace has an account `default` and the map `kube-root-ca.crt`.
async fn fill_namespaces(api: &Arc<Api>) {
    let Ok(page) = api.store.list("/namespaces", &Range::default()) else {
        return;
    };
    for (key, stored) in page.items {
        let namespace = key.name();
        let missing =
            |table: &str, name: &str| api.store.get(table, &Key::new(namespace, name)).is_none();
        let (account, map) = (
            missing("/serviceaccounts", "default"),
            missing("/configmaps", "kube-root-ca.crt"),
        );
        if !(account || map) || object::is_deleting(&stored.value()) {
            continue;
        }
        let mut wanted = Vec::new();
        if account {
            wanted.push(json!({
                "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace},
            }));
        }
        if map {
            wanted.push(json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {
                    "name": "kube-root-ca.crt", "namespace": namespace,
                    "annotations": {"kubernetes.io/description": "The certificates that verify connections to the API server are provided by whatever serves it; none are kept here."},
                },
                "data": {"ca.crt": ""},
            }));
        }
        for object in wanted {
            if let Err(error) = ensure(api, object).await {
                tracing::debug!(%namespace, %error, "default object not made; tried again at the next change");
            }
        }
    }
}

/// Removes events that are older than their life.
async fn forget_events(api: &Arc<Api>) {
    let Ok(page) = api.store.list("/events", &Range::default()) else {
        return;
    };
    let now = api.clock.now();
    for (key, stored) in page.items {
        let event = stored.value();
        let newest = [
            "/series/lastObservedTime",
            "/lastTimestamp",
            "/eventTime",
            "/metadata/creationTimestamp",
        ]
        .iter()
        .filter_map(|pointer| event.pointer(pointer).and_then(Value::as_str))
        .filter_map(|time| time.parse::<jiff::Timestamp>().ok())
        .max();
        if newest.is_none_or(|newest| now.as_second() - newest.as_second() < EVENT_LIFE) {
            continue;
        }
        let Ok(draft) = Draft::new(&event, stored.mark) else {
            continue;
        };
        let change = Change {
            table: "/events".into(),
            key,
            action: ChangeAction::Delete(draft, stored.revision),
        };
        if let Err(error) = api.store.write(change).await {
            tracing::debug!(%error, "old event not removed");
        }
    }
}
