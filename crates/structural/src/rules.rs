//! Validation rules in CEL (`x-kubernetes-validations`).
//!
//! Owns which rules an object has to satisfy, on which values they run, and their errors
//! (k8s.io/apiextensions-apiserver `apiserver/schema/cel/validation.go`, v0.36): a rule sees the value it stands at as
//! `self`; a rule that mentions `oldSelf` runs only where there is an old value to compare with, unless it asks for an
//! optional one; on update, errors of unchanged values do not count. What is wrong with rules themselves is told when
//! they are defined, by [`problems`].
//!
//! Rules are compiled once for a schema, by [`Rules::compile`], and share one [`Budget`] per object.

mod compiled;
mod definition;

use serde_json::Value as Json;

use self::compiled::{Compiled, Tree};
use crate::cel::{Budget, EvalError, Scope, Value};
use crate::error::{FieldError, FieldErrorKind};
use crate::path::Path;
use crate::schema::{Kind, ListType, Rule, Schema, View};

/// What one rule may cost, and all rules of an object.
const PER_RULE: u64 = 1_000_000;
const PER_OBJECT: u64 = 10_000_000;
/// The longest text that an expression may give for a message, in bytes.
const MAX_MESSAGE: usize = 5 * 1024;

/// A rule as the API server shows it: its structure, in JSON as Go writes it.
fn printed(rule: &Rule) -> String {
    let text = |text: &str| {
        let text = Json::from(text).to_string();
        text.replace('&', "\\u0026")
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
    };
    let optional = |value: &Option<String>| text(value.as_deref().unwrap_or_default());
    format!(
        "{{\"Rule\":{},\"Message\":{},\"MessageExpression\":{},\"Reason\":{},\"FieldPath\":{},\"OptionalOldSelf\":{}}}",
        text(&rule.rule),
        optional(&rule.message),
        optional(&rule.message_expression),
        rule.reason.as_deref().map_or("null".to_owned(), text),
        optional(&rule.field_path),
        if rule.optional_old_self {
            "true"
        } else {
            "null"
        },
    )
}

/// What is wrong with the rules of `schema`, which stands at `path`: those that do not compile, have no type or the
/// wrong one, or may cost too much.
#[must_use]
pub fn problems(schema: &Schema, path: &Path<'_>) -> Vec<FieldError> {
    definition::problems(schema.view(), path)
}

/// The compiled rules of a schema.
#[derive(Debug, Default)]
pub struct Rules {
    tree: Option<Tree>,
}

impl Rules {
    /// Compiles the rules of `schema`. Rules that do not compile are errors when they run; see [`problems`].
    #[must_use]
    pub fn compile(schema: &Schema) -> Self {
        Self {
            tree: Tree::compile(schema.view(), 0),
        }
    }

    /// Whether there is no rule.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tree.is_none()
    }

    /// The errors of `value` (replacing `old`), a value of the schema that the rules were compiled from. To be called
    /// with the errors found by [`crate::validate`]: if those make rules meaningless, none runs, and one error says so.
    #[must_use]
    pub fn check(
        &self,
        value: &Json,
        old: Option<&Json>,
        schema: &Schema,
        found: &[FieldError],
    ) -> Checked {
        let Some(tree) = &self.tree else {
            return Checked::default();
        };
        let blocking = |error: &FieldError| {
            matches!(
                error.kind,
                FieldErrorKind::NotSupported
                    | FieldErrorKind::Required
                    | FieldErrorKind::TooLong
                    | FieldErrorKind::TooMany
                    | FieldErrorKind::TypeInvalid
            )
        };
        if found.iter().any(blocking) {
            return Checked {
                errors: vec![FieldError::invalid(
                    Path::ROOT,
                    Json::Null,
                    "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
                )],
                unchanged: Vec::new(),
            };
        }
        let mut run = Run {
            budget: Budget::new(PER_OBJECT),
            errors: Vec::new(),
            unchanged: Vec::new(),
        };
        // Stopping early is told by the last error.
        let _ = run.node(tree, value, old, old, schema.view(), &Path::ROOT);
        Checked {
            errors: run.errors,
            unchanged: run.unchanged,
        }
    }
}

/// What rules found.
#[derive(Debug, Default)]
pub struct Checked {
    /// What is held against the writer.
    pub errors: Vec<FieldError>,
    /// What the writer left as it was: worth a warning.
    pub unchanged: Vec<FieldError>,
}

/// No further rules are to run.
struct Stop;

struct Run {
    budget: Budget,
    errors: Vec<FieldError>,
    unchanged: Vec<FieldError>,
}

