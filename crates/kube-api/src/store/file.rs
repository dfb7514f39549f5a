//! The SQLite file: one row per object, and the counter of revisions.
//!
//! Owns the file's layout and its version, the lock against a second server, and the checks at open. Each row carries a
//! CRC over its table, key, revision and bytes, since SQLite itself does not check pages; a row that fails it, or a page
//! SQLite finds malformed, refuses the whole file by name rather than losing an object silently.
//!
//! Layout version 1:
//! `meta(name PRIMARY KEY, value)`: `layout`, `revision`;
//! `objects(id PRIMARY KEY, tab, key, revision, mark, crc, data)`: `id` is the revision of creation.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use super::WriteError;
use super::memory::{EventKind, Key, State, Stored};

/// The layout this program writes.
const LAYOUT: i64 = 1;

/// The WAL is folded back into the database when it holds this many pages (16 MB): rarely enough that most commits
/// sync once, often enough that opening stays quick.
const CHECKPOINT_PAGES: i64 = 4096;

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
    #[error("cannot open the database {path}")]
    Open {
        path: PathBuf,
        source: rusqlite::Error,
    },
    #[error(
        "the database {path} is damaged ({problem}); move it and its -wal and -shm files away and put a backup in its place"
    )]
    Corrupt { path: PathBuf, problem: String },
    #[error(
        "the database {path} has layout {found}, this program knows up to {LAYOUT}: it was written by a newer version; start that version, or put a backup of this one in its place"
    )]
    Newer { path: PathBuf, found: i64 },
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
    _lock: fs::File,
}

impl File {
    /// Opens or makes the database at `path` and reads all of it into `state`.
    pub(super) fn open(
        path: &Path,
        max_bytes: u64,
        state: &mut State,
    ) -> Result<Self, StoreOpenError> {
        let lock = lock(path)?;
        let opened = |source: rusqlite::Error| match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreOpenError::Corrupt {
                path: path.to_owned(),
                problem: source.to_string(),
            },
            _ => StoreOpenError::Open {
                path: path.to_owned(),
                source,
            },
        };
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
        let connection = Connection::open(path).map_err(opened)?;
        configure(&connection, max_bytes).map_err(opened)?;
        migrate(&connection, path, opened)?;
        let problem: String = connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(opened)?;
        if problem != "ok" {
            return Err(StoreOpenError::Corrupt {
                path: path.to_owned(),
                problem,
            });
        }
        let revision = load(&connection, path, state, opened)?;
        state.opened(revision);
        Ok(Self {
            connection,
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Writes a group of changes and the revision they lead to, durably, or nothing.
    pub(super) fn write<'a>(
        &mut self,
        changes: impl Iterator<Item = RowChange<'a>>,
        revision: u64,
    ) -> Result<(), WriteError> {
        self.try_write(changes, revision).map_err(|error| {
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
            match kind {
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
                        ])?;
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
                        ])?;
                }
                EventKind::Deleted => {
                    transaction
                        .prepare_cached("DELETE FROM objects WHERE id = ?1")?
                        .execute([stored.row])?;
                }
            }
        }
        transaction
            .prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'revision'")?
            .execute([signed(revision)])?;
        transaction.commit()
    }

    /// Called between groups: SQLite checkpoints by itself, this keeps the WAL file from staying long after a burst.
    pub(super) fn rest(&mut self) {}

    /// Copies the database into a new file.
    pub(super) fn backup(&self, to: &Path) -> Result<(), WriteError> {
        if to.exists() {
            return Err(WriteError::Failed(
                format!("{} exists", to.display()).into(),
            ));
        }
        OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(to)
            .map_err(|error| WriteError::Failed(format!("{}: {error}", to.display()).into()))?;
        let copy = || -> rusqlite::Result<()> {
            let mut target = Connection::open(to)?;
            target.pragma_update(None, "synchronous", "FULL")?;
            let backup = rusqlite::backup::Backup::new(&self.connection, &mut target)?;
            backup.step(-1)?;
            Ok(())
        };
        copy().map_err(|error| write_error(&error))
    }

    /// Folds the WAL into the database and closes it.
    pub(super) fn close(self) {
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(path = %self.path.display(), %error, "closing the database");
        }
    }
}

