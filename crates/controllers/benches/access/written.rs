//! What is written into clusters: ours counted, the peer's worked out.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use drover_auth::bootstrap;
use drover_controllers::downstream_access::{self, member_rules};
use drover_controllers::downstream_roles::{self, Given, Ours, Wanted};
use drover_testkit::figure::{Better, line};

use crate::print;
use crate::shape::{self, InProject, N_CLUSTERS, N_NAMESPACES, N_PROJECTS};

/// Prints how many objects are written, and that they do not depend on how many people there are.
pub(crate) fn figures(n_users: usize) -> Result<()> {
    // Enough to have every role in every project once.
    let few = (n_users / 10).max(100);
    let (of_few, of_all) = (ours(few), ours(n_users));
    ensure!(of_all > 0, "nothing is written");
    print(&line(
        &format!(
            "objects written into {N_CLUSTERS} clusters for {n_users} users, beside the peer's bindings"
        ),
        "objects",
        of_all as f64,
        Some(peers(n_users) as f64),
        0.2,
        Better::Less,
    ));
    print(&line(
        &format!("the same beside those for {few} users"),
        "objects",
        of_all as f64,
        Some(of_few as f64),
        1.0,
        Better::Less,
    ));
    Ok(())
}

/// What our controllers write into all clusters that hold nothing yet.
fn ours(n_users: usize) -> usize {
    let templates: Vec<_> = bootstrap::role_templates().collect();
    let member = (templates.iter())
        .find(|template| template.metadata.name.as_deref() == Some("cluster-member"));
    let of_members = downstream_access::reconcile(
        &downstream_access::Observed::default(),
        &member_rules(member, false),
    );
    let mut given = vec![Given::default(); N_CLUSTERS];
    for InProject {
        cluster,
        project,
        role,
        ..
    } in shape::in_projects(n_users)
    {
        given[cluster]
            .projects
            .insert((shape::project(project), role.to_owned()));
    }
    for (_, cluster) in shape::members(n_users) {
        given[cluster].cluster.insert("cluster-member".to_owned());
    }
    let of_projects = given.into_iter().enumerate().map(|(cluster, mut given)| {
        given.templates.clone_from(&templates);
        for project in 0..N_PROJECTS {
            for namespace in 0..N_NAMESPACES {
                let name = format!("{}-{namespace}", shape::project(project));
                given.namespaces.push((name, shape::project(project)));
            }
        }
        let wanted = Wanted::of(&shape::cluster(cluster), &given);
        let plan = downstream_roles::reconcile(&Ours::default(), &wanted);
        plan.actions.len() + of_members.actions.len()
    });
    of_projects.sum()
}

/// What the peer's bindings of one user in one cluster are told apart by.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Peers {
    /// Of the user to a role in a namespace of a project.
    InNamespace {
        project: usize,
        namespace: usize,
        role: &'static str,
    },
    /// Of the user to a role in the whole cluster.
    InCluster(&'static str),
    /// Of the user to the role that shows a project's namespaces.
    Namespaces { project: usize },
    /// Of the account that the user is impersonated with.
    Impersonation,
}

/// The bindings the peer would write, with its aggregated roles, which need the fewest (reference rbac-and-projects
/// 2.4 and 4): one in each namespace of a project for each of its people; one to the role that shows the project's
/// namespaces; for each user and role, one to what holds outside of namespaces, and one to make namespaces; one for a
/// role in a cluster; one for the account of each user.
fn peers(n_users: usize) -> usize {
    let mut found = BTreeSet::new();
    for InProject {
        user,
        cluster,
        project,
        role,
    } in shape::in_projects(n_users)
    {
        let mut add = |binding| found.insert((user, cluster, binding));
        for namespace in 0..N_NAMESPACES {
            add(Peers::InNamespace {
                project,
                namespace,
                role,
            });
        }
        add(Peers::Namespaces { project });
        add(Peers::Impersonation);
        match role {
            "read-only" => {
                add(Peers::InCluster("read-only-promoted"));
            }
            _ => {
                add(Peers::InCluster("project-member-promoted"));
                add(Peers::InCluster("create-ns"));
            }
        }
    }
    for (user, cluster) in shape::members(n_users) {
        found.insert((user, cluster, Peers::InCluster("cluster-member")));
        found.insert((user, cluster, Peers::Impersonation));
    }
    found.len()
}
