//! Asks the hub who somebody is.
//!
//! Owns the trust in the hub, as for the tunnels, and what counts as an answer. What follows from it is decided
//! elsewhere.

use std::sync::Arc;
use std::time::Duration;

use drover_dial::{Chain, Dialer};
use drover_types::review::{self, Answer, Question};
use http::StatusCode;
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::kept::Asked;
use crate::config::Config;
use crate::doctor;
use crate::hub::{self, Patience};

const PATIENCE: Patience = Patience {
    // The API server behind gives up after ten seconds; half of that is left for a second try of its own.
    deadline: Duration::from_secs(4),
    // Somebody in thousands of groups.
    largest_answer: 1 << 20,
};
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
        let question = Question {
            token: token.expose_secret().to_owned(),
        };
        let answer = hub::post(
            &self.config,
            &self.dialer,
            tls,
            PATIENCE,
            review::PATH,
            &question,
        );
        match answer.await {
            Ok((status, body)) => judge(status, &body),
            Err(error) => {
                if error.is_untrusted() {
                    self.tls.send_replace(None);
                }
                warn!(error = %Chain(&error), "the hub was not reached");
                Asked::Away
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
