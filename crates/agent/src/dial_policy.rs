//! Which targets the hub may reach through this agent.
//!
//! By default any TCP address, as at the peer: node drivers, metrics and webhooks of the cluster are reached this way.
//! A site that wants less lists `HOST[:PORT]` and `CIDR[:PORT]`; the Kubernetes API stays allowed, since without it the
//! agent has no purpose. A refused target is a failed dial, not the end of the session.

use std::net::IpAddr;

/// An entry of the list that makes no sense.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{entry:?} is neither HOST[:PORT] nor NETWORK/BITS[:PORT]")]
pub struct DialPolicyError {
    /// The entry.
    pub entry: String,
}

/// The targets that are allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DialPolicy {
    /// None: everything.
    allowed: Option<Vec<Rule>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    target: Target,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Name(String),
    Network(IpAddr, u8),
}

impl DialPolicy {
    /// Reads the list; an empty one allows everything.
    pub fn parse(
        entries: &[String],
        api_host: &str,
        api_port: u16,
    ) -> Result<Self, DialPolicyError> {
        let mut rules = Vec::new();
        for entry in entries
            .iter()
            .flat_map(|entry| entry.split(','))
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
        {
            rules.push(Rule::parse(entry).ok_or_else(|| DialPolicyError {
                entry: entry.to_owned(),
            })?);
        }
        if rules.is_empty() {
            return Ok(Self { allowed: None });
        }
        rules.push(Rule {
            target: Target::parse(api_host),
            port: Some(api_port),
        });
        Ok(Self {
            allowed: Some(rules),
        })
    }

    /// Whether anything is allowed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.allowed.is_none()
    }

    /// Whether `host`, as asked for, may be reached at `port`.
    #[must_use]
    pub fn allows(&self, host: &str, port: u16) -> bool {
        let Some(rules) = &self.allowed else {
            return true;
        };
        let address = host
            .parse::<IpAddr>()
            .ok()
            .map(|address| address.to_canonical());
        rules.iter().any(|rule| {
            rule.port.is_none_or(|only| only == port)
                && match (&rule.target, address) {
                    (Target::Name(name), None) => {
                        name.eq_ignore_ascii_case(host.trim_end_matches('.'))
                    }
                    (Target::Network(base, bits), Some(address)) => contains(*base, *bits, address),
                    (Target::Name(_), Some(_)) | (Target::Network(..), None) => false,
                }
        })
    }
}

impl Target {
    fn parse(host: &str) -> Self {
        match host.parse::<IpAddr>() {
            Ok(address) => {
                let address = address.to_canonical();
                Self::Network(address, if address.is_ipv4() { 32 } else { 128 })
            }
            Err(_) => Self::Name(host.trim_end_matches('.').to_owned()),
        }
    }
}

impl Rule {
    fn parse(entry: &str) -> Option<Self> {
        let (host, port) = split(entry)?;
        let target = match host.split_once('/') {
            None => Target::parse(host),
            Some((base, bits)) => {
                let base: IpAddr = base.parse().ok()?;
                let bits: u8 = bits.parse().ok()?;
                if bits > if base.is_ipv4() { 32 } else { 128 } {
                    return None;
                }
                Target::Network(base, bits)
            }
        };
        match &target {
            Target::Name(name) if name.is_empty() || name.contains([':', '[', ']', ' ']) => None,
            Target::Name(_) | Target::Network(..) => Some(Self { target, port }),
        }
    }
}

/// Splits `host:port`, `[v6]:port` and `host`; a bare IPv6 address or network has no port.
pub(crate) fn split(entry: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = entry.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None if rest.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match entry.split_once(':') {
        None => Some((entry, None)),
        Some((_, rest)) if rest.contains(':') => Some((entry, None)),
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
    }
}

fn contains(base: IpAddr, bits: u8, address: IpAddr) -> bool {
    match (base, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            base.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(base), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            base.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::DialPolicy;

    fn policy(entries: &[&str]) -> DialPolicy {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        DialPolicy::parse(&entries, "10.43.0.1", 443).unwrap()
    }

    #[test]
    fn an_empty_list_allows_everything() {
        assert!(policy(&[]).is_open());
        assert!(policy(&["", " "]).allows("anything.test", 1));
    }

    #[test]
    fn a_list_allows_its_entries_and_the_api() {
        let policy = policy(&["10.0.0.0/16:9100, metrics.test:80", "fd00::/8", "192.0.2.1"]);
        let table = [
            ("10.43.0.1", 443, true),
            ("10.43.0.1", 80, false),
            ("10.0.9.9", 9100, true),
            ("10.0.9.9", 22, false),
            ("metrics.test", 80, true),
            ("METRICS.test.", 80, true),
            ("other.metrics.test", 80, false),
            ("fd12::1", 1, true),
            ("192.0.2.1", 65535, true),
            ("192.0.2.2", 65535, false),
        ];
        for (host, port, expected) in table {
            assert_eq!(policy.allows(host, port), expected, "{host}:{port}");
        }
    }

    #[test]
    fn nonsense_is_named() {
        for entry in ["10.0.0.0/33", "host:port", "[::1", "a b"] {
            let error = DialPolicy::parse(&[entry.to_owned()], "10.43.0.1", 443).unwrap_err();
            assert_eq!(error.entry, entry);
        }
    }
}
