use super::*;

fn ingress(spec: &Value) -> Value {
    json!({"metadata": {"name": "ing", "namespace": "works-a"}, "spec": spec})
}

fn refused(path: &Value) -> String {
    let error = store(ingress(&json!({"rules": [{"host": "h", "paths": [path]}]}))).unwrap_err();
    format!(
        "{} {}",
        error.code,
        error.field_name.as_deref().unwrap_or_default()
    )
}

#[test]
fn paths_to_workloads_and_services_are_read_back() {
    let spec = json!({
        "rules": [{"host": "web.example", "paths": [
            {"path": "/", "pathType": "Prefix", "workloadIds": ["deployment:works-a:web"], "targetPort": "80"},
            {"path": "/b", "serviceId": "works-a:svc", "targetPort": "http"},
        ]}],
        "backend": {"serviceId": "works-a:svc", "targetPort": 8080},
        "tls": [{"hosts": ["web.example"], "certificateId": "p-1:cert"}],
    });
    let kept = store(ingress(&spec)).unwrap();
    let paths = &kept["spec"]["rules"][0]["http"]["paths"];
    assert_eq!(paths[0]["backend"]["service"]["port"]["number"], 80);
    assert_eq!(paths[1]["pathType"], "ImplementationSpecific");
    assert_eq!(
        kept["spec"]["defaultBackend"]["service"],
        json!({"name": "svc", "port": {"number": 8080}})
    );
    assert_eq!(kept["spec"].get("backend"), None);
    assert_eq!(kept["spec"]["tls"][0]["secretName"], "cert");
    let needed = services(&kept);
    assert_eq!(needed.len(), 1, "{needed:?}");
    assert_eq!(
        (needed[0].workloads.join(" ").as_str(), needed[0].port),
        ("deployment:works-a:web", 80)
    );
    assert_eq!(paths[0]["backend"]["service"]["name"], needed[0].name);

    let mut shown = kept.clone();
    view(&mut shown);
    assert_eq!(
        shown["spec"]["rules"][0]["paths"],
        json!([
            {
                "path": "/", "pathType": "Prefix", "workloadIds": ["deployment:works-a:web"], "targetPort": 80,
                "service": {"port": {"number": 80}},
            },
            {
                "path": "/b", "pathType": "ImplementationSpecific", "serviceId": "works-a:svc", "targetPort": "http",
                "service": {"port": {"name": "http"}},
            },
        ])
    );
    assert_eq!(shown["spec"]["tls"][0]["certificateId"], "p-1:cert");
    assert_eq!(store(shown).unwrap(), kept, "what was read changes nothing");
}

#[test]
fn paths_of_a_host_that_are_there_twice_are_joined() {
    let web = json!(["deployment:works-a:web"]);
    let spec = json!({"rules": [
        {"host": "a", "paths": [
            {"path": "/", "serviceId": "works-a:svc", "targetPort": 80},
            {"path": "/b", "serviceId": "works-a:svc", "targetPort": 80},
        ]},
        {"host": "b", "paths": [{"path": "/", "workloadIds": web, "targetPort": 80}]},
        {"host": "a", "paths": [{"path": "/", "serviceId": "works-a:other", "targetPort": 80}]},
        {"host": "b", "paths": [{"path": "/", "workloadIds": web, "targetPort": 81}]},
        {"host": "c"},
    ]});
    let kept = store(ingress(&spec)).unwrap();
    let rules = kept["spec"]["rules"].as_array().unwrap();
    let leads = rules.iter().map(|rule| {
        let paths = rule["http"]["paths"].as_array().into_iter().flatten();
        let paths = paths.map(|path| &path["backend"]["service"]["port"]["number"]);
        (rule["host"].as_str().unwrap(), paths.collect::<Vec<_>>())
    });
    assert_eq!(
        leads.collect::<Vec<_>>(),
        [
            ("a", vec![&json!(80)]),
            ("a", vec![&json!(80)]),
            ("b", vec![&json!(81)]),
            ("c", vec![]),
        ]
    );
    assert_eq!(rules[0]["http"]["paths"][0]["path"], "/b");
    let backend = &rules[1]["http"]["paths"][0]["backend"];
    assert_eq!(backend["service"]["name"], "other");
    let spec = json!({"rules": [
        {"host": "h", "paths": [{"path": "/", "workloadIds": web, "targetPort": 80}]},
        {"host": "h", "paths": [{"path": "/", "workloadIds": ["deployment:works-a:b"], "targetPort": 80}]},
    ]});
    let needed = services(&store(ingress(&spec)).unwrap());
    assert_eq!(needed.len(), 1, "one Service leads to both");
    assert_eq!(
        needed[0].workloads,
        ["deployment:works-a:web", "deployment:works-a:b"]
    );
}

#[test]
fn the_state_is_in_the_words_of_the_peer() {
    let spec = json!({"rules": [{"host": "a.sslip.io", "paths": [
        {"path": "/", "workloadIds": ["deployment:works-a:web"], "targetPort": 80},
    ]}]});
    let kept = store(ingress(&spec)).unwrap();
    // `ing/works-a/sslip.io///80`, worked out apart.
    assert_eq!(
        kept["metadata"]["annotations"][STATE],
        "{\"aW5nL3dvcmtzLWEvc3NsaXAuaW8vLy84MA==\":\"deployment:works-a:web\"}"
    );
}

#[test]
fn paths_that_lead_nowhere_are_refused() {
    assert_eq!(refused(&json!({"path": "/"})), "MissingRequired serviceId");
    assert_eq!(
        refused(&json!({"serviceId": "works-a:svc"})),
        "MissingRequired targetPort"
    );
    assert_eq!(
        refused(&json!({"serviceId": "other:svc", "targetPort": 80})),
        "InvalidReference serviceId"
    );
    assert_eq!(
        refused(&json!({"workloadIds": ["deployment:other:web"], "targetPort": 80})),
        "InvalidReference workloadIds"
    );
    assert_eq!(
        refused(&json!({"workloadIds": ["web"], "targetPort": 80})),
        "InvalidReference workloadIds"
    );
    let two =
        json!({"workloadIds": ["deployment:works-a:a", "deployment:other:b"], "targetPort": 80});
    assert_eq!(refused(&two), "InvalidReference workloadIds");
}
