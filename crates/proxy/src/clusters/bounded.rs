//! Answers that the hub itself keeps in memory, held to limits.
//!
//! What people ask of a cluster streams through; what controllers and copies of lists ask is kept until it is read. A
//! cluster is in the hands of whoever imported it, so that its answers may be of any size, and made so that little text
//! becomes much memory: what counts is the [`weight`] of an answer, what it comes to once it is read.
//!
//! Invariant: at no time are more of one cluster's answers here than [`Limits`] let, and while there are as many of all
//! clusters as may be, a cluster that has more than a little gets no more.

mod account;
mod weight;

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use drover_auth::web::{BoxError, Piecewise};
use drover_types::query::flag;
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;

pub(crate) use self::account::Ledger;
use self::account::{Account, Held};
use self::weight::Scales;

/// How much of answers is held, in bytes or as weight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Longest answer, in bytes.
    largest: usize,
    /// Heaviest answer.
    heaviest: usize,
    /// Longest line of a watch, in bytes.
    longest_line: usize,
    /// Heaviest line of a watch.
    heaviest_line: usize,
    /// Most of all running answers of one cluster.
    at_once: usize,
    /// Most of those of all clusters.
    of_all: usize,
    /// What a cluster may have of it even then.
    least: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // More than a page of 500 objects comes to anywhere.
            largest: 256 << 20,
            // Some five thousand pods.
            heaviest: 384 << 20,
            // An object of the largest that etcd takes, several times over.
            longest_line: 16 << 20,
            heaviest_line: 64 << 20,
            at_once: 512 << 20,
            of_all: 768 << 20,
            least: 64 << 20,
        }
    }
}

/// An answer beyond its limit, which is told in MiB.
#[derive(Debug, Error)]
pub(crate) enum TooMuch {
    #[error("the cluster's answer is larger than {0} MiB")]
    Answer(usize),
    #[error("the cluster's answer comes to more than {0} MiB")]
    Heavy(usize),
    #[error("an event of the cluster is larger than {0} MiB")]
    Event(usize),
    #[error("an event of the cluster comes to more than {0} MiB")]
    HeavyEvent(usize),
    #[error("the cluster's answers come to more than {0} MiB together")]
    Together(usize),
    #[error("the answers of all clusters come to more than {0} MiB together")]
    All(usize),
}

/// What is held of one cluster's answers; clones are the same.
#[derive(Debug, Clone)]
pub struct Allowance(Account);

impl Allowance {
    pub(super) fn new(ledger: &Ledger) -> Self {
        Self(ledger.account())
    }

