//! ResourceQuotas: how much a namespace may hold (apiserver `pkg/admission/plugin/resourcequota`, v0.36).
//!
//! Owns the decision whether a write fits, and what it takes: before an object is stored, what it uses is added to
//! `status.used` of the quotas that count it, each at the version it was read, so that two writes never take the same
//! room. [`usage`] tells what objects use, [`keep`] puts right what is used when objects change or go.
//!
//! Invariant: between taking room and the end of the write that took it, nobody counts anew what is used in that
//! namespace; a write that fails says so, and then it is counted anew.

pub(crate) mod keep;
mod scopes;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use drover_structural::quantity::Quantity;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::{Notify, RwLock, RwLockReadGuard};

use self::usage::Counted;
use super::limits::{Amounts, amounts};
use super::{Operation, Write, forbidden};
use crate::registry::ServersOwn;
use crate::rest::notes::Notes;
use crate::rest::object::meta;
use crate::rest::options::WriteOptions;
use crate::rest::write::{Mutated, Target, Tracking, update};
use crate::rest::{Api, Context};
use crate::status::StatusError;
use crate::store::Range;

const TABLE: &str = "/resourcequotas";
/// As how many namespaces can be written to without waiting for each other's counts.
const LOCKS: usize = 64;
/// By whose name the server takes room.
const MANAGER: &str = "kube-apiserver";

/// What writes and counts of a server share.
#[derive(Debug)]
pub(crate) struct Quotas {
    /// Held for reading from taking room to the end of the write, for writing while a namespace is counted.
    locks: [RwLock<()>; LOCKS],
    /// Namespaces to count anew.
    wrong: Mutex<BTreeSet<String>>,
    changed: Notify,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            locks: std::array::from_fn(|_| RwLock::default()),
            wrong: Mutex::default(),
            changed: Notify::new(),
        }
    }
}

impl Quotas {
    fn lock(&self, namespace: &str) -> &RwLock<()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(namespace);
        let place = usize::try_from(hash % LOCKS as u64).unwrap_or_default();
        &self.locks[place]
    }

    /// Has a namespace counted anew.
    fn recount(&self, namespace: &str) {
        self.wrong.lock().insert(namespace.to_owned());
        self.changed.notify_one();
    }
}

/// Room that a write took. Dropped before the write is done, it is given back.
#[derive(Debug)]
pub(crate) struct Taken<'q> {
    quotas: &'q Quotas,
    /// Where to count anew when this is dropped; empty if nothing changes there.
    namespace: String,
    counting: Option<RwLockReadGuard<'q, ()>>,
}

impl Taken<'_> {
    /// The write is done.
    pub(crate) fn keep(mut self) {
        if self.counting.is_some() {
            self.namespace.clear();
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if !self.namespace.is_empty() {
            self.quotas.recount(&self.namespace);
        }
    }
}

/// The quotas of a namespace.
fn of_namespace(api: &Api, namespace: &str) -> Vec<Value> {
    if namespace.is_empty() || api.store.count(TABLE) == 0 {
        return Vec::new();
    }
    let range = Range {
        namespace: Some(namespace),
        ..Range::default()
    };
    let page = api.store.list(TABLE, &range);
    let items = page.map(|page| page.items).unwrap_or_default();
    items.iter().map(|(_, item)| item.value()).collect()
}

/// Takes the room that a write needs, unless it only asks whether there is any.
///
/// # Errors
///
/// The refusal of the first quota that it does not fit.
pub(crate) async fn take<'q>(
    api: &'q Arc<Api>,
    cx: &Context,
    write: &Write<'_>,
) -> Result<Taken<'q>, StatusError> {
    let mut taken = Taken {
        quotas: &api.quotas,
        namespace: String::new(),
        counting: None,
    };
    let Some(counted) = Counted::of(write) else {
        return Ok(taken);
    };
    if of_namespace(api, write.namespace).is_empty() {
        return Ok(taken);
    }
    if cx.own {
        // What the server adds is not refused, but counts.
        write.namespace.clone_into(&mut taken.namespace);
        return Ok(taken);
    }
    taken.counting = Some(api.quotas.lock(write.namespace).read().await);
    let mut needed = Vec::new();
    for quota in of_namespace(api, write.namespace) {
        if needs(&quota, &counted, write)?.is_some() {
            needed.push(meta(&quota, "name").to_owned());
        }
    }
    if write.dry_run {
        return Ok(taken);
    }
    for name in needed {
        write.namespace.clone_into(&mut taken.namespace);
        take_from(api, &counted, write, &name).await?;
    }
    Ok(taken)
}

