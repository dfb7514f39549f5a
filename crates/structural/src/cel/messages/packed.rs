//! What is packed in a `google.protobuf.Any`: one of the messages that expressions know, in the wire form.

use std::borrow::Cow;
use std::rc::Rc;

use super::{Field, MESSAGES, Outcome, Value, failed, make, named};
use crate::wire::{Wire, fields};

/// Messages are nested no deeper.
const MAX_DEPTH: usize = 48;
const UNREADABLE: &str = "proto: cannot parse invalid wire-format data";

/// The value of the message of the type that `url` ends with.
pub(super) fn unpack<'a>(url: &str, bytes: &[u8]) -> Outcome<'a> {
    at(url, bytes, 0).map_err(|problem| {
        failed(format!(
            "anypb.UnmarshalNew() failed for type {url:?}: {problem}"
        ))
    })
}

fn at<'a>(url: &str, bytes: &[u8], depth: usize) -> Result<Value<'a>, String> {
    if url.is_empty() {
        return Err("mismatched message type: got \"\" want \"\"".to_owned());
    }
    let name = url.rsplit('/').next().unwrap_or_default();
    let message = named(name).ok_or("proto: not found")?;
    read(message, bytes, depth)
}

/// The value of a message. What is not of the kind of its field is no part of it.
fn read<'a>(message: &'static str, bytes: &[u8], depth: usize) -> Result<Value<'a>, String> {
    if depth > MAX_DEPTH {
        return Err(UNREADABLE.to_owned());
    }
    let declared = MESSAGES.iter().find(|(known, _)| *known == message);
    let declared = declared.map_or(&[][..], |(_, fields)| *fields);
    let mut set: Vec<(&str, Value<'a>)> = Vec::new();
    for (number, wire) in fields(bytes).map_err(|_| UNREADABLE)? {
        // Fields stand in the order of their numbers, from 1.
        let position = usize::try_from(number).unwrap_or_default().wrapping_sub(1);
        let Some((name, takes)) = declared.get(position) else {
            continue;
        };
        let held = set.iter().position(|(other, _)| other == name);
        let held = held.map(|position| set.remove(position).1);
        match value(message, *takes, wire, held.as_ref(), depth)? {
            Some(value) => set.push((name, value)),
            None => set.extend(held.map(|held| (*name, held))),
        }
    }
    if message == "google.protobuf.Any" {
        let of = |name: &str| set.iter().find(|(other, _)| *other == name);
        let url = match of("type_url") {
            Some((_, Value::Text(url))) => url.clone(),
            _ => Cow::Borrowed(""),
        };
        let bytes = match of("value") {
            Some((_, Value::Bytes(bytes))) => Rc::clone(bytes),
            _ => Rc::from([]),
        };
        return at(&url, &bytes, depth + 1);
    }
    make(message, set).map_err(|problem| problem.to_string())
}

/// The value of a field, after what there was of it before.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "numbers of half the size are written with all their bits"
)]
fn value<'a>(
    message: &str,
    takes: Field,
    wire: Wire<'_>,
    held: Option<&Value<'a>>,
    depth: usize,
) -> Result<Option<Value<'a>>, String> {
    Ok(Some(match (takes, wire) {
        (Field::Bool, Wire::Varint(number)) => Value::Bool(number != 0),
        (Field::Int, Wire::Varint(number)) => Value::Int(number as i64),
        (Field::Int32, Wire::Varint(number)) => Value::Int(i64::from(number as i32)),
        (Field::Uint, Wire::Varint(number)) => Value::Uint(number),
        (Field::Uint32, Wire::Varint(number)) => Value::Uint(u64::from(number as u32)),
        (Field::Double, Wire::Fixed64(number)) => Value::Double(f64::from_bits(number)),
        (Field::Float, Wire::Fixed32(number)) => Value::Double(f64::from(f32::from_bits(number))),
        (Field::Text, Wire::Bytes(bytes)) => Value::Text(text(bytes)?.into()),
        (Field::Bytes, Wire::Bytes(bytes)) => Value::Bytes(bytes.into()),
        (Field::Struct, Wire::Bytes(bytes)) if message == "google.protobuf.Value" => {
            read("google.protobuf.Struct", bytes, depth + 1)?
        }
        (Field::List, Wire::Bytes(bytes)) if message == "google.protobuf.Value" => {
            read("google.protobuf.ListValue", bytes, depth + 1)?
        }
        (Field::Struct, Wire::Bytes(bytes)) => {
            let mut entries = held.and_then(Value::entries).unwrap_or_default();
            let (key, value) = entry(bytes, depth)?;
            entries.retain(|(other, _)| !other.equals(&key));
            entries.push((key, value));
            Value::Map(Rc::new(entries))
        }
        (Field::List, Wire::Bytes(bytes)) => {
            let mut items = held
                .and_then(Value::items)
                .map(Cow::into_owned)
                .unwrap_or_default();
            items.push(read("google.protobuf.Value", bytes, depth + 1)?);
            Value::list(items)
        }
        _ => return Ok(None),
    }))
}

/// An entry of a `Struct`.
fn entry<'a>(bytes: &[u8], depth: usize) -> Result<(Value<'a>, Value<'a>), String> {
    let (mut key, mut value) = (String::new(), Value::Null);
    for (number, wire) in fields(bytes).map_err(|_| UNREADABLE)? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => key = text(bytes)?,
            (2, Wire::Bytes(bytes)) => value = read("google.protobuf.Value", bytes, depth + 1)?,
            _ => {}
        }
    }
    Ok((Value::Text(key.into()), value))
}

fn text(bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| UNREADABLE)?;
    Ok(text.to_owned())
}
