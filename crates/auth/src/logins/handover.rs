//! Tokens handed over to a command line by somebody who is signed in elsewhere.
//!
//! The command line makes up a request and a key, and shows both in an address of the web UI. Whoever opens it, and is
//! signed in, confirms; then a token of theirs lies ready under the request's name, encrypted to the key, until the
//! command line fetches it (reference api-v3-and-auth 4.4, the peer's way to hand over tokens of SAML logins).
//!
//! Invariants: a request gets one token at most; what lies ready is of use to nobody but the holder of the key, and goes
//! after [`LIFETIME`] whether it was fetched or not.

mod seal;

use drover_types::condition::timestamp;
use drover_types::management::SamlToken;
use drover_types::names::GLOBAL_DATA_NAMESPACE;
use jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use secrecy::ExposeSecret;

use self::seal::Recipient;
use super::{LoginError, Logins, Owner, Purpose};
use crate::{Identity, namespaces};

/// How long a command line may take to fetch its token.
pub const LIFETIME: SignedDuration = SignedDuration::from_mins(15);
/// Characters of a request's name.
const REQUEST: usize = 32;
const DESCRIPTION: &str = "command line";

/// What a command line asks for.
#[derive(Clone, Debug)]
pub struct Handover {
    request: String,
    recipient: Recipient,
    purpose: Purpose,
}

/// What is wrong with a request; the field is called as clients call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct BadHandover {
    /// Which field.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// A token that lies ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedOver {
    /// Encrypted to the key that the request came with, in base64.
    pub sealed: String,
    /// When the token expires, RFC 3339; empty means never.
    pub expires_at: String,
}

impl Handover {
    /// Reads a request.
    ///
    /// # Errors
    /// [`BadHandover`].
    pub fn new(request: &str, public_key: &str, response_type: &str) -> Result<Self, BadHandover> {
        let bad = |field, problem| BadHandover { field, problem };
        if !is_request(request) {
            return Err(bad(
                "requestId",
                "it must be 32 lower-case letters and digits",
            ));
        }
        let recipient = Recipient::read(public_key).map_err(|problem| bad("publicKey", problem))?;
        let purpose = Purpose::of_response_type(response_type).ok_or_else(|| {
            bad(
                "responseType",
                "it must be json, kubeconfig or kubeconfig_<cluster>",
            )
        })?;
        Ok(Self {
            request: request.to_owned(),
            recipient,
            purpose,
        })
    }
}

/// Nobody guesses one; and it is the name of an object.
fn is_request(text: &str) -> bool {
    text.len() == REQUEST
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

impl Logins {
    fn samls(&self) -> Api<SamlToken> {
        Api::namespaced(self.0.client.clone(), GLOBAL_DATA_NAMESPACE)
    }

    /// Makes a token of `owner` and lays it ready for a command line; gives when the token expires.
    ///
    /// # Errors
    /// [`LoginError::Store`], also if the request was answered before.
    pub async fn hand_over(
        &self,
        owner: &Identity,
        handover: &Handover,
    ) -> Result<Option<Timestamp>, LoginError> {
        let draft = self.draft(Owner::of(owner), &handover.purpose, DESCRIPTION);
        let issued = self.issue(draft).await?;
        let laid = self.lay_ready(handover, &issued).await;
        if laid.is_err() {
            // Nobody will ever know its key.
            self.delete_token(&issued.name).await?;
        }
        laid?;
        tracing::info!(user = %owner.user, token = %issued.name, "a token was handed over to a command line");
        Ok(issued.expires_at)
    }

    async fn lay_ready(
        &self,
        handover: &Handover,
        issued: &super::IssuedToken,
    ) -> Result<(), LoginError> {
        let bearer = issued.bearer.expose_secret().as_bytes();
        let mut ready = SamlToken::named(&handover.request);
        ready.metadata.namespace = Some(GLOBAL_DATA_NAMESPACE.to_owned());
        ready.token = handover
            .recipient
            .seal(bearer, &handover.request, &self.0.entropy)?;
        ready.expires_at = issued.expires_at.map(timestamp).unwrap_or_default();
        namespaces::ensure(&self.0.client, GLOBAL_DATA_NAMESPACE)
            .await
            .map_err(LoginError::at("make the namespace of the token"))?;
        self.samls()
            .create(&PostParams::default(), &ready)
            .await
            .map(drop)
            .map_err(LoginError::at("lay the token ready"))
    }

    /// The token that lies ready for a request.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn handed_over(&self, request: &str) -> Result<Option<HandedOver>, LoginError> {
        if !is_request(request) {
            return Ok(None);
        }
        let found = self
            .samls()
            .get_opt(request)
            .await
            .map_err(LoginError::at("look for the token"))?;
        let now = self.0.clock.now();
        let fresh = |ready: &SamlToken| {
            let made = ready.metadata.creation_timestamp.as_ref();
            made.is_none_or(|made| now.duration_since(made.0) < LIFETIME)
        };
        Ok(found.filter(fresh).map(|ready| HandedOver {
            sealed: ready.token,
            expires_at: ready.expires_at,
        }))
    }

    /// Takes away what lay ready for a request; what is not there is as good as taken.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn forget_handed_over(&self, request: &str) -> Result<(), LoginError> {
        if !is_request(request) {
            return Ok(());
        }
        match self.samls().delete(request, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(LoginError::at("take away the token")(error)),
        }
    }
}

#[cfg(test)]
mod tests;
