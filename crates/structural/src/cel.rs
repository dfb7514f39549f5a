//! Expressions of the Common Expression Language, as validation rules use them.
//!
//! Owns parsing and evaluation over JSON that a schema may describe: the language's operators and macros, optional
//! values, and the function libraries a Kubernetes API server offers to rules (strings, lists, sets, regular expressions,
//! URLs, IP addresses, CIDRs, quantities, formats). Which rules an object has is in [`crate::rules`].
//!
//! Expressions are foreign input: parsing is bounded in size and depth, evaluation by a [`Budget`] that every step
//! and every byte touched is charged to. There is no static type check; what a type checker would refuse is an error of
//! evaluation here (`no such overload`). Macros are expanded by the evaluator, so a macro's name is not a function.

mod eval;
mod functions;
mod lexer;
mod parse;
mod value;

pub use self::eval::{Budget, Scope};
pub use self::parse::ParseError;
pub use self::value::Value;
use crate::cel::parse::Expr;

/// A parsed expression.
#[derive(Debug)]
pub struct Program {
    root: Expr,
}

/// Why an evaluation gave no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The expression failed: a missing key, a wrong type, a division by zero.
    #[error("{0}")]
    Failed(String),
    /// The budget ran out.
    #[error("operation cancelled: actual cost limit exceeded")]
    OutOfBudget,
}

impl Program {
    /// Parses an expression.
    ///
    /// # Errors
    ///
    /// What is no expression, is too large, names an unknown variable (other than those in `variables`) or function.
    pub fn parse(source: &str, variables: &[&str]) -> Result<Self, ParseError> {
        let root = parse::parse(source)?;
        parse::check_names(&root, variables)?;
        Ok(Self { root })
    }

    /// Whether the variable `name` occurs.
    #[must_use]
    pub fn uses(&self, name: &str) -> bool {
        self.root.mentions(name)
    }

    /// Evaluates the expression with the variables of `scope`.
    ///
    /// # Errors
    ///
    /// See [`EvalError`].
    pub fn evaluate<'a>(
        &'a self,
        scope: &Scope<'a, '_>,
        budget: &mut Budget,
    ) -> Result<Value<'a>, EvalError> {
        eval::evaluate(&self.root, scope, budget)
    }
}

#[cfg(test)]
mod tests;