impl Run {
    /// `old` is the old value of this place, `like` what tells whether the place changed (absent inside logic).
    fn node(
        &mut self,
        tree: &Tree,
        value: &Json,
        old: Option<&Json>,
        like: Option<&Json>,
        view: View<'_>,
        path: &Path<'_>,
    ) -> Result<(), Stop> {
        if value.is_null() {
            return Ok(());
        }
        for rule in &tree.rules {
            self.rule(rule, value, old, like, view, path)?;
        }
        for branch in &tree.all_of {
            self.node(branch, value, old, None, view, path)?;
        }
        match value {
            Json::Object(object) => {
                for (name, value) in object {
                    let child = tree
                        .properties
                        .iter()
                        .find(|(property, _)| property.as_ref() == name);
                    let old = old.and_then(|old| old.get(name));
                    let like = like.and_then(|like| like.get(name));
                    if let (Some((_, child)), Some(view)) = (child, view.property(name)) {
                        self.node(child, value, old, like, view, &path.child(name))?;
                    } else if view.property(name).is_none()
                        && let (Some(child), Some(view)) =
                            (&tree.additional, view.additional_properties())
                    {
                        self.node(child, value, old, like, view, &path.key(name))?;
                    }
                }
            }
            Json::Array(items) => {
                let (Some(child), Some(item_view)) = (&tree.items, view.items()) else {
                    return Ok(());
                };
                let by_key = view.declared_list_type() == Some(ListType::Map);
                let matching = |old: Option<&'_ Json>, item: &Json| -> Option<usize> {
                    let old = old?.as_array()?;
                    old.iter()
                        .position(|old| view.list_keys().all(|key| old.get(key) == item.get(key)))
                };
                for (index, item) in items.iter().enumerate() {
                    let find =
                        |old: Option<&'_ Json>| if by_key { matching(old, item) } else { None };
                    let old_item = find(old).and_then(|place| old?.get(place));
                    let like_item = find(like).and_then(|place| like?.get(place));
                    self.node(
                        child,
                        item,
                        old_item,
                        like_item,
                        item_view,
                        &path.index(index),
                    )?;
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
        Ok(())
    }

    fn rule(
        &mut self,
        compiled: &Compiled,
        value: &Json,
        old: Option<&Json>,
        like: Option<&Json>,
        view: View<'_>,
        path: &Path<'_>,
    ) -> Result<(), Stop> {
        let kind = view.kind().map_or("", Kind::name);
        let mut invalid =
            |detail: String| self.errors.push(FieldError::invalid(path, kind, detail));
        if self.budget.left() == 0 {
            invalid("validation failed due to running out of cost budget, no further validation rules will be run".to_owned());
            return Err(Stop);
        }
        let program = match &compiled.program {
            Ok(program) => program,
            Err(error) => {
                invalid(format!("rule compile error: compilation failed: {error}"));
                return Ok(());
            }
        };
        let optional = compiled.rule.optional_old_self;
        if compiled.uses_old && old.is_none() && !optional {
            return Ok(());
        }
        let old_value = || old.map(|old| Value::of(old, Some(view)));
        let scope = |old_value| {
            Scope::new(vec![
                ("self", Value::of(value, Some(view))),
                ("oldSelf", old_value),
            ])
        };
        let rule_scope = scope(if optional {
            Value::Optional(old_value().map(std::rc::Rc::new))
        } else {
            old_value().unwrap_or(Value::Null)
        });
        let mut budget = Budget::new(PER_RULE.min(self.budget.left()));
        let granted = budget.left();
        let outcome = program.evaluate(&rule_scope, &mut budget);
        self.budget = Budget::new(self.budget.left() - (granted - budget.left()));
        match outcome {
            Ok(Value::Bool(true)) => return Ok(()),
            Ok(_) => {}
            Err(EvalError::OutOfBudget) if granted < PER_RULE => {
                invalid("validation failed due to running out of cost budget, no further validation rules will be run".to_owned());
                return Err(Stop);
            }
            Err(error @ EvalError::OutOfBudget) => {
                invalid(format!(
                    "'{error}': no further validation rules will be run due to call cost exceeds limit for rule: {}",
                    compiled.named()
                ));
                return Err(Stop);
            }
            Err(EvalError::Failed(error)) if error.starts_with("no such overload") => {
                invalid(format!(
                    "'{error}': call arguments did not match a supported operator, function or macro signature for rule: {}",
                    compiled.named()
                ));
                return Ok(());
            }
            Err(EvalError::Failed(error)) => {
                invalid(format!("{error} evaluating rule: {}", compiled.named()));
                return Ok(());
            }
        }
        // Messages see the old value itself, whatever the rule sees.
        let said = compiled.message.as_ref().and_then(|message| {
            let mut budget = Budget::new(PER_RULE.min(self.budget.left()));
            let scope = scope(old_value().unwrap_or(Value::Null));
            match message.evaluate(&scope, &mut budget) {
                Ok(Value::Text(text)) => {
                    let text = text.trim();
                    let fits =
                        !text.is_empty() && text.len() <= MAX_MESSAGE && !text.contains('\n');
                    fits.then(|| text.to_owned())
                }
                _ => None,
            }
        });
        let detail = said.unwrap_or_else(|| match &compiled.rule.message {
            Some(message) => message.trim().to_owned(),
            None => format!("failed rule: {}", compiled.rule.rule.trim()),
        });
        let field = match &compiled.field {
            Some(field) if path.is_root() => field.clone(),
            Some(field) => format!("{path}.{field}"),
            None => path.to_string(),
        };
        // Objects and lists are too long to be shown.
        let shown = (!value.is_object() && !value.is_array()).then(|| value.clone());
        let kind = match compiled.rule.reason.as_deref() {
            Some("FieldValueForbidden") => FieldErrorKind::Forbidden,
            Some("FieldValueRequired") => FieldErrorKind::Required,
            Some("FieldValueDuplicate") => FieldErrorKind::Duplicate,
            _ => FieldErrorKind::Invalid,
        };
        let unchanged = !compiled.uses_old && like == Some(value);
        let found = if unchanged {
            &mut self.unchanged
        } else {
            &mut self.errors
        };
        found.push(FieldError {
            kind,
            field,
            value: shown,
            detail: if kind == FieldErrorKind::Duplicate {
                String::new()
            } else {
                detail
            },
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
