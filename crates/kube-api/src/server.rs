//! One server: what it is opened with, its parts and tasks, and the service that answers HTTP.
//!
//! Owns assembly and the life of the background tasks. Requests are read and answered in `server::handle`, paths in
//! `server::route`, media types in `server::negotiate`.
//!
//! Invariant: after `shutdown` no task of this server runs, every accepted write is on disk, and watches have ended.

mod body;
mod decode;
mod handle;
mod lists;
mod negotiate;
mod respond;
mod route;
mod turns;
mod warnings;
mod watches;

use std::convert::Infallible;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use body::{Body, BoxError};
pub(crate) use decode::summary;

use crate::admission::Policies;
use crate::admission::quota::{self, Quotas};
use crate::clock::{Clock, SystemClock};
use crate::identity::Identity;
use crate::registry::Registry;
use crate::rest::Api;
use crate::store::{BackupError, Contents, Store, StoreLimits, StoreOpenError, StorePlace};
use crate::{builtin, crd, gc, namespaces, rbac};
use turns::{Places, Turns};
use watches::Watches;

/// Past events kept per kind.
const HISTORY_EVENTS: usize = 20_000;
/// Bytes of outdated versions kept per kind.
const HISTORY_BYTES: usize = 4 * 1024 * 1024;
/// Age at which past events are forgotten, as etcd compaction by kube-apiserver does.
const HISTORY_AGE: Duration = Duration::from_mins(10);

/// Where objects are kept.
#[derive(Debug, Clone)]
pub enum Storage {
    /// A SQLite file; made if it does not exist.
    File(PathBuf),
    /// Nothing outlives the server.
    Memory,
}

/// Bounds on what clients may ask.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest request body in bytes.
    pub body_bytes: usize,
    /// Largest stored object in bytes.
    pub object_bytes: usize,
    /// Largest database file in bytes; 0 = as the disk allows.
    pub database_bytes: u64,
    /// Time a request that is no watch may take.
    pub request_timeout: Duration,
    /// Watches open at once per identity.
    pub watches_per_identity: usize,
    /// Lists read at once per identity; further ones wait. There are four times as many places for all together.
    pub lists_per_identity: usize,
    /// Writes at once per identity; further ones wait. There are four times as many places for all together.
    pub writes_per_identity: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 3 * 1024 * 1024,
            object_bytes: 1536 * 1024,
            database_bytes: 0,
            request_timeout: Duration::from_mins(1),
            watches_per_identity: 10_000,
            // A list is work for a processor: more at once only make each slower.
            lists_per_identity: 8,
            // Somewhat more than fit into one transaction, so that the disk always has the next ready.
            writes_per_identity: 512,
        }
    }
}

/// What `/version` reports.
#[derive(Debug, Clone)]
pub struct Version {
    /// As `v1.36.3`.
    pub git_version: String,
}

impl Default for Version {
    fn default() -> Self {
        Self {
            git_version: "v1.36.3".to_owned(),
        }
    }
}

/// What a server is opened with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where objects are kept.
    pub storage: Storage,
    /// Bounds on requests.
    pub limits: Limits,
    /// The version it claims.
    pub version: Version,
    /// Where it reads the time.
    pub clock: Arc<dyn Clock>,
}

impl Config {
    /// A server on this storage, everything else as usual.
    #[must_use]
    pub fn new(storage: Storage) -> Self {
        Self {
            storage,
            limits: Limits::default(),
            version: Version::default(),
            clock: Arc::new(SystemClock),
        }
    }
}

/// Why a server could not be opened. Says which file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database is missing, locked, damaged or from a newer version.
    #[error("the database cannot be used")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The objects every server has could not be made.
    #[error("the first objects could not be written: {0}")]
    Bootstrap(String),
}

impl From<StoreOpenError> for OpenError {
    fn from(error: StoreOpenError) -> Self {
        Self::Database(Box::new(error))
    }
}

