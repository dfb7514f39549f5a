//! From OpenAPI JSON to [`Schema`].
//!
//! Unknown keywords are ignored, as the API server's typed decoding ignores them; keywords of the wrong type are errors
//! that name the place.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::keywords::Keywords;
use super::{
    Additional, Child, Constraints, Document, Kind, ListType, Node, Overlay, PatchStrategy,
    Pattern, Schema, Special,
};
use crate::path::Path;

/// Nested deeper than this, a schema is refused.
const MAX_DEPTH: usize = 128;
const COMPONENT_PREFIX: &str = "#/components/schemas/";
const DEFINITION_PREFIX: &str = "#/definitions/";
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const RAW_EXTENSION: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";

/// Why a schema could not be parsed.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A keyword has a value of the wrong type.
    #[error("{path}: {keyword} must be {expected}")]
    Keyword {
        /// Where the schema stands.
        path: String,
        /// The keyword.
        keyword: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A schema is not an object.
    #[error("{path}: a schema must be an object")]
    NotAnObject {
        /// Where.
        path: String,
    },
    /// A reference leads nowhere.
    #[error("{path}: unresolved reference {reference}")]
    Reference {
        /// Where.
        path: String,
        /// The reference.
        reference: String,
    },
    /// Nested too deeply.
    #[error("{path}: schema is nested too deeply")]
    TooDeep {
        /// Where.
        path: String,
    },
    /// Not an OpenAPI v3 document.
    #[error("no components.schemas in the document")]
    NoComponents,
}

impl Schema {
    /// Parses the `openAPIV3Schema` of a CRD version. The root is a resource: metadata is known even if the schema says
    /// nothing of it.
    ///
    /// # Errors
    ///
    /// Keywords of the wrong type and excessive nesting. Whether the schema is structural is another question.
    pub fn from_crd(schema: &Value) -> Result<Self, SchemaError> {
        let document = Document::default();
        let mut node = Parser {
            document: &document,
            published: false,
        }
        .node(schema, &Path::field("openAPIV3Schema"), 0)?;
        node.resource = true;
        Ok(Self {
            document: Arc::new(document),
            root: Arc::new(node),
        })
    }

    /// Parses a schema without references that stands for itself (no resource).
    ///
    /// # Errors
    ///
    /// As [`Schema::from_crd`].
    pub fn from_openapi(schema: &Value) -> Result<Self, SchemaError> {
        let document = Document::default();
        let node = Parser {
            document: &document,
            published: false,
        }
        .node(schema, &Path::ROOT, 0)?;
        Ok(Self {
            document: Arc::new(document),
            root: Arc::new(node),
        })
    }
}

impl Document {
    /// Parses the components of a published OpenAPI v3 document (`/openapi/v3/...`), or the definitions of a v2 one.
    /// Components with `x-kubernetes-group-version-kind` that have `metadata` are resources.
    ///
    /// # Errors
    ///
    /// No components, unresolved references, keywords of the wrong type.
    pub fn parse(openapi: &Value) -> Result<Arc<Self>, SchemaError> {
        let components = openapi
            .pointer("/components/schemas")
            .or_else(|| openapi.get("definitions"))
            .and_then(Value::as_object)
            .ok_or(SchemaError::NoComponents)?;
        Self::from_components(components)
    }

    /// Parses components given by name.
    ///
    /// # Errors
    ///
    /// As [`Document::parse`].
    pub fn from_components(components: &Map<String, Value>) -> Result<Arc<Self>, SchemaError> {
        let mut document = Self {
            names: components.keys().map(|name| name.as_str().into()).collect(),
            by_name: (0..components.len()).collect(),
            nodes: Vec::new(),
            published: true,
        };
        let names = &document.names;
        document.by_name.sort_by(|&a, &b| names[a].cmp(&names[b]));
        let mut nodes = Vec::with_capacity(components.len());
        for (name, schema) in components {
            let mut node = Parser {
                document: &document,
                published: true,
            }
            .node(schema, &Path::field(name), 0)?;
            node.resource = schema.get("x-kubernetes-group-version-kind").is_some()
                && node
                    .properties
                    .iter()
                    .any(|(name, _)| name.as_ref() == "metadata");
            node.special = match name.as_str() {
                QUANTITY => Special::Quantity,
                RAW_EXTENSION => Special::RawExtension,
                _ => Special::None,
            };
            nodes.push(Arc::new(node));
        }
        document.nodes = nodes;
        Ok(Arc::new(document))
    }
}

