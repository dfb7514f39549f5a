//! Sets of fields, and their form on the wire (`FieldsV1`).
//!
//! Owns the set algebra that ownership rests on, and parsing and printing of the canonical JSON: `f:` names a field, `k:`
//! an item of a list by its keys, `v:` an item of a set by its value, `i:` an item by its index, `.` the parent itself
//! (sigs.k8s.io/structured-merge-diff `fieldpath/serialize.go`, v6).
//!
//! Invariants: nodes are sorted by element, each element once; no node is neither a member nor has children.

mod path;

use std::cmp::Ordering;

use serde_json::{Map, Value};

pub(crate) use self::path::value_order;
pub use self::path::{FieldPath, PathElement};

/// Deeper sets are refused when parsed.
const MAX_DEPTH: usize = 200;

/// Why a set could not be parsed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FieldSetError {
    /// A key is no path element.
    #[error("invalid path element {0:?}")]
    Element(String),
    /// A value is not an object.
    #[error("a set of fields must consist of objects")]
    NotAnObject,
    /// Nested too deeply.
    #[error("a set of fields is nested too deeply")]
    TooDeep,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) element: PathElement,
    pub(crate) member: bool,
    pub(crate) children: FieldSet,
}

/// A set of fields of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    pub(crate) nodes: Vec<Node>,
}

