//! The event stream at `/v1/subscribe`.
//!
//! Owns what goes over the socket: clients start and stop watches, each watch
//! tells of changes to what its caller sees (reference section 1.5). A watch
//! ends when the caller's rights change; the client starts it anew and learns
//! what it sees then.
//!
//! Invariant: no object goes out that the caller may not see at that moment.

mod special;
mod watch;

use std::collections::HashMap;

use drover_api::websocket::{self, Receiver, Sender};
use drover_auth::web::Response;
use drover_types::names::PEER_VERSION;
use futures::FutureExt;
use http::request;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::MissedTickBehavior;
use tracing::Instrument;

use crate::cache::Entry;
use crate::call::{Answer, Call};

/// Frames that wait for a slow client; a watch that cannot add one falls behind and ends.
const WAITING: usize = 64;
/// Watches of one socket.
const MOST: usize = 512;

/// What a client sends.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wish {
    resource_type: String,
    namespace: String,
    id: String,
    selector: String,
    resource_version: String,
    mode: String,
    debounce_ms: u64,
    stop: bool,
}

/// What tells watches of one socket apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Topic {
    resource_type: String,
    namespace: String,
    id: String,
    selector: String,
    mode: String,
    debounce_ms: u64,
}

impl Topic {
    fn of(wish: &Wish) -> Self {
        Self {
            resource_type: wish.resource_type.clone(),
            namespace: wish.namespace.clone(),
            id: wish.id.clone(),
            selector: wish.selector.clone(),
            mode: wish.mode.clone(),
            debounce_ms: wish.debounce_ms,
        }
    }

    /// Whether it is about this object, whatever its labels are.
    fn names(&self, entry: &Entry) -> bool {
        (self.namespace.is_empty() || entry.namespace() == Some(self.namespace.as_str()))
            // Clients name an object of a namespace with it or beside it.
            && (self.id.is_empty() || *entry.id == *self.id || entry.name() == self.id)
    }

    /// A frame about this watch, as recorded: what names the watch, and near-empty data.
    fn frame(&self, name: &str) -> Map<String, Value> {
        let mut frame = Map::new();
        frame.insert("name".to_owned(), json!(name));
        frame.insert("resourceType".to_owned(), json!(self.resource_type));
        for (key, value) in [
            ("namespace", &self.namespace),
            ("id", &self.id),
            ("selector", &self.selector),
            ("mode", &self.mode),
        ] {
            if !value.is_empty() {
                frame.insert(key.to_owned(), json!(value));
            }
        }
        frame.insert("data".to_owned(), json!({"type": "subscribe", "links": {}}));
        frame
    }

    fn error(&self, message: &str) -> Map<String, Value> {
        let mut frame = self.frame("resource.error");
        frame.insert("data".to_owned(), json!({"error": message}));
        frame
    }
}

/// The frames of one watch.
#[derive(Clone, Debug)]
struct Outgoing(mpsc::Sender<Value>);

/// The client is gone.
#[derive(Debug)]
struct Gone;

impl Outgoing {
    async fn send(&self, frame: Map<String, Value>) -> Result<(), Gone> {
        self.0.send(Value::Object(frame)).await.map_err(|_| Gone)
    }
}

/// Answers the handshake and starts the stream.
///
/// # Errors
/// 401 where the caller may not enter the cluster, 400 if the request is no websocket, 403 for a browser on a foreign
/// page.
pub(crate) async fn open(call: &Call, parts: &mut request::Parts) -> Answer<Response> {
    call.rights().await?;
    let (response, pending) = websocket::accept(parts)?.split();
    let call = call.clone();
    let span =
        tracing::info_span!("subscription", user = %call.identity.user, cluster = %call.cluster);
    tokio::spawn(
        async move {
            if let Some((sender, receiver)) = pending.open().await {
                run(call, sender, receiver).await;
            }
        }
        .instrument(span),
    );
    Ok(response)
}

