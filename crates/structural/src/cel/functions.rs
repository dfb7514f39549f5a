//! Functions: the standard ones, and the libraries of a Kubernetes API server
//! (k8s.io/apiserver `cel/environment/base.go`, `cel/library`, v0.36).

mod net;
pub(super) mod semver;
mod text;
mod time;

use std::rc::Rc;

use super::EvalError;
use super::eval::{Budget, contains, failed, no_overload};
use super::made;
use super::messages;
use super::value::{Value, parse_duration};
use crate::quantity::Quantity;

type Outcome<'a> = Result<Value<'a>, EvalError>;

const TYPES: [&str; 16] = [
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "bool",
    "list",
    "map",
    "type",
    "null_type",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
    "optional_type",
    "net.IP",
    "net.CIDR",
    messages::EMPTY,
];

const LIBRARIES: [&str; 7] = [
    "optional",
    "sets",
    "ip",
    "format",
    "strings",
    "lists",
    made::LIBRARY,
];

pub(super) fn is_type(name: &str) -> bool {
    TYPES.contains(&name)
}

pub(super) fn is_library(name: &str) -> bool {
    LIBRARIES.contains(&name)
}

pub(super) fn type_named<'a>(name: &str) -> Option<Value<'a>> {
    TYPES
        .into_iter()
        .find(|known| *known == name)
        .map(Value::Type)
}

