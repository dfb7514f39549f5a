//! kubectl and helm against a real kube-apiserver and the embedded one: what they print has to be the same.
//!
//! The commands are in `*.txt`, one a line, run in `files/` by a shell, each file on two new servers. Times, revisions, identities and addresses are
//! replaced before comparing. A line `~ reason` after a command says that its output differs on purpose; it fails the
//! test when the output no longer differs.

mod programs;
mod servers;

use std::path::{Path, PathBuf};
use std::time::Duration;

use drover_testkit::real;
use regex::Regex;

use servers::Servers;

/// The longest a command may take on a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);

struct Command {
    line: usize,
    text: String,
    differs: Option<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

fn commands(file: &str) -> Vec<Command> {
    let text = std::fs::read_to_string(folder().join(file)).expect("the commands");
    let mut commands: Vec<Command> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(reason) = line.strip_prefix("~ ") {
            commands
                .last_mut()
                .expect("a command before its mark")
                .differs = Some(reason.to_owned());
        } else {
            commands.push(Command {
                line: index + 1,
                text: line.to_owned(),
                differs: None,
            });
        }
    }
    commands
}

/// What a command printed, and its code.
async fn run(command: &str, kubeconfig: &Path, home: &Path) -> String {
    let bin = real::component("kubectl").expect("kubectl is built");
    let path = format!(
        "{}:{}",
        bin.parent().expect("a folder").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let child = tokio::process::Command::new("sh")
        .args(["-c", command])
        .current_dir(folder().join("files"))
        .env("PATH", path)
        .env("HOME", home)
        .env("KUBECONFIG", kubeconfig)
        .env("KUBECTL_KUBERC", "false")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(LIMIT, child).await {
        Ok(output) => output.expect("a shell"),
        Err(_) => return "not finished in time".to_owned(),
    };
    format!(
        "{}{}exit {}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code().unwrap_or(-1)
    )
}

/// What differs between any two servers, replaced.
struct Normaliser(Vec<(Regex, &'static str)>);

impl Normaliser {
    fn new() -> Self {
        let rules = [
            // What a controller manager makes in each namespace; ours does it by itself.
            (r"(?m)^.*\bkube-root-ca\.crt\b.*\n", ""),
            (
                "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
                "UID",
            ),
            (
                r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?[-+]\d{4} [A-Z]+|Z)?",
                "TIME",
            ),
            (
                r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun),? ([A-Z][a-z]{2} +\d+|\d\d [A-Z][a-z]{2}) (\d{4} )?\d\d:\d\d:\d\d( \+0000)?( \d{4})?",
                "TIME",
            ),
            (
                r#"(resourceVersion"?: "?|Resource Version: +)\d+"#,
                "${1}RV",
            ),
            (r"[IWE]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ", "LOG "),
            (r"10\.96\.\d+\.\d+", "ADDRESS"),
            (
                r#"(:|nodePort"?: |NodePort: +\S+ +)3\d{4}(/|\b)"#,
                "${1}PORT${2}",
            ),
            (r"https?://127\.0\.0\.1:\d+", "SERVER"),
            (r"127\.0\.0\.1:\d+", "SERVER"),
            (r"\b(\d+[hms])+( ago)?\b", "AGE"),
            (r"<invalid>|<unknown>", "AGE"),
            (r"/tmp/[A-Za-z]+-\d+/", "TMP/"),
            (r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-SUFFIX"),
            (" +", " "),
            // Columns are as wide as times, which Go prints without trailing zeros.
            (" ?\t ?", "\t"),
        ];
        Self(
            rules
                .into_iter()
                .map(|(pattern, with)| (Regex::new(pattern).expect("a pattern"), with))
                .collect(),
        )
    }

    fn apply(&self, text: &str) -> String {
        self.0
            .iter()
            .fold(text.to_owned(), |text, (pattern, with)| {
                pattern.replace_all(&text, *with).into_owned()
            })
    }
}

async fn compare(file: &str) {
    let servers = Servers::start().await;
    let [real_kubeconfig, kubeconfig] = &servers.kubeconfigs;
    let homes = &servers.homes;
    let normaliser = Normaliser::new();
    let commands = commands(file);
    let mut report = String::new();
    let mut n_wrong = 0;
    for command in &commands {
        let (real, ours) = tokio::join!(
            run(&command.text, real_kubeconfig, homes[0].path()),
            run(&command.text, kubeconfig, homes[1].path())
        );
        let (real, ours) = (normaliser.apply(&real), normaliser.apply(&ours));
        match (&command.differs, real == ours) {
            (None, true) | (Some(_), false) => {}
            (None, false) => {
                n_wrong += 1;
                report.push_str(&format!(
                    "{file}:{}: {}\n{}",
                    command.line,
                    command.text,
                    lines_of(&real, &ours)
                ));
            }
            (Some(reason), true) => {
                n_wrong += 1;
                report.push_str(&format!(
                    "{file}:{}: {}\n  no longer differs: {reason}\n",
                    command.line, command.text
                ));
            }
        }
    }
    servers.stop().await;
    assert!(
        n_wrong == 0,
        "{n_wrong} of {} commands print something else:\n{report}",
        commands.len()
    );
}

/// The lines that only one of two texts has.
fn lines_of(real: &str, ours: &str) -> String {
    let only = |a: &str, b: &str, sign: &str| {
        let known: Vec<&str> = b.lines().collect();
        a.lines()
            .filter(|line| !known.contains(line))
            .take(30)
            .map(|line| format!("  {sign} {line}\n"))
            .collect::<String>()
    };
    let text = only(real, ours, "real:") + &only(ours, real, "ours:");
    if text.is_empty() {
        "  the same lines in another order\n".to_owned()
    } else {
        text
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_prints_the_same() {
    compare("kubectl.txt").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tour_with_kubectl_prints_the_same() {
    compare("tour.txt").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seldom_verbs_of_kubectl_print_the_same() {
    compare("verbs.txt").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helm_prints_the_same() {
    compare("helm.txt").await;
}
