//! What operators, members and indices give.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;

use super::super::ast::Binary;
use super::super::value::Value;
use super::super::{EvalError, escape};
use super::{Budget, Outcome, failed, no_overload};

pub(super) fn has<'a>(operand: &Value<'a>, field: &str) -> Outcome<'a> {
    match operand {
        // Nothing has no members.
        Value::Optional(None) | Value::Null => Ok(Value::Bool(false)),
        Value::Optional(Some(inner)) => Ok(Value::Bool(field_of(inner, field).is_some())),
        Value::Map(_) | Value::JsonMap(..) | Value::Made(_) => {
            Ok(Value::Bool(field_of(operand, field).is_some()))
        }
        _ => Err(no_overload()),
    }
}

pub(super) fn negate<'a>(operand: &Value<'a>) -> Outcome<'a> {
    match operand {
        Value::Int(value) => value
            .checked_neg()
            .map(Value::Int)
            .ok_or_else(|| failed("integer overflow")),
        Value::Double(value) => Ok(Value::Double(-value)),
        Value::Duration(value) => Ok(Value::Duration(-*value)),
        _ => Err(no_overload()),
    }
}

/// A field by its name in expressions, which escapes what is no name there.
pub(super) fn field_of<'a>(operand: &Value<'a>, field: &str) -> Option<Value<'a>> {
    operand
        .get(field)
        .or_else(|| escape::unescaped(field).and_then(|field| operand.get(&field)))
}

pub(super) fn select<'a>(operand: &Value<'a>, field: &str, optional: bool) -> Outcome<'a> {
    match operand {
        Value::Null if optional => Ok(Value::Optional(None)),
        Value::Null => Err(failed(format!("no such key: {field}"))),
        Value::Optional(None) => Ok(Value::Optional(None)),
        Value::Optional(Some(inner)) => Ok(Value::Optional(field_of(inner, field).map(Rc::new))),
        Value::Map(_) | Value::JsonMap(..) | Value::Made(_) => {
            match (field_of(operand, field), optional) {
                (found, true) => Ok(Value::Optional(found.map(Rc::new))),
                (Some(value), false) => Ok(value),
                (None, false) => Err(failed(format!("no such key: {field}"))),
            }
        }
        Value::Host(host) => host.member(field).ok_or_else(no_overload),
        _ => Err(no_overload()),
    }
}

pub(super) fn index<'a>(operand: &Value<'a>, key: &Value<'a>, optional: bool) -> Outcome<'a> {
    let found = match operand {
        Value::Optional(None) => return Ok(Value::Optional(None)),
        Value::Optional(Some(inner)) => return index(inner, key, true),
        Value::List(_) | Value::JsonList(..) => {
            let place = match key {
                Value::Int(place) => *place,
                Value::Uint(place) => i64::try_from(*place).unwrap_or(i64::MAX),
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "only whole numbers are taken"
                )]
                Value::Double(place) if place.fract() == 0.0 => *place as i64,
                _ => return Err(no_overload()),
            };
            let found = usize::try_from(place).ok().and_then(|place| match operand {
                Value::List(items) => items.get(place).cloned(),
                Value::JsonList(items, view) => items
                    .get(place)
                    .map(|item| Value::of(item, view.and_then(crate::schema::View::items))),
                _ => None,
            });
            if found.is_none() && !optional {
                return Err(failed(format!("index out of bounds: {place}")));
            }
            found
        }
        Value::Map(_) | Value::JsonMap(..) => {
            let found = match key {
                Value::Text(key) => operand.get(key),
                other => operand
                    .entries()
                    .into_iter()
                    .flatten()
                    .find(|(key, _)| key.equals(other))
                    .map(|(_, value)| value),
            };
            if found.is_none() && !optional {
                return Err(failed(format!("no such key: {key}")));
            }
            found
        }
        _ => return Err(no_overload()),
    };
    match (found, optional) {
        (found, true) => Ok(Value::Optional(found.map(Rc::new))),
        (Some(value), false) => Ok(value),
        (None, false) => Err(no_overload()),
    }
}

pub(in crate::cel) fn contains<'a>(
    list: &Value<'a>,
    item: &Value<'a>,
    budget: &mut Budget,
) -> Result<bool, EvalError> {
    match list {
        Value::List(_) | Value::JsonList(..) => {
            budget.charge(list.weight())?;
            Ok(list
                .items()
                .is_some_and(|items| items.iter().any(|other| other.equals(item))))
        }
        Value::Map(_) | Value::JsonMap(..) => match item {
            Value::Text(key) => Ok(list.get(key).is_some()),
            other => Ok(list
                .entries()
                .into_iter()
                .flatten()
                .any(|(key, _)| key.equals(other))),
        },
        _ => Err(no_overload()),
    }
}

