use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::sessions::Sessions;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::ReadBuf;

/// Answers connections in process: `tcp/<what>` names the behaviour.
struct Target;

impl Acceptor for Target {
    fn accept(&self, _protocol: &str, address: &str) -> Accept {
        match address {
            "refuse" => Accept::Refuse,
            "fail" => Accept::Dial(Box::pin(async {
                Err(io::Error::other("connect: connection refused"))
            })),
            "hang" => Accept::Dial(Box::pin(std::future::pending())),
            "echo" => Accept::Serve(Box::new(|stream| {
                Box::pin(async move {
                    let (mut read, mut write) = tokio::io::split(stream);
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                })
            })),
            "dialled" => Accept::Dial(Box::pin(async {
                let (near, mut far) = tokio::io::duplex(1 << 10);
                tokio::spawn(async move {
                    let mut request = [0; 4];
                    far.read_exact(&mut request).await.unwrap();
                    far.write_all(b"pong and the end").await.unwrap();
                });
                Ok(Box::new(near) as BoxedIo)
            })),
            size => {
                let size: usize = size.parse().unwrap();
                Accept::Serve(Box::new(move |mut stream| {
                    Box::pin(async move {
                        let chunk = vec![7; 64 << 10];
                        let mut left = size;
                        while left > 0 {
                            let length = chunk.len().min(left);
                            if stream.write_all(&chunk[..length]).await.is_err() {
                                return;
                            }
                            left -= length;
                        }
                        let _ = stream.shutdown().await;
                    })
                }))
            }
        }
    }
}

struct Pair {
    hub: Session,
    agent: Session,
    hub_end: tokio::task::JoinHandle<Closed>,
    agent_end: tokio::task::JoinHandle<Closed>,
}

fn pair_over(hub_socket: DuplexStream, agent_socket: DuplexStream) -> Pair {
    let (hub, hub_driver) = Session::serve(
        hub_socket,
        Role::Server,
        RefuseAll,
        Options::hub("c-abcde", 77),
    );
    let (agent, agent_driver) =
        Session::serve(agent_socket, Role::Client, Target, Options::agent());
    Pair {
        hub,
        agent,
        hub_end: tokio::spawn(hub_driver),
        agent_end: tokio::spawn(agent_driver),
    }
}

fn pair() -> Pair {
    let (hub_socket, agent_socket) = tokio::io::duplex(64 << 10);
    pair_over(hub_socket, agent_socket)
}

#[tokio::test]
async fn bytes_go_through_and_come_back() {
    let pair = pair();
    let mut stream = pair.hub.dial("tcp", "echo").await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"hello");
}

#[tokio::test]
async fn a_dialled_target_answers_and_its_end_is_ours() {
    let pair = pair();
    let mut stream = pair.hub.dial("tcp", "dialled").await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "pong and the end");
}

#[tokio::test]
async fn a_failed_dial_is_the_streams_error() {
    let pair = pair();
    let mut stream = pair.hub.dial("tcp", "fail").await.unwrap();
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "dial tcp fail: connect: connection refused"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_hangs_fails_after_its_deadline() {
    let pair = pair();
    let mut stream = pair.hub.dial("tcp", "hang").await.unwrap();
    let before = Instant::now();
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.to_string(), "dial tcp hang: i/o timeout");
    assert_eq!(before.elapsed().as_secs(), 60);
}

#[tokio::test]
async fn a_refused_connection_ends_the_session_and_all_its_streams() {
    let pair = pair();
    let mut bystander = pair.hub.dial("tcp", "echo").await.unwrap();
    let mut stream = pair.hub.dial("tcp", "refuse").await.unwrap();
    assert!(matches!(pair.agent_end.await.unwrap(), Closed::Refused(_)));
    assert!(matches!(pair.hub_end.await.unwrap(), Closed::Remote));
    assert_eq!(
        stream.read_u8().await.unwrap_err().to_string(),
        "tunnel disconnect"
    );
    assert_eq!(
        bystander.read_u8().await.unwrap_err().to_string(),
        "tunnel disconnect"
    );
    pair.hub.closed().await;
    assert!(pair.hub.is_closed() && pair.agent.is_closed());
    assert!(pair.hub.dial("tcp", "echo").await.is_err());
}

