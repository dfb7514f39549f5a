//! The routes: from a request to an answer.
//!
//! Owns the order of checks: method, path, type, action, rights, body. The
//! edge has authenticated the caller; a request without one gets only what is
//! public.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drover_auth::web::{self, ApiError, Request, Response};
use drover_auth::{Clock, Entropy, Identity};
use drover_types::names::{CREATOR_ANNOTATION, CREATOR_LABEL, CREATOR_NORMAN};
use futures::future::BoxFuture;
use http::header::{HeaderValue, LOCATION};
use http::request;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::call::{
    Call, Credentials, Hooks, Item, Rights, Shared, link_not_found, not_found, split_id,
};
use crate::collection::{Collection, Extent};
use crate::downstream;
use crate::encode::{Writer, read_fields};
use crate::inside;
use crate::kinds::quota::Turns;
use crate::kinds::{self, Draft, Outcome};
use crate::mapping::{self, Merge, Reveal};
use crate::query::Query;
use crate::registry::Registry;
use crate::resource::{api_root, collection_actions, may_change, present, present_one};
use crate::schema::{Base, Behaviour, Object, Type};
use crate::store::Store;
use crate::subscribe::{self, Subscription};
use crate::target::{Context, RootOf, Target, is_within, locate};
use crate::urls::Urls;
use crate::validate::{self, Operation};

/// How often a change is tried again when somebody else was faster.
const ATTEMPTS: usize = 5;

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
            return virtual_resource(call, writer, method, kind, id.as_deref(), parts, body).await;
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
        return match id {
            None => {
                collection(
                    call,
                    writer,
                    method,
                    kind,
                    object,
                    context.as_ref(),
                    parts,
                    body,
                )
                .await
            }
            Some(id) => {
                resource(
                    call,
                    writer,
                    method,
                    kind,
                    object,
                    context.as_ref(),
                    &id,
                    parts,
                    body,
                )
                .await
            }
        };
    }
    if let Target::Unknown(name) = &target {
        return Err(ApiError::not_found(format!("failed to find schema {name}")));
    }
    if method != Method::GET {
        return Err(method_not_allowed(method));
    }
    documents(call, writer, target)
}

/// Roots and schemas.
fn documents(call: &Call<'_>, writer: &Writer, target: Target<'_>) -> Result<Response, ApiError> {
    let registry = call.registry();
    let urls = &call.urls;
    let no_schema = || ApiError::not_found("no such schema");
    match target {
        Target::Roots => {
            let bases = [
                None,
                Some(Base::Management),
                Some(Base::Cluster),
                Some(Base::Project),
            ];
            let roots = bases.map(|base| api_root(registry, urls, base)).to_vec();
            Ok(writer.answer(
                StatusCode::OK,
                &Collection::plain("apiRoot", urls, &call.query, roots),
            ))
        }
        Target::Root(RootOf::Meta) => {
            Ok(writer.answer(StatusCode::OK, &api_root(registry, urls, None)))
        }
        Target::Root(RootOf::Api(base)) => {
            Ok(writer.answer(StatusCode::OK, &api_root(registry, urls, Some(base))))
        }
        Target::MetaSchemas(id) => {
            let meta = crate::declare::meta();
            let document = |kind: &Type| meta_document(kind, urls);
            match id {
                None => {
                    let items = meta.iter().map(document).collect();
                    Ok(writer.answer(
                        StatusCode::OK,
                        &Collection::plain("schema", urls, &call.query, items),
                    ))
                }
                Some(id) => {
                    let kind = meta
                        .iter()
                        .find(|kind| kind.id.eq_ignore_ascii_case(&id))
                        .ok_or_else(no_schema)?;
                    Ok(writer.answer(StatusCode::OK, &document(kind)))
                }
            }
        }
        Target::Schemas { base, context, id } => {
            let document = |kind: &Type| Registry::document(kind, urls, context.as_deref());
            match id {
                None => {
                    let items = registry
                        .documented(base)
                        .filter_map(|kind| match document(kind) {
                            Value::Object(fields) => Some(fields),
                            _ => None,
                        });
                    Ok(writer.answer(
                        StatusCode::OK,
                        &Collection::plain("schema", urls, &call.query, items.collect()),
                    ))
                }
                Some(id) => {
                    // Only ids, in any case; a plural finds nothing.
                    let kind = registry
                        .documented(base)
                        .find(|kind| kind.id.eq_ignore_ascii_case(&id))
                        .ok_or_else(no_schema)?;
                    Ok(writer.answer(StatusCode::OK, &document(kind)))
                }
            }
        }
        Target::Subscribe(_) => Err(no_schema()),
        Target::Resource { .. } | Target::Unknown(_) => Err(no_schema()),
    }
}