pub(super) fn binary<'a>(
    operator: Binary,
    a: &Value<'a>,
    b: &Value<'a>,
    budget: &mut Budget,
) -> Outcome<'a> {
    match operator {
        Binary::Eq | Binary::Ne => {
            budget.charge(a.weight().min(b.weight()))?;
            Ok(Value::Bool(a.equals(b) == (operator == Binary::Eq)))
        }
        Binary::In => contains(b, a, budget).map(Value::Bool),
        Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge => {
            budget.charge(a.weight().min(b.weight()))?;
            let order = match (a, b) {
                (
                    Value::Double(_) | Value::Int(_) | Value::Uint(_),
                    Value::Double(_) | Value::Int(_) | Value::Uint(_),
                ) => {
                    // Not a number is neither less nor more.
                    let Some(order) = a.order(b) else {
                        return Ok(Value::Bool(false));
                    };
                    order
                }
                _ => a.order(b).ok_or_else(no_overload)?,
            };
            Ok(Value::Bool(match operator {
                Binary::Lt => order == Ordering::Less,
                Binary::Le => order != Ordering::Greater,
                Binary::Gt => order == Ordering::Greater,
                _ => order != Ordering::Less,
            }))
        }
        Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Rem => {
            arithmetic(operator, a, b, budget)
        }
    }
}

pub(super) fn arithmetic<'a>(
    operator: Binary,
    a: &Value<'a>,
    b: &Value<'a>,
    budget: &mut Budget,
) -> Outcome<'a> {
    let overflow = || failed("integer overflow");
    Ok(match (operator, a, b) {
        (Binary::Div | Binary::Rem, _, Value::Int(0) | Value::Uint(0)) => {
            return Err(failed(if operator == Binary::Div {
                "division by zero"
            } else {
                "modulus by zero"
            }));
        }
        (_, Value::Int(a), Value::Int(b)) => Value::Int(
            match operator {
                Binary::Add => a.checked_add(*b),
                Binary::Sub => a.checked_sub(*b),
                Binary::Mul => a.checked_mul(*b),
                Binary::Div => a.checked_div(*b),
                _ => a.checked_rem(*b),
            }
            .ok_or_else(overflow)?,
        ),
        (_, Value::Uint(a), Value::Uint(b)) => Value::Uint(
            match operator {
                Binary::Add => a.checked_add(*b),
                Binary::Sub => a.checked_sub(*b),
                Binary::Mul => a.checked_mul(*b),
                Binary::Div => a.checked_div(*b),
                _ => a.checked_rem(*b),
            }
            .ok_or_else(overflow)?,
        ),
        (Binary::Add, Value::Double(a), Value::Double(b)) => Value::Double(a + b),
        (Binary::Sub, Value::Double(a), Value::Double(b)) => Value::Double(a - b),
        (Binary::Mul, Value::Double(a), Value::Double(b)) => Value::Double(a * b),
        (Binary::Div, Value::Double(a), Value::Double(b)) => Value::Double(a / b),
        (Binary::Add, Value::Text(left), Value::Text(right)) => {
            budget.charge(a.weight().saturating_add(b.weight()))?;
            Value::Text(Cow::Owned(format!("{left}{right}")))
        }
        (Binary::Add, Value::Bytes(left), Value::Bytes(right)) => {
            budget.charge(a.weight().saturating_add(b.weight()))?;
            Value::Bytes(left.iter().chain(right.iter()).copied().collect())
        }
        (
            Binary::Add,
            Value::List(_) | Value::JsonList(..),
            Value::List(_) | Value::JsonList(..),
        ) => {
            budget.charge(a.weight().saturating_add(b.weight()))?;
            let mut items = a.items().ok_or_else(no_overload)?.into_owned();
            let more = b.items().ok_or_else(no_overload)?;
            if a.is_unordered() {
                budget.charge(a.weight().saturating_mul(b.weight()))?;
                for item in more.iter() {
                    if !items.iter().any(|existing| existing.equals(item)) {
                        items.push(item.clone());
                    }
                }
            } else {
                items.extend(more.iter().cloned());
            }
            Value::list(items)
        }
        (Binary::Add, Value::Timestamp(time), Value::Duration(span))
        | (Binary::Add, Value::Duration(span), Value::Timestamp(time)) => Value::Timestamp(
            time.checked_add(*span)
                .map_err(|_| failed("timestamp overflow"))?,
        ),
        (Binary::Sub, Value::Timestamp(time), Value::Duration(span)) => Value::Timestamp(
            time.checked_sub(*span)
                .map_err(|_| failed("timestamp overflow"))?,
        ),
        (Binary::Sub, Value::Timestamp(a), Value::Timestamp(b)) => {
            Value::Duration(a.duration_since(*b))
        }
        (Binary::Add, Value::Duration(a), Value::Duration(b)) => Value::Duration(
            a.checked_add(*b)
                .ok_or_else(|| failed("duration overflow"))?,
        ),
        (Binary::Sub, Value::Duration(a), Value::Duration(b)) => Value::Duration(
            a.checked_sub(*b)
                .ok_or_else(|| failed("duration overflow"))?,
        ),
        _ => return Err(no_overload()),
    })
}
