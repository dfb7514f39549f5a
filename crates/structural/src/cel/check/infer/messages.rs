//! Messages that an expression makes: of Protocol Buffers, and parts of objects that a patch makes.

use super::super::core::{Core, FieldInit};
use super::super::types::Type;
use super::Inference;
use super::names::{SCALARS, field_type, message_of, type_named};
use crate::cel::made::{self, Takes};
use crate::cel::messages;

impl<'v> Inference<'v> {
    pub(super) fn message(&mut self, node: &Core<'v>, name: &str, fields: &[FieldInit<'v>]) {
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
    pub(super) fn patch_type(&self, name: &str) -> Option<Type> {
        self.variable(made::root(name)?)?;
        Some(Type::Meta(Some(Type::library(name).into())))
    }

    pub(super) fn patch_field(&mut self, at: usize, of: &str, field: &str) -> Type {
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
}
