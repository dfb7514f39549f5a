//! Whether a log is whole.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};

use crate::chain::{self, Head};
use crate::file::{backups, first_sequence, head_path, live_files, whole_lines};

/// How often files are listed again that went meanwhile.
const RETRIES: usize = 3;

/// What a whole log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Files, oldest first.
    pub files: Vec<PathBuf>,
    /// Lines in them.
    pub n_lines: u64,
    /// Number of the first line; above 1 when older files were removed by the log itself.
    pub first: u64,
    /// Number of the last line.
    pub last: u64,
    /// Hash of the last line; noted elsewhere, it pins all lines before it.
    pub hash: String,
    /// Entries that the log says it lost.
    pub n_lost: u64,
    /// Whether the end was compared with the stored head.
    pub end_known: bool,
}

/// The first place where a log is not whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {reason}", file.display())]
pub struct Broken {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong.
    pub reason: String,
}

/// A log is broken, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is broken.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// A file could not be read.
    #[error("read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Nobody waits for the answer any more.
    #[error("the check was stopped")]
    Stopped,
    /// There is no log.
    #[error("{} holds no audit log", .0.display())]
    Nothing(PathBuf),
}

/// Checks a log: the file and those rotated from it, or one rotated file alone, or the log in a folder.
///
/// # Errors
///
/// The first line that is broken; or what could not be read.
pub fn verify(path: &Path) -> Result<Report, VerifyError> {
    let read = |source| VerifyError::Read {
        path: path.to_owned(),
        source,
    };
    let log = if std::fs::metadata(path).map_err(read)?.is_dir() {
        log_in(path).map_err(read)?
    } else {
        path.to_owned()
    };
    let head = stored_head(&log).map_err(read)?;
    let older = backups(&log).map_err(read)?;
    let mut files: Vec<PathBuf> = older.into_iter().map(|(_, path)| path).collect();
    if log.exists() {
        files.push(log.clone());
    }
    if files.is_empty() {
        return Err(VerifyError::Nothing(path.to_owned()));
    }
    // A rotated file alone says nothing about where the log begins and ends.
    let whole = files.len() > 1 || head.is_some() || first_sequence(&log) == Some(1);
    let mut check = Check::new(head);
    for path in &files {
        let read = |source| VerifyError::Read {
            path: path.clone(),
            source,
        };
        let file = File::open(path).map_err(read)?;
        check.file(path, file, &|| false)?;
    }
    check.finish(files, whole)
}

/// Checks a log that is written and rotated meanwhile, up to its last whole line at this moment.
pub(crate) fn verify_live(log: &Path, stopped: &dyn Fn() -> bool) -> Result<Report, VerifyError> {
    let read = |source| VerifyError::Read {
        path: log.to_owned(),
        source,
    };
    // First, so that the line it names is in the files.
    let head = stored_head(log).map_err(read)?;
    let mut opened = open_all(log);
    for _ in 0..RETRIES {
        match opened {
            // The log removed an old file between its listing and its opening.
            Err(error) if error.kind() == io::ErrorKind::NotFound => opened = open_all(log),
            _ => break,
        }
    }
    let opened = opened.map_err(read)?;
    let mut check = Check::new(head);
    let mut files = Vec::with_capacity(opened.len());
    for (path, mut file, is_current) in opened {
        if is_current {
            let (length, _) = whole_lines(&mut file).map_err(read)?;
            file.rewind().map_err(read)?;
            check.file(&path, file.take(length), stopped)?;
        } else {
            check.file(&path, file, stopped)?;
        }
        files.push(path);
    }
    check.finish(files, true)
}

/// All files of a log, open, oldest first, and which one is written to.
fn open_all(log: &Path) -> io::Result<Vec<(PathBuf, File, bool)>> {
    let found = live_files(log)?;
    let mut opened = Vec::with_capacity(found.older.len() + 1);
    for path in found.older {
        let file = File::open(&path)?;
        opened.push((path, file, false));
    }
    opened.push((log.to_owned(), found.current, true));
    Ok(opened)
}

