//! Role-based access: decisions from stored Roles and bindings, aggregation, escalation.
//!
//! Owns the meaning of rules. The index follows the store event by event, so that a decision reads memory only and is
//! never older than the newest acknowledged write; nothing is scanned per request.
//!
//! Sources: kubernetes `plugin/pkg/auth/authorizer/rbac` and `pkg/registry/rbac/validation`, v1.36.

mod aggregation;
pub(crate) mod escalation;
mod index;
mod rule;

use std::sync::Arc;

use parking_lot::RwLock;
use serde_json::Value;

pub(crate) use aggregation::{run, selects};
use index::Index;
pub(crate) use rule::Rule;

use crate::Identity;
use crate::rest::{Api, Attributes, Authorizer, Decision};
use crate::status::{StatusError, qualified};

/// The group whose members may do everything.
pub(crate) const MASTERS: &str = "system:masters";

/// The authorizer of a server.
pub(crate) fn authorizer() -> Arc<dyn Authorizer> {
    Arc::new(Rbac::default())
}

/// Decides by roles and bindings.
#[derive(Debug, Default)]
pub(crate) struct Rbac {
    index: RwLock<Index>,
}

impl Rbac {
    /// Runs `read` on an index that is as new as the store.
    fn with_index<R>(&self, api: &Api, read: impl FnOnce(&Index) -> R) -> R {
        {
            let index = self.index.read();
            if index.is_current(&api.store) {
                return read(&index);
            }
        }
        let mut index = self.index.write();
        index.catch_up(&api.store);
        read(&index)
    }
}

impl Authorizer for Rbac {
    fn authorize(&self, api: &Api, identity: &Identity, attributes: &Attributes<'_>) -> Decision {
        if identity.groups.iter().any(|group| group == MASTERS) {
            return Decision::Allow(String::new());
        }
        self.with_index(api, |index| {
            let mut problems = Vec::new();
            for grant in index.grants(identity, attributes.namespace) {
                match grant.rules {
                    Ok(rules) => {
                        if rules.iter().any(|rule| rule.allows(attributes)) {
                            return Decision::Allow(format!(
                                "RBAC: allowed by {}",
                                grant.describe()
                            ));
                        }
                    }
                    Err(problem) => problems.push(problem),
                }
            }
            Decision::NoOpinion(match &problems[..] {
                [] => String::new(),
                [one] => format!("RBAC: {one}"),
                many => format!("RBAC: [{}]", many.join(", ")),
            })
        })
    }

    fn rules(&self, api: &Api, identity: &Identity, namespace: &str) -> Vec<Value> {
        self.with_index(api, |index| {
            index
                .grants(identity, namespace)
                .filter_map(|grant| grant.rules.ok())
                .flat_map(|rules| rules.iter())
                .map(Rule::to_value)
                .collect()
        })
    }
}

/// The answer to a request that nothing allows.
pub(crate) fn forbidden(
    identity: &Identity,
    attributes: &Attributes<'_>,
    reason: &str,
) -> StatusError {
    let suffix = if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    };
    if attributes.resource.is_empty() {
        let message = format!(
            "User {:?} cannot {} path {:?}{suffix}",
            identity.user, attributes.verb, attributes.path
        );
        let mut error = StatusError::new(
            http::StatusCode::FORBIDDEN,
            "Forbidden",
            format!("forbidden: {message}"),
        );
        error.details = Some(Box::default());
        return error;
    }
    let resource = if attributes.subresource.is_empty() {
        attributes.resource.to_owned()
    } else {
        format!("{}/{}", attributes.resource, attributes.subresource)
    };
    let scope = if attributes.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {:?}", attributes.namespace)
    };
    let message = format!(
        "User {:?} cannot {} resource {resource:?} in API group {:?} {scope}{suffix}",
        identity.user, attributes.verb, attributes.group
    );
    let subject = qualified(attributes.group, attributes.resource);
    let subject = if attributes.name.is_empty() {
        subject
    } else {
        format!("{subject} {:?}", attributes.name)
    };
    StatusError::new(
        http::StatusCode::FORBIDDEN,
        "Forbidden",
        format!("{subject} is forbidden: {message}"),
    )
    .about(attributes.group, attributes.resource, attributes.name)
}
