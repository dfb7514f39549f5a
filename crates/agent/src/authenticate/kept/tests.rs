use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn user(groups: &[&str]) -> ReviewedUser {
    ReviewedUser {
        username: "u-1".to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        extra: BTreeMap::new(),
    }
}

fn yes(seconds: u64) -> Asked {
    Asked::Answered(Answer {
        user: Some(user(&["member"])),
        holds_for_seconds: seconds,
    })
}

fn no() -> Asked {
    Asked::Answered(Answer {
        user: None,
        holds_for_seconds: 0,
    })
}

/// Looks, and settles with `asked` if the hub has to be asked.
fn ask(kept: &mut Kept, token: &str, now: i64, asked: Asked) -> Verdict {
    let token = kept.fingerprint(token);
    match kept.look(token, at(now)) {
        Look::Say(verdict) => verdict,
        Look::Ask { ticket, .. } => kept.settle(token, ticket, asked, at(now)),
    }
}

fn is_in(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Is(_))
}

#[test]
fn a_revoked_token_is_refused_after_three_seconds() {
    let mut kept = Kept::new([1; 32]);
    assert!(is_in(&ask(&mut kept, "a:b", 0, yes(1000))));
    assert!(is_in(&ask(&mut kept, "a:b", 2, no())));
    assert_eq!(ask(&mut kept, "a:b", 3, no()), Verdict::Nobody);
    assert_eq!(ask(&mut kept, "a:b", 4, Asked::Away), Verdict::Nobody);
    assert!(
        !is_in(&ask(&mut kept, "a:b", 20, Asked::Away)),
        "nothing is left for when the hub is away"
    );
}

#[test]
fn an_answer_outlives_the_hub_until_its_time_has_passed() {
    let mut kept = Kept::new([1; 32]);
    assert!(is_in(&ask(&mut kept, "a:b", 0, yes(60))));
    for second in [4, 30, 59] {
        assert!(
            is_in(&ask(&mut kept, "a:b", second, Asked::Away)),
            "{second}"
        );
    }
    assert!(!is_in(&ask(&mut kept, "a:b", 60, Asked::Away)));
    assert!(
        !is_in(&ask(&mut kept, "a:c", 30, Asked::Away)),
        "another key"
    );
}

#[test]
fn while_the_hub_is_away_known_tokens_do_not_wait_for_it() {
    let mut kept = Kept::new([1; 32]);
    assert!(is_in(&ask(&mut kept, "a:b", 0, yes(60))));
    assert!(is_in(&ask(&mut kept, "a:b", 10, Asked::Away)));
    let token = kept.fingerprint("a:b");
    assert!(matches!(
        kept.look(token, at(14)),
        Look::Say(Verdict::Is(_))
    ));
    assert!(matches!(
        kept.look(token, at(15)),
        Look::Ask { known: true, .. }
    ));
    let stranger = kept.fingerprint("c:d");
    assert!(matches!(
        kept.look(stranger, at(14)),
        Look::Ask { known: false, .. }
    ));
}

#[test]
fn a_hub_that_disowns_the_cluster_lets_nobody_in() {
    let mut kept = Kept::new([1; 32]);
    assert!(is_in(&ask(&mut kept, "a:b", 0, yes(60))));
    assert!(!is_in(&ask(&mut kept, "a:b", 5, Asked::Refused)));
    assert!(
        !is_in(&ask(&mut kept, "a:b", 6, Asked::Away)),
        "its last word counts"
    );
    assert!(is_in(&ask(&mut kept, "a:b", 7, yes(60))));
    assert!(is_in(&ask(&mut kept, "a:b", 20, Asked::Away)));
}

#[test]
fn an_answer_that_was_overtaken_does_not_bring_a_token_back() {
    let mut kept = Kept::new([1; 32]);
    let token = kept.fingerprint("a:b");
    let ticket = |kept: &mut Kept| match kept.look(token, at(0)) {
        Look::Ask { ticket, .. } => ticket,
        Look::Say(verdict) => panic!("{verdict:?}"),
    };
    let (first, second) = (ticket(&mut kept), ticket(&mut kept));
    assert_eq!(kept.settle(token, second, no(), at(1)), Verdict::Nobody);
    kept.settle(token, first, yes(60), at(1));
    assert_eq!(ask(&mut kept, "a:b", 2, Asked::Away), Verdict::Nobody);
    assert!(kept.records(at(2)).is_empty());
}

#[test]
fn what_is_kept_comes_back_with_its_end_and_not_over_a_refusal() {
    let mut kept = Kept::new([1; 32]);
    ask(&mut kept, "a:b", 0, yes(60));
    ask(&mut kept, "c:d", 0, yes(600));
    let records = kept.records(at(1));
    assert_eq!(records.len(), 2);
    assert!(!serde_json::to_string(&records).unwrap().contains("a:b"));

    let mut again = Kept::new([1; 32]);
    ask(&mut again, "c:d", 5, no());
    again.learn(records.clone(), at(6));
    assert!(is_in(&ask(&mut again, "a:b", 59, Asked::Away)));
    assert!(!is_in(&ask(&mut again, "a:b", 60, Asked::Away)));
    assert!(!is_in(&ask(&mut again, "c:d", 60, Asked::Away)));

    let mut other = Kept::new([2; 32]);
    other.learn(records.clone(), at(6));
    assert!(
        !is_in(&ask(&mut other, "a:b", 7, Asked::Away)),
        "another salt"
    );
    other.adopt([1; 32]);
    other.learn(records, at(8));
    assert!(is_in(&ask(&mut other, "a:b", 20, Asked::Away)));
}

