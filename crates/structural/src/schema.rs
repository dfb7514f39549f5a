//! Schemas of objects, parsed once and compact in memory.
//!
//! Owns the in-memory form of structural schemas: those of CRDs (`openAPIV3Schema`) and those of published OpenAPI v3
//! documents, where kinds refer to shared components. Descriptions and examples are dropped. What a schema does to an
//! object is in the modules [`crate::prune`], [`crate::default`], [`crate::validate`] and [`crate::typed`]; whether a
//! CRD's schema is structural is told by [`crate::structural`].
//!
//! A [`Schema`] owns (shares) its document; a [`View`] is a borrowed place in it. References are resolved when they are
//! followed, so recursive schemas are no special case.
//!
//! Invariant: a schema that was parsed is never changed; `properties` are sorted by name.

mod keywords;
pub(crate) mod meta;
mod parse;

use std::fmt;
use std::sync::{Arc, OnceLock};

use regex::Regex;
use serde_json::Value;

pub use self::parse::SchemaError;

/// References that only lead to references are followed this far.
const MAX_ALIASES: usize = 8;

/// The JSON type a schema demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A JSON object.
    Object,
    /// A JSON array.
    Array,
    /// A string.
    String,
    /// A number without fraction.
    Integer,
    /// Any number.
    Number,
    /// true or false.
    Boolean,
}

impl Kind {
    /// The name in OpenAPI.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

/// How the items of a list belong together (`x-kubernetes-list-type`, or the older patch extensions).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListType {
    /// The list is one value.
    Atomic,
    /// Scalars, each once.
    Set,
    /// Objects told apart by their keys.
    Map,
}

/// How the fields of an object belong together (`x-kubernetes-map-type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapType {
    /// The object is one value.
    Atomic,
    /// Each field stands for itself.
    Granular,
}

/// `x-kubernetes-patch-strategy`, which is a comma separated list on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PatchStrategy {
    /// Merge item by item.
    pub merge: bool,
    /// Replace as a whole (only meaningful where the default would be to merge).
    pub replace: bool,
    /// Drop keys which the patch does not retain.
    pub retain_keys: bool,
}

/// What is allowed besides the named properties.
#[derive(Clone, Debug, Default)]
pub(crate) enum Additional {
    #[default]
    Unset,
    Allowed,
    Refused,
    Schema(Child),
}

/// A sub-schema: inline and shared, or a component of the document.
#[derive(Clone, Debug)]
pub(crate) enum Child {
    Inline(Arc<Node>),
    Component {
        index: usize,
        overlay: Option<Box<Overlay>>,
    },
}

/// What may stand beside a reference.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overlay {
    pub(crate) default: Option<Value>,
    pub(crate) map_type: Option<MapType>,
    pub(crate) nullable: bool,
    pub(crate) strategy: PatchStrategy,
}

/// One schema.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) kind: Option<Kind>,
    pub(crate) alias: Option<usize>,
    pub(crate) nullable: bool,
    pub(crate) int_or_string: bool,
    pub(crate) preserve_unknown: bool,
    pub(crate) embedded_resource: bool,
    /// Root of an object that has apiVersion, kind and metadata.
    pub(crate) resource: bool,
    /// Some schema inline below has a default (or is not known not to).
    pub(crate) deep_default: bool,
    pub(crate) list_type: Option<ListType>,
    pub(crate) map_type: Option<MapType>,
    pub(crate) strategy: PatchStrategy,
    pub(crate) special: Special,
    pub(crate) properties: Box<[(Box<str>, Child)]>,
    pub(crate) required: Box<[Box<str>]>,
    pub(crate) list_keys: Box<[Box<str>]>,
    pub(crate) merge_key: Option<Box<str>>,
    pub(crate) additional: Additional,
    pub(crate) items: Option<Child>,
    pub(crate) default: Option<Box<Value>>,
    pub(crate) constraints: Option<Box<Constraints>>,
    pub(crate) rules: Box<[Rule]>,
}

/// Components whose treatment in server-side apply is fixed by name
/// (k8s.io/kube-openapi `schemaconv/openapi.go`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Special {
    #[default]
    None,
    Quantity,
    RawExtension,
}

/// Value validations beyond the type.
#[derive(Debug, Default)]
pub(crate) struct Constraints {
    pub(crate) enumeration: Option<Box<[Value]>>,
    pub(crate) format: Option<Box<str>>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) minimum: Option<f64>,
    pub(crate) exclusive_minimum: bool,
    pub(crate) maximum: Option<f64>,
    pub(crate) exclusive_maximum: bool,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) unique_items: bool,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) all_of: Box<[Arc<Node>]>,
    pub(crate) any_of: Box<[Arc<Node>]>,
    pub(crate) one_of: Box<[Arc<Node>]>,
    pub(crate) not: Option<Arc<Node>>,
}

