//! The join doctor: can this agent connect this cluster, and if not, what is to be done?
//!
//! Owns the list of steps and the verdicts. Each step has one verdict: ok, warning, failed or skipped, with the reason
//! in plain words and what to do about it. A failure either may heal by itself (network, a hub that is starting) or is
//! definite (a wrong checksum, an untrusted certificate), which ends the agent as it ends the peer's.
//!
//! The checks change nothing in the cluster except that the token Secret is made, which connecting needs anyway, and
//! nothing at the hub except what connecting would change.

mod cluster;
mod hub;
mod tell;

pub use tell::tell;

use std::{fmt, sync::Arc, time::SystemTime};

use drover_dial::Dialer;
use drover_types::checks::{Check, CheckOutcome, Checks};
use rustls::ClientConfig;

use crate::{
    config::{Config, Credentials},
    identity::Identity,
};

/// The steps, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Files and variables.
    Configuration,
    /// The hub's name, or the proxy's.
    Name,
    /// A TCP connection, or a tunnel through the proxy.
    Connection,
    /// `/ping`.
    Answer,
    /// The hub's CA against the manifest's checksum.
    CaChecksum,
    /// The hub's certificate under the trust of the session.
    Certificate,
    /// Our clock against the hub's.
    Clock,
    /// The Kubernetes API.
    KubernetesApi,
    /// Our rights there.
    KubernetesRights,
    /// The token the hub keeps.
    ServiceAccountToken,
    /// The CA the hub keeps.
    RootCa,
    /// Whether the hub takes our registration token.
    Registration,
}

impl Step {
    /// The name in logs and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Name => "name",
            Self::Connection => "connection",
            Self::Answer => "answer",
            Self::CaChecksum => "ca-checksum",
            Self::Certificate => "certificate",
            Self::Clock => "clock",
            Self::KubernetesApi => "kubernetes-api",
            Self::KubernetesRights => "kubernetes-rights",
            Self::ServiceAccountToken => "service-account-token",
            Self::RootCa => "root-ca",
            Self::Registration => "registration",
        }
    }
}

/// Whether a failure may go away by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permanence {
    /// Worth another try.
    MayHeal,
    /// Somebody has to change something.
    Definite,
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Works, but deserves a look.
    Warning,
    /// Does not work.
    Failed(Permanence),
    /// Not tried, because an earlier step failed.
    Skipped,
}

impl Outcome {
    /// The word in logs and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed(_) => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One step's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The step.
    pub step: Step,
    /// How it went.
    pub outcome: Outcome,
    /// What was seen.
    pub reason: String,
    /// What to do; empty when there is nothing to do.
    pub advice: String,
}

impl Verdict {
    fn ok(step: Step, reason: impl Into<String>) -> Self {
        Self {
            step,
            outcome: Outcome::Ok,
            reason: reason.into(),
            advice: String::new(),
        }
    }

    fn warning(step: Step, reason: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            step,
            outcome: Outcome::Warning,
            reason: reason.into(),
            advice: advice.into(),
        }
    }

    fn failed(
        step: Step,
        permanence: Permanence,
        reason: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            step,
            outcome: Outcome::Failed(permanence),
            reason: reason.into(),
            advice: advice.into(),
        }
    }

    fn skipped(step: Step, after: Step) -> Self {
        let reason = format!("not tried, because {} failed", after.name());
        Self {
            step,
            outcome: Outcome::Skipped,
            reason,
            advice: String::new(),
        }
    }
}

/// All verdicts of one examination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One per step, in order.
    pub verdicts: Vec<Verdict>,
}

impl Report {
    /// The verdict on a step.
    #[must_use]
    pub fn of(&self, step: Step) -> Option<&Verdict> {
        self.verdicts.iter().find(|verdict| verdict.step == step)
    }

    /// The first failure.
    #[must_use]
    pub fn failure(&self) -> Option<&Verdict> {
        self.verdicts
            .iter()
            .find(|verdict| matches!(verdict.outcome, Outcome::Failed(_)))
    }

    /// The first failure that will not heal.
    #[must_use]
    pub fn definite_failure(&self) -> Option<&Verdict> {
        self.verdicts
            .iter()
            .find(|verdict| verdict.outcome == Outcome::Failed(Permanence::Definite))
    }

