//! The types of an expression (google/cel-go `checker/checker.go`, v0.26).

mod fields;
mod messages;
mod names;

use self::names::{NAMELESS, type_named};
use super::super::made;
use super::super::problem::Problem;
use super::core::{Core, Fold, Kind, Literal};
use super::signatures::{self, Signature};
use super::types::{Bindings, Type, most_general};

/// What is known of each node, by its number.
#[derive(Debug)]
pub(super) struct Inferred {
    pub(super) types: Vec<Type>,
    /// The signatures that a call may be of.
    pub(super) calls: Vec<Vec<&'static Signature>>,
    /// Members and methods that are names as a whole: `sets.contains`, `google.protobuf.Duration`.
    pub(super) whole: Vec<bool>,
    /// A type that has a name for the checker alone.
    pub(super) nameless: Option<&'static str>,
}

/// The types of all nodes, or what is wrong.
pub(super) fn infer(
    root: &Core<'_>,
    nodes: usize,
    variables: Vec<(&str, Type)>,
) -> Result<Inferred, Vec<Problem>> {
    let mut inference = Inference {
        variables,
        bindings: Bindings::default(),
        problems: Vec::new(),
        found: Inferred {
            types: vec![Type::Error; nodes],
            calls: vec![Vec::new(); nodes],
            whole: vec![false; nodes],
            nameless: None,
        },
    };
    inference.node(root);
    if !inference.problems.is_empty() {
        return Err(inference.problems);
    }
    let mut found = inference.found;
    for known in &mut found.types {
        *known = inference.bindings.resolved(known, true);
    }
    Ok(found)
}

struct Inference<'v> {
    /// The innermost last.
    variables: Vec<(&'v str, Type)>,
    bindings: Bindings,
    problems: Vec<Problem>,
    found: Inferred,
}

impl<'v> Inference<'v> {
    fn wrong(&mut self, at: usize, text: String) {
        self.problems.push(Problem::at(at, text));
    }

    fn undeclared(&mut self, at: usize, name: &str) {
        self.wrong(
            at,
            format!("undeclared reference to '{name}' (in container '')"),
        );
    }

    fn mismatch(&mut self, at: usize, expected: &Type, actual: &Type) {
        self.wrong(
            at,
            format!("expected type '{expected}' but found '{actual}'"),
        );
    }

    fn type_of(&self, node: &Core<'_>) -> &Type {
        &self.found.types[node.id]
    }

    fn set(&mut self, node: &Core<'_>, to: Type) {
        self.found.types[node.id] = to;
    }

    fn variable(&self, name: &str) -> Option<Type> {
        let mut inner_first = self.variables.iter().rev();
        let (_, known) = inner_first.find(|(known, _)| *known == name)?;
        Some(known.clone())
    }

    fn named(&mut self, name: &str) -> Option<Type> {
        if let Some(known) = self.variable(name) {
            return Some(known);
        }
        let nameless = NAMELESS.into_iter().find(|nameless| *nameless == name);
        self.found.nameless = self.found.nameless.or(nameless);
        type_named(name)
    }

    fn node(&mut self, node: &Core<'v>) {
        match &node.kind {
            Kind::Literal(literal) => self.set(node, literal_type(*literal)),
            Kind::Ident(name) => match self.named(name) {
                Some(known) => self.set(node, known),
                None => self.undeclared(node.at, name),
            },
            Kind::Select {
                operand,
                field,
                test,
            } => self.select(node, operand, field, *test),
            Kind::Call {
                function: "_?._",
                args,
                ..
            } => self.optional_select(node, args),
            Kind::Call {
                function,
                target,
                args,
            } => self.call(node, function, target.as_deref(), args),
            Kind::List(items) => self.list(node, items),
            Kind::Map(entries) => self.map(node, entries),
            Kind::Message { name, fields } => self.message(node, name, fields),
            Kind::Fold(fold) => self.fold(node, fold),
        }
    }

