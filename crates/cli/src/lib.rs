//! The command line: a client of the public API only.
//!
//! * [`Arguments`] is what the user may type; the `drover` binary merges it with the server's own command.
//! * [`api`] speaks `/v3`; [`configuration`] keeps where one is logged in; [`output`] prints tables, JSON and YAML.
//! * [`commands`] has one file per command.
//!
//! Nothing here reads the process directly: the environment is handed in, and all text goes through a [`Terminal`],
//! so that tests run commands as a user would.

pub mod api;
pub mod arguments;
pub mod commands;
pub mod configuration;
pub mod error;
pub mod output;
pub mod terminal;

use std::pin::Pin;
use std::{collections::BTreeMap, ffi::OsString, process::ExitCode};

use clap::{CommandFactory as _, Parser as _};

pub use arguments::{Arguments, Command, GlobalArguments};
pub use error::CliError;
pub use terminal::{Process, Terminal};

/// The variables of the process that commands look at.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process. Names and values that are not text are left out.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// A value; empty counts as absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(pairs: T) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// Parses the process's arguments and runs the command.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Arguments::try_parse_from(arguments) {
        Ok(parsed) => run_parsed(parsed, &mut Arguments::command()),
        Err(error) => usage(&error),
    }
}

/// Runs a parsed command. `whole` is the definition of the whole binary, for shell completion.
pub fn run_parsed(arguments: Arguments, whole: &mut clap::Command) -> ExitCode {
    let mut terminal = Process::default();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal.complain(&format!("cannot start the runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let environment = Environment::of_process();
    let run: Pin<Box<dyn Future<Output = _>>> =
        Box::pin(commands::run(arguments, whole, &environment, &mut terminal));
    let result = runtime.block_on(run);
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(error) => {
            error.show(&mut terminal);
            error.exit_code()
        }
    }
}

/// Prints help, version or a usage error where they belong.
fn usage(error: &clap::Error) -> ExitCode {
    // Nothing is left to be done when standard output is closed.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
