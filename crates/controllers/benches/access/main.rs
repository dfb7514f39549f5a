//! `cargo xtask bench access`: who may do what, at scale.
//!
//! The hub's store is filled, then another process opens it and measures: what it takes until decisions are right,
//! what one change takes, what a decision takes, and what memory all of it needs.

#![expect(clippy::print_stdout, reason = "a program for a terminal")]

mod fill;
mod shape;
mod written;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use drover_auth::{Access, Attributes, Identity};
use drover_testkit::chance::Chance;
use drover_testkit::figure::{Better, line, megabytes, plain};
use drover_testkit::process::resident_bytes;
use drover_types::management::{GROUP, RoleTemplate};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use shape::{InProject, N_CLUSTERS, N_HELD, N_PROJECTS};

/// People, unless the only argument is another number, which has to be a multiple of 50 to give all projects members.
const N_USERS: usize = 1_000;
/// Somebody who owns the first cluster.
const OWNER: &str = "u-owner";
/// The argument of the process that measures.
const MEASURE: &str = "measure";
const N_DECISIONS: usize = 20_000;
/// Changes of each kind.
const N_CHANGES: usize = 100;
/// The longest a change may take before the benchmark gives up.
const LIMIT: Duration = Duration::from_secs(60);

fn print(line: &serde_json::Value) {
    println!("{line}");
}

#[tokio::main]
async fn main() -> Result<()> {
    // Cargo adds a flag of its own.
    let arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let arguments: Vec<String> = arguments.collect();
    match arguments.as_slice() {
        [command, folder, n_users] if command == MEASURE => {
            measure(folder.as_ref(), n_users.parse()?).await
        }
        [] => run(N_USERS).await,
        [n_users] => run(n_users.parse()?).await,
        _ => anyhow::bail!("usage: access [USERS]"),
    }
}

async fn run(n_users: usize) -> Result<()> {
    written::figures(n_users)?;
    let folder = tempfile::tempdir()?;
    fill::fill(folder.path(), n_users).await?;
    // A process of its own: its memory is what the index needs, not what filling left behind.
    let status = Command::new(std::env::current_exe()?)
        .arg(MEASURE)
        .arg(folder.path())
        .arg(n_users.to_string())
        .status()?;
    ensure!(status.success(), "measuring failed");
    Ok(())
}

async fn measure(folder: &Path, n_users: usize) -> Result<()> {
    let (server, client) = fill::open(folder).await?;
    let before = resident_bytes(std::process::id())?;
    let (auth, driver, _) = fill::auth(client.clone());
    let start = Instant::now();
    let driver = tokio::spawn(driver.run());
    auth.ready().await;
    let took = start.elapsed();
    let memory = resident_bytes(std::process::id())?.saturating_sub(before);
    let n_bindings =
        shape::in_projects(n_users).count() + shape::members(n_users).count() + n_users;
    print(&line(
        &format!(
            "index of {n_bindings} bindings and {} projects, from nothing, reading them included",
            N_CLUSTERS * N_PROJECTS
        ),
        "s",
        took.as_secs_f64(),
        None,
        5.0,
        Better::Less,
    ));
    print(&plain(
        "memory of the index and of what it is made from, with what reading left",
        "MB",
        megabytes(memory),
    ));
    decisions(&auth.access, n_users)?;
    changes(&auth.access, &client).await?;
    driver.abort();
    server.shutdown().await;
    Ok(())
}

/// Middle and worst but for one in a hundred.
fn percentiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

/// Somebody with groups, as people of large organisations have them.
fn identity(user: usize) -> Identity {
    let mut identity = Identity::of(shape::user(user));
    let groups = (0..20).map(|nth| format!("okta_group://{user}-{nth}"));
    identity.groups.extend(groups);
    identity
}

fn asked<'a>(
    verb: &'a str,
    group: &'a str,
    resource: &'a str,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
) -> Attributes<'a> {
    Attributes {
        verb,
        group,
        resource,
        namespace,
        name,
    }
}

fn decisions(access: &Access, n_users: usize) -> Result<()> {
    let mut chance = Chance::new(1);
    let (mut times, mut into, mut n_allowed) = (Vec::new(), Vec::new(), 0);
    for nth in 0..N_DECISIONS {
        let user = chance.below(n_users);
        let identity = identity(user);
        let cluster = chance.below(N_CLUSTERS);
        // Every other question is about a project the user is in.
        let own = (user % (N_PROJECTS / N_HELD)) * N_HELD;
        let project = if chance.one_in(2) {
            own
        } else {
            chance.below(N_PROJECTS)
        };
        let (id, name, backing) = (
            shape::cluster(cluster),
            shape::project(project),
            shape::backing(cluster, project),
        );
        let question = match nth % 5 {
            0 => asked("get", GROUP, "clusters", None, Some(&id)),
            1 => asked(
                "list",
                GROUP,
                "projectroletemplatebindings",
                Some(&backing),
                None,
            ),
            2 => asked("get", GROUP, "projects", Some(&id), Some(&name)),
            3 => asked("update", GROUP, "settings", None, Some("server-url")),
            _ => asked("create", "", "secrets", Some(&backing), None),
        };
        let start = Instant::now();
        let allowed = access.is_allowed(&identity, &question);
        times.push(start.elapsed());
        n_allowed += usize::from(allowed);
        let start = Instant::now();
        let groups = access.cluster_groups(&identity, &id);
        into.push(start.elapsed());
        ensure!(
            groups.is_some_and(|groups| groups.len() >= N_HELD),
            "{user} is in projects of every cluster"
        );
    }
    ensure!(
        n_allowed > N_DECISIONS / 5 && n_allowed < N_DECISIONS * 4 / 5,
        "{n_allowed} of {N_DECISIONS} allowed"
    );
    for (name, times) in [
        ("decision", times),
        ("virtual groups of a request into a cluster", into),
    ] {
        let (middle, worst) = percentiles(times);
        for (which, time) in [("p50", middle), ("p99", worst)] {
            print(&line(
                &format!("{name}, {which}"),
                "us",
                time.as_secs_f64() * 1e6,
                None,
                20.0,
                Better::Less,
            ));
        }
    }
    Ok(())
}

