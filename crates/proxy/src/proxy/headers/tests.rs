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
        ("connection", "close, x-hop"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
        ("audit-id", "1"),
    ]);
    assert_eq!(
        list(&returned(&upstream)),
        [
            ("set-cookie".to_owned(), "grafana=1".to_owned()),
            ("audit-id".to_owned(), "1".to_owned())
        ]
    );
}
