//! `drover`: the server and the command line in one binary.

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program for a terminal"
)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args as _, FromArgMatches as _, Subcommand};
use drover_server::audit_verify::{self, VerifyArgs};
use drover_server::config::ServerArgs;
use drover_server::copies::{self, BackupArgs, RestoreArgs};
use drover_server::recovery::{self, ResetPasswordArgs};
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

/// Idle clusters and lists of many of them cost a third less time with it than with the C library's, and less memory
/// (docs/decisions/0014).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

// What is not a client of the API. (A doc comment here would replace the whole program's description.)
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Server(Box<ServerArgs>),
    Backup(BackupArgs),
    Restore(RestoreArgs),
    ResetPassword(ResetPasswordArgs),
}

fn main() -> ExitCode {
    let client = <drover_cli::Arguments as clap::CommandFactory>::command();
    // What looks into the log is the client's, what looks after its files is not.
    let verify = VerifyArgs::augment_args(clap::Command::new("verify"));
    let mut whole = Command::augment_subcommands(client)
        .mut_subcommand("audit", |audit| audit.subcommand(verify));
    let matches = match whole.try_get_matches_from_mut(std::env::args_os()) {
        Ok(matches) => matches,
        Err(error) => error.exit(),
    };
    if matches
        .subcommand_name()
        .is_some_and(Command::has_subcommand)
    {
        return match Command::from_arg_matches(&matches) {
            Ok(Command::Server(args)) => serve(*args),
            Ok(Command::Backup(args)) => finish(copies::backup(&args)),
            Ok(Command::Restore(args)) => finish(copies::restore(&args)),
            Ok(Command::ResetPassword(args)) => reset_password(&args),
            Err(error) => error.exit(),
        };
    }
    let of_audit = matches
        .subcommand_matches("audit")
        .and_then(|audit| audit.subcommand_matches("verify"));
    if let Some(verify) = of_audit {
        return match VerifyArgs::from_arg_matches(verify) {
            Ok(args) => finish(audit_verify::run(&args)),
            Err(error) => error.exit(),
        };
    }
    match drover_cli::Arguments::from_arg_matches(&matches) {
        Ok(arguments) => drover_cli::run_parsed(arguments, &mut whole),
        Err(error) => error.exit(),
    }
}

fn finish(outcome: anyhow::Result<String>) -> ExitCode {
    match outcome {
        Ok(message) => {
            println!("{message}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(mut args: ServerArgs) -> ExitCode {
    let environment: std::collections::BTreeMap<String, String> = std::env::vars().collect();
    if let Err(error) = args.take_peer_variables(|name| environment.get(name).cloned()) {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
    if let Err(error) = log(&args) {
        eprintln!("error: --log: {error}");
        return ExitCode::from(2);
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let shutdown = CancellationToken::new();
    // Boxed, here and for the command line: the runtime's code is made once for each kind of future it blocks on, with all
    // of the future in it, three times over.
    let outcome = runtime.block_on(async {
        let _too_large = tokio::signal::unix::signal(SIGXFSZ);
        let signals = tokio::spawn(signals(shutdown.clone()));
        let run: BoxFuture<'_, _> = Box::pin(drover_server::run(args, environment, shutdown));
        let outcome = run.await;
        signals.abort();
        outcome
    });
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn reset_password(args: &ResetPasswordArgs) -> ExitCode {
    match runtime() {
        Ok(runtime) => {
            let run: BoxFuture<'_, _> =
                Box::pin(recovery::reset_password(args, std::env::vars().collect()));
            finish(runtime.block_on(run))
        }
        Err(error) => {
            eprintln!("error: cannot start threads: {error}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

fn log(args: &ServerArgs) -> Result<(), tracing_subscriber::filter::ParseError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(&args.log)?)
        .with_writer(std::io::stderr);
    if args.log_json {
        builder.json().init();
    } else {
        builder
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init();
    }
    Ok(())
}

/// What to log. The client library warns of every answer it cannot read, with all of its text: a cluster could fill the disk
/// with that. Whoever names it gets it.
fn filter(
    log: &str,
) -> Result<tracing_subscriber::EnvFilter, tracing_subscriber::filter::ParseError> {
    format!("kube_client::client=error,{log}").parse()
}

/// Sent when a file grows beyond what the system allows (`ulimit -f`, `LimitFSIZE=`), and ends the process unless it is
/// taken. The write fails too, and that is told as any other failure is. (The number is Linux's on all but MIPS, where
/// it means something else that nobody sends.)
const SIGXFSZ: tokio::signal::unix::SignalKind = tokio::signal::unix::SignalKind::from_raw(25);

/// The first signal drains, the second aborts.
async fn signals(shutdown: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::warn!("cannot listen for signals; SIGTERM ends the server at once");
        return;
    };
    let mut next = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    next().await;
    shutdown.cancel();
    let first = Instant::now();
    loop {
        next().await;
        if first.elapsed() > ONE_INTENTION {
            break;
        }
    }
    tracing::warn!("second signal; stopping at once");
    // Not `abort`, which would leave a core file with all secrets in it.
    #[expect(clippy::exit, reason = "asked for")]
    std::process::exit(1);
}

/// Terminals and supervisors may signal a process and its group: that is one wish in two signals.
const ONE_INTENTION: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn what_a_cluster_answers_is_not_logged_unasked() {
        let warns = |log: &str| {
            let subscriber = tracing_subscriber::registry().with(filter(log).unwrap());
            tracing::subscriber::with_default(subscriber, || {
                [
                    tracing::enabled!(target: "kube_client::client", tracing::Level::WARN),
                    tracing::enabled!(target: "drover_server", tracing::Level::WARN),
                ]
            })
        };
        assert_eq!(warns("info"), [false, true]);
        assert_eq!(warns("drover=debug,warn"), [false, true]);
        assert_eq!(warns("info,kube_client::client=warn"), [true, true]);
        assert_eq!(warns(""), [false, false]);
    }
}
