//! What is wrong with the rules of a schema.
//!
//! Owns the errors that a definition with such rules gets, their order, and the budget of costs
//! (k8s.io/apiextensions-apiserver `apis/apiextensions/validation/validation.go`, `cel_validation.go`, v0.36): a rule
//! may cost so much, run as often as values of its place fit into an object, and all rules together so much.

use std::rc::Rc;

use super::printed;
use crate::cel::check::Wanted;
use crate::cel::{Checker, Declared};
use crate::error::FieldError;
use crate::path::Path;
use crate::schema::{Kind, ListType, Rule, View};

/// The most that one rule may cost, and all rules of a schema.
const PER_RULE: u64 = 10_000_000;
const PER_SCHEMA: u64 = 100_000_000;
const MAX_DEPTH: usize = 128;
/// So many of the most expensive rules are named.
const NAMED: usize = 4;

/// The errors of the rules of the schema `view`, a resource that stands at `path`.
pub(super) fn problems(view: View<'_>, path: &Path<'_>) -> Vec<FieldError> {
    let mut review = Review::default();
    let root = Place {
        declared: Declared::of(view, true),
        count: Some(1),
        within: None,
        depth: 0,
    };
    review.schema(view, &root, path);
    review.total(path);
    review.errors
}

/// Where in a schema a part of it stands.
struct Place<'w> {
    /// What expressions see there.
    declared: Option<Rc<Declared>>,
    /// How often values may stand there; unknown if something around it has no bound.
    count: Option<u64>,
    /// The place from which on no old value can be told to be that of a new one.
    within: Option<&'w str>,
    depth: usize,
}

#[derive(Default)]
struct Review {
    errors: Vec<FieldError>,
    cost: u64,
    /// The most expensive rules, the dearest first.
    dearest: Vec<(u64, String)>,
}

impl Review {
    fn schema(&mut self, view: View<'_>, place: &Place<'_>, path: &Path<'_>) {
        if place.depth > MAX_DEPTH {
            return;
        }
        let here = path.to_string();
        let inside = |loses: bool| place.within.or(loses.then_some(here.as_str()));
        let count = match (place.count, most(view)) {
            (Some(count), Some(most)) => Some(count.saturating_mul(most)),
            _ => None,
        };
        let inner = |view: View<'_>, declared: Option<&Rc<Declared>>, within| Place {
            // What has no name in expressions may have rules of its own.
            declared: declared
                .cloned()
                .or_else(|| Declared::of(view, view.node.embedded_resource)),
            count,
            within,
            depth: place.depth + 1,
        };
        let declared = place.declared.as_deref();
        if let Some(values) = view.additional_properties() {
            let place = inner(values, declared.and_then(Declared::inner), place.within);
            self.schema(values, &place, &path.child("additionalProperties"));
        }
        let properties = path.child("properties");
        for (name, property) in view.properties() {
            let known = declared.and_then(|declared| declared.property(name));
            self.schema(
                property,
                &inner(property, known, place.within),
                &properties.key(name),
            );
        }
        if let Some(items) = view.items() {
            let loses = view.declared_list_type() != Some(ListType::Map);
            let known = declared.and_then(Declared::inner);
            self.schema(
                items,
                &inner(items, known, inside(loses)),
                &path.child("items"),
            );
        }
        self.rules(view, place, path);
    }

    fn rules(&mut self, view: View<'_>, place: &Place<'_>, path: &Path<'_>) {
        if view.rules().is_empty() {
            return;
        }
        let path = path.child("x-kubernetes-validations");
        let Some(declared) = &place.declared else {
            self.errors.push(FieldError::internal(
                path,
                "internal error: failed to construct type information for x-kubernetes-validations rules: unable to convert structural schema to CEL declarations",
            ));
            return;
        };
        let checkers = [false, true].map(|optional| Checker::new(declared, optional));
        for (index, rule) in view.rules().iter().enumerate() {
            let checker = &checkers[usize::from(rule.optional_old_self)];
            self.rule(rule, checker, declared, place, &path.index(index));
        }
    }

    fn rule(
        &mut self,
        rule: &Rule,
        checker: &Checker,
        declared: &Declared,
        place: &Place<'_>,
        path: &Path<'_>,
    ) {
        let field = path.child("rule");
        let mut uses_old = false;
        match checker.check(&rule.rule, Wanted::Bool) {
            Err(wrong) => self.errors.push(FieldError::invalid_printed(
                field,
                &printed(rule),
                wrong.of_rule(),
            )),
            Ok(checked) => {
                uses_old = checked.uses_old;
                let count = place.count.unwrap_or_else(|| declared.max_count());
                let cost = checked.max_cost.saturating_mul(count);
                self.spend(cost, &field, "estimated rule cost");
                self.message(rule, checker, path);
            }
        }
        if uses_old {
            if let Some(within) = place.within {
                self.errors.push(FieldError::invalid(
                    field,
                    rule.rule.as_str(),
                    format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {within}"),
                ));
            }
        } else if rule.optional_old_self {
            self.errors.push(FieldError::invalid(
                path.child("optionalOldSelf"),
                true,
                "may not be set if oldSelf is not used in rule",
            ));
        }
    }

    fn message(&mut self, rule: &Rule, checker: &Checker, path: &Path<'_>) {
        let Some(expression) = rule
            .message_expression
            .as_deref()
            .filter(|expression| !expression.is_empty())
        else {
            return;
        };
        let field = path.child("messageExpression");
        match checker.check(expression, Wanted::Text) {
            Err(wrong) => self.errors.push(FieldError::invalid_printed(
                field,
                &printed(rule),
                wrong.of_message(),
            )),
            Ok(checked) => self.spend(checked.max_cost, &field, "estimated messageExpression cost"),
        }
    }

    fn spend(&mut self, cost: u64, field: &Path<'_>, what: &str) {
        if cost > PER_RULE {
            let detail = exceeds(what, cost, PER_RULE);
            self.errors.push(FieldError::forbidden(field, detail));
        }
        self.cost = self.cost.saturating_add(cost);
        // What is less than a hundredth of the whole is not worth a word.
        if cost >= PER_SCHEMA / 100 {
            self.dearest.push((cost, field.to_string()));
            self.dearest
                .sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
            self.dearest.truncate(NAMED);
        }
    }

    fn total(&mut self, path: &Path<'_>) {
        if self.cost <= PER_SCHEMA {
            return;
        }
        for (_, field) in &self.dearest {
            self.errors.push(FieldError::forbidden(
                field,
                "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema",
            ));
        }
        let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        self.errors.push(FieldError::forbidden(
            path,
            exceeds(what, self.cost, PER_SCHEMA),
        ));
    }
}

/// How many values may stand in one of `view`, if that is bounded.
fn most(view: View<'_>) -> Option<u64> {
    let limits = view.constraints();
    match view.kind() {
        Some(Kind::Object) if view.has_additional_properties() => limits?.max_properties,
        Some(Kind::Array) => limits?.max_items,
        _ => Some(1),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a factor for people to read")]
fn exceeds(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = if factor > 100.0 {
        "more than 100x".to_owned()
    } else if factor < 1.5 {
        format!("{factor:.6}x")
    } else {
        format!("{factor:.1}x")
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
}
