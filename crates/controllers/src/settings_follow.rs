//! What changes when a setting changes.
//!
//! Owns the spreading of settings to what depends on them: the commands of
//! registration tokens, the agents' manifests.

use std::sync::Arc;

use drover_types::management::ClusterRegistrationToken;
use jiff::Timestamp;
use kube::Client;
use kube::api::ListParams;

use crate::observer::Known;
use crate::runtime::{Controller, LookError, Trigger, metadata_of};

/// The one key of this controller.
pub(crate) const ALL: &str = "all";

/// Triggers what depends on settings.
pub(crate) struct SettingsFollow {
    pub(crate) client: Client,
    pub(crate) known: Arc<Known>,
    pub(crate) registration: Trigger,
    pub(crate) agent: Trigger,
}

impl Controller for SettingsFollow {
    const NAME: &'static str = "settings-follow";

    async fn look(&self, _key: &str) -> Result<Option<Timestamp>, LookError> {
        let tokens = metadata_of::<ClusterRegistrationToken>(&self.client)
            .list(&ListParams::default())
            .await?;
        for token in tokens {
            if let (Some(namespace), Some(name)) = (token.metadata.namespace, token.metadata.name) {
                self.registration.now(format_args!("{namespace}/{name}"));
            }
        }
        for id in self.known.all() {
            self.agent.now(id);
        }
        Ok(None)
    }
}