/// A regular expression, compiled at first use.
pub(crate) struct Pattern {
    pub(crate) source: Box<str>,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(crate) fn new(source: &str) -> Self {
        Self {
            source: source.into(),
            compiled: OnceLock::new(),
        }
    }

    /// Whether `text` contains a match; `None` if the expression does not compile.
    pub(crate) fn matches(&self, text: &str) -> Option<bool> {
        self.compiled
            .get_or_init(|| {
                regex::RegexBuilder::new(&self.source)
                    .size_limit(4 << 20)
                    .build()
                    .ok()
            })
            .as_ref()
            .map(|regex| regex.is_match(text))
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.source).finish()
    }
}

/// One entry of `x-kubernetes-validations`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The CEL expression.
    pub rule: String,
    /// The fixed message.
    pub message: Option<String>,
    /// A CEL expression that gives the message.
    pub message_expression: Option<String>,
    /// The reason of the error, FieldValueInvalid if unset.
    pub reason: Option<String>,
    /// Path of the error, relative to the place of the rule.
    pub field_path: Option<String>,
    /// Whether the rule also runs when there is no old value.
    pub optional_old_self: bool,
}

/// A set of named schemas that may refer to each other.
#[derive(Debug, Default)]
pub struct Document {
    names: Vec<Box<str>>,
    /// Index into `nodes` by name, sorted by name.
    by_name: Vec<usize>,
    nodes: Vec<Arc<Node>>,
    /// Of the API server's own kinds, not of a custom resource.
    published: bool,
}

impl Document {
    /// The schema of the component `name`.
    #[must_use]
    pub fn component(self: &Arc<Self>, name: &str) -> Option<Schema> {
        let index = self.index(name)?;
        Some(Schema {
            document: Arc::clone(self),
            root: Arc::clone(&self.nodes[index]),
        })
    }

    /// The names of all components.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.by_name
            .binary_search_by(|&index| self.names[index].as_ref().cmp(name))
            .ok()
            .map(|position| self.by_name[position])
    }
}

/// A schema: a root together with the document its references point into. Cheap to clone.
#[derive(Clone)]
pub struct Schema {
    document: Arc<Document>,
    root: Arc<Node>,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Schema {
    /// A resource of which nothing is known but that it is one: every field is kept and owned by itself, lists are
    /// atomic.
    #[must_use]
    pub fn any() -> Self {
        Self {
            document: Arc::default(),
            root: Arc::new(Node {
                kind: Some(Kind::Object),
                resource: true,
                preserve_unknown: true,
                ..Node::default()
            }),
        }
    }

    /// The root of the schema.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View {
            document: &self.document,
            node: &self.root,
            overlay: None,
        }
        .resolved()
    }
}

/// A borrowed place in a [`Schema`].
#[derive(Clone, Copy)]
pub struct View<'a> {
    document: &'a Document,
    pub(crate) node: &'a Node,
    overlay: Option<&'a Overlay>,
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("node", self.node)
            .finish_non_exhaustive()
    }
}

impl<'a> View<'a> {
    fn resolved(mut self) -> Self {
        for _ in 0..MAX_ALIASES {
            let Some(index) = self.node.alias else { break };
            let Some(node) = self.document.nodes.get(index) else {
                break;
            };
            self.node = node;
        }
        self
    }

    pub(crate) fn follow(self, child: &'a Child) -> Self {
        match child {
            Child::Inline(node) => Self {
                document: self.document,
                node,
                overlay: None,
            },
            Child::Component { index, overlay } => Self {
                document: self.document,
                node: &self.document.nodes[*index],
                overlay: overlay.as_deref(),
            }
            .resolved(),
        }
    }

    /// The same document, at a node found in this one (a branch of allOf and the like).
    pub(crate) fn branch(self, node: &'a Node) -> Self {
        Self {
            document: self.document,
            node,
            overlay: None,
        }
        .resolved()
    }

    /// The JSON type, if one is demanded.
    #[must_use]
    pub fn kind(self) -> Option<Kind> {
        self.node.kind
    }

    /// The schema of the property `name`, if it is specified by name.
    #[must_use]
    pub fn property(self, name: &str) -> Option<Self> {
        let properties = &self.node.properties;
        let index = properties
            .binary_search_by(|(candidate, _)| candidate.as_ref().cmp(name))
            .ok()?;
        Some(self.follow(&properties[index].1))
    }

    /// The named properties, sorted.
    pub fn properties(self) -> impl Iterator<Item = (&'a str, Self)> {
        self.node
            .properties
            .iter()
            .map(move |(name, child)| (name.as_ref(), self.follow(child)))
    }

    /// The schema of properties that are not specified by name.
    #[must_use]
    pub fn additional_properties(self) -> Option<Self> {
        match &self.node.additional {
            Additional::Schema(child) => Some(self.follow(child)),
            Additional::Unset | Additional::Allowed | Additional::Refused => None,
        }
    }

