//! Which replica runs the controllers.
//!
//! Owns the election over a Lease in `kube-system`. As client-go does, a
//! holder's lease counts as expired when nothing of it changed for its
//! duration on *our* clock, so that skewed clocks cannot make two leaders.
//!
//! Invariant: where there may be rivals, `on_lead` runs only between an
//! acknowledged write of our identity and `LEASE` after the last one; its
//! token is cancelled before.

use std::future::Future;
use std::time::Duration;

use drover_auth::Clock;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::plan::chain;

/// Namespace of the Lease.
pub const NAMESPACE: &str = "kube-system";
/// Name of the Lease.
pub const NAME: &str = "drover-controllers";
/// How long a lease lasts.
const LEASE: Duration = Duration::from_secs(15);
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(5);
/// Without a renewal for this long, leading ends.
const GIVE_UP: Duration = Duration::from_secs(10);
/// How often others look.
const RETRY: Duration = Duration::from_secs(2);

/// Whether another process may stand for election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rivals {
    /// The store is shared.
    MayBe,
    /// The store is ours alone. A disk that takes longer than a lease lasts is no reason to begin all work anew.
    None,
}

/// What to do about a lease as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Create,
    Take { transitions: i32 },
    Renew,
    Wait,
}

/// `unchanged` is how long we have seen the lease as it is.
fn step(lease: Option<&Lease>, identity: &str, unchanged: Duration) -> Step {
    let Some(lease) = lease else {
        return Step::Create;
    };
    let Some(spec) = &lease.spec else {
        return Step::Take { transitions: 0 };
    };
    let transitions = spec.lease_transitions.unwrap_or_default();
    let duration = Duration::from_secs(
        u64::try_from(spec.lease_duration_seconds.unwrap_or_default()).unwrap_or_default(),
    );
    match spec.holder_identity.as_deref() {
        Some(holder) if holder == identity => Step::Renew,
        None | Some("") => Step::Take {
            transitions: transitions + 1,
        },
        Some(_) if unchanged >= duration => Step::Take {
            transitions: transitions + 1,
        },
        Some(_) => Step::Wait,
    }
}

/// Stands for election among `rivals` until shutdown; runs `on_lead` whenever elected.
///
/// The token given to `on_lead` is cancelled when leading ends; the next
/// election waits until `on_lead` has returned. An identity that is the same
/// after a restart leads again at once. The lease is given back at shutdown.
pub async fn run<F, Fut>(
    client: Client,
    identity: &str,
    rivals: Rivals,
    clock: Clock,
    shutdown: CancellationToken,
    mut on_lead: F,
) where
    F: FnMut(CancellationToken) -> Fut + Send,
    Fut: Future<Output = ()> + Send,
{
    let election = Election {
        api: Api::namespaced(client, NAMESPACE),
        identity: identity.to_owned(),
        rivals,
        clock,
    };
    while let Some(first) = election.wait(&shutdown).await {
        tracing::info!(identity, "leading");
        let leading = shutdown.child_token();
        let mut work = std::pin::pin!(on_lead(leading.clone()));
        tokio::select! {
            () = &mut work => {
                election.give_back().await;
                return;
            }
            () = election.keep(first, &shutdown) => {}
        }
        leading.cancel();
        // Writes still in progress end here, well inside what is left of the lease.
        work.await;
        if shutdown.is_cancelled() {
            election.give_back().await;
            return;
        }
        tracing::warn!(identity, "no longer leading");
    }
}

struct Election {
    api: Api<Lease>,
    identity: String,
    rivals: Rivals,
    clock: Clock,
}

