//! Figures of many clusters on one hub.
//!
//! The clusters are simulated and all in this process; each has an agent that keeps a tunnel open as a real one does but
//! is no process of its own, so that hundreds fit on one machine. The hub is the program as it is released.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_testkit::figure::{Better, megabytes};
use drover_testkit::hub::{self, Hub, Session};
use drover_testkit::load::{Connection, Target};
use drover_testkit::simulated::{self, Simulated};
use drover_testkit::{apply, kubelet, wait};
use drover_tunnel::{
    Accept, Acceptor, BoxedIo, ClientRequest, Options, Role, Session as Tunnel, connect,
};
use futures::{StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, HeaderValue, Uri};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::{figure, print};

/// Clusters that are imported at once.
const AT_ONCE: usize = 8;
/// How long importing one cluster may take on a busy machine.
const EACH: Duration = Duration::from_secs(4);
const NAMESPACE: &str = "cattle-system";
/// How long a hub is left alone before what idling costs is measured, and for how long it is.
const QUIET: Duration = Duration::from_secs(30);
const IDLE_TIME: Duration = Duration::from_secs(60);
const N_REQUESTS: usize = 200;
/// Between two attempts of an agent, as the real one begins.
const RETRY: Duration = Duration::from_secs(1);

/// Imports clusters and prints what they cost.
pub(crate) async fn figures(n_clusters: usize) -> Result<()> {
    let mut hub = Hub::start(hub::Config::default()).await?;
    let session = hub.login().await?;
    let alone = hub.process()?.resident_bytes()?;
    let limit = Duration::from_secs(60) + EACH * u32::try_from(n_clusters)?;

    let start = Instant::now();
    let clusters: Vec<Simulated> = futures::stream::iter(0..n_clusters)
        .map(|_| start_one())
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    eprintln!("{n_clusters} clusters run after {:.1?}", start.elapsed());

    let start = Instant::now();
    let mut agents = JoinSet::new();
    let joined: Vec<(String, Agent)> = futures::stream::iter(clusters.iter().enumerate())
        .map(|(number, cluster)| import(&session, hub.address(), number, cluster))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let mut ids = Vec::new();
    for (id, agent) in joined {
        ids.push(id);
        agents.spawn(agent.run());
    }
    all_active(&session, n_clusters, limit).await?;
    let name = |what: &str| format!("{n_clusters} clusters: {what}");
    plain(
        &name("from the first import to all active"),
        "s",
        start.elapsed().as_secs_f64(),
    );

    tokio::time::sleep(QUIET).await;
    let before = hub.process()?.cpu_time()?;
    tokio::time::sleep(IDLE_TIME).await;
    let used = hub.process()?.cpu_time()? - before;
    let share = used.as_secs_f64() / IDLE_TIME.as_secs_f64() * 100.0;
    plain(&name("idle CPU of the server"), "% of a core", share);
    let resident = hub.process()?.resident_bytes()?;
    plain(
        &name("resident memory of the server"),
        "MB",
        megabytes(resident),
    );
    let each = megabytes(resident.saturating_sub(alone)) * 1e3 / n_clusters as f64;
    plain(&name("of which for each cluster"), "kB", each);

    for (what, path) in [
        ("GET /v3/clusters, p50", "/v3/clusters?limit=-1".to_owned()),
        (
            "GET /v1/management.cattle.io.clusters, page of 100, p50",
            "/v1/management.cattle.io.clusters?pagesize=100&page=1&sort=spec.displayName"
                .to_owned(),
        ),
    ] {
        let target = Target {
            address: hub.address(),
            token: session.token.clone(),
            path,
        };
        plain(&name(what), "ms", median(&[target]).await?);
    }
    let targets: Vec<Target> = ids
        .iter()
        .map(|id| Target {
            address: hub.address(),
            token: session.token.clone(),
            path: format!("/k8s/clusters/{id}/api/v1/namespaces/default"),
        })
        .collect();
    plain(
        &name("proxied GET, another cluster each time, p50"),
        "ms",
        median(&targets).await?,
    );

    let start = Instant::now();
    hub.kill()?;
    hub.resume().await?;
    figure(
        &name("from the start of a killed server to /ping"),
        "s",
        start.elapsed().as_secs_f64(),
        None,
        2.0,
        Better::Less,
    );
    let session = hub.login().await?;
    all_active(&session, n_clusters, limit).await?;
    figure(
        &name("until all are active again"),
        "s",
        start.elapsed().as_secs_f64(),
        None,
        15.0,
        Better::Less,
    );
    let resident = hub.process()?.resident_bytes()?;
    plain(
        &name("resident memory of the server then"),
        "MB",
        megabytes(resident),
    );
    ensure!(agents.try_join_next().is_none(), "an agent ended");
    Ok(())
}

