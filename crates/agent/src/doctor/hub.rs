//! The checks between this pod and the hub.

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use drover_dial::{
    Chain, Client, DialError, Dialer, ExchangeError, Trust,
    dialer::DialStep,
    trust::{Fingerprint, certificates},
};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::Full;
use jiff::{Timestamp, fmt::rfc2822};
use rustls::{CertificateError, ClientConfig, pki_types::CertificateDer};
use sha2::{Digest, Sha256};

use super::{Permanence, Report, Step, Verdict};
use crate::{
    config::{Config, Credentials, ServerAddress},
    identity::Identity,
    kubernetes::USER_AGENT,
    tunnel,
};

/// The steps of this file that come before those in the cluster.
pub(super) const STEPS: [Step; 6] = [
    Step::Name,
    Step::Connection,
    Step::Answer,
    Step::CaChecksum,
    Step::Certificate,
    Step::Clock,
];

const TIMEOUT: Duration = Duration::from_secs(15);
/// A CA bundle is the largest answer.
const ANSWER_LIMIT: usize = 1 << 20;
/// Certificates and tokens are dated in seconds; less than this disturbs nothing.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// Runs the steps; the result is how to verify the hub, if all of it could be established.
pub(super) async fn examine(
    config: &Config,
    dialer: &Dialer,
    credentials: &Credentials,
    now: impl Fn() -> SystemTime,
    report: &mut Report,
) -> Option<Arc<ClientConfig>> {
    let server = &credentials.server;
    let reached = reach(dialer, server, report).await;
    if !reached {
        let after = report
            .failure()
            .map_or(Step::Connection, |verdict| verdict.step);
        for step in STEPS
            .into_iter()
            .filter(|step| report.of(*step).is_none())
            .collect::<Vec<_>>()
        {
            report.add(Verdict::skipped(step, after));
        }
        return None;
    }
    let unchecked = match Trust::Unchecked.client_config() {
        Ok(tls) => Client::new(dialer.clone(), tls, TIMEOUT, ANSWER_LIMIT),
        Err(error) => {
            report.add(Verdict::failed(
                Step::Answer,
                Permanence::Definite,
                Chain(&error).to_string(),
                "",
            ));
            return None;
        }
    };
    let date = answer(&unchecked, server, report).await;
    if report.failure().is_some() {
        for step in [Step::CaChecksum, Step::Certificate, Step::Clock] {
            report.add(Verdict::skipped(step, Step::Answer));
        }
        return None;
    }
    let tls = match trust(config, &unchecked, server, report).await {
        Some(trust) => {
            let apart = date.and_then(|date| apart(date, now()));
            certificate(config, dialer, server, &trust, apart, report).await
        }
        None => {
            report.add(Verdict::skipped(Step::Certificate, Step::CaChecksum));
            None
        }
    };
    report.add(clock(date, now()));
    tls
}

/// Name and connection, of the hub or of the proxy on the way.
async fn reach(dialer: &Dialer, server: &ServerAddress, report: &mut Report) -> bool {
    let scheme = Config::hub_scheme();
    let proxy = dialer.proxy_for(scheme, &server.host, server.port);
    let (host, port, whose) = match proxy {
        Some(proxy) => (proxy.host.as_str(), proxy.port, "the proxy "),
        None => (server.host.as_str(), server.port, ""),
    };
    match dialer.resolve(host, port).await {
        Ok(addresses) => {
            let shown: Vec<String> = addresses
                .iter()
                .map(|address| address.ip().to_string())
                .collect();
            report.add(Verdict::ok(
                Step::Name,
                format!("{whose}{host} is {}", shown.join(", ")),
            ));
        }
        Err(error) => {
            report.add(Verdict::failed(
                Step::Name,
                Permanence::MayHeal,
                format!("{whose}{}", Chain(&error)),
                format!(
                    "make {host} known to the cluster's DNS, or change {}",
                    if proxy.is_some() {
                        "the proxy variables"
                    } else {
                        "the hub's setting server-url"
                    }
                ),
            ));
            return false;
        }
    }
    match dialer.stream(scheme, &server.host, server.port).await {
        Ok(_) => {
            let way = proxy
                .map(|proxy| format!(" through the proxy {}", proxy.address()))
                .unwrap_or_default();
            report.add(Verdict::ok(
                Step::Connection,
                format!("connected to {}{way}", server.authority()),
            ));
            true
        }
        Err(error) => {
            let advice = connection_advice(&error, server);
            report.add(Verdict::failed(
                Step::Connection,
                Permanence::MayHeal,
                Chain(&error).to_string(),
                advice,
            ));
            false
        }
    }
}