    /// For machines.
    #[must_use]
    pub fn checks(&self) -> Checks {
        let check = |verdict: &Verdict| Check {
            step: verdict.step.name().to_owned(),
            outcome: match verdict.outcome {
                Outcome::Ok => CheckOutcome::Ok,
                Outcome::Warning => CheckOutcome::Warning,
                Outcome::Failed(_) => CheckOutcome::Failed,
                Outcome::Skipped => CheckOutcome::Skipped,
            },
            may_heal: verdict.outcome == Outcome::Failed(Permanence::MayHeal),
            reason: verdict.reason.clone(),
            advice: verdict.advice.clone(),
        };
        Checks {
            ready: self.failure().is_none(),
            checks: self.verdicts.iter().map(check).collect(),
            authority: String::new(),
        }
    }

    fn add(&mut self, verdict: Verdict) {
        self.verdicts.push(verdict);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<22} {:<8} REASON", "CHECK", "VERDICT")?;
        for verdict in &self.verdicts {
            writeln!(
                f,
                "{:<22} {:<8} {}",
                verdict.step.name(),
                verdict.outcome.name(),
                verdict.reason
            )?;
            if !verdict.advice.is_empty() {
                writeln!(f, "{:<22} {:<8} -> {}", "", "", verdict.advice)?;
            }
        }
        Ok(())
    }
}

/// What an examination learned on the way; enough to connect when nothing is missing.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// How to verify the hub.
    pub tls: Option<Arc<ClientConfig>>,
    /// What the hub is to be told.
    pub identity: Option<Identity>,
}

/// Runs all checks. `now` is asked once, when the hub's clock is compared.
pub async fn examine(
    config: &Config,
    dialer: &Dialer,
    now: impl Fn() -> SystemTime,
) -> (Report, Findings) {
    let mut report = Report::default();
    let mut findings = Findings::default();
    let credentials = match config.credentials() {
        Ok(credentials) => {
            report.add(configuration(config, &credentials));
            Some(credentials)
        }
        Err(error) => {
            report.add(Verdict::failed(
                Step::Configuration,
                // The Secret may be mounted a moment late, or written anew.
                Permanence::MayHeal,
                drover_dial::Chain(&error).to_string(),
                "check the Secret cattle-credentials-… and its mount; applying the import manifest again makes both",
            ));
            for step in hub::STEPS {
                report.add(Verdict::skipped(step, Step::Configuration));
            }
            None
        }
    };
    if let Some(credentials) = &credentials {
        findings.tls = hub::examine(config, dialer, credentials, now, &mut report).await;
    }
    findings.identity = cluster::examine(&config.kubernetes, &mut report).await;
    match (&credentials, &findings.tls, &findings.identity) {
        (Some(credentials), Some(tls), Some(identity)) => {
            let verdict =
                hub::registration(config, dialer, credentials, Arc::clone(tls), identity).await;
            report.add(verdict);
        }
        _ => {
            let after = report
                .failure()
                .map_or(Step::Configuration, |verdict| verdict.step);
            report.add(Verdict::skipped(Step::Registration, after));
        }
    }
    (report, findings)
}

/// How to verify the hub, by the checks between here and there alone.
///
/// # Errors
/// The verdicts that say why not.
pub async fn hub_trust(config: &Config, dialer: &Dialer) -> Result<Arc<ClientConfig>, Report> {
    let mut report = Report::default();
    let credentials = config.credentials().map_err(|error| {
        let reason = drover_dial::Chain(&error).to_string();
        Report {
            verdicts: vec![Verdict::failed(
                Step::Configuration,
                Permanence::MayHeal,
                reason,
                "",
            )],
        }
    })?;
    match hub::examine(config, dialer, &credentials, SystemTime::now, &mut report).await {
        Some(tls) => Ok(tls),
        None => Err(report),
    }
}

fn configuration(config: &Config, credentials: &Credentials) -> Verdict {
    let server = &credentials.server;
    let declared = config
        .fallback_server
        .as_deref()
        .and_then(crate::config::ServerAddress::parse);
    if let Some(declared) = declared
        && declared != *server
    {
        return Verdict::warning(
            Step::Configuration,
            format!(
                "the mounted Secret names {server}, the variable CATTLE_SERVER names {declared}; the Secret is used"
            ),
            "apply the current import manifest so that both agree",
        );
    }
    Verdict::ok(Step::Configuration, format!("the hub is {server}"))
}

#[cfg(test)]
mod tests;
