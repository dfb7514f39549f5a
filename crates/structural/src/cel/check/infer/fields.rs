//! Members that an expression looks at.

use super::super::core::{Core, Kind, Literal};
use super::super::declared::Shape;
use super::super::signatures;
use super::super::types::{Object, Type};
use super::Inference;
use crate::cel::{escape, made, messages};

impl<'v> Inference<'v> {
    pub(super) fn select(&mut self, node: &Core<'v>, operand: &Core<'v>, field: &str, test: bool) {
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

    pub(super) fn optional_select(&mut self, node: &Core<'v>, args: &[Core<'v>]) {
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

    pub(super) fn field(
        &mut self,
        node: &Core<'v>,
        operand: &Core<'v>,
        field: &str,
        optional: bool,
    ) -> Type {
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
}
