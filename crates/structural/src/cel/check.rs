//! What can be told of an expression before it runs: whether it has a type, which, and the most it can cost.
//!
//! Owns the rules of types of the language and its libraries, the types that schemas give to values, and the estimates
//! of cost (google/cel-go `checker`, v0.26; k8s.io/apiserver `cel`, v0.36). Macros are replaced by what they stand for
//! ([`expand`]); types are inferred ([`infer`]); literals are looked at ([`literals`]); costs are estimated ([`cost`]).

mod calls;
mod core;
mod cost;
mod declared;
mod expand;
mod infer;
mod literals;
mod policy;
mod range;
pub(super) mod signatures;
mod types;

use std::rc::Rc;

use self::core::Core;
pub(crate) use self::declared::Declared;
use self::infer::Inferred;
pub use self::policy::{PolicyChecker, Returns, Variables};
use self::types::Type;
use super::ast::{Expr, Node};
use super::eval::Budget;
use super::problem;
use super::{Scope, eval, parse};
use crate::schema::Pattern;

/// What objects of the schema are called in problems. The real server appends a number that is never the same.
const SELF_TYPE: &str = "selfType0";
/// What evaluating one literal may cost.
const LITERAL_BUDGET: u64 = 100_000;

/// Why an expression is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It is no expression, or has no type: what is wrong, with lines and marks.
    Compilation(String),
    /// It has another type than is wanted.
    Type,
    /// A part of it that is always the same always fails.
    Constant(String),
}

/// An expression that is right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) uses_old: bool,
    /// The most that it can cost.
    pub(crate) max_cost: u64,
}

/// What expressions have to give.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    Bool,
    Text,
}

/// Checks expressions about one kind of value.
#[derive(Debug)]
pub(crate) struct Checker {
    declared: Rc<Declared>,
    variables: Vec<(&'static str, Type)>,
}

impl Checker {
    /// For values of `declared` as `self`, and as `oldSelf`, which may be optional.
    pub(crate) fn new(declared: &Rc<Declared>, optional_old: bool) -> Self {
        let own = Type::declared(declared, SELF_TYPE);
        let old = if optional_old {
            Type::optional(own.clone())
        } else {
            own.clone()
        };
        Self {
            declared: Rc::clone(declared),
            variables: vec![("self", own), ("oldSelf", old)],
        }
    }

    /// What `source` can cost, or why it may not be used.
    pub(crate) fn check(&self, source: &str, wanted: Wanted) -> Result<Checked, Wrong> {
        self.typed(source, |expr, root, inferred| {
            self.checked(expr, root, inferred, wanted)
        })?
    }

    /// What `then` makes of an expression that has a type.
    fn typed<R>(
        &self,
        source: &str,
        then: impl FnOnce(&Expr, &Core<'_>, &Inferred) -> R,
    ) -> Result<R, Wrong> {
        let refuse = |problems| Wrong::Compilation(problem::print(problems, source));
        let expr = parse::parse(source).map_err(|problem| refuse(vec![problem]))?;
        let (root, nodes) = expand::expand(&expr).map_err(|problem| refuse(vec![problem]))?;
        let variables = self.variables.clone();
        let inferred = infer::infer(&root, nodes, variables).map_err(refuse)?;
        let problems = literals::problems(&root, &inferred);
        if problems.is_empty() {
            Ok(then(&expr, &root, &inferred))
        } else {
            Err(refuse(problems))
        }
    }

    fn checked(
        &self,
        expr: &Expr,
        root: &Core<'_>,
        inferred: &Inferred,
        wanted: Wanted,
    ) -> Result<Checked, Wrong> {
        // What may be null is no such value.
        let right = match wanted {
            Wanted::Bool => matches!(inferred.types[root.id], Type::Bool),
            Wanted::Text => matches!(inferred.types[root.id], Type::Text),
        };
        if !right {
            return Err(Wrong::Type);
        }
        if let Some(name) = inferred.nameless {
            return Err(Wrong::Constant(format!(
                "reference to undefined type: {name}"
            )));
        }
        if let Some(problem) = failing_constant(expr) {
            return Err(Wrong::Constant(problem));
        }
        Ok(Checked {
            uses_old: expr.mentions("oldSelf"),
            max_cost: cost::estimate(root, inferred, &self.declared),
        })
    }
}

/// Why a conversion of a literal, or a search for a literal expression, always fails.
fn failing_constant(expr: &Expr) -> Option<String> {
    if let Some(problem) = expr.children().into_iter().find_map(failing_constant) {
        return Some(problem);
    }
    match &expr.node {
        Node::Call { name, args } if is_conversion(name) && args.len() == 1 => {
            if !is_constant(expr) {
                return None;
            }
            let outcome = eval::evaluate(
                expr,
                &Scope::new(Vec::new()),
                &mut Budget::new(LITERAL_BUDGET),
            );
            outcome.err().map(|error| error.to_string())
        }
        Node::Method { name, args, .. } if matches!(name.as_str(), "find" | "findAll") => {
            let Node::Text(pattern) = &args.first()?.node else {
                return None;
            };
            let wrong = Pattern::new(pattern).matches("").is_none();
            wrong.then(|| format!("error parsing regexp: {pattern}"))
        }
        _ => None,
    }
}

fn is_conversion(name: &str) -> bool {
    matches!(
        name,
        "bool"
            | "bytes"
            | "double"
            | "duration"
            | "dyn"
            | "int"
            | "string"
            | "timestamp"
            | "type"
            | "uint"
    )
}

fn is_constant(expr: &Expr) -> bool {
    match &expr.node {
        Node::Null
        | Node::Bool(_)
        | Node::Int(_)
        | Node::Uint(_)
        | Node::Double(_)
        | Node::Text(_)
        | Node::Bytes(_) => true,
        Node::Call { name, args } if is_conversion(name) && args.len() == 1 => {
            is_constant(&args[0])
        }
        _ => false,
    }
}

impl Wrong {
    /// As a definition is told.
    pub(crate) fn of_rule(&self) -> String {
        match self {
            Self::Compilation(problems) => format!("compilation failed: {problems}"),
            Self::Type => "cel expression must evaluate to a bool".to_owned(),
            Self::Constant(problem) => format!("program instantiation failed: {problem}"),
        }
    }

    /// As a definition is told of the expression of a message.
    pub(crate) fn of_message(&self) -> String {
        match self {
            Self::Compilation(problems) => {
                format!("messageExpression compilation failed: {problems}")
            }
            Self::Type => "messageExpression must evaluate to a string".to_owned(),
            Self::Constant(problem) => format!("messageExpression instantiation failed: {problem}"),
        }
    }
}

#[cfg(test)]
mod tests;
