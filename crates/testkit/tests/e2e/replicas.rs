//! Two replicas of one hub over one Kubernetes API: each reaches the agents of both, and what is taken away at one is gone
//! at the other.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use drover_testkit::control_plane::{self, ControlPlane};
use drover_testkit::hub::{Hub, PASSWORD};
use drover_testkit::{apply, wait};
use futures::future::try_join_all;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use serde_json::json;

use crate::fixture::{LIMIT, World, behind, kubectl, turn};

/// How soon everything is over, everywhere.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How often it is tried: the machine may be busy with something else for a moment.
const TRIES: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_reaches_an_agent_and_knows_what_was_revoked() -> Result<()> {
    let _turn = turn().await;
    let (_behind, config) = behind().await?;
    // Agents are told the URL of the one that started last.
    let mut other = Hub::start(config.clone()).await?;
    let hub = Hub::start(config).await?;
    let plane = ControlPlane::start(&control_plane::Config::default()).await?;
    let mut world = World::join(hub, plane).await?;
    let nodes = format!("/k8s/clusters/{}/api/v1/nodes", world.id);

    let token = json!({"type": "token", "description": "for both"});
    let token = world.session.http.post("/v3/tokens", &token).await?;
    let token = token.expect(201)?.json()?;
    let (name, token) = (
        token["name"].as_str().context("no name")?.to_owned(),
        token["token"].as_str().context("no token")?.to_owned(),
    );
    reaches(&other, &token, &nodes).await?;
    everything_ends(&world, &other).await?;

    // A replica that ended in whatever way is found again, the one without the agent and the one with it.
    other.kill()?;
    other.resume().await?;
    reaches(&other, &token, &nodes).await?;
    world.hub.kill()?;
    wait::until("the cluster to be out of reach", LIMIT, || async {
        let answer = other.http(Some(&token))?.get(&nodes).await?;
        ensure!(answer.status == 503, "{}", answer.status);
        Ok(())
    })
    .await?;
    world.hub.resume().await?;
    reaches(&other, &token, &nodes).await?;

    let path = format!("/v3/tokens/{name}");
    world.session.http.delete(&path).await?.expect(204)?;
    wait::until("the token to be refused everywhere", LIMIT, || async {
        let answer = other.http(Some(&token))?.get(&nodes).await?;
        ensure!(answer.status == 401, "{}", answer.status);
        Ok(())
    })
    .await
}

async fn reaches(hub: &Hub, token: &str, path: &str) -> Result<()> {
    wait::until("the other replica to reach the cluster", LIMIT, || async {
        let answer = hub
            .http(Some(token))?
            .get(path)
            .await?
            .expect(200)?
            .json()?;
        ensure!(answer["kind"] == "NodeList", "{answer}");
        Ok(())
    })
    .await
}

/// Whatever takes rights away at one replica ends requests, watches and shells at both.
async fn everything_ends(world: &World, other: &Hub) -> Result<()> {
    let admin = world.kubeconfig().await?;
    kubectl(&admin, &["create", "namespace", "work"]).await?;
    let image = "--image=registry.example/tool:1";
    kubectl(&admin, &["run", "tool", "-n", "work", image]).await?;
    let ready = [
        "wait",
        "-n",
        "work",
        "--for=condition=Ready",
        "pod/tool",
        "--timeout=60s",
    ];
    kubectl(&admin, &ready).await?;
    for what in ["session", "binding", "user"] {
        let mut took = Vec::new();
        for n in 0..TRIES {
            took.push(takes_away(world, other, what, n).await.context(what)?);
            if took[n] <= AT_ONCE {
                break;
            }
        }
        ensure!(
            took.last().is_some_and(|last| *last <= AT_ONCE),
            "{what}: {took:?}"
        );
    }
    Ok(())
}

/// Takes something away from somebody who works at both replicas; how long anything of it went on.
async fn takes_away(world: &World, other: &Hub, what: &str, n: usize) -> Result<Duration> {
    let name = format!("{what}-{n}");
    let person = world.person(&name).await?;
    let binding = world.bind(&person, "cluster-owner").await?;
    let session = world.hub.login_as(&name, PASSWORD).await?;
    let mut works = Vec::new();
    for hub in [&world.hub, other] {
        works.push(Work::begin(hub, &world.id, &session.token, &name).await?);
    }
    let http = &world.session.http;
    match what {
        "session" => {
            let out = session
                .http
                .post("/v3/tokens?action=logout", &json!({}))
                .await?;
            out.expect(200)?;
        }
        "binding" => {
            let path = format!("/v3/clusterroletemplatebindings/{binding}");
            http.delete(&path).await?.expect(204)?;
        }
        _ => {
            let path = format!("/v3/users/{person}");
            http.put(&path, &json!({"enabled": false}))
                .await?
                .expect(200)?;
        }
    }
    let start = Instant::now();
    try_join_all(works.into_iter().map(Work::ended)).await?;
    Ok(start.elapsed())
}

