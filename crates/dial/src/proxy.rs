//! Which proxy a host is reached through.
//!
//! Owns the meaning of `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` (either case). The rules are those of Go's
//! `golang.org/x/net/http/httpproxy`, because users write these variables once for every program in their clusters:
//! a name matches itself and its subdomains, a leading dot only subdomains, an address or CIDR matches addresses,
//! `:port` narrows an entry, `*` ends all proxying, and `localhost` and loopback addresses are never proxied.
//! Unlike Go, a proxy value that cannot be understood is an error instead of being ignored: a site that sets a proxy
//! usually has no other way out, and a silent direct attempt fails far away from its cause.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use base64::Engine as _;
use url::{Host, Url};

/// A proxy variable that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProxyError {
    /// The value is neither a URL nor `host[:port]`. The value itself may hold a password and is not repeated.
    #[error(
        "{variable} is not a proxy address; write it as http://host:port or http://user:password@host:port"
    )]
    Invalid {
        /// The variable that held the value.
        variable: String,
    },
    /// The value names a protocol that is not spoken here.
    #[error(
        "{variable} names a {scheme}:// proxy; only http:// and https:// proxies are supported"
    )]
    Scheme {
        /// The variable that held the value.
        variable: String,
        /// The scheme found in it.
        scheme: String,
    },
}

/// A proxy that opens tunnels by `CONNECT`.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Host name or address, without brackets.
    pub host: String,
    /// Port, 80 or 443 by default.
    pub port: u16,
    /// Whether the proxy itself is spoken to over TLS.
    pub tls: bool,
    /// Value of `Proxy-Authorization`, if the URL carried a user.
    authorization: Option<String>,
}

impl Proxy {
    /// The value of `Proxy-Authorization`, if the proxy's URL named a user.
    #[must_use]
    pub fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// `host:port`, fit for messages: it holds no credentials.
    #[must_use]
    pub fn address(&self) -> String {
        authority(&self.host, self.port)
    }

    fn parse(variable: &str, value: &str) -> Result<Self, ProxyError> {
        let invalid = || ProxyError::Invalid {
            variable: variable.to_owned(),
        };
        let url = match Url::parse(value) {
            Ok(url) if url.has_host() => url,
            // `host:port` parses as a scheme and a path, `user:password@host` likewise.
            Ok(_) | Err(_) if !value.contains("://") => {
                Url::parse(&format!("http://{value}")).map_err(|_| invalid())?
            }
            Ok(_) | Err(_) => return Err(invalid()),
        };
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            scheme => {
                return Err(ProxyError::Scheme {
                    variable: variable.to_owned(),
                    scheme: scheme.to_owned(),
                });
            }
        };
        let host = match url.host().ok_or_else(invalid)? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let port = url.port_or_known_default().ok_or_else(invalid)?;
        let decode = |part: &str| {
            percent_encoding::percent_decode_str(part)
                .decode_utf8_lossy()
                .into_owned()
        };
        let authorization = (!url.username().is_empty() || url.password().is_some()).then(|| {
            let pair = format!(
                "{}:{}",
                decode(url.username()),
                decode(url.password().unwrap_or_default())
            );
            format!(
                "Basic {}",
                base64::engine::general_purpose::STANDARD.encode(pair)
            )
        });
        Ok(Self {
            host,
            port,
            tls,
            authorization,
        })
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("address", &self.address())
            .field("tls", &self.tls)
            .field(
                "authorization",
                &self.authorization.as_ref().map(|_| "hidden"),
            )
            .finish()
    }
}

/// The scheme a connection is made for. WebSockets count as the scheme they start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http` and `ws`.
    Http,
    /// `https` and `wss`.
    Https,
}

/// The proxy rules of one process.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    http: Option<Proxy>,
    https: Option<Proxy>,
    bypass: Bypass,
}

impl Rules {
    /// Rules that never use a proxy.
    #[must_use]
    pub fn direct() -> Self {
        Self::default()
    }

