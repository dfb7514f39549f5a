use drover_types::names::PROJECT_ANNOTATION;
use serde_json::{Value, json};

use super::*;

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn project(name: &str, labels: &Value) -> Project {
    let mut project = Project::named(name);
    project.metadata.labels = read(labels.clone());
    project
}

fn namespace(name: &str, project: &str) -> ObjectMeta {
    read(json!({ "name": name, "uid": name, "annotations": { PROJECT_ANNOTATION: project } }))
}

/// Two projects beside the system's, and a namespace of none.
fn observed() -> Observed {
    let node = |cidrs: Value, annotations: Value| {
        read(json!({ "metadata": { "annotations": annotations }, "spec": { "podCIDRs": cidrs } }))
    };
    Observed {
        projects: vec![
            project("p-1", &json!({})),
            project("p-2", &json!({})),
            project("p-s", &json!({ SYSTEM_PROJECT_LABEL: "true" })),
        ],
        namespaces: vec![
            namespace("shop", "c-1:p-1"),
            namespace("bank", "c-1:p-2"),
            namespace("kube-system", "c-1:p-s"),
            namespace("free", ""),
            namespace("stranger", "c-2:p-1"),
            namespace("orphan", "c-1:p-gone"),
        ],
        services: vec![
            read(json!({
                "metadata": { "name": "web", "namespace": "shop", "uid": "s" },
                "spec": { "selector": { "app": "web" }, "ports": [
                    { "port": 443, "targetPort": "https", "nodePort": 30443, "protocol": "TCP" },
                    { "port": 80, "nodePort": 30080 },
                ] },
            })),
            read(json!({
                "metadata": { "name": "inner", "namespace": "shop" },
                "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80 }] },
            })),
            // It leads to addresses of its own; a policy without a selector would open all pods.
            read(json!({
                "metadata": { "name": "elsewhere", "namespace": "shop" },
                "spec": { "ports": [{ "port": 80, "nodePort": 30081 }] },
            })),
            read(json!({
                "metadata": { "name": "default", "namespace": "bank" },
                "spec": { "selector": { "app": "till" }, "ports": [{ "port": 80, "nodePort": 30082 }] },
            })),
            read(json!({
                "metadata": { "name": "web", "namespace": "free" },
                "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80, "nodePort": 30083 }] },
            })),
        ],
        nodes: Some(
            [
                ("a", node(json!(["10.42.0.0/24", "fd00:1::/64"]), json!({}))),
                (
                    "b",
                    node(
                        json!(["10.42.1.0/24"]),
                        json!({ "projectcalico.org/IPv4VXLANTunnelAddr": "10.42.9.1" }),
                    ),
                ),
                ("c", node(json!(["rubbish"]), json!({}))),
            ]
            .map(|(name, node)| (name.to_owned(), node))
            .into(),
        ),
        exposed: Some(vec![Exposed {
            namespace: "shop".to_owned(),
            name: "log-x".to_owned(),
            uid: "p".to_owned(),
            labels: [("app".to_owned(), "log".to_owned())].into(),
            ports: vec![(514, "UDP".to_owned())],
        }]),
        policies: Vec::new(),
    }
}

/// Does what a plan says.
fn act(observed: &mut Observed, plan: &Plan) {
    for action in &plan.actions {
        let policies = &mut observed.policies;
        let at = |policies: &[NetworkPolicy], namespace: &str, name: &str| {
            policies.iter().position(|found| {
                found.namespace().as_deref() == Some(namespace) && found.name_any() == name
            })
        };
        match action {
            Action::Create { object, .. } => policies.push(read(object.clone())),
            Action::Replace { object, .. } => {
                let changed: NetworkPolicy = read(object.clone());
                let place = at(policies, &changed.namespace().unwrap(), &changed.name_any());
                policies[place.unwrap()] = changed;
            }
            Action::Delete { target, .. } => {
                let place = target.to_string();
                let (namespace, name) = place
                    .strip_prefix("NetworkPolicy ")
                    .and_then(|place| place.split_once('/'))
                    .unwrap();
                policies.remove(at(policies, namespace, name).unwrap());
            }
            Action::Apply { .. } | Action::Patch { .. } => panic!("not expected: {action:?}"),
        }
    }
}

