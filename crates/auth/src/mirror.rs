//! Watch-fed copies of one kind of object, reduced to what decisions need.
//!
//! Owns following the store: list, watch, resume, back off. An object that
//! cannot be understood is left out and logged; it never hides the others.
//!
//! Invariant: an object that was buried here (its deletion was acknowledged to
//! us) is never seen again, however late the watch is.

mod document;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::api::ApiResource;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use parking_lot::RwLock;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::Instant;

use document::Document;

/// A deletion may be seen before it is buried here, and is then remembered for nothing; above this number the old ones
/// are looked through.
const REMEMBERED: usize = 4096;
/// No watch is further behind; it ends and lists anew within minutes.
const LONGEST_LAG: Duration = Duration::from_secs(3600);

/// The reduced objects by key (`name`, or `namespace/name`). Cheap to clone.
pub(crate) struct Mirror<V>(Arc<Inner<V>>);

struct Inner<V> {
    state: RwLock<State<V>>,
    ready: watch::Sender<bool>,
}

struct State<V> {
    entries: HashMap<String, Entry<V>>,
    /// Unique ids of objects known to be deleted, until the watch has caught up.
    buried: HashMap<String, Instant>,
}

struct Entry<V> {
    uid: String,
    value: Arc<V>,
}

impl<V> Clone for Mirror<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V> fmt::Debug for Mirror<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror")
            .field("n_entries", &self.0.state.read().entries.len())
            .finish_non_exhaustive()
    }
}

/// Which objects of a kind are followed; by default all.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    namespace: Option<&'static str>,
    labels: Option<String>,
}

impl Scope {
    /// Those of one namespace with one label.
    pub(crate) fn labelled(namespace: &'static str, label: &str, value: &str) -> Self {
        Self {
            namespace: Some(namespace),
            labels: Some(format!("{label}={value}")),
        }
    }
}

/// Told what changed. `settled` follows every batch of changes.
pub(crate) trait Observer<V>: Send {
    /// One object came, changed or went.
    fn changed(&mut self, key: &str, before: Option<&Arc<V>>, after: Option<&Arc<V>>);
    /// The mirror is consistent again.
    fn settled(&mut self) {}
}

/// An observer that looks away.
pub(crate) struct Unobserved;

impl<V> Observer<V> for Unobserved {
    fn changed(&mut self, _key: &str, _before: Option<&Arc<V>>, _after: Option<&Arc<V>>) {}
}

