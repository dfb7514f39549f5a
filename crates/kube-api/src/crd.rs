//! CustomResourceDefinitions: from a definition to served resources.
//!
//! Owns names, conditions, registration and clean-up of definitions. What a real control plane does some time after a
//! definition was made is done here before that write is acknowledged: its conditions are written and its resources
//! registered. The answer is the definition as its author wrote it, as there.
//!
//! Invariant: what is registered for a definition is what the stored definition says; a registration reads the store and
//! not the write that caused it, so that racing writes end with the newest.

mod names;
mod register;
mod validation;

use std::sync::Arc;

use drover_structural::FieldError;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::builtin::BuiltIn;
use crate::clock::seconds;
use crate::registry::{Resource, ServersOwn, StatusOnly, Strategy, Write, keep};
use crate::rest::notes::Notes;
use crate::rest::{Api, Context, delete, object, options, write};
use crate::status::StatusError;
use crate::store::{Key, Range};

/// The table of definitions.
pub(crate) const TABLE: &str = "apiextensions.k8s.io/customresourcedefinitions";
const GROUP: &str = "apiextensions.k8s.io";
const PLURAL: &str = "customresourcedefinitions";

/// Holds a definition until its instances are gone.
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Registers what the stored definitions establish.
pub(crate) fn load(api: &Arc<Api>) {
    let Ok(page) = api.store.list(TABLE, &Range::default()) else {
        return;
    };
    for (_, stored) in page.items {
        register::register(api, &stored.value());
    }
}

