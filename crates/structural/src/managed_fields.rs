//! Who owns which field: `metadata.managedFields`.
//!
//! Owns what becomes of ownership when an object is created, updated or patched ([`update`]) and server-side apply
//! itself ([`apply`]), with the texts of its conflicts. The rules are those of k8s.io/apimachinery
//! `util/managedfields/internal` (v0.36) and structured-merge-diff `merge/update.go` (v6); observed facts of a real API
//! server stand in the tests. Storing the result, and leaving an object alone that did not change, is the caller's.
//!
//! Invariants: no entry without fields; a manager owns no field the object lacks, except through its own apply; name,
//! uid and the like are owned by nobody; the present time changes only the entry of a manager who changed something.

mod entries;
pub mod scale;
mod update;

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Map, Value};

use self::entries::{Entries, Operation};
use crate::error::quote;
use crate::field_set::{FieldPath, FieldSet};
use crate::schema::Schema;
use crate::typed::{self, TypedError};

pub use self::update::update;

/// Fields that nobody owns (`managedfields/internal/stripmeta.go`).
const UNOWNED: &[&[&str]] = &[
    &["apiVersion"],
    &["kind"],
    &["metadata"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "clusterName"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

/// Owner of what was there before the first apply.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// Owner of what belonged to the oldest updaters when there are too many.
const ANCIENT_CHANGES: &str = "ancient-changes";
/// More entries from updates than this are merged, oldest first.
const MAX_UPDATE_ENTRIES: usize = 10;
/// The manager whose client-side apply annotation is honoured and kept up to date.
const KUBECTL: &str = "kubectl";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Longest name of a manager.
const MAX_MANAGER_LENGTH: usize = 128;

/// Who changes an object of which kind, and when.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The schema of the object.
    pub schema: &'a Schema,
    /// `apiVersion` of the request: `v1`, `apps/v1`.
    pub api_version: &'a str,
    /// The subresource written to; empty for the object itself.
    pub subresource: &'a str,
    /// The field manager. See [`manager_of`] for requests that name none.
    pub manager: &'a str,
    /// Fields that this write never changes (`status` of the object, all but `status` of the subresource): not owned
    /// through it.
    pub reset: Option<&'a FieldSet>,
    /// An object of the kind without content, if that has more members than `apiVersion` and `kind`.
    pub blank: Option<&'a Value>,
    /// The other versions of the kind, where they are not alike.
    pub versions: Option<&'a dyn Versions>,
    /// The present time.
    pub now: Timestamp,
}

/// Versions of a kind that say things differently: what is owned through one is told by its own schema.
pub trait Versions: std::fmt::Debug {
    /// The schema of a version, by its `apiVersion`. What is owned through others than these and the request's is
    /// forgotten.
    fn schema(&self, api_version: &str) -> Option<&Schema>;

    /// An object of the request's version as another shows it.
    fn convert(&self, object: &Value, api_version: &str) -> Option<Value>;
}

impl<'a> Request<'a> {
    /// The schema by which an entry of a version is told.
    fn schema_of(&self, api_version: &str) -> &'a Schema {
        let other = (api_version != self.api_version)
            .then(|| self.versions?.schema(api_version))
            .flatten();
        other.unwrap_or(self.schema)
    }

    /// What was there before there was anything.
    fn blank_like(&self, object: &Value) -> Value {
        self.blank
            .map_or_else(|| empty_object(object), Value::clone)
    }
}

/// One field that somebody else owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The owner as conflicts name it: `"kubectl" using apps/v1`.
    pub manager: String,
    /// The field.
    pub path: FieldPath,
    /// Orders conflicts by owner.
    identifier: String,
}

/// Why an apply failed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Others own fields that would change: 409 with one cause `FieldManagerConflict` for each.
    #[error("{}", conflict_message(.0))]
    Conflict(Vec<Conflict>),
    /// The request itself is wrong: 400.
    #[error("{0}")]
    BadRequest(String),
    /// The configuration, or the live object, does not fit the schema: the server answers 500 without a reason.
    #[error("{0}")]
    Typed(String),
    /// `managedFields` of the live object cannot be read.
    #[error("failed to decode managed fields: {0}")]
    ManagedFields(String),
}

/// What an apply gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The object to store, with `metadata.managedFields`.
    pub object: Value,
    /// Whether it differs from the live one, `managedFields` included (times aside, if nothing else changed).
    pub changed: bool,
}

