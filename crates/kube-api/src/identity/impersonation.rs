//! `Impersonate-*`: acting as somebody else, if one may.
//!
//! Source: k8s.io/apiserver `pkg/endpoints/filters/impersonation`, v0.36.

use std::collections::BTreeMap;

use http::HeaderMap;

use super::{
    ANONYMOUS, AUTHENTICATED, Identity, UNAUTHENTICATED, service_account_groups, service_account_of,
};
use crate::rbac;
use crate::rest::{Api, Attributes};
use crate::status::StatusError;

const EXTRA_PREFIX: &str = "impersonate-extra-";

/// The identity a request acts as.
pub(super) fn apply(
    api: &Api,
    headers: &HeaderMap,
    identity: Identity,
) -> Result<Identity, StatusError> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let user = text("impersonate-user");
    let uid = text("impersonate-uid");
    let groups = headers
        .get_all("impersonate-group")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let Some(key) = name.as_str().strip_prefix(EXTRA_PREFIX) else {
            continue;
        };
        let key = percent_encoding::percent_decode_str(key)
            .decode_utf8_lossy()
            .to_lowercase();
        extra
            .entry(key)
            .or_default()
            .push(value.to_str().unwrap_or_default().to_owned());
    }
    if user.is_empty() {
        if uid.is_empty() && groups.is_empty() && extra.is_empty() {
            return Ok(identity);
        }
        return Err(nobody(&uid, &groups, &extra));
    }

    let may = |attributes: Attributes<'_>| {
        let attributes = Attributes {
            verb: "impersonate",
            version: "v1",
            ..attributes
        };
        match api.authorizer.authorize(api, &identity, &attributes) {
            crate::rest::Decision::Allow(_) => Ok(()),
            crate::rest::Decision::NoOpinion(reason) => {
                Err(rbac::forbidden(&identity, &attributes, &reason))
            }
        }
    };
    const AUTHENTICATION: &str = "authentication.k8s.io";
    let account = service_account_of(&user);
    match account {
        Some((namespace, name)) => {
            may(Attributes {
                resource: "serviceaccounts",
                namespace,
                name,
                ..Attributes::default()
            })?;
        }
        None => may(Attributes {
            resource: "users",
            name: &user,
            ..Attributes::default()
        })?,
    }
    for group in &groups {
        may(Attributes {
            resource: "groups",
            name: group,
            ..Attributes::default()
        })?;
    }
    for (key, values) in &extra {
        for value in values {
            may(Attributes {
                group: AUTHENTICATION,
                resource: "userextras",
                subresource: key,
                name: value,
                ..Attributes::default()
            })?;
        }
    }
    if !uid.is_empty() {
        may(Attributes {
            group: AUTHENTICATION,
            resource: "uids",
            name: &uid,
            ..Attributes::default()
        })?;
    }

    let mut groups = match account {
        Some((namespace, _)) if groups.is_empty() => service_account_groups(namespace),
        _ => groups,
    };
    let told = groups
        .iter()
        .any(|group| group == AUTHENTICATED || group == UNAUTHENTICATED);
    if !told {
        groups.push(
            if user == ANONYMOUS {
                UNAUTHENTICATED
            } else {
                AUTHENTICATED
            }
            .to_owned(),
        );
    }
    Ok(Identity {
        user,
        groups,
        uid,
        extra,
    })
}

/// Groups and the like without a user, as the real server tells of its own structure.
fn nobody(uid: &str, groups: &[String], extra: &BTreeMap<String, Vec<String>>) -> StatusError {
    let texts = |texts: &[String]| {
        if texts.is_empty() {
            return "[]string(nil)".to_owned();
        }
        let quoted: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
        format!("[]string{{{}}}", quoted.join(", "))
    };
    let extra = if extra.is_empty() {
        "map[string][]string(nil)".to_owned()
    } else {
        let entries = extra
            .iter()
            .map(|(key, values)| format!("{key:?}:{}", texts(values)));
        let entries: Vec<String> = entries.collect();
        format!("map[string][]string{{{}}}", entries.join(", "))
    };
    StatusError::bad_request(format!(
        "requested &user.DefaultInfo{{Name:\"\", UID:{uid:?}, Groups:{}, Extra:{extra}}} without impersonating a user name",
        texts(groups)
    ))
}
