//! What an expression runs with: its budget of steps and the names it sees.

use std::cell::RefCell;

use super::super::{EvalError, Program};
use super::{Outcome, Value, failed};

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

    pub(in crate::cel) fn charge(&mut self, units: u64) -> Result<(), EvalError> {
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

    pub(super) fn get(&self, name: &str) -> Outcome<'a> {
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

    pub(super) fn inner(&'s self, variables: Vec<(&'a str, Value<'a>)>) -> Self {
        Scope {
            parent: Some(self),
            variables,
            members: None,
        }
    }

    /// A member of the variable `name`, if that is one with members.
    pub(super) fn member(&self, name: &str, field: &str) -> Option<Outcome<'a>> {
        if self.variables.iter().any(|(variable, _)| *variable == name) {
            return None;
        }
        match (self.members, self.parent) {
            (Some((variable, members)), _) if variable == name => Some(members.get(field)),
            (_, Some(parent)) => parent.member(name, field),
            (_, None) => None,
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.variables
            .iter()
            .find(|(variable, _)| *variable == name)
            .map(|(_, value)| value)
            .or_else(|| self.parent.and_then(|parent| parent.get(name)))
    }
}
