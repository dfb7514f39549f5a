//! The server: assembly of the parts, nothing else.
//!
//! Owns configuration, the store, certificates, listeners, the edge (which
//! part answers which path) and the order of start and shutdown. What the
//! parts do is theirs.

pub mod audit_verify;
pub mod config;
pub mod copies;
pub mod recovery;

mod audit;
mod backend;
mod certificates;
mod descriptors;
mod downstream;
mod edge;
mod endless;
mod holding;
mod hooks;
mod install;
mod lingering;
mod listener;
mod own;
mod public;
mod refusal;
mod replicas;
mod route;
mod told;
mod way;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use anyhow::{Context, Result};
use drover_auth::{Auth, Clock, Entropy, bootstrap};
use drover_controllers::{Controllers, ImportApi, leader};
use futures::future::BoxFuture;
use kube::Client;
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::audit::{AuditWriter, Auditor};
use crate::backend::Backend;
use crate::certificates::Certificates;
use crate::config::ServerArgs;
use crate::edge::Edge;
use crate::hooks::ServerHooks;
use crate::listener::Listeners;
use crate::own::Own;
use crate::public::Public;
use crate::replicas::Replicas;
use crate::way::Way;

/// Runs the server until `shutdown`; running requests get the grace period.
///
/// # Errors
///
/// When a part cannot start; the message says which and what to do.
pub async fn run(
    args: ServerArgs,
    environment: BTreeMap<String, String>,
    shutdown: CancellationToken,
) -> Result<()> {
    let server_url = args
        .server_url
        .as_deref()
        .map(config::server_url)
        .transpose()
        .map_err(anyhow::Error::msg)?;
    let connections = descriptors::connections(listener::MAX_CONNECTIONS);
    // Bound before anything slow, so that a taken port is known at once.
    let https = listener::bind(args.listen_address, args.https_port)
        .await
        .with_context(|| {
            format!(
                "listen on port {} for HTTPS (--https-port)",
                args.https_port
            )
        })?;
    let http = listener::bind(args.listen_address, args.http_port)
        .await
        .with_context(|| format!("listen on port {} for HTTP (--http-port)", args.http_port))?;
    let ports = (https.local_addr()?.port(), http.local_addr()?.port());

    let backend = Backend::open(&args.store).await?;
    let client = backend.client.clone();
    let tasks = Tasks::new(shutdown.clone());
    let clock = Clock::system();
    let (audit, audit_writer) = audit_log(&args, &clock)?;
    let entropy = Entropy::system();
    install::namespaces(&client).await?;
    install::kinds(&client).await?;

    let (auth, driver, bootstrap) = Auth::new(drover_auth::Config {
        client: client.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        environment,
    });
    let first = bootstrap
        .run(args.bootstrap_password.as_ref())
        .await
        .context("prepare the first start")?;
    let certificates = certificates(&args, &client, &clock, server_url.as_deref()).await?;
    let trusted = certificates.trusted();
    let authorities = trusted.borrow().clone();
    told::put(&client, "cacerts", &authorities).await?;
    if let Some(url) = &server_url {
        told::put(&client, "server-url", url).await?;
    }
    tasks.spawn("auth", async move { driver.run().await });
    tasks.spawn_graceful("certificates", certificates.clone().keep(shutdown.clone()));
    tasks.spawn(
        "authorities",
        told::keep_trusted(client.clone(), trusted.clone()),
    );

    let sessions = drover_tunnel::Sessions::new();
    let clusters = drover_proxy::Clusters::new(backend.patient.clone(), sessions, client.clone());
    let connect = drover_proxy::Connect::new(clusters.clone(), client.clone());
    if let Some(shared) = &backend.shared {
        let address = replicas::address(&args, shared, ports.0).await?;
        let token = replicas::token(&client, &entropy).await?;
        connect.expect_neighbours(&token);
        let replicas = Replicas::new(replicas::Parts {
            client: client.clone(),
            clock: clock.clone(),
            identity: backend.identity.clone(),
            address,
            token,
            sessions: clusters.sessions().clone(),
            certificates: certificates.clone(),
        })?;
        tasks.spawn_graceful("replicas", replicas.run(shutdown.clone()));
    }
    let proxy = drover_proxy::Proxy::new(
        clusters.clone(),
        auth.access.clone(),
        auth.authenticator.clone(),
    );
    tasks.spawn("clusters", {
        let clusters = clusters.clone();
        async move { clusters.run().await }
    });
    tasks.spawn("registrations", {
        let connect = connect.clone();
        async move { connect.run().await }
    });
    let ext = drover_ext::Ext::new(drover_ext::Parts {
        client: drover_ext::HubClient(client.clone()),
        access: auth.access.clone(),
        authenticator: auth.authenticator.clone(),
        logins: auth.logins.clone(),
        settings: auth.settings.clone(),
        clock: clock.clone(),
    });
    let way = Way::new(proxy.clone(), ext, shutdown.clone());
    let hooks = Arc::new(ServerHooks::new(
        way.clone(),
        clusters.clone(),
        auth.authenticator.clone(),
    ));
    let api = drover_api_v3::Api::new(drover_api_v3::Parts {
        client: client.clone(),
        rights: Arc::new(auth.access.clone()),
        credentials: Arc::new(auth.logins.clone()),
        hooks: hooks.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        setting_overrides: auth.settings.overrides(),
    });
    let explorer = drover_api_v1::Explorer::new(drover_api_v1::Parts {
        reach: hooks,
        keeper: Arc::new(api.clone()),
        access: auth.access.clone(),
        logins: auth.logins.clone(),
        settings: auth.settings.clone(),
        clock: clock.clone(),
        setting_overrides: auth.settings.overrides(),
        limits: drover_api_v1::Limits::default(),
        ping: drover_api_v1::PING,
        audit: audit.reader(),
    });
    auth.ready().await;
    tasks.spawn("audit policies", {
        let (audit, client) = (audit.clone(), client.clone());
        async move { audit.follow_policies(client).await }
    });
    tasks.spawn("shells", {
        let explorer = explorer.clone();
        async move { explorer.keep_shells_clean().await }
    });

    let downstream = downstream::Reach::new(clusters);
    tasks.spawn("changes of sessions", downstream.follow());
    let controllers = Controllers::new(
        client.clone(),
        Arc::new(downstream),
        drover_controllers::Config::system(),
    );
    let rivals = match backend.shared {
        Some(_) => leader::Rivals::MayBe,
        None => leader::Rivals::None,
    };
    tasks.spawn_graceful("controllers", {
        let (client, identity, clock, shutdown) = (
            client.clone(),
            backend.identity.clone(),
            clock.clone(),
            shutdown.clone(),
        );
        async move {
            leader::run(client, &identity, rivals, clock, shutdown, |leading| {
                let controllers = controllers.clone();
                async move { controllers.run(leading).await }
            })
            .await;
        }
    });

    let edge = Edge {
        authenticator: auth.authenticator.clone(),
        login: auth.public.clone(),
        own: Own {
            client: backend.patient.clone(),
            access: auth.access.clone(),
            authenticator: auth.authenticator.clone(),
            api: api.clone(),
            shutdown: shutdown.clone(),
        },
        api,
        explorer: explorer.clone(),
        way,
        connect: connect.clone(),
        reviews: drover_proxy::Reviews::new(
            connect.clone(),
            client.clone(),
            auth.access.clone(),
            auth.authenticator.clone(),
            auth.settings.clone(),
        ),
        import: ImportApi::new(client.clone()),
        public: Public {
            client: client.clone(),
            trusted,
        },
        audit,
        entropy,
        https_port: ports.0,
    };
    let listeners = Listeners::new(
        Arc::new(edge),
        connections,
        tasks.connections.clone(),
        shutdown.clone(),
    );
    tasks.spawn_graceful("https", listeners.clone().https(https, certificates));
    tasks.spawn_graceful("http", listeners.http(http));
    tracing::info!(https = ports.0, http = ports.1, "ready");
    announce(&first);

    shutdown.cancelled().await;
    tracing::info!(grace = ?args.grace, "stopping");
    let drained = async {
        explorer.shutdown().await;
        proxy.shutdown().await;
        tasks.drain().await;
        // Last: what runs into clusters runs through the tunnels.
        connect.shutdown().await;
    };
    let graceful = tokio::time::timeout(args.grace, drained).await.is_ok();
    tasks.abort();
    // After the requests, whose ends it records.
    audit_writer.finish().await;
    backend.shutdown().await;
    tracing::info!(graceful, "stopped");
    Ok(())
}

