//! get and list.
//!
//! Stored bytes go out as they are whenever the request's version is the stored one and the schema has not changed
//! since; only then nothing is parsed. Selectors on labels read the metadata alone.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::options::{ListOptions, VersionMatch};
use super::pages::Continue;
use super::selector::{FieldSelector, Labels, field_text};
use super::{Api, structure};
use crate::registry::Resource;
use crate::status::StatusError;
use crate::store::{Key, Range, Stored};

/// How long a read waits for a revision that is not there yet, as the real server's cache does.
const FUTURE_REVISION_WAIT: Duration = Duration::from_secs(3);

/// An object in the version of a request.
#[derive(Debug, Clone)]
pub(crate) enum Shown {
    /// The stored bytes are the answer.
    Stored(Arc<Stored>),
    /// They had to be converted or defaulted.
    Value(Arc<Stored>, Value),
}

impl Shown {
    pub(crate) fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Stored(stored) => Cow::Borrowed(stored.bytes()),
            Self::Value(_, value) => Cow::Owned(value.to_string().into_bytes()),
        }
    }

    pub(crate) fn value(&self) -> Cow<'_, Value> {
        match self {
            Self::Stored(stored) => Cow::Owned(stored.value()),
            Self::Value(_, value) => Cow::Borrowed(value),
        }
    }

    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Stored(stored) => stored.value(),
            Self::Value(_, value) => value,
        }
    }

    pub(crate) fn stored(&self) -> &Arc<Stored> {
        match self {
            Self::Stored(stored) | Self::Value(stored, _) => stored,
        }
    }
}

/// Whether the stored bytes may go out under this resource.
pub(crate) fn is_verbatim(resource: &Resource, stored: &Stored) -> bool {
    if resource.convert.is_some()
        || (resource.schema_mark != 0 && resource.schema_mark != stored.mark)
    {
        return false;
    }
    let api_version = resource.api_version();
    stored
        .bytes()
        .strip_prefix(b"{\"apiVersion\":\"")
        .and_then(|rest| rest.strip_prefix(api_version.as_bytes()))
        .is_some_and(|rest| rest.first() == Some(&b'"'))
}

/// The stored object as this resource's version shows it.
pub(crate) fn show(resource: &Resource, stored: Arc<Stored>) -> Shown {
    if is_verbatim(resource, &stored) {
        return Shown::Stored(stored);
    }
    let value = convert_for(resource, stored.value());
    Shown::Value(stored, value)
}

fn convert_for(resource: &Resource, mut value: Value) -> Value {
    if let Some(convert) = &resource.convert {
        convert.of_storage(&mut value);
    }
    structure::complete_on_read(resource, &mut value);
    if let Some(map) = value.as_object_mut() {
        map.insert("apiVersion".to_owned(), resource.api_version().into());
        map.insert("kind".to_owned(), (&*resource.kind).into());
    }
    value
}

/// One object, by name.
pub(crate) fn get(
    api: &Api,
    resource: &Resource,
    namespace: &str,
    name: &str,
) -> Result<Shown, StatusError> {
    let key = Key::new(namespace, name);
    api.store
        .get(&resource.storage, &key)
        .map(|stored| show(resource, stored))
        .ok_or_else(|| StatusError::not_found(&resource.group, &resource.plural, name))
}

/// Waits until the store has reached `revision`, or answers that it is too large.
pub(crate) async fn reach(api: &Api, revision: u64) -> Result<(), StatusError> {
    let mut newest = api.store.subscribe();
    let reached = newest.wait_for(|newest| *newest >= revision);
    match tokio::time::timeout(FUTURE_REVISION_WAIT, reached).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(StatusError::revision_too_large(
            revision,
            api.store.revision(),
        )),
    }
}

/// The answer of a list.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) revision: u64,
    pub(crate) items: Vec<Shown>,
    pub(crate) continue_token: Option<String>,
    pub(crate) remaining: Option<usize>,
}

/// Refuses field selectors this resource has no index or field for.
pub(crate) fn check_fields(resource: &Resource, fields: &FieldSelector) -> Result<(), StatusError> {
    for term in fields.terms() {
        let known = matches!(term.path.as_str(), "metadata.name" | "metadata.namespace")
            || resource.selectable_fields.contains(&term.path);
        if !known {
            return Err(StatusError::bad_request(
                if (&*resource.group, &*resource.plural) == ("batch", "jobs") {
                    format!("field label {:?} not supported for Job", term.path)
                } else if &*resource.group == "resource.k8s.io"
                    && !resource.selectable_fields.is_empty()
                {
                    format!(
                        "field label not supported for {}, Kind={}: {}",
                        resource.api_version(),
                        resource.kind,
                        term.path
                    )
                } else if resource.custom || !resource.selectable_fields.is_empty() {
                    format!("field label not supported: {}", term.path)
                } else {
                    format!(
                        "{:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                        term.path
                    )
                },
            ));
        }
    }
    Ok(())
}

