//! Format, lints, and the crate graph that points one way.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command::{output, root, run, say};

/// Which crates a crate may name (normal dependencies), as `ARCHITECTURE.md` draws it.
///
/// Protocol crates name no product crate; siblings do not import each other.
const GRAPH: [(&str, &[&str]); 20] = [
    ("structural", &[]),
    ("tunnel", &[]),
    ("types", &[]),
    ("dial", &[]),
    ("audit", &["types"]),
    ("workspace-hack", &[]),
    ("ui", &[]),
    ("kube-api", &["structural"]),
    ("auth", &["types"]),
    ("controllers", &["types", "auth"]),
    ("proxy", &["types", "auth", "tunnel"]),
    ("api", &["auth", "tunnel"]),
    ("ext", &["types", "structural", "auth"]),
    ("api-v1", &["types", "auth", "api", "audit", "ext"]),
    ("api-v3", &["types", "auth", "api", "ext"]),
    ("agent", &["types", "tunnel", "dial"]),
    ("cli", &["types", "dial"]),
    (
        "server",
        &[
            "types",
            "tunnel",
            "kube-api",
            "auth",
            "audit",
            "controllers",
            "proxy",
            "ext",
            "api-v1",
            "api-v3",
            "cli",
            "ui",
        ],
    ),
    ("testkit", &["types", "tunnel", "kube-api", "auth"]),
    ("xtask", &[]),
];

/// Holds no code, only the libraries' features; every crate names it.
const FEATURES: &str = "workspace-hack";

/// Runs all checks.
pub(crate) fn all() -> Result<()> {
    graph()?;
    let root = root();
    say("format");
    run(&root, "cargo", &["fmt", "--all", "--check"], &[])?;
    say("lints");
    run(
        &root,
        "cargo",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
        &[],
    )?;
    crate::ui::check()
}

/// Compares the workspace's dependencies with the table.
pub(crate) fn graph() -> Result<()> {
    say("crate graph");
    let metadata = output(
        &root(),
        "cargo",
        &["metadata", "--no-deps", "--format-version", "1"],
    )?;
    let metadata: Value = serde_json::from_str(&metadata).context("read cargo metadata")?;
    let edges = edges(&metadata).context("unexpected form of cargo metadata")?;
    let problems = violations(&edges);
    if !problems.is_empty() {
        bail!(
            "the crate graph does not point one way:\n  {}",
            problems.join("\n  ")
        );
    }
    Ok(())
}

type Edges = BTreeMap<String, BTreeSet<String>>;

/// Normal dependencies between our own crates.
fn edges(metadata: &Value) -> Option<Edges> {
    let mut edges = Edges::new();
    for package in metadata["packages"].as_array()? {
        let name = short(package["name"].as_str()?).to_owned();
        let mut names = BTreeSet::new();
        for dependency in package["dependencies"].as_array()? {
            let ours = dependency["name"].as_str()?.strip_prefix("drover-");
            if let (Some(ours), true) = (ours, dependency["kind"].is_null())
                && ours != FEATURES
            {
                names.insert(ours.to_owned());
            }
        }
        edges.insert(name, names);
    }
    Some(edges)
}

fn short(package: &str) -> &str {
    package.strip_prefix("drover-").unwrap_or(package)
}

fn violations(edges: &Edges) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, uses) in edges {
        let Some((_, allowed)) = GRAPH.iter().find(|(known, _)| known == name) else {
            problems.push(format!("{name} is not in the table (xtask/src/check.rs)"));
            continue;
        };
        for used in uses.iter().filter(|used| !allowed.contains(&used.as_str())) {
            problems.push(format!("{name} must not depend on {used}"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_edge_and_an_unknown_crate_are_named() {
        let edges = Edges::from([
            (
                "proxy".to_owned(),
                BTreeSet::from(["auth".to_owned(), "controllers".to_owned()]),
            ),
            ("novelty".to_owned(), BTreeSet::new()),
        ]);
        let problems = violations(&edges);
        assert_eq!(problems.len(), 2);
        assert!(problems[0].contains("novelty"));
        assert_eq!(problems[1], "proxy must not depend on controllers");
    }

    #[test]
    fn the_table_has_no_cycle() {
        for (name, _) in GRAPH {
            let mut open = vec![name];
            let mut seen = BTreeSet::new();
            while let Some(next) = open.pop() {
                let (_, uses) = GRAPH.iter().find(|(known, _)| *known == next).unwrap();
                for used in *uses {
                    assert_ne!(*used, name, "{name} reaches itself");
                    if seen.insert(*used) {
                        open.push(used);
                    }
                }
            }
        }
    }
}
