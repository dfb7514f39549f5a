//! One watch of a kind, over the copy that all callers share.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, MissedTickBehavior};

use super::{End, Gone, Outgoing, Topic};
use crate::cache::{Change, Entry, Happened, Held};
use crate::call::{Call, Refused, check_readable};
use crate::kind::Kind;
use crate::neighbours;
use crate::query::filter::{Filter, accept, label_selector};
use crate::rights::{Extent, Rights};

/// How often rights inside the cluster are asked for again (the peer: the same).
const RIGHTS: Duration = Duration::from_secs(2);
/// Changes looked at before anything else gets its turn.
const BATCH: usize = 100;
/// Time between two notices, unless the client says otherwise.
const DEBOUNCE: Duration = Duration::from_secs(5);

/// What a running watch holds.
struct Watch<'a> {
    call: &'a Call,
    topic: &'a Topic,
    kind: Kind,
    held: Held,
    /// Copies of related kinds, so that changes tell of them as lists do.
    _related: Vec<Held>,
    selector: Vec<Filter>,
    rights: Arc<Rights>,
    extent: Extent,
    /// Version of the index that `extent` is of.
    version: u64,
    cursor: u64,
}

pub(super) async fn run(
    call: &Call,
    topic: &Topic,
    from: &str,
    outgoing: &Outgoing,
) -> Result<End, Gone> {
    let mut watch = match Watch::start(call, topic, from).await {
        Ok(watch) => watch,
        Err(end) => return Ok(end),
    };
    outgoing.send(topic.frame("resource.start")).await?;
    match topic.mode.as_str() {
        "resource.changes" => watch.notices(outgoing).await,
        _ => watch.objects(outgoing).await,
    }
}

/// Where a watch starts whose client has seen all up to `revision`. Who watches one object names the object's own
/// revision, which may be older than all that is remembered: while the object is still at it, nothing was missed.
fn cursor_after(held: &Held, topic: &Topic, revision: u64) -> Option<u64> {
    let cursor = held.since(revision).ok();
    cursor.or_else(|| {
        let names_one = !topic.id.is_empty();
        names_one
            .then(|| held.since_object(revision, |entry| topic.names(entry)))
            .flatten()
    })
}

impl<'a> Watch<'a> {
    async fn start(call: &'a Call, topic: &'a Topic, from: &str) -> Result<Self, End> {
        let version = *call.shared.guard.access().changes().borrow();
        let failed = |message: &str| End::Failed(message.to_owned());
        let unknown = || End::Failed(format!("failed to find schema {}", topic.resource_type));
        let (kind, rights) = match call.kind(&topic.resource_type).await {
            Ok(found) => found,
            Err(Refused::NoType | Refused::NoEntry) => return Err(unknown()),
            Err(Refused::Error(error)) => return Err(End::Failed(error.message)),
        };
        if check_readable(&rights, &kind).is_err() || !kind.is_watchable() {
            return Err(failed("watch not allowed"));
        }
        let selector = match topic.selector.as_str() {
            "" => Vec::new(),
            text => label_selector(text).map_err(|error| End::Failed(error.message))?,
        };
        let held = call
            .shared
            .caches
            .get(&call.cluster, &kind)
            .await
            .map_err(|error| End::Failed(error.message))?
            .ok_or_else(|| failed("there are too many objects to watch"))?;
        let cursor = match from {
            "" => held.now(),
            text => text
                .parse()
                .ok()
                .and_then(|revision| cursor_after(&held, topic, revision))
                .ok_or_else(|| failed("resourceversion too old"))?,
        };
        let related = neighbours::fetch_for_lists(call, &rights, &kind).await;
        let extent = rights.extent(&kind);
        Ok(Self {
            call,
            topic,
            kind,
            held,
            _related: related,
            selector,
            rights,
            extent,
            version,
            cursor,
        })
    }

