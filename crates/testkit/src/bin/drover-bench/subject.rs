//! The embedded API in a process of its own, behind TLS, so that its memory and its start can be measured.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use drover_kube_api::{Config, Identity, Server, Storage};
use drover_testkit::certificates::Authority;
use drover_testkit::process::{Launch, Process};
use drover_testkit::real;
use drover_tunnel::Gathered;
use http::Method;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

use super::client::Peer;

/// The first argument with which the benchmark serves instead of measuring.
pub(crate) const SERVE: &str = "serve-kube-api";

/// Serves the database in `folder` until it is killed.
pub(crate) async fn serve(folder: &Path, port: u16) -> Result<()> {
    let server = Server::open(Config::new(Storage::File(folder.join("drover.db")))).await?;
    let certificate = CertificateDer::from_pem_file(folder.join("serving.crt"))?;
    let key = PrivateKeyDer::from_pem_file(folder.join("serving.key"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, service) = (acceptor.clone(), server.client_service(Identity::admin()));
        tokio::spawn(async move {
            // A connection that breaks is the client's affair.
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            // As the server's listener does.
            let is_shared = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            drover_testkit::serve::connection(Gathered::new(stream, is_shared), service).await;
        });
    }
}

/// A served database; it ends when dropped.
pub(crate) struct Subject {
    pub(crate) process: Process,
    folder: TempDir,
    authority: String,
    port: u16,
}

impl Subject {
    /// Serves an empty database on the disk the build output is on, where the reference's is not in memory either.
    pub(crate) async fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("drover-bench-").tempdir()?;
        let authority = Authority::new("bench")?;
        authority
            .serving("bench", &["localhost", "127.0.0.1"])?
            .write(folder.path(), "serving")?;
        let port = real::free_port()?;
        let process = launch(folder.path(), port)?;
        let mut subject = Self {
            process,
            folder,
            authority: authority.pem().to_owned(),
            port,
        };
        subject.wait_ready().await?;
        Ok(subject)
    }

    pub(crate) fn peer(&self) -> Result<Peer> {
        Peer::new((Ipv4Addr::LOCALHOST, self.port), "none", &self.authority)
    }

    /// Kills the process and starts another over the same file; how long that one takes to answer.
    pub(crate) async fn restart(&mut self) -> Result<Duration> {
        self.process.kill()?;
        let start = Instant::now();
        self.process = launch(self.folder.path(), self.port)?;
        self.wait_ready().await?;
        Ok(start.elapsed())
    }

    /// The size of the database and its log.
    pub(crate) fn file_bytes(&self) -> Result<u64> {
        let size =
            |name: &str| std::fs::metadata(self.folder.path().join(name)).map(|found| found.len());
        Ok(size("drover.db")? + size("drover.db-wal").unwrap_or(0))
    }

    async fn wait_ready(&mut self) -> Result<()> {
        let peer = self.peer()?;
        let start = Instant::now();
        loop {
            self.process.still_running()?;
            let answered = async {
                peer.connect()
                    .await?
                    .call(Method::GET, "/readyz", Bytes::new())
                    .await
            };
            match answered.await {
                Ok(_) => return Ok(()),
                Err(error) if start.elapsed() > super::LIMIT => {
                    return Err(error).context("no answer in time");
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    }
}

fn launch(folder: &Path, port: u16) -> Result<Process> {
    let program = std::env::current_exe()?;
    Launch::new("kube-api", program, folder)
        .args([SERVE])
        .args([folder])
        .args([port.to_string()])
        .start()
}
