//! `drover-agent cluster`: checks, then sessions, for ever.
//!
//! Owns the order of things and all tasks. A failure that may heal is waited out with a jittered back-off; a definite
//! one ends the process with code 1, so that the pod shows it. After repeated failures to connect the checks run again
//! and say why in the log.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use drover_dial::{Chain, Dialer};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    backoff::{Backoff, Ended},
    config::Config,
    doctor::{self, Outcome, Report, Step},
    housekeeping,
    kubernetes::Api,
    steve::Steve,
    tunnel::{ClusterDialer, Kind, ReadCredentials, Stopped, Tunnel},
};

/// How the agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Shutdown was asked for, and everything was let go.
    Shutdown,
    /// A check failed that will not heal.
    Definite,
}

/// Each step of the way to the hub may take this long.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that is not there by then is tried anew: the system's own repetitions come ever later, and would find a
/// network that is back long after it is.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The dialer of the way to the hub.
#[must_use]
pub fn hub_dialer(config: &Config) -> Dialer {
    Dialer::new(config.proxy.clone(), STEP_TIMEOUT).connecting_within(CONNECT_TIMEOUT)
}

/// Runs the agent until shutdown.
pub async fn run(config: Config, shutdown: CancellationToken) -> Exit {
    let dialer = hub_dialer(&config);
    let config = Arc::new(config);
    let targets = ClusterDialer::new(config.dial_policy.clone());
    if !config.dial_policy.is_open() {
        info!("the hub may reach listed targets only");
    }
    let mut backoff = Backoff::default();
    let mut connected_before = config.connected_before;
    let mut housekeeping_started = false;
    // An outage of hours must not fill the log with the same verdicts.
    let mut known: Option<Report> = None;
    let mut tasks = JoinSet::new();
    loop {
        let examined = tokio::select! {
            () = shutdown.cancelled() => return Exit::Shutdown,
            examined = doctor::examine(&config, &dialer, SystemTime::now) => examined,
        };
        let (report, findings) = examined;
        if known.as_ref() == Some(&report) {
            debug!("the checks say the same as before");
        } else {
            log(&report);
            let news = report.failure().is_some() || !connected_before;
            if let (true, Some(tls)) = (news, &findings.tls) {
                let tls = Arc::clone(tls);
                let telling =
                    doctor::tell(Arc::clone(&config), dialer.clone(), tls, report.clone());
                // Nothing waits for it that could get on, but an agent that ends says why first.
                if report.definite_failure().is_some() {
                    telling.await;
                } else {
                    tasks.spawn(telling);
                }
            }
        }
        if report.definite_failure().is_some() {
            return Exit::Definite;
        }
        let failed = |step| {
            report
                .of(step)
                .is_some_and(|verdict| matches!(verdict.outcome, Outcome::Failed(_)))
        };
        let refused = failed(Step::Registration);
        let unreached = failed(Step::Name) || failed(Step::Connection);
        known = Some(report.clone());
        let (Some(tls), Some(identity), false) = (findings.tls, findings.identity, refused) else {
            let ended = match (refused, unreached) {
                (true, _) => Ended::Refused,
                (false, true) => Ended::Unreached,
                (false, false) => Ended::Broken,
            };
            let wait = backoff.next(ended, rand::random());
            debug!(milliseconds = wait.as_millis(), "checking again later");
            tokio::select! {
                () = shutdown.cancelled() => return Exit::Shutdown,
                () = sleep(wait) => continue,
            }
        };
        backoff = Backoff::default();
        if !housekeeping_started && let Some(current) = &config.credential_secret {
            match Api::in_cluster(&config.kubernetes) {
                Ok(api) => {
                    let (current, pull_secrets) = (current.clone(), config.pull_secrets.clone());
                    tasks.spawn(housekeeping::run(
                        api,
                        current,
                        pull_secrets,
                        shutdown.clone(),
                    ));
                    housekeeping_started = true;
                }
                Err(error) => warn!(error = %Chain(&error), "housekeeping is not possible"),
            }
        }
        let reading = Arc::clone(&config);
        let credentials: ReadCredentials = Arc::new(move || reading.credentials());
        let round = shutdown.child_token();
        if config.steve_tunnel {
            match Api::in_cluster(&config.kubernetes) {
                Ok(api) => {
                    let kind = Kind::Steve(Steve::new(api));
                    let tunnel = Tunnel::new(
                        kind,
                        Arc::clone(&credentials),
                        Arc::clone(&tls),
                        dialer.clone(),
                    );
                    let round = round.clone();
                    // The main tunnel's failures decide when to check again; this one just keeps trying.
                    tasks.spawn(async move {
                        while tunnel.run(rand::random, &round).await == Stopped::Failing {}
                    });
                }
                Err(error) => warn!(error = %Chain(&error), "the second tunnel is not possible"),
            }
        }
        let kind = Kind::Main {
            identity,
            dialer: targets.clone(),
            connected_before,
        };
        let main = Tunnel::new(kind, credentials, tls, dialer.clone());
        let stopped = main.run(rand::random, &round).await;
        connected_before |= main.was_connected();
        match stopped {
            Stopped::Shutdown => {
                while tasks.join_next().await.is_some() {}
                info!("stopped");
                return Exit::Shutdown;
            }
            Stopped::Failing => {
                warn!("the hub was not reached for several attempts; checking every step");
                round.cancel();
            }
        }
    }
}

/// One line per verdict.
fn log(report: &Report) {
    for verdict in &report.verdicts {
        let (check, verdict_name) = (verdict.step.name(), verdict.outcome.name());
        let (reason, advice) = (&verdict.reason, &verdict.advice);
        match verdict.outcome {
            Outcome::Ok | Outcome::Skipped => {
                info!(check, verdict = verdict_name, %reason, "check")
            }
            Outcome::Warning => warn!(check, verdict = verdict_name, %reason, %advice, "check"),
            Outcome::Failed(_) => error!(check, verdict = verdict_name, %reason, %advice, "check"),
        }
    }
}

#[cfg(test)]
mod tests;
