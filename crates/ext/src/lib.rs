//! The API group `ext.cattle.io`: what people do with their own tokens, kubeconfigs, passwords and activity.
//!
//! Looks like a part of the local cluster's Kubernetes API, as the peer's aggregated API server does (recorded/http/12).
//! Owns routes, forms and whose objects are whose; tokens and passwords are kept by `drover_auth`. Kubeconfigs are
//! ConfigMaps in the namespace of tokens, as the peer keeps them, without what lets anybody in.
//!
//! Invariants: a key is shown in the answer to its making and never again; who is no administrator sees and changes
//! what is its own, whatever its roles say.

mod activity;
pub mod discovery;
mod form;
pub mod kubeconfig;
mod kubeconfigs;
mod owners;
mod passwords;
mod refresh;
mod request;
pub mod schema;
mod status;
mod table;
mod tokens;
mod watch;

use std::sync::Arc;

use drover_auth::web::{self, ApiError, Request, Response};
use drover_auth::{Access, Attributes, Authenticator, Clock, Identity, Logins, Settings};
use futures::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use kube::Client;
use serde_json::{Value, json};

use request::{Asked, Sent, read};
pub use table::columns;

/// The group.
pub const GROUP: &str = "ext.cattle.io";
/// Its one version.
pub const VERSION: &str = "v1";
/// Where the group lies in the local cluster's API.
const ROOT: &str = "/apis/ext.cattle.io";

/// What the API stands on.
#[derive(Debug)]
pub struct Parts {
    /// The hub's objects, with all rights.
    pub client: HubClient,
    /// Who may do what.
    pub access: Access,
    /// Whether those who watch are still let in.
    pub authenticator: Authenticator,
    /// Tokens and passwords.
    pub logins: Logins,
    /// Settings.
    pub settings: Settings,
    /// Now.
    pub clock: Clock,
}

/// A client of the hub's objects.
#[derive(Clone)]
pub struct HubClient(pub Client);

impl std::fmt::Debug for HubClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HubClient")
    }
}

/// The API. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ext(Arc<Parts>);

/// Whether a path of the local cluster's API leads here.
#[must_use]
pub fn is_below(path: &str) -> bool {
    path.strip_prefix(ROOT)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// One request of somebody.
struct Call<'a> {
    parts: &'a Arc<Parts>,
    identity: &'a Identity,
    /// May see and change what is others'.
    administers: bool,
    asked: Asked,
}

impl Ext {
    /// Builds the API from its parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Answers a request for a path that [`is_below`] is true of.
    ///
    /// The future is boxed here so that its code is made once, with this crate's options, and not in each caller.
    pub fn handle<'a>(
        &'a self,
        request: Request,
        identity: Option<Identity>,
        path: &'a str,
    ) -> BoxFuture<'a, Response> {
        Box::pin(async move {
            let Some(identity) = identity else {
                return web::unauthorized();
            };
            let in_yaml = form::is_asked_for(request.headers());
            let answer = match self.answer(request, &identity, path).await {
                Ok(response) => response,
                Err(error) => status::response(&error),
            };
            if in_yaml {
                form::as_yaml(answer).await
            } else {
                answer
            }
        })
    }

    async fn answer(
        &self,
        request: Request,
        identity: &Identity,
        path: &str,
    ) -> Result<Response, ApiError> {
        refuse_impersonation(request.headers(), identity)?;
        let rest = path.strip_prefix(ROOT).unwrap_or_default();
        let segments: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
        let reads = request.method() == Method::GET;
        let (plural, name) = match segments.as_slice() {
            [] if reads => return Ok(web::json(StatusCode::OK, &discovery::group())),
            ["v1"] if reads => return Ok(web::json(StatusCode::OK, &discovery::resources())),
            ["v1", plural] => ((*plural).to_owned(), None),
            ["v1", plural, name] => ((*plural).to_owned(), Some((*name).to_owned())),
            _ => return Err(status::no_resource()),
        };
        let kind = discovery::kind(&plural).ok_or_else(status::no_resource)?;
        let asked = Asked::of(&request, name)?;
        if !kind.verbs.contains(&asked.verb) {
            // As the peer: a kind whose lists nobody can ask for is not found, one that is only made refuses the method.
            return Err(if kind.verbs.contains(&"get") && asked.verb == "list" {
                status::no_resource()
            } else {
                status::no_method()
            });
        }
        let attributes = Attributes {
            verb: asked.verb,
            group: GROUP,
            resource: kind.plural,
            namespace: None,
            name: asked.name.as_deref(),
        };
        self.0.access.check(identity, &attributes)?;
        let all = Attributes {
            group: "*",
            resource: "*",
            name: None,
            ..attributes
        };
        let call = Call {
            parts: &self.0,
            identity,
            administers: self.0.access.is_allowed(identity, &all),
            asked,
        };
        let (parts, body) = request.into_parts();
        let sent = match call.asked.verb {
            "create" | "update" | "patch" => read(&parts, body).await?,
            _ => Sent::Object(json!({})),
        };
        match kind.plural {
            "tokens" => call.tokens(sent).await,
            "kubeconfigs" => call.kubeconfigs(sent, &parts).await,
            "passwordchangerequests" => call.change_password(sent.into_inner()).await,
            "useractivities" => call.activity(sent).await,
            "groupmembershiprefreshrequests" => call.refresh_groups(sent.into_inner()).await,
            _ => Ok(made(&drover_auth::ext::self_user(identity))),
        }
    }
}

