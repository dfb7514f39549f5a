//! Copies of what clusters hold, for lists and live updates.
//!
//! One watch per cluster and kind, under the server's own rights, shared by
//! all who look; what each may see of it is decided by `rights`. A copy is made
//! on first use, grows within a bound of bytes, and goes when nobody looks.
//!
//! Invariant: a copy is answered from only while its watch stands; what was
//! written through us is in it before the next answer.

mod contents;
mod entry;
mod fill;
mod list;
mod orders;
mod slot;
mod split;
mod table;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use drover_auth::Clock;
use drover_auth::web::ApiError;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::kind::Kind;
use crate::reach::Reach;
pub(crate) use contents::{Change, Contents, Happened};
pub(crate) use entry::{Entry, Key, applied_key};
pub(crate) use list::list;
pub(crate) use orders::{FEW, Ordered, sorted};
pub(crate) use slot::{Held, Slot};
pub(crate) use table::read as read_table;

/// How large copies may get, and how long they stay.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all copies together; above it the least used go, and what is larger alone is not copied.
    pub bytes: usize,
    /// How long a copy stays after the last look.
    pub idle: Duration,
    /// Above this many copies a search makes no new ones: each is a watch in its cluster.
    pub search_copies: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            idle: Duration::from_secs(5 * 60),
            // All that is searched in some fifteen clusters.
            search_copies: 200,
        }
    }
}

/// Which copy: cluster, group, resource.
type Id = (String, String, String);

/// All copies of this server.
pub(crate) struct Caches {
    reach: Arc<dyn Reach>,
    clock: Clock,
    limits: Limits,
    slots: Mutex<HashMap<Id, Arc<Slot>>>,
    bytes: AtomicUsize,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Caches {
    pub(crate) fn new(reach: Arc<dyn Reach>, clock: Clock, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            reach,
            clock,
            limits,
            slots: Mutex::default(),
            bytes: AtomicUsize::new(0),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        })
    }

    /// The copy of a kind, filled; it stays at least as long as it is held. `None`: it would be too large.
    ///
    /// # Errors
    /// When the cluster cannot be reached or refuses the list.
    pub(crate) async fn get(
        self: &Arc<Self>,
        cluster: &str,
        kind: &Kind,
    ) -> Result<Option<Held>, ApiError> {
        let held = self.hold(cluster, kind);
        if held.ready().await? {
            Ok(Some(held))
        } else {
            Ok(None)
        }
    }

    fn hold(self: &Arc<Self>, cluster: &str, kind: &Kind) -> Held {
        let id = (
            cluster.to_owned(),
            kind.group.clone(),
            kind.resource.clone(),
        );
        let mut slots = self.slots.lock();
        // Another version of the kind has other columns and fields.
        let known = slots
            .get(&id)
            .filter(|slot| slot.kind.version == kind.version && !slot.is_over());
        if let Some(slot) = known {
            return slot.hold();
        }
        let slot = Arc::new(Slot::new(cluster, kind.clone(), self.stop.child_token()));
        if let Some(before) = slots.insert(id.clone(), Arc::clone(&slot)) {
            before.end();
        }
        let held = slot.hold();
        drop(slots);
        let (caches, span) = (
            Arc::clone(self),
            tracing::info_span!("copy", %cluster, resource = %kind.plural()),
        );
        self.tasks.spawn(
            async move {
                fill::run(&caches, &slot).await;
                caches.forget(&id, &slot);
            }
            .instrument(span),
        );
        held
    }

    /// The copy of a kind if there is one that is filled already.
    pub(crate) fn peek(&self, cluster: &str, kind: &Kind) -> Option<Held> {
        let id = (
            cluster.to_owned(),
            kind.group.clone(),
            kind.resource.clone(),
        );
        let slots = self.slots.lock();
        let slot = slots.get(&id)?;
        slot.is_live().then(|| slot.hold())
    }

    /// The copies of a cluster that are filled. Looking at them does not make them stay.
    pub(crate) fn live(&self, cluster: &str) -> Vec<Arc<Slot>> {
        let slots = self.slots.lock();
        slots
            .values()
            .filter(|slot| slot.cluster == cluster && slot.is_live())
            .cloned()
            .collect()
    }

    /// The slot behind a kind, also while it is being filled, to tell it of a write.
    pub(crate) fn written(&self, cluster: &str, kind: &Kind) -> Option<Held> {
        let id = (
            cluster.to_owned(),
            kind.group.clone(),
            kind.resource.clone(),
        );
        let slots = self.slots.lock();
        slots.get(&id).map(Slot::hold)
    }

    /// How many copies a search may still make: none once they fill half of the bytes, so that it drives out nothing
    /// that people look at.
    pub(crate) fn room_for_search(&self) -> usize {
        if self.bytes.load(Ordering::Relaxed) > self.limits.bytes / 2 {
            return 0;
        }
        self.limits
            .search_copies
            .saturating_sub(self.slots.lock().len())
    }

    /// How many copies there are of each cluster, among these kinds.
    pub(crate) fn n_copies(&self, kinds: &[&str]) -> HashMap<String, usize> {
        let mut copies = HashMap::new();
        let slots = self.slots.lock();
        for slot in slots
            .values()
            .filter(|slot| kinds.contains(&&*slot.kind.id))
        {
            *copies.entry(slot.cluster.clone()).or_default() += 1;
        }
        copies
    }

    /// When each cluster was last looked at, of those with copies.
    pub(crate) fn last_looks(&self) -> HashMap<String, Instant> {
        let mut looks = HashMap::new();
        for slot in self.slots.lock().values() {
            let used = if slot.is_held() {
                Instant::now()
            } else {
                slot.last_used()
            };
            let known = looks.entry(slot.cluster.clone()).or_insert(used);
            *known = used.max(*known);
        }
        looks
    }

    fn forget(&self, id: &Id, slot: &Arc<Slot>) {
        let mut slots = self.slots.lock();
        if slots.get(id).is_some_and(|known| Arc::ptr_eq(known, slot)) {
            slots.remove(id);
        }
        drop(slots);
        self.resize(slot.release(), 0);
    }

    fn resize(&self, before: usize, after: usize) {
        self.bytes.fetch_add(after, Ordering::Relaxed);
        self.bytes.fetch_sub(before, Ordering::Relaxed);
    }

    /// Makes room after `grown` grew; whether it may stay.
    fn make_room(&self, grown: &Arc<Slot>) -> bool {
        if self.bytes.load(Ordering::Relaxed) <= self.limits.bytes {
            return true;
        }
        let mut others: Vec<Arc<Slot>> = self
            .slots
            .lock()
            .values()
            .filter(|slot| !Arc::ptr_eq(slot, grown) && !slot.is_held())
            .cloned()
            .collect();
        others.sort_by_key(|slot| slot.last_used());
        for other in others {
            if self.bytes.load(Ordering::Relaxed) <= self.limits.bytes {
                break;
            }
            tracing::debug!(cluster = %other.cluster, resource = %other.kind.resource, "a copy gives way");
            other.end();
            self.resize(other.release(), 0);
        }
        self.bytes.load(Ordering::Relaxed) <= self.limits.bytes
    }

    /// Bytes and number of all copies.
    #[cfg(test)]
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.bytes.load(Ordering::Relaxed), self.slots.lock().len())
    }

    /// Ends all watches.
    pub(crate) async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl std::fmt::Debug for Caches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caches").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
