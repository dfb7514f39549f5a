//! kubectl and helm, the real ones, on both servers: what they print and how they end.

use std::path::{Path, PathBuf};
use std::process::Command;

use drover_testkit::{apply, real};

use crate::normal;
use crate::servers::Pair;

fn folder() -> PathBuf {
    crate::folder().join("kubectl")
}

/// What a command printed and how it ended.
#[derive(Debug, PartialEq)]
struct Ending {
    code: i32,
    stdout: String,
    stderr: String,
}

fn ending(output: &apply::Output, kubeconfig: &Path) -> Ending {
    let clean = |text: &str| {
        let text = text.replace(&kubeconfig.display().to_string(), "<kubeconfig>");
        normal::printed(&text)
    };
    Ending {
        code: output.code,
        stdout: clean(&output.stdout),
        stderr: clean(&output.stderr),
    }
}

/// The arguments of a command; those of JSON and schedules have no blanks that divide.
fn words(command: &str) -> Vec<&str> {
    match command.split_once("--schedule=") {
        Some((before, _)) => before
            .split_whitespace()
            .chain([&command[before.len()..]])
            .collect(),
        None => command.split_whitespace().collect(),
    }
}

/// Why a command may end differently: the beginning of the command, and the reason.
const MEANT: [(&str, &str); 2] = [
    (
        "apply -f - < unknown.yaml",
        "the refused object is quoted with its members in another order",
    ),
    (
        "explain configmap.data",
        "schemas of built-in kinds have no descriptions",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_prints_what_it_prints_of_a_real_api_server() {
    let pair = Pair::start().await;
    let configs = [pair.real.kubeconfig(), pair.our_kubeconfig()];
    let mut different = Vec::new();
    let commands = std::fs::read_to_string(folder().join("commands.txt")).unwrap();
    let mut unused = MEANT.map(|(command, _)| command).to_vec();
    for line in commands.lines().filter(|line| !line.starts_with('#')) {
        let (command, input) = match line.split_once(" < ") {
            Some((command, file)) => (
                command,
                std::fs::read_to_string(folder().join(file)).unwrap(),
            ),
            None => (line, String::new()),
        };
        let words = words(command);
        let run = |side: usize| apply::kubectl(&configs[side], &words, &input);
        let (real, ours) = tokio::join!(run(0), run(1));
        let (real, ours) = (
            ending(&real.unwrap(), &configs[0]),
            ending(&ours.unwrap(), &configs[1]),
        );
        if real == ours {
            continue;
        }
        if MEANT.iter().any(|(meant, _)| line.starts_with(meant)) {
            unused.retain(|meant| !line.starts_with(meant));
        } else {
            different.push(format!("{line}\n  real {real:#?}\n  ours {ours:#?}"));
        }
    }
    pair.stop().await;
    assert!(
        different.is_empty(),
        "{} commands differ:\n{}",
        different.len(),
        different.join("\n")
    );
    assert!(unused.is_empty(), "these no longer differ: {unused:?}");
}

fn helm(kubeconfig: &Path, arguments: &[&str]) -> Ending {
    let output = Command::new(real::component("helm").unwrap())
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(arguments)
        .env("HOME", kubeconfig.parent().unwrap())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let output = apply::Output {
        code: output.status.code().unwrap_or(-1),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    };
    ending(&output, kubeconfig)
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_installs_upgrades_and_rolls_back() {
    let pair = Pair::start().await;
    let configs = [pair.real.kubeconfig(), pair.our_kubeconfig()];
    let chart = folder().join("chart");
    let chart = chart.to_str().unwrap();
    for (arguments, code) in [
        (vec!["install", "hi", chart], 0),
        (vec!["install", "hi", chart], 1),
        (vec!["list"], 0),
        (vec!["upgrade", "hi", chart, "--set", "greeting=ahoy"], 0),
        (vec!["get", "manifest", "hi"], 0),
        (vec!["history", "hi"], 0),
        (vec!["rollback", "hi", "1"], 0),
        (vec!["get", "values", "hi", "--all"], 0),
        (
            vec![
                "upgrade",
                "--install",
                "new",
                chart,
                "--set",
                "greeting=new",
            ],
            0,
        ),
        (vec!["list", "--all-namespaces"], 0),
        (vec!["uninstall", "hi"], 0),
        (vec!["uninstall", "hi"], 1),
        (vec!["status", "new"], 0),
    ] {
        let endings = tokio::task::block_in_place(|| {
            configs.each_ref().map(|config| helm(config, &arguments))
        });
        let [real, ours] = endings;
        assert_eq!(ours, real, "helm {arguments:?}");
        assert_eq!(ours.code, code, "helm {arguments:?}: {ours:?}");
    }
    pair.stop().await;
}
