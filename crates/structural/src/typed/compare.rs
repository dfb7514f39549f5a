//! How two objects differ, as sets of fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Form, Problems, Type, TypedError};
use crate::field_set::{FieldSet, PathElement};
use crate::schema::{ListType, Schema};

/// The difference of two objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Fields only the old object has.
    pub removed: FieldSet,
    /// Fields both have, with different values.
    pub modified: FieldSet,
    /// Fields only the new object has.
    pub added: FieldSet,
}

impl Comparison {
    /// Whether the objects are the same.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.removed.is_empty() && self.modified.is_empty() && self.added.is_empty()
    }

    /// Without the fields in `ignored` and everything below them.
    #[must_use]
    pub fn without(self, ignored: &FieldSet) -> Self {
        if ignored.is_empty() {
            return self;
        }
        Self {
            removed: self.removed.recursive_difference(ignored),
            modified: self.modified.recursive_difference(ignored),
            added: self.added.recursive_difference(ignored),
        }
    }

    fn push(&mut self, element: &PathElement, own: Own, inner: Self) {
        let Self {
            removed,
            modified,
            added,
        } = inner;
        for (set, member, children) in [
            (&mut self.removed, own.removed, removed),
            (&mut self.modified, own.modified, modified),
            (&mut self.added, own.added, added),
        ] {
            if member || !children.is_empty() {
                set.push(element.clone(), member, children);
            }
        }
    }
}

/// What happened to a field itself, as opposed to what is below it.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    removed: bool,
    modified: bool,
    added: bool,
}

/// Compares `old` with `new`.
///
/// # Errors
///
/// Values that do not fit the schema on both sides, list items that cannot be told apart.
pub fn compare(old: &Value, new: &Value, schema: &Schema) -> Result<Comparison, TypedError> {
    let mut comparison = Comparison::default();
    let (_, problems) = compare_at(Some(old), Some(new), Type::root(schema), &mut comparison);
    problems.into_result(comparison)
}

fn compare_at(
    lhs: Option<&Value>,
    rhs: Option<&Value>,
    ty: Type<'_>,
    out: &mut Comparison,
) -> (Own, Problems) {
    let mut own = Own::default();
    if let (Some(a), Some(b)) = (lhs, rhs)
        && std::ptr::eq(a, b)
    {
        return (own, Problems::default());
    }
    let (left, right) = (ty.form(lhs), ty.form(rhs));
    let mut problems = Problems::default();
    let mut leaf = false;
    if rhs.is_none() {
        problems.extend(compare_form(left, lhs, rhs, ty, out, &mut leaf));
    } else if lhs.is_none() || left == right {
        problems.extend(compare_form(right, lhs, rhs, ty, out, &mut leaf));
    } else {
        // The value changes its form: both ways of looking at it count.
        let mut other_leaf = false;
        problems.extend(compare_form(left, lhs, rhs, ty, out, &mut other_leaf));
        problems.extend(compare_form(right, lhs, rhs, ty, out, &mut leaf));
        leaf |= other_leaf;
    }
    match (lhs, rhs) {
        (None, _) => own.added = true,
        (_, None) => own.removed = true,
        (Some(a), Some(b)) => own.modified = leaf && a != b,
    }
    (own, problems)
}

fn compare_form(
    form: Form,
    lhs: Option<&Value>,
    rhs: Option<&Value>,
    ty: Type<'_>,
    out: &mut Comparison,
    leaf: &mut bool,
) -> Problems {
    match form {
        Form::Scalar => {
            let mut left = ty.scalar_problem(lhs, "lhs: ");
            let right = ty.scalar_problem(rhs, "rhs: ");
            if !left.is_empty() && !right.is_empty() {
                left.extend(right);
                return left;
            }
            *leaf = true;
            Problems::default()
        }
        Form::List => {
            let left = lhs.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let right = rhs.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            if ty.list_type() == ListType::Atomic || (left.is_empty() && right.is_empty()) {
                *leaf = true;
                return Problems::default();
            }
            compare_items(left, right, ty, out)
        }
        Form::Map => {
            let left = lhs.and_then(Value::as_object);
            let right = rhs.and_then(Value::as_object);
            if ty.is_atomic_map()
                || (left.is_none_or(Map::is_empty) && right.is_none_or(Map::is_empty))
            {
                *leaf = true;
                return Problems::default();
            }
            compare_fields(left, right, ty, out)
        }
    }
}

