//! Protection of browsers against other sites (reference section 1.8).
//!
//! A browser carries its session cookie to us on anybody's behalf; what another
//! site cannot do is read our cookies. So a browser that changes something with
//! a cookie must repeat the cookie `CSRF` in the header `X-API-CSRF` or the
//! query parameter `CSRF`. Programs (no `mozilla` in the User-Agent) and callers
//! that send an `Authorization` header are not asked: no other site can make a
//! browser send that header.

use http::header::{AUTHORIZATION, HOST, HeaderValue, ORIGIN, UPGRADE};
use http::request::Parts;
use http::{Method, StatusCode};
use subtle::ConstantTimeEq;

use crate::Entropy;
use crate::web::{ApiError, cookie, is_browser};

const HEADER: &str = "x-api-csrf";
const LENGTH: usize = 16;

/// What to do about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// A `Set-Cookie` to add to the answer, whatever it is.
    pub set_cookie: Option<HeaderValue>,
    /// Why the request is refused, if it is.
    pub refused: Option<ApiError>,
}

/// Judges one request to an API.
#[must_use]
pub fn check(parts: &Parts, entropy: &Entropy) -> Verdict {
    let mut verdict = Verdict {
        set_cookie: None,
        refused: None,
    };
    if !is_browser(&parts.headers) {
        return verdict;
    }
    let given = cookie::get(&parts.headers, cookie::CSRF).filter(|value| !value.is_empty());
    if given.is_none() {
        verdict.set_cookie = fresh(entropy);
    }
    if is_harmless(parts) || parts.headers.contains_key(AUTHORIZATION) {
        return verdict;
    }
    let repeated = parts
        .headers
        .get(HEADER)
        .and_then(|header| header.to_str().ok())
        .or_else(|| in_query(parts));
    let same = match (given, repeated) {
        (Some(given), Some(repeated)) => bool::from(given.as_bytes().ct_eq(repeated.as_bytes())),
        _ => false,
    };
    if !same {
        verdict.refused = Some(ApiError::invalid(
            "InvalidCSRFToken",
            "the CSRF token is missing or does not match",
        ));
    }
    verdict
}

/// Refuses a WebSocket that a page of another site opens in a browser. Without `Origin` it is no browser's script; any
/// other request passes.
///
/// # Errors
/// 403 when `Origin` is not the host asked for.
pub fn check_websocket(parts: &Parts) -> Result<(), ApiError> {
    let upgrades = parts
        .headers
        .get_all(UPGRADE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    if !upgrades
        .flat_map(|value| value.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case("websocket"))
    {
        return Ok(());
    }
    let by_script = is_browser(&parts.headers) && parts.headers.contains_key(ORIGIN);
    if !by_script || is_own_page(parts) {
        Ok(())
    } else {
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "PermissionDenied",
            "a page of another site may not open this",
        ))
    }
}

/// Whether `Origin` is the host that was asked for, as the client named it or as a proxy before us passes it on.
#[must_use]
pub fn is_own_page(parts: &Parts) -> bool {
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
    let forwarded = parts
        .headers
        .get("x-api-host")
        .or_else(|| parts.headers.get("x-forwarded-host"));
    let forwarded = forwarded
        .and_then(|host| host.to_str().ok())
        .and_then(|hosts| hosts.split(',').next());
    let origin = parts
        .headers
        .get(ORIGIN)
        .and_then(|origin| origin.to_str().ok())
        .and_then(|origin| origin.parse::<http::Uri>().ok());
    let site = origin
        .as_ref()
        .and_then(|origin| origin.authority())
        .map(http::uri::Authority::as_str);
    let same = |host: &str| site.is_some_and(|site| site.eq_ignore_ascii_case(host.trim()));
    host.is_some_and(same) || forwarded.is_some_and(same)
}

/// Whether a request only reads. A link can hold parameters that make `/v3` take a GET for something else.
fn is_harmless(parts: &Parts) -> bool {
    let query = parts.uri.query().unwrap_or_default();
    let overridden = || {
        form_urlencoded::parse(query.as_bytes())
            .any(|(name, _)| matches!(name.as_ref(), "_method" | "action"))
    };
    matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS)
        && !(parts.uri.path().starts_with("/v3") && overridden())
}

fn in_query(parts: &Parts) -> Option<&str> {
    parts
        .uri
        .query()?
        .split('&')
        .find_map(|pair| pair.strip_prefix("CSRF="))
}

