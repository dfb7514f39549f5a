//! Jobs and CronJobs (kubernetes `pkg/apis/batch/validation`, v1.36).

use drover_structural::FieldError;
use serde_json::Value;

use super::place::{Place, label_selector, not_negative, one_of, perhaps_one_of};
use super::{immutable, pod, schedule};

/// The longest name whose jobs still have names.
const LONGEST_CRON_JOB: usize = 52;

/// What is wrong with a Job.
pub(super) fn job(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    job_spec(&spec, errors);
    let selector = spec.child("selector");
    if selector.is_set() {
        label_selector(&selector, errors);
    } else {
        errors.push(selector.missing(""));
    }
    let template = spec.child("template").child("metadata").child("labels");
    if !selects(&selector, &template) {
        errors.push(template.invalid("`selector` does not match template `labels`"));
    }
}

/// Whether a selector of equalities, which is all that jobs are given, selects labels.
fn selects(selector: &Place<'_>, labels: &Place<'_>) -> bool {
    selector.is_set()
        && selector
            .child("matchLabels")
            .members()
            .iter()
            .all(|(key, value)| labels.child(key).text() == value.text())
}

/// The selector of a job is made for it, unless it says that it brings its own.
pub(super) fn own_selector(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    if spec.child("manualSelector").is_true() {
        return;
    }
    let uid = crate::rest::object::meta(object, "uid");
    let made = serde_json::json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
    let selector = spec.child("selector");
    if selector.value() != &made {
        errors.push(selector.invalid("`selector` not auto-generated"));
    }
}

/// What may not change in a Job.
pub(super) fn job_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    own_selector(new, errors);
    let is = |object: &Value, pointer: &str, value: Value| object.pointer(pointer) == Some(&value);
    // The number of an indexed job may change along with how many run at once.
    let elastic = is(new, "/spec/completionMode", "Indexed".into())
        && new.pointer("/spec/completions") == new.pointer("/spec/parallelism");
    if !elastic {
        immutable(new, old, "/spec/completions", errors);
    }
    immutable(new, old, "/spec/selector", errors);
    if !is(old, "/spec/suspend", true.into()) {
        immutable(new, old, "/spec/template", errors);
    }
    immutable(new, old, "/spec/completionMode", errors);
    immutable(new, old, "/spec/podFailurePolicy", errors);
    immutable(new, old, "/spec/backoffLimitPerIndex", errors);
    immutable(new, old, "/spec/managedBy", errors);
    immutable(new, old, "/spec/successPolicy", errors);
}

/// What is wrong with the status of a Job.
pub(super) fn status(object: &Value, errors: &mut Vec<FieldError>) {
    let status = Place::of(object, "status");
    for member in ["active", "succeeded", "failed", "ready", "terminating"] {
        not_negative(&status.child(member), errors);
    }
}

fn job_spec(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    for member in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        not_negative(&spec.child(member), errors);
    }
    let mode = spec.child("completionMode");
    perhaps_one_of(&mode, &["NonIndexed", "Indexed"], errors);
    if mode.text() == "Indexed" {
        let completions = spec.child("completions");
        if !completions.is_set() {
            errors.push(completions.missing("when completion mode is Indexed"));
        }
    } else {
        for member in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            let member = spec.child(member);
            if member.is_set() {
                errors.push(member.invalid("requires indexed completion mode"));
            }
        }
    }
    let manager = spec.child("managedBy");
    if manager.is_set() {
        manager_name(&manager, errors);
    }
    perhaps_one_of(
        &spec.child("podReplacementPolicy"),
        &["Failed", "TerminatingOrFailed"],
        errors,
    );
    pod::template(&spec.child("template"), errors);
    let policy = spec.child("template").child("spec").child("restartPolicy");
    match policy.text() {
        "OnFailure" | "Never" => {}
        "" | "Always" => {
            errors.push(policy.missing("valid values: \"OnFailure\", \"Never\""));
        }
        _ => errors.push(policy.unsupported(&["OnFailure", "Never"])),
    }
}

/// Who manages a job is named by a domain and a path.
fn manager_name(name: &Place<'_>, errors: &mut Vec<FieldError>) {
    let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
    match name.text().split_once('/') {
        Some((domain, path)) if !domain.is_empty() && !path.is_empty() => {
            let found = drover_structural::names::dns_1123_subdomain(domain);
            super::place::problems(name, found, errors);
        }
        _ => errors.push(name.invalid(detail)),
    }
}

/// What is wrong with a CronJob; `old` is the one before.
pub(super) fn cron_job(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    let schedule = spec.child("schedule");
    if schedule.is_empty() {
        errors.push(schedule.missing(""));
    } else {
        if let Err(problem) = schedule::parse(schedule.text()) {
            errors.push(schedule.invalid(problem));
        }
        let before = old.and_then(|old| old.pointer("/spec/schedule")?.as_str());
        let allowed = before.is_some_and(|before| before.contains("TZ"));
        if schedule.text().contains("TZ") {
            if !allowed {
                errors.push(
                    schedule.invalid(
                        "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
                    ),
                );
            } else if spec.child("timeZone").is_set() {
                errors.push(
                    schedule
                        .invalid("cannot use both timeZone field and TZ or CRON_TZ in schedule"),
                );
            }
        }
    }
    for member in [
        "startingDeadlineSeconds",
        "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit",
    ] {
        not_negative(&spec.child(member), errors);
    }
    let zone = spec.child("timeZone");
    if zone.is_set() {
        time_zone(&zone, errors);
    }
    one_of(
        &spec.child("concurrencyPolicy"),
        &["Allow", "Forbid", "Replace"],
        errors,
    );
    let template = spec.child("jobTemplate").child("spec");
    job_spec(&template, errors);
    let selector = template.child("selector");
    if selector.is_set() {
        errors.push(selector.invalid("`selector` will be auto-generated"));
    }
    let manual = template.child("manualSelector");
    if manual.is_true() {
        errors.push(manual.unsupported(&["nil", "false"]));
    }
    let name = crate::rest::object::meta(object, "name");
    if old.is_none() && name.len() > LONGEST_CRON_JOB {
        errors.push(FieldError::invalid(
            "metadata.name",
            name,
            "must be no more than 52 characters",
        ));
    }
}

fn time_zone(zone: &Place<'_>, errors: &mut Vec<FieldError>) {
    if zone.is_empty() {
        errors.push(zone.invalid("timeZone must be nil or non-empty string"));
    } else if zone.text().eq_ignore_ascii_case("local") {
        errors.push(zone.invalid(
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
        ));
    } else if jiff::tz::TimeZone::get(zone.text()).is_err() {
        errors.push(zone.invalid(format!("unknown time zone {}", zone.text())));
    }
}
