//! Paths to members of values, as definitions write them.

use serde_json::Value;

use super::{additional_schema, object_of};

/// The members that a path such as `.spec['a.b'].c` leads through, and the schema of the last one, or why it leads
/// nowhere (apiextensions-apiserver `apiserver/schema/cel/validation.go`, `ValidFieldPath`).
pub fn field_path<'s>(
    path: &str,
    schema: &'s Value,
    brackets: bool,
) -> Result<(Vec<String>, &'s Value), String> {
    const NOWHERE: &str = "does not refer to a valid field";
    const END: &str = "unexpected end of JSON path";
    let mut names = Vec::new();
    let mut found = schema;
    let mut rest = path;
    while !rest.is_empty() {
        let name = if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[', ']']).unwrap_or(after.len());
            // A delimiter is a token too.
            let end = if end == 0 && !after.is_empty() {
                1
            } else {
                end
            };
            let (name, after) = after.split_at(end);
            rest = after;
            name.to_owned()
        } else if let Some(after) = rest.strip_prefix('[') {
            if !brackets {
                return Err("array notation is not allowed".to_owned());
            }
            let (name, after) = quoted(after)?;
            rest = match after.strip_prefix(']') {
                Some(after) => after,
                None if after.is_empty() => return Err(END.to_owned()),
                None => return Err(format!("expected ] but got {after}")),
            };
            name
        } else {
            let end = rest.find(['.', '[', ']']).unwrap_or(rest.len()).max(1);
            return Err(format!(
                "expected [ or . but got: {}",
                rest.get(..end).unwrap_or(rest)
            ));
        };
        if name.is_empty() {
            return Err(END.to_owned());
        }
        found = match (object_of(found, "properties"), additional_schema(found)) {
            (Some(properties), _) => properties.get(&name).ok_or(NOWHERE)?,
            (None, Some(additional)) => additional,
            (None, None) => return Err(NOWHERE.to_owned()),
        };
        names.push(name);
    }
    Ok((names, found))
}

/// The text in single quotes that `rest` begins with, and what follows it.
fn quoted(rest: &str) -> Result<(String, &str), String> {
    let Some(inner) = rest.strip_prefix('\'') else {
        let end = rest.find(['.', '[', ']']).unwrap_or(rest.len());
        return Err(if rest.is_empty() {
            "unexpected end of JSON path".to_owned()
        } else {
            format!(
                "expected single quoted string but got {}",
                rest.get(..end.max(1)).unwrap_or(rest)
            )
        });
    };
    let mut text = String::new();
    let mut characters = inner.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '\'' => return Ok((text, &inner[index + 1..])),
            '\\' => match characters.next() {
                Some((_, escaped @ ('\'' | '\\'))) => text.push(escaped),
                _ => return Err("invalid string literal: invalid syntax".to_owned()),
            },
            other => text.push(other),
        }
    }
    Err(format!("expected single quoted string but got {rest}"))
}
