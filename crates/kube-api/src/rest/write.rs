//! create and update: what every kind shares, in one fixed order.
//!
//! An update reads, lets its author change the object, and writes to the version it read; when somebody else was
//! faster, it starts again, unless the author named the version they meant.

use std::sync::Arc;

use drover_structural::Schema;
use http::StatusCode;
use serde_json::{Value, json};

use super::notes::Notes;
use super::object::{self, meta, metadata_mut};
use super::options::WriteOptions;
use super::read::{Shown, show};
use super::{Api, Context, scale, structure};
use crate::admission::{self, quota};
use crate::clock::seconds;
use crate::registry::{Resource, Strategy, Subresource, Write};
use crate::status::{FieldError, StatusError};
use crate::store::{Change, ChangeAction, Draft, Key, Stored, WriteError};
use crate::{builtin, namespaces};

/// How often a write without a stated version starts again before it gives up; each time means that another writer
/// succeeded, so this is never reached by accident.
const RETRIES: usize = 64;

/// How often a taken generated name is replaced (apiserver `RetryGenerateName`).
const NAME_TRIES: usize = 8;

/// One object, or one part of it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) resource: Arc<Resource>,
    /// Empty for cluster-scoped resources.
    pub(crate) namespace: String,
    /// Empty for a create.
    pub(crate) name: String,
    /// Empty for the object itself.
    pub(crate) subresource: String,
    /// The resource's, or the subresource's.
    pub(crate) strategy: Arc<dyn Strategy>,
}

impl Target {
    /// The object itself.
    pub(crate) fn object(resource: &Arc<Resource>, namespace: &str, name: &str) -> Self {
        Self {
            resource: Arc::clone(resource),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: String::new(),
            strategy: Arc::clone(&resource.strategy),
        }
    }

    fn key(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }

    pub(crate) fn not_found(&self) -> StatusError {
        StatusError::not_found(&self.resource.group, &self.resource.plural, &self.name)
    }

    fn invalid(&self, name: &str, errors: &[FieldError]) -> StatusError {
        StatusError::invalid(&self.resource.group, &self.resource.kind, name, errors)
    }
}

/// What a write left behind.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) shown: Outcome,
    pub(crate) created: bool,
}

/// The object after the write.
#[derive(Debug)]
pub(crate) enum Outcome {
    Durable(Shown),
    /// Stored nowhere: of a dry run, or gone with this write.
    Imagined(Value),
}

impl Written {
    pub(crate) fn into_value(self) -> Value {
        match self.shown {
            Outcome::Durable(shown) => shown.into_value(),
            Outcome::Imagined(value) => value,
        }
    }
}

/// Maps a refused store write of an object.
pub(crate) fn write_error(error: WriteError, resource: &Resource, name: &str) -> StatusError {
    match error {
        WriteError::Exists => StatusError::already_exists(&resource.group, &resource.plural, name),
        WriteError::Conflict => StatusError::modified(&resource.group, &resource.plural, name),
        // What clients of the real server see when etcd refuses a value (etcd `rpctypes`).
        WriteError::TooLarge(_) => StatusError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "",
            "etcdserver: request is too large",
        ),
        WriteError::NoSpace => StatusError::insufficient_storage(
            "the disk of the database is full: nothing was written, reading goes on",
        ),
        error @ WriteError::Failed(_) => StatusError::internal(error),
        WriteError::Closed => StatusError::service_unavailable("the server is shutting down"),
    }
}

