//! Answers reviews: what is kept, else the hub.
//!
//! Owns how many questions are under way at once. Tokens that were let in before have places of their own, so that
//! strangers who try keys cannot keep people out.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::kept::{Kept, Look};
use super::question::Hub;
use super::store::Store;
use super::wire::{Verdict, is_of_the_hub};

/// Questions under way about tokens that were let in before, and about others.
const PLACES: (usize, usize) = (32, 16);
/// How long a question waits for a place.
const PATIENCE: Duration = Duration::from_secs(3);

/// Answers; clones are the same.
#[derive(Clone, Debug)]
pub struct Desk {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    kept: Arc<Mutex<Kept>>,
    hub: Arc<Hub>,
    store: Arc<Store>,
    acquaintances: Semaphore,
    strangers: Semaphore,
}

impl Desk {
    /// Answers from `kept`, by `hub`, and by what others kept in `store`.
    #[must_use]
    pub fn new(kept: Arc<Mutex<Kept>>, hub: Arc<Hub>, store: Arc<Store>) -> Self {
        let (acquaintances, strangers) = PLACES;
        Self {
            inner: Arc::new(Inner {
                kept,
                hub,
                store,
                acquaintances: Semaphore::new(acquaintances),
                strangers: Semaphore::new(strangers),
            }),
        }
    }

    /// Whose a token is.
    pub async fn review(&self, token: &SecretString) -> Verdict {
        if !is_of_the_hub(token.expose_secret()) {
            return Verdict::Nobody;
        }
        let inner = &*self.inner;
        let (fingerprint, look) = {
            let mut kept = inner.kept.lock();
            let fingerprint = kept.fingerprint(token.expose_secret());
            (fingerprint, kept.look(fingerprint, Timestamp::now()))
        };
        let (ticket, known) = match look {
            Look::Say(verdict) => return verdict,
            Look::Ask { ticket, known } => (ticket, known),
        };
        let places = if known {
            &inner.acquaintances
        } else {
            &inner.strangers
        };
        let Ok(Ok(_place)) = timeout(PATIENCE, places.acquire()).await else {
            return Verdict::Unknown("too many tokens are being asked about");
        };
        let asked = inner.hub.ask(token).await;
        let is_away = asked == super::kept::Asked::Away;
        let verdict = inner
            .kept
            .lock()
            .settle(fingerprint, ticket, asked, Timestamp::now());
        if is_away && matches!(verdict, Verdict::Unknown(_)) {
            // Another node of the control plane may have been told before the hub went away.
            inner.store.read_again(&inner.kept).await;
            let mut kept = inner.kept.lock();
            if let Look::Say(verdict) = kept.look(fingerprint, Timestamp::now()) {
                return verdict;
            }
        }
        verdict
    }
}
