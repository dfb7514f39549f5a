//! Types, and what may stand for what (google/cel-go `checker/types.go`, v0.26).
//!
//! Owns unification: type variables are bound as expressions are looked at, and what was bound while something did not
//! fit is undone.

use std::fmt;
use std::rc::Rc;

use super::declared::{Declared, Shape};

/// A type.
#[derive(Clone, Debug)]
pub(super) enum Type {
    /// Known only when the expression runs.
    Dyn,
    /// That of a message with anything in it.
    Any,
    /// That of something already found wrong.
    Error,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Timestamp,
    Duration,
    List(Rc<Self>),
    Map(Rc<(Self, Self)>),
    /// A type as a value.
    Meta(Option<Rc<Self>>),
    Optional(Rc<Self>),
    /// A type of a library without members: `net.IP`.
    Opaque(&'static str),
    Object(Object),
    /// A plain type that null may stand for; the same as the plain one otherwise.
    Nullable(Rc<Self>),
    Variable(usize),
}

impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        match (self.plain(), other.plain()) {
            (Self::List(a), Self::List(b)) | (Self::Optional(a), Self::Optional(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            (Self::Meta(a), Self::Meta(b)) => a == b,
            (Self::Opaque(a), Self::Opaque(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => a == b,
            (Self::Variable(a), Self::Variable(b)) => a == b,
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }
}

/// An object: of a library, or declared by a schema. Its name is what tells it from others.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) name: Rc<str>,
    pub(super) declared: Option<Rc<Declared>>,
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Type {
    pub(super) fn list(item: Self) -> Self {
        Self::List(Rc::new(item))
    }

    pub(super) fn map(key: Self, value: Self) -> Self {
        Self::Map(Rc::new((key, value)))
    }

    pub(super) fn optional(inner: Self) -> Self {
        Self::Optional(Rc::new(inner))
    }

    pub(super) fn nullable(plain: Self) -> Self {
        Self::Nullable(Rc::new(plain))
    }

    /// Without leave to be null.
    pub(super) fn plain(&self) -> &Self {
        match self {
            Self::Nullable(plain) => plain,
            other => other,
        }
    }

    pub(super) fn library(name: &str) -> Self {
        Self::Object(Object {
            name: name.into(),
            declared: None,
        })
    }

    /// The type of a declared value; objects in it are named after their place, which begins with `name`.
    pub(super) fn declared(declared: &Rc<Declared>, name: &str) -> Self {
        match &declared.shape {
            Shape::Dyn => Self::Dyn,
            Shape::Bool => Self::Bool,
            Shape::Int => Self::Int,
            Shape::Double => Self::Double,
            Shape::Text => Self::Text,
            Shape::Bytes => Self::Bytes,
            Shape::Timestamp => Self::Timestamp,
            Shape::Duration => Self::Duration,
            Shape::List(item) => Self::list(Self::declared(item, &format!("{name}.@idx"))),
            Shape::Map(value) => {
                Self::map(Self::Text, Self::declared(value, &format!("{name}.@elem")))
            }
            Shape::Object(_) => Self::Object(Object {
                name: name.into(),
                declared: Some(Rc::clone(declared)),
            }),
        }
    }

    pub(super) fn unknown(&self) -> bool {
        matches!(self, Self::Dyn | Self::Any | Self::Error)
    }

    /// The type inside an optional, and whether it was one.
    pub(super) fn unwrapped(&self) -> (&Self, bool) {
        match self {
            Self::Optional(inner) => (inner, true),
            other => (other, false),
        }
    }

    /// Whether values have one size, which is known.
    pub(super) fn is_scalar(&self) -> bool {
        match self {
            Self::Bool
            | Self::Int
            | Self::Uint
            | Self::Double
            | Self::Timestamp
            | Self::Duration => true,
            Self::Optional(inner) | Self::Nullable(inner) => inner.is_scalar(),
            _ => false,
        }
    }

    /// The name without parameters.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Dyn => "dyn",
            Self::Any => "google.protobuf.Any",
            Self::Error => "*error*",
            Self::Null => "null_type",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::Timestamp => "google.protobuf.Timestamp",
            Self::Duration => "google.protobuf.Duration",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Meta(_) => "type",
            Self::Optional(_) => "optional_type",
            Self::Opaque(name) => name,
            Self::Object(object) => &object.name,
            Self::Nullable(plain) => plain.name(),
            Self::Variable(_) => "_var",
        }
    }

    /// The name, telling whether null may stand for it.
    pub(super) fn declared_name(&self) -> String {
        match self {
            Self::Nullable(plain) => format!("wrapper({})", plain.name()),
            other => other.name().to_owned(),
        }
    }
}

/// As problems name it.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Nullable(_) => f.write_str(&self.declared_name()),
            Self::Error => f.write_str("!error!"),
            Self::Null => f.write_str("null"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::List(item) => write!(f, "list({item})"),
            Self::Map(parts) => write!(f, "map({}, {})", parts.0, parts.1),
            Self::Meta(Some(inner)) => write!(f, "type({inner})"),
            Self::Optional(inner) => write!(f, "optional_type({inner})"),
            Self::Variable(number) => write!(f, "_var{number}"),
            other => f.write_str(other.name()),
        }
    }
}

/// What type variables stand for.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    bound: Vec<Option<Type>>,
    /// What was bound before, to undo.
    log: Vec<(usize, Option<Type>)>,
}

