//! What tables show of the built-in kinds.
//!
//! Owns the columns and cells per kind; everything else shows name and age.
//! Columns and formats are those that a kube-apiserver 1.36.3 answers.

use serde_json::{Value, json};

use super::{Column, Row};

mod autoscaling;
mod network;
mod pods;
mod policies;
mod storage;
mod workloads;

/// The columns of one kind and how a row's cells are made.
#[derive(Clone, Copy)]
pub(crate) struct Printer {
    pub(crate) columns: &'static [Column],
    pub(crate) cells: fn(&Row<'_>) -> Vec<Value>,
}

/// A column of text.
const fn text(name: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        format: "",
        priority: 0,
    }
}

/// A column of text that only wide output shows.
const fn wide(name: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        format: "",
        priority: 1,
    }
}

const fn integer(name: &'static str) -> Column {
    Column {
        name,
        kind: "integer",
        format: "",
        priority: 0,
    }
}

const fn boolean(name: &'static str) -> Column {
    Column {
        name,
        kind: "boolean",
        format: "",
        priority: 0,
    }
}

const NAME: Column = Column {
    name: "Name",
    kind: "string",
    format: "name",
    priority: 0,
};
const AGE: Column = text("Age");

/// The printer of a built-in kind; `None` for kinds with name and age only.
pub(crate) fn printer(group: &str, resource: &str) -> Option<Printer> {
    let printer = |columns, cells| Some(Printer { columns, cells });
    match (group, resource) {
        ("", "pods") => printer(pods::POD, pods::pod),
        ("", "podtemplates") => printer(workloads::POD_TEMPLATE, workloads::pod_template),
        ("", "replicationcontrollers") | ("apps", "replicasets") => {
            printer(workloads::REPLICAS, workloads::replicas)
        }
        ("apps", "deployments") => printer(workloads::DEPLOYMENT, workloads::deployment),
        ("apps", "daemonsets") => printer(workloads::DAEMON_SET, workloads::daemon_set),
        ("apps", "statefulsets") => printer(workloads::STATEFUL_SET, workloads::stateful_set),
        ("apps", "controllerrevisions") => printer(workloads::REVISION, workloads::revision),
        ("batch", "jobs") => printer(workloads::JOB, workloads::job),
        ("batch", "cronjobs") => printer(workloads::CRON_JOB, workloads::cron_job),
        ("autoscaling", "horizontalpodautoscalers") => {
            printer(autoscaling::AUTOSCALER, autoscaling::autoscaler)
        }
        ("policy", "poddisruptionbudgets") => printer(workloads::BUDGET, workloads::budget),
        ("", "nodes") => printer(NODE, node),
        ("", "events") | ("events.k8s.io", "events") => printer(EVENT, event),
        ("", "namespaces") => printer(const { &[NAME, text("Status"), AGE] }, |row| {
            vec![row.name(), row.text("/status/phase"), row.age()]
        }),
        ("", "secrets") => printer(const { &[NAME, text("Type"), text("Data"), AGE] }, |row| {
            vec![
                row.name(),
                row.text("/type"),
                json!(row.size("/data")),
                row.age(),
            ]
        }),
        ("", "configmaps") => printer(const { &[NAME, text("Data"), AGE] }, |row| {
            vec![
                row.name(),
                json!(row.size("/data") + row.size("/binaryData")),
                row.age(),
            ]
        }),
        ("", "serviceaccounts") => {
            printer(const { &[NAME, AGE] }, |row| vec![row.name(), row.age()])
        }
        ("", "services") => printer(network::SERVICE, network::service),
        ("", "endpoints") => printer(const { &[NAME, text("Endpoints"), AGE] }, |row| {
            vec![row.name(), json!(network::endpoints(row)), row.age()]
        }),
        ("discovery.k8s.io", "endpointslices") => printer(
            const {
                &[
                    NAME,
                    text("AddressType"),
                    text("Ports"),
                    text("Endpoints"),
                    AGE,
                ]
            },
            network::endpoint_slice,
        ),
        ("networking.k8s.io", "ingresses") => printer(
            const {
                &[
                    NAME,
                    text("Class"),
                    text("Hosts"),
                    text("Address"),
                    text("Ports"),
                    AGE,
                ]
            },
            network::ingress,
        ),
        ("", "persistentvolumes") => printer(storage::VOLUME, storage::volume),
        ("", "persistentvolumeclaims") => printer(storage::CLAIM, storage::claim),
        ("", "resourcequotas") => printer(
            const { &[NAME, text("Request"), text("Limit"), AGE] },
            quota,
        ),
        ("", "componentstatuses") => printer(
            const { &[NAME, text("Status"), text("Message"), text("Error")] },
            component_status,
        ),
        ("", "limitranges") => None,
        _ => policies::printer(group, resource),
    }
}

