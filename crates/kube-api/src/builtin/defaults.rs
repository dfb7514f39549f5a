//! Defaults of built-in kinds that no schema tells.
//!
//! They are those of kubernetes v1.36 `pkg/apis/*/v1/defaults.go`. An empty string counts as absent where the member
//! is no pointer there.

mod pods;
mod server;
mod workloads;

use serde_json::{Map, Value, json};

use pods::{pod, pod_spec, pod_template};
use server::{admission, priority_level};
use workloads::{
    autoscaler, cron_job, daemon_set, deployment, job, replication_controller, stateful_set,
};

type Members = Map<String, Value>;

/// Where a DaemonSet counts the changes of its template (kubernetes `pkg/apis/apps/v1/conversion.go`).
pub(crate) const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// Fills in the defaults of one object.
pub(super) fn apply(group: &str, version: &str, kind: &str, object: &mut Value) {
    let Some(object) = object.as_object_mut() else {
        return;
    };
    match (group, kind) {
        ("", "Pod") => with(object, "spec", |spec| {
            pod_spec(spec);
            pod(spec);
        }),
        ("", "PodTemplate") => with(object, "template", pod_template),
        ("", "ReplicationController") => replication_controller(object),
        ("apps", "Deployment") => with(object, "spec", deployment),
        ("apps", "ReplicaSet") => with(object, "spec", |spec| {
            set(spec, "replicas", json!(1));
            with(spec, "template", pod_template);
        }),
        ("apps", "DaemonSet") => {
            within(object, "metadata", |metadata| {
                within(metadata, "annotations", |annotations| {
                    set_missing(annotations, TEMPLATE_GENERATION, json!("0"));
                });
            });
            with(object, "spec", daemon_set);
        }
        ("apps", "StatefulSet") => with(object, "spec", stateful_set),
        ("batch", "Job") => job(object),
        ("batch", "CronJob") => with(object, "spec", cron_job),
        ("", "Service") => service(object),
        ("", "Secret") => set(object, "type", json!("Opaque")),
        ("", "Node") => node(object),
        ("", "Endpoints") => each(object, "subsets", |subset| {
            each(subset, "ports", |port| set(port, "protocol", json!("TCP")));
        }),
        ("", "PersistentVolume") => {
            within(object, "status", |status| {
                set(status, "phase", json!("Pending"))
            });
            with(object, "spec", |spec| {
                set(spec, "persistentVolumeReclaimPolicy", json!("Retain"));
                set(spec, "volumeMode", json!("Filesystem"));
                with(spec, "hostPath", |path| {
                    set_missing(path, "type", json!(""))
                });
            });
        }
        ("", "PersistentVolumeClaim") => {
            within(object, "status", |status| {
                set(status, "phase", json!("Pending"))
            });
            with(object, "spec", |spec| {
                set(spec, "volumeMode", json!("Filesystem"))
            });
        }
        ("", "Event") => {
            for time in ["eventTime", "firstTimestamp", "lastTimestamp"] {
                set_missing(object, time, Value::Null);
            }
        }
        ("events.k8s.io", "Event") => set_missing(object, "eventTime", Value::Null),
        ("", "LimitRange") => with(object, "spec", |spec| each(spec, "limits", limit)),
        ("networking.k8s.io", "NetworkPolicy") => with(object, "spec", network_policy),
        ("networking.k8s.io", "IngressClass") => {
            with(object, "spec", |spec| {
                with(spec, "parameters", |parameters| {
                    set(parameters, "scope", json!("Cluster"))
                })
            });
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            with(object, "roleRef", |role| {
                set(role, "apiGroup", json!("rbac.authorization.k8s.io"))
            });
            each(object, "subjects", |subject| {
                if matches!(
                    subject.get("kind").and_then(Value::as_str),
                    Some("User" | "Group")
                ) {
                    set(subject, "apiGroup", json!("rbac.authorization.k8s.io"));
                }
            });
        }
        ("storage.k8s.io", "StorageClass") => {
            set(object, "reclaimPolicy", json!("Delete"));
            set(object, "volumeBindingMode", json!("Immediate"));
        }
        ("storage.k8s.io", "CSIDriver") => with(object, "spec", csi_driver),
        ("scheduling.k8s.io", "PriorityClass") => {
            set(object, "preemptionPolicy", json!("PreemptLowerPriority"))
        }
        ("discovery.k8s.io", "EndpointSlice") => each(object, "ports", |port| {
            set_missing(port, "name", json!(""));
            set(port, "protocol", json!("TCP"));
        }),
        ("autoscaling", "HorizontalPodAutoscaler") => {
            with(object, "spec", |spec| autoscaler(version, spec))
        }
        ("admissionregistration.k8s.io", kind) => admission(kind, object),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => with(object, "spec", |spec| {
            set_number(spec, "matchingPrecedence", 1000);
        }),
        ("resource.k8s.io", "ResourceClaim") => with(object, "spec", claim),
        ("resource.k8s.io", "ResourceClaimTemplate") => {
            with(object, "spec", |template| with(template, "spec", claim));
        }
        ("flowcontrol.apiserver.k8s.io", _) => with(object, "spec", priority_level),
        ("apiregistration.k8s.io", "APIService") => {
            with(object, "spec", |spec| {
                with(spec, "service", |service| set(service, "port", json!(443)))
            });
        }
        _ => {}
    }
}

