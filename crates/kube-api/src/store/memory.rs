//! The state in memory: tables of objects with their recent events.
//!
//! Knows neither threads nor files; the writer applies changes that are durable, readers look.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

/// `namespace/name`; an empty namespace for cluster-scoped objects. Ordered as etcd orders its keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(Arc<str>);

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        let mut text = String::with_capacity(namespace.len() + name.len() + 1);
        text.push_str(namespace);
        text.push('/');
        text.push_str(name);
        Self(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn namespace(&self) -> &str {
        self.0
            .split_once('/')
            .map_or("", |(namespace, _)| namespace)
    }

    pub(crate) fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// One version of one object.
#[derive(Debug)]
pub(crate) struct Stored {
    /// Its resourceVersion.
    pub(crate) revision: u64,
    /// The schema it was written under (`Resource::schema_mark`).
    pub(crate) mark: u64,
    /// Its row in the file.
    pub(super) row: i64,
    bytes: Box<[u8]>,
}

impl Stored {
    pub(super) fn new(revision: u64, mark: u64, row: i64, bytes: Box<[u8]>) -> Self {
        Self {
            revision,
            mark,
            row,
            bytes,
        }
    }

    /// Its JSON: `{"apiVersion":"…","kind":"…","metadata":{"resourceVersion":"…"…`.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its JSON as a value. What does not parse was refused when the file was opened, so the answer is never null.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    Added,
    Modified,
    Deleted,
}

/// One change, as watches replay it.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) revision: u64,
    pub(crate) kind: EventKind,
    pub(crate) key: Key,
    /// The new version; of a deletion, the last state at the revision of the deletion.
    pub(crate) object: Arc<Stored>,
    /// What it replaced.
    pub(crate) previous: Option<Arc<Stored>>,
    at: Instant,
    line: Mutex<Line>,
}

/// The line most watches send for an event.
#[derive(Debug)]
enum Line {
    Unmade,
    /// The type of event it was made for, and the bytes.
    Made(&'static str, Bytes),
    /// The event is no longer among the newest; whoever still needs the line makes their own.
    Forgotten,
}

impl Event {
    /// The line for watches that see this event as `kind`: made once while the event is new, and shared.
    pub(crate) fn line(&self, kind: &'static str, make: impl FnOnce() -> Bytes) -> Bytes {
        let mut line = self.line.lock();
        match &*line {
            Line::Made(made_for, bytes) if *made_for == kind => bytes.clone(),
            Line::Unmade => {
                let bytes = make();
                *line = Line::Made(kind, bytes.clone());
                bytes
            }
            // Selectors can make the same change an addition to one watch and a modification to another.
            Line::Made(..) | Line::Forgotten => {
                drop(line);
                make()
            }
        }
    }
}

/// Events whose lines may be kept, and the bytes of these lines, per table: what a burst puts between the fastest and
/// the slowest watch, without holding every object twice as long as history lasts.
const LINES: usize = 1024;
const LINE_BYTES: usize = 4 * 1024 * 1024;

/// What was asked for lies before the window of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expired {
    /// The oldest revision from which a watch could start.
    pub(crate) oldest: u64,
}

/// Which objects of a table.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Range<'a> {
    /// Only this namespace.
    pub(crate) namespace: Option<&'a str>,
    /// Only keys after this one.
    pub(crate) after: Option<&'a str>,
    /// As of this revision; `None` = now.
    pub(crate) at: Option<u64>,
    /// At most so many; 0 = all.
    pub(crate) limit: usize,
}

/// Objects as of one revision.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) revision: u64,
    pub(crate) items: Vec<(Key, Arc<Stored>)>,
    /// How many more are in the range, beyond the limit; `None` = more than is worth counting.
    pub(crate) left: Option<usize>,
}

/// Objects behind a page that are counted one by one: well under a millisecond, since writers wait for it.
const COUNTED: usize = 20_000;

impl Page {
    fn empty(revision: u64) -> Self {
        Self {
            revision,
            items: Vec::new(),
            left: Some(0),
        }
    }

    /// `all` is how many `found` has, if that is known.
    fn collect<'a>(
        revision: u64,
        mut found: impl Iterator<Item = (&'a Key, &'a Arc<Stored>)>,
        all: Option<usize>,
        limit: usize,
    ) -> Self {
        let owned = |(key, stored): (&Key, &Arc<Stored>)| (key.clone(), Arc::clone(stored));
        if limit == 0 {
            let items = found.map(owned).collect();
            return Self {
                revision,
                items,
                left: Some(0),
            };
        }
        let items: Vec<_> = found.by_ref().take(limit).map(owned).collect();
        let left = match all {
            Some(all) => Some(all - items.len()),
            None => Some(found.take(COUNTED + 1).count()).filter(|left| *left <= COUNTED),
        };
        Self {
            revision,
            items,
            left,
        }
    }
}

