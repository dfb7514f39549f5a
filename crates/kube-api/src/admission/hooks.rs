//! The policies of a server, compiled, with those who use them. They are kept until one of them changes.

use std::sync::Arc;

use parking_lot::RwLock;
use serde_json::Value;

use super::mutating::Mutating;
use super::policy::Binding;
use super::validating::Validating;
use crate::store::{Range, Store};

const TABLES: [[&str; 2]; 2] = [
    [
        "admissionregistration.k8s.io/validatingadmissionpolicies",
        "admissionregistration.k8s.io/validatingadmissionpolicybindings",
    ],
    [
        "admissionregistration.k8s.io/mutatingadmissionpolicies",
        "admissionregistration.k8s.io/mutatingadmissionpolicybindings",
    ],
];

/// A policy with those who use it.
#[derive(Debug)]
pub(super) struct Hook<P> {
    pub(super) policy: P,
    pub(super) bindings: Vec<Binding>,
}

/// The compiled policies of a kind, and up to which revisions their tables were read.
#[derive(Debug)]
struct Compiled<P> {
    read: Option<[u64; 2]>,
    hooks: Arc<[Hook<P>]>,
}

impl<P> Default for Compiled<P> {
    fn default() -> Self {
        Self {
            read: None,
            hooks: Arc::new([]),
        }
    }
}

/// The policies of a server.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    validating: RwLock<Compiled<Validating>>,
    mutating: RwLock<Compiled<Mutating>>,
}

impl Policies {
    pub(super) fn validating(&self, store: &Store) -> Arc<[Hook<Validating>]> {
        hooks(&self.validating, store, TABLES[0], Validating::compile)
    }

    pub(super) fn mutating(&self, store: &Store) -> Arc<[Hook<Mutating>]> {
        hooks(&self.mutating, store, TABLES[1], Mutating::compile)
    }
}

/// The policies in the first of `tables` that somebody in the second uses.
fn hooks<P>(
    kept: &RwLock<Compiled<P>>,
    store: &Store,
    tables: [&str; 2],
    compile: fn(&Value) -> P,
) -> Arc<[Hook<P>]> {
    let newest = tables.map(|table| store.table_revision(table));
    {
        let compiled = kept.read();
        if compiled.read.is_some_and(|read| {
            read.iter()
                .zip(&newest)
                .all(|(read, newest)| read >= newest)
        }) {
            return Arc::clone(&compiled.hooks);
        }
    }
    let mut compiled = kept.write();
    // Read after the revisions were: what came in between is read again next time.
    let bindings = objects(store, tables[1]);
    let hooks = objects(store, tables[0]).into_iter().filter_map(|object| {
        let used = |binding: &&Value| binding["spec"]["policyName"] == object["metadata"]["name"];
        let bindings: Vec<Binding> = bindings.iter().filter(used).map(Binding::of).collect();
        (!bindings.is_empty()).then(|| Hook {
            policy: compile(&object),
            bindings,
        })
    });
    compiled.hooks = hooks.collect();
    compiled.read = Some(newest);
    Arc::clone(&compiled.hooks)
}

fn objects(store: &Store, table: &str) -> Vec<Value> {
    store
        .list(table, &Range::default())
        .map(|page| page.items.iter().map(|(_, item)| item.value()).collect())
        .unwrap_or_default()
}