    /// Whether `additionalProperties` is given, whatever it says.
    pub(crate) fn has_additional_properties(self) -> bool {
        !matches!(self.node.additional, Additional::Unset)
    }

    /// The schema of items.
    #[must_use]
    pub fn items(self) -> Option<Self> {
        self.node.items.as_ref().map(|child| self.follow(child))
    }

    /// The default value.
    #[must_use]
    pub fn default_value(self) -> Option<&'a Value> {
        self.overlay
            .and_then(|overlay| overlay.default.as_ref())
            .or(self.node.default.as_deref())
    }

    /// Whether null is a value of its own here.
    #[must_use]
    pub fn nullable(self) -> bool {
        self.node.nullable || self.overlay.is_some_and(|overlay| overlay.nullable)
    }

    /// `x-kubernetes-int-or-string`, or the equivalent format.
    #[must_use]
    pub fn int_or_string(self) -> bool {
        self.node.int_or_string
    }

    /// `x-kubernetes-preserve-unknown-fields: true`.
    #[must_use]
    pub fn preserves_unknown_fields(self) -> bool {
        self.node.preserve_unknown
    }

    /// Whether the value here is an object with apiVersion, kind and metadata (the root, or an embedded one).
    #[must_use]
    pub fn is_resource(self) -> bool {
        self.node.resource || self.node.embedded_resource
    }

    /// Whether all properties, named or not, are kept: an object without any specified property in a published
    /// document, `additionalProperties: true`, or preserved unknown fields.
    #[must_use]
    pub fn allows_any_property(self) -> bool {
        self.node.preserve_unknown || matches!(self.node.additional, Additional::Allowed)
    }

    /// `x-kubernetes-list-type` with the older patch extensions as fallback; atomic if nothing is said.
    #[must_use]
    pub fn list_type(self) -> ListType {
        match self.node.list_type {
            Some(list_type) => list_type,
            None if self.node.strategy.merge => match self.node.merge_key {
                Some(_) => ListType::Map,
                None => ListType::Set,
            },
            None => ListType::Atomic,
        }
    }

    /// `x-kubernetes-list-type` as written.
    #[must_use]
    pub fn declared_list_type(self) -> Option<ListType> {
        self.node.list_type
    }

    /// The keys of a list of type map.
    pub fn list_keys(self) -> impl Iterator<Item = &'a str> + Clone {
        let fallback = match self.node.list_type {
            Some(_) => None,
            None => self.node.merge_key.as_deref(),
        };
        self.node
            .list_keys
            .iter()
            .map(AsRef::as_ref)
            .chain(fallback)
    }

    /// `x-kubernetes-map-type`, if given.
    #[must_use]
    pub fn map_type(self) -> Option<MapType> {
        self.overlay
            .and_then(|overlay| overlay.map_type)
            .or(self.node.map_type)
    }

    /// `x-kubernetes-patch-strategy`.
    #[must_use]
    pub fn patch_strategy(self) -> PatchStrategy {
        self.overlay
            .map(|overlay| overlay.strategy)
            .filter(|strategy| *strategy != PatchStrategy::default())
            .unwrap_or(self.node.strategy)
    }

    /// `x-kubernetes-patch-merge-key`.
    #[must_use]
    pub fn patch_merge_key(self) -> Option<&'a str> {
        self.node.merge_key.as_deref()
    }

    /// `format`.
    #[must_use]
    pub fn format(self) -> Option<&'a str> {
        self.node.constraints.as_ref()?.format.as_deref()
    }

    /// The names of required properties.
    pub fn required(self) -> impl Iterator<Item = &'a str> {
        self.node.required.iter().map(AsRef::as_ref)
    }

    /// `x-kubernetes-validations`.
    #[must_use]
    pub fn rules(self) -> &'a [Rule] {
        &self.node.rules
    }

    pub(crate) fn constraints(self) -> Option<&'a Constraints> {
        self.node.constraints.as_deref()
    }

    /// Whether the value is a Quantity, text that may be written as a number.
    #[must_use]
    pub fn is_quantity(self) -> bool {
        self.node.special == Special::Quantity
    }

    pub(crate) fn special(self) -> Special {
        self.node.special
    }

    /// Whether this is a reference of a published document with an empty object as default.
    pub(crate) fn is_published_struct(self) -> bool {
        self.overlay
            .and_then(|overlay| overlay.default.as_ref())
            .and_then(Value::as_object)
            .is_some_and(serde_json::Map::is_empty)
    }

    /// Whether the property `name` is printed by the API server even if it has no value: required properties of its own
    /// kinds.
    pub(crate) fn always_prints(self, name: &str) -> bool {
        self.document.published && self.required().any(|required| required == name)
    }

    /// Whether a default may be found here or below.
    pub(crate) fn may_default(self) -> bool {
        self.node.deep_default || self.default_value().is_some()
    }
}