#[derive(Debug)]
struct Inner {
    api: Arc<Api>,
    watches: Arc<Watches>,
    lists: Arc<Turns>,
    writes: Arc<Turns>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// A Kubernetes API server. Clones share one; [`Server::shutdown`] ends it.
#[derive(Debug, Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

impl Server {
    /// Opens the storage, checks it, loads all objects and starts the background tasks on the current runtime.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; nothing is left running.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let place = match config.storage {
            Storage::File(path) => StorePlace::File(path),
            Storage::Memory => StorePlace::Memory,
        };
        let limits = StoreLimits {
            object_bytes: config.limits.object_bytes,
            file_bytes: config.limits.database_bytes,
            history_events: HISTORY_EVENTS,
            history_bytes: HISTORY_BYTES,
            history_age: HISTORY_AGE,
        };
        let store = tokio::task::spawn_blocking(move || Store::open(&place, limits))
            .await
            .map_err(|error| OpenError::Database(Box::new(error)))??;
        let registry = Registry::default();
        builtin::install(&registry);
        namespaces::install(&registry);
        let api = Arc::new(Api {
            store,
            registry,
            clock: config.clock,
            limits: config.limits,
            version: config.version,
            authorizer: rbac::authorizer(),
            policies: Policies::default(),
            quotas: Quotas::default(),
        });
        let server = Self {
            inner: Arc::new(Inner {
                watches: Arc::new(Watches::new(api.limits.watches_per_identity)),
                lists: turns(api.limits.lists_per_identity),
                writes: turns(api.limits.writes_per_identity),
                api: Arc::clone(&api),
                tasks: TaskTracker::new(),
                stop: CancellationToken::new(),
            }),
        };
        let bootstrapped = async {
            namespaces::bootstrap(&api).await?;
            builtin::start(&api).await
        };
        if let Err(error) = bootstrapped.await {
            server.shutdown().await;
            return Err(OpenError::Bootstrap(error.to_string()));
        }
        crd::load(&api);
        server.start_tasks();
        Ok(server)
    }

    fn start_tasks(&self) {
        let Inner {
            api, tasks, stop, ..
        } = &*self.inner;
        tasks.spawn(namespaces::run(Arc::clone(api), stop.clone()));
        tasks.spawn(gc::run(Arc::clone(api), stop.clone()));
        tasks.spawn(crd::run(Arc::clone(api), stop.clone()));
        tasks.spawn(rbac::run(Arc::clone(api), stop.clone()));
        tasks.spawn(builtin::run(Arc::clone(api), stop.clone()));
        tasks.spawn(builtin::keep_addresses(Arc::clone(api), stop.clone()));
        tasks.spawn(builtin::keep_api_services(Arc::clone(api), stop.clone()));
        tasks.spawn(quota::keep::run(Arc::clone(api), stop.clone()));
        tasks.spawn(compact(Arc::clone(api), stop.clone()));
    }

    /// The service; a request's identity is its `Identity` extension, else its bearer token, else anonymous.
    #[must_use]
    pub fn service(&self) -> Service {
        Service {
            inner: Arc::clone(&self.inner),
            identity: None,
        }
    }

    /// The service for one client: every request runs as `identity`, to which impersonation headers apply.
    #[must_use]
    pub fn client_service(&self, identity: Identity) -> Service {
        Service {
            inner: Arc::clone(&self.inner),
            identity: Some(Arc::new(identity)),
        }
    }

    /// Writes a consistent, checked copy of the database to a new file, while the server works on
    /// ([`backup`](crate::backup)).
    ///
    /// # Errors
    ///
    /// If the file exists or cannot be written, or the server keeps nothing on disk.
    pub async fn backup(&self, to: PathBuf) -> Result<Contents, BackupError> {
        let database = self
            .inner
            .api
            .store
            .path()
            .ok_or(BackupError::Memory)?
            .to_owned();
        tokio::task::spawn_blocking(move || crate::backup(&database, &to))
            .await
            .unwrap_or_else(|error| Err(BackupError::Interrupted(error.to_string())))
    }

    /// Ends watches and tasks, writes what was accepted, closes the file. May be repeated.
    pub async fn shutdown(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        let store = self.inner.api.store.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || store.close()).await {
            tracing::error!(%error, "closing the store failed");
        }
    }
}

fn turns(each: usize) -> Arc<Turns> {
    let each = each.max(1);
    // Who has a thousand requests waiting will not have them answered in time.
    Turns::new(Places {
        total: each * 4,
        each,
        waiting: 1024,
    })
}

/// Forgets old history from time to time.
async fn compact(api: Arc<Api>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_secs(30));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => api.store.compact(std::time::Instant::now()),
        }
    }
}

/// Answers requests. Cheap to clone; always ready; never fails.
#[derive(Debug, Clone)]
pub struct Service {
    inner: Arc<Inner>,
    identity: Option<Arc<Identity>>,
}

impl<B> tower::Service<http::Request<B>> for Service
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        let identity = self.identity.clone();
        Box::pin(async move { Ok(handle::handle(&inner, identity, request).await) })
    }
}
