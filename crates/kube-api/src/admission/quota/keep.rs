//! What is used of quotas, kept up as objects change and go (kubernetes `pkg/controller/resourcequota`, v1.36).
//!
//! Follows the quotas, and the tables of what they count. A namespace in which something changed is counted anew, while
//! no write that takes room there is under way.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use drover_structural::quantity::Quantity;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::usage::{Counted, table_of};
use super::{TABLE, of_namespace, texts};
use crate::admission::limits::{Amounts, amounts};
use crate::registry::ServersOwn;
use crate::rest::Api;
use crate::rest::object::meta;
use crate::rest::write::{Target, amend};
use crate::status::StatusError;
use crate::store::{EventKind, Key, Range, Stored};

/// Events read from one table at once.
const BATCH: usize = 512;
/// How long until a count that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// By whose name the counts are written.
const MANAGER: &str = "kube-controller-manager";

/// What was seen so far.
#[derive(Debug, Default)]
struct Seen {
    /// The tables that each quota counts, by its key.
    quotas: BTreeMap<Key, BTreeSet<String>>,
    /// Up to which revision each table was read.
    read: HashMap<String, u64>,
    /// Namespaces to count anew.
    wrong: BTreeSet<String>,
}

impl Seen {
    fn quota(&mut self, key: &Key, stored: &Stored) {
        let quota = stored.value();
        let (hard, status) = (amounts(&quota["spec"]["hard"]), &quota["status"]);
        self.quotas.insert(key.clone(), tables(&hard));
        let used = amounts(&status["used"]);
        let counted = |name: &String| used.contains_key(name) || table_of(name).is_none();
        if amounts(&status["hard"]) != hard
            || !status["hard"].is_object()
            || !hard.keys().all(counted)
        {
            self.wrong.insert(key.namespace().to_owned());
        }
    }

    /// Reads what changed in the quotas.
    fn read_quotas(&mut self, api: &Api) {
        while let Some(read) = self.read.get(TABLE).copied() {
            if api.store.table_revision(TABLE) <= read {
                return;
            }
            let Ok((events, complete)) = api.store.events(TABLE, read, BATCH) else {
                break;
            };
            for event in events {
                if event.kind == EventKind::Deleted {
                    self.quotas.remove(&event.key);
                } else {
                    self.quota(&event.key, &event.object);
                }
            }
            self.read.insert(TABLE.to_owned(), complete);
        }
        // At start, and when history has moved past.
        let read = api.store.table_revision(TABLE);
        let page = api.store.list(TABLE, &Range::default());
        self.quotas.clear();
        for (key, stored) in page.map(|page| page.items).unwrap_or_default() {
            self.quota(&key, &stored);
            self.wrong.insert(key.namespace().to_owned());
        }
        self.read.insert(TABLE.to_owned(), read);
    }

    /// Reads what changed in what quotas count.
    fn read_counted(&mut self, api: &Api) {
        let tables: BTreeSet<String> = self.quotas.values().flatten().cloned().collect();
        self.read
            .retain(|table, _| table == TABLE || tables.contains(table));
        let namespaces: BTreeSet<String> = self
            .quotas
            .keys()
            .map(|key| key.namespace().to_owned())
            .collect();
        for table in tables.into_iter().filter(|table| table != TABLE) {
            let newest = api.store.table_revision(&table);
            let Some(mut read) = self.read.get(&table).copied() else {
                // Whoever counts it now counts it whole.
                self.read.insert(table, newest);
                continue;
            };
            while read < newest {
                let Ok((events, complete)) = api.store.events(&table, read, BATCH) else {
                    self.wrong.extend(namespaces.iter().cloned());
                    read = newest;
                    break;
                };
                // What is made takes its room before it is there.
                let changed = events
                    .iter()
                    .filter(|event| event.kind != EventKind::Added)
                    .map(|event| event.key.namespace());
                for namespace in changed.filter(|namespace| namespaces.contains(*namespace)) {
                    self.wrong.insert(namespace.to_owned());
                }
                read = complete;
            }
            self.read.insert(table, read);
        }
    }
}

