//! Objects, revisions and history: durable before acknowledged, read from memory.
//!
//! Owns the state of the server. Every write gets the next revision of one counter over everything; its row and the
//! counter are on disk (`synchronous=FULL`) before anybody sees it. What an object means is `rest`'s: here it is bytes
//! under a table name and a key.
//!
//! What is held in memory, and why: the newest version of every object as its compact JSON (no value trees), so that a
//! read takes no file access and no parsing, and a list concatenates bytes; and a window of past events per table, each
//! sharing its bytes with the objects, from which watches resume and pages of one snapshot are rebuilt by undoing what
//! came after. Memory is the sum of the objects plus about 150 bytes each; that bounds how many fit. The file holds no
//! history: after a restart, a watch resumes from the newest revision only, anything older is `Expired` and relisted.
//!
//! One thread writes. Writes that wait while it syncs share its next transaction.
//!
//! Invariants: revisions only grow, also over restarts; readers never see what is not durable; the events of a table
//! are ordered and without gaps from `compacted` on; a change is applied only to the version its author saw.

mod backup;
mod draft;
mod file;
mod memory;
mod wal;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, oneshot, watch};

pub use backup::{BackupError, Contents, backup, restore};
pub(crate) use draft::Draft;
pub(crate) use file::StoreOpenError;
use memory::State;
pub(crate) use memory::{Event, EventKind, Expired, Key, Page, Range, Stored};

/// Bounds of the store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreLimits {
    /// Largest object in bytes.
    pub(crate) object_bytes: usize,
    /// Largest file in bytes; 0 = as the disk allows.
    pub(crate) file_bytes: u64,
    /// Past events kept per table, at most.
    pub(crate) history_events: usize,
    /// Bytes of outdated versions kept alive by the events of one table, at most.
    pub(crate) history_bytes: usize,
    /// Events older than this are forgotten.
    pub(crate) history_age: Duration,
}

/// Where the store keeps its rows.
#[derive(Debug, Clone)]
pub(crate) enum StorePlace {
    File(PathBuf),
    Memory,
}

/// One change of one object.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) table: Arc<str>,
    pub(crate) key: Key,
    pub(crate) action: ChangeAction,
}

impl Change {
    /// About the bytes it writes.
    fn len(&self) -> usize {
        match &self.action {
            ChangeAction::Create(draft) | ChangeAction::Update(draft, _) => draft.len(),
            ChangeAction::Delete(..) => 0,
        }
    }
}

/// What to do, and to which version.
#[derive(Debug)]
pub(crate) enum ChangeAction {
    /// The key must be free.
    Create(Draft),
    /// The object must be at this revision.
    Update(Draft, u64),
    /// The object must be at this revision; the draft is its last state, as watches see it.
    Delete(Draft, u64),
}

impl ChangeAction {
    /// What follows on a revision: the next state of the object, or its `last`.
    pub(crate) fn following(revision: u64, draft: Draft, last: bool) -> Self {
        if last {
            Self::Delete(draft, revision)
        } else {
            Self::Update(draft, revision)
        }
    }
}

/// Why a change was not made. None of them leaves a trace.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("the key is taken")]
    Exists,
    /// The object is gone or at another revision.
    #[error("the object changed in between")]
    Conflict,
    #[error("the object has {0} bytes")]
    TooLarge(usize),
    #[error("no space left for the database")]
    NoSpace,
    #[error("the database failed: {0}")]
    Failed(Arc<str>),
    #[error("the store is closed")]
    Closed,
}

struct Shared {
    state: RwLock<State>,
    writer: Mutex<Option<writer::Handle>>,
    limits: StoreLimits,
    path: Option<PathBuf>,
    revision: watch::Sender<u64>,
}

