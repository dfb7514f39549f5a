//! `cargo xtask up`: the product with a demo cluster.

use anyhow::{Context, Result};

use crate::command::{root, run, say, target};

/// Builds all and hands over to the demo program, which ends with Ctrl-C.
pub(crate) fn up(arguments: &[String]) -> Result<()> {
    let root = root();
    let debug = arguments.iter().any(|argument| argument == "--debug");
    let profile = if debug { "debug" } else { "release" };
    crate::ui::build()?;
    say("building Drover (some minutes the first time)");
    let mut build = vec![
        "build",
        "-p",
        "drover-server",
        "-p",
        "drover-agent",
        "-p",
        "drover-testkit",
        "--bins",
    ];
    if !debug {
        build.push("--release");
    }
    run(&root, "cargo", &build, &[])?;
    let program = target().join(profile).join("drover-demo");
    let program = program.to_str().context("the target folder is not UTF-8")?;
    let passed: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|argument| *argument != "--debug")
        .collect();
    run(
        &root,
        program,
        &passed,
        &[("DROVER_TEST_PROFILE", profile.as_ref())],
    )
}
