//! A hub with its controllers, and one managed cluster whose session is switched by hand.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use drover_controllers::{Config, Controllers, Downstream, Unreachable};
use drover_kube_api::{Config as ApiConfig, Identity, Server, Storage};
pub(crate) use drover_testkit::embedded::{LIMIT, until};
use drover_types::condition;
use drover_types::management::{Cluster, Node, Setting};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Node as KubeNode;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) async fn api_server() -> (Server, Client) {
    let server = Server::open(ApiConfig::new(Storage::Memory)).await.unwrap();
    let client = Client::new(server.client_service(Identity::admin()), "default");
    (server, client)
}

/// A session that is switched by hand.
pub(crate) struct Switch {
    client: Client,
    connected: Mutex<BTreeSet<String>>,
    changes: broadcast::Sender<String>,
}

impl Switch {
    pub(crate) fn set(&self, id: &str, connected: bool) {
        let mut ids = self.connected.lock();
        if connected {
            ids.insert(id.to_owned());
        } else {
            ids.remove(id);
        }
        let _ = self.changes.send(id.to_owned());
    }
}

impl Downstream for Switch {
    fn client<'a>(&'a self, cluster: &'a str) -> BoxFuture<'a, Result<Client, Unreachable>> {
        let client = self.connected(cluster).then(|| self.client.clone());
        let error = Unreachable {
            cluster: cluster.to_owned(),
            reason: "no session".to_owned(),
        };
        async move { client.ok_or(error) }.boxed()
    }

    fn connected(&self, cluster: &str) -> bool {
        self.connected.lock().contains(cluster)
    }

    fn changes(&self) -> broadcast::Receiver<String> {
        self.changes.subscribe()
    }
}

pub(crate) struct World {
    pub(crate) hub: Client,
    pub(crate) cluster: Client,
    pub(crate) switch: Arc<Switch>,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
    _servers: Box<dyn Any + Send>,
}

impl World {
    /// Two embedded APIs.
    pub(crate) async fn start() -> Self {
        let (hub_server, hub) = api_server().await;
        let (cluster_server, cluster) = api_server().await;
        Self::over(hub, cluster, Box::new((hub_server, cluster_server))).await
    }

    pub(crate) async fn over(hub: Client, cluster: Client, servers: Box<dyn Any + Send>) -> Self {
        let definitions = Api::<CustomResourceDefinition>::all(hub.clone());
        for definition in drover_types::crds::all() {
            definitions
                .create(&PostParams::default(), &definition)
                .await
                .unwrap();
        }
        until("the kinds to be served", || async {
            Api::<Setting>::all(hub.clone())
                .list(&ListParams::default())
                .await
                .ok()
        })
        .await;
        until("clusters to be served", || async {
            Api::<Cluster>::all(hub.clone())
                .list(&ListParams::default())
                .await
                .ok()
        })
        .await;
        until("nodes to be served", || async {
            Api::<Node>::all(hub.clone())
                .list(&ListParams::default())
                .await
                .ok()
        })
        .await;
        let mut setting = Setting::named("server-url");
        "https://server.example:8443".clone_into(&mut setting.value);
        Api::all(hub.clone())
            .create(&PostParams::default(), &setting)
            .await
            .unwrap();
        let (changes, _) = broadcast::channel(16);
        let switch = Arc::new(Switch {
            client: cluster.clone(),
            connected: Mutex::default(),
            changes,
        });
        let shutdown = CancellationToken::new();
        let mut world = Self {
            hub,
            cluster,
            switch,
            shutdown,
            tasks: JoinSet::new(),
            _servers: servers,
        };
        world.lead();
        world
    }

    pub(crate) fn lead(&mut self) {
        self.shutdown = CancellationToken::new();
        let controllers = Controllers::new(
            self.hub.clone(),
            Arc::clone(&self.switch) as Arc<dyn Downstream>,
            Config::system(),
        );
        let shutdown = self.shutdown.clone();
        self.tasks
            .spawn(async move { controllers.run(shutdown).await });
    }

    pub(crate) async fn stop(&mut self) {
        self.shutdown.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }

    pub(crate) async fn create_cluster(&self, id: &str) {
        let mut cluster = Cluster::named(id);
        cluster.metadata.annotations = Some(
            [(
                "field.cattle.io/creatorId".to_owned(),
                "user-p8sfq".to_owned(),
            )]
            .into(),
        );
        "oracle1".clone_into(&mut cluster.spec.display_name);
        Api::all(self.hub.clone())
            .create(&PostParams::default(), &cluster)
            .await
            .unwrap();
    }

    /// What the tunnel's side does when an agent registers.
    pub(crate) async fn connect(&self, id: &str) {
        let patch =
            json!({ "status": { "driver": "imported", "apiEndpoint": "https://10.43.0.1:443" } });
        let clusters = Api::<Cluster>::all(self.hub.clone());
        clusters
            .patch_status(id, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
        self.switch.set(id, true);
    }

    pub(crate) async fn create<K>(&self, api: Api<K>, value: Value)
    where
        K: Clone + Debug + serde::de::DeserializeOwned + serde::Serialize,
    {
        let object: K = serde_json::from_value(value).unwrap();
        api.create(&PostParams::default(), &object).await.unwrap();
    }

    pub(crate) async fn create_node(&self, name: &str) {
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": name, "labels": { "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux" } },
            "status": {
                "capacity": { "cpu": "32", "memory": "256Gi", "pods": "110" },
                "allocatable": { "cpu": "32", "memory": "256Gi", "pods": "110" },
                "conditions": [{ "type": "Ready", "status": "True" }],
            },
        });
        let nodes = Api::<KubeNode>::all(self.cluster.clone());
        self.create(nodes.clone(), node.clone()).await;
        nodes
            .patch_status(
                name,
                &PatchParams::default(),
                &Patch::Merge(json!({ "status": node["status"] })),
            )
            .await
            .unwrap();
    }

    /// Waits for a condition of a cluster.
    pub(crate) async fn condition(&self, id: &str, kind: &str, status: &str) -> Cluster {
        let clusters = Api::<Cluster>::all(self.hub.clone());
        let what = format!("{kind} of {id} to be {status}");
        until(&what, || async {
            let cluster = clusters.get_opt(id).await.unwrap()?;
            let found = condition::find(&cluster.status.conditions, kind)
                .is_some_and(|found| found.status == status);
            found.then_some(cluster)
        })
        .await
    }
}

/// Makes any object.
pub(crate) async fn apply(client: &Client, value: Value) {
    let types: kube::core::TypeMeta = serde_json::from_value(value.clone()).unwrap();
    let kind = kube::core::GroupVersionKind::try_from(&types).unwrap();
    let resource = kube::discovery::ApiResource::from_gvk(&kind);
    let object: DynamicObject = serde_json::from_value(value.clone()).unwrap();
    let api: Api<DynamicObject> = match (object.namespace(), kind.kind.starts_with("Cluster")) {
        (Some(namespace), false) => Api::namespaced_with(client.clone(), &namespace, &resource),
        _ => Api::all_with(client.clone(), &resource),
    };
    let mut object = object;
    if kind.kind.starts_with("Cluster") {
        object.metadata.namespace = None;
    }
    api.create(&PostParams::default(), &object).await.unwrap();
}
