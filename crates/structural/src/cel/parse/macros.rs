//! Macros: calls that are something else than calls.

use super::super::ast::{Expr, Fold, Node};
use super::super::problem::Problem;
use crate::schema::Pattern;

/// A name that no variable of a macro may have: that of what a fold collects.
const ACCUMULATORS: [&str; 2] = ["__result__", "@result"];

/// `has(operand.field)`.
pub(super) fn has(mut args: Vec<Expr>) -> Result<Node, Problem> {
    let argument = args.pop();
    match argument {
        Some(Expr {
            node:
                Node::Select {
                    operand,
                    field,
                    optional: false,
                },
            ..
        }) => Ok(Node::Has { operand, field }),
        other => Err(Problem::at(
            other.map_or(0, |argument| argument.at),
            "invalid argument to has() macro",
        )),
    }
}

/// A macro over the items or entries of something.
struct Form {
    kind: Fold,
    variables: usize,
    /// Whether a condition stands before the body.
    filtered: bool,
}

impl Form {
    fn of(name: &str, args: usize) -> Option<Self> {
        let (kind, variables, filtered) = match (name, args) {
            ("all", 2 | 3) => (Fold::All, args - 1, false),
            ("exists", 2 | 3) => (Fold::Exists, args - 1, false),
            ("exists_one", 2 | 3) | ("existsOne", 3) => (Fold::ExistsOne, args - 1, false),
            ("filter", 2) => (Fold::Filter, 1, false),
            ("map", 2 | 3) => (Fold::Map, 1, args == 3),
            ("transformList", 3 | 4) => (Fold::Map, 2, args == 4),
            ("transformMap", 3 | 4) => (Fold::TransformMap, 2, args == 4),
            ("transformMapEntry", 3 | 4) => (Fold::TransformMapEntry, 2, args == 4),
            _ => return None,
        };
        Some(Self {
            kind,
            variables,
            filtered,
        })
    }

    fn wrong_name(&self) -> &'static str {
        match (self.kind, self.variables) {
            (Fold::Filter | Fold::Map, 1) => "argument is not an identifier",
            _ => "argument must be a simple name",
        }
    }
}

/// A variable that the macro sets.
fn variable(expr: Option<Expr>, wrong: &str) -> Result<String, Problem> {
    match expr {
        Some(Expr {
            node: Node::Ident(name),
            at,
        }) => {
            if ACCUMULATORS.contains(&name.as_str()) {
                let text = "iteration variable overwrites accumulator variable";
                return Err(Problem::at(at, text));
            }
            Ok(name)
        }
        other => Err(Problem::at(other.map_or(0, |expr| expr.at), wrong)),
    }
}

/// A method call, or the macro it stands for.
pub(super) fn method(target: Box<Expr>, name: String, args: Vec<Expr>) -> Result<Node, Problem> {
    if let (
        "matches",
        [
            Expr {
                node: Node::Text(pattern),
                at,
            },
        ],
    ) = (name.as_str(), args.as_slice())
    {
        return Ok(Node::Matches {
            target,
            pattern: Pattern::new(pattern),
            literal: *at,
        });
    }
    if let Some(form) = Form::of(&name, args.len()) {
        return fold(&form, target, args);
    }
    match (name.as_str(), args.len()) {
        ("optMap" | "optFlatMap", 2) => {
            let mut args = args.into_iter();
            let wrong = format!("{name}() variable name must be a simple identifier");
            let variable = variable(args.next(), &wrong)?;
            Ok(Node::OptionalMap {
                target,
                variable,
                body: last(args.next())?,
                flat: name == "optFlatMap",
            })
        }
        ("sortBy", 2) => {
            let mut args = args.into_iter();
            Ok(Node::SortBy {
                target,
                variable: variable(args.next(), "argument is not an identifier")?,
                key: last(args.next())?,
            })
        }
        _ => Ok(Node::Method { target, name, args }),
    }
}

fn last(expr: Option<Expr>) -> Result<Box<Expr>, Problem> {
    expr.map(Box::new)
        .ok_or_else(|| Problem::at(0, "missing argument"))
}

fn fold(form: &Form, range: Box<Expr>, args: Vec<Expr>) -> Result<Node, Problem> {
    let mut args = args.into_iter();
    let first = variable(args.next(), form.wrong_name())?;
    let second = if form.variables == 2 {
        let argument = args.next();
        let at = argument.as_ref().map_or(0, |expr| expr.at);
        let second = variable(argument, form.wrong_name())?;
        if second == first {
            return Err(Problem::at(at, format!("duplicate variable name: {first}")));
        }
        Some(second)
    } else {
        None
    };
    let condition = if form.filtered {
        Some(last(args.next())?)
    } else {
        None
    };
    Ok(Node::Fold {
        kind: form.kind,
        range,
        first,
        second,
        condition,
        body: last(args.next())?,
    })
}
