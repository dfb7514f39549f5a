//! Which entries a query finds, in which order, and which of them are answered.
//!
//! Pure but for looking at the copy. What passes filters, in an order, is kept with the
//! copy until it changes, so that another page of a long list costs its length only.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Source;
use crate::cache::{Entry, FEW, Key, Ordered, sorted};
use crate::fields::Field;
use crate::query::filter::accept;
use crate::query::{ListQuery, Window};

/// What a query finds.
pub(super) struct Found {
    pub(super) page: Vec<Arc<Entry>>,
    /// How many there are on all pages.
    pub(super) count: usize,
    pub(super) summary: Option<Value>,
    pub(super) revision: u64,
}

impl Found {
    /// Of entries in the order that was asked for.
    fn of<'e>(
        query: &ListQuery,
        entries: impl Iterator<Item = &'e Arc<Entry>>,
        revision: u64,
    ) -> Self {
        let window = if query.summary_only {
            Window {
                start: 0,
                size: Some(0),
            }
        } else {
            query.window
        };
        let (page, count, summary) = if query.summary.is_empty() {
            let (page, count) = cut(entries, window);
            (page, count, None)
        } else {
            let all: Vec<&Arc<Entry>> = entries.collect();
            let (page, count) = cut(all.iter().copied(), window);
            (page, count, Some(summary(query, &all)))
        };
        Self {
            page,
            count,
            summary,
            revision,
        }
    }
}

/// What lies in a window, and how many there are.
fn cut<'e>(
    entries: impl Iterator<Item = &'e Arc<Entry>>,
    window: Window,
) -> (Vec<Arc<Entry>>, usize) {
    let end = window
        .size
        .map_or(usize::MAX, |size| window.start.saturating_add(size));
    let (mut page, mut count) = (Vec::new(), 0);
    for entry in entries {
        if (window.start..end).contains(&count) {
            page.push(Arc::clone(entry));
        }
        count += 1;
    }
    (page, count)
}

/// Of all that pass the filters, for who sees everything there is.
pub(super) fn find_all(source: &Source, query: &ListQuery) -> Found {
    if let Source::Copy(held) = source
        && !(query.filters.is_empty() && query.order.is_by_id())
    {
        let (found, revision) = held.arranged(&query.filters, &query.order);
        return Found::of(query, found.iter(), revision);
    }
    find(source, query, None, &|_| true)
}

/// Of what passes and the filters let through.
pub(super) fn find(
    source: &Source,
    query: &ListQuery,
    namespace: Option<&str>,
    passes: &impl Fn(&Entry) -> bool,
) -> Found {
    let ListQuery { filters, order, .. } = query;
    let accepted = |entry: &Entry| passes(entry) && accept(filters, &|field| entry.seen(field));
    let within = |entry: &&Arc<Entry>| {
        namespace.is_none_or(|wanted| entry.namespace() == Some(wanted)) && passes(entry)
    };
    if let Source::Copy(held) = source
        && let Some((found, revision)) = held.known(filters, order)
    {
        return Found::of(query, found.iter().filter(within), revision);
    }
    if order.is_by_id() {
        return source.read(|entries, revision| {
            Found::of(query, passing(entries, namespace, &accepted), revision)
        });
    }
    let among = |(ordered, revision): (Ordered, u64)| {
        let found = ordered.iter().filter(within);
        let found = found.filter(|entry| accept(filters, &|field| entry.seen(field)));
        Found::of(query, found, revision)
    };
    if let Source::Copy(held) = source
        && let Some(known) = held.known(&[], order)
    {
        return among(known);
    }
    let (found, all, revision) = source.read(|entries, revision| {
        let found: Vec<Arc<Entry>> = passing(entries, namespace, &accepted).cloned().collect();
        (found, entries.len(), revision)
    });
    match source {
        // Much of it: the next page, and others who see much of it, need the same order.
        Source::Copy(held) if found.len() > all / FEW => among(held.arranged(&[], order)),
        Source::Copy(_) | Source::Direct { .. } => {
            Found::of(query, sorted(&found, order).iter(), revision)
        }
    }
}

