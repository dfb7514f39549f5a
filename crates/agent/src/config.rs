//! What the agent is told: the variables and files of the import manifest.
//!
//! Owns names and meaning of the `CATTLE_*` variables (peer: `package/run.sh`, `cmd/agent/main.go` of
//! `rancher/rancher`), of `/cattle-credentials/{url,token,namespace}` and of the service account folder. The
//! environment is handed in as a map, so that tests and the clean-up share the reading.
//!
//! The peer takes the server from a variable for its first checks and from the file for the tunnel. Here the file
//! wins for both, and the variable stands in for a missing file.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use drover_dial::{
    ProxyError, Rules,
    proxy::{Scheme, authority},
};
use secrecy::SecretString;
use url::{Host, Url};

use crate::dial_policy::{DialPolicy, DialPolicyError};

/// A configuration that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No server is named anywhere.
    #[error("no server is named: {} is missing or empty and CATTLE_SERVER is not set", .file.display())]
    NoServer {
        /// The file that should name it.
        file: PathBuf,
    },
    /// The server is not an address.
    #[error("{origin} is not the address of a server: {value:?}")]
    Server {
        /// The variable or file.
        origin: String,
        /// Its content.
        value: String,
    },
    /// No registration token is given.
    #[error("no registration token: {} is missing or empty and CATTLE_TOKEN is not set", .file.display())]
    NoToken {
        /// The file that should hold it.
        file: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The Kubernetes variables of a pod are missing.
    #[error("{variable} is not set; the agent has to run as a pod of the cluster it connects")]
    NotInCluster {
        /// The variable.
        variable: &'static str,
    },
    /// A variable holds something else than it should.
    #[error("{variable} is {value:?}, which is not {expected}")]
    Value {
        /// The variable.
        variable: &'static str,
        /// Its content.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A proxy variable cannot be used.
    #[error("the proxy settings cannot be used")]
    Proxy(#[from] ProxyError),
    /// The list of allowed dial targets cannot be used.
    #[error("the list of allowed targets cannot be used")]
    DialPolicy(#[from] DialPolicyError),
}

/// The process's environment, read once.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// A value; empty counts as absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Whether a variable is exactly `true`, as the peer compares.
    #[must_use]
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(pairs: T) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// Host and port of the hub. Scheme and path of its URL are dropped: tunnels are always `wss` at the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl ServerAddress {
    /// Reads a URL or `host[:port]`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let with_scheme = if text.contains("://") {
            text.to_owned()
        } else {
            format!("https://{text}")
        };
        let url = Url::parse(&with_scheme).ok()?;
        if !matches!(url.scheme(), "https" | "http" | "wss" | "ws") {
            return None;
        }
        let host = match url.host()? {
            Host::Domain(name) if !name.is_empty() => name.to_owned(),
            Host::Domain(_) => return None,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        // A port that is the scheme's default is not told apart from none; both mean the TLS port, as at the peer.
        Some(Self {
            host,
            port: url.port().unwrap_or(443),
        })
    }

    /// `host[:port]` as it stands in a URL or a `Host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        let full = authority(&self.host, self.port);
        match full.strip_suffix(":443") {
            Some(host) if self.port == 443 => host.to_owned(),
            Some(_) | None => full,
        }
    }

    /// An address below the server's root; `path` starts with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.authority())
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url(""))
    }
}

/// How the agent shows itself to the hub. Read anew for every attempt: a rotated token arrives as a changed file.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The hub.
    pub server: ServerAddress,
    /// The registration token.
    pub token: SecretString,
}

/// Where the Kubernetes API is and how the pod shows itself there.
#[derive(Clone, Debug)]
pub struct KubernetesConfig {
    /// Host, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Folder with `token`, `ca.crt`, `namespace`.
    pub service_account_dir: PathBuf,
}

impl KubernetesConfig {
    /// Reads the variables every pod has.
    pub fn read(
        environment: &Environment,
        service_account_dir: &Path,
    ) -> Result<Self, ConfigError> {
        let get = |variable: &'static str| {
            environment
                .get(variable)
                .ok_or(ConfigError::NotInCluster { variable })
        };
        let host = get("KUBERNETES_SERVICE_HOST")?;
        let port = get("KUBERNETES_SERVICE_PORT")?;
        Ok(Self {
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: port.parse().map_err(|_| ConfigError::Value {
                variable: "KUBERNETES_SERVICE_PORT",
                value: port.to_owned(),
                expected: "a port",
            })?,
            service_account_dir: service_account_dir.to_owned(),
        })
    }

    /// `host:port`, an IPv6 address in brackets; the form the hub is told.
    #[must_use]
    pub fn address(&self) -> String {
        authority(&self.host, self.port)
    }
}

/// What the clean-up mode is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupConfig {
    /// Wait a minute first, so that the hub has let go of the cluster.
    pub wait_first: bool,
    /// Only report.
    pub dry_run: bool,
}

