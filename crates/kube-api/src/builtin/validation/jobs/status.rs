//! What a job's status may say, and what it may become (kubernetes `pkg/apis/batch/validation` and
//! `pkg/registry/batch/job/strategy.go`, v1.36).
//!
//! What a status said before is let be: a check applies only if what it is about has changed.

use std::collections::BTreeSet;

use drover_structural::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use super::indexes;
use super::policies::is_indexed;
use crate::builtin::validation::place::{Place, not_negative};

/// A job with its status.
struct Job<'o> {
    spec: Place<'o>,
    status: Place<'o>,
}

impl<'o> Job<'o> {
    fn of(object: &'o Value) -> Self {
        Self {
            spec: Place::of(object, "spec"),
            status: Place::of(object, "status"),
        }
    }

    fn at(&self, member: &str) -> Place<'o> {
        self.status.child(member)
    }

    fn number(&self, member: &str) -> i64 {
        self.at(member).number().unwrap_or(0)
    }

    fn has(&self, condition: &str, state: &str) -> bool {
        self.at("conditions")
            .items()
            .iter()
            .find(|held| held.child("type").text() == condition)
            .is_some_and(|held| held.child("status").text() == state)
    }

    fn is(&self, condition: &str) -> bool {
        self.has(condition, "True")
    }

    fn is_finished(&self) -> bool {
        self.is("Complete") || self.is("Failed")
    }

    fn time(&self, member: &str) -> Option<Timestamp> {
        self.at(member).text().parse().ok()
    }
}

/// What is wrong with the status of a Job.
pub(in crate::builtin::validation) fn status(
    new: &Value,
    old: &Value,
    errors: &mut Vec<FieldError>,
) {
    let (new, old) = (Job::of(new), Job::of(old));
    for member in ["active", "succeeded", "failed", "ready", "terminating"] {
        not_negative(&new.at(member), errors);
    }
    uncounted(&new, errors);
    conditions(&new, &old, errors);
    times(&new, &old, errors);
    pods(&new, &old, errors);
    self::indexes(&new, &old, errors);
    kept(&new, &old, errors);
}

fn changed(new: &Job<'_>, old: &Job<'_>, member: &str) -> bool {
    new.at(member).value() != old.at(member).value()
}

/// Pods that ended and are not counted yet are named once.
fn uncounted(new: &Job<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for member in ["succeeded", "failed"] {
        for pod in new.at("uncountedTerminatedPods").child(member).items() {
            if pod.is_empty() {
                errors.push(pod.invalid("must not be empty"));
            } else if !seen.insert(pod.text()) {
                errors.push(pod.duplicate());
            }
        }
    }
}

/// Conditions that exclude or require each other.
fn conditions(new: &Job<'_>, old: &Job<'_>, errors: &mut Vec<FieldError>) {
    let turned = |condition: &str| new.is(condition) != old.is(condition);
    let complete = turned("Complete");
    let place = new.at("conditions");
    let mut refuse = |wrong: bool, detail: &str| {
        if wrong {
            errors.push(place.invalid_unshown(detail));
        }
    };
    refuse(
        (complete || turned("Failed")) && new.is("Complete") && new.is("Failed"),
        "cannot set Complete=True and Failed=true conditions",
    );
    refuse(
        (complete || turned("FailureTarget")) && new.is("Complete") && new.is("FailureTarget"),
        "cannot set Complete=True and FailureTarget=true conditions",
    );
    refuse(
        (turned("Failed") || changed(new, old, "failedIndexes"))
            && new.is("Failed")
            && !new.is("FailureTarget"),
        "cannot set Failed=True condition without the FailureTarget=true condition",
    );
    refuse(
        (complete || turned("SuccessCriteriaMet"))
            && new.is("Complete")
            && !new.is("SuccessCriteriaMet"),
        "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
    );
    let met = new.is("SuccessCriteriaMet");
    refuse(
        met && new.is("Failed"),
        "cannot set SuccessCriteriaMet=True and Failed=true conditions",
    );
    refuse(
        met && new.is("FailureTarget"),
        "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
    );
    refuse(
        new.spec.child("successPolicy").is_set() && !met && new.is("Complete"),
        "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
    );
}

