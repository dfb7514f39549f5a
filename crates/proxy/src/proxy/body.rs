//! Bodies on their way: how long the upstream has been silent, and streams that end with their identity.

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use drover_auth::Identity;
use drover_auth::web::{Body, BoxError};
use futures::future::BoxFuture;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::gate::Gate;

/// Since when nothing of the request's body has been sent.
#[derive(Debug, Clone)]
pub(super) struct Activity {
    last: Arc<Mutex<Instant>>,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            last: Arc::new(Mutex::new(Instant::now())),
        }
    }
}

impl Activity {
    /// A body whose progress counts.
    pub(super) fn watch(&self, body: Body) -> Watched {
        Watched {
            body,
            activity: self.clone(),
        }
    }

    /// Waits for `answer`, but not longer than `deadline` since the last progress.
    pub(super) async fn limit<T>(
        &self,
        deadline: Duration,
        answer: impl Future<Output = T>,
    ) -> Option<T> {
        let mut answer = std::pin::pin!(answer);
        loop {
            let until = *self.last.lock() + deadline;
            match tokio::time::timeout_at(until, answer.as_mut()).await {
                Ok(answer) => return Some(answer),
                Err(_) if *self.last.lock() + deadline > until => {}
                Err(_) => return None,
            }
        }
    }
}

/// A request body whose progress is noted.
#[derive(Debug)]
pub(super) struct Watched {
    body: Body,
    activity: Activity,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_ready() {
            *self.activity.last.lock() = Instant::now();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Watches over the rights of a running stream.
pub(super) struct Vigil {
    ended: BoxFuture<'static, ()>,
}

impl Vigil {
    /// Completes when the identity is void, or its virtual groups in the cluster are no longer `groups`.
    pub(super) fn new(
        gate: Arc<dyn Gate>,
        identity: Identity,
        cluster: String,
        groups: Vec<String>,
        mut changes: watch::Receiver<u64>,
    ) -> Self {
        let revoked = gate.revoked(&identity);
        let groups: BTreeSet<String> = groups.into_iter().collect();
        let changed = async move {
            loop {
                if changes.changed().await.is_err() {
                    // No more changes can be announced.
                    std::future::pending::<()>().await;
                }
                match gate.enter(&identity, &cluster) {
                    Ok(now) if now.iter().collect::<BTreeSet<_>>() == groups.iter().collect() => {}
                    Ok(_) | Err(_) => return,
                }
            }
        };
        let ended = async move {
            tokio::select! {
                () = revoked => {}
                () = changed => {}
            }
        };
        Self {
            ended: Box::pin(ended),
        }
    }
}

impl Future for Vigil {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.ended.as_mut().poll(context)
    }
}

/// A stream that breaks off when its vigil ends.
pub(super) struct Guarded {
    body: Body,
    vigil: Vigil,
}

impl Guarded {
    pub(super) const fn new(body: Body, vigil: Vigil) -> Self {
        Self { body, vigil }
    }
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // The vigil first: a busy stream ends as soon as an idle one.
        if Pin::new(&mut self.vigil).poll(context).is_ready() {
            self.body = drover_auth::web::empty();
            let ended = io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the rights of this stream have ended",
            );
            return Poll::Ready(Some(Err(ended.into())));
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
