//! Limits on login attempts: a token bucket per user name and per address.
//!
//! Only failed attempts cost anything in the end, so that a script that signs in
//! often is not slowed. Buckets refill; nobody is locked out for good. Somebody
//! who guesses at a name slows that name's own logins from addresses that never
//! signed in as it; addresses that did are left alone.
//!
//! Invariant: memory is bounded, whatever names and addresses are tried.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use jiff::Timestamp;
use parking_lot::Mutex;

/// Failed attempts a name or address may make at once, and how many seconds bring one back.
#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: f64,
    seconds_each: f64,
}

const PER_USER: Rate = Rate {
    burst: 10.0,
    seconds_each: 6.0,
};
const PER_ADDRESS: Rate = Rate {
    burst: 40.0,
    seconds_each: 2.0,
};
/// Names and addresses remembered at once: 2 x 10,000 x about 100 bytes.
const REMEMBERED: usize = 10_000;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Timestamp,
}

#[derive(Debug)]
struct Buckets<K> {
    rate: Rate,
    buckets: HashMap<K, Bucket>,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: HashMap::new(),
        }
    }

    fn level(&self, bucket: Bucket, now: Timestamp) -> f64 {
        let passed = now.duration_since(bucket.at).as_secs_f64().max(0.0);
        (bucket.left + passed / self.rate.seconds_each).min(self.rate.burst)
    }

    /// Takes one, or says in how many seconds one is there.
    fn take(&mut self, key: &K, now: Timestamp) -> Result<(), f64> {
        let full = Bucket {
            left: self.rate.burst,
            at: now,
        };
        let level = self.level(self.buckets.get(key).copied().unwrap_or(full), now);
        if level < 1.0 {
            return Err((1.0 - level) * self.rate.seconds_each);
        }
        if self.buckets.len() >= REMEMBERED && !self.buckets.contains_key(key) {
            self.make_room(now);
        }
        self.buckets.insert(
            key.clone(),
            Bucket {
                left: level - 1.0,
                at: now,
            },
        );
        Ok(())
    }

    fn give_back(&mut self, key: &K, now: Timestamp) {
        if let Some(bucket) = self.buckets.get(key).copied() {
            let left = (self.level(bucket, now) + 1.0).min(self.rate.burst);
            self.buckets.insert(key.clone(), Bucket { left, at: now });
        }
    }

    /// Forgets full buckets, which say nothing, and if that is not enough the fullest half of the rest.
    fn make_room(&mut self, now: Timestamp) {
        let burst = self.rate.burst;
        let mut levels: Vec<f64> = self
            .buckets
            .values()
            .map(|bucket| self.level(*bucket, now))
            .collect();
        levels.sort_by(f64::total_cmp);
        let middle = levels.get(levels.len() / 2).copied().unwrap_or(burst);
        let seconds_each = self.rate.seconds_each;
        self.buckets.retain(|_, bucket| {
            let passed = now.duration_since(bucket.at).as_secs_f64().max(0.0);
            (bucket.left + passed / seconds_each).min(burst) < middle
        });
    }
}

/// The limits. Shared by all ways to sign in.
#[derive(Debug)]
pub(crate) struct Limiter(Mutex<State>);

#[derive(Debug)]
struct State {
    users: Buckets<String>,
    addresses: Buckets<IpAddr>,
    /// Who signed in from where.
    known: HashMap<(String, IpAddr), Timestamp>,
}

impl Limiter {
    pub(crate) fn new() -> Self {
        let (users, addresses) = (Buckets::new(PER_USER), Buckets::new(PER_ADDRESS));
        Self(Mutex::new(State {
            users,
            addresses,
            known: HashMap::new(),
        }))
    }

