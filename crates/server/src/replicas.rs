//! The replicas of one hub, which share a Kubernetes API: each keeps a session open to each other one.
//!
//! Owns the Leases by which replicas know of each other, the token they recognise each other by, and the sessions this one
//! opens ([`link`]). Over them a replica tells which clients it has and connects others to them; that is
//! `drover_tunnel`'s registry. Sessions that others open are `drover_proxy::Connect`'s. Facts of the wire: reference
//! tunnel-and-import 1.8. (The peer finds its replicas through the endpoints of a Service; Leases need no Service, and one
//! that is no longer renewed says that its replica is gone.)
//!
//! Invariant: a replica is dialled from when its Lease is seen until it is gone or was not renewed for [`LEASE`] on our
//! clock.

mod link;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use drover_auth::{Clock, Entropy};
use drover_tunnel::Sessions;
use drover_types::names::SYSTEM_NAMESPACE;
use k8s_openapi::ByteString;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use secrecy::SecretString;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::certificates::Certificates;
use crate::config::ServerArgs;
use link::Links;

/// Label of the replicas' Leases.
const LABEL: &str = "drover.dev/replica";
/// Annotation with the address at which others reach the replica.
const ADDRESS: &str = "drover.dev/address";
/// Secret with the replicas' token.
const SECRET: &str = "drover-replicas";
const TOKEN_KEY: &str = "token";
/// Who writes the Leases.
const MANAGER: &str = "drover";
/// How often a replica renews its Lease and looks at the others'.
const ROUND: Duration = Duration::from_secs(5);
/// How long a Lease lasts without being renewed.
const LEASE: Duration = Duration::from_secs(20);
/// A Lease that nobody has renewed for so long is removed.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// What replicas need.
pub(crate) struct Parts {
    /// The shared Kubernetes API.
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    /// This replica's name, which no other has.
    pub(crate) identity: String,
    /// `host:port` at which others reach it.
    pub(crate) address: String,
    /// What all replicas know.
    pub(crate) token: SecretString,
    pub(crate) sessions: Sessions,
    pub(crate) certificates: Certificates,
}

/// This replica among the others.
pub(crate) struct Replicas {
    leases: Api<Lease>,
    clock: Clock,
    identity: String,
    address: String,
    links: Links,
}

/// Another replica, as its Lease says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Other {
    identity: String,
    address: String,
}

/// A Lease, and since when it is as it is.
struct Seen {
    version: Option<String>,
    since: Instant,
}

impl Replicas {
    /// # Errors
    ///
    /// When what is trusted is no certificate.
    pub(crate) fn new(parts: Parts) -> Result<Self> {
        Ok(Self {
            leases: Api::namespaced(parts.client, SYSTEM_NAMESPACE),
            clock: parts.clock,
            links: Links::new(
                &parts.identity,
                &parts.token,
                parts.sessions,
                parts.certificates,
            )?,
            identity: parts.identity,
            address: parts.address,
        })
    }

    /// Is a replica until `shutdown`, then takes its Lease back.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut rounds = tokio::time::interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = HashMap::new();
        let mut linked = Linked::default();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = rounds.tick() => {}
            }
            // A Kubernetes API that does not answer changes nothing about who is there.
            match tokio::time::timeout(LEASE, self.round(&mut seen)).await {
                Ok(Ok(others)) => linked.become_these(&others, &self.links),
                Ok(Err(error)) => tracing::warn!(%error, "cannot look for other replicas"),
                Err(_) => tracing::warn!("looking for other replicas takes too long"),
            }
        }
        let (name, params) = (self.lease_name(), DeleteParams::default());
        match tokio::time::timeout(ROUND, self.leases.delete(&name, &params)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "cannot take the replica's Lease back"),
            Err(_) => tracing::warn!("taking the replica's Lease back takes too long"),
        }
    }

    fn lease_name(&self) -> String {
        format!("drover-replica-{}", self.identity)
    }

    /// Renews our Lease; who else is there.
    async fn round(&self, seen: &mut HashMap<String, Seen>) -> Result<Vec<Other>, kube::Error> {
        self.renew().await?;
        let leases = self
            .leases
            .list(&ListParams::default().labels(LABEL))
            .await?
            .items;
        let own = self.lease_name();
        let now = Instant::now();
        seen.retain(|name, _| leases.iter().any(|lease| lease.name_any() == *name));
        let mut others = Vec::new();
        for lease in leases.iter().filter(|lease| lease.name_any() != own) {
            let age = age(seen, lease, now);
            if age >= FORGOTTEN {
                self.remove(lease).await;
            } else if age < LEASE
                && let Some(other) = other(lease)
            {
                others.push(other);
            }
        }
        Ok(others)
    }

    async fn renew(&self) -> Result<(), kube::Error> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.lease_name()),
                labels: Some([(LABEL.to_owned(), "true".to_owned())].into()),
                annotations: Some([(ADDRESS.to_owned(), self.address.clone())].into()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
                renew_time: Some(MicroTime(self.clock.now())),
                ..LeaseSpec::default()
            }),
        };
        let params = PatchParams::apply(MANAGER).force();
        self.leases
            .patch(&self.lease_name(), &params, &Patch::Apply(&lease))
            .await
            .map(drop)
    }

    /// Removes the Lease of a replica that ended without taking it back, unless it is renewed after all.
    async fn remove(&self, lease: &Lease) {
        let params = DeleteParams {
            preconditions: Some(kube::api::Preconditions {
                resource_version: lease.resource_version(),
                uid: None,
            }),
            ..DeleteParams::default()
        };
        if let Err(error) = self.leases.delete(&lease.name_any(), &params).await {
            tracing::debug!(lease = lease.name_any(), %error, "an old replica's Lease stays");
        }
    }
}

