//! The most that an expression can cost (google/cel-go `checker/cost.go`, v0.26).
//!
//! Owns the costs of everything that is no call, and what is known of the sizes of values: those of literals are exact,
//! those of declared values are bounded by their schema. Calls are in [`super::calls`].

use std::rc::Rc;

use super::core::{Core, Fold, Kind, Literal};
use super::declared::{Declared, Shape};
use super::infer::Inferred;
use super::range::Range;
use super::types::Type;

const NEW_LIST: Range = Range::exactly(10);
const NEW_MAP: Range = Range::exactly(30);
const NEW_MESSAGE: Range = Range::exactly(40);

/// Where a value stands in what is declared.
#[derive(Clone, Debug, Default)]
pub(super) enum Place {
    /// It was made by the expression.
    #[default]
    Nowhere,
    /// There; or at a place of which nothing is declared.
    At(Option<Rc<Declared>>),
}

/// A step from a value to one inside.
#[derive(Clone, Copy)]
pub(super) enum Step<'s> {
    Field(&'s str),
    Inside,
    Key,
    Index,
}

/// What is known of the keys (or places) and values in a list or map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entries {
    list: bool,
    key: Range,
    value: Range,
}

impl Entries {
    fn joined(self, other: Self) -> Self {
        Self {
            list: self.list,
            key: self.key.joined(other.key),
            value: self.value.joined(other.value),
        }
    }
}

/// Of a variable that a fold sets.
#[derive(Debug)]
struct Local<'e> {
    name: &'e str,
    place: Place,
    size: Option<Range>,
    entries: Option<Entries>,
}

pub(super) struct Estimate<'e, 'i> {
    pub(super) inferred: &'i Inferred,
    root: Rc<Declared>,
    locals: Vec<Local<'e>>,
    places: Vec<Place>,
    sizes: Vec<Option<Range>>,
    entries: Vec<Option<Entries>>,
}

/// The most that `core` can cost where variables are values of `declared`.
pub(super) fn estimate(core: &Core<'_>, inferred: &Inferred, declared: &Rc<Declared>) -> u64 {
    let nodes = inferred.types.len();
    let mut estimate = Estimate {
        inferred,
        root: Rc::clone(declared),
        locals: Vec::new(),
        places: vec![Place::Nowhere; nodes],
        sizes: vec![None; nodes],
        entries: vec![None; nodes],
    };
    estimate.node(core).max
}

