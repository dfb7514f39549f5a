//! Evaluation.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;

use super::ast::{Expr, FieldInit, Node};
use super::value::Value;
use super::{EvalError, functions, messages};
use crate::schema::Pattern;

mod fold;
mod operators;
mod scope;

use fold::FoldParts;
pub(super) use operators::contains;
use operators::{binary, has, index, negate, select};
pub use scope::{Budget, Members, Scope};

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
