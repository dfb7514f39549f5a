//! Flow schemas and priority levels (kubernetes `pkg/apis/flowcontrol/validation`, v1.36). They are data here: requests
//! are queued by identity.

use drover_structural::{FieldError, names};
use serde_json::Value;

use super::place::{Place, required};
use crate::rest::object::meta;

const VERBS: [&str; 9] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "proxy",
    "update",
    "watch",
];
const LAST_PRECEDENCE: i64 = 10_000;
const MAX_QUEUES: i64 = 10_000_000;
const MAX_HASH_BITS: f64 = 60.0;

fn number(place: &Place<'_>) -> i64 {
    place.number().unwrap_or(0)
}

fn wrong(place: &Place<'_>, value: i64, detail: impl Into<String>) -> FieldError {
    FieldError::invalid(place.path(), value, detail)
}

/// What is wrong with a FlowSchema.
pub(super) fn schema(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    let precedence = spec.child("matchingPrecedence");
    let value = number(&precedence);
    if value <= 0 {
        errors.push(wrong(&precedence, value, "must be a positive value"));
    }
    if value > LAST_PRECEDENCE {
        let detail = format!("must not be greater than {LAST_PRECEDENCE}");
        errors.push(wrong(&precedence, value, detail));
    }
    if value == 1 && meta(object, "name") != "exempt" {
        let detail = "only the schema named 'exempt' may have matchingPrecedence 1";
        errors.push(wrong(&precedence, value, detail));
    }
    let method = spec.child("distinguisherMethod");
    let kind = method.child("type");
    if method.is_set() && !matches!(kind.text(), "ByNamespace" | "ByUser") {
        let shown = serde_json::json!({"Type": kind.text()});
        let known = ["ByNamespace", "ByUser"];
        errors.push(FieldError::not_supported(kind.path(), shown, known));
    }
    let level = spec.child("priorityLevelConfiguration").child("name");
    if level.is_empty() {
        errors.push(level.missing("must reference a priority level"));
    } else {
        let found = names::dns_1123_subdomain(level.text());
        super::place::problems(&level, found, errors);
    }
    for rule in spec.child("rules").items() {
        self::rule(&rule, errors);
    }
}

fn rule(rule: &Place<'_>, errors: &mut Vec<FieldError>) {
    let subjects = rule.child("subjects");
    if subjects.is_empty() {
        errors.push(subjects.missing("subjects must contain at least one value"));
    }
    for subject in subjects.items() {
        self::subject(&subject, errors);
    }
    let (resources, others) = (rule.child("resourceRules"), rule.child("nonResourceRules"));
    if resources.is_empty() && others.is_empty() {
        errors.push(
            rule.missing("at least one of resourceRules and nonResourceRules has to be non-empty"),
        );
    }
    for resource in resources.items() {
        verbs(&resource.child("verbs"), errors);
        alone(
            &resource.child("apiGroups"),
            "resource rules must supply at least one api group",
            "api groups",
            errors,
        );
        alone(
            &resource.child("resources"),
            "resource rules must supply at least one resource",
            "resources",
            errors,
        );
        namespaces(&resource, errors);
    }
    for other in others.items() {
        verbs(&other.child("verbs"), errors);
        let urls = other.child("nonResourceURLs");
        alone(
            &urls,
            "nonResourceURLs must contain at least one value",
            "non-resource URLs",
            errors,
        );
        if !has_wildcard(&urls) {
            for url in urls.items() {
                self::url(&url, errors);
            }
        }
    }
}

fn has_wildcard(list: &Place<'_>) -> bool {
    list.items().iter().any(|item| item.text() == "*")
}

/// A list that holds something, and nothing beside `*`.
fn alone(list: &Place<'_>, missing: &str, what: &str, errors: &mut Vec<FieldError>) {
    if list.is_empty() {
        errors.push(list.missing(missing));
    } else if has_wildcard(list) && list.items().len() > 1 {
        let detail = format!("if '*' is present, must not specify other {what}");
        errors.push(list.invalid(detail));
    }
}

