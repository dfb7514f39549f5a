//! Lines of one file, from its end to its beginning, and the search for a place in it.
//!
//! Memory is bounded by the longest line.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

/// Bytes read at once.
const BLOCK: u64 = 64 << 10;

/// Reads lines backwards from a line's end.
#[derive(Debug)]
pub(super) struct Backwards<'a> {
    file: &'a mut File,
    /// Where `held` starts in the file.
    start: u64,
    /// Bytes that were read and not given yet; they end with a line's end.
    held: Vec<u8>,
    /// Bytes read so far.
    pub(super) read: u64,
}

impl<'a> Backwards<'a> {
    /// From `end`, which is the file's beginning or behind a line's end.
    pub(super) fn new(file: &'a mut File, end: u64) -> Self {
        Self {
            file,
            start: end,
            held: Vec::new(),
            read: 0,
        }
    }

    /// The line before the last one given, without its end.
    pub(super) fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let whole = self.held.len().saturating_sub(1);
            if let Some(at) = self.held[..whole].iter().rposition(|byte| *byte == b'\n') {
                let mut line = self.held.split_off(at + 1);
                line.pop();
                return Ok(Some(line));
            }
            if self.start == 0 {
                let mut line = std::mem::take(&mut self.held);
                return Ok((line.pop().is_some()).then_some(line));
            }
            self.fill()?;
        }
    }

    /// Reads what stands before; long lines in growing steps.
    fn fill(&mut self) -> io::Result<()> {
        let size = BLOCK.max(self.held.len() as u64).min(self.start);
        let from = self.start - size;
        let mut block = read_at(self.file, from, size)?;
        block.append(&mut self.held);
        self.held = block;
        self.start = from;
        self.read += size;
        Ok(())
    }
}

fn read_at(file: &mut File, from: u64, size: u64) -> io::Result<Vec<u8>> {
    let mut block = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    file.seek(SeekFrom::Start(from))?;
    file.read_exact(&mut block)?;
    Ok(block)
}

/// An end of a line such that `is_wanted` holds for no line behind it, if it holds for a beginning of the file and for
/// nothing after that. At most a few blocks of lines before it are unwanted too. `end` is an end of a line.
pub(super) fn narrow(
    file: &mut File,
    end: u64,
    is_wanted: impl Fn(&[u8]) -> Option<bool>,
) -> io::Result<u64> {
    let (mut low, mut high) = (0, end);
    while high - low > BLOCK {
        let middle = low + (high - low) / 2;
        let Some((at, line)) = line_behind(file, middle, high)? else {
            break;
        };
        match is_wanted(&line) {
            Some(true) => low = at,
            Some(false) => high = at,
            // A damaged line says nothing; what is behind it is looked through.
            None => break,
        }
    }
    Ok(high)
}

/// The first line that starts behind `from`, and where.
fn line_behind(file: &mut File, from: u64, end: u64) -> io::Result<Option<(u64, Vec<u8>)>> {
    let mut size = BLOCK;
    loop {
        let block = read_at(file, from, size.min(end - from))?;
        let mut ends = block
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .map(|(at, _)| at);
        if let (Some(first), Some(second)) = (ends.next(), ends.next()) {
            return Ok(Some((
                from + first as u64 + 1,
                block[first + 1..second].to_vec(),
            )));
        }
        if size >= end - from {
            return Ok(None);
        }
        size *= 4;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn file(lines: &[String]) -> (File, u64) {
        let mut file = tempfile::tempfile().unwrap();
        for line in lines {
            writeln!(file, "{line}").unwrap();
        }
        let length = file.metadata().unwrap().len();
        (file, length)
    }

    proptest! {
        #[test]
        fn lines_come_in_the_other_order(lines in proptest::collection::vec("[a-z]{0,9}", 0..50)) {
            let (mut file, length) = file(&lines);
            let mut backwards = Backwards::new(&mut file, length);
            let mut found = Vec::new();
            while let Some(line) = backwards.line().unwrap() {
                found.push(String::from_utf8(line).unwrap());
            }
            found.reverse();
            prop_assert_eq!(found, lines);
        }
    }

    #[test]
    fn lines_longer_than_a_block_are_whole() {
        let long = "x".repeat(300 << 10);
        let (mut file, length) = file(&["a".to_owned(), long.clone(), "b".to_owned()]);
        let mut backwards = Backwards::new(&mut file, length);
        let mut next = || backwards.line().unwrap().map(|line| line.len());
        assert_eq!(
            [next(), next(), next(), next()],
            [Some(1), Some(long.len()), Some(1), None]
        );
    }

    #[test]
    fn a_place_is_found_without_reading_all() {
        let lines: Vec<String> = (0..100_000).map(|number| format!("{number:06}")).collect();
        let (mut file, length) = file(&lines);
        for wanted in [0, 1, 999, 50_000, 99_999] {
            let number = |line: &[u8]| std::str::from_utf8(line).ok()?.parse::<u64>().ok();
            let end = narrow(&mut file, length, |line| Some(number(line)? < wanted)).unwrap();
            assert!(end >= wanted * 7, "{wanted}: the line itself is lost");
            assert!(end <= wanted * 7 + BLOCK + 7, "{wanted}: {end} is too far");
        }
    }
}
