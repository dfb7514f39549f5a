//! Values of expressions.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;

use base64::Engine as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value as Json};

use super::functions::semver::Semver;
use super::made::Made;
use super::messages;
use crate::quantity::Quantity;
use crate::schema::{Kind, ListType, View};

/// A value. JSON is borrowed, with the schema that says what it means.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// null
    Null,
    /// A boolean.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// A floating point number.
    Double(f64),
    /// A string.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Rc<[u8]>),
    /// A point in time.
    Timestamp(Timestamp),
    /// A span of time.
    Duration(SignedDuration),
    /// A list made by the expression.
    List(Rc<Vec<Self>>),
    /// A map made by the expression; keys are unique.
    Map(Rc<Vec<(Self, Self)>>),
    /// A JSON array.
    JsonList(&'a [Json], Option<View<'a>>),
    /// A JSON object.
    JsonMap(&'a Map<String, Json>, Option<View<'a>>),
    /// An optional value.
    Optional(Option<Rc<Self>>),
    /// A type.
    Type(&'static str),
    /// A quantity.
    Quantity(Quantity),
    /// A semantic version.
    Semver(Rc<Semver>),
    /// An IP address.
    Ip(IpAddr),
    /// An IP network: an address and the length of its prefix.
    Cidr(IpAddr, u8),
    /// A URL, taken apart.
    Url(Rc<Url>),
    /// A named format.
    Format(&'static str),
    /// A message without fields.
    Empty,
    /// A part of an object, or an operation of a patch.
    Made(Rc<Made<'a>>),
    /// Something of the program that evaluates.
    Host(Rc<dyn Host>),
}

/// A value of the program that evaluates expressions: a thing with methods.
pub trait Host: fmt::Debug {
    /// The name of its type.
    fn type_name(&self) -> &'static str;

    /// What the expression `value.name` gives, if there is such a member.
    fn member(&self, name: &str) -> Option<Value<'static>>;

    /// What the expression `value.name(arguments)` gives, if there is such a method, and what that costs.
    fn call(&self, name: &str, arguments: &[Value<'_>]) -> Option<(Value<'static>, u64)>;
}

/// The parts of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub(super) text: String,
    pub(super) scheme: String,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) query: String,
}

impl<'a> Value<'a> {
    /// JSON as `view` describes it: strings of the formats date-time, date, duration and byte are what they mean.
    #[must_use]
    pub fn of(json: &'a Json, view: Option<View<'a>>) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => {
                let double = view.is_some_and(|view| view.kind() == Some(Kind::Number));
                match number.as_i64() {
                    Some(value) if !double => Self::Int(value),
                    _ => Self::Double(number.as_f64().unwrap_or_default()),
                }
            }
            Json::String(text) => Self::text_of(text, view),
            Json::Array(items) => Self::JsonList(items, view),
            Json::Object(object) => Self::JsonMap(object, view),
        }
    }

    fn text_of(text: &'a str, view: Option<View<'a>>) -> Self {
        let typed = match view.and_then(View::format) {
            Some("date-time" | "datetime") => text.parse().ok().map(Self::Timestamp),
            Some("date") => format!("{text}T00:00:00Z")
                .parse()
                .ok()
                .map(Self::Timestamp),
            Some("duration") => parse_duration(text).map(Self::Duration),
            Some("byte") => base64::engine::general_purpose::STANDARD
                .decode(text)
                .ok()
                .map(|bytes| Self::Bytes(bytes.into())),
            _ => None,
        };
        typed.unwrap_or(Self::Text(Cow::Borrowed(text)))
    }

    /// The name of the type.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Host(host) => host.type_name(),
            Self::Made(made) => made.type_name(),
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::List(_) | Self::JsonList(..) => "list",
            Self::Map(_) | Self::JsonMap(..) => "map",
            Self::Optional(_) => "optional_type",
            Self::Type(_) => "type",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Semver(_) => "kubernetes.Semver",
            Self::Ip(_) => "net.IP",
            Self::Cidr(..) => "net.CIDR",
            Self::Url(_) => "kubernetes.URL",
            Self::Format(_) => "kubernetes.NamedFormat",
            Self::Empty => messages::EMPTY,
        }
    }

    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::new(items))
    }

    pub(super) fn some(value: Self) -> Self {
        Self::Optional(Some(Rc::new(value)))
    }

    /// The items, if it is a list.
    pub(super) fn items(&self) -> Option<Cow<'_, [Self]>> {
        match self {
            Self::List(items) => Some(Cow::Borrowed(items)),
            Self::JsonList(items, view) => {
                let view = view.and_then(View::items);
                Some(items.iter().map(|item| Value::of(item, view)).collect())
            }
            _ => None,
        }
    }

    /// The entries, if it is a map.
    pub(super) fn entries(&self) -> Option<Vec<(Self, Self)>> {
        match self {
            Self::Map(entries) => Some(entries.as_ref().clone()),
            Self::JsonMap(object, view) => Some(
                object
                    .iter()
                    .map(|(key, value)| {
                        (
                            Self::Text(Cow::Borrowed(key.as_str())),
                            Value::of(value, child(*view, key)),
                        )
                    })
                    .collect(),
            ),
            _ => None,
        }
    }

    pub(super) fn size(&self) -> Option<usize> {
        match self {
            Self::Text(text) => Some(text.chars().count()),
            Self::Bytes(bytes) => Some(bytes.len()),
            Self::List(items) => Some(items.len()),
            Self::JsonList(items, _) => Some(items.len()),
            Self::Map(entries) => Some(entries.len()),
            Self::JsonMap(object, _) => Some(object.len()),
            _ => None,
        }
    }

    /// The value of a field or key, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        match self {
            Self::JsonMap(object, view) => {
                let value = object.get(key)?;
                // Among declared fields, null is the same as nothing.
                let declared = view.is_some_and(|view| view.properties().next().is_some());
                if declared && value.is_null() {
                    return None;
                }
                Some(Value::of(value, child(*view, key)))
            }
            Self::Map(entries) => entries
                .iter()
                .find(|(name, _)| matches!(name, Self::Text(name) if name == key))
                .map(|(_, value)| value.clone()),
            Self::Made(made) => made.get(key).cloned(),
            _ => None,
        }
    }

    /// Equality; numbers compare across their types, lists that are sets without regard to order.
    pub(super) fn equals(&self, other: &Self) -> bool {
        if let Some(order) = self.number_order(other) {
            return order == Some(Ordering::Equal);
        }
        match (self, other) {
            (Self::Null, Self::Null) | (Self::Empty, Self::Empty) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Made(a), Self::Made(b)) => a.equals(b),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Duration(a), Self::Duration(b)) => a == b,
            (Self::Type(a), Self::Type(b)) => a == b,
            (Self::Quantity(a), Self::Quantity(b)) => a == b,
            (Self::Semver(a), Self::Semver(b)) => a.cmp(b).is_eq(),
            (Self::Ip(a), Self::Ip(b)) => a == b,
            (Self::Cidr(a, m), Self::Cidr(b, n)) => a == b && m == n,
            (Self::Url(a), Self::Url(b)) => a == b,
            (Self::Format(a), Self::Format(b)) => a == b,
            (Self::Optional(a), Self::Optional(b)) => match (a, b) {
                (None, None) => true,
                (Some(a), Some(b)) => a.equals(b),
                _ => false,
            },
            (Self::List(_) | Self::JsonList(..), Self::List(_) | Self::JsonList(..)) => {
                let (Some(a), Some(b)) = (self.items(), other.items()) else {
                    return false;
                };
                if a.len() != b.len() {
                    return false;
                }
                if self.is_unordered() || other.is_unordered() {
                    return a
                        .iter()
                        .all(|item| b.iter().any(|candidate| candidate.equals(item)));
                }
                a.iter().zip(b.iter()).all(|(a, b)| a.equals(b))
            }
            (Self::Map(_) | Self::JsonMap(..), Self::Map(_) | Self::JsonMap(..)) => {
                let (Some(a), Some(b)) = (self.entries(), other.entries()) else {
                    return false;
                };
                a.len() == b.len()
                    && a.iter().all(|(key, value)| {
                        b.iter()
                            .any(|(other, candidate)| key.equals(other) && value.equals(candidate))
                    })
            }
            _ => false,
        }
    }

    /// Whether it is a JSON list whose order does not matter.
    pub(super) fn is_unordered(&self) -> bool {
        matches!(self, Self::JsonList(_, Some(view)) if matches!(view.declared_list_type(), Some(ListType::Set | ListType::Map)))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "mixed comparisons are those of doubles"
    )]
    fn as_double(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Uint(value) => Some(*value as f64),
            Self::Double(value) => Some(*value),
            _ => None,
        }
    }

    /// The order of two numbers; the outer `None` if one is no number.
    fn number_order(&self, other: &Self) -> Option<Option<Ordering>> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(Some(a.cmp(b))),
            (Self::Uint(a), Self::Uint(b)) => Some(Some(a.cmp(b))),
            (Self::Int(a), Self::Uint(b)) => Some(Some(i128::from(*a).cmp(&i128::from(*b)))),
            (Self::Uint(a), Self::Int(b)) => Some(Some(i128::from(*a).cmp(&i128::from(*b)))),
            (a, b) => Some(a.as_double()?.partial_cmp(&b.as_double()?)),
        }
    }

    /// The order, where there is one.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        if let Some(order) = self.number_order(other) {
            return order;
        }
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Bytes(a), Self::Bytes(b)) => Some(a.cmp(b)),
            (Self::Timestamp(a), Self::Timestamp(b)) => Some(a.cmp(b)),
            (Self::Duration(a), Self::Duration(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// What comparing or copying it costs: the bytes and items it consists of, at least one.
    pub(super) fn weight(&self) -> u64 {
        let size = match self {
            Self::Text(text) => text.len() / 10,
            Self::Bytes(bytes) => bytes.len() / 10,
            Self::List(items) => items.len(),
            Self::JsonList(items, _) => items.iter().map(json_weight).sum(),
            Self::Map(entries) => entries.len(),
            Self::Made(made) => made.len(),
            Self::JsonMap(object, _) => object.values().map(json_weight).sum(),
            _ => 0,
        };
        u64::try_from(size).unwrap_or(u64::MAX).saturating_add(1)
    }
}

fn json_weight(json: &Json) -> usize {
    match json {
        Json::Null | Json::Bool(_) | Json::Number(_) => 1,
        Json::String(text) => 1 + text.len() / 10,
        Json::Array(items) => 1 + items.iter().map(json_weight).sum::<usize>(),
        Json::Object(object) => 1 + object.values().map(json_weight).sum::<usize>(),
    }
}

fn child<'a>(view: Option<View<'a>>, key: &str) -> Option<View<'a>> {
    let view = view?;
    view.property(key).or_else(|| view.additional_properties())
}

