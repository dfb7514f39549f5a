//! The status of a Cluster: conditions and figures.
//!
//! Owns which conditions there are, in which order, and what each says
//! (`recorded/http/03-clusters.txt`, reference 5).
//!
//! Invariant: what is not known leaves the status as it is.

use std::collections::BTreeMap;
use std::time::Duration;

use drover_types::condition::{Condition, Status, find, is_true, set};
use drover_types::management::{Cluster, ClusterInfo, ClusterStatus};
use drover_types::names::LOCAL_CLUSTER;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::provider;
use crate::facts::{Access, Deployed, Facts, Health, Session};
use crate::nodes::Summary;

/// How long a session that ended may be away before the cluster counts as disconnected.
const GRACE: Duration = Duration::from_secs(4);
/// The same after our own start, when all agents have to come back.
const START_GRACE: Duration = Duration::from_secs(15);

/// The order of an imported cluster's conditions.
const IMPORTED: [&str; 18] = [
    "CreatorMadeOwner",
    "InitialRolesPopulated",
    "BackingNamespaceCreated",
    "DefaultProjectCreated",
    "SystemProjectCreated",
    "Pending",
    "Provisioned",
    "Waiting",
    "NoDiskPressure",
    "NoMemoryPressure",
    "ServiceAccountSecretsMigrated",
    "SystemAccountCreated",
    "Updated",
    "AgentDeployed",
    "Connected",
    "AgentTlsStrictCheck",
    "GlobalAdminsSynced",
    "Ready",
];
/// The order of the local cluster's conditions.
const LOCAL: [&str; 16] = [
    "Ready",
    "DefaultProjectCreated",
    "SystemProjectCreated",
    "CreatorMadeOwner",
    "BackingNamespaceCreated",
    "Pending",
    "Provisioned",
    "Waiting",
    "PreBootstrapped",
    "NoDiskPressure",
    "NoMemoryPressure",
    "SystemAccountCreated",
    "Updated",
    "ServiceAccountSecretsMigrated",
    "GlobalAdminsSynced",
    "Connected",
];

/// The status as it should be, and when it may change by itself.
///
/// Called when everything the hub keeps for the cluster has been made.
pub(super) fn next(
    cluster: &Cluster,
    facts: &Facts,
    now: Timestamp,
) -> (ClusterStatus, Option<Timestamp>) {
    let is_local = cluster.metadata.name.as_deref() == Some(LOCAL_CLUSTER);
    let mut status = cluster.status.clone();
    figures(&mut status, facts, is_local);
    let mut writer = Writer {
        conditions: std::mem::take(&mut status.conditions),
        now,
    };
    let again = if is_local {
        local(&mut writer, facts)
    } else {
        imported(&mut writer, &status.driver, facts, now)
    };
    status.conditions = writer.in_order(if is_local { &LOCAL } else { &IMPORTED });
    (status, again)
}

struct Writer {
    conditions: Vec<Condition>,
    now: Timestamp,
}

impl Writer {
    fn yes(&mut self, kind: &str) {
        set(&mut self.conditions, kind, Status::True, "", "", self.now);
    }

    fn set(&mut self, kind: &str, status: Status, reason: &str, message: &str) {
        set(
            &mut self.conditions,
            kind,
            status,
            reason,
            message,
            self.now,
        );
    }

    /// Unknown, as Rancher writes it at first: without a time.
    fn open(&mut self, kind: &str) {
        if find(&self.conditions, kind).is_none() {
            let condition = Condition {
                kind: kind.to_owned(),
                status: Status::Unknown.as_str().to_owned(),
                ..Condition::default()
            };
            self.conditions.push(condition);
        }
    }

    fn holds(&self, kind: &str) -> bool {
        is_true(&self.conditions, kind)
    }

    /// Known conditions in their order, foreign ones after them as they came.
    fn in_order(mut self, order: &[&str]) -> Vec<Condition> {
        let place = |condition: &Condition| {
            order
                .iter()
                .position(|kind| *kind == condition.kind)
                .unwrap_or(order.len())
        };
        self.conditions.sort_by_key(place);
        self.conditions
    }
}

