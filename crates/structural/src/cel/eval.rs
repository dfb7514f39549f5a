//! Evaluation.

use std::borrow::Cow;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::rc::Rc;

use super::ast::{Binary, Expr, FieldInit, Fold, Node};
use super::value::Value;
use super::{EvalError, Program, escape, functions, messages};
use crate::schema::Pattern;

/// What evaluations may still cost. One unit is about one step of evaluation, or ten bytes looked at.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    left: u64,
}

impl Budget {
    /// A budget of `units`.
    #[must_use]
    pub const fn new(units: u64) -> Self {
        Self { left: units }
    }

    /// What is left.
    #[must_use]
    pub const fn left(self) -> u64 {
        self.left
    }

    pub(super) fn charge(&mut self, units: u64) -> Result<(), EvalError> {
        match self.left.checked_sub(units) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(EvalError::OutOfBudget)
            }
        }
    }
}

/// The members of a variable, each defined by an expression that may name those before it: `variables.NAME` of
/// admission policies. One that has no value says so to whoever asks for it.
#[derive(Debug, Default)]
pub struct Members<'a> {
    defined: RefCell<Vec<(&'a str, Outcome<'a>)>>,
}

impl<'a> Members<'a> {
    /// Defines one more member, as seen from `scope`.
    pub fn define(
        &self,
        name: &'a str,
        program: &'a Program,
        scope: &Scope<'a, '_>,
        budget: &mut Budget,
    ) {
        let outcome = match program.evaluate(scope, budget) {
            Err(EvalError::Failed(problem)) => Err(failed(format!(
                "composited variable {name:?} fails to evaluate: {problem}"
            ))),
            outcome => outcome,
        };
        self.defined.borrow_mut().push((name, outcome));
    }

    fn get(&self, name: &str) -> Outcome<'a> {
        let defined = self.defined.borrow();
        let found = defined.iter().rev().find(|(known, _)| *known == name);
        found.map_or_else(
            || Err(failed(format!("no such key: {name}"))),
            |(_, outcome)| outcome.clone(),
        )
    }
}

/// Variables.
#[derive(Debug)]
pub struct Scope<'a, 's> {
    parent: Option<&'s Self>,
    variables: Vec<(&'a str, Value<'a>)>,
    members: Option<(&'a str, &'s Members<'a>)>,
}

impl<'a, 's> Scope<'a, 's> {
    /// A scope with these variables.
    #[must_use]
    pub const fn new(variables: Vec<(&'a str, Value<'a>)>) -> Self {
        Self {
            parent: None,
            variables,
            members: None,
        }
    }

    /// The scope with one more variable, which has these members.
    #[must_use]
    pub fn with(mut self, variable: &'a str, members: &'s Members<'a>) -> Self {
        self.members = Some((variable, members));
        self
    }

    fn inner(&'s self, variables: Vec<(&'a str, Value<'a>)>) -> Self {
        Scope {
            parent: Some(self),
            variables,
            members: None,
        }
    }

    /// A member of the variable `name`, if that is one with members.
    fn member(&self, name: &str, field: &str) -> Option<Outcome<'a>> {
        if self.variables.iter().any(|(variable, _)| *variable == name) {
            return None;
        }
        match (self.members, self.parent) {
            (Some((variable, members)), _) if variable == name => Some(members.get(field)),
            (_, Some(parent)) => parent.member(name, field),
            (_, None) => None,
        }
    }

    fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.variables
            .iter()
            .find(|(variable, _)| *variable == name)
            .map(|(_, value)| value)
            .or_else(|| self.parent.and_then(|parent| parent.get(name)))
    }
}

pub(super) fn failed(problem: impl Into<String>) -> EvalError {
    EvalError::Failed(problem.into())
}

pub(super) fn no_overload() -> EvalError {
    failed("no such overload")
}

type Outcome<'a> = Result<Value<'a>, EvalError>;