/// Checks apiVersion and kind of a body; built-in kinds may leave them out.
pub(crate) fn check_type(resource: &Resource, body: &mut Value) -> Result<(), StatusError> {
    let Some(map) = body.as_object_mut() else {
        return Err(StatusError::bad_request(
            "the body of the request is not an object",
        ));
    };
    let expected = resource.api_version();
    let text = |field: &str| map.get(field).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if resource.custom && kind.is_empty() {
        let text = Value::Object(map.clone()).to_string();
        return Err(StatusError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{text}' ({})",
            resource.kind,
            crate::server::summary(text.as_bytes())
        )));
    }
    if resource.custom {
        if api_version != expected {
            return Err(StatusError::bad_request(format!(
                "the API version in the data ({api_version}) does not match the expected API version ({expected})"
            )));
        }
        if kind != &*resource.kind {
            let error = FieldError::invalid("kind", kind, format!("must be {}", resource.kind));
            let name = map
                .get("metadata")
                .and_then(|metadata| metadata["name"].as_str())
                .unwrap_or_default();
            return Err(StatusError::invalid(&resource.group, kind, name, &[error]));
        }
    } else {
        let kind = if kind.is_empty() {
            &*resource.kind
        } else {
            kind
        };
        let named = if api_version.is_empty() {
            expected.as_str()
        } else {
            api_version
        };
        if named != expected || kind != &*resource.kind {
            let (group, version) = named.rsplit_once('/').unwrap_or(("", named));
            let why = if group == &*resource.group
                && kind == &*resource.kind
                && builtin::is_kind(group, version, kind)
            {
                return Err(StatusError::bad_request(format!(
                    "the API version in the data ({named}) does not match the expected API version ({expected})"
                )));
            } else if builtin::is_kind(group, version, kind) {
                let package = resource
                    .group
                    .split('.')
                    .next()
                    .filter(|name| !name.is_empty())
                    .unwrap_or("core");
                format!(
                    "converting ({version}.{kind}) to ({package}.{}): unknown conversion",
                    resource.kind
                )
            } else {
                format!(
                    "no kind {kind:?} is registered for version {named:?} in scheme \"pkg/runtime/scheme.go:111\""
                )
            };
            return Err(StatusError::undecodable(
                kind,
                version,
                &resource.kind,
                &why,
            ));
        }
    }
    map.insert("apiVersion".to_owned(), expected.into());
    map.insert("kind".to_owned(), (&*resource.kind).into());
    match map.get("metadata") {
        None | Some(Value::Null) => {
            map.insert("metadata".to_owned(), json!({}));
        }
        Some(Value::Object(_)) => {}
        Some(other) => {
            let why = format!(
                "json: cannot unmarshal {} into Go struct field {}.metadata of type v1.ObjectMeta",
                crate::server::type_name(other),
                resource.kind
            );
            return Err(StatusError::undecodable(
                &resource.kind,
                &resource.version,
                &resource.kind,
                &why,
            ));
        }
    }
    Ok(())
}

/// Checks the body of a call of the kind `of`.
pub(crate) fn check_call(
    of: &Resource,
    cx: &Context,
    namespace: &str,
    body: &mut Value,
    notes: &Notes,
    options: &WriteOptions,
) -> Result<(), StatusError> {
    check_type(of, body)?;
    let validation = options.field_validation;
    structure::check_fields(of, cx, body, notes, validation, &Tracking::Update)?;
    let stated = meta(body, "namespace");
    if of.namespaced && !stated.is_empty() && stated != namespace {
        return Err(other_namespace());
    }
    Ok(())
}

fn other_namespace() -> StatusError {
    StatusError::bad_request(
        "the namespace of the provided object does not match the namespace sent on the request",
    )
}

/// Checks the type of a sent body. One in another version of the kind is read under the schema of that version before
/// it is refused.
fn check_body(
    api: &Api,
    cx: &Context,
    target: &Target,
    body: &mut Value,
    notes: &Notes,
    options: &WriteOptions,
) -> Result<(), StatusError> {
    let resource = &target.resource;
    let refused = match check_type(resource, body) {
        Err(refused) if resource.custom => refused,
        result => return result,
    };
    let named = body["apiVersion"].as_str().unwrap_or_default();
    let version = named
        .split_once('/')
        .filter(|(group, _)| *group == &*resource.group);
    if let Some((group, version)) = version
        && body["kind"] == *resource.kind
    {
        let known = api.registry.get(group, version, &resource.plural);
        let other = known.unwrap_or_else(|| {
            // A version that is not there has a schema without any fields.
            let mut other = (**resource).clone();
            other.schema = Schema::from_crd(&json!({"type": "object"}))
                .ok()
                .map(Arc::new);
            Arc::new(other)
        });
        let validation = options.field_validation;
        structure::check_fields(&other, cx, body, notes, validation, &Tracking::Update)?;
    }
    Err(refused)
}

