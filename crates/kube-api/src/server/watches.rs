//! How many watches each identity has open.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// The counts.
#[derive(Debug)]
pub(super) struct Watches {
    limit: usize,
    open: Mutex<HashMap<String, usize>>,
}

/// One open watch; dropping it frees the place.
#[derive(Debug)]
pub(super) struct Place {
    watches: Arc<Watches>,
    user: String,
}

impl Watches {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            open: Mutex::default(),
        }
    }

    /// Takes a place for one more watch, if the identity may have one.
    pub(super) fn take(self: &Arc<Self>, user: &str) -> Option<Place> {
        let mut open = self.open.lock();
        let count = open.entry(user.to_owned()).or_insert(0);
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Place {
            watches: Arc::clone(self),
            user: user.to_owned(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.watches.open.lock();
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_watch_is_dropped() {
        let watches = Arc::new(Watches::new(1));
        let place = watches.take("a").unwrap();
        assert!(watches.take("a").is_none());
        assert!(watches.take("b").is_some());
        drop(place);
        assert!(watches.take("a").is_some());
    }
}
