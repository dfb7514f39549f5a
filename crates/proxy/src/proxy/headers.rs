//! Which headers pass, both ways.
//!
//! Invariant: what [`forwarded`] returns holds no header that says who the client is, whatever the client sent.

use drover_auth::web::Connection;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE,
    EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

/// Headers of one connection (RFC 9110, section 7.6.1), and those that name the hub.
const OWN: [HeaderName; 11] = [
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HOST,
    EXPECT,
    AUTHORIZATION,
    COOKIE,
];
const OWN_UNNAMED: [&str; 2] = ["keep-alive", "proxy-connection"];

/// Beginnings of headers that carry an identity or a tunnel's credentials.
const IDENTITY: [&str; 3] = ["impersonate-", "x-remote-", "x-api-tunnel-"];

/// The hub's own cookies: the session's token and the token against forged requests.
const COOKIES: [&str; 2] = ["R_SESS", "CSRF"];

const FORWARDED_FOR: &str = "x-forwarded-for";

/// What a browser would take as said by the hub, for all of its pages, cookies and storage.
const OF_THE_SITE: [&str; 4] = [
    "clear-site-data",
    "service-worker-allowed",
    "strict-transport-security",
    "alt-svc",
];

/// Kinds of content that a browser shows as a page, with scripts in it. SVG and XML are pages as well.
const PAGES: [&str; 3] = ["html", "xml", "svg"];

/// Pages of a cluster run as those of another site: else their scripts would hold the session of whoever opens a link
/// to them, on the whole hub.
const SANDBOX: HeaderValue = HeaderValue::from_static(
    "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts",
);

fn is_identity(name: &HeaderName) -> bool {
    IDENTITY
        .iter()
        .any(|start| name.as_str().starts_with(start))
}

fn is_own(name: &HeaderName) -> bool {
    OWN.contains(name) || OWN_UNNAMED.contains(&name.as_str())
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect()
}

/// The client's headers that may reach an upstream.
pub(super) fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let named = named_by_connection(headers);
    let mut sent = HeaderMap::with_capacity(headers.len() + 8);
    for (name, value) in headers {
        if !is_own(name) && !is_identity(name) && !named.contains(name) {
            sent.append(name, value.clone());
        }
    }
    for cookies in headers.get_all(COOKIE) {
        if !named.contains(&COOKIE)
            && let Some(value) = foreign_cookies(cookies)
        {
            sent.append(COOKIE, value);
        }
    }
    // Framing is the connection's: a request may not have both.
    if headers.contains_key(TRANSFER_ENCODING) {
        sent.remove(CONTENT_LENGTH);
    }
    sent
}

/// Cookies of applications behind the API server's proxy; the hub's own stay here.
fn foreign_cookies(cookies: &HeaderValue) -> Option<HeaderValue> {
    let text = cookies.to_str().ok()?;
    let kept: Vec<&str> = text
        .split(';')
        .map(str::trim)
        .filter(|pair| !pair.is_empty() && !is_hub_cookie(pair))
        .collect();
    if kept.is_empty() {
        None
    } else {
        HeaderValue::from_str(&kept.join("; ")).ok()
    }
}

fn is_hub_cookie(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default().trim();
    COOKIES.contains(&name)
}

/// The upstream's headers that may reach the client.
pub(super) fn returned(headers: &HeaderMap) -> HeaderMap {
    let named = named_by_connection(headers);
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let own = is_own(name) && *name != HOST && *name != COOKIE;
        // An application in a cluster must not set the hub's session.
        let session = *name == SET_COOKIE && sets_hub_cookie(value.as_bytes());
        let of_the_site = OF_THE_SITE.contains(&name.as_str());
        if !own && !session && !of_the_site && !named.contains(name) {
            kept.append(name, value.clone());
        }
    }
    kept
}

/// Keeps scripts of a page that is answered away from the hub's session.
pub(super) fn set_apart(headers: &mut HeaderMap) {
    if may_be_page(headers) {
        headers.append(CONTENT_SECURITY_POLICY, SANDBOX);
    }
}

/// Whether a browser might show the answer as a page. It guesses at content that has no type.
fn may_be_page(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter().peekable();
    types.peek().is_none()
        || types.any(|kind| {
            let kind = kind.as_bytes().to_ascii_lowercase();
            let kind = String::from_utf8_lossy(&kind);
            PAGES.iter().any(|page| kind.contains(page))
        })
}

/// Browsers send a cookie without a name as its value alone, which may look like a name and a value.
fn sets_hub_cookie(cookie: &[u8]) -> bool {
    let pair = cookie
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    let mut pair = pair.trim_ascii();
    while let Some(nameless) = pair.strip_prefix(b"=") {
        pair = nameless.trim_ascii();
    }
    let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
    COOKIES
        .iter()
        .any(|ours| ours.as_bytes() == name.trim_ascii())
}

/// Says over the new connection what it is to become.
pub(super) fn set_upgrade(headers: &mut HeaderMap, protocol: &HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, protocol.clone());
}

/// Adds where the request came from; API servers write it into their audit log.
pub(super) fn add_forwarded_for(headers: &mut HeaderMap, parts: &http::request::Parts) {
    let Some(connection) = parts.extensions.get::<Connection>() else {
        return;
    };
    let remote = connection.remote.ip().to_string();
    let earlier: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let all = if earlier.is_empty() {
        remote
    } else {
        format!("{}, {remote}", earlier.join(", "))
    };
    if let Ok(value) = HeaderValue::from_str(&all) {
        headers.insert(FORWARDED_FOR, value);
    }
}

#[cfg(test)]
mod tests;
