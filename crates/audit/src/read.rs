//! Reading the log: pages of it, newest first, without reading it whole.
//!
//! A page ends when it is full, or when so many bytes were looked through that it is time to answer; either way it says
//! where the next one begins. Places are numbers of lines, found by halving, so that they hold while files are rotated.
//! All of this blocks.

mod filter;
mod lines;

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

use crate::file::{live_files, whole_lines};
use crate::verify::{Report, VerifyError, verify_live};
use filter::Seen;
pub use filter::{Filter, Outcome, UnknownOutcome, Words};
use lines::{Backwards, narrow};

/// Bytes that are looked through for one page.
const LOOKED_THROUGH: u64 = 32 << 20;
/// Bytes of one page.
const PAGE_BYTES: usize = 4 << 20;
/// Lines are written in the order of their times but for what requests do at once.
const DISORDER: Duration = Duration::from_secs(60);

/// The log could not be read.
#[derive(Debug, thiserror::Error)]
#[error("read {}", path.display())]
pub struct ReadError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Which lines.
    pub filter: Filter,
    /// Only lines with a smaller number.
    pub before: Option<u64>,
    /// Only lines with a larger number.
    pub after: Option<u64>,
    /// How many at most.
    pub limit: usize,
}

/// Some lines, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The lines, as they were written, without bodies and headers.
    pub entries: Vec<Value>,
    /// Where the next page begins: to be asked for with `before`. None when all was looked through.
    pub next: Option<u64>,
    /// The time down to which the log was looked through.
    pub reached: Option<Timestamp>,
}

/// Reads a log that may be written meanwhile. Clones are the same.
#[derive(Clone, Debug)]
pub struct Reader {
    path: PathBuf,
    written: watch::Receiver<u64>,
}

impl Reader {
    /// Of the log at `path`; `written` tells the number of its newest line.
    pub(crate) fn new(path: PathBuf, written: watch::Receiver<u64>) -> Self {
        Self { path, written }
    }

    /// Tells the number of the newest line, whenever there are new ones.
    #[must_use]
    pub fn written(&self) -> watch::Receiver<u64> {
        self.written.clone()
    }

    /// A page of the log. Blocks.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn page(&self, ask: &Ask) -> Result<Page, ReadError> {
        let mut search = Search {
            ask,
            page: Page::default(),
            size: 0,
            looked: 0,
            last: None,
        };
        for (path, file) in self.files()? {
            let at = |source| ReadError {
                path: path.clone(),
                source,
            };
            let opened = match file {
                Some(file) => file,
                None => match File::open(&path) {
                    Ok(file) => file,
                    // The log removed its oldest files meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                    Err(error) => return Err(at(error)),
                },
            };
            match search.file(opened).map_err(at)? {
                Step::Further => {}
                Step::Done => break,
                Step::Enough => {
                    search.page.next = search.last;
                    break;
                }
            }
        }
        Ok(search.page)
    }

    /// One line, whole. Blocks.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn line(&self, sequence: u64) -> Result<Option<Value>, ReadError> {
        let ask = Ask {
            before: Some(sequence.saturating_add(1)),
            ..Ask::default()
        };
        for (path, file) in self.files()? {
            let at = |source| ReadError {
                path: path.clone(),
                source,
            };
            let mut file = match file {
                Some(file) => file,
                None => File::open(&path).map_err(at)?,
            };
            let end = end_of(&mut file, &ask).map_err(at)?;
            let mut lines = Backwards::new(&mut file, end);
            while let Some(line) = lines.line().map_err(at)? {
                match Seen::of(&line).map(|seen| seen.sequence) {
                    Some(number) if number == sequence => {
                        return Ok(serde_json::from_slice(&line).ok());
                    }
                    Some(number) if number < sequence => return Ok(None),
                    _ => {}
                }
            }
        }
        Ok(None)
    }

    /// Checks the log while it is written, until `stopped`. Blocks, and reads all of it.
    ///
    /// # Errors
    ///
    /// The first line that is broken; or what could not be read.
    pub fn verify(&self, stopped: &dyn Fn() -> bool) -> Result<Report, VerifyError> {
        verify_live(&self.path, stopped)
    }

    /// The files, newest first.
    fn files(&self) -> Result<Vec<(PathBuf, Option<File>)>, ReadError> {
        let found = live_files(&self.path).map_err(|source| ReadError {
            path: self.path.clone(),
            source,
        })?;
        let current = std::iter::once((self.path.clone(), Some(found.current)));
        let older = found.older.into_iter().rev().map(|path| (path, None));
        Ok(current.chain(older).collect())
    }
}

