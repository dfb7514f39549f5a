//! `includeAssociatedData`: with the objects of a list the states of those they make, so that a page of workloads needs
//! no second question. Pods are found by the selectors of workloads, jobs by their CronJob.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::cache::Entry;
use crate::call::{Answer, Call};
use crate::format::namespace;
use crate::kind::Kind;
use crate::list::{Source, visible_in};
use crate::rights::Rights;

/// What objects of a kind make, and whether a selector says which they are; else they name their owner.
fn made_by(kind: &Kind) -> Option<(&'static str, bool)> {
    match kind.id.as_str() {
        "apps.deployment" | "apps.daemonset" | "apps.replicaset" | "apps.statefulset"
        | "batch.job" => Some(("pod", true)),
        "batch.cronjob" => Some(("batch.job", false)),
        _ => None,
    }
}

/// Which children belong to one object.
struct Parent {
    /// Namespace, and one thing they all have: a label, or the owner.
    key: (String, String),
    /// Labels they all have.
    labels: Vec<(String, String)>,
}

impl Parent {
    fn of(object: &Value, uid: &str, by_selector: bool) -> Option<Self> {
        let namespace = namespace(object)?.to_owned();
        if !by_selector {
            return Some(Self {
                key: (namespace, uid.to_owned()),
                labels: Vec::new(),
            });
        }
        let labels = object.pointer("/spec/selector/matchLabels")?.as_object()?;
        let labels: Vec<(String, String)> = labels
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect();
        let (key, value) = labels.first()?;
        Some(Self {
            key: (namespace, label(key, value)),
            labels,
        })
    }

    fn has(&self, child: &Entry) -> bool {
        self.labels
            .iter()
            .all(|(key, value)| child.label(key) == Some(value))
    }
}

fn label(key: &str, value: &str) -> String {
    format!("{key}={value}")
}

/// Adds `metadata.associatedData` to the objects of a page, as far as it is asked for and the caller sees their children.
pub(crate) async fn add(
    call: &Call,
    rights: &Rights,
    kind: &Kind,
    page: &[Arc<Entry>],
    shown: &mut [Map<String, Value>],
) -> Answer<()> {
    if !call.pairs.is_set("includeAssociatedData") || page.is_empty() {
        return Ok(());
    }
    let Some((id, by_selector)) = made_by(kind) else {
        return Ok(());
    };
    let Some(child) = call.shared.catalogs.find(&call.cluster, id).await? else {
        return Ok(());
    };
    if !rights.may_read(&child) {
        return Ok(());
    }
    let source = Source::open(call, &child).await?;
    let parents: Vec<Option<Parent>> = page
        .iter()
        .map(|entry| Parent::of(&entry.object(), &entry.uid, by_selector))
        .collect();
    let extent = rights.extent(&child);
    let children = source.read(|entries, _| {
        let mut found: Vec<Vec<Value>> = vec![Vec::new(); parents.len()];
        let mut wanted: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
        let mut namespaces = BTreeSet::new();
        for (at, parent) in parents.iter().enumerate() {
            if let Some(Parent { key, .. }) = parent {
                namespaces.insert(key.0.as_str());
                wanted.entry((&key.0, &key.1)).or_default().push(at);
            }
        }
        for namespace in namespaces {
            for entry in visible_in(entries, namespace, &extent) {
                let keys: Vec<String> = if by_selector {
                    entry
                        .labels()
                        .map(|(key, value)| label(key, value))
                        .collect()
                } else {
                    entry.depends_on().map(str::to_owned).collect()
                };
                for key in &keys {
                    for at in wanted.get(&(namespace, key.as_str())).into_iter().flatten() {
                        if parents[*at]
                            .as_ref()
                            .is_some_and(|parent| parent.has(entry))
                        {
                            found[*at].push(described(entry));
                        }
                    }
                }
            }
        }
        found
    });
    for (shown, children) in shown.iter_mut().zip(children) {
        if !children.is_empty()
            && let Some(Value::Object(metadata)) = shown.get_mut("metadata")
        {
            let data = json!([{
                "gvk": {"group": child.group, "version": child.version, "kind": child.kind},
                "data": children,
            }]);
            metadata.insert("associatedData".to_owned(), data);
        }
    }
    Ok(())
}

/// A child as the peer tells of it: all values are texts (rancher/steve 7972270, `pkg/sqlcache/informer`).
fn described(entry: &Entry) -> Value {
    json!({
        "childName": entry.name(),
        "state": {
            "name": &*entry.state.name,
            "error": entry.state.error.to_string(),
            "transitioning": entry.state.transitioning.to_string(),
            "message": &*entry.message,
        },
    })
}
