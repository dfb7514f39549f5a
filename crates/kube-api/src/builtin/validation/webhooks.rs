//! Configurations of admission webhooks (kubernetes `pkg/apis/admissionregistration/validation`, v1.36). They are data
//! here: nobody is called.

use drover_structural::{FieldError, names};
use serde_json::Value;

use super::admission::{conditions, operations_rule};
use super::place::{Place, label_selector, perhaps_one_of};

const REVIEWS: [&str; 2] = ["v1", "v1beta1"];
const FORM: &str = "; desired format: https://host[/path]";

/// What is wrong with the webhooks of a configuration.
pub(super) fn check(object: &Value, mutating: bool, errors: &mut Vec<FieldError>) {
    let mut seen = Vec::new();
    for hook in Place::of(object, "webhooks").items() {
        webhook(&hook, mutating, errors);
        versions(&hook.child("admissionReviewVersions"), errors);
        let name = hook.child("name");
        if !name.is_empty() && seen.contains(&name.text()) {
            errors.push(name.duplicate());
        }
        seen.push(name.text());
    }
}

fn webhook(hook: &Place<'_>, mutating: bool, errors: &mut Vec<FieldError>) {
    qualified(&hook.child("name"), errors);
    for rule in hook.child("rules").items() {
        operations_rule(&rule, errors);
    }
    perhaps_one_of(&hook.child("failurePolicy"), &["Fail", "Ignore"], errors);
    perhaps_one_of(&hook.child("matchPolicy"), &["Equivalent", "Exact"], errors);
    let effects = hook.child("sideEffects");
    if effects.is_set() {
        perhaps_one_of(&effects, &["None", "NoneOnDryRun"], errors);
    } else {
        errors.push(effects.missing("must specify one of None, NoneOnDryRun"));
    }
    let timeout = hook.child("timeoutSeconds");
    if timeout
        .number()
        .is_some_and(|seconds| !(1..=30).contains(&seconds))
    {
        errors.push(timeout.invalid("the timeout value must be between 1 and 30 seconds"));
    }
    for selector in ["namespaceSelector", "objectSelector"] {
        label_selector(&hook.child(selector), errors);
    }
    if mutating {
        let again = hook.child("reinvocationPolicy");
        perhaps_one_of(&again, &["IfNeeded", "Never"], errors);
    }
    client(&hook.child("clientConfig"), errors);
    conditions(&hook.child("matchConditions"), false, errors);
}

/// A name of at least three parts.
fn qualified(name: &Place<'_>, errors: &mut Vec<FieldError>) {
    if name.is_empty() {
        errors.push(name.missing(""));
        return;
    }
    let found = names::dns_1123_subdomain(name.text());
    if !found.is_empty() {
        errors.push(name.invalid(found.join(",")));
    } else if name.text().split('.').count() < 3 {
        errors.push(
            name.invalid("should be a domain with at least three segments separated by dots"),
        );
    }
}

fn versions(versions: &Place<'_>, errors: &mut Vec<FieldError>) {
    if versions.is_empty() {
        errors.push(versions.missing("must specify one of v1, v1beta1"));
        return;
    }
    let mut seen = Vec::new();
    for version in versions.items() {
        if seen.contains(&version.text()) {
            errors.push(version.invalid("duplicate version"));
            continue;
        }
        seen.push(version.text());
        let found = names::dns_1035_label(version.text());
        super::place::problems(&version, found, errors);
    }
    if !seen.iter().any(|version| REVIEWS.contains(version)) {
        errors.push(versions.invalid("must include at least one of v1, v1beta1"));
    }
}

/// Where a webhook is (apiserver `pkg/util/webhook/validation.go`).
fn client(client: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (url, service) = (client.child("url"), client.child("service"));
    match (url.is_set(), service.is_set()) {
        (true, false) => self::url(&url, errors),
        (false, true) => self::service(&service, errors),
        _ => errors.push(client.missing("exactly one of url or service is required")),
    }
}

fn url(url: &Place<'_>, errors: &mut Vec<FieldError>) {
    let text = url.text();
    let wrong = |value: &str, detail: String| FieldError::invalid(url.path(), value, detail);
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = if scheme.is_empty() {
        ""
    } else {
        rest.split('/').next().unwrap_or_default()
    };
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if scheme != "https" {
        errors.push(wrong(
            scheme,
            format!("'https' is the only allowed URL scheme{FORM}"),
        ));
    }
    if host.is_empty() {
        errors.push(wrong(host, format!("host must be specified{FORM}")));
    }
    for (part, what) in [
        (user, "user information is"),
        (fragment, "fragments are"),
        (query, "query parameters are"),
    ] {
        if !part.is_empty() {
            errors.push(wrong(part, format!("{what} not permitted in the URL")));
        }
    }
}

fn service(service: &Place<'_>, errors: &mut Vec<FieldError>) {
    for member in ["name", "namespace"] {
        super::place::required(&service.child(member), errors);
    }
    let port = service.child("port");
    let number = port.number().unwrap_or(443);
    let found = names::port_number(number);
    if !found.is_empty() {
        let detail = format!("port is not valid: {}", found.join(", "));
        errors.push(FieldError::invalid(port.path(), number, detail));
    }
    let path = service.child("path");
    if matches!(path.text(), "" | "/") {
        return;
    }
    if path.text() == "//" {
        errors.push(path.invalid("segment[0] may not be empty"));
        return;
    }
    if !path.text().starts_with('/') {
        errors.push(path.invalid("must start with a '/'"));
    }
    let inner = path.text().get(1..).unwrap_or_default();
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    for (place, step) in inner.split('/').enumerate() {
        if step.is_empty() {
            errors.push(path.invalid(format!("segment[{place}] may not be empty")));
            continue;
        }
        for found in names::dns_1123_subdomain(step) {
            errors.push(path.invalid(format!("segment[{place}]: {found}")));
        }
    }
}
