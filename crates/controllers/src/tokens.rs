//! Tokens that have expired go, and those that no command line fetched.
//!
//! Owns the deletion only; whether a token is still good is decided where
//! requests are authenticated.

use std::time::Duration;

use drover_auth::Clock;
use drover_auth::ext;
use drover_auth::logins::HANDOVER_LIFETIME;
use drover_types::management::{SamlToken, Token};
use drover_types::names::GLOBAL_DATA_NAMESPACE;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, Client, Resource};

use crate::plan::{Action, Plan, Reference, Site, Sites};
use crate::runtime::{Controller, LookError};

/// The one key of this controller.
pub(crate) const ALL: &str = "all";
/// Between looks.
const PERIOD: Duration = Duration::from_secs(15 * 60);
/// An expired token is kept this long, so that its owner is told "expired" and not "unknown".
const KEEP: SignedDuration = SignedDuration::from_hours(1);

/// All tokens there are.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Those of the management API.
    pub tokens: Vec<Token>,
    /// Those of `ext.cattle.io`, as they are kept.
    pub ext: Vec<Secret>,
    /// Those that lie ready for command lines.
    pub ready: Vec<SamlToken>,
}

/// Decides about all tokens.
#[must_use]
pub fn reconcile(observed: &Observed, now: Timestamp) -> Plan {
    let over = |end: Option<Timestamp>, kept: SignedDuration| {
        end.is_some_and(|end| now.duration_since(end) > kept)
    };
    let mut actions = Vec::new();
    let end = |token: &Token| token.expires_at.parse().ok();
    for token in observed
        .tokens
        .iter()
        .filter(|token| over(end(token), KEEP))
    {
        actions.push(delete::<Token>(&token.metadata));
    }
    let end = |secret: &Secret| ext::of_secret(secret)?.expires();
    for secret in observed.ext.iter().filter(|secret| over(end(secret), KEEP)) {
        actions.push(delete::<Secret>(&secret.metadata));
    }
    let made = |ready: &SamlToken| Some(ready.metadata.creation_timestamp.as_ref()?.0);
    for ready in &observed.ready {
        if over(made(ready), HANDOVER_LIFETIME) {
            actions.push(delete::<SamlToken>(&ready.metadata));
        }
    }
    Plan {
        actions,
        status: None,
        requeue_at: Some(now + PERIOD),
    }
}

fn delete<K: Resource<DynamicType = ()>>(meta: &ObjectMeta) -> Action {
    let name = meta.name.as_deref().unwrap_or_default();
    Action::Delete {
        site: Site::Hub,
        target: Reference::new::<K>(meta.namespace.as_deref(), name),
        uid: meta.uid.clone(),
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
        let all = ListParams::default();
        let client = || self.client.clone();
        let kept = ListParams::default().labels(&ext::selector(None, None));
        let observed = Observed {
            tokens: Api::all(client()).list(&all).await?.items,
            ext: Api::namespaced(client(), ext::NAMESPACE)
                .list(&kept)
                .await?
                .items,
            ready: Api::namespaced(client(), GLOBAL_DATA_NAMESPACE)
                .list(&all)
                .await?
                .items,
        };
        let plan = reconcile(&observed, self.clock.now());
        Sites::hub(&self.client).execute(&plan).await?;
        Ok(plan.requeue_at)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::ByteString;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn meta(name: &str, made: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some([(ext::HOLDS_LABEL.to_owned(), ext::TOKEN.to_owned())].into()),
            creation_timestamp: Some(Time(made.parse().unwrap())),
            ..ObjectMeta::default()
        }
    }

    fn going(observed: &Observed) -> Vec<String> {
        let plan = reconcile(observed, "2026-11-25T12:00:00Z".parse().unwrap());
        let target = |action: &Action| action.target().to_string();
        plan.actions.iter().map(target).collect()
    }

    #[test]
    fn only_tokens_that_expired_a_while_ago_go() {
        let token = |name: &str, expires_at: &str| {
            let mut token = Token::named(name);
            expires_at.clone_into(&mut token.expires_at);
            token
        };
        let observed = Observed {
            tokens: vec![
                token("gone", "2026-11-25T10:00:00Z"),
                token("just", "2026-11-25T11:30:00Z"),
                token("good", "2026-11-26T11:30:00Z"),
                token("ever", ""),
                token("odd", "tomorrow"),
            ],
            ..Observed::default()
        };
        assert_eq!(going(&observed), ["Token gone"]);
    }

    #[test]
    fn so_do_those_of_the_other_api() {
        let token = |name: &str, ttl: &str| {
            let data = [
                ("user-id", "u-1"),
                ("principal", "{}"),
                ("ttl", ttl),
                ("enabled", "true"),
            ];
            let data = data.map(|(key, value)| (key.to_owned(), ByteString(value.into())));
            Secret {
                metadata: meta(name, "2026-11-25T10:00:00Z"),
                data: Some(BTreeMap::from(data)),
                ..Secret::default()
            }
        };
        let observed = Observed {
            ext: vec![
                token("gone", "1000"),
                token("just", "5400000"),
                token("ever", "-1"),
                token("odd", "long"),
            ],
            ..Observed::default()
        };
        assert_eq!(going(&observed), ["Secret gone"]);
    }

    #[test]
    fn what_no_command_line_fetched_goes_soon() {
        let ready = |name: &str, made: &str| SamlToken {
            metadata: meta(name, made),
            ..SamlToken::named(name)
        };
        let observed = Observed {
            ready: vec![
                ready("left", "2026-11-25T11:40:00Z"),
                ready("fresh", "2026-11-25T11:50:00Z"),
            ],
            ..Observed::default()
        };
        assert_eq!(going(&observed), ["SamlToken left"]);
    }
}
