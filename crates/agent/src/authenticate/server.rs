//! The door on the loopback device: `POST /v1/authenticate`, `GET /healthcheck`.
//!
//! Owns its limits: connections, sizes, times. It is plain HTTP, as API servers are told where to find it by an address
//! of their own machine; nothing else can reach it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drover_dial::Chain;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::desk::Desk;
use super::wire::{self, Review};

/// An API server needs one or a few.
const CONNECTIONS: usize = 64;
/// A token is a few kilobytes at most.
const LARGEST_BODY: usize = 64 << 10;
/// How long a connection may be idle, and a client take for the head of a request.
const SLOWEST_HEAD: Duration = Duration::from_secs(30);
/// How long a client may take for the body of a request.
const SLOWEST_BODY: Duration = Duration::from_secs(5);
/// How long requests may take that are under way at shutdown.
const DRAIN: Duration = Duration::from_secs(5);
/// The pause after a failure to accept, such as too many open files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves until shutdown.
pub async fn serve(listener: TcpListener, desk: Desk, shutdown: &CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let place = tokio::select! {
            () = shutdown.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _)) => {
                let (desk, stop) = (desk.clone(), shutdown.clone());
                connections.spawn(async move {
                    connection(socket, desk, stop).await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(error = %Chain(&error), "a connection cannot be accepted");
                sleep(ACCEPT_AGAIN).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(DRAIN, drained).await.is_err() {
        debug!("requests were under way at the end");
    }
}

async fn connection(socket: TcpStream, desk: Desk, stop: CancellationToken) {
    let service = service_fn(move |request| {
        let desk = desk.clone();
        async move { Ok::<_, Infallible>(answer(request, &desk).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SLOWEST_HEAD)
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        debug!(error = %Chain(&error), "a connection broke");
    }
}

async fn answer(request: Request<Incoming>, desk: &Desk) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/healthcheck") => text(StatusCode::OK, "ok\n"),
        (&Method::POST, "/v1/authenticate") => review(request.into_body(), desk).await,
        (_, "/healthcheck" | "/v1/authenticate") => {
            text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n")
        }
        _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
    }
}

async fn review(body: Incoming, desk: &Desk) -> Response<Full<Bytes>> {
    let body = match timeout(SLOWEST_BODY, Limited::new(body, LARGEST_BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n");
        }
        Ok(Err(_)) => return text(StatusCode::BAD_REQUEST, "the body broke off\n"),
        Err(_) => return text(StatusCode::REQUEST_TIMEOUT, "the body takes too long\n"),
    };
    let review = match Review::parse(&body) {
        Ok(review) => review,
        Err(error) => return text(StatusCode::BAD_REQUEST, format!("{error}\n")),
    };
    let verdict = desk.review(&review.token).await;
    debug!(?verdict, "a token was reviewed");
    let body = wire::answer(review.version, &verdict).to_string();
    let mut response = Response::new(Full::from(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
