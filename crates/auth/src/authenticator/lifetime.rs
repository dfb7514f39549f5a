//! How long an identity holds: what ends it, and who is told.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::broadcast;

use super::{Authenticator, Revocation, WATCH_LAG, ext_key};
use crate::{Identity, UserId, ext, token};

impl Authenticator {
    /// Refuses a token from now on whose deletion the store has acknowledged.
    pub(crate) fn forget_token(&self, name: &str, uid: &str) {
        match name.strip_prefix(ext::PREFIX) {
            Some(bare) => self.0.ext_tokens.bury(&ext_key(bare), uid),
            None => self.0.tokens.bury(name, uid),
        };
        self.0.used.lock().remove(name);
        self.revoke(Revocation::Token(name.to_owned()));
    }

    /// Refuses a token from now on that the store does not have, though the watch may not have shown its end yet.
    pub(crate) fn forget_gone(&self, name: &str) {
        let known = match name.strip_prefix(ext::PREFIX) {
            Some(bare) => self.0.ext_tokens.get(&ext_key(bare)),
            None => self.0.tokens.get(name),
        };
        if let Some(record) = known {
            self.forget_token(name, &record.uid);
        }
    }

    /// Completes once nothing known here still lets `user` in, after it was disabled or deleted; or, with `false`,
    /// when the watch has not shown that in time. May be cancelled; changes nothing.
    pub(crate) async fn shut_out(&self, user: &UserId) -> bool {
        let gone = async {
            let mut revocations = self.revocations();
            // Told before the look, so that no revocation falls between.
            while self
                .0
                .people
                .get(user.as_str())
                .is_some_and(|person| person.enabled)
            {
                match revocations.recv().await {
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    // The sender lives as long as `self`.
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        tokio::time::timeout(WATCH_LAG, gone).await.is_ok()
    }

    pub(super) fn revoke(&self, revocation: Revocation) {
        // Nobody listening is nobody to tell.
        let _ = self.0.revocations.send(revocation);
    }

    /// Every revocation from now on. A receiver that lags must ask about all it serves.
    #[must_use]
    pub fn revocations(&self) -> broadcast::Receiver<Revocation> {
        self.0.revocations.subscribe()
    }

    /// Completes when `identity` is no longer valid as it stands: token deleted, disabled or expired, user deleted,
    /// disabled or in fewer groups; or when nobody can tell any more. Streams (watches, exec, tunnels of a user) run beside
    /// this and end with it.
    pub async fn revoked(&self, identity: &Identity) {
        let mut revocations = self.revocations();
        loop {
            if self.0.freshness.too_silent().is_some() {
                return;
            }
            let Some(expires) = self.still_holds(identity).await else {
                return;
            };
            let expired = async {
                match expires {
                    Some(expires) => {
                        let left = expires.duration_since(self.0.clock.now());
                        tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
                    }
                    None => std::future::pending().await,
                }
            };
            let hit = async {
                loop {
                    match revocations.recv().await {
                        Ok(Revocation::Token(name)) => {
                            if identity
                                .token
                                .as_ref()
                                .is_some_and(|token| token.name == name)
                            {
                                return;
                            }
                        }
                        Ok(Revocation::User(user)) => {
                            if identity.user == user {
                                return;
                            }
                        }
                        Err(broadcast::error::RecvError::Lagged(_)) => return,
                        // The sender lives as long as `self`.
                        Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                    }
                }
            };
            tokio::select! {
                () = expired => {}
                () = hit => {}
                () = self.0.freshness.ended() => return,
            }
        }
    }

    /// How long the identity's token lives from now on, at most `most`; `None` if the identity holds no longer.
    pub async fn lasts(&self, identity: &Identity, most: Duration) -> Option<Duration> {
        let Some(expires) = self.still_holds(identity).await? else {
            return Some(most);
        };
        let left = expires.duration_since(self.0.clock.now());
        Some(Duration::try_from(left).unwrap_or_default().min(most))
    }

    /// `None`: the identity holds no longer. Else when its token ends.
    async fn still_holds(&self, identity: &Identity) -> Option<Option<Timestamp>> {
        let person = match self.person(&identity.user).await {
            Ok(person) => person.filter(|person| person.enabled)?,
            // Not knowing ends nothing at once; the watch will tell, or its silence.
            Err(_) => return Some(None),
        };
        let now_held = self.identity(&person, None).groups;
        if !identity.groups.is_subset(&now_held) {
            return None;
        }
        let Some(token) = &identity.token else {
            return Some(None);
        };
        match self.token(&token.name).await {
            Ok(record) => record
                .filter(|record| record.user == identity.user && record.cluster == token.cluster)
                .filter(|record| {
                    record.is_live(self.0.clock.now(), token::idle_limit(&self.0.settings))
                })
                .map(|record| record.expires),
            Err(_) => Some(None),
        }
    }
}
