//! What tables show of access rules, classes, leases and other small kinds.

use serde_json::{Value, json};

use super::super::{Column, Row, duration};
use super::{AGE, NAME, Printer, boolean, integer, or_none, selector, text, wide};

/// The printer of one of the kinds here.
pub(super) fn printer(group: &str, resource: &str) -> Option<Printer> {
    let printer = |columns, cells| Some(Printer { columns, cells });
    match (group, resource) {
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            printer(BINDING, binding)
        }
        ("rbac.authorization.k8s.io", "roles" | "clusterroles") => printer(ROLE, role),
        ("networking.k8s.io", "networkpolicies") => {
            printer(const { &[NAME, text("Pod-Selector"), AGE] }, |row| {
                vec![
                    row.name(),
                    json!(selector(row.at("/spec/podSelector"))),
                    row.age(),
                ]
            })
        }
        ("networking.k8s.io", "ingressclasses") => printer(
            const { &[NAME, text("Controller"), text("Parameters"), AGE] },
            ingress_class,
        ),
        ("networking.k8s.io", "servicecidrs") => {
            printer(const { &[NAME, text("CIDRs"), AGE] }, |row| {
                vec![
                    row.name(),
                    json!(row.strings("/spec/cidrs").join(",")),
                    row.age(),
                ]
            })
        }
        ("networking.k8s.io", "ipaddresses") => {
            printer(const { &[NAME, text("ParentRef"), AGE] }, ip_address)
        }
        ("coordination.k8s.io", "leases") => {
            printer(const { &[NAME, text("Holder"), AGE] }, |row| {
                vec![row.name(), row.text("/spec/holderIdentity"), row.age()]
            })
        }
        ("storage.k8s.io", "storageclasses") => printer(STORAGE_CLASS, storage_class),
        ("storage.k8s.io", "volumeattributesclasses") => {
            printer(const { &[NAME, text("DriverName"), AGE] }, |row| {
                vec![row.name(), row.text("/driverName"), row.age()]
            })
        }
        ("storage.k8s.io", "volumeattachments") => printer(ATTACHMENT, |row| {
            vec![
                row.name(),
                row.text("/spec/attacher"),
                row.text("/spec/source/persistentVolumeName"),
                row.text("/spec/nodeName"),
                json!(row.flag("/status/attached")),
                row.age(),
            ]
        }),
        ("storage.k8s.io", "csinodes") => {
            printer(const { &[NAME, integer("Drivers"), AGE] }, |row| {
                vec![
                    row.name(),
                    json!(row.items("/spec/drivers").count()),
                    row.age(),
                ]
            })
        }
        ("storage.k8s.io", "csidrivers") => printer(CSI_DRIVER, csi_driver),
        ("storage.k8s.io", "csistoragecapacities") => printer(
            const { &[NAME, text("StorageClassName"), text("Capacity")] },
            |row| {
                vec![
                    row.name(),
                    row.text("/storageClassName"),
                    json!(row.text_or("/capacity", "<unset>")),
                ]
            },
        ),
        ("scheduling.k8s.io", "priorityclasses") => printer(PRIORITY, |row| {
            vec![
                row.name(),
                row.number("/value"),
                json!(row.flag("/globalDefault")),
                row.age(),
                row.text("/preemptionPolicy"),
            ]
        }),
        ("node.k8s.io", "runtimeclasses") => {
            printer(const { &[NAME, text("Handler"), AGE] }, |row| {
                vec![row.name(), row.text("/handler"), row.age()]
            })
        }
        ("certificates.k8s.io", "certificatesigningrequests") => {
            printer(SIGNING_REQUEST, signing_request)
        }
        ("admissionregistration.k8s.io", resource) => admission(resource),
        ("flowcontrol.apiserver.k8s.io", "flowschemas") => printer(FLOW_SCHEMA, flow_schema),
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations") => {
            printer(PRIORITY_LEVEL, priority_level)
        }
        ("resource.k8s.io", "resourceclaims") => {
            printer(const { &[NAME, text("State"), AGE] }, resource_claim)
        }
        ("resource.k8s.io", "deviceclasses" | "resourceclaimtemplates") => {
            printer(const { &[NAME, AGE] }, |row| vec![row.name(), row.age()])
        }
        ("resource.k8s.io", "resourceslices") => printer(
            const { &[NAME, text("Node"), text("Driver"), text("Pool"), AGE] },
            |row| {
                vec![
                    row.name(),
                    row.text("/spec/nodeName"),
                    row.text("/spec/driver"),
                    row.text("/spec/pool/name"),
                    row.age(),
                ]
            },
        ),
        ("apiextensions.k8s.io", "customresourcedefinitions") => {
            printer(const { &[NAME, text("Created At")] }, |row| {
                vec![row.name(), row.text("/metadata/creationTimestamp")]
            })
        }
        ("apiregistration.k8s.io", "apiservices") => printer(
            const { &[NAME, text("Service"), text("Available"), AGE] },
            api_service,
        ),
        _ => None,
    }
}

