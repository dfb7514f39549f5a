//! Random policies and requests: the embedded server decides as a real kube-apiserver does.
//!
//! Each round makes policies for subjects of its own, then asks both servers about random requests of these subjects
//! (SubjectAccessReview), and lets the subjects try to make roles and bindings (escalation). `DROVER_RBAC_ROUNDS` asks
//! for more rounds than the usual few, `DROVER_RBAC_SEED` for others.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use drover_kube_api::{Config, Server, Storage};
use drover_testkit::chance::Chance;
use drover_testkit::control_plane::{self, ADMIN_TOKEN, ControlPlane};
use drover_testkit::http::Http;
use drover_testkit::serve::Port;
use drover_testkit::wait;
use futures::StreamExt as _;
use serde_json::{Value, json};

/// Questions about access in one round.
const REVIEWS: usize = 600;
/// Attempts to make roles and bindings in one round.
const GRANTS: usize = 150;
/// Requests to one server at once.
const AT_ONCE: usize = 8;

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const GROUPS: [&str; 4] = ["", "apps", "example.com", "batch"];
const RESOURCES: [&str; 6] = ["pods", "deployments", "secrets", "widgets", "jobs", "nodes"];
const SUBRESOURCES: [&str; 4] = ["", "log", "status", "scale"];
const VERBS: [&str; 7] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "delete",
    "impersonate",
];
const NAMES: [&str; 4] = ["", "a", "b", "c"];
const PATHS: [&str; 7] = [
    "/",
    "/healthz",
    "/healthz/ping",
    "/metrics",
    "/apis/x",
    "/logs/",
    "/x/y/z",
];

/// Random policies.
struct Policies(Chance);

impl Policies {
    fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.0.one_in(n)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        self.0.pick(from)
    }

    /// One to three of them, sometimes `*`.
    fn some(&mut self, from: &[&str]) -> Vec<String> {
        if self.one_in(6) {
            return vec!["*".to_owned()];
        }
        (0..=self.below(3))
            .map(|_| self.pick(from).to_owned())
            .collect()
    }

    fn rule(&mut self, cluster: bool) -> Value {
        if cluster && self.one_in(4) {
            let mut paths = self.some(&PATHS);
            if self.one_in(3) {
                paths.push(format!("{}*", self.pick(&PATHS)));
            }
            return json!({"nonResourceURLs": paths, "verbs": self.some(&VERBS)});
        }
        let mut resources = self.some(&RESOURCES);
        if self.one_in(3) {
            let resource = if self.one_in(3) {
                "*"
            } else {
                self.pick(&RESOURCES)
            };
            resources.push(format!(
                "{resource}/{}",
                self.pick(&["log", "status", "scale", "*"])
            ));
        }
        let mut rule = json!({"apiGroups": self.some(&GROUPS), "resources": resources, "verbs": self.some(&VERBS)});
        if self.one_in(4) {
            rule["resourceNames"] = json!([self.pick(&["a", "b", "c"])]);
        }
        rule
    }

    fn rules(&mut self, cluster: bool) -> Value {
        (0..self.below(4)).map(|_| self.rule(cluster)).collect()
    }

    fn subject(&mut self, round: &Round) -> Value {
        let number = self.below(4);
        match self.below(3) {
            0 => {
                json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": round.user(number)})
            }
            1 => {
                json!({"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": round.group(number)})
            }
            _ => {
                json!({"kind": "ServiceAccount", "name": format!("sa{number}"), "namespace": round.namespace(self.below(2))})
            }
        }
    }

    fn subjects(&mut self, round: &Round) -> Value {
        (0..=self.below(2)).map(|_| self.subject(round)).collect()
    }

    fn role_ref(&mut self, round: &Round, cluster: bool) -> Value {
        let kind = if cluster || self.one_in(2) {
            "ClusterRole"
        } else {
            "Role"
        };
        // Some name roles that do not exist.
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": format!("{}-role-{}", round.prefix, self.below(7))})
    }
}

/// The names of one round.
struct Round {
    prefix: String,
}

impl Round {
    fn user(&self, number: usize) -> String {
        format!("{}-user-{number}", self.prefix)
    }

    fn group(&self, number: usize) -> String {
        format!("{}-group-{number}", self.prefix)
    }

    fn namespace(&self, number: usize) -> String {
        format!("{}-ns-{number}", self.prefix)
    }