impl Election {
    /// Returns the time of the write that made us leader, or `None` at shutdown.
    async fn wait(&self, shutdown: &CancellationToken) -> Option<Instant> {
        let mut seen: Option<(Option<LeaseSpec>, Instant)> = None;
        loop {
            if shutdown.is_cancelled() {
                return None;
            }
            let started = Instant::now();
            match self.attempt(&mut seen).await {
                Ok(true) => return Some(started),
                Ok(false) => {}
                Err(error) => tracing::warn!(error = chain(&error), "cannot stand for election"),
            }
            tokio::select! {
                () = shutdown.cancelled() => return None,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }

    async fn attempt(
        &self,
        seen: &mut Option<(Option<LeaseSpec>, Instant)>,
    ) -> Result<bool, kube::Error> {
        let lease = self.api.get_opt(NAME).await?;
        let spec = lease.as_ref().and_then(|lease| lease.spec.clone());
        let now = Instant::now();
        let since = match seen {
            Some((known, since)) if *known == spec => *since,
            _ => {
                *seen = Some((spec, now));
                now
            }
        };
        let step = step(lease.as_ref(), &self.identity, now - since);
        self.write(lease, step).await
    }

    async fn write(&self, lease: Option<Lease>, step: Step) -> Result<bool, kube::Error> {
        let now = MicroTime(self.clock.now());
        let (acquired, transitions) = match step {
            Step::Wait => return Ok(false),
            Step::Create => (true, 0),
            Step::Take { transitions } => (true, transitions),
            Step::Renew => (false, 0),
        };
        let mut lease = lease.unwrap_or_else(|| Lease {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                namespace: Some(NAMESPACE.to_owned()),
                ..ObjectMeta::default()
            },
            spec: None,
        });
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = i32::try_from(LEASE.as_secs()).ok();
        spec.renew_time = Some(now.clone());
        if acquired {
            spec.acquire_time = Some(now);
            spec.lease_transitions = Some(transitions);
        }
        let params = PostParams::default();
        let answer = match step {
            Step::Create => self.api.create(&params, &lease).await,
            Step::Take { .. } | Step::Renew | Step::Wait => {
                self.api.replace(NAME, &params, &lease).await
            }
        };
        match answer {
            Ok(_) => Ok(true),
            // Somebody else was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Renews until that fails for too long for `rivals`, another took over, or shutdown.
    async fn keep(&self, mut renewed: Instant, shutdown: &CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(RENEW) => {}
            }
            let limit = match self.rivals {
                Rivals::MayBe => Some(renewed + GIVE_UP),
                Rivals::None => None,
            };
            loop {
                let started = Instant::now();
                let renewal = async {
                    match limit {
                        Some(limit) => tokio::time::timeout_at(limit, self.renew()).await,
                        None => Ok(self.renew().await),
                    }
                };
                let renewal = tokio::select! {
                    () = shutdown.cancelled() => return,
                    renewal = renewal => renewal,
                };
                match renewal {
                    Ok(Ok(true)) => {
                        renewed = started;
                        break;
                    }
                    Ok(Ok(false)) => return,
                    Ok(Err(error)) => {
                        tracing::warn!(error = chain(&error), "cannot renew the lease")
                    }
                    Err(_) => return,
                }
                if limit.is_some_and(|limit| Instant::now() + RETRY > limit) {
                    return;
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Whether we still hold the lease.
    async fn renew(&self) -> Result<bool, kube::Error> {
        let lease = self.api.get_opt(NAME).await?;
        match step(lease.as_ref(), &self.identity, Duration::ZERO) {
            Step::Renew => self.write(lease, Step::Renew).await,
            Step::Create | Step::Take { .. } | Step::Wait => Ok(false),
        }
    }

    async fn give_back(&self) {
        let given_back = async {
            let Some(mut lease) = self.api.get_opt(NAME).await? else {
                return Ok(());
            };
            let Some(spec) = &mut lease.spec else {
                return Ok(());
            };
            if spec.holder_identity.as_deref() == Some(&self.identity) {
                spec.holder_identity = Some(String::new());
                self.api
                    .replace(NAME, &PostParams::default(), &lease)
                    .await?;
            }
            Ok::<_, kube::Error>(())
        };
        match tokio::time::timeout(RETRY, given_back).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(error = chain(&error), "the lease was not given back")
            }
            Err(_) => tracing::debug!("the lease was not given back in time"),
        }
    }
}

#[cfg(test)]
mod tests;
