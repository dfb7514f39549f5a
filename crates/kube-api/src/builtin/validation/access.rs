//! Roles and their bindings (kubernetes `pkg/apis/rbac/validation`, v1.36). Whether their author may give what they give is
//! decided elsewhere.

use drover_structural::{FieldError, names};
use serde_json::Value;

use super::place::{Place, problems};

const GROUP: &str = "rbac.authorization.k8s.io";

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
