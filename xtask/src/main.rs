//! Development tasks: `cargo xtask up | test | ui | image | check | bench | real | generate`.
//!
//! Owns how the project is built, started and checked. What is tested belongs
//! to the crates; this program says what it is doing while it does it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a terminal"
)]

mod check;
mod command;
mod demo;
mod image;
mod real;
mod suite;
mod ui;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "usage: cargo xtask COMMAND

  up [--data-dir DIR] [--https-port PORT] [--debug]
             build the server, start it with a demo cluster, print where to log in
  test [FILTER ...]
             install and build what the tests need, then run every test
  ui         build the web UI, if its sources have changed
  image [--debug]
             build the programs and write them as container images under target/image
  check      format, lints, crate graph, types of the web UI
  bench [NAME ...]
             figures as JSON lines, each with its ratio to a reference of the same run
  real       build the real Kubernetes components that tests run against
  generate   refresh generated data from the real components";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let Some((name, rest)) = arguments.split_first() else {
        bail!("{USAGE}")
    };
    // Whoever asks what a command does wants to read it before anything is built.
    let asks = |word: &String| matches!(word.as_str(), "--help" | "-h");
    if name == "help" || arguments.iter().take(2).any(asks) {
        println!("{USAGE}");
        return Ok(());
    }
    match name.as_str() {
        "up" => demo::up(rest),
        "test" => suite::test(rest),
        "ui" => ui::build(),
        "image" => image::build(rest),
        "check" => check::all(),
        "bench" => suite::bench(rest),
        "real" => real::build(),
        "generate" => suite::generate(),
        other => bail!("unknown command `{other}`\n{USAGE}"),
    }
}