/// Evaluates `expr`. Calls itself as deeply as the parsed tree is high, which the parser bounds; what an arm needs stands
/// in a function of its own, so that the stack holds only what is in use.
pub(super) fn evaluate<'a>(
    expr: &'a Expr,
    scope: &Scope<'a, '_>,
    budget: &mut Budget,
) -> Outcome<'a> {
    budget.charge(1)?;
    match &expr.node {
        Node::Null => Ok(Value::Null),
        Node::Bool(value) => Ok(Value::Bool(*value)),
        Node::Int(value) => Ok(Value::Int(*value)),
        Node::Uint(value) => Ok(Value::Uint(*value)),
        Node::Double(value) => Ok(Value::Double(*value)),
        Node::Text(text) => Ok(Value::Text(Cow::Borrowed(text))),
        Node::Bytes(bytes) => Ok(Value::Bytes(bytes.as_slice().into())),
        Node::Ident(name) => ident(name, scope),
        Node::Select {
            operand,
            field,
            optional,
        } => match type_named(operand, field) {
            Some(value) => Ok(value),
            None => match asked_member(operand, field, scope) {
                Some(outcome) if *optional => outcome.map(Value::some),
                Some(outcome) => outcome,
                None => select(&evaluate(operand, scope, budget)?, field, *optional),
            },
        },
        Node::Has { operand, field } => has(&evaluate(operand, scope, budget)?, field),
        Node::Index {
            operand,
            index: key,
            optional,
        } => {
            let operand = evaluate(operand, scope, budget)?;
            index(&operand, &evaluate(key, scope, budget)?, *optional)
        }
        Node::Call { name, args } => {
            functions::call(name, None, evaluate_all(args, scope, budget)?, budget)
        }
        Node::Method { target, name, args } => method(target, name, args, scope, budget),
        Node::Matches {
            target, pattern, ..
        } => matches(&evaluate(target, scope, budget)?, pattern, budget),
        Node::List(items) => list(items, scope, budget),
        Node::Map(entries) => map(entries, scope, budget),
        Node::Message { name, fields } => message(name, fields, scope, budget),
        Node::Not(operand) => match evaluate(operand, scope, budget)? {
            Value::Bool(value) => Ok(Value::Bool(!value)),
            _ => Err(no_overload()),
        },
        Node::Negate(operand) => negate(&evaluate(operand, scope, budget)?),
        Node::And(a, b) => logic(a, b, false, scope, budget),
        Node::Or(a, b) => logic(a, b, true, scope, budget),
        Node::Ternary(parts) => match evaluate(&parts.0, scope, budget)? {
            Value::Bool(true) => evaluate(&parts.1, scope, budget),
            Value::Bool(false) => evaluate(&parts.2, scope, budget),
            _ => Err(no_overload()),
        },
        Node::Binary(operator, parts) => {
            let a = evaluate(&parts.0, scope, budget)?;
            binary(*operator, &a, &evaluate(&parts.1, scope, budget)?, budget)
        }
        Node::Fold {
            kind,
            range,
            first,
            second,
            condition,
            body,
        } => {
            let range = evaluate(range, scope, budget)?;
            let fold = FoldParts {
                kind: *kind,
                first,
                second: second.as_deref(),
                condition: condition.as_deref(),
                body,
            };
            fold.run(&range, scope, budget)
        }
        Node::OptionalMap {
            target,
            variable,
            body,
            flat,
        } => {
            let target = evaluate(target, scope, budget)?;
            optional_map(&target, variable, body, *flat, scope, budget)
        }
        Node::SortBy {
            target,
            variable,
            key,
        } => {
            let target = evaluate(target, scope, budget)?;
            sort_by(&target, variable, key, scope, budget)
        }
    }
}

/// The items in the order of their keys.
fn sort_by<'a>(
    target: &Value<'a>,
    variable: &'a str,
    key: &'a Expr,
    scope: &Scope<'a, '_>,
    budget: &mut Budget,
) -> Outcome<'a> {
    let items = target.items().ok_or_else(no_overload)?;
    let length = u64::try_from(items.len()).unwrap_or(u64::MAX);
    budget.charge(length.saturating_mul(length))?;
    let mut keyed = Vec::with_capacity(items.len());
    for item in items.iter() {
        let inner = scope.inner(vec![(variable, item.clone())]);
        keyed.push((evaluate(key, &inner, budget)?, item.clone()));
    }
    if keyed
        .windows(2)
        .any(|pair| pair[0].0.order(&pair[1].0).is_none())
    {
        return Err(no_overload());
    }
    keyed.sort_by(|a, b| a.0.order(&b.0).unwrap_or(Ordering::Equal));
    Ok(Value::list(
        keyed.into_iter().map(|(_, item)| item).collect(),
    ))
}

