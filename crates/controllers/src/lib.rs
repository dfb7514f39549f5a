//! Controllers: pure reconciliation and an executor without choices.
//!
//! Owns all that the hub does about clusters without being asked: what it
//! keeps for them ([`clusters`], [`registration`], [`projects`], [`nodes`]),
//! what it puts into them ([`agent_deploy`], [`downstream_access`]), and how
//! it lets them go ([`cleanup`]). Each concern is a module with a pure
//! `reconcile(observed, now) -> Plan`; [`plan`] carries plans out, the
//! runtime says when to look. How clusters are reached is handed in as a
//! [`Downstream`].
//!
//! Invariants: one leader runs all of this; every status field has one
//! writer; what is not known changes nothing.

pub mod agent_deploy;
pub mod cleanup;
pub mod clusters;
mod creator;
pub mod downstream;
pub mod downstream_access;
pub mod downstream_roles;
pub mod facts;
pub mod import;
pub mod isolation;
pub mod leader;
pub mod manifest;
pub mod namespace_guard;
mod namespaces;
pub mod nodes;
mod observer;
pub mod plan;
pub mod project_secrets;
pub mod projects;
pub mod provisioning;
mod pull_secrets;
pub mod quotas;
mod random;
pub mod registration;
pub mod retention;
mod runtime;
pub mod settings;
mod settings_follow;
pub mod targets;
pub mod tokens;
pub mod users;
mod watches;

use std::sync::Arc;

use drover_auth::{Clock, Entropy};
use drover_types::names::LOCAL_CLUSTER;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kube::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use downstream::{Downstream, Unreachable};
pub use import::ImportApi;

use crate::facts::Board;
use crate::observer::{Known, Listeners, Observers};
use crate::runtime::{Controller, Trigger};

/// What controllers are made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where now comes from.
    pub clock: Clock,
    /// Where tokens come from.
    pub entropy: Entropy,
    /// Seed of the spreading of retries.
    pub seed: u64,
}

impl Config {
    /// The machine's clock and chance.
    #[must_use]
    pub fn system() -> Self {
        Self {
            clock: Clock::system(),
            entropy: Entropy::system(),
            seed: u64::from(std::process::id()),
        }
    }
}

/// All controllers.
#[derive(Clone)]
pub struct Controllers {
    client: Client,
    downstream: Arc<dyn Downstream>,
    config: Config,
}

impl std::fmt::Debug for Controllers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Controllers")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// One queue per controller.
struct Triggers {
    registration: Trigger,
    clusters: Trigger,
    nodes: Trigger,
    agent: Trigger,
    access: Trigger,
    projects: Trigger,
    quotas: Trigger,
    secrets: Trigger,
    cleanup: Trigger,
    settings: Trigger,
    tokens: Trigger,
    provisioning: Trigger,
    isolation: Trigger,
    users: Trigger,
    retention: Trigger,
    targets: Trigger,
}

impl Controllers {
    /// Controllers over the hub's API; `downstream` reaches the clusters.
    #[must_use]
    pub fn new(client: Client, downstream: Arc<dyn Downstream>, config: Config) -> Self {
        Self {
            client,
            downstream,
            config,
        }
    }

