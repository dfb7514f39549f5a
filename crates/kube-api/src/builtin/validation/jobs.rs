//! Jobs and CronJobs (kubernetes `pkg/apis/batch/validation`, v1.36).

mod indexes;
mod policies;
mod status;

use drover_structural::FieldError;
use serde_json::Value;

pub(super) use self::status::status;
use super::place::{Place, label_selector, not_negative, one_of, perhaps_one_of};
use super::{immutable, pod, schedule};
use crate::builtin::pods::JOB_LABELS;
use crate::rbac::selects;
use crate::rest::object;

/// The most pods of an indexed job at once, and the most indexes of it that may fail.
const MOST_INDEXED: i64 = 100_000;
/// More completions than this bound what else is asked of a job whose indexes are retried by themselves.
const MANY_COMPLETIONS: i64 = 100_000;
/// That bound.
const MOST_WITH_MANY: i64 = 10_000;
/// Bytes of the name of who manages a job.
const LONGEST_MANAGER: usize = 63;

/// The longest name whose jobs still have names.
const LONGEST_CRON_JOB: usize = 52;

/// What is wrong with a Job.
pub(super) fn job(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    whole_spec(&spec, errors);
    host_names(object, &spec, errors);
}

fn whole_spec(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    job_spec(spec, errors);
    let selector = spec.child("selector");
    let before = errors.len();
    if selector.is_set() {
        label_selector(&selector, errors);
    } else {
        errors.push(selector.missing(""));
    }
    let unclear = selector.is_set() && errors.len() > before;
    let template = spec.child("template").child("metadata").child("labels");
    let fits = selector.is_set() && selects(selector.value(), template.value());
    if !fits && !unclear {
        errors.push(template.invalid("`selector` does not match template `labels`"));
    }
}

/// Each pod of an indexed job gets the job's name and its index as its name of host.
fn host_names(object: &Value, spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let count = spec.child("completions").number().unwrap_or(0);
    if !policies::is_indexed(spec) || count <= 0 {
        return;
    }
    let name = object::meta(object, "name");
    let longest = format!("{name}-{}", count - 1);
    if !drover_structural::names::dns_1123_label(&longest).is_empty() {
        errors.push(FieldError::invalid(
            "metadata.name",
            name,
            format!("will not able to create pod with invalid DNS label: {longest}"),
        ));
    }
}

/// The selector of a job is made for it, unless it says that it brings its own; `old` is the job before.
pub(super) fn own_selector(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    let selector = spec.child("selector");
    if spec.child("manualSelector").is_true() || !selector.is_set() {
        return;
    }
    let [of_uid, of_name, old_of_uid, old_of_name] = JOB_LABELS;
    let (uid, name) = (object::meta(object, "uid"), object::meta(object, "name"));
    let labels = spec.child("template").child("metadata").child("labels");
    // Jobs from before the names of today need not have them.
    let held = |name: &str| {
        old.is_none_or(|old| {
            let labels = old.pointer("/spec/template/metadata/labels");
            labels.is_some_and(|labels| labels.get(name).is_some())
        })
    };
    let mut expected = vec![(old_of_uid, uid), (old_of_name, name)];
    if held(of_uid) && held(of_name) {
        expected.extend([(of_uid, uid), (of_name, name)]);
    }
    for (key, value) in &expected {
        let label = labels.child(key);
        let path = format!("{}[{key}]", labels.path());
        let detail = format!("must be '{value}'");
        if !label.is_set() {
            errors.push(FieldError::required(path, detail));
        } else if label.text() != *value {
            errors.push(FieldError::invalid(path, labels.value().clone(), detail));
        }
    }
    let expected = expected
        .into_iter()
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect::<serde_json::Map<_, _>>();
    if !selects(selector.value(), &expected.into()) {
        errors.push(selector.invalid("`selector` not auto-generated"));
    }
}

/// What may not change in a Job.
pub(super) fn job_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    own_selector(new, Some(old), errors);
    // The real server checks it twice, and says so.
    whole_spec(&Place::of(new, "spec"), errors);
    let is = |object: &Value, pointer: &str, value: Value| object.pointer(pointer) == Some(&value);
    let completions = Place::of(new, "spec").child("completions");
    if !is(new, "/spec/completionMode", "Indexed".into()) {
        immutable(new, old, "/spec/completions", errors);
    } else if completions.is_set()
        && old.pointer("/spec/completions") != Some(completions.value())
        && new.pointer("/spec/parallelism") != Some(completions.value())
    {
        // The number of an indexed job may change along with how many run at once.
        errors.push(completions.invalid("can only be modified in tandem with spec.parallelism"));
    }
    immutable(new, old, "/spec/selector", errors);
    template_update(new, old, errors);
    immutable(new, old, "/spec/completionMode", errors);
    immutable(new, old, "/spec/podFailurePolicy", errors);
    immutable(new, old, "/spec/backoffLimitPerIndex", errors);
    immutable(new, old, "/spec/managedBy", errors);
    immutable(new, old, "/spec/successPolicy", errors);
}

