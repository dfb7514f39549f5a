//! `search?q=`: names, kinds, labels, images and addresses, in all clusters the caller sees.
//!
//! Ours alone; the peer has none. Searches the copies of the kinds people look
//! for, each under the caller's rights there. A cluster that does not answer in
//! time is named, the others are answered.
//!
//! Each copy is a watch in its cluster, so there is a bound over all clusters
//! ([`budget`]): those last looked at come first, the rest is named as not
//! searched.

mod budget;

use std::collections::BTreeSet;
use std::time::Duration;

use drover_auth::ClustersVisible;
use drover_auth::web::{ApiError, Response};
use drover_types::management::GROUP;
use drover_types::names::LOCAL_CLUSTER;
use futures::StreamExt;
use http::StatusCode;
use serde_json::{Value, json};

use crate::cache::Entry;
use crate::call::{Answer, Call, Refused};
use crate::fields::{Kept, own};
use crate::kind::Kind;
use crate::list::{Source, visible};
use budget::{Depth, Place};

/// The kinds that are searched.
const KINDS: [&str; 16] = [
    "namespace",
    "node",
    "pod",
    "service",
    "configmap",
    "secret",
    "persistentvolumeclaim",
    "apps.deployment",
    "apps.daemonset",
    "apps.statefulset",
    "batch.cronjob",
    "batch.job",
    "networking.k8s.io.ingress",
    "management.cattle.io.cluster",
    "management.cattle.io.project",
    "management.cattle.io.user",
];
/// Clusters searched at once.
const AT_ONCE: usize = 8;
/// Time for one cluster.
const PATIENCE: Duration = Duration::from_secs(5);
const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 500;
const MAX_WORDS: usize = 8;

/// How well something fits; less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Exact,
    Start,
    Name,
    Other,
}

/// One thing found.
#[derive(Debug)]
struct Hit {
    fit: Fit,
    cluster: String,
    kind: String,
    id: String,
    item: Value,
}

/// The words of a question.
fn words(call: &Call) -> Result<Vec<String>, ApiError> {
    let wrong =
        |what: &str| ApiError::invalid("InvalidFormat", format!("q {what}")).with_field("q");
    let question = call
        .pairs
        .get("q")
        .map(str::trim)
        .filter(|question| !question.is_empty())
        .ok_or_else(|| ApiError::invalid("MissingRequired", "q is required").with_field("q"))?;
    let words: Vec<String> = question.split_whitespace().map(str::to_lowercase).collect();
    if words.len() > MAX_WORDS || question.len() > 253 {
        return Err(wrong("is too long"));
    }
    Ok(words)
}

/// Answers `/v1/search`.
pub(crate) async fn answer(call: &Call) -> Answer<Response> {
    call.rights().await?;
    let words = words(call)?;
    let limit = call
        .pairs
        .get("limit")
        .map_or(Ok(DEFAULT_LIMIT), |text| {
            text.parse().map_err(|_| {
                ApiError::invalid("InvalidFormat", "limit is not a number").with_field("limit")
            })
        })?
        .min(MAX_LIMIT);
    let places = places(call).await?;
    let mut report = Report::default();
    let mut answers = futures::stream::iter(places.into_iter().map(|place| {
        let (call, words) = (call.inside(&place.cluster), &words);
        async move {
            let found = match place.depth {
                Depth::Nothing => Ok(Ok(Found::default())),
                depth => tokio::time::timeout(PATIENCE, search(&call, words, depth)).await,
            };
            (place, found)
        }
    }))
    .buffer_unordered(AT_ONCE)
    .collect::<Vec<_>>()
    .await;
    // Which cluster answers first, or was looked at last, shows in nothing.
    answers.sort_by(|(one, _), (other, _)| one.cluster.cmp(&other.cluster));
    let mut hits = Vec::new();
    for (place, found) in answers {
        match found {
            Ok(Ok(found)) => {
                report.left_out(&place, &found.unsearched);
                hits.extend(found.hits);
            }
            Ok(Err(Refused::NoEntry | Refused::NoType)) => {}
            Ok(Err(Refused::Error(error))) => {
                tracing::debug!(cluster = %place.cluster, %error, "a cluster is not searched");
                report.silent.insert(place.cluster);
            }
            Err(_) => {
                report.silent.insert(place.cluster);
            }
        }
    }
    hits.sort_by(|one, other| {
        let key = |hit: &Hit| {
            (
                hit.fit,
                hit.cluster.clone(),
                hit.kind.clone(),
                hit.id.clone(),
            )
        };
        key(one).cmp(&key(other))
    });
    let count = hits.len();
    let data: Vec<Value> = hits.into_iter().take(limit).map(|hit| hit.item).collect();
    let collection = json!({
        "type": "collection", "resourceType": "searchResult", "actions": {}, "count": count,
        "links": {"self": call.urls.explorer("/search")},
        "unreachable": report.silent, "unsearched": report.unsearched, "data": data,
    });
    Ok(call.writer.answer(StatusCode::OK, &collection))
}

