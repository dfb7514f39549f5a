//! What the real server warns of in built-in kinds (kubernetes `pkg/api/{pod,service}/warnings.go`, v1.36).
//!
//! Left out: forms of IP addresses that will be refused one day, annotations of releases long gone, and keys that do not
//! fit their certificates.

mod certificates;

use std::collections::BTreeMap;

use drover_structural::names;
use serde_json::Value;

use super::validation::{Place, read_quantity};

/// Warnings of a write.
pub(super) fn of(group: &str, kind: &str, new: &Value, old: Option<&Value>) -> Vec<String> {
    let generation = |object: &Value| object["metadata"]["generation"].as_i64();
    let same = old.is_some_and(|old| generation(old) == generation(new));
    let spec = Place::of(new, "spec");
    let mut warnings = Vec::new();
    if old.is_none() {
        warnings.extend(hostname(group, kind, new));
    }
    warnings.extend(match (group, kind) {
        ("", "Service") => service(&spec),
        ("", "Secret") => certificates::of(new).into_iter().collect(),
        ("discovery.k8s.io", "EndpointSlice") if old.is_none() && new["addressType"] == "FQDN" => {
            vec!["spec.addressType: FQDN endpoints are deprecated".to_owned()]
        }
        ("networking.k8s.io", "Ingress")
            if old.is_none()
                && !new["metadata"]["annotations"]["kubernetes.io/ingress.class"].is_null() =>
        {
            vec![
                "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
                    .to_owned(),
            ]
        }
        // People make pods; what changes them is rarely a person.
        ("", "Pod") if old.is_none() => pod(&spec),
        ("apps", "Deployment" | "DaemonSet" | "ReplicaSet" | "StatefulSet")
        | ("", "ReplicationController")
        | ("batch", "Job")
            if !same =>
        {
            pod(&spec.child("template").child("spec"))
        }
        ("batch", "CronJob") if !same => {
            let job = spec.child("jobTemplate").child("spec");
            pod(&job.child("template").child("spec"))
        }
        ("", "PodTemplate") if !same => pod(&Place::of(new, "template").child("spec")),
        _ => Vec::new(),
    });
    warnings
}

/// Names become those of hosts, which are single labels.
fn hostname(group: &str, kind: &str, new: &Value) -> Option<String> {
    let of = match (group, kind) {
        ("", "Pod") => "the Pod's hostname",
        ("apps", "Deployment" | "ReplicaSet")
        | ("batch", "Job" | "CronJob")
        | ("", "ReplicationController") => "Pod names and hostnames",
        _ => return None,
    };
    let problems = names::dns_1123_label(new["metadata"]["name"].as_str().unwrap_or_default());
    (!problems.is_empty()).then(|| {
        format!(
            "metadata.name: this is used in {of}, which can result in surprising behavior; a DNS label is recommended: [{}]",
            problems.join(" ")
        )
    })
}

