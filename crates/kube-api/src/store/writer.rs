//! The one thread that changes the store.
//!
//! Takes what waits as one group, checks each change against the state as the group leaves it, writes the group in one
//! transaction, and only then applies and acknowledges it. A group that fails is tried again change by change, so that
//! one bad change does not fail its neighbours.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::file::{File, Row, RowChange};
use super::memory::{Applied, EventKind, Key, Stored};
use super::{Change, ChangeAction, Shared, WriteError};

/// Changes in one transaction at most, and the length of the queue: a sync costs about as much as writing this many
/// small objects, so longer groups add latency and no throughput.
const GROUP: usize = 256;

/// Bytes in one transaction at which it takes no further change, so that large objects do not make a group, and with it
/// the write-ahead log and everybody's wait, large too.
const GROUP_BYTES: usize = 8 * 1024 * 1024;

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Request {
    Change(Change, oneshot::Sender<Result<Arc<Stored>, WriteError>>),
    Close,
}

/// The running thread.
#[derive(Debug)]
pub(super) struct Handle(Option<JoinHandle<()>>);

impl Handle {
    pub(super) fn join(mut self) {
        if let Some(thread) = self.0.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer panicked");
        }
    }
}

type Waiting = (Change, oneshot::Sender<Result<Arc<Stored>, WriteError>>);

pub(super) fn start(shared: Arc<Shared>, file: Option<File>) -> (Handle, mpsc::Sender<Request>) {
    let (sender, receiver) = mpsc::channel(GROUP);
    let spawned = std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || {
            Writer { shared, file }.run(receiver);
        });
    match spawned {
        Ok(thread) => (Handle(Some(thread)), sender),
        Err(error) => {
            // Without its receiver every write fails with `Closed`; reads go on.
            tracing::error!(%error, "cannot start the store's writer");
            (Handle(None), sender)
        }
    }
}

struct Writer {
    shared: Arc<Shared>,
    file: Option<File>,
}

impl Writer {
    fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut closing = false;
        while !closing && let Some(first) = requests.blocking_recv() {
            let mut group = Vec::new();
            let mut bytes = 0;
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Change(change, reply) => {
                        bytes += change.len();
                        group.push((change, reply));
                    }
                    Request::Close => {
                        closing = true;
                        break;
                    }
                }
                next = if group.len() < GROUP && bytes < GROUP_BYTES {
                    requests.try_recv().ok()
                } else {
                    None
                };
            }
            self.write(group);
        }
        // What still waits is answered with `Closed` as the queue is dropped.
        drop(requests);
        if let Some(file) = self.file.take() {
            file.close();
        }
    }

    fn write(&mut self, group: Vec<Waiting>) {
        if group.is_empty() {
            return;
        }
        let (answers, error) = self.commit(group);
        let Some(error) = error else {
            answer(answers);
            return;
        };
        // Nothing of the group is on disk.
        if answers.len() == 1 {
            for (_, reply, _) in answers {
                drop(reply.send(Err(error.clone())));
            }
            return;
        }
        for (change, reply, _) in answers {
            let (answers, error) = self.commit(vec![(change, reply)]);
            match error {
                None => answer(answers),
                Some(error) => {
                    for (_, reply, _) in answers {
                        drop(reply.send(Err(error.clone())));
                    }
                }
            }
        }
    }

    /// Writes a group; with an error, nothing of it took effect.
    fn commit(&mut self, group: Vec<Waiting>) -> (Vec<Answer>, Option<WriteError>) {
        // The objects as this group leaves them; `None` = gone.
        let mut overlay: HashMap<(Arc<str>, Key), Option<Arc<Stored>>> = HashMap::new();
        let mut applied = Vec::with_capacity(group.len());
        let mut answers: Vec<Answer> = Vec::with_capacity(group.len());
        let start = self.shared.state.read().revision();
        let mut revision = start;
        for (change, reply) in group {
            let place = (Arc::clone(&change.table), change.key.clone());
            let current = match overlay.get(&place) {
                Some(current) => current.clone(),
                None => self.shared.state.read().get(&place.0, &place.1),
            };
            let decided = decide(&change, current.as_deref(), revision + 1);
            let result = match decided {
                Ok((kind, stored)) => {
                    revision += 1;
                    let stored = Arc::new(stored);
                    let left = (kind != EventKind::Deleted).then(|| Arc::clone(&stored));
                    overlay.insert(place, left);
                    applied.push(Applied {
                        table: Arc::clone(&change.table),
                        key: change.key.clone(),
                        kind,
                        object: Arc::clone(&stored),
                    });
                    Ok(stored)
                }
                Err(error) => Err(error),
            };
            answers.push((change, reply, result));
        }
        if applied.is_empty() {
            return (answers, None);
        }
        if let Some(file) = &mut self.file {
            let rows = applied.iter().map(|applied| RowChange {
                row: Row {
                    table: &applied.table,
                    key: applied.key.as_str(),
                    stored: &applied.object,
                },
                kind: applied.kind,
            });
            if let Err(error) = file.write(rows, revision) {
                return (answers, Some(error));
            }
        }
        let at = Instant::now();
        let tables: BTreeSet<Arc<str>> = applied.iter().map(|a| Arc::clone(&a.table)).collect();
        {
            let mut state = self.shared.state.write();
            for change in applied {
                state.apply(change, at, &self.shared.limits);
            }
        }
        // Those who are woken read the state, so it must not be held for writing any more.
        self.shared.state.read().notify(tables.iter());
        self.shared.revision.send_replace(revision);
        (answers, None)
    }
}

type Answer = (
    Change,
    oneshot::Sender<Result<Arc<Stored>, WriteError>>,
    Result<Arc<Stored>, WriteError>,
);

fn answer(answers: Vec<Answer>) {
    for (_, reply, result) in answers {
        // Nobody waits any more: the change stands all the same.
        drop(reply.send(result));
    }
}

fn decide(
    change: &Change,
    current: Option<&Stored>,
    revision: u64,
) -> Result<(EventKind, Stored), WriteError> {
    match &change.action {
        ChangeAction::Create(draft) => {
            if current.is_some() {
                return Err(WriteError::Exists);
            }
            let row = i64::try_from(revision)
                .map_err(|_| WriteError::Failed("out of revisions".into()))?;
            let stored = Stored::new(revision, draft.mark(), row, draft.finish(revision));
            Ok((EventKind::Added, stored))
        }
        ChangeAction::Update(draft, expected) => match current {
            Some(current) if current.revision == *expected => Ok((
                EventKind::Modified,
                Stored::new(revision, draft.mark(), current.row, draft.finish(revision)),
            )),
            _ => Err(WriteError::Conflict),
        },
        ChangeAction::Delete(draft, expected) => match current {
            Some(current) if current.revision == *expected => Ok((
                EventKind::Deleted,
                Stored::new(revision, draft.mark(), current.row, draft.finish(revision)),
            )),
            _ => Err(WriteError::Conflict),
        },
    }
}
