//! The tree of an expression.

use crate::schema::Pattern;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
}

/// What a macro over a list or map does with its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
    TransformMap,
    /// The body gives a map, whose entries are taken over.
    TransformMapEntry,
}

/// An expression and where in its source it stands: in bytes, at the operator, bracket or name that makes it.
#[derive(Debug)]
pub(super) struct Expr {
    pub(super) at: usize,
    pub(super) node: Node,
}

#[derive(Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Ident(String),
    /// `operand.field`; optional is `operand.?field`.
    Select {
        operand: Box<Expr>,
        field: String,
        optional: bool,
    },
    /// `has(operand.field)`.
    Has {
        operand: Box<Expr>,
        field: String,
    },
    Index {
        operand: Box<Expr>,
        index: Box<Expr>,
        optional: bool,
    },
    Call {
        name: String,
        args: Vec<Expr>,
    },
    Method {
        target: Box<Expr>,
        name: String,
        args: Vec<Expr>,
    },
    /// `target.matches('literal')`, so that the expression is compiled once. The literal stands at `literal`.
    Matches {
        target: Box<Expr>,
        pattern: Pattern,
        literal: usize,
    },
    /// Items, each optional (`?item`) or not.
    List(Vec<(Expr, bool)>),
    Map(Vec<(Expr, Expr, bool)>),
    /// `name{field: value}`, a message; its name begins with a dot if that was written.
    Message {
        name: String,
        fields: Vec<FieldInit>,
    },
    Not(Box<Expr>),
    Negate(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Ternary(Box<(Expr, Expr, Expr)>),
    Binary(Binary, Box<(Expr, Expr)>),
    Fold {
        kind: Fold,
        range: Box<Expr>,
        first: String,
        second: Option<String>,
        condition: Option<Box<Expr>>,
        body: Box<Expr>,
    },
    /// `target.optMap(variable, body)`, flat with optFlatMap.
    OptionalMap {
        target: Box<Expr>,
        variable: String,
        body: Box<Expr>,
        flat: bool,
    },
    /// `target.sortBy(variable, key)`.
    SortBy {
        target: Box<Expr>,
        variable: String,
        key: Box<Expr>,
    },
}

/// A field of a message that is made; it stands at its colon.
#[derive(Debug)]
pub(super) struct FieldInit {
    pub(super) at: usize,
    pub(super) name: String,
    pub(super) value: Expr,
    pub(super) optional: bool,
}

impl Expr {
    pub(super) fn children(&self) -> Vec<&Self> {
        match &self.node {
            Node::Null
            | Node::Bool(_)
            | Node::Int(_)
            | Node::Uint(_)
            | Node::Double(_)
            | Node::Text(_)
            | Node::Bytes(_)
            | Node::Ident(_) => Vec::new(),
            Node::Select { operand, .. } | Node::Has { operand, .. } => vec![operand],
            Node::Matches { target, .. } => vec![target],
            Node::Index { operand, index, .. } => vec![operand, index],
            Node::Call { args, .. } => args.iter().collect(),
            Node::Method { target, args, .. } => {
                std::iter::once(target.as_ref()).chain(args).collect()
            }
            Node::List(items) => items.iter().map(|(item, _)| item).collect(),
            Node::Map(entries) => entries
                .iter()
                .flat_map(|(key, value, _)| [key, value])
                .collect(),
            Node::Message { fields, .. } => fields.iter().map(|field| &field.value).collect(),
            Node::Not(operand) | Node::Negate(operand) => vec![operand],
            Node::And(a, b) | Node::Or(a, b) => vec![a, b],
            Node::Ternary(parts) => vec![&parts.0, &parts.1, &parts.2],
            Node::Binary(_, parts) => vec![&parts.0, &parts.1],
            Node::Fold {
                range,
                condition,
                body,
                ..
            } => std::iter::once(range.as_ref())
                .chain(condition.as_deref())
                .chain(std::iter::once(body.as_ref()))
                .collect(),
            Node::OptionalMap { target, body, .. } => vec![target, body],
            Node::SortBy { target, key, .. } => vec![target, key],
        }
    }

    /// The name that a chain of members may be: `a.b.c`.
    pub(super) fn qualified(&self) -> Option<String> {
        match &self.node {
            Node::Ident(name) => Some(name.clone()),
            Node::Select {
                operand,
                field,
                optional: false,
            } => Some(format!("{}.{field}", operand.qualified()?)),
            _ => None,
        }
    }

    pub(super) fn mentions(&self, name: &str) -> bool {
        matches!(&self.node, Node::Ident(ident) if ident == name)
            || self
                .children()
                .into_iter()
                .any(|child| child.mentions(name))
    }
}
