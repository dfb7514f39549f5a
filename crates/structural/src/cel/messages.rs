//! Messages of Protocol Buffers that expressions can make: `google.protobuf.Int64Value{value: 1}`.
//!
//! Owns the well-known types that every expression knows (google/cel-go `common/types/provider.go`, `common/types/pb`,
//! v0.26): their fields, and what a message of each is as a value. All but one stand for plain values, so that nothing of
//! a message is left once it is made.
//!
//! A message of `google.protobuf.Any` is what is packed in it ([`packed`]), if that is one of these.

mod packed;

use std::borrow::Cow;
use std::rc::Rc;

use base64::Engine as _;
use jiff::{SignedDuration, Timestamp};

use super::EvalError;
use super::eval::failed;
use super::made;
use super::value::Value;

/// What a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Bool,
    Bytes,
    Double,
    Float,
    Int,
    Int32,
    Uint,
    Uint32,
    Text,
    /// Values of JSON by their names.
    Struct,
    /// Values of JSON in their order.
    List,
}

/// The message without fields that stands for nothing else.
pub(super) const EMPTY: &str = "google.protobuf.Empty";
/// The one value of the type of null, which is a number.
pub(super) const NULL_VALUE: &str = "google.protobuf.NullValue.NULL_VALUE";
/// Numbers from here on are texts in JSON.
const SAFE: i64 = 1 << 53;

/// The name of a message, if there is such a type.
pub(super) fn named(name: &str) -> Option<&'static str> {
    MESSAGES
        .iter()
        .map(|(known, _)| *known)
        .find(|known| *known == name)
}

/// A field of a message.
pub(super) fn field(message: &str, name: &str) -> Option<Field> {
    let (_, fields) = MESSAGES.iter().find(|(known, _)| *known == message)?;
    let (_, takes) = fields.iter().find(|(known, _)| *known == name)?;
    Some(*takes)
}

type Fields = &'static [(&'static str, Field)];

const MESSAGES: [(&str, Fields); 16] = [
    (
        "google.protobuf.Any",
        &[("type_url", Field::Text), ("value", Field::Bytes)],
    ),
    ("google.protobuf.BoolValue", &[("value", Field::Bool)]),
    ("google.protobuf.BytesValue", &[("value", Field::Bytes)]),
    ("google.protobuf.DoubleValue", &[("value", Field::Double)]),
    ("google.protobuf.Duration", TIME),
    (EMPTY, &[]),
    ("google.protobuf.FloatValue", &[("value", Field::Float)]),
    ("google.protobuf.Int32Value", &[("value", Field::Int32)]),
    ("google.protobuf.Int64Value", &[("value", Field::Int)]),
    ("google.protobuf.ListValue", &[("values", Field::List)]),
    ("google.protobuf.StringValue", &[("value", Field::Text)]),
    ("google.protobuf.Struct", &[("fields", Field::Struct)]),
    ("google.protobuf.Timestamp", TIME),
    ("google.protobuf.UInt32Value", &[("value", Field::Uint32)]),
    ("google.protobuf.UInt64Value", &[("value", Field::Uint)]),
    (
        "google.protobuf.Value",
        &[
            ("null_value", Field::Int32),
            ("number_value", Field::Double),
            ("string_value", Field::Text),
            ("bool_value", Field::Bool),
            ("struct_value", Field::Struct),
            ("list_value", Field::List),
        ],
    ),
];

const TIME: Fields = &[("seconds", Field::Int), ("nanos", Field::Int32)];

type Outcome<'a> = Result<Value<'a>, EvalError>;

/// The value that a message with these fields stands for.
pub(super) fn make<'a>(message: &str, fields: Vec<(&str, Value<'a>)>) -> Outcome<'a> {
    if made::root(message).is_some() {
        return made::make(message, fields);
    }
    let Some(known) = named(message) else {
        return Err(failed(format!("unknown type '{message}'")));
    };
    let mut set = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let takes = field(known, name).ok_or_else(|| failed(format!("no such field: {name}")))?;
        let value = taken(takes, value).map_err(|problem| {
            failed(format!(
                "field type conversion error for {known}.{name} value type: {problem}"
            ))
        })?;
        set.retain(|(other, _)| *other != name);
        set.push((name, value));
    }
    let number = |name: &str| match set.iter().find(|(other, _)| *other == name) {
        Some((_, Value::Int(number))) => *number,
        _ => 0,
    };
    match known {
        "google.protobuf.Any" => {
            let url = match set.iter().find(|(name, _)| *name == "type_url") {
                Some((_, Value::Text(url))) => url.as_ref(),
                _ => "",
            };
            let bytes = match set.iter().find(|(name, _)| *name == "value") {
                Some((_, Value::Bytes(bytes))) => bytes.as_ref(),
                _ => &[],
            };
            packed::unpack(url, bytes)
        }
        EMPTY => Ok(Value::Empty),
        "google.protobuf.Timestamp" => moment(number("seconds"), number("nanos")),
        "google.protobuf.Duration" => Ok(span(number("seconds"), number("nanos"))),
        // One of its fields: the one set last.
        "google.protobuf.Value" => Ok(match set.pop() {
            None | Some(("null_value", _)) => Value::Null,
            Some((_, value)) => value,
        }),
        _ => Ok(match set.pop() {
            Some((_, value)) => value,
            None => zero(known),
        }),
    }
}

