//! `/v1/audit/follow`: a websocket that tells of new entries.
//!
//! Takes the parameters of a list; `after` is the number of the last line the client has. Frames are `audit.entries`
//! with entries, newest first, and `ping`. The stream keeps nothing for a slow client: it reads on where it was.
//!
//! Invariant: nothing goes out to who lost the right, or whose session is over.

use std::time::Duration;

use drover_api::websocket::{self, Receiver, Sender};
use drover_audit::Ask;
use drover_auth::web::Response;
use drover_types::names::PEER_VERSION;
use http::request::Parts;
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;
use tracing::Instrument as _;

use super::{AuditLog, check, question, shown};
use crate::call::{Answer, Call};

/// Time in which new lines gather.
const GATHER: Duration = Duration::from_millis(500);
/// Entries of one frame; who cannot see more at once is told that there are more.
const MOST: usize = 200;

/// Answers the handshake and starts the stream.
///
/// # Errors
/// 422 naming a parameter that is wrong, 400 if the request is no websocket, 403 for a browser on a foreign page.
pub(super) fn open(call: &Call, parts: &mut Parts) -> Answer<Response> {
    let ask = Ask {
        limit: MOST,
        ..question::parse(&call.pairs)?
    };
    let (response, pending) = websocket::accept(parts)?.split();
    let call = call.clone();
    let span = tracing::info_span!("audit stream", user = %call.identity.user);
    tokio::spawn(
        async move {
            if let Some((sender, receiver)) = pending.open().await
                && let Some(log) = &call.shared.audit
            {
                run(&call, log, ask, sender, receiver).await;
            }
        }
        .instrument(span),
    );
    Ok(response)
}

async fn run(
    call: &Call,
    log: &AuditLog,
    mut ask: Ask,
    mut sender: Sender,
    mut receiver: Receiver,
) {
    let mut written = log.reader.written();
    let mut rights = call.shared.guard.access().changes();
    let revoked = call.shared.reach.revoked(&call.identity);
    let mut revoked = std::pin::pin!(revoked);
    let mut pings = tokio::time::interval(call.shared.ping);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    let mut reads = tokio::time::interval(GATHER);
    reads.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = ask.after.unwrap_or(*written.borrow_and_update());
    // What came between the client's list and now.
    let mut is_behind = true;
    let reason = loop {
        tokio::select! {
            () = &mut revoked => break "the session has ended",
            text = receiver.next() => match text {
                Some(_) => {}
                None => break "the client left",
            },
            changed = rights.changed() => {
                if changed.is_err() || check(call, "watch").is_err() {
                    break "the right is gone";
                }
            }
            changed = written.changed(), if !is_behind => match changed {
                Ok(()) => is_behind = true,
                Err(_) => break "the log is closed",
            },
            _ = reads.tick(), if is_behind => {
                is_behind = false;
                let newest = *written.borrow_and_update();
                ask.after = Some(seen);
                let Ok(page) = log.page(ask.clone()).await else {
                    break "the log cannot be read";
                };
                // Lines that came while it was read are on the page already.
                let last = page.entries.first().and_then(|entry| entry["sequence"].as_u64());
                seen = seen.max(newest).max(last.unwrap_or_default());
                if let Some(frame) = frame(call, page)
                    && let Err(lost) = sender.send(&frame).await
                {
                    break lost.reason();
                }
            }
            _ = pings.tick() => {
                let ping = json!({"name": "ping", "data": {"version": PEER_VERSION}});
                if let Err(lost) = sender.send(&ping).await {
                    break lost.reason();
                }
            }
        }
    };
    tracing::debug!(reason, "audit stream ends");
    sender.close().await;
}

/// What is told of a page; nothing of an empty one.
fn frame(call: &Call, page: drover_audit::Page) -> Option<Value> {
    if page.entries.is_empty() {
        return None;
    }
    let more = page.next.is_some();
    let entries: Vec<Value> = page
        .entries
        .into_iter()
        .map(|entry| shown(call, entry))
        .collect();
    Some(json!({"name": "audit.entries", "more": more, "data": entries}))
}