/// What an answer does not know.
#[derive(Debug, Default)]
struct Report {
    silent: BTreeSet<String>,
    unsearched: Vec<Value>,
}

impl Report {
    fn left_out(&mut self, place: &Place, kinds: &[String]) {
        if place.depth == Depth::Nothing {
            self.unsearched.push(json!({"cluster": place.cluster}));
        } else if !kinds.is_empty() {
            self.unsearched
                .push(json!({"cluster": place.cluster, "kinds": kinds}));
        }
    }
}

/// What a cluster gave.
#[derive(Debug, Default)]
struct Found {
    hits: Vec<Hit>,
    /// Ids of kinds that were not looked into.
    unsearched: Vec<String>,
}

/// The clusters to search and how deep: the one asked in full; from the hub all that the caller sees, within the budget.
async fn places(call: &Call) -> Answer<Vec<Place>> {
    let clusters = clusters(call).await?;
    if !call.is_hub() {
        return Ok(clusters.into_iter().map(Place::in_full).collect());
    }
    let caches = &call.shared.caches;
    let copies = caches.n_copies(&KINDS);
    Ok(budget::places(
        clusters,
        &caches.last_looks(),
        |cluster| copies.get(cluster).copied().unwrap_or_default(),
        KINDS.len(),
        caches.room_for_search(),
    ))
}

/// The clusters to search: from the hub all that the caller sees, else the one asked.
async fn clusters(call: &Call) -> Answer<Vec<String>> {
    if !call.is_hub() {
        return Ok(vec![call.cluster.clone()]);
    }
    let mut names = match call.shared.guard.access().clusters_visible(&call.identity) {
        ClustersVisible::These(names) => names,
        ClustersVisible::All => {
            let kind = Kind {
                verbs: ["list", "watch"].map(str::to_owned).to_vec(),
                ..Kind::new(
                    GROUP,
                    drover_types::management::VERSION,
                    "Cluster",
                    "clusters",
                )
            };
            let source = Source::open(call, &kind).await?;
            source.read(|entries, _| {
                entries
                    .values()
                    .map(|entry| entry.name().to_owned())
                    .collect()
            })
        }
    };
    // On the hub itself everybody sees something.
    if !names.iter().any(|name| name == LOCAL_CLUSTER) {
        names.push(LOCAL_CLUSTER.to_owned());
    }
    Ok(names)
}

/// What one cluster has.
async fn search(call: &Call, words: &[String], depth: Depth) -> Answer<Found> {
    let rights = call.rights().await?;
    let kinds = call.shared.catalogs.kinds(&call.cluster).await?;
    let mut found = Found::default();
    for kind in kinds.iter() {
        if !rights.may_read(kind) {
            continue;
        }
        if let Some(fit) = fit_of_kind(kind, words) {
            found.hits.push(of_kind(call, kind, fit));
        }
        if !KINDS.contains(&kind.id.as_str()) || !kind.is_watchable() {
            continue;
        }
        let caches = &call.shared.caches;
        let held = match depth {
            Depth::Full => caches.get(&call.cluster, kind).await?,
            Depth::Copied | Depth::Nothing => caches.peek(&call.cluster, kind),
        };
        // What is too large to copy is not listed with every key that is pressed.
        let Some(held) = held else {
            found.unsearched.push(kind.id.clone());
            continue;
        };
        held.settled().await;
        let extent = rights.extent(kind);
        held.read(|contents| {
            for entry in visible(&contents.entries, &extent) {
                if let Some((fit, matched)) = fit_of_entry(kind, entry, words) {
                    found.hits.push(of_entry(call, kind, entry, fit, &matched));
                }
            }
        });
    }
    Ok(found)
}

fn fit_of_kind(kind: &Kind, words: &[String]) -> Option<Fit> {
    let name = kind.kind.to_lowercase();
    words
        .iter()
        .map(|word| {
            if name == *word || kind.resource == *word {
                Some(Fit::Exact)
            } else if name.starts_with(word) || kind.resource.starts_with(word.as_str()) {
                Some(Fit::Start)
            } else {
                None
            }
        })
        .collect::<Option<Vec<Fit>>>()?
        .into_iter()
        .max()
}

/// How well all words fit an entry, and where the last one was found.
fn fit_of_entry(kind: &Kind, entry: &Entry, words: &[String]) -> Option<(Fit, String)> {
    let mut worst = (Fit::Exact, "metadata.name".to_owned());
    for word in words {
        let fit = fit_of_word(kind, entry, word)?;
        if fit.0 >= worst.0 {
            worst = fit;
        }
    }
    Some(worst)
}