fn ident<'a>(name: &str, scope: &Scope<'a, '_>) -> Outcome<'a> {
    match scope.get(name) {
        Some(value) => Ok(value.clone()),
        None => functions::type_named(name)
            .ok_or_else(|| failed(format!("no such attribute(s): {name}"))),
    }
}

fn asked_member<'a>(operand: &Expr, field: &str, scope: &Scope<'a, '_>) -> Option<Outcome<'a>> {
    match &operand.node {
        Node::Ident(name) => scope.member(name, field),
        _ => None,
    }
}

/// A type whose name has several parts: `google.protobuf.Timestamp`.
fn type_named<'a>(operand: &Expr, field: &str) -> Option<Value<'a>> {
    // Looked for only where it may be one.
    if !matches!(
        field,
        "Timestamp" | "Duration" | "Empty" | "IP" | "CIDR" | "NULL_VALUE"
    ) {
        return None;
    }
    let name = format!("{}.{field}", operand.qualified()?);
    if name == messages::NULL_VALUE {
        return Some(Value::Int(0));
    }
    functions::type_named(&name)
}

fn has<'a>(operand: &Value<'a>, field: &str) -> Outcome<'a> {
    match operand {
        // Nothing has no members.
        Value::Optional(None) | Value::Null => Ok(Value::Bool(false)),
        Value::Optional(Some(inner)) => Ok(Value::Bool(field_of(inner, field).is_some())),
        Value::Map(_) | Value::JsonMap(..) => Ok(Value::Bool(field_of(operand, field).is_some())),
        _ => Err(no_overload()),
    }
}

fn method<'a>(
    target: &'a Expr,
    name: &str,
    args: &'a [Expr],
    scope: &Scope<'a, '_>,
    budget: &mut Budget,
) -> Outcome<'a> {
    if let Node::Ident(library) = &target.node
        && functions::is_library(library)
        && scope.get(library).is_none()
    {
        let args = evaluate_all(args, scope, budget)?;
        return functions::call(&format!("{library}.{name}"), None, args, budget);
    }
    let target = evaluate(target, scope, budget)?;
    // The fallback of an optional is only evaluated if it is needed.
    if let ("orValue" | "or", Value::Optional(Some(inner))) = (name, &target) {
        return Ok(match name {
            "or" => target.clone(),
            _ => inner.as_ref().clone(),
        });
    }
    let args = evaluate_all(args, scope, budget)?;
    functions::call(name, Some(target), args, budget)
}

fn matches<'a>(target: &Value<'a>, pattern: &Pattern, budget: &mut Budget) -> Outcome<'a> {
    let Value::Text(text) = target else {
        return Err(no_overload());
    };
    budget.charge(functions::regex_cost(text, &pattern.source))?;
    match pattern.matches(text) {
        Some(found) => Ok(Value::Bool(found)),
        None => Err(failed(format!("error parsing regexp: {}", pattern.source))),
    }
}

fn list<'a>(items: &'a [(Expr, bool)], scope: &Scope<'a, '_>, budget: &mut Budget) -> Outcome<'a> {
    let mut out = Vec::with_capacity(items.len());
    for (item, optional) in items {
        match (optional, evaluate(item, scope, budget)?) {
            (false, value) => out.push(value),
            (true, Value::Optional(inner)) => {
                out.extend(inner.map(|inner| inner.as_ref().clone()));
            }
            (true, _) => return Err(no_overload()),
        }
    }
    Ok(Value::list(out))
}

fn map<'a>(
    entries: &'a [(Expr, Expr, bool)],
    scope: &Scope<'a, '_>,
    budget: &mut Budget,
) -> Outcome<'a> {
    let mut out: Vec<(Value<'a>, Value<'a>)> = Vec::with_capacity(entries.len());
    for (key, value, optional) in entries {
        let key = evaluate(key, scope, budget)?;
        let value = match (optional, evaluate(value, scope, budget)?) {
            (false, value) => value,
            (true, Value::Optional(None)) => continue,
            (true, Value::Optional(Some(inner))) => inner.as_ref().clone(),
            (true, _) => return Err(no_overload()),
        };
        if out.iter().any(|(other, _)| other.equals(&key)) {
            return Err(failed(format!("Failed with repeated key: {key}")));
        }
        out.push((key, value));
    }
    Ok(Value::Map(Rc::new(out)))
}

