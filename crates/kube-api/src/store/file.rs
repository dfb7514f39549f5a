//! The SQLite file: one row per object, and the counter of revisions.
//!
//! Owns the file's layout and its version, the lock against a second server, and the checks at open. Each row carries a
//! CRC over its table, key, revision and bytes, since SQLite itself does not check pages; a row that fails it, or a page
//! SQLite finds malformed, refuses the whole file by name rather than losing an object silently.
//!
//! The file is in WAL mode: a commit appends to the log and syncs it, and other processes may read meanwhile, which
//! `backup` does. That nobody else writes is what the lock file is for.
//!
//! Layout version 1:
//! `meta(name PRIMARY KEY, value)`: `layout`, `revision`;
//! `objects(id PRIMARY KEY, tab, key, revision, mark, crc, data)`: `id` is the revision of creation.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use super::memory::{EventKind, Key, State, Stored};
use super::{WriteError, wal};

/// The layout this program writes.
const LAYOUT: i64 = 1;

/// The WAL is folded back into the database when it holds this many pages (16 MB): rarely enough that most commits
/// sync once, often enough that opening stays quick.
const CHECKPOINT_PAGES: i64 = 4096;

/// The size to which the WAL is cut when it starts over: twice what a checkpoint waits for.
const JOURNAL_BYTES: i64 = 32 * 1024 * 1024;

/// Why the store could not be opened. Each names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreOpenError {
    #[error("cannot create the folder of the database {path}")]
    Folder { path: PathBuf, source: io::Error },
    #[error(
        "the database {path} is in use by another server; stop that one, or give this one another folder"
    )]
    Locked { path: PathBuf },
    #[error("cannot lock the database {path}")]
    Lock { path: PathBuf, source: io::Error },
    #[error("cannot read the -wal file of the database {path}")]
    Log { path: PathBuf, source: io::Error },
    #[error("cannot open the database {path}")]
    Open {
        path: PathBuf,
        source: rusqlite::Error,
    },
    #[error("the disk of the database {path} is full; make room, then start again")]
    Full { path: PathBuf },
    #[error(
        "a restore of the database {path} was interrupted, {partial} is what is left of it; run `drover restore` again, or remove that file to begin with an empty database"
    )]
    Torn { path: PathBuf, partial: PathBuf },
    #[error(
        "the database {path} is damaged ({problem}); move it and its -wal and -shm files away, then put the newest backup in its place with `drover restore`"
    )]
    Corrupt { path: PathBuf, problem: String },
    #[error(
        "the database {path} has layout {found}, this program knows up to {LAYOUT}: it was written by a newer version; start that version, or move the database away and put a backup of this version in its place with `drover restore`"
    )]
    Newer { path: PathBuf, found: i64 },
}

/// What is wrong inside a file.
#[derive(Debug)]
pub(super) enum Problem {
    Sqlite(rusqlite::Error),
    Damaged(String),
    Newer(i64),
}

impl Problem {
    fn at(self, path: &Path) -> StoreOpenError {
        let path = path.to_owned();
        match self {
            Self::Sqlite(source) if is_damage(&source) => StoreOpenError::Corrupt {
                path,
                problem: source.to_string(),
            },
            Self::Sqlite(source) if is_full(&source) => StoreOpenError::Full { path },
            Self::Sqlite(source) => StoreOpenError::Open { path, source },
            Self::Damaged(problem) => StoreOpenError::Corrupt { path, problem },
            Self::Newer(found) => StoreOpenError::Newer { path, found },
        }
    }
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Whether SQLite says that the file is not what it wrote.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// One object as a row.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) table: &'a str,
    pub(super) key: &'a str,
    pub(super) stored: &'a Stored,
}

/// A row and what to do with it.
#[derive(Debug)]
pub(super) struct RowChange<'a> {
    pub(super) row: Row<'a>,
    pub(super) kind: EventKind,
}

/// An open database. The lock is held as long as this lives.
#[derive(Debug)]
pub(super) struct File {
    connection: Connection,
    path: PathBuf,
    _lock: Lock,
}

