//! How much of the clusters' answers is held, and by which cluster.
//!
//! Invariant: a cluster's part of the sum is what its own account says, and goes with it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Limits;

/// How long an answer counts that has ended: whoever got it is reading it now, and then has it once more.
const READING: Duration = Duration::from_secs(2);

/// What is held of all clusters; clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    all: Arc<AtomicUsize>,
    limits: Limits,
}

impl Ledger {
    #[cfg(test)]
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            all: Arc::default(),
            limits,
        }
    }

    /// The account of another cluster.
    pub(super) fn account(&self) -> Account {
        Account(Arc::new(Inner {
            all: Arc::clone(&self.all),
            limits: self.limits,
            own: Mutex::default(),
        }))
    }
}

/// What is held of one cluster; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Account(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: Arc<AtomicUsize>,
    limits: Limits,
    own: Mutex<Own>,
}

#[derive(Debug, Default)]
struct Own {
    held: usize,
    /// Answers that have ended, and until when they count.
    ended: VecDeque<(Instant, usize)>,
}

/// What is held now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    /// Of this cluster.
    pub(super) own: usize,
    /// Of all of them.
    pub(super) all: usize,
}

impl Account {
    pub(super) fn limits(&self) -> Limits {
        self.0.limits
    }

    /// One answer now holds `now` instead of `before`.
    pub(super) fn change(&self, before: usize, now: usize) -> Held {
        let mut own = self.0.own.lock();
        self.0.forget(&mut own);
        own.held = (own.held + now).saturating_sub(before);
        let all = if now >= before {
            self.0.all.fetch_add(now - before, Ordering::Relaxed) + (now - before)
        } else {
            self.0.all.fetch_sub(before - now, Ordering::Relaxed) - (before - now)
        };
        Held { own: own.held, all }
    }

    /// An answer that holds so much has come to its end.
    pub(super) fn end(&self, held: usize) {
        let mut own = self.0.own.lock();
        self.0.forget(&mut own);
        if held > 0 {
            own.ended.push_back((Instant::now() + READING, held));
        }
    }
}

impl Inner {
    fn forget(&self, own: &mut Own) {
        let now = Instant::now();
        while let Some((until, held)) = own.ended.front().copied() {
            if until > now {
                return;
            }
            own.ended.pop_front();
            own.held -= held;
            self.all.fetch_sub(held, Ordering::Relaxed);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.all
            .fetch_sub(self.own.get_mut().held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_has_ended_counts_while_it_is_read() {
        let ledger = Ledger::default();
        let (one, other) = (ledger.account(), ledger.account());
        assert_eq!(one.change(0, 5), Held { own: 5, all: 5 });
        assert_eq!(other.change(0, 2), Held { own: 2, all: 7 });
        one.end(5);
        assert_eq!(one.change(0, 1), Held { own: 6, all: 8 });
        tokio::time::advance(READING).await;
        assert_eq!(one.change(0, 0), Held { own: 1, all: 3 });
        drop(one);
        assert_eq!(other.change(2, 0), Held { own: 0, all: 0 });
    }
}