fn meta_document(kind: &Type, urls: &Urls) -> Item {
    let mut document = match Registry::document(kind, urls, None) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    document.insert(
        "version".to_owned(),
        json!({"group": "meta.cattle.io", "path": "/meta", "version": "v1"}),
    );
    document.insert(
        "links".to_owned(),
        json!({"self": urls.absolute(&format!("/meta/schemas/{}", kind.id))}),
    );
    document
}

pub(crate) async fn read(
    parts: &request::Parts,
    body: web::Body,
) -> Result<Map<String, Value>, ApiError> {
    let bytes = web::read(&parts.headers, body, web::MAX_BODY).await?;
    read_fields(&parts.headers, &bytes)
}

/// Types that no Kubernetes kind stands behind.
async fn virtual_resource(
    call: &Call<'_>,
    writer: &Writer,
    method: &Method,
    kind: &Type,
    id: Option<&str>,
    parts: &request::Parts,
    body: web::Body,
) -> Result<Response, ApiError> {
    if kind.behaviour == Behaviour::AccessReview {
        return match (method, id, call.query.get("action")) {
            (&Method::POST, None, None) => {
                let sent = read(parts, body).await?;
                let fields = validate::fields(call.registry(), kind, &sent, Operation::Create)?;
                let item = kinds::review::explain(call, kind, &fields).await?;
                Ok(writer.answer(StatusCode::CREATED, &item))
            }
            (&Method::POST, None, Some(action)) => {
                act_on_collection(call, writer, kind, action, parts, body).await
            }
            _ => Err(method_not_allowed(method)),
        };
    }
    if kind.behaviour != Behaviour::Principal {
        return Err(ApiError::not_found("no store found"));
    }
    match (method, id, call.query.get("action")) {
        (&Method::GET, None, None) => {
            let items = kinds::principal::list(call, kind).await?;
            Ok(list_answer(call, writer, kind, Extent::Limit, items))
        }
        (&Method::GET, Some(id), None) => {
            let item = kinds::principal::get(call, kind, id).await?;
            Ok(writer.answer(StatusCode::OK, &item))
        }
        (&Method::POST, None, Some(action)) => {
            act_on_collection(call, writer, kind, action, parts, body).await
        }
        (_, _, Some(action)) => Err(kinds::unknown_action(action)),
        _ => Err(method_not_allowed(method)),
    }
}

pub(crate) fn list_answer(
    call: &Call<'_>,
    writer: &Writer,
    kind: &Type,
    extent: Extent,
    items: Vec<Item>,
) -> Response {
    let actions = collection_actions(call, kind);
    let collection = Collection::of(kind, &call.urls, &call.query, actions, extent, items);
    writer.answer(StatusCode::OK, &collection)
}

