//! The same requests to a real kube-apiserver and to ours, and every difference between the answers.
//!
//! Requests stand in `scenarios/*.txt`, one a line (see [`scenario`]); each scenario has a namespace of its own. Answers
//! are compared whole, after what differs between any two servers is made equal (see [`normal`]). Differences meant to
//! stay are listed, with their reasons, in `differences.txt`; an entry that nothing needs any more fails the test too.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test fails the test"
)]

mod compare;
mod normal;
mod ownership;
mod rules;
mod scenario;
mod servers;

use std::path::{Path, PathBuf};

use compare::{Difference, Excuses};
use scenario::Scenario;
use servers::Pair;

/// Differences shown before the rest is only counted.
const SHOWN: usize = 4000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential")
}

/// `DROVER_SCENARIO`: what the names of scenarios must contain, so that a few can be played alone; several with `|` between.
fn wanted() -> String {
    std::env::var("DROVER_SCENARIO").unwrap_or_default()
}

fn scenarios() -> Vec<Scenario> {
    let mut files = std::fs::read_dir(folder().join("scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect::<Vec<_>>();
    files.sort();
    files
        .iter()
        .flat_map(|path| scenario::parse(&std::fs::read_to_string(path).unwrap()))
        .filter(|scenario| wanted().split('|').any(|part| scenario.name.contains(part)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_a_real_api_server() {
    let scenarios = scenarios();
    let mut excuses =
        Excuses::parse(&std::fs::read_to_string(folder().join("differences.txt")).unwrap());
    let pair = Pair::start().await;
    let mut requests = 0;
    let mut found: Vec<Difference> = Vec::new();
    for (number, scenario) in scenarios.iter().enumerate() {
        requests += scenario.requests.len();
        for difference in pair.play(scenario, &format!("diff-{number}")).await {
            if !excuses.cover(&difference) {
                found.push(difference);
            }
        }
    }
    pair.stop().await;
    for difference in found.iter().take(SHOWN) {
        println!("{difference}");
    }
    let unused = excuses.unused();
    assert!(
        found.is_empty(),
        "{} differences in {requests} requests",
        found.len()
    );
    assert!(
        unused.is_empty() || !wanted().is_empty(),
        "these differences are gone, remove them from differences.txt: {unused:#?}"
    );
}
