//! What the server is told: flags, each also as an environment variable, read once.

mod audit;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use secrecy::SecretString;

pub use audit::AuditArgs;
pub(crate) use audit::{Audit, FOLDER as AUDIT_FOLDER};

/// Where a server keeps its state.
#[derive(Args, Clone, Debug)]
pub struct StoreArgs {
    /// Folder for everything that must survive a restart (embedded store).
    #[arg(long, env = "DROVER_DATA_DIR", default_value = "/var/lib/drover")]
    pub data_dir: PathBuf,
    /// Keep all state in this Kubernetes cluster instead of the embedded store.
    #[arg(long, env = "DROVER_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// Keep all state in the Kubernetes cluster this process runs in.
    #[arg(long, env = "DROVER_IN_CLUSTER", conflicts_with = "kubeconfig")]
    pub in_cluster: bool,
}

/// `drover server`.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// Where state is kept.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Address to listen on.
    #[arg(long, env = "DROVER_LISTEN_ADDRESS", default_value = "::")]
    pub listen_address: IpAddr,
    /// Port for HTTPS; 0 takes a free one.
    #[arg(long, env = "DROVER_HTTPS_PORT", default_value_t = 8443)]
    pub https_port: u16,
    /// Port for plain HTTP, which redirects to HTTPS; 0 takes a free one.
    #[arg(long, env = "DROVER_HTTP_PORT", default_value_t = 8080)]
    pub http_port: u16,
    /// URL under which agents and people reach this server (setting `server-url`).
    #[arg(long, env = "DROVER_SERVER_URL")]
    pub server_url: Option<String>,
    /// HOST:PORT under which other replicas reach this one, if they share a Kubernetes API; without it, the address from
    /// which that API is reached, and the HTTPS port.
    #[arg(long, env = "DROVER_REPLICA_ADDRESS", value_name = "HOST:PORT")]
    pub replica_address: Option<String>,
    /// First password of the user `admin`; without it, one is generated and printed.
    #[arg(long, env = "DROVER_BOOTSTRAP_PASSWORD", hide_env_values = true, value_parser = secret)]
    pub bootstrap_password: Option<SecretString>,
    /// Certificate chain to serve, PEM; without it, Drover's own authority signs one.
    #[arg(long, env = "DROVER_TLS_CERT_FILE", requires = "tls_key_file")]
    pub tls_cert_file: Option<PathBuf>,
    /// Private key of the certificate, PEM.
    #[arg(long, env = "DROVER_TLS_KEY_FILE", requires = "tls_cert_file")]
    pub tls_key_file: Option<PathBuf>,
    /// Authority that signed the certificate, PEM, if clients do not trust it already (setting `cacerts`).
    #[arg(long, env = "DROVER_TLS_CA_FILE", requires = "tls_cert_file")]
    pub tls_ca_file: Option<PathBuf>,
    /// What is written down of requests.
    #[command(flatten)]
    pub audit: AuditArgs,
    /// Seconds that running requests get at shutdown.
    #[arg(long, env = "DROVER_GRACE_SECONDS", default_value = "10", value_parser = seconds)]
    pub grace: Duration,
    /// Log as JSON lines.
    #[arg(long, env = "DROVER_LOG_JSON")]
    pub log_json: bool,
    /// What to log, as `tracing` directives.
    #[arg(long, env = "DROVER_LOG", default_value = "info")]
    pub log: String,
}

fn secret(value: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(value.to_owned()))
}

fn seconds(value: &str) -> Result<Duration, std::num::ParseIntError> {
    value.parse().map(Duration::from_secs)
}

impl ServerArgs {
    /// Takes what the peer's variables say where ours say nothing
    /// (`CATTLE_BOOTSTRAP_PASSWORD`, `CATTLE_SERVER_URL`, `AUDIT_LEVEL`, `AUDIT_LOG_...`).
    ///
    /// # Errors
    ///
    /// Names the variable that cannot be read.
    pub fn take_peer_variables(
        &mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(), String> {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        if self.server_url.is_none() {
            self.server_url = given("CATTLE_SERVER_URL");
        }
        if self.bootstrap_password.is_none() {
            self.bootstrap_password = given("CATTLE_BOOTSTRAP_PASSWORD").map(SecretString::from);
        }
        self.audit.take_peer_variables(given)
    }
}

/// Checks a server URL: https, a host, no path, query or user.
///
/// # Errors
///
/// Names what is wrong.
pub fn server_url(url: &str) -> Result<String, String> {
    let parsed: http::Uri = url
        .parse()
        .map_err(|error| format!("`{url}` is not a URL: {error}"))?;
    if parsed.scheme_str() != Some("https") {
        return Err(format!("`{url}` must start with https://"));
    }
    let Some(authority) = parsed.authority() else {
        return Err(format!("`{url}` has no host"));
    };
    if authority.as_str().contains('@')
        || parsed.query().is_some()
        || !matches!(parsed.path(), "" | "/")
    {
        return Err(format!(
            "`{url}` must be https://HOST[:PORT] and nothing more"
        ));
    }
    Ok(format!("https://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_urls_are_https_and_host_only() {
        let check = |url: &str, expected: Result<&str, &str>| match (server_url(url), expected) {
            (Ok(url), Ok(expected)) => assert_eq!(url, expected),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
            (answer, _) => panic!("{url}: {answer:?}"),
        };
        check(
            "https://rancher.test:8443/",
            Ok("https://rancher.test:8443"),
        );
        check("https://10.0.0.1", Ok("https://10.0.0.1"));
        check("http://rancher.test", Err("https://"));
        check("rancher.test", Err("https://"));
        check("https://rancher.test/path", Err("nothing more"));
        check("https://user@rancher.test", Err("nothing more"));
        check("https://", Err("not a URL"));
    }
}