#[expect(
    clippy::too_many_arguments,
    reason = "the pieces of one request, passed once"
)]
async fn collection(
    call: &Call<'_>,
    writer: &Writer,
    method: &Method,
    kind: &Type,
    object: Object,
    context: Option<&Context>,
    parts: &request::Parts,
    body: web::Body,
) -> Result<Response, ApiError> {
    match *method {
        Method::GET if kind.behaviour == Behaviour::Token => {
            let mut tokens = kinds::token::list(call).await?;
            tokens.sort_by(|one, other| mapping::name(one).cmp(mapping::name(other)));
            let items = present(call, kind, tokens, Reveal::No).await?;
            Ok(list_answer(call, writer, kind, Extent::Limit, items))
        }
        Method::GET => {
            let visible = list(call, kind, object, context).await?;
            let mut items = present(call, kind, visible, Reveal::No).await?;
            if let Some(context) = context {
                let field = Registry::reference_to(kind, context.type_id());
                items.retain(|item| {
                    field.is_some_and(|field| item.get(field.name) == Some(&json!(context.id)))
                });
            }
            Ok(list_answer(call, writer, kind, Extent::Paged, items))
        }
        Method::POST => match call.query.get("action") {
            Some(action) => act_on_collection(call, writer, kind, action, parts, body).await,
            None if !kind.collection_methods.contains(&"POST") => Err(method_not_allowed(method)),
            None => {
                let mut sent = read(parts, body).await?;
                if let (Some(context), Some(field)) = (
                    context,
                    context.and_then(|context| Registry::reference_to(kind, context.type_id())),
                ) {
                    sent.insert(field.name.to_owned(), json!(context.id));
                }
                let item = create(call, kind, object, sent).await?;
                Ok(writer.answer(StatusCode::CREATED, &item))
            }
        },
        _ => Err(method_not_allowed(method)),
    }
}

/// The objects the caller may see.
async fn list(
    call: &Call<'_>,
    kind: &Type,
    object: Object,
    context: Option<&Context>,
) -> Result<Vec<Value>, ApiError> {
    let namespace = match kind.behaviour {
        Behaviour::Preference => Some(call.caller()?.user.as_str().to_owned()),
        Behaviour::RegistrationToken
        | Behaviour::Node
        | Behaviour::Project
        | Behaviour::ClusterBinding => {
            // What hangs on a cluster lies in its namespace.
            let asked = context
                .filter(|context| context.base == Base::Cluster)
                .map(|context| context.id.as_str());
            let asked = asked.or_else(|| call.query.get("clusterId"));
            asked
                .filter(|id| {
                    id.len() <= 253
                        && id
                            .bytes()
                            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                })
                .map(str::to_owned)
        }
        _ => None,
    };
    let mut objects = call.store().list(object, namespace.as_deref()).await?;
    let all = call.may("list", object, None, None);
    objects.retain(|value| {
        !kinds::is_hidden(kind, value) && (all || call.may_see(kind, object, value))
    });
    Ok(objects)
}

async fn act_on_collection(
    call: &Call<'_>,
    writer: &Writer,
    kind: &Type,
    action: &str,
    parts: &request::Parts,
    body: web::Body,
) -> Result<Response, ApiError> {
    if !kind
        .collection_actions
        .iter()
        .any(|known| known.name == action)
    {
        return Err(kinds::unknown_action(action));
    }
    let input = read(parts, body).await?;
    let outcome = kinds::act_on_collection(call, kind, action, input).await?;
    Ok(outcome_answer(call, writer, kind, outcome))
}

fn outcome_answer(call: &Call<'_>, writer: &Writer, kind: &Type, outcome: Outcome) -> Response {
    match outcome {
        Outcome::Document(status, document) => writer.answer(status, &document),
        Outcome::Resource(item) => writer.answer(StatusCode::OK, &item),
        Outcome::List(items) => list_answer(call, writer, kind, Extent::Silent, items),
        Outcome::Done(status) => writer.empty(status),
        Outcome::Response(response) => *response,
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the pieces of one request, passed once"
)]
async fn resource(
    call: &Call<'_>,
    writer: &Writer,
    method: &Method,
    kind: &Type,
    object: Object,
    context: Option<&Context>,
    id: &str,
    parts: &request::Parts,
    body: web::Body,
) -> Result<Response, ApiError> {
    if let Some(action) = call.query.get("action").filter(|_| *method == Method::POST) {
        if !kind.actions.iter().any(|known| known.name == action) {
            return Err(kinds::unknown_action(action));
        }
        let current = get(call, kind, object, id).await?;
        let input = read(parts, body).await?;
        let outcome = kinds::act(call, kind, current, action, input).await?;
        return Ok(outcome_answer(call, writer, kind, outcome));
    }
    if !kind.resource_methods.contains(&method.as_str()) {
        return Err(method_not_allowed(method));
    }
    match *method {
        Method::GET => {
            let found = get(call, kind, object, id).await?;
            let item = present_one(call, kind, found, Reveal::No).await?;
            if is_within(kind, context, &item) {
                Ok(writer.answer(StatusCode::OK, &item))
            } else {
                // Recorded: what lies elsewhere is shown as nothing.
                Ok(writer.answer(StatusCode::OK, &Value::Null))
            }
        }
        Method::PUT => {
            if kind.behaviour == Behaviour::Token {
                return Err(ApiError::not_found("no store found"));
            }
            let sent = read(parts, body).await?;
            let item = update(call, kind, object, context, id, &sent).await?;
            Ok(writer.answer(StatusCode::OK, &item))
        }
        Method::DELETE => delete(call, writer, kind, object, context, id).await,
        _ => Err(method_not_allowed(method)),
    }
}

