//! Cookies, read and set.

use std::fmt::Write;

use http::header::{COOKIE, HeaderMap, HeaderValue};

/// The session cookie, `name:key` of a token.
pub const SESSION: &str = "R_SESS";
/// The cookie browsers must repeat in a header (reference section 1.8).
pub const CSRF: &str = "CSRF";

/// The value of the first cookie of that name.
#[must_use]
pub fn get<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim_matches('"'))
}

/// Attributes of a cookie to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Hidden from scripts.
    pub http_only: bool,
    /// Sent over TLS only.
    pub secure: bool,
}

/// `Set-Cookie` for a session-long cookie; `None` if the value cannot travel in a header.
#[must_use]
pub fn set(name: &str, value: &str, attributes: Attributes) -> Option<HeaderValue> {
    let mut cookie = format!("{name}={value}; Path=/");
    if attributes.http_only {
        cookie.push_str("; HttpOnly");
    }
    if attributes.secure {
        cookie.push_str("; Secure");
    }
    cookie.push_str("; SameSite=Lax");
    HeaderValue::from_str(&cookie).ok().map(|mut header| {
        header.set_sensitive(true);
        header
    })
}

/// `Set-Cookie` that makes the browser forget a cookie (form of recorded/http/12, `/v1/logout`).
#[must_use]
pub fn forget(name: &str) -> Option<HeaderValue> {
    let mut cookie = String::new();
    write!(
        cookie,
        "{name}=; Path=/; Expires=Wed, 10 Feb 1982 23:00:00 GMT; Max-Age=0; HttpOnly; SameSite=Lax"
    )
    .ok()?;
    HeaderValue::from_str(&cookie).ok()
}
