//! Turns among identities: who may work now, who waits, who is refused.
//!
//! Each identity has so many places at most, fewer than there are, so that one in a storm leaves some to the others.
//! Within an identity requests wait in order; a place that falls free goes to the next identity around the circle, not
//! to the one with the most requests. A queue that is full refuses at once, which costs a client less than a deadline.
//!
//! Invariant: a place is taken from exactly one holder: a turn that runs, or one on its way to a request that waits.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// How many places there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    /// For all identities together.
    pub(super) total: usize,
    /// For one identity.
    pub(super) each: usize,
    /// Requests of one identity that may wait.
    pub(super) waiting: usize,
}

/// The places and those who wait for one.
#[derive(Debug)]
pub(super) struct Turns {
    places: Places,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    lines: HashMap<Arc<str>, Line>,
    /// Identities with somebody waiting, each once; the front is served next.
    circle: VecDeque<Arc<str>>,
}

#[derive(Debug, Default)]
struct Line {
    running: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// Too many requests of this identity wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused;

/// The right to work; dropping it passes it on.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    user: Arc<str>,
    /// Of a turn that reached nobody: its place was given back by whoever sent it.
    returned: bool,
}

impl Turns {
    pub(super) fn new(places: Places) -> Arc<Self> {
        Arc::new(Self {
            places,
            state: Mutex::default(),
        })
    }

    /// Waits for a turn. Cancel-safe: who no longer waits is passed over.
    pub(super) async fn take(self: &Arc<Self>, user: &str) -> Result<Turn, Refused> {
        let waiting = {
            let mut state = self.state.lock();
            let user: Arc<str> = match state.lines.get_key_value(user) {
                Some((user, _)) => Arc::clone(user),
                None => user.into(),
            };
            let total_running = state.running;
            let line = state.lines.entry(Arc::clone(&user)).or_default();
            // Somebody who waits has been there longer.
            if line.waiting.is_empty()
                && line.running < self.places.each
                && total_running < self.places.total
            {
                line.running += 1;
                state.running += 1;
                return Ok(self.turn(user));
            }
            line.waiting.retain(|waiter| !waiter.is_closed());
            if line.waiting.len() >= self.places.waiting {
                return Err(Refused);
            }
            let (sender, receiver) = oneshot::channel();
            line.waiting.push_back(sender);
            if !state.circle.contains(&user) {
                state.circle.push_back(user);
            }
            receiver
        };
        // The sender is dropped unused only with everything else.
        waiting.await.map_err(|_| Refused)
    }

    fn turn(self: &Arc<Self>, user: Arc<str>) -> Turn {
        Turn {
            turns: Arc::clone(self),
            user,
            returned: false,
        }
    }

    fn give_back(self: &Arc<Self>, user: &Arc<str>) {
        let mut state = self.state.lock();
        state.running -= 1;
        if let Some(line) = state.lines.get_mut(user) {
            line.running -= 1;
            if line.running == 0 && line.waiting.is_empty() {
                state.lines.remove(user);
            }
        }
        self.pass_on(&mut state);
    }

