//! What a copy holds: the objects, and the last changes, so that a reader can go on where it was.
//!
//! Pure. Invariant: all changes after `ring_since` are in the ring.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::entry::{Entry, Key};
use crate::cells::Column;

/// Changes kept for readers that come back (reference section 1.4).
pub(super) const RING: usize = 1000;

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
    /// As it was, where its labels were others: who watches by labels learns that it left.
    pub(crate) before: Option<Arc<Entry>>,
}

/// A reader missed changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lagged;

/// What a copy holds.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) entries: BTreeMap<Key, Arc<Entry>>,
    pub(crate) columns: Arc<[Column]>,
    pub(crate) revision: u64,
    /// Another number after every change of the entries.
    pub(super) version: u64,
    /// Entries by what they depend on.
    dependents: HashMap<Box<str>, Vec<Arc<Entry>>>,
    ring: VecDeque<Change>,
    /// Sequence number of the first change in the ring.
    ring_start: u64,
    /// All changes after this revision are in the ring.
    ring_since: u64,
    bytes: usize,
}

impl Contents {
    fn push(
        &mut self,
        revision: u64,
        what: Happened,
        entry: Arc<Entry>,
        before: Option<Arc<Entry>>,
    ) {
        let before = before.filter(|before| !before.labels().eq(entry.labels()));
        self.ring.push_back(Change {
            revision,
            what,
            entry,
            before,
        });
        while self.ring.len() > RING {
            if let Some(gone) = self.ring.pop_front() {
                self.ring_start += 1;
                self.ring_since = gone.revision;
            }
        }
    }

    /// At most `most` entries that name `key` (a uid, or who applied them), in order of their keys.
    pub(crate) fn dependents(&self, key: &str, most: usize) -> Vec<Arc<Entry>> {
        let mut found = self.dependents.get(key).cloned().unwrap_or_default();
        found.sort_by(|one, other| one.key.cmp(&other.key));
        found.truncate(most);
        found
    }

    fn link(&mut self, entry: &Arc<Entry>) {
        for key in entry.depends_on() {
            match self.dependents.get_mut(key) {
                Some(known) => known.push(Arc::clone(entry)),
                None => {
                    self.dependents.insert(key.into(), vec![Arc::clone(entry)]);
                }
            }
        }
    }

    fn unlink(&mut self, entry: &Arc<Entry>) {
        for key in entry.depends_on() {
            if let Some(known) = self.dependents.get_mut(key) {
                known.retain(|one| !Arc::ptr_eq(one, entry));
                if known.is_empty() {
                    self.dependents.remove(key);
                }
            }
        }
    }

    pub(super) fn end(&self) -> u64 {
        self.ring_start + self.ring.len() as u64
    }

    /// Replaces everything by a fresh list; readers see the differences as changes.
    pub(super) fn replace(&mut self, columns: Vec<Column>, entries: Vec<Entry>, revision: u64) {
        self.version += 1;
        let first = self.revision == 0;
        let mut before = std::mem::take(&mut self.entries);
        self.dependents.clear();
        let mut changes = Vec::new();
        for entry in entries {
            let entry = Arc::new(entry);
            let old = before.remove(&entry.key);
            let what = match &old {
                None => Some(Happened::Created),
                Some(old) if old.uid != entry.uid || old.revision != entry.revision => {
                    Some(Happened::Changed)
                }
                Some(_) => None,
            };
            if let Some(what) = what.filter(|_| !first) {
                changes.push((entry.revision, what, Arc::clone(&entry), old));
            }
            self.link(&entry);
            self.entries.insert(entry.key.clone(), entry);
        }
        changes.extend(
            before
                .into_values()
                .map(|entry| (revision, Happened::Removed, entry, None)),
        );
        changes.sort_by_key(|(revision, _, _, _)| *revision);
        for (revision, what, entry, before) in changes {
            self.push(revision, what, entry, before);
        }
        if first {
            self.ring_since = revision;
        }
        self.columns = columns.into();
        self.revision = self.revision.max(revision);
        self.bytes = self.entries.values().map(|entry| entry.size()).sum();
    }

    pub(super) fn upsert(&mut self, entry: Entry) {
        self.version += 1;
        let (revision, entry) = (entry.revision, Arc::new(entry));
        let before = self.entries.insert(entry.key.clone(), Arc::clone(&entry));
        self.bytes += entry.size();
        self.link(&entry);
        let what = match &before {
            Some(before) => {
                self.unlink(before);
                self.bytes -= before.size();
                Happened::Changed
            }
            None => Happened::Created,
        };
        self.push(revision, what, entry, before);
        self.revision = self.revision.max(revision);
    }

    pub(super) fn remove(&mut self, entry: Entry) {
        self.version += 1;
        let revision = entry.revision;
        if let Some(before) = self.entries.remove(&entry.key) {
            self.bytes -= before.size();
            self.unlink(&before);
        }
        self.push(revision, Happened::Removed, Arc::new(entry), None);
        self.revision = self.revision.max(revision);
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lets go of everything; how many bytes it was.
    pub(super) fn release(&mut self) -> usize {
        self.version += 1;
        self.entries.clear();
        self.dependents.clear();
        self.ring.clear();
        std::mem::take(&mut self.bytes)
    }

    /// Where a reader starts that has seen all up to `revision`.
    pub(super) fn since(&self, revision: u64) -> Result<u64, Lagged> {
        if revision < self.ring_since {
            return Err(Lagged);
        }
        let seen = self
            .ring
            .iter()
            .take_while(|change| change.revision <= revision)
            .count();
        Ok(self.ring_start + seen as u64)
    }

    /// The changes from `cursor` on, and where to go on; at most `most`.
    pub(super) fn changes(&self, cursor: u64, most: usize) -> Result<(Vec<Change>, u64), Lagged> {
        let skip = cursor.checked_sub(self.ring_start).ok_or(Lagged)?;
        let skip = usize::try_from(skip).map_err(|_| Lagged)?;
        let found: Vec<Change> = self.ring.iter().skip(skip).take(most).cloned().collect();
        let next = cursor + found.len() as u64;
        Ok((found, next))
    }
}