impl<'e> Estimate<'e, '_> {
    pub(super) fn type_of(&self, node: &Core<'_>) -> &Type {
        &self.inferred.types[node.id]
    }

    pub(super) fn node(&mut self, node: &Core<'e>) -> Range {
        match &node.kind {
            Kind::Literal(_) => Range::ZERO,
            Kind::Ident(name) => {
                let place = match self.local(name) {
                    Some(local) => local.place.clone(),
                    None => Place::At(Some(Rc::clone(&self.root))),
                };
                self.places[node.id] = place;
                Range::ONE
            }
            Kind::Select {
                operand,
                field,
                test,
            } => self.select(node, operand, field, *test),
            Kind::Call {
                function,
                target,
                args,
            } => self.call(node, function, target.as_deref(), args),
            Kind::List(items) => self.list(node, items),
            Kind::Map(entries) => self.map(node, entries),
            Kind::Message { fields, .. } => fields.iter().fold(NEW_MESSAGE, |cost, field| {
                cost.plus(self.node(&field.value))
            }),
            Kind::Fold(fold) if fold.binds => self.bind(node, fold),
            Kind::Fold(fold) => self.fold(node, fold),
        }
    }

    fn local(&self, name: &str) -> Option<&Local<'e>> {
        self.locals.iter().rev().find(|local| local.name == name)
    }

    fn select(&mut self, node: &Core<'e>, operand: &Core<'e>, field: &str, test: bool) -> Range {
        if self.inferred.whole[node.id] {
            self.places[node.id] = Place::At(Some(Rc::clone(&self.root)));
            return Range::ONE;
        }
        let cost = self.node(operand);
        if test {
            return cost;
        }
        let place = self.step(&self.place(operand), Step::Field(field));
        self.places[node.id] = place;
        match self.type_of(operand) {
            Type::Map(_) | Type::Object(_) => cost.plus(Range::ONE),
            _ => cost,
        }
    }

    fn list(&mut self, node: &Core<'e>, items: &[(Core<'e>, bool)]) -> Range {
        let mut cost = NEW_LIST;
        let mut value = if items.is_empty() {
            Range::ZERO
        } else {
            Range::NONE
        };
        for (item, _) in items {
            cost = cost.plus(self.node(item));
            value = value.joined(self.size_or_unknown(item));
        }
        self.entries[node.id] = Some(Entries {
            list: true,
            key: Range::ONE,
            value,
        });
        cost
    }

    fn map(&mut self, node: &Core<'e>, pairs: &[(Core<'e>, Core<'e>, bool)]) -> Range {
        let mut cost = NEW_MAP;
        let start = if pairs.is_empty() {
            Range::ZERO
        } else {
            Range::NONE
        };
        let (mut keys, mut values) = (start, start);
        for (key, value, _) in pairs {
            cost = cost.plus(self.node(key)).plus(self.node(value));
            keys = keys.joined(self.size_or_unknown(key));
            values = values.joined(self.size_or_unknown(value));
        }
        self.entries[node.id] = Some(Entries {
            list: false,
            key: keys,
            value: values,
        });
        cost
    }

    fn bind(&mut self, node: &Core<'e>, fold: &Fold<'e>) -> Range {
        let mut cost = self.node(&fold.range).plus(self.node(&fold.init));
        self.push_accumulator(fold);
        cost = cost.plus(self.node(&fold.result));
        self.locals.pop();
        self.copy_size(node, &fold.result);
        cost
    }

    fn push_accumulator(&mut self, fold: &Fold<'e>) {
        let local = Local {
            name: fold.accumulator,
            place: self.place(&fold.init),
            size: self.size(&fold.init),
            entries: self.entries(&fold.init),
        };
        self.locals.push(local);
    }

    fn push_step(&mut self, name: &'e str, range: &Core<'e>, key: bool) {
        let entries = self.entries(range);
        let list = match entries {
            Some(entries) => entries.list,
            None => matches!(self.type_of(range), Type::List(_)),
        };
        let step = match (key, list) {
            (true, true) => Step::Index,
            (true, false) => Step::Key,
            (false, _) => Step::Inside,
        };
        let local = Local {
            name,
            place: self.step(&self.place(range), step),
            size: entries.map(|entries| if key { entries.key } else { entries.value }),
            entries: None,
        };
        self.locals.push(local);
    }

    fn push_steps(&mut self, fold: &Fold<'e>) {
        match fold.second {
            Some(second) => {
                self.push_step(fold.first, &fold.range, true);
                self.push_step(second, &fold.range, false);
            }
            None => {
                let list = match self.entries(&fold.range) {
                    Some(entries) => entries.list,
                    None => matches!(self.type_of(&fold.range), Type::List(_)),
                };
                self.push_step(fold.first, &fold.range, !list);
            }
        }
    }

    fn fold(&mut self, node: &Core<'e>, fold: &Fold<'e>) -> Range {
        let mut cost = self.node(&fold.range).plus(self.node(&fold.init));
        self.push_accumulator(fold);
        let outside = self.locals.len();
        self.push_steps(fold);
        let each = self.node(&fold.condition).plus(self.node(&fold.step));
        self.locals.truncate(outside);
        cost = cost.plus(self.node(&fold.result));
        self.locals.pop();
        let count = self.size_or_unknown(&fold.range);
        match &fold.init.kind {
            Kind::Literal(_) => self.sizes[node.id] = self.size(&fold.init),
            Kind::List(_) | Kind::Map(_) => {
                self.sizes[node.id] = Some(count);
                self.entries[node.id] = self.entries(&fold.step);
            }
            _ => {}
        }
        cost.plus(count.times(each))
    }

    pub(super) fn place(&self, node: &Core<'_>) -> Place {
        if let Kind::Ident(name) = &node.kind
            && let Some(local) = self.local(name)
        {
            return local.place.clone();
        }
        self.places[node.id].clone()
    }

    pub(super) fn set_place(&mut self, node: &Core<'_>, place: Place) {
        self.places[node.id] = place;
    }

    /// A step from a value that the expression made leads to the root: that is how the real estimates are.
    pub(super) fn step(&self, from: &Place, step: Step<'_>) -> Place {
        let declared = match from {
            Place::Nowhere => return Place::At(Some(Rc::clone(&self.root))),
            Place::At(declared) => declared.as_ref(),
        };
        Place::At(declared.and_then(|declared| match (step, &declared.shape) {
            (Step::Field(name), Shape::Object(fields)) => fields.get(name).cloned(),
            (Step::Inside, _) => declared.inner().cloned(),
            (Step::Key, Shape::Map(_)) => Some(Declared::key()),
            _ => None,
        }))
    }

    /// The size of what stands at a declared place.
    pub(super) fn declared_size(place: &Place) -> Option<Range> {
        match place {
            Place::At(Some(declared)) => Some(Range {
                min: 0,
                max: declared.max_size,
            }),
            Place::At(None) | Place::Nowhere => None,
        }
    }

    pub(super) fn size(&mut self, node: &Core<'_>) -> Option<Range> {
        if let Some(known) = self.sizes[node.id].or_else(|| literal_size(node)) {
            return Some(known);
        }
        if let Some(declared) = Self::declared_size(&self.place(node)) {
            self.sizes[node.id] = Some(declared);
            return Some(declared);
        }
        if self.type_of(node).is_scalar() {
            return Some(Range::ONE);
        }
        match &node.kind {
            Kind::Ident(name) => self.local(name)?.size,
            _ => None,
        }
    }

    pub(super) fn size_or_unknown(&mut self, node: &Core<'_>) -> Range {
        self.size(node).unwrap_or(Range::UNKNOWN)
    }

    pub(super) fn set_size(&mut self, node: &Core<'_>, size: Option<Range>) {
        if size.is_some() {
            self.sizes[node.id] = size;
        }
    }

    fn entries(&self, node: &Core<'_>) -> Option<Entries> {
        self.entries[node.id].or_else(|| match &node.kind {
            Kind::Ident(name) => self.local(name)?.entries,
            _ => None,
        })
    }

    /// The size of the values in a list or map.
    pub(super) fn value_size(&self, node: &Core<'_>) -> Option<Range> {
        self.entries(node).map(|entries| entries.value)
    }

    /// What `node` gives holds what `a` and `b` hold.
    pub(super) fn join_entries(&mut self, node: &Core<'_>, a: &Core<'_>, b: &Core<'_>) {
        if let (Some(a), Some(b)) = (self.entries(a), self.entries(b)) {
            self.entries[node.id] = Some(a.joined(b));
        }
    }

    pub(super) fn copy_size(&mut self, to: &Core<'_>, from: &Core<'_>) {
        let size = self.size(from);
        self.set_size(to, size);
        if let Some(entries) = self.entries(from) {
            self.entries[to.id] = Some(entries);
        }
    }
}

fn literal_size(node: &Core<'_>) -> Option<Range> {
    let count = match &node.kind {
        Kind::Literal(Literal::Text(text)) => text.chars().count(),
        Kind::Literal(Literal::Bytes(length)) => *length,
        Kind::Literal(_) => 1,
        Kind::List(items) => items.len(),
        Kind::Map(entries) => entries.len(),
        _ => return None,
    };
    Some(Range::exactly(u64::try_from(count).unwrap_or(u64::MAX)))
}
