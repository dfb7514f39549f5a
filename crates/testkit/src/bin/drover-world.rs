//! A server and a real cluster for tests that are not written in Rust: those of the web UI.
//!
//! Prints one line of JSON that says where everything is, then obeys lines on
//! standard input, each answered by `ok` or `error: ...`:
//!
//! - `hub stop`, `hub start`: kills the server at once, starts it on the same data and port
//! - `agents stop`, `agents start`: the same for the cluster's agents
//! - `log TEXT`: every pod logs a line
//!
//! It ends, and all with it, when standard input does.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it speaks to its parent on standard output"
)]

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use drover_testkit::control_plane::{self, ControlPlane};
use drover_testkit::hub::{self, Hub};
use drover_testkit::kubelet::Kubelet;
use drover_testkit::obey::obey;
use drover_testkit::real;

/// The password that makes the server ask for another at the first login.
const FIRST_PASSWORD: &str = "admin";

struct World {
    hub: Hub,
    plane: ControlPlane,
    kubelet: Kubelet,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let config = hub::Config {
        bootstrap_password: Some(FIRST_PASSWORD.to_owned()),
        ..hub::Config::default()
    };
    let plane = control_plane::Config::default();
    let (hub, plane) = tokio::try_join!(Hub::start(config), ControlPlane::start(&plane))?;
    let kubelet = plane.kubelet().await?;
    let mut world = World {
        hub,
        plane,
        kubelet,
    };
    world.announce()?;
    obey(async |line| world.obey(line).await).await
}

impl World {
    fn announce(&self) -> Result<()> {
        let place = serde_json::json!({
            "url": self.hub.url(),
            "password": FIRST_PASSWORD,
            "kubectl": real::component("kubectl")?,
            "kubeconfig": self.plane.kubeconfig(),
        });
        println!("{place}");
        Ok(())
    }

    async fn obey(&mut self, line: &str) -> Result<()> {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (command, rest) {
            ("hub", "stop") => self.hub.kill(),
            ("hub", "start") => self.hub.resume().await,
            ("agents", "stop") => self.kubelet.kill_all().await,
            ("agents", "start") => {
                self.kubelet.resume().await;
                Ok(())
            }
            ("log", text) => self.log(text),
            _ => bail!("unknown command `{line}`"),
        }
    }

    /// One line in the form that container runtimes write.
    fn log(&self, text: &str) -> Result<()> {
        let now = jiff::Timestamp::now();
        let path = self.plane.pod_log();
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))?;
        writeln!(file, "{now:.9} stdout F {text}").context("write to the pods' log")
    }
}
