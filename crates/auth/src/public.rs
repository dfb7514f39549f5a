//! What can be reached without signing in: `/v3-public`, `/v1-public`, and signing out.
//!
//! Owns these answers whole; their forms are those of recorded/http/01 and 12.
//! Passwords are looked at by [`Logins`].

mod answers;
mod schemas;

use std::net::IpAddr;

use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, SET_COOKIE};
use http::request::Parts;
use http::{Method, StatusCode};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use answers::{collection, in_body, in_cookie, provider, redirect_to_root, root};

use crate::Identity;
use crate::logins::{Credentials, HandedOver, Logins, Purpose};
use crate::web::{self, Actor, ApiError, Body, Connection, Request, Response, cookie};

/// Largest body of a login, in bytes: names, a password, a public key. Anybody may send as many as they like.
const LARGEST_LOGIN: usize = 16 << 10;

const SCHEMAS: HeaderName = HeaderName::from_static("x-api-schemas");

/// Cookies a logout makes the browser forget (recorded/http/12).
const SESSION_COOKIES: [&str; 4] = [cookie::SESSION, cookie::CSRF, "R_OIDC_ID", "R_AZUREAD_ID"];

/// The handlers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PublicApi {
    logins: Logins,
}

/// What a login sends. Wrong types are a 422, missing fields a failed login.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LoginInput {
    #[serde(rename = "type")]
    kind: String,
    username: String,
    #[serde(deserialize_with = "secret")]
    password: SecretString,
    description: String,
    response_type: String,
}

fn secret<'de, D: Deserializer<'de>>(input: D) -> Result<SecretString, D::Error> {
    String::deserialize(input).map(SecretString::from)
}

impl Default for LoginInput {
    fn default() -> Self {
        Self {
            kind: String::new(),
            username: String::new(),
            password: String::new().into(),
            description: String::new(),
            response_type: String::new(),
        }
    }
}

impl PublicApi {
    pub(crate) fn new(logins: Logins) -> Self {
        Self { logins }
    }

