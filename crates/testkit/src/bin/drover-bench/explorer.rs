//! Figures of `/v1`: pages out of many objects, beside the plain list of all of them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use drover_testkit::apply;
use drover_testkit::control_plane::{self, ControlPlane};
use drover_testkit::hub::{self, Hub};
use drover_testkit::load::{Connection, Target, latencies};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::{ObjectMeta, PostParams};

use crate::{Better, LIMIT, figure};

/// Requests of a latency figure.
const N_REQUESTS: usize = 200;
/// Up to so many objects a page is to take five milliseconds, beyond that twenty.
const FEW: usize = 5_000;
/// Lists that the reference is the best of.
const N_LISTS: usize = 3;
/// Writers that fill the cluster at once.
const AT_ONCE: usize = 16;

/// A page of 100 out of each number of objects.
pub(crate) async fn figures(sizes: &[usize]) -> Result<()> {
    let plane = ControlPlane::start(&control_plane::Config::default()).await?;
    let hub = Hub::start(hub::Config::default()).await?;
    let session = hub.login().await?;
    let id = session.create_cluster("bench").await?;
    apply::apply(&plane.kubeconfig(), &session.manifest(&id).await?).await?;
    let _kubelet = plane.kubelet().await?;
    session.wait_state(&id, "active", LIMIT).await?;
    let mut made = 0;
    for (nth, &size) in sizes.iter().enumerate() {
        fill(&plane, made, size).await?;
        made = size;
        let direct = Target {
            address: plane.address(),
            token: control_plane::ADMIN_TOKEN.to_owned(),
            path: "/api/v1/configmaps".to_owned(),
        };
        let through = |query: &str| Target {
            address: hub.address(),
            token: session.token.clone(),
            path: format!("/k8s/clusters/{id}/v1/configmaps?{query}"),
        };
        let mut plain = Duration::MAX;
        for _ in 0..N_LISTS {
            plain = plain.min(once(&direct).await?);
        }
        let plain = milliseconds(plain);
        let sorted =
            through("page=3&pagesize=100&sort=-metadata.name&exclude=metadata.managedFields");
        // The first request of the first size fills the copy; later sizes find one that grew by its watch.
        let first = milliseconds(once(&sorted).await?);
        if nth == 0 {
            let name = format!("/v1 page of 100 out of {size}, sorted, first");
            figure(&name, "ms", first, Some(plain), 2.0, Better::Less);
        }
        caught_up(&through(&format!("filter=metadata.name=map-{}", size - 1))).await?;
        let filtered = through(
            "page=1&pagesize=100&filter=metadata.name~7&filter=metadata.labels[odd]=true&sort=metadata.labels[odd],-metadata.name",
        );
        for (what, target) in [("sorted", &sorted), ("filtered and sorted", &filtered)] {
            let times = latencies(target, N_REQUESTS).await?;
            let p50 = milliseconds(times[times.len() / 2]);
            let name = format!("/v1 page of 100 out of {size}, {what}, warm, p50");
            let limit = if size <= FEW { 5.0 } else { 20.0 };
            figure(&name, "ms", p50, None, limit, Better::Less);
        }
    }
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

async fn once(target: &Target) -> Result<Duration> {
    let mut connection = Connection::open(target).await?;
    let start = Instant::now();
    connection.get().await?;
    Ok(start.elapsed())
}

/// Waits until the copy has an object: its answer is then longer than that of an empty page.
async fn caught_up(target: &Target) -> Result<()> {
    let absent = Target {
        path: format!("{}-not-there", target.path),
        ..target.clone()
    };
    let empty = Connection::open(&absent).await?.get().await?;
    drover_testkit::wait::until("the copy", LIMIT, || async {
        let length = Connection::open(target).await?.get().await?;
        anyhow::ensure!(length > empty + 100, "the object is not there yet");
        Ok(())
    })
    .await
}

/// ConfigMaps of 1 kB, from the `from`th on.
async fn fill(plane: &ControlPlane, from: usize, to: usize) -> Result<()> {
    let client = plane.client().await?;
    let named = |name: String| ObjectMeta {
        name: Some(name),
        ..ObjectMeta::default()
    };
    if from == 0 {
        let namespace = Namespace {
            metadata: named("many".to_owned()),
            ..Namespace::default()
        };
        let namespaces: Api<Namespace> = Api::all(client.clone());
        namespaces
            .create(&PostParams::default(), &namespace)
            .await?;
    }
    let maps: Api<ConfigMap> = Api::namespaced(client, "many");
    let mut tasks = tokio::task::JoinSet::new();
    for number in from..to {
        if tasks.len() >= AT_ONCE {
            tasks.join_next().await.context("no task")???;
        }
        let (maps, mut metadata) = (maps.clone(), named(format!("map-{number}")));
        metadata.labels = Some([("odd".to_owned(), (number % 2 == 1).to_string())].into());
        tasks.spawn(async move {
            let map = ConfigMap {
                metadata,
                data: Some([("data".to_owned(), "0123456789".repeat(100))].into()),
                ..ConfigMap::default()
            };
            maps.create(&PostParams::default(), &map).await?;
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}
