//! How deep each cluster is searched, so that a search over hundreds makes a bounded number of watches.
//!
//! Pure. Copies that are there already cost nothing; new ones are made for the
//! clusters last looked at, as long as there is room.

use std::cmp::Reverse;
use std::collections::HashMap;

use tokio::time::Instant;

/// How deep a cluster is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// In all kinds; copies are made.
    Full,
    /// In the copies that are there.
    Copied,
    /// Not at all.
    Nothing,
}

/// A cluster to search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) cluster: String,
    pub(super) depth: Depth,
}

impl Place {
    pub(super) fn in_full(cluster: String) -> Self {
        Self {
            cluster,
            depth: Depth::Full,
        }
    }
}

/// Divides the room: a cluster takes what `kinds` copies beyond its own need, or is searched in what is there.
pub(super) fn places(
    mut clusters: Vec<String>,
    looks: &HashMap<String, Instant>,
    copies: impl Fn(&str) -> usize,
    kinds: usize,
    mut room: usize,
) -> Vec<Place> {
    clusters.sort_by(|one, other| {
        let key = |cluster: &String| Reverse(looks.get(cluster).copied());
        key(one).cmp(&key(other)).then_with(|| one.cmp(other))
    });
    clusters
        .into_iter()
        .map(|cluster| {
            let there = copies(&cluster);
            let cost = kinds.saturating_sub(there);
            let depth = if cost <= room {
                room -= cost;
                Depth::Full
            } else if there > 0 {
                Depth::Copied
            } else {
                Depth::Nothing
            };
            Place { cluster, depth }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn depths(room: usize) -> Vec<(String, Depth)> {
        let now = Instant::now();
        let looks: HashMap<String, Instant> = [("c-old", 60), ("c-new", 1)]
            .map(|(name, ago)| (name.to_owned(), now + Duration::from_secs(100 - ago)))
            .into();
        let clusters = ["c-b", "c-a", "c-old", "c-new"].map(str::to_owned).to_vec();
        let copies = |cluster: &str| match cluster {
            "c-new" => 10,
            "c-old" => 2,
            _ => 0,
        };
        places(clusters, &looks, copies, 10, room)
            .into_iter()
            .map(|place| (place.cluster, place.depth))
            .collect()
    }

    #[test]
    fn those_last_looked_at_come_first_and_what_is_copied_costs_nothing() {
        let check = |room: usize, expected: [Depth; 4]| {
            let named = ["c-new", "c-old", "c-a", "c-b"].map(str::to_owned);
            let expected: Vec<(String, Depth)> = named.into_iter().zip(expected).collect();
            assert_eq!(depths(room), expected, "{room}");
        };
        use Depth::{Copied, Full, Nothing};
        check(100, [Full, Full, Full, Full]);
        check(18, [Full, Full, Full, Nothing]);
        check(8, [Full, Full, Nothing, Nothing]);
        check(7, [Full, Copied, Nothing, Nothing]);
        check(0, [Full, Copied, Nothing, Nothing]);
    }
}
