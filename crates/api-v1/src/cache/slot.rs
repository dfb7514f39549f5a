//! The copy of one kind of one cluster.
//!
//! Owns the waiting: until it is filled, until a write has arrived, for the next
//! change; and how long it stays. What it holds is `contents`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use drover_auth::web::ApiError;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::contents::{Change, Contents, Lagged};
use super::entry::{Entry, Key};
use super::orders::{Ordered, Orders};
use crate::cells::Column;
use crate::kind::Kind;
use crate::kubernetes::unavailable;
use crate::query::filter::Filter;
use crate::query::sort::Order;

/// How long a reader waits for a copy to be filled.
const FILLING: Duration = Duration::from_secs(60);
/// How long a reader waits for a write to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
enum Phase {
    Filling,
    Live,
    /// It would be larger than all copies may be.
    TooLarge,
    /// Its task has ended; the next reader makes a new one.
    Over(ApiError),
}

/// What has been written through us and not been seen yet.
#[derive(Debug, Default)]
struct Awaited {
    revision: u64,
    gone: Vec<(Key, Box<str>)>,
}

/// The copy of one kind of one cluster.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) cluster: String,
    pub(crate) kind: Kind,
    contents: RwLock<Contents>,
    /// Locked before the contents, never within.
    orders: Mutex<Orders>,
    awaited: Mutex<Awaited>,
    phase: watch::Sender<Phase>,
    /// Wakes readers; the value has no meaning.
    moved: watch::Sender<u64>,
    holders: AtomicUsize,
    used: Mutex<Instant>,
    stop: CancellationToken,
}

/// A slot that stays while this lives.
#[derive(Debug)]
pub(crate) struct Held(Arc<Slot>);

impl Drop for Held {
    fn drop(&mut self) {
        *self.0.used.lock() = Instant::now();
        self.0.holders.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::ops::Deref for Held {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        &self.0
    }
}

impl Slot {
    pub(super) fn new(cluster: &str, kind: Kind, stop: CancellationToken) -> Self {
        Self {
            cluster: cluster.to_owned(),
            kind,
            contents: RwLock::default(),
            orders: Mutex::default(),
            awaited: Mutex::default(),
            phase: watch::Sender::new(Phase::Filling),
            moved: watch::Sender::new(0),
            holders: AtomicUsize::new(0),
            used: Mutex::new(Instant::now()),
            stop,
        }
    }

    pub(super) fn hold(self: &Arc<Self>) -> Held {
        self.holders.fetch_add(1, Ordering::Relaxed);
        Held(Arc::clone(self))
    }

    pub(super) fn is_held(&self) -> bool {
        self.holders.load(Ordering::Relaxed) > 0
    }

