use std::fs::{self, OpenOptions};
use std::io::Write as _;

use jiff::ToSpan as _;
use serde_json::json;

use super::*;
use crate::file::{Files, Limits};
use crate::verify::verify;

fn start() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

/// A second after the other.
fn at(number: usize) -> Timestamp {
    start() + i64::try_from(number).unwrap().seconds()
}

fn object(number: usize) -> Vec<u8> {
    let verb = ["get", "list", "update"][number % 3];
    let code = if number.is_multiple_of(7) { 403 } else { 200 };
    let entry = json!({
        "auditID": format!("id-{number}"), "responseTimestamp": at(number).to_string(), "responseCode": code,
        "verb": verb, "user": {"name": format!("u-{}", number % 5)}, "responseBody": {"long": "x".repeat(40)},
        "object": {"cluster": "c-1", "resource": "pods"},
    });
    entry.to_string().into_bytes()
}

struct Log {
    _folder: tempfile::TempDir,
    path: PathBuf,
    files: Files,
    n_written: usize,
}

impl Log {
    /// One whose files hold some lines each.
    fn new(size: u64, backups: Option<usize>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let limits = Limits {
            size,
            age: None,
            backups,
        };
        let files = Files::open(path.clone(), limits, start()).unwrap();
        Self {
            _folder: folder,
            path,
            files,
            n_written: 0,
        }
    }

    fn write(&mut self, n_entries: usize) {
        for number in self.n_written..self.n_written + n_entries {
            self.files.write(&[object(number)], at(number)).unwrap();
        }
        self.n_written += n_entries;
        self.files.sync().unwrap();
    }

    fn reader(&self) -> Reader {
        Reader::new(self.path.clone(), watch::channel(self.files.last()).1)
    }
}

/// Ids on all pages of an answer, newest first, and how many pages it took.
fn ids(reader: &Reader, filter: &Filter, limit: usize) -> (Vec<String>, usize) {
    let mut ask = Ask {
        filter: filter.clone(),
        limit,
        ..Ask::default()
    };
    let mut found = Vec::new();
    for n_pages in 1.. {
        let page = reader.page(&ask).unwrap();
        assert!(page.entries.len() <= limit);
        found.extend(
            page.entries
                .iter()
                .filter_map(|entry| Some(entry["auditID"].as_str()?.to_owned())),
        );
        match page.next {
            Some(next) => ask.before = Some(next),
            None => return (found, n_pages),
        }
    }
    unreachable!("the pages do not end")
}

fn numbers(numbers: impl DoubleEndedIterator<Item = usize>) -> Vec<String> {
    numbers.rev().map(|number| format!("id-{number}")).collect()
}

#[test]
fn pages_over_rotated_files_are_the_whole_log_newest_first() {
    let mut log = Log::new(4000, None);
    log.write(100);
    assert!(fs::read_dir(log.path.parent().unwrap()).unwrap().count() > 5);
    for limit in [1, 7, 1000] {
        let (found, n_pages) = ids(&log.reader(), &Filter::default(), limit);
        assert_eq!(found, numbers(0..100), "{limit}");
        assert!(n_pages >= 100 / limit);
    }
    let page = log
        .reader()
        .page(&Ask {
            limit: 1,
            ..Ask::default()
        })
        .unwrap();
    assert_eq!(page.entries[0].get("responseBody"), None);
    assert_eq!(page.reached, Some(at(99)));
}

#[test]
fn a_page_holds_its_place_while_lines_are_written_and_files_rotated() {
    let mut log = Log::new(4000, None);
    log.write(50);
    let reader = log.reader();
    let mut ask = Ask {
        limit: 10,
        ..Ask::default()
    };
    let mut found = Vec::new();
    loop {
        let page = reader.page(&ask).unwrap();
        found.extend(
            page.entries
                .iter()
                .filter_map(|entry| entry["auditID"].as_str().map(str::to_owned)),
        );
        log.write(13);
        match page.next {
            Some(next) => ask.before = Some(next),
            None => break,
        }
    }
    assert_eq!(found, numbers(0..50));
}