/// Fits the namespace of a body to the namespace of the request.
fn check_namespace(target: &Target, body: &mut Value) -> Result<(), StatusError> {
    let namespace = meta(body, "namespace").to_owned();
    if !target.resource.namespaced {
        // The real server clears it: manifests in the field name a namespace for what has none.
        metadata_mut(body).remove("namespace");
        return Ok(());
    }
    if namespace.is_empty() {
        metadata_mut(body).insert("namespace".to_owned(), target.namespace.as_str().into());
    } else if namespace != target.namespace {
        return Err(other_namespace());
    }
    Ok(())
}

/// Turns an object of the request's version into what is stored.
fn encode(resource: &Resource, object: &Value) -> Result<Draft, StatusError> {
    let draft =
        if resource.convert.is_none() && resource.api_version() == *resource.storage_api_version {
            Draft::new(object, resource.schema_mark)
        } else {
            let mut stored = object.clone();
            if let Some(convert) = &resource.convert {
                convert.to_storage(&mut stored);
            }
            if let Some(schema) = resource.storage_schema() {
                drover_structural::prune::prune(&mut stored, schema);
                drover_structural::default::default(&mut stored, schema);
            }
            stored["apiVersion"] = (&*resource.storage_api_version).into();
            Draft::new(&stored, resource.schema_mark)
        };
    draft.map_err(|error| StatusError::bad_request(error.to_string()))
}

/// Makes an object. `notes` are on its body.
pub(crate) async fn create(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    body: Value,
    notes: &Notes,
    options: &WriteOptions,
) -> Result<Written, StatusError> {
    create_with(api, cx, target, body, notes, options, Tracking::Update).await
}

/// Who owns the fields of a write.
#[derive(Debug)]
pub(crate) enum Tracking {
    /// What changed belongs to the request's manager.
    Update,
    /// As `Update`, for an object that was made from the stored one by a patch.
    Patch,
    /// managedFields were computed by the caller (server-side apply).
    Done,
}

pub(crate) async fn create_with(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    mut body: Value,
    notes: &Notes,
    options: &WriteOptions,
    tracking: Tracking,
) -> Result<Written, StatusError> {
    let resource = &target.resource;
    check_body(api, cx, target, &mut body, notes, options)?;
    check_namespace(target, &mut body)?;
    structure::check_fields(
        resource,
        cx,
        &mut body,
        notes,
        options.field_validation,
        &tracking,
    )?;
    if !meta(&body, "resourceVersion").is_empty() {
        return Err(StatusError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "",
            "resourceVersion should not be set on objects to be created",
        ));
    }
    if resource.terminating {
        return Err(StatusError::forbidden(
            &resource.group,
            &resource.plural,
            meta(&body, "name"),
            "create not allowed while custom resource definition is terminating",
        ));
    }
    namespaces::admit_create(api, resource, &target.namespace, &body)?;
    let base = meta(&body, "generateName").to_owned();
    let generated = meta(&body, "name").is_empty() && !base.is_empty();
    begin_create(api, cx, target, options, &mut body, &tracking)?;
    let mut tries = 0;
    loop {
        let mut object = body.clone();
        if generated {
            metadata_mut(&mut object)
                .insert("name".to_owned(), object::generate_name(&base).into());
        }
        prepare_create(api, cx, target, options, &mut object)?;
        let name = meta(&object, "name").to_owned();
        let key = Key::new(&target.namespace, &name);
        let draft = encode(resource, &object)?;
        let taken = api.store.get(&resource.storage, &key).is_some();
        let write = admitted(cx, target, options, None, &name);
        let room = quota::take(api, cx, &write.of(&object)).await?;
        if cx.dry_run || options.dry_run {
            if taken {
                return Err(write_error(WriteError::Exists, resource, &name));
            }
            return Ok(Written {
                shown: Outcome::Imagined(object),
                created: true,
            });
        }
        let change = Change {
            table: Arc::clone(&resource.storage),
            key,
            action: ChangeAction::Create(draft),
        };
        match api.store.write(change).await {
            Ok(stored) => {
                room.keep();
                target.strategy.after_write(
                    api,
                    &Write {
                        resource,
                        old: None,
                        new: Some(&object),
                    },
                );
                if let Some(rest) = target.strategy.settle(api, &object) {
                    rest.await;
                }
                return Ok(Written {
                    shown: Outcome::Durable(show(resource, stored)),
                    created: true,
                });
            }
            Err(WriteError::Exists) if generated && tries + 1 < NAME_TRIES => tries += 1,
            Err(error) => return Err(write_error(error, resource, &name)),
        }
    }
}