#[test]
fn only_noticeable_changes_are_worth_a_write() {
    let mut kept = Kept::new([1; 32]);
    ask(&mut kept, "a:b", 0, yes(3600));
    let first = kept.records(at(0)).remove(0);
    ask(&mut kept, "a:b", 30, yes(3600));
    assert!(!first.is_outdated_by(&kept.records(at(30))[0]));
    ask(&mut kept, "a:b", 70, yes(3600));
    assert!(first.is_outdated_by(&kept.records(at(70))[0]));
    let mut other = first.clone();
    other.user = user(&["owner"]);
    assert!(first.is_outdated_by(&other));
}

#[test]
fn memory_is_bounded() {
    let mut kept = Kept::new([1; 32]);
    for n in 0..MOST_KNOWN + 100 {
        ask(&mut kept, &format!("a:{n}"), 0, yes(60));
        ask(&mut kept, &format!("b:{n}"), 0, no());
    }
    assert_eq!(
        (kept.known.len(), kept.refused.len()),
        (MOST_KNOWN, MOST_REFUSED)
    );
    ask(&mut kept, "late:1", 70, yes(60));
    assert_eq!(kept.known.len(), 1, "those whose time has passed make room");
    let mut large = user(&[]);
    large.groups = vec!["g".repeat(LARGEST)];
    let answer = Answer {
        user: Some(large),
        holds_for_seconds: 60,
    };
    assert!(is_in(&ask(
        &mut kept,
        "large:1",
        80,
        Asked::Answered(answer)
    )));
    assert!(!is_in(&ask(&mut kept, "large:1", 81, Asked::Away)));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Milliseconds pass.
    Pass(i64),
    /// Somebody sets the clock back.
    Back(i64),
    /// The hub takes the right away, or gives it for so many seconds at a time.
    Right(Option<u64>),
    Reachable(bool),
    Review,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_i64..8_000).prop_map(Step::Pass),
        1 => (0_i64..5_000).prop_map(Step::Back),
        1 => prop::option::of(0_u64..30).prop_map(Step::Right),
        1 => any::<bool>().prop_map(Step::Reachable),
        5 => Just(Step::Review),
    ]
}

proptest! {
    #[test]
    fn nobody_gets_in_but_by_the_hubs_word_within_its_time(steps in prop::collection::vec(step(), 1..60)) {
        let mut kept = Kept::new([7; 32]);
        let token = kept.fingerprint("a:b");
        // `now` is what the clock says, `real` what has passed.
        let (mut now, mut real) = (at(0), 0_i64);
        let (mut right, mut changed, mut reachable) = (Some(20_u64), 0_i64, true);
        let mut word: Option<(i64, u64)> = None;
        let mut last_away: Option<i64> = None;
        let mut set_back = false;
        for step in steps {
            match step {
                Step::Pass(millis) => {
                    now += SignedDuration::from_millis(millis);
                    real += millis;
                }
                Step::Back(millis) => {
                    now -= SignedDuration::from_millis(millis);
                    set_back = true;
                }
                Step::Right(new) => {
                    right = new;
                    changed = real;
                }
                Step::Reachable(is) => reachable = is,
                Step::Review => {
                    let verdict = match kept.look(token, now) {
                        Look::Say(verdict) => verdict,
                        Look::Ask { ticket, .. } => {
                            let asked = match (reachable, right) {
                                (false, _) => Asked::Away,
                                (true, None) => no(),
                                (true, Some(seconds)) => yes(seconds),
                            };
                            match &asked {
                                Asked::Away => last_away = Some(real),
                                Asked::Refused => {}
                                Asked::Answered(answer) => {
                                    word = answer.user.as_ref().map(|_| (real, answer.holds_for_seconds));
                                }
                            }
                            kept.settle(token, ticket, asked, now)
                        }
                    };
                    if !is_in(&verdict) {
                        continue;
                    }
                    let Some((said, seconds)) = word else {
                        return Err(TestCaseError::fail("let in after a refusal, or without a word"));
                    };
                    if !set_back {
                        let lasts = i64::try_from(seconds).unwrap() * 1000;
                        prop_assert!(real == said || real < said + lasts, "let in after its time");
                        let was_away = last_away.is_some_and(|away| real - away < 5_000);
                        if reachable && !was_away && right.is_none() {
                            prop_assert!(real - changed < 3_000, "a revocation was not seen in time");
                        }
                    }
                }
            }
        }
    }
}
