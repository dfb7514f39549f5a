//! The types of an expression (google/cel-go `checker/checker.go`, v0.26).

use super::super::escape;
use super::super::made::{self, Takes};
use super::super::messages::{self, Field};
use super::super::problem::Problem;
use super::core::{Core, FieldInit, Fold, Kind, Literal};
use super::declared::Shape;
use super::signatures::{self, Signature};
use super::types::{Bindings, Object, Type, most_general};

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

/// Names of types that mean nothing when the expression runs.
const NAMELESS: [&str; 15] = [
    "timestamp",
    "duration",
    "google.protobuf.Any",
    "google.protobuf.BoolValue",
    "google.protobuf.BytesValue",
    "google.protobuf.DoubleValue",
    "google.protobuf.FloatValue",
    "google.protobuf.Int32Value",
    "google.protobuf.Int64Value",
    "google.protobuf.ListValue",
    "google.protobuf.StringValue",
    "google.protobuf.Struct",
    "google.protobuf.UInt32Value",
    "google.protobuf.UInt64Value",
    "google.protobuf.Value",
];

/// Names of types that are known to have no fields.
const SCALARS: [&str; 11] = [
    "bool",
    "bytes",
    "double",
    "duration",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "timestamp",
    "uint",
];

/// A type as a value, by its name.
fn type_named(name: &str) -> Option<Type> {
    let named = match name {
        "bool" => Type::Bool,
        "bytes" => Type::Bytes,
        "double" => Type::Double,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "string" => Type::Text,
        "null_type" => Type::Null,
        "google.protobuf.Timestamp" | "timestamp" => Type::Timestamp,
        "google.protobuf.Duration" | "duration" => Type::Duration,
        "list" => Type::list(Type::Dyn),
        "map" => Type::map(Type::Dyn, Type::Dyn),
        "optional_type" => Type::optional(Type::Dyn),
        "net.IP" => Type::Opaque("net.IP"),
        "net.CIDR" => Type::Opaque("net.CIDR"),
        "google.protobuf.Any" => Type::Any,
        "google.protobuf.BoolValue" => Type::nullable(Type::Bool),
        "google.protobuf.BytesValue" => Type::nullable(Type::Bytes),
        "google.protobuf.DoubleValue" | "google.protobuf.FloatValue" => {
            Type::nullable(Type::Double)
        }
        "google.protobuf.Int32Value" | "google.protobuf.Int64Value" => Type::nullable(Type::Int),
        "google.protobuf.ListValue" => Type::list(Type::Dyn),
        "google.protobuf.StringValue" => Type::nullable(Type::Text),
        "google.protobuf.Struct" => Type::map(Type::Text, Type::Dyn),
        "google.protobuf.UInt32Value" | "google.protobuf.UInt64Value" => Type::nullable(Type::Uint),
        "google.protobuf.Value" => Type::Dyn,
        messages::EMPTY => Type::library(messages::EMPTY),
        messages::NULL_VALUE => return Some(Type::Int),
        "type" => return Some(Type::Meta(Some(Type::Meta(None).into()))),
        _ => return None,
    };
    Some(Type::Meta(Some(named.into())))
}

/// The message that a type stands for where one is made, and whose fields are looked at.
fn message_of(made: &Type) -> Option<&str> {
    Some(match made {
        Type::Any => "google.protobuf.Any",
        Type::Dyn => "google.protobuf.Value",
        Type::Null => "google.protobuf.NullValue",
        Type::Timestamp => "google.protobuf.Timestamp",
        Type::Duration => "google.protobuf.Duration",
        Type::List(item) if **item == Type::Dyn => "google.protobuf.ListValue",
        Type::Map(parts) if **parts == (Type::Text, Type::Dyn) => "google.protobuf.Struct",
        Type::Nullable(plain) => match plain.as_ref() {
            Type::Bool => "google.protobuf.BoolValue",
            Type::Bytes => "google.protobuf.BytesValue",
            Type::Double => "google.protobuf.DoubleValue",
            Type::Int => "google.protobuf.Int64Value",
            Type::Text => "google.protobuf.StringValue",
            Type::Uint => "google.protobuf.UInt64Value",
            _ => return None,
        },
        Type::Object(object) => &object.name,
        _ => return None,
    })
}