/// What comes before a new object has a name: its owners, and what admission makes of it. What is added after its
/// owners are known belongs to no manager, as in the real server (apiserver `handlers/create.go`).
fn begin_create(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    options: &WriteOptions,
    object: &mut Value,
    tracking: &Tracking,
) -> Result<(), StatusError> {
    let resource = &*target.resource;
    let metadata = metadata_mut(object);
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "resourceVersion",
    ] {
        metadata.remove(field);
    }
    object::drop_empty(metadata);
    structure::default(resource, object);
    match tracking {
        Tracking::Update | Tracking::Patch => {
            structure::track_update(resource, cx, &target.subresource, object, None);
        }
        Tracking::Done => {}
    }
    let managed = object["metadata"].get("managedFields").cloned();
    admit(api, cx, target, options, None, object)?;
    keep_managed(object, managed);
    Ok(())
}

fn prepare_create(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    options: &WriteOptions,
    object: &mut Value,
) -> Result<(), StatusError> {
    let resource = &*target.resource;
    let strategy = &*target.strategy;
    let has_generation = strategy.has_generation(resource);
    let metadata = metadata_mut(object);
    metadata.insert("uid".to_owned(), uuid::Uuid::new_v4().to_string().into());
    metadata.insert("creationTimestamp".to_owned(), seconds(cx.now).into());
    if has_generation {
        metadata.insert("generation".to_owned(), 1.into());
    }
    let managed = object["metadata"].get("managedFields").cloned();
    strategy.prepare_for_create(api, resource, cx, object);
    structure::default(resource, object);
    keep_managed(object, managed);
    let name = meta(object, "name").to_owned();
    let obstacles = strategy.obstacles(api, object, None);
    if !obstacles.is_empty() {
        return Err(target.invalid(&name, &obstacles));
    }
    let mut errors = object::validate_metadata(object, resource.namespaced, strategy.name_rule());
    if qualifies_finalizers(resource) {
        errors.extend(object::unqualified_finalizers(object));
    }
    errors.extend(strategy.validate_create(api, cx, object));
    errors.extend(structure::validate(
        resource,
        cx,
        &target.subresource,
        object,
        None,
    ));
    if !errors.is_empty() {
        return Err(target.invalid(&name, &errors));
    }
    for warning in strategy.warnings(object, None) {
        cx.warn(warning);
    }
    warn_of_finalizers(resource, cx, object, None);
    strategy.admit(
        api,
        cx,
        &Write {
            resource,
            old: None,
            new: Some(object),
        },
    )?;
    ask_admission(api, cx, target, options, None, object)
}

/// A create or an update as admission sees it, but for the object it makes.
fn admitted<'a>(
    cx: &Context,
    target: &'a Target,
    options: &WriteOptions,
    old: Option<&'a Value>,
    name: &'a str,
) -> admission::Write<'a> {
    admission::Write {
        operation: match old {
            None => admission::Operation::Create,
            Some(_) => admission::Operation::Update,
        },
        resource: &target.resource,
        subresource: &target.subresource,
        namespace: &target.namespace,
        name,
        old,
        new: None,
        dry_run: cx.dry_run || options.dry_run,
    }
}

/// Lets admission complete and change the object of a create or an update. Scales are left as they are.
fn admit(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    options: &WriteOptions,
    old: Option<&Value>,
    new: &mut Value,
) -> Result<(), StatusError> {
    let part = target.resource.subresources.get(&target.subresource);
    if let Some(Subresource::Scale(_)) = part {
        return Ok(());
    }
    let write = admitted(cx, target, options, old, &target.name);
    admission::mutate(api, cx, &*target.strategy, &write, new)
}

/// Asks those who may refuse a create or an update.
fn ask_admission(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    options: &WriteOptions,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), StatusError> {
    let scale = match target.resource.subresources.get(&target.subresource) {
        Some(Subresource::Scale(paths)) => {
            Some((old.map(|old| scale::of(old, paths)), scale::of(new, paths)))
        }
        _ => None,
    };
    let (old, new) = match &scale {
        Some((old, new)) => (old.as_ref(), new),
        None => (old, new),
    };
    let write = admitted(cx, target, options, old, meta(new, "name"));
    admission::check(api, cx, &write.of(new))
}

