//! Registration tokens: how agents of a cluster prove what they belong to.
//!
//! Owns the Secret `crt-token-<name>` next to each ClusterRegistrationToken
//! and the token's commands and expiry (reference 3.1). Accepting tokens
//! belongs to the tunnel's side.
//!
//! Invariants: stored commands hold the literal `{token}`, never a token; a
//! rotated token is accepted until its grace time is over; the token of a
//! cluster that is away is neither rotated nor retired, because its agent
//! could never come back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drover_auth::{Clock, Entropy};
use drover_types::condition::timestamp;
use drover_types::management::{ClusterRegistrationToken, ClusterRegistrationTokenStatus};
use drover_types::names::REGISTRATION_SECRET_PREFIX;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Api, Client};
use serde_json::{Map, Value, json};

use crate::downstream::Downstream;
use crate::plan::{Action, Plan, Reference, Site, Sites};
use crate::runtime::{Controller, LookError, Trigger};
use crate::settings::{self, Settings};

/// The token shown to people.
pub const DEFAULT_TOKEN: &str = "default-token";
/// The token of the re-applied manifest.
pub const SYSTEM_TOKEN: &str = "system";

/// When the state of a cluster that is away is looked at again.
const AWAY: Duration = Duration::from_secs(60);
/// Shortest life of a token, minutes (reference 3.1).
const SHORTEST_TTL: i64 = 30;
/// Shortest grace time, minutes (reference 3.1).
const SHORTEST_GRACE: i64 = 10;

/// What a reconciliation reads.
#[derive(Debug)]
pub struct Observed<'a> {
    /// The registration token's object.
    pub token: &'a ClusterRegistrationToken,
    /// Its Secret.
    pub secret: Option<&'a Secret>,
    /// The settings.
    pub settings: &'a Settings,
    /// Whether the cluster has a live session.
    pub connected: bool,
    /// A token nobody has seen yet, to be used if one is needed.
    pub fresh: &'a str,
}

/// The contents of the Secret.
#[derive(Clone, Default, PartialEq)]
struct Held {
    token: String,
    previous: String,
    expires_at: Option<Timestamp>,
    grace_expires_at: Option<Timestamp>,
}

impl Held {
    fn read(secret: &Secret) -> Self {
        let text = |key: &str| {
            let bytes = secret.data.as_ref().and_then(|data| data.get(key));
            bytes
                .and_then(|bytes| String::from_utf8(bytes.0.clone()).ok())
                .unwrap_or_default()
        };
        Self {
            token: text("token"),
            previous: text("previousToken"),
            expires_at: text("expiresAt").parse().ok(),
            grace_expires_at: text("gracePeriodExpiresAt").parse().ok(),
        }
    }

    fn data(&self) -> BTreeMap<String, ByteString> {
        let time = |at: Option<Timestamp>| at.map(timestamp).unwrap_or_default();
        let entries = [
            ("token", self.token.clone()),
            ("previousToken", self.previous.clone()),
            ("expiresAt", time(self.expires_at)),
            ("gracePeriodExpiresAt", time(self.grace_expires_at)),
        ];
        entries
            .into_iter()
            .map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes())))
            .collect()
    }
}

/// Life and grace time; no life means no rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Terms {
    ttl: Option<Duration>,
    grace: Duration,
}

impl Terms {
    fn of(token: &ClusterRegistrationToken, settings: &Settings) -> Self {
        let minutes = |minutes: i64| {
            Duration::from_secs(u64::try_from(minutes.max(0)).unwrap_or_default() * 60)
        };
        let ttl = token
            .spec
            .ttl
            .unwrap_or_else(|| settings.number("crt-default-ttl-minutes"));
        let grace = token
            .spec
            .grace_period
            .unwrap_or_else(|| settings.number("crt-default-grace-period-minutes"));
        let grace = grace.max(SHORTEST_GRACE);
        if ttl <= 0 || !settings.feature("crt-token-ttl-rotation", true) {
            return Self {
                ttl: None,
                grace: minutes(grace),
            };
        }
        let ttl = ttl.max(SHORTEST_TTL);
        Self {
            ttl: Some(minutes(ttl)),
            grace: minutes(if grace < ttl { grace } else { ttl * 8 / 10 }),
        }
    }
}