/// A suspended job that has no pods may get others: elsewhere, and with other resources.
fn template_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (spec, status) = (Place::of(old, "spec"), Place::of(old, "status"));
    let says_suspended = status.child("conditions").items().iter().any(|condition| {
        condition.child("type").text() == "Suspended" && condition.child("status").text() == "True"
    });
    let open = spec.child("suspend").is_true()
        && (!status.child("startTime").is_set() || says_suspended)
        && status.child("active").number().unwrap_or(0) == 0;
    if !open {
        immutable(new, old, "/spec/template", errors);
        return;
    }
    let at = |object: &Value| object.pointer("/spec/template/spec").cloned();
    let (Some(mut now), Some(mut before)) = (at(new), at(old)) else {
        return;
    };
    for pod in [&mut now, &mut before] {
        forget_open_members(pod);
    }
    if now != before {
        let now = at(new).unwrap_or_default();
        errors.push(FieldError::invalid(
            "spec.template.spec",
            now,
            super::IMMUTABLE,
        ));
    }
}

/// Takes away what may change.
fn forget_open_members(pod: &mut Value) {
    let Some(members) = pod.as_object_mut() else {
        return;
    };
    for member in ["nodeSelector", "tolerations", "schedulingGates"] {
        members.remove(member);
    }
    if let Some(affinity) = members.get_mut("affinity").and_then(Value::as_object_mut) {
        affinity.remove("nodeAffinity");
        if affinity.is_empty() {
            members.remove("affinity");
        }
    }
    for list in ["containers", "initContainers"] {
        let containers = members.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            if let Some(container) = container.as_object_mut() {
                container.remove("resources");
            }
        }
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
    let retries = spec.child("backoffLimitPerIndex");
    if spec.child("maxFailedIndexes").is_set() && !retries.is_set() {
        errors.push(retries.missing("when maxFailedIndexes is specified"));
    }
    let manager = spec.child("managedBy");
    if manager.is_set() {
        manager_name(&manager, errors);
    }
    completion(spec, errors);
    policies::failure(spec, errors);
    policies::success(spec, errors);
    policies::replacement(spec, errors);
    pod::template(&spec.child("template"), errors);
    let policy = spec.child("template").child("spec").child("restartPolicy");
    match policy.text() {
        "" | "Always" => {
            errors.push(policy.missing("valid values: \"OnFailure\", \"Never\""));
        }
        text @ ("OnFailure" | "Never") => {
            if text != "Never" && spec.child("podFailurePolicy").is_set() {
                let detail = "only \"Never\" is supported when podFailurePolicy is specified";
                errors.push(policy.invalid(detail));
            }
        }
        _ => errors.push(policy.unsupported(&["OnFailure", "Never"])),
    }
}

/// What a job by indexes needs, and what only such a job may have.
fn completion(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mode = spec.child("completionMode");
    perhaps_one_of(&mode, &["NonIndexed", "Indexed"], errors);
    if !policies::is_indexed(spec) {
        if matches!(mode.text(), "" | "NonIndexed") {
            for member in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                let member = spec.child(member);
                if member.is_set() {
                    errors.push(member.invalid("requires indexed completion mode"));
                }
            }
        }
        return;
    }
    let (completions, at_once) = (spec.child("completions"), spec.child("parallelism"));
    let failed = spec.child("maxFailedIndexes");
    let bounded = |place: &Place<'_>, most: i64, detail: String, errors: &mut Vec<FieldError>| {
        if place.number().is_some_and(|number| number > most) {
            errors.push(place.invalid(detail));
        }
    };
    if !completions.is_set() {
        errors.push(completions.missing("when completion mode is Indexed"));
    }
    let detail =
        format!("must be less than or equal to {MOST_INDEXED} when completion mode is Indexed");
    bounded(&at_once, MOST_INDEXED, detail, errors);
    if let Some(all) = completions.number() {
        let detail = "must be less than or equal to completions".to_owned();
        bounded(&failed, all, detail, errors);
    }
    let detail = format!("must be less than or equal to {MOST_INDEXED}");
    bounded(&failed, MOST_INDEXED, detail, errors);
    let many = completions
        .number()
        .is_some_and(|all| all > MANY_COMPLETIONS);
    if many && spec.child("backoffLimitPerIndex").is_set() {
        if !failed.is_set() {
            let detail = format!("must be specified when completions is above {MANY_COMPLETIONS}");
            errors.push(failed.missing(detail));
        }
        for place in [&at_once, &failed] {
            let detail = format!(
                "must be less than or equal to {MOST_WITH_MANY} when completions are above {MANY_COMPLETIONS} and used with backoff limit per index"
            );
            bounded(place, MOST_WITH_MANY, detail, errors);
        }
    }
}

/// Who manages a job is named by a domain and a path.
fn manager_name(name: &Place<'_>, errors: &mut Vec<FieldError>) {
    if name.text().len() > LONGEST_MANAGER {
        errors.push(FieldError::too_long(name.path(), LONGEST_MANAGER));
    }
    if name.is_empty() {
        errors.push(name.missing(""));
        return;
    }
    let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
    match name.text().split_once('/') {
        Some((domain, path)) if !domain.is_empty() && !path.is_empty() => {
            let found = drover_structural::names::dns_1123_subdomain(domain).into_iter();
            errors.extend(found.map(|problem| FieldError::invalid(name.path(), domain, problem)));
            let is_plain =
                |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte);
            if !path.bytes().all(is_plain) {
                let detail = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
                errors.push(FieldError::invalid(name.path(), path, detail));
            }
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
    let name = object::meta(object, "name");
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
