//! Fields: their types and flags, and the notation that they are declared in.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

/// Name and notation of a field.
pub(crate) type Declared = (&'static str, &'static str);

/// The type of a field's value (reference section 1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FieldType {
    String,
    Int,
    Float,
    Boolean,
    Date,
    Enum,
    Password,
    /// RFC 1123 label.
    DnsLabel,
    /// RFC 1035 label.
    DnsLabelRestricted,
    /// RFC 1123 subdomain.
    Hostname,
    IntOrString,
    Base64,
    Json,
    /// The identifier of an object of this type; the text is as declared, possibly a path.
    Reference(String),
    Array(Box<Self>),
    Map(Box<Self>),
    /// A nested type by its id.
    Part(String),
}

impl FieldType {
    pub(crate) fn parse(text: &str) -> Self {
        let inside = |prefix: &str| {
            text.strip_prefix(prefix)
                .and_then(|rest| rest.strip_suffix(']'))
        };
        if let Some(inner) = inside("array[") {
            return Self::Array(Box::new(Self::parse(inner)));
        }
        if let Some(inner) = inside("map[") {
            return Self::Map(Box::new(Self::parse(inner)));
        }
        if let Some(inner) = inside("reference[") {
            return Self::Reference(inner.to_owned());
        }
        match text {
            "string" => Self::String,
            "int" => Self::Int,
            "float" => Self::Float,
            "boolean" => Self::Boolean,
            "date" => Self::Date,
            "enum" => Self::Enum,
            "password" => Self::Password,
            "dnsLabel" => Self::DnsLabel,
            "dnsLabelRestricted" => Self::DnsLabelRestricted,
            "hostname" => Self::Hostname,
            "intOrString" => Self::IntOrString,
            "base64" => Self::Base64,
            "json" => Self::Json,
            other => Self::Part(other.to_owned()),
        }
    }

    /// The comparisons a collection can be filtered by on such a field.
    pub(crate) fn modifiers(&self) -> &'static [&'static str] {
        match self {
            Self::Boolean => &["eq", "ne"],
            Self::String
            | Self::Int
            | Self::Date
            | Self::Enum
            | Self::DnsLabel
            | Self::DnsLabelRestricted
            | Self::Hostname
            | Self::Reference(_) => &["eq", "ne", "in", "notin"],
            Self::Float
            | Self::Password
            | Self::IntOrString
            | Self::Base64
            | Self::Json
            | Self::Array(_)
            | Self::Map(_)
            | Self::Part(_) => &[],
        }
    }

    /// Whether an answer offers to sort by such a field (recorded: text and enumerations only).
    pub(crate) fn offered_for_sort(&self) -> bool {
        matches!(self, Self::String | Self::Enum)
    }

    /// The type a reference points at, without a path before it.
    pub(crate) fn target(&self) -> Option<&str> {
        match self {
            Self::Reference(target) => target.rsplit('/').next(),
            _ => None,
        }
    }
}

impl std::fmt::Display for FieldType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::String => f.write_str("string"),
            Self::Int => f.write_str("int"),
            Self::Float => f.write_str("float"),
            Self::Boolean => f.write_str("boolean"),
            Self::Date => f.write_str("date"),
            Self::Enum => f.write_str("enum"),
            Self::Password => f.write_str("password"),
            Self::DnsLabel => f.write_str("dnsLabel"),
            Self::DnsLabelRestricted => f.write_str("dnsLabelRestricted"),
            Self::Hostname => f.write_str("hostname"),
            Self::IntOrString => f.write_str("intOrString"),
            Self::Base64 => f.write_str("base64"),
            Self::Json => f.write_str("json"),
            Self::Reference(target) => write!(f, "reference[{target}]"),
            Self::Array(inner) => write!(f, "array[{inner}]"),
            Self::Map(inner) => write!(f, "map[{inner}]"),
            Self::Part(id) => f.write_str(id),
        }
    }
}

