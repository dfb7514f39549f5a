//! What is known of each cluster now, in memory only.
//!
//! Owns the board on which observers of live sessions write and from which
//! controllers read. Nothing here is stored: after a restart nothing is
//! known, and what is not known changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

use crate::nodes::{Exposed, Load, Summary};

/// Whether the cluster has a live session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// None seen since we began to look.
    Unseen {
        /// When we began.
        since: Timestamp,
    },
    /// There is one.
    Live,
    /// There was one.
    Lost {
        /// When it ended.
        since: Timestamp,
    },
}

/// How the cluster's API answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Nobody has asked in this session.
    #[default]
    Unknown,
    /// `/readyz` was fine.
    Good,
    /// Several times in a row it was not.
    Bad(String),
}

/// How far the agent's manifest is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Deployed {
    /// Not looked at.
    #[default]
    Unknown,
    /// As it should be.
    Yes {
        /// The agent's image.
        image: String,
    },
    /// Applying failed; it is retried.
    Failed(String),
}

/// How far the rights of the virtual groups are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Not looked at.
    #[default]
    Unknown,
    /// Written; the cluster does not decide by them yet.
    Written {
        /// Since when.
        since: Timestamp,
    },
    /// The cluster decides by them.
    Given,
    /// The cluster refused them; it is tried again.
    Failed(String),
}

/// The nodes of a cluster as its API gave them, complete.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inventory {
    /// Nodes by name, without images and field ownership.
    pub nodes: BTreeMap<String, Node>,
    /// What the pods of each node ask for.
    pub loads: BTreeMap<String, Load>,
    /// Pods with ports of their nodes, in order; `None` until all pods were read.
    pub exposed: Option<Vec<Exposed>>,
}

/// What is known of one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The session.
    pub session: Session,
    /// The API's health in this session.
    pub health: Health,
    /// Answer of `/version` in this session.
    pub version: Option<Value>,
    /// Sums over the nodes, once all were read.
    pub summary: Option<Summary>,
    /// All nodes, once all were read.
    pub inventory: Option<Arc<Inventory>>,
    /// The agent's manifest.
    pub deployed: Deployed,
    /// The roles of the virtual groups.
    pub access: Access,
    /// Whether the agent would work in strict mode, as it says itself.
    pub tls_strict: Option<bool>,
}

impl Facts {
    /// Whether the cluster can be worked in now.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.session == Session::Live && self.health == Health::Good
    }

    /// Nothing known, at `now`.
    #[must_use]
    pub fn unknown(now: Timestamp) -> Self {
        Self {
            session: Session::Unseen { since: now },
            health: Health::Unknown,
            version: None,
            summary: None,
            inventory: None,
            deployed: Deployed::Unknown,
            access: Access::Unknown,
            tls_strict: None,
        }
    }
}

fn mark(all: &watch::Sender<BTreeSet<String>>, cluster: &str, is_one: bool) {
    all.send_if_modified(|all| {
        if is_one {
            all.insert(cluster.to_owned())
        } else {
            all.remove(cluster)
        }
    });
}

/// The facts of all clusters.
#[derive(Debug)]
pub(crate) struct Board {
    since: Timestamp,
    facts: Mutex<HashMap<String, Facts>>,
    isolated: watch::Sender<BTreeSet<String>>,
    /// Clusters with names that stand for other names.
    named: watch::Sender<BTreeSet<String>>,
    /// By cluster, namespaces with Services whose pods are labelled.
    aimed: Mutex<HashMap<String, BTreeSet<String>>>,
}

impl Board {
    pub(crate) fn new(since: Timestamp) -> Self {
        Self {
            since,
            facts: Mutex::new(HashMap::new()),
            isolated: watch::Sender::default(),
            named: watch::Sender::default(),
            aimed: Mutex::default(),
        }
    }

    /// What is known of a cluster.
    pub(crate) fn get(&self, cluster: &str) -> Facts {
        self.facts
            .lock()
            .get(cluster)
            .cloned()
            .unwrap_or_else(|| Facts::unknown(self.since))
    }

    /// Changes what is known; answers whether that was a change.
    pub(crate) fn update(&self, cluster: &str, change: impl FnOnce(&mut Facts)) -> bool {
        let mut facts = self.facts.lock();
        let known = facts
            .entry(cluster.to_owned())
            .or_insert_with(|| Facts::unknown(self.since));
        let mut changed = known.clone();
        change(&mut changed);
        if changed == *known {
            return false;
        }
        *known = changed;
        true
    }

    /// Says whether somebody has to be told what changes on a cluster's network.
    pub(crate) fn isolate(&self, cluster: &str, isolated: bool) {
        mark(&self.isolated, cluster, isolated);
    }

    /// The clusters of which it is so.
    pub(crate) fn isolated(&self) -> watch::Receiver<BTreeSet<String>> {
        self.isolated.subscribe()
    }

    /// Says whether somebody has to be told what addresses Services of a cluster have.
    pub(crate) fn name(&self, cluster: &str, has_names: bool) {
        mark(&self.named, cluster, has_names);
    }

    /// The clusters of which it is so.
    pub(crate) fn named(&self) -> watch::Receiver<BTreeSet<String>> {
        self.named.subscribe()
    }

    /// Says of which namespaces somebody has to be told what pods there are.
    pub(crate) fn aim(&self, cluster: &str, namespaces: BTreeSet<String>) {
        let mut aimed = self.aimed.lock();
        if namespaces.is_empty() {
            aimed.remove(cluster);
        } else {
            aimed.insert(cluster.to_owned(), namespaces);
        }
    }

    /// Those namespaces.
    pub(crate) fn aimed(&self, cluster: &str) -> BTreeSet<String> {
        self.aimed.lock().get(cluster).cloned().unwrap_or_default()
    }

    /// Whether a namespace is among them.
    pub(crate) fn is_aimed(&self, cluster: &str, namespace: &str) -> bool {
        let aimed = self.aimed.lock();
        aimed.get(cluster).is_some_and(|of| of.contains(namespace))
    }

    /// Forgets a cluster that is gone.
    pub(crate) fn forget(&self, cluster: &str) {
        self.facts.lock().remove(cluster);
    }
}
