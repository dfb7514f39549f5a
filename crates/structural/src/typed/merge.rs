//! The merge of a configuration into an object.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Form, Problems, Type, TypedError};
use crate::field_set::PathElement;
use crate::schema::{ListType, Schema};

/// Merges `config` into `live`: what `config` says wins, the rest of `live` stays.
///
/// # Errors
///
/// Values that do not fit the schema on both sides, list items that cannot be told apart, items repeated in `config`.
pub fn merge(live: &Value, config: &Value, schema: &Schema) -> Result<Value, TypedError> {
    let (merged, problems) = merge_at(Some(live), Some(config), Type::root(schema));
    problems.into_result(merged.unwrap_or(Value::Null))
}

fn merge_at(lhs: Option<&Value>, rhs: Option<&Value>, ty: Type<'_>) -> (Option<Value>, Problems) {
    let (left, right) = (ty.form(lhs), ty.form(rhs));
    if rhs.is_none() {
        // Nothing to merge: the live value as it is, but its type may have a say.
        return merge_form(left, lhs, rhs, ty);
    }
    if lhs.is_none() || left == right {
        return merge_form(right, lhs, rhs, ty);
    }
    let (_, mut problems) = merge_form(left, lhs, rhs, ty);
    let (merged, found) = merge_form(right, lhs, rhs, ty);
    problems.extend(found);
    (merged, problems)
}

fn leaf(lhs: Option<&Value>, rhs: Option<&Value>) -> (Option<Value>, Problems) {
    (rhs.or(lhs).cloned(), Problems::default())
}

fn merge_form(
    form: Form,
    lhs: Option<&Value>,
    rhs: Option<&Value>,
    ty: Type<'_>,
) -> (Option<Value>, Problems) {
    match form {
        Form::Scalar => {
            let mut left = ty.scalar_problem(lhs, "lhs: ");
            let right = ty.scalar_problem(rhs, "rhs: ");
            if !left.is_empty() && !right.is_empty() {
                left.extend(right);
                return (None, left);
            }
            leaf(lhs, rhs)
        }
        Form::List => {
            let left = lhs.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let right = rhs.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            if ty.list_type() == ListType::Atomic || (left.is_empty() && right.is_empty()) {
                return leaf(lhs, rhs);
            }
            merge_items(left, right, ty)
        }
        Form::Map => {
            let left = lhs
                .and_then(Value::as_object)
                .filter(|object| !object.is_empty());
            let right = rhs
                .and_then(Value::as_object)
                .filter(|object| !object.is_empty());
            match (left, right) {
                (None, None) => leaf(lhs, rhs),
                _ if ty.is_atomic_map() => leaf(lhs, rhs),
                (left, right) => merge_fields(left, right, ty),
            }
        }
    }
}

fn merge_fields(
    left: Option<&Map<String, Value>>,
    right: Option<&Map<String, Value>>,
    ty: Type<'_>,
) -> (Option<Value>, Problems) {
    let mut problems = Problems::default();
    let mut out = Map::new();
    let mut visit = |name: &str, lhs: Option<&Value>, rhs: Option<&Value>| {
        let (merged, found) = merge_at(lhs, rhs, ty.field(name).0);
        if !found.is_empty() {
            problems.extend(found.within(&PathElement::field(name)));
        }
        if let Some(merged) = merged {
            out.insert(name.to_owned(), merged);
        }
    };
    if let Some(left) = left {
        for (name, lhs) in left {
            visit(name, Some(lhs), right.and_then(|right| right.get(name)));
        }
    }
    if let Some(right) = right {
        for (name, rhs) in right {
            if left.is_none_or(|left| !left.contains_key(name)) {
                visit(name, None, Some(rhs));
            }
        }
    }
    ((!out.is_empty()).then_some(Value::Object(out)), problems)
}

/// The items of one side, told apart.
struct Indexed<'a> {
    elements: Vec<PathElement>,
    /// The item of each element; `None` if the element is repeated.
    observed: BTreeMap<PathElement, Option<&'a Value>>,
}

impl<'a> Indexed<'a> {
    fn new(
        items: &'a [Value],
        ty: Type<'_>,
        allow_duplicates: bool,
        problems: &mut Problems,
    ) -> Self {
        let mut indexed = Self {
            elements: Vec::with_capacity(items.len()),
            observed: BTreeMap::new(),
        };
        for (place, item) in items.iter().enumerate() {
            let element = match ty.item_element(item) {
                Ok(element) => element,
                Err(problem) => {
                    problems.extend(Problems::one(format!("element {place}: {problem}")));
                    continue;
                }
            };
            if indexed.observed.contains_key(&element) {
                if !allow_duplicates {
                    problems.extend(Problems::one(format!(
                        "duplicate entries for key {element}"
                    )));
                    continue;
                }
                indexed.observed.insert(element.clone(), None);
            } else {
                indexed.observed.insert(element.clone(), Some(item));
            }
            indexed.elements.push(element);
        }
        indexed
    }

    fn get(&self, element: &PathElement) -> Option<&'a Value> {
        self.observed.get(element).copied().flatten()
    }

    fn has(&self, element: &PathElement) -> bool {
        self.observed.contains_key(element)
    }
}

/// Merges two lists of which the right one's order wins for shared items, and left-only items keep their place before
/// the shared item they stood before.
fn merge_items(left: &[Value], right: &[Value], ty: Type<'_>) -> (Option<Value>, Problems) {
    let mut problems = Problems::default();
    let rights = Indexed::new(right, ty, false, &mut problems);
    let lefts = Indexed::new(left, ty, true, &mut problems);
    if !problems.is_empty() {
        return (None, problems);
    }
    let item_type = ty.items();
    let mut out = Vec::with_capacity(left.len().max(right.len()));
    let mut take = |element: &PathElement, lhs: Option<&Value>, rhs: Option<&Value>| {
        let (merged, found) = merge_at(lhs, rhs, item_type);
        if !found.is_empty() {
            problems.extend(found.within(element));
        }
        out.extend(merged);
    };
    let mut shared = rights.elements.iter().filter(|element| lefts.has(element));
    let mut next_shared = shared.next();
    let mut merged: std::collections::BTreeSet<&PathElement> = std::collections::BTreeSet::new();
    let (mut l, mut r) = (0, 0);
    while l < lefts.elements.len() || r < rights.elements.len() {
        if let (Some(a), Some(b)) = (lefts.elements.get(l), rights.elements.get(r)) {
            if a == b {
                merged.insert(b);
                take(a, lefts.get(a), rights.get(a));
                l += 1;
                r += 1;
                next_shared = shared.next();
                continue;
            }
            if rights.has(a) && next_shared.is_some_and(|next| next != a) {
                // Shared, but not the one whose turn it is.
                l += 1;
                continue;
            }
        }
        if let Some(a) = lefts.elements.get(l) {
            if !rights.has(a) {
                // By place, since a repeated item is not told by its element.
                take(a, left.get(l), None);
                l += 1;
                continue;
            }
            if merged.contains(a) {
                l += 1;
            }
        }
        if let Some(b) = rights.elements.get(r) {
            merged.insert(b);
            take(b, lefts.get(b), rights.get(b));
            r += 1;
            if next_shared.is_some_and(|next| next == b) {
                next_shared = shared.next();
            }
        }
    }
    ((!out.is_empty()).then_some(Value::Array(out)), problems)
}
