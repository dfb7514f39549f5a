//! A cluster played by `kube-api`: served over TLS like a real API server,
//! with nodes that beat and pods that come and go.
//!
//! For the demo and for many clusters at once; what depends on the behaviour
//! of a real control plane is tested on one ([`crate::control_plane`]).

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use drover_kube_api::{Identity, Server, Storage};
use hyper::body::Incoming;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::certificates::Authority;

/// Bearer token of the administrator.
pub const ADMIN_TOKEN: &str = "simulated-admin";
/// How often nodes report.
const BEAT: Duration = Duration::from_secs(10);

/// What the cluster is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many nodes it has.
    pub nodes: usize,
    /// How many pods its Deployment has.
    pub pods: usize,
    /// Where it is kept; in memory when absent.
    pub data: Option<PathBuf>,
    /// Port of its API server; 0 takes a free one.
    pub port: u16,
}

/// A running simulated cluster; it ends when dropped.
#[derive(Debug)]
pub struct Simulated {
    folder: TempDir,
    port: u16,
    authority: String,
    tasks: JoinSet<()>,
    server: Server,
}

impl Simulated {
    /// Starts a cluster.
    ///
    /// # Errors
    ///
    /// When its store or its port cannot be had.
    pub async fn start(config: &Config) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("drover-simulated-")
            .tempdir()?;
        let storage = config
            .data
            .as_ref()
            .map_or(Storage::Memory, |path| Storage::File(path.clone()));
        let server = Server::open(drover_kube_api::Config::new(storage)).await?;
        let authority = Authority::new("simulated-ca")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port))
            .await
            .context("the cluster's port")?;
        let mut simulated = Self {
            port: listener.local_addr()?.port(),
            authority: authority.pem().to_owned(),
            tasks: JoinSet::new(),
            folder,
            server,
        };
        let leaf = authority.serving(
            "kube-apiserver",
            &["localhost", "kubernetes.default.svc", "127.0.0.1"],
        )?;
        let chain = rustls::pki_types::pem::PemObject::from_pem_slice(leaf.certificate.as_bytes());
        let chain: rustls::pki_types::CertificateDer<'static> = chain.context("the certificate")?;
        let key = rustls::pki_types::pem::PemObject::from_pem_slice(leaf.key.as_bytes())
            .context("the key")?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        simulated.tasks.spawn(serve(
            listener,
            tokio_rustls::TlsAcceptor::from(Arc::new(tls)),
            simulated.server.clone(),
        ));
        simulated.write_kubeconfig()?;
        let client = simulated.client().await?;
        populate(&client, config)
            .await
            .context("fill the simulated cluster")?;
        simulated.tasks.spawn(live(client, config.clone()));
        Ok(simulated)
    }

    /// The API server's address.
    #[must_use]
    pub fn address(&self) -> (Ipv4Addr, u16) {
        (Ipv4Addr::LOCALHOST, self.port)
    }

    /// The API server's CA, PEM.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
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

    /// Ends the cluster so that all it acknowledged is on disk.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        self.server.shutdown().await;
    }

    fn write_kubeconfig(&self) -> Result<()> {
        std::fs::write(self.folder.path().join("ca.crt"), &self.authority)?;
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "simulated",
            "clusters": [{"name": "simulated", "cluster": {
                "server": format!("https://127.0.0.1:{}", self.port),
                "certificate-authority": self.folder.path().join("ca.crt"),
            }}],
            "users": [{"name": "admin", "user": {"token": ADMIN_TOKEN}}],
            "contexts": [{"name": "simulated", "context": {"cluster": "simulated", "user": "admin"}}],
        });
        std::fs::write(
            self.kubeconfig(),
            serde_json::to_string_pretty(&kubeconfig)?,
        )?;
        Ok(())
    }
}

async fn serve(listener: TcpListener, acceptor: tokio_rustls::TlsAcceptor, server: Server) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, remote)) = accepted else {
            continue;
        };
        // As kube-apiserver does: else what follows a handshake waits for the client's delayed acknowledgement.
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let (acceptor, server) = (acceptor.clone(), server.clone());
        connections.spawn(async move {
            let stream = match acceptor.accept(stream).await {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::debug!(%remote, %error, "the TLS handshake failed");
                    return;
                }
            };
            crate::serve::connection(stream, server.service().map_request(as_admin)).await;
        });
    }
}

/// Who shows the administrator's token is the administrator; anyone else is whoever the token says.
fn as_admin(mut request: http::Request<Incoming>) -> http::Request<Incoming> {
    let admin = format!("Bearer {ADMIN_TOKEN}");
    if request
        .headers()
        .get(http::header::AUTHORIZATION)
        .is_some_and(|value| value.as_bytes() == admin.as_bytes())
    {
        request.headers_mut().remove(http::header::AUTHORIZATION);
        request.extensions_mut().insert(Identity::admin());
    }
    request
}