fn fresh(entropy: &Entropy) -> Option<HeaderValue> {
    let mut bytes = [0; LENGTH];
    if let Err(error) = entropy.fill(&mut bytes) {
        tracing::error!(%error, "no CSRF cookie could be drawn");
        return None;
    }
    // Scripts of our own pages must read it.
    cookie::set(
        cookie::CSRF,
        &hex::encode(bytes),
        cookie::Attributes {
            http_only: false,
            secure: true,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROWSER: (&str, &str) = ("user-agent", "Mozilla/5.0 (X11)");

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn check_code(method: &str, uri: &str, headers: &[(&str, &str)]) -> (bool, bool) {
        let verdict = check(&parts(method, uri, headers), &Entropy::seeded(1));
        (verdict.set_cookie.is_some(), verdict.refused.is_some())
    }

    #[test]
    fn browsers_get_a_cookie_and_must_repeat_it() {
        let cookie = ("cookie", "R_SESS=t:k; CSRF=abc");
        assert_eq!(check_code("GET", "/v3", &[BROWSER]), (true, false));
        assert_eq!(check_code("POST", "/v3/projects", &[BROWSER]), (true, true));
        assert_eq!(
            check_code("POST", "/v3/projects", &[BROWSER, cookie]),
            (false, true)
        );
        assert_eq!(
            check_code(
                "POST",
                "/v3/projects",
                &[BROWSER, cookie, ("x-api-csrf", "abc")]
            ),
            (false, false)
        );
        assert_eq!(
            check_code("DELETE", "/v3/projects/p?a=b&CSRF=abc", &[BROWSER, cookie]),
            (false, false)
        );
        assert_eq!(
            check_code(
                "PUT",
                "/v3/projects/p",
                &[BROWSER, cookie, ("x-api-csrf", "abd")]
            ),
            (false, true)
        );
        assert_eq!(
            check_code(
                "POST",
                "/v3",
                &[BROWSER, ("cookie", "CSRF="), ("x-api-csrf", "")]
            ),
            (true, true)
        );
    }

    #[test]
    fn links_that_change_something_are_not_harmless() {
        let cookie = ("cookie", "R_SESS=t:k; CSRF=abc");
        for query in ["_method=DELETE", "%5Fmethod=put", "a=b&action=remove"] {
            let uri = format!("/v3/projects/p?{query}");
            assert_eq!(check_code("GET", &uri, &[BROWSER, cookie]), (false, true));
            let uri = format!("{uri}&CSRF=abc");
            assert_eq!(check_code("GET", &uri, &[BROWSER, cookie]), (false, false));
        }
        // Applications behind the proxy have parameters of their own.
        let uri = "/k8s/clusters/c/api/v1/namespaces/a/services/b/proxy/?action=show";
        assert_eq!(check_code("GET", uri, &[BROWSER, cookie]), (false, false));
    }

    #[test]
    fn programs_are_not_asked() {
        assert_eq!(
            check_code(
                "POST",
                "/v3",
                &[("user-agent", "curl/8"), ("cookie", "R_SESS=t:k")]
            ),
            (false, false)
        );
        assert_eq!(
            check_code("POST", "/v3", &[BROWSER, ("authorization", "Bearer t:k")]),
            (true, false)
        );
    }

    #[test]
    fn the_cookie_has_the_form_of_the_peers() {
        let cookie = check(&parts("GET", "/v3", &[BROWSER]), &Entropy::seeded(1))
            .set_cookie
            .unwrap();
        let cookie = cookie.to_str().unwrap();
        let (value, rest) = cookie
            .strip_prefix("CSRF=")
            .unwrap()
            .split_once(';')
            .unwrap();
        assert!(value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(rest, " Path=/; Secure; SameSite=Lax");
    }

    #[test]
    fn pages_of_other_sites_open_no_websocket() {
        let check = |headers: &[(&str, &str)]| {
            let headers = [headers, &[("upgrade", "websocket")]].concat();
            check_websocket(&parts("GET", "/v1/subscribe", &headers)).is_ok()
        };
        let host = ("host", "drover.example:8443");
        assert!(check(&[
            BROWSER,
            host,
            ("origin", "https://drover.example:8443")
        ]));
        assert!(!check(&[BROWSER, host, ("origin", "https://evil.example")]));
        assert!(!check(&[
            BROWSER,
            host,
            ("origin", "https://drover.example")
        ]));
        assert!(!check(&[BROWSER, host, ("origin", "null")]));
        assert!(check(&[
            BROWSER,
            ("host", "10.0.0.1"),
            ("x-forwarded-host", "d.example"),
            ("origin", "https://d.example")
        ]));
        assert!(check(&[BROWSER, host]));
        assert!(
            check_websocket(&parts(
                "GET",
                "/v3",
                &[BROWSER, host, ("origin", "https://evil.example")]
            ))
            .is_ok()
        );
        assert!(check(&[
            ("user-agent", "drover-agent"),
            host,
            ("origin", "https://elsewhere")
        ]));
    }
}
