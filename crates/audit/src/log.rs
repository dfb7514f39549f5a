//! The queue between requests and the file.
//!
//! Requests put entries into a bounded queue and go on; one task writes them. When the queue is full, or the disk, the
//! entry is lost and counted, and the count is written as a gap as soon as that works again. Requests go on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::entry::Entry;
use crate::file::{FileError, Files, Limits, Notice, line};
use crate::read::Reader;

/// Entries that wait: some seconds of a busy server.
const QUEUE: usize = 8192;
/// Bytes that wait; entries with bodies are large.
const QUEUE_BYTES: usize = 32 << 20;
/// Entries that are written at once.
const BATCH: usize = 512;
/// How long an entry waits for others, so that a busy server writes many at once and its requests have the processor.
const GATHER: Duration = Duration::from_millis(20);
/// How long written lines may be in the system's memory only.
const SYNC: Duration = Duration::from_secs(1);

/// Where and how to write.
#[derive(Clone)]
pub struct Config {
    /// The file to write to; rotated ones stand beside it.
    pub path: PathBuf,
    /// When files are rotated and removed.
    pub limits: Limits,
    /// What time it is.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Config")
            .field("path", &self.path)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Counts {
    /// Bytes in the queue.
    waiting: AtomicUsize,
    /// Entries that found the queue full since the last gap was written.
    lost: AtomicU64,
}

/// Takes entries; clones are the same.
#[derive(Clone, Debug)]
pub struct AuditLog {
    queue: mpsc::Sender<Vec<u8>>,
    counts: Arc<Counts>,
    reader: Reader,
}

/// Writes what [`AuditLog`] takes.
#[derive(Debug)]
pub struct Writer {
    queue: mpsc::Receiver<Vec<u8>>,
    counts: Arc<Counts>,
    config: Config,
    files: Files,
    /// Entries that the disk did not take since the last gap was written.
    unwritten: u64,
    failing: bool,
    /// Number of the newest line.
    written: watch::Sender<u64>,
}

impl AuditLog {
    /// Opens the log. Nothing is written before [`Writer::run`].
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or written.
    pub fn open(config: Config) -> Result<(Self, Writer), FileError> {
        let files = Files::open(config.path.clone(), config.limits, (config.now)())?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let counts = Arc::new(Counts::default());
        let (written, newest) = watch::channel(files.last());
        let log = Self {
            queue: sender,
            counts: Arc::clone(&counts),
            reader: Reader::new(config.path.clone(), newest),
        };
        let writer = Writer {
            queue: receiver,
            counts,
            config,
            files,
            unwritten: 0,
            failing: false,
            written,
        };
        Ok((log, writer))
    }

    /// Reads what was written.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Takes an entry without waiting; one that finds no place is counted as lost.
    pub fn submit(&self, entry: &Entry) {
        let Ok(object) = serde_json::to_vec(entry) else {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let size = object.len();
        let waiting = self.counts.waiting.fetch_add(size, Ordering::Relaxed);
        if waiting + size > QUEUE_BYTES || self.queue.try_send(object).is_err() {
            self.counts.waiting.fetch_sub(size, Ordering::Relaxed);
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Writer {
    /// Writes until `stop`, then what is still waiting.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut sync_at = Instant::now();
        loop {
            let (batch, more) = self.gather(sync_at, &stop).await;
            let sync = !more || Instant::now() >= sync_at;
            if sync {
                sync_at = Instant::now() + SYNC;
            }
            let written = tokio::task::spawn_blocking(move || {
                self.write(batch);
                if sync {
                    self.sync();
                }
                self
            });
            match written.await {
                Ok(writer) => self = writer,
                Err(error) => {
                    tracing::error!(%error, "the audit log's writer failed; nothing more is recorded");
                    return;
                }
            }
            if !more {
                return;
            }
        }
    }

    /// Entries to write now, none when it is only time to sync, and whether more may come.
    async fn gather(&mut self, sync_at: Instant, stop: &CancellationToken) -> (Vec<Vec<u8>>, bool) {
        let mut batch = Vec::new();
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep_until(sync_at), if self.is_behind() => {}
            _ = self.queue.recv_many(&mut batch, BATCH) => {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(GATHER), if batch.len() < BATCH => {}
                }
            }
        }
        if stop.is_cancelled() {
            self.queue.close();
        }
        while batch.len() < BATCH
            && let Ok(entry) = self.queue.try_recv()
        {
            batch.push(entry);
        }
        (batch, !(self.queue.is_closed() && self.queue.is_empty()))
    }

    /// Writes entries and, before them, what is to be said of lost ones.
    fn write(&mut self, batch: Vec<Vec<u8>>) {
        let size: usize = batch.iter().map(Vec::len).sum();
        let n_entries = batch.len() as u64;
        self.counts.waiting.fetch_sub(size, Ordering::Relaxed);
        let now = (self.config.now)();
        let refused = self.counts.lost.swap(0, Ordering::Relaxed);
        let gap = |lost, reason| {
            line(&Notice::Gap {
                timestamp: now,
                lost,
                reason,
            })
        };
        let mut lines = Vec::with_capacity(batch.len() + 2);
        if self.unwritten > 0 {
            lines.push(gap(self.unwritten, "the disk took no more"));
        }
        if refused > 0 {
            lines.push(gap(refused, "too many requests at once"));
        }
        lines.extend(batch);
        if lines.is_empty() {
            return;
        }
        match self.files.write(&lines, now) {
            Ok(()) => {
                if self.failing {
                    self.failing = false;
                    tracing::info!(lost = self.unwritten, "the audit log is written again");
                }
                self.unwritten = 0;
                self.written.send_replace(self.files.last());
            }
            Err(error) => {
                self.report(&error);
                self.unwritten += n_entries + refused;
            }
        }
    }

    /// Whether something is to be done without another entry.
    fn is_behind(&self) -> bool {
        self.files.is_unsynced()
            || self.unwritten > 0
            || self.counts.lost.load(Ordering::Relaxed) > 0
    }

    fn sync(&mut self) {
        if let Err(error) = self.files.sync() {
            self.report(&error);
        }
    }

    /// Once per outage, not once per entry.
    fn report(&mut self, error: &FileError) {
        if !self.failing {
            self.failing = true;
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(%error, cause, "the audit log cannot be written; requests go on, entries are counted as lost");
        }
    }
}

#[cfg(test)]
mod tests;
