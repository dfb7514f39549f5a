//! Copies over an embedded API: shared, bounded, dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use drover_auth::web::ApiError;
use drover_auth::{Clock, Identity};
use drover_kube_api as kube_api;
use futures::FutureExt;
use futures::future::BoxFuture;
use kube::Client;
use tower::ServiceExt as _;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// One cluster; counts what it is asked.
struct Counting {
    store: kube_api::Server,
    watches: Arc<AtomicUsize>,
}

impl Reach for Counting {
    fn as_user(&self, _: &Identity, _: &str) -> Client {
        let (store, watches) = (self.store.clone(), Arc::clone(&self.watches));
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            if request
                .uri()
                .query()
                .is_some_and(|query| query.contains("watch=true"))
            {
                watches.fetch_add(1, Ordering::Relaxed);
            }
            store
                .client_service(kube_api::Identity::admin())
                .oneshot(request)
        });
        Client::new(service, "default")
    }

    fn whole<'a>(&'a self, cluster: &'a str) -> BoxFuture<'a, Result<Client, ApiError>> {
        let client = self.as_user(&Identity::of("server"), cluster);
        async move { Ok(client) }.boxed()
    }

    fn revoked<'a>(&'a self, _: &'a Identity) -> BoxFuture<'a, ()> {
        futures::future::pending().boxed()
    }
}

struct World {
    store: kube_api::Server,
    watches: Arc<AtomicUsize>,
}

impl World {
    async fn start() -> Self {
        let store = kube_api::Server::open(kube_api::Config::new(kube_api::Storage::Memory))
            .await
            .unwrap();
        let world = Self {
            store,
            watches: Arc::default(),
        };
        world.settled().await;
        world
    }