/// Times of one change after another, until decisions follow it, and until it was acknowledged.
#[derive(Default)]
struct Changes {
    effective: Vec<Duration>,
    acknowledged: Vec<Duration>,
}

impl Changes {
    async fn make<T>(
        &mut self,
        access: &Access,
        write: impl Future<Output = kube::Result<T>>,
        is_seen: impl Fn() -> bool,
    ) -> Result<()> {
        let mut published = access.changes();
        ensure!(!is_seen(), "it was so before");
        let start = Instant::now();
        write.await?;
        self.acknowledged.push(start.elapsed());
        while !is_seen() {
            let left = LIMIT.saturating_sub(start.elapsed());
            tokio::time::timeout(left, published.changed())
                .await
                .context("a change was not followed")??;
        }
        self.effective.push(start.elapsed());
        Ok(())
    }

    fn print(self, what: &str) {
        let (middle, worst) = percentiles(self.effective);
        let (written, _) = percentiles(self.acknowledged);
        for (which, time) in [("p50", middle), ("p99", worst)] {
            print(&line(
                &format!("{what}: from the write to decisions by it, {which}"),
                "ms",
                time.as_secs_f64() * 1e3,
                None,
                10.0,
                Better::Less,
            ));
        }
        print(&plain(
            &format!("{what}: of which the write, p50"),
            "ms",
            written.as_secs_f64() * 1e3,
        ));
    }
}

async fn changes(access: &Access, client: &Client) -> Result<()> {
    let mut bindings = Changes::default();
    for nth in 0..N_CHANGES / 2 {
        let (cluster, project) = (nth % N_CLUSTERS, N_PROJECTS - 1);
        let held = InProject {
            user: nth % (N_PROJECTS / N_HELD - 1),
            cluster,
            project,
            role: "project-member",
        };
        let identity = identity(held.user);
        let backing = shape::backing(cluster, project);
        let question = asked(
            "list",
            GROUP,
            "projectroletemplatebindings",
            Some(&backing),
            None,
        );
        let may = || access.is_allowed(&identity, &question);
        let api = fill::within(client, &backing);
        let binding = fill::in_project(&held);
        bindings
            .make(access, api.create(&PostParams::default(), &binding), may)
            .await?;
        let name = format!("prtb-{}", held.user);
        bindings
            .make(access, api.delete(&name, &DeleteParams::default()), || {
                !may()
            })
            .await?;
    }
    bindings.print("a binding");

    let mut projects = Changes::default();
    let owner = Identity::of(OWNER);
    let id = shape::cluster(0);
    for nth in 0..N_CHANGES / 2 {
        let (name, backing) = (
            shape::project(N_PROJECTS + nth),
            shape::backing(0, N_PROJECTS + nth),
        );
        let may = || {
            access.is_allowed(
                &owner,
                &asked("create", "", "secrets", Some(&backing), None),
            )
        };
        let api = fill::within(client, &id);
        let project = fill::new_project(0, N_PROJECTS + nth);
        projects
            .make(access, api.create(&PostParams::default(), &project), may)
            .await?;
        projects
            .make(access, api.delete(&name, &DeleteParams::default()), || {
                !may()
            })
            .await?;
    }
    projects.print("a project");

    let mut roles = Changes::default();
    let templates: Api<RoleTemplate> = Api::all(client.clone());
    let reader = identity(0);
    let backing = shape::backing(0, 0);
    let may = || {
        access.is_allowed(
            &reader,
            &asked("create", "", "secrets", Some(&backing), None),
        )
    };
    let rules = templates.get("read-only").await?.rules;
    let mut more = rules.clone();
    more.push(drover_types::management::PolicyRule {
        api_groups: vec![String::new()],
        resources: vec!["secrets".to_owned()],
        verbs: vec!["create".to_owned()],
        ..Default::default()
    });
    for _ in 0..N_CHANGES / 2 {
        let patch = |rules| Patch::Merge(json!({ "rules": rules }));
        let parameters = PatchParams::default();
        let (gives, takes) = (patch(&more), patch(&rules));
        roles
            .make(
                access,
                templates.patch("read-only", &parameters, &gives),
                may,
            )
            .await?;
        roles
            .make(
                access,
                templates.patch("read-only", &parameters, &takes),
                || !may(),
            )
            .await?;
    }
    roles.print("a role that a fifth of all bindings give");
    Ok(())
}