/// Decides about one registration token.
#[must_use]
pub fn reconcile(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let token = observed.token;
    let mut plan = Plan::default();
    let (Some(name), Some(namespace)) = (&token.metadata.name, &token.metadata.namespace) else {
        return plan;
    };
    if token.metadata.deletion_timestamp.is_some() {
        // The Secret goes with its owner.
        return plan;
    }
    let terms = Terms::of(token, observed.settings);
    let before = observed.secret.map(Held::read);
    let held = next(
        before.clone().unwrap_or_default(),
        observed,
        terms,
        &mut plan,
        now,
    );

    let secret_name = format!("{REGISTRATION_SECRET_PREFIX}{name}");
    match observed.secret {
        None => plan.actions.push(Action::create(
            Site::Hub,
            &secret(token, &secret_name, &held),
        )),
        Some(secret) if before.as_ref() != Some(&held) => {
            let data: Map<String, Value> = held
                .data()
                .into_iter()
                .map(|(key, value)| (key, json!(value)))
                .collect();
            let patch = json!({ "metadata": { "resourceVersion": secret.metadata.resource_version }, "data": data });
            plan.actions.push(Action::patch(
                Site::Hub,
                Reference::new::<Secret>(Some(namespace), &secret_name),
                patch,
            ));
        }
        Some(_) => {}
    }
    let status = status(token, &secret_name, &held, observed.settings);
    if status != token.status {
        let mut token = token.clone();
        token.status = status;
        plan.status = Some(Action::replace(Site::Hub, &token));
    }
    plan
}

/// The token's next state, and when to look again.
fn next(
    mut held: Held,
    observed: &Observed<'_>,
    terms: Terms,
    plan: &mut Plan,
    now: Timestamp,
) -> Held {
    let old = held.expires_at.is_none() && !held.token.is_empty();
    if held.token.is_empty() {
        // Older Rancher kept the token in the status (reference, table of versions).
        let kept = &observed.token.status.token;
        if kept.is_empty() {
            observed.fresh.clone_into(&mut held.token)
        } else {
            held.token.clone_from(kept)
        }
        held.expires_at = terms.ttl.map(|ttl| now + ttl);
    }
    // A cluster that is away would be locked out for good.
    let may_change =
        observed.connected || observed.token.metadata.name.as_deref() != Some(SYSTEM_TOKEN);
    match (terms.ttl, held.expires_at) {
        (None, _) => held.expires_at = None,
        (Some(ttl), None) => {
            // Tokens from before rotation must not all expire in one minute.
            let spread = if old {
                jitter(&held.token, ttl)
            } else {
                Duration::ZERO
            };
            held.expires_at = Some(now + ttl + spread);
        }
        (Some(ttl), Some(expires_at)) if expires_at <= now => {
            if may_change {
                held.previous = std::mem::replace(&mut held.token, observed.fresh.to_owned());
                held.expires_at = Some(now + ttl);
                held.grace_expires_at = Some(now + terms.grace);
            }
        }
        (Some(_), Some(_)) => {}
    }
    if held.grace_expires_at.is_some_and(|at| at <= now) && may_change {
        held.previous.clear();
        held.grace_expires_at = None;
    }
    for at in [held.expires_at, held.grace_expires_at]
        .into_iter()
        .flatten()
    {
        plan.requeue(if at <= now { now + AWAY } else { at });
    }
    held
}

/// Up to a tenth of the life and a day, following from the token itself.
fn jitter(token: &str, ttl: Duration) -> Duration {
    let most = (ttl / 10)
        .min(Duration::from_secs(24 * 3600))
        .as_secs()
        .max(1);
    let seed = token.bytes().fold(0u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    Duration::from_secs(seed % most)
}

fn secret(token: &ClusterRegistrationToken, name: &str, held: &Held) -> Secret {
    let meta = &token.metadata;
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: meta.namespace.clone(),
            owner_references: Some(vec![OwnerReference {
                api_version: token.api_version.clone(),
                kind: token.kind.clone(),
                name: meta.name.clone().unwrap_or_default(),
                uid: meta.uid.clone().unwrap_or_default(),
                ..OwnerReference::default()
            }]),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(held.data()),
        ..Secret::default()
    }
}

