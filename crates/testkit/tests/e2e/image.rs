//! The product as it is installed in Kubernetes: the images that `cargo xtask image` makes, run as the manifests say.

use anyhow::{Context, Result, ensure};
use drover_testkit::control_plane::{self, ControlPlane};
use drover_testkit::http::Http;
use drover_testkit::hub::Session;
use drover_testkit::image::Image;
use drover_testkit::process::Process;
use drover_testkit::{apply, kubelet, real, wait};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, Secret};
use kube::Api;
use tempfile::TempDir;

use crate::fixture::{LIMIT, is_root, turn};

const NAMESPACE: &str = "cattle-system";

/// A server from its image, with what the pod of `deploy/kubernetes.yaml` would have.
struct Pod {
    process: Process,
    _folder: TempDir,
    address: (std::net::Ipv4Addr, u16),
}

impl Pod {
    async fn start(plane: &ControlPlane, container: &Container, account: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let image = Image::unpack("drover", &folder.path().join("root"))?;
        let files = image.path(kubelet::SERVICE_ACCOUNT);
        std::fs::create_dir_all(&files)?;
        let token = kubelet::token_of(plane.client().await?, account).await?;
        std::fs::write(files.join("token"), token)?;
        std::fs::write(files.join("ca.crt"), plane.authority())?;
        std::fs::write(files.join("namespace"), NAMESPACE)?;
        let (host, port) = plane.address();
        let address = (std::net::Ipv4Addr::LOCALHOST, real::free_port()?);
        let url = format!("https://{}:{}", address.0, address.1);
        let arguments = container.args.clone().unwrap_or_default();
        let mut launch = image
            .launch("drover", &arguments, folder.path())?
            .env("KUBERNETES_SERVICE_HOST", host.to_string())
            .env("KUBERNETES_SERVICE_PORT", port.to_string());
        for variable in container.env.iter().flatten() {
            let value = match variable.name.as_str() {
                "DROVER_SERVER_URL" => url.clone(),
                _ => variable.value.clone().unwrap_or_default(),
            };
            launch = launch.env(&variable.name, value);
        }
        // A pod has an address of its own.
        let process = launch
            .env("DROVER_LISTEN_ADDRESS", address.0.to_string())
            .env("DROVER_HTTPS_PORT", address.1.to_string())
            .env("DROVER_HTTP_PORT", real::free_port()?.to_string())
            .start()?;
        let mut pod = Self {
            process,
            _folder: folder,
            address,
        };
        let http = Http::insecure(address.0, address.1, None)?;
        let probe = container.readiness_probe.as_ref();
        let probe = probe.and_then(|probe| probe.http_get.as_ref()?.path.clone());
        let probe = probe.context("no readiness probe")?;
        wait::until("the server to be ready", LIMIT, || {
            let running = pod.process.still_running();
            let (http, probe) = (&http, &probe);
            async move {
                running?;
                http.get(probe).await?.expect(200)?;
                Ok(())
            }
        })
        .await?;
        Ok(pod)
    }

    /// The user it runs as.
    fn user(&self) -> Result<String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find(|line| line.starts_with("Uid:"));
        let user = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(user.context("no Uid")?.to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_images_run_as_the_manifests_say() -> Result<()> {
    if !is_root()? {
        eprintln!("skipped: a root of its own for a process needs root");
        return Ok(());
    }
    let _turn = turn().await;
    let own = ControlPlane::start(&control_plane::Config {
        nodes: 0,
        ..control_plane::Config::default()
    })
    .await?;
    let manifest = real::repository().join("deploy/kubernetes.yaml");
    apply::apply(&own.kubeconfig(), &std::fs::read_to_string(manifest)?).await?;
    let client = own.client().await?;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    let deployment = deployments.get("drover").await?;
    let pod = deployment.spec.template.spec.context("no pod")?;
    let account = pod.service_account_name.as_deref().context("no account")?;
    let container = pod.containers.first().context("no container")?;
    let name = format!("drover/drover:v{}", env!("CARGO_PKG_VERSION"));
    ensure!(container.image == Some(name), "{:?}", container.image);

    let hub = Pod::start(&own, container, account).await?;
    let wanted = pod.security_context.and_then(|context| context.run_as_user);
    ensure!(Some(hub.user()?.parse()?) == wanted, "{:?}", hub.user()?);
    let secrets: Api<Secret> = Api::namespaced(client, NAMESPACE);
    let secret = secrets.get("bootstrap-secret").await?;
    let password = secret
        .data
        .and_then(|mut data| data.remove("bootstrapPassword"));
    let password = String::from_utf8(password.context("no password")?.0)?;
    let session = Session::begin(hub.address, "admin", &password).await?;

    let plane = ControlPlane::start(&control_plane::Config::default()).await?;
    let id = session.create_cluster("imaged").await?;
    apply::apply(&plane.kubeconfig(), &session.manifest(&id).await?).await?;
    let kubelet = plane.kubelet_of_images().await?;
    if let Err(error) = session.wait_state(&id, "active", LIMIT).await {
        let agents = kubelet.report().await;
        return Err(error.context(format!("{}\n{agents}", hub.process.output())));
    }
    let deployments: Api<Deployment> = Api::namespaced(plane.client().await?, NAMESPACE);
    let agent = deployments.get("cattle-cluster-agent").await?;
    let pod = agent.spec.template.spec.context("no pod")?;
    let name = format!("drover/drover-agent:v{}", env!("CARGO_PKG_VERSION"));
    ensure!(
        pod.containers[0].image == Some(name),
        "{:?}",
        pod.containers[0].image
    );
    let nodes = format!("/k8s/clusters/{id}/api/v1/nodes");
    let nodes = session.http.get(&nodes).await?.expect(200)?.json()?;
    ensure!(
        nodes["items"]
            .as_array()
            .is_some_and(|nodes| !nodes.is_empty())
    );
    Ok(())
}
