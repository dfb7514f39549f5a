//! Watches: a cursor over the store's history.
