//! The types inside clusters and projects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::needs::{Needs, Right, below, hub, secrets};
use crate::routes::{ABSENT, GONE, NO_METHOD, Route, WRONG};
use crate::world::{CLUSTER, ELSEWHERE, INSIDE, OTHER, OUTSIDE, PROJECT, World, make};

/// A type in projects: its kind in the cluster, an object of it, and what makes another.
struct Held {
    kind: &'static str,
    plural: &'static str,
    group: &'static str,
    version: &'static str,
    name: &'static str,
    resource: &'static str,
    /// The object without its metadata.
    object: Value,
    /// What is sent to make one; nothing if none can be made.
    body: Value,
    changed_by: Value,
    actions: Vec<(&'static str, Value, &'static [u16])>,
    /// What identifiers begin with.
    prefix: &'static str,
}

impl Held {
    fn new(
        kind: &'static str,
        plural: &'static str,
        (group, version, name, resource): (&'static str, &'static str, &'static str, &'static str),
        object: Value,
        body: Value,
    ) -> Self {
        Self {
            kind,
            plural,
            group,
            version,
            name,
            resource,
            object,
            body,
            changed_by: json!({"description": "d"}),
            actions: Vec::new(),
            prefix: "",
        }
    }

    fn id(&self, namespace: &str) -> String {
        format!("{}{namespace}:{}", self.prefix, self.instance())
    }

    /// Objects of different types may be of one kind; each type has its own.
    fn instance(&self) -> String {
        format!("x-{}", self.kind.to_ascii_lowercase())
    }

    fn to(&self, verb: &'static str, namespace: &str, named: bool) -> Right {
        let name = self.instance();
        let name = Some(name.as_str()).filter(|_| named);
        below(verb, (self.group, self.resource), Some(namespace), name)
    }

    async fn fill(&self, world: &World) {
        for namespace in [INSIDE, ELSEWHERE, OUTSIDE] {
            let mut object = self.object.clone();
            let version = match self.group {
                "" => self.version.to_owned(),
                group => format!("{group}/{}", self.version),
            };
            object["apiVersion"] = json!(version);
            object["kind"] = json!(self.name);
            object["metadata"]["name"] = json!(self.instance());
            object["metadata"]["namespace"] = json!(namespace);
            make(&world.cluster, self.resource, object).await;
        }
    }

    fn routes(&self) -> Vec<Route> {
        let mut routes = self.in_project(PROJECT, INSIDE);
        routes.extend(self.in_project(OTHER, ELSEWHERE));
        // What is of no project, or of another, is in none.
        let all = format!("/v3/project/{CLUSTER}:{PROJECT}/{}", self.plural);
        for namespace in [ELSEWHERE, OUTSIDE] {
            let one = format!("{all}/{}", self.id(namespace));
            let see = Needs::all([hub("get", "projects", Some(CLUSTER), Some(PROJECT))]);
            routes.push(Route::new(self.kind, "get", "GET", one, see).granted(ABSENT));
        }
        routes
    }

    fn in_project(&self, project: &str, namespace: &str) -> Vec<Route> {
        let all = format!("/v3/project/{CLUSTER}:{project}/{}", self.plural);
        let one = format!("{all}/{}", self.id(namespace));
        let see = hub("get", "projects", Some(CLUSTER), Some(project));
        let seeing = || Needs::all([see.clone()]);
        let to = |verb| self.to(verb, namespace, true);
        let route =
            |what, method, url: &str, needs| Route::new(self.kind, what, method, url, needs);
        let listed = Needs::all([self.to("list", namespace, false)]);
        let mut routes = vec![
            route("list", "GET", &all, seeing()).holding(vec![(self.id(namespace), listed)]),
            route("get", "GET", &one, seeing().and(&to("get"))),
        ];
        if self.body.is_null() {
            routes.push(route("create", "POST", &all, seeing()).granted(NO_METHOD));
            routes.push(route("update", "PUT", &one, seeing()).granted(NO_METHOD));
            routes.push(route("delete", "DELETE", &one, seeing()).granted(NO_METHOD));
        } else {
            let create = seeing().and(&self.to("create", namespace, false));
            let body = self.body.to_string().replace("{namespace}", namespace);
            let mut body: Value = serde_json::from_str(&body).unwrap();
            body["name"] = json!("new");
            body["namespaceId"] = json!(namespace);
            routes.push(route("create", "POST", &all, create).sending(body));
            let update = seeing().and(&to("get")).and(&to("update"));
            let update = route("update", "PUT", &one, update);
            routes.push(update.sending(self.changed_by.clone()));
            let delete = seeing().and(&to("get")).and(&to("delete"));
            routes.push(route("delete", "DELETE", &one, delete));
        }
        for (action, input, granted) in &self.actions {
            let mut needs = seeing().and(&to("get"));
            if *granted != WRONG {
                needs = needs.and(&to("update"));
            }
            let url = format!("{one}?action={action}");
            let act = route(action, "POST", &url, needs).sending(input.clone());
            routes.push(act.granted(granted));
        }
        routes
    }
}

