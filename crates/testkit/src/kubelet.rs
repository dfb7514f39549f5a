//! Plays the kubelet for the agent's Deployment: starts `drover-agent` as a
//! process with the variables and files that its pod would have.
//!
//! Rolls over as the Deployment says (new one first, then the old one goes),
//! keeps as many as `spec.replicas` asks for, and restarts what ends.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Container, Secret, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, Client};
use tempfile::TempDir;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

use crate::image::Image;
use crate::process::{Launch, Process};
use crate::real;

const NAMESPACE: &str = "cattle-system";
const DEPLOYMENT: &str = "cattle-cluster-agent";
const AUTHENTICATOR: &str = "kube-api-auth";
/// Where the import manifest mounts the agent's credentials.
const CREDENTIALS: &str = "/cattle-credentials";
/// Where Kubernetes mounts a pod's account.
pub const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The account that agents run as.
const ACCOUNT: &str = "cattle";
/// How long a pod may take to end, as Kubernetes has it.
const GRACE: Duration = Duration::from_secs(30);
/// The pause between two looks at the Deployment.
const PAUSE: Duration = Duration::from_millis(200);

/// Where the agent runs and what it sees of its cluster.
#[derive(Clone)]
pub struct Config {
    /// Full rights in the cluster.
    pub client: Client,
    /// The API server's address as pods see it.
    pub api_server: (Ipv4Addr, u16),
    /// The API server's CA as pods see it, PEM.
    pub authority: String,
    /// The network namespace that pods run in.
    pub namespace: Option<String>,
    /// Whether pods run from the agent's image, in a root of their own (needs root), and not from the program alone.
    pub from_image: bool,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Config")
            .field("api_server", &self.api_server)
            .finish_non_exhaustive()
    }
}

/// The agents of one cluster; they end when dropped.
#[derive(Debug)]
pub struct Kubelet {
    config: Config,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    folder: TempDir,
    running: Vec<Agent>,
    /// Replaced agents that were asked to end.
    ending: Vec<(Process, Instant)>,
    started: usize,
    paused: bool,
    failure: Option<String>,
}

#[derive(Debug)]
struct Agent {
    process: Process,
    /// The pod template it was started from, as JSON.
    template: String,
}