fn integer(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// What a match costs: text times expression, in tenths and quarters.
pub(super) fn regex_cost(text: &str, pattern: &str) -> u64 {
    let text = u64::try_from(text.len() / 10 + 1).unwrap_or(u64::MAX);
    let pattern = u64::try_from(pattern.len() / 4 + 1).unwrap_or(u64::MAX);
    text.saturating_mul(pattern)
}

/// Calls a function, or a method of `target`.
pub(super) fn call<'a>(
    name: &str,
    target: Option<Value<'a>>,
    args: Vec<Value<'a>>,
    budget: &mut Budget,
) -> Outcome<'a> {
    let mut all: Vec<Value<'a>> = target.into_iter().collect();
    all.extend(args);
    for value in &all {
        budget.charge(value.weight())?;
    }
    if let [Value::Host(host), arguments @ ..] = all.as_slice() {
        let (value, cost) = host.call(name, arguments).ok_or_else(no_overload)?;
        budget.charge(cost)?;
        return Ok(value);
    }
    if let Some(outcome) = convert(name, &all) {
        return outcome;
    }
    if let Some(outcome) = text::call(name, &all, budget) {
        return outcome;
    }
    if let Some(outcome) = time::call(name, &all) {
        return outcome;
    }
    if let Some(outcome) = net::call(name, &all) {
        return outcome;
    }
    if let Some(outcome) = semver::call(name, &all) {
        return outcome;
    }
    if let Some(outcome) = quantity(name, &all) {
        return outcome;
    }
    if let Some(outcome) = made::call(name, &all) {
        return outcome;
    }
    if let Some(outcome) = optional(name, &all) {
        return outcome;
    }
    lists(name, &all, budget)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "ranges are checked before doubles become integers"
)]
fn convert<'a>(name: &str, all: &[Value<'a>]) -> Option<Outcome<'a>> {
    let [value] = all else { return None };
    let range = || failed("range error converting number");
    let conversion = |kind: &str, value: &Value<'_>| {
        failed(format!(
            "type conversion error from '{}' to '{kind}'",
            value.type_name()
        ))
    };
    Some(match (name, value) {
        ("size", value) => match value.size() {
            Some(size) => Ok(Value::Int(integer(size))),
            None => Err(no_overload()),
        },
        ("dyn", value) => Ok(value.clone()),
        ("type", value) => Ok(Value::Type(value.type_name())),
        ("int", Value::Int(_)) | ("uint", Value::Uint(_)) | ("double", Value::Double(_)) => {
            Ok(value.clone())
        }
        ("string", Value::Text(_)) | ("bytes", Value::Bytes(_)) | ("bool", Value::Bool(_)) => {
            Ok(value.clone())
        }
        ("timestamp", Value::Timestamp(_)) | ("duration", Value::Duration(_)) => Ok(value.clone()),
        ("int", Value::Uint(number)) => i64::try_from(*number).map(Value::Int).map_err(|_| range()),
        ("int", Value::Double(number)) if number.abs() < 9.2e18 => Ok(Value::Int(*number as i64)),
        ("int", Value::Double(_)) => Err(range()),
        ("int", Value::Timestamp(time)) => Ok(Value::Int(time.as_second())),
        ("int", Value::Text(text)) => text
            .parse()
            .map(Value::Int)
            .map_err(|_| conversion("int", value)),
        ("uint", Value::Int(number)) => {
            u64::try_from(*number).map(Value::Uint).map_err(|_| range())
        }
        ("uint", Value::Double(number)) if *number >= 0.0 && *number < 1.8e19 => {
            Ok(Value::Uint(*number as u64))
        }
        ("uint", Value::Double(_)) => Err(range()),
        ("uint", Value::Text(text)) => text
            .parse()
            .map(Value::Uint)
            .map_err(|_| conversion("uint", value)),
        ("double", Value::Int(number)) => Ok(Value::Double(*number as f64)),
        ("double", Value::Uint(number)) => Ok(Value::Double(*number as f64)),
        ("double", Value::Text(text)) => text
            .parse()
            .map(Value::Double)
            .map_err(|_| conversion("double", value)),
        ("bool", Value::Text(text)) => match text.as_ref() {
            "true" | "TRUE" | "True" | "t" | "1" => Ok(Value::Bool(true)),
            "false" | "FALSE" | "False" | "f" | "0" => Ok(Value::Bool(false)),
            _ => Err(conversion("bool", value)),
        },
        ("bytes", Value::Text(text)) => Ok(Value::Bytes(text.as_bytes().into())),
        ("string", Value::Bytes(bytes)) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Value::Text(text.to_owned().into())),
            Err(_) => Err(failed("invalid UTF-8 in bytes, cannot convert to string")),
        },
        (
            "string",
            Value::Bool(_)
            | Value::Int(_)
            | Value::Uint(_)
            | Value::Double(_)
            | Value::Timestamp(_)
            | Value::Duration(_)
            | Value::Ip(_)
            | Value::Cidr(..),
        ) => Ok(Value::Text(value.to_string().into())),
        ("timestamp", Value::Text(text)) => text
            .parse()
            .map(Value::Timestamp)
            .map_err(|_| conversion("google.protobuf.Timestamp", value)),
        ("timestamp", Value::Int(seconds)) => jiff::Timestamp::from_second(*seconds)
            .map(Value::Timestamp)
            .map_err(|_| range()),
        ("duration", Value::Text(text)) => parse_duration(text)
            .map(Value::Duration)
            .ok_or_else(|| conversion("google.protobuf.Duration", value)),
        ("int" | "uint" | "double" | "string" | "bytes" | "bool" | "timestamp" | "duration", _) => {
            Err(no_overload())
        }
        _ => return None,
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the function is named approximate"
)]
fn quantity<'a>(name: &str, all: &[Value<'a>]) -> Option<Outcome<'a>> {
    let parsed = |text: &str| text.parse::<Quantity>();
    Some(match (name, all) {
        ("quantity", [Value::Text(text)]) => parsed(text)
            .map(Value::Quantity)
            .map_err(|error| failed(error.to_string())),
        ("isQuantity", [Value::Text(text)]) => Ok(Value::Bool(parsed(text).is_ok())),
        ("isGreaterThan", [Value::Quantity(a), Value::Quantity(b)]) => Ok(Value::Bool(a > b)),
        ("isLessThan", [Value::Quantity(a), Value::Quantity(b)]) => Ok(Value::Bool(a < b)),
        ("compareTo", [Value::Quantity(a), Value::Quantity(b)]) => Ok(Value::Int(a.cmp(b) as i64)),
        ("sign", [Value::Quantity(a)]) => Ok(Value::Int(a.cmp(&Quantity::from_int(0)) as i64)),
        ("isInteger", [Value::Quantity(a)]) => Ok(Value::Bool(Quantity::from_int(a.value()) == *a)),
        ("asInteger", [Value::Quantity(a)]) if Quantity::from_int(a.value()) == *a => {
            Ok(Value::Int(a.value()))
        }
        ("asInteger", [Value::Quantity(_)]) => Err(failed("cannot convert value to integer")),
        ("asApproximateFloat", [Value::Quantity(a)]) => {
            Ok(Value::Double(a.millis() as f64 / 1000.0))
        }
        ("add" | "sub", [Value::Quantity(a), other]) => {
            let other = match other {
                Value::Quantity(other) => *other,
                Value::Int(other) => Quantity::from_int(*other),
                _ => return Some(Err(no_overload())),
            };
            Ok(Value::Quantity(if name == "add" {
                a.plus(other)
            } else {
                a.minus(other)
            }))
        }
        _ => return None,
    })
}

