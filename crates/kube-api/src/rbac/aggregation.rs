//! Cluster roles that are made of others.
//!
//! A cluster role with an `aggregationRule` has the rules of all cluster roles that its selectors match, in order of
//! their names. The task compares and writes only differences, so it settles after one round.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::rest::Api;
use crate::store::{Change, ChangeAction, Draft, Range, Stored};

const TABLE: &str = "rbac.authorization.k8s.io/clusterroles";

/// Keeps aggregated roles up to date until `stop`.
pub(crate) async fn run(api: Arc<Api>, stop: CancellationToken) {
    let mut changes = api.store.subscribe_table(TABLE);
    loop {
        changes.mark_unchanged();
        refresh(&api).await;
        tokio::select! {
            () = stop.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

/// One round.
pub(crate) async fn refresh(api: &Api) {
    let Ok(page) = api.store.list(TABLE, &Range::default()) else {
        return;
    };
    let roles = page
        .items
        .iter()
        .map(|(key, stored)| (key.clone(), Arc::clone(stored), stored.value()))
        .collect::<Vec<_>>();
    for (key, stored, role) in &roles {
        let Some(selectors) = role
            .pointer("/aggregationRule/clusterRoleSelectors")
            .and_then(Value::as_array)
        else {
            continue;
        };
        let mut rules: Vec<Value> = Vec::new();
        for (other_key, _, other) in &roles {
            if other_key == key
                || !selectors
                    .iter()
                    .any(|selector| selects(selector, &other["metadata"]["labels"]))
            {
                continue;
            }
            for rule in other["rules"].as_array().into_iter().flatten() {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
        if role["rules"].as_array().map_or(&[][..], Vec::as_slice) == rules {
            continue;
        }
        let mut role = role.clone();
        role["rules"] = json!(rules);
        write(api, key.clone(), stored, &role).await;
    }
}

async fn write(api: &Api, key: crate::store::Key, stored: &Stored, role: &Value) {
    let Ok(draft) = Draft::new(role, stored.mark) else {
        return;
    };
    let change = Change {
        table: TABLE.into(),
        key,
        action: ChangeAction::Update(draft, stored.revision),
    };
    // A conflict means that the role changed, which starts the next round.
    if let Err(error) = api.store.write(change).await {
        tracing::debug!(%error, role = %role["metadata"]["name"], "aggregated role not written");
    }
}

/// Whether a label selector matches a set of labels.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    let equal = selector["matchLabels"]
        .as_object()
        .into_iter()
        .flatten()
        .all(|(key, value)| label(key).is_some() && label(key) == value.as_str());
    let expressions = selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
        .all(|expression| {
            let held = label(expression["key"].as_str().unwrap_or_default());
            let listed = || {
                expression["values"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|value| value.as_str() == held)
            };
            match expression["operator"].as_str().unwrap_or_default() {
                "In" => held.is_some() && listed(),
                "NotIn" => held.is_none() || !listed(),
                "Exists" => held.is_some(),
                "DoesNotExist" => held.is_none(),
                _ => false,
            }
        });
    equal && expressions
}