/// One field of a type.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: FieldType,
    pub(crate) create: bool,
    pub(crate) update: bool,
    pub(crate) required: bool,
    pub(crate) nullable: bool,
    pub(crate) write_only: bool,
    pub(crate) pointer: bool,
    /// The value an absent field has.
    pub(crate) default: Option<Value>,
    pub(crate) options: Vec<&'static str>,
    pub(crate) min: Option<i64>,
    pub(crate) max: Option<i64>,
    /// Where the value stands in the Kubernetes object; empty: nowhere, it is computed.
    pub(crate) path: Vec<Cow<'static, str>>,
}

impl Field {
    /// Reads a field's notation. Words it does not know are flags that do not exist,
    /// which the test over all declarations refuses.
    pub(crate) fn parse((name, notation): Declared) -> Self {
        let mut words = notation.split(' ');
        let kind = FieldType::parse(words.next().unwrap_or_default());
        let mut field = Self {
            name,
            kind,
            create: false,
            update: false,
            required: false,
            nullable: false,
            write_only: false,
            pointer: false,
            default: None,
            options: Vec::new(),
            min: None,
            max: None,
            path: Vec::new(),
        };
        for word in words {
            match word.split_once('=') {
                Some(("default", value)) => field.default = Some(field.literal(value)),
                Some(("options", value)) => field.options = value.split('|').collect(),
                Some(("min", value)) => field.min = value.parse().ok(),
                Some(("max", value)) => field.max = value.parse().ok(),
                Some(_) => debug_assert!(false, "unknown limit {word} of field {name}"),
                None if word == "pointer" => field.pointer = true,
                None => {
                    for flag in word.chars() {
                        match flag {
                            'c' => field.create = true,
                            'u' => field.update = true,
                            'r' => field.required = true,
                            'n' => field.nullable = true,
                            'w' => field.write_only = true,
                            _ => debug_assert!(false, "unknown flag {flag} of field {name}"),
                        }
                    }
                }
            }
        }
        if field.default.is_none() && !field.nullable {
            field.default = match field.kind {
                FieldType::Boolean => Some(json!(false)),
                FieldType::Int => Some(json!(0)),
                _ => None,
            };
        }
        field
    }

    fn literal(&self, text: &str) -> Value {
        match self.kind {
            FieldType::Boolean => json!(text == "true"),
            FieldType::Int => text.parse::<i64>().map_or(Value::Null, Value::from),
            _ => json!(text),
        }
    }

    /// Whether clients ever write this field.
    pub(crate) fn writable(&self) -> bool {
        self.create || self.update
    }

    /// The name under which Kubernetes objects keep this field: references are kept as `...Name`.
    pub(crate) fn object_name(&self) -> Cow<'static, str> {
        let is_reference = |kind: &FieldType| matches!(kind, FieldType::Reference(_));
        match &self.kind {
            FieldType::Reference(_) => {
                if let Some(stem) = self.name.strip_suffix("Id") {
                    return format!("{stem}Name").into();
                }
            }
            FieldType::Array(inner) if is_reference(inner) => {
                if let Some(stem) = self.name.strip_suffix("Ids") {
                    return format!("{stem}Names").into();
                }
            }
            _ => {}
        }
        self.name.into()
    }

    /// The field as schema documents show it.
    pub(crate) fn document(&self) -> Value {
        let mut document = Map::new();
        document.insert("type".to_owned(), json!(self.kind.to_string()));
        document.insert("create".to_owned(), json!(self.create));
        document.insert("update".to_owned(), json!(self.update));
        for (name, set) in [
            ("nullable", self.nullable),
            ("required", self.required),
            ("writeOnly", self.write_only),
            ("pointer", self.pointer),
        ] {
            if set {
                document.insert(name.to_owned(), json!(true));
            }
        }
        if let Some(default) = &self.default {
            document.insert("default".to_owned(), default.clone());
        }
        if !self.options.is_empty() {
            document.insert("options".to_owned(), json!(self.options));
        }
        for (name, limit) in [("min", self.min), ("max", self.max)] {
            if let Some(limit) = limit {
                document.insert(name.to_owned(), json!(limit));
            }
        }
        Value::Object(document)
    }
}
