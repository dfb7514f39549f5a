//! What is answered without signing in, in the forms of recorded/http/01.

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, LOCATION, SET_COOKIE};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::logins::IssuedToken;
use crate::web::{self, ApiError, Response, cookie};
use drover_types::condition::timestamp;

pub(super) fn in_body(issued: &IssuedToken) -> Response {
    let answer = json!({
        "type": "token",
        "baseType": "token",
        "id": issued.name,
        "token": issued.bearer.expose_secret(),
        "expiresAt": issued.expires_at.map(timestamp).unwrap_or_default(),
    });
    web::json(StatusCode::CREATED, &answer)
}

pub(super) fn in_cookie(issued: &IssuedToken) -> Response {
    let attributes = cookie::Attributes {
        http_only: true,
        secure: true,
    };
    let Some(header) = cookie::set(cookie::SESSION, issued.bearer.expose_secret(), attributes)
    else {
        return ApiError::server_error("the session cannot be put into a cookie").into_response();
    };
    let mut response = Response::new(web::empty());
    response.headers_mut().insert(SET_COOKIE, header);
    response
}

pub(super) fn redirect_to_root() -> Response {
    let mut response = web::text(
        StatusCode::TEMPORARY_REDIRECT,
        "<a href=\"/v3-public/\">Temporary Redirect</a>.\n\n",
    );
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(LOCATION, HeaderValue::from_static("/v3-public/"));
    response
}

pub(super) fn root(base: &str) -> Value {
    json!({
        "type": "apiRoot",
        "baseType": "apiRoot",
        "apiVersion": {"group": "management.cattle.io", "path": "/v3-public", "version": "v3public"},
        "links": {
            "authProviders": format!("{base}/authproviders"),
            "root": base,
            "self": base,
        },
    })
}

pub(super) fn provider(base: &str) -> Value {
    let link = format!("{base}/localProviders/local");
    json!({
        "id": "local",
        "type": "localProvider",
        "baseType": "authProvider",
        "creatorId": null,
        "logoutAllEnabled": false,
        "logoutAllForced": false,
        "logoutAllSupported": false,
        "links": {"self": link},
        "actions": {"login": format!("{link}?action=login")},
    })
}

pub(super) fn collection(base: &str, plural: &str, kind: &str, data: &[Value]) -> Value {
    let link = format!("{base}/{plural}");
    json!({
        "type": "collection",
        "resourceType": kind,
        "actions": {},
        "links": {"self": link},
        "pagination": {"limit": 1000, "total": data.len()},
        "sort": {
            "order": "asc",
            "reverse": format!("{link}?order=desc"),
            "links": {"type": format!("{link}?sort=type"), "uuid": format!("{link}?sort=uuid")},
        },
        "filters": {
            "created": null, "creatorId": null, "logoutAllEnabled": null, "logoutAllForced": null,
            "logoutAllSupported": null, "name": null, "removed": null, "type": null, "uuid": null,
        },
        "data": data,
    })
}
