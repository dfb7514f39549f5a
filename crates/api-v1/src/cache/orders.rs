//! A copy in the orders that people ask for, so that another page of a list costs no ordering.
//!
//! Pure. An order is good until the copy changes; whoever asks next makes it anew.

use std::sync::Arc;

use super::Entry;
use crate::query::sort::Order;

/// Orders that are kept of one copy.
const KEPT: usize = 2;

/// All entries of a copy, in an order.
pub(crate) type Ordered = Arc<[Arc<Entry>]>;

/// Orders of one version of a copy.
#[derive(Debug, Default)]
pub(super) struct Orders {
    version: u64,
    /// The one that was asked for last comes first.
    known: Vec<(Order, Ordered)>,
}

impl Orders {
    /// One that is known; what is known of another version is forgotten.
    pub(super) fn known(&mut self, version: u64, order: &Order) -> Option<Ordered> {
        if self.version != version {
            self.forget();
            self.version = version;
        }
        let at = self.known.iter().position(|(known, _)| known == order)?;
        self.known[..=at].rotate_right(1);
        self.known.first().map(|(_, ordered)| Arc::clone(ordered))
    }

    /// Keeps one of the version that was asked for last.
    pub(super) fn keep(&mut self, order: &Order, ordered: &Ordered) {
        self.known.truncate(KEPT - 1);
        self.known.insert(0, (order.clone(), Arc::clone(ordered)));
    }

    /// Lets go of the entries.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }
}

/// Entries in an order; those that are equal by it stay as they were.
pub(crate) fn sorted(entries: &[Arc<Entry>], order: &Order) -> Vec<Arc<Entry>> {
    let mut bytes = Vec::new();
    let mut ends = Vec::with_capacity(entries.len() + 1);
    ends.push(0);
    for entry in entries {
        order.write(&|field| entry.seen(field), &mut bytes);
        ends.push(bytes.len());
    }
    let of = |at: usize| &bytes[ends[at]..ends[at + 1]];
    let mut places: Vec<(u64, usize)> = (0..entries.len()).map(|at| (head(of(at)), at)).collect();
    places.sort_unstable_by(|(head, at), (other_head, other)| {
        head.cmp(other_head)
            .then_with(|| of(*at).cmp(of(*other)))
            .then(at.cmp(other))
    });
    places
        .into_iter()
        .map(|(_, at)| Arc::clone(&entries[at]))
        .collect()
}

/// The first bytes as a number, so that most comparisons look no further.
fn head(bytes: &[u8]) -> u64 {
    let mut head = [0; 8];
    let length = bytes.len().min(head.len());
    head[..length].copy_from_slice(&bytes[..length]);
    u64::from_be_bytes(head)
}