impl Bindings {
    /// A type variable that nothing is known of.
    pub(super) fn fresh(&mut self) -> Type {
        self.bound.push(None);
        Type::Variable(self.bound.len() - 1)
    }

    fn of(&self, variable: usize) -> Option<&Type> {
        self.bound.get(variable)?.as_ref()
    }

    fn bind(&mut self, variable: usize, to: Type) {
        if let Some(place) = self.bound.get_mut(variable) {
            self.log.push((variable, place.replace(to)));
        }
    }

    /// Whether each of `given` may stand for that of `wanted`; only then are variables bound.
    pub(super) fn fit_all(&mut self, given: &[Type], wanted: &[Type]) -> bool {
        let mark = self.log.len();
        let fits =
            given.len() == wanted.len() && given.iter().zip(wanted).all(|(a, b)| self.assign(a, b));
        if !fits {
            self.undo(mark);
        }
        fits
    }

    /// Whether `a` may stand for `b`; only then are variables bound.
    pub(super) fn fit(&mut self, a: &Type, b: &Type) -> bool {
        let mark = self.log.len();
        let fits = self.assign(a, b);
        if !fits {
            self.undo(mark);
        }
        fits
    }

    fn undo(&mut self, mark: usize) {
        while self.log.len() > mark {
            if let Some((variable, before)) = self.log.pop()
                && let Some(place) = self.bound.get_mut(variable)
            {
                *place = before;
            }
        }
    }

    fn assign(&mut self, a: &Type, b: &Type) -> bool {
        if let Type::Variable(variable) = b {
            let (valid, bound) = self.stand_for(a, *variable);
            if valid || bound {
                return valid;
            }
        }
        if let Type::Variable(variable) = a {
            return self.stand_for(b, *variable).0;
        }
        if a.unknown() || b.unknown() {
            return true;
        }
        match (a, b) {
            (Type::Null, other) | (other, Type::Null) => matches!(
                other,
                Type::Null
                    | Type::Opaque(_)
                    | Type::Optional(_)
                    | Type::Object(_)
                    | Type::Nullable(_)
                    | Type::Timestamp
                    | Type::Duration
            ),
            (Type::Meta(_), Type::Meta(_)) => true,
            (Type::List(a), Type::List(b)) | (Type::Optional(a), Type::Optional(b)) => {
                self.assign(a, b)
            }
            (Type::Map(a), Type::Map(b)) => self.assign(&a.0, &b.0) && self.assign(&a.1, &b.1),
            (a, b) => a == b,
        }
    }

    /// Whether `other` may be what `variable` stands for, and whether something was known of that.
    fn stand_for(&mut self, other: &Type, variable: usize) -> (bool, bool) {
        if *other == Type::Variable(variable) {
            return (true, true);
        }
        if let Some(known) = self.of(variable).cloned() {
            if *other == known {
                return (true, true);
            }
            if !self.assign(other, &known) {
                return (false, true);
            }
            let general = most_general(other, &known).clone();
            if !self.occurs(variable, &general) {
                self.bind(variable, general);
            }
            return (true, true);
        }
        if self.occurs(variable, other) {
            return (false, false);
        }
        self.bind(variable, other.clone());
        (true, false)
    }

    fn occurs(&self, variable: usize, within: &Type) -> bool {
        match within {
            Type::Variable(other) => {
                *other == variable
                    || self
                        .of(*other)
                        .is_some_and(|known| self.occurs(variable, known))
            }
            Type::List(inner) | Type::Optional(inner) | Type::Meta(Some(inner)) => {
                self.occurs(variable, inner)
            }
            Type::Map(parts) => self.occurs(variable, &parts.0) || self.occurs(variable, &parts.1),
            _ => false,
        }
    }

    /// `of` with variables replaced by what they stand for, and those of which nothing is known by dyn if `settle`.
    pub(super) fn resolved(&self, of: &Type, settle: bool) -> Type {
        match of {
            Type::Variable(variable) => match self.of(*variable) {
                Some(known) => self.resolved(known, settle),
                None if settle => Type::Dyn,
                None => of.clone(),
            },
            Type::List(item) => Type::list(self.resolved(item, settle)),
            Type::Optional(inner) => Type::optional(self.resolved(inner, settle)),
            Type::Meta(Some(inner)) => Type::Meta(Some(Rc::new(self.resolved(inner, settle)))),
            Type::Map(parts) => Type::map(
                self.resolved(&parts.0, settle),
                self.resolved(&parts.1, settle),
            ),
            other => other.clone(),
        }
    }
}

/// The more general of two types of which one may stand for the other.
pub(super) fn most_general<'t>(a: &'t Type, b: &'t Type) -> &'t Type {
    if no_more_specific(a, b) { a } else { b }
}

fn no_more_specific(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Dyn | Type::Any | Type::Variable(_), _) => true,
        (_, Type::Dyn | Type::Any | Type::Variable(_)) => false,
        (Type::List(a), Type::List(b)) | (Type::Optional(a), Type::Optional(b)) => {
            no_more_specific(a, b)
        }
        (Type::Map(a), Type::Map(b)) => {
            no_more_specific(&a.0, &b.0) && no_more_specific(&a.1, &b.1)
        }
        (Type::Meta(_), Type::Meta(_)) => true,
        (a, b) => a == b,
    }
}
