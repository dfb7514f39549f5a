//! Macros that go over a list or a map.

use std::rc::Rc;

use super::super::ast::{Expr, Fold};
use super::super::value::Value;
use super::{Budget, EvalError, Outcome, Scope, evaluate, failed, no_overload};

pub(super) struct FoldParts<'a> {
    pub(super) kind: Fold,
    pub(super) first: &'a str,
    pub(super) second: Option<&'a str>,
    pub(super) condition: Option<&'a Expr>,
    pub(super) body: &'a Expr,
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

    pub(super) fn run(
        &self,
        range: &Value<'a>,
        scope: &Scope<'a, '_>,
        budget: &mut Budget,
    ) -> Outcome<'a> {
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
pub(super) fn insert<'a>(
    pairs: &mut Vec<(Value<'a>, Value<'a>)>,
    map: &Value<'a>,
) -> Result<(), EvalError> {
    for (key, value) in map.entries().ok_or_else(no_overload)? {
        if pairs.iter().any(|(other, _)| other.equals(&key)) {
            return Err(failed(format!("insert failed: key {key} already exists")));
        }
        pairs.push((key, value));
    }
    Ok(())
}