    /// Gives free places to those who wait, one identity after the other.
    fn pass_on(self: &Arc<Self>, state: &mut State) {
        let mut passed_over = 0;
        while state.running < self.places.total && passed_over < state.circle.len() {
            let Some(user) = state.circle.pop_front() else {
                return;
            };
            let Some(line) = state.lines.get_mut(&user) else {
                continue;
            };
            if line.running >= self.places.each {
                state.circle.push_back(user);
                passed_over += 1;
                continue;
            }
            let mut served = false;
            while let Some(waiter) = line.waiting.pop_front() {
                match waiter.send(self.turn(Arc::clone(&user))) {
                    Ok(()) => {
                        served = true;
                        break;
                    }
                    Err(mut unwanted) => unwanted.returned = true,
                }
            }
            if served {
                line.running += 1;
                state.running += 1;
                passed_over = 0;
            }
            if !line.waiting.is_empty() {
                state.circle.push_back(user);
            } else if line.running == 0 {
                state.lines.remove(&user);
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.returned {
            self.turns.give_back(&self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use proptest::prelude::*;

    const PLACES: Places = Places {
        total: 3,
        each: 2,
        waiting: 2,
    };

    #[test]
    fn one_identity_leaves_a_place_to_the_others() {
        let turns = Turns::new(PLACES);
        let take = |user: &str| turns.take(user).now_or_never();
        let first = take("a").unwrap().unwrap();
        let _second = take("a").unwrap().unwrap();
        assert!(take("a").is_none());
        let _other = take("b").unwrap().unwrap();
        assert!(take("c").is_none());
        drop(first);
        assert!(take("c").unwrap().is_ok());
    }

    #[test]
    fn free_places_go_around_the_circle() {
        let turns = Turns::new(Places {
            total: 1,
            each: 1,
            waiting: 9,
        });
        let turn = turns.take("a").now_or_never().unwrap().unwrap();
        let mut a = Box::pin(turns.take("a"));
        let mut more = Box::pin(turns.take("a"));
        let mut b = Box::pin(turns.take("b"));
        assert!(a.as_mut().now_or_never().is_none());
        assert!(more.as_mut().now_or_never().is_none());
        assert!(b.as_mut().now_or_never().is_none());
        drop(turn);
        let turn = a.now_or_never().unwrap().unwrap();
        drop(turn);
        assert!(
            more.as_mut().now_or_never().is_none(),
            "b came before the second of a"
        );
        let turn = b.now_or_never().unwrap().unwrap();
        drop(turn);
        assert!(more.now_or_never().unwrap().is_ok());
    }

    #[test]
    fn a_full_queue_refuses_and_those_who_left_make_room() {
        let turns = Turns::new(Places {
            total: 1,
            each: 1,
            waiting: 1,
        });
        let turn = turns.take("a").now_or_never().unwrap().unwrap();
        let mut waiting = Box::pin(turns.take("a"));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(matches!(turns.take("a").now_or_never(), Some(Err(Refused))));
        drop(waiting);
        let mut waiting = Box::pin(turns.take("a"));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(turn);
        assert!(waiting.now_or_never().unwrap().is_ok());
        assert!(turns.state.lock().lines.is_empty());
    }

    proptest! {
        /// Whatever is taken, left and dropped in which order, no place is lost and none is given twice.
        #[test]
        fn places_are_neither_lost_nor_doubled(steps in prop::collection::vec((0..3_usize, 0..3_usize, any::<prop::sample::Index>()), 0..80)) {
            let turns = Turns::new(PLACES);
            let users = ["a", "b", "c"];
            let mut held: Vec<Turn> = Vec::new();
            let mut waiting = Vec::new();
            for (what, user, which) in steps {
                match what {
                    0 => {
                        let turns = Arc::clone(&turns);
                        let mut take = Box::pin(async move { turns.take(users[user]).await });
                        match take.as_mut().now_or_never() {
                            Some(Ok(turn)) => held.push(turn),
                            Some(Err(Refused)) => {}
                            None => waiting.push(take),
                        }
                    }
                    1 if !held.is_empty() => drop(held.swap_remove(which.index(held.len()))),
                    2 if !waiting.is_empty() => drop(waiting.swap_remove(which.index(waiting.len()))),
                    _ => {}
                }
                waiting.retain_mut(|take| match take.as_mut().now_or_never() {
                    Some(Ok(turn)) => { held.push(turn); false }
                    Some(Err(Refused)) => false,
                    None => true,
                });
                prop_assert_eq!(turns.state.lock().running, held.len());
                prop_assert!(held.len() <= PLACES.total);
                for user in users {
                    prop_assert!(held.iter().filter(|turn| &*turn.user == user).count() <= PLACES.each);
                }
                // Nobody waits beside a free place that would be theirs.
                prop_assert!(waiting.is_empty() || held.len() == PLACES.total
                    || users.iter().any(|user| held.iter().filter(|turn| &*turn.user == *user).count() == PLACES.each));
            }
            drop(waiting);
            drop(held);
            let state = turns.state.lock();
            prop_assert_eq!(state.running, 0);
        }
    }
}