/// What somebody does at a replica.
struct Work<'a> {
    hub: &'a Hub,
    token: &'a str,
    path: String,
    watch: BoxStream<'static, kube::Result<WatchEvent<ConfigMap>>>,
    shell: Child,
    /// The shell goes on as long as it is open.
    _input: ChildStdin,
}

impl<'a> Work<'a> {
    async fn begin(hub: &'a Hub, cluster: &str, token: &'a str, name: &str) -> Result<Self> {
        let path = format!("/k8s/clusters/{cluster}/api/v1/namespaces/work/configmaps");
        reaches_maps(hub, token, &path).await?;
        let file = hub.folder().join(format!("{name}.yaml"));
        kubeconfig(hub, cluster, token, &file)?;
        let options = KubeConfigOptions::default();
        let config = Kubeconfig::read_from(&file)?;
        let config = kube::Config::from_custom_kubeconfig(config, &options).await?;
        let maps: Api<ConfigMap> = Api::namespaced(Client::try_from(config)?, "work");
        let listed = maps.list(&ListParams::default()).await?;
        let version = listed.metadata.resource_version.context("no revision")?;
        let until = WatchParams::default().timeout(290);
        let watch = maps.watch(&until, &version).await?.boxed();
        let (shell, input) = shell(&file).await?;
        Ok(Self {
            hub,
            token,
            path,
            watch,
            shell,
            _input: input,
        })
    }

    /// Completes when nothing of it goes on.
    async fn ended(mut self) -> Result<()> {
        let all = async {
            while let Ok(Some(_)) = self.watch.try_next().await {}
            wait::until("the shell to end", LIMIT, || {
                let ended = self.shell.try_wait().map_err(anyhow::Error::from);
                std::future::ready(ended.and_then(|ended| ended.context("it goes on")))
            })
            .await?;
            wait::until("a request to be refused", LIMIT, || async {
                let answer = self.hub.http(Some(self.token))?.get(&self.path).await?;
                ensure!(
                    [401, 403].contains(&answer.status.as_u16()),
                    "{}",
                    answer.status
                );
                Ok(())
            })
            .await
        };
        let ended = tokio::time::timeout(LIMIT, all).await;
        ended.context("something went on")?
    }
}

/// Waits until somebody may read in the namespace.
async fn reaches_maps(hub: &Hub, token: &str, path: &str) -> Result<()> {
    wait::until("rights in the cluster", LIMIT, || async {
        hub.http(Some(token))?
            .get(path)
            .await?
            .expect(200)
            .map(drop)
    })
    .await
}

/// A kubeconfig for one replica alone; those that the hub writes lead to where `server-url` says.
fn kubeconfig(hub: &Hub, cluster: &str, token: &str, file: &Path) -> Result<()> {
    let server = format!("{}/k8s/clusters/{cluster}", hub.url());
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": server, "insecure-skip-tls-verify": true}}],
        "users": [{"name": "it", "user": {"token": token}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    });
    std::fs::write(file, config.to_string())?;
    Ok(())
}

/// A shell in the pod that answered, and what keeps it open.
async fn shell(kubeconfig: &Path) -> Result<(Child, ChildStdin)> {
    let line = [
        "exec",
        "-n",
        "work",
        "-i",
        "tool",
        "--",
        "sh",
        "-c",
        "echo open; cat",
    ];
    let mut shell = apply::command(kubeconfig, &line)?
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let input = shell.stdin.take().context("no pipe")?;
    let mut output = BufReader::new(shell.stdout.take().context("no pipe")?);
    let first = tokio::task::spawn_blocking(move || {
        let mut first = String::new();
        output.read_line(&mut first).map(|_| first)
    });
    let first = tokio::time::timeout(LIMIT, first).await???;
    ensure!(first == "open\n", "{first}");
    Ok((shell, input))
}