impl File {
    /// Opens or makes the database at `path` and reads all of it into `state`.
    pub(super) fn open(
        path: &Path,
        max_bytes: u64,
        state: &mut State,
    ) -> Result<Self, StoreOpenError> {
        let lock = lock(path)?;
        // An empty database in its place would look like a hub that was never there, and its agents would be refused.
        if !path.exists()
            && let Some(partial) = partials(path).into_iter().next()
        {
            let path = path.to_owned();
            return Err(StoreOpenError::Torn { path, partial });
        }
        // SQLite gives its side files the mode of the database.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(|source| StoreOpenError::Lock {
                path: path.to_owned(),
                source,
            })?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let damage = wal::damage(Path::new(&log)).map_err(|source| StoreOpenError::Log {
            path: path.to_owned(),
            source,
        })?;
        if let Some(problem) = damage {
            return Err(Problem::Damaged(problem).at(path));
        }
        let connection =
            open_checked(path, max_bytes, state).map_err(|problem| problem.at(path))?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Writes a group of changes and the revision they lead to, durably, or nothing.
    pub(super) fn write<'a>(
        &mut self,
        changes: impl Iterator<Item = RowChange<'a>> + Clone,
        revision: u64,
    ) -> Result<(), WriteError> {
        let mut written = self.try_write(changes.clone(), revision);
        if written.as_ref().is_err_and(is_full) {
            // Once its pages are in the database, the log is written from its beginning again and need not grow.
            match self
                .connection
                .query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))
            {
                Ok(()) => written = self.try_write(changes, revision),
                Err(error) => {
                    tracing::debug!(path = %self.path.display(), %error, "no checkpoint on a full disk")
                }
            }
        }
        written.map_err(|error| {
            let error = write_error(&error);
            tracing::error!(path = %self.path.display(), %error, "a write to the database failed");
            error
        })
    }

    fn try_write<'a>(
        &mut self,
        changes: impl Iterator<Item = RowChange<'a>>,
        revision: u64,
    ) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        for RowChange { row, kind } in changes {
            let stored = row.stored;
            let changed = match kind {
                EventKind::Added => {
                    transaction
                        .prepare_cached(
                            "INSERT INTO objects (id, tab, key, revision, mark, crc, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                        )?
                        .execute(params![
                            stored.row,
                            row.table,
                            row.key,
                            signed(stored.revision),
                            signed(stored.mark),
                            crc(row.table, row.key, stored.revision, stored.bytes()),
                            stored.bytes()
                        ])?
                }
                EventKind::Modified => {
                    transaction
                        .prepare_cached(
                            "UPDATE objects SET revision = ?2, mark = ?3, crc = ?4, data = ?5 WHERE id = ?1",
                        )?
                        .execute(params![
                            stored.row,
                            signed(stored.revision),
                            signed(stored.mark),
                            crc(row.table, row.key, stored.revision, stored.bytes()),
                            stored.bytes()
                        ])?
                }
                EventKind::Deleted => {
                    transaction
                        .prepare_cached("DELETE FROM objects WHERE id = ?1")?
                        .execute([stored.row])?
                }
            };
            if changed != 1 {
                // The file is not what was read from it: somebody else has written.
                return Err(rusqlite::Error::StatementChangedRows(changed));
            }
        }
        transaction
            .prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'revision'")?
            .execute([signed(revision)])?;
        transaction.commit()
    }

    /// What SQLite says about a setting.
    #[cfg(test)]
    pub(super) fn pragma(&self, name: &str) -> String {
        let value: rusqlite::types::Value = self
            .connection
            .query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
            .unwrap();
        match value {
            rusqlite::types::Value::Text(text) => text,
            rusqlite::types::Value::Integer(number) => number.to_string(),
            other => format!("{other:?}"),
        }
    }

    /// Folds the WAL into the database and closes it.
    pub(super) fn close(self) {
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(path = %self.path.display(), %error, "closing the database");
        }
    }
}

/// The lock against a second server, given back when dropped.
#[derive(Debug)]
pub(super) struct Lock(fs::File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a program that this process starts just now holds every file until it is executed, and
        // the lock with it. An error leaves what closing does.
        drop(self.0.unlock());
    }
}

