//! The edge: every request passes here, in this order: route, identity, CSRF, the part that answers, common headers.
//!
//! Invariants: what needs an identity is not reached without one; `X-Remote-*` headers never pass, `Impersonate-*` headers
//! reach the proxy alone, which asks whether somebody may be whom they name.

use std::sync::Arc;

use drover_auth::web::{self, Actor, ApiError, Connection, Request, Response};
use drover_auth::{Authenticator, Entropy, Identity, UserId, csrf};
use drover_types::names::LOCAL_CLUSTER;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HOST, LOCATION, ORIGIN, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode};

use crate::audit::{Auditor, Record};
use crate::listener::{Handler, Owner};
use crate::own::Own;
use crate::public::Public;
use crate::route::{Route, route};
use crate::way::Way;

/// Everything that answers requests.
pub(crate) struct Edge {
    /// Who a request comes from.
    pub(crate) authenticator: Authenticator,
    /// Login and logout.
    pub(crate) login: drover_auth::public::PublicApi,
    /// The Norman API.
    pub(crate) api: drover_api_v3::Api,
    /// The explorer API.
    pub(crate) explorer: drover_api_v1::Explorer,
    /// Requests into clusters.
    pub(crate) way: Way,
    /// The hub's own objects, for those who have no part in the cluster that it is.
    pub(crate) own: Own,
    /// Agents' tunnels.
    pub(crate) connect: drover_proxy::Connect,
    /// Who somebody is that came to a cluster's own API server.
    pub(crate) reviews: drover_proxy::Reviews,
    /// Import manifests.
    pub(crate) import: drover_controllers::import::ImportApi,
    /// What is written down of requests.
    pub(crate) audit: Auditor,
    /// `/ping`, `/cacerts` and the like.
    pub(crate) public: Public,
    /// Where CSRF tokens come from.
    pub(crate) entropy: Entropy,
    /// Where HTTPS is served, for redirects.
    pub(crate) https_port: u16,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Edge").finish_non_exhaustive()
    }
}

impl Handler for Edge {
    async fn handle(self: Arc<Self>, mut request: Request) -> Response {
        if let Err(reason) = one_host(&request) {
            return with_common_headers(web::text(StatusCode::BAD_REQUEST, reason), false);
        }
        strip(&mut request);
        if let Some(redirect) = redirect_to_https(&request, self.https_port) {
            return with_common_headers(redirect, false);
        }
        let mut record = self.audit.begin(&mut request);
        let (response, user) = self.answer(request, &mut record).await;
        let authenticated = user.is_some();
        let owner = user.map(|user| user.to_string());
        let owner = owner.or_else(|| owner_of(&response));
        let mut response = with_common_headers(record.finish(response), authenticated);
        if let Some(owner) = owner {
            response.extensions_mut().insert(Owner(owner));
        }
        response
    }
}

