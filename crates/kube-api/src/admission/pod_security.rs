//! Pod security: what the labels of a namespace allow of its pods (k8s.io/pod-security-admission `admission`, v0.36).
//!
//! Owns when pods, what makes pods, and namespaces are looked at. What the labels say is [`levels`]'s, what each level
//! forbids [`checks`]'s. Nobody is exempt, and there is no audit log for the level `audit` to write to.

mod checks;
mod levels;

use std::collections::BTreeMap;

use serde_json::Value;

use self::checks::Pod;
use self::levels::{Level, Standard, Standards};
use super::{Operation, Write, forbidden};
use crate::rest::object::meta;
use crate::rest::{Api, Context};
use crate::status::StatusError;
use crate::store::{Key, Range};

/// Pods of a namespace that are looked at when its level is raised.
const MAX_PODS: usize = 3000;
/// Parts of a pod by which what is forbidden cannot come in.
const HARMLESS: [&str; 8] = [
    "exec",
    "attach",
    "binding",
    "eviction",
    "log",
    "portforward",
    "proxy",
    "status",
];

/// Holds a pod, what makes pods, or a namespace against the levels of the namespace.
pub(super) fn check(api: &Api, cx: &Context, write: &Write<'_>) -> Result<(), StatusError> {
    let Some(object) = write.new else {
        return Ok(());
    };
    match &*write.resource.storage {
        "/namespaces" if write.subresource.is_empty() => check_namespace(api, cx, write, object),
        "/pods" if !HARMLESS.contains(&write.subresource) => {
            if write.old.is_some_and(|old| !is_significant(object, old)) {
                return Ok(());
            }
            let Some(standards) = of_namespace(api, write.namespace) else {
                return Ok(());
            };
            let pod = Pod::of(object);
            if let Some(found) = standards.enforce.violations(&pod) {
                let why = format!(
                    "violates PodSecurity \"{}\": {}",
                    standards.enforce, found.detail
                );
                return Err(forbidden(write, object, &why));
            }
            warn(cx, &standards.warn, &pod);
            Ok(())
        }
        storage if write.subresource.is_empty() => {
            let Some(template) = template(storage, object).filter(|template| template.is_object())
            else {
                return Ok(());
            };
            if let Some(standards) = of_namespace(api, write.namespace) {
                warn(cx, &standards.warn, &Pod::of(template));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What makes pods makes them of this.
fn template<'o>(storage: &str, object: &'o Value) -> Option<&'o Value> {
    object.pointer(match storage {
        "/podtemplates" => "/template",
        "/replicationcontrollers"
        | "apps/daemonsets"
        | "apps/deployments"
        | "apps/replicasets"
        | "apps/statefulsets"
        | "batch/jobs" => "/spec/template",
        "batch/cronjobs" => "/spec/jobTemplate/spec/template",
        _ => return None,
    })
}

/// What the labels of a namespace ask for, if they ask for anything.
fn of_namespace(api: &Api, name: &str) -> Option<Standards> {
    let namespace = api.store.get("/namespaces", &Key::new("", name))?;
    let (standards, _) = Standards::of(&namespace.value()["metadata"]["labels"]);
    (!standards.allow_everything()).then_some(standards)
}

fn warn(cx: &Context, standard: &Standard, pod: &Pod<'_>) {
    if let Some(found) = standard.violations(pod) {
        cx.warn(format!(
            "would violate PodSecurity \"{standard}\": {}",
            found.detail
        ));
    }
}

/// Whether an update changes what can be forbidden and is not fixed anyway: which containers there are, and their
/// images.
fn is_significant(pod: &Value, old: &Value) -> bool {
    fn list<'p>(pod: &'p Value, name: &str) -> &'p [Value] {
        pod["spec"][name].as_array().map_or(&[], Vec::as_slice)
    }
    ["containers", "initContainers"].iter().any(|name| {
        let (new, old) = (list(pod, name), list(old, name));
        new.len() != old.len()
            || new
                .iter()
                .zip(old)
                .any(|(new, old)| new["image"] != old["image"])
    }) || list(pod, "ephemeralContainers").iter().any(|container| {
        let held = list(old, "ephemeralContainers")
            .iter()
            .find(|held| held["name"] == container["name"]);
        held.is_none_or(|held| held["image"] != container["image"])
    })
}

fn check_namespace(
    api: &Api,
    cx: &Context,
    write: &Write<'_>,
    namespace: &Value,
) -> Result<(), StatusError> {
    let (new, wrong) = Standards::of(&namespace["metadata"]["labels"]);
    let invalid = || {
        let resource = write.resource;
        StatusError::invalid(&resource.group, &resource.kind, write.name, &wrong)
    };
    let (Operation::Update, Some(old)) = (write.operation, write.old) else {
        return if wrong.is_empty() {
            Ok(())
        } else {
            Err(invalid())
        };
    };
    let (old, held) = Standards::of(&old["metadata"]["labels"]);
    if !wrong.is_empty() && wrong != held {
        return Err(invalid());
    }
    let (new, old) = (new.enforce, old.enforce);
    let stricter = new.version != old.version || new.level > old.level;
    if new.level != Level::Privileged && stricter {
        for warning in existing(api, write.name, &new) {
            cx.warn(warning);
        }
    }
    Ok(())
}

/// What is told of the pods of a namespace that a new level forbids.
fn existing(api: &Api, namespace: &str, standard: &Standard) -> Vec<String> {
    let range = Range {
        namespace: Some(namespace),
        ..Range::default()
    };
    let page = api.store.list("/pods", &range);
    let pods = page.map(|page| page.items).unwrap_or_default();
    // The names of the pods that each reason is told of.
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, pod) in pods.iter().take(MAX_PODS) {
        let pod = pod.value();
        if let Some(violations) = standard.violations(&Pod::of(&pod)) {
            let names = found.entry(violations.reason).or_default();
            names.push(meta(&pod, "name").to_owned());
        }
    }
    let mut warnings = Vec::new();
    if pods.len() > MAX_PODS {
        warnings.push(format!(
            "new PodSecurity enforce level only checked against the first {MAX_PODS} of {} existing pods",
            pods.len()
        ));
    }
    if !found.is_empty() {
        warnings.push(format!(
            "existing pods in namespace {namespace:?} violate the new PodSecurity enforce level \"{standard}\""
        ));
    }
    let mut told: Vec<String> = found
        .into_iter()
        .map(|(reason, names)| {
            let first = names.iter().min().map_or("", String::as_str);
            match names.len() {
                1 => format!("{first}: {reason}"),
                2 => format!("{first} (and 1 other pod): {reason}"),
                n => format!("{first} (and {} other pods): {reason}", n - 1),
            }
        })
        .collect();
    told.sort();
    warnings.extend(told);
    warnings
}