#[tokio::test]
async fn an_agent_that_dials_the_hub_is_cut_off() {
    let pair = pair();
    let _stream = pair.agent.dial("tcp", "10.0.0.1:1").await.unwrap();
    assert!(matches!(pair.hub_end.await.unwrap(), Closed::Refused(_)));
}

#[tokio::test]
async fn a_slow_reader_of_a_large_stream_stalls_nobody() {
    let pair = pair();
    let size = 64 << 20;
    let mut slow = pair.hub.dial("tcp", &size.to_string()).await.unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut total = slow.read(&mut buffer).await.unwrap();
    for _ in 0..200 {
        let mut small = pair.hub.dial("tcp", "echo").await.unwrap();
        small.write_all(b"hello").await.unwrap();
        let mut answer = [0; 5];
        small.read_exact(&mut answer).await.unwrap();
    }
    let unread = pair.hub.stats().unread;
    assert!(
        unread < 4 << 20,
        "{unread} bytes are held for a reader that does not read"
    );
    loop {
        let read = slow.read(&mut buffer).await.unwrap();
        if read == 0 {
            break;
        }
        total += read;
    }
    assert_eq!(total, size);
}

#[tokio::test]
async fn small_requests_overtake_bulk_in_the_other_direction_too() {
    let pair = pair();
    let mut bulk = pair.hub.dial("tcp", "echo").await.unwrap();
    let writer = async {
        let chunk = vec![1; 1 << 20];
        // Nobody reads the echo, so that this blocks at last.
        for _ in 0..64 {
            bulk.write_all(&chunk).await.unwrap();
        }
    };
    let small = async {
        for _ in 0..50 {
            let mut small = pair.hub.dial("tcp", "echo").await.unwrap();
            small.write_all(b"hello").await.unwrap();
            let mut answer = [0; 5];
            small.read_exact(&mut answer).await.unwrap();
        }
    };
    tokio::select! {
        () = writer => panic!("64 MiB fit nowhere"),
        () = small => {}
    }
}

#[tokio::test(start_paused = true)]
async fn pings_keep_an_idle_session_alive_and_silence_ends_it() {
    let pair = pair();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(!pair.hub.is_closed() && !pair.agent.is_closed());
    // The agent's driver stops without a word, its socket stays open.
    let (hub_socket, _silent) = tokio::io::duplex(1 << 10);
    let (_hub, driver) = Session::serve(
        hub_socket,
        Role::Server,
        RefuseAll,
        Options::hub("c-abcde", 78),
    );
    let before = Instant::now();
    assert!(matches!(driver.await, Closed::Wire(WireError::Session(_))));
    assert_eq!(before.elapsed().as_secs(), 60);
}

#[tokio::test]
async fn closing_ends_both_ends() {
    let pair = pair();
    let mut stream = pair.hub.dial("tcp", "echo").await.unwrap();
    pair.hub.close("test");
    assert!(matches!(pair.hub_end.await.unwrap(), Closed::Local(_)));
    assert!(matches!(pair.agent_end.await.unwrap(), Closed::Remote));
    assert!(stream.read_u8().await.is_err());
}

#[tokio::test]
async fn dropping_the_driver_ends_its_streams() {
    let pair = pair();
    let mut stream = pair.hub.dial("tcp", "echo").await.unwrap();
    pair.hub_end.abort();
    assert!(stream.read_u8().await.is_err());
    pair.hub.closed().await;
}

