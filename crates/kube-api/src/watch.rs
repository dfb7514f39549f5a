//! Watches: a cursor over the store's history.
//!
//! A watch holds no queue: it keeps the revision it has sent and, when its table changes, reads what came after. A slow
//! reader therefore costs nothing but its place, and one so slow that the window of history has passed it is ended with
//! an `Expired` error event. The line of an event is made once and shared by all watches that send the whole object;
//! the state a watch begins with is written out as the reader takes it.
//!
//! Invariants: every event after the start is sent exactly once and in order of revision, or the stream ends with an
//! error event; a bookmark at revision R is sent only after everything up to R.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use crate::registry::Resource;
use crate::rest::Api;
use crate::rest::options::ListOptions;
use crate::rest::read::{self, Filter, Shown, show};
use crate::rest::render::{self, Form};
use crate::status::StatusError;
use crate::store::{Event, EventKind, Expired, Range, Stored};

/// Events read from the history at once: enough to fill a packet, few enough that a lock is held shortly.
const BATCH: usize = 256;

/// How often a quiet watch that asked for bookmarks gets one (the real server: about once a minute).
const BOOKMARK_INTERVAL: Duration = Duration::from_mins(1);

/// How long a watch without `timeoutSeconds` lasts at least; doubled at most, by chance, so that watches do not end
/// together (apiserver `MinRequestTimeout`).
const DEFAULT_DURATION: u64 = 1800;

/// What a watch sends before it goes live.
#[derive(Debug)]
enum Start {
    /// Everything there is, as `ADDED`.
    Snapshot { mark_end: bool },
    /// Strictly later events only.
    After(u64),
}

/// Objects a watch may begin with before that counts as a list.
const FEW: usize = 500;

/// Whether a watch begins with what is there.
pub(crate) fn begins_with_state(options: &ListOptions) -> bool {
    options
        .send_initial_events
        .unwrap_or(matches!(options.revision, None | Some(0)))
}

/// What waits for the reader.
#[derive(Debug)]
enum Ready {
    /// An object the watch begins with.
    Initial(Arc<Stored>),
    Line(Bytes),
}

/// A running watch.
struct Watch {
    api: Arc<Api>,
    filter: Filter,
    form: Form,
    /// Everything up to here was sent.
    sent: u64,
    ready: VecDeque<Ready>,
    changes: tokio::sync::watch::Receiver<u64>,
    bookmarks: bool,
    next_bookmark: Instant,
    end: Instant,
    /// Kept from event to event, as `stopped` is: making either anew for each takes locks that watches share.
    alarm: Pin<Box<Sleep>>,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    stop: CancellationToken,
    /// A place among the lists, until what the watch begins with was read.
    held: Option<DropGuard>,
    finished: bool,
    first_table: bool,
}

/// Starts a watch; the stream ends with its duration, with `stop`, or after an error event. Dropping it frees it. `held`
/// is let go once what the watch begins with was read.
pub(crate) async fn start(
    api: &Arc<Api>,
    filter: Filter,
    form: Form,
    stop: CancellationToken,
    held: Option<DropGuard>,
) -> Result<impl Stream<Item = Bytes> + Send + use<>, StatusError> {
    let options = Arc::clone(&filter.options);
    read::check_fields(&filter.resource, &options.fields)?;
    // Subscribed before anything is read, so that no change falls between.
    let changes = api.store.subscribe_table(&filter.resource.storage);
    let begin = match (options.send_initial_events, options.revision) {
        (Some(true), revision) => {
            if let Some(revision) = revision {
                read::reach(api, revision).await?;
            }
            Start::Snapshot {
                mark_end: options.bookmarks,
            }
        }
        (Some(false), None | Some(0)) => Start::After(api.store.revision()),
        (None, None | Some(0)) => Start::Snapshot { mark_end: false },
        (Some(false) | None, Some(revision)) => Start::After(revision),
    };
    let seconds = options
        .timeout_seconds
        .unwrap_or_else(|| DEFAULT_DURATION + rand::random_range(0..DEFAULT_DURATION));
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut watch = Watch {
        api: Arc::clone(api),
        filter,
        form,
        sent: 0,
        ready: VecDeque::new(),
        changes,
        bookmarks: options.bookmarks,
        next_bookmark: Instant::now() + BOOKMARK_INTERVAL,
        end,
        alarm: Box::pin(tokio::time::sleep_until(end)),
        stopped: Box::pin(stop.clone().cancelled_owned()),
        stop,
        held,
        finished: false,
        first_table: true,
    };
    match begin {
        Start::Snapshot { mark_end } => watch.snapshot(mark_end)?,
        Start::After(revision) => {
            read::reach(api, revision).await?;
            watch.sent = revision;
            // An expired start is an error of the request, not of the stream.
            watch
                .api
                .store
                .events(&watch.filter.resource.storage, revision, 1)
                .map_err(|expired| too_old(revision, expired))?;
        }
    }
    if watch.ready.len() <= FEW {
        watch.held = None;
    }
    Ok(futures::stream::unfold(watch, |mut watch| async move {
        let bytes = watch.next().await?;
        Some((bytes, watch))
    }))
}

