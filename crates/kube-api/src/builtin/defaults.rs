//! Defaults of built-in kinds that no schema tells.
//!
//! They are those of kubernetes v1.36 `pkg/apis/*/v1/defaults.go`. An empty string counts as absent where the member
//! is no pointer there.

use serde_json::{Map, Value, json};

use crate::admission::limits::of_containers;

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
        // Only clusters that choose leaders by themselves have these.
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

/// Shares of a priority level, and how its queues are.
fn priority_level(spec: &mut Members) {
    for (member, shares) in [("exempt", 0), ("limited", 30)] {
        with(spec, member, |level| {
            set(level, "nominalConcurrencyShares", json!(shares));
            set(level, "lendablePercent", json!(0));
            with(level, "limitResponse", |response| {
                with(response, "queuing", |queuing| {
                    set_number(queuing, "handSize", 8);
                    set_number(queuing, "queues", 64);
                    set_number(queuing, "queueLengthLimit", 50);
                });
            });
        });
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

fn pod_template(template: &mut Members) {
    with(template, "spec", pod_spec);
}

/// What holds for pods and for templates of pods.
fn pod_spec(spec: &mut Members) {
    // The older name of the same member is always written too.
    if let Some(account) = spec
        .get("serviceAccountName")
        .or_else(|| spec.get("serviceAccount"))
        .cloned()
    {
        for name in ["serviceAccountName", "serviceAccount"] {
            spec.insert(name.to_owned(), account.clone());
        }
    }
    set(spec, "dnsPolicy", json!("ClusterFirst"));
    set(spec, "restartPolicy", json!("Always"));
    set(spec, "securityContext", json!({}));
    set(spec, "terminationGracePeriodSeconds", json!(30));
    set(spec, "schedulerName", json!("default-scheduler"));
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        each(spec, list, container);
    }
    each(spec, "volumes", volume);
}

/// What holds for pods only.
fn pod(spec: &mut Members) {
    set(spec, "enableServiceLinks", json!(true));
    for list in ["containers", "initContainers"] {
        each(spec, list, |container| {
            with(container, "resources", |resources| {
                let limits = resources
                    .get("limits")
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default();
                if limits.is_empty() {
                    return;
                }
                within(resources, "requests", |requests| {
                    for (resource, limit) in limits {
                        requests.entry(resource).or_insert(limit);
                    }
                });
            });
        });
    }
    whole(spec);
    if spec.get("hostNetwork") == Some(&Value::Bool(true)) {
        for list in ["containers", "initContainers"] {
            each(spec, list, |container| {
                each(container, "ports", |port| {
                    if let Some(number) = port.get("containerPort").and_then(Value::as_i64) {
                        set_number(port, "hostPort", number);
                    }
                });
            });
        }
    }
}

/// What a pod says as a whole, where it says a part only: huge pages are those of its containers, requests those of its
/// containers or else its limits.
fn whole(spec: &mut Members) {
    let [requests, limits] = ["requests", "limits"].map(|member| of_containers(spec, member));
    with(spec, "resources", |resources| {
        let stated = |resources: &Members, member: &str| {
            let stated = resources.get(member).and_then(Value::as_object);
            stated.cloned().unwrap_or_default()
        };
        let asked = stated(resources, "requests");
        if asked.is_empty() && stated(resources, "limits").is_empty() {
            return;
        }
        let huge = |name: &str| name.starts_with("hugepages-");
        let overcommitted = |name: &str| matches!(name, "cpu" | "memory");
        let pages = limits
            .into_iter()
            .filter(|(name, _)| huge(name) && !asked.contains_key(name))
            .map(|(name, amount)| (name, json!(amount.to_string())));
        fill(resources, "limits", pages.collect());
        let most = stated(resources, "limits");
        if most.is_empty() {
            return;
        }
        let used = requests
            .into_iter()
            .filter(|(name, _)| overcommitted(name))
            .map(|(name, amount)| (name, json!(amount.to_string())));
        fill(resources, "requests", used.collect());
        let rest = most
            .into_iter()
            .filter(|(name, _)| overcommitted(name) || huge(name));
        fill(resources, "requests", rest.collect());
    });
}

/// Adds what a list of amounts lacks.
fn fill(resources: &mut Members, member: &str, amounts: Vec<(String, Value)>) {
    if amounts.is_empty() {
        return;
    }
    within(resources, member, |held| {
        for (name, amount) in amounts {
            held.entry(name).or_insert(amount);
        }
    });
}

/// `Always` for an image without a tag or with the tag `latest`.
fn pull_policy(image: Option<&Value>) -> Value {
    let image = image.and_then(Value::as_str).unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or(image);
    let latest =
        !image.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest");
    json!(if latest { "Always" } else { "IfNotPresent" })
}

fn container(container: &mut Members) {
    let policy = pull_policy(container.get("image"));
    set(container, "imagePullPolicy", policy);
    set(
        container,
        "terminationMessagePath",
        json!("/dev/termination-log"),
    );
    set(container, "terminationMessagePolicy", json!("File"));
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        with(container, probe, |probe| {
            set_number(probe, "timeoutSeconds", 1);
            set_number(probe, "periodSeconds", 10);
            set_number(probe, "successThreshold", 1);
            set_number(probe, "failureThreshold", 3);
            with(probe, "httpGet", http_get);
            with(probe, "grpc", |grpc| {
                set_missing(grpc, "service", json!(""))
            });
        });
    }
    with(container, "lifecycle", |lifecycle| {
        for hook in ["postStart", "preStop"] {
            with(lifecycle, hook, |hook| with(hook, "httpGet", http_get));
        }
    });
    each(container, "env", |variable| {
        with(variable, "valueFrom", |source| {
            with(source, "fieldRef", |field| {
                set(field, "apiVersion", json!("v1"))
            })
        });
    });
}

