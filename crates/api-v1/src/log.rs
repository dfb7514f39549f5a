//! Link `log` of clusters: the log of their provisioning, line by line over a websocket.
//!
//! It is kept as the peer keeps it: in the ConfigMap `provisioning-log` of the cluster's namespace on the hub, the newest
//! lines only. A frame is one line in base64 (rancher's `pkg/api/steve/clusters/log.go`). Whoever writes the log belongs
//! elsewhere; while there is none, the stream is open and says nothing.
//!
//! Invariant: nothing goes out to who lost the cluster, or whose session is over.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_api::websocket::{self, Frame, Receiver, Sender};
use drover_auth::web::{ApiError, Response};
use futures::{Stream, StreamExt};
use http::request::Parts;
use kube::Client;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::Instrument as _;

use crate::call::{Answer, Call};
use crate::format::text;
use crate::kind::Kind;
use crate::kubernetes::{Event, JSON, watch};

/// Where the log of a cluster is.
const NAME: &str = "provisioning-log";
/// How long one watch lasts.
const WATCH_SECONDS: u32 = 290;
/// A watch that stood for this long is taken up again.
const STOOD: Duration = Duration::from_secs(1);

/// Answers the handshake and starts the stream.
///
/// # Errors
/// 403 for who has no part in the cluster, 400 if the request is no websocket, 403 for a browser on a foreign page.
pub(crate) async fn open(call: &Call, parts: &mut Parts, cluster: &str) -> Answer<Response> {
    call.check_part(cluster)?;
    let hub = call.whole().await?;
    let (response, pending) = websocket::accept(parts)?.split();
    let (call, cluster) = (call.clone(), cluster.to_owned());
    let span = tracing::info_span!("cluster log", user = %call.identity.user, %cluster);
    tokio::spawn(
        async move {
            if let Some((sender, receiver)) = pending.open().await {
                run(&call, &hub, &cluster, sender, receiver).await;
            }
        }
        .instrument(span),
    );
    Ok(response)
}

async fn run(call: &Call, hub: &Client, cluster: &str, mut sender: Sender, mut receiver: Receiver) {
    let mut rights = call.shared.guard.access().changes();
    let revoked = call.shared.reach.revoked(&call.identity);
    let mut revoked = std::pin::pin!(revoked);
    let mut pings = tokio::time::interval(call.shared.ping);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = String::new();
    let reason = 'all: loop {
        let started = Instant::now();
        let mut events = match follow(hub, cluster).await {
            Ok(events) => events,
            Err(error) => {
                tracing::debug!(%error, "a log cannot be followed");
                break "the log cannot be followed";
            }
        };
        loop {
            let event = tokio::select! {
                () = &mut revoked => break 'all "the session has ended",
                text = receiver.next() => match text {
                    Some(_) => continue,
                    None => break 'all "the client left",
                },
                changed = rights.changed() => {
                    if changed.is_err() || call.check_part(cluster).is_err() {
                        break 'all "the right is gone";
                    }
                    continue;
                }
                _ = pings.tick() => {
                    if let Err(lost) = sender.ping().await {
                        break 'all lost.reason();
                    }
                    continue;
                }
                event = events.next() => event,
            };
            let Some(Ok(event)) = event else {
                if started.elapsed() < STOOD {
                    break 'all "the hub ends every watch at once";
                }
                continue 'all;
            };
            if event.kind == "DELETED" {
                break 'all "the log is gone";
            }
            let object: Value = serde_json::from_str(event.object.get()).unwrap_or_default();
            for line in fresh(text(&object, "/data/log"), &last) {
                if let Err(lost) = sender.send_frame(Frame::Text(STANDARD.encode(line))).await {
                    break 'all lost.reason();
                }
                line.clone_into(&mut last);
            }
        }
    };
    tracing::debug!(reason, "the stream of a log ends");
    sender.close().await;
}

/// The log as it is, and its changes.
async fn follow(
    hub: &Client,
    cluster: &str,
) -> Result<impl Stream<Item = Result<Event, ApiError>> + Send + Unpin + use<>, ApiError> {
    let kind = Kind {
        namespaced: true,
        ..Kind::new("", "v1", "ConfigMap", "configmaps")
    };
    let url = format!(
        "{}?watch=true&fieldSelector=metadata.name%3D{NAME}&timeoutSeconds={WATCH_SECONDS}",
        kind.path(Some(cluster), None)
    );
    watch(hub, &url, JSON).await
}

/// The lines behind the one that was told last; all where it is no longer among them.
fn fresh<'l>(log: &'l str, last: &str) -> Vec<&'l str> {
    let lines: Vec<&str> = log
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let known = lines.iter().rposition(|line| *line == last);
    lines[known.map_or(0, |at| at + 1)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_lines_are_told() {
        let check = |log: &str, last: &str, expected: &[&str]| {
            assert_eq!(fresh(log, last), expected, "{log:?} after {last:?}");
        };
        check("", "", &[]);
        check("a\n\n  b \n", "", &["a", "b"]);
        check("a\nb\nc", "b", &["c"]);
        check("a\nb", "b", &[]);
        // The oldest lines are dropped as the log grows.
        check("c\nd", "b", &["c", "d"]);
        // A line that comes again is new.
        check("a\nb\na", "b", &["a"]);
    }
}
