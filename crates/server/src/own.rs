//! The hub's own Kubernetes API for people who have no part in the cluster that it is: what their roles give.
//!
//! The peer gives each of them roles in that cluster (`<user>-view` and the like) and lets everybody ask for some kinds
//! of `management.cattle.io`, for others those alone who see the cluster `local` (reference api-v1 section 2). Here the
//! index of roles decides, as it does in `/v3`, and writes are those of `/v3`. What Kubernetes tells everybody who is
//! signed in (its role `system:discovery`) is told here as well, so that kubectl finds its way.

use drover_api_v3::Api;
use drover_api_v3::keeper::{Change, Keeper as _, Place};
use drover_auth::web::{self, ApiError, Request, Response};
use drover_auth::{Access, Attributes, Authenticator, Identity};
use drover_ext::discovery;
use drover_types::management::{GROUP, VERSION};
use drover_types::names::{LOCAL_CLUSTER, is_object_name};
use drover_types::query::flag;
use http::header::{ACCEPT, CONTENT_TYPE, WARNING};
use http::{HeaderMap, Method, StatusCode};
use kube::Client;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{endless, refusal};

/// Kinds that everybody may ask for; others hold what is not for all who see some of it.
const OPEN: [&str; 12] = [
    "clusterproxyconfigs",
    "clusterroletemplatebindings",
    "features",
    "globalrolebindings",
    "globalroles",
    "oidcclients",
    "podsecurityadmissionconfigurationtemplates",
    "projectroletemplatebindings",
    "projects",
    "proxyendpoints",
    "settings",
    "users",
];

/// Answers for those whose roles allow it.
#[derive(Clone)]
pub(crate) struct Own {
    /// The hub's API with all rights.
    pub(crate) client: Client,
    /// Who may do what.
    pub(crate) access: Access,
    /// Until when they are who they are.
    pub(crate) authenticator: Authenticator,
    /// Who takes what they write.
    pub(crate) api: Api,
    /// Watches end with it.
    pub(crate) shutdown: CancellationToken,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Target<'a> {
    resource: &'a str,
    namespace: Option<&'a str>,
    /// None: all that there are.
    name: Option<&'a str>,
}

/// Objects of open kinds; nothing below them.
fn target(path: &str) -> Option<Target<'_>> {
    let rest = path.strip_prefix("/apis/")?.strip_prefix(GROUP)?;
    let rest = rest.strip_prefix('/')?.strip_prefix(VERSION)?;
    let parts: Vec<&str> = rest.strip_prefix('/')?.split('/').collect();
    let (resource, namespace, name) = match parts.as_slice() {
        ["namespaces", namespace, resource] => (*resource, Some(*namespace), None),
        ["namespaces", namespace, resource, name] => (*resource, Some(*namespace), Some(*name)),
        [resource] => (*resource, None, None),
        [resource, name] => (*resource, None, Some(*name)),
        _ => return None,
    };
    let fits = name.is_none_or(is_object_name) && namespace.is_none_or(is_object_name);
    (fits && OPEN.contains(&resource)).then_some(Target {
        resource,
        namespace,
        name,
    })
}

/// What every API server tells who is signed in: which kinds there are, what they are like, its version.
///
/// Asked with all rights: what an API server might read as another path (`%2f`) is none of these.
fn is_discovery(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    parts.iter().all(|part| is_object_name(part))
        && matches!(
            parts.as_slice(),
            ["version"]
                | ["api" | "apis"]
                | ["api", _]
                | ["apis", _]
                | ["apis", _, _]
                | ["openapi", ..]
        )
}

/// What is asked of an object.
fn verb(request: &Request, target: Target<'_>) -> Option<&'static str> {
    let watches = flag(request.uri().query(), "watch");
    match (request.method(), target.name) {
        (&Method::GET, Some(_)) if watches => None,
        (&Method::GET, Some(_)) => Some("get"),
        (&Method::GET, None) if watches => Some("watch"),
        (&Method::GET, None) => Some("list"),
        (&Method::POST, None) => Some("create"),
        (&Method::PUT, Some(_)) => Some("update"),
        (&Method::PATCH, Some(_)) => Some("patch"),
        (&Method::DELETE, Some(_)) => Some("delete"),
        _ => None,
    }
}

/// What is asked, of what.
fn asked<'p>(request: &Request, path: &'p str) -> Option<(Target<'p>, &'static str)> {
    let target = target(path)?;
    Some((target, verb(request, target)?))
}

