//! Serves a cluster on plain HTTP, to look at it with kubectl.
//!
//! usage: `cargo run -p drover-kube-api --example serve -- PORT [DATABASE]`
//!
//! A request without a token is the administrator's; one with a token is whoever the token says.

use std::error::Error;

use drover_kube_api::{Config, Identity, Server, Storage};
use http::Request;
use http::header::AUTHORIZATION;
use hyper::body::Incoming;
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
        let service = server.service().map_request(as_admin);
        tokio::spawn(drover_testkit::serve::connection(stream, service));
    }
}

fn as_admin(mut request: Request<Incoming>) -> Request<Incoming> {
    if !request.headers().contains_key(AUTHORIZATION) {
        request.extensions_mut().insert(Identity::admin());
    }
    request
}
