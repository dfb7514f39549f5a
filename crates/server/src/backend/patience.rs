//! How long answers of a real Kubernetes API are waited for.
//!
//! Long while it is well: a list may be long, a disk slow. Whoever has waited for a while has it asked whether it reaches its
//! own store, and once it says that it does not, or says nothing, gives up: a person would rather hear now that there will be
//! no answer. Only the head of an answer counts; a watch has its head at once.
//!
//! Owns no verdict about who leads or whose rights count: a store that is slow to answer one question is not one that is gone.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use drover_auth::web::BoxError;
use http::{Method, Request};
use kube::Client;
use kube::client::Body;
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};
use tower::{Layer, Service};

/// How long the head of an answer may take at most.
pub(super) const ANSWER: Duration = Duration::from_secs(30);
/// When a read that has no answer begins to ask. A page of a list takes a second where much is in it.
const LOOK: Duration = Duration::from_secs(5);
/// The same of a write: whoever gives one up does not know whether it was done.
const LOOK_AT_WRITES: Duration = Duration::from_secs(10);
/// The same of both while the last that was heard is that it is not well.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long it may take to say whether it is well: its own question to etcd ends after two seconds
/// (kube-apiserver, `--etcd-readycheck-timeout`).
const SAY: Duration = Duration::from_secs(3);
/// For how long all go by one verdict.
const COUNTS: Duration = Duration::from_secs(2);
/// For how long a bad one makes others ask early. Who waits keeps it fresh.
const REMEMBERED: Duration = Duration::from_secs(15);
/// What it is asked: whether it reaches its store, and nothing else that may ail it.
const STORE_CHECK: &str = "/readyz/etcd";

/// Why an answer is not waited for any longer.
#[derive(Debug, Error)]
pub(super) enum GivenUp {
    #[error("the Kubernetes API did not answer within {} seconds", ANSWER.as_secs())]
    TooLong,
    #[error("the Kubernetes API did not answer within {} seconds, and does not reach its store", .0.as_secs())]
    NoStore(Duration),
}

/// What is known of the API; clones are the same.
#[derive(Clone)]
pub(super) struct Patience(Arc<Inner>);

struct Inner {
    /// What the question is asked with; waits for nothing itself.
    client: Client,
    last: Mutex<Option<Verdict>>,
}

#[derive(Debug, Clone, Copy)]
struct Verdict {
    at: Instant,
    is_well: bool,
}

impl Patience {
    /// `client` must be another than the one that is to have patience.
    pub(super) fn new(client: Client) -> Self {
        Self(Arc::new(Inner {
            client,
            last: Mutex::default(),
        }))
    }

    /// When a request that begins now should ask.
    fn look(&self, method: &Method) -> Duration {
        // Whoever holds it asks right now.
        let last = self.0.last.try_lock().ok().and_then(|last| *last);
        match last {
            Some(last) if !last.is_well && last.at.elapsed() < REMEMBERED => LOOK_AGAIN,
            _ if method.is_safe() => LOOK,
            _ => LOOK_AT_WRITES,
        }
    }

    /// Whether the API reaches its store. One asks for all who want to know.
    async fn is_well(&self) -> bool {
        let mut last = self.0.last.lock().await;
        if let Some(last) = *last
            && last.at.elapsed() < COUNTS
        {
            return last.is_well;
        }
        let is_well = ask(&self.0.client).await;
        *last = Some(Verdict {
            at: Instant::now(),
            is_well,
        });
        is_well
    }

    async fn lost(&self, look: Duration) -> GivenUp {
        let begun = Instant::now();
        let mut next = begun + look;
        loop {
            if next >= begun + ANSWER {
                sleep_until(begun + ANSWER).await;
                return GivenUp::TooLong;
            }
            sleep_until(next).await;
            if !self.is_well().await {
                return GivenUp::NoStore(begun.elapsed());
            }
            next = Instant::now() + look;
        }
    }
}

