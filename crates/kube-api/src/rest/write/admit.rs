//! Creates and updates as admission sees them.

use std::sync::Arc;

use serde_json::Value;

use super::Target;
use crate::admission;
use crate::registry::{Resource, Subresource};
use crate::rest::object::meta;
use crate::rest::options::WriteOptions;
use crate::rest::{Api, Context, scale};
use crate::status::StatusError;

/// A create or an update as admission sees it, but for the object it makes.
pub(super) fn admitted<'a>(
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
        form: None,
        dry_run: cx.dry_run || options.dry_run,
    }
}

/// Lets admission complete and change the object of a create or an update. A Scale was changed before it came to be the
/// replicas of an object ([`admit_scale`]).
pub(super) fn admit(
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

/// Lets admission change the Scale that a client wants; `form` is its kind.
///
/// # Errors
///
/// The refusal of a policy that goes wrong.
pub(crate) fn admit_scale(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    options: &WriteOptions,
    form: &Resource,
    [old, new]: [&Value; 2],
) -> Result<Value, StatusError> {
    let mut write = admitted(cx, target, options, Some(old), &target.name);
    write.form = Some(form);
    let mut changed = new.clone();
    admission::mutate_form(api, cx, &write, &mut changed)?;
    Ok(changed)
}

/// Asks those who may refuse a create or an update.
pub(super) fn ask_admission(
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
    let form = scale.as_ref().map(|_| scale::kind(target));
    let (old, new) = match &scale {
        Some((old, new)) => (old.as_ref(), new),
        None => (old, new),
    };
    let mut write = admitted(cx, target, options, old, meta(new, "name"));
    write.form = form.as_ref();
    admission::check(api, cx, &write.of(new))
}
