//! What tables show of pods.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::{Column, Row, duration};
use super::{AGE, NAME, text, wide};

pub(super) const POD: &[Column] = &[
    NAME,
    text("Ready"),
    text("Status"),
    text("Restarts"),
    AGE,
    wide("IP"),
    wide("Node"),
    wide("Nominated Node"),
    wide("Readiness Gates"),
];

pub(super) fn pod(row: &Row<'_>) -> Vec<Value> {
    let summary = PodSummary::of(row);
    let restarts = match summary.last_restart {
        Some(time) if summary.restarts != 0 => {
            format!(
                "{} ({} ago)",
                summary.restarts,
                duration::short(duration::whole_seconds(time, row.now))
            )
        }
        _ => summary.restarts.to_string(),
    };
    let gates = row.items("/spec/readinessGates").collect::<Vec<_>>();
    let readiness = if gates.is_empty() {
        "<none>".to_owned()
    } else {
        let passed = gates
            .iter()
            .filter(|gate| {
                gate["conditionType"]
                    .as_str()
                    .and_then(|kind| row.condition(kind))
                    == Some("True")
            })
            .count();
        format!("{passed}/{}", gates.len())
    };
    vec![
        row.name(),
        json!(format!("{}/{}", summary.ready, summary.total)),
        json!(summary.reason),
        json!(restarts),
        row.age(),
        json!(row.text_or("/status/podIPs/0/ip", "<none>")),
        json!(row.text_or("/spec/nodeName", "<none>")),
        json!(row.text_or("/status/nominatedNodeName", "<none>")),
        json!(readiness),
    ]
}

/// What the first columns of a pod are made from.
struct PodSummary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

impl PodSummary {
    fn of(row: &Row<'_>) -> Self {
        let sidecars = row
            .items("/spec/initContainers")
            .filter(|container| container["restartPolicy"] == "Always")
            .filter_map(|container| container["name"].as_str())
            .collect::<Vec<_>>();
        let phase = row.text_or("/status/phase", "");
        let mut reason = row.text_or("/status/reason", &phase);
        let gated = row.items("/status/conditions").any(|condition| {
            condition["type"] == "PodScheduled" && condition["reason"] == "SchedulingGated"
        });
        if gated {
            "SchedulingGated".clone_into(&mut reason);
        }
        let mut summary = Self {
            ready: 0,
            total: row.items("/spec/containers").count() + sidecars.len(),
            reason,
            restarts: 0,
            last_restart: None,
        };
        let (sidecar_restarts, sidecar_last, initializing) =
            summary.initial_containers(row, &sidecars);
        if !initializing || row.condition("Initialized") == Some("True") {
            summary.restarts = sidecar_restarts;
            summary.last_restart = sidecar_last;
            summary.containers(row);
        }
        if row.at("/metadata/deletionTimestamp").is_some() {
            if row.string("/status/reason") == Some("NodeLost") {
                "Unknown".clone_into(&mut summary.reason);
            } else if phase != "Succeeded" && phase != "Failed" {
                "Terminating".clone_into(&mut summary.reason);
            }
        }
        summary
    }

    /// Goes through the init containers up to the first that is not done;
    /// gives the restarts of sidecars and whether one was found.
    fn initial_containers(
        &mut self,
        row: &Row<'_>,
        sidecars: &[&str],
    ) -> (i64, Option<Timestamp>, bool) {
        let (mut sidecar_restarts, mut sidecar_last) = (0, None);
        for (index, container) in row.items("/status/initContainerStatuses").enumerate() {
            let restarts = container["restartCount"].as_i64().unwrap_or(0);
            let sidecar = container["name"]
                .as_str()
                .is_some_and(|name| sidecars.contains(&name));
            self.restarts += restarts;
            self.last_restart = self.last_restart.max(last_end(container));
            if sidecar {
                sidecar_restarts += restarts;
                sidecar_last = sidecar_last.max(last_end(container));
            }
            let terminated = container["state"].get("terminated");
            let waiting = container["state"]["waiting"]["reason"]
                .as_str()
                .filter(|reason| !reason.is_empty());
            if terminated.is_some_and(|terminated| exit_code(terminated) == 0) {
                continue;
            }
            if sidecar && container["started"] == true {
                self.ready += usize::from(container["ready"] == true);
                continue;
            }
            self.reason = match (terminated, waiting) {
                (Some(terminated), _) => format!("Init:{}", end_reason(terminated)),
                (None, Some(waiting)) if waiting != "PodInitializing" => format!("Init:{waiting}"),
                (None, _) => format!("Init:{index}/{}", row.items("/spec/initContainers").count()),
            };
            return (sidecar_restarts, sidecar_last, true);
        }
        (sidecar_restarts, sidecar_last, false)
    }

    fn containers(&mut self, row: &Row<'_>) {
        let (mut running, mut failure) = (false, None);
        let statuses = row.items("/status/containerStatuses").collect::<Vec<_>>();
        for container in statuses.into_iter().rev() {
            self.restarts += container["restartCount"].as_i64().unwrap_or(0);
            self.last_restart = self.last_restart.max(last_end(container));
            let state = &container["state"];
            if let Some(waiting) = state["waiting"]["reason"]
                .as_str()
                .filter(|reason| !reason.is_empty())
            {
                waiting.clone_into(&mut self.reason);
            } else if let Some(terminated) = state.get("terminated") {
                self.reason = end_reason(terminated);
                if exit_code(terminated) != 0 {
                    failure = Some(self.reason.clone());
                }
            } else if container["ready"] == true && state.get("running").is_some() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" {
            if running && row.condition("Ready") == Some("True") {
                "Running".clone_into(&mut self.reason);
            } else if let Some(failure) = failure {
                self.reason = failure;
            } else if running {
                "NotReady".clone_into(&mut self.reason);
            }
        }
    }
}

fn exit_code(terminated: &Value) -> i64 {
    terminated["exitCode"].as_i64().unwrap_or(0)
}

fn end_reason(terminated: &Value) -> String {
    match (
        terminated["reason"].as_str().unwrap_or_default(),
        terminated["signal"].as_i64().unwrap_or(0),
    ) {
        ("", 0) => format!("ExitCode:{}", exit_code(terminated)),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

/// When the container last ended before its present run.
fn last_end(container: &Value) -> Option<Timestamp> {
    container["lastState"]["terminated"]["finishedAt"]
        .as_str()
        .and_then(|time| time.parse().ok())
}