fn audit_log(args: &ServerArgs, clock: &Clock) -> Result<(Auditor, AuditWriter)> {
    let Some(config) = args.audit.resolve(&args.store.data_dir) else {
        tracing::warn!("no audit log is written");
        return Ok((Auditor::off(clock.clone()), AuditWriter::off()));
    };
    Auditor::open(&config, clock).with_context(|| {
        format!(
            "open the audit log {} (--audit-log-path, or --audit-log false for none)",
            config.path.display()
        )
    })
}

async fn certificates(
    args: &ServerArgs,
    client: &Client,
    clock: &Clock,
    server_url: Option<&str>,
) -> Result<Certificates> {
    let host = server_url
        .and_then(|url| url.parse::<http::Uri>().ok())
        .and_then(|url| url.host().map(str::to_owned));
    if let (Some(chain), Some(key)) = (&args.tls_cert_file, &args.tls_key_file) {
        let trusted = args.tls_ca_file.as_deref().map(|path| {
            std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
        });
        let trusted = trusted.transpose()?.unwrap_or_default();
        return Ok(Certificates::given(
            chain,
            key,
            &trusted,
            host,
            clock.clone(),
        )?);
    }
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    names.extend(host);
    Ok(Certificates::own(client.clone(), clock.clone(), &names).await?)
}

