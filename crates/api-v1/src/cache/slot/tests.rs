//! Readers that go on, lists that replace, writes that are waited for.

use serde_json::json;

use super::super::contents::{Happened, RING};
use super::*;

fn entry(name: &str, revision: u64) -> Entry {
    let kind = Kind::new("", "v1", "ConfigMap", "configmaps");
    let object =
        json!({"metadata": {"name": name, "uid": name, "resourceVersion": revision.to_string()}});
    Entry::new(&kind, &object, Vec::new(), jiff::Timestamp::UNIX_EPOCH).unwrap()
}

fn slot() -> Arc<Slot> {
    let kind = Kind::new("", "v1", "ConfigMap", "configmaps");
    Arc::new(Slot::new("c", kind, CancellationToken::new()))
}

fn shown(changes: &[Change]) -> Vec<(u64, Happened, &str)> {
    changes
        .iter()
        .map(|change| (change.revision, change.what, change.entry.name()))
        .collect()
}

#[test]
fn readers_go_on_where_they_were_until_it_is_too_old() {
    let slot = slot();
    slot.replace(Vec::new(), vec![entry("a", 5)], 10);
    assert_eq!(slot.since(9), Err(Lagged));
    let start = slot.since(10).unwrap();
    slot.upsert(entry("b", 11));
    slot.upsert(entry("a", 12));
    slot.remove(entry("b", 13));
    let (changes, next) = slot.changes(start, 10).unwrap();
    assert_eq!(
        shown(&changes),
        [
            (11, Happened::Created, "b"),
            (12, Happened::Changed, "a"),
            (13, Happened::Removed, "b")
        ]
    );
    assert_eq!(next, slot.now());
    assert_eq!(slot.since(12), Ok(start + 2));
    for revision in 0..RING as u64 {
        slot.upsert(entry("a", 20 + revision));
    }
    assert!(slot.changes(start, 10).is_err());
    assert_eq!(slot.since(12), Err(Lagged));
    assert!(slot.since(20).is_ok());
}

#[test]
fn a_fresh_list_shows_as_changes_and_bytes_add_up() {
    let slot = slot();
    let (before, first) = slot.replace(Vec::new(), vec![entry("a", 1), entry("b", 2)], 3);
    assert_eq!(before, 0);
    let start = slot.now();
    let (_, after) = slot.replace(Vec::new(), vec![entry("a", 4), entry("c", 5)], 6);
    assert_eq!(first, after);
    let (changes, _) = slot.changes(start, 10).unwrap();
    assert_eq!(
        shown(&changes),
        [
            (4, Happened::Changed, "a"),
            (5, Happened::Created, "c"),
            (6, Happened::Removed, "b")
        ]
    );
    slot.remove(entry("a", 7));
    slot.remove(entry("c", 8));
    assert_eq!(slot.release(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_write_is_waited_for() {
    let slot = slot();
    slot.replace(Vec::new(), vec![entry("a", 1)], 1);
    assert!(slot.settled().await);
    slot.expect_revision(5);
    assert!(!slot.settled().await, "it never came");
    slot.upsert(entry("b", 5));
    slot.expect_gone((None, "a".into()), "a");
    let waiting = tokio::spawn({
        let slot = Arc::clone(&slot);
        async move { slot.settled().await }
    });
    tokio::task::yield_now().await;
    slot.remove(entry("a", 6));
    assert!(waiting.await.unwrap());
}

#[test]
fn an_order_is_made_once_between_two_changes_and_never_shows_what_went() {
    let slot = slot();
    slot.replace(Vec::new(), vec![entry("a", 1), entry("b", 2)], 3);
    let kind = Kind::new("", "v1", "ConfigMap", "configmaps");
    let order = |text: &str| Order::parse(&kind, Some(text)).unwrap();
    let names = |ordered: &Ordered| -> Vec<String> {
        ordered.iter().map(|one| one.name().to_owned()).collect()
    };
    let down = order("-metadata.name");
    assert!(slot.known(&[], &down).is_none());
    let (first, revision) = slot.arranged(&[], &down);
    assert_eq!((names(&first), revision), (vec!["b".into(), "a".into()], 3));
    // A bookmark changes the revision and nothing else.
    slot.bookmark(9);
    let (again, revision) = slot.arranged(&[], &down);
    assert!(Arc::ptr_eq(&first, &again) && revision == 9);
    let (up, _) = slot.arranged(&[], &order("metadata.name"));
    assert_eq!(names(&up), ["a", "b"]);
    assert!(slot.known(&[], &down).is_some());

    slot.upsert(entry("c", 10));
    assert!(slot.known(&[], &down).is_none());
    assert_eq!(names(&slot.arranged(&[], &down).0), ["c", "b", "a"]);
    slot.remove(entry("b", 11));
    assert_eq!(names(&slot.arranged(&[], &down).0), ["c", "a"]);
    slot.replace(Vec::new(), vec![entry("d", 12)], 12);
    assert_eq!(names(&slot.arranged(&[], &down).0), ["d"]);
    slot.release();
    assert_eq!(names(&slot.arranged(&[], &down).0), Vec::<String>::new());
}
