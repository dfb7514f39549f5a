//! Files that are made of several things, and of what is known of the pod.

use std::collections::BTreeSet;

use drover_structural::FieldError;

use super::{files, local, mode};
use crate::builtin::validation::downward;
use crate::builtin::validation::place::{Place, required};

const SHORTEST_TOKEN: i64 = 600;
const LONGEST_TOKEN: i64 = 1 << 32;

/// What is wrong with one folder of several sources.
pub(super) fn projected(volume: &Place<'_>, errors: &mut Vec<FieldError>) {
    mode(&volume.child("defaultMode"), errors);
    let mut paths = BTreeSet::new();
    for source in volume.child("sources").items() {
        let mut n_sources = 0;
        for kind in ["secret", "configMap"] {
            let place = source.child(kind);
            if !place.is_set() {
                continue;
            }
            n_sources += 1;
            let name = place.child("name");
            required(&name, errors);
            files(&place, errors);
            for item in place.child("items").items() {
                let path = item.child("path");
                if !path.is_empty() && !paths.insert(path.text()) {
                    let detail = "conflicting duplicate paths";
                    errors.push(FieldError::invalid(volume.path(), name.text(), detail));
                }
            }
        }
        let told = source.child("downwardAPI");
        n_sources += usize::from(told.is_set());
        for file in told.child("items").items() {
            self::told(&file, &told, errors);
            let path = file.child("path");
            if !path.is_empty() && !paths.insert(path.text()) {
                let detail = "conflicting duplicate paths";
                errors.push(FieldError::invalid(volume.path(), path.text(), detail));
            }
        }
        let token = source.child("serviceAccountToken");
        if token.is_set() {
            n_sources += 1;
            self::token(&token, volume, errors);
        }
        if n_sources > 1 {
            errors.push(source.forbidden("may not specify more than 1 volume type per source"));
        }
    }
}

fn token(token: &Place<'_>, volume: &Place<'_>, errors: &mut Vec<FieldError>) {
    let life = token.child("expirationSeconds");
    match life.number() {
        Some(seconds) if seconds < SHORTEST_TOKEN => {
            errors.push(life.invalid("may not specify a duration less than 10 minutes"));
        }
        Some(seconds) if seconds > LONGEST_TOKEN => {
            errors.push(life.invalid("may not specify a duration larger than 2^32 seconds"));
        }
        _ => {}
    }
    // The real server names the folder.
    let path = token
        .child("path")
        .called(volume.child("path").path().to_owned());
    required(&path, errors);
    local(&path, errors);
}

/// What is wrong with a file that tells of the pod. The real server does not say which file of `holder` it is.
pub(super) fn told(file: &Place<'_>, holder: &Place<'_>, errors: &mut Vec<FieldError>) {
    let called = |member: &str| {
        file.child(member)
            .called(holder.child(member).path().to_owned())
    };
    let path = called("path");
    required(&path, errors);
    local(&path, errors);
    let (field, amount) = (called("fieldRef"), called("resourceFieldRef"));
    match (field.is_set(), amount.is_set()) {
        (true, other) => {
            downward::field(&field, &downward::OF_FILES, errors);
            if other {
                let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.push(FieldError::invalid(holder.path(), "resource", detail));
            }
        }
        (false, true) => downward::amount(&amount, true, errors),
        (false, false) => {
            errors.push(holder.missing("one of fieldRef and resourceFieldRef is required"));
        }
    }
    mode(&called("mode"), errors);
}
