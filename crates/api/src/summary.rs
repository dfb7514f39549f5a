//! The state of an object: one word, whether it is on its way, and why.
//!
//! Pure over the object as Kubernetes keeps it, so that `/v3` and `/v1` say
//! the same. The rules are those of Rancher's `pkg/schemas/status` and
//! wrangler's `pkg/summary` (reference sections 2.2 and, for clusters,
//! tunnel-and-import section 5), checked against recorded clusters.
//!
//! Later rules build on earlier ones: an error is never taken back, the first
//! transitional condition names the state, deletion overrides all.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// How an object without any condition is seen in its first seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fresh {
    /// As active: what `/v3` answers to a create.
    Active,
    /// As initializing, if it is of a `cattle.io` kind.
    Initializing,
}

/// State, progress and messages of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// One lower-case word, such as `active` or `pending`.
    pub state: String,
    /// Something is wrong.
    pub error: bool,
    /// Something is under way.
    pub transitioning: bool,
    /// What the deciding conditions say, empty ones left out.
    pub messages: Vec<String>,
}

impl Summary {
    /// `yes`, `no` or `error`, as `/v3` writes it.
    #[must_use]
    pub fn progress(&self) -> &'static str {
        if self.error {
            "error"
        } else if self.transitioning {
            "yes"
        } else {
            "no"
        }
    }

    /// All messages in one line.
    #[must_use]
    pub fn message(&self) -> String {
        self.messages.join("; ")
    }

    fn say(&mut self, message: &str) {
        if !message.is_empty() && !self.messages.iter().any(|said| said == message) {
            self.messages.push(message.to_owned());
        }
    }
}

/// How long an object may be on its way out before that is an error.
const REMOVAL_PATIENCE: SignedDuration = SignedDuration::from_mins(5);
/// How long an object without conditions counts as new.
const INITIALIZING: SignedDuration = SignedDuration::from_secs(5);

struct Condition<'a> {
    kind: &'a str,
    status: &'a str,
    reason: &'a str,
    message: &'a str,
}

/// Works out the state of `object` at `now`.
#[must_use]
pub fn summarize(object: &Value, now: Timestamp, fresh: Fresh) -> Summary {
    let annotated = annotated_status(object);
    let conditions = conditions(object, annotated.as_ref());
    let mut summary = Summary::default();

    errors(object, &conditions, &mut summary);
    transitions(&conditions, &mut summary);
    activity(object, &mut summary);
    phase(object, &mut summary);
    if fresh == Fresh::Initializing
        && conditions.is_empty()
        && summary.state.is_empty()
        && is_new(object, now)
    {
        "initializing".clone_into(&mut summary.state);
        summary.transitioning = true;
    }
    removal(object, now, &mut summary);

    if summary.state.is_empty() {
        (if summary.error { "error" } else { "active" }).clone_into(&mut summary.state);
    }
    summary
}