impl<V: PartialEq + Send + Sync + 'static> Mirror<V> {
    pub(crate) fn new() -> Self {
        let state = State {
            entries: HashMap::new(),
            buried: HashMap::new(),
        };
        Self(Arc::new(Inner {
            state: RwLock::new(state),
            ready: watch::Sender::new(false),
        }))
    }

    pub(crate) fn get(&self, key: &str) -> Option<Arc<V>> {
        self.0
            .state
            .read()
            .entries
            .get(key)
            .map(|entry| entry.value.clone())
    }

    pub(crate) fn find(&self, mut wanted: impl FnMut(&V) -> bool) -> Option<Arc<V>> {
        self.0
            .state
            .read()
            .entries
            .values()
            .find(|entry| wanted(&entry.value))
            .map(|entry| entry.value.clone())
    }

    pub(crate) fn is_buried(&self, uid: &str) -> bool {
        self.0.state.read().buried.contains_key(uid)
    }

    /// Completes once the first list is complete.
    pub(crate) async fn ready(&self) {
        // The sender lives as long as `self`.
        let _ = self.0.ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// Removes an object whose deletion was acknowledged, ahead of the watch. Says whether it was here.
    pub(crate) fn bury(&self, key: &str, uid: &str) -> bool {
        let mut state = self.0.state.write();
        if state.buried.len() >= REMEMBERED {
            state
                .buried
                .retain(|_, since| since.elapsed() < LONGEST_LAG);
        }
        state.buried.insert(uid.to_owned(), Instant::now());
        let here = state.entries.get(key).is_some_and(|entry| entry.uid == uid);
        if here {
            state.entries.remove(key);
        }
        here
    }

    fn put(&self, key: &str, uid: &str, value: Option<V>, observer: &mut dyn Observer<V>) {
        let (before, after) = {
            let mut state = self.0.state.write();
            let Some(value) = value.filter(|_| !state.buried.contains_key(uid)) else {
                let before = state.entries.remove(key).map(|entry| entry.value);
                drop(state);
                if before.is_some() {
                    observer.changed(key, before.as_ref(), None);
                }
                return;
            };
            if state
                .entries
                .get(key)
                .is_some_and(|entry| entry.uid == uid && *entry.value == value)
            {
                return;
            }
            let after = Arc::new(value);
            let entry = Entry {
                uid: uid.to_owned(),
                value: after.clone(),
            };
            (
                state
                    .entries
                    .insert(key.to_owned(), entry)
                    .map(|entry| entry.value),
                after,
            )
        };
        observer.changed(key, before.as_ref(), Some(&after));
    }

    fn remove(&self, key: &str, uid: &str, observer: &mut dyn Observer<V>) {
        let before = {
            let mut state = self.0.state.write();
            state.buried.remove(uid);
            if state.entries.get(key).is_some_and(|entry| entry.uid == uid) {
                state.entries.remove(key)
            } else {
                None
            }
        };
        if let Some(entry) = before {
            observer.changed(key, Some(&entry.value), None);
        }
    }

    fn replace(&self, mut listed: HashMap<String, Entry<V>>, observer: &mut dyn Observer<V>) {
        let mut old = {
            let mut state = self.0.state.write();
            // What the new list still shows may be older than the burial; only what it no longer shows is forgotten.
            let shown: HashSet<&str> = listed.values().map(|entry| entry.uid.as_str()).collect();
            state.buried.retain(|uid, _| shown.contains(uid.as_str()));
            let buried = std::mem::take(&mut state.buried);
            listed.retain(|_, entry| !buried.contains_key(&entry.uid));
            state.buried = buried;
            let current: HashMap<_, _> = listed
                .iter()
                .map(|(key, entry)| {
                    (
                        key.clone(),
                        Entry {
                            uid: entry.uid.clone(),
                            value: entry.value.clone(),
                        },
                    )
                })
                .collect();
            std::mem::replace(&mut state.entries, current)
        };
        for (key, entry) in &listed {
            let before = old.remove(key).map(|entry| entry.value);
            if before
                .as_ref()
                .is_none_or(|before| **before != *entry.value)
            {
                observer.changed(key, before.as_ref(), Some(&entry.value));
            }
        }
        for (key, entry) in &old {
            observer.changed(key, Some(&entry.value), None);
        }
    }

    /// Follows all objects of a kind for as long as it is polled.
    pub(crate) async fn follow<K>(
        &self,
        client: Client,
        reduce: impl Fn(K) -> V + Copy + Send + 'static,
        observer: impl Observer<V>,
    ) where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.follow_in(Scope::default(), client, reduce, observer)
            .await;
    }

    /// Follows some objects of a kind for as long as it is polled.
    ///
    /// What comes together is reduced together, and off this task when it is much: of a first list one page is asked for
    /// and parsed while the one before is reduced.
    pub(crate) async fn follow_in<K>(
        &self,
        scope: Scope,
        client: Client,
        reduce: impl Fn(K) -> V + Copy + Send + 'static,
        mut observer: impl Observer<V>,
    ) where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let kind = ApiResource::erase::<K>(&());
        let api: Api<Document> = match scope.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &kind),
            None => Api::all_with(client, &kind),
        };
        let config = watcher::Config {
            label_selector: scope.labels,
            ..watcher::Config::default()
        };
        let reduce_all = move |events: Vec<watcher::Result<watcher::Event<Document>>>| {
            let reduced = events.into_iter().map(|event| {
                event.map(|event| map(event, |object| Reduced::new::<K>(object, reduce)))
            });
            reduced.collect::<Vec<_>>()
        };
        let events = watcher(api, config)
            .default_backoff()
            .ready_chunks(TOGETHER)
            .map(|events| async move {
                if events.len() < MANY {
                    return reduce_all(events);
                }
                match tokio::task::spawn_blocking(move || reduce_all(events)).await {
                    Ok(reduced) => reduced,
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => std::panic::resume_unwind(panic),
                        // Blocking work is refused only while everything ends.
                        Err(_) => std::future::pending().await,
                    },
                }
            })
            .buffered(2)
            .flat_map(futures::stream::iter);
        let mut events = std::pin::pin!(events);
        let mut listed = HashMap::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => listed = HashMap::new(),
                Ok(watcher::Event::InitApply(Reduced { key, uid, value })) => {
                    if let Some(value) = value {
                        let value = Arc::new(value);
                        listed.insert(key, Entry { uid, value });
                    }
                }
                Ok(watcher::Event::InitDone) => {
                    self.replace(std::mem::take(&mut listed), &mut observer);
                    observer.settled();
                    // Not before: who waited relies on what observers make of it.
                    self.0.ready.send_replace(true);
                }
                Ok(watcher::Event::Apply(Reduced { key, uid, value })) => {
                    self.put(&key, &uid, value, &mut observer);
                    observer.settled();
                }
                Ok(watcher::Event::Delete(Reduced { key, uid, .. })) => {
                    self.remove(&key, &uid, &mut observer);
                    observer.settled();
                }
                Err(error) => {
                    tracing::warn!(kind = kind.kind, %error, "watch failed, trying again")
                }
            }
        }
    }
}