impl CleanupConfig {
    /// The clean-up's settings if `CLUSTER_CLEANUP=true` asks for it.
    #[must_use]
    pub fn read(environment: &Environment) -> Option<Self> {
        environment.is_true("CLUSTER_CLEANUP").then(|| Self {
            wait_first: environment.is_true("SLEEP_FIRST"),
            dry_run: environment.is_true("DRY_RUN"),
        })
    }
}

/// The agent's whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder with `url`, `token`, `namespace`.
    pub credentials_dir: PathBuf,
    /// `CATTLE_SERVER`, for a missing file.
    pub fallback_server: Option<String>,
    /// `CATTLE_TOKEN`, for a missing file.
    pub fallback_token: Option<SecretString>,
    /// Hex SHA-256 of the hub's CA setting and one newline; absent when the hub has no CA of its own.
    pub ca_checksum: Option<String>,
    /// Trust only that CA, not the machine's roots.
    pub strict: bool,
    /// The Kubernetes API.
    pub kubernetes: KubernetesConfig,
    /// Name of the Secret behind `credentials_dir`; the other ones of its kind are stale.
    pub credential_secret: Option<String>,
    /// Names of the pull Secrets in use.
    pub pull_secrets: Vec<String>,
    /// Whether to open the second tunnel (feature `multi-cluster-management-agent`).
    pub steve_tunnel: bool,
    /// Whether the cluster was connected before, so that `/v3/connect` is used at once.
    pub connected_before: bool,
    /// Proxy rules of the way to the hub.
    pub proxy: Rules,
    /// What the hub may reach.
    pub dial_policy: DialPolicy,
}

/// The default of `--credentials-dir`.
pub const CREDENTIALS_DIR: &str = "/cattle-credentials";
/// The default of `--service-account-dir`.
pub const SERVICE_ACCOUNT_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

impl Config {
    /// Reads the environment. Does no I/O; the files are read by [`Config::credentials`].
    pub fn read(
        environment: &Environment,
        credentials_dir: &Path,
        service_account_dir: &Path,
        dial_allow: &[String],
    ) -> Result<Self, ConfigError> {
        let kubernetes = KubernetesConfig::read(environment, service_account_dir)?;
        let ca_checksum = environment
            .get("CATTLE_CA_CHECKSUM")
            .map(|value| value.trim().to_ascii_lowercase());
        if let Some(value) = &ca_checksum
            && (value.len() != 64 || !value.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            return Err(ConfigError::Value {
                variable: "CATTLE_CA_CHECKSUM",
                value: value.clone(),
                expected: "a SHA-256 in hexadecimal",
            });
        }
        Ok(Self {
            credentials_dir: credentials_dir.to_owned(),
            fallback_server: environment.get("CATTLE_SERVER").map(ToOwned::to_owned),
            fallback_token: environment.get("CATTLE_TOKEN").map(SecretString::from),
            ca_checksum,
            strict: environment.is_true("STRICT_VERIFY"),
            dial_policy: DialPolicy::parse(dial_allow, &kubernetes.host, kubernetes.port)?,
            kubernetes,
            credential_secret: environment
                .get("CATTLE_CREDENTIAL_NAME")
                .map(ToOwned::to_owned),
            pull_secrets: list(environment.get("CATTLE_AGENT_PULL_SECRETS")),
            steve_tunnel: list(environment.get("CATTLE_FEATURES"))
                .iter()
                .any(|feature| feature == "multi-cluster-management-agent=true"),
            connected_before: environment.is_true("CATTLE_AGENT_CONNECT"),
            proxy: Rules::from_lookup(|name| environment.get(name).map(ToOwned::to_owned))?,
        })
    }

    /// Reads server and token from the mounted Secret, or from their variables.
    pub fn credentials(&self) -> Result<Credentials, ConfigError> {
        let file = self.credentials_dir.join("url");
        let (origin, value) = match (read_optional(&file)?, &self.fallback_server) {
            (Some(value), _) => (file.display().to_string(), value),
            (None, Some(value)) => ("CATTLE_SERVER".to_owned(), value.clone()),
            (None, None) => return Err(ConfigError::NoServer { file }),
        };
        let Some(server) = ServerAddress::parse(&value) else {
            return Err(ConfigError::Server { origin, value });
        };
        let file = self.credentials_dir.join("token");
        let token = match (read_optional(&file)?, &self.fallback_token) {
            (Some(token), _) => SecretString::from(token),
            (None, Some(token)) => token.clone(),
            (None, None) => return Err(ConfigError::NoToken { file }),
        };
        Ok(Credentials { server, token })
    }

    /// The scheme under which proxy rules are looked up for the hub.
    #[must_use]
    pub fn hub_scheme() -> Scheme {
        Scheme::Https
    }
}

