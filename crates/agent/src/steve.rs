//! Answers the second session ("Steve tunnel").
//!
//! What arrives here is plain HTTP/1.1 whatever address the hub named, and the hub has decided who asks: the tunnel is
//! the only guard, as at the peer (`pkg/api/steve/proxy` of `rancher/rancher`). `/ping` and `/healthz` are answered,
//! `/v1` is not served by this agent, and everything else goes to the Kubernetes API under the agent's own service
//! account with the hub's `Impersonate-*` headers, so that the API decides what that user may do.
//!
//! Bodies stream both ways and upgrades (exec, port-forward) pass through; nothing is collected.

use std::{convert::Infallible, pin::pin, sync::Arc};

use bytes::Bytes;
use drover_dial::Chain;
use drover_tunnel::{Accept, Acceptor, Stream};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::Incoming,
    service::service_fn,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::{io::copy_bidirectional, sync::mpsc, task::JoinSet};
use tracing::{debug, warn};

use crate::kubernetes::{Api, ApiError};

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// The acceptor of the second session.
#[derive(Clone, Debug)]
pub struct Steve {
    api: Arc<Api>,
}

/// A task that belongs to a connection of the session: an API connection, an upgraded pair.
type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection carries one request at a time; each needs at most its API connection and its upgrade.
const WORK_QUEUE: usize = 4;

impl Steve {
    /// Answers with this API.
    #[must_use]
    pub fn new(api: Api) -> Self {
        Self { api: Arc::new(api) }
    }

    /// Serves one connection of the session until it ends.
    pub async fn serve<S>(self, stream: S)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (work, mut queue) = mpsc::channel::<Work>(WORK_QUEUE);
        let service = service_fn(move |request| {
            let (steve, work) = (self.clone(), work.clone());
            async move { Ok::<_, Infallible>(steve.answer(request, &work).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let mut tasks = JoinSet::new();
        let mut serving = true;
        // Dropping the set ends what is left of the connection's work.
        loop {
            tokio::select! {
                result = connection.as_mut(), if serving => {
                    if let Err(error) = result {
                        debug!(error = %Chain(&error), "a connection of the steve tunnel broke");
                    }
                    serving = false;
                }
                Some(task) = queue.recv() => {
                    tasks.spawn(task);
                }
                Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
                else => return,
            }
            if !serving && tasks.is_empty() && queue.is_empty() {
                return;
            }
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        work: &mpsc::Sender<Work>,
    ) -> Response<Body> {
        let path = request.uri().path();
        match path {
            "/ping" => text(StatusCode::OK, "pong"),
            "/healthz" => text(StatusCode::OK, "ok"),
            _ if path == "/v1" || path.starts_with("/v1/") || path.starts_with("/v1-") => status(
                StatusCode::NOT_IMPLEMENTED,
                "NotImplemented",
                "this agent serves no /v1; ask the hub for /v1 or use the Kubernetes API",
            ),
            _ => match self.forward(request, work).await {
                Ok(response) => response,
                Err(error) => {
                    warn!(error = %Chain(&error), "a request of the steve tunnel was not answered by the API");
                    status(
                        StatusCode::BAD_GATEWAY,
                        "BadGateway",
                        &Chain(&error).to_string(),
                    )
                }
            },
        }
    }

    async fn forward(
        &self,
        mut request: Request<Incoming>,
        work: &mpsc::Sender<Work>,
    ) -> Result<Response<Body>, ForwardError> {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str);
        *request.uri_mut() = path.parse::<Uri>()?;
        let upgrading = request.headers().contains_key(header::UPGRADE);
        let theirs: Option<OnUpgrade> = upgrading.then(|| hyper::upgrade::on(&mut request));
        let headers = request.headers_mut();
        headers.remove(API_URL_PREFIX);
        headers.insert(header::HOST, HeaderValue::from_str(&self.api.authority())?);
        headers.insert(header::AUTHORIZATION, self.api.authorization()?);

        let stream = self.api.connect().await?.stream;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driving: Work = Box::pin(async move {
            if let Err(error) = connection.with_upgrades().await {
                debug!(error = %Chain(&error), "a connection to the Kubernetes API broke");
            }
        });
        // The receiver lives as long as the connection this request came on.
        work.send(driving).await.map_err(|_| ForwardError::Closed)?;
        let mut response = sender.send_request(request).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some(theirs) = theirs
        {
            let ours = hyper::upgrade::on(&mut response);
            work.send(Box::pin(join_upgrades(theirs, ours)))
                .await
                .map_err(|_| ForwardError::Closed)?;
        }
        Ok(response.map(BodyExt::boxed_unsync))
    }
}

/// Set by the hub for a `/v1` server; the Kubernetes API has no use for it.
const API_URL_PREFIX: HeaderName = HeaderName::from_static("x-api-url-prefix");

impl Acceptor for Steve {
    fn accept(&self, _protocol: &str, _address: &str) -> Accept {
        let steve = self.clone();
        Accept::Serve(Box::new(move |stream: Stream| {
            Box::pin(steve.serve(stream))
        }))
    }
}

/// Why a request did not reach the API.
#[derive(Debug, thiserror::Error)]
enum ForwardError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("the Kubernetes API broke off")]
    Http(#[from] hyper::Error),
    #[error("the path is not valid")]
    Path(#[from] http::uri::InvalidUri),
    #[error("the API's address is not a valid header")]
    Host(#[from] header::InvalidHeaderValue),
    #[error("the connection is closing")]
    Closed,
}

async fn join_upgrades(theirs: OnUpgrade, ours: OnUpgrade) {
    let both: Result<(Upgraded, Upgraded), hyper::Error> = tokio::try_join!(theirs, ours);
    match both {
        Ok((theirs, ours)) => {
            let (mut theirs, mut ours) = (TokioIo::new(theirs), TokioIo::new(ours));
            // Either end may vanish; there is nobody to tell.
            if let Err(error) = copy_bidirectional(&mut theirs, &mut ours).await {
                debug!(error = %Chain(&error), "an upgraded connection broke");
            }
        }
        Err(error) => debug!(error = %Chain(&error), "an upgrade did not complete"),
    }
}

fn text(status: StatusCode, body: &'static str) -> Response<Body> {
    let mut response = Response::new(full(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// A Kubernetes `Status`, which kubectl and client libraries print.
fn status(code: StatusCode, reason: &str, message: &str) -> Response<Body> {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    });
    let mut response = Response::new(full(Bytes::from(body.to_string())));
    *response.status_mut() = code;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

#[cfg(test)]
mod tests;
