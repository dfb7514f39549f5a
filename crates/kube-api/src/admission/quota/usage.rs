//! What objects use of quotas (kubernetes `pkg/quota/v1/evaluator/core`, apiserver `pkg/quota/v1/generic`, v1.36).

use std::collections::{BTreeMap, BTreeSet};

use drover_structural::quantity::Quantity;
use serde_json::Value;

use super::super::limits::{self, Amounts, amounts};
use super::scopes::{claim_in_scope, pod_in_scope, scopes};
use super::{Operation, Write};

const PODS: &str = "/pods";
const SERVICES: &str = "/services";
const CLAIMS: &str = "/persistentvolumeclaims";
/// What of a claim is counted, also for each class of storage.
const OF_CLAIMS: [&str; 2] = ["persistentvolumeclaims", "requests.storage"];
const OF_CLASS: &str = ".storageclass.storage.k8s.io/";
/// What of pods is counted beside how many there are.
const OF_PODS: [&str; 10] = [
    "pods",
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];
/// What all containers have to state if it is limited.
const STATED: [&str; 6] = [
    "cpu",
    "memory",
    "requests.cpu",
    "requests.memory",
    "limits.cpu",
    "limits.memory",
];
/// Kinds that are counted by their plain name too.
const PLAIN: [&str; 4] = [
    "configmaps",
    "resourcequotas",
    "replicationcontrollers",
    "secrets",
];
/// Of these there are always many, so that nobody counts them.
const UNCOUNTED: [&str; 2] = ["/events", "events.k8s.io/events"];

/// What is counted of the objects of one table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted<'t> {
    table: &'t str,
}

impl<'t> Counted<'t> {
    pub(super) const fn in_table(table: &'t str) -> Self {
        Self { table }
    }

    /// What a write may change, if it can change what is used.
    pub(super) fn of(write: &Write<'t>) -> Option<Self> {
        let table = &*write.resource.storage;
        let creates = write.operation == Operation::Create;
        let updates = write.operation == Operation::Update;
        let counts = match (table, write.subresource) {
            (PODS, "") => creates || (updates && write.old.map(ends) != write.new.map(ends)),
            (PODS, "resize") => updates,
            (SERVICES | CLAIMS, "") => creates || updates,
            (_, "") => creates && write.resource.namespaced && !UNCOUNTED.contains(&table),
            _ => false,
        };
        counts.then_some(Self { table })
    }

    /// Whether these objects use something of the name.
    pub(super) fn counts(&self, name: &str) -> bool {
        table_of(name).is_some_and(|table| table == self.table)
    }

    /// Whether a quota is about an object.
    pub(super) fn in_scope(&self, quota: &Value, object: &Value) -> bool {
        scopes(quota).all(|scope| match self.table {
            PODS => pod_in_scope(object, &scope),
            CLAIMS => claim_in_scope(object, &scope),
            _ => false,
        })
    }

    /// What an object uses.
    pub(super) fn usage(&self, object: &Value) -> Amounts {
        let one = Quantity::from_int(1);
        let mut usage = Amounts::from([(count_name(self.table), one)]);
        match self.table {
            PODS => pod(object, &mut usage),
            SERVICES => service(object, &mut usage),
            CLAIMS => claim(object, &mut usage),
            table => {
                let plain = table.strip_prefix('/').filter(|name| PLAIN.contains(name));
                usage.extend(plain.map(|name| (name.to_owned(), one)));
            }
        }
        usage
    }

    /// Whether all objects use the same, so that they need not be looked at.
    pub(super) fn is_plain(&self) -> bool {
        !matches!(self.table, PODS | SERVICES | CLAIMS)
    }

    /// What containers have to state and do not.
    pub(super) fn unstated(&self, limited: &BTreeSet<&String>, pod: &Value) -> Option<String> {
        if self.table != PODS || states_as_a_whole(pod) {
            return None;
        }
        let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for list in ["containers", "initContainers"] {
            for container in pod["spec"][list].as_array().into_iter().flatten() {
                let resources = &container["resources"];
                for name in STATED.into_iter().filter(|name| is_in(limited, name)) {
                    let (member, of) = name.split_once('.').unwrap_or(("requests", name));
                    if resources[member].get(of).is_none() {
                        let container = container["name"].as_str().unwrap_or_default();
                        missing.entry(name).or_default().insert(container);
                    }
                }
            }
        }
        let told: Vec<String> = missing
            .into_iter()
            .map(|(name, containers)| {
                let containers: Vec<&str> = containers.into_iter().collect();
                format!("{name} for: {}", containers.join(","))
            })
            .collect();
        (!told.is_empty()).then(|| format!("must specify {}", told.join("; ")))
    }
}

