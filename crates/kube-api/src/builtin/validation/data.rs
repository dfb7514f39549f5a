//! ConfigMaps and Secrets: keys, sizes, what each type of Secret needs, and that immutable ones stay.

use base64::Engine as _;
use drover_structural::go::type_name;
use drover_structural::{FieldError, names};
use serde_json::{Map, Value};

use super::place::Place;

const IMMUTABLE_WHEN_SET: &str = "field is immutable when `immutable` is set";

/// What errors show in place of a secret's contents.
const REDACTED: &str = "<secret contents redacted>";

/// The most that a ConfigMap or Secret holds (kubernetes `MaxSecretSize`).
const MOST_DATA: usize = 1024 * 1024;

fn keys(member: &Place<'_>, errors: &mut Vec<FieldError>) {
    for (key, place) in member.members() {
        let found = names::config_key(key).into_iter();
        errors.extend(found.map(|problem| FieldError::invalid(place.path(), key, problem)));
    }
}

/// What is wrong with a ConfigMap.
pub(super) fn config_map(object: &Value, errors: &mut Vec<FieldError>) {
    let (data, binary) = (Place::of(object, "data"), Place::of(object, "binaryData"));
    let mut size = 0;
    for member in [&data, &binary] {
        keys(member, errors);
        size += member
            .members()
            .iter()
            .map(|(_, value)| value.text().len())
            .sum::<usize>();
    }
    for (key, place) in data.members() {
        if binary.child(key).is_set() {
            let detail = "duplicate of key present in binaryData";
            errors.push(FieldError::invalid(place.path(), key, detail));
        }
    }
    if size > MOST_DATA {
        // Go prints a path without a name so.
        errors.push(FieldError::too_long("[]", MOST_DATA));
    }
}

/// What is wrong with a Secret.
pub(super) fn secret(object: &Value, errors: &mut Vec<FieldError>) {
    let data = Place::of(object, "data");
    keys(&data, errors);
    let mut size = 0;
    for (_, place) in data.members() {
        match decoded(&place) {
            Some(bytes) => size += bytes.len(),
            None => errors.push(FieldError::invalid(
                place.path(),
                REDACTED,
                "illegal base64 data",
            )),
        }
    }
    if size > MOST_DATA {
        errors.push(FieldError::too_long("data", MOST_DATA));
    }
    let key = |name: &str| {
        Place::of(object, "data")
            .child(name)
            .called(format!("data[{name}]"))
    };
    let kind = Place::of(object, "type");
    match kind.text() {
        "kubernetes.io/dockercfg" => json_in(&key(".dockercfg"), errors),
        "kubernetes.io/dockerconfigjson" => json_in(&key(".dockerconfigjson"), errors),
        "kubernetes.io/basic-auth" => {
            let both = [key("username"), key("password")];
            if !both.iter().any(Place::is_set) {
                errors.extend(both.iter().map(|key| key.missing("")));
            }
        }
        "kubernetes.io/ssh-auth" => super::place::required(&key("ssh-privatekey"), errors),
        "kubernetes.io/tls" => {
            for key in [key("tls.crt"), key("tls.key")] {
                if !key.is_set() {
                    errors.push(key.missing(""));
                }
            }
        }
        "kubernetes.io/service-account-token" => {
            let annotations = Place::of(object, "metadata").child("annotations");
            let account = annotations.child("kubernetes.io/service-account.name");
            if account.is_empty() {
                errors.push(FieldError::required(
                    "metadata.annotations[kubernetes.io/service-account.name]",
                    "",
                ));
            }
        }
        _ => {}
    }
}