/// A span of time such as `1h30m`, `-2.5s`.
pub(super) fn parse_duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (whole, fraction) = match rest[..digits].split_once('.') {
            Some((whole, fraction)) => (whole, fraction),
            None => (&rest[..digits], ""),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        rest = &rest[digits..];
        let unit_end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let unit: i128 = match &rest[..unit_end] {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        rest = &rest[unit_end..];
        let whole: i128 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        total = total.checked_add(whole.checked_mul(unit)?)?;
        if !fraction.is_empty() {
            let fraction = &fraction[..fraction.len().min(12)];
            let scale = 10i128.pow(u32::try_from(fraction.len()).ok()?);
            total = total.checked_add(fraction.parse::<i128>().ok()?.checked_mul(unit)? / scale)?;
        }
    }
    let total = if negative { -total } else { total };
    let nanos = i64::try_from(total).ok()?;
    Some(SignedDuration::from_nanos(nanos))
}

/// The text of a value, as string() and messages give it.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Uint(value) => write!(f, "{value}"),
            Self::Double(value) => write!(f, "{value}"),
            Self::Text(text) => f.write_str(text),
            Self::Bytes(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
            Self::Timestamp(time) => write!(f, "{time}"),
            Self::Duration(duration) => {
                let nanos = duration.as_nanos();
                let (sign, nanos) = if nanos < 0 {
                    ("-", -nanos)
                } else {
                    ("", nanos)
                };
                let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
                if rest == 0 {
                    return write!(f, "{sign}{seconds}s");
                }
                let fraction = format!("{rest:09}");
                write!(f, "{sign}{seconds}.{}s", fraction.trim_end_matches('0'))
            }
            Self::Type(name) => f.write_str(name),
            Self::Quantity(quantity) => write!(f, "{quantity}"),
            Self::Semver(version) => write!(f, "{version}"),
            Self::Ip(address) => write!(f, "{address}"),
            Self::Cidr(address, length) => write!(f, "{address}/{length}"),
            Self::Url(url) => f.write_str(&url.text),
            Self::Format(name) => f.write_str(name),
            Self::Empty => write!(f, "{}{{}}", messages::EMPTY),
            Self::Host(host) => f.write_str(host.type_name()),
            Self::Made(made) => write!(f, "{}{{}}", made.type_name()),
            Self::Optional(None) => f.write_str("optional.none()"),
            Self::Optional(Some(value)) => write!(f, "optional({value})"),
            Self::List(_) | Self::JsonList(..) => {
                f.write_str("[")?;
                for (index, item) in self
                    .items()
                    .iter()
                    .flat_map(|items| items.iter())
                    .enumerate()
                {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{item}")?;
                }
                f.write_str("]")
            }
            Self::Map(_) | Self::JsonMap(..) => {
                f.write_str("{")?;
                for (index, (key, value)) in self.entries().into_iter().flatten().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{key}: {value}")?;
                }
                f.write_str("}")
            }
        }
    }
}
