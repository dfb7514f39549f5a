//! Copies of the database in one file each: made while a server runs, and put back.
//!
//! A backup is a SQLite database of the usual layout with one more table, `backup(objects, revision, digest)`: what it
//! should hold. `digest` is a SHA-256 over the revision and every row, so that rows that are missing, old or changed
//! show when it is put back. It appears under its name only when it is complete and synced.
//!
//! Reading goes through SQLite's online backup, in one read transaction of the WAL: the copy is the state at one
//! commit, and the server that owns the file neither waits nor notices.
//!
//! Putting back raises the counter of revisions by [`LEAP`]. Clients may hold revisions from after the backup; used
//! again for other states they would mislead caches. So raised, they lie before the history and are `Expired`: the
//! client lists anew. (etcd's `snapshot restore` has `--bump-revision` for the same reason.)

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::file::{self, Problem, StoreOpenError};

/// By how much the counter of revisions is raised: more writes than happen between a backup and its use.
const LEAP: i64 = 1_000_000_000;

/// How long to wait for a lock that another process holds on the database.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a backup was not made or put back. Each names the file; nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is nothing to copy.
    #[error("there is no file {0}")]
    Missing(PathBuf),
    /// The name of the backup is taken.
    #[error("{0} exists; name a new file for the backup")]
    Exists(PathBuf),
    /// There is something where the database should go.
    #[error(
        "{0} exists; move the database and its -wal and -shm files away, or restore into another folder"
    )]
    Occupied(PathBuf),
    /// A server uses the folder.
    #[error("a server is using the database {0}; stop it first")]
    InUse(PathBuf),
    /// The server has no file.
    #[error("the server keeps its objects in memory only")]
    Memory,
    /// The file cannot be relied on.
    #[error("{path} is damaged ({problem})")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Somebody else's file, or a plain copy of a database, which nothing proves to be whole.
    #[error("{0} was not written by `drover backup`")]
    NotABackup(PathBuf),
    /// This program is too old for the file.
    #[error(
        "{path} has layout {found}, which this version does not know; use the version that wrote it, or a newer one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: i64,
    },
    /// SQLite failed on the file.
    #[error("cannot copy {path}")]
    Copy {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The file system failed.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The task that copied was ended.
    #[error("the copy was interrupted: {0}")]
    Interrupted(String),
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// How many objects.
    pub objects: u64,
    /// The revision they are of.
    pub revision: u64,
    /// SHA-256 over all of it, in hexadecimal.
    pub digest: String,
}

