//! Services of projects, and the same objects as names in DNS.
//!
//! A name points at a host elsewhere (`hostname`), at addresses (`ipAddresses`) or at a workload (`targetWorkloadIds`).

use crate::schema::{Base, Declared, Form, Layout, Naming, Object, Type};

const SERVICES: Object = Object {
    kind: "Service",
    resource: "services",
    namespaced: true,
    layout: Layout::Spec,
};

const BOTH: &[Declared] = &[
    ("allocateLoadBalancerNodePorts", "boolean cun"),
    ("clusterIPs", "array[string] cun"),
    ("description", "string cun"),
    ("hostname", "string cun"),
    ("ipAddresses", "array[string] cun"),
    ("ipFamilies", "array[string] cun"),
    ("ipFamilyPolicy", "string cun"),
    ("projectId", "reference[/v3/schemas/project] cn"),
    ("publicEndpoints", "array[publicEndpoint] n"),
    ("selector", "map[string] cun"),
    ("targetDnsRecordIds", "array[reference[dnsRecord]] cun"),
    ("targetWorkloadIds", "array[reference[workload]] cun"),
    ("trafficDistribution", "string cun"),
    ("workloadId", "reference[workload] n"),
];
const SERVICE: &[Declared] = &[
    ("clusterIp", "string cun"),
    ("externalIPs", "array[string] cun"),
    ("externalTrafficPolicy", "string cun"),
    ("healthCheckNodePort", "int cu"),
    ("internalTrafficPolicy", "string cun"),
    ("kind", "string cun"),
    ("loadBalancerClass", "string cun"),
    ("loadBalancerIP", "string cun"),
    ("loadBalancerSourceRanges", "array[string] cun"),
    ("ports", "array[servicePort] cun"),
    ("publishNotReadyAddresses", "boolean cu"),
    ("sessionAffinity", "string cun"),
    ("sessionAffinityConfig", "sessionAffinityConfig cun"),
];
const DNS_RECORD: &[Declared] = &[("clusterIp", "string n"), ("ports", "array[servicePort] n")];

const PARTS: &[(&str, &[Declared])] = &[
    ("clientIPConfig", &[("timeoutSeconds", "int cun")]),
    (
        "servicePort",
        &[
            ("appProtocol", "string cun"),
            ("name", "string cun"),
            ("nodePort", "int cu"),
            ("port", "int cu"),
            ("protocol", "string cun"),
            ("targetPort", "intOrString cun"),
        ],
    ),
    (
        "sessionAffinityConfig",
        &[("clientIP", "clientIPConfig cun")],
    ),
];

pub(super) fn types() -> Vec<Type> {
    let parts = PARTS.iter().map(|(id, fields)| {
        let mut part = Type::part(id, fields);
        part.base = Base::Project;
        part
    });
    let service =
        declare("service", Form::Service, Naming::Object, SERVICE).at("kind", &["spec", "type"]);
    let record = declare("dnsRecord", Form::DnsRecord, Naming::Restricted, DNS_RECORD);
    parts.chain([service, record]).collect()
}

fn declare(id: &'static str, form: Form, naming: Naming, own: &[Declared]) -> Type {
    let in_annotations = |name| ["metadata", "annotations", name];
    Type::object(id, SERVICES, naming, &[BOTH, own].concat())
        .stateful()
        .inside(Base::Project, "v1")
        .formed(form)
        .at("clusterIp", &["spec", "clusterIP"])
        .at("description", &[])
        .at("hostname", &["spec", "externalName"])
        .at(
            "workloadId",
            &["metadata", "labels", "field.cattle.io/workloadId"],
        )
        .at(
            "ipAddresses",
            &in_annotations("field.cattle.io/ipAddresses"),
        )
        .at(
            "publicEndpoints",
            &in_annotations("field.cattle.io/publicEndpoints"),
        )
        .at(
            "targetDnsRecordIds",
            &in_annotations("field.cattle.io/targetDnsRecordIds"),
        )
        .at(
            "targetWorkloadIds",
            &in_annotations("field.cattle.io/targetWorkloadIds"),
        )
}