impl Call<'_> {
    /// Whether an object of somebody may be seen and changed.
    fn reaches(&self, owner: &str) -> bool {
        self.administers || owner == self.identity.user.as_str()
    }

    /// The user whose objects are listed; `None`: everybody's.
    fn owner(&self) -> Option<&drover_auth::UserId> {
        (!self.administers).then_some(&self.identity.user)
    }

    /// 404 in the words of a Kubernetes API server.
    fn absent(&self, plural: &str) -> ApiError {
        let name = self.asked.name.as_deref().unwrap_or_default();
        ApiError::not_found(format!("{plural}.{GROUP} \"{name}\" not found"))
    }

    /// One object in the form that is asked for.
    fn shown(&self, kind: &'static str, object: Value) -> Response {
        let document = if self.asked.wants_table {
            let now = self.parts.clock.now();
            table::table(kind, &[object], self.asked.include, None, now)
        } else {
            object
        };
        web::json(StatusCode::OK, &document)
    }

    /// A list of objects in the form that is asked for; a watch goes on from `version`.
    fn listed(&self, kind: &'static str, objects: &[Value], version: &str) -> Response {
        let document = if self.asked.wants_table {
            let now = self.parts.clock.now();
            table::table(kind, objects, self.asked.include, Some(version), now)
        } else {
            list(kind, objects, Some(version))
        };
        web::json(StatusCode::OK, &document)
    }
}

/// What is here is somebody's own: who asks to be somebody else is not answered as themselves.
///
/// # Errors
/// 403 in the words of a Kubernetes API server.
fn refuse_impersonation(headers: &HeaderMap, identity: &Identity) -> Result<(), ApiError> {
    let user = headers
        .get("impersonate-user")
        .and_then(|user| user.to_str().ok());
    let is_plain = headers.keys().all(|name| {
        !name.as_str().starts_with("impersonate-") || name.as_str() == "impersonate-user"
    });
    if is_plain && user.is_none_or(|user| user == identity.user.as_str()) {
        return Ok(());
    }
    let asked = Attributes {
        verb: "impersonate",
        group: "",
        resource: "users",
        namespace: None,
        name: Some(user.unwrap_or_default()),
    };
    Err(asked.forbidden(identity))
}

/// The answer to the making of an object.
fn made(object: &Value) -> Response {
    web::json(StatusCode::CREATED, object)
}

/// What was deleted: one object, or a list of them.
fn gone(kind: &str, one: bool, objects: Vec<Value>) -> Response {
    let document = if one {
        objects.into_iter().next().unwrap_or_default()
    } else {
        list(kind, &objects, None)
    };
    web::json(StatusCode::OK, &document)
}

fn list(kind: &str, objects: &[Value], version: Option<&str>) -> Value {
    let mut list = json!({
        "apiVersion": "ext.cattle.io/v1", "kind": format!("{kind}List"), "metadata": {}, "items": objects,
    });
    if let Some(version) = version {
        list["metadata"]["resourceVersion"] = json!(version);
    }
    list
}

/// 400 with the reason of a Kubernetes API server.
fn bad_request(message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "BadRequest", message)
}
