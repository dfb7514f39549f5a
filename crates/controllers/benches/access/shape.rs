//! Who holds what: many users in many projects of many clusters.

/// Clusters.
pub(crate) const N_CLUSTERS: usize = 50;
/// Projects of each cluster.
pub(crate) const N_PROJECTS: usize = 200;
/// Namespaces of each project.
pub(crate) const N_NAMESPACES: usize = 2;
/// Projects that each user is in, of each cluster.
pub(crate) const N_HELD: usize = 4;
/// Each user is a member of one cluster in so many.
const ONE_CLUSTER_IN: usize = 10;
/// One user in so many of a project may only read.
const ONE_READER_IN: usize = 5;

/// A role in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InProject {
    pub(crate) user: usize,
    pub(crate) cluster: usize,
    pub(crate) project: usize,
    pub(crate) role: &'static str,
}

/// All roles in projects: each user has [`N_HELD`] in each cluster, and all projects have equally many members.
pub(crate) fn in_projects(n_users: usize) -> impl Iterator<Item = InProject> {
    // So many users are in different projects of a cluster.
    let around = N_PROJECTS / N_HELD;
    (0..n_users).flat_map(move |user| {
        (0..N_CLUSTERS).flat_map(move |cluster| {
            (0..N_HELD).map(move |nth| InProject {
                user,
                cluster,
                project: (user % around) * N_HELD + nth,
                role: if (user / around).is_multiple_of(ONE_READER_IN) {
                    "read-only"
                } else {
                    "project-member"
                },
            })
        })
    })
}

/// All members of clusters, as user and cluster.
pub(crate) fn members(n_users: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n_users).flat_map(|user| {
        (0..N_CLUSTERS)
            .filter(move |cluster| (user + cluster).is_multiple_of(ONE_CLUSTER_IN))
            .map(move |cluster| (user, cluster))
    })
}

/// The user's id.
pub(crate) fn user(number: usize) -> String {
    format!("u-{number:05}")
}

/// The cluster's id.
pub(crate) fn cluster(number: usize) -> String {
    format!("c-{number:05}")
}

/// The project's name.
pub(crate) fn project(number: usize) -> String {
    format!("p-{number:05}")
}

/// The namespace on the hub that holds what belongs to a project.
pub(crate) fn backing(in_cluster: usize, number: usize) -> String {
    format!("{}-{}", cluster(in_cluster), project(number))
}
