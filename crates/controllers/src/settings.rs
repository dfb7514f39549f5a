//! The settings that controllers act on, as one consistent reading.
//!
//! Owns effective values: what was set, else the stored default, else what is
//! built in here. Writing settings belongs to others.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_auth::settings::authority_checksum;
use drover_types::management::{Feature, Setting};
use drover_types::names;
use kube::api::ListParams;
use kube::{Api, Client};
use parking_lot::Mutex;

/// Effective settings and features by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<String, String>,
    features: BTreeMap<String, bool>,
}

impl Settings {
    /// Reads all settings and features.
    ///
    /// # Errors
    /// When the API cannot be read.
    pub async fn read(client: &Client) -> Result<Self, kube::Error> {
        let settings = Api::<Setting>::all(client.clone())
            .list(&ListParams::default())
            .await?;
        let features = Api::<Feature>::all(client.clone())
            .list(&ListParams::default())
            .await?;
        let values = settings.items.into_iter().filter_map(|setting| {
            let value = if setting.value.is_empty() {
                setting.default
            } else {
                setting.value
            };
            Some((setting.metadata.name?, value))
        });
        let features = features.items.into_iter().filter_map(|feature| {
            let status = &feature.status;
            let value = status
                .locked_value
                .or(feature.spec.value)
                .unwrap_or(status.default);
            Some((feature.metadata.name?, value))
        });
        Ok(Self {
            values: values.collect(),
            features: features.collect(),
        })
    }

    /// Settings of these names and values, the rest as built in.
    pub fn of<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let values = values
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            values: values.collect(),
            features: BTreeMap::new(),
        }
    }

    /// The effective value; empty when there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        match self.values.get(name) {
            Some(value) if !value.is_empty() => value,
            _ => built_in(name),
        }
    }

    /// A whole number, or the built-in one when the value is none.
    #[must_use]
    pub fn number(&self, name: &str) -> i64 {
        let value = self.get(name).trim().parse();
        value.unwrap_or_else(|_| built_in(name).parse().unwrap_or_default())
    }

    /// A list of names, separated by commas.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        let names = self
            .get(name)
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    }

    /// Whether a feature is on; `default` when the feature is unknown.
    #[must_use]
    pub fn feature(&self, name: &str, default: bool) -> bool {
        self.features.get(name).copied().unwrap_or(default)
    }

    /// The URL under which agents reach this server, without a slash at its end.
    #[must_use]
    pub fn server_url(&self) -> &str {
        self.get("server-url").trim().trim_end_matches('/')
    }

    /// The checksum agents compare the server's CA with: SHA-256 of the
    /// setting `cacerts` with one newline at its end; empty without a CA
    /// (reference 3.4).
    #[must_use]
    pub fn ca_checksum(&self) -> String {
        authority_checksum(self.get("cacerts"))
    }
}

/// Settings as they were read last, until one of them changes. Clones are the same.
///
/// Every look at a cluster needs them, and they are many: with hundreds of clusters, reading them each time was a tenth
/// of what an idle server did.
#[derive(Clone)]
pub(crate) struct Shared {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Counts, so that what was read before a change is not kept after it.
    changes: u64,
    settings: Option<Arc<Settings>>,
}

impl Kept {
    /// Keeps what was read when there had been so many changes.
    fn keep(&mut self, changes: u64, settings: &Arc<Settings>) {
        if self.changes == changes {
            self.settings = Some(Arc::clone(settings));
        }
    }

    fn forget(&mut self) {
        self.changes += 1;
        self.settings = None;
    }
}

impl Shared {
    pub(crate) fn new(client: Client) -> Self {
        let inner = Inner {
            client,
            kept: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The settings, read if need be.
    pub(crate) async fn read(&self) -> Result<Arc<Settings>, kube::Error> {
        let changes = {
            let kept = self.inner.kept.lock();
            if let Some(settings) = &kept.settings {
                return Ok(Arc::clone(settings));
            }
            kept.changes
        };
        let settings = Arc::new(Settings::read(&self.inner.client).await?);
        self.inner.kept.lock().keep(changes, &settings);
        Ok(settings)
    }

    /// A setting or a feature has changed; to be called before anybody is told to look.
    pub(crate) fn changed(&self) {
        self.inner.kept.lock().forget();
    }
}

/// Values for an installation without stored settings (`recorded/v3-settings.json`).
fn built_in(name: &str) -> &'static str {
    match name {
        "agent-image" => names::AGENT_IMAGE,
        "agent-tls-mode" => "strict",
        "auth-image" => "rancher/kube-api-auth:v0.15.1",
        "crt-default-grace-period-minutes" => "180",
        "crt-default-ttl-minutes" => "43200",
        "ingress-ip-domain" => "sslip.io",
        "server-version" => names::PEER_VERSION,
        "system-namespaces" => {
            "kube-system,kube-public,cattle-system,cattle-alerting,cattle-logging,cattle-prometheus,ingress-nginx,\
             cattle-global-data,cattle-istio,kube-node-lease,cert-manager,cattle-global-nt,security-scan,\
             cattle-fleet-system,cattle-fleet-local-system,calico-system,tigera-operator,cattle-impersonation-system,\
             rancher-operator-system,cattle-csp-adapter-system,calico-apiserver,cattle-elemental-system,\
             cattle-scc-system,cattle-telemetry-system,cattle-local-user-passwords,cattle-tokens,cattle-oidc-codes,\
             cattle-oidc-client-secrets,cattle-turtles-system,cattle-capi-system"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_checksum_covers_one_final_newline_however_the_value_ends() {
        let plain = Settings::of([("cacerts", "pem")]).ca_checksum();
        assert_eq!(plain, hex::encode(Sha256::digest(b"pem\n")));
        assert_eq!(plain, Settings::of([("cacerts", "pem\n\n")]).ca_checksum());
        assert_eq!("", Settings::default().ca_checksum());
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let mut kept = Kept::default();
        let settings = Arc::new(Settings::default());
        let before = kept.changes;
        kept.forget();
        kept.keep(before, &settings);
        assert!(kept.settings.is_none());
        kept.keep(kept.changes, &settings);
        assert!(kept.settings.is_some());
        kept.forget();
        assert!(kept.settings.is_none());
    }

    #[test]
    fn what_is_not_set_is_built_in() {
        let settings = Settings::of([("agent-tls-mode", ""), ("crt-default-ttl-minutes", "x")]);
        assert_eq!(settings.get("agent-tls-mode"), "strict");
        assert_eq!(settings.number("crt-default-ttl-minutes"), 43_200);
        assert_eq!(settings.get("no-such-setting"), "");
        assert_eq!(settings.list("system-namespaces").len(), 30);
    }
}
