//! A full disk and other failures of the file: said clearly, nothing half-written, reading goes on.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Api, config_map};
use drover_kube_api::{Config, Storage};
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn large(name: &str) -> Value {
    config_map(name, &json!({"filler": "x".repeat(50_000)}))
}

fn names(list: &Value) -> Vec<String> {
    let items = list["items"]
        .as_array()
        .expect("as made by the test")
        .iter();
    items
        .map(|item| {
            item["metadata"]["name"]
                .as_str()
                .expect("as made by the test")
                .to_owned()
        })
        .collect()
}

/// Writes until it is refused for want of space; the names that were accepted.
async fn fill(api: &Api) -> Vec<String> {
    let mut accepted = Vec::new();
    for n in 0.. {
        let name = format!("map-{n:04}");
        let answer = api.post(MAPS, &large(&name)).await;
        if answer.code == 201 {
            assert!(n < 2000, "it never becomes full");
            accepted.push(name);
            continue;
        }
        let status = answer.expect(507);
        assert_eq!(status["kind"], "Status");
        assert_eq!(status["reason"], "InsufficientStorage");
        let message = status["message"].as_str().expect("as made by the test");
        assert!(
            message.contains("full") && message.contains("nothing was written"),
            "{message}"
        );
        api.get(&format!("{MAPS}/{name}")).await.expect(404);
        return accepted;
    }
    unreachable!("the loop has no end")
}

/// What was accepted is there and nothing else, now and in what a restart reads.
async fn holds(api: &Api, accepted: &[String]) {
    let listed = names(&api.get(MAPS).await.expect(200));
    let listed: Vec<_> = listed
        .into_iter()
        .filter(|name| name.starts_with("map-"))
        .collect();
    assert_eq!(listed, accepted);
}

#[tokio::test]
async fn a_full_database_refuses_writes_and_goes_on_reading() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drover.db");
    let mut config = Config::new(Storage::File(path.clone()));
    config.limits.database_bytes = 4 * 1024 * 1024;
    let api = Api::open(config.clone()).await;
    let revision = api.get(MAPS).await.json()["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut accepted = fill(&api).await;
    assert!(accepted.len() > 20, "{}", accepted.len());
    holds(&api, &accepted).await;
    // Watches saw what was accepted and nothing of what was not.
    let mut watch =
        api.watch(&format!("{MAPS}?watch=1&fieldSelector=metadata.name!%3Dkube-root-ca.crt&resourceVersion={revision}")).await;
    for name in &accepted {
        assert_eq!(watch.event().await, ("ADDED".to_owned(), name.clone()));
    }
    assert!(watch.is_quiet());
    // A deletion makes space by itself.
    api.delete(&format!("{MAPS}/{}", accepted[0]))
        .await
        .expect(200);
    api.post(MAPS, &large("map-9999")).await.expect(201);
    accepted.remove(0);
    accepted.push("map-9999".to_owned());
    holds(&api, &accepted).await;
    api.server.shutdown().await;
    let api = Api::open(config).await;
    holds(&api, &accepted).await;
    api.server.shutdown().await;
}

/// A small file system in memory, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where mounting is not allowed.
    fn mount(folder: &Path) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "drover-test"])
            .arg(folder)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then(|| Self(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "umount {}",
            self.0.display()
        );
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_space_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path()) else {
        println!("not run: a small disk needs the right to mount one");
        return;
    };
    let path = disk.0.join("drover.db");
    let ballast = disk.0.join("ballast");
    let api = Api::file(&path).await;
    std::fs::write(&ballast, vec![0; 1024 * 1024]).unwrap();
    let mut accepted = fill(&api).await;
    assert!(accepted.len() > 10, "{}", accepted.len());
    holds(&api, &accepted).await;
    // Several at once: each is refused for itself.
    let refused = futures::future::join_all((0..20).map(|n| {
        let api = api.clone();
        async move {
            api.post(MAPS, &large(&format!("refused-{n}")))
                .await
                .code
                .as_u16()
        }
    }));
    assert_eq!(refused.await, [507; 20]);
    api.get(&format!("{MAPS}/{}", accepted[0]))
        .await
        .expect(200);
    std::fs::remove_file(&ballast).unwrap();
    for n in 0..5 {
        let name = format!("map-99{n:02}");
        api.post(MAPS, &large(&name)).await.expect(201);
        accepted.push(name);
    }
    holds(&api, &accepted).await;
    api.server.shutdown().await;
    let api = Api::file(&path).await;
    holds(&api, &accepted).await;
    let copy = tempfile::tempdir().unwrap();
    api.server
        .backup(copy.path().join("copy"))
        .await
        .expect("a whole database");
    // A second copy has no room here: it fails and leaves nothing.
    let before = std::fs::read_dir(&disk.0).unwrap().count();
    assert!(api.server.backup(disk.0.join("copy")).await.is_err());
    assert_eq!(std::fs::read_dir(&disk.0).unwrap().count(), before);
    api.server.shutdown().await;
}

#[tokio::test]
async fn a_file_that_somebody_else_changed_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drover.db");
    let api = Api::file(&path).await;
    api.post(MAPS, &config_map("a", &json!({})))
        .await
        .expect(201);
    api.post(MAPS, &config_map("b", &json!({})))
        .await
        .expect(201);
    {
        let other = rusqlite::Connection::open(&path).unwrap();
        other
            .execute_batch("DELETE FROM objects WHERE key = 'default/a'")
            .unwrap();
    }
    let status = api
        .merge(&format!("{MAPS}/a"), &json!({"data": {"k": "v"}}))
        .await
        .expect(500);
    assert_eq!(status["reason"], "InternalError");
    // The rest works on.
    api.merge(&format!("{MAPS}/b"), &json!({"data": {"k": "v"}}))
        .await
        .expect(200);
    api.server.shutdown().await;
}
