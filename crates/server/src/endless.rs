//! Answers that have no end of their own: watches and followed logs.
//!
//! At shutdown they end at once and in order, as those of API servers do: clients ask again, of the next server or of
//! another replica. To wait for them would be to wait for ever.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use drover_auth::web::{self, Body, BoxError, Response};
use drover_types::query::flag;
use futures::FutureExt;
use futures::future::BoxFuture;
use http_body::{Frame, SizeHint};
use tokio_util::sync::CancellationToken;

/// Whether the answer to a request for an API server has no end: `watch` and `follow`, and paths that only watch.
pub(crate) fn is_asked_for(path: &str, query: Option<&str>) -> bool {
    flag(query, "watch") || flag(query, "follow") || only_watches(path)
}

/// `/api/v1/watch/...`, `/apis/GROUP/VERSION/watch/...`.
fn only_watches(path: &str) -> bool {
    let mut parts = path.trim_start_matches('/').split('/');
    let after = match parts.next() {
        Some("api") => parts.nth(1),
        Some("apis") => parts.nth(2),
        _ => None,
    };
    after == Some("watch")
}

/// The same answer, which ends when `shutdown` is cancelled.
pub(crate) fn until(shutdown: &CancellationToken, answer: Response) -> Response {
    let shutdown = shutdown.clone();
    answer.map(|body| {
        web::boxed(Until {
            body,
            end: shutdown.cancelled_owned().boxed(),
            at_once: false,
        })
    })
}

/// The same answer, which ends with `end`, whatever there is still to send.
pub(crate) fn unless(end: impl Future<Output = ()> + Send + 'static, answer: Response) -> Response {
    answer.map(|body| {
        web::boxed(Until {
            body,
            end: end.boxed(),
            at_once: true,
        })
    })
}

struct Until {
    body: Body,
    end: BoxFuture<'static, ()>,
    /// Whether the end comes before what is there to be sent.
    at_once: bool,
}

impl http_body::Body for Until {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.at_once {
            // What is there is sent first: the last event of a watch may be on its way.
            let frame = Pin::new(&mut self.body).poll_frame(context);
            if frame.is_ready() {
                return frame;
            }
        }
        if self.end.as_mut().poll(context).is_ready() {
            self.body = web::empty();
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream};
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    #[test]
    fn watches_and_followed_logs_have_no_end() {
        let check = |path: &str, query: Option<&str>, expected: bool| {
            assert_eq!(is_asked_for(path, query), expected, "{path}?{query:?}");
        };
        check("/api/v1/pods", None, false);
        check("/api/v1/pods", Some("limit=500&watch=true"), true);
        check("/api/v1/pods", Some("watch"), true);
        check("/api/v1/pods", Some("%77atch=true"), true);
        check("/api/v1/pods", Some("watch=1"), true);
        check("/api/v1/pods", Some("watch=false"), false);
        check("/api/v1/pods", Some("watch=0&follow=False"), false);
        check("/api/v1/pods", Some("labelSelector=watch%3Dtrue"), false);
        check("/api/v1/watch/pods", None, true);
        check("/apis/apps/v1/watch/deployments", None, true);
        check("/api/v1/namespaces/watch/pods", None, false);
        check("/api/v1/namespaces/n/pods/p/log", Some("follow=true"), true);
        check("/api/v1/namespaces/n/pods/p/log", Some("tail=1"), false);
    }

    fn two_frames() -> Response {
        let frames = stream::iter(["a", "b"])
            .map(|text| Ok::<_, BoxError>(Frame::data(Bytes::from_static(text.as_bytes()))))
            .chain(stream::pending());
        Response::new(web::boxed(StreamBody::new(frames)))
    }

    #[tokio::test]
    async fn what_is_there_is_sent_and_then_it_ends_in_order() {
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        let answer = until(&shutdown, two_frames());
        let sent = answer.into_body().collect().await.unwrap();
        assert_eq!(sent.to_bytes(), "ab");
    }

    #[tokio::test]
    async fn nothing_is_sent_to_whoever_lost_a_right() {
        let (lose, lost) = tokio::sync::oneshot::channel::<()>();
        let mut body = unless(lost.map(|_| ()), two_frames()).into_body();
        let first = body.frame().await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "a");
        drop(lose);
        assert!(body.frame().await.is_none());
    }
}
