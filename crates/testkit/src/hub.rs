//! A running Drover server: the real binary, as a process.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::Http;
use crate::process::{Launch, Process};
use crate::{real, wait};

/// How long a start may take on a loaded machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// The administrator's password in tests.
pub const PASSWORD: &str = "first-light-password";

/// How the server is started.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Keeps the state in this Kubernetes cluster instead of the embedded store.
    pub kubeconfig: Option<PathBuf>,
    /// The network namespace it runs in, with its address there.
    pub namespace: Option<(String, Ipv4Addr)>,
    /// Further flags.
    pub flags: Vec<String>,
    /// An existing data folder.
    pub data: Option<PathBuf>,
    /// The administrator's first password instead of [`PASSWORD`].
    pub bootstrap_password: Option<String>,
    /// A fixed port instead of a free one.
    pub https_port: Option<u16>,
}

/// A running server; it ends when dropped.
#[derive(Debug)]
pub struct Hub {
    process: Option<Process>,
    config: Config,
    folder: TempDir,
    address: Ipv4Addr,
    port: u16,
    http_port: u16,
}

impl Hub {
    /// Starts a server and waits for `/ping`.
    ///
    /// # Errors
    ///
    /// When it ends or is not ready in time.
    pub async fn start(config: Config) -> Result<Self> {
        let address = config
            .namespace
            .as_ref()
            .map_or(Ipv4Addr::LOCALHOST, |(_, address)| *address);
        let port = config.https_port.map_or_else(real::free_port, Ok)?;
        let mut hub = Self {
            process: None,
            folder: tempfile::Builder::new().prefix("drover-hub-").tempdir()?,
            address,
            port,
            http_port: real::free_port()?,
            config,
        };
        hub.resume().await?;
        Ok(hub)
    }

    /// Starts the server (again) on the same data and port and waits for `/ping`.
    ///
    /// # Errors
    ///
    /// When it ends or is not ready in time.
    pub async fn resume(&mut self) -> Result<()> {
        self.spawn()?;
        self.wait_ready().await
    }

    /// Starts the server without waiting.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub fn spawn(&mut self) -> Result<()> {
        let namespace = self
            .config
            .namespace
            .as_ref()
            .map(|(name, _)| name.as_str());
        let mut launch = Launch::in_namespace(
            namespace,
            "drover",
            &real::product("drover")?,
            self.folder.path(),
        )
        .clean_environment()
        .args(["server", "--data-dir"])
        .args([self.data()])
        .args([
            "--https-port",
            &self.port.to_string(),
            "--http-port",
            &self.http_port.to_string(),
        ])
        .args([
            "--listen-address",
            &self.address.to_string(),
            "--server-url",
            &self.url(),
        ])
        .args(["--log", "info,drover=debug"])
        .args(&self.config.flags)
        .env(
            "DROVER_BOOTSTRAP_PASSWORD",
            self.config
                .bootstrap_password
                .as_deref()
                .unwrap_or(PASSWORD),
        );
        if let Some(kubeconfig) = &self.config.kubeconfig {
            launch = launch.args(["--kubeconfig"]).args([kubeconfig]);
        }
        self.process = Some(launch.start()?);
        Ok(())
    }

    /// Waits until `/ping` answers.
    ///
    /// # Errors
    ///
    /// When the server ends or does not answer in time.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let http = self.http(None)?;
        let process = self
            .process
            .as_mut()
            .context("the server was not started")?;
        wait::until("the server to answer /ping", START_LIMIT, || {
            let running = process.still_running();
            let http = http.clone();
            async move {
                running?;
                http.get("/ping").await?.expect(200)?;
                Ok(())
            }
        })
        .await
    }

    /// The server's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.address, self.port)
    }

    /// Port of plain HTTP.
    #[must_use]
    pub fn http_port(&self) -> u16 {
        self.http_port
    }

    /// Address and port of HTTPS.
    #[must_use]
    pub fn address(&self) -> (Ipv4Addr, u16) {
        (self.address, self.port)
    }

    /// The server's data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.config
            .data
            .clone()
            .unwrap_or_else(|| self.folder.path().join("data"))
    }

    /// A folder that ends with the fixture.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The running process.
    ///
    /// # Errors
    ///
    /// When it was killed.
    pub fn process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the server is not running")
    }

    /// Kills the server at once.
    ///
    /// # Errors
    ///
    /// When it cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }

    /// An HTTP client with or without a token.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn http(&self, token: Option<&str>) -> Result<Http> {
        Http::insecure(self.address, self.port, token)
    }

    /// Logs the administrator in.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub async fn login(&self) -> Result<Session> {
        self.login_as("admin", PASSWORD).await
    }

    /// Logs somebody in.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub async fn login_as(&self, name: &str, password: &str) -> Result<Session> {
        Session::begin((self.address, self.port), name, password).await
    }
}