fn conflict_message(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            only.manager, only.path
        );
    }
    let mut text = format!("Apply failed with {} conflicts: ", conflicts.len());
    let mut last = None;
    for conflict in conflicts {
        if last != Some(&conflict.identifier) {
            if last.is_some() {
                text.push('\n');
            }
            // Writing into a String does not fail.
            let _ = write!(text, "conflicts with {}:", conflict.manager);
            last = Some(&conflict.identifier);
        }
        let _ = write!(text, "\n- {}", conflict.path);
    }
    text
}

/// The manager of a request that names none: the user agent up to its first slash.
#[must_use]
pub fn manager_of(user_agent: &str) -> &str {
    let name = user_agent.split('/').next().unwrap_or_default();
    let mut end = name.len().min(MAX_MANAGER_LENGTH);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// What is wrong with the name of a manager, as details of errors about `fieldManager`.
#[must_use]
pub fn manager_problem(manager: &str) -> Option<String> {
    if manager.len() > MAX_MANAGER_LENGTH {
        return Some(format!("may not be more than {MAX_MANAGER_LENGTH} bytes"));
    }
    manager
        .chars()
        .any(char::is_control)
        .then(|| "should only contain printable characters".to_owned())
}

/// Removes `metadata.managedFields`.
pub fn strip(object: &mut Value) {
    take(object);
}

fn take(object: &mut Value) -> Option<Value> {
    object
        .get_mut("metadata")?
        .as_object_mut()?
        .remove("managedFields")
}

fn put(object: &mut Value, managed: Option<Value>) {
    let Some(object) = object.as_object_mut() else {
        return;
    };
    let Some(managed) = managed else { return };
    let metadata = object
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert("managedFields".to_owned(), managed);
    }
}

fn managed_of(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get("managedFields")
}

fn text_of<'a>(object: &'a Value, path: &str) -> Option<&'a str> {
    object.pointer(path).and_then(Value::as_str)
}

/// Group, version and kind as the server's messages print them.
fn kind_text(object: &Value) -> String {
    let api_version = text_of(object, "/apiVersion").unwrap_or_default();
    let kind = text_of(object, "/kind").unwrap_or_default();
    format!("{}, Kind={kind}", version_text(api_version))
}

fn version_text(api_version: &str) -> String {
    if api_version.contains('/') || api_version.is_empty() {
        api_version.to_owned()
    } else {
        format!("/{api_version}")
    }
}

fn described(object: &Value) -> String {
    format!(
        "{}/{}; {}",
        text_of(object, "/metadata/namespace").unwrap_or_default(),
        text_of(object, "/metadata/name").unwrap_or_default(),
        kind_text(object)
    )
}

/// Applies `config` to `live` (`None` or null: the object is created), as `request.manager`.
///
/// The result keeps `metadata` of the live object; defaulting, validation and storing are left to the caller.
///
/// # Errors
///
/// See [`ApplyError`]. The live object is never changed.
pub fn apply(
    live: Option<&Value>,
    config: &Value,
    request: &Request<'_>,
    force: bool,
) -> Result<Applied, ApplyError> {
    if let Some(api_version) = text_of(config, "/apiVersion")
        && api_version != request.api_version
    {
        return Err(ApplyError::BadRequest(format!(
            "invalid object type: {}",
            kind_text(config)
        )));
    }
    if managed_of(config).is_some_and(|managed| !managed.is_null()) {
        return Err(ApplyError::BadRequest(
            "metadata.managedFields must be nil".to_owned(),
        ));
    }
    let live = live.filter(|live| !live.is_null());
    let before = live.and_then(managed_of);
    let mut entries = match before {
        None => Entries::default(),
        Some(managed) => Entries::parse(managed).map_err(ApplyError::ManagedFields)?,
    };
    let mut bare = match live {
        Some(live) => live.clone(),
        None => request.blank_like(config),
    };
    take(&mut bare);
    if entries.is_empty() && live.is_some() {
        // What is there without an owner gets one, so that it is not taken over silently.
        let owner = Request {
            manager: BEFORE_FIRST_APPLY,
            ..*request
        };
        let empty = request.blank_like(config);
        update::record(&empty, &bare, &mut entries, &owner).map_err(|error| {
            ApplyError::Typed(format!(
                "failed to create manager for existing fields: {error}"
            ))
        })?;
    }
    let original = entries.clone();
    let mut outcome = update::apply_config(&bare, config, &mut entries, request, force);
    if request.manager == KUBECTL
        && let Err(ApplyError::Conflict(conflicts)) = &outcome
        && let Some(allowed) = client_side_applied(&bare, request)
    {
        // What kubectl itself applied from the client is no conflict for kubectl.
        let rest: Vec<_> = conflicts
            .iter()
            .filter(|conflict| !allowed.contains(&conflict.path.0))
            .cloned()
            .collect();
        if rest.is_empty() {
            entries = original;
            outcome = update::apply_config(&bare, config, &mut entries, request, true);
        } else {
            outcome = Err(ApplyError::Conflict(rest));
        }
    }
    let merged = outcome?;
    let changed = merged.as_ref().is_some_and(|merged| *merged != bare);
    if changed {
        entries.touch(request, Operation::Apply);
    }
    let mut object = merged.unwrap_or(bare);
    if request.manager == KUBECTL {
        refresh_last_applied(&mut object, config);
    }
    let managed = entries.to_value();
    let changed = live.is_none()
        || changed
        || managed.as_ref() != before
        || live.is_some_and(|live| differs(live, &object));
    put(&mut object, managed);
    Ok(Applied { object, changed })
}

