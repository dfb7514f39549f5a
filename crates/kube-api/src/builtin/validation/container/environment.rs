//! Variables of containers, and where their values come from.

use drover_structural::{FieldError, names};

use crate::builtin::validation::downward;
use crate::builtin::validation::place::{Place, problems};

/// What is wrong with variables.
pub(super) fn check(variables: &Place<'_>, errors: &mut Vec<FieldError>) {
    for variable in variables.items() {
        let name = variable.child("name");
        if name.is_empty() {
            errors.push(name.missing(""));
        } else {
            variable_name(&name, errors);
        }
        let from = variable.child("valueFrom");
        if from.is_set() {
            value_source(&from, !variable.child("value").is_empty(), errors);
        }
    }
}

fn variable_name(name: &Place<'_>, errors: &mut Vec<FieldError>) {
    let printable = |character: char| matches!(character, ' '..='~') && character != '=';
    if !name.text().chars().all(printable) {
        errors.push(name.invalid("a valid environment variable name must consist only of printable ASCII characters other than '='"));
    }
}

fn value_source(from: &Place<'_>, has_value: bool, errors: &mut Vec<FieldError>) {
    let mut n_sources = 0;
    for source in [
        "fieldRef",
        "resourceFieldRef",
        "configMapKeyRef",
        "secretKeyRef",
        "fileKeyRef",
    ] {
        let place = from.child(source);
        if !place.is_set() {
            continue;
        }
        n_sources += 1;
        match source {
            "configMapKeyRef" | "secretKeyRef" => {
                let name = place.child("name");
                let found = names::dns_1123_subdomain(name.text()).into_iter();
                errors.extend(
                    found.map(|problem| FieldError::invalid(name.path(), name.text(), problem)),
                );
                let key = place.child("key");
                if key.is_empty() {
                    errors.push(key.missing(""));
                } else {
                    problems(&key, names::config_key(key.text()), errors);
                }
            }
            "fieldRef" => downward::field(&place, &downward::OF_VARIABLES, errors),
            "resourceFieldRef" => downward::amount(&place, false, errors),
            _ => {}
        }
    }
    let detail = match n_sources {
        0 => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        }
        _ if has_value => "may not be specified when `value` is not empty",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    errors.push(FieldError::invalid(from.path(), "", detail));
}

/// What is wrong with sources of many variables.
pub(super) fn sources(sources: &Place<'_>, errors: &mut Vec<FieldError>) {
    for source in sources.items() {
        let prefix = source.child("prefix");
        if !prefix.is_empty() {
            variable_name(&prefix, errors);
        }
        let mut n_sources = 0;
        for kind in ["configMapRef", "secretRef"] {
            let reference = source.child(kind);
            if !reference.is_set() {
                continue;
            }
            n_sources += 1;
            let name = reference.child("name");
            if name.is_empty() {
                errors.push(name.missing(""));
            } else {
                problems(&name, names::dns_1123_subdomain(name.text()), errors);
            }
        }
        let detail = match n_sources {
            0 => "must specify one of: `configMapRef` or `secretRef`",
            1 => continue,
            _ => "may not have more than one field specified at a time",
        };
        errors.push(FieldError::invalid(sources.path(), "", detail));
    }
}