fn verbs(list: &Place<'_>, errors: &mut Vec<FieldError>) {
    alone(
        list,
        "verbs must contain at least one value",
        "verbs",
        errors,
    );
    let known = |verb: &Place<'_>| VERBS.contains(&verb.text());
    if !has_wildcard(list) && !list.items().iter().all(known) {
        errors.push(list.unsupported(&VERBS));
    }
}

fn namespaces(rule: &Place<'_>, errors: &mut Vec<FieldError>) {
    let list = rule.child("namespaces");
    if list.is_empty() && !rule.child("clusterScope").is_true() {
        errors.push(list.missing(
            "resource rules that are not cluster scoped must supply at least one namespace",
        ));
    } else if has_wildcard(&list) {
        if list.items().len() > 1 {
            errors.push(list.invalid("if '*' is present, must not specify other namespaces"));
        }
    } else {
        for namespace in list.items() {
            for found in names::dns_1123_label(namespace.text()) {
                errors.push(namespace.invalid(format!(
                    "each member of this list must be '*' or a DNS-1123 label; {found}"
                )));
            }
        }
    }
}

fn url(url: &Place<'_>, errors: &mut Vec<FieldError>) {
    let text = url.text();
    let wildcards = text.matches('*').count();
    let detail = if text.is_empty() {
        "must not be empty"
    } else if text == "/" {
        return;
    } else if !text.starts_with('/') {
        "must start with slash"
    } else if text.contains(' ') {
        "must not contain white-space"
    } else if text.contains("//") {
        "must not contain double slash"
    } else if wildcards > 1 || (wildcards == 1 && !text.ends_with("/*")) {
        "wildcard can only do suffix matching"
    } else {
        return;
    };
    errors.push(url.invalid(detail));
}

/// The kinds of subjects, and the member that describes each.
const SUBJECTS: [(&str, &str); 3] = [
    ("ServiceAccount", "serviceAccount"),
    ("User", "user"),
    ("Group", "group"),
];

fn subject(subject: &Place<'_>, errors: &mut Vec<FieldError>) {
    let kind = subject.child("kind");
    let known = SUBJECTS.iter().find(|(name, _)| *name == kind.text());
    let Some((name, member)) = known else {
        let known = ["Group", "ServiceAccount", "User"];
        errors.push(FieldError::not_supported(kind.path(), kind.text(), known));
        return;
    };
    let described = subject.child(member);
    if described.is_set() {
        let name = described.child("name");
        required(&name, errors);
        if *member == "serviceAccount" {
            if !name.is_empty() && name.text() != "*" {
                let found = names::dns_1123_subdomain(name.text());
                super::place::problems(&name, found, errors);
            }
            let namespace = described.child("namespace");
            if namespace.is_empty() {
                errors.push(namespace.missing("must specify namespace for service account"));
            } else {
                let found = names::dns_1123_label(namespace.text());
                super::place::problems(&namespace, found, errors);
            }
        }
    } else {
        let detail = format!("{member} is required when subject kind is '{name}'");
        errors.push(described.missing(detail));
    }
    for (kind, other) in SUBJECTS.iter().filter(|(_, other)| other != member) {
        let other_place = subject.child(other);
        if other_place.is_set() {
            let detail = format!("{other} is forbidden when subject kind is not '{kind}'");
            errors.push(other_place.forbidden(detail));
        }
    }
}

/// What is wrong with a PriorityLevelConfiguration.
pub(super) fn level(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    let kind = spec.child("type");
    if (meta(object, "name") == "exempt") != (kind.text() == "Exempt") {
        errors.push(FieldError::invalid(
            kind.path(),
            kind.text(),
            "must be 'Exempt' if and only if `name` is 'exempt'",
        ));
    }
    let (limited, exempt) = (spec.child("limited"), spec.child("exempt"));
    match kind.text() {
        "Exempt" => {
            if limited.is_set() {
                errors.push(limited.forbidden("must be nil if the type is not Limited"));
            }
            shares(&exempt, errors);
            percent(&exempt.child("lendablePercent"), errors);
        }
        "Limited" => {
            if exempt.is_set() {
                errors.push(exempt.forbidden("must be nil if the type is Limited"));
            }
            if limited.is_set() {
                self::limited(&limited, errors);
            } else {
                errors.push(limited.missing("must not be empty when type is Limited"));
            }
        }
        "" => errors.push(kind.missing("")),
        _ => errors.push(kind.unsupported(&["Exempt", "Limited"])),
    }
}

