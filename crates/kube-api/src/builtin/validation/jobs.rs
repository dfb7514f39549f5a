//! Jobs and CronJobs (kubernetes `pkg/apis/batch/validation`, v1.36).

use drover_structural::FieldError;
use serde_json::Value;

use super::place::{Place, label_selector, not_negative, one_of, perhaps_one_of};
use super::{pod, schedule};

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
