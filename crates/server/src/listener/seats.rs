//! Who holds the connections that there may be.
//!
//! No address is refused for the number of its connections: behind a load balancer everybody has the same, and what
//! headers say of others can be made up. Instead, once all seats are taken, a newcomer gets the seat of a *stranger*: of a
//! connection on which nobody has shown yet who they are. Of the address with most strangers the one that came first gives
//! way, so that whoever opens connections for nothing takes them from themselves. A connection whose requests are
//! somebody's (a user's, an agent's) is safe, but of one identity only a share of all: its other connections stay
//! strangers, which costs them nothing as long as there is room.
//!
//! Invariant: a seat is held from the accept until the socket is closed, also when the connection became a WebSocket.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What part of all seats one identity is safe on: a quarter.
const SHARE: usize = 4;

/// All seats; clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Seats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    /// Number of the next connection.
    next: u64,
    /// By where they come from, oldest first.
    strangers: HashMap<Origin, BTreeMap<u64, CancellationToken>>,
    /// How many connections each identity is safe on.
    known: HashMap<String, usize>,
}

/// Where a connection comes from: an address, or the network that one machine has all of (IPv6, RFC 6177).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Origin(IpAddr);

impl Origin {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
        }
    }
}

/// The seat of one connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Inner>,
    number: u64,
    origin: Origin,
    owner: OnceLock<String>,
    displaced: CancellationToken,
}

/// A seat, and whether somebody else lost theirs for it.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) seat: Seat,
    pub(super) displaced: bool,
}

impl Seats {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Inner {
            most,
            state: Mutex::new(State::default()),
        }))
    }

    /// A seat for a connection from `address`; `None` when all are taken by somebody.
    pub(super) fn take(&self, address: IpAddr) -> Option<Taken> {
        let mut state = self.0.state.lock();
        let displaced = state.taken >= self.0.most;
        if displaced {
            // The newcomer has it from now on; whoever is displaced gives nothing back.
            state.displace()?;
        } else {
            state.taken += 1;
        }
        let (number, origin) = (state.next, Origin::of(address));
        state.next += 1;
        let token = CancellationToken::new();
        let strangers = state.strangers.entry(origin).or_default();
        strangers.insert(number, token.clone());
        drop(state);
        let seat = Seat {
            seats: Arc::clone(&self.0),
            number,
            origin,
            owner: OnceLock::new(),
            displaced: token,
        };
        Some(Taken { seat, displaced })
    }
}

impl State {
    fn displace(&mut self) -> Option<()> {
        // Of as many the one that has been there longer.
        let weight = |here: &BTreeMap<u64, _>| (here.len(), Reverse(here.keys().next().copied()));
        let most = self.strangers.iter().max_by_key(|(_, here)| weight(here));
        let origin = *most?.0;
        let (_, token) = self.strangers.get_mut(&origin)?.pop_first()?;
        self.forget_if_empty(origin);
        token.cancel();
        Some(())
    }

    /// Whether it was one.
    fn remove_stranger(&mut self, origin: Origin, number: u64) -> bool {
        let here = self.strangers.get_mut(&origin);
        let was = here.is_some_and(|here| here.remove(&number).is_some());
        self.forget_if_empty(origin);
        was
    }

    fn forget_if_empty(&mut self, origin: Origin) {
        if self.strangers.get(&origin).is_some_and(BTreeMap::is_empty) {
            self.strangers.remove(&origin);
        }
    }
}

impl Seat {
    /// A request on the connection was somebody's.
    pub(super) fn belongs_to(&self, owner: &str) {
        if self.owner.get().is_some() {
            return;
        }
        let mut state = self.seats.state.lock();
        let share = (self.seats.most / SHARE).max(1);
        let held = state.known.get(owner).copied().unwrap_or_default();
        if held >= share || !state.remove_stranger(self.origin, self.number) {
            return;
        }
        state.known.insert(owner.to_owned(), held + 1);
        // Set under the lock, so that nobody else did.
        let _ = self.owner.set(owner.to_owned());
    }