/// Namespace and name behind an identifier; preferences lie in the caller's namespace.
fn locate_object<'b>(
    call: &Call<'b>,
    kind: &Type,
    object: Object,
    id: &'b str,
) -> Result<(Option<&'b str>, &'b str), ApiError> {
    let (namespace, name) = split_id(kind, object, id)?;
    if kind.behaviour == Behaviour::Preference {
        return Ok((Some(call.user()), name));
    }
    Ok((namespace, name))
}

/// Reads one object the caller may see: 404 for impossible identifiers, then 403, then 404 for absent objects.
async fn get(call: &Call<'_>, kind: &Type, object: Object, id: &str) -> Result<Value, ApiError> {
    if kind.behaviour == Behaviour::Token {
        return kinds::token::get(call, kind, id).await;
    }
    let (namespace, name) = locate_object(call, kind, object, id)?;
    let public = kind.behaviour == Behaviour::Setting && kinds::is_public_setting(name);
    let own = match kind.behaviour {
        Behaviour::User => name == call.user(),
        Behaviour::Preference => true,
        _ => false,
    };
    if !public && !own && !call.may("list", object, namespace, None) {
        call.require("get", object, namespace, Some(name))?;
    }
    let found = call.store().find(object, namespace, name).await?;
    found
        .filter(|found| !kinds::is_hidden(kind, found))
        .ok_or_else(|| not_found(object, id))
}

async fn create(
    call: &Call<'_>,
    kind: &Type,
    object: Object,
    mut sent: Map<String, Value>,
) -> Result<Item, ApiError> {
    match kind.behaviour {
        Behaviour::Feature => {
            return Err(ApiError::method_not_allowed("features cannot be created"));
        }
        Behaviour::Token => {
            let fields = validate::fields(call.registry(), kind, &sent, Operation::Create)?;
            return kinds::token::create(call, kind, &fields).await;
        }
        _ => {}
    }
    let mut fields = validate::fields(call.registry(), kind, &sent, Operation::Create)?;
    let mut draft = Draft {
        namespace: kinds::place(call, kind, &fields).await?,
        ..Draft::default()
    };
    let own = kind.behaviour == Behaviour::Preference;
    if !own {
        call.require("create", object, draft.namespace.as_deref(), None)?;
    }
    kinds::before_create(call, kind, &mut fields, &mut draft).await?;

    let mut body = Value::Object(std::mem::take(&mut draft.object));
    mapping::apply(call.registry(), kind, &mut body, &fields, Merge::Keep);
    let metadata = &mut body["metadata"];
    if let Some(name) = &draft.name {
        metadata["name"] = json!(name);
    } else if metadata
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .is_empty()
    {
        metadata["generateName"] = json!(kind.name_prefix());
    }
    if let Some(namespace) = &draft.namespace {
        metadata["namespace"] = json!(namespace);
    }
    metadata["labels"][CREATOR_LABEL] = json!(CREATOR_NORMAN);
    metadata["annotations"][CREATOR_ANNOTATION] = json!(call.user());
    for (key, value) in std::mem::take(&mut draft.annotations) {
        metadata["annotations"][&key] = value;
    }
    if let Some(namespace) = &draft.namespace {
        call.store().ensure_namespace(namespace).await?;
    }
    let created = call
        .store()
        .create(object, draft.namespace.as_deref(), body)
        .await?;
    sent.retain(|name, _| kind.field(name).is_some_and(|field| field.path.is_empty()));
    let created = kinds::after_create(call, kind, &sent, created).await?;
    note(call, object, &mapping::id(kind, &created), "created");
    present_one(call, kind, created, Reveal::Once).await
}

