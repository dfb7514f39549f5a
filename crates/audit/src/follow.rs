//! Keeps the policies in force what the API says, and says there what came of each.
//!
//! Every server does so for its own log. All come to the same conclusion, which is written only where it is not there.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_types::auditlog::AuditPolicy;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::discovery::ApiResource;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

use crate::policy::{Policies, Policy, PolicyError};

/// The condition that tells, and its reasons; the peer's words.
const ACTIVE: &str = "Active";
const IS_ACTIVE: &str = "PolicyIsActive";
const IS_INVALID: &str = "PolicyIsInvalid";
const WAS_DISABLED: &str = "PolicyWasDisabled";

/// Follows the policies for as long as it is polled. What cannot be read of one keeps the others in force.
pub async fn follow(client: Client, policies: Policies, now: impl Fn() -> Timestamp + Send) {
    let kind = ApiResource::erase::<AuditPolicy>(&());
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
    let typed: Api<AuditPolicy> = Api::all(client);
    let watched = watcher(api, watcher::Config::default()).default_backoff();
    let mut watched = std::pin::pin!(watched);
    let mut listed = BTreeMap::new();
    loop {
        let event = match watched.try_next().await {
            Ok(Some(event)) => event,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "the policies of the audit log cannot be read; those known stay in force");
                continue;
            }
        };
        match event {
            watcher::Event::Init => listed.clear(),
            watcher::Event::InitApply(object) => {
                if let (name, Some(policy)) = take(&typed, object, &now).await {
                    listed.insert(name, Arc::new(policy));
                }
            }
            watcher::Event::InitDone => policies.replace(std::mem::take(&mut listed)),
            watcher::Event::Apply(object) => {
                let (name, policy) = take(&typed, object, &now).await;
                tracing::info!(%name, in_force = policy.is_some(), "a policy of the audit log has changed");
                policies.put(&name, policy);
            }
            watcher::Event::Delete(object) => {
                tracing::info!(name = %object.name_any(), "a policy of the audit log is gone");
                policies.put(&object.name_any(), None);
            }
        }
    }
}

/// Compiles a policy and says in it what came of that.
async fn take(
    api: &Api<AuditPolicy>,
    object: DynamicObject,
    now: &impl Fn() -> Timestamp,
) -> (String, Option<Policy>) {
    let name = object.name_any();
    let policy: AuditPolicy = match object.try_parse() {
        Ok(policy) => policy,
        Err(error) => {
            tracing::warn!(%name, %error, "a policy of the audit log is not of its kind");
            return (name, None);
        }
    };
    let compiled = policy.spec.enabled.then(|| Policy::compile(&policy.spec));
    let condition = condition(&policy, compiled.as_ref(), now());
    if let Some(condition) = condition {
        let others = policy.status.conditions.iter();
        let others = others.filter(|other| other.type_ != ACTIVE).cloned();
        let conditions: Vec<Condition> = others.chain([condition]).collect();
        // One that has changed meanwhile comes again.
        let patch = json!({
            "metadata": {"resourceVersion": policy.metadata.resource_version},
            "status": {"conditions": conditions},
        });
        let patch = Patch::Merge(patch);
        let patched = api
            .patch_status(&name, &PatchParams::default(), &patch)
            .await;
        match patched {
            Err(kube::Error::Api(error)) if matches!(error.code, 404 | 409) => {
                tracing::debug!(%name, "a policy of the audit log has changed meanwhile");
            }
            Err(error) => {
                tracing::warn!(%name, %error, "what came of a policy of the audit log was not noted");
            }
            Ok(_) => {}
        }
    }
    (name, compiled.and_then(Result::ok))
}

/// The condition to write; `None` if it says so already.
fn condition(
    policy: &AuditPolicy,
    compiled: Option<&Result<Policy, PolicyError>>,
    now: Timestamp,
) -> Option<Condition> {
    let (status, reason, message) = match compiled {
        None => ("False", WAS_DISABLED, String::new()),
        Some(Ok(_)) => ("True", IS_ACTIVE, String::new()),
        Some(Err(error)) => ("False", IS_INVALID, chain(error)),
    };
    let mut conditions = policy.status.conditions.iter();
    let before = conditions.find(|condition| condition.type_ == ACTIVE);
    let since = match before {
        Some(before) if before.status == status => before.last_transition_time.clone(),
        _ => Time(now),
    };
    let wanted = Condition {
        type_: ACTIVE.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: policy.metadata.generation,
        last_transition_time: since,
    };
    (before != Some(&wanted)).then_some(wanted)
}

fn chain(error: &PolicyError) -> String {
    const LONGEST: usize = 4096;
    let mut text = error.to_string();
    text.truncate(text.floor_char_boundary(LONGEST));
    text
}
