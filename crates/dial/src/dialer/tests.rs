use std::{collections::HashMap, sync::Arc, time::Duration};

use http::Request;
use http_body_util::Full;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{CertificateError, ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

use super::{DialError, Dialer};
use crate::{
    exchange::Client,
    proxy::Rules,
    trust::{Fingerprint, Trust, certificates},
};

const STEP: Duration = Duration::from_secs(5);

struct Server {
    port: u16,
    pem: String,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A TLS server for `names` that answers any request with 200 and `hello`.
async fn server(names: &[&str]) -> Server {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![cert.der().clone()],
                PrivateKeyDer::Pkcs8(signing_key.serialize_der().into()),
            )
            .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(tcp).await else {
                    return;
                };
                let mut seen = Vec::new();
                while !seen.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = tls.read_u8().await else {
                        return;
                    };
                    seen.push(byte);
                }
                let answer =
                    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
                let _ = tls.write_all(answer).await;
                let _ = tls.shutdown().await;
            });
        }
    });
    Server {
        port,
        pem: cert.pem(),
        task,
    }
}

/// A proxy that records the heads it gets; `status` other than 200 refuses.
async fn proxy(status: u16) -> (u16, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heads, received) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            // Names of these tests do not exist: the proxy alone knows where they live.
            let port = head
                .split_ascii_whitespace()
                .nth(1)
                .unwrap()
                .rsplit(':')
                .next()
                .unwrap()
                .parse()
                .unwrap();
            heads.send(head).unwrap();
            client
                .write_all(format!("HTTP/1.1 {status} Text\r\nX: y\r\n\r\n").as_bytes())
                .await
                .unwrap();
            if status == 200 {
                let mut server = tokio::net::TcpStream::connect(("127.0.0.1", port))
                    .await
                    .unwrap();
                tokio::spawn(async move {
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        }
    });
    (port, received)
}

fn direct() -> Dialer {
    Dialer::new(Rules::direct(), STEP)
}

fn through(proxy: String) -> Dialer {
    let map = HashMap::from([("HTTPS_PROXY".to_owned(), proxy)]);
    Dialer::new(
        Rules::from_lookup(|name| map.get(name).cloned()).unwrap(),
        STEP,
    )
}

async fn get(dialer: Dialer, trust: &Trust, url: &str) -> Result<String, crate::ExchangeError> {
    let client = Client::new(dialer, trust.client_config().unwrap(), STEP, 1024);
    let answer = client
        .send(Request::get(url).body(Full::default()).unwrap())
        .await?;
    assert_eq!(answer.response.status(), 200);
    Ok(String::from_utf8(answer.response.into_body().to_vec()).unwrap())
}

#[tokio::test]
async fn the_given_ca_and_the_pinned_leaf_are_trusted_and_nothing_else() {
    let server = server(&["localhost"]).await;
    let other = super::tests::server(&["localhost"]).await;
    let url = format!("https://localhost:{}/x", server.port);
    let ca = certificates(server.pem.as_bytes(), "test").unwrap();
    let foreign = certificates(other.pem.as_bytes(), "test").unwrap();
    let pin = Fingerprint::of(&ca[0]);
    for trust in [
        Trust::Only(ca.clone()),
        Trust::SystemAnd(ca.clone()),
        Trust::Pinned(pin),
        Trust::Unchecked,
    ] {
        assert_eq!(
            get(direct(), &trust, &url).await.unwrap(),
            "hello",
            "{trust:?}"
        );
    }
    for trust in [
        Trust::Only(foreign.clone()),
        Trust::Pinned(Fingerprint::of(&foreign[0])),
    ] {
        let error = get(direct(), &trust, &url).await.unwrap_err();
        let crate::ExchangeError::Dial(error) = error else {
            panic!("{error}")
        };
        assert!(error.certificate_error().is_some(), "{error:?}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_as_such() {
    let server = server(&["elsewhere.test"]).await;
    let ca = certificates(server.pem.as_bytes(), "test").unwrap();
    let config = Trust::Only(ca).client_config().unwrap();
    let error = direct()
        .tls("localhost", server.port, &config)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error.certificate_error(),
            Some(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
            )
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_proxy_gets_name_and_credentials_and_resolves_itself() {
    let server = server(&["only-the-proxy-knows.test"]).await;
    let (port, mut heads) = proxy(200).await;
    let ca = certificates(server.pem.as_bytes(), "test").unwrap();
    let url = format!("https://only-the-proxy-knows.test:{}/", server.port);
    let body = get(
        through(format!("http://user:secret@127.0.0.1:{port}")),
        &Trust::Only(ca),
        &url,
    )
    .await
    .unwrap();
    assert_eq!(body, "hello");
    let head = heads.recv().await.unwrap();
    assert!(
        head.starts_with(&format!(
            "CONNECT only-the-proxy-knows.test:{} HTTP/1.1\r\n",
            server.port
        )),
        "{head}"
    );
    assert!(
        head.contains("Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn a_refusing_proxy_is_named_with_its_status() {
    let (port, _heads) = proxy(407).await;
    let config = Trust::Unchecked.client_config().unwrap();
    let error = through(format!("127.0.0.1:{port}"))
        .tls("example.test", 443, &config)
        .await
        .unwrap_err();
    assert!(
        matches!(error, DialError::ProxyRefused { status: 407, .. }),
        "{error:?}"
    );
    assert!(
        error.to_string().contains(&format!("127.0.0.1:{port}")),
        "{error}"
    );
}

#[tokio::test]
async fn a_closed_port_and_an_unknown_name_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = direct().tcp("127.0.0.1", port).await.unwrap_err();
    assert!(matches!(error, DialError::Connect { .. }), "{error:?}");
    let error = direct()
        .tcp("no-such-name.invalid", port)
        .await
        .unwrap_err();
    assert!(
        matches!(error, DialError::Resolve { .. } | DialError::Timeout { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused() {
    let server = server(&["localhost"]).await;
    let client = Client::new(direct(), Trust::Unchecked.client_config().unwrap(), STEP, 4);
    let request = Request::get(format!("https://localhost:{}/", server.port))
        .body(Full::default())
        .unwrap();
    let error = client.send(request).await.unwrap_err();
    assert!(
        matches!(error, crate::ExchangeError::Body { limit: 4, .. }),
        "{error:?}"
    );
}
