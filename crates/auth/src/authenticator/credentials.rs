//! Finds credentials in a request, and the cluster a path leads to.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::AuthError;
use crate::ext;
use crate::web::cookie;

/// A token's name and key.
type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Longest token name and key that are looked at.
const MAX_LENGTH: usize = 253;

/// Name and key as sent. A request with an `Authorization` header is not looked at for cookies, whatever the header
/// holds; so a page elsewhere that can only send cookies is always treated as such.
pub(super) fn find(headers: &HeaderMap) -> Result<Option<Pair<'_>>, AuthError> {
    let sent: Cow<'_, str> = match headers.get(AUTHORIZATION) {
        Some(header) => {
            let header = header.to_str().map_err(|_| AuthError::Refused)?.trim();
            let (scheme, value) = header.split_once(' ').ok_or(AuthError::Refused)?;
            if scheme.eq_ignore_ascii_case("bearer") {
                value.trim().into()
            } else if scheme.eq_ignore_ascii_case("basic") {
                let decoded = STANDARD
                    .decode(value.trim())
                    .map_err(|_| AuthError::Refused)?;
                String::from_utf8(decoded)
                    .map_err(|_| AuthError::Refused)?
                    .into()
            } else {
                return Err(AuthError::Refused);
            }
        }
        None => match cookie::get(headers, cookie::SESSION) {
            Some(value) if !value.is_empty() => value.into(),
            _ => return Ok(None),
        },
    };
    let (name, key) = match sent {
        Cow::Borrowed(sent) => {
            let (name, key) = sent.split_once(':').ok_or(AuthError::Refused)?;
            (Cow::Borrowed(name), Cow::Borrowed(key))
        }
        Cow::Owned(sent) => {
            let (name, key) = sent.split_once(':').ok_or(AuthError::Refused)?;
            (Cow::Owned(name.to_owned()), Cow::Owned(key.to_owned()))
        }
    };
    // Tokens of `ext.cattle.io` say so.
    let bare = name.strip_prefix(ext::PREFIX).unwrap_or(&name);
    let name_is_fine = (1..=MAX_LENGTH).contains(&bare.len())
        && bare.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
        });
    if name_is_fine && (1..=MAX_LENGTH).contains(&key.len()) {
        Ok(Some((name, key)))
    } else {
        Err(AuthError::Refused)
    }
}

/// The cluster a path leads to: `/k8s/clusters/<id>`, `/v3/cluster(s)/<id>`, `/v3/project(s)/<id>:<project>`.
///
/// Strict on purpose: a path that could be read in two ways (`//`, `..`, escapes) leads to no cluster, so that a token
/// for one cluster is never good for a path that a router reads as another's.
pub(crate) fn routed_cluster(path: &str) -> Option<&str> {
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let (last, inner) = segments.split_last()?;
    let odd = |segment: &str| matches!(segment, "." | "..");
    if inner
        .iter()
        .any(|segment| segment.is_empty() || odd(segment))
        || odd(last)
    {
        return None;
    }
    let id = match segments.as_slice() {
        ["k8s", "clusters", id, ..] | ["v3", "cluster" | "clusters", id, ..] => *id,
        ["v3", "project" | "projects", id, ..] => id.split_once(':')?.0,
        _ => return None,
    };
    let plain = !id.is_empty()
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    plain.then_some(id)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(headers: &[(&'static str, &str)], expected: Result<Option<(&str, &str)>, ()>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let found = find(&map);
        let found = match &found {
            Ok(pair) => Ok(pair
                .as_ref()
                .map(|(name, key)| (name.as_ref(), key.as_ref()))),
            Err(_) => Err(()),
        };
        assert_eq!(found, expected, "{headers:?}");
    }

    #[test]
    fn credentials_come_from_bearer_basic_or_cookie() {
        let basic = format!("Basic {}", STANDARD.encode("token-abcde:key"));
        check(&[], Ok(None));
        check(
            &[("authorization", "Bearer token-abcde:key")],
            Ok(Some(("token-abcde", "key"))),
        );
        check(
            &[("authorization", "Bearer ext/token-abcde:key")],
            Ok(Some(("ext/token-abcde", "key"))),
        );
        check(
            &[("authorization", "bearer  token-abcde:key")],
            Ok(Some(("token-abcde", "key"))),
        );
        check(
            &[("authorization", &basic)],
            Ok(Some(("token-abcde", "key"))),
        );
        check(
            &[("cookie", "R_SESS=token-abcde:key")],
            Ok(Some(("token-abcde", "key"))),
        );
        check(&[("cookie", "R_SESS=; CSRF=1")], Ok(None));
    }

    #[test]
    fn a_bad_header_is_refused_and_does_not_fall_back_to_the_cookie() {
        let cookie = ("cookie", "R_SESS=token-abcde:key");
        for header in [
            "Bearer",
            "Bearer x",
            "Bearer :key",
            "Bearer token:",
            "Negotiate abc",
            "Basic !!!",
            "Bearer Token:key",
            "Bearer ../x:key",
            "Bearer ext/:key",
            "Bearer ext/ext/token-abcde:key",
            "Bearer ext/../token-abcde:key",
            "Bearer v3/token-abcde:key",
            "Basic dG9rZW4=",
        ] {
            check(&[("authorization", header), cookie], Err(()));
        }
        check(
            &[("authorization", &format!("Bearer {}:k", "x".repeat(300)))],
            Err(()),
        );
    }

    #[test]
    fn only_plain_paths_lead_to_a_cluster() {
        for (path, cluster) in [
            ("/k8s/clusters/c-1/api/v1/pods", Some("c-1")),
            ("/k8s/clusters/c-1", Some("c-1")),
            ("/v3/clusters/c-1/", Some("c-1")),
            ("/v3/cluster/c-1/namespaces", Some("c-1")),
            ("/v3/projects/c-1:p-2/secrets", Some("c-1")),
            ("/v3/clusters", None),
            ("/v3/clusters/", None),
            ("/v3/projects/p-2", None),
            ("/v1/clusters/c-1", None),
            ("/v3//clusters/c-1", None),
            ("/k8s/clusters/c-1/../c-2/api", None),
            ("/k8s/clusters/c-1%2f..%2fc-2/api", None),
            ("/k8s/clusters/c%2D1/api", None),
            ("/", None),
        ] {
            assert_eq!(routed_cluster(path), cluster, "{path}");
        }
    }
}
