//! What SQLite would pass over: damage in the write-ahead log.
//!
//! After a crash, SQLite takes the log as far as its checksums hold and drops the rest, which is right for a
//! transaction that was being written when the power went. It does the same when an old part of the log has rotted, and
//! then everything after that part, acknowledged long ago, is gone without a word. Here the log is looked at before
//! SQLite does, and the two are told apart: a commit is synced before the next transaction begins, so whatever is
//! followed by a frame that goes on from a commit was whole once.
//!
//! The format is SQLite's (<https://www.sqlite.org/fileformat2.html#walformat>): a header of 32 bytes, then frames of
//! 24 bytes and a page. A frame's checksum goes on from the one stored in the frame before it, so that frames can be
//! checked behind a broken one. What the log cannot tell is damage in its very last transaction.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

const HEADER: usize = 32;
const FRAME: usize = 24;
/// `0x377f0682`, with the lowest bit for checksums over big-endian words.
const MAGIC: u32 = 0x377f_0682;

/// A running checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sum(u32, u32);

/// The order of bytes that the checksums of a log are made over.
#[derive(Debug, Clone, Copy)]
enum Order {
    Big,
    Little,
}

impl Sum {
    /// Goes on over `bytes`, of which there are a multiple of eight.
    fn over(mut self, bytes: &[u8], order: Order) -> Self {
        let (pairs, _) = bytes.as_chunks::<8>();
        for &[a, b, c, d, e, f, g, h] in pairs {
            let (first, second) = match order {
                Order::Big => (
                    u32::from_be_bytes([a, b, c, d]),
                    u32::from_be_bytes([e, f, g, h]),
                ),
                Order::Little => (
                    u32::from_le_bytes([a, b, c, d]),
                    u32::from_le_bytes([e, f, g, h]),
                ),
            };
            self.0 = self.0.wrapping_add(first).wrapping_add(self.1);
            self.1 = self.1.wrapping_add(second).wrapping_add(self.0);
        }
        self
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(word)
}

/// Finds damage in the log at `path`; `None` if there is none, or no log. The database must not be open.
pub(super) fn damage(path: &Path) -> io::Result<Option<String>> {
    match File::open(path) {
        Ok(file) => look(&mut BufReader::with_capacity(1 << 20, file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn look(log: &mut impl Read) -> io::Result<Option<String>> {
    let mut header = [0; HEADER];
    if !fill(log, &mut header)? {
        // Cut off in its header: nothing was ever committed to it.
        return Ok(None);
    }
    let order = match word(&header, 0) {
        magic if magic == MAGIC => Order::Little,
        magic if magic == MAGIC | 1 => Order::Big,
        _ => return behind_broken_header(log, "its log has no header"),
    };
    let page = word(&header, 8) as usize;
    let sum = Sum(0, 0).over(&header[..24], order);
    if sum != Sum(word(&header, 24), word(&header, 28))
        || !page.is_power_of_two()
        || !(512..=65536).contains(&page)
    {
        return behind_broken_header(log, "the header of its log is damaged");
    }
    let salt = [word(&header, 16), word(&header, 20)];
    let mut frame = vec![0; FRAME + page];
    // What the next frame's checksum goes on from: as it stands in the log, and as it should stand there.
    let (mut stands, mut should) = (sum, sum);
    let mut broken = None;
    // Whether the frame before this one ended a transaction.
    let mut committed = false;
    let mut number = 0_u64;
    while fill(log, &mut frame)? {
        number += 1;
        let next = |before: Sum| before.over(&frame[..8], order).over(&frame[FRAME..], order);
        let stored = Sum(word(&frame, 16), word(&frame, 20));
        let same_log = salt == [word(&frame, 8), word(&frame, 12)];
        let goes_on = next(stands) == stored || next(should) == stored;
        if let Some(broken) = broken
            && committed
            && goes_on
            && same_log
        {
            return Ok(Some(format!(
                "its log is broken at frame {broken}, and acknowledged changes stand behind that"
            )));
        }
        if broken.is_none() && !(same_log && next(stands) == stored) {
            broken = Some(number);
        }
        committed = word(&frame, 4) != 0 && (same_log || goes_on);
        should = next(stands);
        stands = stored;
    }
    Ok(None)
}

/// A log is synced with its header before the first commit counts; one that goes on behind a broken header was good.
fn behind_broken_header(log: &mut impl Read, problem: &str) -> io::Result<Option<String>> {
    let mut first = [0; FRAME + 512];
    let any = fill(log, &mut first)?;
    Ok(any.then(|| problem.to_owned()))
}

/// Fills `buffer`, or answers that the end came first.
fn fill(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    /// A log with `n` transactions, and where the frames of each end.
    fn log(n: i64) -> (Vec<u8>, Vec<usize>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
            .unwrap();
        connection
            .execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)")
            .unwrap();
        let wal = folder.path().join("t.db-wal");
        let mut ends = Vec::new();
        for id in 0..n {
            connection
                .execute("INSERT INTO t VALUES (?1, randomblob(9000))", [id])
                .unwrap();
            ends.push(usize::try_from(std::fs::metadata(&wal).unwrap().len()).unwrap());
        }
        (std::fs::read(&wal).unwrap(), ends)
    }

    #[test]
    fn a_whole_log_and_a_torn_one_are_no_damage() {
        let (log, ends) = log(4);
        assert_eq!(look(&mut &*log).unwrap(), None);
        for cut in (0..log.len()).step_by(97) {
            assert_eq!(look(&mut &log[..cut]).unwrap(), None, "cut at {cut}");
        }
        // Pages of the last transaction reach the disk in any order before the sync.
        let frame = FRAME + 4096;
        for start in (ends[2]..log.len()).step_by(frame) {
            let mut torn = log.clone();
            torn[start..start + frame].fill(0);
            assert_eq!(look(&mut &*torn).unwrap(), None, "lost at {start}");
        }
    }

    #[test]
    fn every_rotten_byte_before_the_last_transaction_is_damage() {
        let (log, ends) = log(4);
        // All bytes of the headers, and some of the pages.
        let in_header = |at: usize| at < HEADER || (at - HEADER) % (FRAME + 4096) < FRAME;
        for at in (0..ends[2]).filter(|&at| at % 101 == 0 || in_header(at)) {
            let mut rotten = log.clone();
            rotten[at] ^= 0x80;
            assert!(look(&mut &*rotten).unwrap().is_some(), "byte {at}");
        }
    }

    #[test]
    fn what_an_older_log_left_behind_is_no_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
            .unwrap();
        connection
            .execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)")
            .unwrap();
        for id in 0..8 {
            connection
                .execute("INSERT INTO t VALUES (?1, randomblob(9000))", [id])
                .unwrap();
        }
        connection
            .query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))
            .unwrap();
        for id in 8..11 {
            connection
                .execute("INSERT INTO t VALUES (?1, randomblob(3000))", [id])
                .unwrap();
            assert_eq!(damage(&folder.path().join("t.db-wal")).unwrap(), None);
        }
    }
}