fn isolated() -> Observed {
    let mut observed = observed();
    let plan = reconcile(&observed, "c-1", true);
    act(&mut observed, &plan);
    observed
}

fn policy<'a>(observed: &'a Observed, namespace: &str, name: &str) -> &'a NetworkPolicy {
    let found = observed
        .policies
        .iter()
        .find(|found| found.namespace().as_deref() == Some(namespace) && found.name_any() == name);
    found.unwrap_or_else(|| panic!("no {namespace}/{name}"))
}

fn names(observed: &Observed) -> Vec<String> {
    let name =
        |found: &NetworkPolicy| format!("{}/{}", found.namespace().unwrap(), found.name_any());
    let mut names: Vec<_> = observed.policies.iter().map(name).collect();
    names.sort_unstable();
    names
}

#[test]
fn projects_hear_from_themselves_the_system_and_the_nodes() {
    let observed = isolated();
    assert_eq!(
        names(&observed),
        [
            "bank/hn-nodes",
            "bank/np--default",
            "bank/np-default",
            "kube-system/np-default-allow-all",
            "shop/hn-nodes",
            "shop/hp-log-x",
            "shop/np-default",
            "shop/np-web",
        ]
    );
    let spec = |namespace: &str, name: &str| json!(policy(&observed, namespace, name).spec);
    let of = |project: &str| json!({ "namespaceSelector": { "matchLabels": { PROJECT_ANNOTATION: project } } });
    assert_eq!(
        spec("shop", "np-default"),
        json!({ "podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{ "from": [of("p-1"), of("p-s")] }] })
    );
    let block = |cidr: &str| json!({ "ipBlock": { "cidr": cidr } });
    assert_eq!(
        spec("shop", "hn-nodes")["ingress"],
        json!([{ "from": [block("10.42.0.0/32"), block("10.42.9.1/32"), block("fd00:1::/128")] }])
    );
    assert_eq!(
        spec("kube-system", "np-default-allow-all"),
        json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}] })
    );
}

#[test]
fn what_is_offered_to_the_outside_stays_open() {
    let observed = isolated();
    let spec = |namespace: &str, name: &str| json!(policy(&observed, namespace, name).spec);
    assert_eq!(
        spec("shop", "np-web"),
        json!({
            "podSelector": { "matchLabels": { "app": "web" } }, "policyTypes": ["Ingress"],
            "ingress": [{ "ports": [{ "port": 80, "protocol": "TCP" }, { "port": "https", "protocol": "TCP" }] }],
        })
    );
    assert_eq!(
        spec("shop", "hp-log-x"),
        json!({
            "podSelector": { "matchLabels": { "app": "log" } }, "policyTypes": ["Ingress"],
            "ingress": [{ "ports": [{ "port": 514, "protocol": "UDP" }] }],
        })
    );
    // Its name must not take the place of the policy that closes.
    assert_eq!(
        spec("bank", "np--default")["podSelector"],
        json!({ "matchLabels": { "app": "till" } })
    );
    let owners = policy(&observed, "shop", "np-web").owner_references();
    assert_eq!(
        (owners[0].kind.as_str(), owners[0].uid.as_str()),
        ("Service", "s")
    );
}