fn lock(path: &Path) -> Result<fs::File, StoreOpenError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|source| StoreOpenError::Folder {
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
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StoreOpenError::Locked {
            path: path.to_owned(),
        }),
        Err(fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn configure(connection: &Connection, max_bytes: u64) -> rusqlite::Result<()> {
    // Reading the mode back also reads the header, so a file that is no database fails here.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
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

fn migrate(
    connection: &Connection,
    path: &Path,
    opened: impl Fn(rusqlite::Error) -> StoreOpenError + Copy,
) -> Result<(), StoreOpenError> {
    let has_meta: bool = connection
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'meta'",
            [],
            |row| row.get(0),
        )
        .map_err(opened)?;
    if !has_meta {
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(opened)?;
        if tables > 0 {
            return Err(StoreOpenError::Corrupt {
                path: path.to_owned(),
                problem: "it is a database of some other program".to_owned(),
            });
        }
        return connection
            .execute_batch(
                "BEGIN IMMEDIATE;
                 CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID, STRICT;
                 CREATE TABLE objects (id INTEGER PRIMARY KEY, tab TEXT NOT NULL, key TEXT NOT NULL,
                     revision INTEGER NOT NULL, mark INTEGER NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
                 INSERT INTO meta VALUES ('layout', 1), ('revision', 1);
                 COMMIT;",
            )
            .map_err(opened);
    }
    let layout: Option<i64> = connection
        .query_row("SELECT value FROM meta WHERE name = 'layout'", [], |row| {
            row.get(0)
        })
        .optional()
        .map_err(opened)?;
    match layout {
        Some(LAYOUT) => Ok(()),
        Some(found) if found > LAYOUT => Err(StoreOpenError::Newer {
            path: path.to_owned(),
            found,
        }),
        Some(_) | None => Err(StoreOpenError::Corrupt {
            path: path.to_owned(),
            problem: "its layout version is missing or was never used".to_owned(),
        }),
    }
}

fn load(
    connection: &Connection,
    path: &Path,
    state: &mut State,
    opened: impl Fn(rusqlite::Error) -> StoreOpenError + Copy,
) -> Result<u64, StoreOpenError> {
    let corrupt = |problem: String| StoreOpenError::Corrupt {
        path: path.to_owned(),
        problem,
    };
    let counter: i64 = connection
        .query_row("SELECT value FROM meta WHERE name = 'revision'", [], |row| {
            row.get(0)
        })
        .optional()
        .map_err(opened)?
        .ok_or_else(|| corrupt("its revision is missing".to_owned()))?;
    let counter = counter.unsigned_abs();
    let mut statement = connection
        .prepare("SELECT id, tab, key, revision, mark, crc, data FROM objects ORDER BY id")
        .map_err(opened)?;
    let mut rows = statement.query([]).map_err(opened)?;
    while let Some(row) = rows.next().map_err(opened)? {
        let read = || -> rusqlite::Result<_> {
            Ok((
                row.get::<_, i64>(0)?,
                row.get_ref(1)?.as_str()?,
                row.get_ref(2)?.as_str()?,
                row.get::<_, i64>(3)?.unsigned_abs(),
                row.get::<_, i64>(4)?.cast_unsigned(),
                row.get::<_, i64>(5)?,
                row.get_ref(6)?.as_blob()?,
            ))
        };
        let (id, table, key, revision, mark, sum, data) =
            read().map_err(|error| corrupt(format!("an unreadable row: {error}")))?;
        if crc(table, key, revision, data) != sum {
            return Err(corrupt(format!("the checksum of {table} {key} is wrong")));
        }
        if revision > counter {
            return Err(corrupt(format!(
                "{table} {key} is newer than the database's revision {counter}"
            )));
        }
        let stored = Stored::new(revision, mark, id, data.into());
        if !state.load(table, Key::from(key), stored) {
            return Err(corrupt(format!("{table} {key} occurs twice")));
        }
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

fn write_error(error: &rusqlite::Error) -> WriteError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => WriteError::NoSpace,
        _ => WriteError::Failed(Arc::from(error.to_string())),
    }
}
