//! Keeps a copy like the cluster: a list, then a watch from there on.
//!
//! One try only: a copy whose cluster goes away ends, and the next reader
//! makes a new one. So nothing is asked of absent clusters.

use std::sync::Arc;
use std::time::Duration;

use drover_auth::web::ApiError;
use futures::StreamExt;
use http::StatusCode;
use kube::Client;
use serde_json::Value;
use tokio::time::Instant;

use super::list::list;
use super::table::read;
use super::{Caches, Slot};
use crate::format;
use crate::kubernetes::{Event, TABLE, is_unavailable, no_json, unavailable, watch};

/// For how long the cluster is asked to keep a watch.
const WATCH_SECONDS: u64 = 1800;
/// Watches in a row that may end at once.
const QUICK: u32 = 5;
/// How often a copy looks whether anybody still looks.
const LOOK_AROUND: Duration = Duration::from_secs(15);

/// How a watch ended.
enum End {
    /// It goes on from the last revision.
    Again,
    /// The cluster forgot the revision.
    TooOld,
    /// Nobody looks, or it must go.
    Done,
    TooLarge,
}

/// Fills a slot and keeps it until nobody looks or the cluster goes away.
pub(super) async fn run(caches: &Caches, slot: &Arc<Slot>) {
    let ended = async {
        match fill(caches, slot).await {
            Ok(End::TooLarge) => {
                tracing::warn!(
                    "there are more objects than copies may hold; lists go to the cluster"
                );
                caches.resize(slot.release(), 0);
                slot.set_too_large();
                // Remembered for a while, so that it is not tried with every request.
                tokio::time::sleep(caches.limits.idle).await;
            }
            Ok(End::Again | End::TooOld | End::Done) => {}
            Err(error) => {
                tracing::debug!(%error, "a copy ends");
                slot.set_over(error);
            }
        }
    };
    tokio::select! {
        () = slot.stopped().cancelled() => {}
        () = ended => {}
    }
    if !slot.is_over() {
        slot.set_over(unavailable("the copy of the cluster's objects ended"));
    }
}

/// A watch that stood for this long may break off and is taken up again.
const STOOD: Duration = Duration::from_secs(1);

async fn fill(caches: &Caches, slot: &Arc<Slot>) -> Result<End, ApiError> {
    let whole = || caches.reach.whole(&slot.cluster);
    let now = || caches.clock.now();
    loop {
        slot.set_filling();
        let mut client = whole().await?;
        let most = caches.limits.bytes;
        let listed = match list(&client, &slot.kind, now(), most).await {
            // The cluster's agent may have been replaced meanwhile.
            Err(error) if is_unavailable(&error) => {
                client = whole().await?;
                list(&client, &slot.kind, now(), most).await?
            }
            other => other?,
        };
        let Some(listed) = listed else {
            return Ok(End::TooLarge);
        };
        let (before, after) = slot.replace(listed.columns, listed.entries, listed.revision);
        caches.resize(before, after);
        if !caches.make_room(slot) {
            return Ok(End::TooLarge);
        }
        // What was just listed is shown while the watch that keeps it so is opened.
        slot.set_live();
        let mut quick = 0;
        loop {
            let started = Instant::now();
            let ended = follow(caches, slot, &client).await;
            // A server that ends every watch at once is not asked for ever.
            quick = if started.elapsed() < STOOD {
                quick + 1
            } else {
                0
            };
            match ended {
                Ok(End::Again) if quick <= QUICK => {}
                Ok(End::Again) => return Err(unavailable("the cluster ends every watch at once")),
                Ok(End::TooOld) => break,
                Ok(end @ (End::Done | End::TooLarge)) => return Ok(end),
                Err(error) if is_unavailable(&error) && quick <= 1 => {
                    tracing::debug!(%error, "a watch broke off and is taken up again");
                    slot.set_filling();
                    client = whole().await?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

async fn follow(caches: &Caches, slot: &Arc<Slot>, client: &Client) -> Result<End, ApiError> {
    let revision = slot.read(|contents| contents.revision);
    let url = format!(
        "{}?watch=true&includeObject=Object&allowWatchBookmarks=true&resourceVersion={revision}&timeoutSeconds={WATCH_SECONDS}",
        slot.kind.path(None, None)
    );
    let is_old = |error: &ApiError| error.status == StatusCode::GONE;
    let mut events = match watch(client, &url, TABLE).await {
        Ok(events) => events,
        Err(error) if is_old(&error) => return Ok(End::TooOld),
        Err(error) => return Err(error),
    };
    slot.set_live();
    let mut look = tokio::time::interval(LOOK_AROUND.min(caches.limits.idle));
    loop {
        let event = tokio::select! {
            _ = look.tick() => {
                if !slot.is_held() && slot.last_used().elapsed() >= caches.limits.idle {
                    tracing::debug!("nobody looks any more");
                    return Ok(End::Done);
                }
                continue;
            }
            event = events.next() => event,
        };
        match event {
            None => {
                // Readers wait while nothing stands behind the copy.
                slot.set_filling();
                return Ok(End::Again);
            }
            Some(Err(error)) if is_old(&error) => return Ok(End::TooOld),
            Some(Err(error)) => return Err(error),
            Some(Ok(event)) => {
                if !apply(caches, slot, event)? {
                    return Ok(End::TooLarge);
                }
            }
        }
    }
}

/// Takes one event; whether the copy may stay.
fn apply(caches: &Caches, slot: &Arc<Slot>, event: Event) -> Result<bool, ApiError> {
    let Event { kind, object } = event;
    if kind == "BOOKMARK" {
        if let Some(revision) = bookmarked(object.get()) {
            slot.bookmark(revision);
        }
        return Ok(true);
    }
    let columns = slot.read(|contents| Arc::clone(&contents.columns));
    let rows = read(&slot.kind, object.get(), &columns, caches.clock.now()).map_err(no_json)?;
    for entry in rows.entries {
        let (before, after) = if kind == "DELETED" {
            slot.remove(entry)
        } else {
            slot.upsert(entry)
        };
        caches.resize(before, after);
        if after > before && !caches.make_room(slot) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The revision of a bookmark: that of a Table, or that of the object in it.
fn bookmarked(text: &str) -> Option<u64> {
    let object: Value = serde_json::from_str(text).ok()?;
    ["", "/rows/0/object"].into_iter().find_map(|at| {
        format::text(&object, &format!("{at}/metadata/resourceVersion"))
            .parse()
            .ok()
    })
}
