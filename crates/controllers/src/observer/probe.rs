//! Health and version of a cluster's API.
//!
//! Owns the rhythm (reference 5: every 15 s, three tries 5 s apart) and what
//! counts as healthy: `/readyz` answers 200.

use std::time::Duration;

use drover_types::names::{LOCAL_CLUSTER, SYSTEM_NAMESPACE};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use tokio::sync::Notify;

use super::Observers;
use crate::facts::Health;
use crate::plan::chain;

/// Between questions to a healthy API.
const HEALTHY: Duration = Duration::from_secs(15);
/// Between questions to one that failed.
const FAILED: Duration = Duration::from_secs(5);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// So many failures in a row count.
const N_TRIES: u32 = 3;
/// Version and agent check are read anew with every n-th question (about five minutes).
const RARELY: u64 = 20;
/// Secret in which Rancher's agent tells how it is connected (reference 4.1, step 8).
const AGGREGATION_SECRET: &str = "stv-aggregation";

/// How a question ended.
enum Answer {
    Ready,
    /// The API answered, badly.
    NotReady(String),
    /// There was no answer.
    Silent(String),
}

impl Observers {
    /// Probes until the API can no longer be reached through this client.
    pub(super) async fn keep_probing(
        &self,
        id: &str,
        client: &Client,
        poke: &Notify,
        n_failures: &mut u32,
    ) {
        for n in 1.. {
            let pause = if *n_failures == 0 { HEALTHY } else { FAILED };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = poke.notified() => {}
            }
            if !self.probe(id, client, n, n_failures).await {
                return;
            }
        }
    }

    /// Asks once; answers whether the API could be reached.
    pub(super) async fn probe(
        &self,
        id: &str,
        client: &Client,
        n: u64,
        n_failures: &mut u32,
    ) -> bool {
        match ask(client).await {
            Answer::Ready => {
                *n_failures = 0;
                let version = if n.is_multiple_of(RARELY) {
                    version(client).await
                } else {
                    None
                };
                let strict = if n < 3 || n.is_multiple_of(RARELY) {
                    tls_strict(id, client).await
                } else {
                    None
                };
                let changed = self.board.update(id, |facts| {
                    facts.health = Health::Good;
                    facts.version = version.or_else(|| facts.version.take());
                    facts.tls_strict = strict.or(facts.tls_strict);
                });
                if changed {
                    self.tell_all(id);
                }
                true
            }
            Answer::NotReady(message) => {
                *n_failures += 1;
                self.failed(id, *n_failures, &message);
                true
            }
            Answer::Silent(message) => {
                *n_failures += 1;
                self.failed(id, *n_failures, &message);
                false
            }
        }
    }

    pub(super) fn failed(&self, id: &str, n_failures: u32, message: &str) {
        tracing::debug!(cluster = id, n_failures, message, "not healthy");
        if n_failures >= N_TRIES
            && self
                .board
                .update(id, |facts| facts.health = Health::Bad(message.to_owned()))
        {
            self.listeners.clusters.now(id);
        }
    }
}

async fn ask(client: &Client) -> Answer {
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else {
        return Answer::Silent("the request cannot be built".to_owned());
    };
    match tokio::time::timeout(ANSWER, client.request_text(request)).await {
        Ok(Ok(_)) => Answer::Ready,
        // An API without this path is older than the path, and there.
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Answer::Ready,
        Ok(Err(kube::Error::Api(status))) => {
            Answer::NotReady(format!("the API is not ready: {}", status.message))
        }
        Ok(Err(error)) => Answer::Silent(format!("the API cannot be reached: {}", chain(&error))),
        Err(_) => Answer::Silent(format!(
            "the API did not answer within {} seconds",
            ANSWER.as_secs()
        )),
    }
}

async fn version(client: &Client) -> Option<serde_json::Value> {
    let request = http::Request::get("/version").body(Vec::new()).ok()?;
    match tokio::time::timeout(ANSWER, client.request::<serde_json::Value>(request)).await {
        Ok(Ok(version)) => Some(version),
        Ok(Err(error)) => {
            tracing::debug!(error = chain(&error), "no version");
            None
        }
        Err(_) => None,
    }
}

/// What the agent found out about itself, if it tells.
async fn tls_strict(id: &str, client: &Client) -> Option<bool> {
    if id == LOCAL_CLUSTER {
        return None;
    }
    let secrets = Api::<Secret>::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let secret = tokio::time::timeout(ANSWER, secrets.get_opt(AGGREGATION_SECRET))
        .await
        .ok()?
        .ok()??;
    let value = secret.data?.remove("CATTLE_CACERTS_VALID")?;
    match value.0.as_slice() {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}
