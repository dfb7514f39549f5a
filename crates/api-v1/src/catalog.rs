//! What is known of each cluster's kinds, kept for some seconds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use drover_auth::web::ApiError;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::cache::Caches;
use crate::cells::{Column, columns_of};
use crate::discovery;
use crate::kind::Kind;
use crate::kubernetes::{TABLE, get_whole, is_unavailable};
use crate::reach::Reach;

/// How long an answer of discovery counts.
const FRESH: Duration = Duration::from_secs(10);
/// How soon it is asked again for a kind that it did not name.
const AGAIN: Duration = Duration::from_secs(1);
/// How long columns count; a list of the kind brings them anew.
const COLUMNS_FRESH: Duration = Duration::from_secs(600);
/// Kinds whose columns are asked for at once.
const AT_ONCE: usize = 8;

type Kinds = Arc<[Kind]>;
type Columns = Arc<[Column]>;

#[derive(Default)]
struct Known {
    /// Held while the cluster is asked, so that it is asked once.
    kinds: tokio::sync::Mutex<Option<(Instant, Kinds)>>,
    columns: Mutex<HashMap<String, (Instant, Columns)>>,
}

/// The kinds of all clusters that somebody looks at.
pub(crate) struct Catalogs {
    reach: Arc<dyn Reach>,
    clusters: Mutex<HashMap<String, Arc<Known>>>,
}

impl Catalogs {
    pub(crate) fn new(reach: Arc<dyn Reach>) -> Self {
        Self {
            reach,
            clusters: Mutex::default(),
        }
    }

    fn known(&self, cluster: &str) -> Arc<Known> {
        let mut clusters = self.clusters.lock();
        Arc::clone(clusters.entry(cluster.to_owned()).or_default())
    }

    async fn asked(&self, cluster: &str, within: Duration) -> Result<Kinds, ApiError> {
        let known = self.known(cluster);
        let mut kinds = known.kinds.lock().await;
        if let Some((at, kinds)) = &*kinds
            && at.elapsed() < within
        {
            return Ok(Arc::clone(kinds));
        }
        match discovery::kinds(&*self.reach, cluster).await {
            Ok(found) => {
                let found: Kinds = found.into();
                *kinds = Some((Instant::now(), Arc::clone(&found)));
                Ok(found)
            }
            Err(error) => {
                *kinds = None;
                drop(kinds);
                // Names of clusters come from people; those that are none are not kept.
                self.clusters.lock().remove(cluster);
                Err(error)
            }
        }
    }

    /// All kinds of a cluster, in order of ids.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub(crate) async fn kinds(&self, cluster: &str) -> Result<Kinds, ApiError> {
        self.asked(cluster, FRESH).await
    }

    /// The kind a type names, by id or plural in any case; a new one is found at once.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub(crate) async fn find(&self, cluster: &str, name: &str) -> Result<Option<Kind>, ApiError> {
        let find = |kinds: &Kinds| kinds.iter().find(|kind| kind.answers_to(name)).cloned();
        if let Some(kind) = find(&self.kinds(cluster).await?) {
            return Ok(Some(kind));
        }
        Ok(find(&self.asked(cluster, AGAIN).await?))
    }

    /// The columns of a kind; none where its API is broken.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub(crate) async fn columns(
        &self,
        caches: &Caches,
        cluster: &str,
        kind: &Kind,
    ) -> Result<Columns, ApiError> {
        if !kind.has("list") {
            return Ok(Columns::default());
        }
        if kind.is_personal() {
            let columns = drover_ext::columns(&kind.resource);
            return Ok(columns.iter().map(Column::read).collect());
        }
        if let Some(held) = caches.peek(cluster, kind) {
            return Ok(held.read(|contents| Arc::clone(&contents.columns)));
        }
        let known = self.known(cluster);
        if let Some((at, columns)) = known.columns.lock().get(&kind.id)
            && at.elapsed() < COLUMNS_FRESH
        {
            return Ok(Arc::clone(columns));
        }
        let url = format!("{}?limit=1&includeObject=None", kind.path(None, None));
        match get_whole(&*self.reach, cluster, &url, TABLE).await {
            Ok(table) => {
                let columns: Columns = columns_of(&table).into();
                known
                    .columns
                    .lock()
                    .insert(kind.id.clone(), (Instant::now(), Arc::clone(&columns)));
                Ok(columns)
            }
            Err(error) if is_unavailable(&error) => Err(error),
            Err(error) => {
                tracing::debug!(%cluster, kind = %kind.id, %error, "columns are not known");
                Ok(Columns::default())
            }
        }
    }

    /// The columns of several kinds, in their order.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub(crate) async fn all_columns(
        &self,
        caches: &Caches,
        cluster: &str,
        kinds: &[&Kind],
    ) -> Result<Vec<Columns>, ApiError> {
        let asked: Vec<BoxFuture<'_, Result<Columns, ApiError>>> = kinds
            .iter()
            .map(|kind| self.columns(caches, cluster, kind).boxed())
            .collect();
        futures::stream::iter(asked)
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }
}

impl std::fmt::Debug for Catalogs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalogs").finish_non_exhaustive()
    }
}
