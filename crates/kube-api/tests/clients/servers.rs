//! A real kube-apiserver and the embedded one, each with a kubeconfig and a home for its clients.

use std::path::PathBuf;

use drover_kube_api::{Config, Server, Storage};
use drover_testkit::control_plane::{self, ControlPlane};
use drover_testkit::serve::Port;
use serde_json::json;
use tempfile::TempDir;

/// Both, the real one first.
pub(crate) struct Servers {
    pub(crate) kubeconfigs: [PathBuf; 2],
    /// For what clients remember.
    pub(crate) homes: [TempDir; 2],
    _plane: ControlPlane,
    server: Server,
    _port: Port,
}

impl Servers {
    /// Starts both. Controllers would act on what clients make, while outcomes are compared: there are none.
    pub(crate) async fn start() -> Self {
        let config = control_plane::Config {
            nodes: 0,
            controllers: false,
            ..control_plane::Config::default()
        };
        let plane = ControlPlane::start(&config)
            .await
            .expect("a real control plane");
        let homes = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        // A server that was started again holds no history from before: a watch from its first revision is refused.
        let file = homes[1].path().join("objects.db");
        let open = || Server::open(Config::new(Storage::File(file.clone())));
        open().await.expect("the embedded server").shutdown().await;
        let server = open().await.expect("the embedded server");
        let port = Port::open(&server).await.expect("a port");
        let kubeconfig = homes[1].path().join("kubeconfig");
        let text = std::fs::read_to_string(plane.kubeconfig()).expect("a kubeconfig");
        let mut parsed: serde_json::Value =
            serde_json::from_str(&text).expect("a kubeconfig in JSON");
        parsed["clusters"][0]["cluster"] =
            json!({"server": format!("http://127.0.0.1:{}", port.number())});
        parsed["users"][0]["user"] = json!({});
        std::fs::write(&kubeconfig, parsed.to_string()).expect("a file");
        Self {
            kubeconfigs: [plane.kubeconfig(), kubeconfig],
            homes,
            _plane: plane,
            server,
            _port: port,
        }
    }

    /// Ends both.
    pub(crate) async fn stop(self) {
        self.server.shutdown().await;
    }
}