    /// Completes once somebody else has the seat.
    pub(super) async fn displaced(&self) {
        self.displaced.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.seats.state.lock();
        match self.owner.get() {
            Some(owner) => {
                if let Some(held) = state.known.get_mut(owner) {
                    *held -= 1;
                    if *held == 0 {
                        state.known.remove(owner);
                    }
                }
                state.taken -= 1;
            }
            None => {
                if state.remove_stranger(self.origin, self.number) {
                    state.taken -= 1;
                }
            }
        }
    }
}

/// A socket that holds its seat, and ends when it has none: also as a WebSocket, when nobody else watches over it.
#[derive(Debug)]
pub(super) struct Seated<S> {
    stream: S,
    seat: Arc<Seat>,
    displaced: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> Seated<S> {
    pub(super) fn new(stream: S, seat: Arc<Seat>) -> Self {
        let displaced = Box::pin(seat.displaced.clone().cancelled_owned());
        Self {
            stream,
            seat,
            displaced,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Seated<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let gone = || Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        if self.seat.displaced.is_cancelled() {
            return gone();
        }
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending() && self.displaced.as_mut().poll(context).is_ready() {
            return gone();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Seated<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn take(seats: &Seats, from: &str) -> Seat {
        seats.take(address(from)).unwrap().seat
    }

    fn is_displaced(seat: &Seat) -> bool {
        seat.displaced.is_cancelled()
    }

    #[test]
    fn whoever_opens_most_for_nothing_gives_way_oldest_first() {
        let seats = Seats::new(4);
        let quiet = take(&seats, "10.0.0.1");
        let many: Vec<Seat> = (0..3).map(|_| take(&seats, "10.0.0.2")).collect();
        let newcomer = seats.take(address("10.0.0.3")).unwrap();
        assert!(newcomer.displaced);
        assert_eq!(
            many.iter().map(is_displaced).collect::<Vec<_>>(),
            [true, false, false]
        );
        // Its own next connections take from nobody else.
        let more: Vec<Seat> = (0..10).map(|_| take(&seats, "10.0.0.2")).collect();
        assert!(!is_displaced(&quiet) && !is_displaced(&newcomer.seat));
        assert!(more[..8].iter().all(is_displaced));
        assert!(!more[8..].iter().any(is_displaced));
    }

    #[test]
    fn one_network_is_one_address() {
        let seats = Seats::new(3);
        let other = take(&seats, "2001:db8::1");
        let first = take(&seats, "2001:db8:0:1::1");
        let _second = take(&seats, "2001:db8:0:1:ffff::2");
        let _newcomer = take(&seats, "2001:db8::1");
        assert!(is_displaced(&first) && !is_displaced(&other));
    }

    #[test]
    fn who_is_known_keeps_a_share_and_no_more() {
        let seats = Seats::new(8);
        let of_one: Vec<Seat> = (0..8).map(|_| take(&seats, "10.0.0.1")).collect();
        for seat in &of_one {
            seat.belongs_to("u-1");
        }
        let newcomers: Vec<Seat> = (0..6)
            .map(|n| take(&seats, &format!("10.0.1.{n}")))
            .collect();
        let safe = of_one.iter().filter(|seat| !is_displaced(seat)).count();
        assert_eq!(safe, 2, "a quarter of eight");
        for (seat, owner) in newcomers.iter().zip(["a", "b", "c", "d", "e", "f"]) {
            seat.belongs_to(owner);
        }
        assert!(
            seats.take(address("10.0.2.1")).is_none(),
            "all are somebody's"
        );
    }

    #[test]
    fn seats_come_back_once() {
        let seats = Seats::new(2);
        for _ in 0..3 {
            let first = take(&seats, "10.0.0.1");
            let second = take(&seats, "10.0.0.1");
            second.belongs_to("u-1");
            let third = take(&seats, "10.0.0.1");
            assert!(is_displaced(&first));
            drop(first);
            assert_eq!(seats.0.state.lock().taken, 2);
            drop((second, third));
            let state = seats.0.state.lock();
            assert_eq!(state.taken, 0);
            assert!(state.strangers.is_empty() && state.known.is_empty());
        }
    }

    #[test]
    fn who_was_displaced_stays_so() {
        let seats = Seats::new(1);
        let first = take(&seats, "10.0.0.1");
        let _second = take(&seats, "10.0.0.1");
        first.belongs_to("u-1");
        assert!(first.owner.get().is_none());
        drop(first);
        assert_eq!(seats.0.state.lock().taken, 1);
    }
}