impl Kubelet {
    /// Begins to follow the Deployment, which need not be there yet.
    ///
    /// # Errors
    ///
    /// When there is no folder for the pods' files.
    pub fn start(config: Config) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("drover-agent-").tempdir()?;
        let state = Arc::new(Mutex::new(State {
            folder,
            running: Vec::new(),
            ending: Vec::new(),
            started: 0,
            paused: false,
            failure: None,
        }));
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn({
            let (state, config) = (Arc::clone(&state), config.clone());
            async move {
                loop {
                    let outcome = state.lock().await.reconcile(&config).await;
                    state.lock().await.failure = outcome.err().map(|error| format!("{error:#}"));
                    tokio::select! {
                        _ = &mut stopped => return,
                        () = tokio::time::sleep(PAUSE) => {}
                    }
                }
            }
        });
        Ok(Self {
            config,
            state,
            stop: Some(stop),
            task,
        })
    }

    /// Kills all agents at once; `resume` lets new ones start.
    ///
    /// # Errors
    ///
    /// When one cannot be waited for.
    pub async fn kill_all(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        state.paused = true;
        state.ending.clear();
        for mut agent in state.running.drain(..) {
            agent.process.kill()?;
        }
        Ok(())
    }

    /// Kills the agent that was started last, at once; `resume` lets another start in its place.
    ///
    /// # Errors
    ///
    /// When none runs, or it cannot be waited for.
    pub async fn kill_newest(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        state.paused = true;
        let mut agent = state.running.pop().context("no agent runs")?;
        agent.process.kill()
    }

    /// Runs the pod of the DaemonSet for the cluster's own endpoint on the node of this name, listening on this port.
    ///
    /// # Errors
    ///
    /// When there is no such DaemonSet, or its pod cannot be started.
    pub async fn start_authenticator(&self, node: &str, port: u16) -> Result<Process> {
        let sets: Api<DaemonSet> = Api::namespaced(self.config.client.clone(), NAMESPACE);
        let set = sets.get(AUTHENTICATOR).await?;
        let pod = set.spec.template.spec.context("the pod has no spec")?;
        let container = pod.containers.into_iter().next();
        let container = container.context("the pod has no container")?;
        let command = container.command.clone().unwrap_or_default();
        anyhow::ensure!(
            command == ["drover-agent", "authenticate"],
            "the pod runs {command:?}"
        );
        let mut state = self.state.lock().await;
        state.started += 1;
        let folder = state.folder.path().join(format!("pod-{}", state.started));
        drop(state);
        agent(&self.config, &container, "authenticate", &folder)
            .await?
            .env("DROVER_NODE_NAME", node)
            .env("DROVER_AUTHENTICATE_LISTEN", format!("127.0.0.1:{port}"))
            .start()
    }

    /// Lets agents start again.
    pub async fn resume(&self) {
        self.state.lock().await.paused = false;
    }

    /// How many agents run.
    pub async fn running(&self) -> usize {
        self.state.lock().await.running.len()
    }

    /// How many agents were started so far.
    pub async fn started(&self) -> usize {
        self.state.lock().await.started
    }

    /// Resident memory of the largest agent, in bytes.
    ///
    /// # Errors
    ///
    /// When none runs.
    pub async fn resident_bytes(&self) -> Result<u64> {
        let state = self.state.lock().await;
        let sizes: Result<Vec<u64>> = state
            .running
            .iter()
            .map(|agent| agent.process.resident_bytes())
            .collect();
        sizes?.into_iter().max().context("no agent runs")
    }

    /// CPU time of all running agents.
    ///
    /// # Errors
    ///
    /// When one has ended.
    pub async fn cpu_time(&self) -> Result<Duration> {
        self.state
            .lock()
            .await
            .running
            .iter()
            .map(|agent| agent.process.cpu_time())
            .sum()
    }

    /// The end of all agents' logs and the last failure of the kubelet itself, for messages.
    pub async fn report(&self) -> String {
        let state = self.state.lock().await;
        let mut report = state.failure.clone().unwrap_or_default();
        for agent in &state.running {
            let output = agent.process.output();
            let tail: Vec<&str> = output.lines().rev().take(30).collect();
            report.push('\n');
            report.extend(tail.into_iter().rev().flat_map(|line| [line, "\n"]));
        }
        report
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The task may have ended with its runtime.
            let _: Result<(), ()> = stop.send(());
        }
        self.task.abort();
    }
}

impl State {
    async fn reconcile(&mut self, config: &Config) -> Result<()> {
        if self.paused {
            return Ok(());
        }
        let deployments: Api<Deployment> = Api::namespaced(config.client.clone(), NAMESPACE);
        let Some(deployment) = deployments.get_opt(DEPLOYMENT).await? else {
            self.running.clear();
            self.ending.clear();
            return Ok(());
        };
        self.running
            .retain_mut(|agent| agent.process.still_running().is_ok());
        let spec = deployment.spec;
        let template = serde_json::to_string(&spec.template)?;
        let wanted = usize::try_from(spec.replicas.unwrap_or(1))?;
        let current = self
            .running
            .iter()
            .filter(|agent| agent.template == template)
            .count();
        let container = spec
            .template
            .spec
            .and_then(|pod| pod.containers.into_iter().next());
        let container = container.context("the pod has no container")?;
        for _ in current..wanted {
            let process = self.launch(config, &container).await?;
            self.running.push(Agent {
                process,
                template: template.clone(),
            });
        }
        // Processes have no readiness; the old ones go as soon as the new ones were started.
        let (mut kept, mut replaced): (Vec<_>, Vec<_>) = self
            .running
            .drain(..)
            .partition(|agent| agent.template == template);
        replaced.extend(kept.drain(..kept.len().saturating_sub(wanted)));
        self.running = kept;
        for agent in replaced {
            agent.process.terminate()?;
            self.ending.push((agent.process, Instant::now()));
        }
        // Who does not end in time is killed by being dropped.
        self.ending.retain_mut(|(process, since)| {
            process.still_running().is_ok() && since.elapsed() < GRACE
        });
        Ok(())
    }

