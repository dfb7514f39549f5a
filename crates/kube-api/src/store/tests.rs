//! What the store promises below the API.

use serde_json::json;

use super::file::File;
use super::memory::State;
use super::*;

const LIMITS: StoreLimits = StoreLimits {
    object_bytes: 1 << 20,
    file_bytes: 0,
    history_events: 100,
    history_bytes: 1 << 20,
    history_age: Duration::from_mins(1),
};

fn draft(name: &str, filler: usize) -> Draft {
    let object = json!({
        "apiVersion": "v1", "kind": "T", "metadata": {"name": name}, "filler": "x".repeat(filler),
    });
    Draft::new(&object, 0).unwrap()
}

fn create(name: &str, filler: usize) -> Change {
    Change {
        table: "things".into(),
        key: Key::new("", name),
        action: ChangeAction::Create(draft(name, filler)),
    }
}

fn change(name: &str, action: ChangeAction) -> Change {
    Change {
        action,
        ..create(name, 0)
    }
}

async fn close(store: &Store) {
    let store = store.clone();
    tokio::task::spawn_blocking(move || store.close())
        .await
        .unwrap();
}

#[test]
fn every_commit_waits_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let file = File::open(&folder.path().join("db"), 0, &mut State::default()).unwrap();
    assert_eq!(file.pragma("journal_mode"), "wal");
    // 2 = FULL: the log is synced by every commit, not only by checkpoints.
    assert_eq!(file.pragma("synchronous"), "2");
}

#[tokio::test]
async fn a_change_without_room_does_not_fail_its_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    let place = StorePlace::File(folder.path().join("db"));
    let limits = StoreLimits {
        file_bytes: 128 * 1024,
        ..LIMITS
    };
    let store = Store::open(&place, limits).unwrap();
    // Polled together, so that they wait as one group.
    let writes =
        (0..20).map(|n| store.write(create(&format!("t{n}"), if n == 7 { 500_000 } else { 10 })));
    let written = futures::future::join_all(writes).await;
    for (n, result) in written.iter().enumerate() {
        match result {
            Err(WriteError::NoSpace) => assert_eq!(n, 7),
            other => assert!(other.is_ok() && n != 7, "{n}: {other:?}"),
        }
    }
    close(&store).await;
    let store = Store::open(&place, limits).unwrap();
    assert_eq!(store.count("things"), 19);
    close(&store).await;
}

#[tokio::test]
async fn of_two_changes_to_one_version_the_second_conflicts_also_in_one_group() {
    let store = Store::open(&StorePlace::Memory, LIMITS).unwrap();
    let made = store.write(create("a", 0)).await.unwrap();
    let seen = made.revision;
    let update = |filler| store.write(change("a", ChangeAction::Update(draft("a", filler), seen)));
    let (first, second, third) = tokio::join!(update(1), update(2), store.write(create("a", 3)));
    let first = first.unwrap();
    assert!(first.revision > seen);
    assert!(matches!(second, Err(WriteError::Conflict)));
    assert!(matches!(third, Err(WriteError::Exists)));
    let delete = |at| store.write(change("a", ChangeAction::Delete(draft("a", 0), at)));
    assert!(matches!(delete(seen).await, Err(WriteError::Conflict)));
    let (gone, again) = tokio::join!(delete(first.revision), store.write(create("a", 4)));
    assert!(again.unwrap().revision > gone.unwrap().revision);
    close(&store).await;
}

#[tokio::test]
async fn a_closed_store_reads_on_and_refuses_writes() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&StorePlace::File(folder.path().join("db")), LIMITS).unwrap();
    store.write(create("a", 0)).await.unwrap();
    close(&store).await;
    close(&store).await;
    assert!(matches!(
        store.write(create("b", 0)).await,
        Err(WriteError::Closed)
    ));
    assert!(store.get("things", &Key::new("", "a")).is_some());
}

#[tokio::test]
async fn revisions_grow_over_restarts_even_when_all_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let place = StorePlace::File(folder.path().join("db"));
    let mut last = 0;
    for _ in 0..3 {
        let store = Store::open(&place, LIMITS).unwrap();
        assert!(store.revision() >= last);
        let made = store.write(create("a", 0)).await.unwrap();
        assert!(made.revision > last);
        let action = ChangeAction::Delete(draft("a", 0), made.revision);
        last = store.write(change("a", action)).await.unwrap().revision;
        close(&store).await;
    }
}