async fn update(
    call: &Call<'_>,
    kind: &Type,
    object: Object,
    context: Option<&Context>,
    id: &str,
    sent: &Map<String, Value>,
) -> Result<Item, ApiError> {
    let (namespace, name) = locate_object(call, kind, object, id)?;
    let own = kind.behaviour == Behaviour::Preference;
    if !own {
        call.require("update", object, namespace, Some(name))?;
    }
    let fields = validate::fields(call.registry(), kind, sent, Operation::Update)?;
    let merge = if call.query.is_set("_replace") {
        Merge::Clear
    } else {
        Merge::Keep
    };
    let mut attempt = 0;
    loop {
        attempt += 1;
        let mut current = call
            .store()
            .find(object, namespace, name)
            .await?
            .ok_or_else(|| not_found(object, id))?;
        if kinds::is_hidden(kind, &current) {
            return Err(not_found(object, id));
        }
        if context.is_some() {
            let shown = present_one(call, kind, current.clone(), Reveal::No).await?;
            if !is_within(kind, context, &shown) {
                return Err(not_found(object, id));
            }
        }
        let mut fields = fields.clone();
        kinds::before_update(call, kind, &current, &mut fields).await?;
        mapping::apply(call.registry(), kind, &mut current, &fields, merge);
        match call.store().replace(object, &current).await {
            Ok(updated) => {
                note(call, object, id, "updated");
                kinds::after_update(call, kind, &updated).await;
                return present_one(call, kind, updated, Reveal::No).await;
            }
            Err(error) if error.status == StatusCode::CONFLICT && attempt < ATTEMPTS => {
                tracing::debug!(
                    resource = object.resource,
                    attempt,
                    "somebody else changed it first, trying again"
                );
            }
            Err(error) => return Err(error),
        }
    }
}

async fn delete(
    call: &Call<'_>,
    writer: &Writer,
    kind: &Type,
    object: Object,
    context: Option<&Context>,
    id: &str,
) -> Result<Response, ApiError> {
    if kind.behaviour == Behaviour::Token {
        kinds::token::delete(call, kind, id).await?;
        return Ok(writer.empty(StatusCode::NO_CONTENT));
    }
    let (namespace, name) = locate_object(call, kind, object, id)?;
    let own = kind.behaviour == Behaviour::Preference;
    if !own {
        call.require("delete", object, namespace, Some(name))?;
    }
    let current = call.store().find(object, namespace, name).await?;
    let current = current
        .filter(|found| !kinds::is_hidden(kind, found))
        .ok_or_else(|| not_found(object, id))?;
    if context.is_some() {
        let shown = present_one(call, kind, current.clone(), Reveal::No).await?;
        if !is_within(kind, context, &shown) {
            return Err(not_found(object, id));
        }
    }
    kinds::before_delete(call, kind, &current).await?;
    debug_assert!(own || may_change(call, kind, object, &current, "delete"));
    call.store().delete(object, namespace, name).await?;
    note(call, object, id, "deleted");
    kinds::after_delete(call, kind, &current).await;
    // An object with finalizers lingers, and is shown going.
    match call.store().find(object, namespace, name).await? {
        Some(left) if left.pointer("/metadata/uid") == current.pointer("/metadata/uid") => {
            let item = present_one(call, kind, left, Reveal::No).await?;
            Ok(writer.answer(StatusCode::OK, &item))
        }
        _ => Ok(writer.empty(StatusCode::NO_CONTENT)),
    }
}

/// Says what was done by whom.
fn note(call: &Call<'_>, object: Object, id: &str, what: &'static str) {
    tracing::info!(user = %call.user(), resource = object.resource, %id, what, "an object was changed through the API");
}
