//! Who a request is in the cluster: the impersonation headers we set.
//!
//! Owns what an identity looks like to an API server, and impersonation asked for by the client (reference
//! tunnel-and-import 6.2). Rights are the gate's.
//!
//! Invariants: virtual groups come from the gate, or from the client only after the gate allowed impersonating that very
//! group; groups of the identity's provider can be neither virtual groups nor the system's.

use std::collections::{BTreeMap, BTreeSet};

use drover_auth::identity::{GROUP_AUTHENTICATED, GROUP_CATTLE_AUTHENTICATED};
use drover_auth::{Attributes, Identity};
use drover_types::review::ReviewedUser;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::answers::Forbidden;
use super::host;
use crate::gate::Gate;

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";
const ANY: &str = "impersonate-";

/// The extras of an identity that travel; others are dropped (peer: the same four, with the next one).
const EXTRAS: [&str; 3] = ["principalid", "username", "requesttokenid"];
const REQUEST_HOST: &str = "requesthost";

/// Groups that nobody has by what an identity provider says.
const RESERVED: [&str; 2] = ["system:", "drover:"];

const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
const SERVICE_ACCOUNTS: &str = "system:serviceaccounts";

/// Who a request is in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Persona {
    user: String,
    groups: BTreeSet<String>,
    uid: Option<String>,
    /// Lower-case keys, as they stand in the headers.
    extras: Vec<(String, String)>,
}

/// What a client asks to be.
struct Wish {
    user: String,
    uid: Option<String>,
    groups: Vec<String>,
    /// Key as in the header, value.
    extras: Vec<(String, String)>,
}

impl Persona {
    /// The identity with its virtual groups, or whom it asks to be, if it may.
    pub(super) fn of(
        gate: &dyn Gate,
        identity: &Identity,
        cluster: &str,
        groups: Vec<String>,
        headers: &HeaderMap,
    ) -> Result<Self, Forbidden> {
        let Some(wish) = Wish::read(headers)? else {
            return Ok(Self::own(identity, groups, host(headers)));
        };
        if wish.user == identity.user.as_str()
            && wish.uid.is_none()
            && wish.groups.is_empty()
            && wish.extras.is_empty()
        {
            return Ok(Self::own(identity, groups, host(headers)));
        }
        wish.check(gate, identity)?;
        Ok(wish.grant(gate, cluster))
    }

    fn own(identity: &Identity, virtual_groups: Vec<String>, host: Option<&HeaderValue>) -> Self {
        let provided = identity
            .groups
            .iter()
            .filter(|group| !RESERVED.iter().any(|start| group.starts_with(start)));
        let groups = provided
            .cloned()
            .chain(virtual_groups)
            .chain(everyone())
            .collect();
        let mut extras: Vec<(String, String)> = EXTRAS
            .into_iter()
            .filter_map(|key| Some((key, identity.extras.get(key)?)))
            .flat_map(|(key, values)| {
                values
                    .iter()
                    .map(move |value| (key.to_owned(), value.clone()))
            })
            .collect();
        if let Some(host) = host.and_then(|host| host.to_str().ok()) {
            extras.push((REQUEST_HOST.to_owned(), host.to_owned()));
        }
        Self {
            user: identity.user.to_string(),
            groups,
            uid: None,
            extras,
        }
    }

    /// Sets the headers; whatever stood under their names is gone.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        let identity_headers: Vec<HeaderName> = headers
            .keys()
            .filter(|name| name.as_str().starts_with(ANY))
            .cloned()
            .collect();
        for name in identity_headers {
            headers.remove(name);
        }
        append(headers, USER, &self.user);
        for group in &self.groups {
            append(headers, GROUP, group);
        }
        if let Some(uid) = &self.uid {
            append(headers, UID, uid);
        }
        for (key, value) in &self.extras {
            append(headers, &format!("{EXTRA}{key}"), value);
        }
    }
}

/// The identity with its virtual groups, as a cluster's API server gets to know it when it asks itself: what would be
/// impersonated, but for the host of a request that the hub does not see.
pub(crate) fn reviewed(identity: &Identity, virtual_groups: Vec<String>) -> ReviewedUser {
    let persona = Persona::own(identity, virtual_groups, None);
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in persona.extras {
        extra.entry(key).or_default().push(value);
    }
    ReviewedUser {
        username: persona.user,
        groups: persona.groups.into_iter().collect(),
        extra,
    }
}

