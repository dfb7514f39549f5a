//! Taking a node out of use: cordon, then evict what runs on it.
//!
//! What may be evicted is decided purely, before anything is: a pod that must
//! stay refuses the drain as a whole. Budgets are the cluster's to keep; pods
//! they hold back are named in the refusal, and the drain may be repeated.

use drover_auth::web::ApiError;
use http::StatusCode;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, EvictParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Map, Value, json};

/// How a drain treats pods (reference section 3.1, `nodeDrainInput`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    delete_local_data: bool,
    force: bool,
    ignore_daemon_sets: bool,
    /// Seconds for pods to end; `None`: as each pod says.
    grace: Option<u32>,
}

impl Options {
    pub(super) fn read(input: &Map<String, Value>) -> Result<Self, ApiError> {
        let flag = |name: &str, otherwise: bool| {
            input
                .get(name)
                .and_then(Value::as_bool)
                .unwrap_or(otherwise)
        };
        let grace = input
            .get("gracePeriod")
            .and_then(Value::as_i64)
            .unwrap_or(-1);
        let timeout = input.get("timeout").and_then(Value::as_i64).unwrap_or(120);
        if !(1..=10_800).contains(&timeout) {
            let code = if timeout < 1 {
                "MinLimitExceeded"
            } else {
                "MaxLimitExceeded"
            };
            return Err(ApiError::invalid(code, "1 to 10800 seconds").with_field("timeout"));
        }
        Ok(Self {
            delete_local_data: flag("deleteLocalData", false),
            force: flag("force", false),
            ignore_daemon_sets: flag("ignoreDaemonSets", true),
            grace: u32::try_from(grace).ok(),
        })
    }
}

/// What is done about a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Stays,
    Goes,
    /// Refuses the drain, with the reason.
    Refuses(&'static str),
}

fn judge(pod: &Pod, options: &Options) -> Verdict {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    let finished = matches!(phase, Some("Succeeded" | "Failed"));
    let mirror = pod
        .annotations()
        .contains_key("kubernetes.io/config.mirror");
    if mirror || pod.metadata.deletion_timestamp.is_some() {
        return Verdict::Stays;
    }
    let controller = pod
        .owner_references()
        .iter()
        .find(|owner| owner.controller == Some(true));
    match controller {
        Some(owner) if owner.kind == "DaemonSet" && !finished => {
            return if options.ignore_daemon_sets {
                Verdict::Stays
            } else {
                Verdict::Refuses("is kept by a DaemonSet (ignoreDaemonSets)")
            };
        }
        Some(_) => {}
        None if finished || options.force => {}
        None => return Verdict::Refuses("is kept by no controller (force)"),
    }
    let local = pod
        .spec
        .iter()
        .flat_map(|spec| spec.volumes.iter().flatten())
        .any(|volume| volume.empty_dir.is_some());
    if local && !finished && !options.delete_local_data {
        return Verdict::Refuses("has local data (deleteLocalData)");
    }
    Verdict::Goes
}

/// Whether new pods may come to a node.
pub(super) async fn set_schedulable(
    client: &Client,
    node: &str,
    schedulable: bool,
) -> Result<(), ApiError> {
    let nodes: Api<Node> = Api::all(client.clone());
    let patch = json!({"spec": {"unschedulable": !schedulable}});
    nodes
        .patch(node, &PatchParams::default(), &Patch::Merge(&patch))
        .await?;
    Ok(())
}

/// The pods that leave a node.
pub(super) struct Drain {
    client: Client,
    going: Vec<Pod>,
    grace: Option<u32>,
}

/// Decides what leaves a node, or why nothing does.
pub(super) async fn plan(
    client: &Client,
    node: &str,
    options: &Options,
) -> Result<Drain, ApiError> {
    let on_node = ListParams::default().fields(&format!("spec.nodeName={node}"));
    let pods = Api::<Pod>::all(client.clone()).list(&on_node).await?.items;
    let mut refusals = Vec::new();
    let mut going = Vec::new();
    for pod in pods {
        match judge(&pod, options) {
            Verdict::Stays => {}
            Verdict::Goes => going.push(pod),
            Verdict::Refuses(reason) => refusals.push(format!("{} {reason}", id(&pod))),
        }
    }
    if !refusals.is_empty() {
        return Err(ApiError::invalid("InvalidState", refusals.join("; ")));
    }
    Ok(Drain {
        client: client.clone(),
        going,
        grace: options.grace,
    })
}

impl Drain {
    /// Evicts the pods, all that budgets let go.
    pub(super) async fn evict(self) -> Result<(), ApiError> {
        let params = EvictParams {
            delete_options: Some(DeleteParams {
                grace_period_seconds: self.grace,
                ..DeleteParams::default()
            }),
            ..EvictParams::default()
        };
        let mut held = Vec::new();
        for pod in &self.going {
            let namespace = pod.namespace().unwrap_or_default();
            let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
            match pods.evict(&pod.name_any(), &params).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                // A disruption budget allows no more at the moment.
                Err(kube::Error::Api(status)) if status.code == 429 => held.push(id(pod)),
                Err(error) => return Err(error.into()),
            }
        }
        if held.is_empty() {
            return Ok(());
        }
        Err(ApiError::new(
            StatusCode::CONFLICT,
            "Conflict",
            format!(
                "the node takes no more pods, but disruption budgets keep these, try again: {}",
                held.join(", ")
            ),
        ))
    }
}

fn id(pod: &Pod) -> String {
    format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(input: &Value) -> Options {
        Options::read(input.as_object().unwrap()).unwrap()
    }

    #[test]
    fn pods_that_would_be_lost_refuse_unless_told_otherwise() {
        let pod = |metadata: Value, rest: Value| -> Pod {
            let mut pod = json!({"metadata": metadata});
            pod.as_object_mut()
                .unwrap()
                .extend(rest.as_object().unwrap().clone());
            serde_json::from_value(pod).unwrap()
        };
        let of = |kind: &str| {
            json!({"name": "p", "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": kind, "name": "o", "uid": "u", "controller": true},
            ]})
        };
        let data = json!({"spec": {"containers": [], "volumes": [{"name": "v", "emptyDir": {}}]}});
        let plain = options(&json!({}));
        let check = |pod: &Pod, options: &Options| judge(pod, options);
        assert_eq!(
            check(&pod(of("ReplicaSet"), json!({})), &plain),
            Verdict::Goes
        );
        assert_eq!(
            check(&pod(of("DaemonSet"), json!({})), &plain),
            Verdict::Stays
        );
        let alone = pod(json!({"name": "p"}), json!({}));
        assert!(matches!(check(&alone, &plain), Verdict::Refuses(_)));
        assert_eq!(
            check(&alone, &options(&json!({"force": true}))),
            Verdict::Goes
        );
        let with_data = pod(of("ReplicaSet"), data);
        assert!(matches!(check(&with_data, &plain), Verdict::Refuses(_)));
        assert_eq!(
            check(&with_data, &options(&json!({"deleteLocalData": true}))),
            Verdict::Goes
        );
        let done = pod(
            json!({"name": "p"}),
            json!({"status": {"phase": "Succeeded"}}),
        );
        assert_eq!(check(&done, &plain), Verdict::Goes);
        let fixed = json!({"name": "p", "annotations": {"kubernetes.io/config.mirror": "x"}});
        assert_eq!(check(&pod(fixed, json!({})), &plain), Verdict::Stays);
        assert!(Options::read(json!({"timeout": 0}).as_object().unwrap()).is_err());
        assert_eq!(options(&json!({"gracePeriod": 5})).grace, Some(5));
        assert_eq!(plain.grace, None);
    }
}