fn http_get(get: &mut Members) {
    set(get, "path", json!("/"));
    set(get, "scheme", json!("HTTP"));
}

fn volume(volume: &mut Members) {
    if volume.keys().all(|name| name == "name") {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        with(volume, source, |source| {
            set_missing(source, "defaultMode", json!(0o644))
        });
    }
    with(volume, "downwardAPI", downward_items);
    with(volume, "hostPath", |path| {
        set_missing(path, "type", json!(""))
    });
    with(volume, "projected", |projected| {
        each(projected, "sources", |source| {
            with(source, "serviceAccountToken", |token| {
                set_missing(token, "expirationSeconds", json!(3600))
            });
            with(source, "downwardAPI", downward_items);
        });
    });
    with(volume, "iscsi", |iscsi| {
        set(iscsi, "iscsiInterface", json!("default"))
    });
    with(volume, "ephemeral", |ephemeral| {
        with(ephemeral, "volumeClaimTemplate", |template| {
            with(template, "spec", |spec| {
                set(spec, "volumeMode", json!("Filesystem"))
            });
        });
    });
    with(volume, "image", |image| {
        let policy = pull_policy(image.get("reference"));
        set(image, "pullPolicy", policy);
    });
}

fn downward_items(source: &mut Members) {
    each(source, "items", |item| {
        with(item, "fieldRef", |field| {
            set(field, "apiVersion", json!("v1"))
        })
    });
}

fn replication_controller(object: &mut Members) {
    let labels = object
        .get("spec")
        .and_then(|spec| spec.pointer("/template/metadata/labels"))
        .cloned();
    with(object, "spec", |spec| {
        set(spec, "replicas", json!(1));
        if let Some(labels) = &labels {
            set(spec, "selector", labels.clone());
        }
        with(spec, "template", pod_template);
    });
    if let Some(labels) = labels {
        within(object, "metadata", |metadata| {
            set(metadata, "labels", labels)
        });
    }
}

fn deployment(spec: &mut Members) {
    set(spec, "replicas", json!(1));
    set(spec, "revisionHistoryLimit", json!(10));
    set(spec, "progressDeadlineSeconds", json!(600));
    within(spec, "strategy", |strategy| {
        set(strategy, "type", json!("RollingUpdate"));
        if is(strategy, "type", "RollingUpdate") {
            within(strategy, "rollingUpdate", |update| {
                set(update, "maxUnavailable", json!("25%"));
                set(update, "maxSurge", json!("25%"));
            });
        }
    });
    with(spec, "template", pod_template);
}

fn daemon_set(spec: &mut Members) {
    set(spec, "revisionHistoryLimit", json!(10));
    within(spec, "updateStrategy", |strategy| {
        set(strategy, "type", json!("RollingUpdate"));
        if is(strategy, "type", "RollingUpdate") {
            within(strategy, "rollingUpdate", |update| {
                set(update, "maxUnavailable", json!(1));
                set(update, "maxSurge", json!(0));
            });
        }
    });
    with(spec, "template", pod_template);
}

fn stateful_set(spec: &mut Members) {
    set(spec, "replicas", json!(1));
    set(spec, "revisionHistoryLimit", json!(10));
    set(spec, "podManagementPolicy", json!("OrderedReady"));
    within(spec, "updateStrategy", |strategy| {
        if absent(strategy, "type") {
            strategy.insert("type".to_owned(), json!("RollingUpdate"));
            set(strategy, "rollingUpdate", json!({}));
        }
        if is(strategy, "type", "RollingUpdate") {
            with(strategy, "rollingUpdate", |update| {
                set(update, "partition", json!(0))
            });
        }
    });
    within(spec, "persistentVolumeClaimRetentionPolicy", |policy| {
        set(policy, "whenDeleted", json!("Retain"));
        set(policy, "whenScaled", json!("Retain"));
    });
    each(spec, "volumeClaimTemplates", |claim| {
        set(claim, "apiVersion", json!("v1"));
        set(claim, "kind", json!("PersistentVolumeClaim"));
        with(claim, "spec", |spec| {
            set(spec, "volumeMode", json!("Filesystem"))
        });
        within(claim, "status", |status| {
            set(status, "phase", json!("Pending"))
        });
    });
    with(spec, "template", pod_template);
}

