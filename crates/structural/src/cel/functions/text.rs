//! Functions of strings.

use super::{Outcome, integer, regex_cost};
use crate::cel::EvalError;
use crate::cel::eval::{Budget, failed, no_overload};
use crate::cel::value::Value;
use crate::error::quote;
use crate::names;

/// A pattern that is no literal is compiled at each call, within this size.
const MAX_REGEX: usize = 1 << 20;

fn regex(pattern: &str, text: &str, budget: &mut Budget) -> Result<regex::Regex, EvalError> {
    budget.charge(regex_cost(text, pattern))?;
    regex::RegexBuilder::new(pattern)
        .size_limit(MAX_REGEX)
        .build()
        .map_err(|error| failed(format!("error parsing regexp: {error}")))
}

fn owned<'a>(text: String) -> Value<'a> {
    Value::Text(text.into())
}

#[expect(clippy::too_many_lines, reason = "one arm for each function")]
pub(super) fn call<'a>(name: &str, all: &[Value<'a>], budget: &mut Budget) -> Option<Outcome<'a>> {
    let count = |text: &str| text.chars().count();
    let place = |text: &str, bytes: usize| integer(count(&text[..bytes]));
    Some(match (name, all) {
        ("contains", [Value::Text(text), Value::Text(part)]) => {
            Ok(Value::Bool(text.contains(part.as_ref())))
        }
        ("startsWith", [Value::Text(text), Value::Text(part)]) => {
            Ok(Value::Bool(text.starts_with(part.as_ref())))
        }
        ("endsWith", [Value::Text(text), Value::Text(part)]) => {
            Ok(Value::Bool(text.ends_with(part.as_ref())))
        }
        ("matches", [Value::Text(text), Value::Text(pattern)]) => {
            regex(pattern, text, budget).map(|regex| Value::Bool(regex.is_match(text)))
        }
        ("find", [Value::Text(text), Value::Text(pattern)]) => {
            regex(pattern, text, budget).map(|regex| {
                owned(
                    regex
                        .find(text)
                        .map_or("", |found| found.as_str())
                        .to_owned(),
                )
            })
        }
        ("findAll", [Value::Text(text), Value::Text(pattern), rest @ ..]) => {
            let limit = match rest {
                [] => usize::MAX,
                [Value::Int(limit)] => usize::try_from(*limit).unwrap_or(usize::MAX),
                _ => return Some(Err(no_overload())),
            };
            regex(pattern, text, budget).map(|regex| {
                Value::list(
                    regex
                        .find_iter(text)
                        .take(limit)
                        .map(|found| owned(found.as_str().to_owned()))
                        .collect(),
                )
            })
        }
        ("charAt", [Value::Text(text), Value::Int(index)]) => {
            let length = count(text);
            match usize::try_from(*index) {
                Ok(index) if index < length => Ok(owned(
                    text.chars()
                        .nth(index)
                        .map(String::from)
                        .unwrap_or_default(),
                )),
                Ok(index) if index == length => Ok(owned(String::new())),
                _ => Err(failed(format!("index out of range: {index}"))),
            }
        }
        ("indexOf" | "lastIndexOf", [Value::Text(text), Value::Text(part), rest @ ..]) => {
            let first = name == "indexOf";
            let offset = match rest {
                [] => None,
                [Value::Int(offset)] => match usize::try_from(*offset) {
                    Ok(offset) if offset <= count(text) => Some(offset),
                    _ => return Some(Err(failed(format!("index out of range: {offset}")))),
                },
                _ => return Some(Err(no_overload())),
            };
            let at = |offset: usize| {
                text.char_indices()
                    .nth(offset)
                    .map_or(text.len(), |(bytes, _)| bytes)
            };
            let found = match (first, offset) {
                (true, None) => text.find(part.as_ref()),
                (true, Some(offset)) => {
                    let start = at(offset);
                    text[start..].find(part.as_ref()).map(|bytes| bytes + start)
                }
                (false, None) => text.rfind(part.as_ref()),
                (false, Some(offset)) => {
                    let end = at(offset + count(part)).min(text.len());
                    text[..end].rfind(part.as_ref())
                }
            };
            Ok(Value::Int(found.map_or(-1, |bytes| place(text, bytes))))
        }
        ("lowerAscii", [Value::Text(text)]) => Ok(owned(text.to_ascii_lowercase())),
        ("upperAscii", [Value::Text(text)]) => Ok(owned(text.to_ascii_uppercase())),
        ("trim", [Value::Text(text)]) => Ok(owned(text.trim().to_owned())),
        ("reverse", [Value::Text(text)]) => Ok(owned(text.chars().rev().collect())),
        ("strings.quote", [Value::Text(text)]) => Ok(owned(quote(text))),
        (
            "replace",
            [
                Value::Text(text),
                Value::Text(from),
                Value::Text(to),
                rest @ ..,
            ],
        ) => {
            let limit = match rest {
                [] => usize::MAX,
                [Value::Int(limit)] => usize::try_from(*limit).unwrap_or(usize::MAX),
                _ => return Some(Err(no_overload())),
            };
            // Each place may grow by the replacement.
            let places = text.matches(from.as_ref()).count().min(limit);
            let growth = places.saturating_mul(to.len()) / 10;
            if let Err(error) = budget.charge(u64::try_from(growth).unwrap_or(u64::MAX)) {
                return Some(Err(error));
            }
            Ok(owned(text.replacen(from.as_ref(), to, limit)))
        }
        ("split", [Value::Text(text), Value::Text(separator), rest @ ..]) => {
            let limit = match rest {
                [] => usize::MAX,
                [Value::Int(limit)] => usize::try_from(*limit).unwrap_or(usize::MAX),
                _ => return Some(Err(no_overload())),
            };
            let parts: Vec<Value<'a>> = if separator.is_empty() {
                text.chars()
                    .take(limit)
                    .map(|c| owned(c.to_string()))
                    .collect()
            } else {
                text.splitn(limit, separator.as_ref())
                    .map(|part| owned(part.to_owned()))
                    .collect()
            };
            Ok(Value::list(parts))
        }
        ("substring", [Value::Text(text), Value::Int(start), rest @ ..]) => {
            let length = integer(count(text));
            let end = match rest {
                [] => length,
                [Value::Int(end)] => *end,
                _ => return Some(Err(no_overload())),
            };
            if !rest.is_empty() && *start > end {
                return Some(Err(failed(format!(
                    "invalid substring range. start: {start}, end: {end}"
                ))));
            }
            for index in [*start, end] {
                if !(0..=length).contains(&index) {
                    return Some(Err(failed(format!("index out of range: {index}"))));
                }
            }
            let (start, end) = (
                usize::try_from(*start).unwrap_or(0),
                usize::try_from(end).unwrap_or(0),
            );
            Ok(owned(text.chars().skip(start).take(end - start).collect()))
        }
        ("join", [list @ (Value::List(_) | Value::JsonList(..)), rest @ ..]) => {
            let separator = match rest {
                [] => "",
                [Value::Text(separator)] => separator.as_ref(),
                _ => return Some(Err(no_overload())),
            };
            let items = list.items()?;
            let mut parts: Vec<&str> = Vec::with_capacity(items.len());
            for item in items.iter() {
                match item {
                    Value::Text(text) => parts.push(text),
                    _ => return Some(Err(no_overload())),
                }
            }
            Ok(owned(parts.join(separator)))
        }
        (
            "format",
            [
                Value::Text(text),
                list @ (Value::List(_) | Value::JsonList(..)),
            ],
        ) => list
            .items()
            .ok_or_else(no_overload)
            .and_then(|items| format(text, &items).map(owned)),
        ("validate", [Value::Format(format), Value::Text(text)]) => {
            let problems = problems_of(format, text);
            Ok(if problems.is_empty() {
                Value::Optional(None)
            } else {
                Value::some(Value::list(problems.into_iter().map(owned).collect()))
            })
        }
        ("format.named", [Value::Text(name)]) => Ok(
            match FORMATS.into_iter().find(|known| *known == name.as_ref()) {
                Some(known) => Value::some(Value::Format(known)),
                None => Value::Optional(None),
            },
        ),
        (name, []) if name.starts_with("format.") => {
            let short = &name["format.".len()..];
            match FORMATS.into_iter().find(|known| *known == short) {
                Some(known) => Ok(Value::Format(known)),
                None => Err(no_overload()),
            }
        }
        _ => return None,
    })
}