/// How an author changes an object: from what is there, in the request's version, to what they want.
pub(crate) type Mutate<'a> = dyn FnMut(&Value) -> Result<Mutated, StatusError> + Send + 'a;

/// What an author wants.
#[derive(Debug)]
pub(crate) struct Mutated {
    pub(crate) object: Value,
    pub(crate) notes: Notes,
    pub(crate) tracking: Tracking,
}

/// Changes an existing object through `mutate`, which may run several times.
pub(crate) async fn update(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    options: &WriteOptions,
    mutate: &mut Mutate<'_>,
) -> Result<Written, StatusError> {
    let resource = &target.resource;
    let key = target.key();
    for _ in 0..RETRIES {
        let current = api
            .store
            .get(&resource.storage, &key)
            .ok_or_else(|| target.not_found())?;
        let shown = show(resource, Arc::clone(&current));
        let old = shown.value().into_owned();
        let Mutated {
            object: mut new,
            notes,
            tracking,
        } = mutate(&old)?;
        prepare_update(api, cx, target, options, &mut new, &old, &notes, &tracking)?;
        let draft = encode(resource, &new)?;
        let room = {
            let write = admitted(cx, target, options, Some(&old), &target.name);
            quota::take(api, cx, &write.of(&new)).await?
        };
        let write = Write {
            resource,
            old: Some(&old),
            new: Some(&new),
        };
        let finished = object::is_deleting(&new) && may_go(&*resource.strategy, &new);
        if !finished && draft.same(current.bytes(), current.revision) {
            return Ok(Written {
                shown: Outcome::Durable(shown),
                created: false,
            });
        }
        if cx.dry_run || options.dry_run {
            drop(draft);
            metadata_mut(&mut new).insert(
                "resourceVersion".to_owned(),
                current.revision.to_string().into(),
            );
            return Ok(Written {
                shown: Outcome::Imagined(new),
                created: false,
            });
        }
        let action = if finished {
            ChangeAction::Delete(draft, current.revision)
        } else {
            ChangeAction::Update(draft, current.revision)
        };
        let change = Change {
            table: Arc::clone(&resource.storage),
            key: key.clone(),
            action,
        };
        match api.store.write(change).await {
            Ok(stored) => {
                room.keep();
                target.strategy.after_write(api, &write);
                if let Some(rest) = target.strategy.settle(api, &new) {
                    rest.await;
                }
                let shown = if finished {
                    // It was never stored so: the real server answers what it would have written.
                    metadata_mut(&mut new).insert(
                        "resourceVersion".to_owned(),
                        current.revision.to_string().into(),
                    );
                    Outcome::Imagined(new)
                } else {
                    Outcome::Durable(show(resource, stored))
                };
                return Ok(Written {
                    shown,
                    created: false,
                });
            }
            // The next round finds the stated version, if there is one, outdated.
            Err(WriteError::Conflict) => {}
            Err(error) => return Err(write_error(error, resource, &target.name)),
        }
    }
    Err(StatusError::modified(
        &resource.group,
        &resource.plural,
        &target.name,
    ))
}

/// Whether nothing holds an object that is being deleted.
pub(crate) fn may_go(strategy: &dyn Strategy, object: &Value) -> bool {
    let grace = object["metadata"]["deletionGracePeriodSeconds"]
        .as_i64()
        .unwrap_or(0);
    grace == 0 && object::finalizers(object).is_empty() && !strategy.holds_deletion(object)
}

