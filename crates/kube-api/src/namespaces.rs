//! Namespaces: the four that always exist, their life, and the emptying of those that go.
//!
//! Owns the strategies of namespaces, the admission of creates by the state of their namespace, and the task that deletes the
//! contents of a terminating namespace and then its `kubernetes` finalizer.
//!
//! Invariant: an object is created only in a namespace that exists and is not terminating, as this server saw it at
//! the create; what slips in while the mark is being written is found by the emptying, which repeats until nothing is
//! left.

mod strategies;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::clock::seconds;
use crate::registry::{Registry, Resource, StatusOnly, Subresource};
use crate::rest::delete::{self, delete as delete_object};
use crate::rest::object::{is_deleting, meta};
use crate::rest::options::{Propagation, WriteOptions};
use crate::rest::read::show;
use crate::rest::write::{Target, amend, create};
use crate::rest::{Api, Context};
use crate::status::StatusError;
use crate::store::{Key, Range};
use crate::watch::{Followed, follow};
use strategies::{Finalize, NamespaceStrategy, Status, spec_finalizers};

/// The table of namespaces in the store.
const TABLE: &str = "/namespaces";

/// Made at start, as kube-apiserver's `systemnamespaces` controller makes them.
const ALWAYS: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// How long to wait before looking again at a namespace that something holds.
const AGAIN: Duration = Duration::from_secs(2);

/// Adds the resource to the registry.
pub(crate) fn install(registry: &Registry) {
    let mut resource = Resource::new(
        "",
        "v1",
        "namespaces",
        "Namespace",
        false,
        Arc::new(NamespaceStrategy),
    );
    resource.short_names = vec!["ns".to_owned()];
    // deletecollection is not offered, so that nobody deletes all namespaces by one typing error.
    resource.verbs.retain(|verb| *verb != "deletecollection");
    let kind = crate::builtin::BuiltIn::new("", "v1", "Namespace");
    resource.schema = kind.schema().map(Arc::new);
    resource.blank = Some(Arc::new(kind.zero()));
    resource.selectable_fields = vec!["status.phase".to_owned()];
    resource
        .subresources
        .insert("status".to_owned(), Subresource::Part(Arc::new(Status)));
    resource
        .subresources
        .insert("finalize".to_owned(), Subresource::Put(Arc::new(Finalize)));
    registry.update(|table| table.insert(resource));
}

/// Refuses a create in a namespace that is missing or going.
pub(crate) fn admit_create(
    api: &Api,
    resource: &Resource,
    namespace: &str,
    object: &Value,
) -> Result<(), StatusError> {
    if !resource.namespaced {
        return Ok(());
    }
    let Some(stored) = api.store.get(TABLE, &Key::new("", namespace)) else {
        return Err(StatusError::not_found("", "namespaces", namespace));
    };
    // Cheaper than parsing, and never wrong on the safe side: without the text there is no mark.
    let maybe = std::str::from_utf8(stored.bytes())
        .is_ok_and(|text| text.contains("\"deletionTimestamp\""));
    if maybe && is_deleting(&stored.value()) {
        let name = meta(object, "name");
        return Err(StatusError::forbidden(
            &resource.group,
            &resource.plural,
            name,
            &format!("unable to create new content in namespace {namespace} because it is being terminated"),
        )
        .cause(
            "NamespaceTerminating",
            format!("namespace {namespace} is being terminated"),
            "metadata.namespace",
        ));
    }
    Ok(())
}

/// Makes the namespaces that always exist.
pub(crate) async fn bootstrap(api: &Arc<Api>) -> Result<(), StatusError> {
    let resource = api
        .registry
        .get("", "v1", "namespaces")
        .ok_or_else(StatusError::no_such_resource)?;
    for name in ALWAYS {
        if api.store.get(TABLE, &Key::new("", name)).is_some() {
            continue;
        }
        let cx = Context::system(api.clock.now(), "kube-apiserver");
        let body = json!({"metadata": {"name": name}});
        create(
            api,
            &cx,
            &Target::object(&resource, "", ""),
            body,
            &crate::rest::notes::Notes::default(),
            &WriteOptions::default(),
        )
        .await?;
    }
    Ok(())
}

