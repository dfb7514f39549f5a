//! The fields that lists can be filtered and sorted by.
//!
//! Pure. Owns their names (reference section 1.4, "Indexed") and how their
//! values are read from an object once, when it comes in.

use drover_auth::web::ApiError;
use drover_types::management::GROUP;
use serde_json::Value;

use crate::kind::Kind;
use crate::query::project::steps;

/// A field of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Id,
    Name,
    Namespace,
    Created,
    State,
    /// What the state says in words.
    Message,
    /// Whether the state is an error.
    Error,
    Transitioning,
    /// `metadata.fields[N]`.
    Cell(usize),
    /// `metadata.fields[N][M]`: of a cell like `2 (5m ago)` the number, or how long ago, below zero so that later is more.
    CellPart(usize, CellPart),
    Label(String),
    /// One of the kind's own, by its place in [`own`].
    Own(usize),
}

/// A part of a cell that tells how often something happened and when it did last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CellPart {
    Count,
    Last,
}

/// A value of an own field, as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kept {
    Missing,
    Text(Box<str>),
    Number(f64),
    Many(Box<[Box<str>]>),
}

const EVENT: &[&str] = &[
    "_type",
    "involvedObject.kind",
    "involvedObject.name",
    "involvedObject.uid",
    "message",
    "reason",
];
const NODE: &[&str] = &[
    "spec.taints.key",
    "status.addresses.address",
    "status.addresses.type",
    "status.nodeInfo.kubeletVersion",
    "status.nodeInfo.operatingSystem",
];
const POD: &[&str] = &["spec.containers.image", "spec.nodeName", "status.podIP"];
const WORKLOAD: &[&str] = &["spec.template.spec.containers.image", PUBLIC_ENDPOINTS];
const JOB: &[&str] = &[
    "spec.template.spec.containers.image",
    "metadata.ownerReferences.kind",
    PUBLIC_ENDPOINTS,
];
const CRON_JOB: &[&str] = &[
    "spec.jobTemplate.spec.template.spec.containers.image",
    PUBLIC_ENDPOINTS,
];
/// What Secrets are asked that stands in their project (`list::projects`).
pub(crate) const OF_PROJECT: [&str; 2] = ["spec.clusterName", "spec.displayName"];
const SECRET: &[&str] = &[
    "_type",
    "metadata.annotations[management.cattle.io/project-scoped-secret-copy]",
    OF_PROJECT[0],
    OF_PROJECT[1],
];
const SERVICE: &[&str] = &[
    "spec.clusterIP",
    "spec.externalIPs",
    "spec.type",
    "status.loadBalancer.ingress.ip",
];
const CLAIM: &[&str] = &["spec.volumeName", "spec.storageClassName"];
const VOLUME: &[&str] = &["status.reason", "spec.persistentVolumeReclaimPolicy"];
const STORAGE_CLASS: &[&str] = &[
    "provisioner",
    "metadata.annotations[storageclass.kubernetes.io/is-default-class]",
];
const INGRESS: &[&str] = &[
    "spec.rules.host",
    "spec.rules[0].host",
    "spec.ingressClassName",
];
const AUTOSCALER: &[&str] = &[
    "spec.scaleTargetRef.name",
    "spec.minReplicas",
    "spec.maxReplicas",
    "status.currentReplicas",
];
const CLUSTER: &[&str] = &[
    "spec.displayName",
    "spec.internal",
    "spec.fleetWorkspaceName",
    "status.connected",
    "status.driver",
    "status.provider",
    "status.info.kubernetesVersion",
    "status.info.machineProvider",
    "status.info.nodeCount",
    "status.allocatable.cpu",
    "status.allocatable.cpuRaw",
    "status.allocatable.memory",
    "status.allocatable.memoryRaw",
    "status.allocatable.pods",
    "status.requested.cpu",
    "status.requested.cpuRaw",
    "status.requested.memory",
    "status.requested.memoryRaw",
    "status.requested.pods",
];
const MANAGED_NODE: &[&str] = &["status.nodeName"];
const BINDING: &[&str] = &["userName", "userPrincipalName"];
const CLUSTER_BINDING: &[&str] = &["userName", "userPrincipalName", "clusterName"];
const USER: &[&str] = &["principalIds"];
const ROLE_TEMPLATE: &[&str] = &["context"];
const PROJECT: &[&str] = &["spec.clusterName", "spec.displayName"];
const PROVISIONING: &[&str] = &[
    "status.clusterName",
    "status.provider",
    "metadata.annotations[provisioning.cattle.io/management-cluster-display-name]",
];
const PUBLIC_ENDPOINTS: &str = "metadata.annotations[field.cattle.io/publicEndpoints]";

