//! What tables show of what makes pods.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::{Column, Row, duration};
use super::{AGE, NAME, boolean, first_few, integer, labels, selector, selector_text, text, wide};

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