/// Everything between the author's wish and the store.
#[expect(
    clippy::too_many_arguments,
    reason = "the inputs of one update, each its own thing"
)]
fn prepare_update(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    options: &WriteOptions,
    new: &mut Value,
    old: &Value,
    notes: &Notes,
    tracking: &Tracking,
) -> Result<(), StatusError> {
    let resource = &*target.resource;
    let strategy = &*target.strategy;
    if let Err(error) = check_type(resource, new) {
        return Err(if matches!(tracking, Tracking::Patch) && !resource.custom {
            unpatchable(new, &error)
        } else {
            error
        });
    }
    let checked =
        structure::check_fields(resource, cx, new, notes, options.field_validation, tracking);
    checked.map_err(|error| {
        if matches!(tracking, Tracking::Patch) {
            unpatchable(new, &error)
        } else {
            error
        }
    })?;
    check_namespace(target, new)?;
    let name = meta(new, "name").to_owned();
    if name.is_empty() {
        if !target.subresource.is_empty() {
            metadata_mut(new).insert("name".to_owned(), target.name.as_str().into());
        } else {
            return Err(nameless(target));
        }
    } else {
        check_name(target, &name)?;
    }
    let uid = meta(new, "uid");
    // A patched object came from the stored one, so that another identity in it is a change; a replacement names the
    // object it means.
    if !matches!(tracking, Tracking::Patch) && !uid.is_empty() && uid != meta(old, "uid") {
        return Err(StatusError::conflict(
            &resource.group,
            &resource.plural,
            &target.name,
            &format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                meta(old, "uid")
            ),
        ));
    }
    let revision = meta(new, "resourceVersion");
    let stated = !revision.is_empty() && revision != "0";
    if stated && revision != meta(old, "resourceVersion") {
        if revision.parse::<u64>().is_err() {
            return Err(StatusError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "",
                format!("strconv.ParseUint: parsing {revision:?}: invalid syntax"),
            ));
        }
        return Err(StatusError::modified(
            &resource.group,
            &resource.plural,
            &target.name,
        ));
    }
    if !stated && !strategy.allow_unconditional_update(resource) {
        let error = FieldError::invalid(
            "metadata.resourceVersion",
            json!(0),
            "must be specified for an update",
        );
        return Err(StatusError::invalid(
            &resource.group,
            &resource.plural,
            &target.name,
            &[error],
        ));
    }
    object::inherit(new, old);
    structure::default(resource, new);
    match tracking {
        Tracking::Update | Tracking::Patch => {
            structure::track_update(resource, cx, &target.subresource, new, Some(old));
        }
        Tracking::Done => {}
    }
    let managed = new["metadata"].get("managedFields").cloned();
    admit(api, cx, target, options, Some(old), new)?;
    strategy.prepare_for_update(api, resource, cx, new, old);
    object::inherit(new, old);
    structure::default(resource, new);
    keep_managed(new, managed);
    if strategy.bumps_generation(resource, new, old) {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        metadata_mut(new).insert("generation".to_owned(), generation.into());
    }
    let obstacles = strategy.obstacles(api, new, Some(old));
    if !obstacles.is_empty() {
        return Err(target.invalid(&target.name, &obstacles));
    }
    // The real server checks these for all kinds and then for each, and tells of both.
    let mut errors = object::validate_metadata_update(new, old);
    errors.extend(object::validate_metadata_update(new, old));
    if qualifies_finalizers(resource) {
        errors.extend(object::malformed_finalizers(new));
        errors.extend(object::unqualified_finalizers(new));
    }
    for _ in 0..strategy.checks_as_new() {
        let rule = strategy.name_rule();
        errors.extend(object::validate_metadata(new, resource.namespaced, rule));
    }
    errors.extend(strategy.validate_update(api, cx, new, old));
    errors.extend(structure::validate(
        resource,
        cx,
        &target.subresource,
        new,
        Some(old),
    ));
    if !errors.is_empty() {
        return Err(target.invalid(&target.name, &errors));
    }
    for warning in strategy.warnings(new, Some(old)) {
        cx.warn(warning);
    }
    if target.subresource.is_empty() {
        warn_of_finalizers(resource, cx, new, Some(old));
    }
    strategy.admit(
        api,
        cx,
        &Write {
            resource,
            old: Some(old),
            new: Some(new),
        },
    )?;
    ask_admission(api, cx, target, options, Some(old), new)
}

/// The object has to be the one that the path names.
pub(crate) fn check_name(target: &Target, name: &str) -> Result<(), StatusError> {
    if name.is_empty() {
        return Err(nameless(target));
    }
    if name == target.name {
        return Ok(());
    }
    Err(StatusError::bad_request(format!(
        "the name of the object ({name}) does not match the name on the URL ({})",
        target.name
    )))
}

