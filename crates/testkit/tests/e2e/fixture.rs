//! A hub, a cluster with its kubelet, and the import of one into the other.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use drover_testkit::apply;
use drover_testkit::control_plane::{self, ControlPlane};
use drover_testkit::hub::{self, Hub, PASSWORD, Session};
use drover_testkit::kubelet::Kubelet;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

/// Time for what happens by itself; generous, because other processes use the machine too.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

static TURN: Mutex<()> = Mutex::const_new(());

/// Waits for the scenario before to end.
pub(crate) async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
}

/// Whether this process may do what only root may.
pub(crate) fn is_root() -> Result<bool> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("Uid:"))
        .context("no Uid")?;
    Ok(line.split_whitespace().nth(2) == Some("0"))
}

/// A Kubernetes API to keep a hub's state in, and how a hub is told of it.
pub(crate) async fn behind() -> Result<(ControlPlane, hub::Config)> {
    let plane = ControlPlane::start(&control_plane::Config {
        nodes: 0,
        ..control_plane::Config::default()
    })
    .await?;
    let config = hub::Config {
        kubeconfig: Some(plane.kubeconfig()),
        ..hub::Config::default()
    };
    Ok((plane, config))
}

/// A hub with one imported cluster.
pub(crate) struct World {
    pub(crate) hub: Hub,
    pub(crate) session: Session,
    pub(crate) plane: ControlPlane,
    pub(crate) kubelet: Kubelet,
    /// Id of the cluster.
    pub(crate) id: String,
}

impl World {
    /// Starts all and waits until the cluster is active.
    pub(crate) async fn start(config: hub::Config) -> Result<Self> {
        let plane = ControlPlane::start(&control_plane::Config::default()).await?;
        let hub = Hub::start(config).await?;
        Self::join(hub, plane).await
    }

    /// Imports the cluster and waits until it is active.
    pub(crate) async fn join(hub: Hub, plane: ControlPlane) -> Result<Self> {
        let session = hub.login().await?;
        let id = session.create_cluster("imported").await?;
        let manifest = session.manifest(&id).await?;
        apply::apply(&plane.kubeconfig(), &manifest).await?;
        let kubelet = plane.kubelet().await?;
        let mut world = Self {
            hub,
            session,
            plane,
            kubelet,
            id,
        };
        world.wait_state("active", LIMIT).await?;
        Ok(world)
    }

    /// Makes a user who may log in, with [`PASSWORD`], and nothing more; their id.
    pub(crate) async fn person(&self, name: &str) -> Result<String> {
        let http = &self.session.http;
        let user = json!({"username": name, "password": PASSWORD, "enabled": true});
        let user = http.post("/v3/users", &user).await?.expect(201)?.json()?;
        let id = user["id"].as_str().context("no id")?;
        let global = json!({"globalRoleId": "user", "userId": id});
        http.post("/v3/globalrolebindings", &global)
            .await?
            .expect(201)?;
        Ok(id.to_owned())
    }

    /// Gives somebody a role in the cluster; the binding's id.
    pub(crate) async fn bind(&self, user: &str, role: &str) -> Result<String> {
        let binding = json!({"clusterId": self.id, "roleTemplateId": role, "userId": user});
        let http = &self.session.http;
        let made = http
            .post("/v3/clusterroletemplatebindings", &binding)
            .await?;
        let made = made.expect(201)?.json()?;
        Ok(made["id"].as_str().context("no id")?.to_owned())
    }

    /// Waits for a state; a failure shows what the server and the agents logged last.
    pub(crate) async fn wait_state(&mut self, state: &str, limit: Duration) -> Result<Value> {
        match self.session.wait_state(&self.id, state, limit).await {
            Ok(cluster) => Ok(cluster),
            Err(error) => {
                let agents = self.kubelet.report().await;
                let output = self
                    .hub
                    .process()
                    .map(|process| process.output())
                    .unwrap_or_default();
                let tail: Vec<&str> = output.lines().rev().take(40).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                Err(error)
                    .with_context(|| format!("agents:\n{agents}\nserver:\n{}", tail.join("\n")))
            }
        }
    }

    /// Writes the generated kubeconfig of the imported cluster to a file.
    pub(crate) async fn kubeconfig(&self) -> Result<PathBuf> {
        self.kubeconfig_of(&self.id).await
    }

    /// Writes the generated kubeconfig of a cluster to a file.
    pub(crate) async fn kubeconfig_of(&self, id: &str) -> Result<PathBuf> {
        let folder = self.hub.folder().join(format!("kube-{id}"));
        std::fs::create_dir_all(&folder)?;
        let path = folder.join("kubeconfig");
        std::fs::write(&path, self.session.kubeconfig(id).await?)?;
        Ok(path)
    }
}

/// kubectl with a kubeconfig; its output.
pub(crate) async fn kubectl(kubeconfig: &std::path::Path, arguments: &[&str]) -> Result<String> {
    apply::kubectl(kubeconfig, arguments, "")
        .await?
        .success()
        .with_context(|| format!("kubectl {}", arguments.join(" ")))
}