/// Somebody who is logged in.
#[derive(Clone, Debug)]
pub struct Session {
    /// The client with the token.
    pub http: Http,
    /// The token, `name:key`.
    pub token: String,
}

impl Session {
    /// Logs somebody in at the server with this address and port.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub async fn begin(
        (address, port): (Ipv4Addr, u16),
        name: &str,
        password: &str,
    ) -> Result<Self> {
        let login = json!({"username": name, "password": password, "responseType": "json"});
        let answer = Http::insecure(address, port, None)?
            .post("/v3-public/localProviders/local?action=login", &login)
            .await?;
        let token = answer.expect(201)?.json()?["token"]
            .as_str()
            .context("no token in the answer")?
            .to_owned();
        Ok(Self {
            http: Http::insecure(address, port, Some(&token))?,
            token,
        })
    }

    /// Makes a cluster to import; returns its id.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub async fn create_cluster(&self, name: &str) -> Result<String> {
        let cluster = json!({"type": "cluster", "name": name});
        let answer = self
            .http
            .post("/v3/clusters", &cluster)
            .await?
            .expect(201)?
            .json()?;
        Ok(answer["id"]
            .as_str()
            .context("the cluster has no id")?
            .to_owned())
    }

    /// The cluster as the API shows it.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub async fn cluster(&self, id: &str) -> Result<Value> {
        self.http
            .get(&format!("/v3/clusters/{id}"))
            .await?
            .expect(200)?
            .json()
    }

    /// Waits until the cluster is in a state.
    ///
    /// # Errors
    ///
    /// When it is not in time.
    pub async fn wait_state(&self, id: &str, state: &str, limit: Duration) -> Result<Value> {
        wait::until(&format!("cluster {id} to be {state}"), limit, || async {
            let cluster = self.cluster(id).await?;
            anyhow::ensure!(
                cluster["state"] == state,
                "it is {}: {} {}",
                cluster["state"],
                cluster["transitioningMessage"],
                cluster["conditions"]
            );
            Ok(cluster)
        })
        .await
    }

    /// The import manifest of a cluster, as `kubectl apply -f URL` would get it.
    ///
    /// # Errors
    ///
    /// When there is no registration token in time.
    pub async fn manifest(&self, id: &str) -> Result<String> {
        let path = wait::until("a registration token", START_LIMIT, || async {
            let path = format!("/v3/clusterregistrationtokens?clusterId={id}");
            let tokens = self.http.get(&path).await?.expect(200)?.json()?;
            let url = tokens["data"][0]["manifestUrl"]
                .as_str()
                .unwrap_or_default();
            anyhow::ensure!(
                !url.is_empty() && !url.contains("{token}"),
                "no manifestUrl in {tokens}"
            );
            Ok(url[url
                .find("/v3/import/")
                .context("an unexpected manifestUrl")?..]
                .to_owned())
        })
        .await?;
        Ok(self.http.get(&path).await?.expect(200)?.body)
    }

    /// A kubeconfig for a cluster, from the API.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub async fn kubeconfig(&self, id: &str) -> Result<String> {
        let path = format!("/v3/clusters/{id}?action=generateKubeconfig");
        let answer = self
            .http
            .post(&path, &json!({}))
            .await?
            .expect(200)?
            .json()?;
        Ok(answer["config"]
            .as_str()
            .context("no config in the answer")?
            .to_owned())
    }
}
