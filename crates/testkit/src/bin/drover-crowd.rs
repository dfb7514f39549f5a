//! A server and an imported cluster of many pods, for figures of the web UI (`npm run bench` in `ui/`).
//!
//! The cluster is simulated, so that it is filled in a minute; the agent and
//! the server are real. Prints one line of JSON that says where everything is,
//! then obeys lines on standard input, each answered by `ok` or `error: ...`:
//!
//! - `stir N`: N pods report another number of restarts
//! - `renew N`: N pods are deleted, N others made
//!
//! It ends, and all with it, when standard input does.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it speaks to its parent on standard output"
)]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use drover_testkit::hub::{self, Hub};
use drover_testkit::kubelet::{self, Kubelet};
use drover_testkit::obey::obey;
use drover_testkit::simulated::{self, Simulated};
use drover_testkit::{apply, chance::Chance};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(120);
/// Writers at once.
const AT_ONCE: usize = 32;
const NAMESPACES: usize = 20;

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
    let n_pods = std::env::args().nth(1).context("how many pods?")?.parse()?;
    let hub = Hub::start(hub::Config::default()).await?;
    let cluster = Simulated::start(&simulated::Config {
        nodes: 3,
        pods: 0,
        data: None,
        port: 0,
    })
    .await?;
    let session = hub.login().await?;
    let id = session.create_cluster("crowd").await?;
    apply::apply(&cluster.kubeconfig(), &session.manifest(&id).await?).await?;
    let client = cluster.client().await?;
    let _agents = Kubelet::start(kubelet::Config {
        from_image: false,
        client: client.clone(),
        api_server: cluster.address(),
        authority: cluster.authority().to_owned(),
        namespace: None,
    })?;
    let mut crowd = Crowd {
        client,
        pods: 0..0,
        chance: Chance::new(7),
    };
    crowd.make_namespaces().await?;
    crowd.make(n_pods).await?;
    session.wait_state(&id, "active", LIMIT).await?;
    println!(
        "{}",
        json!({"url": hub.url(), "password": hub::PASSWORD, "cluster": id})
    );
    obey(async |line| crowd.obey(line).await).await
}

/// The pods, by their numbers.
struct Crowd {
    client: kube::Client,
    pods: std::ops::Range<usize>,
    chance: Chance,
}

impl Crowd {
    async fn obey(&mut self, line: &str) -> Result<()> {
        let (command, number) = line.split_once(' ').unwrap_or((line, ""));
        let number: usize = number.parse().context("a number is expected")?;
        match command {
            "stir" => self.stir(number).await,
            "renew" => {
                let gone = self.pods.start..self.pods.start + number;
                self.pods.start = gone.end;
                each(gone, |pod| self.delete(pod)).await?;
                self.make(number).await
            }
            _ => bail!("unknown command `{line}`"),
        }
    }

    fn api(&self, pod: usize) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &format!("team-{}", pod % NAMESPACES))
    }

    async fn make_namespaces(&self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        for number in 0..NAMESPACES {
            let namespace = json!({"metadata": {"name": format!("team-{number}")}});
            let namespace = serde_json::from_value(namespace)?;
            namespaces
                .create(&PostParams::default(), &namespace)
                .await?;
        }
        Ok(())
    }

    async fn make(&mut self, n_pods: usize) -> Result<()> {
        let made = self.pods.end..self.pods.end + n_pods;
        self.pods.end = made.end;
        each(made, |pod| self.make_one(pod)).await
    }

    async fn make_one(&self, pod: usize) -> Result<()> {
        let (name, node) = (name(pod), format!("node-{}", pod % 3 + 1));
        let object = json!({
            "metadata": {"name": name, "labels": {"app": format!("app-{}", pod % 500), "tier": "web"}},
            "spec": {"nodeName": node, "containers": [{
                "name": "web", "image": format!("registry.example/web-{}:1.0", pod % 50),
                "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
            }]},
        });
        self.api(pod)
            .create(&PostParams::default(), &serde_json::from_value(object)?)
            .await?;
        self.report(pod, 0).await
    }

    async fn stir(&mut self, n_pods: usize) -> Result<()> {
        let span = self.pods.len();
        let stirred: Vec<(usize, usize)> = (0..n_pods)
            .map(|_| {
                (
                    self.pods.start + self.chance.below(span),
                    self.chance.below(90),
                )
            })
            .collect();
        each(stirred, |(pod, restarts)| self.report(pod, restarts)).await
    }

    /// What a kubelet says of a running pod.
    async fn report(&self, pod: usize, restarts: usize) -> Result<()> {
        let status = json!({"status": {
            "phase": "Running", "podIP": format!("10.{}.{}.{}", pod / 65_536, pod / 256 % 256, pod % 256),
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{
                "name": "web", "ready": true, "restartCount": restarts, "image": "", "imageID": "",
                "state": {"running": {}},
            }],
        }});
        self.api(pod)
            .patch_status(&name(pod), &PatchParams::default(), &Patch::Merge(status))
            .await
            .context("report")?;
        Ok(())
    }

    async fn delete(&self, pod: usize) -> Result<()> {
        let now = DeleteParams::default().grace_period(0);
        self.api(pod).delete(&name(pod), &now).await?;
        Ok(())
    }
}

fn name(pod: usize) -> String {
    format!("app-{}-{pod}", pod % 500)
}

async fn each<T, F: Future<Output = Result<()>>>(
    all: impl IntoIterator<Item = T>,
    run: impl Fn(T) -> F,
) -> Result<()> {
    futures::stream::iter(all)
        .map(|one| Ok(run(one)))
        .try_buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}