/// Tells whoever started the server the generated password, once, on the terminal and not in the log.
#[expect(
    clippy::print_stdout,
    reason = "the one thing that is for a person and not for the log"
)]
fn announce(first: &bootstrap::Outcome) {
    match first {
        bootstrap::Outcome::Created {
            generated: Some(password),
            ..
        } => {
            println!(
                "\nFirst start. Log in as admin with the password\n\n  {}\n",
                password.expose_secret()
            );
        }
        bootstrap::Outcome::Created {
            generated: None,
            admin,
        } => {
            tracing::info!(%admin, "made the administrator with the given password");
        }
        bootstrap::Outcome::AlreadyDone | bootstrap::Outcome::NotWanted => {}
    }
}

/// The server's tasks: those that are simply stopped, and those that finish what they hold.
struct Tasks {
    shutdown: CancellationToken,
    abort: CancellationToken,
    background: TaskTracker,
    connections: TaskTracker,
}

impl Tasks {
    fn new(shutdown: CancellationToken) -> Self {
        Self {
            shutdown,
            abort: CancellationToken::new(),
            background: TaskTracker::new(),
            connections: TaskTracker::new(),
        }
    }

    /// A task that holds nothing: it ends at shutdown, wherever it is. Its end before that ends the server.
    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let task: BoxFuture<'static, ()> = Box::pin(task);
        let (shutdown, ended) = (self.shutdown.clone(), self.shutdown.clone());
        self.background.spawn(
            async move {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = task => {
                        tracing::error!(task = name, "a task ended that should not; stopping");
                        ended.cancel();
                    }
                }
            }
            .instrument(tracing::info_span!("task", name)),
        );
    }

    /// A task that ends by itself at shutdown.
    fn spawn_graceful(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let task: BoxFuture<'static, ()> = Box::pin(task);
        let (abort, ended) = (self.abort.clone(), self.shutdown.clone());
        self.background.spawn(
            async move {
                tokio::select! {
                    () = abort.cancelled() => {}
                    () = task => {
                        if !ended.is_cancelled() {
                            tracing::error!(task = name, "a task ended that should not; stopping");
                            ended.cancel();
                        }
                    }
                }
            }
            .instrument(tracing::info_span!("task", name)),
        );
    }

    async fn drain(&self) {
        self.background.close();
        self.connections.close();
        self.background.wait().await;
        self.connections.wait().await;
    }

    fn abort(&self) {
        self.abort.cancel();
    }
}
