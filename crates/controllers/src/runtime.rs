//! What runs controllers: triggers, queues, workers.
//!
//! Owns concurrency, repetition and back-off, so that a controller is only
//! "look at this key, say when to look again". Triggers carry keys, never
//! changes; many triggers of one key are one look.
//!
//! Invariant: a key is looked at by one worker at a time.

mod queue;

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use drover_auth::Clock;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use kube::api::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::queue::{Outcome, Queue};
use crate::plan::{ExecuteError, chain};

/// How long one look may take before it counts as failed.
const LOOK_LIMIT: Duration = Duration::from_secs(90);
/// How long looks in progress may go on after the shutdown signal.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// Why a look failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    /// The hub or the cluster could not be read.
    #[error("cannot read what is there")]
    Read(#[from] kube::Error),
    /// A change did not come about.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The cluster cannot be reached.
    #[error(transparent)]
    Unreachable(#[from] crate::downstream::Unreachable),
    /// The manifest cannot be made.
    #[error(transparent)]
    Manifest(#[from] crate::manifest::InputsError),
    /// There is no randomness for secrets.
    #[error(transparent)]
    Entropy(#[from] drover_auth::clock::NoEntropy),
}

impl LookError {
    /// Whether somebody said no. What did not get through says nothing about the object.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Read(error) => matches!(error, kube::Error::Api(_)),
            Self::Execute(ExecuteError::Api { source, .. }) => {
                matches!(**source, kube::Error::Api(_)) && !self.is_stale()
            }
            Self::Manifest(_) => true,
            Self::Execute(ExecuteError::NoCluster { .. })
            | Self::Unreachable(_)
            | Self::Entropy(_) => false,
        }
    }

    /// Whether it is nothing but a race with another writer.
    fn is_stale(&self) -> bool {
        match self {
            Self::Execute(error) => error.is_stale(),
            Self::Read(_) | Self::Unreachable(_) | Self::Manifest(_) | Self::Entropy(_) => false,
        }
    }
}

/// One concern, looked after key by key.
pub(crate) trait Controller: Send + Sync + 'static {
    /// The name in logs.
    const NAME: &'static str;

    /// Looks at one key: reads, decides, acts. Answers when to look again
    /// without being asked.
    fn look(&self, key: &str) -> impl Future<Output = Result<Option<Timestamp>, LookError>> + Send;
}

/// Asks for a key to be looked at.
#[derive(Clone, Debug)]
pub(crate) struct Trigger {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Notify,
}

impl Trigger {
    /// A queue without a worker yet.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                queue: Mutex::new(Queue::new(seed)),
                changed: Notify::new(),
            }),
        }
    }

    /// Looks at `key` when `delay` is over, or earlier; for changes that come in crowds.
    pub(crate) fn within(&self, key: impl Display, delay: Duration) {
        self.shared
            .queue
            .lock()
            .trigger(&key.to_string(), Instant::now() + delay);
        self.shared.changed.notify_one();
    }

    /// Looks at `key` as soon as possible.
    pub(crate) fn now(&self, key: impl Display) {
        self.shared
            .queue
            .lock()
            .trigger(&key.to_string(), Instant::now());
        self.shared.changed.notify_one();
    }
}