/// The one object that a list or watch is narrowed down to, by which API servers decide then (apiserver
/// `requestinfo.go`).
fn chosen(query: Option<&str>) -> Option<String> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut selectors = pairs.filter(|(key, _)| key == "fieldSelector");
    let (_, selector) = selectors.next()?;
    let name = selector.strip_prefix("metadata.name=")?;
    let name = name.strip_prefix('=').unwrap_or(name);
    (selectors.next().is_none() && is_object_name(name)).then(|| name.to_owned())
}

impl Own {
    /// Whether somebody may do this to what a path leads to, or to the one object that is chosen there.
    fn may(&self, identity: &Identity, verb: &str, at: Target<'_>, chosen: Option<&str>) -> bool {
        let asked = Attributes {
            verb,
            group: GROUP,
            resource: at.resource,
            namespace: at.namespace,
            name: at.name.or(chosen),
        };
        self.access.is_allowed(identity, &asked)
    }

    /// Whether it is for the index to answer: whoever has a part in the cluster is asked there.
    pub(crate) fn answers(&self, request: &Request, identity: &Identity, path: &str) -> bool {
        let impersonates = request
            .headers()
            .keys()
            .any(|name| name.as_str().starts_with("impersonate-"));
        if impersonates
            || !identity.may_reach(Some(LOCAL_CLUSTER))
            || self
                .access
                .cluster_groups(identity, LOCAL_CLUSTER)
                .is_some()
        {
            return false;
        }
        let of_ext = drover_ext::is_below(path) || drover_ext::schema::is_document(path);
        if is_discovery(path) && !of_ext {
            return *request.method() == Method::GET;
        }
        let Some((target, verb)) = asked(request, path) else {
            return false;
        };
        let chosen = chosen(request.uri().query());
        self.may(identity, verb, target, chosen.as_deref())
    }

    /// Answers it.
    pub(crate) async fn answer(
        &self,
        request: Request,
        identity: &Identity,
        path: &str,
    ) -> Response {
        if *request.method() == Method::GET {
            let watches = asked(&request, path).is_some_and(|(_, verb)| verb == "watch");
            let (mut parts, _) = request.into_parts();
            let lists = discovery::is_list(&parts.method, path);
            let accept = parts.headers.remove(ACCEPT);
            let url = match parts.uri.query() {
                Some(query) => format!("{path}?{query}"),
                None => path.to_owned(),
            };
            let mut question = http::Request::get(url);
            if let Some(accept) = accept {
                question = question.header(ACCEPT, accept);
            }
            let answer = match question.body(kube::client::Body::empty()) {
                Ok(question) => self.ask(question).await,
                Err(error) => return refused(&ApiError::not_found(error.to_string())).await,
            };
            if lists {
                return discovery::complete(answer).await;
            }
            if !watches {
                return answer;
            }
            let chosen = chosen(parts.uri.query());
            let end = self
                .clone()
                .ended(identity.clone(), path.to_owned(), chosen);
            return endless::until(&self.shutdown, endless::unless(end, answer));
        }
        match self.write(request, identity, path).await {
            Ok(response) => response,
            Err(error) => refused(&error).await,
        }
    }

    /// Completes when somebody may no longer watch what a path leads to.
    async fn ended(self, identity: Identity, path: String, chosen: Option<String>) {
        let may =
            || target(&path).is_some_and(|at| self.may(&identity, "watch", at, chosen.as_deref()));
        tokio::select! {
            () = self.access.until_lost(may) => {}
            () = self.authenticator.revoked(&identity) => {}
        }
    }

    async fn ask(&self, question: http::Request<kube::client::Body>) -> Response {
        match self.client.send(question).await {
            Ok(answer) => answer.map(web::boxed),
            Err(error) => {
                tracing::warn!(%error, "the hub's own API did not answer");
                web::text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the store did not answer\n",
                )
            }
        }
    }

    async fn write(
        &self,
        request: Request,
        identity: &Identity,
        path: &str,
    ) -> Result<Response, ApiError> {
        let (parts, body) = request.into_parts();
        let target = target(path).ok_or_else(|| ApiError::not_found("no such path"))?;
        let bytes = web::read(&parts.headers, body, web::MAX_BODY).await?;
        let kind = content_type(&parts.headers);
        let change = match parts.method {
            Method::POST => Change::Create(object(kind, &bytes)?),
            Method::PUT => Change::Replace(object(kind, &bytes)?),
            Method::PATCH => Change::Patch {
                media_type: kind.to_owned(),
                patch: bytes.to_vec(),
            },
            _ => Change::Delete(bytes.to_vec()),
        };
        let status = match change {
            Change::Create(_) => StatusCode::CREATED,
            Change::Replace(_) | Change::Patch { .. } | Change::Delete(_) => StatusCode::OK,
        };
        let place = Place {
            group: GROUP,
            resource: target.resource,
            namespace: target.namespace,
            name: target.name.unwrap_or_default(),
        };
        let query = parts.uri.query().unwrap_or_default();
        let written = self.api.write(identity, place, query, change).await?;
        let mut response = web::json(status, &written.object);
        for warning in written.warnings {
            response.headers_mut().append(WARNING, warning);
        }
        Ok(response)
    }
}