fn too_old(asked: u64, expired: Expired) -> StatusError {
    StatusError::expired(format!(
        "too old resource version: {asked} ({})",
        expired.oldest
    ))
}

impl Watch {
    fn snapshot(&mut self, mark_end: bool) -> Result<(), StatusError> {
        let range = Range {
            namespace: self.filter.namespace.as_deref(),
            ..Range::default()
        };
        let page = self
            .api
            .store
            .list(&self.filter.resource.storage, &range)
            .map_err(|expired| too_old(0, expired))?;
        let matching = page
            .items
            .into_iter()
            .filter(|(key, stored)| self.filter.matches(key, stored));
        self.ready
            .extend(matching.map(|(_, stored)| Ready::Initial(stored)));
        self.sent = page.revision;
        if mark_end {
            self.push_bookmark(true);
        }
        Ok(())
    }

    /// Some lines, joined; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.ready.is_empty() {
                // Whoever always has something to read never comes to the end of this loop, where it is waited for.
                if self.stop.is_cancelled() {
                    return None;
                }
                return Some(self.take_ready());
            }
            if self.held.take().is_some() {
                self.ready.shrink_to_fit();
            }
            if self.finished {
                return None;
            }
            let now = Instant::now();
            if now >= self.end {
                // A last bookmark lets the client resume from here (apiserver `cacher.go`).
                if self.bookmarks {
                    self.push_bookmark(false);
                }
                self.finished = true;
                continue;
            }
            if self.bookmarks && now >= self.next_bookmark {
                self.push_bookmark(false);
                continue;
            }
            self.changes.mark_unchanged();
            let more = self.read_events();
            if more || !self.ready.is_empty() || self.finished {
                continue;
            }
            let wake = if self.bookmarks {
                self.end.min(self.next_bookmark)
            } else {
                self.end
            };
            if wake != self.alarm.deadline() {
                self.alarm.as_mut().reset(wake);
            }
            tokio::select! {
                biased;
                () = self.stopped.as_mut() => return None,
                changed = self.changes.changed() => {
                    if changed.is_err() {
                        return None;
                    }
                }
                () = self.alarm.as_mut() => {}
            }
        }
    }

    /// Joins waiting lines up to the size of a good write.
    fn take_ready(&mut self) -> Bytes {
        const CHUNK: usize = 64 * 1024;
        let mut joined = Vec::new();
        while joined.len() < CHUNK
            && let Some(next) = self.ready.pop_front()
        {
            let line = match next {
                Ready::Line(line) => line,
                Ready::Initial(stored) => self.line("ADDED", &stored, None),
            };
            if joined.is_empty() && (self.ready.is_empty() || line.len() >= CHUNK) {
                return line;
            }
            joined.extend_from_slice(&line);
        }
        joined.into()
    }

    /// Takes events from the history; whether there may be more of them now.
    fn read_events(&mut self) -> bool {
        let table = Arc::clone(&self.filter.resource.storage);
        match self.api.store.events(&table, self.sent, BATCH) {
            Ok((events, complete)) => {
                for event in &events {
                    if let Some(line) = self.deliver(event) {
                        self.ready.push_back(Ready::Line(line));
                    }
                }
                self.sent = complete;
                events.len() == BATCH
            }
            Err(expired) => {
                let error = too_old(self.sent, expired);
                self.ready.push_back(Ready::Line(error_line(&error)));
                self.finished = true;
                false
            }
        }
    }

    /// The line of an event for this watch, if it concerns it.
    fn deliver(&mut self, event: &Arc<Event>) -> Option<Bytes> {
        let now =
            event.kind != EventKind::Deleted && self.filter.matches(&event.key, &event.object);
        let before = event.kind != EventKind::Added
            && event.previous.as_ref().is_some_and(|previous| {
                self.filter.is_trivial() && self.in_namespace(event)
                    || self.filter.matches(&event.key, previous)
            });
        match (before, now) {
            (false, false) => None,
            (false, true) => Some(self.line("ADDED", &event.object, Some(event))),
            (true, true) => Some(self.line("MODIFIED", &event.object, Some(event))),
            (true, false) if event.kind == EventKind::Deleted => {
                Some(self.line("DELETED", &event.object, Some(event)))
            }
            // It left the selection: its state before, at the revision of the change (apiserver `watch_cache.go`).
            (true, false) => {
                let previous = event.previous.as_ref()?;
                let mut value = show(&self.filter.resource, Arc::clone(previous)).into_value();
                value["metadata"]["resourceVersion"] = event.revision.to_string().into();
                Some(self.value_line("DELETED", value))
            }
        }
    }

    fn in_namespace(&self, event: &Event) -> bool {
        self.filter
            .namespace
            .as_deref()
            .is_none_or(|namespace| event.key.namespace() == namespace)
    }

    fn line(&mut self, kind: &'static str, stored: &Arc<Stored>, event: Option<&Event>) -> Bytes {
        let shown = show(&self.filter.resource, Arc::clone(stored));
        match (self.form, &shown) {
            (Form::Object, Shown::Stored(stored)) => {
                let make = || object_line(kind, stored.bytes());
                let Some(event) = event else {
                    return make();
                };
                event.line(kind, make)
            }
            (Form::Object, Shown::Value(_, value)) => {
                object_line(kind, value.to_string().as_bytes())
            }
            (Form::Table(_) | Form::Metadata, _) => {
                let value = shown.into_value();
                self.value_line(kind, value)
            }
        }
    }

    fn value_line(&mut self, kind: &str, value: Value) -> Bytes {
        let now = self.api.clock.now();
        let mut object = render::reshape(&self.filter.resource, value, self.form, now);
        if matches!(self.form, Form::Table(_)) && !std::mem::take(&mut self.first_table) {
            // Columns are sent once (apiserver `response.go`).
            object["columnDefinitions"] = Value::Null;
        }
        object_line(kind, object.to_string().as_bytes())
    }

    fn push_bookmark(&mut self, ends_initial_events: bool) {
        let line = bookmark_line(
            &self.filter.resource,
            self.sent,
            ends_initial_events,
            self.form,
        );
        self.ready.push_back(Ready::Line(line));
        self.next_bookmark = Instant::now() + BOOKMARK_INTERVAL;
    }
}

