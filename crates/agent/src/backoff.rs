//! How long to wait before the next attempt.
//!
//! Owns one rule: the wait is drawn evenly between zero and a bound ("full jitter") that doubles with every failure. When
//! a hub restarts, its agents all lose their sessions in the same instant; drawn waits spread them, and a small bound
//! brings 500 of them back well within a minute. The peer waits 5 s each time, in step.
//!
//! Randomness is handed in as a number, so the rule is a pure function.

use std::time::Duration;

/// The first bound; most restarts of a hub are over by then.
const FIRST: Duration = Duration::from_secs(2);
/// The largest bound while no connection comes about: an attempt costs the hub next to nothing, and the network, once
/// it is back, should be used at once.
const UNREACHED: Duration = Duration::from_secs(2);
/// The largest bound while the hub takes connections and no session holds.
const BROKEN: Duration = Duration::from_secs(15);
/// The largest bound while the hub answers but refuses: a person has to act, so asking often helps nobody.
const REFUSED: Duration = Duration::from_secs(60);
/// A wait is never shorter, so that a hub which accepts and drops at once is not hammered.
const LEAST: Duration = Duration::from_millis(100);
/// A session that held this long makes its end a new first failure.
const STABLE: Duration = Duration::from_secs(10);

/// What ended the last attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// There was no connection to the hub.
    Unreached,
    /// There was a connection, but no session came about, or it broke.
    Broken,
    /// The hub refused the credentials.
    Refused,
}

/// Counts failures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Failures in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Notes how long a session held; a stable one clears the count.
    pub fn held(&mut self, duration: Duration) {
        if duration >= STABLE {
            self.failures = 0;
        }
    }

    /// The wait after a failure. `chance` lies in `0.0..1.0`.
    pub fn next(&mut self, ended: Ended, chance: f64) -> Duration {
        let most = match ended {
            Ended::Unreached => UNREACHED,
            Ended::Broken => BROKEN,
            Ended::Refused => REFUSED,
        };
        let bound = FIRST.saturating_mul(1 << self.failures.min(10)).min(most);
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(chance.clamp(0.0, 1.0)).max(LEAST)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{BROKEN, Backoff, Ended, LEAST, REFUSED, UNREACHED};

    #[test]
    fn bounds_double_up_to_a_limit_that_depends_on_the_answer() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..6)
            .map(|_| backoff.next(Ended::Broken, 1.0).as_secs())
            .collect();
        assert_eq!(waits, [2, 4, 8, 15, 15, 15]);
        assert_eq!(backoff.next(Ended::Refused, 1.0), REFUSED);
        assert_eq!(backoff.next(Ended::Unreached, 1.0), UNREACHED);
        backoff.held(Duration::from_secs(3));
        assert_eq!(backoff.failures(), 8);
        backoff.held(Duration::from_secs(60));
        assert_eq!(backoff.next(Ended::Broken, 1.0).as_secs(), 2);
    }

    proptest! {
        #[test]
        fn a_wait_stays_within_its_bounds(failures in 0u32..100, chance in -1.0f64..2.0) {
            let mut backoff = Backoff { failures };
            let wait = backoff.next(Ended::Broken, chance);
            prop_assert!(wait >= LEAST && wait <= BROKEN);
        }
    }
}