fn pod() -> Value {
    json!({"containers": [{"name": "web", "image": "nginx"}]})
}

fn template() -> Value {
    json!({"metadata": {"labels": {"app": "x"}}, "spec": pod()})
}

fn runs(fields: &Value) -> Value {
    let mut spec = json!({"selector": {"matchLabels": {"app": "x"}}, "template": template()});
    for (field, value) in fields.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    json!({ "spec": spec })
}

fn workloads() -> Vec<Held> {
    let sent = || json!({"containers": [{"name": "web", "image": "nginx"}]});
    let redeploy = ("redeploy", json!({}), &[200][..]);
    let of_deployments = || {
        vec![
            ("pause", json!({}), &[200][..]),
            // It is not paused, and has no such revision.
            ("resume", json!({}), WRONG),
            (
                "rollback",
                json!({"replicaSetId": "replicaset:none:x"}),
                WRONG,
            ),
            ("redeploy", json!({}), &[200][..]),
        ]
    };
    let mut job = template();
    job["spec"]["restartPolicy"] = json!("Never");
    let deployment = ("apps", "v1", "Deployment", "deployments");
    let mut all = vec![
        Held::new(
            "deployment",
            "deployments",
            deployment,
            runs(&json!({})),
            sent(),
        ),
        Held::new(
            "workload",
            "workloads",
            deployment,
            runs(&json!({})),
            sent(),
        ),
        Held::new(
            "daemonSet",
            "daemonSets",
            ("apps", "v1", "DaemonSet", "daemonsets"),
            runs(&json!({})),
            sent(),
        ),
        Held::new(
            "statefulSet",
            "statefulSets",
            ("apps", "v1", "StatefulSet", "statefulsets"),
            runs(&json!({"serviceName": "x"})),
            sent(),
        ),
        Held::new(
            "replicaSet",
            "replicaSets",
            ("apps", "v1", "ReplicaSet", "replicasets"),
            runs(&json!({})),
            sent(),
        ),
        Held::new(
            "replicationController",
            "replicationControllers",
            ("", "v1", "ReplicationController", "replicationcontrollers"),
            json!({"spec": {"selector": {"app": "x"}, "template": template()}}),
            Value::Null,
        ),
        Held::new(
            "job",
            "jobs",
            ("batch", "v1", "Job", "jobs"),
            json!({"spec": {"template": job.clone()}}),
            sent(),
        ),
        Held::new(
            "cronJob",
            "cronJobs",
            ("batch", "v1", "CronJob", "cronjobs"),
            json!({"spec": {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": job}}}}),
            json!({"containers": [{"name": "web", "image": "nginx"}], "cronJobConfig": {"schedule": "0 0 * * *"}}),
        ),
        Held::new(
            "pod",
            "pods",
            ("", "v1", "Pod", "pods"),
            json!({"spec": pod()}),
            sent(),
        ),
    ];
    for held in &mut all {
        held.prefix = match held.kind {
            "workload" | "deployment" => "deployment:",
            "daemonSet" => "daemonset:",
            "statefulSet" => "statefulset:",
            "replicaSet" => "replicaset:",
            "replicationController" => "replicationcontroller:",
            "job" => "job:",
            "cronJob" => "cronjob:",
            _ => "",
        };
        held.actions = match held.kind {
            "workload" | "deployment" => of_deployments(),
            "job" | "pod" => Vec::new(),
            _ => vec![redeploy.clone()],
        };
        held.changed_by = json!({"workloadLabels": {"a": "b"}});
        if held.kind == "pod" {
            held.changed_by = json!({"labels": {"a": "b"}});
        }
    }
    all
}

fn network() -> Vec<Held> {
    let service = ("", "v1", "Service", "services");
    let port = json!([{"port": 80, "targetPort": 80, "protocol": "TCP"}]);
    let cluster_ip = json!({"spec": {"ports": port, "selector": {"a": "b"}}});
    let named = json!({"spec": {"type": "ExternalName", "externalName": "example.com"}});
    let backend = json!({"service": {"name": "x", "port": {"number": 80}}});
    vec![
        Held::new(
            "service",
            "services",
            service,
            cluster_ip,
            json!({"kind": "ClusterIP", "selector": {"a": "b"}, "ports": port}),
        ),
        Held::new(
            "dnsRecord",
            "dnsRecords",
            service,
            named,
            json!({"hostname": "example.com"}),
        ),
        Held::new(
            "ingress",
            "ingresses",
            ("networking.k8s.io", "v1", "Ingress", "ingresses"),
            json!({"spec": {"defaultBackend": backend}}),
            json!({"rules": [{"host": "a.example", "paths": [
                {"path": "/", "pathType": "Prefix", "serviceId": "{namespace}:x-service", "targetPort": 80}]}]}),
        ),
        Held::new(
            "persistentVolumeClaim",
            "persistentVolumeClaims",
            ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
            json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
            json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}),
        ),
        Held::new(
            "horizontalPodAutoscaler",
            "horizontalPodAutoscalers",
            (
                "autoscaling",
                "v2",
                "HorizontalPodAutoscaler",
                "horizontalpodautoscalers",
            ),
            json!({"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"},
                "minReplicas": 1, "maxReplicas": 2}}),
            json!({"workloadId": "deployment:{namespace}:x-deployment", "minReplicas": 1, "maxReplicas": 2}),
        ),
        Held::new(
            "configMap",
            "configMaps",
            ("", "v1", "ConfigMap", "configmaps"),
            json!({"data": {"a": "b"}}),
            json!({"data": {"a": "b"}}),
        ),
    ]
}

