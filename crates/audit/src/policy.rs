//! Policies: what the log leaves out, shows and hides beyond what its flags say.
//!
//! A policy is compiled once. Of several, one that denies a request wins; those that allow it, or are about every
//! request, add up what they show and what they hide (facts of the peer: `auditlog.cattle.io/v1`, its type's comments).
//!
//! Invariants: what a policy hides is hidden beyond what always is; none shows what the tables of `redact` hide, and
//! none leaves out that policies themselves were changed.

mod path;

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_types::auditlog::{AuditPolicySpec, Parts, Verbosity};
use parking_lot::RwLock;
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use crate::level::Level;
use crate::redact::REDACTED;
use path::{Path, PathError};

/// Largest compiled expression, in bytes.
const MAX_EXPRESSION: usize = 1 << 20;

/// What is wrong with a policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Neither `allow` nor `deny`.
    #[error("spec.filters[{index}].action: `{action}` is neither allow nor deny")]
    Action {
        /// The filter.
        index: usize,
        /// What it says.
        action: String,
    },
    /// No regular expression.
    #[error("{field}: {source}")]
    Expression {
        /// Where it stands.
        field: String,
        /// What is wrong.
        #[source]
        source: regex::Error,
    },
    /// No path.
    #[error("{field}: {text}")]
    Path {
        /// Where it stands.
        field: String,
        /// What is wrong.
        text: String,
    },
    /// No level.
    #[error("spec.verbosity.level: {0} is none of 0 to 3")]
    Level(i64),
}

/// A compiled policy.
#[derive(Clone, Debug)]
pub struct Policy {
    filters: Vec<(Action, Regex)>,
    hides: Hides,
    shows: Shows,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Allow,
    Deny,
}

#[derive(Clone, Debug, Default)]
struct Hides {
    headers: Vec<Regex>,
    paths: Vec<Path>,
}

/// Which parts of a request and its answer are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shows {
    /// Of the request.
    pub request: Parts,
    /// Of the answer.
    pub response: Parts,
}

impl From<Level> for Shows {
    fn from(level: Level) -> Self {
        let headers = level >= Level::Headers;
        Self {
            request: Parts {
                headers,
                body: level >= Level::RequestBodies,
            },
            response: Parts {
                headers,
                body: level >= Level::Bodies,
            },
        }
    }
}

impl Shows {
    fn and(self, other: Self) -> Self {
        let both = |one: Parts, other: Parts| Parts {
            headers: one.headers || other.headers,
            body: one.body || other.body,
        };
        Self {
            request: both(self.request, other.request),
            response: both(self.response, other.response),
        }
    }

    fn of(verbosity: Verbosity) -> Result<Self, PolicyError> {
        let level = match verbosity.level {
            0 => {
                return Ok(Self {
                    request: verbosity.request,
                    response: verbosity.response,
                });
            }
            1 => Level::Headers,
            2 => Level::RequestBodies,
            3 => Level::Bodies,
            other => return Err(PolicyError::Level(other)),
        };
        Ok(level.into())
    }
}

fn expression(
    field: impl Fn() -> String,
    text: &str,
    any_case: bool,
) -> Result<Regex, PolicyError> {
    RegexBuilder::new(text)
        .size_limit(MAX_EXPRESSION)
        .case_insensitive(any_case)
        .build()
        .map_err(|source| PolicyError::Expression {
            field: field(),
            source,
        })
}

impl Policy {
    /// Compiles what is asked for.
    ///
    /// # Errors
    /// Names the field that cannot be understood.
    pub fn compile(spec: &AuditPolicySpec) -> Result<Self, PolicyError> {
        let mut filters = Vec::new();
        for (index, filter) in spec.filters.iter().enumerate() {
            let action = match filter.action.as_str() {
                "allow" => Action::Allow,
                "deny" => Action::Deny,
                other => {
                    return Err(PolicyError::Action {
                        index,
                        action: other.to_owned(),
                    });
                }
            };
            let field = || format!("spec.filters[{index}].requestURI");
            filters.push((action, expression(field, &filter.request_uri, false)?));
        }
        let mut hides = Hides::default();
        for (index, redaction) in spec.additional_redactions.iter().enumerate() {
            let field =
                |part: &str, at: usize| format!("spec.additionalRedactions[{index}].{part}[{at}]");
            for (at, header) in redaction.headers.iter().enumerate() {
                // Names of headers are the same in any case.
                hides
                    .headers
                    .push(expression(|| field("headers", at), header, true)?);
            }
            for (at, text) in redaction.paths.iter().enumerate() {
                let path = Path::parse(text).map_err(|error: PathError| PolicyError::Path {
                    field: field("paths", at),
                    text: error.to_string(),
                })?;
                hides.paths.push(path);
            }
        }
        Ok(Self {
            filters,
            hides,
            shows: Shows::of(spec.verbosity)?,
        })
    }

    /// What it says of a request; nothing if it is not about it.
    fn action(&self, uri: &str) -> Option<Action> {
        if self.filters.is_empty() {
            return Some(Action::Allow);
        }
        let mut said = self.filters.iter().filter(|(_, of)| of.is_match(uri));
        let first = said.next()?.0;
        let allows = first == Action::Allow || said.any(|(action, _)| *action == Action::Allow);
        Some(if allows { Action::Allow } else { Action::Deny })
    }
}

/// What is written of one request.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Which parts.
    pub shows: Shows,
    hiding: Vec<Arc<Policy>>,
}

impl Verdict {
    /// Hides headers further, which are redacted already.
    pub fn hide_headers(&self, headers: &mut Map<String, Value>) {
        let hidden = |name: &str| {
            let mut all = self.hiding.iter().flat_map(|policy| &policy.hides.headers);
            all.any(|of| of.is_match(name))
        };
        for (name, value) in headers.iter_mut() {
            if hidden(name) {
                *value = Value::Array(vec![Value::String(REDACTED.to_owned())]);
            }
        }
    }

    /// Hides parts of a body further, which is redacted already.
    pub fn hide_body(&self, body: &mut Value) {
        let with = Value::String(REDACTED.to_owned());
        for path in self.hiding.iter().flat_map(|policy| &policy.hides.paths) {
            path.set(body, &with);
        }
    }
}

/// The policies in force, by name. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Policies(Arc<RwLock<BTreeMap<String, Arc<Policy>>>>);

impl Policies {
    /// Puts a policy in force, or out of it.
    pub fn put(&self, name: &str, policy: Option<Policy>) {
        let mut all = self.0.write();
        match policy {
            Some(policy) => drop(all.insert(name.to_owned(), Arc::new(policy))),
            None => drop(all.remove(name)),
        }
    }

    /// Puts these in force and all others out of it.
    pub fn replace(&self, policies: BTreeMap<String, Arc<Policy>>) {
        *self.0.write() = policies;
    }

    /// What is to be written of a request, by its path and query; `None`: it is left out, unless it `must` be written.
    #[must_use]
    pub fn decide(&self, level: Level, uri: &str, must: bool) -> Option<Verdict> {
        let mut verdict = Verdict {
            shows: level.into(),
            hiding: Vec::new(),
        };
        for policy in self.0.read().values() {
            match policy.action(uri) {
                None => {}
                Some(Action::Deny) if must => {}
                Some(Action::Deny) => return None,
                Some(Action::Allow) => {
                    verdict.shows = verdict.shows.and(policy.shows);
                    verdict.hiding.push(Arc::clone(policy));
                }
            }
        }
        Some(verdict)
    }
}

#[cfg(test)]
mod tests;