#[derive(Debug)]
struct Table {
    objects: BTreeMap<Key, Arc<Stored>>,
    history: VecDeque<Arc<Event>>,
    /// Bytes that only the history keeps alive.
    outdated: usize,
    /// How many of the newest events may hold a line, and the size of their objects.
    lined: usize,
    lined_bytes: usize,
    /// Events up to this revision are forgotten (or never were).
    compacted: u64,
    revision: u64,
    changes: watch::Sender<u64>,
}

impl Table {
    fn new(compacted: u64) -> Self {
        Self {
            objects: BTreeMap::new(),
            history: VecDeque::new(),
            outdated: 0,
            lined: 0,
            lined_bytes: 0,
            compacted,
            revision: compacted,
            changes: watch::Sender::new(compacted),
        }
    }

    fn forget_oldest(&mut self) {
        if self.lined == self.history.len() {
            self.forget_oldest_line();
        }
        if let Some(event) = self.history.pop_front() {
            self.compacted = event.revision;
            self.outdated -= weight(&event);
        }
    }

    fn forget_oldest_line(&mut self) {
        if let Some(event) = self.history.get(self.history.len() - self.lined) {
            *event.line.lock() = Line::Forgotten;
            self.lined -= 1;
            self.lined_bytes -= event.object.bytes.len();
        }
    }

    fn push(&mut self, event: Event, limits: &super::StoreLimits) {
        self.revision = event.revision;
        self.outdated += weight(&event);
        self.lined += 1;
        self.lined_bytes += event.object.bytes.len();
        self.history.push_back(Arc::new(event));
        // The newest event stays, so that a follower of one object too large for the window still sees it.
        while self.lined > 1 && (self.lined > LINES || self.lined_bytes > LINE_BYTES) {
            self.forget_oldest_line();
        }
        while self.history.len() > 1
            && (self.history.len() > limits.history_events || self.outdated > limits.history_bytes)
        {
            self.forget_oldest();
        }
    }
}

fn weight(event: &Event) -> usize {
    let previous = event
        .previous
        .as_ref()
        .map_or(0, |stored| stored.bytes.len());
    let last = if event.kind == EventKind::Deleted {
        event.object.bytes.len()
    } else {
        0
    };
    previous + last
}

/// All tables.
#[derive(Debug, Default)]
pub(crate) struct State {
    revision: u64,
    /// The revision at which history begins.
    opened_at: u64,
    tables: HashMap<Arc<str>, Table>,
}

impl State {
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Sets the counter to what the file says; loading ends with this.
    pub(super) fn opened(&mut self, revision: u64) {
        self.revision = revision;
        self.opened_at = revision;
        for table in self.tables.values_mut() {
            table.compacted = revision;
            table.revision = revision;
            table.changes.send_replace(revision);
        }
    }

    /// Adds an object read from the file; `false` if the key was there.
    pub(super) fn load(&mut self, table: &str, key: Key, stored: Stored) -> bool {
        if !self.tables.contains_key(table) {
            self.tables.insert(table.into(), Table::new(0));
        }
        self.tables
            .get_mut(table)
            .is_some_and(|table| table.objects.insert(key, Arc::new(stored)).is_none())
    }

    pub(super) fn get(&self, table: &str, key: &Key) -> Option<Arc<Stored>> {
        self.tables.get(table)?.objects.get(key).cloned()
    }

    pub(super) fn count(&self, table: &str) -> usize {
        self.tables
            .get(table)
            .map_or(0, |table| table.objects.len())
    }

    pub(super) fn tables(&self) -> Vec<Arc<str>> {
        self.tables
            .iter()
            .filter(|(_, table)| !table.objects.is_empty())
            .map(|(name, _)| Arc::clone(name))
            .collect()
    }

    pub(super) fn table_revision(&self, table: &str) -> u64 {
        self.tables.get(table).map_or(0, |table| table.revision)
    }

    pub(super) fn subscribe(&self, table: &str) -> Option<watch::Receiver<u64>> {
        Some(self.tables.get(table)?.changes.subscribe())
    }

    pub(super) fn subscribe_new(&mut self, table: &str) -> watch::Receiver<u64> {
        self.table_mut(table).changes.subscribe()
    }

    fn table_mut(&mut self, table: &str) -> &mut Table {
        // A table that did not exist had no event since the store was opened.
        let opened_at = self.opened_at;
        self.tables
            .entry(table.into())
            .or_insert_with(|| Table::new(opened_at))
    }