/// Empties terminating namespaces until told to stop.
pub(crate) async fn run(api: Arc<Api>, stop: CancellationToken) {
    let Some(resource) = api.registry.get("", "v1", "namespaces") else {
        return;
    };
    let mut namespaces = follow(&api, &resource);
    let mut going: BTreeSet<String> = BTreeSet::new();
    loop {
        while let Some(followed) = namespaces.poll_now() {
            match followed {
                Followed::Snapshot(all) => {
                    going = all
                        .iter()
                        .filter(|namespace| is_deleting(namespace))
                        .map(|namespace| meta(namespace, "name").to_owned())
                        .collect();
                }
                Followed::Change(crate::store::EventKind::Deleted, namespace) => {
                    going.remove(meta(&namespace, "name"));
                }
                Followed::Change(_, namespace) if is_deleting(&namespace) => {
                    going.insert(meta(&namespace, "name").to_owned());
                }
                Followed::Change(..) => {}
            }
        }
        // Taken before the work, so that a change during it is not missed.
        let mut changes = api.store.subscribe();
        changes.mark_unchanged();
        let mut held = false;
        for name in going.clone() {
            match empty(&api, &resource, &name).await {
                Ok(true) => {
                    going.remove(&name);
                }
                Ok(false) => held = true,
                Err(error) if error.is_not_found() => {
                    going.remove(&name);
                }
                Err(error) => {
                    tracing::warn!(namespace = %name, %error, "emptying a namespace failed");
                    held = true;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            followed = namespaces.next() => match followed {
                Followed::Snapshot(all) => going.extend(
                    all.iter()
                        .filter(|namespace| is_deleting(namespace))
                        .map(|namespace| meta(namespace, "name").to_owned()),
                ),
                Followed::Change(kind, namespace) => {
                    let name = meta(&namespace, "name").to_owned();
                    if kind == crate::store::EventKind::Deleted {
                        going.remove(&name);
                    } else if is_deleting(&namespace) {
                        going.insert(name);
                    }
                }
            },
            _ = changes.changed(), if held => {
                // What held it may just have gone; at most one round in each such interval.
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(Duration::from_millis(50)) => {}
                }
            }
            () = tokio::time::sleep(AGAIN), if held => {}
        }
    }
}

/// Deletes what is in a namespace; `true` once the namespace is let go.
async fn empty(api: &Arc<Api>, resource: &Arc<Resource>, name: &str) -> Result<bool, StatusError> {
    let key = Key::new("", name);
    let Some(stored) = api.store.get(TABLE, &key) else {
        return Ok(true);
    };
    let namespace = show(resource, stored).into_value();
    if !is_deleting(&namespace) {
        return Ok(true);
    }
    let cx = Context::system(api.clock.now(), "namespace-controller");
    let table = api.registry.table();
    let mut left: Vec<String> = Vec::new();
    let mut finalizers: Vec<String> = Vec::new();
    for resource in table.stored().filter(|resource| resource.namespaced) {
        let range = Range {
            namespace: Some(name),
            ..Range::default()
        };
        let Ok(page) = api.store.list(&resource.storage, &range) else {
            continue;
        };
        let mut remaining = 0;
        for (key, stored) in page.items {
            let object = show(resource, stored).into_value();
            let target = Target::object(resource, name, key.name());
            let options = delete::of_uid(meta(&object, "uid"), Some(Propagation::Background));
            match delete_object(api, &cx, &target, &options).await {
                Ok(delete::Deleted::Gone(_)) => {}
                Ok(delete::Deleted::Marked(object)) => {
                    remaining += 1;
                    finalizers.extend(
                        crate::rest::object::finalizers(&object)
                            .into_iter()
                            .map(str::to_owned),
                    );
                }
                Err(error) if error.is_not_found() || error.is_conflict() => {}
                Err(error) => {
                    tracing::warn!(namespace = %name, object = %key.as_str(), %error, "deleting failed");
                    remaining += 1;
                }
            }
        }
        if remaining > 0 {
            left.push(format!(
                "{} has {remaining} resource instances",
                crate::status::qualified(&resource.group, &resource.plural)
            ));
        }
    }
    let now = seconds(api.clock.now());
    if left.is_empty() {
        let mut target = Target::object(resource, "", name);
        if !spec_finalizers(&namespace)
            .iter()
            .any(|finalizer| finalizer == "kubernetes")
        {
            return Ok(false);
        }
        "finalize".clone_into(&mut target.subresource);
        target.strategy = Arc::new(Finalize);
        amend(api, &target, "namespace-controller", |object| {
            let kept: Vec<String> = spec_finalizers(object)
                .into_iter()
                .filter(|finalizer| finalizer != "kubernetes")
                .collect();
            object["spec"]["finalizers"] = json!(kept);
        })
        .await?;
        return Ok(true);
    }
    finalizers.sort();
    finalizers.dedup();
    let mut target = Target::object(resource, "", name);
    "status".clone_into(&mut target.subresource);
    target.strategy = Arc::new(StatusOnly);
    let held = format!(
        "Some content in the namespace has finalizers remaining: {}",
        finalizers.join(", ")
    );
    let content = format!("Some resources are remaining: {}", left.join(", "));
    amend(api, &target, "namespace-controller", |object| {
        set_condition(
            object,
            "NamespaceContentRemaining",
            "SomeResourcesRemain",
            &content,
            &now,
        );
        if !finalizers.is_empty() {
            set_condition(
                object,
                "NamespaceFinalizersRemaining",
                "SomeFinalizersRemain",
                &held,
                &now,
            );
        }
    })
    .await?;
    Ok(false)
}

/// Sets a condition to True; its time moves only with its text.
fn set_condition(namespace: &mut Value, kind: &str, reason: &str, message: &str, now: &str) {
    let status = &mut namespace["status"];
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else {
        return;
    };
    let same = conditions
        .iter()
        .any(|condition| condition["type"] == kind && condition["message"] == message);
    if same {
        return;
    }
    conditions.retain(|condition| condition["type"] != kind);
    conditions.push(json!({
        "type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now,
    }));
}