fn connection_advice(error: &DialError, server: &ServerAddress) -> String {
    match error {
        DialError::ProxyRefused { status: 407, .. } => {
            "the proxy wants a user: write http://user:password@host:port into HTTPS_PROXY"
                .to_owned()
        }
        DialError::ProxyRefused { .. } | DialError::ProxyAnswer { .. } => format!(
            "allow CONNECT to {} at the proxy, or list {} in NO_PROXY if it can be reached directly",
            server.authority(),
            server.host
        ),
        DialError::Connect { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused => {
            format!(
                "nothing listens on port {}; check that the hub runs and that server-url names its port",
                server.port
            )
        }
        DialError::Timeout {
            step: DialStep::Proxy,
            ..
        } => "check that the proxy is alive".to_owned(),
        DialError::Connect { .. }
        | DialError::Timeout { .. }
        | DialError::Resolve { .. }
        | DialError::NoAddress { .. }
        | DialError::ServerName { .. }
        | DialError::Tls { .. }
        | DialError::Trust(_) => format!(
            "open the way from this cluster's nodes to {} (firewall, route), or set HTTPS_PROXY",
            server.authority()
        ),
    }
}

async fn get(
    client: &Client,
    server: &ServerAddress,
    path: &str,
) -> Result<Response<Bytes>, ExchangeError> {
    send(client, server, path, HeaderMap::new()).await
}

async fn send(
    client: &Client,
    server: &ServerAddress,
    path: &str,
    headers: HeaderMap,
) -> Result<Response<Bytes>, ExchangeError> {
    let url = server.url(path);
    let mut request = Request::get(&url)
        .header(header::USER_AGENT, USER_AGENT)
        .body(Full::default())
        .map_err(|_| ExchangeError::Url { url })?;
    request.headers_mut().extend(headers);
    Ok(client.send(request).await?.response)
}

/// `/ping`; the result is the answer's date.
async fn answer(client: &Client, server: &ServerAddress, report: &mut Report) -> Option<Timestamp> {
    match get(client, server, "/ping").await {
        Ok(response) => {
            let date = response
                .headers()
                .get(header::DATE)
                .and_then(|value| value.to_str().ok());
            let date =
                date.and_then(|text| rfc2822::DateTimeParser::new().parse_timestamp(text).ok());
            let status = response.status();
            let body = response.body();
            report.add(if status.is_success() && body.trim_ascii() == b"pong" {
                Verdict::ok(Step::Answer, format!("{server} answers"))
            } else if status.is_client_error() || status.is_server_error() {
                Verdict::failed(
                    Step::Answer,
                    Permanence::MayHeal,
                    format!("{server}/ping answers {status}"),
                    "the hub may be starting; if this stays, a load balancer in front of it has no healthy backend",
                )
            } else {
                Verdict::warning(
                    Step::Answer,
                    format!("{server}/ping answers {status}, but not with pong"),
                    "something else may answer at this address; check server-url and the load balancer",
                )
            });
            date
        }
        Err(error) => {
            let advice = if is_tls(&error) {
                format!(
                    "port {} does not speak TLS; server-url has to name the hub's HTTPS port",
                    server.port
                )
            } else {
                "the connection is cut on the way; check load balancer and firewall".to_owned()
            };
            report.add(Verdict::failed(
                Step::Answer,
                Permanence::MayHeal,
                Chain(&error).to_string(),
                advice,
            ));
            None
        }
    }
}

fn is_tls(error: &ExchangeError) -> bool {
    matches!(error, ExchangeError::Dial(DialError::Tls { .. }))
}

/// The CA the hub tells of, if its checksum is the manifest's.
async fn trust(
    config: &Config,
    client: &Client,
    server: &ServerAddress,
    report: &mut Report,
) -> Option<Trust> {
    let Some(expected) = &config.ca_checksum else {
        if config.strict {
            report.add(Verdict::failed(
                Step::CaChecksum,
                Permanence::Definite,
                "strict verification is asked for, but the manifest carries no CA checksum",
                "set the hub's setting cacerts, or set agent-tls-mode to system-store, and apply the new manifest",
            ));
            return None;
        }
        report.add(Verdict::ok(
            Step::CaChecksum,
            "no private CA is in use; the machine's root certificates decide",
        ));
        return Some(Trust::System);
    };
    let response = match get(client, server, "/v3/settings/cacerts").await {
        Ok(response) if response.status().is_success() => response,
        Ok(response) => {
            report.add(Verdict::failed(
                Step::CaChecksum,
                Permanence::MayHeal,
                format!("{server}/v3/settings/cacerts answers {}", response.status()),
                "the hub may be starting; if this stays, something else answers at this address",
            ));
            return None;
        }
        Err(error) => {
            let advice = "the connection is cut on the way; check load balancer and firewall";
            report.add(Verdict::failed(
                Step::CaChecksum,
                Permanence::MayHeal,
                Chain(&error).to_string(),
                advice,
            ));
            return None;
        }
    };
    let parsed: Option<serde_json::Value> = serde_json::from_slice(response.body()).ok();
    let Some(value) = parsed
        .as_ref()
        .and_then(|setting| setting["value"].as_str())
    else {
        report.add(Verdict::failed(
            Step::CaChecksum,
            Permanence::Definite,
            format!("{server}/v3/settings/cacerts is not a setting"),
            "something else answers at this address; check server-url",
        ));
        return None;
    };
    let definite = |reason: String, advice: &str| {
        Verdict::failed(Step::CaChecksum, Permanence::Definite, reason, advice)
    };
    if value.trim().is_empty() {
        report.add(definite(
            "the manifest carries a CA checksum, but the hub has no CA configured".to_owned(),
            "restore the hub's setting cacerts, or apply the hub's current import manifest",
        ));
        return None;
    }
    if !checksum_matches(value, expected) {
        report.add(definite(
            format!("the hub's CA has checksum {}, the manifest has {expected}", checksum(value)),
            "if the hub's CA was changed, apply its current import manifest; if not, another server or a proxy that \
             opens TLS answers at this address",
        ));
        return None;
    }
    match certificates(value.as_bytes(), "the hub's setting cacerts") {
        Ok(roots) => {
            report.add(Verdict::ok(
                Step::CaChecksum,
                "the hub's CA is the one of the manifest",
            ));
            Some(if config.strict {
                Trust::Only(roots)
            } else {
                Trust::SystemAnd(roots)
            })
        }
        Err(error) => {
            report.add(definite(
                Chain(&error).to_string(),
                "put PEM certificates into the hub's setting cacerts",
            ));
            None
        }
    }
}

/// Hex SHA-256 of the value and one newline (reference: section 3.4).
fn checksum(value: &str) -> String {
    hex::encode(Sha256::digest(format!("{value}\n")))
}

/// The checksum may have been made of the same text with other line ends; that says the same as an exact match.
fn checksum_matches(value: &str, expected: &str) -> bool {
    let unix = value.replace("\r\n", "\n");
    [value, value.trim_end(), unix.as_str(), unix.trim()]
        .into_iter()
        .any(|text| checksum(text) == expected)
}

async fn certificate(
    config: &Config,
    dialer: &Dialer,
    server: &ServerAddress,
    trust: &Trust,
    apart: Option<String>,
    report: &mut Report,
) -> Option<Arc<ClientConfig>> {
    let tls = match trust.client_config() {
        Ok(tls) => tls,
        Err(error) => {
            let advice = "install root certificates in the image, or set the hub's setting cacerts";
            report.add(Verdict::failed(
                Step::Certificate,
                Permanence::Definite,
                Chain(&error).to_string(),
                advice,
            ));
            return None;
        }
    };
    match dialer.tls(&server.host, server.port, &tls).await {
        Ok(_) => {
            let by = if config.ca_checksum.is_none() {
                "the machine's root certificates"
            } else if config.strict {
                "the hub's CA alone"
            } else {
                "the hub's CA or the machine's root certificates"
            };
            report.add(Verdict::ok(
                Step::Certificate,
                format!("the hub's certificate is verified by {by}"),
            ));
            Some(tls)
        }
        Err(error) => {
            let shown = shown_certificate(dialer, server).await;
            report.add(certificate_verdict(
                &error,
                server,
                shown.as_ref(),
                apart.as_deref(),
            ));
            None
        }
    }
}

/// The certificate the hub shows, whoever signed it; for messages only.
async fn shown_certificate(
    dialer: &Dialer,
    server: &ServerAddress,
) -> Option<CertificateDer<'static>> {
    let tls = Trust::Unchecked.client_config().ok()?;
    dialer
        .tls(&server.host, server.port, &tls)
        .await
        .ok()?
        .certificates
        .into_iter()
        .next()
}

