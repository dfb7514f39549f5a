//! `cargo xtask up`: a server, and a demo cluster that the real agent imports.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a terminal"
)]

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use drover_testkit::http::Http;
use drover_testkit::kubelet::Kubelet;
use drover_testkit::process::{Launch, Process};
use drover_testkit::simulated::Simulated;
use drover_testkit::{apply, kubelet, real, simulated, wait};
use serde_json::json;

/// How long the server and the import may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Starts Drover with a demo cluster; Ctrl-C ends both.
#[derive(Debug, Parser)]
struct Args {
    /// Where the server and the demo cluster keep their state.
    #[arg(long, default_value = "target/demo")]
    data_dir: PathBuf,
    /// The server's HTTPS port.
    #[arg(long, default_value_t = 8443)]
    https_port: u16,
    /// The server's HTTP port.
    #[arg(long, default_value_t = 8080)]
    http_port: u16,
    /// Port of the demo cluster's API server.
    #[arg(long, default_value_t = 16443)]
    demo_port: u16,
    /// Password of the user `admin`, set at the first start.
    #[arg(long, default_value = "drover-demo-admin")]
    password: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter("warn,kube_client=error")
        .with_writer(std::io::stderr)
        .init();
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    std::fs::create_dir_all(&args.data_dir)
        .with_context(|| format!("create {}", args.data_dir.display()))?;
    let data = args.data_dir.canonicalize()?;
    let url = format!("https://127.0.0.1:{}", args.https_port);
    let mut server = start_server(&args, &data, &url)?;
    let anonymous = Http::insecure(Ipv4Addr::LOCALHOST, args.https_port, None)?;
    wait::until("the server to answer", LIMIT, || {
        let running = server.still_running();
        let anonymous = anonymous.clone();
        async move {
            running?;
            anonymous.get("/ping").await?.expect(200)?;
            Ok(())
        }
    })
    .await?;
    let credentials =
        json!({"username": "admin", "password": args.password, "responseType": "json"});
    let answer = anonymous
        .post("/v3-public/localProviders/local?action=login", &credentials)
        .await?;
    let answer = answer.expect(201).context(
        "log in as admin; if you changed the password since the first start, pass it with --password, or remove the data folder",
    )?;
    let token = answer.json()?["token"]
        .as_str()
        .context("no token in the answer")?
        .to_owned();
    let http = Http::insecure(Ipv4Addr::LOCALHOST, args.https_port, Some(&token))?;

    let demo = simulated::Config {
        nodes: 3,
        pods: 20,
        data: Some(data.join("demo-cluster.db")),
        port: args.demo_port,
    };
    let demo = Simulated::start(&demo).await?;
    let agents = Kubelet::start(kubelet::Config {
        from_image: false,
        client: demo.client().await?,
        api_server: demo.address(),
        authority: demo.authority().to_owned(),
        namespace: None,
    })?;
    let id = import(&http, &demo).await?;
    let active = wait::until("the demo cluster to be active", LIMIT, || async {
        let cluster = http
            .get(&format!("/v3/clusters/{id}"))
            .await?
            .expect(200)?
            .json()?;
        anyhow::ensure!(
            cluster["state"] == "active",
            "it is {}: {}",
            cluster["state"],
            cluster["transitioningMessage"]
        );
        Ok(())
    })
    .await;
    if let Err(error) = active {
        anyhow::bail!("{error:#}\n{}", agents.report().await);
    }
    // So that the commands below work as they stand: in a script, in any folder, and without trust in whoever answers.
    let authority = data.join("ca.pem");
    let pem = anonymous.get("/cacerts").await?.expect(200)?.body;
    std::fs::write(&authority, pem).with_context(|| format!("write {}", authority.display()))?;
    let drover = real::product("drover")?;
    println!(
        "\nDrover is running.\n\n  URL       {url}\n  user      admin\n  password  {}\n\n  demo cluster  {id} (3 nodes, 20 pods)\n  data          {}\n\nTry:\n\n  {drover} login {url} --username admin --password {} --cacert {}\n  {drover} clusters ls\n  {drover} kubectl --cluster demo get nodes\n\nCtrl-C ends everything; the next start finds its state.",
        args.password,
        data.display(),
        args.password,
        authority.display(),
        drover = drover.display()
    );
    tokio::select! {
        signal = tokio::signal::ctrl_c() => signal.context("wait for Ctrl-C")?,
        ended = ended(&mut server) => return Err(ended),
    }
    println!("\nstopping");
    drop(agents);
    demo.stop().await;
    server.stop(Duration::from_secs(15))
}

fn start_server(args: &Args, data: &std::path::Path, url: &str) -> Result<Process> {
    Launch::new("drover", real::product("drover")?, data)
        .args(["server", "--data-dir"])
        .args([data.join("server")])
        .args([
            "--https-port",
            &args.https_port.to_string(),
            "--http-port",
            &args.http_port.to_string(),
        ])
        .args(["--server-url", url])
        .env("DROVER_BOOTSTRAP_PASSWORD", &args.password)
        .start()
}

/// The id of the cluster `demo`, made and imported if it is not there yet.
async fn import(http: &Http, demo: &Simulated) -> Result<String> {
    let found = http
        .get("/v3/clusters?name=demo")
        .await?
        .expect(200)?
        .json()?;
    let id = match found["data"][0]["id"].as_str() {
        Some(id) => id.to_owned(),
        None => {
            let cluster = json!({"type": "cluster", "name": "demo"});
            let answer = http
                .post("/v3/clusters", &cluster)
                .await?
                .expect(201)?
                .json()?;
            answer["id"]
                .as_str()
                .context("the cluster has no id")?
                .to_owned()
        }
    };
    let path = wait::until("a registration token", LIMIT, || async {
        let tokens = http
            .get(&format!("/v3/clusterregistrationtokens?clusterId={id}"))
            .await?
            .expect(200)?
            .json()?;
        let url = tokens["data"][0]["manifestUrl"]
            .as_str()
            .unwrap_or_default();
        anyhow::ensure!(
            !url.is_empty() && !url.contains("{token}"),
            "no manifestUrl yet"
        );
        Ok(url[url
            .find("/v3/import/")
            .context("an unexpected manifestUrl")?..]
            .to_owned())
    })
    .await?;
    // A second time it changes nothing.
    let manifest = http.get(&path).await?.expect(200)?.body;
    apply::apply_documents(&demo.client().await?, &manifest).await?;
    Ok(id)
}

async fn ended(server: &mut Process) -> anyhow::Error {
    loop {
        if let Err(error) = server.still_running() {
            return error;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
