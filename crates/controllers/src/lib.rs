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
pub mod leader;
pub mod manifest;
pub mod nodes;
mod observer;
pub mod plan;
pub mod project_secrets;
pub mod projects;
mod pull_secrets;
pub mod quotas;
mod random;
pub mod registration;
mod runtime;
pub mod settings;
mod settings_follow;
pub mod tokens;

use std::sync::Arc;

use drover_auth::{Clock, Entropy};
use drover_types::management::{
    Cluster, ClusterRegistrationToken, ClusterRoleTemplateBinding, Feature, GlobalRole, Project,
    ProjectRoleTemplateBinding, RoleTemplate, Setting,
};
use drover_types::names::LOCAL_CLUSTER;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::runtime::watcher;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use downstream::{Downstream, Unreachable};
pub use import::ImportApi;

use crate::facts::Board;
use crate::observer::{Known, Listeners, Observers};
use crate::runtime::{Controller, Presence, Trigger, metadata_of, watch_metadata};

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
    pub async fn run(&self, shutdown: CancellationToken) {
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
        };
        let board = Arc::new(Board::new(clock.now()));
        let known = Arc::new(Known::default());
        let mut tasks: JoinSet<()> = JoinSet::new();
        for task in self.workers(&triggers, &board, &known, &shutdown) {
            tasks.spawn(task);
        }
        for task in self.watches(&triggers, &known, &shutdown) {
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
            },
            clock: clock.clone(),
        };
        tasks.spawn(observers.run(shutdown.clone()));
        triggers.clusters.now(LOCAL_CLUSTER);
        triggers.tokens.now(tokens::ALL);
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
        let worker = Workers { clock, shutdown };
        vec![
            worker.of(
                registration::Registration {
                    client: client(),
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
                    client: client(),
                    downstream: downstream(),
                    board: Arc::clone(board),
                    clusters: triggers.clusters.clone(),
                    clock: clock.clone(),
                },
                &triggers.access,
                4,
            ),
            worker.of(
                projects::Projects {
                    client: client(),
                    downstream: downstream(),
                    board: Arc::clone(board),
                    clock: clock.clone(),
                },
                &triggers.projects,
                2,
            ),
            worker.of(
                quotas::Quotas {
                    client: client(),
                    downstream: downstream(),
                    board: Arc::clone(board),
                    clock: clock.clone(),
                },
                &triggers.quotas,
                2,
            ),
            worker.of(
                project_secrets::ProjectSecrets {
                    client: client(),
                    downstream: downstream(),
                    board: Arc::clone(board),
                },
                &triggers.secrets,
                2,
            ),
            worker.of(
                cleanup::Cleanup {
                    client: client(),
                    downstream: downstream(),
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
        ]
    }

    fn watches(
        &self,
        triggers: &Triggers,
        known: &Arc<Known>,
        shutdown: &CancellationToken,
    ) -> Vec<BoxFuture<'static, ()>> {
        let all = watcher::Config::default;
        let Triggers {
            registration,
            clusters,
            access,
            projects,
            cleanup,
            settings,
            ..
        } = triggers;
        let (clusters, cleanup, known_clusters) =
            (clusters.clone(), cleanup.clone(), Arc::clone(known));
        let cluster = watch_metadata::<Cluster>(
            metadata_of(&self.client),
            all(),
            move |object, presence| {
                let Some(id) = object.metadata.name.as_deref() else {
                    return;
                };
                known_clusters.set(id, presence == Presence::There);
                clusters.now(id);
                if object.metadata.deletion_timestamp.is_some() {
                    cleanup.now(id);
                }
            },
            shutdown.clone(),
        );
        let (registration, clusters) = (registration.clone(), triggers.clusters.clone());
        let token = watch_metadata::<ClusterRegistrationToken>(
            metadata_of(&self.client),
            all(),
            move |object, presence| {
                let (Some(namespace), Some(name)) =
                    (&object.metadata.namespace, &object.metadata.name)
                else {
                    return;
                };
                registration.now(format_args!("{namespace}/{name}"));
                if presence == Presence::Gone {
                    clusters.now(namespace);
                }
            },
            shutdown.clone(),
        );
        let (projects, quotas) = (projects.clone(), triggers.quotas.clone());
        let project = watch_metadata::<Project>(
            metadata_of(&self.client),
            all(),
            move |object, _| {
                if let Some(id) = &object.metadata.namespace {
                    projects.now(id);
                    quotas.now(id);
                }
            },
            shutdown.clone(),
        );
        let (of_roles, known_to_roles) = (access.clone(), Arc::clone(known));
        let role = watch_metadata::<RoleTemplate>(
            metadata_of(&self.client),
            all(),
            move |_, _| known_to_roles.all().iter().for_each(|id| of_roles.now(id)),
            shutdown.clone(),
        );
        let (of_global, known_to_global) = (access.clone(), Arc::clone(known));
        let global = watch_metadata::<GlobalRole>(
            metadata_of(&self.client),
            all(),
            move |_, _| {
                known_to_global
                    .all()
                    .iter()
                    .for_each(|id| of_global.now(id))
            },
            shutdown.clone(),
        );
        let of_clusters = access.clone();
        let cluster_binding = watch_metadata::<ClusterRoleTemplateBinding>(
            metadata_of(&self.client),
            all(),
            move |object, _| {
                object
                    .metadata
                    .namespace
                    .iter()
                    .for_each(|id| of_clusters.now(id))
            },
            shutdown.clone(),
        );
        let (of_secrets, known_to_secrets) = (triggers.secrets.clone(), Arc::clone(known));
        let secret = watch_metadata::<Secret>(
            metadata_of(&self.client),
            all(),
            move |object, _| {
                let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
                for id in of_cluster(&known_to_secrets.all(), namespace) {
                    of_secrets.now(id);
                }
            },
            shutdown.clone(),
        );
        let (of_projects, known) = (access.clone(), Arc::clone(known));
        let project_binding = watch_metadata::<ProjectRoleTemplateBinding>(
            metadata_of(&self.client),
            all(),
            move |object, _| {
                let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
                let ids = known.all();
                let own = of_cluster(&ids, namespace);
                if own.is_empty() {
                    // Namespaces of old projects are not named after their cluster.
                    ids.iter().for_each(|id| of_projects.now(id));
                } else {
                    own.iter().for_each(|id| of_projects.now(id));
                }
            },
            shutdown.clone(),
        );
        let (of_settings, of_features) = (settings.clone(), settings.clone());
        let setting = watch_metadata::<Setting>(
            metadata_of(&self.client),
            all(),
            move |_, _| of_settings.now(settings_follow::ALL),
            shutdown.clone(),
        );
        let feature = watch_metadata::<Feature>(
            metadata_of(&self.client),
            all(),
            move |_, _| of_features.now(settings_follow::ALL),
            shutdown.clone(),
        );
        vec![
            cluster.boxed(),
            token.boxed(),
            project.boxed(),
            role.boxed(),
            global.boxed(),
            cluster_binding.boxed(),
            project_binding.boxed(),
            secret.boxed(),
            setting.boxed(),
            feature.boxed(),
        ]
    }
}

/// The clusters whose projects a namespace of the hub may belong to: it is named after its cluster.
fn of_cluster<'a>(ids: &'a [String], namespace: &str) -> Vec<&'a String> {
    ids.iter()
        .filter(|id| {
            namespace
                .strip_prefix(id.as_str())
                .is_some_and(|rest| rest.starts_with('-'))
        })
        .collect()
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