/// The columns of a `scale` subresource.
pub(crate) const SCALE: Printer = Printer {
    columns: &[text("Name"), integer("Desired"), integer("Available"), AGE],
    cells: |row| {
        vec![
            row.name(),
            row.number("/spec/replicas"),
            row.number("/status/replicas"),
            row.age(),
        ]
    },
};

const NODE: &[Column] = &[
    NAME,
    text("Status"),
    text("Roles"),
    AGE,
    text("Version"),
    wide("Internal-IP"),
    wide("External-IP"),
    wide("OS-Image"),
    wide("Kernel-Version"),
    wide("Container-Runtime"),
];

fn node(row: &Row<'_>) -> Vec<Value> {
    let mut status = match row.condition("Ready") {
        None => "Unknown",
        Some("True") => "Ready",
        Some(_) => "NotReady",
    }
    .to_owned();
    if row.flag("/spec/unschedulable") {
        status.push_str(",SchedulingDisabled");
    }
    let mut roles = row
        .members("/metadata/labels")
        .filter_map(
            |(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
                Some(role) => Some(role).filter(|role| !role.is_empty()),
                None => value
                    .as_str()
                    .filter(|role| key == "kubernetes.io/role" && !role.is_empty()),
            },
        )
        .collect::<Vec<_>>();
    roles.sort_unstable();
    roles.dedup();
    let address = |kind: &str| {
        row.items("/status/addresses")
            .find(|address| address["type"] == kind)
            .map_or_else(|| json!("<none>"), |address| address["address"].clone())
    };
    let info = |field: &str| row.text_or(&format!("/status/nodeInfo/{field}"), "<unknown>");
    let mut kernel = info("kernelVersion");
    if let Some(architecture) = row.string("/status/nodeInfo/architecture") {
        kernel = format!("{kernel} ({architecture})");
    }
    vec![
        row.name(),
        json!(status),
        json!(or_none(roles.join(","))),
        row.age(),
        row.text("/status/nodeInfo/kubeletVersion"),
        address("InternalIP"),
        address("ExternalIP"),
        json!(info("osImage")),
        json!(kernel),
        json!(info("containerRuntimeVersion")),
    ]
}

const EVENT: &[Column] = &[
    text("Last Seen"),
    text("Type"),
    text("Reason"),
    text("Object"),
    wide("Subobject"),
    wide("Source"),
    text("Message"),
    wide("First Seen"),
    wide("Count"),
    Column {
        name: "Name",
        kind: "string",
        format: "name",
        priority: 1,
    },
];

