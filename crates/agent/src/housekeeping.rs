//! Removes Secrets that earlier manifests left behind.
//!
//! Each manifest names its credentials Secret by a hash of its content (peer: reference 4.1 of its start script), so a
//! rotated token or a changed URL leaves the old one. Young ones are kept: a rollout may still start pods with them.

use std::time::Duration;

use drover_dial::Chain;
use drover_types::names::SYSTEM_NAMESPACE;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::kubernetes::{Api, ApiError, segment};

/// The start of the names of credentials Secrets.
pub const CREDENTIALS_PREFIX: &str = "cattle-credentials-";
/// The label of copied pull Secrets.
pub const PULL_SECRET_LABEL: &str = "management.cattle.io/cattle-cluster-agent-pull-secret";

const EVERY: Duration = Duration::from_secs(3600);
const KEPT: Duration = Duration::from_secs(3600);

/// Whether a Secret is left over: of the credentials kind, not the one in use, and older than an hour.
#[must_use]
pub fn is_stale(secret: &Value, current: &str, now: Timestamp) -> bool {
    let name = secret["metadata"]["name"].as_str().unwrap_or_default();
    let created = secret["metadata"]["creationTimestamp"]
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok());
    name.starts_with(CREDENTIALS_PREFIX)
        && name != current
        && created.is_some_and(|created| {
            Duration::try_from(now.duration_since(created)).is_ok_and(|age| age > KEPT)
        })
}

/// One round; returns the names removed.
pub async fn remove_stale_credentials(
    api: &Api,
    current: &str,
    now: Timestamp,
) -> Result<Vec<String>, ApiError> {
    let path = format!("/api/v1/namespaces/{SYSTEM_NAMESPACE}/secrets");
    let mut stale = Vec::new();
    api.list(&path, "", |secret| {
        if is_stale(&secret, current, now) {
            stale.extend(secret["metadata"]["name"].as_str().map(ToOwned::to_owned));
        }
    })
    .await?;
    for name in &stale {
        api.delete(&format!("{path}/{}", segment(name))).await?;
    }
    Ok(stale)
}

/// Removes labelled pull Secrets that are not in use any more; returns the names removed.
pub async fn remove_unused_pull_secrets(
    api: &Api,
    used: &[String],
) -> Result<Vec<String>, ApiError> {
    let path = format!("/api/v1/namespaces/{SYSTEM_NAMESPACE}/secrets");
    let mut unused = Vec::new();
    api.list(&path, &format!("{PULL_SECRET_LABEL}=true"), |secret| {
        let name = secret["metadata"]["name"].as_str().unwrap_or_default();
        if !name.is_empty() && !used.iter().any(|kept| kept == name) {
            unused.push(name.to_owned());
        }
    })
    .await?;
    for name in &unused {
        api.delete(&format!("{path}/{}", segment(name))).await?;
    }
    Ok(unused)
}

/// Runs until shutdown; a failed round is tried again at the next.
pub async fn run(
    api: Api,
    current: String,
    pull_secrets: Vec<String>,
    shutdown: CancellationToken,
) {
    match remove_unused_pull_secrets(&api, &pull_secrets).await {
        Ok(removed) if removed.is_empty() => {}
        Ok(removed) => info!(secrets = ?removed, "removed unused pull Secrets"),
        Err(error) => warn!(error = %Chain(&error), "cannot remove unused pull Secrets"),
    }
    let mut rounds = interval(EVERY);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = rounds.tick() => {}
        }
        match remove_stale_credentials(&api, &current, Timestamp::now()).await {
            Ok(removed) if removed.is_empty() => {}
            Ok(removed) => info!(secrets = ?removed, "removed stale credentials"),
            Err(error) => warn!(error = %Chain(&error), "cannot remove stale credentials"),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::is_stale;

    #[test]
    fn only_old_foreign_credentials_are_stale() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let table = [
            ("cattle-credentials-aaaa", "2026-11-20T10:00:00Z", true),
            ("cattle-credentials-aaaa", "2026-11-20T11:30:00Z", false),
            ("cattle-credentials-used", "2026-11-20T10:00:00Z", false),
            ("somebody-s-secret", "2026-11-20T10:00:00Z", false),
            ("cattle-credentials-aaaa", "not a time", false),
        ];
        for (name, created, expected) in table {
            let secret = json!({"metadata": {"name": name, "creationTimestamp": created}});
            assert_eq!(
                is_stale(&secret, "cattle-credentials-used", now),
                expected,
                "{name} {created}"
            );
        }
    }
}