    async fn launch(&mut self, config: &Config, container: &Container) -> Result<Process> {
        self.started += 1;
        let folder = self.folder.path().join(format!("pod-{}", self.started));
        agent(config, container, "cluster", &folder).await?.start()
    }
}

/// `drover-agent MODE` with what a pod with this container would have, not started yet.
async fn agent(
    config: &Config,
    container: &Container,
    mode: &str,
    folder: &Path,
) -> Result<Launch> {
    let environment: BTreeMap<String, String> = container
        .env
        .iter()
        .flatten()
        .map(|variable| {
            (
                variable.name.clone(),
                variable.value.clone().unwrap_or_default(),
            )
        })
        .collect();
    let credential = environment
        .get("CATTLE_CREDENTIAL_NAME")
        .context("no CATTLE_CREDENTIAL_NAME")?;
    let launch = if config.from_image {
        let image = Image::unpack("drover-agent", &folder.join("root"))?;
        write_secret(config, credential, &image.path(CREDENTIALS)).await?;
        write_service_account(config, &image.path(SERVICE_ACCOUNT)).await?;
        let command = container.command.iter().flatten().skip(1);
        let arguments: Vec<String> = command
            .chain(container.args.iter().flatten())
            .cloned()
            .collect();
        image.launch("agent", &arguments, folder)?
    } else {
        let credentials = folder.join("credentials");
        write_secret(config, credential, &credentials).await?;
        let account = folder.join("service-account");
        write_service_account(config, &account).await?;
        Launch::in_namespace(
            config.namespace.as_deref(),
            "agent",
            &real::product("drover-agent")?,
            folder,
        )
        .clean_environment()
        .folder(folder)
        .args([mode, "--credentials-dir"])
        .args([&credentials])
        .args(["--service-account-dir"])
        .args([&account])
    };
    let (address, port) = config.api_server;
    let mut launch = launch
        .env("KUBERNETES_SERVICE_HOST", address.to_string())
        .env("KUBERNETES_SERVICE_PORT", port.to_string());
    for (name, value) in &environment {
        launch = launch.env(name, value);
    }
    Ok(launch)
}

async fn write_secret(config: &Config, name: &str, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let secrets: Api<Secret> = Api::namespaced(config.client.clone(), NAMESPACE);
    let secret = secrets
        .get(name)
        .await
        .with_context(|| format!("the Secret {name}"))?;
    for (key, value) in secret.data.unwrap_or_default() {
        std::fs::write(folder.join(key), value.0)?;
    }
    Ok(())
}

/// A token of the agent's account, as its pods get one.
///
/// # Errors
///
/// When the cluster gives none.
pub async fn account_token(client: Client) -> Result<String> {
    token_of(client, ACCOUNT).await
}

/// A token of an account, as pods of Drover's namespace get one.
///
/// # Errors
///
/// When the cluster gives none.
pub async fn token_of(client: Client, account: &str) -> Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client, NAMESPACE);
    let request = TokenRequest {
        spec: Some(TokenRequestSpec::default()),
        ..TokenRequest::default()
    };
    let token = accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await
        .context("a token for the pod")?;
    let token = token.status.and_then(|status| status.token);
    token.context("the token request gave no token")
}

async fn write_service_account(config: &Config, folder: &PathBuf) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let token = account_token(config.client.clone()).await?;
    std::fs::write(folder.join("token"), token)?;
    let maps: Api<ConfigMap> = Api::namespaced(config.client.clone(), NAMESPACE);
    // A simulated cluster signs with a new authority at each start and publishes none.
    let published = maps
        .get_opt("kube-root-ca.crt")
        .await?
        .and_then(|map| map.data?.remove("ca.crt"));
    let published = published.filter(|authority| !authority.is_empty());
    std::fs::write(
        folder.join("ca.crt"),
        published.unwrap_or_else(|| config.authority.clone()),
    )?;
    std::fs::write(folder.join("namespace"), NAMESPACE)?;
    Ok(())
}
