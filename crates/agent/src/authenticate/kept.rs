//! What the hub said about tokens, for how long it counts, and what counts while the hub is away.
//!
//! Pure: the time is handed in, the hub is asked by others. An answer is used without asking for [`FRESH`]; after that the
//! hub is asked. If it is away, the last answer goes on to count until the time the hub gave with it has passed, and
//! not a moment longer.
//!
//! Tokens are known by salted hashes. What is kept is bounded; whoever is over the bound has to ask the hub each time.
//!
//! Invariants: a token is let in only by an answer of the hub whose time has not passed; a refusal by the hub ends all
//! answers that were asked for before; a clock that was set back makes nothing count longer.

use std::collections::BTreeMap;
use std::fmt;

use drover_types::review::{Answer, ReviewedUser};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::wire::Verdict;

/// For how long an answer is used without asking again. A revoked right works this long at most, as far as this program
/// is concerned.
pub const FRESH: SignedDuration = SignedDuration::from_secs(3);
/// For how long a refused token is refused without asking again.
const REFUSED: SignedDuration = SignedDuration::from_secs(10);
/// After a question that did not reach the hub, known tokens are not asked about for so long: a hub that is cut off
/// must not make every request wait.
const AWAY: SignedDuration = SignedDuration::from_secs(5);
/// Tokens let in that are remembered.
const MOST_KNOWN: usize = 4096;
/// Tokens refused that are remembered.
const MOST_REFUSED: usize = 4096;
/// A user with more than this (bytes, about) is not kept.
const LARGEST: usize = 64 << 10;

/// What the hashes of one cluster are salted with.
pub type Salt = [u8; 32];

/// A token's salted hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The hash of a token.
    #[must_use]
    pub fn of(salt: &Salt, token: &str) -> Self {
        Self(
            Sha256::new()
                .chain_update(salt)
                .chain_update(token)
                .finalize()
                .into(),
        )
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

/// A token that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    user: ReviewedUser,
    /// When the hub said so.
    said: Timestamp,
    /// Until when it counts without the hub.
    until: Timestamp,
    asked: Ticket,
}

impl Known {
    /// A clock before the answer was set back; then nothing can be said about how much time has passed.
    fn counts(&self, now: Timestamp) -> bool {
        self.said <= now && now < self.until
    }
}

#[derive(Clone, Copy, Debug)]
struct RefusedToken {
    said: Timestamp,
    asked: Ticket,
}

/// Numbers questions, so that an answer that was overtaken is known for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What to do about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Say this.
    Say(Verdict),
    /// Ask the hub, then [`Kept::settle`].
    Ask {
        /// To settle it with.
        ticket: Ticket,
        /// Whether the token was let in before; such questions come before those about strangers.
        known: bool,
    },
}

/// How asking went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The hub answered.
    Answered(Answer),
    /// The hub does not take this cluster's credential, or its endpoint is not enabled.
    Refused,
    /// The hub was not reached, or did not answer sensibly.
    Away,
}

/// A kept answer, as it outlives this process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Hexadecimal.
    token: String,
    user: ReviewedUser,
    said: Timestamp,
    until: Timestamp,
}

/// All that is known.
#[derive(Debug)]
pub struct Kept {
    salt: Salt,
    known: BTreeMap<Fingerprint, Known>,
    refused: BTreeMap<Fingerprint, RefusedToken>,
    away_until: Option<Timestamp>,
    /// Whether the hub said last that it does not answer for this cluster.
    disowned: bool,
    next: Ticket,
}

impl Kept {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(salt: Salt) -> Self {
        Self {
            salt,
            known: BTreeMap::new(),
            refused: BTreeMap::new(),
            away_until: None,
            disowned: false,
            next: Ticket::default(),
        }
    }

    /// What its hashes are salted with.
    #[must_use]
    pub fn salt(&self) -> Salt {
        self.salt
    }

    /// The hash of a token.
    #[must_use]
    pub fn fingerprint(&self, token: &str) -> Fingerprint {
        Fingerprint::of(&self.salt, token)
    }

    /// What to do about a token now.
    pub fn look(&mut self, token: Fingerprint, now: Timestamp) -> Look {
        if let Some(refused) = self.refused.get(&token)
            && within(refused.said, REFUSED, now)
        {
            return Look::Say(Verdict::Nobody);
        }
        let known = self.remembered(token, now);
        if let Some(known) = known
            && (within(known.said, FRESH, now) || self.is_away(now))
        {
            return Look::Say(Verdict::Is(known.user.clone()));
        }
        let known = known.is_some();
        self.next.0 += 1;
        Look::Ask {
            ticket: self.next,
            known,
        }
    }

    /// What counts without asking: nothing, once the hub said that it does not answer for this cluster.
    fn remembered(&self, token: Fingerprint, now: Timestamp) -> Option<&Known> {
        let known = self.known.get(&token)?;
        (known.counts(now) && !self.disowned).then_some(known)
    }

    fn is_away(&self, now: Timestamp) -> bool {
        self.away_until
            .is_some_and(|until| now < until && until.duration_since(now) <= AWAY)
    }