fn imported(writer: &mut Writer, driver: &str, facts: &Facts, now: Timestamp) -> Option<Timestamp> {
    for kind in IMPORTED.iter().take(5) {
        writer.yes(kind);
    }
    if driver.is_empty() {
        writer.open("Pending");
        writer.open("Provisioned");
    } else {
        writer.yes("Pending");
        writer.yes("Provisioned");
    }
    rights(writer, &facts.access);
    if !writer.holds("Waiting") {
        match &facts.health {
            // What no longer waits is `active`, so at first people's rights must be there.
            Health::Good if writer.holds("GlobalAdminsSynced") => writer.yes("Waiting"),
            Health::Good | Health::Unknown | Health::Bad(_) => {
                writer.set(
                    "Waiting",
                    Status::Unknown,
                    "",
                    "Waiting for API to be available",
                );
            }
        }
    }
    pressures(writer, facts.summary.as_ref());
    writer.yes("ServiceAccountSecretsMigrated");
    match &facts.deployed {
        Deployed::Unknown => {}
        Deployed::Yes { .. } => {
            writer.yes("SystemAccountCreated");
            writer.yes("AgentDeployed");
        }
        Deployed::Failed(message) => {
            let message = format!(
                "Error while applying agent YAML, it will be retried automatically: {message}"
            );
            writer.set("AgentDeployed", Status::False, "Error", &message);
        }
    }
    if let Some(strict) = facts.tls_strict {
        writer.set(
            "AgentTlsStrictCheck",
            if strict { Status::True } else { Status::False },
            "",
            "",
        );
    }
    let (connected, again) = connection(writer, &facts.session, now);
    match connected {
        Some(true) => {
            writer.yes("Connected");
            match &facts.health {
                // Ready means that people can work in it, so at first their rights must be there.
                Health::Good if writer.holds("GlobalAdminsSynced") || writer.holds("Ready") => {
                    writer.yes("Ready");
                    // What was asked of it has been done; Terraform makes no project before.
                    writer.yes("Updated");
                }
                Health::Good => {}
                // By the peer's rules for states, `Error` makes it `error` (reference 5).
                Health::Bad(message) => writer.set("Ready", Status::False, "Error", message),
                Health::Unknown => {}
            }
        }
        Some(false) => {
            writer.set("Connected", Status::False, "", "");
            writer.set(
                "Ready",
                Status::False,
                "Disconnected",
                "Cluster agent is not connected",
            );
        }
        None => {}
    }
    again
}

/// Whether the cluster is connected, if that can be told, and when it can be told anew.
fn connection(
    writer: &Writer,
    session: &Session,
    now: Timestamp,
) -> (Option<bool>, Option<Timestamp>) {
    let (since, grace) = match session {
        Session::Live => return (Some(true), None),
        Session::Lost { since } => (*since, GRACE),
        Session::Unseen { since } => (*since, START_GRACE),
    };
    if find(&writer.conditions, "Connected").is_none() {
        // Never was, so it cannot be lost.
        return (None, None);
    }
    let limit = since + grace;
    if now < limit {
        (None, Some(limit))
    } else {
        (Some(false), None)
    }
}

fn local(writer: &mut Writer, facts: &Facts) -> Option<Timestamp> {
    match &facts.health {
        // We have just read the API to get here.
        Health::Good | Health::Unknown => writer.yes("Ready"),
        Health::Bad(message) => writer.set("Ready", Status::False, "Error", message),
    }
    for kind in [
        "DefaultProjectCreated",
        "SystemProjectCreated",
        "CreatorMadeOwner",
        "BackingNamespaceCreated",
    ] {
        writer.yes(kind);
    }
    for kind in ["Pending", "Provisioned", "Waiting"] {
        writer.yes(kind);
    }
    writer.open("PreBootstrapped");
    pressures(writer, facts.summary.as_ref());
    for kind in [
        "SystemAccountCreated",
        "Updated",
        "ServiceAccountSecretsMigrated",
        "Connected",
    ] {
        writer.yes(kind);
    }
    rights(writer, &facts.access);
    None
}

/// Whether the roles of the virtual groups are in the cluster.
fn rights(writer: &mut Writer, access: &Access) {
    match access {
        Access::Unknown | Access::Written { .. } => {}
        Access::Given => writer.yes("GlobalAdminsSynced"),
        Access::Failed(message) => {
            writer.set("GlobalAdminsSynced", Status::False, "Error", message);
        }
    }
}

