//! How much the heads of requests hold that nobody has answered yet.
//!
//! A head is kept until its request is answered, and before that nobody knows whose it is. On one HTTP/2 connection there
//! may be thousands, each as large as the largest that a single request may have.
//!
//! Invariant: heads larger than [`SMALL`] hold no more than [`OF_ONE`] of a connection and [`OF_ALL`] together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Request;

/// Most for one connection, in bytes: as many requests as it may have at once with what clients usually send.
const OF_ONE: usize = 8 << 20;
/// Most for all connections.
const OF_ALL: usize = 256 << 20;
/// What a request has in any case, and is never refused for.
const SMALL: usize = 4 << 10;
/// What a header takes beside its text.
const OVERHEAD: usize = 128;

/// What is held by all connections; clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Heads(Arc<AtomicUsize>);

/// What is held by one connection; clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Held {
    all: Heads,
    one: Arc<AtomicUsize>,
}

/// One head, given back when dropped.
#[derive(Debug)]
pub(super) struct Head {
    held: Held,
    bytes: usize,
}

impl Heads {
    pub(super) fn of_connection(&self) -> Held {
        Held {
            all: self.clone(),
            one: Arc::default(),
        }
    }
}

impl Held {
    /// Counts the head of a request; `None` if there is no room for it.
    pub(super) fn add<B>(&self, request: &Request<B>) -> Option<Head> {
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + OVERHEAD);
        let target = request.uri().path_and_query();
        let target = target.map_or(0, |target| target.as_str().len());
        let bytes = target + headers.sum::<usize>();
        let one = self.one.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let all = self.all.0.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // Given back if it is not taken.
        let head = Head {
            held: self.clone(),
            bytes,
        };
        (bytes <= SMALL || (one <= OF_ONE && all <= OF_ALL)).then_some(head)
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        self.held.one.fetch_sub(self.bytes, Ordering::Relaxed);
        self.held.all.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_header(length: usize) -> Request<()> {
        let value = "a".repeat(length);
        Request::get("/v3").header("x", value).body(()).unwrap()
    }

    #[test]
    fn large_heads_find_no_room_beside_many_and_small_ones_always_do() {
        let heads = Heads::default();
        let held = heads.of_connection();
        let large = with_header(100 << 10);
        let mut taken: Vec<Head> = std::iter::from_fn(|| held.add(&large)).collect();
        assert_eq!(taken.len(), 81);
        assert!(held.add(&with_header(1 << 10)).is_some());
        taken.pop();
        assert!(held.add(&large).is_some(), "what is refused holds nothing");
        let others: Vec<Held> = (0..40).map(|_| heads.of_connection()).collect();
        taken.extend(
            others
                .iter()
                .flat_map(|held| std::iter::from_fn(|| held.add(&large))),
        );
        assert!((2_500..2_622).contains(&taken.len()), "{}", taken.len());
        assert!(heads.of_connection().add(&large).is_none());
        assert!(heads.of_connection().add(&with_header(10)).is_some());
        drop(taken);
        assert_eq!(heads.0.load(Ordering::Relaxed), 0);
    }
}