impl Edge {
    /// The answer, and who asked if they have shown it.
    async fn answer(&self, request: Request, record: &mut Record) -> (Response, Option<UserId>) {
        let uri = request.uri().clone();
        let route = route(uri.path(), uri.query());
        match route {
            Route::Public(page) => {
                return (self.public.handle(page, request.into_parts().0).await, None);
            }
            Route::Ui => return (self.ui(&request), None),
            Route::Root if asks_for_a_page(&request) => {
                return (redirect(StatusCode::FOUND, drover_ui::ROOT), None);
            }
            Route::Redirect(to) => {
                // As recorded (recorded/http/01): what is for browsers is found elsewhere, an API is asked again there.
                let status = if to.starts_with(drover_ui::ROOT) {
                    StatusCode::FOUND
                } else {
                    StatusCode::TEMPORARY_REDIRECT
                };
                return (redirect(status, to), None);
            }
            Route::Unknown => return (not_found(), None),
            // A link must not end a session: browsers are asked for their token of anything but a GET.
            Route::Logout if *request.method() != Method::POST => {
                return (logs_out_by_post(request.method()), None);
            }
            Route::Connect => return (self.connect.handle(request).await, None),
            Route::Review => return (self.reviews.handle(request).await, None),
            Route::Import => return (self.import.handle(request).await, None),
            Route::Login => {
                let (parts, body) = request.into_parts();
                if signs_in_from_elsewhere(&parts) {
                    return (from_elsewhere().into_response(), None);
                }
                let request = Request::from_parts(parts, body);
                return (self.login.handle(request).await, None);
            }
            Route::Root
            | Route::Logout
            | Route::Api
            | Route::Cluster { .. }
            | Route::Shell { .. }
            | Route::Explorer { .. } => {}
        }
        let (parts, body) = request.into_parts();
        let csrf = match route {
            Route::Api
            | Route::Root
            | Route::Logout
            | Route::Explorer { .. }
            | Route::Shell { .. }
            | Route::Cluster { .. } => csrf::check(&parts, &self.entropy),
            Route::Public(_)
            | Route::Ui
            | Route::Login
            | Route::Connect
            | Route::Review
            | Route::Import
            | Route::Redirect(_)
            | Route::Unknown => csrf::Verdict {
                set_cookie: None,
                refused: None,
            },
        };
        let identity = match self.authenticator.authenticate(&parts).await {
            Ok(identity) => identity,
            Err(error) => return (error.into_response(), None),
        };
        let user = identity.as_ref().map(|identity| identity.user.clone());
        if let Some(identity) = &identity {
            record.identify(identity, &parts.headers);
        }
        let foreign = csrf::check_websocket(&parts).err();
        let refused = csrf.refused.map(ApiError::into_response);
        let refused = refused.or_else(|| foreign.map(ApiError::into_structure));
        let mut response = match refused {
            Some(refused) => refused,
            None => {
                self.with_identity(route, Request::from_parts(parts, body), identity)
                    .await
            }
        };
        if let Some(cookie) = csrf.set_cookie {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        (response, user)
    }

    /// A file or page of the web UI; pages get a nonce of their own.
    fn ui(&self, request: &Request) -> Response {
        let mut nonce = [0; 16];
        if let Err(error) = self.entropy.fill(&mut nonce) {
            tracing::error!(%error, "no nonce could be drawn");
            return ApiError::server_error("the page could not be made").into_response();
        }
        drover_ui::answer(
            request.method(),
            request.uri().path(),
            request.headers(),
            &hex::encode(nonce),
        )
        .map(web::full)
    }

    async fn with_identity(
        &self,
        route: Route<'_>,
        request: Request,
        identity: Option<Identity>,
    ) -> Response {
        match route {
            Route::Cluster {
                cluster: LOCAL_CLUSTER,
                path: "/version",
            } if identity.is_none() && request.method() == Method::GET => {
                self.public.kubernetes_version().await
            }
            Route::Cluster { cluster, path } => {
                if let Some(identity) = identity.as_ref().filter(|_| cluster == LOCAL_CLUSTER)
                    && self.own.answers(&request, identity, path)
                {
                    return self.own.answer(request, identity, path).await;
                }
                self.way.handle(request, identity, cluster, path).await
            }
            Route::Logout => match identity {
                None => web::unauthorized(),
                Some(identity) => self.login.logout(&request.into_parts().0, &identity).await,
            },
            Route::Explorer { cluster, path } => {
                self.explorer.handle(request, identity, cluster, path).await
            }
            Route::Shell { cluster } => {
                let path = format!("/v1/management.cattle.io.clusters/{cluster}/shell");
                self.explorer
                    .handle(request, identity, LOCAL_CLUSTER, &path)
                    .await
            }
            Route::Root | Route::Api => self.api.handle(request, identity).await,
            Route::Public(_)
            | Route::Ui
            | Route::Connect
            | Route::Review
            | Route::Import
            | Route::Login
            | Route::Redirect(_)
            | Route::Unknown => not_found(),
        }
    }
}

/// Who an answer was for, where its handler found out: whoever has just signed in, an agent, another replica (none else gets
/// a tunnel without being told apart).
fn owner_of(response: &Response) -> Option<String> {
    let actor = response.extensions().get::<Actor>();
    let named = actor.and_then(|actor| actor.user.clone().or_else(|| actor.cluster.clone()));
    let is_tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    named.or_else(|| is_tunnel.then(|| "a replica".to_owned()))
}

/// A page of another site must not sign somebody's browser in as somebody else, whose work they would then do.
fn signs_in_from_elsewhere(parts: &Parts) -> bool {
    let by_page = web::is_browser(&parts.headers) && parts.headers.contains_key(ORIGIN);
    parts.method == Method::POST && by_page && !csrf::is_own_page(parts)
}

fn from_elsewhere() -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "PermissionDenied",
        "a page of another site may not sign anybody in",
    )
}

/// Two hosts are read as one by some and as the other by others, and one that is none ends up in links; refused in the
/// words of Go's server (net/http, `readRequest`).
fn one_host(request: &Request) -> Result<(), &'static str> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err("400 Bad Request: too many Host headers");
    }
    let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte);
    match first {
        Some(host) if !host.as_bytes().iter().all(is_host) => {
            Err("400 Bad Request: malformed Host header")
        }
        _ => Ok(()),
    }
}

/// A person in a browser means the web UI; programs mean the list of APIs.
fn asks_for_a_page(request: &Request) -> bool {
    let accepts_html = request
        .headers()
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    *request.method() == Method::GET && accepts_html && web::is_browser(request.headers())
}

