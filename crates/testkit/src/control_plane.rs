//! A real Kubernetes control plane on loopback: etcd, kube-apiserver,
//! kube-controller-manager, kube-scheduler and kwok nodes.
//!
//! kwok plays the kubelets: its nodes become ready, pods run, and logs, exec,
//! attach and port-forward work against this machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Node;
use kube::api::{ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use serde_json::json;
use tempfile::TempDir;

use crate::certificates::Authority;
use crate::kubelet::{self, Kubelet};
use crate::process::{Launch, Process};
use crate::{real, wait};

/// How long the slowest part may take to start on a loaded machine.
const START_LIMIT: Duration = Duration::from_secs(120);

/// The bearer token of the cluster's administrator.
pub const ADMIN_TOKEN: &str = "admin-token";

/// What a control plane is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// Nodes that kwok plays; without any, neither kwok nor the scheduler is started.
    pub nodes: usize,
    /// Whether the controller manager runs (needed for service account tokens and namespaces).
    pub controllers: bool,
    /// Whether etcd waits for the disk, as in production; only benchmarks want it.
    pub fsync: bool,
    /// The network namespace the control plane runs in, with its address there.
    pub namespace: Option<(String, std::net::Ipv4Addr)>,
    /// The port on its own machine where the API server asks whose tokens are that it does not know.
    pub token_webhook: Option<u16>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            nodes: 3,
            controllers: true,
            fsync: false,
            namespace: None,
            token_webhook: None,
        }
    }
}

/// A running control plane; it ends when dropped.
#[derive(Debug)]
pub struct ControlPlane {
    processes: Vec<Process>,
    folder: TempDir,
    address: std::net::Ipv4Addr,
    port: u16,
    authority: String,
    /// The network namespace its pods run in.
    namespace: Option<String>,
    /// The TCP port on this machine that `kubectl port-forward` reaches, whatever the pod.
    forward_target: std::net::TcpListener,
}

impl ControlPlane {
    /// Starts a control plane and waits until it is usable.
    ///
    /// # Errors
    ///
    /// When a component is missing, ends, or is not ready in time.
    pub async fn start(config: &Config) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("drover-kube-").tempdir()?;
        let path = folder.path();
        let address = config
            .namespace
            .as_ref()
            .map_or(std::net::Ipv4Addr::LOCALHOST, |(_, address)| *address);
        let host = address.to_string();
        let authority = Authority::new("kube-ca")?;
        std::fs::write(path.join("ca.crt"), authority.pem())?;
        authority
            .serving(
                "kube-apiserver",
                &[
                    "localhost",
                    "kubernetes",
                    "kubernetes.default.svc",
                    "127.0.0.1",
                    "10.96.0.1",
                    &host,
                ],
            )?
            .write(path, "serving")?;
        authority
            .serving("kwok", &["localhost", "127.0.0.1", &host])?
            .write(path, "kubelet")?;
        authority
            .client("kube-apiserver-kubelet-client")?
            .write(path, "kubelet-client")?;
        let front_proxy = Authority::new("front-proxy-ca")?;
        std::fs::write(path.join("front-proxy-ca.crt"), front_proxy.pem())?;
        front_proxy
            .client("front-proxy-client")?
            .write(path, "front-proxy")?;
        authority
            .client("service-accounts")?
            .write(path, "service-accounts")?;
        std::fs::write(
            path.join("tokens.csv"),
            format!("{ADMIN_TOKEN},admin,admin,\"system:masters\"\n"),
        )?;