fn optional<'a>(name: &str, all: &[Value<'a>]) -> Option<Outcome<'a>> {
    Some(match (name, all) {
        ("optional.none", []) => Ok(Value::Optional(None)),
        ("optional.of", [value]) => Ok(Value::some(value.clone())),
        ("optional.ofNonZeroValue", [value]) => {
            let zero = match value {
                Value::Null | Value::Bool(false) | Value::Int(0) | Value::Uint(0) => true,
                Value::Double(number) => *number == 0.0,
                Value::Empty => true,
                other => other.size() == Some(0),
            };
            Ok(if zero {
                Value::Optional(None)
            } else {
                Value::some(value.clone())
            })
        }
        ("hasValue", [Value::Optional(inner)]) => Ok(Value::Bool(inner.is_some())),
        ("value", [Value::Optional(Some(inner))]) => Ok(inner.as_ref().clone()),
        ("value", [Value::Optional(None)]) => Err(failed("optional.none() dereference")),
        ("orValue", [Value::Optional(inner), other]) => Ok(inner
            .as_ref()
            .map_or_else(|| other.clone(), |inner| inner.as_ref().clone())),
        ("or", [Value::Optional(inner), other @ Value::Optional(_)]) => Ok(if inner.is_some() {
            all[0].clone()
        } else {
            other.clone()
        }),
        _ => return None,
    })
}