/// Adds to what is used of one quota, by its newest version.
async fn take_from(
    api: &Arc<Api>,
    counted: &Counted<'_>,
    write: &Write<'_>,
    name: &str,
) -> Result<(), StatusError> {
    let resource = api
        .registry
        .get("", "v1", "resourcequotas")
        .ok_or_else(StatusError::no_such_resource)?;
    let mut target = Target::object(&resource, write.namespace, name);
    "status".clone_into(&mut target.subresource);
    target.strategy = Arc::new(ServersOwn);
    let cx = Context::system(api.clock.now(), MANAGER);
    let mut change = |quota: &Value| {
        let mut object = quota.clone();
        if let Some(used) = needs(quota, counted, write)? {
            object["status"]["used"] = texts(&used);
        }
        Ok(Mutated {
            object,
            notes: Notes::default(),
            tracking: Tracking::Update,
        })
    };
    let options = WriteOptions::default();
    // Boxed, since a write may need room and taking that is a write.
    match Box::pin(update(api, &cx, &target, &options, &mut change)).await {
        // A quota that is gone limits nothing.
        Err(error) if error.is_not_found() => Ok(()),
        result => result.map(drop),
    }
}

fn texts(amounts: &Amounts) -> Value {
    let texts = amounts
        .iter()
        .map(|(name, amount)| (name.clone(), Value::String(amount.to_string())));
    Value::Object(texts.collect::<Map<_, _>>())
}

fn told(amounts: &Amounts, names: &BTreeSet<&String>) -> String {
    let told = amounts.iter().filter(|(name, _)| names.contains(name));
    let told: Vec<String> = told
        .map(|(name, amount)| format!("{name}={amount}"))
        .collect();
    told.join(",")
}

/// What is used of a quota after a write, if that changes; refuses what does not fit.
fn needs(
    quota: &Value,
    counted: &Counted<'_>,
    write: &Write<'_>,
) -> Result<Option<Amounts>, StatusError> {
    let Some(object) = write.new else {
        return Ok(None);
    };
    let hard = amounts(&quota["status"]["hard"]);
    let used = amounts(&quota["status"]["used"]);
    let limited: BTreeSet<&String> = hard.keys().filter(|name| counted.counts(name)).collect();
    if limited.is_empty() || !counted.in_scope(quota, object) {
        return Ok(None);
    }
    let refused = |why: String| Err(forbidden(write, object, &why));
    let name = meta(quota, "name");
    if let Some(problem) = counted.unstated(&limited, object) {
        return refused(format!("failed quota: {name}: {problem}"));
    }
    if limited.iter().any(|name| !used.contains_key(*name)) {
        let names: Vec<&str> = limited.iter().map(|name| name.as_str()).collect();
        return refused(format!(
            "status unknown for quota: {name}, resources: {}",
            names.join(",")
        ));
    }
    let mut more = counted.usage(object);
    if let (Operation::Update, Some(old)) = (write.operation, write.old)
        && counted.in_scope(quota, old)
    {
        let before = counted.usage(old);
        for (name, amount) in &mut more {
            if let Some(before) = before.get(name) {
                *amount = amount.minus(*before);
            }
        }
    }
    let nothing = Quantity::from_int(0);
    more.retain(|name, amount| *amount > nothing && hard.contains_key(name));
    if more.is_empty() {
        return Ok(None);
    }
    let mut after: BTreeMap<String, Quantity> = used.clone();
    for (name, amount) in &more {
        let sum = used.get(name).map_or(*amount, |used| used.plus(*amount));
        after.insert(name.clone(), sum);
    }
    let exceeded: BTreeSet<&String> = more
        .keys()
        .filter(|name| after[*name] > hard[*name])
        .collect();
    if !exceeded.is_empty() {
        return refused(format!(
            "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
            told(&more, &exceeded),
            told(&used, &exceeded),
            told(&hard, &exceeded)
        ));
    }
    Ok(Some(after))
}
