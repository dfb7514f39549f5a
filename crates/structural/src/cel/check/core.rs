//! Expressions without macros: what types and costs are told of.
//!
//! A fold goes over a range, setting variables, and changes what it collects at each step. Operators are calls.

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Literal<'e> {
    Null,
    Bool(bool),
    Int(i64),
    Uint,
    Double,
    Text(&'e str),
    Bytes(usize),
}

/// A node, numbered, with its place in the source.
#[derive(Debug)]
pub(super) struct Core<'e> {
    pub(super) id: usize,
    pub(super) at: usize,
    pub(super) kind: Kind<'e>,
}

#[derive(Debug)]
pub(super) enum Kind<'e> {
    Literal(Literal<'e>),
    Ident(&'e str),
    /// A member, or whether it is there.
    Select {
        operand: Box<Core<'e>>,
        field: &'e str,
        test: bool,
    },
    Call {
        function: &'e str,
        target: Option<Box<Core<'e>>>,
        args: Vec<Core<'e>>,
    },
    List(Vec<(Core<'e>, bool)>),
    Map(Vec<(Core<'e>, Core<'e>, bool)>),
    Message {
        name: &'e str,
        fields: Vec<FieldInit<'e>>,
    },
    Fold(Box<Fold<'e>>),
}

/// A field of a message that is made, with its place.
#[derive(Debug)]
pub(super) struct FieldInit<'e> {
    pub(super) at: usize,
    pub(super) name: &'e str,
    pub(super) value: Core<'e>,
    pub(super) optional: bool,
}

#[derive(Debug)]
pub(super) struct Fold<'e> {
    pub(super) range: Core<'e>,
    pub(super) first: &'e str,
    pub(super) second: Option<&'e str>,
    /// The variable that is collected in.
    pub(super) accumulator: &'e str,
    pub(super) init: Core<'e>,
    pub(super) condition: Core<'e>,
    pub(super) step: Core<'e>,
    pub(super) result: Core<'e>,
    /// It only gives a value a name.
    pub(super) binds: bool,
}

impl Core<'_> {
    /// The name that a chain of members may be.
    pub(super) fn qualified(&self) -> Option<String> {
        match &self.kind {
            Kind::Ident(name) => Some((*name).to_owned()),
            Kind::Select {
                operand,
                field,
                test: false,
            } => Some(format!("{}.{field}", operand.qualified()?)),
            _ => None,
        }
    }

    /// The nodes directly below.
    pub(super) fn children(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::Literal(_) | Kind::Ident(_) => Vec::new(),
            Kind::Select { operand, .. } => vec![operand],
            Kind::Call { target, args, .. } => target.as_deref().into_iter().chain(args).collect(),
            Kind::List(items) => items.iter().map(|(item, _)| item).collect(),
            Kind::Map(entries) => entries
                .iter()
                .flat_map(|(key, value, _)| [key, value])
                .collect(),
            Kind::Message { fields, .. } => fields.iter().map(|field| &field.value).collect(),
            Kind::Fold(fold) => vec![
                &fold.range,
                &fold.init,
                &fold.condition,
                &fold.step,
                &fold.result,
            ],
        }
    }
}
