//! Names that an expression uses without anything behind them.

use super::ast::{Expr, Node};
use super::check::signatures;
use super::functions;
use super::made;
use super::messages;
use super::problem::Problem;

fn undeclared(at: usize, name: &str) -> Problem {
    Problem::at(
        at,
        format!("undeclared reference to '{name}' (in container '')"),
    )
}

/// Whether `name` is a library; that of patches is one only where they may be made.
fn is_library(name: &str, variables: &[&str]) -> bool {
    functions::is_library(name)
        && (name != made::LIBRARY
            || made::PATCH_TYPES
                .iter()
                .all(|known| variables.contains(known)))
}

/// Refuses variables that nothing defines, and unknown functions. Patches may be made where the names of their types
/// are among `variables`.
pub(super) fn check(expr: &Expr, variables: &[&str]) -> Result<(), Problem> {
    match &expr.node {
        Node::Ident(name) if !variables.contains(&name.as_str()) && !functions::is_type(name) => {
            Err(undeclared(expr.at, name))
        }
        Node::Call { name, .. } | Node::Method { name, .. } if !signatures::is_known(name) => {
            Err(undeclared(expr.at, name))
        }
        Node::Message { name, fields } => {
            let name_alone = name.trim_start_matches('.');
            let patch = made::root(name_alone).is_some_and(|root| variables.contains(&root));
            let known = patch
                || messages::named(name_alone).is_some()
                || functions::is_type(name_alone)
                || matches!(name_alone, "timestamp" | "duration");
            if !known {
                return Err(undeclared(expr.at, name));
            }
            fields
                .iter()
                .try_for_each(|field| check(&field.value, variables))
        }
        // Names of libraries stand where variables do.
        Node::Method { target, args, .. } if matches!(&target.node, Node::Ident(name) if is_library(name, variables)) => {
            args.iter().try_for_each(|arg| check(arg, variables))
        }
        // So do those of types: `google.protobuf.Timestamp`.
        Node::Select {
            optional: false, ..
        } if expr
            .qualified()
            .is_some_and(|name| functions::is_type(&name) || name == messages::NULL_VALUE) =>
        {
            Ok(())
        }
        Node::Fold {
            range,
            first,
            second,
            condition,
            body,
            ..
        } => {
            check(range, variables)?;
            let mut inner = variables.to_vec();
            inner.push(first);
            inner.extend(second.as_deref());
            if let Some(condition) = condition {
                check(condition, &inner)?;
            }
            check(body, &inner)
        }
        Node::OptionalMap {
            target,
            variable,
            body,
            ..
        }
        | Node::SortBy {
            target,
            variable,
            key: body,
        } => {
            check(target, variables)?;
            let mut inner = variables.to_vec();
            inner.push(variable);
            check(body, &inner)
        }
        _ => expr
            .children()
            .into_iter()
            .try_for_each(|child| check(child, variables)),
    }
}
