//! What an agent finds out before it connects, as it tells its hub.
//!
//! Owns the form, which the agent writes and the hub reads and keeps. What is checked is the agent's business.

use serde::{Deserialize, Serialize};

/// Where the hub is told, with `POST` and the cluster's registration token.
pub const PATH: &str = "/v3/connect/checks";
/// Annotation of the Cluster with what its agent told last, as JSON.
pub const ANNOTATION: &str = "drover.dev/agent-checks";
/// Checks that are kept; agents make about a dozen.
const MOST: usize = 24;
/// Characters of a text that are kept.
const LONGEST: usize = 500;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckOutcome {
    /// As it should be.
    Ok,
    /// Works, but deserves a look.
    Warning,
    /// Does not work.
    Failed,
    /// Not tried, because an earlier one failed.
    Skipped,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What was checked: `clock`, `ca-checksum`, …
    pub step: String,
    /// How it went.
    pub outcome: CheckOutcome,
    /// Whether a failure may go away by itself.
    #[serde(default)]
    pub may_heal: bool,
    /// What was seen.
    #[serde(default)]
    pub reason: String,
    /// What to do; empty when there is nothing to do.
    #[serde(default)]
    pub advice: String,
}

/// All checks of one round, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// Whether none failed.
    pub ready: bool,
    /// One per step.
    pub checks: Vec<Check>,
    /// Checksum of the authority that the hub asked to be trusted then, as manifests carry it; empty where nobody noted it.
    /// The hub's to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub authority: String,
}

/// The step that compares the hub's authority with the manifest's.
pub const AUTHORITY_STEP: &str = "ca-checksum";

impl Checks {
    /// The same once the hub has another authority: what was found is no longer so, and the agent, which does not trust the
    /// hub any more, cannot say it.
    #[must_use]
    pub fn outdated(mut self) -> Self {
        let outdated = Check {
            step: AUTHORITY_STEP.to_owned(),
            outcome: CheckOutcome::Failed,
            may_heal: false,
            reason: "the hub has another certificate authority than when the agent checked it"
                .to_owned(),
            advice: "apply the cluster's manifest again".to_owned(),
        };
        self.ready = false;
        let known = self.checks.iter_mut();
        match known.into_iter().find(|check| check.step == AUTHORITY_STEP) {
            Some(check) => *check = outdated,
            None => self.checks.insert(0, outdated),
        }
        self
    }

    /// As much of it as is worth keeping, whoever sent it.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.checks.truncate(MOST);
        for check in &mut self.checks {
            for text in [&mut check.step, &mut check.reason, &mut check.advice] {
                if let Some((end, _)) = text.char_indices().nth(LONGEST) {
                    text.truncate(end);
                }
            }
        }
        self
    }

    /// Whether it says the same: what was seen where all is well changes with every look, a clock for instance.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        let same = |(one, other): (&Check, &Check)| {
            one.step == other.step
                && one.outcome == other.outcome
                && (one.outcome == CheckOutcome::Ok || one == other)
        };
        self.authority == other.authority
            && self.checks.len() == other.checks.len()
            && self.checks.iter().zip(&other.checks).all(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(outcome: CheckOutcome, reason: &str) -> Check {
        Check {
            step: "clock".to_owned(),
            outcome,
            may_heal: false,
            reason: reason.to_owned(),
            advice: String::new(),
        }
    }

    fn checks(checks: Vec<Check>) -> Checks {
        Checks {
            ready: true,
            checks,
            authority: String::new(),
        }
    }

    #[test]
    fn only_what_is_not_well_is_compared_word_by_word() {
        let one = |outcome, reason| checks(vec![check(outcome, reason)]);
        let well = one(CheckOutcome::Ok, "0.1 s ahead");
        assert!(well.says_the_same_as(&one(CheckOutcome::Ok, "0.2 s ahead")));
        let late = one(CheckOutcome::Failed, "1 h behind");
        assert!(!late.says_the_same_as(&one(CheckOutcome::Failed, "2 h behind")));
        assert!(!late.says_the_same_as(&well));
        assert!(!late.says_the_same_as(&checks(Vec::new())));
    }

    #[test]
    fn what_is_kept_is_bounded_and_breaks_no_character() {
        let long = checks(vec![check(CheckOutcome::Failed, &"ä".repeat(2000)); 100]).bounded();
        assert_eq!(long.checks.len(), MOST);
        assert_eq!(long.checks[0].reason, "ä".repeat(LONGEST));
    }

    #[test]
    fn what_was_found_of_another_authority_is_a_failure_once() {
        let mut told = checks(vec![check(CheckOutcome::Ok, "fine")]);
        told.authority = "old".to_owned();
        let outdated = told.clone().outdated();
        assert!(!outdated.ready && !outdated.says_the_same_as(&told));
        assert_eq!(outdated.checks[0].step, AUTHORITY_STEP);
        assert_eq!(outdated.clone().outdated(), outdated);
        let mut again = told.clone();
        again.authority = "new".to_owned();
        assert!(!told.says_the_same_as(&again), "it is told anew");
    }
}