fn stored_head(log: &Path) -> io::Result<Option<Head>> {
    match std::fs::read(head_path(log)) {
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The log that is written in a folder: the one with a head, else the file with the shortest name.
fn log_in(folder: &Path) -> io::Result<PathBuf> {
    let mut logs = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(log) = name.strip_suffix(".head") {
            return Ok(folder.join(log));
        }
        if Path::new(&name).extension().is_some_and(|end| end == "log") {
            logs.push(name);
        }
    }
    logs.sort_by_key(String::len);
    Ok(folder.join(logs.first().map_or("audit.log", String::as_str)))
}

struct Check {
    stored: Option<Head>,
    previous: Option<Head>,
    first: u64,
    first_kept: u64,
    n_lines: u64,
    n_lost: u64,
    end_known: bool,
    /// Where the last line was.
    place: (PathBuf, u64),
}

impl Check {
    fn new(stored: Option<Head>) -> Self {
        Self {
            stored,
            previous: None,
            first: 0,
            first_kept: 1,
            n_lines: 0,
            n_lost: 0,
            end_known: false,
            place: (PathBuf::new(), 0),
        }
    }

    fn file(
        &mut self,
        path: &Path,
        file: impl Read,
        stopped: &dyn Fn() -> bool,
    ) -> Result<(), VerifyError> {
        let read = |source| VerifyError::Read {
            path: path.to_owned(),
            source,
        };
        let mut reader = BufReader::new(file);
        self.place = (path.to_owned(), 0);
        let mut line = Vec::new();
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line).map_err(read)? == 0 {
                return Ok(());
            }
            if stopped() {
                return Err(VerifyError::Stopped);
            }
            self.place.1 += 1;
            let Some(content) = line.strip_suffix(b"\n") else {
                return Err(self.broken("it is not finished").into());
            };
            self.line(content)?;
        }
    }

    fn line(&mut self, content: &[u8]) -> Result<(), Broken> {
        let (place, head) = chain::open(content).map_err(|error| self.broken(&error))?;
        match &self.previous {
            None => self.first = place.sequence,
            Some(previous) if previous.sequence + 1 != place.sequence => {
                let expected = previous.sequence + 1;
                return Err(self.broken(&format!(
                    "line {} of the log stands where {expected} should",
                    place.sequence
                )));
            }
            Some(previous) if previous.hash != place.previous_hash => {
                return Err(self.broken("the line before it is not the one it was written after"));
            }
            Some(_) => {}
        }
        if let Some(stored) = self
            .stored
            .as_ref()
            .filter(|stored| stored.sequence == head.sequence)
        {
            if *stored != head {
                return Err(self.broken("it is not the line that was last written"));
            }
            self.end_known = true;
        }
        self.n_lines += 1;
        self.n_lost += place.lost.unwrap_or_default();
        self.first_kept = place.first_kept.unwrap_or(self.first_kept);
        self.previous = Some(head);
        Ok(())
    }

    fn finish(self, files: Vec<PathBuf>, whole: bool) -> Result<Report, VerifyError> {
        let Some(last) = &self.previous else {
            return match &self.stored {
                Some(stored) => Err(self
                    .broken(&format!("all {} lines are missing", stored.sequence))
                    .into()),
                None => Err(VerifyError::Nothing(self.place.0)),
            };
        };
        if let Some(stored) = self
            .stored
            .as_ref()
            .filter(|stored| last.sequence < stored.sequence)
        {
            return Err(self
                .broken(&format!(
                    "the log ends at {}, but {} lines were written",
                    last.sequence, stored.sequence
                ))
                .into());
        }
        if whole && self.first > self.first_kept {
            let missing = Broken {
                file: files[0].clone(),
                line: 1,
                reason: format!(
                    "the lines from {} to {} before it are missing",
                    self.first_kept,
                    self.first - 1
                ),
            };
            return Err(missing.into());
        }
        Ok(Report {
            n_lines: self.n_lines,
            first: self.first,
            last: last.sequence,
            hash: last.hash.clone(),
            n_lost: self.n_lost,
            end_known: self.end_known,
            files,
        })
    }

    fn broken(&self, reason: &(impl ToString + ?Sized)) -> Broken {
        Broken {
            file: self.place.0.clone(),
            line: self.place.1,
            reason: reason.to_string(),
        }
    }
}