fn list(value: Option<&str>) -> Vec<String> {
    value
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

/// A file's trimmed content; missing and empty are none.
fn read_optional(file: &Path) -> Result<Option<String>, ConfigError> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ConfigError::File {
            file: file.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use secrecy::ExposeSecret;

    use super::{CleanupConfig, Config, ConfigError, Environment, ServerAddress};

    fn environment(extra: &[(&str, &str)]) -> Environment {
        [
            ("KUBERNETES_SERVICE_HOST", "10.43.0.1"),
            ("KUBERNETES_SERVICE_PORT", "443"),
        ]
        .iter()
        .chain(extra)
        .map(|(name, value)| (*name, *value))
        .collect()
    }

    fn read(extra: &[(&str, &str)], dir: &Path) -> Result<Config, ConfigError> {
        Config::read(&environment(extra), dir, dir, &[])
    }

    #[test]
    fn a_server_may_be_written_in_several_ways() {
        let table = [
            ("https://hub.test", Some(("hub.test", 443, "hub.test"))),
            ("https://hub.test/", Some(("hub.test", 443, "hub.test"))),
            ("http://hub.test/path", Some(("hub.test", 443, "hub.test"))),
            (
                "https://hub.test:8443\n",
                Some(("hub.test", 8443, "hub.test:8443")),
            ),
            ("hub.test:8443", Some(("hub.test", 8443, "hub.test:8443"))),
            (
                "https://[2001:db8::1]:8443",
                Some(("2001:db8::1", 8443, "[2001:db8::1]:8443")),
            ),
            (
                "https://[2001:db8::1]",
                Some(("2001:db8::1", 443, "[2001:db8::1]")),
            ),
            (
                "https://10.0.0.1:1443",
                Some(("10.0.0.1", 1443, "10.0.0.1:1443")),
            ),
            ("ftp://hub.test", None),
            ("https://", None),
            ("", None),
        ];
        for (text, expected) in table {
            let found = ServerAddress::parse(text);
            let found = found
                .as_ref()
                .map(|server| (server.host.as_str(), server.port, server.authority()));
            let expected =
                expected.map(|(host, port, authority)| (host, port, authority.to_owned()));
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn files_win_over_variables_and_are_trimmed() {
        let dir = tempfile::tempdir().unwrap();
        let config = read(
            &[
                ("CATTLE_SERVER", "https://variable.test"),
                ("CATTLE_TOKEN", "variable"),
            ],
            dir.path(),
        )
        .unwrap();
        let credentials = config.credentials().unwrap();
        assert_eq!(credentials.server.host, "variable.test");
        assert_eq!(credentials.token.expose_secret(), "variable");
        std::fs::write(dir.path().join("url"), "https://file.test:8443\n").unwrap();
        std::fs::write(dir.path().join("token"), "file\n").unwrap();
        let credentials = config.credentials().unwrap();
        assert_eq!(credentials.server.to_string(), "https://file.test:8443");
        assert_eq!(credentials.token.expose_secret(), "file");
    }

    #[test]
    fn what_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let config = read(&[], dir.path()).unwrap();
        assert!(matches!(
            config.credentials(),
            Err(ConfigError::NoServer { .. })
        ));
        std::fs::write(dir.path().join("url"), "https://file.test").unwrap();
        assert!(matches!(
            config.credentials(),
            Err(ConfigError::NoToken { .. })
        ));
        let error = Config::read(&Environment::default(), dir.path(), dir.path(), &[]).unwrap_err();
        assert!(
            error.to_string().contains("KUBERNETES_SERVICE_HOST"),
            "{error}"
        );
        let error = read(&[("CATTLE_CA_CHECKSUM", "abc")], dir.path()).unwrap_err();
        assert!(error.to_string().contains("CATTLE_CA_CHECKSUM"), "{error}");
    }

    #[test]
    fn the_manifest_s_variables_are_understood() {
        let dir = Path::new("/nowhere");
        let config = read(
            &[
                (
                    "CATTLE_FEATURES",
                    "fleet=false,multi-cluster-management-agent=true",
                ),
                ("STRICT_VERIFY", "true"),
                ("CATTLE_AGENT_PULL_SECRETS", "one, two"),
                ("CATTLE_CREDENTIAL_NAME", "cattle-credentials-471c289583"),
                ("CATTLE_AGENT_CONNECT", "true"),
            ],
            dir,
        )
        .unwrap();
        assert!(config.steve_tunnel && config.strict && config.connected_before);
        assert_eq!(config.pull_secrets, ["one", "two"]);
        let plain = read(&[("STRICT_VERIFY", "false"), ("CATTLE_FEATURES", "")], dir).unwrap();
        assert!(!plain.steve_tunnel && !plain.strict && plain.ca_checksum.is_none());
        assert_eq!(CleanupConfig::read(&environment(&[])), None);
        assert_eq!(
            CleanupConfig::read(&environment(&[
                ("CLUSTER_CLEANUP", "true"),
                ("SLEEP_FIRST", "true")
            ])),
            Some(CleanupConfig {
                wait_first: true,
                dry_run: false
            })
        );
    }

    #[test]
    fn the_api_s_address_brackets_ipv6() {
        let environment = Environment::from_iter([
            ("KUBERNETES_SERVICE_HOST", "fd00::1"),
            ("KUBERNETES_SERVICE_PORT", "6443"),
        ]);
        let config = Config::read(&environment, Path::new("/a"), Path::new("/b"), &[]).unwrap();
        assert_eq!(config.kubernetes.address(), "[fd00::1]:6443");
    }
}