/// The tables that are counted for these names.
fn tables(hard: &Amounts) -> BTreeSet<String> {
    hard.keys().filter_map(|name| table_of(name)).collect()
}

/// Counts until told to stop.
pub(crate) async fn run(api: Arc<Api>, stop: CancellationToken) {
    let mut seen = Seen::default();
    let mut changes = api.store.subscribe();
    let mut quotas = api.store.subscribe_table(TABLE);
    loop {
        changes.mark_unchanged();
        quotas.mark_unchanged();
        seen.wrong
            .append(&mut std::mem::take(&mut *api.quotas.wrong.lock()));
        seen.read_quotas(&api);
        seen.read_counted(&api);
        for namespace in std::mem::take(&mut seen.wrong) {
            if stop.is_cancelled() {
                return;
            }
            if let Err(error) = count(&api, &namespace).await {
                tracing::debug!(%namespace, %error, "counting what is used of quotas failed");
                seen.wrong.insert(namespace);
            }
        }
        let again = !seen.wrong.is_empty();
        // Where there are no quotas, nothing else matters.
        let idle = seen.quotas.is_empty();
        tokio::select! {
            () = stop.cancelled() => return,
            () = api.quotas.changed.notified() => {}
            changed = quotas.changed(), if idle => if changed.is_err() { return },
            changed = changes.changed(), if !idle => if changed.is_err() { return },
            () = tokio::time::sleep(AGAIN), if again => {}
        }
    }
}

/// Writes what is used in a namespace into its quotas, where that is not so.
async fn count(api: &Arc<Api>, namespace: &str) -> Result<(), StatusError> {
    let resource = api
        .registry
        .get("", "v1", "resourcequotas")
        .ok_or_else(StatusError::no_such_resource)?;
    let _alone = api.quotas.lock(namespace).write().await;
    for quota in of_namespace(api, namespace) {
        let name = meta(&quota, "name");
        let mut target = Target::object(&resource, namespace, name);
        "status".clone_into(&mut target.subresource);
        target.strategy = Arc::new(ServersOwn);
        let change = |quota: &mut Value| {
            let hard = amounts(&quota["spec"]["hard"]);
            let before = amounts(&quota["status"]["used"]);
            let used = used(api, namespace, quota, &hard);
            let known = amounts(&quota["status"]["hard"]);
            if used != before || hard != known || !quota["status"]["used"].is_object() {
                quota["status"] = json!({"hard": texts(&hard), "used": texts(&used)});
            }
        };
        match amend(api, &target, MANAGER, change).await {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// What the objects of a namespace use of a quota together.
fn used(api: &Api, namespace: &str, quota: &Value, hard: &Amounts) -> Amounts {
    let mut used = Amounts::new();
    for table in tables(hard) {
        let counted = Counted::in_table(&table);
        let range = Range {
            namespace: Some(namespace),
            ..Range::default()
        };
        let page = api.store.list(&table, &range);
        let items = page.map(|page| page.items).unwrap_or_default();
        let mut sum: Amounts = hard
            .keys()
            .filter(|name| counted.counts(name))
            .map(|name| (name.clone(), Quantity::from_int(0)))
            .collect();
        if counted.is_plain() {
            let n = i64::try_from(items.len()).unwrap_or(i64::MAX);
            if counted.in_scope(quota, &Value::Null) {
                sum.values_mut()
                    .for_each(|sum| *sum = Quantity::from_int(n));
            }
        } else {
            let objects = items.iter().map(|(_, item)| item.value());
            for object in objects.filter(|object| counted.in_scope(quota, object)) {
                let usage = counted.usage(&object);
                for (name, sum) in &mut sum {
                    if let Some(amount) = usage.get(name) {
                        *sum = sum.plus(*amount);
                    }
                }
            }
        }
        used.extend(sum);
    }
    used
}