fn shares(of: &Place<'_>, errors: &mut Vec<FieldError>) {
    let shares = of.child("nominalConcurrencyShares");
    if number(&shares) < 0 {
        errors.push(shares.invalid("must be a non-negative integer"));
    }
}

fn percent(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    if place
        .number()
        .is_some_and(|percent| !(0..=100).contains(&percent))
    {
        errors.push(place.invalid("must be between 0 and 100, inclusive"));
    }
}

fn limited(limited: &Place<'_>, errors: &mut Vec<FieldError>) {
    shares(limited, errors);
    let response = limited.child("limitResponse");
    let (kind, queuing) = (response.child("type"), response.child("queuing"));
    match kind.text() {
        "Reject" if queuing.is_set() => errors
            .push(queuing.forbidden("must be nil if limited.limitResponse.type is not Limited")),
        "Reject" => {}
        "Queue" if queuing.is_set() => self::queuing(&queuing, errors),
        "Queue" => errors
            .push(queuing.missing("must not be empty if limited.limitResponse.type is Limited")),
        "" => errors.push(kind.missing("")),
        _ => errors.push(kind.unsupported(&["Queue", "Reject"])),
    }
    percent(&limited.child("lendablePercent"), errors);
    let borrowed = limited.child("borrowingLimitPercent");
    if number(&borrowed) < 0 {
        errors.push(borrowed.invalid("if specified, must be a non-negative integer"));
    }
}

fn queuing(queuing: &Place<'_>, errors: &mut Vec<FieldError>) {
    let length = queuing.child("queueLengthLimit");
    if number(&length) <= 0 {
        errors.push(wrong(&length, number(&length), "must be positive"));
    }
    let (queues, hand) = (queuing.child("queues"), queuing.child("handSize"));
    let (n_queues, n_hand) = (number(&queues), number(&hand));
    if n_queues <= 0 {
        errors.push(wrong(&queues, n_queues, "must be positive"));
    } else if n_queues > MAX_QUEUES {
        let detail = format!("must not be greater than {MAX_QUEUES}");
        errors.push(wrong(&queues, n_queues, detail));
    }
    if n_hand <= 0 {
        errors.push(wrong(&hand, n_hand, "must be positive"));
    } else if n_hand > n_queues {
        let detail = format!("should not be greater than queues ({n_queues})");
        errors.push(wrong(&hand, n_hand, detail));
    } else if entropy_bits(n_queues, n_hand) > MAX_HASH_BITS {
        let detail = format!(
            "required entropy bits of deckSize {n_queues} and handSize {n_hand} should not be greater than {MAX_HASH_BITS}"
        );
        errors.push(wrong(&hand, n_hand, detail));
    }
}

/// How many bits choose a hand of queues (apiserver `shufflesharding.RequiredEntropyBits`).
#[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
fn entropy_bits(deck: i64, hand: i64) -> f64 {
    let sizes = (0..hand).map(|dealt| ((deck - dealt) as f64).log2());
    sizes.sum::<f64>().ceil()
}

/// Conditions of the status of either kind.
pub(super) fn conditions(object: &Value, errors: &mut Vec<FieldError>) {
    let mut seen = Vec::new();
    for condition in Place::of(object, "status").child("conditions").items() {
        let kind = condition.child("type");
        if seen.contains(&kind.text()) {
            errors.push(FieldError::duplicate(kind.path(), kind.text()));
        }
        seen.push(kind.text());
        required(&kind, errors);
    }
}