    pub(super) fn last_used(&self) -> Instant {
        *self.used.lock()
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Live)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Over(_))
    }

    pub(super) fn stopped(&self) -> &CancellationToken {
        &self.stop
    }

    /// Ends its task.
    pub(super) fn end(&self) {
        self.set_over(unavailable(
            "the copy of the cluster's objects was given up",
        ));
        self.stop.cancel();
    }

    /// Lets go of all objects; how many bytes they were.
    pub(super) fn release(&self) -> usize {
        let bytes = self.contents.write().release();
        self.orders.lock().forget();
        bytes
    }

    pub(super) fn set_over(&self, error: ApiError) {
        self.phase.send_replace(Phase::Over(error));
        self.wake();
    }

    pub(super) fn set_filling(&self) {
        self.phase.send_replace(Phase::Filling);
    }

    pub(super) fn set_live(&self) {
        self.phase.send_replace(Phase::Live);
        self.wake();
    }

    pub(super) fn set_too_large(&self) {
        self.phase.send_replace(Phase::TooLarge);
        self.wake();
    }

    fn wake(&self) {
        self.moved.send_modify(|count| *count += 1);
    }

    /// Changes the contents; gives the bytes before and after.
    fn change(&self, change: impl FnOnce(&mut Contents)) -> (usize, usize) {
        let mut contents = self.contents.write();
        let before = contents.bytes();
        change(&mut contents);
        let after = contents.bytes();
        drop(contents);
        // Who is just ordering finds out by the version.
        if let Some(mut orders) = self.orders.try_lock() {
            orders.forget();
        }
        self.wake();
        (before, after)
    }

    pub(super) fn replace(
        &self,
        columns: Vec<Column>,
        entries: Vec<Entry>,
        revision: u64,
    ) -> (usize, usize) {
        self.change(|contents| contents.replace(columns, entries, revision))
    }

    pub(super) fn upsert(&self, entry: Entry) -> (usize, usize) {
        self.change(|contents| contents.upsert(entry))
    }

    pub(super) fn remove(&self, entry: Entry) -> (usize, usize) {
        self.change(|contents| contents.remove(entry))
    }

    pub(super) fn bookmark(&self, revision: u64) {
        let mut contents = self.contents.write();
        contents.revision = contents.revision.max(revision);
        drop(contents);
        self.wake();
    }

    /// Reads the contents. Never held over a wait.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Contents) -> T) -> T {
        read(&self.contents.read())
    }

    /// What it holds that passes the filters, in an order, and the revision. It is made once between two changes, whoever
    /// asks.
    pub(crate) fn arranged(&self, filters: &[Filter], order: &Order) -> (Ordered, u64) {
        let mut orders = self.orders.lock();
        let contents = self.contents.read();
        let ordered = orders.arranged(&contents, filters, order);
        (ordered, contents.revision)
    }

    /// As [`Self::arranged`], if somebody asked for the same since the last change.
    pub(crate) fn known(&self, filters: &[Filter], order: &Order) -> Option<(Ordered, u64)> {
        let mut orders = self.orders.lock();
        let contents = self.contents.read();
        let known = orders.known(contents.version, filters, order)?;
        Some((known, contents.revision))
    }

    /// Waits until it is filled. `false`: it would be too large.
    ///
    /// # Errors
    /// Why it could not be filled.
    pub(crate) async fn ready(&self) -> Result<bool, ApiError> {
        let mut phases = self.phase.subscribe();
        let waited = async {
            loop {
                match &*phases.borrow_and_update() {
                    Phase::Filling => {}
                    Phase::Live => return Ok(true),
                    Phase::TooLarge => return Ok(false),
                    Phase::Over(error) => return Err(error.clone()),
                }
                if phases.changed().await.is_err() {
                    return Err(unavailable("the server is stopping"));
                }
            }
        };
        tokio::time::timeout(FILLING, waited)
            .await
            .unwrap_or_else(|_| {
                Err(unavailable(
                    "the cluster takes too long to list its objects",
                ))
            })
    }

    /// Notes a write; the next reader waits for it.
    pub(crate) fn expect_revision(&self, revision: u64) {
        let mut awaited = self.awaited.lock();
        awaited.revision = awaited.revision.max(revision);
    }

    /// Notes a removal.
    pub(crate) fn expect_gone(&self, key: Key, uid: &str) {
        self.awaited.lock().gone.push((key, uid.into()));
    }

    /// Waits until everything written through us has arrived. `false`: it has not in time.
    pub(crate) async fn settled(&self) -> bool {
        let done = || {
            let contents = self.contents.read();
            let mut awaited = self.awaited.lock();
            awaited.gone.retain(|(key, uid)| {
                contents
                    .entries
                    .get(key)
                    .is_some_and(|entry| entry.uid == *uid)
            });
            awaited.gone.is_empty() && contents.revision >= awaited.revision
        };
        self.wait(done, ARRIVAL).await
    }

    /// Waits for a revision. `false`: it has not come in time.
    pub(crate) async fn reached(&self, revision: u64, patience: Duration) -> bool {
        self.wait(|| self.contents.read().revision >= revision, patience)
            .await
    }

    async fn wait(&self, done: impl Fn() -> bool, patience: Duration) -> bool {
        if done() {
            return true;
        }
        let mut moved = self.moved.subscribe();
        let waited = async {
            while !done() {
                if moved.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(patience, waited).await.is_ok()
    }

    /// Wakes with every change.
    pub(crate) fn moves(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// Why it has ended, if it has.
    pub(crate) fn over(&self) -> Option<ApiError> {
        match &*self.phase.borrow() {
            Phase::Over(error) => Some(error.clone()),
            Phase::Filling | Phase::Live | Phase::TooLarge => None,
        }
    }

    /// Where a reader starts that has seen all up to now.
    pub(crate) fn now(&self) -> u64 {
        self.contents.read().end()
    }

    /// Where a reader starts that has seen all up to `revision`.
    pub(crate) fn since(&self, revision: u64) -> Result<u64, Lagged> {
        self.contents.read().since(revision)
    }

    /// Where a reader of some objects starts that has seen one of them at `revision`, while that one is still at it.
    pub(crate) fn since_object(
        &self,
        revision: u64,
        is_read: impl Fn(&Entry) -> bool,
    ) -> Option<u64> {
        let contents = self.contents.read();
        let mut entries = contents.entries.values();
        entries
            .any(|entry| entry.revision == revision && is_read(entry))
            .then(|| contents.end())
    }

    /// The changes from `cursor` on, and where to go on; at most `most`.
    pub(crate) fn changes(&self, cursor: u64, most: usize) -> Result<(Vec<Change>, u64), Lagged> {
        self.contents.read().changes(cursor, most)
    }
}

#[cfg(test)]
mod tests;