const FORMATS: [&str; 13] = [
    "dns1123Label",
    "dns1123Subdomain",
    "dns1035Label",
    "qualifiedName",
    "dns1123LabelPrefix",
    "dns1123SubdomainPrefix",
    "dns1035LabelPrefix",
    "labelValue",
    "uri",
    "uuid",
    "byte",
    "date",
    "datetime",
];

fn problems_of(format: &str, text: &str) -> Vec<String> {
    // A prefix may end in a dash, since something follows it.
    let masked = || match text.strip_suffix('-') {
        Some(start) if !start.is_empty() => format!("{start}a"),
        _ => text.to_owned(),
    };
    match format {
        "dns1123Label" => names::dns_1123_label(text),
        "dns1123Subdomain" => names::dns_1123_subdomain(text),
        "dns1035Label" => names::dns_1035_label(text),
        "qualifiedName" => names::qualified_name(text),
        "dns1123LabelPrefix" => names::dns_1123_label(&masked()),
        "dns1123SubdomainPrefix" => names::dns_1123_subdomain(&masked()),
        "dns1035LabelPrefix" => names::dns_1035_label(&masked()),
        "labelValue" => names::label_value(text),
        other => match crate::validate::has_format(other, text) {
            Some(false) => vec![format!("does not match the {other} format")],
            _ => Vec::new(),
        },
    }
}

