//! Nodes of clusters.

use crate::schema::{Action, Behaviour, Layout, Naming, Object, Type};

pub(super) fn types() -> Vec<Type> {
    let mut types = vec![node()];
    types.extend(parts());
    types
}

/// What the machine reports lies in `status.internalNodeStatus`, in the shape of a Kubernetes node's status.
fn node() -> Type {
    const REPORTED: &str = "internalNodeStatus";
    const WANTED: &str = "internalNodeSpec";
    Type::object(
        "node",
        Object {
            kind: "Node",
            resource: "nodes",
            namespaced: true,
            layout: Layout::SpecAndStatus,
        },
        Naming::Display,
        &[
            ("allocatable", "map[string] n"),
            ("appliedNodeVersion", "int"),
            ("capacity", "map[string] n"),
            ("clusterId", "reference[cluster] crn"),
            ("conditions", "array[nodeCondition] n"),
            ("controlPlane", "boolean c"),
            ("customConfig", "customConfig cun"),
            ("declaredFeatures", "array[string] n"),
            ("description", "string cun"),
            ("dockerInfo", "dockerInfo n"),
            ("etcd", "boolean c"),
            ("externalIpAddress", "string n"),
            ("features", "nodeFeatures n"),
            ("hostname", "string n"),
            ("imported", "boolean cu"),
            ("info", "nodeInfo n"),
            ("ipAddress", "string n"),
            ("limits", "map[string] n"),
            ("name", "string cun"),
            ("nodeName", "string n"),
            ("nodeTaints", "array[taint] n"),
            ("podCidr", "string n"),
            ("podCidrs", "array[string] n"),
            ("providerId", "string n"),
            ("publicEndpoints", "array[publicEndpoint] n"),
            ("requested", "map[string] n"),
            ("requestedHostname", "hostname crn"),
            ("runtimeHandlers", "array[nodeRuntimeHandler] n"),
            ("scaledownTime", "string cun"),
            ("taints", "array[taint] un"),
            ("unschedulable", "boolean"),
            ("volumesAttached", "map[attachedVolume] n"),
            ("volumesInUse", "array[string] n"),
            ("worker", "boolean c"),
        ],
    )
    .stateful()
    .behaves(Behaviour::Node)
    .at("clusterId", &[])
    .at("conditions", &[])
    .at("hostname", &[])
    .at("ipAddress", &[])
    .at("externalIpAddress", &[])
    .at("info", &[])
    .at("publicEndpoints", &[])
    .at("allocatable", &["status", REPORTED, "allocatable"])
    .at("capacity", &["status", REPORTED, "capacity"])
    .at(
        "declaredFeatures",
        &["status", REPORTED, "declaredFeatures"],
    )
    .at("features", &["status", REPORTED, "features"])
    .at("runtimeHandlers", &["status", REPORTED, "runtimeHandlers"])
    .at("volumesInUse", &["status", REPORTED, "volumesInUse"])
    .at("volumesAttached", &[])
    .at("podCidr", &["spec", WANTED, "podCIDR"])
    .at("podCidrs", &["spec", WANTED, "podCIDRs"])
    .at("providerId", &["spec", WANTED, "providerID"])
    .at("taints", &["spec", WANTED, "taints"])
    .at("unschedulable", &["spec", WANTED, "unschedulable"])
    .at("labels", &["status", "nodeLabels"])
    .at("annotations", &["status", "nodeAnnotations"])
    .action(Action::new("cordon", None, None))
    .action(Action::new("drain", Some("nodeDrainInput"), None))
    .action(Action::new("scaledown", None, None))
    .action(Action::new("stopDrain", None, None))
    .action(Action::new("uncordon", None, None))
}

fn parts() -> Vec<Type> {
    vec![
        Type::computed_part("cpuInfo", &[("count", "int cu")]),
        Type::part(
            "customConfig",
            &[
                ("address", "string cun"),
                ("dockerSocket", "string cun"),
                ("internalAddress", "string cun"),
                ("label", "map[string] cun"),
                ("sshCert", "string cun"),
                ("sshKey", "password cun"),
                ("taints", "array[string] cun"),
                ("user", "string cun"),
            ],
        ),
        Type::part(
            "dockerInfo",
            &[
                ("architecture", "string cun"),
                ("cgroupDriver", "string cun"),
                ("debug", "boolean cu"),
                ("dockerRootDir", "string cun"),
                ("driver", "string cun"),
                ("experimentalBuild", "boolean cu"),
                ("httpProxy", "string cun"),
                ("httpsProxy", "string cun"),
                ("id", "string cun"),
                ("indexServerAddress", "string cun"),
                ("initBinary", "string cun"),
                ("kernelVersion", "string cun"),
                ("labels", "array[string] cun"),
                ("loggingDriver", "string cun"),
                ("name", "string cun"),
                ("noProxy", "string cun"),
                ("operatingSystem", "string cun"),
                ("osType", "string cun"),
                ("securityOptions", "array[string] cun"),
                ("serverVersion", "string cun"),
            ],
        ),
        Type::computed_part(
            "kubernetesInfo",
            &[
                ("kubeProxyVersion", "string cun"),
                ("kubeletVersion", "string cun"),
            ],
        ),
        Type::computed_part("memoryInfo", &[("memTotalKiB", "int cu")]),
        Type::part(
            "nodeCondition",
            &[
                ("lastHeartbeatTime", "date cun"),
                ("lastTransitionTime", "date cun"),
                ("message", "string cun"),
                ("reason", "string cun"),
                ("status", "string cun"),
                ("type", "string cun"),
            ],
        ),
        Type::part(
            "nodeDrainInput",
            &[
                ("deleteLocalData", "boolean cu"),
                ("force", "boolean cu"),
                ("gracePeriod", "int cu default=-1"),
                ("ignoreDaemonSets", "boolean cun default=true"),
                ("timeout", "int cu default=120 max=10800 min=1"),
            ],
        ),
        Type::part(
            "nodeFeatures",
            &[("supplementalGroupsPolicy", "boolean cun")],
        ),
        Type::computed_part(
            "nodeInfo",
            &[
                ("cpu", "cpuInfo cun"),
                ("kubernetes", "kubernetesInfo cun"),
                ("memory", "memoryInfo cun"),
                ("os", "osInfo cun"),
            ],
        ),
        Type::part(
            "nodeRuntimeHandler",
            &[
                ("features", "nodeRuntimeHandlerFeatures cun"),
                ("name", "string cun"),
            ],
        ),
        Type::part(
            "nodeRuntimeHandlerFeatures",
            &[
                ("recursiveReadOnlyMounts", "boolean cun"),
                ("userNamespaces", "boolean cun"),
            ],
        ),
        Type::computed_part(
            "osInfo",
            &[
                ("dockerVersion", "string cun"),
                ("kernelVersion", "string cun"),
                ("operatingSystem", "string cun"),
            ],
        ),
    ]
}
