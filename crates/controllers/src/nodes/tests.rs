//! Nodes and their sums, against what was recorded.

use proptest::prelude::*;

use super::*;

fn seen(name: &str, roles: &[&str]) -> core::Node {
    let mut labels: Map<String, Value> = roles
        .iter()
        .map(|role| (format!("node-role.kubernetes.io/{role}"), json!("true")))
        .collect();
    labels.insert("kubernetes.io/arch".to_owned(), json!("amd64"));
    labels.insert("kubernetes.io/os".to_owned(), json!("linux"));
    serde_json::from_value(json!({
        "metadata": {
            "name": name, "labels": labels,
            "annotations": { "kwok.x-k8s.io/node": "fake", "management.cattle.io/pod-requests": "{}" },
        },
        "spec": {},
        "status": {
            "allocatable": { "cpu": "32", "memory": "256Gi", "pods": "110" },
            "capacity": { "cpu": "32", "memory": "256Gi", "pods": "110" },
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
                "lastHeartbeatTime": "2026-11-20T21:21:51Z", "lastTransitionTime": "2026-11-20T21:08:06Z",
            }],
        },
    }))
    .unwrap()
}

fn cluster() -> Cluster {
    let mut cluster = Cluster::named("c-96nwv");
    cluster.metadata.uid = Some("u".to_owned());
    cluster
}

fn inventory(nodes: &[core::Node]) -> Inventory {
    let nodes = nodes
        .iter()
        .map(|node| (node.metadata.name.clone().unwrap(), node.clone()));
    Inventory {
        nodes: nodes.collect(),
        loads: BTreeMap::new(),
        exposed: None,
    }
}