/// The entries that pass, in order of keys.
fn passing<'e>(
    entries: &'e BTreeMap<Key, Arc<Entry>>,
    namespace: Option<&'e str>,
    passes: &'e impl Fn(&Entry) -> bool,
) -> Box<dyn Iterator<Item = &'e Arc<Entry>> + 'e> {
    let all = move |entry: &&Arc<Entry>| passes(entry);
    match namespace {
        None => Box::new(entries.values().filter(all)),
        Some(namespace) => Box::new(within(entries, namespace).filter(all)),
    }
}

/// The entries of one namespace, in order of names.
pub(super) fn within<'e>(
    entries: &'e BTreeMap<Key, Arc<Entry>>,
    namespace: &str,
) -> impl Iterator<Item = &'e Arc<Entry>> {
    let start: Key = (Some(namespace.into()), "".into());
    entries
        .range((Bound::Included(start), Bound::Unbounded))
        .take_while(move |((of, _), _)| of.as_deref() == Some(namespace))
        .map(|(_, entry)| entry)
}

/// How many there are of each value of the fields asked for.
fn summary(query: &ListQuery, found: &[&Arc<Entry>]) -> Value {
    let of = |(name, field): &(String, Field)| {
        let mut counts: BTreeMap<String, (usize, BTreeMap<&str, usize>)> = BTreeMap::new();
        for entry in found {
            let seen = entry.seen(field);
            let Some(value) = seen.text() else { continue };
            let (total, by) = counts.entry(value.into_owned()).or_default();
            *total += 1;
            if let Some(namespace) = entry.namespace().filter(|_| query.summary_by_namespace) {
                *by.entry(namespace).or_default() += 1;
            }
        }
        let counts: Map<String, Value> = counts
            .into_iter()
            .map(|(value, (total, by))| {
                let mut count = json!({"total": total});
                if !by.is_empty() {
                    count["namespace"] = json!(by);
                }
                (value, count)
            })
            .collect();
        json!({"property": name, "counts": counts})
    };
    Value::Array(query.summary.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::kind::Kind;
    use crate::query::Pairs;

    fn entry(name: &str, label: &str) -> Arc<Entry> {
        let kind = Kind::new("", "v1", "ConfigMap", "configmaps");
        let object = json!({"metadata": {"name": name, "labels": {"l": label}}});
        Arc::new(Entry::new(&kind, &object, Vec::new(), Timestamp::UNIX_EPOCH).unwrap())
    }

    proptest! {
        /// Pages put together are the whole list, in its order.
        #[test]
        fn pages_are_a_whole(labels in proptest::collection::vec("[a-c]{0,2}", 0..40), size in 1_usize..9, descending: bool) {
            let kind = Kind::new("", "v1", "ConfigMap", "configmaps");
            let sort = if descending { "-metadata.labels[l]" } else { "metadata.labels[l]" };
            let of = |text: String| ListQuery::parse(&kind, &Pairs::parse(Some(&text))).unwrap();
            let entries: Vec<Arc<Entry>> = labels
                .iter()
                .enumerate()
                .map(|(at, label)| entry(&format!("n{at}"), label))
                .collect();
            let whole = of(format!("sort={sort}"));
            let names = |query: &ListQuery| -> Vec<String> {
                let found = Found::of(query, sorted(&entries, &query.order).iter(), 0);
                assert_eq!(found.count, entries.len());
                found.page.iter().map(|entry| entry.name().to_owned()).collect()
            };
            let all = names(&whole);
            let mut together = Vec::new();
            for number in 1..=labels.len().div_ceil(size) + 1 {
                let query = of(format!("sort={sort}&page={number}&pagesize={size}"));
                together.extend(names(&query));
            }
            prop_assert_eq!(together, all);
        }
    }
}