    /// Waits until every namespace has the config map and the account it comes with.
    async fn settled(&self) {
        let client = Client::new(
            self.store.client_service(kube_api::Identity::admin()),
            "default",
        );
        let count = |path: &'static str| {
            let client = client.clone();
            async move {
                let list = crate::kubernetes::get(&client, path, crate::kubernetes::JSON).await;
                let list = list.unwrap();
                list["items"].as_array().map_or(0, Vec::len)
            }
        };
        let whole = async {
            loop {
                let namespaces = count("/api/v1/namespaces").await;
                let maps = count("/api/v1/configmaps").await;
                let accounts = count("/api/v1/serviceaccounts").await;
                if namespaces > 0 && maps >= namespaces && accounts >= namespaces {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, whole).await.unwrap();
    }

    fn caches(&self, bytes: usize, idle: Duration) -> Arc<Caches> {
        let reach = Counting {
            store: self.store.clone(),
            watches: Arc::clone(&self.watches),
        };
        let limits = Limits {
            bytes,
            idle,
            ..Limits::default()
        };
        Caches::new(Arc::new(reach), Clock::system(), limits)
    }
}

fn kind(kind: &str, resource: &str) -> Kind {
    Kind {
        verbs: ["list", "watch"].map(str::to_owned).to_vec(),
        namespaced: true,
        ..Kind::new("", "v1", kind, resource)
    }
}

fn config_maps() -> Kind {
    kind("ConfigMap", "configmaps")
}

fn accounts() -> Kind {
    kind("ServiceAccount", "serviceaccounts")
}

#[tokio::test]
async fn many_readers_share_one_watch() {
    let world = World::start().await;
    let caches = world.caches(1 << 30, PATIENCE);
    let reads = (0..20).map(|_| {
        let caches = Arc::clone(&caches);
        tokio::spawn(async move {
            let held = caches.get("c", &config_maps()).await.unwrap().unwrap();
            held.read(|contents| contents.entries.len())
        })
    });
    for read in reads.collect::<Vec<_>>() {
        assert!(read.await.unwrap() > 0);
    }
    assert_eq!(world.watches.load(Ordering::Relaxed), 1);
    assert_eq!(caches.size().1, 1);
    caches.shutdown().await;
    assert_eq!(caches.size(), (0, 0));
}

#[tokio::test]
async fn a_copy_nobody_looks_at_goes_and_a_held_one_stays() {
    let world = World::start().await;
    let caches = world.caches(1 << 30, Duration::from_millis(20));
    let held = caches.get("c", &config_maps()).await.unwrap().unwrap();
    drop(caches.get("c", &accounts()).await.unwrap().unwrap());
    let alone = async {
        while caches.size().1 > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, alone).await.unwrap();
    assert!(held.is_live());
    drop(held);
    let none = async {
        while caches.size() != (0, 0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, none).await.unwrap();
}

#[tokio::test]
async fn the_least_used_gives_way_but_not_while_it_is_held() {
    let world = World::start().await;
    let measure = world.caches(1 << 30, PATIENCE);
    drop(measure.get("c", &config_maps()).await.unwrap().unwrap());
    let (one, _) = measure.size();
    drop(measure.get("c", &accounts()).await.unwrap().unwrap());
    let (both, _) = measure.size();
    assert!(both > one && one > 0);

    let caches = world.caches(both - 1, PATIENCE);
    let held = caches.get("c", &config_maps()).await.unwrap().unwrap();
    assert!(
        caches.get("c", &accounts()).await.unwrap().is_none(),
        "there is no room"
    );
    assert!(held.is_live());
    drop(held);

    let caches = world.caches(both - 1, PATIENCE);
    drop(caches.get("c", &config_maps()).await.unwrap().unwrap());
    let second = caches.get("c", &accounts()).await.unwrap();
    assert!(second.is_some(), "the first made room");
    assert!(caches.peek("c", &config_maps()).is_none());
    assert!(caches.size().0 < both);
}

/// Objects that a list has beyond its first page.
const N_MANY: usize = 700;

/// A client of the store; `change` sees the addresses of requests before it does.
fn through(
    store: &kube_api::Server,
    change: impl Fn(&str) -> String + Clone + Send + Sync + 'static,
) -> Client {
    let store = store.clone();
    let service = tower::service_fn(move |mut request: http::Request<kube::client::Body>| {
        *request.uri_mut() = change(&request.uri().to_string()).parse().unwrap();
        store
            .client_service(kube_api::Identity::admin())
            .oneshot(request)
    });
    Client::new(service, "default")
}

#[tokio::test]
async fn every_page_of_a_list_has_the_cells_of_its_objects() {
    let world = World::start().await;
    let client = through(&world.store, str::to_owned);
    let maps =
        kube::Api::<k8s_openapi::api::core::v1::ConfigMap>::default_namespaced(client.clone());
    for number in 0..N_MANY {
        let object = serde_json::json!({"metadata": {"name": format!("map-{number}")},
            "data": (0..number % 5).map(|key| (key.to_string(), "")).collect::<std::collections::BTreeMap<_, _>>()});
        let object = serde_json::from_value(object).unwrap();
        maps.create(&Default::default(), &object).await.unwrap();
    }
    let shorter = |url: &str| match url.contains("includeObject=None") {
        true => url.replace("&limit=", "&limit=7&was="),
        false => url.to_owned(),
    };
    let now = jiff::Timestamp::now();
    for client in [client, through(&world.store, shorter)] {
        let listed = list(&client, &config_maps(), now, usize::MAX)
            .await
            .unwrap()
            .unwrap();
        assert!(listed.entries.len() > N_MANY && listed.revision > 0);
        let columns: Vec<_> = listed.columns.iter().map(|column| &*column.name).collect();
        assert_eq!(columns, ["Name", "Data", "Age"]);
        for entry in &listed.entries {
            let object = entry.object();
            let n_keys = object["data"].as_object().map_or(0, serde_json::Map::len);
            let cells: Vec<_> = entry.cells[..2]
                .iter()
                .map(|cell| cell.shown(now))
                .collect();
            assert_eq!(
                cells,
                [entry.name().into(), serde_json::Value::from(n_keys)]
            );
            assert_eq!(object["kind"], "ConfigMap");
        }
    }
}
