//! The routes: from a request to an answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drover_api::encode::{Form, Writer};
use drover_api::keeper::Keeper;
use drover_auth::web::{self, Request, Response};
use drover_auth::{Access, Clock, Identity, LoginError, Logins, Settings};
use drover_types::names::LOCAL_CLUSTER;
use futures::future::BoxFuture;
use http::{Method, StatusCode, request};
use percent_encoding::percent_decode_str;
use serde_json::json;

use crate::cache::{Caches, Limits};
use crate::call::{Answer, Call, Refused, Shared, no_method};
use crate::catalog::Catalogs;
use crate::guard::Guard;
use crate::kind::Kind;
use crate::object::Named;
use crate::query::Pairs;
use crate::reach::Reach;
use crate::rights::Rights;
use crate::shell::{self, Shells};
use crate::urls::Urls;
use crate::{
    action, audit, counts, definitions, list, object, preferences, public, schemas, search,
    self_user, subscribe,
};

/// Time between pings of event streams, as the peer has it; its dashboard reconnects after 35 seconds of silence.
pub const PING: Duration = Duration::from_secs(30);

/// What the API is made of.
pub struct Parts {
    /// The ways into clusters.
    pub reach: Arc<dyn Reach>,
    /// Who takes writes to the hub that the index of roles decides about.
    pub keeper: Arc<dyn Keeper>,
    /// Who may do what.
    pub access: Access,
    /// What tokens of shells are made with, and passwords hashed.
    pub logins: Logins,
    /// Settings that count.
    pub settings: Settings,
    /// Now.
    pub clock: Clock,
    /// Settings given by the environment (`CATTLE_...`), by name; they win over stored ones.
    pub setting_overrides: BTreeMap<String, String>,
    /// How large copies of clusters may get.
    pub limits: Limits,
    /// Time between pings of event streams; [`PING`] but in tests.
    pub ping: Duration,
    /// The audit log, if one is written.
    pub audit: Option<drover_audit::Reader>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parts")
    }
}

/// The explorer API. Cheap to clone.
#[derive(Clone)]
pub struct Explorer {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Explorer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Explorer")
    }
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Root,
    Schemas(Option<String>),
    Definition(String),
    Counts,
    Preferences(Option<String>),
    Subscribe,
    Search,
    Audit(audit::Asked),
    Plugins,
    SelfUser,
    /// A type, and up to three segments after it.
    Kind(String, Vec<String>),
    Nothing,
}

/// Reads a path from `/v1` on.
fn locate(path: &str) -> Target {
    let mut segments = Vec::new();
    for segment in path.trim_matches('/').split('/').skip(1) {
        let Ok(text) = percent_decode_str(segment).decode_utf8() else {
            return Target::Nothing;
        };
        // Nothing that could become another path in a cluster.
        let fits = !text.is_empty()
            && text.len() <= 253
            && text != "."
            && text != ".."
            && !text.chars().any(|letter| {
                letter.is_control() || matches!(letter, '/' | '\\' | '%' | '?' | '#')
            });
        if !fits {
            return Target::Nothing;
        }
        segments.push(text.into_owned());
    }
    let Some(first) = segments.first().cloned() else {
        return Target::Root;
    };
    let rest = segments.split_off(1);
    match (first.to_ascii_lowercase().as_str(), rest.as_slice()) {
        ("schema" | "schemas", []) => Target::Schemas(None),
        ("schema" | "schemas", [id]) => Target::Schemas(Some(id.clone())),
        ("schemadefinition" | "schemadefinitions", [id]) => Target::Definition(id.clone()),
        ("count" | "counts", []) => Target::Counts,
        ("count" | "counts", [id]) if id == "count" => Target::Counts,
        ("userpreference" | "userpreferences", []) => Target::Preferences(None),
        ("userpreference" | "userpreferences", [id]) => Target::Preferences(Some(id.clone())),
        ("subscribe", []) => Target::Subscribe,
        ("search", []) => Target::Search,
        ("uiplugins", []) => Target::Plugins,
        ("audit", rest) => audit::Asked::of(rest).map_or(Target::Nothing, Target::Audit),
        ("ext.cattle.io.selfuser" | "ext.cattle.io.selfusers", []) => Target::SelfUser,
        (
            "schema" | "schemas" | "schemadefinition" | "schemadefinitions" | "count" | "counts"
            | "userpreference" | "userpreferences" | "subscribe" | "search",
            _,
        ) => Target::Nothing,
        (_, rest) if rest.len() <= 3 => Target::Kind(first, rest.to_vec()),
        _ => Target::Nothing,
    }
}