/// Events that are reduced together at most; a page of the watcher's lists.
const TOGETHER: usize = 500;
/// From this number on they are reduced on another thread.
const MANY: usize = 32;

/// What is left of an object.
struct Reduced<V> {
    key: String,
    uid: String,
    /// `None` when it gives nobody anything.
    value: Option<V>,
}

impl<V> Reduced<V> {
    fn new<K>(object: Document, reduce: impl Fn(K) -> V) -> Self
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let key = match object.namespace() {
            Some(namespace) => format!("{namespace}/{}", object.name_any()),
            None => object.name_any(),
        };
        let uid = object.uid().unwrap_or_default();
        // An object that is being deleted no longer gives anybody anything.
        if object.is_being_deleted() {
            return Self {
                key,
                uid,
                value: None,
            };
        }
        let value = match object.read::<K>() {
            Ok(object) => Some(reduce(object)),
            Err(error) => {
                let kind = K::kind(&());
                tracing::warn!(%kind, %key, %error, "object left out, it cannot be understood");
                None
            }
        };
        Self { key, uid, value }
    }
}

fn map<A, B>(event: watcher::Event<A>, change: impl FnOnce(A) -> B) -> watcher::Event<B> {
    match event {
        watcher::Event::Init => watcher::Event::Init,
        watcher::Event::InitApply(object) => watcher::Event::InitApply(change(object)),
        watcher::Event::InitDone => watcher::Event::InitDone,
        watcher::Event::Apply(object) => watcher::Event::Apply(change(object)),
        watcher::Event::Delete(object) => watcher::Event::Delete(change(object)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen(Vec<String>);

    impl Observer<u8> for Seen {
        fn changed(&mut self, key: &str, before: Option<&Arc<u8>>, after: Option<&Arc<u8>>) {
            self.0.push(format!(
                "{key} {:?} {:?}",
                before.map(|value| **value),
                after.map(|value| **value)
            ));
        }
    }

    #[test]
    fn a_buried_object_stays_away_until_its_deletion_is_seen() {
        let mirror = Mirror::new();
        let mut seen = Seen::default();
        mirror.put("a", "1", Some(1), &mut seen);
        assert!(mirror.bury("a", "1"));
        mirror.put("a", "1", Some(2), &mut seen);
        assert_eq!(mirror.get("a"), None);
        let listed = |uid: &str| {
            HashMap::from([(
                "a".to_owned(),
                Entry {
                    uid: uid.to_owned(),
                    value: Arc::new(3),
                },
            )])
        };
        mirror.replace(listed("1"), &mut seen);
        assert_eq!(
            mirror.get("a"),
            None,
            "a list may be older than the deletion"
        );
        mirror.put("a", "2", Some(4), &mut seen);
        assert_eq!(
            mirror.get("a").as_deref(),
            Some(&4),
            "another object of that name is another object"
        );
        mirror.remove("a", "1", &mut seen);
        assert_eq!(mirror.get("a").as_deref(), Some(&4));
        assert!(!mirror.is_buried("1"));
        assert_eq!(seen.0, ["a None Some(1)", "a None Some(4)"]);
    }

    #[test]
    fn a_new_list_tells_only_differences() {
        let mirror = Mirror::new();
        let mut seen = Seen::default();
        mirror.put("a", "1", Some(1), &mut seen);
        mirror.put("b", "2", Some(2), &mut seen);
        mirror.put("c", "3", Some(3), &mut seen);
        seen.0.clear();
        let entry = |uid: &str, value| Entry {
            uid: uid.to_owned(),
            value: Arc::new(value),
        };
        mirror.replace(
            HashMap::from([
                ("a".to_owned(), entry("1", 1)),
                ("b".to_owned(), entry("2", 5)),
            ]),
            &mut seen,
        );
        seen.0.sort();
        assert_eq!(seen.0, ["b Some(2) Some(5)", "c Some(3) None"]);
    }
}
