//! Servers killed with SIGKILL while clients write and watch: nothing acknowledged is lost, nothing seen is undone.
//!
//! The server is this test binary again, serving a file on a Unix socket. `DROVER_KILL_ROUNDS` says how often it is
//! killed, `DROVER_KILL_SEED` repeats a run's choices.

mod killing;

use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use killing::model::World;
use killing::process::{self, Process};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_seen_is_undone() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    let rounds = number("DROVER_KILL_ROUNDS").unwrap_or(30);
    let seed = number("DROVER_KILL_SEED").unwrap_or_else(rand::random);
    println!("DROVER_KILL_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(&mut random);
    for round in 0..rounds {
        let mut process = Process::start(folder.path()).await;
        world.check(&process.client().await).await;
        let n_writes = random.random_range(1..400);
        world.run_until_killed(&mut process, n_writes).await;
        println!(
            "round {round}: killed after {n_writes} answers, {}",
            world.summary()
        );
    }
    let process = Process::start(folder.path()).await;
    world.check(&process.client().await).await;
    assert!(
        world.is_worth_it(rounds),
        "too little happened: {}",
        world.summary()
    );
    drop(process);
    // Every checksum in the file is right.
    drover_kube_api::backup(
        &folder.path().join(process::DATABASE),
        &folder.path().join("copy"),
    )
    .expect("a whole database");
}

/// Started by the test above, with the folder in its environment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the server that is killed"]
async fn the_server_that_is_killed() {
    let folder = std::env::var_os(process::FOLDER).expect("started by the other test");
    let folder = Path::new(&folder);
    let storage = drover_kube_api::Storage::File(folder.join(process::DATABASE));
    let server = drover_kube_api::Server::open(drover_kube_api::Config::new(storage))
        .await
        .expect("the server opens");
    let listener = tokio::net::UnixListener::bind(folder.join(process::SOCKET)).expect("a socket");
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let service = server.client_service(drover_kube_api::Identity::admin());
        tokio::spawn(drover_testkit::serve::connection(stream, service));
    }
}
