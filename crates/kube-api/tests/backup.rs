//! Backups: made beside a working server, put back whole, refused when they are not.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{Api, config_map};
use drover_kube_api::{BackupError, Config, OpenError, Server, Storage, backup, restore};
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// Names, revisions and contents.
async fn maps(api: &Api) -> BTreeMap<String, Value> {
    let list = api.get(MAPS).await.expect(200);
    let items = list["items"].as_array().expect("as made by the test");
    items
        .iter()
        .map(|map| {
            (
                map["metadata"]["name"]
                    .as_str()
                    .expect("as made by the test")
                    .to_owned(),
                map.clone(),
            )
        })
        .collect()
}

async fn filled(path: &Path, count: usize) -> Api {
    let api = Api::file(path).await;
    for n in 0..count {
        api.post(
            MAPS,
            &config_map(&format!("map-{n}"), &json!({"n": n.to_string()})),
        )
        .await
        .expect(201);
    }
    api
}

struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("as made by the test"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

#[tokio::test]
async fn what_was_backed_up_is_there_after_a_restore() {
    let folder = Folder::new();
    let (database, copy, restored) = (
        folder.path("drover.db"),
        folder.path("copy"),
        folder.path("new/drover.db"),
    );
    let api = filled(&database, 20).await;
    api.delete(&format!("{MAPS}/map-3")).await.expect(200);
    let before = maps(&api).await;
    let written = api.server.backup(copy.clone()).await.unwrap();
    api.post(MAPS, &config_map("later", &json!({})))
        .await
        .expect(201);
    let late = maps(&api).await["later"]["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    api.server.shutdown().await;

    assert_eq!(restore(&copy, &restored).unwrap(), written);
    let api = Api::file(&restored).await;
    assert_eq!(maps(&api).await, before);
    // Who saw later revisions lists anew instead of taking other states for them.
    api.get(&format!("{MAPS}?watch=1&resourceVersion={late}"))
        .await
        .expect(410);
    let made = api
        .post(MAPS, &config_map("after", &json!({})))
        .await
        .expect(201);
    let revision = |text: &str| text.parse::<u64>().unwrap();
    assert!(revision(made["metadata"]["resourceVersion"].as_str().unwrap()) > revision(&late));
    api.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_beside_writers_is_a_state_that_was() {
    let folder = Folder::new();
    let database = folder.path("drover.db");
    let api = Api::file(&database).await;
    // Written one after the other: a copy that holds the n-th holds all before it.
    let writer = tokio::spawn({
        let api = api.clone();
        async move {
            for n in 0..300 {
                api.post(MAPS, &config_map(&format!("map-{n}"), &json!({})))
                    .await
                    .expect(201);
            }
        }
    });
    let mut counts = Vec::new();
    while !writer.is_finished() {
        let copy = folder.path(&format!("copy-{}", counts.len()));
        let source = database.clone();
        // As another process would: over the file, not through the server.
        let made = tokio::task::spawn_blocking({
            let copy = copy.clone();
            move || backup(&source, &copy)
        });
        made.await.unwrap().unwrap();
        let target = folder.path(&format!("restored-{}/drover.db", counts.len()));
        restore(&copy, &target).unwrap();
        let other = Api::file(&target).await;
        let names = maps(&other).await;
        let held = names.keys().filter(|name| name.starts_with("map-")).count();
        for n in 0..held {
            assert!(
                names.contains_key(&format!("map-{n}")),
                "map-{n} of {held} is missing"
            );
        }
        other.server.shutdown().await;
        counts.push(held);
    }
    writer.await.unwrap();
    assert!(counts.is_sorted(), "{counts:?}");
    api.server.shutdown().await;
}

#[tokio::test]
async fn a_stopped_database_can_be_backed_up_too() {
    let folder = Folder::new();
    let (database, copy) = (folder.path("drover.db"), folder.path("copy"));
    filled(&database, 3).await.server.shutdown().await;
    let first = backup(&database, &copy).unwrap();
    assert_eq!(backup(&database, &folder.path("again")).unwrap(), first);
    assert_eq!(backup(&copy, &folder.path("copy-of-copy")).unwrap(), first);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&copy).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let mut names: Vec<_> = std::fs::read_dir(folder.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "again",
            "copy",
            "copy-of-copy",
            "drover.db",
            "drover.db.lock"
        ]
    );
}

#[tokio::test]
async fn nothing_is_overwritten() {
    let folder = Folder::new();
    let (database, copy) = (folder.path("drover.db"), folder.path("copy"));
    let api = filled(&database, 1).await;
    assert!(matches!(
        backup(&folder.path("none"), &copy),
        Err(BackupError::Missing(_))
    ));
    backup(&database, &copy).unwrap();
    assert!(matches!(backup(&database, &copy), Err(BackupError::Exists(path)) if path == copy));
    assert!(matches!(restore(&copy, &database), Err(BackupError::InUse(path)) if path == database));
    api.server.shutdown().await;
    assert!(
        matches!(restore(&copy, &database), Err(BackupError::Occupied(path)) if path == database)
    );
    let other = folder.path("other/drover.db");
    std::fs::create_dir(folder.path("other")).unwrap();
    std::fs::write(folder.path("other/drover.db-wal"), b"x").unwrap();
    assert!(matches!(
        restore(&copy, &other),
        Err(BackupError::Occupied(_))
    ));
    assert!(!other.exists());
}

#[tokio::test]
async fn a_damaged_backup_is_refused() {
    let folder = Folder::new();
    let (database, copy) = (folder.path("drover.db"), folder.path("copy"));
    filled(&database, 50).await.server.shutdown().await;
    backup(&database, &copy).unwrap();
    let bytes = std::fs::read(&copy).unwrap();
    let needle = b"\"map-17\"";
    let at = bytes
        .windows(needle.len())
        .position(|window| window == needle)
        .unwrap();
    let refused = |name: &str, bytes: &[u8]| {
        let damaged = folder.path(name);
        std::fs::write(&damaged, bytes).unwrap();
        let target = folder.path(&format!("{name}-target/drover.db"));
        let error = restore(&damaged, &target).unwrap_err();
        assert!(!target.exists(), "{name}");
        error
    };
    let mut flipped = bytes.clone();
    flipped[at + 3] ^= 1;
    assert!(matches!(
        refused("flipped", &flipped),
        BackupError::Damaged { .. }
    ));
    assert!(matches!(
        refused("cut", &bytes[..bytes.len() / 2]),
        BackupError::Damaged { .. }
    ));
    assert!(matches!(
        refused("noise", &[0x5a; 20_000]),
        BackupError::Damaged { .. }
    ));
    // A whole database, but nothing says what it should hold.
    assert!(matches!(
        refused("plain", &std::fs::read(&database).unwrap()),
        BackupError::NotABackup(_)
    ));

    let lost = folder.path("lost");
    std::fs::write(&lost, &bytes).unwrap();
    sql(&lost, "DELETE FROM objects WHERE key = 'default/map-17'");
    let error = restore(&lost, &folder.path("lost-target/drover.db")).unwrap_err();
    assert!(
        matches!(&error, BackupError::Damaged { problem, .. } if problem.contains("does not hold")),
        "{error}"
    );
}

fn sql(path: &Path, text: &str) {
    rusqlite::Connection::open(path)
        .expect("as made by the test")
        .execute_batch(text)
        .expect("as made by the test");
}

/// The error of opening, with its causes.
async fn refusal(path: &Path) -> String {
    let error: OpenError = Server::open(Config::new(Storage::File(path.to_owned())))
        .await
        .expect_err("a refusal");
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_database_that_cannot_be_used_names_itself_and_the_way_out() {
    let folder = Folder::new();
    let database = folder.path("drover.db");
    filled(&database, 50).await.server.shutdown().await;
    let whole = std::fs::read(&database).unwrap();
    let check = async |bytes: &[u8], expected: &str| {
        std::fs::write(&database, bytes).unwrap();
        let text = refusal(&database).await;
        for part in [expected, "drover.db", "drover restore"] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
        // Refused and left alone.
        assert_eq!(std::fs::read(&database).unwrap().len(), bytes.len());
    };
    check(&[0x5a; 200_000], "not a database").await;
    let mut flipped = whole.clone();
    let at = flipped
        .windows(8)
        .position(|window| window == b"\"map-17\"")
        .unwrap();
    flipped[at + 3] ^= 1;
    check(&flipped, "the checksum of").await;
    check(&whole[..whole.len() / 2], "damaged").await;

    std::fs::write(&database, &whole).unwrap();
    sql(&database, "UPDATE meta SET value = 7 WHERE name = 'layout'");
    let text = refusal(&database).await;
    assert!(
        text.contains("has layout 7, this program knows up to 1"),
        "{text}"
    );
    assert!(text.contains("newer version"), "{text}");
    assert!(matches!(
        backup(&database, &folder.path("copy")),
        Err(BackupError::Newer { found: 7, .. })
    ));

    std::fs::write(&database, b"").unwrap();
    std::fs::write(folder.path("drover.db-wal"), b"something").unwrap();
    assert!(refusal(&database).await.contains("its -wal file is not"));
}

#[tokio::test]
async fn two_servers_cannot_share_a_database() {
    let folder = Folder::new();
    let database = folder.path("drover.db");
    let api = Api::file(&database).await;
    let text = refusal(&database).await;
    assert!(text.contains("in use by another server"), "{text}");
    api.server.shutdown().await;
    Api::file(&database).await.server.shutdown().await;
}

#[tokio::test]
async fn what_is_left_of_a_restore_that_was_interrupted_is_no_empty_database() {
    let folder = Folder::new();
    let (database, copy, restored) = (
        folder.path("drover.db"),
        folder.path("copy"),
        folder.path("new/drover.db"),
    );
    let api = filled(&database, 3).await;
    let before = maps(&api).await;
    api.server.shutdown().await;
    backup(&database, &copy).unwrap();
    let left = folder.path("new/drover.db.0b5c.partial");
    let journal = folder.path("new/drover.db.0b5c.partial-journal");
    std::fs::create_dir(folder.path("new")).unwrap();
    std::fs::write(&left, b"half").unwrap();
    std::fs::write(&journal, b"half").unwrap();
    let text = refusal(&restored).await;
    for part in ["was interrupted", "0b5c.partial", "drover restore"] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    assert!(!restored.exists(), "nothing was made in its place");
    restore(&copy, &restored).unwrap();
    assert!(!left.exists() && !journal.exists());
    let api = Api::file(&restored).await;
    assert_eq!(
        maps(&api).await.keys().collect::<Vec<_>>(),
        before.keys().collect::<Vec<_>>()
    );
    // A copy that was to go beside a database that is there is none of its business.
    api.server.shutdown().await;
    std::fs::write(&left, b"half").unwrap();
    Api::file(&restored).await.server.shutdown().await;
}
