//! What is served: every resource of every group and version, built-in or defined at run time.
//!
//! Owns the table of resources, which is replaced whole and read without a lock, and the notice of its changes that
//! discovery and OpenAPI follow. It holds no objects: a resource names its table in the store by [`Resource::storage`],
//! which all versions of one resource share (and which `events` of two groups share).
//!
//! Invariant: a table is never changed after it was published.

mod strategy;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_structural::Schema;
use drover_structural::managed_fields::Versions;
use drover_structural::rules::Rules;
use serde_json::Value;

pub(crate) use strategy::{
    Action, Call, Convert, NameRule, Plain, Reply, ServersOwn, StatusOnly, Strategy, Write, keep,
};
pub(crate) use table::{Registry, Table, version_priority};

/// Group, version and kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Gvk {
    pub(crate) group: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) kind: Arc<str>,
}

impl Gvk {
    pub(crate) fn new(group: &str, version: &str, kind: &str) -> Self {
        Self {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
        }
    }
}

/// `v1` or `apps/v1`.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// One column of a table, as a CRD's `additionalPrinterColumns` or a built-in's code declares it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// `string`, `integer`, `number`, `boolean`, `date`.
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) description: String,
    pub(crate) priority: i32,
    /// The JSON path of a CRD, as written there (`.spec.replicas`).
    pub(crate) path: String,
}

/// `spec.subresources.scale` of a CRD, or a built-in's fixed paths; each as `.spec.replicas`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScalePaths {
    pub(crate) spec_replicas: String,
    pub(crate) status_replicas: String,
    pub(crate) label_selector: Option<String>,
}

/// What stands behind `{name}/{subresource}`.
#[derive(Debug, Clone)]
pub(crate) enum Subresource {
    /// get, update, patch of the same object by another strategy: `status`, `approval`, `resize` ...
    Part(Arc<dyn Strategy>),
    /// The same by update alone: `finalize` of namespaces.
    Put(Arc<dyn Strategy>),
    /// `autoscaling/v1` Scale.
    Scale(ScalePaths),
    /// Anything else: a call with its own kind, never stored as such.
    Action(Arc<dyn Action>),
}

impl Subresource {
    pub(crate) fn verbs(&self) -> Vec<&'static str> {
        match self {
            Self::Part(_) | Self::Scale(_) => vec!["get", "patch", "update"],
            Self::Put(_) => vec!["update"],
            Self::Action(action) => action.verbs().to_vec(),
        }
    }

    /// Whether more of a path may follow its name.
    pub(crate) fn leads_on(&self) -> bool {
        matches!(self, Self::Action(action) if action.leads_on())
    }
}

/// The other versions of a kind, seen from one.
#[derive(Debug)]
pub(crate) struct Kin {
    /// Between that one and the stored form.
    pub(crate) own: Option<Arc<dyn Convert>>,
    pub(crate) others: Vec<Other>,
}

/// Another version of a kind.
#[derive(Debug)]
pub(crate) struct Other {
    pub(crate) api_version: String,
    pub(crate) schema: Arc<Schema>,
    pub(crate) convert: Option<Arc<dyn Convert>>,
}

impl Kin {
    /// Of a kind that is told in one version only, whatever it is stored as.
    pub(crate) fn alone() -> Self {
        Self {
            own: None,
            others: Vec::new(),
        }
    }

    fn of(&self, api_version: &str) -> Option<&Other> {
        self.others
            .iter()
            .find(|other| other.api_version == api_version)
    }
}

impl Versions for Kin {
    fn schema(&self, api_version: &str) -> Option<&Schema> {
        self.of(api_version).map(|other| &*other.schema)
    }

    fn convert(&self, object: &Value, api_version: &str) -> Option<Value> {
        let other = self.of(api_version)?;
        let mut object = object.clone();
        if let Some(own) = &self.own {
            own.to_storage(&mut object);
        }
        if let Some(convert) = &other.convert {
            convert.of_storage(&mut object);
        }
        object["apiVersion"] = api_version.into();
        Some(object)
    }
}

