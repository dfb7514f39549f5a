//! The way of people's requests into clusters: the proxy, and what this server itself adds to the local cluster.

use drover_auth::Identity;
use drover_auth::web::{self, Request, Response};
use drover_ext::{Ext, discovery};
use drover_proxy::Proxy;
use drover_types::names::LOCAL_CLUSTER;
use http::{Method, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::endless;

/// Passes requests on; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    proxy: Proxy,
    ext: Ext,
    shutdown: CancellationToken,
}

impl Way {
    /// Watches end with `shutdown`, all else by itself.
    pub(crate) fn new(proxy: Proxy, ext: Ext, shutdown: CancellationToken) -> Self {
        Self {
            proxy,
            ext,
            shutdown,
        }
    }

    /// Answers a request for a cluster's API; `path` is what follows the cluster's id.
    pub(crate) async fn handle(
        &self,
        request: Request,
        identity: Option<Identity>,
        cluster: &str,
        path: &str,
    ) -> Response {
        let endless = endless::is_asked_for(path, request.uri().query());
        let answer = self.answer(request, identity, cluster, path).await;
        if endless {
            endless::until(&self.shutdown, answer)
        } else {
            answer
        }
    }

    async fn answer(
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
        let describes = request.method() == Method::GET && drover_ext::schema::is_document(path);
        if local && describes && identity.is_some() {
            return web::json(StatusCode::OK, &drover_ext::schema::document());
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