/// Either form of an event; the newer one renames most members.
fn event(row: &Row<'_>) -> Vec<Value> {
    let either = |one: &str, other: &str| row.string(one).or_else(|| row.string(other));
    let time =
        |path: &str, other: &str| either(path, other).map(|_| row.since(either(path, other)));
    let first = time("/firstTimestamp", "/deprecatedFirstTimestamp")
        .unwrap_or_else(|| row.since(row.string("/eventTime")));
    let mut last =
        time("/lastTimestamp", "/deprecatedLastTimestamp").unwrap_or_else(|| first.clone());
    let mut count = row
        .integer("/count")
        .or_else(|| row.integer("/deprecatedCount"))
        .filter(|count| *count != 0)
        .unwrap_or(1);
    if row.at("/series").is_some() {
        last = row.since(row.string("/series/lastObservedTime"));
        count = row.integer("/series/count").unwrap_or(0);
    }
    let about = if row.at("/regarding").is_some() {
        "/regarding"
    } else {
        "/involvedObject"
    };
    let kind = row.text_or(&format!("{about}/kind"), "").to_lowercase();
    let object = match row.string(&format!("{about}/name")) {
        Some(name) => format!("{kind}/{name}"),
        None => kind,
    };
    let component = either("/source/component", "/deprecatedSource/component")
        .or_else(|| either("/reportingComponent", "/reportingController"));
    let host = either("/source/host", "/deprecatedSource/host")
        .or_else(|| row.string("/reportingInstance"));
    let source = match host {
        Some(host) => format!("{}, {host}", component.unwrap_or_default()),
        None => component.unwrap_or_default().to_owned(),
    };
    vec![
        json!(last),
        row.text("/type"),
        row.text("/reason"),
        json!(object),
        row.text(&format!("{about}/fieldPath")),
        json!(source),
        json!(either("/message", "/note").unwrap_or_default().trim()),
        json!(first),
        json!(count),
        row.name(),
    ]
}

fn quota(row: &Row<'_>) -> Vec<Value> {
    let mut hard = row.members("/status/hard").collect::<Vec<_>>();
    hard.sort_unstable_by_key(|(resource, _)| resource.as_str());
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (resource, value) in hard {
        let used = row
            .at("/status/used")
            .and_then(|used| used.get(resource))
            .and_then(Value::as_str)
            .unwrap_or("0");
        let column = if resource.starts_with("limits.") {
            &mut limits
        } else {
            &mut requests
        };
        column.push(format!(
            "{resource}: {used}/{}",
            value.as_str().unwrap_or_default()
        ));
    }
    vec![
        row.name(),
        json!(requests.join(", ")),
        json!(limits.join(", ")),
        row.age(),
    ]
}

fn component_status(row: &Row<'_>) -> Vec<Value> {
    let healthy = row
        .items("/conditions")
        .find(|condition| condition["type"] == "Healthy");
    let field = |name: &str| {
        healthy
            .and_then(|healthy| healthy[name].as_str())
            .unwrap_or_default()
    };
    let status = match field("status") {
        "" => "Unknown",
        "True" => "Healthy",
        _ => "Unhealthy",
    };
    vec![
        row.name(),
        json!(status),
        json!(field("message")),
        json!(field("error")),
    ]
}

/// `<none>` in place of nothing.
fn or_none(text: String) -> String {
    if text.is_empty() {
        "<none>".to_owned()
    } else {
        text
    }
}

/// The first `shown` entries and how many more there are.
fn first_few(all: &[String], shown: usize) -> String {
    if all.len() > shown {
        format!("{} + {} more...", all[..shown].join(","), all.len() - shown)
    } else {
        all.join(",")
    }
}

/// A set of labels as `key=value` pairs.
fn labels(set: Option<&Value>) -> String {
    let mut pairs = set
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect::<Vec<_>>();
    pairs.sort_unstable();
    or_none(pairs.join(","))
}

/// A label selector in its text form.
fn selector(selector: Option<&Value>) -> String {
    let text = selector_text(selector);
    if selector.is_some() {
        or_none(text)
    } else {
        "<none>".to_owned()
    }
}

/// A label selector in its text form, empty for one that selects all.
fn selector_text(selector: Option<&Value>) -> String {
    let Some(selector) = selector else {
        return String::new();
    };
    let mut requirements = selector["matchLabels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| {
            (
                key.clone(),
                format!("{key}={}", value.as_str().unwrap_or_default()),
            )
        })
        .collect::<Vec<_>>();
    for expression in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let key = expression["key"].as_str().unwrap_or_default();
        let mut values = expression["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>();
        values.sort_unstable();
        let values = values.join(",");
        let text = match expression["operator"].as_str().unwrap_or_default() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        };
        requirements.push((key.to_owned(), text));
    }
    requirements.sort_by(|(one, _), (other, _)| one.cmp(other));
    requirements
        .into_iter()
        .map(|(_, text)| text)
        .collect::<Vec<_>>()
        .join(",")
}
