//! How much of the clusters' answers is held, and by which cluster.
//!
//! Invariant: the sum forgets what has ended by itself: a cluster that falls silent keeps nothing from the others.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Limits;

/// How long an answer counts that has ended: whoever got it is reading it now, and then has it once more.
const READING: Duration = Duration::from_secs(2);

/// What is held of all clusters; clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    all: Arc<Sum>,
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
            own: Sum::default(),
        }))
    }
}

/// What is held of one cluster; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Account(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: Arc<Sum>,
    limits: Limits,
    own: Sum,
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
        Held {
            own: self.0.own.change(before, now),
            all: self.0.all.change(before, now),
        }
    }

    /// An answer that holds so much has come to its end.
    pub(super) fn end(&self, held: usize) {
        self.0.own.end(held);
        self.0.all.end(held);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What has ended is forgotten in its time.
        let running = self.own.0.get_mut().running;
        self.all.change(running, 0);
    }
}

/// What answers hold, running and ended ones.
#[derive(Debug, Default)]
struct Sum(Mutex<Parts>);

#[derive(Debug, Default)]
struct Parts {
    running: usize,
    reading: usize,
    /// Answers that have ended, and until when they count.
    ended: VecDeque<(Instant, usize)>,
}

impl Sum {
    fn change(&self, before: usize, now: usize) -> usize {
        let mut parts = self.0.lock();
        parts.forget();
        parts.running = (parts.running + now).saturating_sub(before);
        parts.running + parts.reading
    }

    fn end(&self, held: usize) {
        let mut parts = self.0.lock();
        parts.forget();
        parts.running = parts.running.saturating_sub(held);
        if held > 0 {
            parts.reading += held;
            parts.ended.push_back((Instant::now() + READING, held));
        }
    }
}

impl Parts {
    fn forget(&mut self) {
        let now = Instant::now();
        while let Some((until, held)) = self.ended.front().copied() {
            if until > now {
                return;
            }
            self.ended.pop_front();
            self.reading -= held;
        }
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

    #[tokio::test(start_paused = true)]
    async fn what_a_silent_or_forgotten_cluster_held_is_free_for_others() {
        let ledger = Ledger::default();
        let accounts = [(); 3].map(|()| ledger.account());
        let [silent, gone, other] = accounts;
        for account in [&silent, &gone] {
            account.change(0, 5);
            account.end(5);
        }
        drop(gone);
        assert_eq!(other.change(0, 1), Held { own: 1, all: 11 });
        tokio::time::advance(READING).await;
        assert_eq!(other.change(1, 1), Held { own: 1, all: 1 });
        drop(silent);
        assert_eq!(other.change(1, 0), Held { own: 0, all: 0 });
    }
}
