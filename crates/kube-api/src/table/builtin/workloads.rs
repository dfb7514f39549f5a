//! What tables show of pods and of what makes pods.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::{Column, Row, duration};
use super::{
    AGE, NAME, boolean, first_few, integer, labels, or_none, selector, selector_text, text, wide,
};

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

pub(super) const POD_TEMPLATE: &[Column] =
    &[NAME, text("Containers"), text("Images"), text("Pod Labels")];

pub(super) fn pod_template(row: &Row<'_>) -> Vec<Value> {
    let [names, images] = containers(row, "/template/spec/containers");
    vec![
        row.name(),
        names,
        images,
        json!(labels(row.at("/template/metadata/labels"))),
    ]
}

pub(super) const REPLICAS: &[Column] = &[
    NAME,
    integer("Desired"),
    integer("Current"),
    integer("Ready"),
    AGE,
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

/// Replica sets and replication controllers; the latter select by plain labels.
pub(super) fn replicas(row: &Row<'_>) -> Vec<Value> {
    let [names, images] = containers(row, "/spec/template/spec/containers");
    let plain = row.object["kind"] == "ReplicationController";
    let chosen = if plain {
        labels(row.at("/spec/selector"))
    } else {
        selector(row.at("/spec/selector"))
    };
    vec![
        row.name(),
        row.number("/spec/replicas"),
        row.number("/status/replicas"),
        row.number("/status/readyReplicas"),
        row.age(),
        names,
        images,
        json!(chosen),
    ]
}

pub(super) const DEPLOYMENT: &[Column] = &[
    NAME,
    text("Ready"),
    text("Up-to-date"),
    text("Available"),
    AGE,
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

pub(super) fn deployment(row: &Row<'_>) -> Vec<Value> {
    let [names, images] = containers(row, "/spec/template/spec/containers");
    vec![
        row.name(),
        json!(ready_of_desired(row)),
        row.number("/status/updatedReplicas"),
        row.number("/status/availableReplicas"),
        row.age(),
        names,
        images,
        json!(selector_text(row.at("/spec/selector"))),
    ]
}

fn ready_of_desired(row: &Row<'_>) -> String {
    format!(
        "{}/{}",
        row.number("/status/readyReplicas"),
        row.number("/spec/replicas")
    )
}

pub(super) const DAEMON_SET: &[Column] = &[
    NAME,
    integer("Desired"),
    integer("Current"),
    integer("Ready"),
    integer("Up-to-date"),
    integer("Available"),
    text("Node Selector"),
    AGE,
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

pub(super) fn daemon_set(row: &Row<'_>) -> Vec<Value> {
    let [names, images] = containers(row, "/spec/template/spec/containers");
    vec![
        row.name(),
        row.number("/status/desiredNumberScheduled"),
        row.number("/status/currentNumberScheduled"),
        row.number("/status/numberReady"),
        row.number("/status/updatedNumberScheduled"),
        row.number("/status/numberAvailable"),
        json!(labels(row.at("/spec/template/spec/nodeSelector"))),
        row.age(),
        names,
        images,
        json!(selector(row.at("/spec/selector"))),
    ]
}

pub(super) const STATEFUL_SET: &[Column] =
    &[NAME, text("Ready"), AGE, wide("Containers"), wide("Images")];

pub(super) fn stateful_set(row: &Row<'_>) -> Vec<Value> {
    let [names, images] = containers(row, "/spec/template/spec/containers");
    vec![
        row.name(),
        json!(ready_of_desired(row)),
        row.age(),
        names,
        images,
    ]
}

pub(super) const REVISION: &[Column] = &[NAME, text("Controller"), text("Revision"), AGE];

pub(super) fn revision(row: &Row<'_>) -> Vec<Value> {
    let controller = row
        .items("/metadata/ownerReferences")
        .find(|owner| owner["controller"] == true)
        .map(|owner| {
            let kind = owner["kind"].as_str().unwrap_or_default();
            let name = owner["name"].as_str().unwrap_or_default();
            let kind = match owner["apiVersion"]
                .as_str()
                .and_then(|version| version.split_once('/'))
            {
                Some((group, _)) => format!("{kind}.{group}"),
                None => kind.to_owned(),
            };
            format!("{}/{name}", kind.to_lowercase())
        });
    vec![
        row.name(),
        json!(controller.as_deref().unwrap_or("<none>")),
        row.number("/revision"),
        row.age(),
    ]
}

pub(super) const JOB: &[Column] = &[
    NAME,
    text("Status"),
    text("Completions"),
    text("Duration"),
    AGE,
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

pub(super) fn job(row: &Row<'_>) -> Vec<Value> {
    let succeeded = row.integer("/status/succeeded").unwrap_or(0);
    let completions = match (
        row.integer("/spec/completions"),
        row.integer("/spec/parallelism").unwrap_or(0),
    ) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, parallelism) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    };
    let time = |path: &str| {
        row.string(path)
            .and_then(|time| time.parse::<Timestamp>().ok())
    };
    let ran = time("/status/startTime").map_or_else(String::new, |start| {
        let end = time("/status/completionTime").unwrap_or(row.now);
        duration::short(duration::whole_seconds(start, end))
    });
    let is = |condition: &str| row.condition(condition) == Some("True");
    let status = if is("Complete") {
        "Complete"
    } else if is("Failed") {
        "Failed"
    } else if row.at("/metadata/deletionTimestamp").is_some() {
        "Terminating"
    } else if is("Suspended") {
        "Suspended"
    } else if is("FailureTarget") {
        "FailureTarget"
    } else if is("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    };
    let [names, images] = containers(row, "/spec/template/spec/containers");
    vec![
        row.name(),
        json!(status),
        json!(completions),
        json!(ran),
        row.age(),
        names,
        images,
        json!(selector(row.at("/spec/selector"))),
    ]
}

pub(super) const CRON_JOB: &[Column] = &[
    NAME,
    text("Schedule"),
    text("Timezone"),
    boolean("Suspend"),
    integer("Active"),
    text("Last Schedule"),
    AGE,
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

pub(super) fn cron_job(row: &Row<'_>) -> Vec<Value> {
    let suspend = match row.at("/spec/suspend").and_then(Value::as_bool) {
        None => "<unset>",
        Some(true) => "True",
        Some(false) => "False",
    };
    let last = row.string("/status/lastScheduleTime");
    let [names, images] = containers(row, "/spec/jobTemplate/spec/template/spec/containers");
    vec![
        row.name(),
        row.text("/spec/schedule"),
        json!(row.text_or("/spec/timeZone", "<none>")),
        json!(suspend),
        json!(row.items("/status/active").count()),
        json!(last.map_or_else(|| "<none>".to_owned(), |last| row.since(Some(last)))),
        row.age(),
        names,
        images,
        json!(selector(row.at("/spec/jobTemplate/spec/selector"))),
    ]
}

pub(super) const BUDGET: &[Column] = &[
    NAME,
    text("Min Available"),
    text("Max Unavailable"),
    integer("Allowed Disruptions"),
    AGE,
];

pub(super) fn budget(row: &Row<'_>) -> Vec<Value> {
    let bound = |path: &str| match row.at(path) {
        Some(Value::String(text)) => text.clone(),
        Some(number) => number.to_string(),
        None => "N/A".to_owned(),
    };
    vec![
        row.name(),
        json!(bound("/spec/minAvailable")),
        json!(bound("/spec/maxUnavailable")),
        row.number("/status/disruptionsAllowed"),
        row.age(),
    ]
}

pub(super) const AUTOSCALER: &[Column] = &[
    NAME,
    text("Reference"),
    text("Targets"),
    text("MinPods"),
    text("MaxPods"),
    text("Replicas"),
    AGE,
];

pub(super) fn autoscaler(row: &Row<'_>) -> Vec<Value> {
    const SHOWN: usize = 2;
    let target = format!(
        "{}/{}",
        row.text_or("/spec/scaleTargetRef/kind", ""),
        row.text_or("/spec/scaleTargetRef/name", "")
    );
    let minimum = row
        .integer("/spec/minReplicas")
        .map_or_else(|| "<unset>".to_owned(), |minimum| minimum.to_string());
    let metrics = metrics(row);
    let metrics = if metrics.len() > SHOWN {
        format!(
            "{} + {} more...",
            metrics[..SHOWN].join(", "),
            metrics.len() - SHOWN
        )
    } else {
        or_none(metrics.join(", "))
    };
    vec![
        row.name(),
        json!(target),
        json!(metrics),
        json!(minimum),
        row.number("/spec/maxReplicas"),
        row.number("/status/currentReplicas"),
        row.age(),
    ]
}

fn metrics(row: &Row<'_>) -> Vec<String> {
    if row.at("/spec/targetCPUUtilizationPercentage").is_some()
        || row.object["apiVersion"] == "autoscaling/v1"
    {
        let percent = |path: &str, none: &str| {
            row.integer(path)
                .map_or_else(|| none.to_owned(), |value| format!("{value}%"))
        };
        return match row.at("/spec/targetCPUUtilizationPercentage") {
            None => Vec::new(),
            Some(_) => vec![format!(
                "cpu: {}/{}",
                percent("/status/currentCPUUtilizationPercentage", "<unknown>"),
                percent("/spec/targetCPUUtilizationPercentage", "<auto>")
            )],
        };
    }
    let statuses = row.items("/status/currentMetrics").collect::<Vec<_>>();
    row.items("/spec/metrics")
        .enumerate()
        .map(|(index, metric)| one_metric(metric, statuses.get(index).copied()))
        .collect()
}

fn one_metric(metric: &Value, status: Option<&Value>) -> String {
    let (field, named) = match metric["type"].as_str().unwrap_or_default() {
        "External" => ("external", false),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        _ => return "<unknown type>".to_owned(),
    };
    let source = &metric[field];
    let target = &source["target"];
    let current = status.map(|status| &status[field]["current"]);
    let current_text = |name: &str| {
        current
            .and_then(|current| current[name].as_str())
            .unwrap_or("<unknown>")
            .to_owned()
    };
    let prefix = if named {
        format!("{}: ", source["name"].as_str().unwrap_or_default())
    } else {
        String::new()
    };
    let average = target["averageValue"].as_str();
    match (average, named, field) {
        (Some(average), true, _) | (Some(average), _, "pods") => {
            format!("{prefix}{}/{average}", current_text("averageValue"))
        }
        (Some(average), ..) => format!("{}/{average} (avg)", current_text("averageValue")),
        (None, true, _) => {
            let now = current.and_then(|current| current["averageUtilization"].as_i64());
            let now = now.map_or_else(|| "<unknown>".to_owned(), |now| format!("{now}%"));
            let wanted = target["averageUtilization"]
                .as_i64()
                .map_or_else(|| "<auto>".to_owned(), |wanted| format!("{wanted}%"));
            format!("{prefix}{now}/{wanted}")
        }
        (None, false, _) => format!(
            "{}/{}",
            current_text("value"),
            target["value"].as_str().unwrap_or("0")
        ),
    }
}

/// The names and the images of the containers at `path`.
fn containers(row: &Row<'_>, path: &str) -> [Value; 2] {
    ["name", "image"].map(|field| {
        let all = row
            .items(path)
            .map(|container| container[field].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>();
        json!(first_few(&all, usize::MAX))
    })
}
