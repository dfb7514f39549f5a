use tokio::io::AsyncReadExt as _;

use super::*;

/// Answers after a minute.
#[derive(Default)]
struct Slow {
    began: tokio::sync::Notify,
}

impl Handler for Slow {
    async fn handle(self: Arc<Self>, _: web::Request) -> Response {
        self.began.notify_one();
        tokio::time::sleep(Duration::from_mins(1)).await;
        web::text(http::StatusCode::OK, "done")
    }
}

/// What a client that sends this is answered when the server stops, and how long the stop takes.
async fn stop(sent: &[u8], whole: bool) -> (String, Duration) {
    let listener = bind(std::net::Ipv4Addr::LOCALHOST.into(), 0).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let slow = Arc::new(Slow::default());
    let listeners = Listeners::new(Arc::clone(&slow), 1, tasks.clone(), shutdown.clone());
    let accepting = tokio::spawn(listeners.http(listener));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(sent).await.unwrap();
    if whole {
        slow.began.notified().await;
    }
    // Once it is accepted the connection is a task.
    while tasks.is_empty() {
        tokio::task::yield_now().await;
    }
    let begun = Instant::now();
    shutdown.cancel();
    accepting.await.unwrap();
    tasks.close();
    tasks.wait().await;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    (answer, begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn half_a_header_does_not_hold_the_stop() {
    let (answer, took) = stop(b"GET / HTTP/1.1\r\nHost: a", false).await;
    assert_eq!(answer, "");
    assert!(took <= 2 * LAST_HEADER_LIMIT, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_sent_is_answered_before_the_stop() {
    let (answer, took) = stop(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true).await;
    assert!(answer.ends_with("done"), "{answer}");
    assert!(took >= Duration::from_secs(59), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn many_refusals_are_told_of_now_and_then() {
    let mut refusals = Refusals::default();
    assert_eq!(refusals.tell(), Some(1));
    for _ in 0..1000 {
        assert_eq!(refusals.tell(), None);
    }
    tokio::time::advance(TELL_EVERY).await;
    assert_eq!(refusals.tell(), Some(1001));
    assert_eq!(refusals.tell(), None);
}

/// Says that everything is Ada's, save `/ping`; `/up` becomes a connection of its own.
#[derive(Debug, Default)]
struct Adas {
    upgraded: parking_lot::Mutex<Vec<hyper::upgrade::OnUpgrade>>,
}

impl Handler for Adas {
    async fn handle(self: Arc<Self>, mut request: web::Request) -> Response {
        let mut answer = web::text(http::StatusCode::OK, "done");
        if request.uri().path() == "/up" {
            *answer.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
            let upgrade = request.extensions_mut().remove();
            self.upgraded.lock().extend(upgrade);
        }
        if request.uri().path() != "/ping" {
            answer.extensions_mut().insert(Owner("u-ada".to_owned()));
        }
        answer
    }
}

/// A server with this many seats.
async fn serving(seats: usize) -> (SocketAddr, Arc<Adas>) {
    let listener = bind(std::net::Ipv4Addr::LOCALHOST.into(), 0).await.unwrap();
    let address = listener.local_addr().unwrap();
    let adas = Arc::new(Adas::default());
    let listeners = Listeners::new(
        Arc::clone(&adas),
        seats,
        TaskTracker::new(),
        CancellationToken::new(),
    );
    tokio::spawn(listeners.http(listener));
    (address, adas)
}

/// A connection on which this path was asked for and answered.
async fn asked(address: SocketAddr, path: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    let upgrade = "Connection: Upgrade\r\nUpgrade: any";
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{upgrade}\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = client.read(&mut answer).await.unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 "), "{path}");
    client
}

/// Waits until the server has closed it.
async fn is_closed(mut client: TcpStream) {
    let mut rest = Vec::new();
    let read = client.read_to_end(&mut rest);
    let read = tokio::time::timeout(Duration::from_secs(30), read).await;
    // Reset counts as well.
    drop(read.expect("it stays open"));
}

#[tokio::test]
async fn connections_of_nobody_give_way_and_those_of_somebody_stay() {
    let (address, _) = serving(4).await;
    let mut ada = asked(address, "/v3").await;
    let strangers = [asked(address, "/ping").await, asked(address, "/ping").await];
    let _last = asked(address, "/ping").await;
    let mut newcomers = Vec::new();
    for stranger in strangers {
        newcomers.push(asked(address, "/ping").await);
        is_closed(stranger).await;
    }
    ada.write_all(b"GET /v3 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    ada.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[tokio::test]
async fn a_connection_that_became_another_holds_its_seat_until_it_is_closed() {
    let (address, adas) = serving(1).await;
    let client = asked(address, "/up").await;
    let refused = TcpStream::connect(address).await.unwrap();
    is_closed(refused).await;
    let upgrade = adas.upgraded.lock().pop().unwrap();
    drop((upgrade.await.unwrap(), client));
    asked(address, "/v3").await;
}

#[tokio::test]
async fn a_connection_that_became_another_gives_way_beyond_the_share_of_its_owner() {
    let (address, adas) = serving(4).await;
    let _safe = asked(address, "/up").await;
    let more = asked(address, "/up").await;
    let _strangers = [asked(address, "/ping").await, asked(address, "/ping").await];
    let upgrade = adas.upgraded.lock().pop().unwrap();
    let mut upgraded = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
    let reading = tokio::spawn(async move { upgraded.read(&mut [0; 8]).await });
    let _newcomer = asked(address, "/ping").await;
    let read = tokio::time::timeout(Duration::from_secs(30), reading).await;
    read.expect("it stays open").unwrap().unwrap_err();
    is_closed(more).await;
}
