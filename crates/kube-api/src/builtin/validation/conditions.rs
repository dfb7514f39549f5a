//! Conditions in their common form (apimachinery `pkg/apis/meta/v1/validation`, v0.36).

use std::collections::BTreeSet;

use drover_structural::{FieldError, names};

use super::place::{Place, problems, required};

const STATES: [&str; 3] = ["False", "True", "Unknown"];
/// Bytes of a reason and of a message.
const LONGEST_REASON: usize = 1024;
const LONGEST_MESSAGE: usize = 32 * 1024;

/// What is wrong with a list of conditions.
pub(super) fn check(conditions: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for condition in conditions.items() {
        let kind = condition.child("type");
        if !seen.insert(kind.text()) {
            errors.push(FieldError::duplicate(kind.path(), kind.text()));
        }
        let found = names::qualified_name(kind.text()).into_iter();
        errors.extend(found.map(|problem| FieldError::invalid(kind.path(), kind.text(), problem)));
        let status = condition.child("status");
        if !STATES.contains(&status.text()) {
            errors.push(FieldError::not_supported(
                status.path(),
                status.text(),
                STATES,
            ));
        }
        let generation = condition.child("observedGeneration");
        if generation.number().is_some_and(|generation| generation < 0) {
            errors.push(generation.invalid("must be greater than or equal to zero"));
        }
        required(&condition.child("lastTransitionTime"), errors);
        reason(&condition.child("reason"), errors);
        let message = condition.child("message");
        if message.text().len() > LONGEST_MESSAGE {
            errors.push(FieldError::too_long(message.path(), LONGEST_MESSAGE));
        }
    }
}

fn reason(reason: &Place<'_>, errors: &mut Vec<FieldError>) {
    required(reason, errors);
    if reason.is_empty() {
        return;
    }
    if !is_reason(reason.text()) {
        let problem = "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";
        problems(reason, vec![problem.to_owned()], errors);
    }
    if reason.text().len() > LONGEST_REASON {
        errors.push(FieldError::too_long(reason.path(), LONGEST_REASON));
    }
}

fn is_reason(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b',' | b':');
    let starts = bytes.first().is_some_and(u8::is_ascii_alphabetic);
    let ends = bytes
        .last()
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    starts && ends && bytes.iter().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_words() {
        for (text, expected) in [
            ("A", true),
            ("ReasonA:ReasonB", true),
            ("my_", true),
            ("1a", false),
            ("a,", false),
            ("a b", false),
        ] {
            assert_eq!(is_reason(text), expected, "{text}");
        }
    }
}