/// The types of Secrets: what one holds in Kubernetes, and what makes one.
fn kinds_of_secrets() -> Vec<(&'static str, &'static str, Value, Value)> {
    let encode = |text: &str| STANDARD.encode(text);
    let made = rcgen::generate_simple_self_signed(["web.example".to_owned()]).unwrap();
    let docker = encode(r#"{"auths":{"r.example":{"username":"u","password":"p"}}}"#);
    vec![
        (
            "secret",
            "secrets",
            json!({"type": "Opaque", "data": {"a": encode("b")}}),
            json!({"stringData": {"a": "b"}}),
        ),
        (
            "basicAuth",
            "basicAuths",
            json!({"type": "kubernetes.io/basic-auth", "data": {"username": encode("u"), "password": encode("p")}}),
            json!({"username": "u", "password": "p"}),
        ),
        (
            "sshAuth",
            "sshAuths",
            json!({"type": "kubernetes.io/ssh-auth", "data": {"ssh-privatekey": encode("k")}}),
            json!({"privateKey": "k"}),
        ),
        (
            "dockerCredential",
            "dockerCredentials",
            json!({"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": docker}}),
            json!({"registries": {"r.example": {"username": "u", "password": "p"}}}),
        ),
        (
            "certificate",
            "certificates",
            json!({"type": "kubernetes.io/tls", "data": {"tls.crt": encode("c"), "tls.key": encode("k")}}),
            json!({"certs": made.cert.pem(), "key": made.signing_key.serialize_pem()}),
        ),
        (
            "serviceAccountToken",
            "serviceAccountTokens",
            json!({"type": "kubernetes.io/service-account-token",
                "metadata": {"annotations": {"kubernetes.io/service-account.name": "default"}}}),
            json!({"accountName": "default"}),
        ),
    ]
}