#[test]
fn what_is_edited_is_put_back_and_what_others_made_is_left_alone() {
    let mut observed = isolated();
    assert!(reconcile(&observed, "c-1", true).is_empty());
    let foreign: NetworkPolicy = read(json!({
        "metadata": { "name": "np-own", "namespace": "shop" }, "spec": { "podSelector": {} },
    }));
    let labelled: NetworkPolicy = read(json!({
        "metadata": { "name": "theirs", "namespace": "shop", "labels": { "cattle.io/creator": "norman" } },
        "spec": { "podSelector": {} },
    }));
    observed.policies.extend([foreign, labelled]);
    assert!(reconcile(&observed, "c-1", true).is_empty());

    let before = observed.policies.clone();
    let named = |name: &'static str| {
        move |policy: &NetworkPolicy| {
            policy.namespace().as_deref() == Some("shop") && policy.name_any() == name
        }
    };
    let mut policies = observed.policies.iter_mut();
    let edited = policies.find(|policy| named("np-default")(policy)).unwrap();
    edited.spec.as_mut().unwrap().ingress = Some(vec![Default::default()]);
    observed
        .policies
        .retain(|policy| !named("hn-nodes")(policy));
    let plan = reconcile(&observed, "c-1", true);
    assert_eq!(plan.actions.len(), 2);
    act(&mut observed, &plan);
    assert_eq!(observed.policies.len(), before.len());
    assert!(reconcile(&observed, "c-1", true).is_empty());

    // Somebody's own policy in a namespace of the system takes the place of ours.
    let own = read(json!({ "metadata": { "name": "own", "namespace": "kube-system" } }));
    observed.policies.push(own);
    let plan = reconcile(&observed, "c-1", true);
    let [Action::Delete { target, .. }] = plan.actions.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(target.name(), "np-default-allow-all");
}

#[test]
fn a_namespace_that_moves_or_leaves_takes_the_policies_of_where_it_is() {
    let mut observed = isolated();
    observed.namespaces[0] = namespace("shop", "c-1:p-2");
    observed.namespaces[1] = namespace("bank", "");
    let plan = reconcile(&observed, "c-1", true);
    act(&mut observed, &plan);
    assert!(
        names(&observed)
            .iter()
            .all(|name| !name.starts_with("bank/"))
    );
    let rule = json!(policy(&observed, "shop", "np-default").spec);
    assert_eq!(
        rule["ingress"][0]["from"][0]["namespaceSelector"]["matchLabels"][PROJECT_ANNOTATION],
        "p-2"
    );
}

#[test]
fn nothing_follows_from_what_is_not_known_and_everything_of_ours_goes_in_the_end() {
    let mut observed = isolated();
    observed.nodes = None;
    observed.exposed = None;
    assert!(reconcile(&observed, "c-1", true).is_empty());
    observed.nodes = Some(BTreeMap::new());
    let plan = reconcile(&observed, "c-1", true);
    assert_eq!(
        plan.actions.len(),
        2,
        "a rule for nobody would be one for everybody"
    );
    let foreign = read(json!({ "metadata": { "name": "np-own", "namespace": "shop" } }));
    observed.policies.push(foreign);
    let plan = reconcile(&observed, "c-1", false);
    act(&mut observed, &plan);
    assert_eq!(names(&observed), ["shop/np-own"]);
}

#[test]
fn what_opens_is_made_before_what_closes() {
    let plan = reconcile(&observed(), "c-1", true);
    let closes = |action: &Action| action.target().name() == "np-default";
    let first = plan.actions.iter().position(closes).unwrap();
    assert!(plan.actions[first..].iter().all(closes));
}

#[test]
fn the_cluster_says_what_was_done() {
    let mut cluster = Cluster::named("c-1");
    let mut plan = Plan::default();
    note(&cluster, true, &mut plan);
    assert_eq!(plan.actions.len(), 1);
    let Some(Action::Patch { patch, .. }) = &plan.status else {
        panic!("{plan:?}")
    };
    assert_eq!(patch["status"]["appliedEnableNetworkPolicy"], true);
    cluster.metadata.annotations = Some([(ANNOTATION.to_owned(), "true".to_owned())].into());
    cluster
        .status
        .other
        .insert("appliedEnableNetworkPolicy".to_owned(), json!(true));
    let mut plan = Plan::default();
    note(&cluster, true, &mut plan);
    assert!(plan.is_empty());
}