fn everyone() -> [String; 2] {
    [GROUP_AUTHENTICATED, GROUP_CATTLE_AUTHENTICATED].map(str::to_owned)
}

/// A value that is no header value (control characters) is left out; user ids never are.
fn append(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (
        name.parse::<HeaderName>(),
        HeaderValue::from_bytes(value.as_bytes()),
    ) {
        headers.append(name, value);
    }
}

impl Wish {
    /// What the client's headers ask for, if anything.
    fn read(headers: &HeaderMap) -> Result<Option<Self>, Forbidden> {
        let malformed = || Forbidden("malformed impersonation headers");
        let text = |value: &HeaderValue| {
            String::from_utf8(value.as_bytes().to_vec()).map_err(|_| malformed())
        };
        let mut wish = Self {
            user: String::new(),
            uid: None,
            groups: Vec::new(),
            extras: Vec::new(),
        };
        let mut any = false;
        for (name, value) in headers
            .iter()
            .filter(|(name, _)| name.as_str().starts_with(ANY))
        {
            any = true;
            let value = text(value)?;
            match name.as_str() {
                USER if wish.user.is_empty() => wish.user = value,
                UID if wish.uid.is_none() => wish.uid = Some(value),
                GROUP => wish.groups.push(value),
                other => match other.strip_prefix(EXTRA) {
                    Some(key) if !key.is_empty() => wish.extras.push((key.to_owned(), value)),
                    _ => return Err(malformed()),
                },
            }
        }
        if !any {
            return Ok(None);
        }
        if wish.user.is_empty() {
            return Err(Forbidden("impersonation of groups or extras needs a user"));
        }
        Ok(Some(wish))
    }

    /// The rules of Kubernetes' own impersonation: one right for the user, one for each group, extra and the uid.
    fn check(&self, gate: &dyn Gate, identity: &Identity) -> Result<(), Forbidden> {
        let may = |group, resource: &str, namespace, name: &str| {
            gate.may(
                identity,
                &Attributes {
                    verb: "impersonate",
                    group,
                    resource,
                    namespace,
                    name: Some(name),
                },
            )
        };
        if self.user != identity.user.as_str() {
            let allowed = match self.service_account() {
                Some((namespace, name)) => may("", "serviceaccounts", Some(namespace), name),
                None => may("", "users", None, &self.user),
            };
            if !allowed {
                return Err(Forbidden("not allowed to impersonate user"));
            }
        }
        if !self
            .groups
            .iter()
            .all(|group| may("", "groups", None, group))
        {
            return Err(Forbidden("not allowed to impersonate group"));
        }
        let extra = |(key, value): &(String, String)| {
            may(
                "authentication.k8s.io",
                &format!("userextras/{key}"),
                None,
                value,
            )
        };
        if !self.extras.iter().all(extra) {
            return Err(Forbidden("not allowed to impersonate extra"));
        }
        if self
            .uid
            .as_ref()
            .is_some_and(|uid| !may("authentication.k8s.io", "uids", None, uid))
        {
            return Err(Forbidden("not allowed to impersonate uid"));
        }
        Ok(())
    }

    fn service_account(&self) -> Option<(&str, &str)> {
        self.user.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')
    }

    fn grant(self, gate: &dyn Gate, cluster: &str) -> Persona {
        let mut groups: BTreeSet<String> = self.groups.iter().cloned().collect();
        match self.service_account() {
            Some((namespace, _)) => {
                groups.extend([
                    SERVICE_ACCOUNTS.to_owned(),
                    format!("{SERVICE_ACCOUNTS}:{namespace}"),
                    GROUP_AUTHENTICATED.to_owned(),
                ]);
            }
            None => {
                // A user of ours has its own virtual groups, unless groups were asked for: then just those.
                if groups.is_empty() {
                    groups.extend(
                        gate.enter(&Identity::of(self.user.as_str()), cluster)
                            .unwrap_or_default(),
                    );
                }
                groups.extend(everyone());
            }
        }
        Persona {
            user: self.user,
            groups,
            uid: self.uid,
            extras: self.extras,
        }
    }
}

#[cfg(test)]
mod tests;
