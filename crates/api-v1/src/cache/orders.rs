//! A copy as people ask for it, so that another page of a list costs neither filtering nor ordering.
//!
//! Pure. What was made of a copy is good until it changes; whoever asks next makes it anew.

use std::sync::Arc;

use super::{Contents, Entry};
use crate::query::filter::{Filter, accept};
use crate::query::sort::Order;

/// Lists that are kept of one copy.
const KEPT: usize = 4;

/// Entries of a copy in an order, all or those that pass filters.
pub(crate) type Ordered = Arc<[Arc<Entry>]>;

/// What people ask for, whoever they are: what each may see of it comes after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Asked {
    filters: Vec<Filter>,
    order: Order,
}

/// Lists of one version of a copy.
#[derive(Debug, Default)]
pub(super) struct Orders {
    version: u64,
    /// The one that was asked for last comes first.
    known: Vec<(Asked, Ordered)>,
}

impl Orders {
    /// One that is known; what is known of another version is forgotten.
    pub(super) fn known(
        &mut self,
        version: u64,
        filters: &[Filter],
        order: &Order,
    ) -> Option<Ordered> {
        if self.version != version {
            self.forget();
            self.version = version;
        }
        let at = self
            .known
            .iter()
            .position(|(asked, _)| asked.filters == filters && asked.order == *order)?;
        self.known[..=at].rotate_right(1);
        self.known.first().map(|(_, ordered)| Arc::clone(ordered))
    }

    /// One that is known, or made now.
    pub(super) fn arranged(
        &mut self,
        contents: &Contents,
        filters: &[Filter],
        order: &Order,
    ) -> Ordered {
        if let Some(known) = self.known(contents.version, filters, order) {
            return known;
        }
        let ordered = if filters.is_empty() {
            let entries: Vec<Arc<Entry>> = contents.entries.values().cloned().collect();
            sorted(&entries, order).into()
        } else {
            self.filtered(contents, filters, order)
        };
        self.known.truncate(KEPT - 1);
        let asked = Asked {
            filters: filters.to_vec(),
            order: order.clone(),
        };
        self.known.insert(0, (asked, Arc::clone(&ordered)));
        ordered
    }

    fn filtered(&mut self, contents: &Contents, filters: &[Filter], order: &Order) -> Ordered {
        let passes = |entry: &&Arc<Entry>| accept(filters, &|field| entry.seen(field));
        if order.is_by_id() {
            return contents.entries.values().filter(passes).cloned().collect();
        }
        if let Some(all) = self.known(contents.version, &[], order) {
            return all.iter().filter(passes).cloned().collect();
        }
        let found: Vec<Arc<Entry>> = contents.entries.values().filter(passes).cloned().collect();
        if found.len() <= contents.entries.len() / FEW {
            return sorted(&found, order).into();
        }
        // Much of it: other filters, and others who see much of it, need the same order.
        let all = self.arranged(contents, &[], order);
        all.iter().filter(passes).cloned().collect()
    }

    /// Lets go of the entries.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }
}

/// Less than this part of a copy is ordered by itself.
pub(crate) const FEW: usize = 8;

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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::kind::Kind;
    use crate::query::filter::parse;

    const FILTERS: [&str; 4] = [
        "metadata.labels[l]=a",
        "metadata.name~1",
        "metadata.labels[l]",
        "metadata.name=n3",
    ];
    const ORDERS: [&str; 3] = ["", "-metadata.name", "metadata.labels[l]"];

    fn entry(kind: &Kind, at: usize, label: &str) -> Entry {
        let object = json!({"metadata": {"name": format!("n{at}"), "labels": {"l": label}}});
        Entry::new(kind, &object, Vec::new(), Timestamp::UNIX_EPOCH).unwrap()
    }

    proptest! {
        /// Whatever was asked for before, and however the copy changed: the list is that of the copy as it is.
        #[test]
        fn what_is_kept_is_what_would_be_made(
            labels in proptest::collection::vec("[ab]", 0..30),
            asked in proptest::collection::vec((proptest::sample::subsequence(&FILTERS, 0..=2), 0..ORDERS.len(), any::<bool>()), 1..20),
        ) {
            let kind = Kind::new("", "v1", "ConfigMap", "configmaps");
            let mut contents = Contents::default();
            let entries = labels.iter().enumerate().map(|(at, label)| entry(&kind, at, label));
            contents.replace(Vec::new(), entries.collect(), 1);
            let mut orders = Orders::default();
            for (nth, (filters, order, change)) in asked.into_iter().enumerate() {
                if change {
                    contents.upsert(entry(&kind, nth * 3, "b"));
                }
                let filters: Vec<Filter> = filters.into_iter().map(|text| parse(&kind, text).unwrap()).collect();
                let order = Order::parse(&kind, Some(ORDERS[order])).unwrap();
                let all: Vec<Arc<Entry>> = contents.entries.values().cloned().collect();
                let mut expected = sorted(&all, &order);
                expected.retain(|entry| accept(&filters, &|field| entry.seen(field)));
                let found = orders.arranged(&contents, &filters, &order);
                prop_assert!(found.iter().map(|one| one.name()).eq(expected.iter().map(|one| one.name())));
                prop_assert!(orders.known.len() <= KEPT);
            }
        }
    }
}