/// Rancher's router answers in these words (`recorded/http/01`, `GET /nope`).
fn not_found() -> Response {
    let mut response = web::text(StatusCode::NOT_FOUND, "404 page not found\n");
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

fn redirect(status: StatusCode, to: &str) -> Response {
    let mut response = web::text(status, "");
    if let Ok(location) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// How API servers tell each other who a request comes from; from outside it is a lie.
const REMOTE: &str = "x-remote-";
/// How callers of API servers say whom they want to be. The proxy asks whether they may, nothing else reads it.
const IMPERSONATION: &str = "impersonate-";

/// Removes what a request says of its sender and nobody asks about.
fn strip(request: &mut Request) {
    let uri = request.uri();
    let may_ask = matches!(route(uri.path(), uri.query()), Route::Cluster { .. });
    let is_lie =
        |name: &str| name.starts_with(REMOTE) || (!may_ask && name.starts_with(IMPERSONATION));
    let names = request.headers().keys();
    let lies: Vec<HeaderName> = names
        .filter(|name| is_lie(name.as_str()))
        .cloned()
        .collect();
    for name in lies {
        request.headers_mut().remove(name);
    }
}

/// As the peer routes it (reference api-v3-and-auth section 4.3): nothing else than a POST logs out.
fn logs_out_by_post(method: &Method) -> Response {
    ApiError::method_not_allowed(format!("Method {method} not supported")).into_response()
}

/// Plain HTTP is redirected, save what load balancers check and what came through a TLS proxy
/// (rancher/dynamiclistener, reference tunnel-and-import 3.4).
fn redirect_to_https(request: &Request, port: u16) -> Option<Response> {
    let tls = request
        .extensions()
        .get::<Connection>()
        .is_none_or(|connection| connection.tls);
    if tls {
        return None;
    }
    let forwarded = request
        .headers()
        .get("x-forwarded-proto")
        .and_then(|value| value.to_str().ok());
    if matches!(forwarded, Some("https" | "wss")) {
        return None;
    }
    let path = request.uri().path();
    if ["/ping", "/health", "/.well-known/"]
        .iter()
        .any(|open| path.starts_with(open))
    {
        return None;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Some(web::text(StatusCode::BAD_REQUEST, "Use HTTPS\n"));
    }
    let host = request
        .headers()
        .get(http::header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("localhost");
    let host = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(host, |(host, _)| host);
    let port = if port == 443 {
        String::new()
    } else {
        format!(":{port}")
    };
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    Some(redirect(
        StatusCode::FOUND,
        &format!("https://{host}{port}{path}"),
    ))
}

fn with_common_headers(mut response: Response, authenticated: bool) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static("x-api-cattle-auth"),
        HeaderValue::from_static(if authenticated { "true" } else { "false" }),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static(
            "no-cache, no-store, must-revalidate",
        ));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_says_who_they_are_but_to_who_asks_whether_they_may_be() {
        for (path, stays) in [
            ("/", false),
            ("/v1/pods", false),
            ("/v1/logout", false),
            ("/v3/users?me=true", false),
            ("/v3/clusters/c-1?shell=true", false),
            ("/v3/connect", false),
            ("/k8s/clusters/c-1/v1/pods", false),
            ("/k8s/clusters/c-1/api/v1/pods", true),
            ("/apis/ext.cattle.io/v1/tokens", true),
        ] {
            let mut request = http::Request::get(path)
                .header("Impersonate-User", "admin")
                .header("Impersonate-Extra-Scopes", "a")
                .header("X-Remote-User", "admin")
                .header("X-Remote-Extra-Any", "a")
                .header("User-Agent", "kubectl")
                .body(web::empty())
                .unwrap();
            strip(&mut request);
            let left: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
            let expected = match stays {
                true => vec!["impersonate-user", "impersonate-extra-scopes", "user-agent"],
                false => vec!["user-agent"],
            };
            assert_eq!(left, expected, "{path}");
        }
    }

    #[test]
    fn a_request_has_one_host() {
        let check = |hosts: &[&str], expected: Result<(), &'static str>| {
            let mut request = http::Request::get("/").body(web::empty()).unwrap();
            for host in hosts {
                request.headers_mut().append(HOST, host.parse().unwrap());
            }
            assert_eq!(one_host(&request), expected, "{hosts:?}");
        };
        check(&[], Ok(()));
        check(&["drover.example.com:8443"], Ok(()));
        check(&["[fd00::1]:8443"], Ok(()));
        let two = Err("400 Bad Request: too many Host headers");
        check(&["a", "b"], two);
        check(&["a", "a"], two);
        let none = Err("400 Bad Request: malformed Host header");
        check(&["a\"><script>"], none);
        check(&["a/../b"], none);
        check(&["a@b"], none);
    }

    #[test]
    fn only_our_own_pages_sign_in() {
        let check = |method: Method, headers: &[(&str, &str)], elsewhere: bool| {
            let mut request = http::Request::builder()
                .method(method)
                .header("Host", "hub:8443");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(signs_in_from_elsewhere(&parts), elsewhere, "{headers:?}");
        };
        let browser = ("User-Agent", "Mozilla/5.0");
        let post = Method::POST;
        check(post.clone(), &[], false);
        check(post.clone(), &[browser], false);
        check(
            post.clone(),
            &[browser, ("Origin", "https://hub:8443")],
            false,
        );
        check(post.clone(), &[browser, ("Origin", "https://other")], true);
        check(post.clone(), &[browser, ("Origin", "null")], true);
        check(post, &[("Origin", "https://other")], false);
        check(Method::GET, &[browser, ("Origin", "https://other")], false);
    }
}