fn message<'a>(
    name: &str,
    fields: &'a [FieldInit],
    scope: &Scope<'a, '_>,
    budget: &mut Budget,
) -> Outcome<'a> {
    let mut set = Vec::with_capacity(fields.len());
    for field in fields {
        let value = match (field.optional, evaluate(&field.value, scope, budget)?) {
            (false, value) => value,
            (true, Value::Optional(None)) => continue,
            (true, Value::Optional(Some(inner))) => inner.as_ref().clone(),
            (true, value) => {
                return Err(failed(format!(
                    "cannot initialize optional entry '{}' from non-optional value {value}",
                    field.name
                )));
            }
        };
        budget.charge(value.weight())?;
        set.push((field.name.as_str(), value));
    }
    messages::make(name.trim_start_matches('.'), set)
}

fn negate<'a>(operand: &Value<'a>) -> Outcome<'a> {
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

fn optional_map<'a>(
    target: &Value<'a>,
    variable: &'a str,
    body: &'a Expr,
    flat: bool,
    scope: &Scope<'a, '_>,
    budget: &mut Budget,
) -> Outcome<'a> {
    match target {
        Value::Optional(None) => Ok(Value::Optional(None)),
        Value::Optional(Some(inner)) => {
            let inner = scope.inner(vec![(variable, inner.as_ref().clone())]);
            match (flat, evaluate(body, &inner, budget)?) {
                (false, value) => Ok(Value::some(value)),
                (true, value @ Value::Optional(_)) => Ok(value),
                (true, _) => Err(no_overload()),
            }
        }
        _ => Err(no_overload()),
    }
}

fn evaluate_all<'a>(
    args: &'a [Expr],
    scope: &Scope<'a, '_>,
    budget: &mut Budget,
) -> Result<Vec<Value<'a>>, EvalError> {
    args.iter()
        .map(|arg| evaluate(arg, scope, budget))
        .collect()
}

/// Either side decides alone, even if the other fails.
fn logic<'a>(
    a: &'a Expr,
    b: &'a Expr,
    decisive: bool,
    scope: &Scope<'a, '_>,
    budget: &mut Budget,
) -> Outcome<'a> {
    let truth = |outcome: Outcome<'a>| match outcome {
        Ok(Value::Bool(value)) => Ok(value),
        Ok(_) => Err(no_overload()),
        Err(error) => Err(error),
    };
    let left = truth(evaluate(a, scope, budget));
    if left == Ok(decisive) || left == Err(EvalError::OutOfBudget) {
        return left.map(Value::Bool);
    }
    let right = truth(evaluate(b, scope, budget));
    if right == Ok(decisive) || right == Err(EvalError::OutOfBudget) {
        return right.map(Value::Bool);
    }
    left?;
    right.map(Value::Bool)
}

/// A field by its name in expressions, which escapes what is no name there.
fn field_of<'a>(operand: &Value<'a>, field: &str) -> Option<Value<'a>> {
    operand
        .get(field)
        .or_else(|| escape::unescaped(field).and_then(|field| operand.get(&field)))
}

fn select<'a>(operand: &Value<'a>, field: &str, optional: bool) -> Outcome<'a> {
    match operand {
        Value::Null if optional => Ok(Value::Optional(None)),
        Value::Null => Err(failed(format!("no such key: {field}"))),
        Value::Optional(None) => Ok(Value::Optional(None)),
        Value::Optional(Some(inner)) => Ok(Value::Optional(field_of(inner, field).map(Rc::new))),
        Value::Map(_) | Value::JsonMap(..) => match (field_of(operand, field), optional) {
            (found, true) => Ok(Value::Optional(found.map(Rc::new))),
            (Some(value), false) => Ok(value),
            (None, false) => Err(failed(format!("no such key: {field}"))),
        },
        Value::Host(host) => host.member(field).ok_or_else(no_overload),
        _ => Err(no_overload()),
    }
}

