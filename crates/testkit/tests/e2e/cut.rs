//! A network that is cut and comes back: the cluster and its agent are in one network namespace, the server in
//! another, a veth pair between them.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use drover_testkit::control_plane::{self, ControlPlane};
use drover_testkit::hub::{self, Hub};
use drover_testkit::wait;

use crate::fixture::{LIMIT, World, is_root, turn};

/// Within which a cut must show.
const UNAVAILABLE: Duration = Duration::from_secs(20);
/// Within which the cluster is usable once the network is back.
const ACTIVE: Duration = Duration::from_secs(5);

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("run ip (iproute2)")?;
    ensure!(
        output.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Two namespaces: the first for the server, the second for the cluster. The test itself is a third host, which
/// reaches both over links that are never cut.
struct Network {
    server: String,
    cluster: String,
    links: [String; 2],
    octet: u8,
}

impl Network {
    /// `None`, with the reason printed, where namespaces cannot be made.
    fn make() -> Result<Option<Self>> {
        let number = std::process::id() % 10_000;
        let network = Self {
            server: format!("drover-{number}-s"),
            cluster: format!("drover-{number}-c"),
            links: [format!("dr{number}s"), format!("dr{number}c")],
            octet: u8::try_from(number % 250)?,
        };
        if let Err(error) = ip(&["netns", "add", &network.server]) {
            ensure!(
                !is_root()?,
                "root cannot make a network namespace: {error:#}"
            );
            eprintln!("skipped: network namespaces need root: {error:#}");
            return Ok(None);
        }
        ip(&["netns", "add", &network.cluster])?;
        // Between the two, the one that is cut.
        let between = [
            "link",
            "add",
            "cut",
            "netns",
            &network.server,
            "type",
            "veth",
            "peer",
            "name",
            "cut",
            "netns",
            &network.cluster,
        ];
        ip(&between)?;
        for (place, (namespace, link)) in [
            (1, (&network.server, &network.links[0])),
            (2, (&network.cluster, &network.links[1])),
        ] {
            let inside =
                |arguments: &[&str]| ip(&[&["-n", namespace.as_str()], arguments].concat());
            inside(&["link", "set", "lo", "up"])?;
            inside(&[
                "address",
                "add",
                &format!("10.213.{}.{place}/24", network.octet),
                "dev",
                "cut",
            ])?;
            inside(&["link", "set", "cut", "up"])?;
            // From the test to each.
            ip(&[
                "link", "add", link, "type", "veth", "peer", "name", "test", "netns", namespace,
            ])?;
            let (test, host) = (
                format!("10.214.{}.{}/30", network.octet, place * 4 + 1),
                format!("10.214.{}.{}/30", network.octet, place * 4 + 2),
            );
            ip(&["address", "add", &test, "dev", link])?;
            ip(&["link", "set", link, "up"])?;
            inside(&["address", "add", &host, "dev", "test"])?;
            inside(&["link", "set", "test", "up"])?;
        }
        // The server's own address is the same for both: it lies on the test's link, and the cluster goes through the cut one.
        let address = network.server_address().to_string();
        let via = format!("10.213.{}.1", network.octet);
        ip(&[
            "-n",
            &network.cluster,
            "route",
            "add",
            &address,
            "via",
            &via,
        ])?;
        Ok(Some(network))
    }

    fn server_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 214, self.octet, 6)
    }

    fn cluster_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 214, self.octet, 10)
    }

    fn cut(&self) -> Result<()> {
        ip(&["-n", &self.cluster, "link", "set", "cut", "down"])
    }

    fn mend(&self) -> Result<()> {
        ip(&["-n", &self.cluster, "link", "set", "cut", "up"])?;
        let (address, via) = (
            self.server_address().to_string(),
            format!("10.213.{}.1", self.octet),
        );
        // The route went with the link.
        ip(&[
            "-n",
            &self.cluster,
            "route",
            "replace",
            &address,
            "via",
            &via,
        ])
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in [&self.server, &self.cluster] {
            // Links go with their namespaces; one that was never made is nobody's loss.
            drop(ip(&["netns", "delete", namespace]));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_shows_within_20_seconds_and_heals_within_5() -> Result<()> {
    let _turn = turn().await;
    let Some(network) = Network::make()? else {
        return Ok(());
    };
    let plane = control_plane::Config {
        nodes: 1,
        namespace: Some((network.cluster.clone(), network.cluster_address())),
        ..control_plane::Config::default()
    };
    let plane = ControlPlane::start(&plane).await?;
    let hub = hub::Config {
        namespace: Some((network.server.clone(), network.server_address())),
        ..hub::Config::default()
    };
    let hub = Hub::start(hub).await?;
    let mut world = World::join(hub, plane).await?;
    let path = format!("/k8s/clusters/{}/api/v1/namespaces/default", world.id);
    let nodes = format!("/v3/nodes?clusterId={}", world.id);
    // A cluster is active before its nodes were read.
    wait::until("the node to be known", LIMIT, || async {
        let nodes = world.session.http.get(&nodes).await?.expect(200)?.json()?;
        ensure!(nodes["data"].as_array().map(Vec::len) == Some(1), "{nodes}");
        Ok(())
    })
    .await?;

    for _ in 0..2 {
        // Packets vanish; nobody is told.
        network.cut()?;
        let start = Instant::now();
        world.wait_state("unavailable", UNAVAILABLE).await?;
        println!("unavailable after {:?}", start.elapsed());
        let known = world.session.http.get(&nodes).await?.expect(200)?.json()?;
        assert_eq!(
            known["data"].as_array().map(Vec::len),
            Some(1),
            "absence deletes nothing"
        );
        let started = world.kubelet.started().await;

        network.mend()?;
        let start = Instant::now();
        world.wait_state("active", ACTIVE).await?;
        println!("active after {:?}", start.elapsed());
        assert!(start.elapsed() <= ACTIVE);
        wait::until("requests to get through", ACTIVE, || async {
            world.session.http.get(&path).await?.expect(200)?;
            Ok(())
        })
        .await?;
        assert_eq!(
            world.kubelet.started().await,
            started,
            "the agent needs no restart"
        );
    }
    Ok(())
}