/// Where to begin in a file: behind the lines that are asked for.
fn end_of(file: &mut File, ask: &Ask) -> io::Result<u64> {
    let (mut end, _) = whole_lines(file)?;
    if let Some(before) = ask.before {
        end = narrow(file, end, |line| Some(Seen::of(line)?.sequence < before))?;
    }
    if let Some(until) = ask.filter.until {
        let latest = until.checked_add(DISORDER).unwrap_or(Timestamp::MAX);
        end = narrow(file, end, |line| Some(Seen::of(line)?.at()? <= latest))?;
    }
    Ok(end)
}

#[derive(PartialEq, Eq)]
enum Step {
    /// There may be more in older files.
    Further,
    /// All that is asked for was looked through.
    Done,
    /// The page is full, or took long enough.
    Enough,
}

struct Search<'a> {
    ask: &'a Ask,
    page: Page,
    /// Bytes of the page.
    size: usize,
    /// Bytes looked through.
    looked: u64,
    /// Number of the last line that was looked at.
    last: Option<u64>,
}

impl Search<'_> {
    fn file(&mut self, mut file: File) -> io::Result<Step> {
        let end = end_of(&mut file, self.ask)?;
        let mut lines = Backwards::new(&mut file, end);
        let before = self.looked;
        while let Some(line) = lines.line()? {
            self.looked = before + lines.read;
            match self.line(&line) {
                Step::Further => {}
                step => return Ok(step),
            }
        }
        Ok(Step::Further)
    }

    fn line(&mut self, line: &[u8]) -> Step {
        // A damaged line is for `verify` to tell of.
        let Some(seen) = Seen::of(line) else {
            return Step::Further;
        };
        let Ask {
            filter,
            before,
            after,
            limit,
        } = self.ask;
        if before.is_some_and(|before| seen.sequence >= before) {
            return Step::Further;
        }
        if after.is_some_and(|after| seen.sequence <= after) {
            return Step::Done;
        }
        let is_enough = self.page.entries.len() >= *limit
            || self.size >= PAGE_BYTES
            || self.looked >= LOOKED_THROUGH;
        if is_enough && self.last.is_some() {
            return Step::Enough;
        }
        self.last = Some(seen.sequence);
        let at = seen.at();
        if let (Some(since), Some(at)) = (filter.since, at)
            && at < since
        {
            return if since.duration_since(at).unsigned_abs() > DISORDER {
                Step::Done
            } else {
                Step::Further
            };
        }
        self.page.reached = at.or(self.page.reached);
        let is_late = matches!((filter.until, at), (Some(until), Some(at)) if at > until);
        if !is_late
            && filter.passes(&seen)
            && let Some(entry) = summary(line)
        {
            self.size += line.len();
            self.page.entries.push(entry);
        }
        Step::Further
    }
}

/// A line without what is long.
fn summary(line: &[u8]) -> Option<Value> {
    let mut entry: Value = serde_json::from_slice(line).ok()?;
    let fields = entry.as_object_mut()?;
    for long in [
        "requestHeader",
        "responseHeader",
        "requestBody",
        "responseBody",
    ] {
        fields.remove(long);
    }
    Some(entry)
}

#[cfg(test)]
mod tests;
