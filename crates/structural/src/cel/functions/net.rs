//! Functions of URLs, IP addresses and networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use super::Outcome;
use crate::cel::eval::{failed, no_overload};
use crate::cel::value::{Url, Value};

fn ip(text: &str) -> Option<IpAddr> {
    // Addresses with a zone, and IPv4 addresses in IPv6 form, are not taken.
    let address: IpAddr = text.parse().ok()?;
    match address {
        IpAddr::V6(six) if six.to_ipv4_mapped().is_some() => None,
        other => Some(other),
    }
}

fn cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/')?;
    let address = ip(address)?;
    if length.is_empty()
        || (length.len() > 1 && length.starts_with('0'))
        || !length.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let length: u8 = length.parse().ok()?;
    let max = if address.is_ipv4() { 32 } else { 128 };
    (length <= max).then_some((address, length))
}

fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(address) & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
        }
    }
}

fn contains(network: (IpAddr, u8), address: IpAddr) -> bool {
    network.0.is_ipv4() == address.is_ipv4()
        && masked(network.0, network.1) == masked(address, network.1)
}

/// An absolute URL or absolute path, as Go's `ParseRequestURI` takes it.
fn url(text: &str) -> Option<Url> {
    if text.is_empty() || text.chars().any(|c| c.is_ascii_control() || c == ' ') {
        return None;
    }
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest))
            if scheme
                .as_bytes()
                .first()
                .is_some_and(u8::is_ascii_alphabetic)
                && scheme.bytes().all(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
                }) =>
        {
            (scheme.to_ascii_lowercase(), rest)
        }
        _ => (String::new(), text),
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = match rest.strip_prefix("//") {
        Some(rest) if !scheme.is_empty() => {
            let end = rest.find('/').unwrap_or(rest.len());
            let authority = &rest[..end];
            let host = authority
                .rsplit_once('@')
                .map_or(authority, |(_, host)| host);
            (host.to_owned(), rest[end..].to_owned())
        }
        _ => (String::new(), rest.to_owned()),
    };
    if scheme.is_empty() && !path.starts_with('/') {
        return None;
    }
    let port = port_of(&host);
    if !port.bytes().all(|byte| byte.is_ascii_digit())
        || (host.starts_with('[') && !host.contains(']'))
    {
        return None;
    }
    Some(Url {
        text: text.to_owned(),
        scheme,
        host,
        path,
        query: query.to_owned(),
    })
}

fn port_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => port,
        _ => "",
    }
}

fn hostname_of(host: &str) -> &str {
    let port = port_of(host);
    let name = if host.ends_with(&format!(":{port}")) {
        &host[..host.len() - port.len() - 1]
    } else {
        host
    };
    name.strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name)
}

fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let hex = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let mut ahead = bytes.clone();
                match (hex(ahead.next()), hex(ahead.next())) {
                    (Some(high), Some(low)) => {
                        out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                        bytes = ahead;
                    }
                    _ => out.push(byte),
                }
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn query<'a>(text: &str) -> Value<'a> {
    let mut out: Vec<(String, Vec<Value<'a>>)> = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decoded(key), Value::Text(decoded(value).into()));
        match out.iter_mut().find(|(name, _)| *name == key) {
            Some((_, values)) => values.push(value),
            None => out.push((key, vec![value])),
        }
    }
    Value::Map(Rc::new(
        out.into_iter()
            .map(|(key, values)| (Value::Text(key.into()), Value::list(values)))
            .collect(),
    ))
}

