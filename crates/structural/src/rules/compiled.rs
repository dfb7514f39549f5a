//! Rules of a schema, compiled, in a tree that follows it.

use crate::cel::{ParseError, Program};
use crate::schema::{Node, Rule, View};

const MAX_DEPTH: usize = 128;
const VARIABLES: [&str; 2] = ["self", "oldSelf"];

/// A rule, compiled.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) rule: Rule,
    pub(super) program: Result<Program, ParseError>,
    pub(super) message: Option<Program>,
    pub(super) uses_old: bool,
    /// `fieldPath` as it is appended to the path of the value.
    pub(super) field: Option<String>,
}

impl Compiled {
    fn new(rule: &Rule, view: View<'_>) -> Self {
        let program = Program::parse(&rule.rule, &VARIABLES);
        let message = rule
            .message_expression
            .as_deref()
            .and_then(|expression| Program::parse(expression, &VARIABLES).ok());
        Self {
            uses_old: program
                .as_ref()
                .is_ok_and(|program| program.uses("oldSelf")),
            program,
            message,
            field: rule
                .field_path
                .as_deref()
                .map(|path| normalized(path, view)),
            rule: rule.clone(),
        }
    }

    pub(super) fn named(&self) -> &str {
        match &self.rule.message {
            Some(message) => message.trim(),
            None => self.rule.rule.trim(),
        }
    }
}

/// `.a.b['c']` as error paths print it: keys of maps stand in brackets, properties do not.
fn normalized(path: &str, view: View<'_>) -> String {
    let mut out = String::new();
    let mut rest = path.trim();
    let mut view = Some(view);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("['")
            && let Some((key, after)) = after.split_once("']")
        {
            let property = view.and_then(|view| view.property(key));
            if property.is_some() {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(key);
            } else {
                out.push('[');
                out.push_str(key);
                out.push(']');
            }
            view = property.or_else(|| view?.additional_properties());
            rest = after;
        } else {
            let after = rest.strip_prefix('.').unwrap_or(rest);
            let end = after.find(['.', '[']).unwrap_or(after.len());
            if end == 0 {
                break;
            }
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(&after[..end]);
            view = view.and_then(|view| {
                let property = view.property(&after[..end]);
                property.or_else(|| view.additional_properties())
            });
            rest = &after[end..];
        }
    }
    out
}

/// The rules of a schema, in a tree that follows it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) rules: Vec<Compiled>,
    /// By the place of the property in the schema.
    pub(super) properties: Vec<(Box<str>, Self)>,
    pub(super) additional: Option<Box<Self>>,
    pub(super) items: Option<Box<Self>>,
    pub(super) all_of: Vec<Self>,
}

impl Tree {
    /// The tree of `view`, if there is any rule in it.
    pub(super) fn compile(view: View<'_>, depth: usize) -> Option<Self> {
        if depth > MAX_DEPTH {
            return None;
        }
        let branches: &[std::sync::Arc<Node>] = view
            .constraints()
            .map_or(&[], |constraints| &constraints.all_of);
        let tree = Self {
            rules: view
                .rules()
                .iter()
                .map(|rule| Compiled::new(rule, view))
                .collect(),
            properties: view
                .properties()
                .filter_map(|(name, property)| {
                    Some((Box::from(name), Self::compile(property, depth + 1)?))
                })
                .collect(),
            additional: view
                .additional_properties()
                .and_then(|additional| Self::compile(additional, depth + 1))
                .map(Box::new),
            items: view
                .items()
                .and_then(|items| Self::compile(items, depth + 1))
                .map(Box::new),
            all_of: branches
                .iter()
                .filter_map(|branch| Self::compile(view.branch(branch), depth + 1))
                .collect(),
        };
        let empty = tree.rules.is_empty()
            && tree.properties.is_empty()
            && tree.additional.is_none()
            && tree.items.is_none()
            && tree.all_of.is_empty();
        (!empty).then_some(tree)
    }
}