impl Explorer {
    /// Builds the API from its parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            reach,
            keeper,
            access,
            logins,
            settings,
            clock,
            setting_overrides,
            limits,
            ping,
            audit,
        } = parts;
        let caches = Caches::new(Arc::clone(&reach), clock.clone(), limits);
        Self {
            shared: Arc::new(Shared {
                guard: Guard::new(Arc::clone(&reach), access, Arc::clone(&caches)),
                catalogs: Catalogs::new(Arc::clone(&reach)),
                keeper,
                caches,
                reach,
                clock,
                setting_overrides,
                ping,
                shells: Shells::new(logins.clone(), settings),
                logins,
                audit: audit.map(audit::AuditLog::new),
            }),
        }
    }

    /// Ends all watches and shells and waits for them.
    pub async fn shutdown(&self) {
        tokio::join!(self.shared.shells.shutdown(), self.shared.caches.shutdown());
    }

    /// Cleans up what is left of shells whose hub died or whose cluster was away, for as long as it is polled.
    pub async fn keep_shells_clean(&self) {
        shell::keep_clean(&self.shared).await;
    }

    /// Does so once. May be repeated, and by several replicas at once.
    ///
    /// # Errors
    /// [`LoginError::Store`]: it is not known what is left.
    pub async fn sweep_shells(&self) -> Result<(), LoginError> {
        shell::sweep(&self.shared).await
    }

    /// Answers a request for `/v1` of a cluster; `path` starts with `/v1`.
    ///
    /// The future is boxed here so that its code is made once, with this crate's options, and not in each caller.
    pub fn handle<'a>(
        &'a self,
        request: Request,
        identity: Option<Identity>,
        cluster: &'a str,
        path: &'a str,
    ) -> BoxFuture<'a, Response> {
        Box::pin(self.answer(request, identity, cluster, path))
    }

    async fn answer(
        &self,
        request: Request,
        identity: Option<Identity>,
        cluster: &str,
        path: &str,
    ) -> Response {
        let (mut parts, body) = request.into_parts();
        let is_below = cluster != LOCAL_CLUSTER || parts.uri.path().starts_with("/k8s/");
        // Asked for by the peer's UI before there is a login (reference section 1.1). There are none.
        if !is_below && parts.method == Method::GET && locate(path) == Target::Plugins {
            return web::json(StatusCode::OK, &json!({"entries": {}}));
        }
        let Some(identity) = identity else {
            return match public::asked(&parts.method, locate(path)).filter(|_| !is_below) {
                Some(name) => {
                    let call = self.call(&parts, public::nobody(), cluster);
                    let answer = public::answer(&call, name.as_deref()).await;
                    answer.unwrap_or_else(|refused| refused.respond(&call.writer))
                }
                None => web::unauthorized(),
            };
        };
        // A token of one cluster is good for nothing else.
        if !identity.may_reach(is_below.then_some(cluster)) {
            return web::unauthorized();
        }
        let call = self.call(&parts, identity, cluster);
        route(&call, &mut parts, body, locate(path))
            .await
            .unwrap_or_else(|refused| refused.respond(&call.writer))
    }

    fn call(&self, parts: &request::Parts, identity: Identity, cluster: &str) -> Call {
        let pairs = Pairs::parse(parts.uri.query());
        let urls = Urls::new(web::link_base(parts), cluster);
        let format = pairs.get("_format");
        let writer = Writer::new(&parts.headers, format, urls.explorer("/schemas"))
            .in_form(Form::asked_with_lines(&parts.headers, format));
        Call {
            shared: Arc::clone(&self.shared),
            identity,
            cluster: cluster.to_owned(),
            pairs,
            urls,
            writer,
        }
    }
}

/// The method that counts: `_method` overrides it.
fn method(call: &Call, parts: &request::Parts) -> Method {
    call.pairs
        .get("_method")
        .filter(|_| parts.method == Method::POST)
        .and_then(|name| name.to_ascii_uppercase().parse().ok())
        .unwrap_or_else(|| parts.method.clone())
}

async fn route(
    call: &Call,
    parts: &mut request::Parts,
    body: web::Body,
    target: Target,
) -> Answer<Response> {
    let method = method(call, parts);
    let reads = method == Method::GET;
    match target {
        Target::Preferences(id) => {
            preferences::answer(call, &method, id.as_deref(), parts, body).await
        }
        // The peer's agent calls its own cluster `local`; who knows it is the hub.
        Target::Kind(name, mut rest) if is_itself(call, &name, &rest) => {
            rest[0].clone_from(&call.cluster);
            let hub = call.inside(LOCAL_CLUSTER);
            kind(&hub, parts, body, &method, &name, &rest).await
        }
        Target::Kind(name, rest) => kind(call, parts, body, &method, &name, &rest).await,
        Target::SelfUser => self_user::answer(call, &method, parts, body).await,
        Target::Audit(asked) => audit::answer(call, &method, &asked, parts).await,
        Target::Nothing | Target::Plugins => Err(Refused::NoType),
        _ if !reads => Err(no_method(method.as_str(), "this path").into()),
        Target::Root => schemas::root(call).await,
        Target::Schemas(None) => schemas::list(call).await,
        Target::Schemas(Some(id)) => schemas::one(call, &id).await,
        Target::Definition(id) => definitions::answer(call, &id).await,
        Target::Counts => counts::answer(call).await,
        Target::Subscribe => subscribe::open(call, parts).await,
        Target::Search => search::answer(call).await,
    }
}