fn certificate_verdict(
    error: &DialError,
    server: &ServerAddress,
    shown: Option<&CertificateDer<'_>>,
    apart: Option<&str>,
) -> Verdict {
    let described = shown.map(describe).unwrap_or_default();
    let Some(certificate_error) = error.certificate_error() else {
        let advice = "the connection is cut on the way; check load balancer and firewall";
        return Verdict::failed(
            Step::Certificate,
            Permanence::MayHeal,
            Chain(error).to_string(),
            advice,
        );
    };
    let by_clock = |reason: &str, advice: &str| match apart {
        Some(apart) => (
            format!("{reason} by this node's clock, and {apart}"),
            format!(
                "set the clock that is wrong, by time synchronisation on both; if they are right, {advice}"
            ),
        ),
        None => (
            reason.to_owned(),
            format!("{advice}; if it is good, this node's clock is wrong"),
        ),
    };
    let (reason, advice) = match certificate_error {
        // A CA of the same name with another key shows as a bad signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "the hub's certificate is not signed by a trusted CA".to_owned(),
            "put the CA that signed it into the hub's setting cacerts and apply the new manifest; if an intermediate \
             certificate is missing, the hub or its load balancer has to send it"
                .to_owned(),
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => by_clock(
            "the hub's certificate has expired",
            "renew the certificate",
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => by_clock(
            "the hub's certificate is not valid yet",
            "make the certificate anew: the clock of the machine that made it was ahead",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            format!("the hub's certificate is not made for {}", server.host),
            format!("use a name of the certificate in server-url, or make a certificate that has {}", server.host),
        ),
        other => (
            format!("the hub's certificate is refused: {other}"),
            "make a certificate that current TLS libraries accept (version 3, with alternative names)".to_owned(),
        ),
    };
    Verdict::failed(
        Step::Certificate,
        Permanence::Definite,
        format!("{reason}{described}"),
        advice,
    )
}

fn describe(certificate: &CertificateDer<'_>) -> String {
    let fingerprint = Fingerprint::of(certificate);
    match x509_parser::parse_x509_certificate(certificate) {
        Ok((_, parsed)) => {
            let names: Vec<String> = parsed
                .subject_alternative_name()
                .ok()
                .flatten()
                .map(|extension| extension.value.general_names.iter().map(name).collect())
                .unwrap_or_default();
            format!(
                " (it shows: subject {}, issuer {}, names {}, valid {} to {}, SHA-256 {fingerprint})",
                parsed.subject(),
                parsed.issuer(),
                if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(" ")
                },
                parsed.validity().not_before,
                parsed.validity().not_after,
            )
        }
        Err(_) => format!(" (SHA-256 {fingerprint})"),
    }
}