    pub(super) fn list(&self, name: &str, range: &Range<'_>) -> Result<Page, Expired> {
        let revision = range.at.unwrap_or(self.revision);
        let Some(table) = self.tables.get(name) else {
            return if revision < self.opened_at {
                Err(Expired {
                    oldest: self.opened_at,
                })
            } else {
                Ok(Page::empty(revision))
            };
        };
        let prefix = range.namespace.map(|namespace| format!("{namespace}/"));
        // '0' follows '/' in the order of bytes.
        let end = range.namespace.map(|namespace| format!("{namespace}0"));
        let lower = match (&prefix, range.after) {
            (Some(prefix), Some(after)) if after >= prefix.as_str() => Bound::Excluded(after),
            (Some(prefix), _) => Bound::Included(prefix.as_str()),
            (None, Some(after)) => Bound::Excluded(after),
            (None, None) => Bound::Unbounded,
        };
        let upper = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let bounds = (lower, upper);
        if matches!((lower, upper), (Bound::Excluded(low) | Bound::Included(low), Bound::Excluded(high)) if low >= high)
        {
            return Ok(Page::empty(revision));
        }
        let now = table.objects.range::<str, _>(bounds);
        if revision >= table.revision {
            let whole = matches!(bounds, (Bound::Unbounded, Bound::Unbounded));
            let all = whole.then_some(table.objects.len());
            return Ok(Page::collect(revision, now, all, range.limit));
        }
        if revision < table.compacted {
            return Err(Expired {
                oldest: table.compacted,
            });
        }
        // The first event of a key after the revision tells what was there before it.
        let first = table
            .history
            .partition_point(|event| event.revision <= revision);
        let mut undone: BTreeMap<&str, &Event> = BTreeMap::new();
        for event in table.history.range(first..) {
            undone.entry(event.key.as_str()).or_insert(event);
        }
        let mut kept = now
            .filter(|(key, _)| !undone.contains_key(key.as_str()))
            .peekable();
        let mut before = undone
            .range::<str, _>(bounds)
            .filter_map(|(_, event)| Some((&event.key, event.previous.as_ref()?)))
            .peekable();
        let merged = std::iter::from_fn(|| match (kept.peek(), before.peek()) {
            (Some((kept_key, _)), Some((before_key, _))) if kept_key > before_key => before.next(),
            (Some(_), _) => kept.next(),
            (None, _) => before.next(),
        });
        Ok(Page::collect(revision, merged, None, range.limit))
    }

    pub(super) fn events(
        &self,
        name: &str,
        revision: u64,
        limit: usize,
    ) -> Result<(Vec<Arc<Event>>, u64), Expired> {
        let Some(table) = self.tables.get(name) else {
            return if revision < self.opened_at {
                Err(Expired {
                    oldest: self.opened_at,
                })
            } else {
                Ok((Vec::new(), self.revision))
            };
        };
        if revision < table.compacted {
            return Err(Expired {
                oldest: table.compacted,
            });
        }
        let first = table
            .history
            .partition_point(|event| event.revision <= revision);
        let events: Vec<_> = table.history.range(first..).take(limit).cloned().collect();
        let complete = match events.last() {
            Some(last) if events.len() == limit => last.revision,
            _ => self.revision.max(revision),
        };
        Ok((events, complete))
    }

    /// Applies one durable change. `next` is its revision, greater than all before.
    pub(super) fn apply(&mut self, change: Applied, at: Instant, limits: &super::StoreLimits) {
        let Applied {
            table,
            key,
            kind,
            object,
        } = change;
        let revision = object.revision;
        self.revision = revision;
        let table = self.table_mut(&table);
        let previous = match kind {
            EventKind::Added | EventKind::Modified => {
                table.objects.insert(key.clone(), Arc::clone(&object))
            }
            EventKind::Deleted => table.objects.remove(&key),
        };
        let event = Event {
            revision,
            kind,
            key,
            object,
            previous,
            at,
            line: Mutex::new(Line::Unmade),
        };
        table.push(event, limits);
    }

    /// Tells the followers of the given tables, after [`State::apply`].
    pub(super) fn notify<'a>(&self, tables: impl Iterator<Item = &'a Arc<str>>) {
        for table in tables {
            if let Some(table) = self.tables.get(table) {
                table.changes.send_replace(table.revision);
            }
        }
    }

    pub(super) fn compact(&mut self, now: Instant, age: Duration) {
        for table in self.tables.values_mut() {
            while table
                .history
                .front()
                .is_some_and(|event| now.saturating_duration_since(event.at) > age)
            {
                table.forget_oldest();
            }
        }
    }
}

/// A change that is durable.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) table: Arc<str>,
    pub(super) key: Key,
    pub(super) kind: EventKind,
    pub(super) object: Arc<Stored>,
}