impl FieldSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { nodes: Vec::new() }
    }

    /// The set of the given paths, each a list of field names.
    #[must_use]
    pub fn of_fields(paths: &[&[&str]]) -> Self {
        let mut set = Self::new();
        for path in paths {
            let path: Vec<_> = path.iter().map(|name| PathElement::field(*name)).collect();
            set.insert(&path);
        }
        set
    }

    /// Whether nothing is a member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes
            .iter()
            .map(|node| usize::from(node.member) + node.children.len())
            .sum()
    }

    fn position(&self, element: &PathElement) -> Result<usize, usize> {
        self.nodes
            .binary_search_by(|node| node.element.cmp(element))
    }

    pub(crate) fn node(&self, element: &PathElement) -> Option<&Node> {
        self.position(element).ok().map(|index| &self.nodes[index])
    }

    /// Adds a node, merging it with one of the same element. Nodes that come in order are appended.
    pub(crate) fn push(&mut self, element: PathElement, member: bool, children: Self) {
        if !member && children.is_empty() {
            return;
        }
        let place = match self.nodes.last() {
            None => Err(0),
            Some(last) if last.element < element => Err(self.nodes.len()),
            Some(_) => self.position(&element),
        };
        match place {
            Err(index) => self.nodes.insert(
                index,
                Node {
                    element,
                    member,
                    children,
                },
            ),
            Ok(index) => {
                let node = &mut self.nodes[index];
                node.member |= member;
                if node.children.is_empty() {
                    node.children = children;
                } else if !children.is_empty() {
                    node.children = node.children.union(&children);
                }
            }
        }
    }

    /// Adds the field at `path`; not its parents. The empty path is not tracked.
    pub fn insert(&mut self, path: &[PathElement]) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        let index = match self.position(first) {
            Ok(index) => index,
            Err(index) => {
                self.nodes.insert(
                    index,
                    Node {
                        element: first.clone(),
                        member: false,
                        children: Self::new(),
                    },
                );
                index
            }
        };
        let node = &mut self.nodes[index];
        if rest.is_empty() {
            node.member = true;
        } else {
            node.children.insert(rest);
        }
    }

    /// Whether the field at `path` is a member.
    #[must_use]
    pub fn contains(&self, path: &[PathElement]) -> bool {
        let Some((first, rest)) = path.split_first() else {
            return false;
        };
        self.node(first).is_some_and(|node| {
            if rest.is_empty() {
                node.member
            } else {
                node.children.contains(rest)
            }
        })
    }

    /// The part of the set below `element`.
    #[must_use]
    pub fn below(&self, element: &PathElement) -> Option<&Self> {
        self.node(element)
            .map(|node| &node.children)
            .filter(|children| !children.is_empty())
    }

    /// Merges two sorted lists of nodes; `combine` sees each element once and says what becomes of it.
    fn zip(
        &self,
        other: &Self,
        mut combine: impl FnMut(Option<&Node>, Option<&Node>) -> Option<(bool, Self)>,
    ) -> Self {
        let mut out = Self::new();
        let (mut left, mut right) = (self.nodes.iter().peekable(), other.nodes.iter().peekable());
        loop {
            let (a, b) = match (left.peek(), right.peek()) {
                (None, None) => return out,
                (Some(_), None) => (left.next(), None),
                (None, Some(_)) => (None, right.next()),
                (Some(a), Some(b)) => match a.element.cmp(&b.element) {
                    Ordering::Less => (left.next(), None),
                    Ordering::Greater => (None, right.next()),
                    Ordering::Equal => (left.next(), right.next()),
                },
            };
            let Some(node) = a.or(b) else { return out };
            if let Some((member, children)) = combine(a, b)
                && (member || !children.is_empty())
            {
                out.nodes.push(Node {
                    element: node.element.clone(),
                    member,
                    children,
                });
            }
        }
    }

    /// Members of either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        if self.is_empty() {
            return other.clone();
        }
        self.zip(other, |a, b| match (a, b) {
            (Some(a), Some(b)) => Some((a.member || b.member, a.children.union(&b.children))),
            (Some(one), None) | (None, Some(one)) => Some((one.member, one.children.clone())),
            (None, None) => None,
        })
    }

    /// Members of both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        if self.is_empty() || other.is_empty() {
            return Self::new();
        }
        self.zip(other, |a, b| match (a, b) {
            (Some(a), Some(b)) => {
                Some((a.member && b.member, a.children.intersection(&b.children)))
            }
            _ => None,
        })
    }

    /// Members of this set that are not members of `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        if self.is_empty() || other.is_empty() {
            return self.clone();
        }
        self.zip(other, |a, b| match (a, b) {
            (Some(a), Some(b)) => Some((a.member && !b.member, a.children.difference(&b.children))),
            (Some(a), None) => Some((a.member, a.children.clone())),
            (None, _) => None,
        })
    }

    /// As [`FieldSet::difference`], but a member of `other` also takes everything below it away.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        if self.is_empty() || other.is_empty() {
            return self.clone();
        }
        self.zip(other, |a, b| match (a, b) {
            (Some(_), Some(b)) if b.member => None,
            (Some(a), Some(b)) => Some((a.member, a.children.recursive_difference(&b.children))),
            (Some(a), None) => Some((a.member, a.children.clone())),
            (None, _) => None,
        })
    }

    /// All members as paths, parents first.
    #[must_use]
    pub fn paths(&self) -> Vec<FieldPath> {
        fn collect(set: &FieldSet, prefix: &mut Vec<PathElement>, out: &mut Vec<FieldPath>) {
            for node in &set.nodes {
                prefix.push(node.element.clone());
                if node.member {
                    out.push(FieldPath(prefix.clone()));
                }
                prefix.pop();
            }
            for node in &set.nodes {
                if node.children.is_empty() {
                    continue;
                }
                prefix.push(node.element.clone());
                collect(&node.children, prefix, out);
                prefix.pop();
            }
        }
        let mut out = Vec::new();
        collect(self, &mut Vec::new(), &mut out);
        out
    }

    /// Parses `FieldsV1`. Elements of unknown kinds are dropped.
    ///
    /// # Errors
    ///
    /// Malformed elements, values that are not objects, excessive depth.
    pub fn parse(value: &Value) -> Result<Self, FieldSetError> {
        Ok(Self::parse_at(value, 0)?.0)
    }

    /// The set below a node, and whether the node itself is a member.
    fn parse_at(value: &Value, depth: usize) -> Result<(Self, bool), FieldSetError> {
        if depth > MAX_DEPTH {
            return Err(FieldSetError::TooDeep);
        }
        let object = value.as_object().ok_or(FieldSetError::NotAnObject)?;
        let mut set = Self {
            nodes: Vec::with_capacity(object.len()),
        };
        let mut member = false;
        for (name, value) in object {
            if name == "." {
                member = true;
                continue;
            }
            let Some(element) = PathElement::parse(name)? else {
                continue;
            };
            let (children, is_member) = Self::parse_at(value, depth + 1)?;
            set.push(element, is_member, children);
        }
        member |= set.is_empty();
        Ok((set, member))
    }

    /// The `FieldsV1` of this set.
    #[must_use]
    pub fn to_value(&self) -> Value {
        self.to_value_at(false)
    }

    fn to_value_at(&self, with_self: bool) -> Value {
        let mut object = Map::new();
        if with_self && !self.is_empty() {
            object.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for node in &self.nodes {
            object.insert(node.element.print(), node.children.to_value_at(node.member));
        }
        Value::Object(object)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn element() -> impl Strategy<Value = PathElement> {
        prop_oneof![
            "[a-c]{1,2}".prop_map(PathElement::field),
            (0i64..3).prop_map(PathElement::Index),
            prop_oneof![
                "[a-b<]{0,2}".prop_map(Value::from),
                (0i64..3).prop_map(Value::from)
            ]
            .prop_map(PathElement::Value),
            prop::collection::btree_map(
                "[a-b]",
                prop_oneof![
                    (0i64..3).prop_map(Value::from),
                    "[x&]".prop_map(Value::from)
                ],
                1..3
            )
            .prop_map(|keys| PathElement::key(
                keys.into_iter().map(|(k, v)| (k.into(), v)).collect()
            )),
        ]
    }

    fn set() -> impl Strategy<Value = FieldSet> {
        prop::collection::vec(prop::collection::vec(element(), 1..4), 0..8).prop_map(|paths| {
            let mut set = FieldSet::new();
            for path in paths {
                set.insert(&path);
            }
            set
        })
    }

    proptest! {
        #[test]
        fn printed_sets_parse_back(set in set()) {
            let printed = set.to_value();
            prop_assert_eq!(FieldSet::parse(&printed).unwrap(), set);
        }

        #[test]
        fn the_algebra_agrees_with_sets_of_paths(a in set(), b in set()) {
            use std::collections::BTreeSet;
            let paths = |set: &FieldSet| set.paths().into_iter().collect::<BTreeSet<_>>();
            prop_assert_eq!(paths(&a.union(&b)), &paths(&a) | &paths(&b));
            prop_assert_eq!(paths(&a.intersection(&b)), &paths(&a) & &paths(&b));
            prop_assert_eq!(paths(&a.difference(&b)), &paths(&a) - &paths(&b));
            prop_assert_eq!(a.len(), paths(&a).len());
            let below_or_in_b: BTreeSet<_> = paths(&a).into_iter()
                .filter(|path| !(1..=path.0.len()).any(|n| b.contains(&path.0[..n]))).collect();
            prop_assert_eq!(paths(&a.recursive_difference(&b)), below_or_in_b);
        }
    }

    #[test]
    fn paths_read_as_the_servers() {
        let set = FieldSet::parse(&json!({
            "f:spec": {"f:ports": {".": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}}, "f:list": {"v:\"a\"": {}, "i:3": {}}},
            "x:future": {}
        }))
        .unwrap();
        let paths: Vec<_> = set.paths().iter().map(ToString::to_string).collect();
        assert_eq!(
            paths,
            [
                ".spec.ports",
                ".spec.list[=\"a\"]",
                ".spec.list[3]",
                ".spec.ports[port=80,protocol=\"TCP\"]",
                ".spec.ports[port=80,protocol=\"TCP\"].name",
            ]
        );
    }

    #[test]
    fn malformed_sets_are_refused() {
        for value in [
            json!(1),
            json!({"f": {}}),
            json!({"f-a": {}}),
            json!({"i:x": {}}),
            json!({"k:1": {}}),
            json!({"f:a": 1}),
        ] {
            assert!(FieldSet::parse(&value).is_err(), "{value}");
        }
    }
}