pub(super) fn call<'a>(name: &str, all: &[Value<'a>]) -> Option<Outcome<'a>> {
    let text = |text: &str| Ok(Value::Text(text.to_owned().into()));
    Some(match (name, all) {
        ("url", [Value::Text(source)]) => match url(source) {
            Some(url) => Ok(Value::Url(Rc::new(url))),
            None => Err(failed(format!(
                "URL parse error during conversion from string: parse \"{source}\": invalid URI for request"
            ))),
        },
        ("isURL", [Value::Text(source)]) => Ok(Value::Bool(url(source).is_some())),
        ("getScheme", [Value::Url(url)]) => text(&url.scheme),
        ("getHost", [Value::Url(url)]) => text(&url.host),
        ("getHostname", [Value::Url(url)]) => text(hostname_of(&url.host)),
        ("getPort", [Value::Url(url)]) => text(port_of(&url.host)),
        ("getEscapedPath", [Value::Url(url)]) => text(&url.path),
        ("getQuery", [Value::Url(url)]) => Ok(query(&url.query)),
        ("ip", [Value::Text(source)]) => match ip(source) {
            Some(address) => Ok(Value::Ip(address)),
            None => Err(failed(format!(
                "IP Address \"{source}\" parse error during conversion from string"
            ))),
        },
        ("isIP", [Value::Text(source)]) => Ok(Value::Bool(ip(source).is_some())),
        ("ip.isCanonical", [Value::Text(source)]) => match ip(source) {
            Some(address) => Ok(Value::Bool(address.to_string() == source.as_ref())),
            None => Err(failed(format!(
                "IP Address \"{source}\" parse error during conversion from string"
            ))),
        },
        ("family", [Value::Ip(address)]) => Ok(Value::Int(if address.is_ipv4() { 4 } else { 6 })),
        ("isUnspecified", [Value::Ip(address)]) => Ok(Value::Bool(address.is_unspecified())),
        ("isLoopback", [Value::Ip(address)]) => Ok(Value::Bool(address.is_loopback())),
        ("isLinkLocalMulticast", [Value::Ip(address)]) => Ok(Value::Bool(match address {
            IpAddr::V4(address) => address.octets()[..3] == [224, 0, 0],
            IpAddr::V6(address) => address.segments()[0] & 0xff0f == 0xff02,
        })),
        ("isLinkLocalUnicast", [Value::Ip(address)]) => Ok(Value::Bool(is_link_local(*address))),
        ("isGlobalUnicast", [Value::Ip(address)]) => Ok(Value::Bool(
            !address.is_unspecified()
                && !address.is_loopback()
                && !address.is_multicast()
                && !is_link_local(*address)
                && !matches!(address, IpAddr::V4(address) if address.is_broadcast()),
        )),
        ("cidr", [Value::Text(source)]) => match cidr(source) {
            Some((address, length)) => Ok(Value::Cidr(address, length)),
            None => Err(failed(format!(
                "network address parse error during conversion from string: \"{source}\""
            ))),
        },
        ("isCIDR", [Value::Text(source)]) => Ok(Value::Bool(cidr(source).is_some())),
        ("containsIP", [Value::Cidr(address, length), other]) => match other {
            Value::Ip(other) => Ok(Value::Bool(contains((*address, *length), *other))),
            Value::Text(other) => match ip(other) {
                Some(other) => Ok(Value::Bool(contains((*address, *length), other))),
                None => Err(failed(format!(
                    "IP Address \"{other}\" parse error during conversion from string"
                ))),
            },
            _ => Err(no_overload()),
        },
        ("containsCIDR", [Value::Cidr(address, length), other]) => {
            let inner = match other {
                Value::Cidr(address, length) => Some((*address, *length)),
                Value::Text(other) => cidr(other),
                _ => return Some(Err(no_overload())),
            };
            match inner {
                Some((inner, inner_length)) => Ok(Value::Bool(
                    inner_length >= *length && contains((*address, *length), inner),
                )),
                None => Err(failed(
                    "network address parse error during conversion from string",
                )),
            }
        }
        ("ip", [Value::Cidr(address, _)]) => Ok(Value::Ip(*address)),
        ("prefixLength", [Value::Cidr(_, length)]) => Ok(Value::Int(i64::from(*length))),
        ("masked", [Value::Cidr(address, length)]) => {
            Ok(Value::Cidr(masked(*address, *length), *length))
        }
        _ => return None,
    })
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.segments()[0] & 0xffc0 == 0xfe80,
    }
}