fn errors(object: &Value, conditions: &[Condition<'_>], summary: &mut Summary) {
    let kind = object
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    for condition in conditions {
        let is_true = condition.status == "True";
        let failed = match condition.kind {
            "Stalled" | "Failed" => is_true,
            "OutOfDisk" | "MemoryPressure" | "DiskPressure" | "NetworkUnavailable"
            | "ReplicaFailure" => is_true && matches!(kind, "Node" | "Deployment" | "ReplicaSet"),
            _ => false,
        };
        if failed || condition.reason == "Error" {
            summary.error = true;
            summary.say(condition.message);
        }
    }
}

fn transitions(conditions: &[Condition<'_>], summary: &mut Summary) {
    for condition in conditions {
        if let Some(state) = unfinished_state(condition.kind) {
            match condition.status {
                "False" => {
                    summary.error = true;
                    state.clone_into(&mut summary.state);
                    summary.say(condition.message);
                }
                "Unknown" if summary.state.is_empty() => {
                    summary.transitioning = true;
                    state.clone_into(&mut summary.state);
                    summary.say(condition.message);
                }
                _ => {}
            }
        } else if condition.kind == "Reconciling"
            && condition.status == "True"
            && summary.state.is_empty()
        {
            summary.transitioning = true;
            "reconciling".clone_into(&mut summary.state);
            summary.say(condition.message);
        }
    }
    if !summary.state.is_empty() {
        return;
    }
    for condition in conditions {
        let state = match condition.kind {
            "Completed" => "activating",
            "Ready" => "unavailable",
            "Available" => "updating",
            _ => continue,
        };
        // Readiness speaks only if nothing else does.
        if !summary.state.is_empty() {
            continue;
        }
        match condition.status {
            "False" => summary.transitioning = true,
            "Unknown" => summary.error = true,
            _ => continue,
        }
        state.clone_into(&mut summary.state);
        summary.say(condition.message);
    }
}

/// The state of an object for which this condition is not (yet) true.
fn unfinished_state(condition: &str) -> Option<&'static str> {
    Some(match condition {
        "Active" | "InitialRolesPopulated" => "activating",
        "AddonDeploy" | "AgentDeployed" | "CertsGenerated" | "DockerProvisioned" | "etcd"
        | "NodesCreated" | "Provisioned" => "provisioning",
        "BackingNamespaceCreated"
        | "ConfigOK"
        | "CreatorMadeOwner"
        | "DefaultNamespaceAssigned"
        | "DefaultNetworkPolicyCreated"
        | "DefaultProjectCreated" => "configuring",
        "Pending" | "ScalingActive" | "AbleToScale" => "pending",
        "Updated" | "Updating" => "updating",
        "Inactive" => "deactivating",
        "RunCompleted" => "running",
        "Refreshed" => "refreshed",
        "Processed" => "processed",
        "Built" => "building",
        "Created" => "creating",
        "Deployed" => "deploying",
        "Drained" => "draining",
        "Downloaded" => "downloading",
        "Initialized" => "initializing",
        "Installed" => "installing",
        "Reconciled" => "reconciling",
        "Registered" => "registering",
        "Removed" => "removing",
        "Saved" => "saving",
        "Upgraded" => "upgrading",
        "Waiting" => "waiting",
        "PodScheduled" => "scheduling",
        _ => return None,
    })
}

fn activity(object: &Value, summary: &mut Summary) {
    if let Some(active) = object.pointer("/spec/active").and_then(Value::as_bool)
        && summary.state.is_empty()
    {
        (if active { "active" } else { "inactive" }).clone_into(&mut summary.state);
    }
}

fn phase(object: &Value, summary: &mut Summary) {
    let Some(phase) = object
        .pointer("/status/phase")
        .and_then(Value::as_str)
        .filter(|phase| !phase.is_empty())
    else {
        return;
    };
    let done = matches!(phase, "Succeeded" | "Bound");
    if done {
        summary.transitioning = false;
    }
    if done || summary.state.is_empty() {
        summary.state = phase.to_lowercase();
    }
}

fn removal(object: &Value, now: Timestamp, summary: &mut Summary) {
    let Some(removed) = object
        .pointer("/metadata/deletionTimestamp")
        .and_then(Value::as_str)
    else {
        return;
    };
    "removing".clone_into(&mut summary.state);
    summary.transitioning = true;
    let finalizer = ["/metadata/finalizers/0", "/spec/finalizers/0"]
        .iter()
        .find_map(|place| object.pointer(place).and_then(Value::as_str));
    let Some(finalizer) = finalizer else {
        return;
    };
    let name = finalizer
        .rsplit("controller.cattle.io/")
        .next()
        .unwrap_or(finalizer);
    let name = if name == "foregroundDeletion" {
        "object cleanup"
    } else {
        name
    };
    summary.say(&format!("waiting on {name}"));
    if let Ok(removed) = removed.parse::<Timestamp>()
        && now.duration_since(removed) > REMOVAL_PATIENCE
    {
        summary.error = true;
    }
}

fn is_new(object: &Value, now: Timestamp) -> bool {
    let of_ours = object
        .get("apiVersion")
        .and_then(Value::as_str)
        .and_then(|version| version.split_once('/'))
        .is_some_and(|(group, _)| group.ends_with("cattle.io"));
    let created = object
        .pointer("/metadata/creationTimestamp")
        .and_then(Value::as_str)
        .and_then(|created| created.parse::<Timestamp>().ok());
    of_ours && created.is_some_and(|created| now.duration_since(created) < INITIALIZING)
}

/// Conditions kept in an annotation, on kinds whose status is not ours to write.
fn annotated_status(object: &Value) -> Option<Value> {
    let text = object
        .pointer("/metadata/annotations")?
        .get("cattle.io/status")?
        .as_str()?;
    serde_json::from_str(text).ok()
}

fn conditions<'a>(object: &'a Value, annotated: Option<&'a Value>) -> Vec<Condition<'a>> {
    let lists = [
        object.pointer("/status/conditions"),
        annotated.and_then(|status| {
            status
                .get("Conditions")
                .or_else(|| status.get("conditions"))
        }),
    ];
    lists
        .into_iter()
        .flatten()
        .filter_map(Value::as_array)
        .flatten()
        .map(|condition| {
            // The annotation writes its keys with capitals.
            let text = |lower: &str, upper: &str| {
                condition
                    .get(lower)
                    .or_else(|| condition.get(upper))
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            Condition {
                kind: text("type", "Type"),
                status: text("status", "Status"),
                reason: text("reason", "Reason"),
                message: text("message", "Message"),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn check(conditions: &Value, expected: (&str, &str, &str)) {
        let summary = summarize(
            &json!({"status": {"conditions": conditions}}),
            at("2026-11-20T21:22:00Z"),
            Fresh::Active,
        );
        assert_eq!(
            (
                summary.state.as_str(),
                summary.progress(),
                summary.message().as_str()
            ),
            expected,
            "{conditions}"
        );
    }

    #[test]
    fn an_imported_cluster_moves_as_recorded() {
        check(&json!([]), ("active", "no", ""));
        check(
            &json!([
                {"type": "CreatorMadeOwner", "status": "True"},
                {"type": "Pending", "status": "Unknown"},
                {"type": "Provisioned", "status": "Unknown"},
                {"type": "Waiting", "status": "Unknown", "message": "Waiting for API to be available"},
            ]),
            ("pending", "yes", ""),
        );
        check(
            &json!([
                {"type": "Pending", "status": "True"},
                {"type": "Waiting", "status": "Unknown", "message": "Waiting for API to be available"},
            ]),
            ("waiting", "yes", "Waiting for API to be available"),
        );
        check(
            &json!([{"type": "Waiting", "status": "True"}, {"type": "Connected", "status": "False"}, {"type": "Ready", "status": "True"}]),
            ("active", "no", ""),
        );
        check(
            &json!([{"type": "Ready", "status": "False", "reason": "Disconnected", "message": "Cluster agent is not connected"}]),
            ("unavailable", "yes", "Cluster agent is not connected"),
        );
        check(
            &json!([{"type": "Ready", "status": "Unknown", "message": "m"}]),
            ("unavailable", "error", "m"),
        );
    }

    #[test]
    fn errors_are_never_taken_back() {
        check(
            &json!([
                {"type": "AgentDeployed", "status": "False", "reason": "Error", "message": "no"},
                {"type": "Ready", "status": "True"},
            ]),
            ("provisioning", "error", "no"),
        );
        check(
            &json!([{"type": "Whatever", "status": "True", "reason": "Error", "message": "bad"}]),
            ("error", "error", "bad"),
        );
        // A failure overrides the state that a transition has set, the last one wins.
        check(
            &json!([
                {"type": "Pending", "status": "Unknown", "message": "a"},
                {"type": "Updated", "status": "False", "message": "b"},
                {"type": "Upgraded", "status": "False", "message": "c"},
            ]),
            ("upgrading", "error", "a; b; c"),
        );
    }

    #[test]
    fn pressure_counts_on_nodes_only() {
        let conditions = json!([{"type": "DiskPressure", "status": "True", "message": "full"}]);
        check(&conditions, ("active", "no", ""));
        let node = json!({"kind": "Node", "status": {"conditions": conditions}});
        assert!(summarize(&node, at("2026-11-20T21:22:00Z"), Fresh::Active).error);
    }

    #[test]
    fn removal_overrides_and_turns_into_an_error() {
        let object = json!({
            "metadata": {"deletionTimestamp": "2026-11-20T21:22:02Z", "finalizers": ["controller.cattle.io/mgmt-cluster-rbac-remove", "x"]},
            "status": {"conditions": [{"type": "Pending", "status": "Unknown"}]},
        });
        let soon = summarize(&object, at("2026-11-20T21:23:00Z"), Fresh::Active);
        assert_eq!((soon.state.as_str(), soon.progress()), ("removing", "yes"));
        assert_eq!(soon.message(), "waiting on mgmt-cluster-rbac-remove");
        assert_eq!(
            summarize(&object, at("2026-11-20T21:30:00Z"), Fresh::Active).progress(),
            "error"
        );
    }

    #[test]
    fn the_annotation_counts_like_the_status() {
        let object = json!({"metadata": {"annotations": {
            "cattle.io/status": "{\"Conditions\":[{\"Type\":\"InitialRolesPopulated\",\"Status\":\"Unknown\"}]}",
        }}, "status": {"phase": "Active"}});
        let summary = summarize(&object, at("2026-11-20T21:23:00Z"), Fresh::Active);
        assert_eq!(
            (summary.state.as_str(), summary.progress()),
            ("activating", "yes")
        );
    }

    #[test]
    fn phases_and_freshness_speak_last() {
        let now = at("2026-11-20T21:23:00Z");
        let phase =
            |phase: &str| summarize(&json!({"status": {"phase": phase}}), now, Fresh::Active).state;
        assert_eq!(phase("Running"), "running");
        assert_eq!(phase("Bound"), "bound");
        let fresh = json!({"apiVersion": "management.cattle.io/v3", "metadata": {"creationTimestamp": "2026-11-20T21:22:58Z"}});
        assert_eq!(
            summarize(&fresh, now, Fresh::Initializing).state,
            "initializing"
        );
        assert_eq!(summarize(&fresh, now, Fresh::Active).state, "active");
    }
}
