//! kubectl shells: a terminal in a pod that is made for it, with a kubeconfig of its user.
//!
//! Owns who may open one, and that nothing is left of one that has ended: its
//! token, good for minutes and prolonged while the terminal is open, is the
//! record of it. What the hub could not clean up (it died, the cluster was
//! away) it does later, from the tokens that are no longer good.
//!
//! Invariants: what is done in a shell is done with its user's rights, since
//! all it holds is that user's token for that cluster; the token is useless
//! from the moment the terminal, the user's session or the user's access ends.

mod pod;
mod session;
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use drover_api::websocket;
use drover_auth::logins::ShellToken;
use drover_auth::web::{ApiError, Response};
use drover_auth::{LoginError, Logins, Settings};
use drover_types::management::{Cluster, GROUP};
use drover_types::names::SYSTEM_NAMESPACE;
use futures::StreamExt;
use http::StatusCode;
use http::request::Parts;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::call::{Answer, Call, Shared};
use session::Session;
use wire::{PROTOCOLS, Wire};

/// Between two looks for what is left of shells.
const SWEEP: Duration = Duration::from_secs(60);
/// Clusters that are cleaned up at once.
const AT_ONCE: usize = 8;
/// For how long a cluster may take to delete a pod; else it is tried again later.
const CLEANING: Duration = Duration::from_secs(10);

/// What shells are made with, and those that are open.
pub(crate) struct Shells {
    logins: Logins,
    settings: Settings,
    open: TaskTracker,
    stop: CancellationToken,
}

impl Shells {
    pub(crate) fn new(logins: Logins, settings: Settings) -> Self {
        Self {
            logins,
            settings,
            open: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Ends all that are open and waits until they are cleaned up.
    pub(crate) async fn shutdown(&self) {
        self.stop.cancel();
        self.open.close();
        self.open.wait().await;
    }
}

/// Answers the handshake and opens a shell in a cluster.
///
/// # Errors
/// 403 for who may not use the cluster, 404 if there is none, 400 if the request is no websocket or speaks nothing
/// known. What fails later is told in the terminal.
pub(crate) async fn open(call: &Call, parts: &mut Parts, cluster: &str) -> Answer<Response> {
    let title = title(call, cluster).await?;
    let (accepted, protocol) = websocket::accept_speaking(parts, &PROTOCOLS)?;
    let (response, pending) = accepted.split();
    let session = Session {
        call: call.clone(),
        cluster: cluster.to_owned(),
        title,
        wire: Wire::of(protocol),
    };
    let span = tracing::info_span!("shell", user = %call.identity.user, %cluster);
    call.shared.shells.open.spawn(
        async move {
            if let Some((sender, receiver)) = pending.open().await {
                session.run(sender, receiver).await;
            }
        }
        .instrument(span),
    );
    Ok(response)
}

/// What people call the cluster, for a caller who may use it.
async fn title(call: &Call, cluster: &str) -> Result<String, ApiError> {
    call.check_part(cluster)?;
    let hub = call
        .shared
        .reach
        .whole(drover_types::names::LOCAL_CLUSTER)
        .await?;
    let found = Api::<Cluster>::all(hub).get_opt(cluster).await?;
    let found = found
        .ok_or_else(|| ApiError::not_found(format!("clusters.{GROUP} \"{cluster}\" not found")))?;
    let title = found.spec.display_name;
    Ok(if title.is_empty() {
        cluster.to_owned()
    } else {
        title
    })
}

/// Cleans up what is left of shells, as long as it is polled. Every replica may do it: nothing is done that another
/// could not repeat.
pub(crate) async fn keep_clean(shared: &Arc<Shared>) {
    let mut ticks = tokio::time::interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = sweep(shared).await {
            tracing::warn!(%error, "what is left of shells could not be looked for");
        }
    }
}

/// Cleans up after all shells whose token is no longer good.
pub(crate) async fn sweep(shared: &Arc<Shared>) -> Result<(), LoginError> {
    let ended = shared.shells.logins.shell_tokens().await?;
    let ended = ended.into_iter().filter(|shell| !shell.is_live);
    futures::stream::iter(ended)
        .for_each_concurrent(AT_ONCE, |ShellToken { name, cluster, .. }| async move {
            clean_up(shared, &cluster, &name).await;
        })
        .await;
    Ok(())
}

/// Ends a shell: its token at once, its pod (which takes the Secret along) if the cluster can be reached, and then the
/// record of it.
async fn clean_up(shared: &Shared, cluster: &str, name: &str) {
    let logins = &shared.shells.logins;
    if let Err(error) = logins.disable_shell_token(name).await {
        tracing::warn!(%cluster, %name, %error, "the token of a shell that has ended goes on until it expires");
    }
    match tokio::time::timeout(CLEANING, remove_pod(shared, cluster, name)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::info!(%cluster, %name, %error, "a shell's pod is left for later");
            return;
        }
        Err(_) => {
            tracing::info!(%cluster, %name, "a shell's pod is left for later");
            return;
        }
    }
    match logins.delete_token(name).await {
        Ok(()) => tracing::info!(%cluster, %name, "a shell was cleaned up"),
        Err(error) => {
            tracing::warn!(%cluster, %name, %error, "the token of a shell that has ended could not be deleted")
        }
    }
}

async fn remove_pod(shared: &Shared, cluster: &str, name: &str) -> Result<(), ApiError> {
    let client = match shared.reach.whole(cluster).await {
        // The cluster is gone, and with it all that was there.
        Err(error) if error.status == StatusCode::NOT_FOUND => return Ok(()),
        other => other?,
    };
    delete_pod(&pods(client), name).await
}

async fn delete_pod(pods: &Api<Pod>, name: &str) -> Result<(), ApiError> {
    match pods.delete(name, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Deletes the pods of shells that no token tells of: their record was lost while the cluster was away.
async fn remove_strays(shells: &[ShellToken], pods: &Api<Pod>) -> Result<(), ApiError> {
    let known: BTreeSet<&str> = shells.iter().map(|shell| shell.name.as_str()).collect();
    let found = pods.list(&ListParams::default().labels(pod::LABEL)).await?;
    for stray in found.items.iter().map(ResourceExt::name_any) {
        if !known.contains(stray.as_str()) {
            tracing::info!(name = %stray, "a shell's pod that nobody knows of is deleted");
            delete_pod(pods, &stray).await?;
        }
    }
    Ok(())
}

fn pods(client: Client) -> Api<Pod> {
    Api::namespaced(client, SYSTEM_NAMESPACE)
}