/// Whether a member is as good as absent.
fn absent(members: &Members, name: &str) -> bool {
    match members.get(name) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    }
}

fn set(members: &mut Members, name: &str, value: Value) {
    if absent(members, name) {
        members.insert(name.to_owned(), value);
    }
}

/// Sets a member that may be empty, only if it does not occur or is null.
fn set_missing(members: &mut Members, name: &str, value: Value) {
    if members.get(name).is_none_or(Value::is_null) {
        members.insert(name.to_owned(), value);
    }
}

/// Sets a number that is absent or 0.
fn set_number(members: &mut Members, name: &str, value: i64) {
    if absent(members, name) || members.get(name).and_then(Value::as_i64) == Some(0) {
        members.insert(name.to_owned(), json!(value));
    }
}

/// Goes into an object that is there.
fn with(members: &mut Members, name: &str, inside: impl FnOnce(&mut Members)) {
    if let Some(inner) = members.get_mut(name).and_then(Value::as_object_mut) {
        inside(inner);
    }
}

/// Goes into an object, which is made if it is absent.
fn within(members: &mut Members, name: &str, inside: impl FnOnce(&mut Members)) {
    set(members, name, json!({}));
    with(members, name, inside);
}

/// Goes into each object of a list.
fn each(members: &mut Members, name: &str, mut inside: impl FnMut(&mut Members)) {
    let items = members
        .get_mut(name)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten();
    items.filter_map(Value::as_object_mut).for_each(&mut inside);
}

fn is(members: &Members, name: &str, text: &str) -> bool {
    members.get(name).and_then(Value::as_str) == Some(text)
}

fn service(object: &mut Members) {
    with(object, "spec", |spec| {
        set(spec, "sessionAffinity", json!("None"));
        if is(spec, "sessionAffinity", "None") {
            spec.remove("sessionAffinityConfig");
        } else if is(spec, "sessionAffinity", "ClientIP") {
            within(spec, "sessionAffinityConfig", |config| {
                within(config, "clientIP", |client| {
                    set(client, "timeoutSeconds", json!(10_800))
                });
            });
        }
        set(spec, "type", json!("ClusterIP"));
        each(spec, "ports", |port| {
            set(port, "protocol", json!("TCP"));
            let target_is_zero = port.get("targetPort").and_then(Value::as_i64) == Some(0);
            if let Some(number) = port.get("port").cloned()
                && (target_is_zero || absent(port, "targetPort"))
            {
                port.insert("targetPort".to_owned(), number);
            }
        });
        let kind = spec
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let external = spec
            .get("externalIPs")
            .and_then(Value::as_array)
            .is_some_and(|addresses| !addresses.is_empty());
        if kind == "NodePort" || kind == "LoadBalancer" || (kind == "ClusterIP" && external) {
            set(spec, "externalTrafficPolicy", json!("Cluster"));
        }
        if kind != "ExternalName" {
            set(spec, "internalTrafficPolicy", json!("Cluster"));
        }
        if kind == "LoadBalancer" {
            set(spec, "allocateLoadBalancerNodePorts", json!(true));
        }
    });
    let balances = object
        .get("spec")
        .is_some_and(|spec| spec["type"] == "LoadBalancer");
    if balances {
        with(object, "status", |status| {
            with(status, "loadBalancer", |balancer| {
                each(balancer, "ingress", |entry| {
                    if !absent(entry, "ip") && !is(entry, "ip", "") {
                        set(entry, "ipMode", json!("VIP"));
                    }
                });
            });
        });
    }
}