/// Cleans up deleted definitions and accepts names that became free, until `stop`.
pub(crate) async fn run(api: Arc<Api>, stop: CancellationToken) {
    let mut changes = api.store.subscribe_table(TABLE);
    loop {
        changes.mark_unchanged();
        let waiting = round(&api).await;
        let again = async {
            if waiting {
                // Instances with finalizers go when their controllers let them, which changes another table.
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
            () = again => {}
        }
    }
}

/// One look at every definition; tells whether one waits for its instances.
async fn round(api: &Arc<Api>) -> bool {
    let mut waiting = false;
    let Ok(page) = api.store.list(TABLE, &Range::default()) else {
        return false;
    };
    for (_, stored) in page.items {
        let definition = stored.value();
        if object::is_deleting(&definition) && object::finalizers(&definition).contains(&CLEANUP) {
            match clean_up(api, &definition).await {
                Ok(done) => waiting |= !done,
                Err(error) => {
                    tracing::warn!(definition = object::meta(&definition, "name"), %error, "instances not removed");
                    waiting = true;
                }
            }
            continue;
        }
        settle(api, &definition).await;
    }
    waiting
}

/// Writes what the names of a definition come to, and with it serves the definition.
async fn settle(api: &Arc<Api>, definition: &Value) {
    let mut fresh = definition.clone();
    names::judge(api, &mut fresh, &seconds(api.clock.now()));
    if fresh["status"] != definition["status"]
        && let Err(error) = write_status(api, definition, fresh["status"].take()).await
    {
        tracing::debug!(definition = object::meta(definition, "name"), %error, "conditions not written");
    }
}

async fn write_status(
    api: &Arc<Api>,
    definition: &Value,
    status: Value,
) -> Result<(), StatusError> {
    let resource = api
        .registry
        .get(GROUP, "v1", PLURAL)
        .ok_or_else(StatusError::no_such_resource)?;
    let mut target = write::Target::object(&resource, "", object::meta(definition, "name"));
    target.strategy = Arc::new(DefinitionStatus);
    "status".clone_into(&mut target.subresource);
    let mut judged = definition.clone();
    judged["status"] = status.clone();
    // Who sees the definition established must find its resources served.
    register::register(api, &judged);
    let written = write::amend(api, &target, "kube-apiserver", |object| {
        object["status"] = status.clone()
    })
    .await;
    if written.is_err() {
        follow(api, definition);
    }
    written.map(drop)
}

/// Deletes the instances of a definition, then lets it go. `true` when it is gone.
async fn clean_up(api: &Arc<Api>, definition: &Value) -> Result<bool, StatusError> {
    let cx = Context::system(api.clock.now(), "kube-apiserver");
    let now = seconds(cx.now);
    let mut begun = definition.clone();
    names::set_condition(
        &mut begun,
        "Terminating",
        "True",
        "InstanceDeletionInProgress",
        "CustomResource deletion is in progress",
        &now,
    );
    if begun["status"] != definition["status"] {
        write_status(api, definition, begun["status"].take()).await?;
    }
    let (group, plural) = register::accepted(definition);
    let instances = api.registry.table().preferred(group, plural).cloned();
    let ours = definition
        .pointer("/spec/names/plural")
        .and_then(Value::as_str)
        == Some(plural);
    if let Some(instances) = instances.filter(|resource| resource.custom && ours) {
        let all = Arc::new(options::ListOptions::parse(
            &options::Query::parse(""),
            false,
        )?);
        delete::delete_collection(
            api,
            &cx,
            &instances,
            None,
            &all,
            &options::DeleteOptions::default(),
        )
        .await?;
        if api.store.count(&instances.storage) > 0 {
            return Ok(false);
        }
    }
    let resource = api
        .registry
        .get(GROUP, "v1", PLURAL)
        .ok_or_else(StatusError::no_such_resource)?;
    let mut target = write::Target::object(&resource, "", object::meta(definition, "name"));
    target.strategy = Arc::new(ServersOwn);
    let others = |object: &Value| {
        object::finalizers(object)
            .into_iter()
            .filter(|held| *held != CLEANUP)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    if others(definition).is_empty() {
        // Who sees the definition deleted must not find its resources served.
        register::unregister(api, definition);
    }
    let mut change = |old: &Value| {
        let mut object = old.clone();
        let rest = others(old);
        let rest = rest.iter().map(String::as_str).collect::<Vec<_>>();
        object::set_finalizers(&mut object, &rest);
        names::set_condition(
            &mut object,
            "Terminating",
            "False",
            "InstanceDeletionCompleted",
            "removed all instances",
            &now,
        );
        Ok(write::Mutated {
            object,
            notes: Notes::default(),
            tracking: write::Tracking::Done,
        })
    };
    match write::update(
        api,
        &cx,
        &target,
        &options::WriteOptions::default(),
        &mut change,
    )
    .await
    {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(true),
        Err(error) => {
            follow(api, definition);
            Err(error)
        }
    }
}

/// The strategy of definitions.
#[derive(Debug)]
pub(crate) struct Definitions {
    base: Arc<BuiltIn>,
}

impl Definitions {
    pub(crate) fn new(base: Arc<BuiltIn>) -> Self {
        Self { base }
    }
}

impl Strategy for Definitions {
    fn default(&self, object: &mut Value) {
        self.base.default(object);
        names::default(object);
    }

    fn prepare_for_create(
        &self,
        _api: &Api,
        _resource: &Resource,
        _cx: &Context,
        object: &mut Value,
    ) {
        self.default(object);
        if let Some(members) = object.as_object_mut() {
            members.insert("status".to_owned(), json!({}));
        }
        names::remember_storage(object);
    }

    fn validate_create(&self, _api: &Api, _cx: &Context, object: &Value) -> Vec<FieldError> {
        validation::create(object)
    }

    fn prepare_for_update(
        &self,
        _api: &Api,
        _resource: &Resource,
        _cx: &Context,
        new: &mut Value,
        old: &Value,
    ) {
        self.default(new);
        keep(new, old, "status");
        names::remember_storage(new);
    }

    fn validate_update(
        &self,
        _api: &Api,
        _cx: &Context,
        new: &Value,
        old: &Value,
    ) -> Vec<FieldError> {
        if object::is_deleting(old) {
            return Vec::new();
        }
        validation::update(new, old)
    }

    fn warnings(&self, new: &Value, old: Option<&Value>) -> Vec<String> {
        let held = old.map(validation::unknown_formats).unwrap_or_default();
        validation::unknown_formats(new)
            .into_iter()
            .filter(|format| !held.contains(format))
            .map(|format| format!("unrecognized format {format:?}"))
            .collect()
    }

    fn has_generation(&self, _resource: &Resource) -> bool {
        true
    }

    fn bumps_generation(&self, _resource: &Resource, new: &Value, old: &Value) -> bool {
        new["spec"] != old["spec"]
    }

    fn allow_unconditional_update(&self, _resource: &Resource) -> bool {
        false
    }

    fn before_delete(
        &self,
        _api: &Api,
        cx: &Context,
        object: &mut Value,
    ) -> Result<(), StatusError> {
        if object::is_deleting(object) {
            return Ok(());
        }
        let mut finalizers = object::finalizers(object)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>();
        if !finalizers.iter().any(|held| held == CLEANUP) {
            finalizers.push(CLEANUP.to_owned());
        }
        let finalizers = finalizers.iter().map(String::as_str).collect::<Vec<_>>();
        object::set_finalizers(object, &finalizers);
        names::set_condition(
            object,
            "Terminating",
            "True",
            "InstanceDeletionPending",
            "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
            &seconds(cx.now),
        );
        Ok(())
    }

    fn after_write(&self, api: &Arc<Api>, write: &Write<'_>) {
        follow_write(api, write);
    }

    fn settle<'a>(&'a self, api: &'a Arc<Api>, write: &'a Write<'a>) -> Option<BoxFuture<'a, ()>> {
        write.new.map(|new| settle(api, new).boxed())
    }
}

/// The strategy of `customresourcedefinitions/status`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DefinitionStatus;

impl Strategy for DefinitionStatus {
    fn prepare_for_update(
        &self,
        api: &Api,
        resource: &Resource,
        cx: &Context,
        new: &mut Value,
        old: &Value,
    ) {
        StatusOnly.prepare_for_update(api, resource, cx, new, old);
    }

    fn validate_update(
        &self,
        _api: &Api,
        _cx: &Context,
        new: &Value,
        _old: &Value,
    ) -> Vec<FieldError> {
        validation::status(new)
    }

    fn bumps_generation(&self, _resource: &Resource, _new: &Value, _old: &Value) -> bool {
        false
    }

    fn allow_unconditional_update(&self, _resource: &Resource) -> bool {
        false
    }

    fn after_write(&self, api: &Arc<Api>, write: &Write<'_>) {
        follow_write(api, write);
    }
}

/// Registers what is stored now under the name of a written definition.
fn follow_write(api: &Arc<Api>, write: &Write<'_>) {
    if let Some(definition) = write.new.or(write.old) {
        follow(api, definition);
    }
}

/// Registers what is stored now under the name of a definition.
fn follow(api: &Arc<Api>, definition: &Value) {
    let name = object::meta(definition, "name");
    match api.store.get(TABLE, &Key::new("", name)) {
        Some(stored) => register::register(api, &stored.value()),
        None => register::unregister(api, definition),
    }
}