    /// Takes note of how asking went, and says what follows.
    pub fn settle(
        &mut self,
        token: Fingerprint,
        ticket: Ticket,
        asked: Asked,
        now: Timestamp,
    ) -> Verdict {
        match asked {
            Asked::Answered(answer) => {
                self.away_until = None;
                self.disowned = false;
                self.hear(token, ticket, answer, now)
            }
            // Whether the cluster was taken off the hub or the hub is being set up anew: nobody is let in on its word.
            Asked::Refused => {
                self.disowned = true;
                Verdict::Unknown("the hub does not answer for this cluster")
            }
            Asked::Away => {
                self.away_until = now.checked_add(AWAY).ok();
                match self.remembered(token, now) {
                    Some(known) => Verdict::Is(known.user.clone()),
                    None => Verdict::Unknown("the hub cannot be asked, and nothing is kept"),
                }
            }
        }
    }

    fn hear(
        &mut self,
        token: Fingerprint,
        ticket: Ticket,
        answer: Answer,
        now: Timestamp,
    ) -> Verdict {
        let overtaken = self.known.get(&token).is_some_and(|it| it.asked > ticket)
            || self.refused.get(&token).is_some_and(|it| it.asked > ticket);
        let Some(user) = answer.user else {
            if !overtaken {
                self.known.remove(&token);
                self.refuse(token, ticket, now);
            }
            return Verdict::Nobody;
        };
        // It was the hub's word when it was given, whatever came after it.
        let verdict = Verdict::Is(user.clone());
        if overtaken {
            return verdict;
        }
        self.refused.remove(&token);
        let lasts = i64::try_from(answer.holds_for_seconds).unwrap_or(i64::MAX);
        let until = now
            .checked_add(SignedDuration::from_secs(lasts))
            .unwrap_or(Timestamp::MAX);
        self.keep(
            token,
            Known {
                user,
                said: now,
                until,
                asked: ticket,
            },
            now,
        );
        verdict
    }

    fn keep(&mut self, token: Fingerprint, known: Known, now: Timestamp) {
        self.known.remove(&token);
        if !known.counts(now) || size(&known.user) > LARGEST {
            return;
        }
        if self.known.len() >= MOST_KNOWN {
            self.known.retain(|_, known| known.counts(now));
        }
        if self.known.len() < MOST_KNOWN {
            self.known.insert(token, known);
        }
    }

    fn refuse(&mut self, token: Fingerprint, asked: Ticket, now: Timestamp) {
        if self.refused.len() >= MOST_REFUSED {
            self.refused
                .retain(|_, refused| within(refused.said, REFUSED, now));
        }
        if self.refused.len() < MOST_REFUSED {
            self.refused
                .insert(token, RefusedToken { said: now, asked });
        }
    }

    /// Goes by another salt from now on; what was known by the old one is forgotten.
    pub fn adopt(&mut self, salt: Salt) {
        if self.salt != salt {
            *self = Self {
                next: self.next,
                ..Self::new(salt)
            };
        }
    }

    /// Learns what was kept, by this process before or by others beside it. What the hub said later counts.
    pub fn learn(&mut self, records: Vec<Record>, now: Timestamp) {
        for record in records {
            let mut token = Fingerprint([0; 32]);
            if hex::decode_to_slice(&record.token, &mut token.0).is_err() {
                continue;
            }
            let is_later = |said: Timestamp| record.said > said;
            let later = self.known.get(&token).is_none_or(|it| is_later(it.said))
                && self.refused.get(&token).is_none_or(|it| is_later(it.said));
            if later {
                let known = Known {
                    user: record.user,
                    said: record.said,
                    until: record.until,
                    asked: Ticket::default(),
                };
                self.keep(token, known, now);
            }
        }
    }

    /// Whether the hub said last that it does not answer for this cluster.
    #[must_use]
    pub fn is_disowned(&self) -> bool {
        self.disowned
    }

    /// What is worth keeping: those that count longest first.
    #[must_use]
    pub fn records(&self, now: Timestamp) -> Vec<Record> {
        let mut records: Vec<Record> = self
            .known
            .iter()
            .filter(|(_, known)| known.counts(now))
            .map(|(token, known)| Record {
                token: hex::encode(token.0),
                user: known.user.clone(),
                said: known.said,
                until: known.until,
            })
            .collect();
        records.sort_by_key(|record| std::cmp::Reverse(record.until));
        records
    }
}

impl Record {
    /// Whether keeping `newer` in place of this one is worth a write: somebody else, or a time that is noticeably longer
    /// or shorter.
    #[must_use]
    pub fn is_outdated_by(&self, newer: &Self) -> bool {
        const NOTICEABLE: SignedDuration = SignedDuration::from_secs(60);
        let whole = newer.until.duration_since(newer.said);
        let tolerance = (whole / 10)
            .max(SignedDuration::from_secs(1))
            .min(NOTICEABLE);
        self.token != newer.token
            || self.user != newer.user
            || newer.until.duration_since(self.until).abs() > tolerance
    }

    /// Which token it is about.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// Whether less than `span` has passed; a clock that was set back makes that unknown.
fn within(since: Timestamp, span: SignedDuration, now: Timestamp) -> bool {
    let passed = now.duration_since(since);
    !passed.is_negative() && passed < span
}

fn size(user: &ReviewedUser) -> usize {
    let texts = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
    let extra: usize = user
        .extra
        .iter()
        .map(|(key, values)| key.len() + texts(values))
        .sum();
    user.username.len() + texts(&user.groups) + extra
}

#[cfg(test)]
mod tests;
