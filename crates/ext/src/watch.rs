//! Watches: what changes of somebody's tokens and kubeconfigs, one line of JSON per change.
//!
//! Follows the Secrets and ConfigMaps that they are kept as, chosen by the same labels as lists are. A watch ends with
//! its time, with what let its caller in, and with the right to it.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use drover_auth::web::{self, ApiError, BoxError, Response};
use drover_auth::{Attributes, Identity};
use futures::stream::{self, BoxStream, StreamExt as _};
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body::Frame;
use http_body_util::StreamBody;
use kube::Api;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::response::Status;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::request::{Include, Since};
use crate::{Call, GROUP, Parts, table};

/// The longest a watch lasts; its client begins another where it ended.
const LONGEST: u32 = 290;

/// An object as clients see it; nothing for what is none of those that are watched.
pub(crate) type Shown<K> = Box<dyn Fn(&K) -> Option<Value> + Send + Sync>;

/// What is watched, and how it is shown.
pub(crate) struct Watched<K> {
    pub(crate) api: Api<K>,
    /// Chooses among the objects.
    pub(crate) labels: String,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) shown: Shown<K>,
}

/// How changes become lines.
struct Lines {
    parts: Arc<Parts>,
    kind: &'static str,
    wants_table: bool,
    include: Include,
}

impl Call<'_> {
    /// Begins a watch.
    pub(crate) async fn watch<K>(&self, watched: Watched<K>) -> Result<Response, ApiError>
    where
        K: Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let since = self.asked.since.clone().unwrap_or_default();
        let events = events(&watched, &since, self.asked.name.as_deref()).await?;
        let lines = Lines {
            parts: Arc::clone(self.parts),
            kind: watched.kind,
            wants_table: self.asked.wants_table,
            include: self.asked.include,
        };
        let lasts = Duration::from_secs(since.timeout.unwrap_or(LONGEST).min(LONGEST).into());
        let ended = ended(
            Arc::clone(self.parts),
            self.identity.clone(),
            self.administers,
            watched.plural,
        );
        let over = async move {
            // Either way it is over.
            let _ = tokio::time::timeout(lasts, ended).await;
        };
        let shown = watched.shown;
        let frames = events
            .filter_map(move |event| {
                let line = lines.line(event, &shown, since.bookmarks);
                std::future::ready(line)
            })
            .take_until(Box::pin(over))
            .map(|line| Ok::<_, BoxError>(Frame::data(line.into())));
        let mut response = Response::new(web::boxed(StreamBody::new(frames)));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        Ok(response)
    }
}

/// The changes since a version; without one, what is there as if it had just come, and all changes after that.
async fn events<K>(
    watched: &Watched<K>,
    since: &Since,
    name: Option<&str>,
) -> Result<BoxStream<'static, WatchEvent<K>>, ApiError>
where
    K: Clone + DeserializeOwned + Debug + Send + 'static,
{
    let fields = name.map(|name| format!("metadata.name={name}"));
    let mut version = since.version.clone();
    let mut first = Vec::new();
    if version.is_empty() || version == "0" {
        let chosen = ListParams {
            field_selector: fields.clone(),
            ..ListParams::default().labels(&watched.labels)
        };
        let listed = watched.api.list(&chosen).await?;
        version = listed.metadata.resource_version.unwrap_or_default();
        first = listed.items.into_iter().map(WatchEvent::Added).collect();
    }
    let chosen = WatchParams {
        field_selector: fields,
        ..WatchParams::default()
            .labels(&watched.labels)
            .timeout(LONGEST)
    };
    let changes = watched.api.watch(&chosen, &version).await?;
    let changes = changes.scan((), |(), change| {
        let change = change
            .inspect_err(|error| tracing::debug!(%error, "a watch of somebody's own broke off"));
        std::future::ready(change.ok())
    });
    Ok(stream::iter(first).chain(changes).boxed())
}

/// Completes when the caller may no longer watch, or not as it began.
async fn ended(parts: Arc<Parts>, identity: Identity, administers: bool, plural: &'static str) {
    let may = |group, resource| {
        let asked = Attributes {
            verb: "watch",
            group,
            resource,
            namespace: None,
            name: None,
        };
        parts.access.is_allowed(&identity, &asked)
    };
    let lost = parts
        .access
        .until_lost(|| may(GROUP, plural) && (!administers || may("*", "*")));
    futures::future::select(
        Box::pin(lost),
        Box::pin(parts.authenticator.revoked(&identity)),
    )
    .await;
}

impl Lines {
    fn line<K>(
        &self,
        event: WatchEvent<K>,
        shown: &(dyn Fn(&K) -> Option<Value> + Send),
        bookmarks: bool,
    ) -> Option<Vec<u8>> {
        let (kind, object) = match event {
            WatchEvent::Added(object) => ("ADDED", self.form(vec![shown(&object)?], None)),
            WatchEvent::Modified(object) => ("MODIFIED", self.form(vec![shown(&object)?], None)),
            WatchEvent::Deleted(object) => ("DELETED", self.form(vec![shown(&object)?], None)),
            WatchEvent::Bookmark(_) if !bookmarks => return None,
            WatchEvent::Bookmark(mark) => {
                let version = mark.metadata.resource_version;
                ("BOOKMARK", self.form(Vec::new(), Some(&version)))
            }
            WatchEvent::Error(status) => ("ERROR", refusal(&status)),
        };
        let mut line = json!({"type": kind, "object": object})
            .to_string()
            .into_bytes();
        line.push(b'\n');
        Some(line)
    }

    /// One object, or none but the version that was reached, in the form that is asked for.
    fn form(&self, objects: Vec<Value>, version: Option<&str>) -> Value {
        if self.wants_table {
            let now = self.parts.clock.now();
            return table::table(self.kind, &objects, self.include, version, now);
        }
        objects.into_iter().next().unwrap_or_else(|| {
            json!({
                "apiVersion": "ext.cattle.io/v1", "kind": self.kind,
                "metadata": {"resourceVersion": version.unwrap_or_default()},
            })
        })
    }
}

fn refusal(status: &Status) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "message": status.message,
        "reason": status.reason, "code": status.code,
    })
}
