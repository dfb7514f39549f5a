//! Roles and their bindings (kubernetes `pkg/apis/rbac/validation`, v1.36). Whether their author may give what they give is
//! decided elsewhere.

use drover_structural::{FieldError, names};
use serde_json::Value;

use super::place::{Place, label_selector, problems, required};
use crate::rest::object::meta;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Which roles a ClusterRole is made of.
pub(super) fn aggregation(object: &Value, errors: &mut Vec<FieldError>) {
    let rule = Place::of(object, "aggregationRule");
    let selectors = rule.child("clusterRoleSelectors");
    if rule.is_set() && selectors.is_empty() {
        errors
            .push(selectors.missing(
                "at least one clusterRoleSelector required if aggregationRule is non-nil",
            ));
    }
    for selector in selectors.items() {
        let mut found = Vec::new();
        label_selector(&selector, &mut found);
        if !found.is_empty() {
            // The real server shows a selector that it could not read.
            let detail = "invalid label selector.";
            errors.push(FieldError::invalid(selector.path(), Value::Null, detail));
        }
        errors.extend(found);
    }
}

/// What is wrong with an APIService (kube-aggregator `pkg/apis/apiregistration/validation`).
pub(super) fn api_service(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    let (group, version) = (spec.child("group"), spec.child("version"));
    let wanted = format!("{}.{}", version.text(), group.text());
    let name = meta(object, "name");
    if name != wanted {
        let detail = format!("must be `spec.version+\".\"+spec.group`: {wanted:?}");
        errors.push(FieldError::invalid("metadata.name", name, detail));
    }
    if group.is_empty() && version.text() != "v1" {
        errors.push(group.missing("only v1 may have an empty group and it better be legacy kube"));
    }
    if !group.is_empty() {
        problems(&group, names::dns_1123_subdomain(group.text()), errors);
    }
    problems(&version, names::dns_1035_label(version.text()), errors);
    for (member, most) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1_000)] {
        let place = spec.child(member);
        let number = place.number().unwrap_or(0);
        if !(1..=most).contains(&number) {
            let detail = format!("must be positive and less than {most}");
            errors.push(FieldError::invalid(place.path(), number, detail));
        }
    }
    let service = spec.child("service");
    let (skips, bundle) = (spec.child("insecureSkipTLSVerify"), spec.child("caBundle"));
    if !service.is_set() {
        if !bundle.is_empty() {
            let shown = format!("{} bytes", bundle.text().len());
            let detail = "local APIServices may not have a caBundle";
            errors.push(FieldError::invalid(bundle.path(), shown, detail));
        }
        if skips.is_true() {
            errors.push(skips.invalid("local APIServices may not have insecureSkipTLSVerify"));
        }
        return;
    }
    required(&service.child("namespace"), errors);
    required(&service.child("name"), errors);
    let port = service.child("port");
    let number = port.number().unwrap_or(0);
    let found = names::port_number(number);
    if !found.is_empty() {
        let detail = format!("port is not valid: {}", found.join(", "));
        errors.push(FieldError::invalid(port.path(), number, detail));
    }
    if skips.is_true() && !bundle.is_empty() {
        errors.push(skips.invalid("may not be true if caBundle is present"));
    }
}

/// What is wrong with the status of an APIService.
pub(super) fn api_service_status(object: &Value, errors: &mut Vec<FieldError>) {
    const STATES: [&str; 3] = ["True", "False", "Unknown"];
    for condition in Place::of(object, "status").child("conditions").items() {
        let status = condition.child("status");
        if !STATES.contains(&status.text()) {
            errors.push(FieldError::not_supported(
                status.path(),
                status.text(),
                STATES,
            ));
        }
    }
}

/// What is wrong with a Role or ClusterRole.
pub(super) fn role(kind: &str, object: &Value, errors: &mut Vec<FieldError>) {
    for rule in Place::of(object, "rules").items() {
        let verbs = rule.child("verbs");
        if verbs.is_empty() {
            errors.push(verbs.missing("verbs must contain at least one value"));
        }
        let (groups, resources) = (rule.child("apiGroups"), rule.child("resources"));
        let paths = rule.child("nonResourceURLs");
        if paths.is_empty() {
            if groups.is_empty() {
                errors.push(groups.missing("resource rules must supply at least one api group"));
            }
            if resources.is_empty() {
                errors.push(resources.missing("resource rules must supply at least one resource"));
            }
        } else if kind == "Role" {
            errors.push(paths.invalid("namespaced rules cannot apply to non-resource URLs"));
        } else if !groups.is_empty()
            || !resources.is_empty()
            || !rule.child("resourceNames").is_empty()
        {
            errors.push(
                paths.invalid("rules cannot apply to both regular resources and non-resource URLs"),
            );
        }
    }
}

/// What is wrong with a RoleBinding or ClusterRoleBinding.
pub(super) fn binding(kind: &str, object: &Value, errors: &mut Vec<FieldError>) {
    let role = Place::of(object, "roleRef");
    let namespaced = kind == "RoleBinding";
    let group = role.child("apiGroup");
    if group.text() != GROUP {
        errors.push(FieldError::not_supported(
            group.path(),
            group.text(),
            [GROUP],
        ));
    }
    let wanted = role.child("kind");
    let kinds: &[&str] = if namespaced {
        &["Role", "ClusterRole"]
    } else {
        &["ClusterRole"]
    };
    if !kinds.contains(&wanted.text()) {
        errors.push(FieldError::not_supported(
            wanted.path(),
            wanted.text(),
            kinds,
        ));
    }
    let name = role.child("name");
    if name.is_empty() {
        errors.push(name.missing(""));
    } else {
        problems(&name, names::path_segment(name.text()), errors);
    }
    for subject in Place::of(object, "subjects").items() {
        self::subject(&subject, namespaced, errors);
    }
}

fn subject(subject: &Place<'_>, namespaced: bool, errors: &mut Vec<FieldError>) {
    let (name, group) = (subject.child("name"), subject.child("apiGroup"));
    if name.is_empty() {
        errors.push(name.missing(""));
    }
    let kind = subject.child("kind");
    match kind.text() {
        "ServiceAccount" => {
            if !name.is_empty() {
                problems(&name, names::dns_1123_subdomain(name.text()), errors);
            }
            if !group.is_empty() {
                errors.push(group.unsupported(&[""]));
            }
            let namespace = subject.child("namespace");
            if !namespaced && namespace.is_empty() {
                errors.push(namespace.missing(""));
            }
        }
        "User" | "Group" => {
            if group.text() != GROUP {
                errors.push(FieldError::not_supported(
                    group.path(),
                    group.text(),
                    [GROUP],
                ));
            }
        }
        other => errors.push(FieldError::not_supported(
            kind.path(),
            other,
            ["ServiceAccount", "User", "Group"],
        )),
    }
}