fn pressures(writer: &mut Writer, summary: Option<&Summary>) {
    let kinds = [("NoDiskPressure", "disk"), ("NoMemoryPressure", "memory")];
    for (kind, what) in kinds {
        let nodes = match (summary, what) {
            (None, _) => {
                if find(&writer.conditions, kind).is_none() {
                    writer.yes(kind);
                }
                continue;
            }
            (Some(summary), "disk") => &summary.disk_pressure,
            (Some(summary), _) => &summary.memory_pressure,
        };
        if nodes.is_empty() {
            writer.yes(kind);
        } else {
            writer.set(
                kind,
                Status::False,
                "",
                &format!("{what} pressure on {}", nodes.join(", ")),
            );
        }
    }
}

/// Everything but conditions.
fn figures(status: &mut ClusterStatus, facts: &Facts, is_local: bool) {
    let none: BTreeMap<String, String> = ["cpu", "memory", "pods"]
        .map(|name| (name.to_owned(), "0".to_owned()))
        .into();
    for sums in [
        &mut status.capacity,
        &mut status.allocatable,
        &mut status.requested,
        &mut status.limits,
    ] {
        if sums.is_empty() {
            sums.clone_from(&none);
        }
    }
    for (name, value) in constants() {
        status.other.entry(name).or_insert(value);
    }
    if is_local && status.driver.is_empty() {
        "imported".clone_into(&mut status.driver);
    }
    let info = status.info.get_or_insert_with(ClusterInfo::default);
    (if is_local { "local" } else { "imported" }).clone_into(&mut info.machine_provider);
    if let Some(version) = &facts.version {
        let mut version = version.clone();
        // They differ from replica to replica of one control plane.
        for name in ["buildDate", "platform"] {
            version[name] = json!("");
        }
        status.version = Some(version);
    }
    if let Some(version) = provider::version(facts) {
        version.clone_into(&mut info.kubernetes_version);
        if let Some(driver) =
            provider::driver(version).filter(|_| status.driver == "imported" && !is_local)
        {
            driver.clone_into(&mut status.driver);
        }
    }
    if let Some(provider) = provider::of(facts).filter(|_| status.provider.is_empty()) {
        provider.clone_into(&mut status.provider);
    }
    if let Some(summary) = &facts.summary {
        info.node_count = summary.n_nodes;
        summary.arch.clone_into(&mut info.arch);
        status.node_count = summary.n_nodes;
        status.linux_worker_count = summary.n_linux_workers;
        status.windows_worker_count = summary.n_windows_workers;
        status.capacity = summary.capacity.clone();
        status.allocatable = summary.allocatable.clone();
        status.requested = summary.requested.clone();
        status.limits = summary.limits.clone();
    }
    if let Deployed::Yes { image } = &facts.deployed {
        image.clone_into(&mut status.agent_image);
    }
}

/// Fields that say nothing about an imported cluster but are there (`recorded/http/06-v1.txt`).
fn constants() -> Map<String, Value> {
    let constants = json!({
        "aksStatus": { "privateRequiresTunnel": null, "rbacEnabled": null, "upstreamSpec": null },
        "aliStatus": { "privateRequiresTunnel": null, "upstreamSpec": null },
        "appliedEnableNetworkPolicy": false,
        "appliedSpec": {
            "agentImageOverride": "", "clusterSecrets": {}, "description": "", "desiredAgentImage": "",
            "desiredAuthImage": "", "displayName": "", "enableNetworkPolicy": null, "internal": false,
            "localClusterAuthEndpoint": { "enabled": false }, "windowsPreferedCluster": false,
        },
        "authImage": "",
        "capabilities": { "loadBalancerCapabilities": {} },
        "eksStatus": {
            "generatedNodeRole": "", "managedLaunchTemplateID": "", "managedLaunchTemplateVersions": null,
            "privateRequiresTunnel": null, "securityGroups": null, "subnets": null, "upstreamSpec": null,
            "virtualNetwork": "",
        },
        "gkeStatus": { "privateRequiresTunnel": null, "upstreamSpec": null },
    });
    match constants {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}
