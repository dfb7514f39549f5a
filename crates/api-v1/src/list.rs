//! Collections: what a caller sees of a kind, filtered, in order, a page of it.

mod find;
mod projects;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use drover_auth::web::{ApiError, Response};
use drover_types::lean;
use drover_types::names::PROJECT_ANNOTATION;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::associate;
use crate::cache::{Contents, Entry, Held, Key, list as list_directly};
use crate::call::{Answer, Call, check_readable};
use crate::format::is_blocked;
use crate::kind::Kind;
use crate::neighbours::{self, Neighbours};
use crate::permissions::Permissions;
use crate::query::{ListQuery, Namespaces};
use crate::rights::{Extent, Rights};
use find::{Found, find, find_all, within};

/// How long a revision that is asked for may still be on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// Entries of one kind, from a copy or straight from the cluster.
pub(crate) enum Source {
    Copy(Held),
    Direct {
        entries: BTreeMap<Key, Arc<Entry>>,
        revision: u64,
    },
}

impl Source {
    /// # Errors
    /// When the cluster does not answer.
    pub(crate) async fn open(call: &Call, kind: &Kind) -> Answer<Self> {
        if kind.is_watchable()
            && let Some(held) = call.shared.caches.get(&call.cluster, kind).await?
        {
            if held.settled().await {
                return Ok(Self::Copy(held));
            }
            tracing::warn!(cluster = %call.cluster, kind = %kind.id, "a copy is behind what was written");
        }
        let client = if kind.is_personal() {
            call.as_caller()
        } else {
            call.whole().await?
        };
        let listed = list_directly(&client, kind, call.now(), usize::MAX).await?;
        let (entries, revision) = listed.map_or_else(Default::default, |listed| {
            let entries = listed
                .entries
                .into_iter()
                .map(|entry| (entry.key.clone(), Arc::new(entry)))
                .collect();
            (entries, listed.revision)
        });
        Ok(Self::Direct { entries, revision })
    }

    /// Waits for a revision.
    async fn reach(&self, revision: Option<u64>) -> Result<(), ApiError> {
        let Some(revision) = revision else {
            return Ok(());
        };
        let there = match self {
            Self::Copy(held) => held.reached(revision, ON_ITS_WAY).await,
            Self::Direct { revision: now, .. } => *now >= revision,
        };
        if there {
            Ok(())
        } else {
            Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                "unknown revision",
                format!("revision {revision} is not known yet"),
            )
            .with_field("revision"))
        }
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&BTreeMap<Key, Arc<Entry>>, u64) -> T) -> T {
        match self {
            Self::Copy(held) => {
                held.read(|contents: &Contents| read(&contents.entries, contents.revision))
            }
            Self::Direct { entries, revision } => read(entries, *revision),
        }
    }
}

/// Answers a list of a kind, in one namespace or in all.
pub(crate) async fn answer(
    call: &Call,
    kind: &Kind,
    rights: &Rights,
    namespace: Option<&str>,
) -> Answer<Response> {
    check_readable(rights, kind)?;
    let query = ListQuery::parse(kind, &call.pairs)?;
    let source = Source::open(call, kind).await?;
    source.reach(query.revision).await?;
    let source = projects::completed(call, kind, &query, source).await?;
    let within = match &query.namespaces {
        Some(namespaces) => Some((resolved(call, namespaces).await?, namespaces.inverted)),
        None => None,
    };
    let extent = rights.extent(kind);
    let passes = |entry: &Entry| {
        extent.contains(entry.namespace(), entry.name())
            && within
                .as_ref()
                .is_none_or(|(names, inverted)| is_within(kind, entry, names) != *inverted)
    };
    let is_whole = namespace.is_none() && within.is_none() && matches!(extent, Extent::All);
    let Found {
        page,
        count,
        summary,
        revision,
    } = if is_whole {
        find_all(&source, &query)
    } else {
        find(&source, &query, namespace, &passes)
    };
    let data = shown(call, rights, kind, &query, &page).await?;
    let mut collection = Map::new();
    collection.insert("type".to_owned(), json!("collection"));
    collection.insert("resourceType".to_owned(), json!(kind.id));
    collection.insert("actions".to_owned(), json!({}));
    let own = call.urls.collection(kind);
    collection.insert("links".to_owned(), json!({"self": own}));
    if kind.has("create") && rights.may_somewhere("create", kind) && !is_blocked(kind, "POST") {
        collection.insert("createTypes".to_owned(), json!({kind.id.as_str(): own}));
    }
    if revision > 0 {
        collection.insert("revision".to_owned(), json!(revision.to_string()));
    }
    if count > 0 {
        collection.insert("count".to_owned(), json!(count));
    }
    if let Some(summary) = summary {
        collection.insert("summary".to_owned(), summary);
    }
    let end = query.window.start.saturating_add(data.len());
    if !query.summary_only && !data.is_empty() && end < count {
        let next = end.to_string();
        let url = call.pairs.encoded(&["continue"], Some(("continue", &next)));
        collection.insert(
            "pagination".to_owned(),
            json!({"first": own, "next": format!("{own}?{url}"), "partial": true}),
        );
        collection.insert("continue".to_owned(), json!(next));
    }
    collection.insert("data".to_owned(), Value::Array(data));
    Ok(call.writer.answer(StatusCode::OK, &collection))
}

