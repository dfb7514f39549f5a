use super::*;

mod interleavings;
mod one_flag;

/// A session fed with whole messages, whose messages are collected.
struct End {
    session: Session,
    now: Instant,
}

fn end(role: Role) -> End {
    let now = Instant::now();
    End {
        session: Session::new(Config::new(role), now),
        now,
    }
}

impl End {
    fn receive(&mut self, connection: i64, kind: Kind, payload: &[u8]) -> Result<(), SessionError> {
        let message = frame::encode(
            &Header {
                id: 1,
                connection,
                kind,
            },
            payload,
        );
        self.session.receive(self.now, &message, true)
    }

    /// All that is to be sent: kind, connection, payload.
    fn sent(&mut self) -> Vec<(Kind, i64, String)> {
        let mut sent = Vec::new();
        while let Some(transmit) = self.session.poll_transmit(self.now) {
            match transmit {
                Transmit::Message(parts) => {
                    let bytes = parts.concat();
                    let (header, length) = Header::decode(&bytes).unwrap();
                    sent.push((
                        header.kind,
                        header.connection,
                        String::from_utf8_lossy(&bytes[length..]).into_owned(),
                    ));
                }
                Transmit::Ping => sent.push((Kind::Unknown(-1), 0, "ping".to_owned())),
                Transmit::Pong(payload) => {
                    sent.push((
                        Kind::Unknown(-1),
                        0,
                        format!("pong {}", String::from_utf8_lossy(payload)),
                    ));
                }
            }
        }
        sent
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    fn read(&mut self, connection: i64) -> Read {
        self.session.read(connection, &mut [0; 1024])
    }

    fn read_all(&mut self, connection: i64) -> usize {
        let mut total = 0;
        let mut buffer = vec![0; 64 << 10];
        while let Read::Bytes(length) = self.session.read(connection, &mut buffer) {
            total += length;
        }
        total
    }

    fn open(&mut self) -> i64 {
        let connection = self.session.open(self.now, "tcp", "10.43.0.1:443").unwrap();
        self.sent();
        connection
    }
}

fn error(connection: i64, text: &str) -> (Kind, i64, String) {
    (Kind::Error, connection, text.to_owned())
}

#[test]
fn the_first_connection_of_a_server_is_2_and_of_a_client_1() {
    for (role, first) in [(Role::Server, 2), (Role::Client, 1)] {
        let mut end = end(role);
        assert_eq!(end.session.open(end.now, "tcp", "10.43.0.1:443"), Ok(first));
        assert_eq!(
            end.sent(),
            [(Kind::Connect, first, "tcp/10.43.0.1:443".to_owned())]
        );
    }
}

#[test]
fn opening_is_optimistic_and_a_failure_comes_later() {
    let mut hub = end(Role::Server);
    let connection = hub.open();
    assert_eq!(hub.session.write(connection, b"GET /"), Write::Done(5));
    assert_eq!(hub.sent(), [(Kind::Data, connection, "GET /".to_owned())]);
    hub.receive(connection, Kind::Error, b"dial tcp: refused")
        .unwrap();
    assert_eq!(
        hub.sent(),
        [error(connection, "dial tcp: refused")],
        "answered with the same text"
    );
    assert_eq!(
        hub.read(connection),
        Read::Failed("dial tcp: refused".to_owned())
    );
    assert!(matches!(
        hub.session.write(connection, b"x"),
        Write::Broken(_)
    ));
    hub.receive(connection, Kind::Error, b"EOF").unwrap();
    assert_eq!(hub.sent(), [], "the second Error is ignored");
}

#[test]
fn a_failed_dial_sends_its_text_and_then_the_end() {
    let mut agent = end(Role::Client);
    agent.receive(3, Kind::Connect, b"tcp/127.0.0.1:1").unwrap();
    let opened = Event::Opened {
        connection: 3,
        protocol: "tcp".to_owned(),
        address: "127.0.0.1:1".to_owned(),
    };
    assert_eq!(agent.events(), [opened]);
    agent
        .session
        .refuse(3, "dial tcp 127.0.0.1:1: connection refused");
    assert_eq!(
        agent.sent(),
        [
            error(3, "dial tcp 127.0.0.1:1: connection refused"),
            error(3, "EOF")
        ]
    );
    agent.receive(3, Kind::Data, b"GET /").unwrap();
    assert_eq!(agent.sent(), [error(3, "connection not found client/0/3")]);
    agent
        .receive(3, Kind::Error, b"dial tcp 127.0.0.1:1: connection refused")
        .unwrap();
    assert_eq!(
        agent.sent(),
        [],
        "an Error for an unknown connection is ignored"
    );
}

#[test]
fn the_end_follows_what_was_written_and_what_arrives_before_the_answer_can_be_read() {
    let mut hub = end(Role::Server);
    let connection = hub.open();
    hub.session.write(connection, b"last words");
    assert_eq!(hub.session.shut_down(hub.now, connection), Write::Blocked);
    assert_eq!(
        hub.sent(),
        [
            (Kind::Data, connection, "last words".to_owned()),
            error(connection, "EOF")
        ]
    );
    assert_eq!(hub.session.shut_down(hub.now, connection), Write::Done(0));
    hub.receive(connection, Kind::Data, b"on its way").unwrap();
    hub.receive(connection, Kind::Error, b"EOF").unwrap();
    assert_eq!(hub.sent(), [], "the answer is not answered");
    assert_eq!(hub.read(connection), Read::Bytes(10));
    assert_eq!(hub.read(connection), Read::End);
    hub.session.detach(hub.now, connection);
    assert_eq!(hub.session.stats().streams, 0);
}

#[test]
fn a_reader_drains_its_buffer_before_the_end() {
    let mut hub = end(Role::Server);
    let connection = hub.open();
    hub.receive(connection, Kind::Data, b"answer").unwrap();
    hub.receive(connection, Kind::Error, b"EOF").unwrap();
    assert_eq!(hub.sent(), [error(connection, "EOF")]);
    assert_eq!(hub.read(connection), Read::Bytes(6));
    assert_eq!(hub.read(connection), Read::End);
}

#[test]
fn a_failure_that_crosses_our_end_is_no_clean_end() {
    let mut hub = end(Role::Server);
    let connection = hub.open();
    assert_eq!(hub.session.shut_down(hub.now, connection), Write::Done(0));
    hub.receive(connection, Kind::Error, b"connection reset")
        .unwrap();
    assert_eq!(
        hub.read(connection),
        Read::Failed("connection reset".to_owned())
    );
}

#[test]
fn data_for_an_unknown_connection_is_answered_and_pause_and_resume_are_not() {
    let mut hub = end(Role::Server);
    hub.session.config.client_key = "c-abcde".to_owned();
    hub.session.config.session_key = 77;
    hub.receive(99, Kind::Data, b"x").unwrap();
    assert_eq!(
        hub.sent(),
        [error(99, "connection not found c-abcde/77/99")]
    );
    for kind in [Kind::Pause, Kind::Resume, Kind::Error, Kind::Unknown(9)] {
        hub.receive(99, kind, b"").unwrap();
        assert_eq!(hub.sent(), []);
    }
}

#[test]
fn a_connection_missing_in_the_other_ends_list_ends_without_an_error() {
    let mut hub = end(Role::Server);
    let (lost, kept, young) = (hub.open(), hub.open(), hub.open());
    hub.receive(lost, Kind::Data, b"x").unwrap();
    hub.receive(kept, Kind::Data, b"x").unwrap();
    hub.receive(0, Kind::SyncConnections, &kept.to_le_bytes())
        .unwrap();
    assert_eq!(hub.sent(), []);
    assert_eq!(hub.read(lost), Read::Bytes(1));
    assert!(matches!(hub.read(lost), Read::Failed(_)));
    assert_eq!(hub.read(kept), Read::Bytes(1));
    assert_eq!(hub.read(kept), Read::Blocked);
    assert_eq!(
        hub.read(young),
        Read::Blocked,
        "its Connect may still be on the way"
    );
    hub.now += hub.session.config.timers.sync_grace;
    hub.receive(0, Kind::SyncConnections, &kept.to_le_bytes())
        .unwrap();
    assert!(matches!(hub.read(young), Read::Failed(_)));
}

#[test]
fn a_client_tells_its_connections_every_minute_and_pings_every_5_seconds() {
    let mut agent = end(Role::Client);
    for id in [2_i64, 5] {
        agent.receive(id, Kind::Connect, b"tcp/a:1").unwrap();
    }
    let mut pings = 0;
    let mut lists = Vec::new();
    for _ in 0..60 {
        agent.now += Duration::from_secs(1);
        agent.session.receive_pong(agent.now);
        agent.session.handle_timeout(agent.now).unwrap();
        for sent in agent.sent() {
            match sent.0 {
                Kind::SyncConnections => lists.push(sent.2),
                _ => pings += 1,
            }
        }
    }
    assert_eq!(pings, 12);
    assert_eq!(lists, ["\u{2}\0\0\0\0\0\0\0\u{5}\0\0\0\0\0\0\0"]);
}

#[test]
fn a_server_answers_pings_never_pings_and_gives_up_after_a_silent_minute() {
    let mut hub = end(Role::Server);
    hub.session.receive_ping(hub.now, b"p".to_vec());
    assert_eq!(hub.sent(), [(Kind::Unknown(-1), 0, "pong p".to_owned())]);
    let due = hub.session.poll_timeout();
    assert_eq!(due, hub.now + Duration::from_secs(60));
    hub.now += Duration::from_secs(59);
    hub.session.handle_timeout(hub.now).unwrap();
    assert_eq!(hub.sent(), []);
    hub.now += Duration::from_secs(1);
    assert_eq!(
        hub.session.handle_timeout(hub.now),
        Err(SessionError::Silence(Duration::from_secs(60)))
    );
}

#[test]
fn a_stalled_reader_pauses_the_other_end_once_and_resumes_it_under_the_mark() {
    let mut hub = end(Role::Server);
    let connection = hub.open();
    let chunk = vec![0; 32 << 10];
    for received in 1..=96 {
        hub.receive(connection, Kind::Data, &chunk).unwrap();
        let expected = if received == 65 {
            vec![(Kind::Pause, connection, String::new())]
        } else {
            Vec::new()
        };
        assert_eq!(hub.sent(), expected, "after {received} chunks");
    }
    let mut left = 96 * chunk.len();
    let mut buffer = vec![0; 10_000];
    while let Read::Bytes(length) = hub.session.read(connection, &mut buffer) {
        let before = left;
        left -= length;
        let crosses = before >= 256 << 10 && left < 256 << 10;
        let expected = if crosses {
            vec![(Kind::Resume, connection, String::new())]
        } else {
            Vec::new()
        };
        assert_eq!(hub.sent(), expected, "with {left} left");
    }
    assert_eq!(left, 0);
}

#[test]
fn an_end_that_goes_on_by_mistake_is_paused_again() {
    let mut hub = end(Role::Server);
    let connection = hub.open();
    hub.receive(connection, Kind::Data, &vec![0; (2 << 20) + 1])
        .unwrap();
    assert_eq!(hub.sent(), [(Kind::Pause, connection, String::new())]);
    hub.receive(connection, Kind::Resume, b"").unwrap();
    assert_eq!(hub.sent(), [(Kind::Pause, connection, String::new())]);
    hub.receive(connection, Kind::Data, &vec![0; 2 << 20])
        .unwrap();
    assert_eq!(hub.sent(), [(Kind::Pause, connection, String::new())]);
    assert_eq!(hub.read_all(connection), (4 << 20) + 1);
}

#[test]
fn writers_wait_while_paused_and_a_stray_resume_does_nothing() {
    let mut hub = end(Role::Server);
    let connection = hub.open();
    hub.receive(connection, Kind::Resume, b"").unwrap();
    hub.receive(connection, Kind::Pause, b"").unwrap();
    hub.session.write(connection, b"later");
    assert_eq!(hub.sent(), []);
    let much = vec![0; 1 << 20];
    assert_eq!(
        hub.session.write(connection, &much),
        Write::Done((128 << 10) - 5)
    );
    assert_eq!(hub.session.write(connection, &much), Write::Blocked);
    hub.receive(connection, Kind::Resume, b"").unwrap();
    let sent: usize = hub.sent().iter().map(|(.., payload)| payload.len()).sum();
    assert_eq!(sent, 128 << 10);
    assert!(hub.events().contains(&Event::Writable(connection)));
}

#[test]
fn what_exceeds_the_hard_limits_ends_the_connection_and_no_other() {
    let mut hub = end(Role::Server);
    hub.session.config.limits.stream_receive = 3 << 20;
    let (greedy, modest) = (hub.open(), hub.open());
    hub.receive(modest, Kind::Data, b"ok").unwrap();
    for _ in 0..4 {
        hub.receive(greedy, Kind::Data, &vec![0; 1 << 20]).unwrap();
    }
    assert!(
        hub.sent()
            .contains(&error(greedy, "receive buffer exceeded"))
    );
    assert_eq!(
        hub.read(greedy),
        Read::Failed("receive buffer exceeded".to_owned())
    );
    assert_eq!(hub.session.stats().unread, 2);
    assert_eq!(hub.read(modest), Read::Bytes(2));
}

#[test]
fn the_session_limit_ends_the_largest_connection() {
    let mut hub = end(Role::Server);
    hub.session.config.limits.session_receive = 1 << 20;
    let (large, small) = (hub.open(), hub.open());
    hub.receive(large, Kind::Data, &vec![0; 900 << 10]).unwrap();
    hub.receive(small, Kind::Data, &vec![0; 200 << 10]).unwrap();
    assert!(matches!(hub.read(large), Read::Failed(_)));
    assert_eq!(hub.read_all(small), 200 << 10);
}

#[test]
fn busy_connections_take_turns_and_control_messages_go_first() {
    let mut hub = end(Role::Server);
    let (bulk, small) = (hub.open(), hub.open());
    hub.session.write(bulk, &vec![b'b'; 128 << 10]);
    hub.session.write(small, b"GET /");
    hub.receive(99, Kind::Data, b"x").unwrap();
    let order: Vec<i64> = hub
        .sent()
        .iter()
        .map(|(_, connection, _)| *connection)
        .collect();
    assert_eq!(order, [99, bulk, small, bulk, bulk, bulk]);
}

#[test]
fn a_connection_opened_twice_ends_the_session() {
    let mut agent = end(Role::Client);
    agent.receive(2, Kind::Connect, b"tcp/a:1").unwrap();
    assert_eq!(
        agent.receive(2, Kind::Connect, b"tcp/a:1"),
        Err(SessionError::Duplicate(2))
    );
}

#[test]
fn too_many_connections_are_refused_one_by_one() {
    let mut agent = end(Role::Client);
    agent.session.config.limits.streams = 1;
    agent.receive(2, Kind::Connect, b"tcp/a:1").unwrap();
    agent.receive(3, Kind::Connect, b"tcp/a:1").unwrap();
    assert_eq!(
        agent.sent(),
        [error(3, "too many connections"), error(3, "EOF")]
    );
    assert_eq!(
        agent.session.open(agent.now, "tcp", "b:1"),
        Err(OpenError::TooMany(1))
    );
}

#[test]
fn answers_that_nobody_reads_end_the_session_at_last() {
    let mut agent = end(Role::Client);
    agent.session.config.limits.control_queue = 100;
    for _ in 0..1000 {
        agent.receive(99, Kind::Data, b"x").unwrap();
    }
    assert_eq!(agent.sent().len(), 50, "advisory answers are dropped");
    let flood = (0..1000).find_map(|id| {
        agent.receive(id, Kind::Connect, b"tcp/a:1").unwrap();
        agent.receive(id, Kind::Error, b"EOF").err()
    });
    assert_eq!(flood, Some(SessionError::Backlog));
}

#[test]
fn the_end_of_the_session_fails_open_connections_but_not_finished_ones() {
    let mut hub = end(Role::Server);
    let (open, finished) = (hub.open(), hub.open());
    hub.receive(finished, Kind::Error, b"EOF").unwrap();
    hub.session.disconnect();
    assert_eq!(hub.read(open), Read::Failed(DISCONNECT.to_owned()));
    assert_eq!(hub.read(finished), Read::End);
    assert_eq!(
        hub.session.open(hub.now, "tcp", "a:1"),
        Err(OpenError::Ended)
    );
}

#[test]
fn a_dropped_connection_sends_what_is_queued_unless_paused_and_is_forgotten_in_time() {
    let mut hub = end(Role::Server);
    let (free, paused) = (hub.open(), hub.open());
    hub.receive(paused, Kind::Pause, b"").unwrap();
    hub.session.write(free, b"queued");
    hub.session.write(paused, b"queued");
    hub.session.detach(hub.now, free);
    hub.session.detach(hub.now, paused);
    let expected = [
        error(paused, "abandoned while paused"),
        (Kind::Data, free, "queued".to_owned()),
        error(free, "EOF"),
    ];
    assert_eq!(hub.sent(), expected);
    hub.receive(free, Kind::Data, b"late").unwrap();
    assert_eq!(
        (hub.session.stats().unread, hub.session.stats().streams),
        (0, 1)
    );
    for _ in 0..2 {
        hub.now += Duration::from_secs(40);
        hub.session.receive_pong(hub.now);
        hub.session.handle_timeout(hub.now).unwrap();
    }
    assert_eq!(hub.session.stats().streams, 0);
}

#[test]
fn addresses_must_fit_a_message() {
    let mut hub = end(Role::Server);
    let address = "a".repeat(frame::CONNECT_LIMIT);
    assert_eq!(
        hub.session.open(hub.now, "tcp", &address),
        Err(OpenError::TooLong)
    );
    assert_eq!(
        hub.session.open(hub.now, "t/p", "a:1"),
        Err(OpenError::Protocol("t/p".to_owned()))
    );
}

#[test]
fn announcements_of_clients_become_events() {
    let mut hub = end(Role::Server);
    hub.receive(0, Kind::AddClient, b"c-abcde/77").unwrap();
    hub.receive(0, Kind::RemoveClient, b"c-abcde/77").unwrap();
    let client = "c-abcde".to_owned();
    let expected = [
        Event::ClientAdded {
            client: client.clone(),
            session: 77,
        },
        Event::ClientRemoved {
            client,
            session: 77,
        },
    ];
    assert_eq!(hub.events(), expected);
}