/// Takes the lock that a server holds as long as it uses the database; makes the folder.
pub(super) fn lock(path: &Path) -> Result<Lock, StoreOpenError> {
    let folder = folder(path);
    if !folder.is_dir() {
        fs::create_dir_all(folder)
            .and_then(|()| sync_folder(folder.parent().unwrap_or(folder)))
            .map_err(|source| StoreOpenError::Folder {
                path: path.to_owned(),
                source,
            })?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let failed = |source| StoreOpenError::Lock {
        path: path.to_owned(),
        source,
    };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&name)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(fs::TryLockError::WouldBlock) => Err(StoreOpenError::Locked {
            path: path.to_owned(),
        }),
        Err(fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// How the names of copies of a database end that are not complete.
pub(super) const PARTIAL: &str = ".partial";

/// Copies that were to become the database at `path` and were never completed, and what SQLite left beside them. A folder
/// that cannot be read has none: to open or to make the database there tells why.
pub(super) fn partials(path: &Path) -> Vec<PathBuf> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    let is_partial = |entry: &fs::DirEntry| {
        let found = entry.file_name();
        let rest = found
            .as_encoded_bytes()
            .strip_prefix(name.as_encoded_bytes());
        rest.is_some_and(|rest| {
            [PARTIAL, ".partial-journal", ".partial-wal", ".partial-shm"]
                .iter()
                .any(|end| rest.ends_with(end.as_bytes()))
        })
    };
    let entries = fs::read_dir(folder(path)).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(is_partial)
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// The folder of a file.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    })?
    .sync_all()
}

fn open_checked(path: &Path, max_bytes: u64, state: &mut State) -> Result<Connection, Problem> {
    let size = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if size(path) == 0 && size(Path::new(&log)) > 0 {
        // SQLite writes the first page before it writes a log, and would throw this log away.
        return Err(Problem::Damaged(
            "it is empty, but its -wal file is not".to_owned(),
        ));
    }
    let connection = Connection::open(path)?;
    configure(&connection, max_bytes)?;
    if is_new(&connection)? {
        create(&connection)?;
    }
    check(&connection)?;
    let revision = scan(&connection, |row| {
        let stored = Stored::new(row.revision, row.mark, row.id, row.data.into());
        if state.load(row.table, Key::from(row.key), stored) {
            Ok(())
        } else {
            Err(Problem::Damaged(format!(
                "{} {} occurs twice",
                row.table, row.key
            )))
        }
    })?;
    state.opened(revision);
    Ok(connection)
}

fn configure(connection: &Connection, max_bytes: u64) -> rusqlite::Result<()> {
    // Reading the mode back also reads the header, so a file that is no database fails here.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A reader in another process (`drover backup`) holds its locks for moments only.
    connection.busy_timeout(Duration::from_secs(5))?;
    // A burst of writes does not leave its log behind for good.
    connection.pragma_update_and_check(None, "journal_size_limit", JOURNAL_BYTES, |_| Ok(()))?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // Nothing is read from the file once it is loaded; this is for the pages being written.
    connection.pragma_update(None, "cache_size", -4096)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    if max_bytes > 0 {
        let page: u64 = connection
            .query_row("PRAGMA page_size", [], |row| row.get::<_, i64>(0))?
            .unsigned_abs();
        let pages = signed((max_bytes / page.max(1)).max(16));
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    Ok(())
}

fn is_new(connection: &Connection) -> Result<bool, Problem> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(tables == 0)
}

fn create(connection: &Connection) -> Result<(), Problem> {
    connection.execute_batch(
        "BEGIN IMMEDIATE;
         CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID, STRICT;
         CREATE TABLE objects (id INTEGER PRIMARY KEY, tab TEXT NOT NULL, key TEXT NOT NULL,
             revision INTEGER NOT NULL, mark INTEGER NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
         INSERT INTO meta VALUES ('layout', 1), ('revision', 1);
         COMMIT;",
    )?;
    Ok(())
}

/// Checks that this is a database of this program and layout, and that SQLite finds its pages in order.
pub(super) fn check(connection: &Connection) -> Result<(), Problem> {
    let ours: bool = connection.query_row(
        "SELECT count(*) = 2 FROM sqlite_schema WHERE type = 'table' AND name IN ('meta', 'objects')",
        [],
        |row| row.get(0),
    )?;
    if !ours {
        return Err(Problem::Damaged(
            "it is a database of some other program".to_owned(),
        ));
    }
    match meta(connection, "layout")? {
        Some(LAYOUT) => {}
        Some(found) if found > LAYOUT => return Err(Problem::Newer(found)),
        Some(_) | None => {
            let problem = "its layout version is missing or was never used".to_owned();
            return Err(Problem::Damaged(problem));
        }
    }
    let problem: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if problem != "ok" {
        return Err(Problem::Damaged(problem));
    }
    Ok(())
}

fn meta(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| {
            row.get(0)
        })
        .optional()
}

/// A row as it stands in the file.
#[derive(Debug)]
pub(super) struct Scanned<'a> {
    pub(super) id: i64,
    pub(super) table: &'a str,
    pub(super) key: &'a str,
    pub(super) revision: u64,
    pub(super) mark: u64,
    pub(super) data: &'a [u8],
}