fn lists<'a>(name: &str, all: &[Value<'a>], budget: &mut Budget) -> Outcome<'a> {
    let [list, rest @ ..] = all else {
        return Err(no_overload());
    };
    if name == "lists.range" {
        let [Value::Int(count)] = all else {
            return Err(no_overload());
        };
        budget.charge(u64::try_from(*count).map_err(|_| no_overload())?)?;
        return Ok(Value::list((0..*count).map(Value::Int).collect()));
    }
    let items = list.items().ok_or_else(no_overload)?;
    match (name, rest) {
        ("first", []) => Ok(Value::Optional(items.first().cloned().map(Rc::new))),
        ("last", []) => Ok(Value::Optional(items.last().cloned().map(Rc::new))),
        ("unwrapOpt" | "optional.unwrap", []) => {
            let mut out = Vec::with_capacity(items.len());
            for item in items.iter() {
                match item {
                    Value::Optional(inner) => out.extend(inner.as_deref().cloned()),
                    _ => return Err(no_overload()),
                }
            }
            Ok(Value::list(out))
        }
        ("sets.contains", [other]) => every(other, list, budget).map(Value::Bool),
        ("sets.equivalent", [other]) => Ok(Value::Bool(
            every(other, list, budget)? && every(list, other, budget)?,
        )),
        ("sets.intersects", [other]) => {
            let others = other.items().ok_or_else(no_overload)?;
            for item in others.iter() {
                if contains(list, item, budget)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        ("isSorted", []) => {
            for pair in items.windows(2) {
                if pair[0].order(&pair[1]).ok_or_else(no_overload)?.is_gt() {
                    return Ok(Value::Bool(false));
                }
            }
            Ok(Value::Bool(true))
        }
        ("min" | "max", []) => {
            let mut best: Option<&Value<'a>> = None;
            for item in items.iter() {
                let better = match best {
                    None => true,
                    Some(best) => {
                        let order = item.order(best).ok_or_else(no_overload)?;
                        if name == "min" {
                            order.is_lt()
                        } else {
                            order.is_gt()
                        }
                    }
                };
                if better {
                    best = Some(item);
                }
            }
            best.cloned()
                .ok_or_else(|| failed(format!("{name} called on empty list")))
        }
        ("sum", []) => sum(&items),
        ("indexOf", [item]) => Ok(Value::Int(
            items
                .iter()
                .position(|other| other.equals(item))
                .map_or(-1, integer),
        )),
        ("lastIndexOf", [item]) => Ok(Value::Int(
            items
                .iter()
                .rposition(|other| other.equals(item))
                .map_or(-1, integer),
        )),
        ("slice", [Value::Int(start), Value::Int(end)]) => {
            let range = usize::try_from(*start).ok().zip(usize::try_from(*end).ok());
            match range.and_then(|(start, end)| items.get(start..end)) {
                Some(part) => Ok(Value::list(part.to_vec())),
                None => Err(failed(format!(
                    "cannot slice({start}, {end}), list is length {}",
                    items.len()
                ))),
            }
        }
        ("reverse", []) => Ok(Value::list(items.iter().rev().cloned().collect())),
        ("distinct", []) => {
            let length = u64::try_from(items.len()).unwrap_or(u64::MAX);
            budget.charge(length.saturating_mul(length))?;
            let mut out: Vec<Value<'a>> = Vec::new();
            for item in items.iter() {
                if !out.iter().any(|other| other.equals(item)) {
                    out.push(item.clone());
                }
            }
            Ok(Value::list(out))
        }
        ("sort", []) => {
            let mut out = items.to_vec();
            if out.windows(2).any(|pair| pair[0].order(&pair[1]).is_none()) {
                return Err(no_overload());
            }
            out.sort_by(|a, b| a.order(b).unwrap_or(std::cmp::Ordering::Equal));
            Ok(Value::list(out))
        }
        ("flatten", []) => flatten(&items, 1),
        ("flatten", [Value::Int(depth)]) => flatten(&items, *depth),
        _ => Err(no_overload()),
    }
}

fn flatten<'a>(items: &[Value<'a>], depth: i64) -> Outcome<'a> {
    let mut out = Vec::new();
    for item in items {
        match item.items() {
            Some(inner) if depth > 1 => match flatten(&inner, depth - 1)? {
                Value::List(inner) => out.extend(inner.iter().cloned()),
                _ => return Err(no_overload()),
            },
            Some(inner) if depth == 1 => out.extend(inner.iter().cloned()),
            _ => out.push(item.clone()),
        }
    }
    Ok(Value::List(Rc::new(out)))
}

fn every<'a>(wanted: &Value<'a>, list: &Value<'a>, budget: &mut Budget) -> Result<bool, EvalError> {
    for item in wanted.items().ok_or_else(no_overload)?.iter() {
        if !contains(list, item, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn sum<'a>(items: &[Value<'a>]) -> Outcome<'a> {
    let overflow = || failed("integer overflow");
    let mut total: Option<Value<'a>> = None;
    for item in items {
        total = Some(match (total, item) {
            (None, item) => item.clone(),
            (Some(Value::Int(a)), Value::Int(b)) => {
                Value::Int(a.checked_add(*b).ok_or_else(overflow)?)
            }
            (Some(Value::Uint(a)), Value::Uint(b)) => {
                Value::Uint(a.checked_add(*b).ok_or_else(overflow)?)
            }
            (Some(Value::Double(a)), Value::Double(b)) => Value::Double(a + b),
            (Some(Value::Duration(a)), Value::Duration(b)) => {
                Value::Duration(a.checked_add(*b).ok_or_else(overflow)?)
            }
            _ => return Err(no_overload()),
        });
    }
    Ok(total.unwrap_or(Value::Int(0)))
}
