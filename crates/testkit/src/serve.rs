//! The embedded Kubernetes API on connections and ports, for clients that
//! speak to nothing else.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;

use drover_kube_api::{Body, Identity, Server};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::Service;

/// Answers the requests of one connection until it ends.
pub async fn connection<I, S>(stream: I, service: S)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    let builder = Builder::new(TokioExecutor::new());
    let service = TowerToHyperService::new(service);
    // A connection that breaks shows at the client.
    if let Err(error) = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await
    {
        tracing::debug!(%error, "the connection ended with an error");
    }
}

/// A server on a port of this machine; it ends when dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _task: JoinSet<()>,
}

impl Port {
    /// Serves on plain HTTP; every request is the administrator's that [`crate::control_plane::ADMIN_TOKEN`] names on
    /// a real control plane.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub async fn open(server: &Server) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let number = listener.local_addr()?.port();
        let service = server.client_service(Identity {
            user: "admin".to_owned(),
            uid: "admin".to_owned(),
            ..Identity::admin()
        });
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                connections.spawn(connection(stream, service.clone()));
            }
        });
        Ok(Self {
            number,
            _task: task,
        })
    }

    /// The port's number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }
}
