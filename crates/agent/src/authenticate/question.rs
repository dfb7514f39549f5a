//! Asks the hub who somebody is.
//!
//! Owns the way there: credentials and trust as for the tunnels, one connection per question, and what counts as an
//! answer. What follows from it is decided elsewhere.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drover_dial::{Chain, Client, Dialer, ExchangeError};
use drover_types::review::{self, Answer, Question};
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::Full;
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::kept::Asked;
use crate::config::Config;
use crate::doctor;
use crate::kubernetes::USER_AGENT;
use crate::tunnel::TOKEN_HEADER;

/// The API server behind gives up after ten seconds; half of that is left for a second try of its own.
const DEADLINE: Duration = Duration::from_secs(4);
/// Somebody in thousands of groups.
const ANSWER_LIMIT: usize = 1 << 20;
/// The pause before the hub's certificate is looked at again when it could not be verified.
const LEARN_AGAIN: Duration = Duration::from_secs(5);

/// The hub, as far as it is asked about tokens.
#[derive(Debug)]
pub struct Hub {
    config: Arc<Config>,
    dialer: Dialer,
    /// How to verify the hub, once it was reached.
    tls: watch::Sender<Option<Arc<ClientConfig>>>,
}

impl Hub {
    /// Asks nobody yet.
    #[must_use]
    pub fn new(config: Arc<Config>, dialer: Dialer) -> Self {
        Self {
            config,
            dialer,
            tls: watch::Sender::new(None),
        }
    }

    /// Learns how to verify the hub, and again when that no longer works; until then the hub counts as away.
    pub async fn learn(&self, shutdown: &CancellationToken) {
        let mut changes = self.tls.subscribe();
        let work = async {
            loop {
                if changes.borrow_and_update().is_none() {
                    match doctor::hub_trust(&self.config, &self.dialer).await {
                        Ok(tls) => {
                            info!("the hub is known and can be asked");
                            self.tls.send_replace(Some(tls));
                        }
                        Err(report) => {
                            let failure = report.failure();
                            let reason = failure.map_or("", |verdict| verdict.reason.as_str());
                            warn!(%reason, "the hub cannot be asked yet");
                            sleep(LEARN_AGAIN).await;
                        }
                    }
                } else if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = work => {}
        }
    }

    /// Asks about a token.
    pub async fn ask(&self, token: &SecretString) -> Asked {
        let Some(tls) = self.tls.borrow().clone() else {
            return Asked::Away;
        };
        match self.send(token, tls).await {
            Ok((status, body)) => judge(status, &body),
            Err(error) => {
                warn!(%error, "the hub was not reached");
                Asked::Away
            }
        }
    }

    async fn send(
        &self,
        token: &SecretString,
        tls: Arc<ClientConfig>,
    ) -> Result<(StatusCode, Bytes), String> {
        let credentials = self
            .config
            .credentials()
            .map_err(|error| Chain(&error).to_string())?;
        let mut own = HeaderValue::from_str(credentials.token.expose_secret())
            .map_err(|_| "the credentials hold characters that HTTP does not allow".to_owned())?;
        own.set_sensitive(true);
        let question = Question {
            token: token.expose_secret().to_owned(),
        };
        let body = serde_json::to_string(&question).map_err(|error| error.to_string())?;
        let request = Request::post(credentials.server.url(review::PATH))
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::CONTENT_TYPE, "application/json")
            .header(TOKEN_HEADER, own)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        let client = Client::new(self.dialer.clone(), tls, DEADLINE, ANSWER_LIMIT);
        match client.send(request).await {
            Ok(answer) => Ok((answer.response.status(), answer.response.into_body())),
            Err(error) => {
                let untrusted = matches!(&error, ExchangeError::Dial(dial) if dial.certificate_error().is_some());
                if untrusted {
                    self.tls.send_replace(None);
                }
                Err(Chain(&error).to_string())
            }
        }
    }
}

/// What an answer means. Only the hub's own refusal is one; what a broken proxy on the way says is not.
fn judge(status: StatusCode, body: &[u8]) -> Asked {
    match status {
        StatusCode::OK => match serde_json::from_slice::<Answer>(body) {
            Ok(answer) => {
                debug!(known = answer.user.is_some(), "the hub answered");
                Asked::Answered(answer)
            }
            Err(_) => {
                warn!("the hub's answer is none; something else may answer at its address");
                Asked::Away
            }
        },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            warn!(%status, "the hub does not answer for this cluster");
            Asked::Refused
        }
        other => {
            warn!(status = %other, "the hub cannot answer");
            Asked::Away
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hubs_own_words_count() {
        let check = |status: u16, body: &str, expected: Asked| {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(judge(status, body.as_bytes()), expected, "{status} {body}");
        };
        let nobody = Asked::Answered(Answer {
            user: None,
            holds_for_seconds: 0,
        });
        check(200, r#"{"holdsForSeconds":0}"#, nobody);
        check(200, "<html>a page of a proxy</html>", Asked::Away);
        check(401, "", Asked::Refused);
        check(403, "", Asked::Refused);
        for status in [404, 408, 429, 500, 502, 503, 504] {
            check(status, "", Asked::Away);
        }
    }
}