fn is_in(names: &BTreeSet<&String>, name: &str) -> bool {
    names.iter().any(|known| *known == name)
}

/// The name by which the objects of a table are counted.
fn count_name(table: &str) -> String {
    match table.split_once('/') {
        Some(("", plural)) => format!("count/{plural}"),
        Some((group, plural)) => format!("count/{plural}.{group}"),
        None => format!("count/{table}"),
    }
}

/// The table of the objects that use something of the name, if any do.
pub(super) fn table_of(name: &str) -> Option<String> {
    if let Some(counted) = name.strip_prefix("count/") {
        let table = match counted.split_once('.') {
            Some((plural, group)) => format!("{group}/{plural}"),
            None => format!("/{counted}"),
        };
        return (!UNCOUNTED.contains(&table.as_str())).then_some(table);
    }
    let of_class = |name: &str| {
        name.split_once(OF_CLASS)
            .is_some_and(|(_, of)| OF_CLAIMS.contains(&of))
    };
    let table = match name {
        "services" | "services.nodeports" | "services.loadbalancers" => SERVICES,
        name if OF_CLAIMS.contains(&name) || of_class(name) => CLAIMS,
        name if OF_PODS.contains(&name) || is_of_pods(name) => PODS,
        name if PLAIN.contains(&name) => return Some(format!("/{name}")),
        _ => return None,
    };
    Some(table.to_owned())
}

/// Huge pages, and what devices offer.
fn is_of_pods(name: &str) -> bool {
    if name.starts_with("hugepages-") {
        return true;
    }
    name.strip_prefix("requests.").is_some_and(|of| {
        let foreign = name.contains('/') && !name.contains("kubernetes.io/");
        of.starts_with("hugepages-") || foreign || is_of_devices(of)
    })
}

fn is_of_devices(name: &str) -> bool {
    name.starts_with("deviceclass.resource.kubernetes.io/")
}

/// Whether a pod ends after some time.
pub(super) fn ends(pod: &Value) -> bool {
    pod["spec"]["activeDeadlineSeconds"]
        .as_i64()
        .is_some_and(|seconds| seconds >= 0)
}

fn states_as_a_whole(pod: &Value) -> bool {
    ["requests", "limits"].iter().any(|member| {
        let stated = pod["spec"]["resources"][*member].as_object();
        stated.is_some_and(|stated| {
            stated.keys().any(|name| {
                matches!(name.as_str(), "cpu" | "memory") || name.starts_with("hugepages-")
            })
        })
    })
}

fn pod(pod: &Value, usage: &mut Amounts) {
    if matches!(
        pod["status"]["phase"].as_str(),
        Some("Failed" | "Succeeded")
    ) {
        return;
    }
    usage.insert("pods".to_owned(), Quantity::from_int(1));
    let [mut requests, mut limits] =
        ["requests", "limits"].map(|member| limits::of_pod(pod, member));
    // What running a pod costs counts for it; of limits only where there are any.
    for (name, amount) in amounts(&pod["spec"]["overhead"]) {
        if let Some(limit) = limits.get_mut(&name) {
            *limit = limit.plus(amount);
        }
        let request = requests.entry(name).or_insert(Quantity::from_int(0));
        *request = request.plus(amount);
    }
    for name in ["cpu", "memory", "ephemeral-storage"] {
        if let Some(request) = requests.get(name) {
            usage.insert(name.to_owned(), *request);
            usage.insert(format!("requests.{name}"), *request);
        }
        if let Some(limit) = limits.get(name) {
            usage.insert(format!("limits.{name}"), *limit);
        }
    }
    for (name, request) in requests {
        let huge = name.starts_with("hugepages-");
        let foreign = name.contains('/') && !name.contains("kubernetes.io/");
        if huge || foreign || is_of_devices(&name) {
            usage.insert(format!("requests.{name}"), request);
        }
        if huge {
            usage.insert(name, request);
        }
    }
}