/// A figure without a target.
fn plain(name: &str, unit: &str, value: f64) {
    print(&json!({"name": name, "unit": unit, "value": (value * 1e3).round() / 1e3}));
}

async fn start_one() -> Result<Simulated> {
    Simulated::start(&simulated::Config {
        nodes: 1,
        pods: 2,
        data: None,
        port: 0,
    })
    .await
}

/// Waits until every cluster is active; one look at all of them is one request.
async fn all_active(session: &Session, n_clusters: usize, limit: Duration) -> Result<()> {
    wait::until("all clusters to be active", limit, || async {
        let clusters = session
            .http
            .get("/v3/clusters?limit=-1")
            .await?
            .expect(200)?
            .json()?;
        let active = clusters["data"].as_array().into_iter().flatten();
        let active = active
            .filter(|cluster| cluster["state"] == "active" && cluster["id"] != "local")
            .count();
        ensure!(active == n_clusters, "{active} of {n_clusters} are");
        Ok(())
    })
    .await
}

/// The median time of requests to the targets in turn, each over a connection of all.
async fn median(targets: &[Target]) -> Result<f64> {
    let mut times = Vec::new();
    for target in targets.iter().cycle().take(N_REQUESTS.max(targets.len())) {
        let mut connection = Connection::open(target).await?;
        let start = Instant::now();
        connection.get().await?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times[times.len() / 2].as_secs_f64() * 1e3)
}

/// Makes a cluster on the hub and what the manifest says in the simulated one; the agent that has to run there.
async fn import(
    session: &Session,
    hub: (Ipv4Addr, u16),
    number: usize,
    cluster: &Simulated,
) -> Result<(String, Agent)> {
    let id = session.create_cluster(&format!("fleet-{number}")).await?;
    let client = cluster.client().await?;
    apply::apply_documents(&client, &session.manifest(&id).await?).await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let secrets = secrets.list(&ListParams::default()).await?;
    let credentials = secrets
        .items
        .into_iter()
        .filter_map(|secret| secret.data)
        .find_map(|data| data.get("token").cloned())
        .context("no Secret with a token")?;
    let token = kubelet::account_token(client).await?;
    let (host, port) = cluster.address();
    let params = json!({"cluster": {
        "address": format!("{host}:{port}"),
        "token": token,
        "caCert": STANDARD.encode(cluster.authority()),
    }});
    let mut headers = HeaderMap::new();
    headers.insert(
        "x-api-tunnel-token",
        HeaderValue::from_bytes(&credentials.0)?,
    );
    headers.insert(
        "x-api-tunnel-params",
        STANDARD.encode(params.to_string()).parse()?,
    );
    Ok((id, Agent { hub, headers }))
}

/// Keeps a tunnel open.
struct Agent {
    hub: (Ipv4Addr, u16),
    headers: HeaderMap,
}

impl Agent {
    /// Connects, and connects again when the session ends; never ends itself.
    async fn run(self) {
        loop {
            if let Err(error) = self.hold().await {
                tracing::debug!(%error, "an agent of the fleet has no session");
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn hold(&self) -> Result<()> {
        let (host, port) = self.hub;
        let stream = drover_testkit::load::connect(self.hub).await?;
        let url: Uri = format!("wss://{host}:{port}/v3/connect/register").parse()?;
        let request = ClientRequest {
            url,
            headers: self.headers.clone(),
            deadline: Duration::from_secs(30),
        };
        let socket = connect(request, stream).await?;
        let (_session, driver) = Tunnel::serve(socket, Role::Client, Dialer, Options::agent());
        driver.await;
        Ok(())
    }
}

/// Dials whatever the hub asks for.
struct Dialer;

impl Acceptor for Dialer {
    fn accept(&self, _protocol: &str, address: &str) -> Accept {
        let address = address.to_owned();
        Accept::Dial(Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxedIo)
        }))
    }
}