    /// Reads the variables through `lookup`; the upper-case name wins, empty counts as absent.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let value = |upper: &str| {
            [upper.to_owned(), upper.to_ascii_lowercase()]
                .into_iter()
                .find_map(|name| Some((lookup(&name).filter(|value| !value.is_empty())?, name)))
        };
        let proxy = |upper: &str| match value(upper) {
            Some((text, name)) => Proxy::parse(&name, text.trim()).map(Some),
            None => Ok(None),
        };
        Ok(Self {
            http: proxy("HTTP_PROXY")?,
            https: proxy("HTTPS_PROXY")?,
            bypass: Bypass::parse(&value("NO_PROXY").map(|(text, _)| text).unwrap_or_default()),
        })
    }

    /// The proxy for a connection to `host:port`, or none for a direct one. `host` may be bracketed.
    #[must_use]
    pub fn proxy_for(&self, scheme: Scheme, host: &str, port: u16) -> Option<&Proxy> {
        let proxy = match scheme {
            Scheme::Http => self.http.as_ref(),
            Scheme::Https => self.https.as_ref(),
        }?;
        (!self.bypass.covers(host, port)).then_some(proxy)
    }
}

/// The parsed `NO_PROXY`.
#[derive(Clone, Debug, Default)]
struct Bypass {
    everything: bool,
    addresses: Vec<(Network, Option<u16>)>,
    names: Vec<NameRule>,
}

#[derive(Clone, Copy, Debug)]
struct Network {
    base: IpAddr,
    bits: u8,
}

#[derive(Clone, Debug)]
struct NameRule {
    /// Always starts with a dot.
    suffix: String,
    /// Whether the name without the dot matches too.
    exact: bool,
    port: Option<u16>,
}

impl Bypass {
    fn parse(text: &str) -> Self {
        let mut rules = Self::default();
        for entry in text.split(',') {
            let entry = entry.trim().to_lowercase();
            if entry == "*" {
                return Self {
                    everything: true,
                    ..Self::default()
                };
            }
            rules.add(&entry);
        }
        rules
    }

    /// Entries that make no sense are ignored, as in Go.
    fn add(&mut self, entry: &str) {
        if let Some(network) = Network::parse(entry) {
            self.addresses.push((network, None));
            return;
        }
        let (host, port) = split_port(entry);
        let Ok(port) = port
            .filter(|text| !text.is_empty())
            .map(str::parse)
            .transpose()
        else {
            return;
        };
        if host.is_empty() {
            return;
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            self.addresses.push((Network::single(address), port));
            return;
        }
        let host = host
            .strip_prefix('*')
            .filter(|rest| rest.starts_with('.'))
            .unwrap_or(host);
        let host = if host.is_ascii() {
            host.to_owned()
        } else {
            let (dot, name) = host
                .strip_prefix('.')
                .map_or(("", host), |name| (".", name));
            match Host::parse(name) {
                Ok(Host::Domain(ascii)) => format!("{dot}{ascii}"),
                Ok(Host::Ipv4(_) | Host::Ipv6(_)) | Err(_) => return,
            }
        };
        if host.starts_with('.') {
            self.names.push(NameRule {
                suffix: host,
                exact: false,
                port,
            });
        } else {
            self.names.push(NameRule {
                suffix: format!(".{host}"),
                exact: true,
                port,
            });
        }
    }

    fn covers(&self, host: &str, port: u16) -> bool {
        let host = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        let host = host.to_lowercase();
        if host == "localhost" || self.everything {
            return true;
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            let address = address.to_canonical();
            if address.is_loopback() {
                return true;
            }
            let listed = self.addresses.iter().any(|(network, only)| {
                network.contains(address) && only.is_none_or(|only| only == port)
            });
            if listed {
                return true;
            }
        }
        self.names.iter().any(|rule| {
            let matches = host.ends_with(&rule.suffix) || (rule.exact && host == rule.suffix[1..]);
            matches && rule.port.is_none_or(|only| only == port)
        })
    }
}

impl Network {
    fn single(address: IpAddr) -> Self {
        let base = address.to_canonical();
        Self {
            base,
            bits: if base.is_ipv4() { 32 } else { 128 },
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let base: IpAddr = address.parse().ok()?;
        let bits: u8 = bits.parse().ok()?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        (bits <= most).then_some(Self { base, bits })
    }

    fn contains(self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                Ipv4Addr::to_bits(base) & mask == Ipv4Addr::to_bits(address) & mask
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.bits))
                    .unwrap_or(0);
                Ipv6Addr::to_bits(base) & mask == Ipv6Addr::to_bits(address) & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Splits `host:port` and `[v6]:port`; without a port, or with several colons outside brackets, all is host.
fn split_port(entry: &str) -> (&str, Option<&str>) {
    if let Some(rest) = entry.strip_prefix('[') {
        return match rest.split_once("]:") {
            Some((host, port)) => (host, Some(port)),
            None => (entry, None),
        };
    }
    match entry.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        Some(_) | None => (entry, None),
    }
}

/// `host:port` with brackets around an IPv6 address.
#[must_use]
pub fn authority(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests;