/// `%s`, `%d`, `%f`, `%e`, `%b`, `%o`, `%x`, `%X`, with a precision where it matters.
fn format(template: &str, items: &[Value<'_>]) -> Result<String, EvalError> {
    let mut out = String::new();
    let mut items = items.iter();
    let mut rest = template;
    while let Some(place) = rest.find('%') {
        out.push_str(&rest[..place]);
        rest = &rest[place + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let mut precision = None;
        if let Some(after) = rest.strip_prefix('.') {
            let end = after
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(after.len());
            precision = after[..end]
                .parse::<usize>()
                .ok()
                .map(|precision| precision.min(100));
            rest = &after[end..];
        }
        let verb = rest
            .chars()
            .next()
            .ok_or_else(|| failed("error during formatting: unexpected end of string"))?;
        rest = &rest[verb.len_utf8()..];
        let item = items
            .next()
            .ok_or_else(|| failed("error during formatting: index out of range"))?;
        let wrong = || {
            failed(format!(
                "error during formatting: could not convert argument {item} for %{verb}"
            ))
        };
        match (verb, item) {
            ('s', item) => out.push_str(&item.to_string()),
            ('d', Value::Int(number)) => out.push_str(&number.to_string()),
            ('d', Value::Uint(number)) => out.push_str(&number.to_string()),
            ('d', Value::Double(number)) if number.fract() == 0.0 => {
                out.push_str(&number.to_string())
            }
            ('f', Value::Double(number)) => {
                out.push_str(&format!("{number:.*}", precision.unwrap_or(6)))
            }
            ('e', Value::Double(number)) => {
                out.push_str(&format!("{number:.*e}", precision.unwrap_or(6)))
            }
            ('b', Value::Bool(flag)) => out.push(if *flag { '1' } else { '0' }),
            ('b', Value::Int(number)) => out.push_str(&format!("{number:b}")),
            ('b', Value::Uint(number)) => out.push_str(&format!("{number:b}")),
            ('o', Value::Int(number)) => out.push_str(&format!("{number:o}")),
            ('o', Value::Uint(number)) => out.push_str(&format!("{number:o}")),
            ('x', Value::Int(number)) => out.push_str(&format!("{number:x}")),
            ('x', Value::Uint(number)) => out.push_str(&format!("{number:x}")),
            ('X', Value::Int(number)) => out.push_str(&format!("{number:X}")),
            ('X', Value::Uint(number)) => out.push_str(&format!("{number:X}")),
            ('x', Value::Text(text)) => out.extend(text.bytes().map(|byte| format!("{byte:02x}"))),
            ('X', Value::Text(text)) => out.extend(text.bytes().map(|byte| format!("{byte:02X}"))),
            _ => return Err(wrong()),
        }
    }
    out.push_str(rest);
    Ok(out)
}
