//! Tokens that have expired go.
//!
//! Owns the deletion only; whether a token is still good is decided where
//! requests are authenticated.

use std::time::Duration;

use drover_auth::Clock;
use drover_types::management::Token;
use jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, Client};

use crate::plan::{Action, Plan, Reference, Site, Sites};
use crate::runtime::{Controller, LookError};

/// The one key of this controller.
pub(crate) const ALL: &str = "all";
/// Between looks.
const PERIOD: Duration = Duration::from_secs(15 * 60);
/// An expired token is kept this long, so that its owner is told "expired" and not "unknown".
const KEEP: Duration = Duration::from_secs(3600);

/// Decides about all tokens.
#[must_use]
pub fn reconcile(tokens: &[Token], now: Timestamp) -> Plan {
    let expired = tokens.iter().filter(|token| {
        token
            .expires_at
            .parse::<Timestamp>()
            .is_ok_and(|at| at + KEEP < now)
    });
    let delete = |token: &Token| Action::Delete {
        site: Site::Hub,
        target: Reference::new::<Token>(None, token.metadata.name.as_deref().unwrap_or_default()),
        uid: token.metadata.uid.clone(),
    };
    Plan {
        actions: expired.map(delete).collect(),
        status: None,
        requeue_at: Some(now + PERIOD),
    }
}

/// Looks after expired tokens.
pub(crate) struct Tokens {
    pub(crate) client: Client,
    pub(crate) clock: Clock,
}

impl Controller for Tokens {
    const NAME: &'static str = "tokens";

    async fn look(&self, _key: &str) -> Result<Option<Timestamp>, LookError> {
        let tokens = Api::<Token>::all(self.client.clone())
            .list(&ListParams::default())
            .await?;
        let plan = reconcile(&tokens.items, self.clock.now());
        Sites::hub(&self.client).execute(&plan).await?;
        Ok(plan.requeue_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tokens_that_expired_a_while_ago_go() {
        let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
        let token = |name: &str, expires_at: &str| {
            let mut token = Token::named(name);
            expires_at.clone_into(&mut token.expires_at);
            token
        };
        let tokens = [
            token("gone", "2026-11-25T10:00:00Z"),
            token("just", "2026-11-25T11:30:00Z"),
            token("good", "2026-11-26T11:30:00Z"),
            token("ever", ""),
            token("odd", "tomorrow"),
        ];
        let plan = reconcile(&tokens, now);
        let names: Vec<_> = plan
            .actions
            .iter()
            .map(|action| action.target().name())
            .collect();
        assert_eq!(names, ["gone"]);
    }
}
