//! The file: chained lines, rotation by size, removal by age and number.
//!
//! `audit.log` is written to; full ones are renamed to `audit-<time>.log`, as the peer's are. `audit.log.head` holds
//! number and hash of the last line, so that a cut-off end shows. All of this blocks; `log` calls it off the runtime.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::chain::{self, Head};
use crate::entry::moment;

/// When files are rotated and removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a file before it is rotated.
    pub size: u64,
    /// Age at which a rotated file is removed; none keeps them.
    pub age: Option<Duration>,
    /// Rotated files that are kept; none keeps all.
    pub backups: Option<usize>,
}

/// The log could not be opened or written.
#[derive(Debug, thiserror::Error)]
#[error("{step} {path}")]
pub struct FileError {
    step: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Adds what was done to which file.
fn at<'a>(step: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> FileError + 'a {
    move |source| FileError {
        step,
        path: path.to_owned(),
        source,
    }
}

/// What the log says about itself.
#[derive(Debug, Serialize)]
#[serde(
    tag = "event",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
pub(crate) enum Notice {
    /// A server began to write; `torn_bytes` of a line that was not finished were dropped.
    Opened {
        #[serde(serialize_with = "moment")]
        timestamp: Timestamp,
        #[serde(skip_serializing_if = "is_zero")]
        torn_bytes: u64,
    },
    /// Entries are missing here.
    Gap {
        #[serde(serialize_with = "moment")]
        timestamp: Timestamp,
        lost: u64,
        reason: &'static str,
    },
    /// Old files were removed; the first line left is `first_kept`.
    Removed {
        #[serde(serialize_with = "moment")]
        timestamp: Timestamp,
        files: Vec<String>,
        first_kept: u64,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The open log.
#[derive(Debug)]
pub(crate) struct Files {
    path: PathBuf,
    limits: Limits,
    file: File,
    /// Bytes of whole lines in `file`; what is behind them is the rest of a failed write.
    length: u64,
    /// Whether the file may be longer than `length`.
    torn: bool,
    head: Head,
    unsynced: bool,
    /// Whether rotation or the head failed and that was said.
    stuck: bool,
}

impl Files {
    /// Opens the log and continues its chain. A last line that was not finished is dropped, and that is noted.
    pub(crate) fn open(path: PathBuf, limits: Limits, now: Timestamp) -> Result<Self, FileError> {
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            fs::create_dir_all(folder).map_err(at("create the folder", folder))?;
        }
        let mut file = open_append(&path).map_err(at("open the audit log", &path))?;
        let (length, torn_bytes) =
            whole_lines(&mut file).map_err(at("read the audit log", &path))?;
        if torn_bytes > 0 {
            file.set_len(length)
                .map_err(at("drop the unfinished line of the audit log", &path))?;
        }
        let mut files = Self {
            head: Head::origin(),
            path,
            limits,
            file,
            length,
            torn: false,
            unsynced: false,
            stuck: false,
        };
        files.head = files.find_head()?;
        let opened = Notice::Opened {
            timestamp: now,
            torn_bytes,
        };
        files.write(&[line(&opened)], now)?;
        files.remove_old(now)?;
        Ok(files)
    }

    /// Writes objects as lines: all of them, or none and an error.
    pub(crate) fn write(&mut self, objects: &[Vec<u8>], now: Timestamp) -> Result<(), FileError> {
        if self.length >= self.limits.size {
            // A file that is too large is better than lost entries.
            match self.rotate(now) {
                Ok(()) => self.stuck = false,
                Err(error) => self.complain(&error),
            }
        }
        self.append(objects)
    }

    fn append(&mut self, objects: &[Vec<u8>]) -> Result<(), FileError> {
        if self.torn {
            self.file
                .set_len(self.length)
                .map_err(at("cut the audit log after its last line", &self.path))?;
            self.torn = false;
        }
        let mut head = self.head.clone();
        let mut lines = Vec::with_capacity(objects.iter().map(|object| object.len() + 256).sum());
        for object in objects {
            head.seal(object, &mut lines);
        }
        if let Err(error) = self.file.write_all(&lines) {
            self.torn = true;
            return Err(at("write the audit log", &self.path)(error));
        }
        self.length += lines.len() as u64;
        self.head = head;
        self.unsynced = true;
        Ok(())
    }

    /// Once, until a rotation works again.
    fn complain(&mut self, error: &FileError) {
        if !self.stuck {
            self.stuck = true;
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(%error, cause, "the audit log cannot be looked after");
        }
    }

    /// Number of the last line that was written.
    pub(crate) fn last(&self) -> u64 {
        self.head.sequence
    }

    /// Whether lines were written that may not be on disk.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    /// Makes sure that what was written is on disk, and writes down its head.
    pub(crate) fn sync(&mut self) -> Result<(), FileError> {
        if self.unsynced {
            self.file
                .sync_data()
                .map_err(at("sync the audit log", &self.path))?;
            self.unsynced = false;
            // The head is only a witness, and one that is behind is right; the lines are written.
            if let Err(error) = self.store_head() {
                self.complain(&error);
            }
        }
        Ok(())
    }

    /// Not synced: after a crash it may be behind, which is right.
    fn store_head(&self) -> Result<(), FileError> {
        let path = head_path(&self.path);
        let temporary = path.with_extension("head.new");
        let text = serde_json::to_vec(&self.head).expect("a head is plain data");
        write_private(&temporary, &text)
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(at("write the head of the audit log", &path))
    }

    /// Writes to another file from now on, for tests of files that refuse.
    #[cfg(test)]
    pub(crate) fn replace_file(&mut self, file: File) {
        self.file = file;
    }

    fn rotate(&mut self, now: Timestamp) -> Result<(), FileError> {
        self.sync()?;
        let backup = free_name(&self.path, now);
        fs::rename(&self.path, &backup).map_err(at("rotate the audit log to", &backup))?;
        match open_append(&self.path) {
            Ok(file) => {
                self.file = file;
                self.length = 0;
            }
            Err(error) => {
                // Back to where we were, so that nothing is written to a file that counts as closed.
                fs::rename(&backup, &self.path).map_err(at("rename back", &backup))?;
                return Err(at("open the audit log", &self.path)(error));
            }
        }
        self.remove_old(now)
    }

    /// Removes rotated files beyond the limits. The note comes first: a removal nobody noted is a broken chain.
    fn remove_old(&mut self, now: Timestamp) -> Result<(), FileError> {
        let backups = backups(&self.path).map_err(at("list the files of", &self.path))?;
        let too_many = self
            .limits
            .backups
            .map_or(0, |kept| backups.len().saturating_sub(kept));
        let too_old = |path: &Path| {
            let age = fs::metadata(path)
                .and_then(|data| data.modified())
                .ok()
                .and_then(|at| Timestamp::try_from(at).ok())
                .map(|at| now.duration_since(at));
            match (self.limits.age, age) {
                (Some(limit), Some(age)) => age.as_secs() > 0 && age.unsigned_abs() > limit,
                _ => false,
            }
        };
        let n_old = backups
            .iter()
            .enumerate()
            .take_while(|(at, (_, path))| *at < too_many || too_old(path))
            .count();
        if n_old == 0 {
            return Ok(());
        }
        let (old, kept) = backups.split_at(n_old);
        let first_kept = match kept.first() {
            Some((sequence, _)) => *sequence,
            None => first_sequence(&self.path).unwrap_or(self.head.sequence + 1),
        };
        let removed = Notice::Removed {
            timestamp: now,
            files: old.iter().map(|(_, path)| file_name(path)).collect(),
            first_kept,
        };
        self.append(&[line(&removed)])?;
        self.sync()?;
        for (_, path) in old {
            fs::remove_file(path).map_err(at("remove", path))?;
        }
        Ok(())
    }

    /// Where the chain stands: the last line of the newest file that has one, else the stored head.
    fn find_head(&self) -> Result<Head, FileError> {
        let mut newest = vec![self.path.clone()];
        let backups = backups(&self.path).map_err(at("list the files of", &self.path))?;
        newest.extend(backups.into_iter().rev().map(|(_, path)| path));
        for path in newest {
            let last = last_line(&path).map_err(at("read", &path))?;
            if let Some(Ok((_, head))) = last.map(|line| chain::open(&line)) {
                return Ok(head);
            }
        }
        let path = head_path(&self.path);
        match fs::read(&path) {
            Ok(text) => Ok(serde_json::from_slice(&text).unwrap_or_else(|_| Head::origin())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Head::origin()),
            Err(error) => Err(at("read", &path)(error)),
        }
    }
}

/// A notice as JSON.
pub(crate) fn line(notice: &Notice) -> Vec<u8> {
    serde_json::to_vec(notice).expect("a notice is plain data")
}

/// Writes a whole file that is its owner's alone, also where one lies that was not.
fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(text)
}

fn open_append(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The file with the head beside a log.
pub(crate) fn head_path(log: &Path) -> PathBuf {
    log.with_file_name(format!("{}.head", file_name(log)))
}

/// `audit-2026-11-29T12-00-00.000.log`, not yet taken.
fn free_name(path: &Path, now: Timestamp) -> PathBuf {
    let (stem, extension) = name_parts(path);
    let time = now.strftime("%Y-%m-%dT%H-%M-%S%.3f");
    (0..)
        .map(|n| match n {
            0 => format!("{stem}-{time}{extension}"),
            n => format!("{stem}-{time}-{n}{extension}"),
        })
        .map(|name| path.with_file_name(name))
        .find(|path| !path.exists())
        .expect("the numbers do not end")
}

fn name_parts(path: &Path) -> (String, String) {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path
        .extension()
        .map(|extension| format!(".{}", extension.to_string_lossy()))
        .unwrap_or_default();
    (stem.into_owned(), extension)
}

/// Rotated files of a log with the number of their first line, oldest first. One whose first line cannot be read counts
/// as the oldest, so that a damaged file is not taken for the newest.
pub(crate) fn backups(log: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let (stem, extension) = name_parts(log);
    let folder = log
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_backup = name
            .strip_prefix(&stem)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|rest| {
                rest.ends_with(&extension) && rest.starts_with(|c: char| c.is_ascii_digit())
            });
        if is_backup {
            let path = folder.join(name);
            found.push((first_sequence(&path).unwrap_or(0), path));
        }
    }
    found.sort();
    Ok(found)
}

