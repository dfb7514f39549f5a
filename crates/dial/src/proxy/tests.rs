use std::{collections::HashMap, net::Ipv4Addr};

use proptest::prelude::*;

use super::{ProxyError, Rules, Scheme, authority};

fn rules(pairs: &[(&str, &str)]) -> Result<Rules, ProxyError> {
    let map: HashMap<String, String> = pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    Rules::from_lookup(|name| map.get(name).cloned())
}

fn proxied(no_proxy: &str, host: &str, port: u16) -> bool {
    rules(&[
        ("HTTPS_PROXY", "http://proxy.test:3128"),
        ("NO_PROXY", no_proxy),
    ])
    .unwrap()
    .proxy_for(Scheme::Https, host, port)
    .is_some()
}

#[test]
fn no_proxy_follows_the_rules_of_go() {
    // (NO_PROXY, host, port, goes through the proxy)
    let table = [
        ("", "example.com", 443, true),
        ("", "localhost", 443, false),
        ("", "127.9.8.7", 443, false),
        ("", "[::1]", 443, false),
        ("", "::ffff:127.0.0.1", 443, false),
        ("*", "example.com", 443, false),
        ("a.test, *", "example.com", 443, false),
        ("example.com", "example.com", 443, false),
        ("example.com", "a.example.com", 443, false),
        ("example.com", "notexample.com", 443, true),
        (".example.com", "example.com", 443, true),
        (".example.com", "a.example.com", 443, false),
        ("*.example.com", "a.example.com", 443, false),
        ("*.example.com", "example.com", 443, true),
        ("EXAMPLE.com", "a.Example.COM", 443, false),
        ("example.com:8443", "example.com", 443, true),
        ("example.com:8443", "example.com", 8443, false),
        ("10.0.0.0/8", "10.200.1.1", 443, false),
        ("10.0.0.0/8", "11.0.0.1", 443, true),
        ("0.0.0.0/0", "203.0.113.9", 443, false),
        ("0.0.0.0/0", "2001:db8::1", 443, true),
        ("10.0.0.1", "10.0.0.1", 443, false),
        ("10.0.0.1:80", "10.0.0.1", 443, true),
        ("10.0.0.1:443", "10.0.0.1", 443, false),
        ("2001:db8::/32", "2001:db8:1::5", 443, false),
        ("[2001:db8::1]:443", "[2001:db8::1]", 443, false),
        ("[2001:db8::1]:443", "[2001:db8::1]", 444, true),
        ("2001:db8::1", "2001:db8::1", 443, false),
        ("10.0.0.0/33", "10.0.0.1", 443, true),
        (",, ,:80,", "example.com", 443, true),
        (
            "127.0.0.0/8,10.0.0.0/8,.svc,.cluster.local",
            "cattle.svc",
            443,
            false,
        ),
        ("bücher.test", "xn--bcher-kva.test", 443, false),
    ];
    for (no_proxy, host, port, expected) in table {
        assert_eq!(
            proxied(no_proxy, host, port),
            expected,
            "NO_PROXY={no_proxy:?} {host}:{port}"
        );
    }
}

#[test]
fn a_proxy_may_be_written_in_several_ways() {
    let table = [
        ("http://proxy.test:3128", "proxy.test", 3128, false, None),
        ("proxy.test:3128", "proxy.test", 3128, false, None),
        ("proxy.test", "proxy.test", 80, false, None),
        ("10.1.2.3:8080", "10.1.2.3", 8080, false, None),
        ("https://proxy.test", "proxy.test", 443, true, None),
        (
            "http://u:p%40ss@proxy.test:1",
            "proxy.test",
            1,
            false,
            Some("Basic dTpwQHNz"),
        ),
        (
            "u:p@proxy.test:1",
            "proxy.test",
            1,
            false,
            Some("Basic dTpw"),
        ),
        (
            "http://[2001:db8::1]:3128",
            "2001:db8::1",
            3128,
            false,
            None,
        ),
    ];
    for (value, host, port, tls, authorization) in table {
        let rules = rules(&[("https_proxy", value)]).unwrap();
        let proxy = rules.proxy_for(Scheme::Https, "example.com", 443).unwrap();
        assert_eq!(
            (proxy.host.as_str(), proxy.port, proxy.tls),
            (host, port, tls),
            "{value}"
        );
        assert_eq!(proxy.authorization(), authorization, "{value}");
        assert!(
            !format!("{proxy:?}").contains("dTp"),
            "credentials stay out of Debug"
        );
    }
}

