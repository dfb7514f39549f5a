//! Both ends over a link in memory that delays, cuts bytes anywhere and breaks: every connection's bytes arrive in order, each
//! once, or its reader sees an error.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::wire::Wire;

#[derive(Debug, Clone)]
enum Step {
    /// The hub opens a connection; `true` lets the agent refuse it.
    Open { refused: bool },
    /// An end writes so much to the connection of this index.
    Write {
        hub: bool,
        index: usize,
        length: usize,
    },
    /// An end reads up to so much.
    Read {
        hub: bool,
        index: usize,
        length: usize,
    },
    /// An end shuts its side down.
    ShutDown { hub: bool, index: usize },
    /// An end drops its handle.
    Drop { hub: bool, index: usize },
    /// An end encodes up to so many bytes onto the link.
    Transmit { hub: bool, limit: usize },
    /// So many bytes reach an end.
    Deliver { hub: bool, length: usize },
    /// Time passes.
    Wait { seconds: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let index = 0..6_usize;
    let step = prop_oneof![
        1 => any::<bool>().prop_map(|refused| Step::Open { refused }),
        6 => (any::<bool>(), index.clone(), 1..9_000_usize).prop_map(|(hub, index, length)| Step::Write { hub, index, length }),
        5 => (any::<bool>(), index.clone(), 1..9_000_usize).prop_map(|(hub, index, length)| Step::Read { hub, index, length }),
        1 => (any::<bool>(), index.clone()).prop_map(|(hub, index)| Step::ShutDown { hub, index }),
        1 => (any::<bool>(), index).prop_map(|(hub, index)| Step::Drop { hub, index }),
        6 => (any::<bool>(), 1..20_000_usize).prop_map(|(hub, limit)| Step::Transmit { hub, limit }),
        6 => (any::<bool>(), 1..20_000_usize).prop_map(|(hub, length)| Step::Deliver { hub, length }),
        1 => (1..6_u64).prop_map(|seconds| Step::Wait { seconds }),
    ];
    proptest::collection::vec(step, 1..250)
}

/// What one end knows of a connection.
#[derive(Debug, Default)]
struct Side {
    written: usize,
    read: usize,
    outcome: Option<Read>,
    dropped: bool,
    shut: bool,
}

struct Peer {
    wire: Wire,
    /// Bytes on the way to this end.
    incoming: Vec<u8>,
    sides: BTreeMap<i64, Side>,
}

struct Link {
    hub: Peer,
    agent: Peer,
    now: Instant,
    connections: Vec<i64>,
    refused: Vec<i64>,
}

/// The byte at a position of a connection's direction.
fn expected(hub_to_agent: bool, connection: i64, position: usize) -> u8 {
    (position as u64
        ^ (position as u64 >> 8)
        ^ connection.cast_unsigned()
        ^ if hub_to_agent { 0x55 } else { 0 }) as u8
}

impl Link {
    fn new() -> Self {
        let now = Instant::now();
        let peer = |role| {
            let mut config = Config::new(role);
            // Small limits, so that pauses happen.
            config.limits.pause_above = 20_000;
            config.limits.resume_below = 4_000;
            config.limits.stream_send = 9_000;
            config.limits.chunk = 3_000;
            config.timers.sync_every = Duration::from_secs(7);
            Peer {
                wire: Wire::new(config, 7, now),
                incoming: Vec::new(),
                sides: BTreeMap::new(),
            }
        };
        Self {
            hub: peer(Role::Server),
            agent: peer(Role::Client),
            now,
            connections: Vec::new(),
            refused: Vec::new(),
        }
    }

    fn peer(&mut self, hub: bool) -> &mut Peer {
        if hub { &mut self.hub } else { &mut self.agent }
    }

    fn step(&mut self, step: &Step) {
        let now = self.now;
        match *step {
            Step::Open { refused } => {
                let connection = self.hub.wire.session.open(now, "tcp", "a:1").unwrap();
                self.connections.push(connection);
                self.hub.sides.insert(connection, Side::default());
                if refused {
                    self.refused.push(connection);
                }
            }
            Step::Write { hub, index, length } => {
                let Some(&connection) = self.connections.get(index) else {
                    return;
                };
                let peer = self.peer(hub);
                let Some(side) = peer.sides.get_mut(&connection).filter(|side| !side.dropped)
                else {
                    return;
                };
                let bytes: Vec<u8> = (0..length)
                    .map(|at| expected(hub, connection, side.written + at))
                    .collect();
                if let Write::Done(written) = peer.wire.session.write(connection, &bytes) {
                    side.written += written;
                }
            }
            Step::Read { hub, index, length } => {
                let Some(&connection) = self.connections.get(index) else {
                    return;
                };
                self.read(hub, connection, length);
            }
            Step::ShutDown { hub, index } => {
                let Some(&connection) = self.connections.get(index) else {
                    return;
                };
                let peer = self.peer(hub);
                let Some(side) = peer.sides.get_mut(&connection).filter(|side| !side.dropped)
                else {
                    return;
                };
                side.shut = true;
                peer.wire.session.shut_down(now, connection);
            }
            Step::Drop { hub, index } => {
                let Some(&connection) = self.connections.get(index) else {
                    return;
                };
                let peer = self.peer(hub);
                let Some(side) = peer.sides.get_mut(&connection).filter(|side| !side.dropped)
                else {
                    return;
                };
                side.dropped = true;
                peer.wire.session.detach(now, connection);
            }
            Step::Transmit { hub, limit } => {
                let mut out = Vec::new();
                self.peer(hub).wire.transmit(now, &mut out, limit);
                self.peer(!hub).incoming.extend(out);
            }
            Step::Deliver { hub, length } => self.deliver(hub, length),
            Step::Wait { seconds } => {
                self.now += Duration::from_secs(seconds);
                let now = self.now;
                for hub in [true, false] {
                    // Silence is not the subject here.
                    self.peer(hub).wire.session.receive_pong(now);
                    self.peer(hub).wire.session.handle_timeout(now).unwrap();
                }
            }
        }
    }