fn namespaced(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "secret" => ("namespacedSecret", "namespacedSecrets"),
        "basicAuth" => ("namespacedBasicAuth", "namespacedBasicAuths"),
        "sshAuth" => ("namespacedSshAuth", "namespacedSshAuths"),
        "dockerCredential" => ("namespacedDockerCredential", "namespacedDockerCredentials"),
        "certificate" => ("namespacedCertificate", "namespacedCertificates"),
        _ => (
            "namespacedServiceAccountToken",
            "namespacedServiceAccountTokens",
        ),
    }
}

fn secrets_below() -> Vec<Held> {
    let kind = ("", "v1", "Secret", "secrets");
    let types = kinds_of_secrets().into_iter();
    types
        .map(|(of, _, object, body)| {
            let (id, plural) = namespaced(of);
            Held::new(id, plural, kind, object, body)
        })
        .collect()
}

fn held() -> Vec<Held> {
    let mut all = workloads();
    all.extend(network());
    all.extend(secrets_below());
    all
}

/// Secrets of whole projects, which lie on the hub.
fn secrets_above(world: &World) -> Vec<Route> {
    let mut routes = Vec::new();
    let projects = [(PROJECT, &world.backing), (OTHER, &world.backing_other)];
    for (project, backing) in projects {
        for (kind, plural, _, body) in kinds_of_secrets() {
            let name = format!("x-{}", kind.to_ascii_lowercase());
            let all = format!("/v3/project/{CLUSTER}:{project}/{plural}");
            let one = format!("{all}/{project}:{name}");
            let see = hub("get", "projects", Some(CLUSTER), Some(project));
            let seeing = || Needs::all([see.clone()]);
            let may = |verb| seeing().and(&secrets(verb, backing, Some(&name)));
            let to = |verb| secrets(verb, backing, None);
            let route = |what, method, url: &str, needs| Route::new(kind, what, method, url, needs);
            let listed = vec![(format!("{project}:{name}"), Needs::all([to("list")]))];
            let mut body = body;
            body["name"] = json!("new");
            routes.extend([
                route("list", "GET", &all, seeing()).holding(listed),
                route("create", "POST", &all, seeing().and(&to("create"))).sending(body),
                route("get", "GET", &one, may("get")),
                route("update", "PUT", &one, may("update")).sending(json!({"description": "d"})),
                route("delete", "DELETE", &one, may("delete")),
            ]);
        }
    }
    routes
}

fn in_cluster(
    kind: &'static str,
    plural: &'static str,
    what: (&'static str, &'static str),
    name: &str,
    body: Value,
) -> Vec<Route> {
    let all = format!("/v3/cluster/{CLUSTER}/{plural}");
    let one = format!("{all}/{name}");
    let see = hub("get", "clusters", None, Some(CLUSTER));
    let seeing = || Needs::all([see.clone()]);
    let to = |verb| below(verb, what, None, Some(name));
    let route = |what, method, url: &str, needs| Route::new(kind, what, method, url, needs);
    let listed = Needs::all([below("list", what, None, None)]);
    vec![
        route("list", "GET", &all, seeing()).holding(vec![(name.to_owned(), listed)]),
        route("get", "GET", &one, seeing().and(&to("get"))),
        route(
            "create",
            "POST",
            &all,
            seeing().and(&below("create", what, None, None)),
        )
        .sending(body),
        route(
            "update",
            "PUT",
            &one,
            seeing().and(&to("get")).and(&to("update")),
        )
        .sending(json!({"labels": {"a": "b"}})),
        route(
            "delete",
            "DELETE",
            &one,
            seeing().and(&to("get")).and(&to("delete")),
        )
        .granted(GONE),
        // Nobody has a role there.
        route(
            "list",
            "GET",
            &format!("/v3/cluster/{}/{plural}", crate::world::FAR),
            Needs::all([hub("get", "clusters", None, Some(crate::world::FAR))]),
        )
        .granted(&[200, 503]),
    ]
}