/// For how long we have seen the Lease as it is: their clocks do not count.
fn age(seen: &mut HashMap<String, Seen>, lease: &Lease, now: Instant) -> Duration {
    let version = lease.resource_version();
    let known = seen.entry(lease.name_any()).or_insert_with(|| Seen {
        version: version.clone(),
        since: now,
    });
    if known.version != version {
        *known = Seen {
            version,
            since: now,
        };
    }
    now - known.since
}

fn other(lease: &Lease) -> Option<Other> {
    Some(Other {
        identity: lease.spec.as_ref()?.holder_identity.clone()?,
        address: lease.annotations().get(ADDRESS)?.clone(),
    })
}

/// The replicas that a session is kept open to.
#[derive(Default)]
struct Linked(Vec<(Other, AbortHandle)>);

impl Linked {
    fn become_these(&mut self, others: &[Other], links: &Links) {
        self.0.retain(|(other, task)| {
            let stays = others.contains(other);
            if !stays {
                tracing::info!(replica = other.identity, "another replica is gone");
                task.abort();
            }
            stays
        });
        for other in others {
            if !self.0.iter().any(|(known, _)| known == other) {
                tracing::info!(
                    replica = other.identity,
                    address = other.address,
                    "there is another replica"
                );
                let task = tokio::spawn(links.clone().keep(other.clone()));
                self.0.push((other.clone(), task.abort_handle()));
            }
        }
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        for (_, task) in &self.0 {
            task.abort();
        }
    }
}

/// `host:port` at which other replicas reach this one: as it is told, or the address it listens on, or that from which
/// it reaches the Kubernetes API at `shared`.
///
/// # Errors
///
/// When it was told something else, or the API cannot be reached.
pub(crate) async fn address(
    args: &ServerArgs,
    shared: &(String, u16),
    port: u16,
) -> Result<String> {
    if let Some(given) = &args.replica_address {
        let valid = given
            .parse::<http::uri::Authority>()
            .is_ok_and(|authority| authority.port_u16().is_some() && !given.contains('@'));
        if !valid {
            bail!("--replica-address must be HOST:PORT, not `{given}`");
        }
        return Ok(given.clone());
    }
    let ip = if args.listen_address.is_unspecified() {
        towards(shared).await.with_context(|| {
            format!(
                "find the address at which other replicas reach this one (--replica-address), on the way to {}:{}",
                shared.0, shared.1
            )
        })?
    } else {
        args.listen_address
    };
    Ok(SocketAddr::new(ip, port).to_string())
}

/// The local address on the way to somewhere; nothing is sent.
async fn towards((host, port): &(String, u16)) -> std::io::Result<IpAddr> {
    let mut last = None;
    for target in tokio::net::lookup_host((host.as_str(), *port)).await? {
        let any: IpAddr = if target.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let socket = tokio::net::UdpSocket::bind((any, 0)).await?;
        match socket.connect(target).await {
            Ok(()) => return Ok(socket.local_addr()?.ip()),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| std::io::ErrorKind::NotFound.into()))
}

/// The replicas' token: stored, or drawn now. Of several replicas that start at once, the first one's counts.
///
/// # Errors
///
/// When the Secret cannot be kept or holds something else.
pub(crate) async fn token(client: &Client, entropy: &Entropy) -> Result<SecretString> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let what = || format!("keep the Secret {SYSTEM_NAMESPACE}/{SECRET}");
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes)?;
    let drawn = Secret {
        metadata: ObjectMeta {
            name: Some(SECRET.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(
            TOKEN_KEY.to_owned(),
            ByteString(hex::encode(bytes).into_bytes()),
        )])),
        ..Secret::default()
    };
    let stored = match secrets.create(&PostParams::default(), &drawn).await {
        Ok(stored) => stored,
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            secrets.get(SECRET).await.with_context(what)?
        }
        Err(error) => return Err(error).with_context(what),
    };
    let token = stored.data.and_then(|mut data| data.remove(TOKEN_KEY));
    match token.and_then(|token| String::from_utf8(token.0).ok()) {
        Some(token) if !token.is_empty() => Ok(token.into()),
        _ => bail!(
            "the Secret {SYSTEM_NAMESPACE}/{SECRET} holds no `{TOKEN_KEY}`; delete it and start all replicas anew"
        ),
    }
}

#[cfg(test)]
mod tests;