/// Hands every object to `each` in the order of creation, its checksum checked, and returns the file's revision.
pub(super) fn scan(
    connection: &Connection,
    mut each: impl FnMut(Scanned<'_>) -> Result<(), Problem>,
) -> Result<u64, Problem> {
    let counter = meta(connection, "revision")?
        .ok_or_else(|| Problem::Damaged("its revision is missing".to_owned()))?
        .unsigned_abs();
    let mut statement = connection
        .prepare("SELECT id, tab, key, revision, mark, crc, data FROM objects ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let read = || -> rusqlite::Result<_> {
            let scanned = Scanned {
                id: row.get(0)?,
                table: row.get_ref(1)?.as_str()?,
                key: row.get_ref(2)?.as_str()?,
                revision: row.get::<_, i64>(3)?.unsigned_abs(),
                mark: row.get::<_, i64>(4)?.cast_unsigned(),
                data: row.get_ref(6)?.as_blob()?,
            };
            Ok((scanned, row.get::<_, i64>(5)?))
        };
        let (scanned, sum) =
            read().map_err(|error| Problem::Damaged(format!("an unreadable row: {error}")))?;
        let Scanned {
            table,
            key,
            revision,
            ..
        } = scanned;
        if crc(table, key, revision, scanned.data) != sum {
            return Err(Problem::Damaged(format!(
                "the checksum of {table} {key} is wrong"
            )));
        }
        if revision > counter {
            return Err(Problem::Damaged(format!(
                "{table} {key} is newer than the database's revision {counter}"
            )));
        }
        each(scanned)?;
    }
    Ok(counter)
}

fn signed(value: u64) -> i64 {
    value.cast_signed()
}

fn crc(table: &str, key: &str, revision: u64, data: &[u8]) -> i64 {
    let mut crc = flate2::Crc::new();
    crc.update(table.as_bytes());
    crc.update(b"\0");
    crc.update(key.as_bytes());
    crc.update(b"\0");
    crc.update(&revision.to_le_bytes());
    crc.update(data);
    i64::from(crc.sum())
}

/// On a full disk SQLite cannot make the file that the readers share either, and says so in other words.
fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || error
            .sqlite_error()
            .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

fn write_error(error: &rusqlite::Error) -> WriteError {
    if is_full(error) {
        WriteError::NoSpace
    } else {
        WriteError::Failed(Arc::from(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_failures_of_files() {
        let check = |extended: i32, full: bool| {
            let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(extended), None);
            assert_eq!(is_full(&error), full, "{extended}");
            let told = Problem::Sqlite(error).at(Path::new("a.db"));
            assert_eq!(matches!(told, StoreOpenError::Full { .. }), full);
        };
        check(rusqlite::ffi::SQLITE_FULL, true);
        check(rusqlite::ffi::SQLITE_IOERR_SHMSIZE, true);
        check(rusqlite::ffi::SQLITE_IOERR_READ, false);
    }

    #[test]
    fn the_lock_is_given_back_while_a_starting_program_still_holds_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("objects.db");
        let held = lock(&path).expect("the first lock");
        assert!(matches!(lock(&path), Err(StoreOpenError::Locked { .. })));
        // What a fork makes of it until it is executed.
        let _copy = held.0.try_clone().expect("a second descriptor");
        drop(held);
        lock(&path).expect("the lock again");
    }
}