#[tokio::test]
async fn dropping_a_stream_frees_both_ends() {
    let pair = pair();
    for _ in 0..20 {
        let mut stream = pair.hub.dial("tcp", "echo").await.unwrap();
        stream.write_all(b"x").await.unwrap();
        stream.read_u8().await.unwrap();
    }
    let free = async {
        while pair.hub.stats().streams + pair.agent.stats().streams > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), free)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_independent_websocket_speaks_to_both_ends() {
    use futures::{SinkExt, StreamExt};
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::Role as WebSocketRole;

    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let (hub, driver) = Session::serve(ours, Role::Server, RefuseAll, Options::hub("c-abcde", 77));
    let end = tokio::spawn(driver);
    let mut client = WebSocketStream::from_raw_socket(theirs, WebSocketRole::Client, None).await;
    let mut stream = hub.dial("tcp", "a:1").await.unwrap();
    let Message::Binary(connect) = client.next().await.unwrap().unwrap() else {
        panic!("no binary message")
    };
    assert_eq!(
        crate::frame::Header::decode(&connect).unwrap().0.connection,
        2
    );
    client.send(Message::Ping(Vec::new().into())).await.unwrap();
    assert_eq!(
        client.next().await.unwrap().unwrap(),
        Message::Pong(Vec::new().into())
    );
    let header = crate::frame::Header {
        id: 1,
        connection: 2,
        kind: crate::frame::Kind::Data,
    };
    client
        .send(Message::Binary(
            crate::frame::encode(&header, &vec![5; 300_000]).into(),
        ))
        .await
        .unwrap();
    let mut answer = vec![0; 300_000];
    stream.read_exact(&mut answer).await.unwrap();
    assert!(answer.iter().all(|byte| *byte == 5));
    client.send(Message::Text("text".into())).await.unwrap();
    assert!(matches!(
        end.await.unwrap(),
        Closed::Wire(WireError::WebSocket(_))
    ));

    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let (_agent, driver) = Session::serve(ours, Role::Client, Target, Options::agent());
    tokio::spawn(driver);
    let mut server = WebSocketStream::from_raw_socket(theirs, WebSocketRole::Server, None).await;
    let header = crate::frame::Header {
        id: 1,
        connection: 99,
        kind: crate::frame::Kind::Data,
    };
    server
        .send(Message::Binary(crate::frame::encode(&header, b"x").into()))
        .await
        .unwrap();
    let Message::Binary(answer) = server.next().await.unwrap().unwrap() else {
        panic!("no binary message")
    };
    let (header, length) = crate::frame::Header::decode(&answer).unwrap();
    assert_eq!(header.kind, crate::frame::Kind::Error);
    assert_eq!(&answer[length..], b"connection not found client/0/99");
}

#[tokio::test]
async fn the_registry_prefers_the_newest_session_and_announces_first_and_last() {
    let sessions = Sessions::new();
    let mut changes = sessions.changes();
    let (old, new) = (pair(), pair());
    let first = sessions.add("c-abcde", old.hub.clone());
    let second = sessions.add("c-abcde", new.hub.clone());
    assert!(sessions.get("c-abcde").unwrap().same(&new.hub));
    new.hub.close("test");
    new.hub.closed().await;
    assert!(sessions.get("c-abcde").unwrap().same(&old.hub));
    let mut stream = sessions.dial("c-abcde", "tcp", "echo").unwrap();
    stream.write_all(b"x").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'x');
    drop(second);
    assert!(sessions.connected("c-abcde"));
    drop(first);
    assert!(!sessions.connected("c-abcde"));
    assert!(changes.recv().await.unwrap().connected);
    assert!(!changes.recv().await.unwrap().connected);
    assert!(changes.try_recv().is_err());
    let error = sessions.dial("c-abcde", "tcp", "echo").unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to find Session for client c-abcde"
    );
}

#[tokio::test]
async fn a_hub_reaches_a_client_through_its_neighbour() {
    // The client is connected to `far`; `far` has opened a session to `near`.
    let (far, near) = (Sessions::new(), Sessions::new());
    let client = pair();
    let registration = far.add("c-abcde", client.hub.clone());
    let (near_socket, far_socket) = tokio::io::duplex(64 << 10);
    let (neighbour, announcements) = near.neighbour();
    let (incoming, driver) = Session::serve(
        near_socket,
        Role::Server,
        announcements,
        Options::hub("peer", 1),
    );
    tokio::spawn(driver);
    neighbour.attach(&incoming);
    let (outgoing, driver) =
        Session::serve(far_socket, Role::Client, far.forwarder(), Options::agent());
    tokio::spawn(driver);
    let mut changes = near.changes();
    let _told = far.add_neighbour(outgoing);
    assert!(changes.recv().await.unwrap().connected);
    let mut stream = near.dial("c-abcde", "tcp", "echo").unwrap();
    stream.write_all(b"x").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'x');
    let mut failed = near.dial("c-abcde", "tcp", "fail").unwrap();
    assert_eq!(
        failed.read_u8().await.unwrap_err().to_string(),
        "dial tcp fail: connect: connection refused",
        "the reason comes as it was"
    );
    // Asked for in the moment after it went.
    let mut gone = incoming.dial("c-zzzzz::tcp", "echo").await.unwrap();
    assert_eq!(
        gone.read_u8().await.unwrap_err().to_string(),
        "failed to find Session for client c-zzzzz"
    );
    drop(registration);
    assert!(!changes.recv().await.unwrap().connected);
    let _again = far.add("c-abcde", client.hub.clone());
    assert!(changes.recv().await.unwrap().connected);
    drop(neighbour);
    assert!(!near.connected("c-abcde"));
}