#[test]
fn filters_and_times_choose_entries() {
    let mut log = Log::new(4000, None);
    log.write(200);
    let reader = log.reader();
    let check = |filter: Filter, expected: Vec<String>| {
        assert_eq!(ids(&reader, &filter, 9).0, expected, "{filter:?}");
    };
    check(
        Filter {
            user: Some("u-2".to_owned()),
            verb: Some(Words::parse("!get,list")),
            ..Filter::default()
        },
        numbers((0..200).filter(|number| number % 5 == 2 && number % 3 == 2)),
    );
    check(
        Filter {
            outcome: Some(Outcome::Refused),
            ..Filter::default()
        },
        numbers((0..200).filter(|number| number % 7 == 0)),
    );
    check(
        Filter {
            since: Some(at(40)),
            until: Some(at(150)),
            ..Filter::default()
        },
        numbers(40..151),
    );
    check(
        Filter {
            until: Some(start() - 1.hour()),
            ..Filter::default()
        },
        Vec::new(),
    );
}

#[test]
fn a_reading_looks_through_so_much_and_no_more() {
    let mut log = Log::new(u64::MAX, None);
    let line = json!({"auditID": "x", "verb": "get", "padding": "x".repeat(1 << 20)}).to_string();
    for _ in 0..40 {
        log.files
            .write(&[line.clone().into_bytes()], start())
            .unwrap();
    }
    let ask = Ask {
        filter: Filter {
            verb: Some(Words::parse("never")),
            ..Filter::default()
        },
        limit: 10,
        ..Ask::default()
    };
    let page = log.reader().page(&ask).unwrap();
    assert!(page.entries.is_empty());
    let next = page.next.unwrap();
    assert!(
        (5..=12).contains(&next),
        "{next} is not about 32 MiB before the end"
    );
    let rest = log
        .reader()
        .page(&Ask {
            before: Some(next),
            ..ask
        })
        .unwrap();
    assert_eq!(rest.next, None);
}

#[test]
fn what_is_new_is_what_came_after_a_line() {
    let mut log = Log::new(4000, None);
    log.write(20);
    let last = log.files.last();
    log.write(15);
    let ask = Ask {
        after: Some(last),
        limit: 100,
        ..Ask::default()
    };
    let page = log.reader().page(&ask).unwrap();
    assert_eq!((page.entries.len(), page.next), (15, None));
}

#[test]
fn one_line_is_found_whole() {
    let mut log = Log::new(4000, Some(3));
    log.write(100);
    let reader = log.reader();
    let last = log.files.last();
    let line = reader.line(last).unwrap().unwrap();
    assert_eq!(line["auditID"], "id-99");
    assert!(line["responseBody"].is_object());
    let kept = ids(&reader, &Filter::default(), 1000).0.len();
    assert!(kept < 100, "old files were removed");
    for number in [0, 1, last + 1, u64::MAX] {
        assert_eq!(reader.line(number).unwrap(), None, "{number}");
    }
}

#[test]
fn a_log_that_is_being_written_is_whole_up_to_its_last_line() {
    let mut log = Log::new(4000, Some(3));
    log.write(60);
    let mut file = OpenOptions::new().append(true).open(&log.path).unwrap();
    file.write_all(b"{\"sequence\":61,\"previous").unwrap();
    let reader = log.reader();
    let report = reader.verify(&|| false).unwrap();
    assert_eq!(report.last, log.files.last());
    assert!(report.end_known);
    // The same lines at rest would be an unfinished log.
    assert!(verify(&log.path).is_err());
    assert_eq!(
        reader
            .page(&Ask {
                limit: 1,
                ..Ask::default()
            })
            .unwrap()
            .entries[0]["auditID"],
        "id-59"
    );
    assert!(matches!(reader.verify(&|| true), Err(VerifyError::Stopped)));
    let text = fs::read_to_string(&log.path).unwrap();
    fs::write(&log.path, text.replacen("id-59", "id-60", 1)).unwrap();
    assert!(matches!(
        reader.verify(&|| false),
        Err(VerifyError::Broken(_))
    ));
}