fn status(
    token: &ClusterRegistrationToken,
    secret_name: &str,
    held: &Held,
    settings: &Settings,
) -> ClusterRegistrationTokenStatus {
    let time = |at: Option<Timestamp>| at.map(timestamp).unwrap_or_default();
    let mut status = ClusterRegistrationTokenStatus {
        token_secret_name: secret_name.to_owned(),
        expires_at: time(held.expires_at),
        grace_period_expires_at: time(held.grace_expires_at),
        ..ClusterRegistrationTokenStatus::default()
    };
    let url = settings.server_url();
    if is_plain_url(url) {
        commands(
            &mut status,
            url,
            &token.spec.cluster_name,
            &settings.ca_checksum(),
        );
    }
    status
}

/// Whether a URL can stand in a command line as it is: people paste these
/// commands into shells.
fn is_plain_url(url: &str) -> bool {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-_:/[]~%".contains(&byte))
    })
}

/// The commands as Rancher v2.15.0 shows them (`recorded/http/03-clusters.txt`).
fn commands(status: &mut ClusterRegistrationTokenStatus, url: &str, cluster: &str, checksum: &str) {
    let manifest = format!("{url}/v3/import/{{token}}_{cluster}.yaml");
    let (sum, windows_sum) = if checksum.is_empty() {
        (String::new(), String::new())
    } else {
        (
            format!(" --ca-checksum {checksum}"),
            format!(" -CaChecksum {checksum}"),
        )
    };
    let node = |insecure: &str| {
        format!(
            " curl {insecure}-fL {url}/system-agent-install.sh | sudo  sh -s - --server {url} \
             --label 'cattle.io/os=linux' --token {{token}}{sum}"
        )
    };
    let windows = |insecure: &str| {
        format!(
            " curl.exe {insecure}-fL {url}/wins-agent-install.ps1 -o install.ps1; Set-ExecutionPolicy Bypass -Scope \
             Process -Force; ./install.ps1 -Server {url} -Label 'cattle.io/os=windows' -Token {{token}} \
             -Worker{windows_sum}"
        )
    };
    status.command = format!("kubectl apply -f {manifest}");
    status.insecure_command = format!("curl --insecure -sfL {manifest} | kubectl apply -f -");
    status.node_command = node("");
    status.insecure_node_command = node("--insecure ");
    status.windows_node_command = windows("");
    status.insecure_windows_node_command = windows("--insecure ");
    status.manifest_url = manifest;
}

/// A registration token of this name for a cluster.
#[must_use]
pub fn registration_token(cluster: &str, name: &str) -> ClusterRegistrationToken {
    let mut token = ClusterRegistrationToken::named(name);
    token.metadata.namespace = Some(cluster.to_owned());
    cluster.clone_into(&mut token.spec.cluster_name);
    token
}

/// Looks after all registration tokens; keys are `<cluster>/<name>`.
pub(crate) struct Registration {
    pub(crate) client: Client,
    pub(crate) settings: settings::Shared,
    pub(crate) downstream: Arc<dyn Downstream>,
    /// Whose manifest holds the `system` token.
    pub(crate) agent: Trigger,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
}

impl Controller for Registration {
    const NAME: &'static str = "registration";

    async fn look(&self, key: &str) -> Result<Option<Timestamp>, LookError> {
        let Some((namespace, name)) = key.split_once('/') else {
            return Ok(None);
        };
        let tokens = Api::<ClusterRegistrationToken>::namespaced(self.client.clone(), namespace);
        let Some(token) = tokens.get_opt(name).await? else {
            return Ok(None);
        };
        let secrets = Api::<Secret>::namespaced(self.client.clone(), namespace);
        let secret = secrets
            .get_opt(&format!("{REGISTRATION_SECRET_PREFIX}{name}"))
            .await?;
        let settings = self.settings.read().await?;
        let fresh = crate::random::token(&self.entropy)?;
        let observed = Observed {
            token: &token,
            secret: secret.as_ref(),
            settings: &settings,
            connected: self.downstream.connected(&token.spec.cluster_name),
            fresh: &fresh,
        };
        let plan = reconcile(&observed, self.clock.now());
        Sites::hub(&self.client).execute(&plan).await?;
        if name == SYSTEM_TOKEN && !plan.actions.is_empty() {
            self.agent.now(namespace);
        }
        Ok(plan.requeue_at)
    }
}

#[cfg(test)]
mod tests;
