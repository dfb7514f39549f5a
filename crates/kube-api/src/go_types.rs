//! The Go types of the built-in kinds, as far as their JSON and protobuf forms follow from them.
//!
//! Owns the format of `data/wire.txt.gz`, which `examples/wire/main.go` records.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::{Arc, OnceLock};

use flate2::read::GzDecoder;

const WIRE: &[u8] = include_bytes!("../data/wire.txt.gz");

/// The package of metadata, times and managed fields.
pub(crate) const META: &str = "apimachinery/pkg/apis/meta/v1";
/// The package of definitions.
pub(crate) const EXTENSIONS: &str = "apiextensions-apiserver/pkg/apis/apiextensions/v1";
/// The package of quantities.
pub(crate) const RESOURCE: &str = "apimachinery/pkg/api/resource";
/// The package of numbers that may be text.
pub(crate) const INTSTR: &str = "apimachinery/pkg/util/intstr";

/// One field of a type.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) repeated: bool,
    /// A map with texts as keys.
    pub(crate) map: bool,
    pub(crate) pointer: bool,
    /// `omitempty`, which never leaves out a structure.
    pub(crate) omit_empty: bool,
    /// `omitzero`.
    pub(crate) omit_zero: bool,
    /// Its members stand in the parent.
    pub(crate) inline: bool,
}

/// What a field, or each of its values, holds.
#[derive(Debug)]
pub(crate) enum Kind {
    Text,
    Bytes,
    Integer,
    Boolean,
    Float,
    /// Another type, by name.
    Message(String),
}

/// All types.
#[derive(Debug, Default)]
pub(crate) struct Types {
    by_name: HashMap<String, Type>,
    /// `apps/v1/Deployment` to the name of its type.
    kinds: HashMap<String, String>,
}

/// The fields of one type.
#[derive(Debug, Default)]
pub(crate) struct Type {
    pub(crate) by_number: HashMap<u64, Arc<Field>>,
    /// In the order of their numbers.
    pub(crate) fields: Vec<Arc<Field>>,
}

impl Type {
    /// The items of a named list, which is a message with one field without a name.
    pub(crate) fn items(&self) -> Option<&Field> {
        let only = self.fields.first()?;
        (only.repeated && only.name.is_empty()).then_some(only)
    }
}

impl Types {
    /// The type `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Type> {
        self.by_name.get(name)
    }

    /// The name of the type of a kind.
    pub(crate) fn of_kind(&self, api_version: &str, kind: &str) -> Option<&str> {
        self.kinds
            .get(&format!("{api_version}/{kind}"))
            .map(String::as_str)
    }
}

/// The recorded types, parsed once.
pub(crate) fn types() -> &'static Types {
    static TYPES: OnceLock<Types> = OnceLock::new();
    TYPES.get_or_init(|| {
        let mut text = String::new();
        let read = GzDecoder::new(WIRE).read_to_string(&mut text);
        debug_assert!(read.is_ok(), "the recording is gzip");
        let mut types = Types::default();
        for line in text.lines() {
            let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
            if let Some(kind) = name.strip_prefix('=') {
                types.kinds.insert(kind.to_owned(), rest.to_owned());
                continue;
            }
            let mut fields: Vec<_> = rest.split(' ').filter_map(field).collect();
            fields.sort_by_key(|(number, _)| *number);
            let message = Type {
                by_number: fields.iter().cloned().collect(),
                fields: fields.into_iter().map(|(_, field)| field).collect(),
            };
            types.by_name.insert(name.to_owned(), message);
        }
        types
    })
}

/// `number:name:kind:flags`
fn field(text: &str) -> Option<(u64, Arc<Field>)> {
    let mut parts = text.split(':');
    let number = parts.next()?.parse().ok()?;
    let name = parts.next()?.to_owned();
    let kind = match parts.next()? {
        "s" => Kind::Text,
        "b" => Kind::Bytes,
        "i" => Kind::Integer,
        "t" => Kind::Boolean,
        "f" => Kind::Float,
        message => Kind::Message(message.to_owned()),
    };
    let flags = parts.next().unwrap_or_default();
    let has = |flag: char| flags.contains(flag);
    let field = Field {
        name,
        kind,
        repeated: has('r'),
        map: has('m'),
        pointer: has('p'),
        omit_empty: has('o'),
        omit_zero: has('z'),
        inline: has('n'),
    };
    Some((number, Arc::new(field)))
}
