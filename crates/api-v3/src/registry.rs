//! All types by name, and what follows from their declarations.
//!
//! Owns lookups, schema documents, filters and back-references. Built once at
//! start; it never changes and never depends on who asks.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::declare;
use crate::schema::{Base, Behaviour, Field, Type, Workload};
use crate::urls::Urls;

/// The declared types.
#[derive(Debug)]
pub(crate) struct Registry {
    types: Vec<Type>,
    /// Lower-case id and plural of each served type.
    by_path: HashMap<(Base, String), usize>,
    by_id: HashMap<&'static str, usize>,
}

impl Registry {
    pub(crate) fn new() -> Self {
        let mut types = declare::all();
        types.sort_by_key(|kind| (kind.base as u8, kind.id));
        let mut by_path = HashMap::new();
        let mut by_id = HashMap::new();
        for (index, kind) in types.iter().enumerate() {
            by_id.insert(kind.id, index);
            by_path.insert((kind.base, kind.id.to_ascii_lowercase()), index);
            by_path.insert((kind.base, kind.plural().to_ascii_lowercase()), index);
        }
        Self {
            types,
            by_path,
            by_id,
        }
    }

    /// The type named by a path segment: its id or plural, in any case.
    pub(crate) fn find(&self, base: Base, segment: &str) -> Option<&Type> {
        self.by_path
            .get(&(base, segment.to_ascii_lowercase()))
            .map(|index| &self.types[*index])
    }

    /// The type with exactly this id.
    pub(crate) fn get(&self, id: &str) -> Option<&Type> {
        self.by_id.get(id).map(|index| &self.types[*index])
    }

    /// The types of `base`.
    pub(crate) fn documented(&self, base: Base) -> impl Iterator<Item = &Type> {
        self.types.iter().filter(move |kind| kind.base == base)
    }

    /// The types of `base` that can be listed.
    pub(crate) fn listed(&self, base: Base) -> impl Iterator<Item = &Type> {
        self.types
            .iter()
            .filter(move |kind| kind.base == base && kind.is_listed())
    }

    /// The listed types of the management API that point at `target`, with the field that does.
    pub(crate) fn referring(&self, target: &str) -> impl Iterator<Item = (&Type, &Field)> {
        self.listed(Base::Management).filter_map(move |kind| {
            kind.fields
                .iter()
                .find(|field| field.name != "creatorId" && field.kind.target() == Some(target))
                .map(|field| (kind, field))
        })
    }

    /// The field by which a type hangs on `parent`, to list it below one.
    pub(crate) fn reference_to<'a>(kind: &'a Type, parent: &str) -> Option<&'a Field> {
        kind.fields
            .iter()
            .find(|field| field.kind.target() == Some(parent))
    }

    /// The schema document of a type (reference section 1.3).
    pub(crate) fn document(kind: &Type, urls: &Urls, context: Option<&str>) -> Value {
        let mut document = Map::new();
        let mut links = Map::new();
        let root = urls.base_url(kind.base, context);
        links.insert(
            "self".to_owned(),
            json!(format!("{root}/schemas/{}", kind.id)),
        );
        if kind.is_listed() {
            links.insert(
                "collection".to_owned(),
                json!(format!("{root}/{}", kind.plural().to_ascii_lowercase())),
            );
        }
        document.insert("id".to_owned(), json!(kind.id));
        document.insert("type".to_owned(), json!("schema"));
        document.insert("baseType".to_owned(), json!("schema"));
        document.insert("pluralName".to_owned(), json!(kind.plural()));
        document.insert("version".to_owned(), kind.base.document());
        document.insert("links".to_owned(), Value::Object(links));
        for (name, methods) in [
            ("resourceMethods", kind.resource_methods),
            ("collectionMethods", kind.collection_methods),
        ] {
            if !methods.is_empty() {
                document.insert(name.to_owned(), json!(methods));
            }
        }
        let fields: Map<String, Value> = kind
            .fields
            .iter()
            .map(|field| (field.name.to_owned(), field.document()))
            .collect();
        document.insert("resourceFields".to_owned(), Value::Object(fields));
        for (name, actions) in [
            ("resourceActions", &kind.actions),
            ("collectionActions", &kind.collection_actions),
        ] {
            if !actions.is_empty() {
                let actions: Map<String, Value> = actions
                    .iter()
                    .map(|action| {
                        let mut shape = Map::new();
                        if let Some(input) = action.input {
                            shape.insert("input".to_owned(), json!(input));
                        }
                        if let Some(output) = action.output {
                            shape.insert("output".to_owned(), json!(output));
                        }
                        (action.name.to_owned(), Value::Object(shape))
                    })
                    .collect();
                document.insert(name.to_owned(), Value::Object(actions));
            }
        }
        let filters: Map<String, Value> = filters(kind)
            .map(|field| {
                (
                    field.name.to_owned(),
                    json!({"modifiers": field.kind.modifiers()}),
                )
            })
            .collect();
        if !filters.is_empty() {
            document.insert("collectionFilters".to_owned(), Value::Object(filters));
        }
        Value::Object(document)
    }
}

/// The fields a collection of this type can be filtered by.
pub(crate) fn filters(kind: &Type) -> impl Iterator<Item = &Field> {
    // Ways to sign in are listed together.
    let filtered = kind.is_listed() || kind.behaviour == Behaviour::AuthConfig;
    // Recorded: of all kinds of workloads together only what every object has.
    let all = kind.workload == Some(Workload::Any);
    let common = [
        "created",
        "creatorId",
        "name",
        "namespaceId",
        "removed",
        "uuid",
    ];
    kind.fields.iter().filter(move |field| {
        filtered && !field.kind.modifiers().is_empty() && (!all || common.contains(&field.name))
    })
}

#[cfg(test)]
mod tests;
