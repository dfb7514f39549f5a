//! The copy of one kind of one cluster.
//!
//! Owns the objects, the last changes (so that a reader can go on where it
//! was), and the waiting: until it is filled, until a write has arrived.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use drover_auth::web::ApiError;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::entry::{Entry, Key};
use crate::cells::Column;
use crate::kind::Kind;
use crate::kubernetes::unavailable;

/// Changes kept for readers that come back (reference section 1.4).
const RING: usize = 1000;
/// How long a reader waits for a copy to be filled.
const FILLING: Duration = Duration::from_secs(60);
/// How long a reader waits for a write to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    Created,
    Changed,
    Removed,
}

/// One change.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) what: Happened,
    /// As it is now, or was at last.
    pub(crate) entry: Arc<Entry>,
}

/// A reader missed changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lagged;

#[derive(Clone, Debug)]
enum Phase {
    Filling,
    Live,
    /// It would be larger than all copies may be.
    TooLarge,
    /// Its task has ended; the next reader makes a new one.
    Over(ApiError),
}

/// What a copy holds.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) entries: BTreeMap<Key, Arc<Entry>>,
    pub(crate) columns: Arc<[Column]>,
    pub(crate) revision: u64,
    ring: VecDeque<Change>,
    /// Sequence number of the first change in the ring.
    ring_start: u64,
    /// All changes after this revision are in the ring.
    ring_since: u64,
    bytes: usize,
}

impl Contents {
    fn push(&mut self, revision: u64, what: Happened, entry: Arc<Entry>) {
        self.ring.push_back(Change {
            revision,
            what,
            entry,
        });
        while self.ring.len() > RING {
            if let Some(gone) = self.ring.pop_front() {
                self.ring_start += 1;
                self.ring_since = gone.revision;
            }
        }
    }

    fn end(&self) -> u64 {
        self.ring_start + self.ring.len() as u64
    }

    /// Replaces everything by a fresh list; readers see the differences as changes.
    fn replace(&mut self, columns: Vec<Column>, entries: Vec<Entry>, revision: u64) {
        let first = self.revision == 0;
        let mut before = std::mem::take(&mut self.entries);
        let mut changes = Vec::new();
        for entry in entries {
            let entry = Arc::new(entry);
            let what = match before.remove(&entry.key) {
                None => Some(Happened::Created),
                Some(old) if old.uid != entry.uid || old.revision != entry.revision => {
                    Some(Happened::Changed)
                }
                Some(_) => None,
            };
            if let Some(what) = what.filter(|_| !first) {
                changes.push((entry.revision, what, Arc::clone(&entry)));
            }
            self.entries.insert(entry.key.clone(), entry);
        }
        changes.extend(
            before
                .into_values()
                .map(|entry| (revision, Happened::Removed, entry)),
        );
        changes.sort_by_key(|(revision, _, _)| *revision);
        for (revision, what, entry) in changes {
            self.push(revision, what, entry);
        }
        if first {
            self.ring_since = revision;
        }
        self.columns = columns.into();
        self.revision = self.revision.max(revision);
        self.bytes = self.entries.values().map(|entry| entry.size()).sum();
    }

    fn upsert(&mut self, entry: Entry) {
        let (revision, entry) = (entry.revision, Arc::new(entry));
        let before = self.entries.insert(entry.key.clone(), Arc::clone(&entry));
        self.bytes += entry.size();
        let what = match &before {
            Some(before) => {
                self.bytes -= before.size();
                Happened::Changed
            }
            None => Happened::Created,
        };
        self.push(revision, what, entry);
        self.revision = self.revision.max(revision);
    }

