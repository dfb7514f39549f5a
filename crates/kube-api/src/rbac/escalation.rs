//! Nobody grants what he does not hold.
//!
//! A role may contain only what its author holds, unless he may `escalate` that role; a binding may refer only to a role
//! whose rules its author holds, unless he may `bind` it (kubernetes `pkg/registry/rbac/*/policybased`, v1.36).

use std::collections::BTreeMap;

use serde_json::Value;

use super::{MASTERS, Rule};
use crate::Identity;
use crate::registry::Write;
use crate::rest::{Api, Attributes, Context};
use crate::status::StatusError;
use crate::store::Key;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Refuses a write of a role or binding that would give its author's peers more than he has.
pub(crate) fn check(api: &Api, cx: &Context, write: &Write<'_>) -> Result<(), StatusError> {
    let Some(new) = write.new else { return Ok(()) };
    if cx.identity.groups.iter().any(|group| group == MASTERS)
        || only_ownership_changes(new, write.old)
    {
        return Ok(());
    }
    let plural = &*write.resource.plural;
    let text = |pointer: &str| {
        new.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (name, namespace) = (text("/metadata/name"), text("/metadata/namespace"));
    let may = |verb: &str, resource: &str, name: &str| {
        let attributes = Attributes {
            verb,
            group: GROUP,
            version: "v1",
            resource,
            namespace,
            name,
            ..Attributes::default()
        };
        api.authorizer
            .authorize(api, &cx.identity, &attributes)
            .allowed()
    };
    let wanted = match plural {
        "roles" | "clusterroles" => {
            if may("escalate", plural, name) {
                return Ok(());
            }
            if new["aggregationRule"].is_object()
                && plural == "clusterroles"
                && !holds_everything(api, &cx.identity)
            {
                return Err(StatusError::forbidden(
                    GROUP,
                    plural,
                    name,
                    "must have cluster-admin privileges to use an aggregationRule",
                ));
            }
            Rule::all(new)
        }
        "rolebindings" | "clusterrolebindings" => {
            let kind = text("/roleRef/kind");
            let role = text("/roleRef/name");
            let (resource, home) = if kind == "ClusterRole" {
                ("clusterroles", "")
            } else {
                ("roles", namespace)
            };
            if may("bind", resource, role) {
                return Ok(());
            }
            let stored = api
                .store
                .get(&format!("{GROUP}/{resource}"), &Key::new(home, role));
            // The real server names the kind that is written.
            let stored = stored.ok_or_else(|| StatusError::not_found(GROUP, plural, role))?;
            Rule::all(&stored.value())
        }
        _ => return Ok(()),
    };
    confirm(api, &cx.identity, namespace, &wanted)
        .map_err(|problem| StatusError::forbidden(GROUP, plural, name, &problem))
}

fn holds_everything(api: &Api, identity: &Identity) -> bool {
    let everything = [
        Rule {
            verbs: vec!["*".to_owned()],
            groups: vec!["*".to_owned()],
            resources: vec!["*".to_owned()],
            ..Rule::default()
        },
        Rule {
            verbs: vec!["*".to_owned()],
            paths: vec!["*".to_owned()],
            ..Rule::default()
        },
    ];
    confirm(api, identity, "", &everything).is_ok()
}

/// Whether all of `wanted` is held; else the message says what is not.
fn confirm(api: &Api, identity: &Identity, namespace: &str, wanted: &[Rule]) -> Result<(), String> {
    let held = api
        .authorizer
        .rules(api, identity, namespace)
        .iter()
        .map(Rule::from_value)
        .collect::<Vec<_>>();
    let missing = wanted
        .iter()
        .flat_map(Rule::atoms)
        .filter(|atom| !held.iter().any(|rule| rule.covers(atom)))
        .collect::<Vec<_>>();
    if missing.is_empty() {
        return Ok(());
    }
    let groups = identity
        .groups
        .iter()
        .map(|group| format!("{group:?}"))
        .collect::<Vec<_>>()
        .join(" ");
    let mut rules = compact(missing)
        .iter()
        .map(Rule::describe)
        .collect::<Vec<_>>();
    rules.sort();
    let rules = rules.join("\n");
    Err(format!(
        "user {:?} (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n{rules}",
        identity.user
    ))
}

/// Joins atoms that differ in their verb only.
fn compact(atoms: Vec<Rule>) -> Vec<Rule> {
    let mut joined: BTreeMap<Rule, Vec<String>> = BTreeMap::new();
    for atom in atoms {
        let verbs = atom.verbs;
        joined
            .entry(Rule {
                verbs: Vec::new(),
                ..atom
            })
            .or_default()
            .extend(verbs);
    }
    joined
        .into_iter()
        .map(|(rule, verbs)| Rule { verbs, ..rule })
        .collect()
}

/// Whether a write only changes what garbage collection needs.
fn only_ownership_changes(new: &Value, old: Option<&Value>) -> bool {
    let Some(old) = old else { return false };
    let strip = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            for member in [
                "ownerReferences",
                "finalizers",
                "managedFields",
                "resourceVersion",
            ] {
                metadata.remove(member);
            }
        }
        object
    };
    strip(new) == strip(old)
}
