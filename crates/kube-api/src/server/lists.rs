//! Long lists as bodies that are made while they are read.
//!
//! A list holds the objects it will show and never more than a piece of its text, so that what a slow reader costs is
//! its place. Between pieces others run. The place among the lists of its identity is free again when the list was
//! read, dropped, or is past its deadline; a list that is past it ends with an error and not as if it were complete.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::Stream;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::BoxError;
use super::turns::Turn;
use crate::rest::render::ListBytes;

/// Why a list was cut off.
#[derive(Debug, thiserror::Error)]
enum ListError {
    #[error("the list was not read within {0:?}")]
    TooSlow(Duration),
    #[error("the list could not be compressed")]
    Compress(#[source] std::io::Error),
}

struct Streamed {
    pieces: ListBytes,
    gzip: Option<GzEncoder<Vec<u8>>>,
    within: Duration,
    deadline: Instant,
    ended: bool,
    /// Ends the hold on the turn.
    _read: DropGuard,
}

/// Keeps a turn until the guard is dropped, or until the deadline: a stalled reader asks for nothing, so that needs a
/// clock of its own.
pub(super) fn hold(turn: Turn, deadline: Instant) -> DropGuard {
    let read = CancellationToken::new();
    let ended = read.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = ended.cancelled() => {}
            () = tokio::time::sleep_until(deadline) => {}
        }
        drop(turn);
    });
    read.drop_guard()
}

/// The bytes of a list, one piece after the other.
pub(super) fn stream(
    pieces: ListBytes,
    gzip: bool,
    turn: Turn,
    within: Duration,
) -> impl Stream<Item = Result<Bytes, BoxError>> + Send {
    let deadline = Instant::now() + within;
    let list = Streamed {
        pieces,
        // Level 1, as most of the gain comes from it.
        gzip: gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast())),
        within,
        deadline,
        ended: false,
        _read: hold(turn, deadline),
    };
    futures::stream::unfold(list, |mut list| async move {
        if list.ended {
            return None;
        }
        if Instant::now() > list.deadline {
            list.ended = true;
            return Some((Err(ListError::TooSlow(list.within).into()), list));
        }
        tokio::task::yield_now().await;
        match list.next() {
            Ok(Some(bytes)) => Some((Ok(bytes), list)),
            Ok(None) => None,
            Err(error) => {
                list.ended = true;
                Some((Err(error.into()), list))
            }
        }
    })
}

impl Streamed {
    fn next(&mut self) -> Result<Option<Bytes>, ListError> {
        loop {
            let piece = self.pieces.next();
            let Some(gzip) = &mut self.gzip else {
                return Ok(piece.map(Bytes::from));
            };
            let Some(piece) = piece else {
                self.ended = true;
                let rest = self
                    .gzip
                    .take()
                    .map(GzEncoder::finish)
                    .transpose()
                    .map_err(ListError::Compress)?;
                return Ok(rest.map(Bytes::from));
            };
            gzip.write_all(&piece).map_err(ListError::Compress)?;
            // The encoder keeps back what it cannot write yet.
            let packed = std::mem::take(gzip.get_mut());
            if !packed.is_empty() {
                return Ok(Some(packed.into()));
            }
        }
    }
}