fn service(service: &Value, usage: &mut Amounts) {
    let spec = &service["spec"];
    let ports = spec["ports"].as_array().map_or(&[][..], Vec::as_slice);
    let count = |n: usize| Quantity::from_int(i64::try_from(n).unwrap_or(i64::MAX));
    let balanced = spec["type"] == "LoadBalancer";
    let node_ports = match spec["type"].as_str() {
        Some("LoadBalancer") if spec["allocateLoadBalancerNodePorts"] == false => ports
            .iter()
            .filter(|port| port["nodePort"].as_i64().unwrap_or(0) != 0)
            .count(),
        Some("NodePort" | "LoadBalancer") => ports.len(),
        _ => 0,
    };
    usage.extend([
        ("services".to_owned(), count(1)),
        ("services.nodeports".to_owned(), count(node_ports)),
        ("services.loadbalancers".to_owned(), count(balanced.into())),
    ]);
}

fn claim(claim: &Value, usage: &mut Amounts) {
    let class = claim["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"]
        .as_str()
        .or_else(|| claim["spec"]["storageClassName"].as_str())
        .unwrap_or_default();
    let storage = |of: &Value| amounts(of).get("storage").copied();
    let asked = storage(&claim["spec"]["resources"]["requests"]);
    let given = storage(&claim["status"]["allocatedResources"]);
    let asked = asked.map(|asked| given.map_or(asked, |given| asked.max(given)));
    let used = [Some(Quantity::from_int(1)), asked.map(whole)];
    for (name, used) in OF_CLAIMS.into_iter().zip(used) {
        let Some(used) = used else { continue };
        usage.insert(name.to_owned(), used);
        if !class.is_empty() {
            usage.insert(format!("{class}{OF_CLASS}{name}"), used);
        }
    }
}

/// Rounded up.
fn whole(amount: Quantity) -> Quantity {
    let rounded = Quantity::from_int(amount.value());
    if rounded == amount { amount } else { rounded }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_lead_to_what_uses_them() {
        for (name, table) in [
            ("pods", Some("/pods")),
            ("requests.cpu", Some("/pods")),
            ("requests.nvidia.com/gpu", Some("/pods")),
            ("hugepages-2Mi", Some("/pods")),
            ("services.nodeports", Some("/services")),
            (
                "gold.storageclass.storage.k8s.io/requests.storage",
                Some("/persistentvolumeclaims"),
            ),
            ("requests.storage", Some("/persistentvolumeclaims")),
            ("configmaps", Some("/configmaps")),
            ("count/deployments.apps", Some("apps/deployments")),
            ("count/secrets", Some("/secrets")),
            ("count/events", None),
            ("nonsense", None),
        ] {
            assert_eq!(table_of(name).as_deref(), table, "{name}");
        }
    }

    #[test]
    fn a_pod_that_is_done_uses_nothing_but_its_place() {
        let counted = Counted::in_table(PODS);
        let resources = json!({"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}});
        let mut pod = json!({"spec": {"containers": [{"resources": resources}]}});
        let usage = counted.usage(&pod);
        assert_eq!(usage["requests.cpu"], Quantity::from_int(1));
        assert_eq!(usage["limits.memory"], Quantity::from_int(1 << 30));
        assert!(!usage.contains_key("limits.cpu"));
        pod["status"]["phase"] = "Succeeded".into();
        let names: Vec<String> = counted.usage(&pod).into_keys().collect();
        assert_eq!(names, ["count/pods"]);
    }

    #[test]
    fn scopes_tell_pods_apart() {
        let counted = Counted::in_table(PODS);
        let quota =
            |scope: Value| json!({"spec": {"scopeSelector": {"matchExpressions": [scope]}}});
        let classes =
            quota(json!({"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}));
        let pod = json!({"spec": {"priorityClassName": "high", "containers": []}});
        assert!(counted.in_scope(&classes, &pod));
        assert!(!counted.in_scope(&classes, &json!({"spec": {}})));
        let best = json!({"spec": {"scopes": ["BestEffort", "NotTerminating"]}});
        assert!(counted.in_scope(&best, &pod));
        assert!(!Counted::in_table(SERVICES).in_scope(&best, &pod));
    }
}