fn service(spec: &Place<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |text: &str| warnings.push(text.to_owned());
    let external_name = spec.child("type").text() == "ExternalName";
    let has_addresses = !spec.child("externalIPs").is_empty();
    let headless = spec.child("clusterIP").text() == "None";
    if headless {
        if !spec.child("loadBalancerIP").is_empty() {
            warn("spec.loadBalancerIP is ignored for headless services");
        }
        if has_addresses {
            warn("spec.externalIPs is ignored for headless services");
        }
        if spec.child("sessionAffinity").text() != "None" {
            warn("spec.SessionAffinity is ignored for headless services");
        }
    }
    if has_addresses && !headless && !external_name {
        warn("spec.externalIPs is deprecated and may no longer be implemented in some clusters");
    }
    if external_name && has_addresses {
        warn("spec.externalIPs is ignored when spec.type is \"ExternalName\"");
    }
    if !external_name && !spec.child("externalName").is_empty() {
        warn("spec.externalName is ignored when spec.type is not \"ExternalName\"");
    }
    if spec.child("trafficDistribution").text() == "PreferClose" {
        warn("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"");
    }
    warnings
}

/// Kinds of volumes that no longer work, with what is said of them.
const VOLUMES: [(&str, &str); 9] = [
    (
        "photonPersistentDisk",
        "deprecated in v1.11, non-functional in v1.16+",
    ),
    (
        "gitRepo",
        "deprecated in v1.11, and disabled by default in v1.33+",
    ),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

fn pod(spec: &Place<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    for constraint in spec.child("topologySpreadConstraints").items() {
        unselective(&constraint.child("labelSelector"), &mut warnings);
    }
    for volume in spec.child("volumes").items() {
        for (kind, what) in VOLUMES {
            let source = volume.child(kind);
            if source.is_set() {
                warnings.push(format!("{}: {what}", source.path()));
            }
        }
    }
    repeated(&spec.child("hostAliases"), "ip", &mut warnings);
    repeated(&spec.child("imagePullSecrets"), "name", &mut warnings);
    for secret in spec.child("imagePullSecrets").items() {
        let name = secret.child("name");
        if name.is_empty() {
            warnings.push(format!("{}: invalid empty name \"\"", name.path()));
        }
    }
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let containers = lists.map(|list| spec.child(list).items()).concat();
    for container in &containers {
        fractions(container, &mut warnings);
        hidden_variables(&container.child("env"), &mut warnings);
    }
    ports(&containers, &mut warnings);
    let grace = spec.child("terminationGracePeriodSeconds");
    if grace.number().is_some_and(|seconds| seconds < 0) {
        warnings.push(format!(
            "{}: must be >= 0; negative values are invalid and will be treated as 1",
            grace.path()
        ));
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let affinity = spec.child("affinity").child(kind);
        for term in affinity
            .child("requiredDuringSchedulingIgnoredDuringExecution")
            .items()
        {
            unselective(&term.child("labelSelector"), &mut warnings);
        }
        for term in affinity
            .child("preferredDuringSchedulingIgnoredDuringExecution")
            .items()
        {
            let term = term.child("podAffinityTerm");
            unselective(&term.child("labelSelector"), &mut warnings);
        }
    }
    warnings
}

fn unselective(selector: &Place<'_>, warnings: &mut Vec<String>) {
    if !selector.is_set() {
        warnings.push(format!(
            "{}: a null labelSelector results in matching no pod",
            selector.path()
        ));
    }
}

fn repeated(list: &Place<'_>, key: &str, warnings: &mut Vec<String>) {
    let mut seen = Vec::new();
    for item in list.items() {
        let name = item.child(key);
        if seen.contains(&name.text()) {
            warnings.push(format!(
                "{}: duplicate {key} {:?}",
                name.path(),
                name.text()
            ));
        } else {
            seen.push(name.text());
        }
    }
}

fn fractions(container: &Place<'_>, warnings: &mut Vec<String>) {
    for resource in ["memory", "ephemeral-storage"] {
        for kind in ["limits", "requests"] {
            let amounts = container.child("resources").child(kind);
            let quantity = read_quantity(amounts.child(resource).value());
            if let Some(quantity) = quantity
                && quantity.millis() % 1000 != 0
            {
                warnings.push(format!(
                    "{}[{resource}]: fractional byte value {:?} is invalid, must be an integer",
                    amounts.path(),
                    quantity.to_string()
                ));
            }
        }
    }
}

fn hidden_variables(variables: &Place<'_>, warnings: &mut Vec<String>) {
    let mut seen = Vec::new();
    for variable in variables.items() {
        let name = variable.child("name").text();
        if !seen.contains(&name) {
            seen.push(name);
            continue;
        }
        let reference = format!("$({name})");
        let value = variable.child("value").text();
        if variable.child("valueFrom").is_set() || value == reference || !value.contains(&reference)
        {
            warnings.push(format!(
                "{}: hides previous definition of {name:?}, which may be dropped when using apply",
                variable.path()
            ));
        }
    }
}

fn ports(containers: &[Place<'_>], warnings: &mut Vec<String>) {
    let ports = containers
        .iter()
        .flat_map(|container| container.child("ports").items());
    let ports = ports.collect::<Vec<_>>();
    let text = |port: &Place<'_>, member: &str| port.child(member).text().to_owned();
    let number = |port: &Place<'_>, member: &str| port.child(member).number().unwrap_or(0);
    for (place, port) in ports.iter().enumerate() {
        if !text(port, "hostIP").is_empty() && number(port, "hostPort") == 0 {
            warnings.push(format!(
                "{}: hostIP set without hostPort: {{Name:{} HostPort:0 ContainerPort:{} Protocol:{} HostIP:{}}}",
                port.path(),
                text(port, "name"),
                number(port, "containerPort"),
                text(port, "protocol"),
                text(port, "hostIP")
            ));
        }
        for other in &ports[..place] {
            if number(other, "containerPort") != number(port, "containerPort")
                || text(other, "protocol") != text(port, "protocol")
            {
                continue;
            }
            let hosts = (number(port, "hostPort"), number(other, "hostPort"));
            let addresses = (text(port, "hostIP"), text(other, "hostIP"));
            let what = if addresses.0 == addresses.1 && hosts.0 == hosts.1 {
                "duplicate"
            } else if hosts.0 == 0 || hosts.1 == 0 {
                "overlapping"
            } else if hosts.0 == hosts.1 && addresses.0.is_empty() != addresses.1.is_empty() {
                "dangerously ambiguous"
            } else {
                continue;
            };
            warnings.push(format!(
                "{}: {what} port definition with {}",
                port.path(),
                other.path()
            ));
        }
    }
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for port in &ports {
        let name = text(port, "name");
        if name.is_empty() {
            continue;
        }
        match names.get(&name) {
            Some(other) => warnings.push(format!(
                "{}: duplicate port name {name:?} with {other}, services and probes that select ports by name will use {other}",
                port.path()
            )),
            None => {
                names.insert(name, port.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_are_looked_at_when_they_change() {
        let set = |generation: i64| {
            json!({
                "metadata": {"name": "r", "generation": generation},
                "spec": {"template": {"spec": {"terminationGracePeriodSeconds": -1, "containers": []}}},
            })
        };
        let warned = [
            "spec.template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
        ];
        assert_eq!(of("apps", "ReplicaSet", &set(1), None), warned);
        assert_eq!(of("apps", "ReplicaSet", &set(2), Some(&set(1))), warned);
        assert!(of("apps", "ReplicaSet", &set(1), Some(&set(1))).is_empty());
    }
}