    /// Whether the caller still sees the same.
    async fn holds(&mut self) -> bool {
        let guard = &self.call.shared.guard;
        let version = *guard.access().changes().borrow();
        let Ok(Some(rights)) = guard.rights(&self.call.identity, &self.call.cluster).await else {
            return false;
        };
        let extent = rights.extent(&self.kind);
        let same = if version == self.version {
            extent.has_same_rules(&self.extent)
        } else {
            extent.is_same(&self.extent)
        };
        self.version = version;
        self.rights = rights;
        self.extent = extent;
        same
    }

    fn selects(&self, entry: &Entry) -> bool {
        accept(&self.selector, &|field| entry.seen(field))
    }

    fn is_wanted(&self, change: &Change) -> bool {
        let entry = &change.entry;
        let topic = self.topic;
        topic.names(entry)
            && (self.selects(entry)
                // What leaves is told, as it is now (steve 7972270, pkg/sqlcache/informer, `matchWatch`).
                || change.before.as_ref().is_some_and(|before| self.selects(before)))
            && self.extent.contains(entry.namespace(), entry.name())
    }

    /// Waits for changes and gives those the caller wants; the end when there will be no more.
    async fn next(&mut self) -> Result<Vec<Change>, End> {
        let mut moved = self.held.moves();
        let mut index = self.call.shared.guard.access().changes();
        let mut again = tokio::time::interval_at(Instant::now() + RIGHTS, RIGHTS);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let changed_index = *index.borrow_and_update() != self.version;
            if changed_index && !self.holds().await {
                return Err(End::Changed);
            }
            moved.mark_unchanged();
            let (changes, next) = self
                .held
                .changes(self.cursor, BATCH)
                .map_err(|_| End::Failed("resourceversion too old".to_owned()))?;
            let is_full = changes.len() == BATCH;
            self.cursor = next;
            let wanted: Vec<Change> = changes
                .into_iter()
                .filter(|change| self.is_wanted(change))
                .collect();
            if !wanted.is_empty() {
                return Ok(wanted);
            }
            if is_full {
                continue;
            }
            if let Some(error) = self.held.over() {
                return Err(End::Failed(error.message));
            }
            tokio::select! {
                changed = index.changed() => {
                    if changed.is_err() {
                        return Err(End::Changed);
                    }
                }
                _ = again.tick() => {
                    if !self.holds().await {
                        return Err(End::Changed);
                    }
                }
                changed = moved.changed() => {
                    if changed.is_err() {
                        return Err(End::Failed("the server is stopping".to_owned()));
                    }
                }
            }
        }
    }

    /// Tells of every change with the whole object.
    async fn objects(&mut self, outgoing: &Outgoing) -> Result<End, Gone> {
        loop {
            let changes = match self.next().await {
                Ok(changes) => changes,
                Err(end) => return Ok(end),
            };
            for change in changes {
                // The index may have changed while a slow client was waited for.
                if *self.call.shared.guard.access().changes().borrow() != self.version
                    && !self.holds().await
                {
                    return Ok(End::Changed);
                }
                outgoing.send(self.frame(&change)).await?;
            }
        }
    }

    fn frame(&self, change: &Change) -> Map<String, Value> {
        let name = match change.what {
            Happened::Created => "resource.create",
            Happened::Changed => "resource.change",
            Happened::Removed => "resource.remove",
        };
        let shown = self.call.shown(&self.rights, &self.kind, &change.entry);
        let mut frame = self.topic.frame(name);
        frame.insert("revision".to_owned(), json!(change.revision.to_string()));
        frame.insert("data".to_owned(), Value::Object(shown));
        frame
    }

    /// Tells that there were changes, and up to which revision; at once, then once per window.
    async fn notices(&mut self, outgoing: &Outgoing) -> Result<End, Gone> {
        let window = match self.topic.debounce_ms {
            0 => DEBOUNCE,
            milliseconds => Duration::from_millis(milliseconds),
        };
        loop {
            let changes = match self.next().await {
                Ok(changes) => changes,
                Err(end) => return Ok(end),
            };
            let latest = changes.iter().map(|change| change.revision).max();
            let mut frame = self.topic.frame("resource.changes");
            let revision = latest.unwrap_or_default().to_string();
            frame.insert("revision".to_owned(), json!(revision));
            outgoing.send(frame).await?;
            tokio::time::sleep(window).await;
        }
    }
}
