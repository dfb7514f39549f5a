//! The routes: from a request to an answer.
//!
//! Owns the order of checks: method, path, type, action, rights, body. The
//! edge has authenticated the caller; a request without one gets only what is
//! public.

mod answers;
mod documents;
mod native;
mod objects;
mod questions;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drover_auth::web::{self, ApiError, Request, Response};
use drover_auth::{Clock, Entropy, Identity};
use futures::future::BoxFuture;
use http::header::{HeaderValue, LOCATION};
use http::request;
use http::{Method, StatusCode};
use serde_json::{Map, Value};

pub(crate) use answers::list_answer;

use crate::call::{Call, Credentials, Hooks, Rights, Shared, link_not_found};
use crate::downstream;
use crate::encode::{Writer, read_fields};
use crate::inside;
use crate::kinds;
use crate::kinds::quota::Turns;
use crate::query::Query;
use crate::registry::Registry;
use crate::schema::{Base, Behaviour};
use crate::store::Store;
use crate::subscribe::{self, Subscription};
use crate::target::{RootOf, Target, locate};
use crate::urls::Urls;
use objects::Asked;

/// What the API is made of.
pub struct Parts {
    /// The management cluster.
    pub client: kube::Client,
    /// Who may do what.
    pub rights: Arc<dyn Rights>,
    /// Tokens and passwords.
    pub credentials: Arc<dyn Credentials>,
    /// What other parts do for it.
    pub hooks: Arc<dyn Hooks>,
    /// Now.
    pub clock: Clock,
    /// Chance.
    pub entropy: Entropy,
    /// Settings given by the environment (`CATTLE_...`), by name; they cannot be changed.
    pub setting_overrides: BTreeMap<String, String>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parts")
    }
}

/// The API at `/`, `/meta` and `/v3`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    shared: Arc<Shared>,
}

impl Api {
    /// Builds the API from its parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self::pinging_every(parts, subscribe::PING)
    }

    /// [`Api::new`] whose event streams ping at another interval than the peer's five seconds.
    #[must_use]
    pub fn pinging_every(parts: Parts, ping: Duration) -> Self {
        let Parts {
            client,
            rights,
            credentials,
            hooks,
            clock,
            entropy,
            setting_overrides,
        } = parts;
        Self {
            shared: Arc::new(Shared {
                registry: Registry::new(),
                store: Store::new(client),
                rights,
                credentials,
                hooks,
                clock,
                entropy,
                setting_overrides,
                ping,
                quotas: Turns::new(),
            }),
        }
    }

    /// Answers one request. `identity` is `None` where nobody is signed in.
    ///
    /// The future is boxed here so that its code is made once, with this crate's options, and not in each caller.
    pub fn handle(&self, request: Request, identity: Option<Identity>) -> BoxFuture<'_, Response> {
        Box::pin(self.answer(request, identity))
    }

    async fn answer(&self, request: Request, identity: Option<Identity>) -> Response {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        if identity.is_none() && matches!(path.as_str(), "/v3") {
            return redirect_to_root();
        }
        let Some(located) = locate(&self.shared.registry, &path) else {
            return web::text(StatusCode::NOT_FOUND, "404 page not found\n");
        };
        if identity.is_none() && !is_public(&parts.method, &located.target) {
            return web::unauthorized();
        }
        let query = Query::parse(parts.uri.query());
        let base = web::link_base(&parts);
        let writer = Writer::new(
            &parts.headers,
            query.get("_format"),
            format!("{base}{}", located.schemas),
        );
        let method = method(&parts, &query);
        let action_key = if parts.headers.contains_key("x-api-action-links") {
            "actionLinks"
        } else {
            "actions"
        };
        let call = Call {
            shared: &self.shared,
            identity: identity.as_ref(),
            urls: Urls::new(base, &path, query.pairs.clone()),
            query,
            now: self.shared.clock.now(),
            action_key,
        };
        let answered = match (located.target, &identity) {
            (Target::Subscribe(context), Some(identity)) => {
                let subscription = Subscription {
                    shared: self.shared.clone(),
                    identity: identity.clone(),
                    urls: call.urls.clone(),
                    query: call.query.clone(),
                    context,
                    action_key,
                };
                subscribe::open(subscription, &mut parts)
            }
            (target, _) => route(&call, &writer, &method, target, &parts, body).await,
        };
        match answered {
            Ok(response) => response,
            Err(error) => writer.error(&error),
        }
    }
}