    /// Admits an attempt, or says in how many whole seconds to try again.
    pub(crate) fn attempt(
        &self,
        username: &str,
        remote: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), u64> {
        let mut state = self.0.lock();
        let username = key(username);
        let state = &mut *state;
        if let Some(remote) = remote {
            state
                .addresses
                .take(&network(remote), now)
                .map_err(whole_seconds)?;
        }
        let known =
            remote.is_some_and(|remote| state.known.contains_key(&(username.clone(), remote)));
        if known {
            return Ok(());
        }
        state.users.take(&username, now).map_err(|seconds| {
            if let Some(remote) = remote {
                state.addresses.give_back(&network(remote), now);
            }
            whole_seconds(seconds)
        })
    }

    /// Takes back the cost of an attempt that succeeded, and remembers the address as one of this user's.
    pub(crate) fn succeeded(&self, username: &str, remote: Option<IpAddr>, now: Timestamp) {
        let mut state = self.0.lock();
        let username = key(username);
        state.users.give_back(&username, now);
        if let Some(remote) = remote {
            state.addresses.give_back(&network(remote), now);
            if state.known.len() >= REMEMBERED {
                let mut times: Vec<Timestamp> = state.known.values().copied().collect();
                times.sort_unstable();
                let middle = times[times.len() / 2];
                state.known.retain(|_, seen| *seen > middle);
            }
            state.known.insert((username, remote), now);
        }
    }
}

fn whole_seconds(seconds: f64) -> u64 {
    // Between 0 and `seconds_each`, so the conversion loses nothing but the fraction.
    seconds.ceil().max(1.0) as u64
}

/// Names longer than any real one share a bucket with their beginning.
fn key(username: &str) -> String {
    username
        .chars()
        .take(64)
        .flat_map(char::to_lowercase)
        .collect()
}

/// One bucket for an IPv6 network of /64, which one customer has to himself.
fn network(remote: IpAddr) -> IpAddr {
    match remote {
        IpAddr::V4(_) => remote,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    #[test]
    fn guessing_is_slowed_and_comes_back() {
        let limiter = Limiter::new();
        for _ in 0..10 {
            limiter.attempt("admin", None, at(0)).unwrap();
        }
        assert_eq!(limiter.attempt("ADMIN", None, at(0)), Err(6));
        assert_eq!(limiter.attempt("admin", None, at(4)), Err(2));
        limiter.attempt("jane", None, at(0)).unwrap();
        limiter.attempt("admin", None, at(6)).unwrap();
        assert_eq!(limiter.attempt("admin", None, at(6)), Err(6));
    }

    #[test]
    fn right_passwords_cost_nothing() {
        let limiter = Limiter::new();
        let home = Some(IpAddr::from([10, 0, 0, 1]));
        for _ in 0..1000 {
            limiter.attempt("ci", home, at(0)).unwrap();
            limiter.succeeded("ci", home, at(0));
        }
    }

    #[test]
    fn a_name_under_attack_can_still_sign_in_from_where_it_did_before() {
        let limiter = Limiter::new();
        let home = Some(IpAddr::from([10, 0, 0, 1]));
        limiter.attempt("jane", home, at(0)).unwrap();
        limiter.succeeded("jane", home, at(0));
        let mut refused = 0;
        for last in 0..200 {
            refused += usize::from(
                limiter
                    .attempt("jane", Some(IpAddr::from([10, 9, 9, last])), at(1))
                    .is_err(),
            );
        }
        assert!(refused >= 180);
        limiter.attempt("jane", home, at(1)).unwrap();
    }

    #[test]
    fn many_names_from_one_address_are_slowed_too() {
        let limiter = Limiter::new();
        let from = |last: u16| Some(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]));
        let heard = (0..100)
            .filter(|n| limiter.attempt(&format!("u{n}"), from(*n), at(0)).is_ok())
            .count();
        assert_eq!(heard, 40);
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = Limiter::new();
        for n in 0..30_000_u32 {
            let _ = limiter.attempt(
                &format!("u{n}"),
                Some(IpAddr::from(n.to_be_bytes())),
                at(i64::from(n / 1000)),
            );
        }
        let state = limiter.0.lock();
        assert!(
            state.users.buckets.len() <= REMEMBERED && state.addresses.buckets.len() <= REMEMBERED
        );
    }
}
