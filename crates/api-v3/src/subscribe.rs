//! The event stream at `/v3/subscribe`, also below a cluster or project.
//!
//! Owns the websocket and what goes over it: every visible object of the types
//! asked for, first as they are, then as they change, and a ping every few
//! seconds (reference section 1.9). One task per stream; it ends when the
//! client goes, stalls, loses its session, or after half an hour.

use std::sync::Arc;
use std::time::Duration;

use drover_api::websocket::{self, Receiver, Sender};
use drover_auth::Identity;
use drover_auth::web::{ApiError, Response};
use drover_types::management::{GROUP, VERSION};
use futures::Stream;
use futures::stream::{self, StreamExt};
use http::request;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::Instrument;

use crate::call::{Call, Shared};
use crate::kinds;
use crate::mapping::{self, Reveal};
use crate::query::Query;
use crate::resource::present_one;
use crate::schema::{Base, Behaviour, Object, Type};
use crate::target::{Context, is_within};
use crate::urls::Urls;

/// Time between pings, unless told otherwise (reference section 1.9).
pub(crate) const PING: Duration = Duration::from_secs(5);
/// Time after which a client has to come back, so that streams spread over replicas.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// What a stream needs to outlive its request.
pub(crate) struct Subscription {
    pub(crate) shared: Arc<Shared>,
    pub(crate) identity: Identity,
    pub(crate) urls: Urls,
    pub(crate) query: Query,
    pub(crate) context: Option<Context>,
    pub(crate) action_key: &'static str,
}

/// Answers the handshake and starts the stream.
///
/// # Errors
/// 404 if no type asked for is known, 400 if the request is no websocket, 403 for a browser on a foreign page.
pub(crate) fn open(stream: Subscription, parts: &mut request::Parts) -> Result<Response, ApiError> {
    let wanted = wanted(&stream)?;
    let (response, pending) = websocket::accept(parts)?.split();
    let span = tracing::info_span!("subscription", user = %stream.identity.user);
    tokio::spawn(
        async move {
            if let Some((sender, receiver)) = pending.open().await {
                run(&stream, &wanted, sender, receiver).await;
            }
        }
        .instrument(span),
    );
    Ok(response)
}

/// The ids of the types asked for; all if none is named.
fn wanted(stream: &Subscription) -> Result<Vec<&'static str>, ApiError> {
    let asked: Vec<&str> = stream.query.all("resourceTypes").collect();
    let registry = &stream.shared.registry;
    let known: Vec<&'static str> = registry
        .listed(Base::Management)
        .filter(|kind| {
            kind.base == Base::Management
                && kind.object.is_some()
                // Secrets are of another group, and nobody asks for their changes.
                && kind.behaviour != Behaviour::CloudCredential
                && (asked.is_empty() || asked.contains(&kind.id))
        })
        .map(|kind| kind.id)
        .collect();
    if known.is_empty() {
        Err(ApiError::not_found("no resources types matched"))
    } else {
        Ok(known)
    }
}

type Event = (&'static str, watcher::Result<watcher::Event<DynamicObject>>);

fn events(
    stream: &Subscription,
    wanted: &[&'static str],
) -> impl Stream<Item = Event> + Send + Unpin + use<> {
    let registry = &stream.shared.registry;
    let watches = wanted.iter().filter_map(|id| {
        let object = registry.get(id)?.object?;
        let resource = ApiResource {
            group: GROUP.to_owned(),
            version: VERSION.to_owned(),
            api_version: format!("{GROUP}/{VERSION}"),
            kind: object.kind.to_owned(),
            plural: object.resource.to_owned(),
        };
        let api = Api::<DynamicObject>::all_with(stream.shared.store.client().clone(), &resource);
        let id = *id;
        Some(
            watcher(api, watcher::Config::default())
                .default_backoff()
                .map(move |event| (id, event))
                .boxed(),
        )
    });
    stream::select_all(watches)
}

async fn run(
    stream: &Subscription,
    wanted: &[&'static str],
    mut sender: Sender,
    mut receiver: Receiver,
) {
    let mut events = events(stream, wanted);
    let mut pings = tokio::time::interval(stream.shared.ping);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    let end = tokio::time::sleep_until(Instant::now() + LIFETIME);
    let revoked = stream.shared.hooks.revoked(&stream.identity);
    let (mut end, mut revoked) = (std::pin::pin!(end), std::pin::pin!(revoked));
    let reason = loop {
        let frame = tokio::select! {
            () = &mut end => break "its time is over",
            () = &mut revoked => break "the session has ended",
            // Clients have nothing to say.
            message = receiver.next() => match message {
                Some(_) => continue,
                None => break "the client left",
            },
            _ = pings.tick() => json!({"name": "ping", "data": {}}),
            Some((id, event)) = events.next() => match frame(stream, id, event).await {
                Some(frame) => frame,
                None => continue,
            },
        };
        if let Err(lost) = sender.send(&frame).await {
            break lost.reason();
        }
    };
    tracing::debug!(reason, "subscription ends");
    sender.close().await;
}

/// The frame of an event, if the caller may see the object.
async fn frame(
    stream: &Subscription,
    id: &'static str,
    event: watcher::Result<watcher::Event<DynamicObject>>,
) -> Option<Value> {
    let kind = stream.shared.registry.get(id)?;
    let object = kind.object?;
    let (name, value) = match event {
        Ok(watcher::Event::Apply(value) | watcher::Event::InitApply(value)) => {
            ("resource.change", value)
        }
        Ok(watcher::Event::Delete(value)) => ("resource.remove", value),
        Ok(watcher::Event::Init | watcher::Event::InitDone) => return None,
        Err(error) => {
            tracing::warn!(resource = object.resource, %error, "a watch failed and is tried again");
            return None;
        }
    };
    let value = serde_json::to_value(&value).ok()?;
    let data = visible(stream, kind, object, value).await?;
    Some(json!({"name": name, "data": data}))
}

async fn visible(
    stream: &Subscription,
    kind: &Type,
    object: Object,
    value: Value,
) -> Option<Value> {
    let call = Call {
        shared: &stream.shared,
        identity: Some(&stream.identity),
        urls: stream.urls.clone(),
        query: Query::default(),
        now: stream.shared.clock.now(),
        action_key: stream.action_key,
    };
    if kinds::is_hidden(kind, &value)
        || !kinds::may_stream(&call, kind, &value, || call.may_see(kind, object, &value))
    {
        return None;
    }
    let name = mapping::name(&value).to_owned();
    match present_one(&call, kind, value, Reveal::No).await {
        Ok(item) => is_within(kind, stream.context.as_ref(), &item).then_some(Value::Object(item)),
        Err(error) => {
            tracing::warn!(resource = object.resource, %name, %error, "an event could not be shown");
            None
        }
    }
}
