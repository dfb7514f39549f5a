//! What is served: every resource of every group and version, built-in or defined at run time.
//!
//! Owns the table of resources, which is replaced whole and read without a lock, and the notice of its changes that
//! discovery and OpenAPI follow. It holds no objects: a resource names its table in the store by [`Resource::storage`],
//! which all versions of one resource share (and which `events` of two groups share).
//!
//! Invariant: a table is never changed after it was published.

mod strategy;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use drover_structural::Schema;
use drover_structural::managed_fields::Versions;
use drover_structural::rules::Rules;
use serde_json::Value;
use tokio::sync::watch;

pub(crate) use strategy::{
    Action, Call, Convert, NameRule, Plain, Reply, ServersOwn, StatusOnly, Strategy, Write, keep,
};

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

/// Resources by group, version and plural.
type ByPath = BTreeMap<(Arc<str>, Arc<str>, Arc<str>), Arc<Resource>>;

/// Versions of one group, in order of preference.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    pub(crate) versions: Vec<Arc<str>>,
}

/// One published state of the registry.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Grows by one with each publication.
    pub(crate) generation: u64,
    by_path: ByPath,
    groups: BTreeMap<Arc<str>, Group>,
}

impl Table {
    /// The resource at `/apis/{group}/{version}/{plural}`.
    pub(crate) fn get(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        // The key type owns its parts; three short copies are cheaper than a nested map is complex.
        self.by_path
            .get(&(group.into(), version.into(), plural.into()) as &(Arc<str>, Arc<str>, Arc<str>))
    }

    /// Any version of the resource, the preferred one first.
    pub(crate) fn preferred(&self, group: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.groups
            .get(group)?
            .versions
            .iter()
            .find_map(|version| self.get(group, version, plural))
    }

    /// The resource of a kind.
    pub(crate) fn by_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.version(group, version)
            .find(|resource| &*resource.kind == kind)
    }

    /// All resources of one group and version, by plural.
    pub(crate) fn version<'a>(
        &'a self,
        group: &str,
        version: &str,
    ) -> impl Iterator<Item = &'a Arc<Resource>> + use<'a> {
        let start: (Arc<str>, Arc<str>, Arc<str>) = (group.into(), version.into(), "".into());
        let group = Arc::clone(&start.0);
        let version = Arc::clone(&start.1);
        self.by_path
            .range(start..)
            .take_while(move |((g, v, _), _)| *g == group && *v == version)
            .map(|(_, resource)| resource)
    }

    /// All groups by name, with their versions in order of preference. The core group is `""`.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&Arc<str>, &Group)> {
        self.groups.iter()
    }

    /// All resources, all versions.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.by_path.values()
    }

    /// One resource for each table of the store, in the preferred version.
    pub(crate) fn stored(&self) -> impl Iterator<Item = &Arc<Resource>> {
        let mut seen = std::collections::BTreeSet::new();
        self.groups
            .iter()
            .flat_map(move |(name, group)| {
                group
                    .versions
                    .iter()
                    .flat_map(move |version| self.version(name, version))
            })
            .filter(move |resource| {
                resource.action.is_none() && seen.insert(Arc::clone(&resource.storage))
            })
    }
}

/// The registry: read with [`Registry::table`], changed with [`Registry::update`].
#[derive(Debug)]
pub(crate) struct Registry {
    table: ArcSwap<Table>,
    changing: parking_lot::Mutex<()>,
    changes: watch::Sender<u64>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            table: ArcSwap::default(),
            changing: parking_lot::Mutex::new(()),
            changes: watch::Sender::new(0),
        }
    }
}

impl Registry {
    /// The table of this moment.
    pub(crate) fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// The resource at this path, now.
    pub(crate) fn get(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        self.table.load().get(group, version, plural).cloned()
    }

    /// Follows publications; the value is the generation.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Changes the table through `edit` and publishes it at once.
    pub(crate) fn update(&self, edit: impl FnOnce(&mut Editor)) {
        let _one_at_a_time = self.changing.lock();
        let current = self.table.load();
        let mut editor = Editor {
            by_path: current.by_path.clone(),
        };
        edit(&mut editor);
        let generation = current.generation + 1;
        let groups = group_versions(&editor.by_path);
        self.table.store(Arc::new(Table {
            generation,
            by_path: editor.by_path,
            groups,
        }));
        self.changes.send_replace(generation);
    }
}

/// A table being changed.
#[derive(Debug)]
pub(crate) struct Editor {
    by_path: ByPath,
}

impl Editor {
    /// Adds or replaces one resource in one version.
    pub(crate) fn insert(&mut self, resource: Resource) {
        let key = (
            Arc::clone(&resource.group),
            Arc::clone(&resource.version),
            Arc::clone(&resource.plural),
        );
        self.by_path.insert(key, Arc::new(resource));
    }

    /// Removes all versions of a resource.
    pub(crate) fn remove(&mut self, group: &str, plural: &str) {
        self.by_path
            .retain(|(g, _, p), _| !(&**g == group && &**p == plural));
    }
}

fn group_versions(by_path: &ByPath) -> BTreeMap<Arc<str>, Group> {
    let mut groups: BTreeMap<Arc<str>, Group> = BTreeMap::new();
    for (group, version, _) in by_path.keys() {
        let versions = &mut groups.entry(Arc::clone(group)).or_default().versions;
        if versions.last() != Some(version) {
            versions.push(Arc::clone(version));
        }
    }
    for group in groups.values_mut() {
        group
            .versions
            .sort_by(|a, b| version_priority(b).cmp(&version_priority(a)).then(a.cmp(b)));
    }
    groups
}

/// Orders versions as Kubernetes does (apimachinery `pkg/version/helpers.go`): stable before beta before alpha, then
/// by number; anything else last.
pub(crate) fn version_priority(version: &str) -> (u8, u64, u64) {
    fn parse(version: &str) -> Option<(u8, u64, u64)> {
        let rest = version.strip_prefix('v')?;
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let major = rest[..digits].parse().ok()?;
        let stage = &rest[digits..];
        if stage.is_empty() {
            return Some((3, major, 0));
        }
        if let Some(minor) = stage.strip_prefix("beta") {
            return Some((2, major, minor.parse().ok()?));
        }
        let minor = stage.strip_prefix("alpha")?;
        Some((1, major, minor.parse().ok()?))
    }
    parse(version).unwrap_or((0, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_stability_then_number() {
        let mut versions = vec!["v1alpha1", "v1", "foo", "v2beta1", "v10", "v2", "v1beta2"];
        versions.sort_by_key(|version| std::cmp::Reverse(version_priority(version)));
        assert_eq!(
            versions,
            ["v10", "v2", "v1", "v2beta1", "v1beta2", "v1alpha1", "foo"]
        );
    }

    #[test]
    fn a_resource_is_found_by_path_and_its_group_lists_its_versions() {
        let registry = Registry::default();
        registry.update(|table| {
            table.insert(Resource::new(
                "g.io",
                "v1beta1",
                "things",
                "Thing",
                true,
                Arc::new(Plain),
            ));
            table.insert(Resource::new(
                "g.io",
                "v1",
                "things",
                "Thing",
                true,
                Arc::new(Plain),
            ));
        });
        let table = registry.table();
        assert!(table.get("g.io", "v1", "things").is_some());
        assert_eq!(&*table.preferred("g.io", "things").unwrap().version, "v1");
        assert_eq!(table.stored().count(), 1);
        registry.update(|table| table.remove("g.io", "things"));
        assert!(registry.get("g.io", "v1", "things").is_none());
        assert!(table.get("g.io", "v1", "things").is_some());
    }
}
