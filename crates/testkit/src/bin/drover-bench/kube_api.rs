//! `drover-bench kube-api`: the embedded API beside kube-apiserver and etcd, both on the same disk, both waiting for it.
//!
//! `drover-bench kube-api-growth` shows how the embedded API's own figures move with the number of objects.

#[path = "client.rs"]
mod client;
#[path = "inbox.rs"]
mod inbox;
#[path = "subject.rs"]
pub(crate) mod subject;
#[path = "watchers.rs"]
mod watchers;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use client::{Connection, Peer, median, rate};
use drover_kube_api::{Config, Identity, Server, Storage};
use drover_testkit::control_plane::{self, ControlPlane};
use http::Method;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use serde_json::json;
use subject::Subject;
use watchers::Watchers;

use super::{Better, figure, megabytes};

const LIMIT: Duration = Duration::from_secs(120);
/// Time of a rate figure.
const RATE_TIME: Duration = Duration::from_secs(5);
/// Objects in the namespace that is listed.
const N_LISTED: usize = 10_000;
/// Objects when memory and start are measured.
const N_HELD: usize = 100_000;
const N_WATCHES: usize = 1_000;
const WATCHED: &str = "/api/v1/namespaces/watched/configmaps?watch=1&resourceVersion=0";
/// Connections that many watches share.
const N_SHARED: usize = 10;
/// Writes to the watches, of which the median counts.
const N_WRITES: usize = 15;
/// Before a write, for the watches to be as they are while it is delivered.
const LEAD: Duration = Duration::from_millis(50);
/// After a write every watch has its event by then.
const ARRIVED: Duration = Duration::from_millis(300);

/// What one server did.
struct Figures {
    creates_1: f64,
    creates_32: f64,
    gets: f64,
    list: Duration,
    page: Duration,
    delivery: Duration,
    shared_delivery: Duration,
}

/// All figures beside their reference.
pub(crate) async fn figures() -> Result<()> {
    let plane = ControlPlane::start(&control_plane::Config {
        nodes: 0,
        controllers: false,
        fsync: true,
        ..control_plane::Config::default()
    })
    .await?;
    let reference_peer = Peer::new(
        plane.address(),
        control_plane::ADMIN_TOKEN,
        plane.authority(),
    )?;
    let mut subject = Subject::start().await?;
    let peer = subject.peer()?;
    let reference = measure(&reference_peer).await.context("kube-apiserver")?;
    let ours = measure(&peer).await.context("kube-api")?;
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    figure(
        "kube-api creates, 1 client",
        "1/s",
        ours.creates_1,
        Some(reference.creates_1),
        2.0,
        Better::More,
    );
    figure(
        "kube-api creates, 32 clients",
        "1/s",
        ours.creates_32,
        Some(reference.creates_32),
        4.0,
        Better::More,
    );
    figure(
        "kube-api GET, 16 clients",
        "1/s",
        ours.gets,
        Some(reference.gets),
        3.0,
        Better::More,
    );
    let third = 1.0 / 3.0;
    figure(
        "kube-api list of 10,000",
        "ms",
        milliseconds(ours.list),
        Some(milliseconds(reference.list)),
        third,
        Better::Less,
    );
    figure(
        "kube-api page of 500",
        "ms",
        milliseconds(ours.page),
        Some(milliseconds(reference.page)),
        third,
        Better::Less,
    );
    let (own, their) = (
        milliseconds(ours.delivery),
        milliseconds(reference.delivery),
    );
    figure(
        "kube-api write to 1,000 watches on as many connections, last delivery",
        "ms",
        own,
        Some(their),
        third,
        Better::Less,
    );
    let (own, their) = (
        milliseconds(ours.shared_delivery),
        milliseconds(reference.shared_delivery),
    );
    figure(
        "kube-api write to 1,000 watches on 10 connections, last delivery",
        "ms",
        own,
        Some(their),
        third,
        Better::Less,
    );

    fill(&reference_peer, "held", N_HELD - N_LISTED).await?;
    fill(&peer, "held", N_HELD - N_LISTED).await?;
    let resident = megabytes(subject.process.resident_bytes()?);
    figure(
        "kube-api memory with 100,000 objects",
        "MB",
        resident,
        Some(megabytes(plane.resident_bytes()?)),
        0.25,
        Better::Less,
    );
    let start = subject.restart().await?.as_secs_f64();
    figure(
        "kube-api start with 100,000 objects",
        "s",
        start,
        None,
        2.0,
        Better::Less,
    );
    let resident = megabytes(subject.process.resident_bytes()?);
    figure(
        "kube-api memory with 100,000 objects after a start",
        "MB",
        resident,
        Some(megabytes(plane.resident_bytes()?)),
        0.25,
        Better::Less,
    );
    let call = in_process().await?.as_secs_f64() * 1e6;
    figure(
        "kube-api GET in the process",
        "us",
        call,
        None,
        60.0,
        Better::Less,
    );
    Ok(())
}

