use std::fs;
use std::path::Path;

use crate::verify::verify;
use crate::{Object, Stage};

use super::*;

fn now() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

fn config(folder: &Path) -> Config {
    Config {
        path: folder.join("audit.log"),
        limits: Limits {
            size: 1 << 20,
            age: None,
            backups: None,
        },
        now: Arc::new(now),
    }
}

fn entry(n: usize) -> Entry {
    Entry {
        audit_id: format!("id-{n}"),
        request_uri: "/v3/clusters".to_owned(),
        user: None,
        user_login_name: None,
        method: "GET".to_owned(),
        remote_addr: None,
        request_timestamp: now(),
        response_timestamp: now(),
        response_code: 200,
        stage: Stage::ResponseComplete,
        verb: "list".to_owned(),
        object: Object::default(),
        duration_millis: 1,
        request_header: None,
        response_header: None,
        request_body: None,
        response_body: None,
    }
}

async fn written(config: Config, n_entries: usize) {
    let (log, writer) = AuditLog::open(config).unwrap();
    for n in 0..n_entries {
        log.submit(&entry(n));
    }
    let stop = CancellationToken::new();
    stop.cancel();
    writer.run(stop).await;
}

#[tokio::test]
async fn what_was_taken_before_the_stop_is_written() {
    let folder = tempfile::tempdir().unwrap();
    written(config(folder.path()), 3).await;
    let report = verify(folder.path()).unwrap();
    assert_eq!((report.n_lines, report.last, report.n_lost), (4, 4, 0));
    assert!(report.end_known);
    let text = fs::read_to_string(folder.path().join("audit.log")).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(line["auditID"], "id-0");
    assert_eq!(line["requestTimestamp"], "2026-11-29T12:00:00.000Z");
}

#[tokio::test]
async fn files_of_the_log_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    // What was left behind by a crash keeps no wider rights.
    fs::write(folder.path().join("audit.log.head.new"), "").unwrap();
    let mut config = config(folder.path());
    config.limits.size = 1;
    written(config, 3).await;
    let mut names = Vec::new();
    for file in fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.file_name());
        names.push(file.file_name().into_string().unwrap());
    }
    assert!(
        names.contains(&"audit.log.head".to_owned()) && names.len() > 2,
        "{names:?}"
    );
}

#[tokio::test]
async fn a_full_queue_loses_entries_and_says_how_many() {
    let folder = tempfile::tempdir().unwrap();
    written(config(folder.path()), QUEUE + 7).await;
    let report = verify(folder.path()).unwrap();
    assert_eq!(report.n_lost, 7);
    // The opening, the queue's content, and the gap.
    assert_eq!(report.n_lines, QUEUE as u64 + 2);
}

#[tokio::test]
async fn a_disk_that_takes_no_more_leaves_a_gap_when_it_does_again() {
    let folder = tempfile::tempdir().unwrap();
    let (log, mut writer) = AuditLog::open(config(folder.path())).unwrap();
    let path = folder.path().join("audit.log");
    // A file opened for reading refuses every write, as a full disk does.
    writer.files.replace_file(fs::File::open(&path).unwrap());
    log.submit(&entry(0));
    let mut batch = Vec::new();
    writer.queue.recv_many(&mut batch, BATCH).await;
    writer.write(batch);
    assert!(writer.failing);
    let append = fs::OpenOptions::new().append(true).open(&path).unwrap();
    writer.files.replace_file(append);
    writer.write(vec![serde_json::to_vec(&entry(1)).unwrap()]);
    assert!(!writer.failing);
    let report = verify(folder.path()).unwrap();
    assert_eq!((report.n_lost, report.n_lines), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn the_head_follows_within_a_second_though_entries_never_pause() {
    let folder = tempfile::tempdir().unwrap();
    let (log, writer) = AuditLog::open(config(folder.path())).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(writer.run(stop.clone()));
    // Time goes on by the waits only, and none is as long as a second.
    for n in 0..40 {
        log.submit(&entry(n));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let report = verify(folder.path()).unwrap();
    assert!(report.end_known, "{report:?}");
    let head = fs::read(folder.path().join("audit.log.head")).unwrap();
    let head: serde_json::Value = serde_json::from_slice(&head).unwrap();
    assert!(head["sequence"].as_u64() > Some(1), "{head}");
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_restart_continues_the_chain_and_drops_a_torn_line() {
    let folder = tempfile::tempdir().unwrap();
    written(config(folder.path()), 2).await;
    let path = folder.path().join("audit.log");
    let mut torn = fs::read(&path).unwrap();
    torn.extend_from_slice(br#"{"sequence":4,"prev"#);
    fs::write(&path, torn).unwrap();
    assert!(verify(folder.path()).is_err());
    written(config(folder.path()), 1).await;
    let report = verify(folder.path()).unwrap();
    assert_eq!(report.last, 5);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"tornBytes\":19"), "{text}");
}

#[tokio::test]
async fn rotation_carries_the_chain_and_removal_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.limits.size = 1;
    for n in 0..5 {
        written(config.clone(), n).await;
    }
    let report = verify(folder.path()).unwrap();
    assert!(report.files.len() > 5, "{report:?}");
    assert_eq!(report.first, 1);
    let n_all = report.last;

    config.limits.backups = Some(2);
    written(config.clone(), 1).await;
    let report = verify(folder.path()).unwrap();
    assert_eq!(report.files.len(), 3);
    assert!(report.first > 1 && report.last > n_all, "{report:?}");

    // The same removal by somebody else is a broken log.
    fs::remove_file(&report.files[0]).unwrap();
    let error = verify(folder.path()).unwrap_err().to_string();
    assert!(error.contains("before it are missing"), "{error}");
}

#[tokio::test]
async fn old_files_are_removed_by_age() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.limits.size = 1;
    written(config.clone(), 2).await;
    config.limits.age = Some(Duration::from_secs(24 * 3600));
    let later = Timestamp::now() + jiff::SignedDuration::from_hours(25);
    config.now = Arc::new(move || later);
    written(config.clone(), 1).await;
    let report = verify(folder.path()).unwrap();
    assert!(report.first > 1, "{report:?}");
}