fn fit_of_word(kind: &Kind, entry: &Entry, word: &str) -> Option<(Fit, String)> {
    let name = entry.name();
    let named = |fit| Some((fit, "metadata.name".to_owned()));
    if name == word || *entry.id == *word {
        return named(Fit::Exact);
    }
    if name.starts_with(word) {
        return named(Fit::Start);
    }
    if name.contains(word) {
        return named(Fit::Name);
    }
    let holds = |text: &str| text.to_lowercase().contains(word);
    let label = entry
        .labels()
        .find(|(key, value)| holds(&format!("{key}={value}")));
    if let Some((key, _)) = label {
        return Some((Fit::Other, format!("metadata.labels[{key}]")));
    }
    let field = own(kind)
        .iter()
        .zip(entry.own())
        .find(|(_, kept)| match kept {
            Kept::Text(text) => holds(text),
            Kept::Many(values) => values.iter().any(|value| holds(value)),
            Kept::Missing | Kept::Number(_) => false,
        });
    if let Some((field, _)) = field {
        return Some((Fit::Other, (*field).to_owned()));
    }
    // Together with other words, the kind narrows down.
    (kind.kind.to_lowercase() == word || kind.resource == word)
        .then(|| (Fit::Exact, "kind".to_owned()))
}

fn of_kind(call: &Call, kind: &Kind, fit: Fit) -> Hit {
    Hit {
        fit,
        cluster: call.cluster.clone(),
        kind: "schema".to_owned(),
        id: kind.id.clone(),
        item: json!({
            "type": "searchResult", "cluster": call.cluster, "resourceType": "schema",
            "id": kind.id, "name": kind.kind, "match": "kind",
            "links": {"collection": call.urls.collection(kind)},
        }),
    }
}

fn of_entry(call: &Call, kind: &Kind, entry: &Entry, fit: Fit, matched: &str) -> Hit {
    // Names of clusters, projects and users mean little; what they are shown as is found and told.
    let shown = own(kind)
        .iter()
        .zip(entry.own())
        .find_map(|(field, kept)| match kept {
            Kept::Text(text) if *field == "spec.displayName" => Some(text.to_string()),
            _ => None,
        });
    let mut item = json!({
        "type": "searchResult", "cluster": call.cluster, "resourceType": kind.id,
        "id": entry.id, "name": entry.name(), "match": matched, "state": entry.state.name,
        "links": {"self": call.urls.object(kind, &entry.id)},
    });
    if let Some(namespace) = entry.namespace() {
        item["namespace"] = json!(namespace);
    }
    if let Some(shown) = shown {
        item["displayName"] = json!(shown);
    }
    Hit {
        fit,
        cluster: call.cluster.clone(),
        kind: kind.id.clone(),
        id: entry.id.to_string(),
        item,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> (Kind, Entry) {
        let kind = Kind {
            namespaced: true,
            ..Kind::new("", "v1", "Pod", "pods")
        };
        let object = json!({
            "metadata": {"name": "web-1", "namespace": "shop", "labels": {"app": "Front"}},
            "spec": {"containers": [{"image": "nginx:1.29"}]}, "status": {"podIP": "10.1.2.3"},
        });
        let entry = Entry::new(&kind, &object, Vec::new(), jiff::Timestamp::UNIX_EPOCH).unwrap();
        (kind, entry)
    }

    #[test]
    fn names_labels_images_and_addresses_are_found() {
        let (kind, entry) = pod();
        let check = |question: &str, expected: Option<(Fit, &str)>| {
            let words: Vec<String> = question.split(' ').map(str::to_owned).collect();
            let found = fit_of_entry(&kind, &entry, &words);
            assert_eq!(
                found.as_ref().map(|(fit, field)| (*fit, field.as_str())),
                expected,
                "{question}"
            );
        };
        check("web-1", Some((Fit::Exact, "metadata.name")));
        check("shop/web-1", Some((Fit::Exact, "metadata.name")));
        check("web", Some((Fit::Start, "metadata.name")));
        check("eb-", Some((Fit::Name, "metadata.name")));
        check("app=front", Some((Fit::Other, "metadata.labels[app]")));
        check("nginx", Some((Fit::Other, "spec.containers.image")));
        check("10.1.2.3", Some((Fit::Other, "status.podIP")));
        check("pod web", Some((Fit::Start, "metadata.name")));
        check("web nope", None);
        check("deployment web", None);
    }

    #[test]
    fn kinds_are_found_by_name_and_plural() {
        let (kind, _) = pod();
        let fit = |word: &str| fit_of_kind(&kind, &[word.to_owned()]);
        assert_eq!(fit("pods"), Some(Fit::Exact));
        assert_eq!(fit("po"), Some(Fit::Start));
        assert_eq!(fit("od"), None);
    }
}
