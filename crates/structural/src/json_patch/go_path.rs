//! Paths of operations as the library of real servers reads them (github.com/evanphx/json-patch v4): more loosely than
//! RFC 6901 has them.

use serde_json::Value;

/// An operation on `target` with its paths as RFC 6901 would have them, and with the value it has none of.
pub(super) fn rewritten(target: &Value, operation: &Value) -> Value {
    let mut operation = operation.clone();
    let kind = operation["op"].as_str().unwrap_or_default().to_owned();
    let Some(members) = operation.as_object_mut() else {
        return operation;
    };
    if matches!(&*kind, "add" | "replace" | "test") {
        members.entry("value").or_insert(Value::Null);
    }
    for (name, grows) in [
        ("from", false),
        ("path", matches!(&*kind, "add" | "copy" | "move")),
    ] {
        if let Some(Value::String(path)) = members.get_mut(name) {
            *path = read(target, path, grows);
        }
    }
    operation
}

/// What stands before the first slash counts for nothing, `~` alone is itself, and indices may have zeros before them or
/// count from the end; of a list that grows from where its end will be.
fn read(target: &Value, path: &str, grows: bool) -> String {
    let Some((_, segments)) = path.split_once('/') else {
        return path.to_owned();
    };
    let segments: Vec<&str> = segments.split('/').collect();
    let mut place = Some(target);
    let mut pointer = String::new();
    for (number, segment) in segments.iter().enumerate() {
        let is_last = number + 1 == segments.len();
        let segment = match place {
            Some(Value::Array(items)) => {
                index(segment, items.len() + usize::from(is_last && grows))
            }
            _ => escaped(segment),
        };
        pointer.push('/');
        pointer.push_str(&segment);
        let key = segment.replace("~1", "/").replace("~0", "~");
        place = match place {
            Some(Value::Array(items)) => key.parse::<usize>().ok().and_then(|at| items.get(at)),
            Some(Value::Object(members)) => members.get(&key),
            _ => None,
        };
    }
    pointer
}

fn index(segment: &str, len: usize) -> String {
    match segment.parse::<i64>() {
        Ok(number) if number < 0 => {
            let from_end = usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX);
            let place = len.checked_sub(from_end);
            place.map_or_else(|| segment.to_owned(), |place| place.to_string())
        }
        Ok(number) => number.to_string(),
        Err(_) => escaped(segment),
    }
}

fn escaped(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    let mut rest = segment.chars().peekable();
    while let Some(c) = rest.next() {
        out.push(c);
        if c == '~' && !matches!(rest.peek(), Some('0' | '1')) {
            out.push('0');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_read_as_loosely_as_by_real_servers() {
        let target = json!({"l": [1, 2, 3], "a~2b": {"c": 1}});
        for (path, grows, expected) in [
            ("x/l", false, "/l"),
            ("/l/-1", false, "/l/2"),
            ("/l/-1", true, "/l/3"),
            ("/l/01", false, "/l/1"),
            ("/l/-9", false, "/l/-9"),
            ("/l/-", true, "/l/-"),
            ("/a~2b/c", false, "/a~02b/c"),
            ("/a~0b", false, "/a~0b"),
            ("none", false, "none"),
            ("", false, ""),
        ] {
            assert_eq!(read(&target, path, grows), expected, "{path}");
        }
    }
}
