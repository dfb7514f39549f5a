//! Logging in with the browser: whoever is signed in there confirms, and the token comes here encrypted.
//!
//! Owns the request, its key, and the wait for the answer (reference `api-v3-and-auth.md` 4.4, and `auth`'s
//! `logins/handover`, the other end: X25519, HKDF-SHA-256, ChaCha20-Poly1305; the ephemeral key of the server stands before
//! the ciphertext).
//!
//! Invariant: the private key never leaves this process, and opens one answer.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use drover_types::names::HANDOVER_CONTEXT;
use http::{Method, StatusCode};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral},
    hkdf::{HKDF_SHA256, Salt},
    rand::{SecureRandom as _, SystemRandom},
};
use secrecy::SecretString;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    api::{self, Server},
    error::CliError,
    terminal::Terminal,
};

/// How long the server keeps an answer, and so how long to wait for one.
const WAIT: Duration = Duration::from_secs(15 * 60);
/// Between questions.
const BETWEEN: Duration = Duration::from_secs(1);
/// Thirty-two of them, so that five bits choose one evenly.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const NAME: usize = 32;
const PUBLIC: usize = 32;

/// A request for a token.
struct Request {
    name: String,
    public: Vec<u8>,
    private: EphemeralPrivateKey,
}

impl Request {
    fn new() -> Result<Self, CliError> {
        let chance = SystemRandom::new();
        let failed = |_| CliError::Terminal(std::io::Error::other("there is no randomness"));
        let private = EphemeralPrivateKey::generate(&X25519, &chance).map_err(failed)?;
        let public = private.compute_public_key().map_err(failed)?;
        let mut bytes = [0; NAME];
        chance.fill(&mut bytes).map_err(failed)?;
        let letter = |byte: u8| char::from(LETTERS[usize::from(byte % 32)]);
        Ok(Self {
            name: bytes.into_iter().map(letter).collect(),
            public: public.as_ref().to_vec(),
            private,
        })
    }

    /// The page where it is confirmed; the address is that of the peer's command line.
    fn page(&self, base: &str) -> String {
        let key = json!({"X25519": STANDARD.encode(&self.public)}).to_string();
        let query = api::query(&[
            ("cli", "true"),
            ("requestId", &self.name),
            ("publicKey", &STANDARD.encode(key)),
            ("responseType", "json"),
        ]);
        format!("{base}/dashboard/auth/login?{query}")
    }

    /// The name as people compare it.
    fn code(&self) -> String {
        let groups = self.name.as_bytes().chunks(4);
        let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
        groups.join(" ")
    }

    /// Opens what was encrypted to the key; `None` if it was not.
    fn open(self, sealed: &str) -> Option<SecretString> {
        let sealed = STANDARD.decode(sealed).ok()?;
        let (theirs, cipher) = sealed.split_at_checked(PUBLIC)?;
        let info = [HANDOVER_CONTEXT, theirs, &self.public];
        let peer = UnparsedPublicKey::new(&X25519, theirs);
        let opened = agree_ephemeral(self.private, &peer, |shared| {
            let derived = Salt::new(HKDF_SHA256, &[]).extract(shared);
            let key = derived.expand(&info, &CHACHA20_POLY1305).ok()?;
            let mut text = cipher.to_vec();
            // A key of its own for each message, so the nonce need not differ.
            let nonce = Nonce::assume_unique_for_key([0; 12]);
            let text = LessSafeKey::new(UnboundKey::from(key))
                .open_in_place(nonce, Aad::from(self.name.as_bytes()), &mut text)
                .ok()?;
            String::from_utf8(text.to_vec()).ok()
        });
        opened.ok().flatten().map(SecretString::from)
    }
}

/// Asks for a token in the browser and waits until somebody confirms.
pub(super) async fn token(
    terminal: &mut dyn Terminal,
    server: &Server,
) -> Result<SecretString, CliError> {
    let request = Request::new()?;
    let page = request.page(server.base());
    terminal.complain("Open this page, log in there, and confirm if it shows the same code:");
    terminal.complain(&format!("  {page}"));
    terminal.complain(&format!("  code: {}", request.code()));
    if terminal.browse(&page).is_err() {
        terminal.complain("No browser could be started here; open the page yourself.");
    }
    let answer = format!("/v1-public/authtokens/{}", request.name);
    let sealed = wait(server, &answer).await?;
    let token = request.open(&sealed).ok_or_else(|| CliError::Answer {
        what: format!("GET {answer}"),
        problem: "it is not encrypted to this request".to_owned(),
    })?;
    // It goes by itself too, and is of no use to anybody else.
    if let Err(error) = server.send(Method::DELETE, &answer, None, None).await {
        error.show(terminal);
    }
    Ok(token)
}

/// Waits for what the server lays ready.
async fn wait(server: &Server, location: &str) -> Result<String, CliError> {
    let what = format!("GET {location}");
    let end = Instant::now() + WAIT;
    loop {
        let answer = server.send(Method::GET, location, None, None).await?;
        if answer.response.status() != StatusCode::NOT_FOUND {
            let ready = api::understand(&what, &answer.response)?;
            return match ready["token"].as_str() {
                Some(sealed) => Ok(sealed.to_owned()),
                None => Err(CliError::Answer {
                    what,
                    problem: "it holds no token".to_owned(),
                }),
            };
        }
        if Instant::now() >= end {
            return Err(CliError::Waited {
                what: "the confirmation in the browser".to_owned(),
                seconds: WAIT.as_secs(),
                last: "nobody confirmed".to_owned(),
            });
        }
        tokio::time::sleep(BETWEEN).await;
    }
}
