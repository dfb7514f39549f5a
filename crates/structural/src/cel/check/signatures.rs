//! The functions that there are, read from a table.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::types::{Bindings, Type};

/// The form of a type in the table. Variables are those of one signature.
#[derive(Debug)]
enum Form {
    Plain(&'static str),
    List(Box<Self>),
    Map(Box<(Self, Self)>),
    Type(Box<Self>),
    Optional(Box<Self>),
    Variable(char),
}

/// One way in which a function can be called.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) method: bool,
    /// The target of a method comes first.
    arguments: Vec<Form>,
    result: Form,
    /// What estimates of cost know it by; may be empty.
    pub(super) cost: &'static str,
}

impl Signature {
    /// The types of arguments and result, with type variables of its own.
    pub(super) fn instance(&self, bindings: &mut Bindings) -> (Vec<Type>, Type) {
        let mut variables = Vec::new();
        let arguments = self
            .arguments
            .iter()
            .map(|form| form.instance(bindings, &mut variables))
            .collect();
        (arguments, self.result.instance(bindings, &mut variables))
    }
}

impl Form {
    fn instance(&self, bindings: &mut Bindings, variables: &mut Vec<(char, Type)>) -> Type {
        match self {
            Self::Plain(name) => plain(name),
            Self::List(item) => Type::list(item.instance(bindings, variables)),
            Self::Optional(inner) => Type::optional(inner.instance(bindings, variables)),
            Self::Type(inner) => Type::Meta(Some(inner.instance(bindings, variables).into())),
            Self::Map(parts) => Type::map(
                parts.0.instance(bindings, variables),
                parts.1.instance(bindings, variables),
            ),
            Self::Variable(letter) => {
                if let Some((_, known)) = variables.iter().find(|(known, _)| known == letter) {
                    return known.clone();
                }
                let fresh = bindings.fresh();
                variables.push((*letter, fresh.clone()));
                fresh
            }
        }
    }
}

fn plain(name: &str) -> Type {
    match name {
        "dyn" => Type::Dyn,
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::Text,
        "bytes" => Type::Bytes,
        "timestamp" => Type::Timestamp,
        "duration" => Type::Duration,
        "IP" => Type::Opaque("net.IP"),
        "CIDR" => Type::Opaque("net.CIDR"),
        "Format" => Type::library("kubernetes.NamedFormat"),
        "Quantity" | "Semver" | "URL" => Type::library(&format!("kubernetes.{name}")),
        other => Type::library(&format!("kubernetes.authorization.{other}")),
    }
}

static TABLE: LazyLock<HashMap<&'static str, Vec<Signature>>> = LazyLock::new(|| {
    let mut table: HashMap<_, Vec<_>> = HashMap::new();
    let lines = include_str!("functions.txt").lines();
    for line in lines.filter(|line| !line.starts_with('#')) {
        if let Some((name, signature)) = read(line) {
            table.entry(name).or_default().push(signature);
        }
    }
    table
});

/// The signatures of a function.
pub(super) fn of(name: &str) -> Option<&'static [Signature]> {
    TABLE.get(name).map(Vec::as_slice)
}

/// Whether there is a function of that name, or one of that name in a library.
pub(in crate::cel) fn is_known(name: &str) -> bool {
    let in_library = |known: &str| {
        known
            .strip_suffix(name)
            .is_some_and(|library| library.ends_with('.'))
    };
    TABLE.contains_key(name) || TABLE.keys().any(|known| in_library(known))
}

/// Reads `target.name(arguments) -> result cost`.
fn read(line: &'static str) -> Option<(&'static str, Signature)> {
    let (call, rest) = line.split_once(" -> ")?;
    let mut arguments = Vec::new();
    // A target may have brackets of its own.
    let open = matching_open(call)?;
    let head = &call[..open];
    let (target, name) = match head.rsplit_once('.') {
        Some((target, name)) if !is_library(target) => (Some(target), name),
        _ => (None, head),
    };
    if let Some(target) = target {
        arguments.push(form(&mut &*target)?);
    }
    let mut inner = &call[open + 1..call.len() - 1];
    while !inner.is_empty() {
        arguments.push(form(&mut inner)?);
        inner = inner.strip_prefix(", ").unwrap_or(inner);
    }
    let mut result = rest;
    let signature = Signature {
        method: target.is_some(),
        arguments,
        result: form(&mut result)?,
        cost: result.trim(),
    };
    Some((name, signature))
}

fn is_library(name: &str) -> bool {
    matches!(
        name,
        "cel" | "strings" | "lists" | "sets" | "optional" | "ip" | "format" | "jsonpatch"
    ) || name.starts_with('_')
}

/// The bracket that the last one closes.
fn matching_open(call: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (place, c) in call.char_indices().rev() {
        match c {
            ')' => depth += 1,
            '(' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(place);
                }
            }
            _ => {}
        }
    }
    None
}

/// Takes a type off the beginning of `text`.
fn form(text: &mut &'static str) -> Option<Form> {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    *text = rest;
    let inside = |text: &mut &'static str| {
        *text = text.strip_prefix(['(', ','])?.trim_start();
        form(text).map(Box::new)
    };
    let form = match name {
        "list" => Form::List(inside(text)?),
        "optional" => Form::Optional(inside(text)?),
        "type" => Form::Type(inside(text)?),
        "map" => {
            let key = inside(text)?;
            Form::Map(Box::new((*key, *inside(text)?)))
        }
        _ if name.len() == 1 => return Some(Form::Variable(name.chars().next()?)),
        "" => return None,
        _ => return Some(Form::Plain(name)),
    };
    *text = text.strip_prefix(')')?;
    Some(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str) -> Vec<String> {
        of(name)
            .unwrap_or_default()
            .iter()
            .map(|signature| {
                let (arguments, result) = signature.instance(&mut Bindings::default());
                let arguments = arguments
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>();
                let cost = signature.cost;
                format!(
                    "{} {} -> {result} {cost}",
                    signature.method,
                    arguments.join(", ")
                )
            })
            .collect()
    }

    #[test]
    fn every_line_of_the_table_is_a_signature() {
        let lines = include_str!("functions.txt").lines();
        let lines = lines.filter(|line| !line.starts_with('#'));
        for line in lines.clone() {
            assert!(read(line).is_some(), "{line}");
        }
        assert_eq!(TABLE.values().map(Vec::len).sum::<usize>(), lines.count());
    }

    #[test]
    fn signatures_are_read() {
        assert_eq!(
            shown("_?_:_"),
            ["false bool, _var0, _var0 -> _var0 conditional"]
        );
        assert_eq!(
            shown("unwrapOpt"),
            ["true list(optional_type(_var0)) -> list(_var0) "]
        );
        assert_eq!(
            shown("sets.contains"),
            ["false list(_var0), list(_var0) -> bool sets"]
        );
        assert_eq!(
            shown("containsIP"),
            [
                "true net.CIDR, string -> bool text",
                "true net.CIDR, net.IP -> bool "
            ]
        );
        assert_eq!(
            shown("_?._"),
            ["false dyn, string -> optional_type(_var0) "]
        );
        assert_eq!(
            shown("getQuery"),
            ["true kubernetes.URL -> map(string, list(string)) "]
        );
        assert!(is_known("quote") && is_known("dns1123Label") && !is_known("nope"));
    }
}