    /// Whether a path is served here.
    #[must_use]
    pub fn serves(path: &str) -> bool {
        ["/v3-public", "/v1-public"].into_iter().any(|root| {
            path.strip_prefix(root)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Serves `/v3-public` and `/v1-public`.
    ///
    /// The future is boxed here so that its code is made once, with this crate's options, and not in each caller.
    pub fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(self.answer(request))
    }

    async fn answer(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let segments: Vec<&str> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        match segments.split_first() {
            Some((&"v3-public", [])) if !path.ends_with('/') => redirect_to_root(),
            Some((&"v3-public", rest)) => self.v3(&parts, body, rest).await,
            Some((&"v1-public", rest)) => self.v1(&parts, body, rest).await,
            _ => ApiError::not_found("nothing is served here").into_response(),
        }
    }

    async fn v3(&self, parts: &Parts, body: Body, segments: &[&str]) -> Response {
        let base = format!("{}/v3-public", web::link_base(parts));
        let lower: Vec<String> = segments
            .iter()
            .map(|segment| segment.to_ascii_lowercase())
            .collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        let action = query(parts, "action");
        let provider = || provider(&base);
        let answer = match (&parts.method, lower.as_slice(), action) {
            (&Method::GET, [], None) => Ok(root(&base)),
            (&Method::GET, ["schemas" | "schema"], None) => Ok(schemas::all(&base)),
            (&Method::GET, ["schemas" | "schema", id], None) => {
                schemas::one(&base, id).ok_or_else(|| ApiError::not_found("no such schema"))
            }
            (&Method::GET, ["authproviders" | "authprovider"], None) => Ok(collection(
                &base,
                "authProviders",
                "authProvider",
                &[provider()],
            )),
            (&Method::GET, ["localproviders" | "localprovider"], None) => Ok(collection(
                &base,
                "localProviders",
                "localProvider",
                &[provider()],
            )),
            (
                &Method::GET,
                [
                    "authproviders" | "authprovider" | "localproviders" | "localprovider",
                    "local",
                ],
                None,
            ) => Ok(provider()),
            (
                &Method::POST,
                [
                    "authproviders" | "authprovider" | "localproviders" | "localprovider",
                    "local",
                ],
                Some("login"),
            ) => {
                // An answer to a login names no schemas (recorded/http/01), except where its body cannot be read.
                match read_login(parts, body).await {
                    Ok(input) => return self.login(parts, input).await,
                    Err(error) => Err(error),
                }
            }
            (&Method::GET | &Method::DELETE, ["authtokens" | "authtoken", id], None) => {
                match self.handed_over(&parts.method, id).await {
                    Ok(Some(found)) => Ok(json!({
                        "id": id, "name": id, "type": "authToken", "baseType": "authToken",
                        "token": found.sealed, "expiresAt": found.expires_at, "links": {
                            "self": format!("{base}/authTokens/{id}"), "remove": format!("{base}/authTokens/{id}"),
                        },
                    })),
                    // As the peer: what is not there is as good as removed.
                    Ok(None) if parts.method == Method::DELETE => Ok(Value::Null),
                    Ok(None) => Err(ApiError::not_found(format!("token {id} not found"))),
                    Err(error) => Err(error),
                }
            }
            (&Method::POST, [_, "local"], Some(action)) => Err(ApiError::invalid_action(format!(
                "there is no action {action}"
            ))),
            (
                _,
                []
                | [
                    "schemas" | "schema" | "authproviders" | "authprovider" | "localproviders"
                    | "localprovider" | "authtokens" | "authtoken",
                    ..,
                ],
                _,
            ) => Err(ApiError::method_not_allowed(
                "the method is not allowed here",
            )),
            (_, [kind, ..], _) => Err(ApiError::not_found(format!("failed to find schema {kind}"))),
        };
        let mut response = match answer {
            Ok(Value::Null) => {
                let mut nothing = Response::new(web::empty());
                *nothing.status_mut() = StatusCode::NO_CONTENT;
                nothing
            }
            Ok(answer) => web::json(StatusCode::OK, &answer),
            Err(error) => error.into_response(),
        };
        if let Ok(link) = HeaderValue::from_str(&format!("{base}/schemas")) {
            response.headers_mut().insert(SCHEMAS, link);
        }
        response
    }

    async fn v1(&self, parts: &Parts, body: Body, segments: &[&str]) -> Response {
        let lower: Vec<String> = segments
            .iter()
            .map(|segment| segment.to_ascii_lowercase())
            .collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        match (&parts.method, lower.as_slice()) {
            (&Method::GET, ["authproviders"]) => {
                let local = json!({
                    "id": "local", "type": "localProvider",
                    "logoutAllEnabled": false, "logoutAllForced": false, "logoutAllSupported": false,
                });
                web::json(StatusCode::OK, &json!({ "data": [local] }))
            }
            (&Method::POST, ["login"]) => match read_login(parts, body).await {
                Ok(input) if input.kind == "localProvider" => self.login(parts, input).await,
                Ok(_) => ApiError::invalid_body(
                    "the type must be that of an enabled provider (localProvider)",
                )
                .with_field("type")
                .into_response(),
                Err(error) => error.into_response(),
            },
            (&Method::GET | &Method::DELETE, ["authtokens", id]) => {
                match self.handed_over(&parts.method, id).await {
                    Ok(Some(found)) => web::json(
                        StatusCode::OK,
                        &json!({"token": found.sealed, "expiresAt": found.expires_at}),
                    ),
                    Ok(None) if parts.method == Method::DELETE => Response::new(web::empty()),
                    Ok(None) => ApiError::not_found("there is no such token").into_response(),
                    Err(error) => error.into_response(),
                }
            }
            (_, ["authproviders" | "login"] | ["authtokens", _]) => {
                ApiError::method_not_allowed("the method is not allowed here").into_response()
            }
            _ => ApiError::not_found("nothing is served here").into_response(),
        }
    }

    async fn login(&self, parts: &Parts, input: LoginInput) -> Response {
        let LoginInput {
            username,
            password,
            description,
            response_type,
            ..
        } = input;
        let Some(purpose) = Purpose::of_response_type(&response_type) else {
            return ApiError::invalid(
                "InvalidOption",
                "it must be json, cookie, kubeconfig or kubeconfig_<cluster>",
            )
            .with_field("responseType")
            .into_response();
        };
        let credentials = Credentials {
            username,
            password,
            remote: remote(parts),
        };
        let mut actor = Actor {
            login_name: Some(credentials.username.clone()),
            ..Actor::default()
        };
        let mut response = match self
            .logins
            .login(&credentials, &purpose, &description)
            .await
        {
            Ok(issued) => {
                actor.user = Some(issued.user.to_string());
                if response_type == "cookie" {
                    in_cookie(&issued)
                } else {
                    in_body(&issued)
                }
            }
            Err(error) => error.into_response(),
        };
        response.extensions_mut().insert(actor);
        response
    }

    /// Gives the token that waits for a request, or removes it; then there is none to give.
    async fn handed_over(
        &self,
        method: &Method,
        request: &str,
    ) -> Result<Option<HandedOver>, ApiError> {
        if *method == Method::DELETE {
            self.logins.forget_handed_over(request).await?;
            return Ok(None);
        }
        Ok(self.logins.handed_over(request).await?)
    }

    /// Serves `/v1/logout` and `/v3/tokens?action=logout`: ends the caller's session (with `?all` every session of the
    /// caller) and makes a browser forget it.
    pub async fn logout(&self, parts: &Parts, identity: &Identity) -> Response {
        let everywhere = parts.uri.query().is_some_and(|query| {
            query
                .split('&')
                .any(|pair| pair == "all" || pair.starts_with("all="))
        });
        let ended = if everywhere {
            self.logins.logout_everywhere(identity).await
        } else {
            self.logins.logout(identity).await
        };
        if let Err(error) = ended {
            return error.into_response();
        }
        let mut response = Response::new(web::empty());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for forget in SESSION_COOKIES.into_iter().filter_map(cookie::forget) {
            headers.append(SET_COOKIE, forget);
        }
        response
    }
}

async fn read_login(parts: &Parts, body: Body) -> Result<LoginInput, ApiError> {
    // By way of an object: a list of values in the order of the fields is no login.
    let fields: Map<String, Value> = web::read_json(&parts.headers, body, LARGEST_LOGIN).await?;
    // The error's own words would quote the value.
    serde_json::from_value(Value::Object(fields))
        .map_err(|_| ApiError::invalid_body("a field has the wrong type"))
}

/// The address of the connection itself: headers that name another are anybody's to write.
fn remote(parts: &Parts) -> Option<IpAddr> {
    parts
        .extensions
        .get::<Connection>()
        .map(|connection| connection.remote.ip())
}

fn query<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts
        .uri
        .query()?
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests;