/// The objects of a page as the caller is shown them.
async fn shown(
    call: &Call,
    rights: &Rights,
    kind: &Kind,
    query: &ListQuery,
    page: &[Arc<Entry>],
) -> Answer<Vec<Value>> {
    let permissions = Permissions::asked(call).await?;
    let _copies = neighbours::fetch_for_lists(call, rights, kind).await;
    let neighbours = Neighbours::of(call);
    let lean = query.projection.excludes(&lean::LEFT_OUT);
    let mut shown: Vec<Map<String, Value>> = page
        .iter()
        .map(|entry| {
            let object = if lean { entry.lean() } else { entry.object() };
            call.shown_among(&neighbours, rights, kind, entry, object)
        })
        .collect();
    associate::add(call, rights, kind, page, &mut shown).await?;
    let data = shown.into_iter().zip(page).map(|(shown, entry)| {
        let mut shown = query.projection.apply(shown);
        permissions.add(call, rights, entry, &mut shown);
        Value::Object(shown)
    });
    Ok(data.collect())
}

/// Which entries of a namespace a caller sees.
pub(crate) fn visible_in<'e>(
    entries: &'e BTreeMap<Key, Arc<Entry>>,
    namespace: &str,
    extent: &'e Extent,
) -> impl Iterator<Item = &'e Arc<Entry>> {
    within(entries, namespace).filter(|entry| extent.contains(entry.namespace(), entry.name()))
}

/// Names of namespaces that are named themselves, or by their project.
async fn resolved(call: &Call, namespaces: &Namespaces) -> Answer<BTreeSet<String>> {
    let kind = namespaces_kind();
    let source = Source::open(call, &kind).await?;
    let wanted = |name: &str| namespaces.names.iter().any(|one| one == name);
    Ok(source.read(|entries, _| {
        entries
            .values()
            .filter(|entry| {
                wanted(entry.name()) || entry.label(PROJECT_ANNOTATION).is_some_and(wanted)
            })
            .map(|entry| entry.name().to_owned())
            .collect()
    }))
}

pub(crate) fn namespaces_kind() -> Kind {
    Kind {
        verbs: ["list", "watch"].map(str::to_owned).to_vec(),
        ..Kind::new("", "v1", "Namespace", "namespaces")
    }
}

fn is_within(kind: &Kind, entry: &Entry, names: &BTreeSet<String>) -> bool {
    if kind.group.is_empty() && kind.resource == "namespaces" {
        return names.contains(entry.name());
    }
    entry
        .namespace()
        .is_some_and(|namespace| names.contains(namespace))
}

/// Which entries of a copy a caller sees.
pub(crate) fn visible<'e>(
    entries: &'e BTreeMap<Key, Arc<Entry>>,
    extent: &'e Extent,
) -> impl Iterator<Item = &'e Arc<Entry>> {
    entries
        .values()
        .filter(|entry| extent.contains(entry.namespace(), entry.name()))
}