/// Decides whether an object belongs to a request, without parsing more than the request looks at.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) resource: Arc<Resource>,
    pub(crate) namespace: Option<String>,
    pub(crate) options: Arc<ListOptions>,
}

impl Filter {
    pub(crate) fn matches(&self, key: &Key, stored: &Arc<Stored>) -> bool {
        if self
            .namespace
            .as_deref()
            .is_some_and(|namespace| key.namespace() != namespace)
        {
            return false;
        }
        let options = &self.options;
        if !options.labels.is_empty() && !options.labels.matches(&Labels::of(stored.bytes())) {
            return false;
        }
        let mut value = None;
        options.fields.matches(|path| match path {
            "metadata.name" => key.name().to_owned(),
            "metadata.namespace" => key.namespace().to_owned(),
            path => {
                let value = value
                    .get_or_insert_with(|| show(&self.resource, Arc::clone(stored)).into_value());
                self.resource
                    .strategy
                    .field(value, path)
                    .unwrap_or_else(|| field_text(value, path))
            }
        })
    }

    /// Whether every object of the namespace matches.
    pub(crate) fn is_trivial(&self) -> bool {
        self.options.labels.is_empty() && self.options.fields.is_empty()
    }
}

/// Objects of one resource.
pub(crate) async fn list(
    api: &Api,
    resource: &Arc<Resource>,
    namespace: Option<&str>,
    options: &Arc<ListOptions>,
) -> Result<Listed, StatusError> {
    check_fields(resource, &options.fields)?;
    let token = options
        .continue_token
        .as_deref()
        .map(Continue::decode)
        .transpose()?;
    let at = match (&token, options.revision, options.version_match) {
        (Some(token), ..) => token.revision(),
        (None, None | Some(0), _) => None,
        (None, Some(revision), Some(VersionMatch::Exact)) => Some(revision),
        // A page at a stated revision without a match rule is served exactly, as the real server does.
        (None, Some(revision), None) if options.limit > 0 => Some(revision),
        (None, Some(revision), None | Some(VersionMatch::NotOlderThan)) => {
            reach(api, revision).await?;
            None
        }
    };
    if let Some(revision) = at {
        reach(api, revision).await?;
    }
    let filter = Filter {
        resource: Arc::clone(resource),
        namespace: namespace.map(str::to_owned),
        options: Arc::clone(options),
    };
    // One name in one namespace needs no walk.
    let exact = match (options.fields.exactly("metadata.name"), resource.namespaced) {
        (Some(name), false) => Some(Key::new("", name)),
        (Some(name), true) => namespace.map(|namespace| Key::new(namespace, name)),
        (None, _) => None,
    };
    if let (Some(key), None, None) = (exact, at, &token) {
        let (stored, revision) = api.store.get_at_revision(&resource.storage, &key);
        let items = stored
            .filter(|stored| filter.matches(&key, stored))
            .map(|stored| show(resource, stored))
            .into_iter()
            .collect();
        return Ok(Listed {
            revision,
            items,
            continue_token: None,
            remaining: None,
        });
    }
    let range = Range {
        namespace,
        after: token.as_ref().map(Continue::after),
        at,
        // What a selector leaves out is known only after looking.
        limit: if filter.is_trivial() {
            options.limit
        } else {
            0
        },
    };
    let page = api.store.list(&resource.storage, &range).map_err(|_| {
        let mut error = StatusError::expired(if token.is_some() {
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list."
        } else {
            "The resourceVersion for the provided list is too old."
        });
        error.continue_token = token
            .as_ref()
            .map(|token| Continue::inconsistent(token.after()).encode());
        error
    })?;
    let limit = if options.limit == 0 {
        usize::MAX
    } else {
        options.limit
    };
    let (found, left) = (page.items.len(), page.left);
    let mut items = Vec::new();
    let mut last = None;
    let mut seen = 0;
    let mut entries = page.items.into_iter();
    while items.len() < limit {
        let Some((key, stored)) = entries.next() else {
            break;
        };
        seen += 1;
        if filter.is_trivial() || filter.matches(&key, &stored) {
            items.push(show(resource, stored));
            last = Some(key);
        }
    }
    let more = if filter.is_trivial() {
        seen < found || left != Some(0)
    } else {
        items.len() == limit && entries.any(|(key, stored)| filter.matches(&key, &stored))
    };
    let continue_token = match (more, last) {
        (true, Some(last)) => Some(Continue::new(page.revision, last.as_str()).encode()),
        _ => None,
    };
    // The count is exact only when nothing is filtered, and is left out otherwise.
    let remaining = match left {
        Some(left) if continue_token.is_some() && filter.is_trivial() => Some(found - seen + left),
        Some(_) | None => None,
    };
    Ok(Listed {
        revision: page.revision,
        items,
        continue_token,
        remaining,
    })
}