fn name(name: &x509_parser::extensions::GeneralName<'_>) -> String {
    use x509_parser::extensions::GeneralName;
    match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => {
            if let Ok(bytes) = <[u8; 4]>::try_from(*bytes) {
                std::net::Ipv4Addr::from(bytes).to_string()
            } else if let Ok(bytes) = <[u8; 16]>::try_from(*bytes) {
                std::net::Ipv6Addr::from(bytes).to_string()
            } else {
                "?".to_owned()
            }
        }
        other => other.to_string(),
    }
}

fn clock(date: Option<Timestamp>, now: SystemTime) -> Verdict {
    let Some(date) = date else {
        return Verdict::ok(
            Step::Clock,
            "not compared; the hub's answer carries no date",
        );
    };
    let Some(apart) = apart(date, now) else {
        return Verdict::ok(Step::Clock, "this node and the hub agree on the time");
    };
    Verdict::warning(
        Step::Clock,
        apart,
        "set up time synchronisation on both; certificates and tokens are checked against these clocks",
    )
}

/// How far the clocks are apart, if that is too far.
fn apart(hub: Timestamp, now: SystemTime) -> Option<String> {
    let (apart, direction) = match now.duration_since(SystemTime::from(hub)) {
        Ok(apart) => (apart, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    if apart <= CLOCK_TOLERANCE {
        return None;
    }
    let seconds = apart.as_secs();
    let distance = match seconds {
        0..180 => format!("{seconds} s"),
        180..10_800 => format!("{} min", seconds / 60),
        10_800..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    };
    let here = Timestamp::try_from(now).map_or_else(|_| "?".to_owned(), |now| format!("{now:.0}"));
    Some(format!(
        "this node's clock is {distance} {direction} the hub's: {here} here, {hub:.0} there"
    ))
}

/// Asks `/v3/connect` without an upgrade: what comes back tells whether the hub takes the credentials.
pub(super) async fn registration(
    config: &Config,
    dialer: &Dialer,
    credentials: &Credentials,
    tls: Arc<ClientConfig>,
    identity: &Identity,
) -> Verdict {
    let client = Client::new(dialer.clone(), tls, TIMEOUT, ANSWER_LIMIT);
    let headers = match tunnel::main_headers(credentials, identity) {
        Ok(headers) => headers,
        Err(error) => {
            let advice = "apply the import manifest again";
            return Verdict::failed(
                Step::Registration,
                Permanence::Definite,
                Chain(&error).to_string(),
                advice,
            );
        }
    };
    let path = if config.connected_before {
        "/v3/connect"
    } else {
        "/v3/connect/register"
    };
    match send(&client, &credentials.server, path, headers).await {
        Ok(response) => {
            registration_verdict(response.status(), &String::from_utf8_lossy(response.body()))
        }
        Err(error) => {
            let advice = "the connection is cut on the way; check load balancer and firewall";
            Verdict::failed(
                Step::Registration,
                Permanence::MayHeal,
                Chain(&error).to_string(),
                advice,
            )
        }
    }
}

/// Statuses and texts: reference section 1.7, 2.2.
fn registration_verdict(status: StatusCode, body: &str) -> Verdict {
    let body = body.trim();
    let said = format!(
        "the hub answers {status}: {}",
        body.chars().take(200).collect::<String>()
    );
    let step = Step::Registration;
    // A request without upgrade is refused as such only after the credentials were taken.
    if status == StatusCode::UPGRADE_REQUIRED
        || body.starts_with("websocket:")
        || body.contains("during upgrade")
    {
        return Verdict::ok(step, "the hub takes the registration token");
    }
    match status {
        StatusCode::UNAUTHORIZED => Verdict::failed(
            step,
            Permanence::MayHeal,
            said,
            "the hub does not take the registration token: it may be starting; if this stays, apply the cluster's \
             current import manifest",
        ),
        StatusCode::BAD_REQUEST if body.contains("cluster not found") => Verdict::failed(
            step,
            Permanence::MayHeal,
            said,
            "the hub does not know this cluster: it was deleted there, its token was replaced, or the manifest is \
             another hub's; import the cluster again and apply that manifest",
        ),
        StatusCode::BAD_REQUEST => Verdict::failed(
            step,
            Permanence::MayHeal,
            said,
            "the hub does not accept what it is told about the cluster; see its log",
        ),
        _ if status.is_server_error() => Verdict::failed(
            step,
            Permanence::MayHeal,
            said,
            "the hub or a load balancer in front of it is not ready",
        ),
        _ => Verdict::warning(
            step,
            said,
            "this is not the answer of a hub; check server-url and the load balancer",
        ),
    }
}
