//! Objects of a cluster by key, held to a bound: whoever has a cluster in hand can let its lists go on for ever.

use std::collections::BTreeMap;

/// What something takes in memory, about.
pub(super) trait Size {
    /// In bytes, itself included.
    fn size(&self) -> usize;
}

/// Something is more than is kept of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// Objects by key.
#[derive(Debug)]
pub(super) struct Kept<V> {
    /// With what each takes, so that it is worked out once.
    all: BTreeMap<String, (usize, V)>,
    bytes: usize,
    most: usize,
    was_full: bool,
}

impl<V: Size> Kept<V> {
    /// At most so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self {
            all: BTreeMap::new(),
            bytes: 0,
            most,
            was_full: false,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &V)> {
        self.all.iter().map(|(key, (_, value))| (key, value))
    }

    /// Keeps an object; answers what was kept before.
    ///
    /// # Errors
    /// If there is no room. What was kept before is gone as well: it is no longer so.
    pub(super) fn insert(&mut self, key: String, value: V) -> Result<Option<V>, Full> {
        let before = self.remove(&key);
        let size = key.len() + value.size();
        if self.bytes + size > self.most {
            return Err(Full);
        }
        self.bytes += size;
        self.all.insert(key, (size, value));
        Ok(before)
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<V> {
        let (size, before) = self.all.remove(key)?;
        self.bytes -= size;
        Some(before)
    }

    /// Whether this is the first time that something had no room.
    pub(super) fn is_first_refusal(&mut self) -> bool {
        !std::mem::replace(&mut self.was_full, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Size for String {
        fn size(&self) -> usize {
            self.len()
        }
    }

    #[test]
    fn there_is_room_for_so_much_and_again_for_what_goes() {
        let mut kept = Kept::new(10);
        let put = |kept: &mut Kept<String>, key: &str, n: usize| {
            kept.insert(key.to_owned(), "x".repeat(n))
        };
        assert_eq!(put(&mut kept, "a", 4), Ok(None));
        assert_eq!(put(&mut kept, "b", 5), Err(Full));
        assert_eq!(put(&mut kept, "b", 4), Ok(None));
        assert_eq!(put(&mut kept, "a", 4), Ok(Some("xxxx".to_owned())));
        assert_eq!(put(&mut kept, "a", 9), Err(Full));
        assert_eq!(kept.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["b"]);
        assert_eq!(kept.remove("b"), Some("xxxx".to_owned()));
        assert_eq!(put(&mut kept, "a", 9), Ok(None));
    }
}