fn field_type(takes: Field) -> Type {
    match takes {
        Field::Bool => Type::Bool,
        Field::Bytes => Type::Bytes,
        Field::Double | Field::Float => Type::Double,
        Field::Int | Field::Int32 => Type::Int,
        Field::Uint | Field::Uint32 => Type::Uint,
        Field::Text => Type::Text,
        Field::Struct => Type::map(Type::Text, Type::Dyn),
        Field::List => Type::list(Type::Dyn),
    }
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

    fn message(&mut self, node: &Core<'v>, name: &str, fields: &[FieldInit<'v>]) {
        let plain = name.trim_start_matches('.');
        let named = self.variable(plain).or_else(|| type_named(plain));
        let Some(named) = named.or_else(|| self.patch_type(plain)) else {
            return self.undeclared(node.at, name);
        };
        let made = match &named {
            Type::Meta(Some(made)) => made.as_ref().clone(),
            Type::Error => Type::Error,
            other => {
                self.wrong(
                    node.at,
                    format!("'{}' is not a type", other.declared_name()),
                );
                Type::Error
            }
        };
        // A list is the message of that type only under its own name.
        let message = message_of(&made).filter(|_| plain != "list");
        if made != Type::Error && message.is_none() {
            let text = format!("'{}' is not a message type", made.declared_name());
            self.wrong(node.at, text);
            self.set(node, Type::Error);
        } else {
            self.set(node, made.clone());
        }
        for field in fields {
            self.field_init(message.unwrap_or(plain), field);
        }
    }

    /// A part of an object that a patch makes, where patches may be made.
    fn patch_type(&self, name: &str) -> Option<Type> {
        self.variable(made::root(name)?)?;
        Some(Type::Meta(Some(Type::library(name).into())))
    }

    fn patch_field(&mut self, at: usize, of: &str, field: &str) -> Type {
        match made::field(of, field) {
            Some(Takes::Text) => Type::Text,
            Some(Takes::Anything) => Type::Dyn,
            None => {
                self.wrong(at, format!("undefined field '{field}'"));
                Type::Error
            }
        }
    }

    fn field_init(&mut self, message: &str, field: &FieldInit<'v>) {
        self.node(&field.value);
        let wanted = match messages::field(message, field.name) {
            Some(takes) => field_type(takes),
            None if made::root(message).is_some() => {
                self.patch_field(field.at, message, field.name)
            }
            None if messages::named(message).is_some() || SCALARS.contains(&message) => {
                self.wrong(field.at, format!("undefined field '{}'", field.name));
                Type::Error
            }
            None => {
                let text = format!("unexpected failed resolution of '{message}'");
                self.wrong(field.at, text);
                Type::Error
            }
        };
        let given = self.inside(&field.value, field.optional);
        if !self.bindings.fit(&wanted, &given) {
            let text = format!(
                "expected type of field '{}' is '{wanted}' but provided type is '{given}'",
                field.name
            );
            self.wrong(field.at, text);
        }
    }

    fn select(&mut self, node: &Core<'v>, operand: &Core<'v>, field: &str, test: bool) {
        if !test
            && let Some(name) = node.qualified()
            && let Some(known) = self.named(&name)
        {
            self.found.whole[node.id] = true;
            self.set(node, known);
            return;
        }
        let mut result = self.field(node, operand, field, false);
        if test {
            result = Type::Bool;
        }
        let result = self.bindings.resolved(&result, false);
        self.set(node, result);
    }

    fn optional_select(&mut self, node: &Core<'v>, args: &[Core<'v>]) {
        if let [operand, name] = args
            && let Kind::Literal(Literal::Text(field)) = &name.kind
        {
            let result = self.field(node, operand, field, true);
            let result = self.bindings.resolved(&result, false);
            self.set(node, result);
            self.set(name, Type::Text);
            let signatures = signatures::of("_?._").unwrap_or_default();
            self.found.calls[node.id] = signatures.iter().collect();
        }
    }

    fn field(&mut self, node: &Core<'v>, operand: &Core<'v>, field: &str, optional: bool) -> Type {
        self.node(operand);
        let operand = self.bindings.resolved(self.type_of(operand), false);
        let (target, unwrapped) = operand.unwrapped();
        let result = match target {
            Type::Map(parts) => parts.1.clone(),
            Type::Object(object) => self.member(node.at, object, field),
            Type::Variable(_) => {
                self.bindings.fit(&Type::Dyn, target);
                Type::Dyn
            }
            other => {
                if !other.unknown() {
                    let text = format!("type '{other}' does not support field selection");
                    self.wrong(node.at, text);
                }
                Type::Dyn
            }
        };
        if unwrapped || optional {
            Type::optional(result)
        } else {
            result
        }
    }

    fn member(&mut self, at: usize, object: &Object, field: &str) -> Type {
        if object.declared.is_none() && made::root(&object.name).is_some() {
            return self.patch_field(at, &object.name, field);
        }
        let Some(declared) = &object.declared else {
            let text = match messages::named(&object.name) {
                Some(_) => format!("undefined field '{field}'"),
                None => format!("unexpected failed resolution of '{}'", object.name),
            };
            self.wrong(at, text);
            return Type::Error;
        };
        let Shape::Object(fields) = &declared.shape else {
            return Type::Error;
        };
        // Words that the grammar takes for itself may stand as they are after a dot.
        let found = fields.get(field).or_else(|| {
            let reserved = escape::is_reserved(field);
            reserved.then(|| fields.get(&format!("__{field}__")))?
        });
        match found {
            Some(found) => Type::declared(found, &format!("{}.{field}", object.name)),
            None => {
                self.wrong(at, format!("undefined field '{field}'"));
                Type::Error
            }
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