#[test]
fn upper_case_wins_and_schemes_are_apart() {
    let rules = rules(&[
        ("HTTPS_PROXY", "one.test"),
        ("https_proxy", "two.test"),
        ("http_proxy", "three.test"),
    ])
    .unwrap();
    let host = |scheme| {
        rules
            .proxy_for(scheme, "example.com", 443)
            .map(|proxy| proxy.host.clone())
    };
    assert_eq!(host(Scheme::Https).as_deref(), Some("one.test"));
    assert_eq!(host(Scheme::Http).as_deref(), Some("three.test"));
}

#[test]
fn unusable_proxies_are_errors_that_name_the_variable() {
    assert_eq!(
        rules(&[("HTTPS_PROXY", "socks5://proxy.test:1080")]).unwrap_err(),
        ProxyError::Scheme {
            variable: "HTTPS_PROXY".to_owned(),
            scheme: "socks5".to_owned()
        }
    );
    let error = rules(&[("http_proxy", "http://:hunter2@")])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("http_proxy") && !error.contains("hunter2"),
        "{error}"
    );
}

proptest! {
    /// Anything at all may stand in NO_PROXY.
    #[test]
    fn parsing_and_matching_never_panics(no_proxy in ".{0,80}", host in ".{0,40}", port: u16) {
        let _ = proxied(&no_proxy, &host, port);
    }

    #[test]
    fn an_address_is_covered_by_each_network_around_it(bits: u32, prefix in 0u8..=32, port: u16) {
        let address = Ipv4Addr::from_bits(bits);
        let no_proxy = format!("{address}/{prefix}");
        prop_assert!(!proxied(&no_proxy, &address.to_string(), port));
    }

    #[test]
    fn an_address_outside_a_network_is_proxied(bits: u32, prefix in 1u32..=32, port: u16) {
        let base = Ipv4Addr::from_bits(bits);
        let outside = Ipv4Addr::from_bits(bits ^ (1 << (32 - prefix)));
        prop_assume!(!outside.is_loopback());
        let network = format!("{base}/{prefix}");
        prop_assert!(proxied(&network, &outside.to_string(), port));
    }

    #[test]
    fn a_name_covers_its_subdomains_and_never_longer_words(
        name in "[a-z]{1,8}\\.test", label in "[a-z]{1,8}", port: u16,
    ) {
        let subdomain = format!("{label}.{name}");
        let longer = format!("{label}{name}");
        prop_assert!(!proxied(&name, &name, port));
        prop_assert!(!proxied(&name, &subdomain, port));
        prop_assert!(proxied(&name, &longer, port));
        let dotted = format!(".{name}");
        prop_assert!(proxied(&dotted, &name, port));
        prop_assert!(!proxied(&dotted, &subdomain, port));
    }

    #[test]
    fn order_and_blanks_do_not_matter(entries in prop::collection::vec("[a-z]{1,5}(\\.[a-z]{1,5}){0,2}", 0..5),
        host in "[a-z]{1,5}(\\.[a-z]{1,5}){0,2}") {
        let forward = entries.join(",");
        let mut reversed = entries.clone();
        reversed.reverse();
        prop_assert_eq!(proxied(&forward, &host, 443), proxied(&reversed.join(" , "), &host, 443));
    }

    #[test]
    fn authorities_keep_host_and_port_apart(address: std::net::Ipv6Addr, port: u16) {
        let parsed: std::net::SocketAddr = authority(&address.to_string(), port).parse().unwrap();
        prop_assert_eq!(parsed, std::net::SocketAddr::new(address.into(), port));
    }
}