        let mut plane = Self {
            processes: Vec::new(),
            address,
            port: real::free_port()?,
            authority: authority.pem().to_owned(),
            namespace: config.namespace.as_ref().map(|(name, _)| name.clone()),
            forward_target: std::net::TcpListener::bind(("127.0.0.1", 0))?,
            folder,
        };
        plane.write_kubeconfig()?;
        plane.start_etcd_and_api_server(config)?;
        let client = plane.client().await?;
        plane.wait_ready(&client).await?;
        if config.controllers {
            plane.start_controllers(config)?;
        }
        if config.nodes > 0 {
            plane.start_nodes(config, &client).await?;
        }
        Ok(plane)
    }

    /// The API server's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.address, self.port)
    }

    /// The API server's address and port.
    #[must_use]
    pub fn address(&self) -> (std::net::Ipv4Addr, u16) {
        (self.address, self.port)
    }

    /// The certificate of the authority that signed the API server's, PEM.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// The working folder, which ends with the control plane.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The local listener that every port-forward of this cluster reaches.
    #[must_use]
    pub fn forward_target(&self) -> &std::net::TcpListener {
        &self.forward_target
    }

    /// The file whose contents are every pod's log.
    #[must_use]
    pub fn pod_log(&self) -> PathBuf {
        self.folder.path().join("pod.log")
    }

    /// A client with the administrator's rights.
    ///
    /// # Errors
    ///
    /// When the kubeconfig cannot be used.
    pub async fn client(&self) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig())?;
        let config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// Plays the kubelet for the agents of this cluster, where its pods run.
    ///
    /// # Errors
    ///
    /// When there is no client, or no folder for the pods' files.
    pub async fn kubelet(&self) -> Result<Kubelet> {
        self.play(false).await
    }

    /// The same, with pods that run from the agent's image (needs root).
    ///
    /// # Errors
    ///
    /// When there is no client, or no folder for the pods' files.
    pub async fn kubelet_of_images(&self) -> Result<Kubelet> {
        self.play(true).await
    }

    async fn play(&self, from_image: bool) -> Result<Kubelet> {
        Kubelet::start(kubelet::Config {
            from_image,
            client: self.client().await?,
            api_server: self.address(),
            authority: self.authority.clone(),
            namespace: self.namespace.clone(),
        })
    }

    /// The resident memory of etcd and kube-apiserver together, in bytes.
    ///
    /// # Errors
    ///
    /// When one of them has ended.
    pub fn resident_bytes(&self) -> Result<u64> {
        self.processes
            .iter()
            .take(2)
            .map(Process::resident_bytes)
            .sum()
    }

    fn write_kubeconfig(&self) -> Result<()> {
        let path = self.folder.path();
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url(), "certificate-authority": path.join("ca.crt")}}],
            "users": [{"name": "admin", "user": {"token": ADMIN_TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        });
        std::fs::write(
            path.join("kubeconfig"),
            serde_json::to_string_pretty(&kubeconfig)?,
        )?;
        Ok(())
    }

    fn launch(&self, config: &Config, name: &str) -> Result<Launch> {
        let namespace = config.namespace.as_ref().map(|(name, _)| name.as_str());
        let path = self.folder.path();
        Ok(Launch::in_namespace(namespace, name, &real::component(name)?, path).folder(path))
    }

    fn start_etcd_and_api_server(&mut self, config: &Config) -> Result<()> {
        let (client_port, peer_port) = (real::free_port()?, real::free_port()?);
        let mut etcd = self
            .launch(config, "etcd")?
            .args(["--data-dir", "etcd", "--log-level", "error"])
            .args([format!(
                "--listen-client-urls=http://127.0.0.1:{client_port}"
            )])
            .args([format!(
                "--advertise-client-urls=http://127.0.0.1:{client_port}"
            )])
            .args([format!("--listen-peer-urls=http://127.0.0.1:{peer_port}")]);
        if !config.fsync {
            etcd = etcd.args(["--unsafe-no-fsync"]);
        }
        self.processes.push(etcd.start()?);
        let api_server = self
            .launch(config, "kube-apiserver")?
            .args([format!("--etcd-servers=http://127.0.0.1:{client_port}")])
            .args([
                format!("--secure-port={}", self.port),
                format!("--bind-address={}", self.address),
            ])
            .args([format!("--advertise-address={}", self.address)])
            .args([
                "--tls-cert-file=serving.crt",
                "--tls-private-key-file=serving.key",
                "--client-ca-file=ca.crt",
            ])
            .args([
                // The server reads a public key from a certificate or PKCS #1, not from a PKCS #8 key.
                "--service-account-key-file=service-accounts.crt",
                "--service-account-signing-key-file=service-accounts.key",
            ])
            .args([
                "--service-account-issuer=https://kubernetes.default.svc",
                "--api-audiences=https://kubernetes.default.svc",
            ])
            .args([
                "--token-auth-file=tokens.csv",
                "--authorization-mode=RBAC",
                "--allow-privileged=true",
            ])
            .args([
                "--service-cluster-ip-range=10.96.0.0/16",
                "--disable-admission-plugins=ServiceAccount",
            ])
            .args([
                "--requestheader-client-ca-file=front-proxy-ca.crt",
                "--requestheader-allowed-names=front-proxy-client",
            ])
            .args([
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                "--requestheader-group-headers=X-Remote-Group",
            ])
            .args([
                "--requestheader-username-headers=X-Remote-User",
                "--enable-aggregator-routing=true",
            ])
            .args([
                "--proxy-client-cert-file=front-proxy.crt",
                "--proxy-client-key-file=front-proxy.key",
            ])
            .args([
                "--kubelet-client-certificate=kubelet-client.crt",
                "--kubelet-client-key=kubelet-client.key",
            ])
            .args(["--kubelet-preferred-address-types=InternalIP"])
            .args(self.token_webhook(config)?)
            .start()?;
        self.processes.push(api_server);
        Ok(())
    }

    /// Writes the file that `docs/access.md` shows, and the flags beside it.
    fn token_webhook(&self, config: &Config) -> Result<Vec<String>> {
        let Some(port) = config.token_webhook else {
            return Ok(Vec::new());
        };
        let webhook = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "drover",
            "clusters": [{"name": "drover", "cluster": {"server": format!("http://127.0.0.1:{port}/v1/authenticate")}}],
            "users": [{"name": "drover"}],
            "contexts": [{"name": "drover", "context": {"cluster": "drover", "user": "drover"}}],
        });
        std::fs::write(
            self.folder.path().join("token-webhook.yaml"),
            serde_json::to_string_pretty(&webhook)?,
        )?;
        let flag =
            |name: &str, value: &str| format!("--authentication-token-webhook-{name}={value}");
        Ok(vec![
            flag("config-file", "token-webhook.yaml"),
            flag("version", "v1"),
            flag("cache-ttl", "5s"),
        ])
    }

    async fn wait_ready(&mut self, client: &Client) -> Result<()> {
        let processes = &mut self.processes;
        wait::until("the API server to be ready", START_LIMIT, || {
            let running = processes.iter_mut().try_for_each(Process::still_running);
            let client = client.clone();
            async move {
                // A component that has ended is reported with its log; waiting on changes nothing but the time.
                running?;
                let request = http::Request::get("/readyz").body(Vec::new())?;
                client.request_text(request).await?;
                Ok(())
            }
        })
        .await
    }

    fn start_controllers(&mut self, config: &Config) -> Result<()> {
        let controllers = self
            .launch(config, "kube-controller-manager")?
            .args([
                "--kubeconfig=kubeconfig",
                "--authentication-kubeconfig=kubeconfig",
                "--authorization-kubeconfig=kubeconfig",
            ])
            .args([
                "--service-account-private-key-file=service-accounts.key",
                "--root-ca-file=ca.crt",
            ])
            .args([
                "--use-service-account-credentials=false",
                "--leader-elect=false",
                "--secure-port=0",
            ])
            .start()?;
        self.processes.push(controllers);
        Ok(())
    }

    async fn start_nodes(&mut self, config: &Config, client: &Client) -> Result<()> {
        let scheduler = self
            .launch(config, "kube-scheduler")?
            .args([
                "--kubeconfig=kubeconfig",
                "--authentication-kubeconfig=kubeconfig",
                "--authorization-kubeconfig=kubeconfig",
            ])
            .args(["--leader-elect=false", "--secure-port=0"])
            .start()?;
        self.processes.push(scheduler);
        let path = self.folder.path();
        std::fs::write(
            self.pod_log(),
            "2026-01-01T00:00:00.000000000Z stdout F first line\n",
        )?;
        // What each container logged before it was started anew.
        std::fs::write(
            self.pod_log().with_extension("log.before"),
            "2025-12-31T00:00:00.000000000Z stdout F line of the run before\n",
        )?;
        let stages = std::fs::read_to_string(real::component("kwok-stages.yaml")?)?;
        let endpoints = include_str!("../real/kwok.yaml")
            .replace("@LOGS@", &self.pod_log().display().to_string())
            .replace(
                "@PORT@",
                &self.forward_target.local_addr()?.port().to_string(),
            );
        std::fs::write(path.join("kwok.yaml"), format!("{endpoints}{stages}"))?;
        let kubelet_port = real::free_port()?;
        let kwok = self
            .launch(config, "kwok")?
            .args([
                "--config=kwok.yaml",
                "--kubeconfig=kubeconfig",
                "--manage-all-nodes=true",
                "--node-lease-duration-seconds=40",
            ])
            .args([
                "--cidr=10.0.0.0/16",
                "--tls-cert-file=kubelet.crt",
                "--tls-private-key-file=kubelet.key",
            ])
            .args([
                format!("--node-ip={}", self.address),
                format!("--node-port={kubelet_port}"),
            ])
            .args([format!("--server-address={}:{kubelet_port}", self.address)])
            .start()?;
        self.processes.push(kwok);
        let nodes: Api<Node> = Api::all(client.clone());
        for number in 1..=config.nodes {
            let name = format!("node-{number}");
            let node = json!({
                "apiVersion": "v1", "kind": "Node",
                "metadata": {
                    "name": name,
                    "annotations": {"kwok.x-k8s.io/node": "fake"},
                    "labels": {
                        "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                        "node-role.kubernetes.io/worker": "true", "type": "kwok",
                    },
                },
                "status": {
                    "allocatable": {"cpu": "32", "memory": "256Gi", "pods": "110"},
                    "capacity": {"cpu": "32", "memory": "256Gi", "pods": "110"},
                },
            });
            let apply = PatchParams::apply("drover-testkit");
            nodes.patch(&name, &apply, &Patch::Apply(&node)).await?;
            nodes
                .patch_status(&name, &apply.clone().force(), &Patch::Apply(&node))
                .await?;
        }
        wait::until("the nodes to be ready", START_LIMIT, || async {
            let ready = nodes
                .list(&ListParams::default())
                .await?
                .items
                .iter()
                .filter(|node| {
                    node.status
                        .iter()
                        .flat_map(|status| status.conditions.iter().flatten())
                        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
                })
                .count();
            anyhow::ensure!(
                ready == config.nodes,
                "{ready} of {} are ready",
                config.nodes
            );
            Ok(())
        })
        .await
        .context("kwok's nodes")
    }
}