fn compare_fields(
    left: Option<&Map<String, Value>>,
    right: Option<&Map<String, Value>>,
    ty: Type<'_>,
    out: &mut Comparison,
) -> Problems {
    let mut problems = Problems::default();
    let mut visit = |name: &str, lhs: Option<&Value>, rhs: Option<&Value>| {
        let empty = Value::Object(Map::new());
        let (mut lhs, mut rhs) = (lhs, rhs);
        let field = ty.field(name).0;
        // What is always there when its parent is there does not appear or vanish.
        let constant = if field.is_always_present() {
            Some(&empty)
        } else if ty.always_prints(name) {
            Some(&Value::Null)
        } else {
            None
        };
        if left.is_some() {
            lhs = lhs.or(constant);
        }
        if right.is_some() {
            rhs = rhs.or(constant);
        }
        // Equal values differ nowhere, whatever their type.
        if let (Some(a), Some(b)) = (lhs, rhs)
            && a == b
        {
            return;
        }
        let mut inner = Comparison::default();
        let (own, found) = compare_at(lhs, rhs, field, &mut inner);
        let element = PathElement::field(name);
        if !found.is_empty() {
            problems.extend(found.within(&element));
        }
        out.push(&element, own, inner);
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
    problems
}

fn compare_items(left: &[Value], right: &[Value], ty: Type<'_>, out: &mut Comparison) -> Problems {
    let mut problems = Problems::default();
    let mut index = |items: &'_ [Value]| {
        let mut by_element: BTreeMap<PathElement, Vec<usize>> = BTreeMap::new();
        for (place, item) in items.iter().enumerate() {
            match ty.item_element(item) {
                Ok(element) => by_element.entry(element).or_default().push(place),
                Err(problem) => {
                    problems.extend(Problems::one(format!("element {place}: {problem}")))
                }
            }
        }
        by_element
    };
    let (lefts, mut rights) = (index(left), index(right));
    let item_type = ty.items();
    let mut pairs: Vec<(PathElement, Vec<usize>, Vec<usize>)> = lefts
        .into_iter()
        .map(|(element, places)| {
            let others = rights.remove(&element).unwrap_or_default();
            (element, places, others)
        })
        .collect();
    pairs.extend(
        rights
            .into_iter()
            .map(|(element, places)| (element, Vec::new(), places)),
    );
    for (element, old, new) in pairs {
        let mut inner = Comparison::default();
        let mut own = Own::default();
        let mut one = |lhs: Option<&Value>, rhs: Option<&Value>, inner: &mut Comparison| {
            let (own, found) = compare_at(lhs, rhs, item_type, inner);
            if !found.is_empty() {
                problems.extend(found.within(&element));
            }
            own
        };
        match (old.as_slice(), new.as_slice()) {
            ([] | [_], [] | [_]) => {
                let (lhs, rhs) = (
                    old.first().map(|&i| &left[i]),
                    new.first().map(|&i| &right[i]),
                );
                own = one(lhs, rhs, &mut inner);
            }
            // Repeated items count as one value, marked by the element alone.
            ([_, _, ..], [_, _, ..]) => {
                own.modified = old.len() != new.len()
                    || old.iter().zip(&new).any(|(&a, &b)| left[a] != right[b]);
            }
            ([_, _, ..], [] | [_]) => {
                if let [only] = new.as_slice() {
                    own = one(None, Some(&right[*only]), &mut inner);
                }
                own.removed = true;
            }
            ([] | [_], [_, _, ..]) => {
                if let [only] = old.as_slice() {
                    own = one(Some(&left[*only]), None, &mut inner);
                }
                own.added = true;
            }
        }
        out.push(&element, own, inner);
    }
    problems
}