#[tokio::test]
async fn the_handshake_upgrades_or_tells_status_and_body() {
    use crate::handshake::{ClientRequest, ConnectError, connect, server_upgrade};
    use http_body_util::Full;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;

    async fn serve(socket: DuplexStream, refuse: bool) {
        let service = service_fn(
            move |mut request: http::Request<hyper::body::Incoming>| async move {
                let body = |text: &str| Full::new(bytes::Bytes::copy_from_slice(text.as_bytes()));
                if refuse {
                    return Ok::<_, std::convert::Infallible>(
                        http::Response::builder()
                            .status(400)
                            .body(body("cluster not found"))
                            .unwrap(),
                    );
                }
                assert_eq!(request.headers()["x-api-tunnel-token"], "tok");
                let upgrade = server_upgrade(request.method(), request.headers()).unwrap();
                let upgraded = hyper::upgrade::on(&mut request);
                tokio::spawn(async move {
                    let socket = TokioIo::new(upgraded.await.unwrap());
                    let (hub, driver) =
                        Session::serve(socket, Role::Server, RefuseAll, Options::hub("c-abcde", 1));
                    let stream = hub.dial("tcp", "echo").await.unwrap();
                    stream.fail("hello");
                    driver.await;
                });
                Ok(upgrade.response.map(|()| body("")))
            },
        );
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(socket), service)
            .with_upgrades()
            .await;
    }

    let request = || {
        let mut request = ClientRequest::new("wss://hub.example/v3/connect".parse().unwrap());
        request
            .headers
            .insert("x-api-tunnel-token", http::HeaderValue::from_static("tok"));
        request
    };
    let (near, far) = tokio::io::duplex(1 << 10);
    tokio::spawn(serve(far, true));
    let error = connect(request(), near).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::Refused { status, body } if status.as_u16() == 400 && body == "cluster not found")
    );

    let (near, far) = tokio::io::duplex(1 << 10);
    tokio::spawn(serve(far, false));
    let socket = connect(request(), near).await.unwrap();
    let (agent, driver) = Session::serve(socket, Role::Client, Target, Options::agent());
    tokio::spawn(driver);
    tokio::time::timeout(Duration::from_secs(10), async {
        while agent.stats().opened == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[test]
fn handshakes_that_are_none_get_the_peers_status() {
    use crate::handshake::server_upgrade;
    use http::{HeaderMap, Method};
    let check =
        |method: Method, headers: &[(&'static str, &'static str)], status: u16, start: &str| {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| {
                    (
                        name.parse::<http::HeaderName>().unwrap(),
                        value.parse().unwrap(),
                    )
                })
                .collect();
            let error = server_upgrade(&method, &headers).unwrap_err();
            assert_eq!(error.status.as_u16(), status);
            assert!(error.message.starts_with(start), "{}", error.message);
        };
    let connection = ("connection", "keep-alive, Upgrade");
    let upgrade = ("upgrade", "WebSocket");
    check(Method::GET, &[], 400, "websocket: the client is not using");
    check(
        Method::GET,
        &[connection],
        426,
        "websocket: the client is not using",
    );
    check(
        Method::POST,
        &[connection, upgrade],
        405,
        "websocket: the client is not using",
    );
    check(
        Method::GET,
        &[connection, upgrade],
        400,
        "websocket: unsupported version",
    );
    check(
        Method::GET,
        &[connection, upgrade, ("sec-websocket-version", "13")],
        400,
        "websocket: not a websocket handshake",
    );
    // The example of RFC 6455, section 1.3.
    assert_eq!(
        crate::accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
}

/// A socket whose TLS ends without a goodbye.
struct Killed;

impl AsyncRead for Killed {
    fn poll_read(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        _buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()))
    }
}

impl AsyncWrite for Killed {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_killed_process_at_the_other_end_is_its_end() {
    let options = Options::hub("c-abcde", 1);
    let (session, driver) = Session::serve(Killed, Role::Server, RefuseAll, options);
    assert!(matches!(driver.await, Closed::Remote));
    assert!(session.is_closed());
}
