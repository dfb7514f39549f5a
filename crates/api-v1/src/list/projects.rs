//! Lists of Secrets by the project that they are of: its name and its cluster stand in the project, not in the Secret.
//!
//! Asked for such a field, a list is made from entries that know it, of the projects as they are now.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_types::management::GROUP;

use super::Source;
use crate::cache::{Entry, Key};
use crate::call::{Answer, Call};
use crate::fields::{Field, Kept, OF_PROJECT, own};
use crate::kind::Kind;
use crate::query::ListQuery;

/// Label with the name of the project (rancher/rancher `pkg/controllers/managementuser/projectscopedsecret`).
const PROJECT: &str = "management.cattle.io/project-scoped-secret";
/// Label with its cluster.
const CLUSTER: &str = "management.cattle.io/project-scoped-secret-cluster";

/// Places of the fields among the kind's own, in the order of [`OF_PROJECT`].
fn places(kind: &Kind) -> Option<[usize; 2]> {
    let at = |name: &str| own(kind).iter().position(|known| *known == name);
    (kind.group.is_empty() && kind.resource == "secrets").then_some(())?;
    Some([at(OF_PROJECT[0])?, at(OF_PROJECT[1])?])
}

/// The same entries, knowing the projects that they are of, if the query asks for something of those.
pub(super) async fn completed(
    call: &Call,
    kind: &Kind,
    query: &ListQuery,
    source: Source,
) -> Answer<Source> {
    let Some(places) = places(kind).filter(|_| call.is_hub()) else {
        return Ok(source);
    };
    let asks = |field: &Field| places.iter().any(|at| *field == Field::Own(*at));
    let mut terms = query.filters.iter().flat_map(|filter| &filter.terms);
    let asked = terms.any(|term| asks(&term.field))
        || query.order.0.iter().any(|key| asks(&key.field))
        || query.summary.iter().any(|(_, field)| asks(field));
    if !asked {
        return Ok(source);
    }
    let projects = Kind {
        namespaced: true,
        verbs: ["list", "watch"].map(str::to_owned).to_vec(),
        ..Kind::new(GROUP, "v3", "Project", "projects")
    };
    let shown = Field::parse(&projects, "spec.displayName")?;
    let projects = Source::open(call, &projects).await?;
    let names: BTreeMap<(String, String), String> = projects.read(|entries, _| {
        let found = entries.values().filter_map(|project| {
            let cluster = project.namespace()?.to_owned();
            let shown = project.seen(&shown).text()?.into_owned();
            Some(((project.name().to_owned(), cluster), shown))
        });
        found.collect()
    });
    Ok(source.read(|entries, revision| {
        let known = entries.iter().map(|(key, entry)| {
            let entry = with_project(entry, places, &names).map_or(Arc::clone(entry), Arc::new);
            (key.clone(), entry)
        });
        let entries: BTreeMap<Key, Arc<Entry>> = known.collect();
        Source::Direct { entries, revision }
    }))
}

fn with_project(
    entry: &Entry,
    [cluster_at, name_at]: [usize; 2],
    names: &BTreeMap<(String, String), String>,
) -> Option<Entry> {
    let project = entry.label(PROJECT)?;
    let found = match entry.label(CLUSTER) {
        Some(cluster) => names.get_key_value(&(project.to_owned(), cluster.to_owned())),
        // Old ones do not name the cluster; where several have such a project it cannot be told which it is.
        None => {
            let first = (project.to_owned(), String::new());
            let mut same = names
                .range(first..)
                .take_while(|((of, _), _)| of == project);
            same.next().filter(|_| same.next().is_none())
        }
    };
    let ((_, cluster), name) = found?;
    let text = |text: &String| Kept::Text(text.as_str().into());
    Some(entry.knowing([(cluster_at, text(cluster)), (name_at, text(name))]))
}