fn pod(value: &Value) -> Pod {
    serde_json::from_value(json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" }, "spec": value["spec"], "status": value["status"] })).unwrap()
}

/// Acts on a list of Nodes as the API would.
fn act(known: &mut Vec<Node>, plan: &Plan) {
    for action in &plan.actions {
        match action {
            Action::Create { object, .. } => {
                known.push(serde_json::from_value(object.clone()).unwrap())
            }
            Action::Replace { target, object, .. } => {
                let node = known
                    .iter_mut()
                    .find(|node| node.metadata.name.as_deref() == Some(target.name()))
                    .unwrap();
                *node = serde_json::from_value(object.clone()).unwrap();
            }
            Action::Delete { target, .. } => {
                known.retain(|node| node.metadata.name.as_deref() != Some(target.name()))
            }
            Action::Apply { .. } | Action::Patch { .. } => panic!("not expected: {action:?}"),
        }
    }
}

#[test]
fn a_new_node_is_made_as_recorded() {
    let mut known = Vec::new();
    act(
        &mut known,
        &reconcile(
            &cluster(),
            Some(&inventory(&[seen("node-2", &["worker"])])),
            &[],
        ),
    );
    let node = &known[0];
    assert!(
        node.metadata
            .name
            .as_deref()
            .unwrap()
            .starts_with("machine-")
    );
    assert_eq!(node.metadata.namespace.as_deref(), Some("c-96nwv"));
    assert_eq!(node.spec.requested_hostname, "node-2");
    assert_eq!(
        (node.spec.control_plane, node.spec.etcd, node.spec.worker),
        (false, false, true)
    );
    assert_eq!(node.status.node_name, "node-2");
    assert_eq!(
        node.status.conditions[0].last_transition_time,
        "2026-11-20 21:08:06 +0000 UTC"
    );
    assert_eq!(
        node.status.conditions[1].message,
        "registered with kubernetes"
    );
    assert_eq!(
        node.status.other["nodeAnnotations"],
        json!({ "kwok.x-k8s.io/node": "fake" })
    );
    assert_eq!(
        node.status.other["internalNodeStatus"]["capacity"]["memory"],
        "256Gi"
    );
    assert_eq!(
        node.status.requested,
        BTreeMap::from([("pods".to_owned(), "0".to_owned())])
    );
}

#[test]
fn a_heartbeat_alone_writes_nothing_and_a_change_does() {
    let mut known = Vec::new();
    let mut node = seen("node-2", &[]);
    act(
        &mut known,
        &reconcile(
            &cluster(),
            Some(&inventory(std::slice::from_ref(&node))),
            &[],
        ),
    );
    let conditions = node.status.as_mut().unwrap().conditions.as_mut().unwrap();
    conditions[0].last_heartbeat_time =
        serde_json::from_value(json!("2026-11-20T21:59:51Z")).unwrap();
    assert!(
        reconcile(
            &cluster(),
            Some(&inventory(std::slice::from_ref(&node))),
            &known
        )
        .is_empty()
    );
    node.spec.as_mut().unwrap().unschedulable = Some(true);
    let plan = reconcile(&cluster(), Some(&inventory(&[node])), &known);
    assert_eq!(plan.actions.len(), 1);
}

#[test]
fn roles_follow_the_labels() {
    let check = |labels: &[&str], expected| {
        let roles = roles(&seen("n", labels));
        assert_eq!((roles.control_plane, roles.etcd, roles.worker), expected);
    };
    check(&[], (false, false, true));
    check(&["control-plane"], (true, false, false));
    check(&["controlplane", "etcd"], (true, true, false));
    check(&["controlplane", "worker"], (true, false, true));
}

#[test]
fn sums_are_those_of_the_recorded_local_cluster() {
    let nodes = ["node-1", "node-2", "node-3"].map(|name| seen(name, &["worker"]));
    let summary = summarize(&inventory(&nodes));
    let expected = |cpu: &str, memory: &str, pods: &str| -> BTreeMap<String, String> {
        [("cpu", cpu), ("memory", memory), ("pods", pods)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    };
    assert_eq!(summary.capacity, expected("96", "768Gi", "330"));
    assert_eq!(summary.requested, expected("0", "0", "0"));
    assert_eq!(
        (
            summary.n_nodes,
            summary.n_linux_workers,
            summary.arch.as_str()
        ),
        (3, 3, "amd64")
    );
}

#[test]
fn tainted_control_planes_and_cordoned_nodes_are_not_counted() {
    let mut tainted = seen("a", &["control-plane"]);
    tainted.spec =
        serde_json::from_value(json!({ "taints": [{ "key": "x", "effect": "NoSchedule" }] }))
            .unwrap();
    let mut cordoned = seen("b", &["worker"]);
    cordoned.spec = serde_json::from_value(json!({ "unschedulable": true })).unwrap();
    let summary = summarize(&inventory(&[tainted, cordoned, seen("c", &[])]));
    assert_eq!(summary.capacity["cpu"], "32");
    assert_eq!((summary.n_nodes, summary.n_linux_workers), (3, 2));
}

#[test]
fn a_pod_asks_for_its_containers_or_its_largest_start() {
    let load =
        |value: Value| of_pod(&pod(&value)).map(|(_, load)| (load.requested(), load.limits()));
    let container = |cpu: &str| json!({ "resources": { "requests": { "cpu": cpu }, "limits": { "memory": "1Gi" } } });
    let (requested, limits) = load(json!({
        "spec": {
            "nodeName": "n", "containers": [container("100m"), container("200m")],
            "initContainers": [container("250m"), { "restartPolicy": "Always", "resources": { "requests": { "cpu": "50m" } } }],
            "overhead": { "cpu": "10m" },
        },
        "status": { "phase": "Running" },
    }))
    .unwrap();
    assert_eq!(requested["cpu"], "360m");
    assert_eq!(requested["pods"], "1");
    assert_eq!(limits["memory"], "2Gi");
    assert_eq!(
        load(json!({ "spec": { "nodeName": "n" }, "status": { "phase": "Succeeded" } })),
        None
    );
    assert_eq!(load(json!({ "spec": {}, "status": {} })), None);
}

#[test]
fn without_a_complete_reading_nothing_changes() {
    let mut known = Vec::new();
    act(
        &mut known,
        &reconcile(&cluster(), Some(&inventory(&[seen("a", &[])])), &[]),
    );
    assert!(reconcile(&cluster(), None, &known).is_empty());
}

proptest! {
    #[test]
    fn plans_reach_a_fixpoint_in_one_step(before in prop::collection::btree_set(0u8..40, 0..20), after in prop::collection::btree_set(0u8..40, 0..20)) {
        let make = |names: &BTreeSet<u8>| inventory(&names.iter().map(|n| seen(&format!("node-{n}"), &[])).collect::<Vec<_>>());
        let mut known = Vec::new();
        for names in [&before, &after] {
            let plan = reconcile(&cluster(), Some(&make(names)), &known);
            act(&mut known, &plan);
        }
        let mut names: Vec<_> = known.iter().map(|node| node.status.node_name.clone()).collect();
        names.sort();
        let mut expected: Vec<_> = after.iter().map(|n| format!("node-{n}")).collect();
        expected.sort();
        prop_assert_eq!(names, expected);
        prop_assert!(reconcile(&cluster(), Some(&make(&after)), &known).is_empty());
        prop_assert!(reconcile(&cluster(), None, &known).is_empty());
    }
}