fn resource(api_version: &str, kind: &str, plural: &str) -> ApiResource {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

async fn put(
    client: &Client,
    kind: &ApiResource,
    namespace: Option<&str>,
    object: &Value,
    status: bool,
) -> Result<()> {
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, kind),
        None => Api::all_with(client.clone(), kind),
    };
    let name = object["metadata"]["name"]
        .as_str()
        .context("an object without a name")?;
    let parameters = PatchParams::apply("simulation").force();
    let mut applied = object.clone();
    if !status {
        api.patch(name, &parameters, &Patch::Apply(&applied))
            .await
            .with_context(|| format!("{} {name}", kind.kind))?;
        return Ok(());
    }
    if let Some(fields) = applied.as_object_mut() {
        fields.remove("spec");
    }
    api.patch_status(name, &parameters, &Patch::Apply(&applied))
        .await
        .with_context(|| format!("{} {name}", kind.kind))?;
    Ok(())
}

async fn populate(client: &Client, config: &Config) -> Result<()> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    put(
        client,
        &resource("v1", "Namespace", "namespaces"),
        None,
        &namespace,
        false,
    )
    .await?;
    for number in 1..=config.nodes {
        let node = node(number);
        put(client, &resource("v1", "Node", "nodes"), None, &node, false).await?;
        put(client, &resource("v1", "Node", "nodes"), None, &node, true).await?;
    }
    let labels = json!({"app": "web"});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop", "labels": labels},
        "spec": {"replicas": config.pods, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "web", "image": "registry.example/web:1.0", "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}}]},
        }},
        "status": {
            "observedGeneration": 1, "replicas": config.pods, "readyReplicas": config.pods, "updatedReplicas": config.pods,
            "availableReplicas": config.pods,
        },
    });
    let deployments = resource("apps/v1", "Deployment", "deployments");
    put(client, &deployments, Some("shop"), &deployment, false).await?;
    put(client, &deployments, Some("shop"), &deployment, true).await?;
    // Those of an earlier run count their generations differently.
    let pods: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), "shop", &resource("v1", "Pod", "pods"));
    let now = DeleteParams {
        grace_period_seconds: Some(0),
        ..DeleteParams::default()
    };
    pods.delete_collection(&now, &ListParams::default())
        .await
        .context("remove the pods of an earlier run")?;
    for number in 0..config.pods {
        replace_pod(client, config, number, 0).await?;
    }
    Ok(())
}

fn node(number: usize) -> Value {
    let name = format!("node-{number}");
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let role = if number == 1 {
        "node-role.kubernetes.io/control-plane"
    } else {
        "node-role.kubernetes.io/worker"
    };
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", role: "true",
        }, "annotations": {"node.alpha.kubernetes.io/ttl": "0"}},
        "status": {
            "capacity": {"cpu": "8", "memory": "32Gi", "pods": "110"},
            "allocatable": {"cpu": "8", "memory": "31Gi", "pods": "110"},
            "addresses": [{"type": "InternalIP", "address": format!("10.1.0.{number}")}, {"type": "Hostname", "address": name}],
            "nodeInfo": {
                "kubeletVersion": "v1.36.3", "kubeProxyVersion": "", "osImage": "Simulated Linux", "kernelVersion": "6.12",
                "containerRuntimeVersion": "containerd://2.1", "operatingSystem": "linux", "architecture": "amd64",
                "machineID": "", "systemUUID": "", "bootID": "",
            },
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "simulated",
                "lastHeartbeatTime": now, "lastTransitionTime": now,
            }],
        },
    })
}

/// Replaces the pod of a place by its next generation, as a rollout would.
async fn replace_pod(
    client: &Client,
    config: &Config,
    number: usize,
    generation: u64,
) -> Result<()> {
    let pods = resource("v1", "Pod", "pods");
    let name = format!("web-{number}-{generation}");
    let node = format!("node-{}", number % config.nodes.max(1) + 1);
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": "web"}},
        "spec": {"nodeName": node, "containers": [
            {"name": "web", "image": "registry.example/web:1.0", "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}},
        ]},
        "status": {
            "phase": "Running", "podIP": format!("10.2.{}.{}", number / 250, number % 250 + 1), "startTime": now,
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}],
            "containerStatuses": [{
                "name": "web", "ready": true, "started": true, "restartCount": 0, "image": "registry.example/web:1.0",
                "imageID": "", "state": {"running": {"startedAt": now}},
            }],
        },
    });
    put(client, &pods, Some("shop"), &pod, false).await?;
    put(client, &pods, Some("shop"), &pod, true).await?;
    if generation > 0 {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "shop", &pods);
        let old = format!("web-{number}-{}", generation - 1);
        let now = DeleteParams {
            grace_period_seconds: Some(0),
            ..DeleteParams::default()
        };
        match api.delete(&old, &now).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error).context("delete the old pod"),
        }
    }
    Ok(())
}

/// Keeps nodes beating and replaces one pod with each beat.
async fn live(client: Client, config: Config) {
    let mut beat = 0_usize;
    loop {
        tokio::time::sleep(BEAT).await;
        beat += 1;
        let outcome = async {
            for number in 1..=config.nodes {
                put(
                    &client,
                    &resource("v1", "Node", "nodes"),
                    None,
                    &node(number),
                    true,
                )
                .await?;
            }
            if let Some(round) = (beat - 1).checked_div(config.pods) {
                let generation = u64::try_from(round)? + 1;
                replace_pod(&client, &config, (beat - 1) % config.pods, generation).await?;
            }
            anyhow::Ok(())
        };
        if let Err(error) = outcome.await {
            tracing::warn!(error = format!("{error:#}"), "the simulation missed a beat");
        }
    }
}