    /// The body of an answer to a request with this query, which is read in pieces if `piecewise`.
    pub fn bound<B>(
        &self,
        query: Option<&str>,
        piecewise: Option<Piecewise>,
        body: B,
    ) -> Bounded<B> {
        Bounded {
            body,
            form: Form::of(query.unwrap_or_default(), piecewise),
            whole: Vec::new(),
            length: 0,
            scales: Scales::default(),
            held: 0,
            ended: false,
            account: self.0.clone(),
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
    fn of(query: &str, piecewise: Option<Piecewise>) -> Self {
        if flag(Some(query), "watch") {
            Self::Lines
        } else if piecewise.is_some() || flag(Some(query), "follow") {
            Self::Stream
        } else {
            Self::Whole
        }
    }
}

/// A body that breaks off at a limit. One that is kept whole comes in one piece: many would be put together by whoever
/// reads them, beside what they were part of.
#[derive(Debug)]
pub struct Bounded<B> {
    body: B,
    form: Form,
    /// What came so far of one that is kept whole.
    whole: Vec<u8>,
    /// Bytes of it, or of the line that has begun.
    length: usize,
    scales: Scales,
    /// What these come to.
    held: usize,
    ended: bool,
    account: Account,
}

impl<B> Bounded<B> {
    fn take(&mut self, bytes: &[u8]) -> Result<(), TooMuch> {
        let (length, weight) = match self.form {
            Form::Stream => return Ok(()),
            Form::Whole => (
                self.length + bytes.len(),
                self.held + self.scales.weigh(bytes),
            ),
            Form::Lines => self.line(bytes),
        };
        self.length = length;
        let (held, limits) = (self.hold(weight), self.account.limits());
        let over = |limit: usize| limit >> 20;
        match self.form {
            Form::Whole if length > limits.largest => Err(TooMuch::Answer(over(limits.largest))),
            Form::Whole if weight > limits.heaviest => Err(TooMuch::Heavy(over(limits.heaviest))),
            Form::Lines if length > limits.longest_line => {
                Err(TooMuch::Event(over(limits.longest_line)))
            }
            Form::Lines if weight > limits.heaviest_line => {
                Err(TooMuch::HeavyEvent(over(limits.heaviest_line)))
            }
            _ if held.own > limits.at_once => Err(TooMuch::Together(over(limits.at_once))),
            _ if held.all > limits.of_all && held.own > limits.least => {
                Err(TooMuch::All(over(limits.of_all)))
            }
            Form::Whole | Form::Lines | Form::Stream => Ok(()),
        }
    }

    /// Length and weight of the line that has begun, or of the one that ends here if that is too much.
    fn line(&mut self, bytes: &[u8]) -> (usize, usize) {
        let limits = self.account.limits();
        let (mut length, mut weight) = (self.length, self.held);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            length += line.len();
            weight += self.scales.weigh(line);
            if length > limits.longest_line || weight > limits.heaviest_line {
                break;
            }
            if line.ends_with(b"\n") {
                (length, weight) = (0, 0);
                self.scales = Scales::default();
            }
        }
        (length, weight)
    }

    /// Notes what this answer holds.
    fn hold(&mut self, now: usize) -> Held {
        let before = std::mem::replace(&mut self.held, now);
        self.account.change(before, now)
    }
}

impl<B> Drop for Bounded<B> {
    fn drop(&mut self) {
        if self.ended {
            self.account.end(self.held);
        } else {
            self.hold(0);
        }
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
        loop {
            if self.ended {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    let Some(bytes) = frame.data_ref() else {
                        return Poll::Ready(Some(Ok(frame)));
                    };
                    if let Err(error) = self.take(bytes) {
                        return Poll::Ready(Some(Err(error.into())));
                    }
                    if self.form != Form::Whole {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    self.whole.extend_from_slice(bytes);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => {
                    self.ended = true;
                    let whole = std::mem::take(&mut self.whole);
                    if !whole.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(whole.into()))));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || (self.whole.is_empty() && self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use http_body_util::{BodyExt as _, Full, StreamBody};

    use super::*;

    const KIB: usize = 1 << 10;

    /// As usual, a thousandth.
    fn ledger() -> Ledger {
        let Limits {
            largest,
            heaviest,
            longest_line,
            heaviest_line,
            at_once,
            of_all,
            least,
        } = Limits::default();
        Ledger::new(Limits {
            largest: largest >> 10,
            heaviest: heaviest >> 10,
            longest_line: longest_line >> 10,
            heaviest_line: heaviest_line >> 10,
            at_once: at_once >> 10,
            of_all: of_all >> 10,
            least: least >> 10,
        })
    }

    fn allowance() -> Allowance {
        Allowance::new(&ledger())
    }

    fn reader(allowance: &Allowance, query: &str) -> Bounded<()> {
        allowance.bound(Some(query), None, ())
    }

    /// Reads as often as it may, 1 KiB at a time; returns how many KiB and what stopped it.
    fn read(reader: &mut Bounded<()>, end: u8) -> (usize, Option<TooMuch>) {
        let mut bytes = vec![b'x'; KIB];
        bytes[KIB - 1] = end;
        for n in 0..1000 {
            if let Err(error) = reader.take(&bytes) {
                return (n, Some(error));
            }
        }
        (1000, None)
    }

    fn held(allowance: &Allowance) -> usize {
        allowance.0.change(0, 0).own
    }

    #[tokio::test]
    async fn answers_events_and_all_together_are_limited() {
        let allowance = allowance();
        let mut list = reader(&allowance, "labelSelector=a&limit=500");
        let (read_of_list, error) = read(&mut list, b'x');
        assert!(matches!(error, Some(TooMuch::Answer(_))), "{error:?}");
        assert_eq!(read_of_list, 256);
        let mut watch = reader(&allowance, "limit=1&watch=true");
        let (read_of_line, error) = read(&mut watch, b'x');
        assert!(matches!(error, Some(TooMuch::Event(_))), "{error:?}");
        assert_eq!(read_of_line, 16);
        let mut other = reader(&allowance, "");
        let (read_of_other, error) = read(&mut other, b'x');
        assert!(matches!(error, Some(TooMuch::Together(_))), "{error:?}");
        assert!(read_of_other < 256, "{read_of_other}");
        drop((list, watch, other));
        assert_eq!(held(&allowance), 0);
    }

    #[tokio::test]
    async fn what_little_text_comes_to_counts() {
        let allowance = allowance();
        let until_refused = |query: &str| {
            let mut reader = reader(&allowance, query);
            reader.take(b"{\"items\":[").unwrap();
            let mut read = 0;
            loop {
                match reader.take(b"{},") {
                    Ok(()) => read += 3,
                    Err(error) => break (read, error),
                }
            }
        };
        let (read, error) = until_refused("");
        assert!(matches!(error, TooMuch::Heavy(_)), "{error}");
        assert!(read < 2 * KIB, "{read}");
        let (read, error) = until_refused("watch=true");
        assert!(matches!(error, TooMuch::HeavyEvent(_)), "{error}");
        assert!(read < KIB, "{read}");
    }

    #[tokio::test]
    async fn one_cluster_leaves_room_to_others() {
        let ledger = ledger();
        let clusters = [(); 3].map(|()| Allowance::new(&ledger));
        let mut readers: Vec<_> = clusters[..2]
            .iter()
            .flat_map(|cluster| [reader(cluster, ""), reader(cluster, "")])
            .collect();
        let last = readers.iter_mut().map(|reader| read(reader, b'x')).last();
        assert!(matches!(last, Some((_, Some(TooMuch::All(_))))), "{last:?}");
        let mut small = reader(&clusters[2], "");
        assert!(small.take(&[b'x'; 64 * KIB]).is_ok());
        assert!(small.take(b"x").is_err());
    }

    #[tokio::test]
    async fn what_is_said_to_be_no_watch_is_a_list() {
        let allowance = allowance();
        let mut list = reader(&allowance, "watch=false&limit=500");
        let (read_of_list, error) = read(&mut list, b'x');
        assert_eq!(read_of_list, 256);
        assert!(matches!(error, Some(TooMuch::Answer(_))), "{error:?}");
    }

    #[tokio::test]
    async fn a_watch_and_a_followed_log_may_go_on_for_ever() {
        let allowance = allowance();
        let for_ever = |mut reader: Bounded<()>, end: u8| {
            let (read, error) = read(&mut reader, end);
            assert!(error.is_none(), "{error:?}");
            assert_eq!(read, 1000);
        };
        for_ever(reader(&allowance, "watch=1"), b'\n');
        for_ever(reader(&allowance, "follow=true"), b'x');
        for_ever(
            allowance.bound(Some("limit=5000"), Some(Piecewise), ()),
            b'x',
        );
        assert_eq!(held(&allowance), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_whole_answer_comes_in_one_piece_and_counts_while_it_is_read() {
        let allowance = allowance();
        let pieces = ["[1,", "2,", "3]"].map(|piece| Ok::<_, BoxError>(Frame::data(piece.into())));
        let pieces = StreamBody::new(futures::stream::iter(pieces));
        let mut whole = allowance.bound(None, None, Box::pin(pieces));
        let first = whole.frame().await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "[1,2,3]");
        assert!(whole.frame().await.is_none());
        drop(whole);
        assert!(held(&allowance) > 7);
        tokio::time::advance(std::time::Duration::from_secs(2)).await;
        assert_eq!(held(&allowance), 0);
        let nothing = allowance.bound(None, None, Full::<Bytes>::default());
        assert!(
            nothing
                .collect()
                .now_or_never()
                .unwrap()
                .unwrap()
                .to_bytes()
                .is_empty()
        );
    }
}