async fn run(call: Call, mut sender: Sender, mut receiver: Receiver) {
    let (outgoing, mut frames) = mpsc::channel(WAITING);
    let mut watches: HashMap<Topic, AbortHandle> = HashMap::new();
    let mut tasks: JoinSet<Topic> = JoinSet::new();
    let mut pings = tokio::time::interval(call.shared.ping);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    let revoked = call.shared.reach.revoked(&call.identity);
    let mut revoked = std::pin::pin!(revoked);
    let reason = loop {
        let frame = tokio::select! {
            () = &mut revoked => break "the session has ended",
            text = receiver.next() => {
                let Some(text) = text else { break "the client left" };
                // What is no wish is ignored, as the peer does.
                let Ok(wish) = serde_json::from_str::<Wish>(&text) else { continue };
                match take(&call, wish, &mut watches, &mut tasks, &outgoing) {
                    Some(frame) => frame,
                    None => continue,
                }
            }
            Some(ended) = tasks.join_next() => {
                if let Ok(topic) = ended {
                    watches.remove(&topic);
                }
                continue;
            }
            _ = pings.tick() => json!({"name": "ping", "data": {"version": PEER_VERSION}}),
            Some(frame) = frames.recv() => frame,
        };
        if let Err(lost) = sender.send(&frame).await {
            break lost.reason();
        }
    };
    tracing::debug!(reason, "subscription ends");
    tasks.abort_all();
    sender.close().await;
}

/// Starts or stops a watch; gives what is answered at once.
fn take(
    call: &Call,
    wish: Wish,
    watches: &mut HashMap<Topic, AbortHandle>,
    tasks: &mut JoinSet<Topic>,
    outgoing: &mpsc::Sender<Value>,
) -> Option<Value> {
    let topic = Topic::of(&wish);
    if wish.stop {
        let running = watches.remove(&topic)?;
        running.abort();
        return Some(Value::Object(topic.frame("resource.stop")));
    }
    if wish.resource_type.is_empty() || watches.contains_key(&topic) {
        return None;
    }
    if watches.len() >= MOST {
        return Some(Value::Object(topic.error("too many watches on one socket")));
    }
    let (call, outgoing, of) = (call.clone(), Outgoing(outgoing.clone()), topic.clone());
    let running = tasks.spawn(
        async move {
            // A client that is gone has ended the socket, which ends this task.
            let _: Result<(), Gone> = one(&call, &of, &wish.resource_version, &outgoing).await;
            of
        }
        .boxed()
        .in_current_span(),
    );
    watches.insert(topic, running);
    None
}

/// One watch, to its end.
async fn one(call: &Call, topic: &Topic, from: &str, outgoing: &Outgoing) -> Result<(), Gone> {
    let ended = match topic.resource_type.to_ascii_lowercase().as_str() {
        "count" | "counts" => special::counts(call, topic, outgoing).await?,
        "schema" | "schemas" => special::schemas(call, topic, outgoing).await?,
        _ => watch::run(call, topic, from, outgoing).await?,
    };
    if let End::Failed(message) = ended {
        outgoing.send(topic.error(&message)).await?;
    }
    outgoing.send(topic.frame("resource.stop")).await
}

/// How a watch ends.
#[derive(Debug)]
enum End {
    /// The caller's rights are others now.
    Changed,
    Failed(String),
}

impl From<crate::call::Refused> for End {
    fn from(refused: crate::call::Refused) -> Self {
        match refused {
            crate::call::Refused::Error(error) => Self::Failed(error.message),
            crate::call::Refused::NoType | crate::call::Refused::NoEntry => Self::Changed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_look_as_recorded() {
        let wish: Wish = serde_json::from_value(json!({
            "resourceType": "configmap", "namespace": "default", "mode": "resource.changes", "debounceMs": 1000, "more": 1,
        }))
        .unwrap();
        let topic = Topic::of(&wish);
        assert_eq!(
            Value::Object(topic.frame("resource.start")),
            json!({
                "data": {"links": {}, "type": "subscribe"}, "mode": "resource.changes",
                "name": "resource.start", "namespace": "default", "resourceType": "configmap",
            })
        );
        assert_eq!(topic.error("no")["data"], json!({"error": "no"}));
    }
}
