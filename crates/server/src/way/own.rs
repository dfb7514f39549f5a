//! What people read of the hub's own objects by their roles, who have no part in the cluster that the hub is kept in.
//!
//! The peer gives each of them a role in that cluster (`<user>-view` and the like) and lets everybody ask for some kinds
//! of `management.cattle.io`, for others those alone who see the cluster `local` (reference api-v1 section 2). Here the
//! index of roles decides, as it does in `/v3`.

use drover_auth::web::{self, Request, Response};
use drover_auth::{Access, Attributes, Identity};
use drover_types::management::{GROUP, VERSION};
use drover_types::names::{LOCAL_CLUSTER, is_object_name};
use drover_types::query::flag;
use http::header::ACCEPT;
use http::{Method, StatusCode};
use kube::Client;

/// Kinds that everybody may ask for; others hold what is not for all who see some of it.
const OPEN: [&str; 12] = [
    "clusterproxyconfigs",
    "clusterroletemplatebindings",
    "features",
    "globalrolebindings",
    "globalroles",
    "oidcclients",
    "podsecurityadmissionconfigurationtemplates",
    "projectroletemplatebindings",
    "projects",
    "proxyendpoints",
    "settings",
    "users",
];

type Question = http::Request<kube::client::Body>;

/// Reads single objects for those whose roles allow it.
#[derive(Clone)]
pub(super) struct Own {
    /// The hub's API with all rights.
    pub(super) client: Client,
    /// Who may do what.
    pub(super) access: Access,
}

impl std::fmt::Debug for Own {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Own").finish_non_exhaustive()
    }
}

/// Kind, namespace and name of the one object that a path leads to.
fn named(path: &str) -> Option<(&str, Option<&str>, &str)> {
    let rest = path.strip_prefix("/apis/")?.strip_prefix(GROUP)?;
    let rest = rest.strip_prefix('/')?.strip_prefix(VERSION)?;
    let parts: Vec<&str> = rest.strip_prefix('/')?.split('/').collect();
    let (resource, namespace, name) = match parts.as_slice() {
        [resource, name] => (*resource, None, *name),
        ["namespaces", namespace, resource, name] => (*resource, Some(*namespace), *name),
        _ => return None,
    };
    let fits = is_object_name(name) && namespace.is_none_or(is_object_name);
    (fits && OPEN.contains(&resource)).then_some((resource, namespace, name))
}

impl Own {
    /// What to ask the hub's API with all rights, if it is for the index to decide: whoever has a part in the cluster is
    /// asked there.
    pub(super) fn question(
        &self,
        request: &Request,
        identity: &Identity,
        path: &str,
    ) -> Option<Question> {
        let (resource, namespace, name) = named(path)?;
        let impersonates = request
            .headers()
            .keys()
            .any(|name| name.as_str().starts_with("impersonate-"));
        let asked = Attributes {
            verb: "get",
            group: GROUP,
            resource,
            namespace,
            name: Some(name),
        };
        if *request.method() != Method::GET
            || impersonates
            || flag(request.uri().query(), "watch")
            || !identity.may_reach(Some(LOCAL_CLUSTER))
            || self
                .access
                .cluster_groups(identity, LOCAL_CLUSTER)
                .is_some()
            || !self.access.is_allowed(identity, &asked)
        {
            return None;
        }
        let mut question = http::Request::get(path);
        if let Some(accept) = request.headers().get(ACCEPT) {
            question = question.header(ACCEPT, accept);
        }
        question.body(kube::client::Body::empty()).ok()
    }

    /// Asks it.
    pub(super) async fn ask(&self, question: Question) -> Response {
        match self.client.send(question).await {
            Ok(answer) => answer.map(web::boxed),
            Err(error) => {
                tracing::warn!(%error, "the hub's own API did not answer");
                web::text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the store did not answer\n",
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_single_objects_of_open_kinds_are_read_so() {
        let root = "/apis/management.cattle.io/v3";
        let check = |path: &str, expected: Option<(&str, Option<&str>, &str)>| {
            assert_eq!(named(&format!("{root}{path}")), expected, "{path}");
        };
        check("/users/u-1", Some(("users", None, "u-1")));
        check(
            "/namespaces/c-1/projects/p-1",
            Some(("projects", Some("c-1"), "p-1")),
        );
        for other in [
            "/users",
            "/users/",
            "/users/..",
            "/users/%2e%2e",
            "/users/u-1/status",
            "/tokens/t-1",
            "/clusters/c-1",
            "/namespaces/c-1/projects",
            "/namespaces/../projects/p-1",
        ] {
            check(other, None);
        }
        assert_eq!(named("/apis/management.cattle.io/v3beta/users/u-1"), None);
        assert_eq!(named("/api/v1/users/u-1"), None);
    }
}
