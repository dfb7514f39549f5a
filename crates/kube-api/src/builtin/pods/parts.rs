//! The parts of pods that are changed by themselves: containers to look into a pod with, and what containers may use
//! (kubernetes `pkg/registry/core/pod/strategy.go`, v1.36).

use std::sync::Arc;

use drover_structural::FieldError;
use serde_json::Value;

use super::quality;
use crate::builtin::kind::BuiltIn;
use crate::builtin::validation;
use crate::registry::{Resource, Strategy};
use crate::rest::{Api, Context};

/// Which part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::builtin) enum Part {
    Ephemeral,
    Resize,
}

/// The strategy of a part.
#[derive(Debug)]
pub(in crate::builtin) struct PodPart {
    pub(in crate::builtin) kind: Arc<BuiltIn>,
    pub(in crate::builtin) part: Part,
}

impl Strategy for PodPart {
    fn default(&self, object: &mut Value) {
        self.kind.default(object);
    }

    fn prepare_for_update(
        &self,
        _api: &Api,
        _resource: &Resource,
        _cx: &Context,
        new: &mut Value,
        old: &Value,
    ) {
        self.kind.default(new);
        let wanted = new.get_mut("spec").map(Value::take).unwrap_or_default();
        let revision = new["metadata"].get("resourceVersion").cloned();
        *new = old.clone();
        if let Some(revision) = revision {
            new["metadata"]["resourceVersion"] = revision;
        }
        match self.part {
            Part::Ephemeral => take(&mut new["spec"], &wanted, "ephemeralContainers"),
            Part::Resize => {
                for list in ["containers", "initContainers"] {
                    // What is not the same containers is refused as it is.
                    if !resize(&mut new["spec"][list], &wanted[list]) {
                        new["spec"] = wanted;
                        return;
                    }
                }
                take(&mut new["spec"], &wanted, "resources");
            }
        }
    }

    fn validate_update(
        &self,
        _api: &Api,
        _cx: &Context,
        new: &Value,
        old: &Value,
    ) -> Vec<FieldError> {
        match self.part {
            Part::Ephemeral => validation::ephemeral_containers(new, old),
            Part::Resize => validation::resized_pod(new, old, quality(new) == quality(old)),
        }
    }

    fn bumps_generation(&self, resource: &Resource, new: &Value, old: &Value) -> bool {
        self.kind.bumps_generation(resource, new, old)
    }
}

/// Sets a member of `into` to what `from` has.
fn take(into: &mut Value, from: &Value, member: &str) {
    let Some(members) = into.as_object_mut() else {
        return;
    };
    match from.get(member) {
        Some(value) => members.insert(member.to_owned(), value.clone()),
        None => members.remove(member),
    };
}

/// Takes over what containers may use; whether they are the same containers.
fn resize(held: &mut Value, wanted: &Value) -> bool {
    let (Some(held), Some(wanted)) = (held.as_array_mut(), wanted.as_array()) else {
        return held.is_null() && wanted.is_null();
    };
    let same = held.len() == wanted.len()
        && held
            .iter()
            .zip(wanted)
            .all(|(held, wanted)| held["name"] == wanted["name"]);
    if same {
        for (held, wanted) in held.iter_mut().zip(wanted) {
            take(held, wanted, "resources");
            take(held, wanted, "resizePolicy");
        }
    }
    same
}
