//! A map whose copies share what did not change since.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;

/// A change copies one part in so many, so that publishing one costs about the same however much there is.
const SHARDS: usize = 256;

/// Values by name, in parts.
#[derive(Clone, Debug)]
pub(super) struct Shards<V> {
    hasher: RandomState,
    parts: Vec<Arc<HashMap<String, Arc<V>>>>,
}

impl<V> Default for Shards<V> {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            parts: vec![Arc::default(); SHARDS],
        }
    }
}

impl<V: Clone + Default> Shards<V> {
    fn part(&self, name: &str) -> usize {
        usize::try_from(self.hasher.hash_one(name) % SHARDS as u64).unwrap_or_default()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts
            .iter()
            .flat_map(|part| part.keys())
            .map(String::as_str)
    }

    pub(super) fn get(&self, name: &str) -> Option<&V> {
        self.parts[self.part(name)].get(name).map(Arc::as_ref)
    }

    /// Changes the value of a name, from nothing if there was none; `change` says whether something is left.
    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut V) -> bool) {
        let part = self.part(name);
        let part = Arc::make_mut(&mut self.parts[part]);
        // Made only for new ones: a name is looked up far more often than it comes.
        if !part.contains_key(name) {
            part.insert(name.to_owned(), Arc::default());
        }
        let kept = part
            .get_mut(name)
            .is_some_and(|value| change(Arc::make_mut(value)));
        if !kept {
            part.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_what_it_had_and_shares_the_rest() {
        let mut map = Shards::<Vec<u8>>::default();
        for name in 0..1_000_u16 {
            map.change(&name.to_string(), |value| {
                value.push(1);
                true
            });
        }
        let before = map.clone();
        map.change("7", |value| {
            value.push(2);
            true
        });
        map.change("8", |value| {
            value.clear();
            false
        });
        assert_eq!(before.get("7"), Some(&vec![1]));
        assert_eq!(map.get("7"), Some(&vec![1, 2]));
        assert_eq!((before.get("8"), map.get("8")), (Some(&vec![1]), None));
        assert_eq!((before.names().count(), map.names().count()), (1_000, 999));
        let copied =
            (before.parts.iter().zip(&map.parts)).filter(|(one, other)| !Arc::ptr_eq(one, other));
        assert!(copied.count() <= 2);
    }
}