/// What may be asked without signing in (reference section 4.1).
fn is_public(method: &Method, target: &Target<'_>) -> bool {
    if method != Method::GET {
        return false;
    }
    match target {
        Target::Roots | Target::Root(RootOf::Meta) | Target::MetaSchemas(_) => true,
        Target::Resource {
            kind,
            context: None,
            id: Some(id),
            link: None,
        } => kind.behaviour == Behaviour::Setting && kinds::is_public_setting(id),
        _ => false,
    }
}

/// Recorded: without a login the root is found with a slash only.
fn redirect_to_root() -> Response {
    let mut response = web::text(
        StatusCode::TEMPORARY_REDIRECT,
        "<a href=\"/v3/\">Temporary Redirect</a>.\n\n",
    );
    response
        .headers_mut()
        .insert(LOCATION, HeaderValue::from_static("/v3/"));
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    response
}

/// The method that counts: `_method` overrides it, `action=remove` is a removal.
fn method(parts: &request::Parts, query: &Query) -> Method {
    if query.get("action") == Some("remove") {
        return Method::DELETE;
    }
    query
        .get("_method")
        .and_then(|name| name.to_ascii_uppercase().parse().ok())
        .unwrap_or_else(|| parts.method.clone())
}

fn method_not_allowed(method: &Method) -> ApiError {
    ApiError::method_not_allowed(format!("Method {method} not supported"))
}

async fn route(
    call: &Call<'_>,
    writer: &Writer,
    method: &Method,
    target: Target<'_>,
    parts: &request::Parts,
    body: web::Body,
) -> Result<Response, ApiError> {
    if ![Method::GET, Method::POST, Method::PUT, Method::DELETE].contains(method) {
        return Err(method_not_allowed(method));
    }
    if let Target::Resource {
        kind,
        context,
        id,
        link,
    } = target
    {
        let Some(object) = kind.object else {
            return questions::answer(call, writer, method, kind, id.as_deref(), parts, body).await;
        };
        let asked = inside::Asked {
            method,
            kind,
            object,
            context: context.as_ref(),
            id: id.as_deref(),
            link: link.as_deref(),
        };
        match kind.behaviour {
            Behaviour::Inside => return inside::answer(call, writer, asked, parts, body).await,
            Behaviour::CloudCredential => {
                return kinds::credential::answer(call, writer, asked, parts, body).await;
            }
            _ => {}
        }
        if let Some(link) = link {
            return Err(link_not_found(&link));
        }
        if kind.base == Base::Cluster {
            let (context, id) = (context.as_ref(), id.as_deref());
            return downstream::answer(
                call, writer, method, kind, object, context, id, parts, body,
            )
            .await;
        }
        let asked = Asked {
            call,
            writer,
            method,
            kind,
            object,
            context: context.as_ref(),
        };
        return match id {
            None => objects::collection(&asked, parts, body).await,
            Some(id) => objects::resource(&asked, &id, parts, body).await,
        };
    }
    if let Target::Unknown(name) = &target {
        return Err(ApiError::not_found(format!("failed to find schema {name}")));
    }
    if method != Method::GET {
        return Err(method_not_allowed(method));
    }
    documents::documents(call, writer, target)
}

pub(crate) async fn read(
    parts: &request::Parts,
    body: web::Body,
) -> Result<Map<String, Value>, ApiError> {
    let bytes = web::read(&parts.headers, body, web::MAX_BODY).await?;
    read_fields(&parts.headers, &bytes)
}