struct Parser<'a> {
    document: &'a Document,
    /// In published documents an object of which nothing is specified may hold anything.
    published: bool,
}

impl Parser<'_> {
    fn reference(&self, reference: &str, path: &Path<'_>) -> Result<usize, SchemaError> {
        reference
            .strip_prefix(COMPONENT_PREFIX)
            .or_else(|| reference.strip_prefix(DEFINITION_PREFIX))
            .and_then(|name| self.document.index(name))
            .ok_or_else(|| SchemaError::Reference {
                path: path.to_string(),
                reference: reference.to_owned(),
            })
    }

    fn child(&self, schema: &Value, path: &Path<'_>, depth: usize) -> Result<Child, SchemaError> {
        if let Some(reference) = direct_reference(schema) {
            let keywords = Keywords { schema, path };
            let overlay = Overlay {
                default: schema.get("default").cloned(),
                map_type: keywords.map_type()?,
                nullable: keywords.flag("nullable")?,
                strategy: keywords.patch_strategy()?,
            };
            let bare = overlay.default.is_none()
                && overlay.map_type.is_none()
                && !overlay.nullable
                && overlay.strategy == PatchStrategy::default();
            return Ok(Child::Component {
                index: self.reference(reference, path)?,
                overlay: (!bare).then(|| Box::new(overlay)),
            });
        }
        Ok(Child::Inline(Arc::new(self.node(schema, path, depth)?)))
    }

    #[expect(clippy::too_many_lines, reason = "one line per keyword")]
    fn node(&self, schema: &Value, path: &Path<'_>, depth: usize) -> Result<Node, SchemaError> {
        if depth > MAX_DEPTH {
            return Err(SchemaError::TooDeep {
                path: path.to_string(),
            });
        }
        let Some(object) = schema.as_object() else {
            return Err(SchemaError::NotAnObject {
                path: path.to_string(),
            });
        };
        let keywords = Keywords { schema, path };
        let mut node = Node::default();
        if let Some(reference) = direct_reference(schema) {
            node.alias = Some(self.reference(reference, path)?);
            node.deep_default = true;
            return Ok(node);
        }
        node.kind = match keywords.text("type")? {
            None | Some("") => None,
            Some("object") => Some(Kind::Object),
            Some("array") => Some(Kind::Array),
            Some("string") => Some(Kind::String),
            Some("integer") => Some(Kind::Integer),
            Some("number") => Some(Kind::Number),
            Some("boolean") => Some(Kind::Boolean),
            Some(_) => {
                return Err(keywords.wrong(
                    "type",
                    "one of object, array, string, integer, number, boolean",
                ));
            }
        };
        let format = keywords.text("format")?;
        node.nullable = keywords.flag("nullable")?;
        node.int_or_string =
            keywords.flag("x-kubernetes-int-or-string")? || format == Some("int-or-string");
        if format == Some("int-or-string") {
            node.kind = None;
        }
        node.preserve_unknown = keywords.flag("x-kubernetes-preserve-unknown-fields")?;
        node.embedded_resource = keywords.flag("x-kubernetes-embedded-resource")?;
        node.list_type = match keywords.text("x-kubernetes-list-type")? {
            None => None,
            Some("atomic") => Some(ListType::Atomic),
            Some("set") => Some(ListType::Set),
            Some("map") => Some(ListType::Map),
            Some(_) => {
                return Err(keywords.wrong("x-kubernetes-list-type", "one of atomic, set, map"));
            }
        };
        node.map_type = keywords.map_type()?;
        node.strategy = keywords.patch_strategy()?;
        node.merge_key = keywords
            .text("x-kubernetes-patch-merge-key")?
            .map(Into::into);
        node.list_keys = keywords.texts("x-kubernetes-list-map-keys")?;
        node.required = keywords.texts("required")?;
        node.default = object.get("default").map(|value| Box::new(value.clone()));
        if let Some(properties) = keywords.object("properties")? {
            let place = path.child("properties");
            let mut parsed: Vec<(Box<str>, Child)> = Vec::with_capacity(properties.len());
            for (name, schema) in properties {
                parsed.push((
                    name.as_str().into(),
                    self.child(schema, &place.key(name), depth + 1)?,
                ));
            }
            parsed.sort_by(|a, b| a.0.cmp(&b.0));
            node.properties = parsed.into();
        }
        node.additional = match object.get("additionalProperties") {
            None | Some(Value::Null) => Additional::Unset,
            Some(Value::Bool(true)) => Additional::Allowed,
            Some(Value::Bool(false)) => Additional::Refused,
            Some(schema) => Additional::Schema(self.child(
                schema,
                &path.child("additionalProperties"),
                depth + 1,
            )?),
        };
        if self.published
            && matches!(node.kind, None | Some(Kind::Object))
            && node.properties.is_empty()
            && matches!(node.additional, Additional::Unset)
        {
            node.preserve_unknown = true;
        }
        node.items = match object.get("items") {
            None | Some(Value::Null) => None,
            Some(schema) => Some(self.child(schema, &path.child("items"), depth + 1)?),
        };
        node.rules = keywords.rules()?;
        let constraints = Constraints {
            enumeration: keywords
                .array("enum")?
                .map(|values| values.as_slice().into()),
            format: format.filter(|format| !format.is_empty()).map(Into::into),
            pattern: keywords
                .text("pattern")?
                .filter(|pattern| !pattern.is_empty())
                .map(Pattern::new),
            minimum: keywords.number("minimum")?,
            exclusive_minimum: keywords.flag("exclusiveMinimum")?,
            maximum: keywords.number("maximum")?,
            exclusive_maximum: keywords.flag("exclusiveMaximum")?,
            multiple_of: keywords.number("multipleOf")?,
            min_length: keywords.least("minLength")?,
            max_length: keywords.count("maxLength")?,
            min_items: keywords.least("minItems")?,
            max_items: keywords.count("maxItems")?,
            unique_items: keywords.flag("uniqueItems")?,
            min_properties: keywords.least("minProperties")?,
            max_properties: keywords.count("maxProperties")?,
            all_of: self.branches(keywords, "allOf", depth)?,
            any_of: self.branches(keywords, "anyOf", depth)?,
            one_of: self.branches(keywords, "oneOf", depth)?,
            not: match object.get("not") {
                None | Some(Value::Null) => None,
                Some(schema) => Some(Arc::new(self.node(
                    schema,
                    &path.child("not"),
                    depth + 1,
                )?)),
            },
        };
        if !constraints.is_empty() {
            node.constraints = Some(Box::new(constraints));
        }
        node.deep_default = node.default.is_some()
            || node
                .properties
                .iter()
                .map(|(_, child)| child)
                .chain(&node.items)
                .any(may_default)
            || matches!(&node.additional, Additional::Schema(child) if may_default(child));
        Ok(node)
    }

    fn branches(
        &self,
        keywords: Keywords<'_>,
        keyword: &'static str,
        depth: usize,
    ) -> Result<Box<[Arc<Node>]>, SchemaError> {
        let Some(branches) = keywords.array(keyword)? else {
            return Ok(Box::default());
        };
        let place = keywords.path.child(keyword);
        branches
            .iter()
            .enumerate()
            .map(|(index, schema)| {
                Ok(Arc::new(self.node(
                    schema,
                    &place.index(index),
                    depth + 1,
                )?))
            })
            .collect()
    }
}

