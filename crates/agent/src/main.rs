//! Entry point: reads arguments and environment once, starts the runtime, turns results into exit codes.

use std::{
    io::IsTerminal as _, net::SocketAddr, path::PathBuf, process::ExitCode, time::SystemTime,
};

use anyhow::{Context as _, anyhow};
use clap::{Parser, Subcommand, ValueEnum};
use drover_agent::{
    authenticate, cleanup, cluster,
    config::{
        CREDENTIALS_DIR, CleanupConfig, Config, Environment, KubernetesConfig, SERVICE_ACCOUNT_DIR,
    },
    doctor,
    kubernetes::Api,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{Level, error, info};
use tracing_subscriber::{
    filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Connects a Kubernetes cluster to its hub.
#[derive(Debug, Parser)]
#[command(name = "drover-agent", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run as the agent of this cluster (with CLUSTER_CLEANUP=true: remove what importing it made).
    Cluster(ClusterArguments),
    /// Tell this cluster's API server whose tokens of the hub are (its webhook for token reviews).
    Authenticate {
        #[command(flatten)]
        cluster: ClusterArguments,
        /// Where to listen, on the loopback device.
        #[arg(long, env = "DROVER_AUTHENTICATE_LISTEN", default_value = authenticate::LISTEN)]
        listen: SocketAddr,
        /// The name of this node, by which its answers are kept.
        #[arg(long, env = "DROVER_NODE_NAME")]
        node_name: String,
    },
    /// Check every step of connecting this cluster and print the verdicts.
    Doctor {
        #[command(flatten)]
        cluster: ClusterArguments,
        /// How to print.
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Table,
    Json,
}

#[derive(Debug, clap::Args)]
struct ClusterArguments {
    /// Folder with the files url and token of the import manifest's Secret.
    #[arg(long, env = "DROVER_CREDENTIALS_DIR", default_value = CREDENTIALS_DIR)]
    credentials_dir: PathBuf,
    /// Folder of the pod's service account: token, ca.crt.
    #[arg(long, env = "DROVER_SERVICE_ACCOUNT_DIR", default_value = SERVICE_ACCOUNT_DIR)]
    service_account_dir: PathBuf,
    /// What the hub may reach besides the Kubernetes API: HOST[:PORT] or NETWORK/BITS[:PORT], repeatable or separated
    /// by commas. Without it, everything.
    #[arg(long, env = "DROVER_DIAL_ALLOW", value_delimiter = ',')]
    dial_allow: Vec<String>,
    /// Log level and targets, for example "info" or "drover_agent=debug".
    #[arg(long, env = "DROVER_LOG", default_value = "info")]
    log: String,
    /// Log as JSON lines.
    #[arg(long, env = "DROVER_LOG_JSON")]
    log_json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match start(arguments.command) {
        Ok(code) => code,
        Err(error) => {
            // Before or after logging works: the chain in one line on standard error.
            #[expect(clippy::print_stderr, reason = "the last word of the process")]
            {
                eprintln!("drover-agent: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> anyhow::Result<ExitCode> {
    let (Command::Cluster(arguments)
    | Command::Authenticate {
        cluster: arguments, ..
    }
    | Command::Doctor {
        cluster: arguments, ..
    }) = &command;
    start_log(arguments, matches!(command, Command::Doctor { .. }))?;
    // Other processes' variables may hold anything; only what is valid text can be ours.
    let environment: Environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    // One thread forwards far more than a cluster's API sends, and one allocator arena keeps memory small.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .thread_stack_size(256 * 1024)
        .build()
        .context("cannot start the runtime")?;
    let code = runtime.block_on(run(command, &environment));
    // A name that is still being resolved must not hold up the exit.
    runtime.shutdown_background();
    code
}

async fn run(command: Command, environment: &Environment) -> anyhow::Result<ExitCode> {
    match command {
        Command::Cluster(arguments) => match CleanupConfig::read(environment) {
            Some(cleanup) => clean_up(cleanup, environment, &arguments).await,
            None => connect(environment, &arguments).await,
        },
        Command::Authenticate {
            cluster,
            listen,
            node_name,
        } => {
            let config = read(environment, &cluster)?;
            let salt = rand::random();
            until_signalled(|shutdown| {
                authenticate::run(config, listen, &node_name, salt, shutdown)
            })
            .await??;
            Ok(ExitCode::SUCCESS)
        }
        Command::Doctor { cluster, output } => examine(environment, &cluster, output).await,
    }
}

fn read(environment: &Environment, arguments: &ClusterArguments) -> anyhow::Result<Config> {
    let (credentials, account) = (&arguments.credentials_dir, &arguments.service_account_dir);
    Ok(Config::read(
        environment,
        credentials,
        account,
        &arguments.dial_allow,
    )?)
}

async fn connect(
    environment: &Environment,
    arguments: &ClusterArguments,
) -> anyhow::Result<ExitCode> {
    let config = read(environment, arguments)?;
    let exit = until_signalled(|shutdown| cluster::run(config, shutdown)).await?;
    Ok(match exit {
        cluster::Exit::Shutdown => ExitCode::SUCCESS,
        cluster::Exit::Definite => ExitCode::FAILURE,
    })
}

/// Runs until it ends; the first signal asks it to, the second does not wait for that.
async fn until_signalled<F: Future>(
    run: impl FnOnce(CancellationToken) -> F,
) -> anyhow::Result<F::Output> {
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut running = std::pin::pin!(run(shutdown.clone()));
    loop {
        tokio::select! {
            output = &mut running => return Ok(output),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if shutdown.is_cancelled() {
            return Err(anyhow!("stopped by a second signal"));
        }
        info!("shutting down");
        shutdown.cancel();
    }
}

async fn examine(
    environment: &Environment,
    arguments: &ClusterArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = read(environment, arguments)?;
    let (report, _) =
        doctor::examine(&config, &cluster::hub_dialer(&config), SystemTime::now).await;
    #[expect(
        clippy::print_stdout,
        reason = "the report is the output of this command"
    )]
    match output {
        Output::Table => print!("{report}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report.checks())?),
    }
    Ok(if report.failure().is_some() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn clean_up(
    cleanup: CleanupConfig,
    environment: &Environment,
    arguments: &ClusterArguments,
) -> anyhow::Result<ExitCode> {
    let kubernetes = KubernetesConfig::read(environment, &arguments.service_account_dir)?;
    if cleanup.wait_first {
        info!("waiting a minute for the hub to let go of the cluster");
        tokio::time::sleep(cleanup::WAIT_FIRST).await;
    }
    let api = Api::in_cluster(&kubernetes)?;
    let report = cleanup::run(&api, cleanup.dry_run).await?;
    for failure in &report.failures {
        error!(%failure, "not removed");
    }
    info!(
        removed = report.removed.len(),
        kept = report.kept.len(),
        failures = report.failures.len(),
        "clean-up done"
    );
    Ok(if report.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn start_log(arguments: &ClusterArguments, quiet: bool) -> anyhow::Result<()> {
    let targets: Targets = arguments
        .log
        .parse()
        .with_context(|| format!("--log {:?}", arguments.log))?;
    let targets = if quiet {
        Targets::new().with_default(Level::ERROR)
    } else {
        targets
    };
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let registry = tracing_subscriber::registry().with(targets);
    if arguments.log_json {
        registry.with(layer.json()).init()
    } else {
        registry.with(layer).init()
    }
    Ok(())
}