/// Runs one controller until shutdown, `n_workers` keys at a time.
pub(crate) async fn run<C: Controller>(
    controller: Arc<C>,
    trigger: Trigger,
    n_workers: usize,
    clock: Clock,
    shutdown: CancellationToken,
) {
    let shared = trigger.shared;
    let mut looks: JoinSet<()> = JoinSet::new();
    loop {
        while looks.len() < n_workers {
            let Some(key) = shared.queue.lock().take(Instant::now()) else {
                break;
            };
            looks.spawn(look(
                Arc::clone(&controller),
                Arc::clone(&shared),
                key,
                clock.clone(),
            ));
        }
        let due = shared
            .queue
            .lock()
            .next_due()
            .filter(|_| looks.len() < n_workers);
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = shared.changed.notified() => {}
            Some(_) = looks.join_next() => {}
            () = sleep_until(due) => {}
        }
    }
    let drain = async { while looks.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_LIMIT, drain).await.is_err() {
        tracing::warn!(controller = C::NAME, "stopped in the middle of its work");
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn look<C: Controller>(controller: Arc<C>, shared: Arc<Shared>, key: String, clock: Clock) {
    let outcome = match tokio::time::timeout(LOOK_LIMIT, controller.look(&key)).await {
        Ok(Ok(at)) => Outcome::Done {
            again: at.map(|at| duration_until(at, clock.now())),
        },
        Ok(Err(error)) if error.is_stale() => Outcome::Stale,
        Ok(Err(error)) => {
            tracing::warn!(
                controller = C::NAME,
                key,
                error = chain(&error),
                "will try again"
            );
            Outcome::Failed
        }
        Err(_) => {
            tracing::warn!(controller = C::NAME, key, "took too long, will try again");
            Outcome::Failed
        }
    };
    shared.queue.lock().finish(&key, outcome, Instant::now());
    shared.changed.notify_one();
}

fn duration_until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}

/// What a watch tells of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It is there.
    There,
    /// It is gone.
    Gone,
}

/// An object as far as its metadata goes, whatever its kind.
pub(crate) type Metadata = PartialObjectMeta<DynamicObject>;

/// The metadata of all objects of a kind; what else they hold is not asked for, and may be much.
///
/// The kind is known at run time only, so that the code behind it is made once and not for each kind.
pub(crate) fn metadata_of<K: Resource<DynamicType = ()>>(client: &Client) -> Api<Metadata> {
    Api::all_with(client.clone(), &ApiResource::erase::<K>(&()))
}

/// The same in one namespace.
pub(crate) fn metadata_in<K>(client: &Client, namespace: &str) -> Api<Metadata>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<K>(&()))
}

/// Who is told of an object.
type Told = Box<dyn Fn(&Metadata, Presence) + Send>;

/// Tells `told` of each object of a kind that appears, changes or goes, until shutdown.
pub(crate) fn watch_metadata<K: Resource<DynamicType = ()>>(
    client: &Client,
    config: watcher::Config,
    told: impl Fn(&Metadata, Presence) + Send + 'static,
    shutdown: CancellationToken,
) -> BoxFuture<'static, ()> {
    watch(
        metadata_of::<K>(client),
        K::kind(&()).into_owned(),
        config,
        Box::new(told),
        shutdown,
    )
    .boxed()
}

async fn watch(
    api: Api<Metadata>,
    kind: String,
    config: watcher::Config,
    told: Told,
    shutdown: CancellationToken,
) {
    let mut events = std::pin::pin!(watcher(api, config).default_backoff());
    loop {
        let event = tokio::select! {
            () = shutdown.cancelled() => return,
            event = events.next() => event,
        };
        match event {
            Some(Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object))) => {
                told(&object, Presence::There)
            }
            Some(Ok(watcher::Event::Delete(object))) => told(&object, Presence::Gone),
            Some(Ok(watcher::Event::Init | watcher::Event::InitDone)) => {}
            Some(Err(error)) => tracing::warn!(%kind, error = chain(&error), "watch interrupted"),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_is_a_refusal() {
        let answer = |code, reason: &str| {
            kube::Error::Api(Box::new(kube::core::Status {
                code,
                reason: reason.to_owned(),
                ..kube::core::Status::default()
            }))
        };
        let applied = |source| {
            LookError::Execute(ExecuteError::Api {
                verb: "apply",
                target: "ClusterRole cattle-admin".to_owned(),
                source: Box::new(source),
            })
        };
        let lost = || {
            let ended = std::io::Error::other("tunnel disconnect");
            kube::Error::Service(Box::new(ended))
        };
        assert!(applied(answer(403, "Forbidden")).is_refusal());
        assert!(LookError::Read(answer(500, "InternalError")).is_refusal());
        assert!(!applied(answer(409, "Conflict")).is_refusal(), "a race");
        assert!(!applied(lost()).is_refusal());
        assert!(!LookError::Read(lost()).is_refusal());
    }
}