/// A kind's own fields.
pub(crate) fn own(kind: &Kind) -> &'static [&'static str] {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("" | "events.k8s.io", "Event") => EVENT,
        ("", "Node") => NODE,
        ("", "Pod") => POD,
        ("", "Secret") => SECRET,
        ("", "Service") => SERVICE,
        ("", "PersistentVolumeClaim") => CLAIM,
        ("", "PersistentVolume") => VOLUME,
        ("apps", "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet")
        | ("", "ReplicationController") => WORKLOAD,
        ("batch", "Job") => JOB,
        ("batch", "CronJob") => CRON_JOB,
        ("storage.k8s.io", "StorageClass") => STORAGE_CLASS,
        ("networking.k8s.io", "Ingress") => INGRESS,
        ("autoscaling", "HorizontalPodAutoscaler") => AUTOSCALER,
        (GROUP, "Cluster") => CLUSTER,
        (GROUP, "Node") => MANAGED_NODE,
        (GROUP, "ClusterRoleTemplateBinding") => CLUSTER_BINDING,
        (GROUP, "GlobalRoleBinding" | "ProjectRoleTemplateBinding") => BINDING,
        (GROUP, "User") => USER,
        (GROUP, "RoleTemplate") => ROLE_TEMPLATE,
        (GROUP, "Project") => PROJECT,
        ("provisioning.cattle.io", "Cluster") => PROVISIONING,
        _ => &[],
    }
}

impl Field {
    /// The field a request names.
    ///
    /// # Errors
    /// 422 naming the field if it is not one that lists of this kind know.
    pub(crate) fn parse(kind: &Kind, name: &str) -> Result<Self, ApiError> {
        let label = name.strip_prefix("metadata.labels").and_then(|rest| {
            let inner = rest
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'));
            inner.or_else(|| rest.strip_prefix('.'))
        });
        if let Some(label) = label.filter(|label| !label.is_empty()) {
            return Ok(Self::Label(unquoted(label).to_owned()));
        }
        let cell = name
            .strip_prefix("metadata.fields")
            .and_then(|rest| {
                let inner = rest
                    .strip_prefix('[')
                    .and_then(|rest| rest.strip_suffix(']'));
                inner.or_else(|| rest.strip_prefix('.'))
            })
            .and_then(|at| at.parse().ok());
        if let Some(at) = cell {
            return Ok(Self::Cell(at));
        }
        let part = name
            .strip_prefix("metadata.fields[")
            .and_then(|rest| rest.strip_suffix(']')?.split_once("]["));
        match part.map(|(at, part)| (at.parse(), part)) {
            Some((Ok(at), "0")) => return Ok(Self::CellPart(at, CellPart::Count)),
            Some((Ok(at), "1")) => return Ok(Self::CellPart(at, CellPart::Last)),
            _ => {}
        }
        match name {
            "id" => return Ok(Self::Id),
            "metadata.name" => return Ok(Self::Name),
            "metadata.namespace" => return Ok(Self::Namespace),
            "metadata.creationTimestamp" => return Ok(Self::Created),
            "metadata.state.name" => return Ok(Self::State),
            "metadata.state.message" => return Ok(Self::Message),
            "metadata.state.error" => return Ok(Self::Error),
            "metadata.state.transitioning" => return Ok(Self::Transitioning),
            _ => {}
        }
        own(kind)
            .iter()
            .position(|known| *known == name)
            .map(Self::Own)
            .ok_or_else(|| {
                ApiError::invalid_body(format!("lists of {} know no field {name}", kind.id))
                    .with_field(name)
            })
    }
}

/// A text without the quotes around it.
pub(crate) fn unquoted(text: &str) -> &str {
    for quote in ['"', '\''] {
        let inner = text
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner;
        }
    }
    text
}

/// The values of a kind's own fields.
pub(crate) fn keep(kind: &Kind, object: &Value) -> Box<[Kept]> {
    own(kind).iter().map(|path| read(object, path)).collect()
}