    /// Runs until shutdown; to be called on the leader only, and again when it leads again.
    ///
    /// The future is boxed here so that its code is made once, with this crate's options, and not in each caller.
    pub fn run(&self, shutdown: CancellationToken) -> BoxFuture<'_, ()> {
        Box::pin(self.work(shutdown))
    }

    async fn work(&self, shutdown: CancellationToken) {
        let clock = &self.config.clock;
        let trigger = |n: u64| Trigger::new(self.config.seed.wrapping_add(n));
        let triggers = Triggers {
            registration: trigger(0),
            clusters: trigger(1),
            nodes: trigger(2),
            agent: trigger(3),
            access: trigger(4),
            projects: trigger(5),
            cleanup: trigger(6),
            settings: trigger(7),
            tokens: trigger(8),
            quotas: trigger(9),
            secrets: trigger(10),
            provisioning: trigger(11),
            isolation: trigger(12),
            users: trigger(13),
            retention: trigger(14),
            targets: trigger(15),
        };
        let board = Arc::new(Board::new(clock.now()));
        let known = Arc::new(Known::default());
        let mut tasks: JoinSet<()> = JoinSet::new();
        let settings = settings::Shared::new(self.client.clone());
        for task in self.workers(&triggers, &settings, &board, &known, &shutdown) {
            tasks.spawn(task);
        }
        for task in watches::all(&self.client, &triggers, &settings, &known, &shutdown) {
            tasks.spawn(task);
        }
        let observers = Observers {
            downstream: Arc::clone(&self.downstream),
            local: self.client.clone(),
            board,
            known,
            listeners: Listeners {
                clusters: triggers.clusters.clone(),
                nodes: triggers.nodes.clone(),
                agent: triggers.agent.clone(),
                access: triggers.access.clone(),
                projects: triggers.projects.clone(),
                quotas: triggers.quotas.clone(),
                secrets: triggers.secrets.clone(),
                isolation: triggers.isolation.clone(),
                targets: triggers.targets.clone(),
            },
            clock: clock.clone(),
        };
        tasks.spawn(observers.run(shutdown.clone()));
        triggers.clusters.now(LOCAL_CLUSTER);
        triggers.tokens.now(tokens::ALL);
        triggers.retention.now(retention::ALL);
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                // One part is gone; the others must not go on as if it were there.
                tracing::error!(%error, "a controller ended abnormally, all are stopped");
                shutdown.cancel();
            }
        }
    }

    fn workers(
        &self,
        triggers: &Triggers,
        settings: &settings::Shared,
        board: &Arc<Board>,
        known: &Arc<Known>,
        shutdown: &CancellationToken,
    ) -> Vec<BoxFuture<'static, ()>> {
        let Config {
            clock,
            entropy,
            seed: _,
        } = &self.config;
        let client = || self.client.clone();
        let downstream = || Arc::clone(&self.downstream);
        let reach = downstream::Reach {
            hub: client(),
            downstream: downstream(),
            board: Arc::clone(board),
        };
        let worker = Workers { clock, shutdown };
        vec![
            worker.of(
                registration::Registration {
                    client: client(),
                    settings: settings.clone(),
                    downstream: downstream(),
                    agent: triggers.agent.clone(),
                    clock: clock.clone(),
                    entropy: entropy.clone(),
                },
                &triggers.registration,
                4,
            ),
            worker.of(
                clusters::Clusters {
                    client: client(),
                    board: Arc::clone(board),
                    agent: triggers.agent.clone(),
                    wishes: parking_lot::Mutex::default(),
                    clock: clock.clone(),
                },
                &triggers.clusters,
                4,
            ),
            worker.of(
                nodes::Nodes {
                    client: client(),
                    board: Arc::clone(board),
                },
                &triggers.nodes,
                2,
            ),
            worker.of(
                agent_deploy::AgentDeploy {
                    client: client(),
                    settings: settings.clone(),
                    downstream: downstream(),
                    board: Arc::clone(board),
                    clusters: triggers.clusters.clone(),
                    clock: clock.clone(),
                },
                &triggers.agent,
                4,
            ),
            worker.of(
                downstream_access::DownstreamAccess {
                    reach: reach.clone(),
                    clusters: triggers.clusters.clone(),
                    clock: clock.clone(),
                },
                &triggers.access,
                4,
            ),
            worker.of(
                projects::Projects {
                    settings: settings.clone(),
                    reach: reach.clone(),
                    clock: clock.clone(),
                },
                &triggers.projects,
                2,
            ),
            worker.of(
                quotas::Quotas {
                    reach: reach.clone(),
                    clock: clock.clone(),
                },
                &triggers.quotas,
                2,
            ),
            worker.of(
                project_secrets::ProjectSecrets {
                    reach: reach.clone(),
                },
                &triggers.secrets,
                2,
            ),
            worker.of(
                isolation::Isolation {
                    reach: reach.clone(),
                },
                &triggers.isolation,
                2,
            ),
            worker.of(
                targets::Targets {
                    reach: reach.clone(),
                },
                &triggers.targets,
                2,
            ),
            worker.of(users::Users { client: client() }, &triggers.users, 2),
            worker.of(
                retention::Retention::new(client(), settings.clone(), clock.clone()),
                &triggers.retention,
                2,
            ),
            worker.of(
                cleanup::Cleanup {
                    client: client(),
                    downstream: downstream(),
                    since: clock.now(),
                    clock: clock.clone(),
                },
                &triggers.cleanup,
                4,
            ),
            worker.of(
                settings_follow::SettingsFollow {
                    client: client(),
                    known: Arc::clone(known),
                    registration: triggers.registration.clone(),
                    agent: triggers.agent.clone(),
                },
                &triggers.settings,
                1,
            ),
            worker.of(
                tokens::Tokens {
                    client: client(),
                    clock: clock.clone(),
                },
                &triggers.tokens,
                1,
            ),
            worker.of(
                provisioning::Provisioning {
                    client: client(),
                    clock: clock.clone(),
                },
                &triggers.provisioning,
                2,
            ),
        ]
    }
}

/// What all workers share.
struct Workers<'a> {
    clock: &'a Clock,
    shutdown: &'a CancellationToken,
}

impl Workers<'_> {
    fn of<C: Controller>(
        &self,
        controller: C,
        trigger: &Trigger,
        n_workers: usize,
    ) -> BoxFuture<'static, ()> {
        runtime::run(
            Arc::new(controller),
            trigger.clone(),
            n_workers,
            self.clock.clone(),
            self.shutdown.clone(),
        )
        .boxed()
    }
}
