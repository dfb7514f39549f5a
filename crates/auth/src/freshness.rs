//! Whether what is known here of tokens, people and bindings is still what the store holds.
//!
//! Owns when each collection that decisions follow from was last heard of. A quiet watch gets a bookmark each minute
//! (kube-apiserver, `defaultBookmarkFrequency`), so that silence is absence: of the network, of the Kubernetes API, or
//! of the right to watch. What was revoked since is not known here.
//!
//! Invariant: nobody is let in, or kept in, by what is older than [`LONGEST_SILENCE`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::BodyExt as _;
use kube::Client;
use parking_lot::RwLock;
use tokio::time::Instant;
use tower::service_fn;

/// How long a watch may be silent before what it showed counts for nothing. Long enough for a dead connection to be noticed
/// and replaced (75 seconds, and 30 for an attempt that hangs), as short as a Kubernetes API server itself goes on by an
/// answer about a token (`--authentication-token-webhook-cache-ttl`, two minutes).
pub const LONGEST_SILENCE: Duration = Duration::from_mins(2);
/// How often somebody looks whether a silence is over.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// When each collection was last heard of. Cheap to clone; clones are the same.
#[derive(Clone)]
pub(crate) struct Freshness(Arc<Inner>);

struct Inner {
    started: Instant,
    sources: RwLock<Vec<Source>>,
}

struct Source {
    /// Path of the collection.
    path: String,
    heard: Heard,
}

/// Milliseconds from the start to the last sign of life.
type Heard = Arc<AtomicU64>;

impl fmt::Debug for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Freshness")
            .field("silence", &self.silence())
            .finish_non_exhaustive()
    }
}

impl Freshness {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            started: Instant::now(),
            sources: RwLock::new(Vec::new()),
        }))
    }

    /// The same client, through which each collection that is asked for is followed from now on: it is heard of by answers
    /// that say yes, and by every piece of them.
    pub(crate) fn hearing(&self, client: &Client) -> Client {
        let (freshness, inner) = (self.clone(), client.clone());
        let service = service_fn(move |request: http::Request<kube::client::Body>| {
            let heard = freshness.source(request.uri().path());
            let (freshness, inner) = (freshness.clone(), inner.clone());
            async move {
                let answer = inner.send(request).await?;
                let speaks = answer.status().is_success();
                let hear = move || {
                    if speaks {
                        heard.store(freshness.now(), Ordering::Relaxed);
                    }
                };
                hear();
                Ok::<_, kube::Error>(answer.map(|body| {
                    body.map_frame(move |frame| {
                        hear();
                        frame
                    })
                }))
            }
        });
        Client::new(service, client.default_namespace())
    }

    fn source(&self, path: &str) -> Heard {
        let find = |sources: &[Source]| {
            let source = sources.iter().find(|source| source.path == path);
            source.map(|source| Arc::clone(&source.heard))
        };
        if let Some(heard) = find(&self.0.sources.read()) {
            return heard;
        }
        let mut sources = self.0.sources.write();
        find(&sources).unwrap_or_else(|| {
            let heard = Heard::new(AtomicU64::new(self.now()));
            sources.push(Source {
                path: path.to_owned(),
                heard: Arc::clone(&heard),
            });
            heard
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// For how long one of the collections has not been heard of; the longest of them.
    fn silence(&self) -> Duration {
        let sources = self.0.sources.read();
        let oldest = sources
            .iter()
            .map(|source| source.heard.load(Ordering::Relaxed))
            .min();
        oldest.map_or(Duration::ZERO, |oldest| {
            Duration::from_millis(self.now().saturating_sub(oldest))
        })
    }

    /// How long the silence is, if it is too long to rely on what was heard before.
    pub(crate) fn too_silent(&self) -> Option<Duration> {
        Some(self.silence()).filter(|silence| *silence >= LONGEST_SILENCE)
    }

    /// Completes once it has been silent for too long.
    pub(crate) async fn ended(&self) {
        while self.too_silent().is_none() {
            tokio::time::sleep(LONGEST_SILENCE.saturating_sub(self.silence())).await;
        }
    }

    /// Tells the operator of silences, for as long as it is polled.
    pub(crate) async fn tell(&self) {
        loop {
            self.ended().await;
            tracing::error!(
                silence = ?self.silence(),
                "the Kubernetes API tells nothing of tokens and roles any more; nobody is let in by what is known of them"
            );
            while self.too_silent().is_some() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            tracing::info!("the Kubernetes API is heard again");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use futures::StreamExt as _;
    use http_body_util::StreamBody;
    use tokio::sync::mpsc;

    use super::*;

    /// A client whose answers to `/quiet` are empty and never end, to `/refused` are refusals, and to all else what is sent.
    fn client(told: mpsc::Receiver<Bytes>) -> Client {
        let told = Arc::new(tokio::sync::Mutex::new(told));
        let service = service_fn(move |request: http::Request<kube::client::Body>| {
            let told = Arc::clone(&told);
            async move {
                let told = told.lock_owned().await;
                let frames = futures::stream::unfold(told, |mut told| async {
                    let bytes = told.recv().await?;
                    Some((Ok::<_, Infallible>(http_body::Frame::data(bytes)), told))
                });
                let status = match request.uri().path() {
                    "/refused" => 403,
                    _ => 200,
                };
                let answer = http::Response::builder().status(status);
                Ok::<_, Infallible>(answer.body(StreamBody::new(frames.boxed())).unwrap())
            }
        });
        Client::new(service, "default")
    }

    async fn ask(client: &Client, path: &str) -> kube::client::Body {
        let request = http::Request::get(path).body(kube::client::Body::empty());
        client.send(request.unwrap()).await.unwrap().into_body()
    }

    #[tokio::test(start_paused = true)]
    async fn every_piece_of_an_answer_is_a_sign_of_life() {
        let (tell, told) = mpsc::channel(1);
        let freshness = Freshness::new();
        tokio::time::advance(LONGEST_SILENCE * 2).await;
        assert_eq!(freshness.too_silent(), None, "nothing is followed");
        let mut body = ask(&freshness.hearing(&client(told)), "/tokens").await;
        for _ in 0..3 {
            tokio::time::advance(LONGEST_SILENCE - Duration::from_secs(1)).await;
            assert_eq!(freshness.too_silent(), None);
            tell.send(Bytes::from_static(b"bookmark")).await.unwrap();
            body.frame().await.unwrap().unwrap();
        }
        let begun = Instant::now();
        freshness.ended().await;
        assert_eq!(begun.elapsed(), LONGEST_SILENCE);
        assert_eq!(freshness.too_silent(), Some(LONGEST_SILENCE));
        tell.send(Bytes::from_static(b"bookmark")).await.unwrap();
        body.frame().await.unwrap().unwrap();
        assert_eq!(freshness.too_silent(), None, "it is heard again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_no_sign_of_life_and_one_silent_collection_is_enough() {
        let (_tell, told) = mpsc::channel(1);
        let (tell, heard) = mpsc::channel(1);
        let freshness = Freshness::new();
        let refused = freshness.hearing(&client(told));
        let _refusal = ask(&refused, "/refused").await;
        let mut body = ask(&freshness.hearing(&client(heard)), "/tokens").await;
        tokio::time::advance(LONGEST_SILENCE).await;
        tell.send(Bytes::from_static(b"bookmark")).await.unwrap();
        body.frame().await.unwrap().unwrap();
        assert_eq!(freshness.too_silent(), Some(LONGEST_SILENCE));
    }
}
