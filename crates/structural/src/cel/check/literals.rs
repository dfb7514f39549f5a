//! What is wrong with literals of an expression whose types are right: durations, times and regular expressions that
//! are none, lists of different things, formats that do not fit what they are given
//! (google/cel-go `validator.go`, `ext/formatting.go`, v0.26).

use super::super::eval::Budget;
use super::super::functions;
use super::super::problem::Problem;
use super::super::value::Value;
use super::core::{Core, Kind, Literal};
use super::infer::Inferred;
use super::types::Type;
use crate::schema::Pattern;

/// What evaluating one literal may cost.
const BUDGET: u64 = 100_000;

pub(super) fn problems(root: &Core<'_>, inferred: &Inferred) -> Vec<Problem> {
    let mut review = Review {
        inferred,
        problems: Vec::new(),
    };
    review.node(root, false);
    review.problems
}

struct Review<'i> {
    inferred: &'i Inferred,
    problems: Vec<Problem>,
}

impl Review<'_> {
    fn type_of(&self, node: &Core<'_>) -> &Type {
        &self.inferred.types[node.id]
    }

    /// In what is to be formatted, lists may hold different things.
    fn node(&mut self, node: &Core<'_>, formatted: bool) {
        let mut formatted = formatted;
        match &node.kind {
            Kind::Call {
                function,
                target,
                args,
            } => {
                self.call(function, args);
                if *function == "format" {
                    formatted = true;
                    if let Some(target) = target {
                        self.format(node, target, args);
                    }
                }
            }
            Kind::List(items) if !formatted => {
                self.same(items.iter().map(|(item, optional)| (item, *optional)), true);
            }
            Kind::Map(entries) if !formatted => {
                self.same(entries.iter().map(|(key, _, _)| (key, false)), false);
                let values = entries
                    .iter()
                    .map(|(_, value, optional)| (value, *optional));
                self.same(values, false);
            }
            _ => {}
        }
        for child in node.children() {
            self.node(child, formatted);
        }
    }

    fn call(&mut self, function: &str, args: &[Core<'_>]) {
        let Some(first) = args.first() else { return };
        let Kind::Literal(literal) = &first.kind else {
            return;
        };
        let wrong = match (function, literal) {
            ("duration" | "timestamp", literal) => {
                let value = match literal {
                    Literal::Text(text) => Value::Text((*text).into()),
                    Literal::Int(number) => Value::Int(*number),
                    _ => return,
                };
                functions::call(function, None, vec![value], &mut Budget::new(BUDGET)).is_err()
            }
            ("matches", Literal::Text(pattern)) => Pattern::new(pattern).matches("").is_none(),
            _ => return,
        };
        if wrong {
            let text = format!("invalid {function} argument");
            self.problems.push(Problem::at(first.at, text));
        }
    }

    /// Whether all have the type of the first; `once` if one that has not is enough.
    fn same<'c, 'e: 'c>(&mut self, nodes: impl Iterator<Item = (&'c Core<'e>, bool)>, once: bool) {
        let mut first: Option<Type> = None;
        for (node, optional) in nodes {
            let given = self.type_of(node);
            let given = if optional { given.unwrapped().0 } else { given };
            match &first {
                None => first = Some(given.clone()),
                Some(first) if first == given => {}
                Some(first) => {
                    let text = format!("expected type '{first}' but found '{given}'");
                    self.problems.push(Problem::at(node.at, text));
                    if once {
                        return;
                    }
                }
            }
        }
    }

    fn format(&mut self, call: &Core<'_>, target: &Core<'_>, args: &[Core<'_>]) {
        let (Kind::Literal(Literal::Text(template)), [list]) = (&target.kind, args) else {
            return;
        };
        let Kind::List(items) = &list.kind else {
            return;
        };
        let mut used = 0;
        let mut rest = *template;
        while let Some(place) = rest.find('%') {
            rest = &rest[place + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                rest = after;
                continue;
            }
            match self.clause(&mut rest, items.get(used).map(|(item, _)| item), used) {
                Ok(()) => used += 1,
                Err((at, text)) => {
                    self.problems.push(Problem::at(at.unwrap_or(call.at), text));
                    return;
                }
            }
        }
        if items.len() > used {
            let text = format!(
                "too many arguments supplied to string.format (expected {used}, got {})",
                items.len()
            );
            self.problems.push(Problem::at(call.at, text));
        }
    }

    /// Takes one clause off `rest`; what is wrong with it, and where if that is known.
    fn clause(
        &self,
        rest: &mut &str,
        item: Option<&Core<'_>>,
        index: usize,
    ) -> Result<(), (Option<usize>, String)> {
        if rest.is_empty() {
            return Err((None, "unexpected end of string".to_owned()));
        }
        let Some(item) = item else {
            return Err((None, format!("index {index} out of range")));
        };
        let parsing = |text: String| (None, format!("could not parse formatting clause: {text}"));
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(|c: char| !c.is_ascii_digit()).ok_or_else(|| {
                parsing(
                    "error while parsing precision: could not find end of precision specifier"
                        .to_owned(),
                )
            })?;
            if after[..end].parse::<i64>().is_err() {
                return Err(parsing(format!(
                    "error while parsing precision: error while converting precision to integer: strconv.Atoi: parsing \"{}\": invalid syntax",
                    &after[..end]
                )));
            }
            *rest = &after[end..];
        }
        let Some(verb) = rest.chars().next() else {
            return Err((None, "unexpected end of string".to_owned()));
        };
        *rest = &rest[verb.len_utf8()..];
        let number = |kind: &Type| matches!(kind, Type::Int | Type::Uint);
        let (fits, takes): (fn(&Type, bool) -> bool, &str) = match verb {
            's' => (|_, _| true, ""),
            'd' => (
                |_, number| number,
                "decimal clause can only be used on integers",
            ),
            'f' => (
                |kind, _| matches!(kind, Type::Double | Type::Text),
                "fixed-point clause can only be used on doubles",
            ),
            'e' => (
                |kind, _| matches!(kind, Type::Double | Type::Text),
                "scientific clause can only be used on doubles",
            ),
            'b' => (
                |kind, number| number || *kind == Type::Bool,
                "only integers and bools can be formatted as binary",
            ),
            'x' | 'X' => (
                |kind, number| number || matches!(kind, Type::Text | Type::Bytes),
                "only integers, byte buffers, and strings can be formatted as hex",
            ),
            'o' => (
                |_, number| number,
                "octal clause can only be used on integers",
            ),
            other => {
                return Err(parsing(format!(
                    "unrecognized formatting clause \"{other}\""
                )));
            }
        };
        let wrong = |node: &Core<'_>, takes: &str| {
            let name = self.type_of(node).name();
            let text = format!("error during formatting: {takes}, was given {name}");
            Err((Some(node.at), text))
        };
        let kind = self.type_of(item).plain();
        if verb == 's' {
            return match self.unprintable(item) {
                Some(node) => wrong(
                    node,
                    "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps",
                ),
                None => Ok(()),
            };
        }
        if *kind == Type::Dyn || fits(kind, number(kind)) {
            Ok(())
        } else {
            wrong(item, takes)
        }
    }

    /// What has no text of its own, in a literal.
    fn unprintable<'c, 'e>(&self, node: &'c Core<'e>) -> Option<&'c Core<'e>> {
        let none = matches!(
            self.type_of(node),
            Type::Error
                | Type::Any
                | Type::Optional(_)
                | Type::Opaque(_)
                | Type::Object(_)
                | Type::Variable(_)
        );
        if none {
            return Some(node);
        }
        match &node.kind {
            Kind::List(items) => items.iter().find_map(|(item, _)| self.unprintable(item)),
            Kind::Map(entries) => entries.iter().find_map(|(key, value, _)| {
                self.unprintable(key).or_else(|| self.unprintable(value))
            }),
            _ => None,
        }
    }
}