    fn deliver(&mut self, hub: bool, length: usize) {
        let now = self.now;
        let refused = self.refused.clone();
        let peer = self.peer(hub);
        let mut bytes: Vec<u8> = peer
            .incoming
            .drain(..length.min(peer.incoming.len()))
            .collect();
        peer.wire.receive(now, &mut bytes).unwrap();
        while let Some(event) = peer.wire.session.poll_event() {
            if let Event::Opened { connection, .. } = event {
                if refused.contains(&connection) {
                    peer.wire.session.refuse(connection, "dial: refused");
                } else {
                    peer.sides.insert(connection, Side::default());
                }
            }
        }
    }

    fn read(&mut self, hub: bool, connection: i64, length: usize) -> bool {
        let peer = self.peer(hub);
        let Some(side) = peer
            .sides
            .get_mut(&connection)
            .filter(|side| !side.dropped && side.outcome.is_none())
        else {
            return false;
        };
        let mut buffer = vec![0; length];
        match peer.wire.session.read(connection, &mut buffer) {
            Read::Bytes(read) => {
                for (at, byte) in buffer[..read].iter().enumerate() {
                    assert_eq!(
                        *byte,
                        expected(!hub, connection, side.read + at),
                        "connection {connection}, byte {}",
                        side.read + at
                    );
                }
                side.read += read;
                true
            }
            Read::Blocked => false,
            ended @ (Read::End | Read::Failed(_)) => {
                side.outcome = Some(ended);
                true
            }
        }
    }

    /// Lets everything happen that can.
    fn settle(&mut self) {
        loop {
            let mut progress = false;
            for hub in [true, false] {
                let now = self.now;
                let mut out = Vec::new();
                self.peer(hub).wire.transmit(now, &mut out, usize::MAX);
                self.peer(!hub).incoming.extend(out);
                progress |= !self.peer(!hub).incoming.is_empty();
                self.deliver(!hub, usize::MAX);
                for connection in self.connections.clone() {
                    while self.read(hub, connection, 50_000) {
                        progress = true;
                    }
                }
            }
            if !progress {
                return;
            }
        }
    }

    fn check(&self) {
        for connection in &self.connections {
            let (Some(hub), Some(agent)) = (
                self.hub.sides.get(connection),
                self.agent.sides.get(connection),
            ) else {
                continue;
            };
            for (reader, writer) in [(hub, agent), (agent, hub)] {
                assert!(
                    reader.read <= writer.written,
                    "connection {connection}: nothing is made up"
                );
                let whole = reader.read == writer.written;
                match &reader.outcome {
                    // The other end's end came after all it wrote, unless our own end had made it stop: there is no half-close.
                    Some(Read::End) => assert!(
                        whole || reader.shut,
                        "connection {connection}: a clean end after all bytes: {reader:?} {writer:?}"
                    ),
                    Some(_) => {}
                    None if reader.dropped => {}
                    None => assert!(
                        whole && !writer.dropped && !writer.shut,
                        "connection {connection}: all bytes arrive: {reader:?} {writer:?}"
                    ),
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn bytes_arrive_in_order_each_once_or_the_reader_sees_an_error(steps in steps()) {
        let mut link = Link::new();
        for step in &steps {
            link.step(step);
        }
        link.settle();
        link.check();
    }

    #[test]
    fn when_the_link_breaks_every_reader_sees_an_error_or_a_whole_stream(steps in steps()) {
        let mut link = Link::new();
        for step in &steps {
            link.step(step);
        }
        for hub in [true, false] {
            link.peer(hub).wire.session.disconnect();
            for connection in link.connections.clone() {
                while link.read(hub, connection, 50_000) {}
                if let Some(side) = link.peer(hub).sides.get(&connection) {
                    assert!(side.dropped || side.outcome.is_some());
                }
            }
        }
        link.check();
    }

    #[test]
    fn no_bytes_make_a_session_panic(bytes in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..20)) {
        let mut end = end(Role::Client);
        for message in bytes {
            if end.session.receive(end.now, &message, true).is_err() { break; }
            end.events();
            end.sent();
        }
    }
}