/// Whether a link or an action of the cluster is meant whose API is asked.
fn is_itself(call: &Call, kind: &str, rest: &[String]) -> bool {
    let asks = rest.len() > 1
        || ["link", "action"]
            .iter()
            .any(|key| call.pairs.get(key).is_some());
    let is_cluster = [
        "management.cattle.io.cluster",
        "management.cattle.io.clusters",
    ]
    .iter()
    .any(|name| kind.eq_ignore_ascii_case(name));
    !call.is_hub() && is_cluster && asks && rest.first().is_some_and(|name| name == LOCAL_CLUSTER)
}

async fn kind(
    call: &Call,
    parts: &mut request::Parts,
    body: web::Body,
    method: &Method,
    name: &str,
    rest: &[String],
) -> Answer<Response> {
    let (kind, rights) = call.kind(name).await?;
    let (named, link) = match (kind.namespaced, rest) {
        (_, []) => (None, None),
        (true, [namespace]) => {
            return in_namespace(call, parts, body, method, &kind, &rights, namespace).await;
        }
        (true, [namespace, name, link @ ..]) => (
            Some(Named {
                namespace: Some(namespace),
                name,
            }),
            link.first(),
        ),
        (false, [name, link @ ..]) if link.len() <= 1 => (
            Some(Named {
                namespace: None,
                name,
            }),
            link.first(),
        ),
        (false, _) => return Err(Refused::NoType),
    };
    let link = link.map(String::as_str).or_else(|| call.pairs.get("link"));
    if let Some(named) = named
        && let Some(link) = link.filter(|_| method == Method::GET)
    {
        return action::link(call, parts, &kind, &rights, named, link).await;
    }
    if let Some(act) = call.pairs.get("action").filter(|_| method == Method::POST) {
        return match named {
            Some(named) => action::act(call, &kind, named, act, parts, body).await,
            None => Err(action::unknown(act).into()),
        };
    }
    match (method, named) {
        (&Method::GET, None) => list::answer(call, &kind, &rights, None).await,
        (&Method::POST, None) => object::create(call, &kind, &rights, None, parts, body).await,
        (&Method::GET, Some(named)) => object::by_id(call, &kind, &rights, named).await,
        (&Method::PUT, Some(named)) => {
            object::replace(call, &kind, &rights, named, parts, body).await
        }
        (&Method::PATCH, Some(named)) => {
            object::patch(call, &kind, &rights, named, parts, body).await
        }
        (&Method::DELETE, Some(named)) => {
            object::remove(call, &kind, &rights, named, parts, body).await
        }
        _ => Err(no_method(method.as_str(), &kind.id).into()),
    }
}

async fn in_namespace(
    call: &Call,
    parts: &request::Parts,
    body: web::Body,
    method: &Method,
    kind: &Kind,
    rights: &Rights,
    namespace: &str,
) -> Answer<Response> {
    match *method {
        Method::GET => list::answer(call, kind, rights, Some(namespace)).await,
        Method::POST => object::create(call, kind, rights, Some(namespace), parts, body).await,
        _ => Err(no_method(method.as_str(), &kind.id).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_the_reference_says() {
        let kind = |name: &str, rest: &[&str]| {
            Target::Kind(
                name.to_owned(),
                rest.iter().map(|&part| part.to_owned()).collect(),
            )
        };
        let check = |path: &str, expected: Target| assert_eq!(locate(path), expected, "{path}");
        check("/v1", Target::Root);
        check("/v1/", Target::Root);
        check("/v1/schemas", Target::Schemas(None));
        check("/v1/schemas/pod", Target::Schemas(Some("pod".to_owned())));
        check(
            "/v1/schemaDefinitions/pod",
            Target::Definition("pod".to_owned()),
        );
        check("/v1/counts/count", Target::Counts);
        check("/v1/ext.cattle.io.selfuser", Target::SelfUser);
        check("/v1/uiplugins", Target::Plugins);
        check("/v1/audit", Target::Audit(audit::Asked::List));
        check("/v1/audit/7", Target::Audit(audit::Asked::Entry(7)));
        check("/v1/audit/follow", Target::Audit(audit::Asked::Follow));
        check(
            "/v1/audit/verification",
            Target::Audit(audit::Asked::Verification),
        );
        check("/v1/pods", kind("pods", &[]));
        check("/v1/pods/ns/name/log", kind("pods", &["ns", "name", "log"]));
        check(
            "/v1/clusterroles/system%3Anode",
            kind("clusterroles", &["system:node"]),
        );
        for nothing in [
            "/v1/pods/a/b/c/d",
            "/v1/pods/..",
            "/v1/pods/%2e%2e/x",
            "/v1/pods/a%2Fb",
            "/v1/pods/%ff",
            "/v1/counts/x/y",
            "/v1/audit/x",
            "/v1/audit/7/x",
        ] {
            check(nothing, Target::Nothing);
        }
    }
}
