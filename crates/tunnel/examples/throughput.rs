//! Measures the tunnel alone, both ends in one process over loopback TCP, as JSON lines with the ratio to the same
//! exchange without a tunnel.
//!
//! `cargo run --release --example throughput -p drover-tunnel`

#![expect(clippy::print_stdout, reason = "prints its results")]

use std::io;
use std::time::{Duration, Instant};

use drover_tunnel::{Accept, Acceptor, BoxedIo, Options, RefuseAll, Role, Session};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const BULK: usize = 1 << 30;
const REQUEST: usize = 200;
const ANSWER: usize = 500;
const IDLE_SESSIONS: usize = 1_000;

/// Dials whatever address it is given.
struct Dialler;

impl Acceptor for Dialler {
    fn accept(&self, _protocol: &str, address: &str) -> Accept {
        let address = address.to_owned();
        Accept::Dial(Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxedIo)
        }))
    }
}

async fn tcp_pair() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (near, far) = tokio::join!(
        TcpStream::connect(listener.local_addr()?),
        listener.accept()
    );
    let (near, (far, _)) = (near?, far?);
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    Ok((near, far))
}

async fn session() -> Result<(Session, Session)> {
    let (near, far) = tcp_pair().await?;
    let (hub, driver) = Session::serve(near, Role::Server, RefuseAll, Options::hub("c-abcde", 1));
    tokio::spawn(driver);
    let (agent, driver) = Session::serve(far, Role::Client, Dialler, Options::agent());
    tokio::spawn(driver);
    Ok((hub, agent))
}

/// Answers requests of a fixed size; the first byte `b` asks for bulk.
async fn target() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                socket.set_nodelay(true)?;
                let mut request = [0; REQUEST];
                let (answer, bulk) = ([1; ANSWER], vec![1; 64 << 10]);
                loop {
                    socket.read_exact(&mut request).await?;
                    if request.first() != Some(&b'b') {
                        socket.write_all(&answer).await?;
                        continue;
                    }
                    for _ in 0..BULK / bulk.len() {
                        socket.write_all(&bulk).await?;
                    }
                }
                #[expect(unreachable_code, reason = "gives the block its type")]
                io::Result::Ok(())
            });
        }
    });
    Ok(address)
}

async fn bulk(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<f64> {
    stream.write_all(&[b'b'; REQUEST]).await?;
    let mut buffer = vec![0; 64 << 10];
    let start = Instant::now();
    let mut left = BULK;
    while left > 0 {
        left -= stream.read(&mut buffer).await?;
    }
    Ok(BULK as f64 / 1e6 / start.elapsed().as_secs_f64())
}

async fn small(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    time: Duration,
) -> Result<Vec<Duration>> {
    let (request, mut answer) = ([b's'; REQUEST], [0; ANSWER]);
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < time {
        let before = Instant::now();
        stream.write_all(&request).await?;
        stream.read_exact(&mut answer).await?;
        times.push(before.elapsed());
    }
    times.sort();
    Ok(times)
}

fn resident() -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap_or_default();
    Ok(line.split_whitespace().nth(1).unwrap_or_default().parse()?)
}

fn cpu() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<f64>().ok())
            .unwrap_or_default()
    };
    Ok((ticks(11) + ticks(12)) / 100.0)
}

fn report(name: &str, unit: &str, tunnel: f64, direct: f64) {
    println!(
        r#"{{"bench":"{name}","unit":"{unit}","value":{tunnel:.3},"direct":{direct:.3},"ratio":{:.3}}}"#,
        tunnel / direct
    );
}

fn median(times: &[Duration]) -> f64 {
    times
        .get(times.len() / 2)
        .map(Duration::as_secs_f64)
        .unwrap_or_default()
        * 1e3
}

#[tokio::main]
async fn main() -> Result<()> {
    let address = target().await?;
    let (hub, _agent) = session().await?;

    let direct = bulk(TcpStream::connect(&address).await?).await?;
    let before = cpu()?;
    let tunnel = bulk(hub.dial("tcp", &address).await?).await?;
    report("tunnel_bulk", "MB/s", tunnel, direct);
    let nanoseconds = (cpu()? - before) * 1e9 / BULK as f64;
    println!(r#"{{"bench":"tunnel_cpu","unit":"ns/B, all four ends","value":{nanoseconds:.3}}}"#);

    let time = Duration::from_secs(2);
    let stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let direct = small(stream, time).await?;
    let tunnel = small(hub.dial("tcp", &address).await?, time).await?;
    report("tunnel_small_p50", "ms", median(&tunnel), median(&direct));

    let mut rates = [0.0; 2];
    for (tunnelled, rate) in rates.iter_mut().enumerate() {
        let mut callers = Vec::new();
        for _ in 0..16 {
            let (hub, address) = (hub.clone(), address.clone());
            callers.push(tokio::spawn(async move {
                if tunnelled == 1 {
                    small(hub.dial("tcp", &address).await?, time).await
                } else {
                    let stream = TcpStream::connect(&address).await?;
                    stream.set_nodelay(true)?;
                    small(stream, time).await
                }
            }));
        }
        for caller in callers {
            *rate += caller.await??.len() as f64 / time.as_secs_f64();
        }
    }
    report("tunnel_small_16", "1/s", rates[1], rates[0]);

    let before = resident()?;
    let mut idle = Vec::new();
    for _ in 0..IDLE_SESSIONS {
        idle.push(session().await?);
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    let after = resident()?;
    println!(
        r#"{{"bench":"tunnel_idle_memory","unit":"kB per session, both ends","value":{:.2}}}"#,
        (after - before) as f64 / IDLE_SESSIONS as f64
    );
    drop(idle);
    Ok(())
}
