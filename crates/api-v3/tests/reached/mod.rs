//! A hub with projects, and a cluster reached as the proxy would reach it.

#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use drover_api_v3::{Api, Hooks, Parts, YamlImport};
use drover_auth::web::ApiError;
use drover_auth::{Clock, Entropy, Identity};
use drover_testkit::embedded::{self, Pair};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::Request;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Endpoints, Service};
use kube::api::PostParams;
use serde_json::{Value, json};

/// The cluster, reached with the user's name and virtual groups as the proxy would.
#[derive(Clone)]
pub(crate) struct Reach(Arc<Pair>, Arc<AtomicBool>);

impl Reach {
    pub(crate) fn whole(&self) -> kube::Client {
        self.0.cluster.client()
    }

    /// From now on the peer's agent makes Services of workloads and Endpoints of names before anybody else can.
    pub(crate) fn let_the_agent_be_first(&self) {
        self.1.store(true, Ordering::Relaxed);
    }

    /// The same client, while the agent runs in the cluster.
    fn beside_the_agent(&self, client: kube::Client) -> kube::Client {
        let reach = self.clone();
        let namespace = client.default_namespace().to_owned();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let (reach, client) = (reach.clone(), client.clone());
            async move {
                if request.method() == http::Method::POST && reach.1.load(Ordering::Relaxed) {
                    let path = request.uri().path();
                    let (services, endpoints) =
                        (path.ends_with("/services"), path.ends_with("/endpoints"));
                    if services {
                        reach.make_service_as_agent().await;
                    } else if endpoints {
                        reach.make_endpoints_as_agent().await;
                    }
                }
                client.send(request).await
            }
        });
        kube::Client::new(service, namespace)
    }

    /// The Service of the workload `mine:web`, with owner and annotations as the peer's agent writes them (v2.15.0).
    async fn make_service_as_agent(&self) {
        let workloads: kube::Api<Deployment> = kube::Api::namespaced(self.whole(), "mine");
        // Names have Services too, which are no business of the agent's.
        let Some(workload) = workloads.get_opt("web").await.expect("the cluster answers") else {
            return;
        };
        let made = json!({
            "metadata": {
                "name": "web",
                "annotations": {
                    "field.cattle.io/targetWorkloadIds": r#"["deployment:mine:web"]"#,
                    "workload.cattle.io/targetWorkloadIdNoop": "true",
                    "workload.cattle.io/workloadPortBased": "true",
                },
                "labels": {"cattle.io/creator": "norman"},
                "ownerReferences": [{
                    "apiVersion": "apps/v1beta2", "kind": "deployment", "name": "web", "controller": true,
                    "uid": workload.metadata.uid,
                }],
            },
            "spec": {
                "type": "ClusterIP",
                "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}],
                "selector": {"workload.user.cattle.io/workloadselector": "deployment-mine-web"},
            },
        });
        let made: Service = serde_json::from_value(made).expect("a Service");
        let services: kube::Api<Service> = kube::Api::namespaced(self.whole(), "mine");
        let made = services.create(&PostParams::default(), &made).await;
        made.expect("the agent is first");
    }

    /// The Endpoints of the name `mine:addr`, as the peer's agent writes them (v2.15.0).
    async fn make_endpoints_as_agent(&self) {
        let services: kube::Api<Service> = kube::Api::namespaced(self.whole(), "mine");
        let service = services.get("addr").await.expect("the name's Service");
        let made = json!({
            "metadata": {
                "name": "addr",
                "ownerReferences": [{
                    "apiVersion": "v1", "kind": "Service", "name": "addr", "controller": true, "uid": service.metadata.uid,
                }],
            },
            "subsets": [{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 42, "protocol": "TCP"}]}],
        });
        let made: Endpoints = serde_json::from_value(made).expect("Endpoints");
        let endpoints: kube::Api<Endpoints> = kube::Api::namespaced(self.whole(), "mine");
        let made = endpoints.create(&PostParams::default(), &made).await;
        made.expect("the agent is first");
    }
}

impl Hooks for Reach {
    fn import_yaml<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a str,
        _: YamlImport,
    ) -> BoxFuture<'a, Result<String, ApiError>> {
        async { Ok(String::new()) }.boxed()
    }

    fn cluster_client(&self, identity: &Identity, cluster: &str) -> Option<kube::Client> {
        let client = self.0.client_as(identity).filter(|_| cluster == "c-1")?;
        Some(self.beside_the_agent(client))
    }

    fn cluster<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<kube::Client, ApiError>> {
        async { Ok(self.whole()) }.boxed()
    }

    fn revoked<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, ()> {
        self.0.hub.auth.authenticator.revoked(identity).boxed()
    }
}

pub(crate) struct World {
    pub(crate) hub: kube::Client,
    pub(crate) reach: Reach,
    api: Api,
}

impl World {
    /// Two projects in the cluster `c-1`; `owner` owns the cluster, `member` has a part in the project `p-1`.
    pub(crate) async fn start() -> Self {
        let limits = json!({"limitsCpu": "100m"});
        let project =
            |quota: Value| json!({"resourceQuota": quota, "containerDefaultResourceLimit": limits});
        let projects = [
            ("p-1", project(json!({}))),
            ("p-2", project(json!({"limit": {"pods": "4"}}))),
        ];
        let reach = Reach(Arc::new(Pair::start(&projects).await), Arc::default());
        let (hub, auth) = (reach.0.hub.api.client(), &reach.0.hub.auth);
        let api = Api::new(Parts {
            client: hub.clone(),
            rights: Arc::new(auth.access.clone()),
            credentials: Arc::new(auth.logins.clone()),
            hooks: Arc::new(reach.clone()),
            clock: Clock::system(),
            entropy: Entropy::system(),
            setting_overrides: auth.settings.overrides(),
        });
        Self { hub, reach, api }
    }

    pub(crate) async fn send(
        &self,
        user: &str,
        method: &str,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        let identity = Some(user).filter(|user| !user.is_empty()).map(Identity::of);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "drover.example")
            .body(embedded::body(&body))
            .expect("a request");
        embedded::read(self.api.handle(request, identity).await).await
    }
}

pub(crate) fn names(list: &Value) -> Vec<&str> {
    let items = list["data"].as_array().into_iter().flatten();
    items.filter_map(|item| item["id"].as_str()).collect()
}