/// One resource in one version.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) group: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) plural: Arc<str>,
    pub(crate) singular: Arc<str>,
    pub(crate) kind: Arc<str>,
    pub(crate) list_kind: Arc<str>,
    pub(crate) namespaced: bool,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    /// Verbs of the main resource, sorted, as discovery shows them.
    pub(crate) verbs: Vec<&'static str>,
    pub(crate) subresources: BTreeMap<String, Subresource>,
    /// Defined at run time by a CRD; else built in.
    pub(crate) custom: bool,
    /// Structural schema of this version. Custom: prunes, defaults, validates. Built-in: only for unknown fields,
    /// merge keys and server-side apply, where known.
    pub(crate) schema: Option<Arc<Schema>>,
    /// The schemas of all versions by `apiVersion`, if they are not alike.
    pub(crate) schemas: Option<Arc<BTreeMap<String, Arc<Schema>>>>,
    /// An object of the kind without content, if that has more members than `apiVersion` and `kind`.
    pub(crate) blank: Option<Arc<Value>>,
    /// The compiled validation rules of a custom resource's schema.
    pub(crate) rules: Arc<Rules>,
    /// The whole `openAPIV3Schema` as published, for OpenAPI documents.
    pub(crate) openapi: Option<Arc<Value>>,
    /// Changes when the schema of the stored version does; stored beside each object, so that what was written under the schema of today
    /// needs no defaulting on read. 0 = always as stored.
    pub(crate) schema_mark: u64,
    pub(crate) columns: Vec<Column>,
    /// Field selector paths beside `metadata.name` and `metadata.namespace`, as `spec.nodeName`.
    pub(crate) selectable_fields: Vec<String>,
    /// The store's table, `group/plural` unless shared.
    pub(crate) storage: Arc<str>,
    /// `apiVersion` of objects in the store.
    pub(crate) storage_api_version: Arc<str>,
    pub(crate) strategy: Arc<dyn Strategy>,
    /// Between this version and the stored form, when more than `apiVersion` and `kind` differ.
    pub(crate) convert: Option<Arc<dyn Convert>>,
    /// The other versions of a built-in kind that says things differently in them.
    pub(crate) kin: Option<Arc<Kin>>,
    /// Set for kinds that are calls, not objects: `create` runs it and stores nothing (access reviews).
    pub(crate) action: Option<Arc<dyn Action>>,
    /// A CRD in deletion refuses creates.
    pub(crate) terminating: bool,
    /// What every answer warns of, if clients should use something else.
    pub(crate) deprecation: Option<String>,
}

/// The verbs of an ordinary stored resource.
pub(crate) const ALL_VERBS: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

impl Resource {
    /// An ordinary stored resource with all verbs and no subresource.
    pub(crate) fn new(
        group: &str,
        version: &str,
        plural: &str,
        kind: &str,
        namespaced: bool,
        strategy: Arc<dyn Strategy>,
    ) -> Self {
        Self {
            group: group.into(),
            version: version.into(),
            plural: plural.into(),
            singular: kind.to_lowercase().into(),
            kind: kind.into(),
            list_kind: format!("{kind}List").into(),
            namespaced,
            short_names: Vec::new(),
            categories: Vec::new(),
            verbs: ALL_VERBS.to_vec(),
            subresources: BTreeMap::new(),
            custom: false,
            schema: None,
            schemas: None,
            blank: None,
            rules: Arc::default(),
            openapi: None,
            schema_mark: 0,
            columns: Vec::new(),
            selectable_fields: Vec::new(),
            storage: format!("{group}/{plural}").into(),
            storage_api_version: api_version(group, version).into(),
            strategy,
            convert: None,
            kin: None,
            action: None,
            terminating: false,
            deprecation: None,
        }
    }

    pub(crate) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// The schema of the version that is stored, if it is not this one's.
    pub(crate) fn storage_schema(&self) -> Option<&Schema> {
        if *self.storage_api_version == *self.api_version() {
            return None;
        }
        let schemas = self.schemas.as_ref()?;
        schemas.get(&*self.storage_api_version).map(Arc::as_ref)
    }

    pub(crate) fn has_status(&self) -> bool {
        self.subresources.contains_key("status")
    }

    pub(crate) fn supports(&self, verb: &str) -> bool {
        self.verbs.contains(&verb)
    }
}