/// Who has no such check, or does not let us ask, is taken to be well.
async fn ask(client: &Client) -> bool {
    let request = match Request::get(STORE_CHECK).body(Body::empty()) {
        Ok(request) => request,
        Err(error) => {
            tracing::error!(%error, "the question for the store cannot be asked");
            return true;
        }
    };
    match timeout(SAY, client.send(request)).await {
        Ok(Ok(answer)) => !answer.status().is_server_error(),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the Kubernetes API does not say whether it reaches its store");
            false
        }
        Err(_) => false,
    }
}

impl<S> Layer<S> for Patience {
    type Service = Patient<S>;

    fn layer(&self, inner: S) -> Patient<S> {
        Patient {
            inner,
            patience: self.clone(),
        }
    }
}

/// Requests with [`Patience`].
pub(super) struct Patient<S> {
    inner: S,
    patience: Patience,
}

impl<S, B> Service<Request<B>> for Patient<S>
where
    S: Service<Request<B>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let look = self.patience.look(request.method());
        let (patience, answer) = (self.patience.clone(), self.inner.call(request));
        Box::pin(async move {
            tokio::select! {
                biased;
                answer = answer => answer.map_err(Into::into),
                given_up = patience.lost(look) => Err(given_up.into()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

    use http::{Response, StatusCode};
    use kube::client::ClientBuilder;
    use tower::service_fn;

    use super::*;

    /// A Kubernetes API that answers nothing, and of its store with `status` (0 for nothing) after a second.
    struct Silent {
        client: Client,
        status: Arc<AtomicU16>,
        asked: Arc<AtomicUsize>,
    }

    fn silent(status: u16) -> Silent {
        let (status, asked) = (
            Arc::new(AtomicU16::new(status)),
            Arc::<AtomicUsize>::default(),
        );
        let (told, counted) = (Arc::clone(&status), Arc::clone(&asked));
        let service = service_fn(move |request: Request<Body>| {
            let (told, counted) = (Arc::clone(&told), Arc::clone(&counted));
            async move {
                if request.uri().path() == STORE_CHECK {
                    counted.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    if let Ok(status) = StatusCode::from_u16(told.load(Ordering::SeqCst)) {
                        let answer = Response::builder().status(status).body(Body::empty());
                        return Ok::<_, Infallible>(answer.unwrap());
                    }
                }
                std::future::pending().await
            }
        });
        let patience = Patience::new(Client::new(service.clone(), "default"));
        let client = ClientBuilder::new(service, "default").with_layer(&patience);
        Silent {
            client: client.build(),
            status,
            asked,
        }
    }

    /// Why a request is given up, and after how many seconds.
    async fn wait(silent: &Silent, method: Method) -> (String, u64) {
        let begun = Instant::now();
        let request = Request::builder().method(method).uri("/api/v1/pods");
        let error = silent
            .client
            .send(request.body(Body::empty()).unwrap())
            .await
            .unwrap_err();
        let kube::Error::Service(error) = error else {
            panic!("{error}");
        };
        (error.to_string(), begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_still_come_is_waited_for() {
        for status in [200, 404, 403] {
            let (error, after) = wait(&silent(status), Method::GET).await;
            assert_eq!(after, 30, "{status}: {error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_reach_its_store_is_given_up() {
        for (status, say) in [(500, 1), (0, 3)] {
            let (error, after) = wait(&silent(status), Method::GET).await;
            assert_eq!(after, 5 + say, "{status}: {error}");
            assert!(error.contains("does not reach its store"), "{error}");
            assert_eq!(wait(&silent(status), Method::PUT).await.1, 10 + say);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_later_is_told_sooner_and_one_asks_for_all() {
        let silent = silent(500);
        wait(&silent, Method::GET).await;
        let waits = futures::future::join_all((0..50).map(|_| wait(&silent, Method::POST))).await;
        // By the verdict of a second ago.
        assert!(waits.iter().all(|(_, after)| *after == 1), "{waits:?}");
        assert_eq!(silent.asked.load(Ordering::SeqCst), 1);
        // Well again: waited for as before.
        silent.status.store(200, Ordering::SeqCst);
        tokio::time::advance(COUNTS).await;
        assert_eq!(wait(&silent, Method::GET).await.1, 30);
    }
}