/// `$ref`, alone or as the only member of `allOf`, which is how published documents put keywords beside a reference.
fn direct_reference(schema: &Value) -> Option<&str> {
    if let Some(reference) = schema.get("$ref") {
        return reference.as_str();
    }
    if schema.get("type").is_some() {
        return None;
    }
    match schema.get("allOf")?.as_array()?.as_slice() {
        [only] => only.get("$ref")?.as_str(),
        _ => None,
    }
}

fn may_default(child: &Child) -> bool {
    match child {
        Child::Inline(node) => node.deep_default,
        Child::Component { .. } => true,
    }
}

impl Constraints {
    fn is_empty(&self) -> bool {
        let Self {
            enumeration,
            format,
            pattern,
            minimum,
            exclusive_minimum: _,
            maximum,
            exclusive_maximum: _,
            multiple_of,
            min_length,
            max_length,
            min_items,
            max_items,
            unique_items,
            min_properties,
            max_properties,
            all_of,
            any_of,
            one_of,
            not,
        } = self;
        enumeration.is_none()
            && format.is_none()
            && pattern.is_none()
            && [minimum, maximum, multiple_of]
                .iter()
                .all(|number| number.is_none())
            && [
                min_length,
                max_length,
                min_items,
                max_items,
                min_properties,
                max_properties,
            ]
            .iter()
            .all(|count| count.is_none())
            && !unique_items
            && [all_of, any_of, one_of]
                .iter()
                .all(|branches| branches.is_empty())
            && not.is_none()
    }
}
