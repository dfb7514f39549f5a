//! Answers that the hub itself keeps in memory, held to limits.
//!
//! What people ask of a cluster streams through; what controllers and copies of lists ask is kept until it is read. A
//! cluster is in the hands of whoever imported it, so that its answers may be of any size.
//!
//! Invariant: at no time are more than [`MOST_AT_ONCE`] bytes of one cluster's unread answers here.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use drover_auth::web::BoxError;
use drover_types::query::flag;
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;

/// Largest answer, in bytes: more than a page of 500 objects comes to anywhere.
const LARGEST: usize = 256 << 20;
/// Longest line of a watch: an object of the largest that etcd takes, several times over.
const LONGEST_LINE: usize = 16 << 20;
/// Most of all running answers of one cluster.
const MOST_AT_ONCE: usize = 512 << 20;

/// An answer beyond its limit.
#[derive(Debug, Error)]
pub(crate) enum TooMuch {
    #[error("the cluster's answer is larger than {} MiB", LARGEST >> 20)]
    Answer,
    #[error("an event of the cluster is larger than {} MiB", LONGEST_LINE >> 20)]
    Event,
    #[error("the cluster's answers are larger than {} MiB together", MOST_AT_ONCE >> 20)]
    Together,
}

/// What is held of one cluster's answers; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Allowance {
    held: Arc<AtomicUsize>,
}

impl Allowance {
    /// The body of an answer to a request with this query.
    pub fn bound<B>(&self, query: Option<&str>, body: B) -> Bounded<B> {
        Bounded {
            body,
            form: Form::of(query.unwrap_or_default()),
            held: 0,
            allowance: self.clone(),
        }
    }
}

/// How an answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Kept until its end.
    Whole,
    /// Kept line by line.
    Lines,
    /// Passed on as it comes.
    Stream,
}

impl Form {
    fn of(query: &str) -> Self {
        if flag(Some(query), "watch") {
            Self::Lines
        } else if flag(Some(query), "follow") {
            Self::Stream
        } else {
            Self::Whole
        }
    }
}

/// A body that breaks off at a limit.
#[derive(Debug)]
pub struct Bounded<B> {
    body: B,
    form: Form,
    held: usize,
    allowance: Allowance,
}

impl<B> Bounded<B> {
    fn take(&mut self, bytes: &[u8]) -> Result<(), TooMuch> {
        let now = match self.form {
            Form::Stream => 0,
            Form::Whole => self.held + bytes.len(),
            Form::Lines => match bytes.iter().rposition(|byte| *byte == b'\n') {
                Some(end) => bytes.len() - end - 1,
                None => self.held + bytes.len(),
            },
        };
        let all = self.hold(now);
        match self.form {
            Form::Whole if now > LARGEST => Err(TooMuch::Answer),
            Form::Lines if now > LONGEST_LINE => Err(TooMuch::Event),
            _ if all > MOST_AT_ONCE => Err(TooMuch::Together),
            Form::Whole | Form::Lines | Form::Stream => Ok(()),
        }
    }

    /// Notes how much of this answer is held; returns how much of all.
    fn hold(&mut self, now: usize) -> usize {
        let held = &self.allowance.held;
        let before = std::mem::replace(&mut self.held, now);
        if now >= before {
            held.fetch_add(now - before, Ordering::Relaxed) + (now - before)
        } else {
            held.fetch_sub(before - now, Ordering::Relaxed) - (before - now)
        }
    }
}

impl<B> Drop for Bounded<B> {
    fn drop(&mut self) {
        self.hold(0);
    }
}

impl<B> Body for Bounded<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                let taken = frame.data_ref().map_or(Ok(()), |bytes| self.take(bytes));
                Some(taken.map(|()| frame).map_err(Into::into))
            }
            Some(Err(error)) => Some(Err(error.into())),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(allowance: &Allowance, query: &str) -> Bounded<()> {
        allowance.bound(Some(query), ())
    }

    /// Reads as often as it may, 1 MiB at a time; returns how many MiB and what stopped it.
    fn read(reader: &mut Bounded<()>, end: u8) -> (usize, Option<String>) {
        let mut bytes = vec![b'x'; 1 << 20];
        bytes[(1 << 20) - 1] = end;
        for n in 0..1000 {
            if let Err(error) = reader.take(&bytes) {
                return (n, Some(error.to_string()));
            }
        }
        (1000, None)
    }

    #[test]
    fn answers_events_and_all_together_are_limited() {
        let allowance = Allowance::default();
        let mut list = reader(&allowance, "labelSelector=a&limit=500");
        let (read_of_list, error) = read(&mut list, b'x');
        assert_eq!(read_of_list, 256);
        assert!(error.unwrap().contains("answer is larger than 256 MiB"));
        let mut watch = reader(&allowance, "limit=1&watch=true");
        let (read_of_line, error) = read(&mut watch, b'x');
        assert_eq!(read_of_line, 16);
        assert!(error.unwrap().contains("event"));
        let mut other = reader(&allowance, "");
        let (read_of_other, error) = read(&mut other, b'x');
        assert!(read_of_other < 256, "{read_of_other}");
        assert!(error.unwrap().contains("together"));
        drop((list, watch, other));
        assert_eq!(allowance.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_said_to_be_no_watch_is_a_list() {
        let allowance = Allowance::default();
        let mut list = reader(&allowance, "watch=false&limit=500");
        let (read_of_list, error) = read(&mut list, b'x');
        assert_eq!(read_of_list, 256);
        assert!(error.unwrap().contains("answer"));
    }

    #[test]
    fn a_watch_and_a_followed_log_may_go_on_for_ever() {
        let allowance = Allowance::default();
        let mut watch = reader(&allowance, "watch=1");
        assert_eq!(read(&mut watch, b'\n'), (1000, None));
        let mut log = reader(&allowance, "follow=true");
        assert_eq!(read(&mut log, b'x'), (1000, None));
        assert_eq!(allowance.held.load(Ordering::Relaxed), 0);
    }
}
