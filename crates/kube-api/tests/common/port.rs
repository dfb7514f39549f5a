//! An embedded server on a TCP port, for clients that speak to nothing else.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use drover_kube_api::{Identity, Server};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tower::ServiceExt as _;

/// Serves on plain HTTP until the runtime ends; every request is the administrator's. The port.
pub(crate) async fn serve(server: &Server) -> u16 {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let admin = Identity {
        user: "admin".to_owned(),
        uid: "admin".to_owned(),
        ..Identity::admin()
    };
    let service = server.client_service(admin);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            let service =
                hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let service = service.clone();
                    async move {
                        Ok::<_, Infallible>(
                            service
                                .oneshot(request)
                                .await
                                .unwrap_or_else(|never| match never {}),
                        )
                    }
                });
            tokio::spawn(async move {
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                // A connection that breaks shows at the client.
                let _ = builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    port
}