    fn policies(&self, chance: &mut Policies) -> Vec<(String, Value)> {
        let mut made = Vec::new();
        let meta = |name: String| json!({"name": name});
        for number in 0..2 {
            made.push((
                "/api/v1/namespaces".to_owned(),
                json!({"metadata": meta(self.namespace(number))}),
            ));
        }
        for number in 0..5 {
            let name = format!("{}-role-{number}", self.prefix);
            made.push((
                format!("{RBAC}/clusterroles"),
                json!({"metadata": meta(name.clone()), "rules": chance.rules(true)}),
            ));
            for namespace in 0..2 {
                let path = format!("{RBAC}/namespaces/{}/roles", self.namespace(namespace));
                made.push((
                    path,
                    json!({"metadata": meta(name.clone()), "rules": chance.rules(false)}),
                ));
            }
        }
        for number in 0..4 {
            let name = format!("{}-binding-{number}", self.prefix);
            let body = json!({"metadata": meta(name), "subjects": chance.subjects(self), "roleRef": chance.role_ref(self, true)});
            made.push((format!("{RBAC}/clusterrolebindings"), body));
        }
        for number in 0..8 {
            let name = format!("{}-binding-{number}", self.prefix);
            let body = json!({"metadata": meta(name), "subjects": chance.subjects(self), "roleRef": chance.role_ref(self, false)});
            made.push((
                format!(
                    "{RBAC}/namespaces/{}/rolebindings",
                    self.namespace(number % 2)
                ),
                body,
            ));
        }
        // The user who tries to grant may make roles and bindings, and holds what the first cluster role gives.
        let granter = json!([{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": self.user(9)}]);
        let may = json!([{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"], "verbs": ["create", "update", "patch", "get"]}]);
        let name = format!("{}-granter", self.prefix);
        made.push((
            format!("{RBAC}/clusterroles"),
            json!({"metadata": meta(name.clone()), "rules": may}),
        ));
        let role = |name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
        made.push((
            format!("{RBAC}/clusterrolebindings"),
            json!({"metadata": meta(name.clone()), "subjects": granter, "roleRef": role(&name)}),
        ));
        made.push((
            format!("{RBAC}/clusterrolebindings"),
            json!({"metadata": meta(format!("{name}-holds")), "subjects": granter, "roleRef": role(&format!("{}-role-0", self.prefix))}),
        ));
        // Last of each kind: once a server knows these, it knows the others.
        let marks = json!([{"apiGroups": [""], "resources": ["marks"], "verbs": ["get"]}]);
        let (namespace, name) = (self.namespace(0), format!("{}-mark", self.prefix));
        let marked =
            json!([{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name}]);
        made.push((
            format!("{RBAC}/clusterroles"),
            json!({"metadata": meta(name.clone()), "rules": marks}),
        ));
        made.push((
            format!("{RBAC}/namespaces/{namespace}/roles"),
            json!({"metadata": meta(name.clone()), "rules": marks}),
        ));
        made.push((
            format!("{RBAC}/clusterrolebindings"),
            json!({"metadata": meta(name.clone()), "subjects": marked, "roleRef": role(&name)}),
        ));
        let marked = json!([{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": format!("{name}-here")}]);
        made.push((
            format!("{RBAC}/namespaces/{namespace}/rolebindings"),
            json!({"metadata": meta(name.clone()), "subjects": marked, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}}),
        ));
        made
    }

    fn review(&self, chance: &mut Policies) -> Value {
        let number = chance.below(4);
        let mut spec = match chance.below(3) {
            0 => json!({"user": self.user(number)}),
            1 => {
                json!({"user": "somebody", "groups": [self.group(number), self.group(chance.below(4)), "system:authenticated"]})
            }
            _ => {
                let namespace = self.namespace(chance.below(2));
                json!({
                    "user": format!("system:serviceaccount:{namespace}:sa{number}"),
                    "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{namespace}")],
                })
            }
        };
        if chance.one_in(4) {
            spec["nonResourceAttributes"] =
                json!({"path": chance.pick(&PATHS), "verb": chance.pick(&VERBS)});
        } else {
            let namespace = if chance.one_in(4) {
                String::new()
            } else {
                self.namespace(chance.below(2))
            };
            spec["resourceAttributes"] = json!({
                "group": chance.pick(&GROUPS), "resource": chance.pick(&RESOURCES), "verb": chance.pick(&VERBS),
                "subresource": chance.pick(&SUBRESOURCES), "name": chance.pick(&NAMES), "namespace": namespace,
            });
        }
        json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec})
    }

    /// An attempt to make a role or a binding, without making it.
    fn grant(&self, chance: &mut Policies) -> (String, Value) {
        let namespace = self.namespace(chance.below(2));
        let metadata = json!({"name": format!("{}-attempt", self.prefix)});
        let subjects =
            json!([{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "x"}]);
        match chance.below(4) {
            0 => (
                format!("{RBAC}/clusterroles"),
                json!({"metadata": metadata, "rules": chance.rules(true)}),
            ),
            1 => (
                format!("{RBAC}/namespaces/{namespace}/roles"),
                json!({"metadata": metadata, "rules": chance.rules(false)}),
            ),
            2 => (
                format!("{RBAC}/clusterrolebindings"),
                json!({"metadata": metadata, "subjects": subjects, "roleRef": chance.role_ref(self, true)}),
            ),
            _ => (
                format!("{RBAC}/namespaces/{namespace}/rolebindings"),
                json!({"metadata": metadata, "subjects": subjects, "roleRef": chance.role_ref(self, false)}),
            ),
        }
    }
}

struct Asked<'a> {
    real: &'a Http,
    ours: &'a Http,
}

impl Asked<'_> {
    async fn make(&self, policies: &[(String, Value)]) -> Result<()> {
        for (path, body) in policies {
            for server in [self.real, self.ours] {
                server
                    .post(path, body)
                    .await?
                    .expect(201)
                    .with_context(|| format!("{path} {body}"))?;
            }
        }
        Ok(())
    }

    /// Waits until both servers decide by the round's last policies.
    async fn settled(&self, round: &Round) -> Result<()> {
        for server in [self.real, self.ours] {
            for user in ["mark", "mark-here"] {
                let review = json!({"spec": {"user": format!("{}-{user}", round.prefix), "resourceAttributes": {
                    "resource": "marks", "verb": "get", "namespace": round.namespace(0),
                }}});
                wait::until("the policies to hold", Duration::from_secs(30), || async {
                    ensure!(allowed(server, &review).await? == json!(true), "not yet");
                    Ok(())
                })
                .await?;
            }
        }
        Ok(())
    }

    /// What both say to a review; the reason names one of several bindings that allow, so it is not compared.
    async fn review(&self, review: &Value) -> Result<Option<String>> {
        let (real, ours) =
            tokio::try_join!(allowed(self.real, review), allowed(self.ours, review))?;
        Ok((real != ours).then(|| format!("{review}: real {real}, ours {ours}")))
    }

    async fn grant(&self, user: &str, path: &str, body: &Value) -> Result<Option<String>> {
        let (real, ours) = tokio::try_join!(
            attempt(self.real, user, path, body),
            attempt(self.ours, user, path, body)
        )?;
        Ok((real != ours).then(|| format!("{path} {body}:\n  real {real:?}\n  ours {ours:?}")))
    }
}

async fn allowed(server: &Http, review: &Value) -> Result<Value> {
    let answer = server
        .post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        .await?
        .expect(201)?;
    Ok(answer.json()?["status"]["allowed"].clone())
}

/// The code and the message of an attempt to make something, which is not made.
async fn attempt(server: &Http, user: &str, path: &str, body: &Value) -> Result<(u16, String)> {
    let request = http::Request::post(format!("{path}?dryRun=All"))
        .header("content-type", "application/json")
        .header("impersonate-user", user)
        .body(serde_json::to_vec(body)?)?;
    let answer = server.send(request).await?;
    let message = answer.json()?["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    // Which rules are missing is told in an order of its own.
    let message = message.split('\n').next().unwrap_or_default().to_owned();
    Ok((answer.status.as_u16(), message))
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable)
        .ok()
        .map_or(default, |text| text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_is_decided_as_by_a_real_api_server() {
    let config = control_plane::Config {
        nodes: 0,
        controllers: false,
        ..control_plane::Config::default()
    };
    let plane = ControlPlane::start(&config)
        .await
        .expect("a real control plane");
    let server = Server::open(Config::new(Storage::Memory))
        .await
        .expect("the embedded server");
    let port = Port::open(&server).await.expect("a port");
    let real =
        Http::trusting(&plane.url(), plane.authority(), Some(ADMIN_TOKEN)).expect("a client");
    let ours = Http::trusting(
        &format!("http://127.0.0.1:{}", port.number()),
        plane.authority(),
        None,
    )
    .expect("a client");
    let asked = Asked {
        real: &real,
        ours: &ours,
    };
    let (rounds, seed) = (
        number("DROVER_RBAC_ROUNDS", 5),
        number("DROVER_RBAC_SEED", 1),
    );
    let mut wrong: Vec<String> = Vec::new();
    for number in 0..rounds {
        let mut chance = Policies(Chance::new(
            seed.wrapping_mul(1_000_003).wrapping_add(number),
        ));
        let round = Round {
            prefix: format!("r{number}"),
        };
        asked
            .make(&round.policies(&mut chance))
            .await
            .expect("the policies");
        asked.settled(&round).await.expect("the policies hold");
        let reviews: Vec<Value> = (0..REVIEWS).map(|_| round.review(&mut chance)).collect();
        let grants: Vec<(String, Value)> = (0..GRANTS).map(|_| round.grant(&mut chance)).collect();
        let asked = &asked;
        let granter = round.user(9);
        let reviewed: Vec<_> = futures::stream::iter(&reviews)
            .map(|review| asked.review(review))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let granted: Vec<_> = futures::stream::iter(&grants)
            .map(|(path, body)| asked.grant(&granter, path, body))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for outcome in reviewed.into_iter().chain(granted) {
            wrong.extend(outcome.expect("both servers answer"));
        }
    }
    server.shutdown().await;
    let shown = wrong
        .iter()
        .take(40)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        wrong.is_empty(),
        "{} decisions differ:\n{shown}",
        wrong.len()
    );
}
