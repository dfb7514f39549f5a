//! Links in answers: absolute, below the cluster that was asked.

use drover_api::urls::segment;
use drover_types::names::LOCAL_CLUSTER;

use crate::kind::Kind;

/// Where links of one answer start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Urls {
    base: String,
    /// Of the cluster; empty for the hub's own.
    prefix: String,
}

impl Urls {
    /// `base` is `scheme://host[prefix]`.
    pub(crate) fn new(base: String, cluster: &str) -> Self {
        let prefix = if cluster == LOCAL_CLUSTER {
            String::new()
        } else {
            format!("/k8s/clusters/{}", segment(cluster))
        };
        Self { base, prefix }
    }

    /// A path below `/v1` of the cluster.
    pub(crate) fn explorer(&self, path: &str) -> String {
        format!("{}{}/v1{path}", self.base, self.prefix)
    }

    pub(crate) fn collection(&self, kind: &Kind) -> String {
        self.explorer(&format!("/{}", kind.plural()))
    }

    pub(crate) fn object(&self, kind: &Kind, id: &str) -> String {
        let id: Vec<String> = id.split('/').map(segment).collect();
        self.explorer(&format!("/{}/{}", kind.plural(), id.join("/")))
    }

    /// A path of the cluster's Kubernetes API.
    pub(crate) fn native(&self, path: &str) -> String {
        format!("{}{}{path}", self.base, self.prefix)
    }

    /// A path of the hub's own API.
    pub(crate) fn norman(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}