async fn measure(peer: &Peer) -> Result<Figures> {
    for namespace in ["rate", "listed", "watched", "held"] {
        create_namespace(peer, namespace).await?;
    }
    let mut one = peer.connect_all(1).await?;
    let creates_1 = rate(&mut one, RATE_TIME, Method::POST, |caller, n| {
        post("rate", &format!("one-{caller}-{n}"))
    })
    .await?;
    let mut many = peer.connect_all(32).await?;
    let creates_32 = rate(&mut many, RATE_TIME, Method::POST, |caller, n| {
        post("rate", &format!("many-{caller}-{n}"))
    })
    .await?;
    many.truncate(16);
    let gets = rate(&mut many, RATE_TIME, Method::GET, |_, _| {
        (
            "/api/v1/namespaces/rate/configmaps/one-0-0".to_owned(),
            Bytes::new(),
        )
    })
    .await?;
    fill(peer, "listed", N_LISTED).await?;
    let mut connection = one.pop().context("a connection")?;
    let list = median(&mut connection, "/api/v1/namespaces/listed/configmaps", 9).await?;
    let page = median(
        &mut connection,
        "/api/v1/namespaces/listed/configmaps?limit=500",
        99,
    )
    .await?;
    let (path, body) = post("watched", "watched");
    connection.call(Method::POST, &path, body).await?;
    let watches = Watchers::start(peer, WATCHED, N_WATCHES, N_WATCHES).await?;
    let delivery = delivery(watches, &mut connection).await?;
    let watches = Watchers::start(peer, WATCHED, N_WATCHES, N_SHARED).await?;
    let shared_delivery = self::delivery(watches, &mut connection).await?;
    Ok(Figures {
        creates_1,
        creates_32,
        gets,
        list,
        page,
        delivery,
        shared_delivery,
    })
}

async fn create_namespace(peer: &Peer, name: &str) -> Result<()> {
    let body =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}).to_string();
    peer.connect()
        .await?
        .call(Method::POST, "/api/v1/namespaces", body.into())
        .await?;
    Ok(())
}

/// The request that makes an object of 1 kB.
fn post(namespace: &str, name: &str) -> (String, Bytes) {
    let body = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": "bench"}},
        "data": {"data": "0123456789abcdef".repeat(50)},
    });
    (
        format!("/api/v1/namespaces/{namespace}/configmaps"),
        body.to_string().into(),
    )
}

async fn fill(peer: &Peer, namespace: &'static str, count: usize) -> Result<()> {
    const CALLERS: usize = 32;
    let mut callers = tokio::task::JoinSet::new();
    for (caller, mut connection) in peer.connect_all(CALLERS).await?.into_iter().enumerate() {
        callers.spawn(async move {
            for number in (caller..count).step_by(CALLERS) {
                let (path, body) = post(namespace, &format!("map-{number}"));
                connection.call(Method::POST, &path, body).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = callers.join_next().await {
        done??;
    }
    Ok(())
}

/// From one write to its arrival at the last of many watches, the median of several.
async fn delivery(watches: Watchers, writer: &mut Connection) -> Result<Duration> {
    watches.read(tokio::time::Instant::now()).await?;
    let mut times = Vec::new();
    for number in 0..N_WRITES {
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "watched"},
            "data": {"number": number.to_string(), "data": "0123456789abcdef".repeat(50)}});
        let read = watches.read(tokio::time::Instant::now() + LEAD + ARRIVED);
        tokio::time::sleep(LEAD).await;
        let start = tokio::time::Instant::now();
        writer
            .call(
                Method::PUT,
                "/api/v1/namespaces/watched/configmaps/watched",
                body.to_string().into(),
            )
            .await?;
        times.push(read.await?.duration_since(start));
    }
    times.sort();
    Ok(times[N_WRITES / 2])
}

/// The median of GETs through the `kube::Client` that the product uses.
async fn in_process() -> Result<Duration> {
    let server = Server::open(Config::new(Storage::Memory)).await?;
    let client = Client::new(server.client_service(Identity::admin()), "default");
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let (_, body) = post("default", "one");
    maps.create(
        &kube::api::PostParams::default(),
        &serde_json::from_slice(&body)?,
    )
    .await?;
    let mut times = Vec::new();
    for _ in 0..20_000 {
        let start = Instant::now();
        maps.get("one").await?;
        times.push(start.elapsed());
    }
    server.shutdown().await;
    times.sort();
    Ok(times[times.len() / 2])
}

/// One line of JSON for each number of objects.
pub(crate) async fn growth() -> Result<()> {
    let mut subject = Subject::start().await?;
    let peer = subject.peer()?;
    create_namespace(&peer, "rate").await?;
    let mut held = 0;
    for (namespace, objects) in [
        ("a", 1_000),
        ("b", 10_000),
        ("c", 100_000),
        ("d", 1_000_000),
    ] {
        create_namespace(&peer, namespace).await?;
        let start = Instant::now();
        fill(&peer, namespace, objects - held).await?;
        let creates = (objects - held) as f64 / start.elapsed().as_secs_f64();
        held = objects;
        let started = subject.restart().await?;
        let mut connections = peer.connect_all(16).await?;
        let gets = rate(&mut connections, RATE_TIME, Method::GET, move |_, _| {
            (
                format!("/api/v1/namespaces/{namespace}/configmaps/map-0"),
                Bytes::new(),
            )
        })
        .await?;
        let mut connection = connections.pop().context("a connection")?;
        let page = median(&mut connection, "/api/v1/configmaps?limit=500", 49).await?;
        let resident = subject.process.resident_bytes()?;
        let line = json!({
            "name": "kube-api growth", "objects": objects, "creates per second, 32 clients": creates.round(),
            "start, s": started.as_secs_f64(), "GET per second, 16 clients": gets.round(),
            "page of 500, ms": page.as_secs_f64() * 1e3, "resident, MB": megabytes(resident).round(),
            "file, MB": megabytes(subject.file_bytes()?).round(),
        });
        super::print(&line);
    }
    Ok(())
}