/// What a message with one field is if that is not set.
fn zero(message: &str) -> Value<'static> {
    match MESSAGES.iter().find(|(known, _)| *known == message) {
        Some((_, [(_, takes)])) => match takes {
            Field::Bool => Value::Bool(false),
            Field::Bytes => Value::Bytes(Rc::from([])),
            Field::Double | Field::Float => Value::Double(0.0),
            Field::Int | Field::Int32 => Value::Int(0),
            Field::Uint | Field::Uint32 => Value::Uint(0),
            Field::Text => Value::Text(Cow::Borrowed("")),
            Field::Struct => Value::Map(Rc::default()),
            Field::List => Value::list(Vec::new()),
        },
        _ => Value::Null,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the field holds a number of half the size"
)]
fn taken<'a>(takes: Field, value: Value<'a>) -> Result<Value<'a>, String> {
    Ok(match (takes, value) {
        (Field::Bool, value @ Value::Bool(_))
        | (Field::Bytes, value @ Value::Bytes(_))
        | (Field::Double, value @ Value::Double(_))
        | (Field::Int, value @ Value::Int(_))
        | (Field::Uint, value @ Value::Uint(_))
        | (Field::Text, value @ Value::Text(_)) => value,
        (Field::Float, Value::Double(number)) => Value::Double(f64::from(number as f32)),
        (Field::Int32, Value::Int(number)) => {
            i32::try_from(number).map_err(|_| "integer overflow".to_owned())?;
            Value::Int(number)
        }
        (Field::Uint32, Value::Uint(number)) => {
            u32::try_from(number).map_err(|_| "unsigned integer overflow".to_owned())?;
            Value::Uint(number)
        }
        (Field::Struct, value @ (Value::Map(_) | Value::JsonMap(..)))
        | (Field::List, value @ (Value::List(_) | Value::JsonList(..))) => json(value)?,
        (_, value) => {
            return Err(format!(
                "unsupported type conversion from '{}'",
                value.type_name()
            ));
        }
    })
}

/// A value as JSON has it: numbers are doubles unless they would lose something, bytes and times are texts.
fn json(value: Value<'_>) -> Result<Value<'_>, String> {
    #[expect(clippy::cast_precision_loss, reason = "larger numbers are texts")]
    Ok(match value {
        Value::Null | Value::Bool(_) | Value::Double(_) | Value::Text(_) => value,
        Value::Int(number) if number.abs() < SAFE => Value::Double(number as f64),
        Value::Uint(number) if number < SAFE.unsigned_abs() => Value::Double(number as f64),
        Value::Int(_) | Value::Uint(_) | Value::Timestamp(_) | Value::Duration(_) => {
            Value::Text(value.to_string().into())
        }
        Value::Bytes(bytes) => Value::Text(
            base64::engine::general_purpose::STANDARD
                .encode(&bytes)
                .into(),
        ),
        Value::Empty => Value::Map(Rc::default()),
        Value::List(_) | Value::JsonList(..) => {
            let items = value.items().map(Cow::into_owned).unwrap_or_default();
            Value::list(items.into_iter().map(json).collect::<Result<_, _>>()?)
        }
        Value::Map(_) | Value::JsonMap(..) => {
            let mut entries = Vec::new();
            for (key, value) in value.entries().unwrap_or_default() {
                if !matches!(key, Value::Text(_)) {
                    return Err(format!(
                        "unsupported type conversion from '{}'",
                        key.type_name()
                    ));
                }
                entries.push((key, json(value)?));
            }
            Value::Map(Rc::new(entries))
        }
        other => {
            return Err(format!(
                "unsupported type conversion from '{}'",
                other.type_name()
            ));
        }
    })
}

fn moment<'a>(seconds: i64, nanos: i64) -> Outcome<'a> {
    let whole = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    Timestamp::from_nanosecond(whole)
        .map(Value::Timestamp)
        .map_err(|_| failed("timestamp overflow"))
}

/// What is longer than can be told is as long as can be told.
fn span<'a>(seconds: i64, nanos: i64) -> Value<'a> {
    let whole = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    let bounded = whole.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    Value::Duration(SignedDuration::from_nanos(
        i64::try_from(bounded).unwrap_or_default(),
    ))
}