fn node(object: &mut Members) {
    with(object, "spec", |spec| {
        // The first range is told twice; older clients know that one only.
        let one = spec
            .get("podCIDR")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let first = spec.get("podCIDRs").and_then(|ranges| ranges[0].as_str());
        if !one.is_empty() && first != Some(one) {
            let ranges = json!([one]);
            spec.insert("podCIDRs".to_owned(), ranges);
        } else if let (true, Some(first)) = (one.is_empty(), first) {
            let first = json!(first);
            spec.insert("podCIDR".to_owned(), first);
        }
    });
    with(object, "status", |status| {
        if let Some(capacity) = status.get("capacity").cloned() {
            set(status, "allocatable", capacity);
        }
    });
}

fn limit(limit: &mut Members) {
    if !is(limit, "type", "Container") {
        return;
    }
    for (target, sources) in [
        ("default", &["max"][..]),
        ("defaultRequest", &["default", "min"][..]),
    ] {
        for source in sources {
            let values = limit
                .get(*source)
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default();
            if values.is_empty() {
                continue;
            }
            within(limit, target, |target| {
                for (resource, value) in values {
                    target.entry(resource).or_insert(value);
                }
            });
        }
    }
}

fn network_policy(spec: &mut Members) {
    if spec
        .get("policyTypes")
        .and_then(Value::as_array)
        .is_none_or(Vec::is_empty)
    {
        let egress = spec
            .get("egress")
            .and_then(Value::as_array)
            .is_some_and(|rules| !rules.is_empty());
        let types = if egress {
            json!(["Ingress", "Egress"])
        } else {
            json!(["Ingress"])
        };
        spec.insert("policyTypes".to_owned(), types);
    }
    for direction in ["ingress", "egress"] {
        each(spec, direction, |rule| {
            each(rule, "ports", |port| set(port, "protocol", json!("TCP")))
        });
    }
}

fn csi_driver(spec: &mut Members) {
    set(spec, "attachRequired", json!(true));
    set(spec, "podInfoOnMount", json!(false));
    set(spec, "storageCapacity", json!(false));
    set(spec, "fsGroupPolicy", json!("ReadWriteOnceWithFSType"));
    set(spec, "volumeLifecycleModes", json!(["Persistent"]));
    set(spec, "requiresRepublish", json!(false));
    set(spec, "seLinuxMount", json!(false));
}

/// A claim of devices.
fn claim(spec: &mut Members) {
    fn request(request: &mut Members) {
        set(request, "allocationMode", json!("ExactCount"));
        if is(request, "allocationMode", "ExactCount") {
            set(request, "count", json!(1));
        }
    }
    with(spec, "devices", |devices| {
        each(devices, "requests", |wanted| {
            with(wanted, "exactly", request);
            each(wanted, "firstAvailable", request);
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_stable() {
        let mut object = json!({"spec": {"selector": {}, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}});
        apply("apps", "v1", "Deployment", &mut object);
        assert_eq!(
            object["spec"]["strategy"]["rollingUpdate"]["maxSurge"],
            json!("25%")
        );
        let once = object.clone();
        apply("apps", "v1", "Deployment", &mut object);
        assert_eq!(object, once);
    }
}