/// A handle on the store; clones share it.
#[derive(Clone)]
pub(crate) struct Store {
    shared: Arc<Shared>,
    changes: mpsc::Sender<writer::Request>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens or makes the store. Blocks on the file.
    pub(crate) fn open(place: &StorePlace, limits: StoreLimits) -> Result<Self, StoreOpenError> {
        let mut state = State::default();
        let file = match place {
            StorePlace::File(path) => Some(file::File::open(path, limits.file_bytes, &mut state)?),
            StorePlace::Memory => None,
        };
        let revision = watch::Sender::new(state.revision());
        let shared = Arc::new(Shared {
            state: RwLock::new(state),
            writer: Mutex::new(None),
            limits,
            path: match place {
                StorePlace::File(path) => Some(path.clone()),
                StorePlace::Memory => None,
            },
            revision,
        });
        let (handle, changes) = writer::start(Arc::clone(&shared), file);
        *shared.writer.lock() = Some(handle);
        Ok(Self { shared, changes })
    }

    /// The newest revision anybody can see.
    pub(crate) fn revision(&self) -> u64 {
        *self.shared.revision.borrow()
    }

    /// Follows [`Store::revision`].
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.shared.revision.subscribe()
    }

    /// Follows the newest revision of one table.
    pub(crate) fn subscribe_table(&self, table: &str) -> watch::Receiver<u64> {
        if let Some(receiver) = self.shared.state.read().subscribe(table) {
            return receiver;
        }
        self.shared.state.write().subscribe_new(table)
    }

    /// The newest revision of one table; 0 if it never had an object since the store was opened empty.
    pub(crate) fn table_revision(&self, table: &str) -> u64 {
        self.shared.state.read().table_revision(table)
    }

    /// One object.
    pub(crate) fn get(&self, table: &str, key: &Key) -> Option<Arc<Stored>> {
        self.shared.state.read().get(table, key)
    }

    /// One object, and the revision at which it was read.
    pub(crate) fn get_at_revision(&self, table: &str, key: &Key) -> (Option<Arc<Stored>>, u64) {
        let state = self.shared.state.read();
        (state.get(table, key), state.revision())
    }

    /// Objects of one table in key order.
    pub(crate) fn list(&self, table: &str, range: &Range<'_>) -> Result<Page, Expired> {
        self.shared.state.read().list(table, range)
    }

    /// How many objects a table holds.
    pub(crate) fn count(&self, table: &str) -> usize {
        self.shared.state.read().count(table)
    }

    /// The tables that hold objects.
    pub(crate) fn tables(&self) -> Vec<Arc<str>> {
        self.shared.state.read().tables()
    }

    /// At most `limit` events of a table after `revision`, in order, and the revision up to which the answer is
    /// complete.
    pub(crate) fn events(
        &self,
        table: &str,
        revision: u64,
        limit: usize,
    ) -> Result<(Vec<Arc<Event>>, u64), Expired> {
        self.shared.state.read().events(table, revision, limit)
    }

    /// Makes one change and returns the stored object once it is durable. Not cancellable: a dropped call may still
    /// take effect.
    pub(crate) async fn write(&self, change: Change) -> Result<Arc<Stored>, WriteError> {
        let size = change.len();
        if size > self.shared.limits.object_bytes {
            return Err(WriteError::TooLarge(size));
        }
        let (reply, answer) = oneshot::channel();
        if self
            .changes
            .send(writer::Request::Change(change, reply))
            .await
            .is_err()
        {
            return Err(WriteError::Closed);
        }
        answer.await.unwrap_or(Err(WriteError::Closed))
    }

    /// Forgets events older than the window.
    pub(crate) fn compact(&self, now: std::time::Instant) {
        let age = self.shared.limits.history_age;
        self.shared.state.write().compact(now, age);
    }

    /// The file, if there is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.shared.path.as_deref()
    }

    /// Finishes what was accepted and closes the file. Later writes fail with `Closed`. Blocks, so not to be called
    /// from a task.
    pub(crate) fn close(&self) {
        // A full queue delays this by one group at most.
        let _ = self.changes.blocking_send(writer::Request::Close);
        let handle = self.shared.writer.lock().take();
        if let Some(handle) = handle {
            handle.join();
        }
    }
}

#[cfg(test)]
mod tests;