fn times(new: &Job<'_>, old: &Job<'_>, errors: &mut Vec<FieldError>) {
    let (start, end) = (new.at("startTime"), new.at("completionTime"));
    let end_changed = changed(new, old, "completionTime");
    let start_changed = changed(new, old, "startTime");
    if end_changed || new.is("Complete") != old.is("Complete") {
        if end.is_set() && !new.is("Complete") {
            errors.push(
                end.invalid("cannot set completionTime when there is no Complete=True condition"),
            );
        }
        if !end.is_set() && new.is("Complete") {
            errors.push(end.missing("completionTime is required for Complete jobs"));
        }
    }
    if (start_changed || end_changed)
        && let (Some(started), Some(ended)) = (new.time("startTime"), new.time("completionTime"))
        && ended < started
    {
        errors.push(end.invalid("must be equal to or after `startTime`"));
    }
    let suspended = new.spec.child("suspend").is_true();
    let empty = suspended && new.spec.child("completions").number() == Some(0);
    let finished = new.is_finished();
    if (finished != old.is_finished() || start_changed) && !empty && finished && !start.is_set() {
        errors.push(start.missing("startTime is required for finished job"));
    }
    if end.is_set() && old.at("completionTime").is_set() && end_changed {
        errors.push(end.invalid("field is immutable"));
    }
    let resumes = old.is("Suspended") && new.has("Suspended", "False");
    if start_changed && !resumes && old.at("startTime").is_set() && !suspended {
        errors.push(start.invalid("field is immutable for unsuspended job once set"));
    }
}

/// A finished job has no pods that run, end or wait to be counted.
fn pods(new: &Job<'_>, old: &Job<'_>, errors: &mut Vec<FieldError>) {
    let finished = new.is_finished();
    let finishes = finished != old.is_finished();
    for member in ["active", "terminating"] {
        if (finishes || changed(new, old, member)) && finished && new.number(member) > 0 {
            let detail = format!("{member}>0 is invalid for finished job");
            errors.push(new.at(member).invalid(detail));
        }
    }
    let waiting = new.at("uncountedTerminatedPods");
    let waits = ["succeeded", "failed"]
        .iter()
        .any(|member| !waiting.child(member).is_empty());
    if (finishes || changed(new, old, "uncountedTerminatedPods")) && finished && waits {
        errors.push(waiting.invalid("must be empty for finished job"));
    }
    if (changed(new, old, "ready") || changed(new, old, "active"))
        && new.number("ready") > new.number("active")
    {
        errors.push(
            new.at("ready")
                .invalid("cannot set more ready pods than active"),
        );
    }
}

fn indexes(new: &Job<'_>, old: &Job<'_>, errors: &mut Vec<FieldError>) {
    let (done, failed) = (new.at("completedIndexes"), new.at("failedIndexes"));
    let (done_changed, failed_changed) = (
        changed(new, old, "completedIndexes"),
        changed(new, old, "failedIndexes"),
    );
    let completions = new.spec.child("completions").number();
    let retried = new.spec.child("backoffLimitPerIndex").is_set();
    let mut check = |place: &Place<'_>, name: &str| {
        if let Some(completions) = completions
            && let Err(problem) = indexes::count(place.text(), completions)
        {
            errors.push(place.invalid(format!("error parsing {name}: {problem}")));
        }
    };
    if done_changed {
        check(&done, "completedIndexes");
    }
    if failed_changed && retried && failed.is_set() {
        check(&failed, "failedIndexes");
    }
    if done_changed && !done.is_empty() && !is_indexed(&new.spec) {
        errors.push(
            done.invalid("cannot set non-empty completedIndexes when non-indexed completion mode"),
        );
    }
    if failed_changed && !retried && failed.is_set() {
        errors.push(
            failed.invalid("cannot set non-null failedIndexes when backoffLimitPerIndex is null"),
        );
    }
    if (failed_changed || done_changed)
        && let Some(completions) = completions
        && let Some(index) = indexes::overlap(done.text(), failed.text(), completions)
    {
        errors.push(failed.invalid(format!(
            "failedIndexes and completedIndexes overlap at index: {index}"
        )));
    }
}

/// What does not go back.
fn kept(new: &Job<'_>, old: &Job<'_>, errors: &mut Vec<FieldError>) {
    let place = new.at("conditions");
    for condition in ["Failed", "Complete", "FailureTarget"] {
        if old.is(condition) && !new.is(condition) {
            errors.push(place.invalid_unshown(format!(
                "cannot disable the terminal {condition}=True condition"
            )));
        }
    }
    // The number of an indexed job may change along with how many run at once.
    let elastic = is_indexed(&new.spec)
        && new.spec.child("completions").value() == new.spec.child("parallelism").value();
    for (member, may_fall) in [("failed", false), ("succeeded", elastic)] {
        if !may_fall && new.number(member) < old.number(member) {
            let detail = format!("cannot decrease the {member} counter");
            errors.push(FieldError::invalid(
                new.at(member).path(),
                new.number(member),
                detail,
            ));
        }
    }
    let (met, was_met) = (new.is("SuccessCriteriaMet"), old.is("SuccessCriteriaMet"));
    if was_met && !met {
        errors.push(place.invalid_unshown("cannot disable the SuccessCriteriaMet=True condition"));
    }
    if old.is("Complete") && !was_met && met {
        errors.push(place.invalid_unshown(
            "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions",
        ));
    }
}
