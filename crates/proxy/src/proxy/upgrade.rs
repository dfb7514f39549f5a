//! Upgraded connections (WebSocket, SPDY): bytes both ways, untouched, until either end or the identity's rights end.

use drover_auth::csrf;
use drover_auth::web::{self, Lifeline, Response};
use http::header::{CONNECTION, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answers::Forbidden;
use super::body::Vigil;
use super::headers;
use crate::chain::Chain;

/// What the client wants to upgrade to.
pub(super) fn wanted(headers: &HeaderMap) -> Option<HeaderValue> {
    let named = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    if named {
        headers.get(UPGRADE).cloned()
    } else {
        None
    }
}

/// A browser's WebSocket must come from our own pages: scripts elsewhere would carry the user's cookie.
pub(super) fn check_origin(parts: &Parts) -> Result<(), Forbidden> {
    if web::is_browser(&parts.headers) && !csrf::is_own_page(parts) {
        return Err(Forbidden("origin not allowed"));
    }
    Ok(())
}

/// Answers the client's upgrade with the upstream's and joins the two connections in a task.
pub(super) fn join(
    mut answer: Response,
    client: Option<OnUpgrade>,
    lifeline: Option<Lifeline>,
    vigil: Vigil,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> Response {
    let Some(client) = client else {
        tracing::warn!("the client's connection cannot be upgraded");
        return web::text(StatusCode::BAD_GATEWAY, "the connection cannot be upgraded");
    };
    let upstream = hyper::upgrade::on(&mut answer);
    let mut kept = headers::returned(answer.headers());
    if let Some(protocol) = answer.headers().get(UPGRADE) {
        headers::set_upgrade(&mut kept, protocol);
    }
    tasks.spawn(async move {
        let joined = async {
            let (client, upstream) = tokio::try_join!(client, upstream)?;
            let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
            let copied =
                tokio::io::copy_bidirectional_with_sizes(&mut client, &mut upstream, COPY, COPY)
                    .await;
            if let Err(error) = copied {
                tracing::debug!(%error, "upgraded connection broke");
            }
            Ok::<(), hyper::Error>(())
        };
        tokio::select! {
            joined = joined => {
                if let Err(error) = joined {
                    tracing::debug!(error = %Chain(&error), "upgrade failed");
                }
            }
            () = vigil => tracing::info!("upgraded connection ended with its rights"),
            () = stop.cancelled() => {}
        }
        drop(lifeline);
    });
    let mut response = Response::new(web::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = kept;
    response
}

/// Bytes per turn of a copy.
const COPY: usize = 16 << 10;
