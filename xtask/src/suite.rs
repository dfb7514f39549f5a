//! The test command and the benchmarks.

use anyhow::{Context, Result, bail};

use crate::command::{exists, output, root, run, say};
use crate::real;

/// Debian packages that tests and benchmarks need, with a program or a file that shows each is there.
const PACKAGES: [(&str, &str); 3] = [
    ("ip", "iproute2"),
    ("cc", "build-essential"),
    ("make", "make"),
];
/// What only tests need: those of the web UI drive a browser, one client is written in Python, and rules in CEL know
/// zones by name, which are in the server's image too, as public authorities are.
const FOR_TESTS: [(&str, &str); 4] = [
    ("chromium", "chromium"),
    ("python3", "python3-venv"),
    ("/usr/share/zoneinfo/UTC", "tzdata"),
    ("/etc/ssl/certs/ca-certificates.crt", "ca-certificates"),
];

/// Installs and builds what the tests need and runs all of them.
pub(crate) fn test(filters: &[String]) -> Result<()> {
    crate::check::graph()?;
    packages(&[&PACKAGES[..], &FOR_TESTS[..]].concat())?;
    real::build()?;
    crate::ui::build()?;
    let root = root();
    say("building Drover");
    run(&root, "cargo", &["build", "--workspace", "--bins"], &[])?;
    crate::image::write("debug")?;
    say("building the tests");
    run(&root, "cargo", &["test", "--workspace", "--no-run"], &[])?;
    say("running the tests");
    let mut arguments = vec!["test", "--workspace", "--no-fail-fast", "--"];
    arguments.extend(filters.iter().map(String::as_str));
    run(&root, "cargo", &arguments, &[])?;
    if filters.is_empty() {
        crate::ui::test()?;
    }
    Ok(())
}

/// The figures of access, which need nothing but libraries.
const ACCESS: &str = "access";

/// Prints figures as JSON lines.
pub(crate) fn bench(names: &[String]) -> Result<()> {
    let others: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| *name != ACCESS)
        .collect();
    if names.is_empty() || !others.is_empty() {
        of_programs(&others)?;
    }
    if names.is_empty() || names.iter().any(|name| name == ACCESS) {
        let arguments = ["bench", "-p", "drover-controllers", "--bench", ACCESS];
        run(&root(), "cargo", &arguments, &[])?;
    }
    Ok(())
}

/// Figures of running programs; all of them if none is named.
fn of_programs(names: &[&str]) -> Result<()> {
    packages(&PACKAGES)?;
    real::build()?;
    let root = root();
    say("building Drover as it is released");
    run(
        &root,
        "cargo",
        &[
            "build",
            "--release",
            "-p",
            "drover-server",
            "-p",
            "drover-agent",
            "-p",
            "drover-testkit",
            "--bin",
            "drover",
            "--bin",
            "drover-agent",
            "--bin",
            "drover-bench",
        ],
        &[],
    )?;
    let program = crate::command::target().join("release/drover-bench");
    let program = program.to_str().context("the target folder is not UTF-8")?;
    run(
        &root,
        program,
        names,
        &[("DROVER_TEST_PROFILE", "release".as_ref())],
    )
}

/// Refreshes generated data from the real components.
pub(crate) fn generate() -> Result<()> {
    real::build()?;
    run(
        &root(),
        "cargo",
        &["run", "-p", "drover-testkit", "--bin", "drover-generate"],
        &[],
    )
}

/// Installs missing system packages when root on Debian; names them otherwise.
fn packages(wanted: &[(&'static str, &'static str)]) -> Result<()> {
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(program, _)| !exists(program))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let root = root();
    let install = format!("apt-get install -y {}", missing.join(" "));
    if !exists("apt-get") || output(&root, "id", &["-u"])?.trim() != "0" {
        bail!(
            "missing system packages: {}; install them, on Debian with `sudo {install}`",
            missing.join(", ")
        );
    }
    say(&format!(
        "installing system packages: {}",
        missing.join(", ")
    ));
    run(&root, "apt-get", &["update", "-q"], &[])?;
    let mut arguments = vec!["install", "-y", "-q"];
    arguments.extend(missing);
    run(
        &root,
        "apt-get",
        &arguments,
        &[("DEBIAN_FRONTEND", "noninteractive".as_ref())],
    )
}
