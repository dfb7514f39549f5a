//! `cargo xtask bench`: figures as JSON lines, each beside its reference of the same run.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a terminal"
)]

#[path = "drover-bench/explorer.rs"]
mod explorer;
#[path = "drover-bench/fleet.rs"]
mod fleet;
#[path = "drover-bench/kube_api.rs"]
mod kube_api;

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use drover_testkit::control_plane::{self, ControlPlane};
use drover_testkit::figure::{self, Better, megabytes};
use drover_testkit::http::Http;
use drover_testkit::hub::{self, Hub, Session};
use drover_testkit::kubelet::Kubelet;
use drover_testkit::load::{Target, latencies_in_turns, rate};
use drover_testkit::process::Launch;
use drover_testkit::{apply, real};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::{ObjectMeta, PostParams};

const LIMIT: Duration = Duration::from_secs(120);
/// Between requests as controllers and people send them, in place of one right after the other.
const PAUSE: Duration = Duration::from_millis(5);
/// Requests of a latency figure.
const N_REQUESTS: usize = 2_000;
/// Time of a rate figure.
const RATE_TIME: Duration = Duration::from_secs(8);
/// For how long no agent may have been started before figures are taken.
const QUIET: Duration = Duration::from_secs(20);
/// How long nothing is done to see what idling costs.
const IDLE_TIME: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    match run(&names).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(names: &[String]) -> Result<()> {
    if let [command, folder, port] = names
        && command == kube_api::subject::SERVE
    {
        return kube_api::subject::serve(folder.as_ref(), port.parse()?).await;
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    if wanted("size") {
        sizes()?;
    }
    if wanted("start") {
        start().await?;
    }
    if wanted("proxy") {
        proxy().await?;
    }
    if wanted("explorer") {
        explorer::figures(&[5_000, 50_000]).await?;
    }
    // Only on demand: shows that the figures above can be taken, in seconds.
    if names.iter().any(|name| name == "explorer-small") {
        explorer::figures(&[300, 600]).await?;
    }
    if wanted("kube-api") {
        kube_api::figures().await?;
    }
    // Only on demand: hundreds of clusters need minutes and gigabytes.
    for name in names {
        match name.strip_prefix("fleet") {
            Some("") => fleet::figures(500).await?,
            Some(number) => fleet::figures(number.trim_start_matches('=').parse()?).await?,
            None => {}
        }
    }
    // Only on demand: its largest step needs gigabytes.
    if names.iter().any(|name| name == "kube-api-growth") {
        kube_api::growth().await?;
    }
    Ok(())
}

/// Prints one figure: `better` says whether the value should be at most or at least the target.
fn figure(name: &str, unit: &str, value: f64, reference: Option<f64>, target: f64, better: Better) {
    print(&figure::line(name, unit, value, reference, target, better));
}

fn print(line: &serde_json::Value) {
    println!("{line}");
}

fn sizes() -> Result<()> {
    for (name, target) in [("drover", 40.0), ("drover-agent", 12.0)] {
        let size = std::fs::metadata(real::product(name)?)?.len();
        figure(
            &format!("binary size of {name}"),
            "MB",
            megabytes(size),
            None,
            target,
            Better::Less,
        );
    }
    Ok(())
}

/// From nothing to `/ping`, the median of five.
async fn start() -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..5 {
        let folder = tempfile::tempdir()?;
        let (port, plain) = (real::free_port()?, real::free_port()?);
        let start = Instant::now();
        let mut process = Launch::new("drover", real::product("drover")?, folder.path())
            .args(["server", "--data-dir"])
            .args([folder.path().join("data")])
            .args([
                "--listen-address",
                "127.0.0.1",
                "--https-port",
                &port.to_string(),
                "--http-port",
                &plain.to_string(),
            ])
            .env("DROVER_BOOTSTRAP_PASSWORD", hub::PASSWORD)
            .start()?;
        let http = Http::insecure(Ipv4Addr::LOCALHOST, port, None)?;
        while http.get("/ping").await.is_err() {
            process.still_running()?;
            anyhow::ensure!(start.elapsed() < LIMIT, "no answer in time");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        times.push(start.elapsed());
    }
    times.sort();
    figure(
        "start on an empty folder to /ping",
        "s",
        times[2].as_secs_f64(),
        None,
        1.0,
        Better::Less,
    );
    Ok(())
}

async fn proxy() -> Result<()> {
    let plane = ControlPlane::start(&control_plane::Config::default()).await?;
    let mut hub = Hub::start(hub::Config::default()).await?;
    let session = hub.login().await?;
    let id = session.create_cluster("bench").await?;
    apply::apply(&plane.kubeconfig(), &session.manifest(&id).await?).await?;
    let kubelet = plane.kubelet().await?;
    session.wait_state(&id, "active", LIMIT).await?;
    settle(&kubelet).await?;
    idle(&mut hub, &kubelet).await?;
    let direct = Target {
        address: plane.address(),
        token: control_plane::ADMIN_TOKEN.to_owned(),
        path: "/api/v1/namespaces/default".to_owned(),
    };
    let through = through(&hub, &session, &id, &direct);

    for (what, pause, targets) in [
        ("", Duration::ZERO, [Some((50, 1.6)), Some((99, 3.0))]),
        (", 5 ms apart", PAUSE, [Some((50, 1.6)), None]),
    ] {
        let [plain, proxied] = latencies_in_turns([&direct, &through], N_REQUESTS, pause).await?;
        let at =
            |times: &[Duration], share: usize| times[times.len() * share / 100].as_secs_f64() * 1e3;
        for (share, target) in targets.into_iter().flatten() {
            figure(
                &format!("proxied GET, 1 connection{what}, p{share}"),
                "ms",
                at(&proxied, share),
                Some(at(&plain, share)),
                target,
                Better::Less,
            );
        }
    }
    let plain = rate(&direct, 16, RATE_TIME).await?;
    let proxied = rate(&through, 16, RATE_TIME).await?;
    figure(
        "proxied GET, 16 connections",
        "1/s",
        proxied,
        Some(plain),
        0.5,
        Better::More,
    );

    fill(&plane).await?;
    let large = Target {
        path: "/api/v1/namespaces/large/configmaps".to_owned(),
        ..direct.clone()
    };
    let (plain, proxied) = large_lists(&large, &self::through(&hub, &session, &id, &large)).await?;
    figure(
        "40 MB list",
        "MB/s",
        proxied,
        Some(plain),
        0.85,
        Better::More,
    );
    let many = Target {
        path: "/api/v1/namespaces/many/configmaps".to_owned(),
        ..direct
    };
    let mut connection =
        drover_testkit::load::Connection::open(&self::through(&hub, &session, &id, &many)).await?;
    connection.get().await?;
    let resident = megabytes(kubelet.resident_bytes().await?);
    figure(
        "agent after lists of 5,000 ConfigMaps and of 40 MB",
        "MB",
        resident,
        None,
        20.0,
        Better::Less,
    );
    let resident = megabytes(hub.process()?.resident_bytes()?);
    figure(
        "server after the same",
        "MB",
        resident,
        None,
        100.0,
        Better::Less,
    );
    Ok(())
}

fn through(hub: &Hub, session: &Session, id: &str, direct: &Target) -> Target {
    Target {
        address: hub.address(),
        token: session.token.clone(),
        path: format!("/k8s/clusters/{id}{}", direct.path),
    }
}

/// Waits until the agent was deployed again and nothing more is started.
async fn settle(kubelet: &Kubelet) -> Result<()> {
    let mut last = (usize::MAX, Instant::now());
    while last.1.elapsed() < QUIET {
        let started = kubelet.started().await;
        if started != last.0 {
            last = (started, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

async fn idle(hub: &mut Hub, kubelet: &Kubelet) -> Result<()> {
    let (server, agent) = (hub.process()?.cpu_time()?, kubelet.cpu_time().await?);
    tokio::time::sleep(IDLE_TIME).await;
    let share = |before: Duration, after: Duration| {
        (after - before).as_secs_f64() / IDLE_TIME.as_secs_f64() * 100.0
    };
    let (server, agent) = (
        share(server, hub.process()?.cpu_time()?),
        share(agent, kubelet.cpu_time().await?),
    );
    figure(
        "idle CPU, server with one cluster",
        "% of a core",
        server,
        None,
        0.2,
        Better::Less,
    );
    figure(
        "idle CPU, agent",
        "% of a core",
        agent,
        None,
        0.2,
        Better::Less,
    );
    figure(
        "resident memory, server with one idle cluster",
        "MB",
        megabytes(hub.process()?.resident_bytes()?),
        None,
        60.0,
        Better::Less,
    );
    figure(
        "resident memory, idle agent",
        "MB",
        megabytes(kubelet.resident_bytes().await?),
        None,
        15.0,
        Better::Less,
    );
    Ok(())
}

/// 5,000 ConfigMaps of 1 kB, and 50 of 800 kB.
async fn fill(plane: &ControlPlane) -> Result<()> {
    let client = plane.client().await?;
    for (namespace, count, size) in [("many", 5_000, 1_000), ("large", 50, 800_000)] {
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let metadata = ObjectMeta {
            name: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        };
        namespaces
            .create(
                &PostParams::default(),
                &Namespace {
                    metadata,
                    ..Namespace::default()
                },
            )
            .await?;
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..count {
            if tasks.len() >= 8 {
                tasks.join_next().await.context("no task")??;
            }
            let maps = maps.clone();
            tasks.spawn(async move {
                let map = ConfigMap {
                    metadata: ObjectMeta {
                        name: Some(format!("map-{number}")),
                        ..ObjectMeta::default()
                    },
                    data: Some([("data".to_owned(), "0123456789".repeat(size / 10))].into()),
                    ..ConfigMap::default()
                };
                if let Err(error) = maps.create(&PostParams::default(), &map).await {
                    eprintln!("cannot fill the cluster: {error}");
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done?;
        }
    }
    Ok(())
}

/// Megabytes per second directly and through Drover, the medians of several turns.
async fn large_lists(direct: &Target, through: &Target) -> Result<(f64, f64)> {
    const TURNS: usize = 11;
    let (mut plain, mut proxied) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        plain.push(list(direct).await?);
        proxied.push(list(through).await?);
    }
    let median = |mut rates: Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[TURNS / 2]
    };
    Ok((median(plain), median(proxied)))
}

async fn list(target: &Target) -> Result<f64> {
    let mut connection = drover_testkit::load::Connection::open(target).await?;
    let start = Instant::now();
    let length = connection.get().await?;
    Ok(megabytes(length as u64) / start.elapsed().as_secs_f64())
}