fn index<'a>(operand: &Value<'a>, key: &Value<'a>, optional: bool) -> Outcome<'a> {
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

pub(super) fn contains<'a>(
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

fn binary<'a>(operator: Binary, a: &Value<'a>, b: &Value<'a>, budget: &mut Budget) -> Outcome<'a> {
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

fn arithmetic<'a>(
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

struct FoldParts<'a> {
    kind: Fold,
    first: &'a str,
    second: Option<&'a str>,
    condition: Option<&'a Expr>,
    body: &'a Expr,
}

impl<'a> FoldParts<'a> {
    /// The variables of each step: items, or keys and values.
    fn steps(&self, range: &Value<'a>) -> Result<Vec<Vec<(&'a str, Value<'a>)>>, EvalError> {
        if let Some(items) = range.items() {
            return Ok(items
                .iter()
                .enumerate()
                .map(|(index, item)| match self.second {
                    None => vec![(self.first, item.clone())],
                    Some(second) => vec![
                        (
                            self.first,
                            Value::Int(i64::try_from(index).unwrap_or(i64::MAX)),
                        ),
                        (second, item.clone()),
                    ],
                })
                .collect());
        }
        let entries = range.entries().ok_or_else(no_overload)?;
        Ok(entries
            .into_iter()
            .map(|(key, value)| match self.second {
                None => vec![(self.first, key)],
                Some(second) => vec![(self.first, key), (second, value)],
            })
            .collect())
    }

    fn run(&self, range: &Value<'a>, scope: &Scope<'a, '_>, budget: &mut Budget) -> Outcome<'a> {
        let steps = self.steps(range)?;
        budget.charge(u64::try_from(steps.len()).unwrap_or(u64::MAX))?;
        let mut out = Vec::new();
        let mut pairs = Vec::new();
        let mut count = 0usize;
        let mut trouble = None;
        for variables in steps {
            let key = variables
                .first()
                .map(|(_, key)| key.clone())
                .unwrap_or(Value::Null);
            let scope = scope.inner(variables);
            if let Some(condition) = self.condition {
                match evaluate(condition, &scope, budget)? {
                    Value::Bool(true) => {}
                    Value::Bool(false) => continue,
                    _ => return Err(no_overload()),
                }
            }
            let value = evaluate(self.body, &scope, budget);
            match self.kind {
                Fold::Map => out.push(value?),
                Fold::TransformMap => pairs.push((key, value?)),
                Fold::TransformMapEntry => insert(&mut pairs, &value?)?,
                Fold::Filter | Fold::ExistsOne => match value? {
                    Value::Bool(true) => {
                        count += 1;
                        out.push(key);
                    }
                    Value::Bool(false) => {}
                    _ => return Err(no_overload()),
                },
                Fold::All | Fold::Exists => {
                    let decisive = self.kind == Fold::Exists;
                    match value {
                        Ok(Value::Bool(value)) if value == decisive => {
                            return Ok(Value::Bool(decisive));
                        }
                        Ok(Value::Bool(_)) => {}
                        Ok(_) => trouble = Some(no_overload()),
                        Err(EvalError::OutOfBudget) => return Err(EvalError::OutOfBudget),
                        Err(error) => trouble = Some(error),
                    }
                }
            }
        }
        if let Some(error) = trouble {
            return Err(error);
        }
        Ok(match self.kind {
            Fold::All => Value::Bool(true),
            Fold::Exists => Value::Bool(false),
            Fold::ExistsOne => Value::Bool(count == 1),
            Fold::Filter | Fold::Map => Value::list(out),
            Fold::TransformMap | Fold::TransformMapEntry => Value::Map(Rc::new(pairs)),
        })
    }
}

/// Takes over the entries of a map; keys may not come twice.
fn insert<'a>(pairs: &mut Vec<(Value<'a>, Value<'a>)>, map: &Value<'a>) -> Result<(), EvalError> {
    for (key, value) in map.entries().ok_or_else(no_overload)? {
        if pairs.iter().any(|(other, _)| other.equals(&key)) {
            return Err(failed(format!("insert failed: key {key} already exists")));
        }
        pairs.push((key, value));
    }
    Ok(())
}
