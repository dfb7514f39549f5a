//! Which key is looked at next, and when.
//!
//! Owns de-duplication, one-at-a-time and back-off, as a state machine
//! without clock or tasks: every step is given the time.
//!
//! Invariant: a trigger is never lost; a key triggered while it is being
//! looked at is looked at again.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;

/// The wait after a first failure; doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A trigger cuts a wait short, but not below this many seconds per failure (five at most).
const WAIT_DESPITE_TRIGGER: Duration = Duration::from_secs(1);

/// How a look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Well; look again after a while, or when triggered.
    Done {
        /// The while.
        again: Option<Duration>,
    },
    /// Another writer was faster; look again at once.
    Stale,
    /// Badly; look again after a wait that grows.
    Failed,
}

#[derive(Debug, Default)]
struct Entry {
    /// When to look; present in `Queue::due` with this time.
    due: Option<Instant>,
    running: bool,
    /// A trigger that came during the look.
    again: Option<Instant>,
    n_failures: u32,
    /// Not before this, whoever triggers.
    hold: Option<Instant>,
}

/// The keys of one controller.
#[derive(Debug)]
pub(super) struct Queue {
    entries: HashMap<String, Entry>,
    due: BTreeSet<(Instant, String)>,
    rng: StdRng,
}

impl Queue {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            entries: HashMap::new(),
            due: BTreeSet::new(),
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Asks for a look at `at` or earlier.
    pub(super) fn trigger(&mut self, key: &str, at: Instant) {
        let entry = self.entries.entry(key.to_owned()).or_default();
        let at = entry.hold.map_or(at, |hold| hold.max(at));
        if entry.running {
            entry.again = Some(entry.again.map_or(at, |again| again.min(at)));
            return;
        }
        if let Some(due) = entry.due {
            if due <= at {
                return;
            }
            self.due.remove(&(due, key.to_owned()));
        }
        entry.due = Some(at);
        self.due.insert((at, key.to_owned()));
    }

    /// The next key that is due, now being looked at.
    pub(super) fn take(&mut self, now: Instant) -> Option<String> {
        let (due, _) = self.due.first()?;
        if *due > now {
            return None;
        }
        let (_, key) = self.due.pop_first()?;
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.due = None;
            entry.running = true;
        }
        Some(key)
    }

    /// When the next key is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Ends a look.
    pub(super) fn finish(&mut self, key: &str, outcome: Outcome, now: Instant) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        entry.running = false;
        let triggered = entry.again.take();
        let planned = match outcome {
            Outcome::Done { again } => {
                entry.n_failures = 0;
                entry.hold = None;
                again.map(|again| now + again)
            }
            Outcome::Stale => {
                entry.hold = None;
                Some(now + Duration::from_millis(20))
            }
            Outcome::Failed => {
                entry.n_failures = entry.n_failures.saturating_add(1);
                entry.hold = Some(now + WAIT_DESPITE_TRIGGER * entry.n_failures.min(5));
                let wait = FIRST_WAIT
                    .saturating_mul(1 << entry.n_failures.saturating_sub(1).min(7))
                    .min(LONGEST_WAIT);
                // Between half and all of it, so that many failures of one cause do not return together.
                Some(now + wait.mul_f64(self.rng.random_range(0.5..1.0)))
            }
        };
        let hold = entry.hold;
        let forget = entry.n_failures == 0 && planned.is_none() && triggered.is_none();
        if forget {
            self.entries.remove(key);
            return;
        }
        if let Some(at) = planned {
            // Our own wait may be shorter than what triggers must keep to.
            if let Some(entry) = self.entries.get_mut(key) {
                entry.hold = None;
            }
            self.trigger(key, at);
            if let Some(entry) = self.entries.get_mut(key) {
                entry.hold = hold;
            }
        }
        if let Some(at) = triggered {
            self.trigger(key, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn start() -> (Queue, Instant) {
        (Queue::new(7), Instant::now())
    }

    #[test]
    fn many_triggers_are_one_look() {
        let (mut queue, now) = start();
        queue.trigger("a", now);
        queue.trigger("a", now + Duration::from_secs(1));
        queue.trigger("a", now);
        assert_eq!(queue.take(now).as_deref(), Some("a"));
        assert_eq!(queue.take(now + Duration::from_secs(9)), None);
    }

    #[test]
    fn a_trigger_during_a_look_brings_another_look() {
        let (mut queue, now) = start();
        queue.trigger("a", now);
        queue.take(now);
        queue.trigger("a", now);
        assert_eq!(queue.take(now), None);
        queue.finish("a", Outcome::Done { again: None }, now);
        assert_eq!(queue.take(now).as_deref(), Some("a"));
    }

    #[test]
    fn waits_grow_stay_bounded_and_end_with_success() {
        let (mut queue, mut now) = start();
        queue.trigger("a", now);
        let mut last = Duration::ZERO;
        for _ in 0..12 {
            queue.take(now).unwrap();
            queue.finish("a", Outcome::Failed, now);
            last = queue.next_due().unwrap() - now;
            assert!(last <= LONGEST_WAIT);
            now = queue.next_due().unwrap();
        }
        assert!(last >= LONGEST_WAIT / 2);
        queue.take(now).unwrap();
        queue.finish("a", Outcome::Done { again: None }, now);
        assert!(queue.entries.is_empty());
    }

    #[test]
    fn a_trigger_cuts_a_wait_short_but_not_to_nothing() {
        let (mut queue, mut now) = start();
        queue.trigger("a", now);
        for _ in 0..10 {
            queue.take(now).unwrap();
            queue.finish("a", Outcome::Failed, now);
            now = queue.next_due().unwrap();
        }
        queue.take(now).unwrap();
        queue.finish("a", Outcome::Failed, now);
        queue.trigger("a", now);
        assert_eq!(queue.next_due().unwrap() - now, Duration::from_secs(5));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Trigger(u8),
        Take,
        Finish(u8),
        Wait(u64),
    }

    proptest! {
        #[test]
        fn no_trigger_is_lost_and_no_key_runs_twice(steps in prop::collection::vec(prop_oneof![
            (0u8..4).prop_map(Step::Trigger), Just(Step::Take), (0u8..3).prop_map(Step::Finish), (0u64..3000).prop_map(Step::Wait),
        ], 0..200)) {
            let (mut queue, mut now) = start();
            let mut running: Vec<String> = Vec::new();
            let mut owed: BTreeSet<String> = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Trigger(key) => {
                        queue.trigger(&key.to_string(), now);
                        owed.insert(key.to_string());
                    }
                    Step::Take => if let Some(key) = queue.take(now) {
                        prop_assert!(!running.contains(&key));
                        owed.remove(&key);
                        running.push(key);
                    },
                    Step::Finish(how) => if let Some(key) = running.pop() {
                        let outcome = match how {
                            0 => Outcome::Done { again: None },
                            1 => Outcome::Stale,
                            _ => Outcome::Failed,
                        };
                        queue.finish(&key, outcome, now);
                    },
                    Step::Wait(millis) => now += Duration::from_millis(millis),
                }
            }
            for key in running {
                queue.finish(&key, Outcome::Done { again: None }, now);
            }
            while let Some(due) = queue.next_due() {
                let key = queue.take(due).unwrap();
                owed.remove(&key);
                queue.finish(&key, Outcome::Done { again: None }, due);
            }
            prop_assert!(owed.is_empty());
            prop_assert!(queue.entries.is_empty());
        }
    }
}
