//! How containers are asked how they are, and what they do when they start and end.

use drover_structural::{FieldError, names};

use crate::builtin::validation::place::{Place, not_negative, one_of, port, required};

/// What is wrong with probes and hooks of a container whose pod has `grace` seconds to end.
pub(super) fn check(container: &Place<'_>, grace: i64, errors: &mut Vec<FieldError>) {
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = container.child(kind);
        if !probe.is_set() {
            continue;
        }
        handler(&probe, errors);
        for member in [
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ] {
            not_negative(&probe.child(member), errors);
        }
        let grace = probe.child("terminationGracePeriodSeconds");
        if grace.number().is_some_and(|seconds| seconds <= 0) {
            errors.push(grace.invalid("must be greater than 0"));
        }
        let threshold = probe.child("successThreshold");
        if kind == "readinessProbe" {
            if grace.is_set() {
                errors.push(grace.invalid("must not be set for readinessProbes"));
            }
        } else if threshold.number() != Some(1) {
            errors.push(threshold.invalid("must be 1"));
        }
    }
    let lifecycle = container.child("lifecycle");
    for hook in ["postStart", "preStop"] {
        let hook = lifecycle.child(hook);
        if hook.is_set() {
            handler(&hook, errors);
            let sleep = hook.child("sleep");
            let seconds = sleep.child("seconds").number().unwrap_or(0);
            if sleep.is_set() && !(0..=grace).contains(&seconds) {
                errors.push(FieldError::invalid(
                    sleep.path(),
                    seconds,
                    format!(
                        "must be non-negative and less than terminationGracePeriodSeconds ({grace})"
                    ),
                ));
            }
        }
    }
}

/// One way to ask a container something.
fn handler(holder: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut n_handlers = 0;
    for kind in ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] {
        let handler = holder.child(kind);
        if !handler.is_set() {
            continue;
        }
        n_handlers += 1;
        if n_handlers > 1 {
            errors.push(handler.forbidden("may not specify more than 1 handler type"));
            continue;
        }
        match kind {
            "exec" => required(&handler.child("command"), errors),
            "httpGet" => {
                required(&handler.child("path"), errors);
                port(&handler.child("port"), errors);
                one_of(&handler.child("scheme"), &["HTTP", "HTTPS"], errors);
                headers(&handler.child("httpHeaders"), errors);
            }
            "tcpSocket" => port(&handler.child("port"), errors),
            "grpc" => {
                let number = handler.child("port").number().unwrap_or(0);
                let found = names::port_number(number).into_iter();
                let place = handler.child("port");
                errors.extend(
                    found.map(|problem| FieldError::invalid(place.path(), number, problem)),
                );
            }
            _ => {}
        }
    }
    if n_handlers == 0 {
        errors.push(holder.missing("must specify a handler type"));
    }
}

fn headers(headers: &Place<'_>, errors: &mut Vec<FieldError>) {
    for header in headers.items() {
        let name = header.child("name").text();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if name.is_empty() || !name.bytes().all(is_plain) {
            let detail = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
            errors.push(FieldError::invalid(headers.path(), name, detail));
        }
    }
}