fn read(object: &Value, path: &str) -> Kept {
    if path == "_type" {
        return kept(object.get("type"));
    }
    if path == "status.connected" {
        return Kept::Text(crate::format::is_connected(object).to_string().into());
    }
    if let Some(path) = path.strip_suffix("Raw") {
        return crate::format::quantity(object.pointer(&format!("/{}", path.replace('.', "/"))))
            .map_or(Kept::Missing, Kept::Number);
    }
    let steps = steps(path);
    let mut found = Vec::new();
    let many = gather(object, &mut steps.iter().map(String::as_str), &mut found);
    match (many, found.as_slice()) {
        (_, []) => Kept::Missing,
        (false, [one]) => kept(Some(one)),
        (_, several) => Kept::Many(several.iter().map(|value| text(value).into()).collect()),
    }
}

/// Values at a path, through all arrays on it; whether there was one.
fn gather<'a>(
    value: &'a Value,
    path: &mut (impl Iterator<Item = &'a str> + Clone),
    found: &mut Vec<&'a Value>,
) -> bool {
    if let Value::Array(items) = value {
        let mut rest = path.clone();
        if let Some(at) = rest.next().and_then(|step| step.parse::<usize>().ok()) {
            return items
                .get(at)
                .is_some_and(|item| gather(item, &mut rest, found));
        }
        for item in items {
            gather(item, &mut path.clone(), found);
        }
        return true;
    }
    match path.next() {
        None => {
            if !value.is_null() {
                found.push(value);
            }
            false
        }
        Some(step) => value
            .get(step)
            .is_some_and(|inner| gather(inner, path, found)),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn kept(value: Option<&Value>) -> Kept {
    match value {
        None | Some(Value::Null) => Kept::Missing,
        Some(Value::Number(number)) => number
            .as_f64()
            .map_or_else(|| Kept::Text(number.to_string().into()), Kept::Number),
        Some(other) => Kept::Text(text(other).into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn own_fields_reach_through_lists() {
        let pod = Kind::new("", "v1", "Pod", "pods");
        let object = json!({"spec": {"nodeName": "n", "containers": [{"image": "a:1"}, {"image": "b"}, {}]}});
        assert_eq!(
            *keep(&pod, &object),
            [
                Kept::Many(["a:1", "b"].map(Into::into).into()),
                Kept::Text("n".into()),
                Kept::Missing
            ]
        );
        let ingress = Kind::new("networking.k8s.io", "v1", "Ingress", "ingresses");
        let object = json!({"spec": {"rules": [{"host": "a"}, {"host": "b"}]}});
        assert_eq!(
            *keep(&ingress, &object),
            [
                Kept::Many(["a", "b"].map(Into::into).into()),
                Kept::Text("a".into()),
                Kept::Missing
            ]
        );
        let class = Kind::new("storage.k8s.io", "v1", "StorageClass", "storageclasses");
        let object = json!({"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}});
        assert_eq!(
            *keep(&class, &object),
            [Kept::Missing, Kept::Text("true".into())]
        );
        let cluster = Kind::new(GROUP, "v3", "Cluster", "clusters");
        let object = json!({"spec": {"internal": true}, "status": {
            "allocatable": {"cpu": "500m", "memory": "1Ki"},
            "conditions": [{"type": "Ready", "status": "True"}],
        }});
        let kept = keep(&cluster, &object);
        let value = |name: &str| match Field::parse(&cluster, name).unwrap() {
            Field::Own(at) => kept[at].clone(),
            other => unreachable!("{other:?}"),
        };
        assert_eq!(value("spec.internal"), Kept::Text("true".into()));
        assert_eq!(value("status.connected"), Kept::Text("true".into()));
        assert_eq!(value("status.allocatable.cpuRaw"), Kept::Number(0.5));
        assert_eq!(value("status.allocatable.memoryRaw"), Kept::Number(1024.0));
    }

    #[test]
    fn fields_are_named_as_the_reference_says() {
        let pod = Kind::new("", "v1", "Pod", "pods");
        let parse = |name: &str| Field::parse(&pod, name);
        assert_eq!(
            parse("metadata.labels[app.kubernetes.io/name]").unwrap(),
            Field::Label("app.kubernetes.io/name".to_owned())
        );
        assert_eq!(
            parse("metadata.labels.app").unwrap(),
            Field::Label("app".to_owned())
        );
        assert_eq!(parse("metadata.fields[2]").unwrap(), Field::Cell(2));
        let last = Field::CellPart(3, CellPart::Last);
        assert_eq!(parse("metadata.fields[3][1]").unwrap(), last);
        assert!(parse("metadata.fields[3][2]").is_err());
        let refused = parse("spec.nope").unwrap_err();
        assert_eq!(
            (refused.status.as_u16(), refused.code.as_ref()),
            (422, "InvalidBodyContent")
        );
        assert_eq!(refused.field_name.as_deref(), Some("spec.nope"));
    }
}