    fn call(
        &mut self,
        node: &Core<'v>,
        function: &str,
        target: Option<&Core<'v>>,
        args: &[Core<'v>],
    ) {
        for arg in args {
            self.node(arg);
        }
        if let Some(target) = target {
            let whole = target
                .qualified()
                .map(|library| format!("{library}.{function}"));
            let patches = self.variable(made::PATCH_TYPES[1]).is_some();
            let known = |name: &String| patches || !name.starts_with("jsonpatch.");
            if let Some(name) = whole.filter(known)
                && let Some(signatures) = signatures::of(&name)
            {
                self.found.whole[node.id] = true;
                self.resolve(node, &name, signatures, None, args);
                return;
            }
            self.node(target);
        }
        match signatures::of(function) {
            Some(signatures) => self.resolve(node, function, signatures, target, args),
            None => self.undeclared(node.at, function),
        }
    }

    fn resolve(
        &mut self,
        node: &Core<'v>,
        function: &str,
        signatures: &'static [Signature],
        target: Option<&Core<'v>>,
        args: &[Core<'v>],
    ) {
        if matches!(function, "_&&_" | "_||_") {
            return self.logic(node, signatures, args);
        }
        let given: Vec<Type> = target
            .into_iter()
            .chain(args)
            .map(|arg| self.type_of(arg).clone())
            .collect();
        let mut result: Option<Type> = None;
        for signature in signatures {
            if signature.method != target.is_some() {
                continue;
            }
            let (wanted, gives) = signature.instance(&mut self.bindings);
            if !self.bindings.fit_all(&given, &wanted) {
                continue;
            }
            self.found.calls[node.id].push(signature);
            let gives = self.bindings.resolved(&gives, false);
            result = Some(match result {
                None => gives,
                Some(before) if before == Type::Dyn || before == gives => before,
                Some(_) => Type::Dyn,
            });
        }
        match result {
            Some(result) => self.set(node, result),
            None => {
                let mut shown = given
                    .iter()
                    .map(|given| self.bindings.resolved(given, true).to_string());
                let on = match target {
                    Some(_) => format!("{}.", shown.next().unwrap_or_default()),
                    None => String::new(),
                };
                let arguments = shown.collect::<Vec<_>>().join(", ");
                let text = format!(
                    "found no matching overload for '{function}' applied to '{on}({arguments})'"
                );
                self.wrong(node.at, text);
            }
        }
    }

    fn logic(&mut self, node: &Core<'v>, signatures: &'static [Signature], args: &[Core<'v>]) {
        let mut right = true;
        for arg in args {
            let given = self.type_of(arg).clone();
            if !self.bindings.fit(&given, &Type::Bool) {
                self.mismatch(arg.at, &Type::Bool, &given);
                right = false;
            }
        }
        if right {
            self.found.calls[node.id] = signatures.iter().collect();
            self.set(node, Type::Bool);
        }
    }

    /// The type of an optional item, if it is one.
    fn inside(&mut self, node: &Core<'v>, optional: bool) -> Type {
        let given = self.type_of(node).clone();
        if !optional {
            return given;
        }
        let (inner, unwrapped) = given.unwrapped();
        if !unwrapped && *inner != Type::Dyn {
            self.mismatch(node.at, &Type::optional(inner.clone()), inner);
        }
        inner.clone()
    }

    fn join(&mut self, before: Option<Type>, current: Type) -> Type {
        let Some(before) = before else {
            return current;
        };
        if self.bindings.fit(&before, &current) {
            return most_general(&before, &current).clone();
        }
        // Whether that is meant is another question.
        Type::Dyn
    }

    fn list(&mut self, node: &Core<'v>, items: &[(Core<'v>, bool)]) {
        let mut joined = None;
        for (item, optional) in items {
            self.node(item);
            let given = self.inside(item, *optional);
            joined = Some(self.join(joined, given));
        }
        let item = joined.unwrap_or_else(|| self.bindings.fresh());
        self.set(node, Type::list(item));
    }

    fn map(&mut self, node: &Core<'v>, entries: &[(Core<'v>, Core<'v>, bool)]) {
        let (mut keys, mut values) = (None, None);
        for (key, value, optional) in entries {
            self.node(key);
            let given = self.type_of(key).clone();
            keys = Some(self.join(keys, given));
            self.node(value);
            let given = self.inside(value, *optional);
            values = Some(self.join(values, given));
        }
        let key = keys.unwrap_or_else(|| self.bindings.fresh());
        let value = values.unwrap_or_else(|| self.bindings.fresh());
        self.set(node, Type::map(key, value));
    }

    fn fold(&mut self, node: &Core<'v>, fold: &Fold<'v>) {
        self.node(&fold.range);
        self.node(&fold.init);
        let range = self.bindings.resolved(self.type_of(&fold.range), false);
        let collected = self.type_of(&fold.init).clone();
        let outside = self.variables.len();
        self.variables.push((fold.accumulator, collected.clone()));
        let (first, second) = self.steps(&range, fold);
        let inside = self.variables.len();
        self.variables.push((fold.first, first));
        if let Some(name) = fold.second {
            self.variables.push((name, second));
        }
        self.node(&fold.condition);
        self.expect(&fold.condition, &Type::Bool);
        self.node(&fold.step);
        self.expect(&fold.step, &collected);
        self.variables.truncate(inside);
        self.node(&fold.result);
        self.variables.truncate(outside);
        let result = self.bindings.resolved(self.type_of(&fold.result), false);
        self.set(node, result);
    }

    /// The types of a fold's variables.
    fn steps(&mut self, range: &Type, fold: &Fold<'v>) -> (Type, Type) {
        match range {
            Type::List(item) if fold.second.is_some() => (Type::Int, item.as_ref().clone()),
            Type::List(item) => (item.as_ref().clone(), Type::Error),
            Type::Map(parts) => parts.as_ref().clone(),
            Type::Dyn | Type::Error | Type::Variable(_) => {
                self.bindings.fit(&Type::Dyn, range);
                (Type::Dyn, Type::Dyn)
            }
            other => {
                let text = format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                self.wrong(fold.range.at, text);
                (Type::Error, Type::Error)
            }
        }
    }

    fn expect(&mut self, node: &Core<'v>, expected: &Type) {
        let given = self.type_of(node).clone();
        if !self.bindings.fit(expected, &given) {
            self.mismatch(node.at, expected, &given);
        }
    }
}

const fn literal_type(literal: Literal<'_>) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint => Type::Uint,
        Literal::Double => Type::Double,
        Literal::Text(_) => Type::Text,
        Literal::Bytes(_) => Type::Bytes,
    }
}
