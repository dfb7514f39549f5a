//! What keeps an [`Authenticator`] fed: the watches, and the notes of last uses.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use drover_types::condition::timestamp;
use drover_types::management::{Token, User, UserAttribute};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::mpsc;

use super::{Authenticator, watchers};
use crate::ext;
use crate::mirror::Scope;
use crate::people::{Person, groups};
use crate::token::Record;

/// Keeps an [`Authenticator`]'s mirrors fed and writes last uses.
pub(crate) struct Feeder {
    pub(super) authenticator: Authenticator,
    pub(super) uses: mpsc::Receiver<(String, Timestamp)>,
}

impl Feeder {
    /// Follows the store through `client` for as long as it is polled.
    pub(crate) async fn run(mut self, client: Client) {
        let Authenticator(inner) = self.authenticator.clone();
        let client = || client.clone();
        let tokens = watchers::Tokens(self.authenticator.clone());
        let ext_tokens = watchers::ExtTokens(watchers::Tokens(self.authenticator.clone()));
        let people = watchers::People(self.authenticator.clone());
        let memberships = watchers::Memberships(self.authenticator.clone());
        tokio::join!(
            inner.tokens.follow::<Token>(client(), Record::of, tokens),
            inner.ext_tokens.follow_in::<Secret>(
                Scope::labelled(ext::NAMESPACE, ext::HOLDS_LABEL, ext::TOKEN),
                client(),
                |secret| ext::record(&secret),
                ext_tokens
            ),
            inner.people.follow::<User>(client(), Person::of, people),
            inner.memberships.follow::<UserAttribute>(
                client(),
                |attribute| groups(&attribute),
                memberships
            ),
            self.write_uses(),
        );
    }

    async fn write_uses(&mut self) {
        let client = &self.authenticator.0.client;
        let tokens: Api<Token> = Api::all(client.clone());
        let secrets: Api<Secret> = Api::namespaced(client.clone(), ext::NAMESPACE);
        while let Some((name, at)) = self.uses.recv().await {
            let params = PatchParams::default();
            let written = match name.strip_prefix(ext::PREFIX) {
                Some(name) => {
                    let text = STANDARD.encode(timestamp(at));
                    let change = Patch::Merge(json!({"data": {ext::LAST_USED: text}}));
                    secrets.patch(name, &params, &change).await.map(drop)
                }
                None => {
                    let change = Patch::Merge(json!({ "lastUsedAt": timestamp(at) }));
                    tokens.patch(&name, &params, &change).await.map(drop)
                }
            };
            match written {
                Ok(()) => {}
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(error) => {
                    tracing::warn!(token = %name, %error, "last use could not be written")
                }
            }
        }
    }
}
