//! Paths of a host that are there twice.

use std::collections::HashMap;

use serde_json::{Value, json};

/// Rules in which each path of a host is there once. As with the peer: what leads there last counts, with the workloads
/// that others lead to; a rule that is left without paths goes.
pub(super) fn joined(rules: &[Value]) -> Vec<Value> {
    let key = |rule: &Value, path: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&rule["host"]), text(&path["path"]))
    };
    let mut known: HashMap<(String, String), Joined> = HashMap::new();
    for (rule, paths) in rules.iter().map(|rule| (rule, &rule["paths"])) {
        for path in paths.as_array().into_iter().flatten() {
            let joined = known.entry(key(rule, path)).or_default();
            joined.n_left += 1;
            for id in path["workloadIds"].as_array().into_iter().flatten() {
                if !joined.workloads.contains(id) {
                    joined.workloads.push(id.clone());
                }
            }
        }
    }
    let mut rules = rules.to_vec();
    rules.retain_mut(|rule| {
        let mut paths = rule["paths"].as_array().cloned().unwrap_or_default();
        if paths.is_empty() {
            return true;
        }
        paths.retain_mut(|path| {
            let Some(joined) = known.get_mut(&key(rule, path)) else {
                return true;
            };
            joined.n_left -= 1;
            if joined.n_left == 0 && !joined.workloads.is_empty() {
                path["workloadIds"] = json!(joined.workloads);
            }
            joined.n_left == 0
        });
        let is_left = !paths.is_empty();
        rule["paths"] = json!(paths);
        is_left
    });
    rules
}

/// What leads to one path of one host.
#[derive(Default)]
struct Joined {
    /// How many are still to come.
    n_left: usize,
    workloads: Vec<Value>,
}