/// Copies the database at `database` to the new file `to`, consistent, checked and synced. A server may run on it, in
/// this process or another. Blocks.
///
/// # Errors
///
/// See [`BackupError`].
pub fn backup(database: &Path, to: &Path) -> Result<Contents, BackupError> {
    if !database.is_file() {
        return Err(BackupError::Missing(database.to_owned()));
    }
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let partial = Partial::beside(to)?;
    copy(database, &partial.path)?;
    let connection = open(&partial.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let contents = seal(&connection).map_err(|problem| describe(problem, database))?;
    close(connection, &partial.path)?;
    partial.publish(to)?;
    Ok(contents)
}

/// Makes the database `database` out of the backup `from`, after checking all of it. Blocks.
///
/// # Errors
///
/// See [`BackupError`]; there must be no database, and no server that uses the folder.
pub fn restore(from: &Path, database: &Path) -> Result<Contents, BackupError> {
    if !from.is_file() {
        return Err(BackupError::Missing(from.to_owned()));
    }
    let _lock = file::lock(database).map_err(|error| match error {
        StoreOpenError::Locked { path } => BackupError::InUse(path),
        StoreOpenError::Folder { path, source }
        | StoreOpenError::Lock { path, source }
        | StoreOpenError::Log { path, source } => BackupError::File { path, source },
        StoreOpenError::Open { path, source } => BackupError::Copy { path, source },
        StoreOpenError::Full { path } => BackupError::File {
            path,
            source: io::ErrorKind::StorageFull.into(),
        },
        // To lock does not look at the database.
        StoreOpenError::Torn { path, .. } => BackupError::Occupied(path),
        StoreOpenError::Corrupt { path, problem } => BackupError::Damaged { path, problem },
        StoreOpenError::Newer { path, found } => BackupError::Newer { path, found },
    })?;
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        if Path::new(&name).exists() {
            return Err(BackupError::Occupied(name.into()));
        }
    }
    // We hold the lock, so that nobody works on them any more.
    for left in file::partials(database) {
        fs::remove_file(&left).map_err(|source| BackupError::File { path: left, source })?;
    }
    let partial = Partial::beside(database)?;
    copy(from, &partial.path)?;
    let connection = open(&partial.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let contents = unseal(&connection, from)?;
    close(connection, &partial.path)?;
    partial.publish(database)?;
    Ok(contents)
}

/// Copies one database over the empty file `to`, as of one moment.
fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    let failed = |error: rusqlite::Error| describe(Problem::Sqlite(error), from);
    // Not read-only: if nobody has a database in WAL mode open, the reader has to make the index of its log.
    let source = open(from, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .or_else(|_| open(from, OpenFlags::SQLITE_OPEN_READ_ONLY))?;
    source.busy_timeout(PATIENCE).map_err(failed)?;
    let mut target = open(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let copied = |error: rusqlite::Error| BackupError::Copy {
        path: to.to_owned(),
        source: error,
    };
    target
        .pragma_update(None, "synchronous", "FULL")
        .map_err(copied)?;
    let start = Instant::now();
    {
        let backup = Backup::new(&source, &mut target).map_err(failed)?;
        // All pages in one step, so that no write of the server makes it begin again.
        while !matches!(backup.step(-1).map_err(failed)?, StepResult::Done) {
            if start.elapsed() > PATIENCE {
                let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                return Err(failed(rusqlite::Error::SqliteFailure(busy, None)));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    // One file, without a log beside it.
    target
        .pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
        .map_err(copied)?;
    close(target, to)
}

/// Checks a fresh copy and writes down what it holds.
fn seal(connection: &Connection) -> Result<Contents, Problem> {
    let contents = examine(connection)?;
    connection.execute_batch(
        "DROP TABLE IF EXISTS backup;
         CREATE TABLE backup (objects INTEGER NOT NULL, revision INTEGER NOT NULL, digest TEXT NOT NULL) STRICT;",
    )?;
    connection.execute(
        "INSERT INTO backup VALUES (?1, ?2, ?3)",
        params![
            contents.objects.cast_signed(),
            contents.revision.cast_signed(),
            contents.digest
        ],
    )?;
    Ok(contents)
}

/// Checks a copy of a backup against what was written down, and makes it a database for new writes.
fn unseal(connection: &Connection, from: &Path) -> Result<Contents, BackupError> {
    let failed = |error: rusqlite::Error| describe(Problem::Sqlite(error), from);
    let sealed: bool = connection
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'backup'",
            [],
            |row| row.get(0),
        )
        .map_err(failed)?;
    if !sealed {
        return Err(BackupError::NotABackup(from.to_owned()));
    }
    let contents = examine(connection).map_err(|problem| describe(problem, from))?;
    let written = connection
        .query_row("SELECT objects, revision, digest FROM backup", [], |row| {
            Ok(Contents {
                objects: row.get::<_, i64>(0)?.unsigned_abs(),
                revision: row.get::<_, i64>(1)?.unsigned_abs(),
                digest: row.get(2)?,
            })
        })
        .optional()
        .map_err(failed)?;
    if written.as_ref() != Some(&contents) {
        return Err(BackupError::Damaged {
            path: from.to_owned(),
            problem: "it does not hold what was written into it".to_owned(),
        });
    }
    connection
        .execute_batch("DROP TABLE backup")
        .map_err(failed)?;
    connection
        .execute(
            "UPDATE meta SET value = value + ?1 WHERE name = 'revision'",
            [LEAP],
        )
        .map_err(failed)?;
    Ok(contents)
}

fn examine(connection: &Connection) -> Result<Contents, Problem> {
    file::check(connection)?;
    let mut objects = 0;
    let mut digest = Sha256::new();
    let revision = file::scan(connection, |row| {
        objects += 1;
        digest.update(row.id.to_le_bytes());
        for part in [row.table.as_bytes(), row.key.as_bytes(), row.data] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.update(row.revision.to_le_bytes());
        digest.update(row.mark.to_le_bytes());
        Ok(())
    })?;
    digest.update(revision.to_le_bytes());
    Ok(Contents {
        objects,
        revision,
        digest: hex::encode(digest.finalize()),
    })
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, BackupError> {
    Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| describe(Problem::Sqlite(error), path))
}

fn close(connection: Connection, path: &Path) -> Result<(), BackupError> {
    connection
        .close()
        .map_err(|(_, error)| describe(Problem::Sqlite(error), path))
}

fn describe(problem: Problem, path: &Path) -> BackupError {
    let path = path.to_owned();
    match problem {
        Problem::Sqlite(error) if file::is_damage(&error) => BackupError::Damaged {
            path,
            problem: error.to_string(),
        },
        Problem::Sqlite(source) => BackupError::Copy { path, source },
        Problem::Damaged(problem) => BackupError::Damaged { path, problem },
        Problem::Newer(found) => BackupError::Newer { path, found },
    }
}

/// A file that is not complete yet, under a name of its own; removed unless it is published.
#[derive(Debug)]
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn beside(path: &Path) -> Result<Self, BackupError> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}{}", uuid::Uuid::new_v4(), file::PARTIAL));
        let path = PathBuf::from(name);
        match OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&path)
        {
            Ok(_) => Ok(Self { path }),
            Err(source) => Err(BackupError::File { path, source }),
        }
    }

    fn publish(self, to: &Path) -> Result<(), BackupError> {
        fs::File::open(&self.path)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&self.path, to))
            .and_then(|()| file::sync_folder(file::folder(to)))
            .map_err(|source| BackupError::File {
                path: to.to_owned(),
                source,
            })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After `publish` the name is gone.
        for suffix in ["", "-journal"] {
            let mut name = self.path.as_os_str().to_owned();
            name.push(suffix);
            if let Err(error) = fs::remove_file(&name)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %self.path.display(), %error, "cannot remove an incomplete copy");
            }
        }
    }
}
