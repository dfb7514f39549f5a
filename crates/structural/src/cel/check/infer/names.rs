//! Types by their names, and the messages that they stand for.

use super::super::types::Type;
use crate::cel::messages::{self, Field};

/// Names of types that mean nothing when the expression runs.
pub(super) const NAMELESS: [&str; 15] = [
    "timestamp",
    "duration",
    "google.protobuf.Any",
    "google.protobuf.BoolValue",
    "google.protobuf.BytesValue",
    "google.protobuf.DoubleValue",
    "google.protobuf.FloatValue",
    "google.protobuf.Int32Value",
    "google.protobuf.Int64Value",
    "google.protobuf.ListValue",
    "google.protobuf.StringValue",
    "google.protobuf.Struct",
    "google.protobuf.UInt32Value",
    "google.protobuf.UInt64Value",
    "google.protobuf.Value",
];

/// Names of types that are known to have no fields.
pub(super) const SCALARS: [&str; 11] = [
    "bool",
    "bytes",
    "double",
    "duration",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "timestamp",
    "uint",
];

/// A type as a value, by its name.
pub(super) fn type_named(name: &str) -> Option<Type> {
    let named = match name {
        "bool" => Type::Bool,
        "bytes" => Type::Bytes,
        "double" => Type::Double,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "string" => Type::Text,
        "null_type" => Type::Null,
        "google.protobuf.Timestamp" | "timestamp" => Type::Timestamp,
        "google.protobuf.Duration" | "duration" => Type::Duration,
        "list" => Type::list(Type::Dyn),
        "map" => Type::map(Type::Dyn, Type::Dyn),
        "optional_type" => Type::optional(Type::Dyn),
        "net.IP" => Type::Opaque("net.IP"),
        "net.CIDR" => Type::Opaque("net.CIDR"),
        "google.protobuf.Any" => Type::Any,
        "google.protobuf.BoolValue" => Type::nullable(Type::Bool),
        "google.protobuf.BytesValue" => Type::nullable(Type::Bytes),
        "google.protobuf.DoubleValue" | "google.protobuf.FloatValue" => {
            Type::nullable(Type::Double)
        }
        "google.protobuf.Int32Value" | "google.protobuf.Int64Value" => Type::nullable(Type::Int),
        "google.protobuf.ListValue" => Type::list(Type::Dyn),
        "google.protobuf.StringValue" => Type::nullable(Type::Text),
        "google.protobuf.Struct" => Type::map(Type::Text, Type::Dyn),
        "google.protobuf.UInt32Value" | "google.protobuf.UInt64Value" => Type::nullable(Type::Uint),
        "google.protobuf.Value" => Type::Dyn,
        messages::EMPTY => Type::library(messages::EMPTY),
        messages::NULL_VALUE => return Some(Type::Int),
        "type" => return Some(Type::Meta(Some(Type::Meta(None).into()))),
        _ => return None,
    };
    Some(Type::Meta(Some(named.into())))
}

/// The message that a type stands for where one is made, and whose fields are looked at.
pub(super) fn message_of(made: &Type) -> Option<&str> {
    Some(match made {
        Type::Any => "google.protobuf.Any",
        Type::Dyn => "google.protobuf.Value",
        Type::Null => "google.protobuf.NullValue",
        Type::Timestamp => "google.protobuf.Timestamp",
        Type::Duration => "google.protobuf.Duration",
        Type::List(item) if **item == Type::Dyn => "google.protobuf.ListValue",
        Type::Map(parts) if **parts == (Type::Text, Type::Dyn) => "google.protobuf.Struct",
        Type::Nullable(plain) => match plain.as_ref() {
            Type::Bool => "google.protobuf.BoolValue",
            Type::Bytes => "google.protobuf.BytesValue",
            Type::Double => "google.protobuf.DoubleValue",
            Type::Int => "google.protobuf.Int64Value",
            Type::Text => "google.protobuf.StringValue",
            Type::Uint => "google.protobuf.UInt64Value",
            _ => return None,
        },
        Type::Object(object) => &object.name,
        _ => return None,
    })
}

pub(super) fn field_type(takes: Field) -> Type {
    match takes {
        Field::Bool => Type::Bool,
        Field::Bytes => Type::Bytes,
        Field::Double | Field::Float => Type::Double,
        Field::Int | Field::Int32 => Type::Int,
        Field::Uint | Field::Uint32 => Type::Uint,
        Field::Text => Type::Text,
        Field::Struct => Type::map(Type::Text, Type::Dyn),
        Field::List => Type::list(Type::Dyn),
    }
}