fn namespaces() -> Vec<Route> {
    const WHAT: (&str, &str) = ("", "namespaces");
    let all = format!("/v3/cluster/{CLUSTER}/namespaces");
    let see = hub("get", "clusters", None, Some(CLUSTER));
    let seeing = || Needs::all([see.clone()]);
    let route = |what, method, url: &str, needs| Route::new("namespace", what, method, url, needs);
    // Members of a project see its namespaces.
    let listed = |namespace: &str| {
        Needs::any([
            below("list", WHAT, None, None),
            below("get", WHAT, Some(namespace), Some(namespace)),
        ])
    };
    let items = [INSIDE, ELSEWHERE, OUTSIDE].map(|name| (name.to_owned(), listed(name)));
    let mut routes = vec![
        route("list", "GET", &all, seeing()).holding(items.into()),
        route(
            "create",
            "POST",
            &all,
            seeing().and(&below("create", WHAT, None, None)),
        )
        .sending(json!({"name": "new"})),
    ];
    // Into a project puts one who manages namespaces there: who may change those it has.
    let into = seeing().and(&below("create", WHAT, None, None)).and(&below(
        "update",
        WHAT,
        Some(INSIDE),
        Some(INSIDE),
    ));
    let body = json!({"name": "new", "projectId": format!("{CLUSTER}:{PROJECT}")});
    routes.push(route("create", "POST", &all, into).sending(body));
    for name in [INSIDE, ELSEWHERE, OUTSIDE] {
        let one = format!("{all}/{name}");
        let to = |verb| below(verb, WHAT, Some(name), Some(name));
        let update = || seeing().and(&to("get")).and(&to("update"));
        routes.extend([
            route("get", "GET", &one, seeing().and(&to("get"))),
            route("update", "PUT", &one, update()).sending(json!({"description": "d"})),
            route("delete", "DELETE", &one, seeing().and(&to("delete"))),
            route("move", "POST", &format!("{one}?action=move"), update())
                .sending(json!({"projectId": ""})),
        ]);
        let manages = below("update", WHAT, Some(INSIDE), Some(INSIDE));
        let input = json!({"projectId": format!("{CLUSTER}:{PROJECT}")});
        let act = format!("{one}?action=move");
        routes.push(route("move", "POST", &act, update().and(&manages)).sending(input));
    }
    routes
}

/// Makes what the requests are about.
pub(crate) async fn fill(world: &World) {
    for held in held() {
        held.fill(world).await;
    }
    for backing in [&world.backing, &world.backing_other] {
        for (kind, _, object, _) in kinds_of_secrets() {
            let mut object = object;
            object["apiVersion"] = json!("v1");
            object["kind"] = json!("Secret");
            object["metadata"]["name"] = json!(format!("x-{}", kind.to_ascii_lowercase()));
            object["metadata"]["namespace"] = json!(backing);
            make(&world.hub, "secrets", object).await;
        }
    }
    let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "x-1"}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}});
    make(&world.cluster, "persistentvolumes", volume).await;
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "x-1"},
        "provisioner": "x.example/x"});
    make(&world.cluster, "storageclasses", class).await;
    let service = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1.x.example"}, "spec": {"group": "x.example", "version": "v1",
            "groupPriorityMinimum": 100, "versionPriority": 100, "service": {"name": "x", "namespace": "x"}}});
    make(&world.cluster, "apiservices", service).await;
}

pub(crate) fn routes(world: &World) -> Vec<Route> {
    let mut routes: Vec<Route> = held().iter().flat_map(Held::routes).collect();
    routes.extend(secrets_above(world));
    routes.extend(namespaces());
    routes.extend(in_cluster(
        "persistentVolume",
        "persistentVolumes",
        ("", "persistentvolumes"),
        "x-1",
        json!({"name": "new", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/x"}}),
    ));
    routes.extend(in_cluster(
        "storageClass",
        "storageClasses",
        ("storage.k8s.io", "storageclasses"),
        "x-1",
        json!({"name": "new", "provisioner": "x.example/x"}),
    ));
    let services = in_cluster(
        "apiService",
        "apiServices",
        ("apiregistration.k8s.io", "apiservices"),
        "v1.x.example",
        json!({"name": "new", "group": "x.example", "version": "v2", "groupPriorityMinimum": 100,
            "versionPriority": 100, "service": {"name": "x", "namespace": "x"}}),
    );
    // Names of API services have a dot, which names in `/v3` may not: the cluster refuses what gets through to it.
    let services = services.into_iter().map(|route| match route.method {
        "POST" => Route {
            granted: &[422],
            ..route
        },
        _ => route,
    });
    routes.extend(services);
    routes
}
