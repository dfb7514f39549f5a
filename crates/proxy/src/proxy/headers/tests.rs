use proptest::prelude::*;

use super::*;

fn map(headers: &[(&str, &str)]) -> HeaderMap {
    headers
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
        .collect()
}

fn list(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect()
}

fn identity_header() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Impersonate-User".to_owned()),
        Just("Impersonate-Group".to_owned()),
        Just("impersonate-uid".to_owned()),
        Just("Authorization".to_owned()),
        Just("Proxy-Authorization".to_owned()),
        Just("X-API-Tunnel-Token".to_owned()),
        "[Ii]mpersonate-[eE]xtra-[a-zA-Z]{1,8}",
        "[xX]-[rR]emote-(user|GROUP|Uid|extra-[a-z]{1,6})",
    ]
}

fn any_header() -> impl Strategy<Value = String> {
    prop_oneof![
        identity_header(),
        "[a-z]{1,3}-[a-z]{1,3}",
        Just("Connection".to_owned()),
        Just("Cookie".to_owned()),
        Just("Upgrade".to_owned())
    ]
}

proptest! {
    #[test]
    fn no_identity_header_of_the_client_passes_whatever_connection_says(
        headers in proptest::collection::vec((any_header(), "[ -~]{0,12}"), 0..12),
        named in proptest::collection::vec(any_header(), 0..6),
    ) {
        let mut client = HeaderMap::new();
        for (name, value) in &headers {
            client.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        client.append(CONNECTION, named.join(", ").parse().unwrap());
        client.append(COOKIE, "a=b; R_SESS=token-abcde:secret; CSRF=0123".parse().unwrap());
        let sent = forwarded(&client);
        for (name, value) in &sent {
            let name = name.as_str();
            prop_assert!(!name.starts_with("impersonate-") && !name.starts_with("x-remote-") && !name.starts_with("x-api-tunnel-"));
            prop_assert!(!["authorization", "proxy-authorization", "connection", "host", "upgrade"].contains(&name));
            prop_assert!(!named.iter().any(|named| named.eq_ignore_ascii_case(name)));
            prop_assert!(!value.to_str().unwrap().contains("token-abcde"));
        }
    }
}

#[test]
fn everything_else_passes_unchanged() {
    let client = map(&[
        ("accept", "application/json;as=Table"),
        ("accept-encoding", "gzip"),
        ("content-type", "application/strategic-merge-patch+json"),
        ("content-length", "12"),
        ("sec-websocket-protocol", "v5.channel.k8s.io"),
        ("x-stream-protocol-version", "v4.channel.k8s.io"),
        ("x-stream-protocol-version", "v3.channel.k8s.io"),
    ]);
    assert_eq!(list(&forwarded(&client)), list(&client));
}

#[test]
fn cookies_of_applications_pass_without_ours() {
    let check = |cookie, expected: Option<&str>| {
        let sent = forwarded(&map(&[("cookie", cookie)]));
        assert_eq!(
            sent.get(COOKIE).map(|value| value.to_str().unwrap()),
            expected,
            "{cookie}"
        );
    };
    check(
        "R_SESS=t; grafana=1;CSRF=x; other=R_SESS",
        Some("grafana=1; other=R_SESS"),
    );
    check("R_SESS=t", None);
    check(" R_SESS =t; a=b", Some("a=b"));
}

#[test]
fn an_application_cannot_set_our_session() {
    let upstream = map(&[
        ("set-cookie", "R_SESS=stolen; Path=/"),
        ("set-cookie", "grafana=1"),
        ("set-cookie", " R_SESS =stolen"),
        ("set-cookie", "=R_SESS=stolen"),
        ("set-cookie", "CSRF=x"),
        ("content-type", "application/json"),
        ("clear-site-data", "\"*\""),
        ("connection", "close, x-hop"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
        ("audit-id", "1"),
    ]);
    assert_eq!(
        list(&returned(&upstream)),
        [
            ("set-cookie".to_owned(), "grafana=1".to_owned()),
            ("content-type".to_owned(), "application/json".to_owned()),
            ("audit-id".to_owned(), "1".to_owned())
        ]
    );
}

#[test]
fn letters_that_are_not_ascii_do_not_hide_our_cookie() {
    let mut upstream = map(&[("content-type", "text/plain")]);
    let cookie = HeaderValue::from_bytes(b"R_SESS=stolen; x=\xe9").unwrap();
    upstream.insert(SET_COOKIE, cookie);
    assert!(!returned(&upstream).contains_key(SET_COOKIE));
}

#[test]
fn pages_of_a_cluster_run_as_those_of_another_site() {
    let check = |kind: Option<&str>, sandboxed: bool| {
        let own = ("content-security-policy", "default-src 'self'");
        let mut upstream = map(&[own]);
        if let Some(kind) = kind {
            upstream.insert(CONTENT_TYPE, kind.parse().unwrap());
        }
        let mut kept = returned(&upstream);
        set_apart(&mut kept);
        let policies: Vec<_> = kept.get_all(CONTENT_SECURITY_POLICY).iter().collect();
        assert_eq!(policies[0], own.1);
        let sandbox = policies[1..].iter().any(|policy| {
            let policy = policy.to_str().unwrap();
            policy.starts_with("sandbox") && !policy.contains("allow-same-origin")
        });
        assert_eq!(sandbox, sandboxed, "{kind:?}");
    };
    check(Some("text/html; charset=utf-8"), true);
    check(Some("Application/XHTML+XML"), true);
    check(Some("image/svg+xml"), true);
    check(None, true);
    check(Some("application/json"), false);
    check(Some("text/javascript"), false);
    check(
        Some("application/vnd.kubernetes.protobuf;stream=watch"),
        false,
    );
}
