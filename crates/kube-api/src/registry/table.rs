//! The table of resources, which is replaced whole and read without a lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::Resource;

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
    use super::super::Plain;
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