    fn remove(&mut self, entry: Entry) {
        let revision = entry.revision;
        if let Some(before) = self.entries.remove(&entry.key) {
            self.bytes -= before.size();
        }
        self.push(revision, Happened::Removed, Arc::new(entry));
        self.revision = self.revision.max(revision);
    }
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
        let mut contents = self.contents.write();
        contents.entries.clear();
        contents.ring.clear();
        std::mem::take(&mut contents.bytes)
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
        let before = contents.bytes;
        change(&mut contents);
        let after = contents.bytes;
        drop(contents);
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
        self.change(|contents| contents.revision = contents.revision.max(revision));
    }

    /// Reads the contents. Never held over a wait.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Contents) -> T) -> T {
        read(&self.contents.read())
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
        let contents = self.contents.read();
        if revision < contents.ring_since {
            return Err(Lagged);
        }
        let seen = contents
            .ring
            .iter()
            .take_while(|change| change.revision <= revision)
            .count();
        Ok(contents.ring_start + seen as u64)
    }

    /// The changes from `cursor` on, and where to go on; at most `most`.
    pub(crate) fn changes(&self, cursor: u64, most: usize) -> Result<(Vec<Change>, u64), Lagged> {
        let contents = self.contents.read();
        let skip = cursor.checked_sub(contents.ring_start).ok_or(Lagged)?;
        let skip = usize::try_from(skip).map_err(|_| Lagged)?;
        let found: Vec<Change> = contents
            .ring
            .iter()
            .skip(skip)
            .take(most)
            .cloned()
            .collect();
        let next = cursor + found.len() as u64;
        Ok((found, next))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(name: &str, revision: u64) -> Entry {
        let kind = Kind::new("", "v1", "ConfigMap", "configmaps");
        let object = json!({"metadata": {"name": name, "uid": name, "resourceVersion": revision.to_string()}});
        Entry::new(&kind, &object, Vec::new(), jiff::Timestamp::UNIX_EPOCH).unwrap()
    }

    fn slot() -> Arc<Slot> {
        let kind = Kind::new("", "v1", "ConfigMap", "configmaps");
        Arc::new(Slot::new("c", kind, CancellationToken::new()))
    }

    fn shown(changes: &[Change]) -> Vec<(u64, Happened, &str)> {
        changes
            .iter()
            .map(|change| (change.revision, change.what, change.entry.name()))
            .collect()
    }

    #[test]
    fn readers_go_on_where_they_were_until_it_is_too_old() {
        let slot = slot();
        slot.replace(Vec::new(), vec![entry("a", 5)], 10);
        assert_eq!(slot.since(9), Err(Lagged));
        let start = slot.since(10).unwrap();
        slot.upsert(entry("b", 11));
        slot.upsert(entry("a", 12));
        slot.remove(entry("b", 13));
        let (changes, next) = slot.changes(start, 10).unwrap();
        assert_eq!(
            shown(&changes),
            [
                (11, Happened::Created, "b"),
                (12, Happened::Changed, "a"),
                (13, Happened::Removed, "b")
            ]
        );
        assert_eq!(next, slot.now());
        assert_eq!(slot.since(12), Ok(start + 2));
        for revision in 0..RING as u64 {
            slot.upsert(entry("a", 20 + revision));
        }
        assert!(slot.changes(start, 10).is_err());
        assert_eq!(slot.since(12), Err(Lagged));
        assert!(slot.since(20).is_ok());
    }

    #[test]
    fn a_fresh_list_shows_as_changes_and_bytes_add_up() {
        let slot = slot();
        let (before, first) = slot.replace(Vec::new(), vec![entry("a", 1), entry("b", 2)], 3);
        assert_eq!(before, 0);
        let start = slot.now();
        let (_, after) = slot.replace(Vec::new(), vec![entry("a", 4), entry("c", 5)], 6);
        assert_eq!(first, after);
        let (changes, _) = slot.changes(start, 10).unwrap();
        assert_eq!(
            shown(&changes),
            [
                (4, Happened::Changed, "a"),
                (5, Happened::Created, "c"),
                (6, Happened::Removed, "b")
            ]
        );
        slot.remove(entry("a", 7));
        slot.remove(entry("c", 8));
        assert_eq!(slot.release(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_is_waited_for() {
        let slot = slot();
        slot.replace(Vec::new(), vec![entry("a", 1)], 1);
        assert!(slot.settled().await);
        slot.expect_revision(5);
        assert!(!slot.settled().await, "it never came");
        slot.upsert(entry("b", 5));
        slot.expect_gone((None, "a".into()), "a");
        let waiting = tokio::spawn({
            let slot = Arc::clone(&slot);
            async move { slot.settled().await }
        });
        tokio::task::yield_now().await;
        slot.remove(entry("a", 6));
        assert!(waiting.await.unwrap());
    }
}
