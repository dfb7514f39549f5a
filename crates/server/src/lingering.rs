//! Request bodies that nobody reads to their end.
//!
//! A part that refuses a request (too large, not allowed) drops its body.
//! Closing the connection at that point would reset it while the client still
//! sends, and the client would report the reset instead of the answer. What is
//! left is read and thrown away, within limits.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio_util::task::TaskTracker;

/// Most that is read for the sake of an answer, in bytes.
const LIMIT: usize = 16 << 20;
/// For how long.
const TIME: Duration = Duration::from_secs(10);

/// A request's body whose rest is read when it is dropped.
#[derive(Debug)]
pub(crate) struct Lingering {
    /// Taken on drop only.
    body: Option<Incoming>,
    tasks: TaskTracker,
}

impl Lingering {
    /// The rest is read by a task of `tasks`.
    pub(crate) const fn new(body: Incoming, tasks: TaskTracker) -> Self {
        Self {
            body: Some(body),
            tasks,
        }
    }
}

impl Body for Lingering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(body) = self.body.take() else { return };
        if body.is_end_stream() {
            return;
        }
        self.tasks.spawn(async move {
            if tokio::time::timeout(TIME, drain(body)).await.is_err() {
                tracing::debug!("a refused request goes on sending");
            }
        });
    }
}

async fn drain(mut body: Incoming) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > LIMIT {
            return;
        }
    }
}