impl std::fmt::Debug for Own {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Own").finish_non_exhaustive()
    }
}

/// A refusal as API servers have it.
async fn refused(error: &ApiError) -> Response {
    let mut error = error.clone();
    if error.status == StatusCode::UNPROCESSABLE_ENTITY {
        error.code = "Invalid".into();
    }
    refusal::as_status(error.into_structure()).await
}

fn content_type(headers: &HeaderMap) -> &str {
    let kind = headers.get(CONTENT_TYPE);
    kind.and_then(|kind| kind.to_str().ok())
        .and_then(|kind| kind.split(';').next())
        .map_or("application/json", str::trim)
}

fn object(kind: &str, bytes: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let read = if kind.ends_with("yaml") {
        std::str::from_utf8(bytes)
            .map_err(|error| error.to_string())
            .and_then(|text| serde_saphyr::from_str(text).map_err(|error| error.to_string()))
    } else {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    };
    match read {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(bad_request("the body is no object".to_owned())),
        Err(error) => Err(bad_request(format!("the body cannot be read: {error}"))),
    }
}

fn bad_request(message: String) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "BadRequest", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_may_be_chosen_by_its_name() {
        let check = |query: &str, expected: Option<&str>| {
            assert_eq!(chosen(Some(query)).as_deref(), expected, "{query}");
        };
        check("watch=1&fieldSelector=metadata.name%3Dp-1", Some("p-1"));
        check("fieldSelector=metadata.name%3D%3Dp-1", Some("p-1"));
        check("fieldSelector=metadata.name!%3Dp-1", None);
        check("fieldSelector=metadata.name%3Dp-1,spec.a%3Db", None);
        check(
            "fieldSelector=metadata.name%3Dp-1&fieldSelector=metadata.name%3Dp-2",
            None,
        );
        check("fieldSelector=metadata.namespace%3Dc-1", None);
        check("labelSelector=metadata.name%3Dp-1", None);
    }

    #[test]
    fn only_objects_of_open_kinds_are_answered_so() {
        let root = "/apis/management.cattle.io/v3";
        let check = |path: &str, expected: Option<(&str, Option<&str>, Option<&str>)>| {
            let path = format!("{root}{path}");
            let found = target(&path).map(|it| (it.resource, it.namespace, it.name));
            assert_eq!(found, expected, "{path}");
        };
        check("/users/u-1", Some(("users", None, Some("u-1"))));
        check("/users", Some(("users", None, None)));
        check(
            "/namespaces/c-1/projects/p-1",
            Some(("projects", Some("c-1"), Some("p-1"))),
        );
        check(
            "/namespaces/c-1/projects",
            Some(("projects", Some("c-1"), None)),
        );
        for other in [
            "/users/",
            "/users/..",
            "/users/%2e%2e",
            "/users/u-1/status",
            "/tokens/t-1",
            "/clusters/c-1",
            "/namespaces/../projects/p-1",
        ] {
            check(other, None);
        }
        assert_eq!(target("/apis/management.cattle.io/v3beta/users/u-1"), None);
        assert_eq!(target("/api/v1/users/u-1"), None);
    }

    #[test]
    fn discovery_is_told_to_everybody_and_nothing_else_is() {
        for path in [
            "/api",
            "/apis/",
            "/api/v1",
            "/apis/apps/v1",
            "/openapi/v3/apis/apps/v1",
            "/version",
        ] {
            assert!(is_discovery(path), "{path}");
        }
        for path in [
            "/",
            "/api/v1/secrets",
            "/apis/apps/v1/deployments",
            "/openapi/../api/v1/secrets",
            "/openapi/%2e%2e/api/v1/secrets",
            "/api/v1%2fsecrets",
            "/api/v1%2Fsecrets",
            "/apis/apps/v1%2fdeployments",
            "/apis/v1;a/b",
            "/healthz",
            "/metrics",
        ] {
            assert!(!is_discovery(path), "{path}");
        }
    }
}