/// Whether the objects differ, `managedFields` of the first aside.
fn differs(with_managed: &Value, without: &Value) -> bool {
    let (Some(a), Some(b)) = (with_managed.as_object(), without.as_object()) else {
        return with_managed != without;
    };
    let empty = Map::new();
    let meta = |object: &Value| object.as_object().map_or(0, Map::len);
    if a.len() != b.len() {
        return true;
    }
    a.iter().any(|(name, value)| {
        let Some(other) = b.get(name) else {
            return true;
        };
        if name != "metadata" {
            return value != other;
        }
        let hidden = usize::from(value.get("managedFields").is_some());
        meta(value) != meta(other) + hidden
            || value
                .as_object()
                .unwrap_or(&empty)
                .iter()
                .any(|(name, value)| name != "managedFields" && other.get(name) != Some(value))
    })
}

fn empty_object(like: &Value) -> Value {
    let mut object = Map::new();
    for name in ["apiVersion", "kind"] {
        if let Some(value) = like.get(name) {
            object.insert(name.to_owned(), value.clone());
        }
    }
    Value::Object(object)
}

fn annotation(object: &Value) -> Option<&str> {
    object
        .get("metadata")?
        .get("annotations")?
        .get(LAST_APPLIED)?
        .as_str()
        .filter(|text| !text.is_empty())
}

/// The fields that client-side apply set and nobody changed since.
fn client_side_applied(live: &Value, request: &Request<'_>) -> Option<FieldSet> {
    let applied: Value = serde_json::from_str(annotation(live)?).ok()?;
    if text_of(&applied, "/apiVersion") != Some(request.api_version) {
        return None;
    }
    typed::check(live, request.schema, false).ok()?;
    typed::check(&applied, request.schema, false).ok()?;
    let difference = typed::compare(&applied, live, request.schema).ok()?;
    Some(
        typed::field_set(&applied, request.schema)
            .difference(&difference.modified)
            .difference(&difference.added)
            .difference(&difference.removed),
    )
}

fn refresh_last_applied(object: &mut Value, config: &Value) {
    if annotation(object).is_none() {
        return;
    }
    let mut applied = config.clone();
    if let Some(annotations) = applied
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove(LAST_APPLIED);
    }
    if let Some(annotations) = object
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.insert(LAST_APPLIED.to_owned(), Value::from(format!("{applied}\n")));
    }
}

fn typed_error(what: &str, object: &Value, error: &TypedError) -> ApplyError {
    ApplyError::Typed(format!(
        "failed to create typed {what} object ({}): {error}",
        described(object)
    ))
}

/// An owner as conflicts name it.
fn owner_text(manager: &str, subresource: &str, operation: Operation, api_version: &str) -> String {
    let mut text = quote(manager);
    if !subresource.is_empty() {
        text.push_str(" with subresource ");
        text.push_str(&quote(subresource));
    }
    if operation == Operation::Update {
        text.push_str(" using ");
        text.push_str(api_version);
    }
    text
}

#[cfg(test)]
mod tests;