fn job(object: &mut Members) {
    with(object, "spec", job_spec);
    let labels = object
        .get("spec")
        .and_then(|spec| spec.pointer("/template/metadata/labels"))
        .cloned();
    if let Some(labels) = labels {
        within(object, "metadata", |metadata| {
            set(metadata, "labels", labels)
        });
    }
}

fn job_spec(spec: &mut Members) {
    if absent(spec, "completions") && absent(spec, "parallelism") {
        set(spec, "completions", json!(1));
    }
    set(spec, "parallelism", json!(1));
    let by_index = !absent(spec, "backoffLimitPerIndex");
    set(
        spec,
        "backoffLimit",
        json!(if by_index { i32::MAX } else { 6 }),
    );
    set(spec, "completionMode", json!("NonIndexed"));
    set(spec, "suspend", json!(false));
    let failed_only = !absent(spec, "podFailurePolicy");
    set(
        spec,
        "podReplacementPolicy",
        json!(if failed_only {
            "Failed"
        } else {
            "TerminatingOrFailed"
        }),
    );
    set(spec, "manualSelector", json!(false));
    failure_policy(spec);
    with(spec, "template", pod_template);
}

/// A condition of pods that says nothing more is one that is true.
fn failure_policy(spec: &mut Members) {
    with(spec, "podFailurePolicy", |policy| {
        each(policy, "rules", |rule| {
            each(rule, "onPodConditions", |condition| {
                if absent(condition, "status") || is(condition, "status", "") {
                    condition.insert("status".to_owned(), json!("True"));
                }
            });
        });
    });
}

fn cron_job(spec: &mut Members) {
    set(spec, "concurrencyPolicy", json!("Allow"));
    set(spec, "suspend", json!(false));
    set(spec, "successfulJobsHistoryLimit", json!(3));
    set(spec, "failedJobsHistoryLimit", json!(1));
    // The job's own defaults apply when the job is made; its template's pods have theirs already.
    with(spec, "jobTemplate", |job| {
        with(job, "spec", |spec| {
            failure_policy(spec);
            with(spec, "template", pod_template);
        })
    });
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

fn autoscaler(version: &str, spec: &mut Members) {
    set(spec, "minReplicas", json!(1));
    if version == "v1" {
        return;
    }
    set(
        spec,
        "metrics",
        json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]),
    );
    with(spec, "behavior", |behavior| {
        within(behavior, "scaleUp", |rules| {
            set(rules, "stabilizationWindowSeconds", json!(0));
            set(rules, "selectPolicy", json!("Max"));
            set(
                rules,
                "policies",
                json!([
                    {"type": "Pods", "value": 4, "periodSeconds": 15},
                    {"type": "Percent", "value": 100, "periodSeconds": 15},
                ]),
            );
        });
        within(behavior, "scaleDown", |rules| {
            set(rules, "selectPolicy", json!("Max"));
            set(
                rules,
                "policies",
                json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]),
            );
        });
    });
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

fn admission(kind: &str, object: &mut Members) {
    match kind {
        "ValidatingWebhookConfiguration" => each(object, "webhooks", webhook),
        "MutatingWebhookConfiguration" => each(object, "webhooks", |hook| {
            webhook(hook);
            set(hook, "reinvocationPolicy", json!("Never"));
        }),
        "ValidatingAdmissionPolicy" | "MutatingAdmissionPolicy" => with(object, "spec", |spec| {
            set(spec, "failurePolicy", json!("Fail"));
            with(spec, "matchConstraints", match_resources);
        }),
        "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding" => {
            with(object, "spec", |spec| {
                with(spec, "matchResources", match_resources)
            });
        }
        _ => {}
    }
}

fn webhook(hook: &mut Members) {
    set(hook, "failurePolicy", json!("Fail"));
    set(hook, "matchPolicy", json!("Equivalent"));
    set(hook, "namespaceSelector", json!({}));
    set(hook, "objectSelector", json!({}));
    set(hook, "timeoutSeconds", json!(10));
    with(hook, "clientConfig", |config| {
        with(config, "service", |service| {
            set(service, "port", json!(443))
        })
    });
    each(hook, "rules", |rule| set(rule, "scope", json!("*")));
}

fn match_resources(resources: &mut Members) {
    set(resources, "matchPolicy", json!("Equivalent"));
    set(resources, "namespaceSelector", json!({}));
    set(resources, "objectSelector", json!({}));
    for rules in ["resourceRules", "excludeResourceRules"] {
        each(resources, rules, |rule| set(rule, "scope", json!("*")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pull_policies_follow_the_tag() {
        for (image, expected) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.2", "IfNotPresent"),
            ("registry:5000/nginx", "Always"),
            ("registry:5000/nginx:1", "IfNotPresent"),
            ("nginx@sha256:00", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(Some(&json!(image))), json!(expected), "{image}");
        }
    }

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