fn nameless(target: &Target) -> StatusError {
    StatusError::bad_request(format!(
        "the name of the object ({} based on URL) was undeterminable: name must be provided",
        target.name
    ))
}

/// Whether finalizers must be the system's or somebody's: of all kinds but definitions and what they define, whose own
/// finalizer is neither.
fn qualifies_finalizers(resource: &Resource) -> bool {
    !resource.custom && &*resource.storage != crate::crd::TABLE
}

/// Warns of new finalizers of a custom resource that others may use too.
fn warn_of_finalizers(resource: &Resource, cx: &Context, new: &Value, old: Option<&Value>) {
    if !resource.custom {
        return;
    }
    let held = old.map(object::finalizers).unwrap_or_default();
    let mut added = object::finalizers(new);
    added.retain(|name| !held.contains(name));
    added.sort_unstable();
    added.dedup();
    for name in added
        .into_iter()
        .filter(|name| object::is_unqualified(name))
    {
        let path = if name.contains('.') {
            " including a path (/)"
        } else {
            ""
        };
        cx.warn(format!(
            "metadata.finalizers: {name:?}: prefer a domain-qualified finalizer name{path} to avoid accidental conflicts with other finalizer writers"
        ));
    }
}

/// Puts `managedFields` back as they were, whatever a strategy did to `metadata`.
fn keep_managed(object: &mut Value, managed: Option<Value>) {
    let metadata = metadata_mut(object);
    match managed {
        Some(managed) => metadata.insert("managedFields".to_owned(), managed),
        None => metadata.remove("managedFields"),
    };
}

/// Why a body cannot be read as its kind, without the words that say so.
pub(crate) fn cannot_be(error: &StatusError) -> &str {
    let why = error
        .message
        .rsplit_once("cannot be handled as a ")
        .and_then(|(_, rest)| rest.split_once(": "));
    why.map_or(error.message.as_str(), |(_, why)| why)
}

/// A patch whose result cannot be read as the object (apiserver `handlers/patch.go`).
pub(crate) fn unpatchable(patched: &Value, error: &StatusError) -> StatusError {
    let why = cannot_be(error);
    StatusError::invalid(
        "",
        "",
        "",
        &[FieldError::invalid("patch", patched.to_string(), why)],
    )
}

/// Replaces an object by PUT.
pub(crate) async fn replace(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    mut body: Value,
    notes: &Notes,
    options: &WriteOptions,
) -> Result<Written, StatusError> {
    let resource = &target.resource;
    check_body(api, cx, target, &mut body, notes, options)?;
    if target.subresource.is_empty() {
        check_name(target, meta(&body, "name"))?;
    }
    let missing = api.store.get(&resource.storage, &target.key()).is_none();
    if missing && target.subresource.is_empty() && target.strategy.allow_create_on_update() {
        let mut target = target.clone();
        target.name.clear();
        return create(api, cx, &target, body, notes, options).await;
    }
    let mut mutate = |_old: &Value| {
        Ok(Mutated {
            object: body.clone(),
            notes: notes.clone(),
            tracking: Tracking::Update,
        })
    };
    update(api, cx, target, options, &mut mutate).await
}

/// What the server itself changes in an object, with the checks of any other write but without a manager's name on it.
pub(crate) async fn amend(
    api: &Arc<Api>,
    target: &Target,
    manager: &str,
    mut change: impl FnMut(&mut Value) + Send,
) -> Result<Written, StatusError> {
    let cx = Context::system(api.clock.now(), manager);
    let mut mutate = |old: &Value| {
        let mut object = old.clone();
        change(&mut object);
        Ok(Mutated {
            object,
            notes: Notes::default(),
            tracking: Tracking::Update,
        })
    };
    update(api, &cx, target, &WriteOptions::default(), &mut mutate).await
}

/// The stored form of an object for writes that bypass the strategy (deletion marks).
pub(crate) fn draft_of(resource: &Resource, object: &Value) -> Result<Draft, StatusError> {
    encode(resource, object)
}

/// The object in `stored`, in the request's version.
pub(crate) fn value_of(resource: &Resource, stored: &Arc<Stored>) -> Value {
    show(resource, Arc::clone(stored)).into_value()
}