/// The files of a log that may be written and rotated meanwhile.
pub(crate) struct LiveFiles {
    /// The one that was written to when it was opened.
    pub(crate) current: File,
    /// Those before it, oldest first. One that is rotated meanwhile is neither missed nor there twice.
    pub(crate) older: Vec<PathBuf>,
}

/// Opens a log to read.
pub(crate) fn live_files(path: &Path) -> io::Result<LiveFiles> {
    // In this order: a file that is rotated after it was opened has another name, but the same first line.
    let current = File::open(path)?;
    let first = first_sequence_in(&current);
    let older = backups(path)?
        .into_iter()
        .filter(|(number, _)| first.is_none_or(|first| *number < first))
        .map(|(_, path)| path)
        .collect();
    Ok(LiveFiles { current, older })
}

/// Number of a file's first line.
pub(crate) fn first_sequence(path: &Path) -> Option<u64> {
    first_sequence_in(&File::open(path).ok()?)
}

fn first_sequence_in(file: &File) -> Option<u64> {
    use std::io::BufRead as _;
    let mut first = Vec::new();
    io::BufReader::new(file)
        .read_until(b'\n', &mut first)
        .ok()?;
    let place: chain::Place = serde_json::from_slice(&first).ok()?;
    Some(place.sequence)
}

/// Bytes of whole lines, and those of an unfinished one behind them.
pub(crate) fn whole_lines(file: &mut File) -> io::Result<(u64, u64)> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut end = length;
    let mut block = vec![0; 64 << 10];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let size = usize::try_from(end - start).unwrap_or(block.len());
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut block[..size])?;
        if let Some(found) = block[..size].iter().rposition(|byte| *byte == b'\n') {
            let whole = start + found as u64 + 1;
            return Ok((whole, length - whole));
        }
        end = start;
    }
    Ok((0, length))
}

/// The last whole line, without its end.
fn last_line(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let (length, _) = whole_lines(&mut file)?;
    if length == 0 {
        return Ok(None);
    }
    // Grow backwards until the line before it ends in what was read.
    let mut size = 4096;
    loop {
        let start = (length - 1).saturating_sub(size);
        let mut tail = vec![0; usize::try_from(length - 1 - start).unwrap_or(0)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut tail)?;
        match tail.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => return Ok(Some(tail.split_off(at + 1))),
            None if start == 0 => return Ok(Some(tail)),
            None => size *= 4,
        }
    }
}
