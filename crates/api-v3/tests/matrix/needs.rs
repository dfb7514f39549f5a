//! What a caller must be allowed for a request to get through, as the reference says it.

use drover_testkit::roles::{Asked, Place, Role};

use crate::world::{CLUSTER, INSIDE, PROJECT, World};

/// One right.
#[derive(Clone, Debug)]
pub(crate) enum Right {
    /// To objects of the hub.
    Hub(Asked),
    /// To objects of the cluster.
    Cluster(Asked),
    /// To be an administrator.
    Everything,
}

/// All rights of one of these lists; an empty list is held by everybody who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Needs(pub(crate) Vec<Vec<Right>>);

const GROUP: &str = "management.cattle.io";

fn asked(
    verb: &'static str,
    group: &str,
    resource: &str,
    namespace: Option<&str>,
    name: Option<&str>,
) -> Asked {
    Asked {
        verb,
        group: group.to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
    }
}

/// A right to management objects of the hub.
pub(crate) fn hub(
    verb: &'static str,
    resource: &str,
    namespace: Option<&str>,
    name: Option<&str>,
) -> Right {
    Right::Hub(asked(verb, GROUP, resource, namespace, name))
}

/// A right to Secrets of the hub.
pub(crate) fn secrets(verb: &'static str, namespace: &str, name: Option<&str>) -> Right {
    Right::Hub(asked(verb, "", "secrets", Some(namespace), name))
}

/// A right to objects of the cluster.
pub(crate) fn below(
    verb: &'static str,
    (group, resource): (&str, &str),
    namespace: Option<&str>,
    name: Option<&str>,
) -> Right {
    Right::Cluster(asked(verb, group, resource, namespace, name))
}

impl Needs {
    /// Nothing but a login.
    pub(crate) fn nothing() -> Self {
        Self(vec![vec![]])
    }

    /// All of these.
    pub(crate) fn all(rights: impl Into<Vec<Right>>) -> Self {
        Self(vec![rights.into()])
    }

    /// One of these.
    pub(crate) fn any(rights: impl IntoIterator<Item = Right>) -> Self {
        Self(rights.into_iter().map(|right| vec![right]).collect())
    }

    /// And this too.
    pub(crate) fn and(mut self, right: &Right) -> Self {
        for all in &mut self.0 {
            all.push(right.clone());
        }
        self
    }

    /// Whether somebody with this role alone has what is needed.
    pub(crate) fn are_met(&self, role: &Role, world: &World) -> bool {
        let others = [world.backing_other.as_str()];
        let place = Place {
            cluster: CLUSTER,
            project: PROJECT,
            backing: &world.backing,
            others: &others,
        };
        let holds = |right: &Right| match right {
            Right::Hub(asked) => role.allows_on_hub(asked, &place),
            Right::Cluster(asked) => role.allows_in_cluster(asked, &[INSIDE]),
            Right::Everything => role.is_admin(),
        };
        self.0.iter().any(|all| all.iter().all(holds))
    }
}
