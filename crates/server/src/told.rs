//! Settings that say how the server was started: where it is, and whom to trust.

use std::time::Duration;

use anyhow::{Context, Result};
use drover_types::management::Setting;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use tokio::sync::watch;

/// Until a store that did not take the authorities is asked again.
const AGAIN: Duration = Duration::from_secs(10);

/// Writes a setting unless it has the value already.
pub(crate) async fn put(client: &Client, name: &str, value: &str) -> Result<()> {
    let settings: Api<Setting> = Api::all(client.clone());
    let stored = settings
        .get(name)
        .await
        .with_context(|| format!("read the setting {name}"))?;
    if stored.value == value {
        return Ok(());
    }
    let patch = serde_json::json!({"value": value, "source": "db", "customized": true});
    settings
        .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .with_context(|| format!("write the setting {name}"))?;
    Ok(())
}

/// Writes the setting `cacerts` whenever the authority's certificate was renewed. Agents are told by it.
pub(crate) async fn keep_trusted(client: Client, mut trusted: watch::Receiver<String>) {
    while trusted.changed().await.is_ok() {
        loop {
            let authorities = trusted.borrow_and_update().clone();
            match put(&client, "cacerts", &authorities).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "the renewed authority cannot be told of yet"
                    );
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}
