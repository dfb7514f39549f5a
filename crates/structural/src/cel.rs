//! Expressions of the Common Expression Language, as validation rules use them.
//!
//! Owns parsing, checking and evaluation over JSON that a schema may describe: the language's operators and macros,
//! optional values, the well-known messages of Protocol Buffers, and the function libraries a Kubernetes API server offers to rules (strings, lists, sets, regular
//! expressions, URLs, IP addresses, CIDRs, quantities, formats), and what mutating admission policies make. Which rules
//! an object has is in [`crate::rules`].
//!
//! Expressions are foreign input: parsing is bounded in size and depth, evaluation by a [`Budget`] that every step
//! and every byte touched is charged to. [`Checker`] tells the types of an expression and the most it can cost before it
//! ever runs; evaluation relies on neither. Macros are expanded by the evaluator, so a macro's name is not a function.

mod ast;
pub(crate) mod check;
mod escape;
mod eval;
mod functions;
mod lexer;
mod made;
mod messages;
mod names;
mod parse;
mod problem;
mod value;

pub(crate) use self::check::{Checker, Declared};
pub use self::check::{PolicyChecker, Returns, Variables};
pub use self::escape::is_reserved;
pub use self::eval::{Budget, Members, Scope};
pub use self::made::{Made, PATCH_TYPES};
pub use self::value::{Host, Value};
use crate::cel::ast::Expr;

/// A parsed expression.
#[derive(Debug)]
pub struct Program {
    root: Expr,
}

/// Why a text is no expression: what is wrong, with the line and a mark at the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(String);

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
    /// Parses an expression. It may make patches if the names in [`PATCH_TYPES`] are among `variables`.
    ///
    /// # Errors
    ///
    /// What is no expression, is too large, names an unknown variable (other than those in `variables`) or function.
    pub fn parse(source: &str, variables: &[&str]) -> Result<Self, ParseError> {
        let parsed = parse::parse(source).and_then(|root| {
            names::check(&root, variables)?;
            Ok(root)
        });
        match parsed {
            Ok(root) => Ok(Self { root }),
            Err(problem) => Err(ParseError(problem::print(vec![problem], source))),
        }
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
