//! Serves a cluster on plain HTTP, to look at it with kubectl.
//!
//! usage: `cargo run -p drover-kube-api --example serve -- PORT [DATABASE]`
//!
//! A request without a token is the administrator's; one with a token is whoever the token says.

use std::convert::Infallible;
use std::error::Error;

use drover_kube_api::{Config, Identity, Server, Storage};
use http::header::AUTHORIZATION;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tower::ServiceExt as _;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments
        .next()
        .ok_or("usage: serve PORT [DATABASE]")?
        .parse::<u16>()?;
    let storage = arguments
        .next()
        .map_or(Storage::Memory, |path| Storage::File(path.into()));
    let server = Server::open(Config::new(storage)).await?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (anyone, admin) = (server.service(), server.client_service(Identity::admin()));
        let service =
            hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let service = if request.headers().contains_key(AUTHORIZATION) {
                    anyone.clone()
                } else {
                    admin.clone()
                };
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
            // A connection that breaks is the client's affair.
            let _ = builder
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
