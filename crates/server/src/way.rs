//! The way of people's requests into clusters: the proxy, and what this server itself adds to the local cluster.

use drover_auth::Identity;
use drover_auth::web::{Request, Response};
use drover_ext::{Ext, discovery};
use drover_proxy::Proxy;
use drover_types::names::LOCAL_CLUSTER;

/// Passes requests on; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    proxy: Proxy,
    ext: Ext,
}

impl Way {
    pub(crate) fn new(proxy: Proxy, ext: Ext) -> Self {
        Self { proxy, ext }
    }

    /// Answers a request for a cluster's API; `path` is what follows the cluster's id.
    pub(crate) async fn handle(
        &self,
        mut request: Request,
        identity: Option<Identity>,
        cluster: &str,
        path: &str,
    ) -> Response {
        let local = cluster == LOCAL_CLUSTER;
        if local && drover_ext::is_below(path) {
            return self.ext.handle(request, identity, path).await;
        }
        let lists = local && discovery::is_list(request.method(), path);
        if lists {
            discovery::prepare(&mut request);
        }
        let answer = self.proxy.handle(request, identity, cluster, path).await;
        if lists {
            discovery::complete(answer).await
        } else {
            answer
        }
    }
}