const ROLE: &[Column] = &[NAME, text("Created At")];

fn role(row: &Row<'_>) -> Vec<Value> {
    vec![row.name(), row.text("/metadata/creationTimestamp")]
}

const BINDING: &[Column] = &[
    NAME,
    text("Role"),
    AGE,
    wide("Users"),
    wide("Groups"),
    wide("ServiceAccounts"),
];

fn binding(row: &Row<'_>) -> Vec<Value> {
    let role = format!(
        "{}/{}",
        row.text_or("/roleRef/kind", ""),
        row.text_or("/roleRef/name", "")
    );
    let subjects = |kind: &str| {
        let names = row
            .items("/subjects")
            .filter(|subject| subject["kind"] == kind)
            .map(|subject| {
                let name = subject["name"].as_str().unwrap_or_default();
                match subject["namespace"]
                    .as_str()
                    .filter(|_| kind == "ServiceAccount")
                {
                    Some(namespace) => format!("{namespace}/{name}"),
                    None => name.to_owned(),
                }
            });
        json!(names.collect::<Vec<_>>().join(", "))
    };
    vec![
        row.name(),
        json!(role),
        row.age(),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}

/// The name, marked when an annotation makes the class the default.
fn class_name(row: &Row<'_>, annotations: &[&str]) -> Value {
    let marked = row
        .members("/metadata/annotations")
        .any(|(key, value)| annotations.contains(&key.as_str()) && value == "true");
    let name = row.text_or("/metadata/name", "");
    json!(if marked {
        format!("{name} (default)")
    } else {
        name
    })
}

fn ingress_class(row: &Row<'_>) -> Vec<Value> {
    let parameters = match row.at("/spec/parameters") {
        None => "<none>".to_owned(),
        Some(parameters) => {
            let part = |field: &str| parameters[field].as_str();
            let kind = part("kind").unwrap_or_default();
            let name = part("name").unwrap_or_default();
            match part("apiGroup") {
                Some(group) => format!("{kind}.{group}/{name}"),
                None => format!("{kind}/{name}"),
            }
        }
    };
    vec![
        class_name(row, &["ingressclass.kubernetes.io/is-default-class"]),
        row.text("/spec/controller"),
        json!(parameters),
        row.age(),
    ]
}

fn ip_address(row: &Row<'_>) -> Vec<Value> {
    let parent = row.at("/spec/parentRef").map_or_else(
        || "<none>".to_owned(),
        |parent| {
            let part = |field: &str| parent[field].as_str().filter(|text| !text.is_empty());
            let resource = part("resource").unwrap_or_default();
            let kind = part("group").map_or_else(
                || resource.to_owned(),
                |group| format!("{resource}.{group}"),
            );
            let namespace =
                part("namespace").map_or_else(String::new, |namespace| format!("/{namespace}"));
            format!(
                "{}{namespace}/{}",
                kind.to_lowercase(),
                part("name").unwrap_or_default()
            )
        },
    );
    vec![row.name(), json!(parent), row.age()]
}

const STORAGE_CLASS: &[Column] = &[
    NAME,
    text("Provisioner"),
    text("ReclaimPolicy"),
    text("VolumeBindingMode"),
    text("AllowVolumeExpansion"),
    AGE,
];

fn storage_class(row: &Row<'_>) -> Vec<Value> {
    vec![
        class_name(
            row,
            &[
                "storageclass.kubernetes.io/is-default-class",
                "storageclass.beta.kubernetes.io/is-default-class",
            ],
        ),
        row.text("/provisioner"),
        json!(row.text_or("/reclaimPolicy", "Delete")),
        json!(row.text_or("/volumeBindingMode", "Immediate")),
        json!(row.flag("/allowVolumeExpansion")),
        row.age(),
    ]
}

const ATTACHMENT: &[Column] = &[
    NAME,
    Column {
        name: "Attacher",
        kind: "string",
        format: "name",
        priority: 0,
    },
    text("PV"),
    text("Node"),
    boolean("Attached"),
    AGE,
];

const CSI_DRIVER: &[Column] = &[
    NAME,
    boolean("AttachRequired"),
    boolean("PodInfoOnMount"),
    boolean("StorageCapacity"),
    text("TokenRequests"),
    boolean("RequiresRepublish"),
    text("Modes"),
    AGE,
];

fn csi_driver(row: &Row<'_>) -> Vec<Value> {
    let tokens = row.at("/spec/tokenRequests").map_or_else(
        || "<unset>".to_owned(),
        |_| {
            let audiences = row
                .items("/spec/tokenRequests")
                .map(|token| token["audience"].as_str().unwrap_or_default());
            audiences.collect::<Vec<_>>().join(",")
        },
    );
    vec![
        row.name(),
        json!(
            row.at("/spec/attachRequired")
                .and_then(Value::as_bool)
                .unwrap_or(true)
        ),
        json!(row.flag("/spec/podInfoOnMount")),
        json!(row.flag("/spec/storageCapacity")),
        json!(tokens),
        json!(row.flag("/spec/requiresRepublish")),
        json!(or_none(row.strings("/spec/volumeLifecycleModes").join(","))),
        row.age(),
    ]
}

const PRIORITY: &[Column] = &[
    NAME,
    integer("Value"),
    boolean("Global-Default"),
    AGE,
    text("PreemptionPolicy"),
];

const SIGNING_REQUEST: &[Column] = &[
    NAME,
    AGE,
    text("SignerName"),
    text("Requestor"),
    text("RequestedDuration"),
    text("Condition"),
];

fn signing_request(row: &Row<'_>) -> Vec<Value> {
    let has = |kind: &str| row.condition(kind).is_some();
    let mut condition = if has("Denied") {
        "Denied"
    } else if has("Approved") {
        "Approved"
    } else {
        "Pending"
    }
    .to_owned();
    if has("Failed") {
        condition.push_str(",Failed");
    }
    if row.string("/status/certificate").is_some() {
        condition.push_str(",Issued");
    }
    vec![
        row.name(),
        row.age(),
        json!(row.text_or("/spec/signerName", "<none>")),
        row.text("/spec/username"),
        json!(
            row.integer("/spec/expirationSeconds")
                .map_or_else(|| "<none>".to_owned(), duration::short)
        ),
        json!(condition),
    ]
}

fn admission(resource: &str) -> Option<Printer> {
    let printer = |columns, cells| Some(Printer { columns, cells });
    match resource {
        "mutatingwebhookconfigurations" | "validatingwebhookconfigurations" => {
            printer(const { &[NAME, integer("Webhooks"), AGE] }, |row| {
                vec![row.name(), json!(row.items("/webhooks").count()), row.age()]
            })
        }
        "validatingadmissionpolicies" => printer(
            const { &[NAME, integer("Validations"), text("ParamKind"), AGE] },
            |row| {
                vec![
                    row.name(),
                    json!(row.items("/spec/validations").count()),
                    json!(parameter_kind(row)),
                    row.age(),
                ]
            },
        ),
        "mutatingadmissionpolicies" => printer(
            const { &[NAME, integer("Mutations"), text("ParamKind"), AGE] },
            |row| {
                vec![
                    row.name(),
                    json!(row.items("/spec/mutations").count()),
                    json!(parameter_kind(row)),
                    row.age(),
                ]
            },
        ),
        "validatingadmissionpolicybindings" | "mutatingadmissionpolicybindings" => printer(
            const { &[NAME, text("PolicyName"), text("ParamRef"), AGE] },
            |row| {
                vec![
                    row.name(),
                    row.text("/spec/policyName"),
                    json!(parameter(row)),
                    row.age(),
                ]
            },
        ),
        _ => None,
    }
}

fn parameter_kind(row: &Row<'_>) -> String {
    row.at("/spec/paramKind").map_or_else(
        || "<unset>".to_owned(),
        |kind| {
            format!(
                "{}/{}",
                kind["apiVersion"].as_str().unwrap_or_default(),
                kind["kind"].as_str().unwrap_or_default()
            )
        },
    )
}

fn parameter(row: &Row<'_>) -> String {
    match (
        row.string("/spec/paramRef/name"),
        row.string("/spec/paramRef/namespace"),
    ) {
        (Some(name), Some(namespace)) => format!("{namespace}/{name}"),
        (Some(name), None) => format!("*/{name}"),
        (None, _) => match row.at("/spec/paramRef/selector") {
            Some(chosen) => selector(Some(chosen)),
            None => "<unset>".to_owned(),
        },
    }
}

const FLOW_SCHEMA: &[Column] = &[
    NAME,
    text("PriorityLevel"),
    text("MatchingPrecedence"),
    text("DistinguisherMethod"),
    AGE,
    text("MissingPL"),
];

fn flow_schema(row: &Row<'_>) -> Vec<Value> {
    vec![
        row.name(),
        row.text("/spec/priorityLevelConfiguration/name"),
        row.number("/spec/matchingPrecedence"),
        json!(row.text_or("/spec/distinguisherMethod/type", "<none>")),
        row.age(),
        json!(row.condition("Dangling").unwrap_or("?")),
    ]
}

const PRIORITY_LEVEL: &[Column] = &[
    NAME,
    text("Type"),
    text("NominalConcurrencyShares"),
    text("Queues"),
    text("HandSize"),
    text("QueueLengthLimit"),
    AGE,
];

fn priority_level(row: &Row<'_>) -> Vec<Value> {
    let figure = |path: &str| row.at(path).cloned().unwrap_or_else(|| json!("<none>"));
    vec![
        row.name(),
        row.text("/spec/type"),
        figure("/spec/limited/nominalConcurrencyShares"),
        figure("/spec/limited/limitResponse/queuing/queues"),
        figure("/spec/limited/limitResponse/queuing/handSize"),
        figure("/spec/limited/limitResponse/queuing/queueLengthLimit"),
        row.age(),
    ]
}

fn resource_claim(row: &Row<'_>) -> Vec<Value> {
    let deleted = row.at("/metadata/deletionTimestamp").is_some();
    let mut states = Vec::new();
    if deleted {
        states.push("deleted");
    }
    if row.at("/status/allocation").is_none() {
        if !deleted {
            states.push("pending");
        }
    } else {
        states.push("allocated");
        if row.items("/status/reservedFor").next().is_some() {
            states.push("reserved");
        }
    }
    vec![row.name(), json!(states.join(",")), row.age()]
}

fn api_service(row: &Row<'_>) -> Vec<Value> {
    let service = match row.at("/spec/service") {
        Some(service) => format!(
            "{}/{}",
            service["namespace"].as_str().unwrap_or_default(),
            service["name"].as_str().unwrap_or_default()
        ),
        None => "Local".to_owned(),
    };
    let condition = row
        .items("/status/conditions")
        .find(|condition| condition["type"] == "Available");
    let available = condition.map_or_else(
        || "Unknown".to_owned(),
        |condition| {
            let status = condition["status"].as_str().unwrap_or_default();
            if status == "True" {
                status.to_owned()
            } else {
                format!(
                    "{status} ({})",
                    condition["reason"].as_str().unwrap_or_default()
                )
            }
        },
    );
    vec![row.name(), json!(service), json!(available), row.age()]
}