fn object_line(kind: &str, object: &[u8]) -> Bytes {
    let mut line = Vec::with_capacity(object.len() + kind.len() + 24);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(kind.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    line.into()
}

fn error_line(error: &StatusError) -> Bytes {
    object_line("ERROR", error.to_value().to_string().as_bytes())
}

fn bookmark_line(
    resource: &Resource,
    revision: u64,
    ends_initial_events: bool,
    form: Form,
) -> Bytes {
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if ends_initial_events {
        metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    let object = json!({
        "kind": &*resource.kind,
        "apiVersion": resource.api_version(),
        "metadata": metadata,
    });
    let object = match form {
        Form::Object => object,
        Form::Metadata => crate::table::partial_metadata(object),
        Form::Table(include) => {
            let row = crate::table::row(resource, object, include, Timestamp::UNIX_EPOCH);
            json!({
                "kind": "Table",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": {"resourceVersion": revision.to_string()},
                "columnDefinitions": null,
                "rows": [row],
            })
        }
    };
    object_line("BOOKMARK", object.to_string().as_bytes())
}

/// What a follower inside the server sees.
#[derive(Debug)]
pub(crate) enum Followed {
    /// Everything there is; whatever was known before is void. Sent first, and again if the follower fell behind.
    Snapshot(Vec<Value>),
    /// One change; a deletion carries the last state.
    Change(EventKind, Value),
}

/// Follows all objects of a resource from inside the server: a snapshot, then every change, until dropped.
pub(crate) struct Follower {
    api: Arc<Api>,
    resource: Arc<Resource>,
    changes: tokio::sync::watch::Receiver<u64>,
    sent: Option<u64>,
    ready: VecDeque<Arc<Event>>,
}

/// Starts following. `resource` decides the version in which objects appear.
pub(crate) fn follow(api: &Arc<Api>, resource: &Arc<Resource>) -> Follower {
    Follower {
        api: Arc::clone(api),
        resource: Arc::clone(resource),
        changes: api.store.subscribe_table(&resource.storage),
        sent: None,
        ready: VecDeque::new(),
    }
}

impl Follower {
    /// What happened next, waiting for it. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Followed {
        loop {
            if let Some(followed) = self.poll_now() {
                return followed;
            }
            if self.changes.changed().await.is_err() {
                // The store lives as long as `api`, which this holds.
                std::future::pending::<()>().await;
            }
        }
    }

    /// What happened next, if something did.
    pub(crate) fn poll_now(&mut self) -> Option<Followed> {
        if let Some(event) = self.ready.pop_front() {
            let value = self.value(&event.object);
            return Some(Followed::Change(event.kind, value));
        }
        self.changes.mark_unchanged();
        let table = Arc::clone(&self.resource.storage);
        if let Some(sent) = self.sent {
            match self.api.store.events(&table, sent, BATCH) {
                Ok((events, complete)) => {
                    self.sent = Some(complete);
                    self.ready.extend(events);
                    let event = self.ready.pop_front()?;
                    let value = self.value(&event.object);
                    return Some(Followed::Change(event.kind, value));
                }
                Err(_) => self.sent = None,
            }
        }
        match self.api.store.list(&table, &Range::default()) {
            Ok(page) => {
                self.sent = Some(page.revision);
                let objects = page
                    .items
                    .iter()
                    .map(|(_, stored)| self.value(stored))
                    .collect();
                Some(Followed::Snapshot(objects))
            }
            // Unreachable: the present never expires.
            Err(_) => None,
        }
    }

    fn value(&self, stored: &Arc<Stored>) -> Value {
        show(&self.resource, Arc::clone(stored)).into_value()
    }
}