fn decoded(place: &Place<'_>) -> Option<Vec<u8>> {
    let text = place.value().as_str()?;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

/// A key whose contents are a JSON object.
fn json_in(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    if !place.is_set() {
        errors.push(place.missing(""));
        return;
    }
    let bytes = decoded(place).unwrap_or_default();
    if let Some(problem) = json_problem(&bytes) {
        errors.push(FieldError::invalid(place.path(), REDACTED, problem));
    }
}

/// Why bytes are no JSON object, in the words of Go's decoder.
fn json_problem(bytes: &[u8]) -> Option<String> {
    let error = match serde_json::from_slice::<Value>(bytes) {
        Ok(Value::Object(_) | Value::Null) => return None,
        Ok(other) => {
            let found = type_name(&other);
            return Some(format!(
                "json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
            ));
        }
        Err(error) => error,
    };
    if error.is_eof() {
        return Some("unexpected end of JSON input".to_owned());
    }
    // Of the contents, only the character that cannot stand where it does is told.
    let place = bytes
        .split(|byte| *byte == b'\n')
        .take(error.line() - 1)
        .map(|line| line.len() + 1)
        .sum::<usize>()
        + error.column().saturating_sub(1);
    let Some(wrong) = bytes.get(place) else {
        return Some("unexpected end of JSON input".to_owned());
    };
    let text = error.to_string();
    let known = [
        ("expected `:`", "after object key"),
        ("expected `,` or `}`", "after object key:value pair"),
        ("expected `,` or `]`", "after array element"),
        (
            "key must be a string",
            "looking for beginning of object key string",
        ),
        (
            "trailing comma",
            "looking for beginning of object key string",
        ),
        ("trailing characters", "after top-level value"),
        ("control character", "in string literal"),
    ];
    let context = match known.iter().find(|(start, _)| text.starts_with(start)) {
        Some((_, context)) => (*context).to_owned(),
        None => {
            in_literal(bytes, place).unwrap_or_else(|| "looking for beginning of value".to_owned())
        }
    };
    Some(format!(
        "invalid character '{}' {context}",
        char::from(*wrong)
    ))
}

/// The word that the wrong byte at `place` breaks off.
fn in_literal(bytes: &[u8], place: usize) -> Option<String> {
    let start = (0..place)
        .rev()
        .take_while(|place| bytes[*place].is_ascii_lowercase())
        .last()?;
    let word = ["true", "false", "null"]
        .into_iter()
        .find(|word| word.as_bytes().first() == bytes.get(start))?;
    let expected = word.chars().nth(place - start)?;
    Some(format!("in literal {word} (expecting '{expected}')"))
}

/// An object with `immutable: true` stays as it is.
pub(super) fn frozen(new: &Value, old: &Value, members: &[&str], errors: &mut Vec<FieldError>) {
    if !Place::of(old, "immutable").is_true() {
        return;
    }
    if !Place::of(new, "immutable").is_true() {
        errors.push(FieldError::forbidden("immutable", IMMUTABLE_WHEN_SET));
    }
    for member in members {
        let held = |object: &Value| {
            let empty = Value::Object(Map::new());
            object
                .get(member)
                .filter(|value| !value.is_null())
                .cloned()
                .unwrap_or(empty)
        };
        if held(new) != held(old) {
            errors.push(FieldError::forbidden(member, IMMUTABLE_WHEN_SET));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(check: impl FnOnce(&mut Vec<FieldError>)) -> Vec<String> {
        let mut errors = Vec::new();
        check(&mut errors);
        errors.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn secrets_need_the_keys_of_their_type() {
        let check = |kind: &str, data: Value, expected: &[&str]| {
            let secret = json!({"type": format!("kubernetes.io/{kind}"), "data": data});
            assert_eq!(fields(|errors| super::secret(&secret, errors)), expected);
        };
        check(
            "tls",
            json!({"tls.crt": "YQ==", "a/b": "!"}),
            &["data[a/b]", "data[a/b]", "data[tls.key]"],
        );
        check(
            "basic-auth",
            json!({}),
            &["data[username]", "data[password]"],
        );
        check("basic-auth", json!({"password": ""}), &[]);
        check(
            "dockerconfigjson",
            json!({".dockerconfigjson": "e30="}),
            &[],
        );
        check(
            "dockerconfigjson",
            json!({".dockerconfigjson": "bm8="}),
            &["data[.dockerconfigjson]"],
        );
    }

    #[test]
    fn contents_of_secrets_are_never_told() {
        let told = json_problem(br#"{"password": hunter2}"#).unwrap();
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn frozen_objects_stay() {
        let old = json!({"immutable": true, "data": {"a": "1"}});
        let new = json!({"immutable": true, "data": {"a": "2"}});
        assert_eq!(
            fields(|errors| frozen(&new, &old, &["data"], errors)),
            ["data"]
        );
        assert!(fields(|errors| frozen(&old, &old, &["data"], errors)).is_empty());
    }
}
