//! Whatever is changed, removed or swapped in a log is found, and where.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of a test fail the test"
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use drover_audit::{AuditLog, Config, Entry, Limits, Object, Stage, VerifyError, verify};
use jiff::Timestamp;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

const N_ENTRIES: usize = 12;

fn now() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

fn entry(n: usize) -> Entry {
    Entry {
        audit_id: format!("id-{n}"),
        request_uri: format!("/v3/clusters/c-{n}"),
        user: None,
        user_login_name: None,
        method: "GET".to_owned(),
        remote_addr: None,
        request_timestamp: now(),
        response_timestamp: now(),
        response_code: 200,
        stage: Stage::ResponseComplete,
        verb: "get".to_owned(),
        object: Object::default(),
        duration_millis: 1,
        request_header: None,
        response_header: None,
        request_body: None,
        response_body: None,
    }
}

/// Lines of a fresh log, and its head.
fn fresh() -> (Vec<String>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        path: folder.path().join("audit.log"),
        limits: Limits {
            size: 1 << 20,
            age: None,
            backups: None,
        },
        now: Arc::new(now),
    };
    let (log, writer) = AuditLog::open(config).unwrap();
    for n in 0..N_ENTRIES {
        log.submit(&entry(n));
    }
    let stop = CancellationToken::new();
    stop.cancel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(writer.run(stop));
    let text = fs::read_to_string(folder.path().join("audit.log")).unwrap();
    let head = fs::read(folder.path().join("audit.log.head")).unwrap();
    (text.lines().map(|line| format!("{line}\n")).collect(), head)
}

fn store(folder: &Path, lines: &[String], head: &[u8]) {
    fs::write(folder.join("audit.log"), lines.concat()).unwrap();
    fs::write(folder.join("audit.log.head"), head).unwrap();
}

/// The number of the first broken line.
fn broken(lines: &[String], head: &[u8]) -> Option<u64> {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path(), lines, head);
    match verify(folder.path()) {
        Ok(_) => None,
        Err(VerifyError::Broken(broken)) => Some(broken.line),
        Err(error) => panic!("{error}"),
    }
}

#[derive(Clone, Debug)]
enum Tampering {
    Change { line: usize, byte: usize, bit: u8 },
    Remove { line: usize },
    Swap { one: usize, other: usize },
    Repeat { line: usize },
}

fn tampering() -> impl Strategy<Value = Tampering> {
    let line = 0..=N_ENTRIES;
    prop_oneof![
        (line.clone(), any::<usize>(), 0..7_u8).prop_map(|(line, byte, bit)| Tampering::Change {
            line,
            byte,
            bit
        }),
        line.clone().prop_map(|line| Tampering::Remove { line }),
        (line.clone(), line.clone()).prop_map(|(one, other)| Tampering::Swap { one, other }),
        line.prop_map(|line| Tampering::Repeat { line }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_tampering_is_found_at_its_line(tampering in tampering()) {
        let (mut lines, head) = fresh();
        prop_assert_eq!(broken(&lines, &head), None);
        let n_lines = lines.len() as u64;
        let at = |line: usize| line as u64 + 1;
        let expected = match tampering {
            Tampering::Change { line, byte, bit } => {
                let mut bytes = lines[line].clone().into_bytes();
                let byte = byte % (bytes.len() - 1);
                bytes[byte] ^= 1 << bit;
                // A line end inside makes two lines of one; the first is broken.
                lines[line] = String::from_utf8(bytes).unwrap();
                at(line)
            }
            Tampering::Remove { line } => {
                lines.remove(line);
                // Without its last line the log ends too early, at the line before.
                at(line).min(n_lines - 1)
            }
            Tampering::Swap { one, other } => {
                prop_assume!(one != other);
                lines.swap(one, other);
                // A later line in first place looks like a beginning; the one behind it does not follow.
                match one.min(other) {
                    0 => 2,
                    first => at(first),
                }
            }
            Tampering::Repeat { line } => {
                let again = lines[line].clone();
                lines.insert(line, again);
                at(line) + 1
            }
        };
        prop_assert_eq!(broken(&lines, &head), Some(expected));
    }
}
