//! What changes of tokens and people mean for running requests.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Authenticator, Revocation};
use crate::UserId;
use crate::ext;
use crate::mirror::Observer;
use crate::people::Person;
use crate::token::Record;

pub(super) struct Tokens(pub(super) Authenticator);

impl Observer<Record> for Tokens {
    fn changed(&mut self, key: &str, before: Option<&Arc<Record>>, after: Option<&Arc<Record>>) {
        let Some(before) = before else { return };
        if after.is_none() {
            self.0.0.used.lock().remove(key);
        }
        let same = after.is_some_and(|after| {
            after.enabled
                && after.uid == before.uid
                && after.user == before.user
                && after.cluster == before.cluster
                && after.expires == before.expires
        });
        if !same {
            self.0.revoke(Revocation::Token(key.to_owned()));
        }
    }
}

/// Tokens of `ext.cattle.io`, whose names here are those of their Secrets.
pub(super) struct ExtTokens(pub(super) Tokens);

impl Observer<Record> for ExtTokens {
    fn changed(&mut self, key: &str, before: Option<&Arc<Record>>, after: Option<&Arc<Record>>) {
        let name = key.rsplit('/').next().unwrap_or_default();
        self.0
            .changed(&format!("{}{name}", ext::PREFIX), before, after);
    }
}

pub(super) struct People(pub(super) Authenticator);

impl Observer<Person> for People {
    fn changed(&mut self, key: &str, before: Option<&Arc<Person>>, after: Option<&Arc<Person>>) {
        let same = match (before, after) {
            (None, _) => true,
            (Some(before), Some(after)) => after.enabled && after.uid == before.uid,
            (Some(_), None) => false,
        };
        if !same {
            self.0.revoke(Revocation::User(UserId::new(key)));
        }
    }
}

pub(super) struct Memberships(pub(super) Authenticator);

impl Observer<BTreeSet<String>> for Memberships {
    fn changed(
        &mut self,
        key: &str,
        before: Option<&Arc<BTreeSet<String>>>,
        after: Option<&Arc<BTreeSet<String>>>,
    ) {
        let lost = before.is_some_and(|before| match after {
            Some(after) => !before.is_subset(after),
            None => !before.is_empty(),
        });
        if lost {
            self.0.revoke(Revocation::User(UserId::new(key)));
        }
    }
}
