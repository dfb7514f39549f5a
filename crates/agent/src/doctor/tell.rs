//! Tells the hub what the checks found, so that people who wait for the cluster see why it does not come.
//!
//! A courtesy: nothing depends on it, and a hub that does not know the path is left alone.

use std::{sync::Arc, time::Duration};

use drover_dial::{Chain, Dialer};
use drover_types::checks;
use rustls::ClientConfig;
use tracing::debug;

use super::Report;
use crate::{
    config::Config,
    hub::{self, Patience},
};

const PATIENCE: Patience = Patience {
    deadline: Duration::from_secs(4),
    largest_answer: 4 << 10,
};

/// Tells it, if the hub is reached at all; takes a few seconds at most.
pub async fn tell(config: Arc<Config>, dialer: Dialer, tls: Arc<ClientConfig>, report: Report) {
    let told = hub::post(
        &config,
        &dialer,
        tls,
        PATIENCE,
        checks::PATH,
        &report.checks(),
    )
    .await;
    match told {
        Ok((status, _)) => debug!(%status, "the hub was told what was found"),
        Err(error) => debug!(error = %Chain(&error), "the hub could not be told what was found"),
    }
}
