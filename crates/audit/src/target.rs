//! What a path is about, for all APIs that are served.
//!
//! Parts are read decoded, as those read them who answer: who writes a letter as its number hides nothing by it.

use std::borrow::Cow;

use drover_types::query::flag;
use http::Method;
use percent_encoding::percent_decode_str;

use crate::entry::Object;

/// What a request wants done, and to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `list`, `get`, `create`, … or the name of an action.
    pub verb: String,
    /// To what.
    pub object: Object,
    /// Whether the answer lasts: a watch, a log that is followed.
    pub stream: bool,
    /// Whether the body is an action's input, not an object.
    pub action: bool,
}

impl Target {
    /// Reads method, path and query.
    #[must_use]
    pub fn of(method: &Method, path: &str, query: Option<&str>) -> Self {
        // The edge chooses who answers by the path as it was sent (`server/route.rs`).
        let sent: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let decoded: Vec<Cow<'_, str>> = sent
            .iter()
            .map(|part| percent_decode_str(part).decode_utf8_lossy())
            .collect();
        let read: Vec<&str> = decoded.iter().map(AsRef::as_ref).collect();
        let from = |n: usize| read.get(n..).unwrap_or_default();
        match sent.as_slice() {
            ["k8s", "clusters" | "proxy", cluster, "v1", ..] => {
                explorer(method, from(4), query, Some(cluster))
            }
            ["k8s", "clusters" | "proxy", cluster, ..] => {
                kubernetes(method, from(3), query, cluster)
            }
            [
                "api" | "apis" | "openapi" | "version" | "livez" | "readyz",
                ..,
            ] => kubernetes(method, &read, query, "local"),
            ["v3", "connect", ..] => plain("connect", "tunnels", true),
            ["v3", "import", ..] => plain("get", "importmanifests", false),
            ["v3" | "v3-public", ..] => norman(method, from(1), query),
            ["v1-public", "login", ..] => action("login"),
            ["v1", "logout"] => action("logout"),
            ["v1", ..] => explorer(method, from(1), query, None),
            _ => Self {
                verb: simple_verb(method).to_owned(),
                object: Object::default(),
                stream: false,
                action: false,
            },
        }
    }

    /// Whether this may change what is written down: it is about policies, or its body may be.
    #[must_use]
    pub fn touches_policies(&self) -> bool {
        let resource = self.object.resource.as_deref().unwrap_or_default();
        // In `/v1` the type is `group.kind`, in the plural or not.
        let is_policy =
            resource == "auditpolicies" || resource.starts_with("auditlog.cattle.io.auditpolic");
        // These two make whatever objects their body holds.
        is_policy || (self.action && matches!(self.verb.as_str(), "apply" | "importYaml"))
    }
}

fn plain(verb: &str, resource: &str, stream: bool) -> Target {
    Target {
        verb: verb.to_owned(),
        object: Object {
            resource: Some(resource.to_owned()),
            ..Object::default()
        },
        stream,
        action: false,
    }
}

fn action(name: &str) -> Target {
    Target {
        verb: name.to_owned(),
        object: Object::default(),
        stream: false,
        action: true,
    }
}

fn text(part: &str) -> Option<String> {
    (!part.is_empty()).then(|| part.to_owned())
}

fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn simple_verb(method: &Method) -> &'static str {
    match *method {
        Method::GET | Method::HEAD => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    }
}

/// `api/v1/…` and `apis/GROUP/VERSION/…`, as Kubernetes' own request parser reads them: it decodes a path before it
/// looks for slashes.
fn kubernetes(method: &Method, parts: &[&str], query: Option<&str>, cluster: &str) -> Target {
    let parts: Vec<&str> = parts
        .iter()
        .flat_map(|part| part.split('/'))
        .filter(|part| !part.is_empty())
        .collect();
    let (group, rest) = match parts.as_slice() {
        ["api", _version, rest @ ..] => (None, rest),
        ["apis", group, _version, rest @ ..] => (text(group), rest),
        other => {
            return Target {
                verb: simple_verb(method).to_owned(),
                object: Object {
                    cluster: text(cluster),
                    subresource: text(&other.join("/")),
                    ..Object::default()
                },
                stream: false,
                action: false,
            };
        }
    };
    // `watch/…` is the old way to ask for a watch.
    let (old_watch, rest) = match rest {
        ["watch", rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (namespace, resource, name, subresource) = match rest {
        ["namespaces", namespace, resource, name, sub @ ..]
            if !matches!(*resource, "status" | "finalize") =>
        {
            (text(namespace), text(resource), text(name), sub)
        }
        ["namespaces", namespace, resource] if !matches!(*resource, "status" | "finalize") => {
            (text(namespace), text(resource), None, &[][..])
        }
        [resource, name, sub @ ..] => (None, text(resource), text(name), sub),
        [resource] => (None, text(resource), None, &[][..]),
        [] => (None, None, None, &[][..]),
    };
    let subresource = text(&subresource.join("/"));
    let watch = old_watch || flag(query, "watch");
    let verb = match (*method == Method::GET || *method == Method::HEAD, &name) {
        (true, _) if watch => "watch",
        (true, None) if resource.is_some() => "list",
        (false, None) if *method == Method::DELETE => "deletecollection",
        _ => simple_verb(method),
    };
    Target {
        stream: watch || (subresource.as_deref() == Some("log") && flag(query, "follow")),
        verb: verb.to_owned(),
        object: Object {
            cluster: text(cluster),
            api_group: group,
            resource,
            namespace,
            name,
            subresource,
        },
        action: false,
    }
}

/// `/v3`: `clusters/ID`, `clusters/ID/TYPE/…`, `TYPE/ID/LINK`, `?action=`.
fn norman(method: &Method, parts: &[&str], query: Option<&str>) -> Target {
    let lower = |part: &str| part.to_ascii_lowercase();
    let (cluster, namespace, rest) = match parts {
        [context, id, kind, rest @ ..]
            if matches!(lower(context).as_str(), "cluster" | "clusters") =>
        {
            (text(id), None, Some((kind, rest)))
        }
        [context, id, kind, rest @ ..]
            if matches!(lower(context).as_str(), "project" | "projects") =>
        {
            let (cluster, project) = id.split_once(':').unwrap_or((id, ""));
            (text(cluster), text(project), Some((kind, rest)))
        }
        [kind, rest @ ..] => (None, None, Some((kind, rest))),
        [] => (None, None, None),
    };
    let (resource, name, link) = match rest {
        None => (None, None, None),
        Some((kind, [])) => (text(&lower(kind)), None, None),
        Some((kind, [name, link @ ..])) => (text(&lower(kind)), text(name), text(&link.join("/"))),
    };
    let named = parameter(query, "action").filter(|name| *name != "remove");
    let is_action = named.is_some() && *method == Method::POST;
    let verb = match named {
        Some(name) if is_action => name,
        _ if *method == Method::GET && name.is_none() && resource.is_some() => "list",
        _ => simple_verb(method),
    };
    Target {
        verb: verb.to_owned(),
        stream: resource.as_deref() == Some("subscribe"),
        object: Object {
            cluster,
            namespace,
            resource,
            name,
            subresource: link,
            api_group: None,
        },
        action: is_action,
    }
}

/// `/v1`: `TYPE[/NAMESPACE]/NAME`, where the type is `group.plural`.
fn explorer(method: &Method, parts: &[&str], query: Option<&str>, cluster: Option<&str>) -> Target {
    let (resource, namespace, name) = match parts {
        [] => (None, None, None),
        [kind] => (Some(*kind), None, None),
        [kind, name] => (Some(*kind), None, text(name)),
        [kind, namespace, name, ..] => (Some(*kind), text(namespace), text(name)),
    };
    let named = parameter(query, "action");
    let is_action = named.is_some() && *method == Method::POST;
    let verb = match named {
        Some(name) if is_action => name,
        _ if *method == Method::GET && name.is_none() && resource.is_some() => "list",
        _ => simple_verb(method),
    };
    Target {
        verb: verb.to_owned(),
        stream: matches!(parts, ["subscribe", ..] | ["audit", "follow"]),
        object: Object {
            cluster: cluster.and_then(text),
            // `apps.deployment`: the part behind the last dot is the kind, singular.
            resource: resource.map(str::to_ascii_lowercase),
            namespace,
            name,
            ..Object::default()
        },
        action: is_action,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(method: &Method, uri: &str) -> String {
        let (path, query) = uri
            .split_once('?')
            .map_or((uri, None), |(p, q)| (p, Some(q)));
        let target = Target::of(method, path, query);
        let object = &target.object;
        let fields = [
            &object.cluster,
            &object.api_group,
            &object.namespace,
            &object.resource,
            &object.name,
            &object.subresource,
        ];
        let fields = fields
            .map(|field| field.as_deref().unwrap_or("-"))
            .join(" ");
        let stream = if target.stream { " stream" } else { "" };
        format!("{} {fields}{stream}", target.verb)
    }

    #[test]
    fn paths_are_read_as_their_apis_read_them() {
        let check = |method: Method, uri: &str, expected: &str| {
            assert_eq!(shown(&method, uri), expected, "{method} {uri}");
        };
        let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
        check(
            get.clone(),
            "/k8s/clusters/c-1/api/v1/namespaces/a/pods/p/log?follow=true",
            "get c-1 - a pods p log stream",
        );
        check(
            get.clone(),
            "/k8s/clusters/c-1/apis/apps/v1/deployments?watch=true",
            "watch c-1 apps - deployments - - stream",
        );
        check(
            get.clone(),
            "/k8s/clusters/c-1/api/v1/pods?%77atch",
            "watch c-1 - - pods - - stream",
        );
        check(
            get.clone(),
            "/k8s/clusters/c-1/api/v1/pods?watch=False",
            "list c-1 - - pods - -",
        );
        check(
            get.clone(),
            "/api/v1/namespaces/a",
            "get local - - namespaces a -",
        );
        check(
            Method::PUT,
            "/api/v1/namespaces/a/finalize",
            "update local - - namespaces a finalize",
        );
        check(
            get.clone(),
            "/k8s/clusters/c-1/version",
            "get c-1 - - - - version",
        );
        check(
            delete.clone(),
            "/k8s/clusters/c-1/api/v1/namespaces/a/secrets",
            "deletecollection c-1 - a secrets - -",
        );
        check(
            post.clone(),
            "/k8s/clusters/c-1/api/v1/namespaces/a/pods/p/exec?command=sh",
            "create c-1 - a pods p exec",
        );
        check(get.clone(), "/v3/clusters", "list - - - clusters - -");
        check(
            post.clone(),
            "/v3/clusters/c-1?action=generateKubeconfig",
            "generateKubeconfig - - - clusters c-1 -",
        );
        check(
            post.clone(),
            "/v3/cluster/c-1/namespaces",
            "create c-1 - - namespaces - -",
        );
        check(
            get.clone(),
            "/v3/project/c-1:p-1/workloads/deployment:a:web/yaml",
            "get c-1 - p-1 workloads deployment:a:web yaml",
        );
        check(
            post.clone(),
            "/v3-public/localProviders/local?action=login",
            "login - - - localproviders local -",
        );
        check(
            get.clone(),
            "/v3/connect/register",
            "connect - - - tunnels - - stream",
        );
        check(get.clone(), "/v1/pods/a/p", "get - - a pods p -");
        check(
            get.clone(),
            "/k8s/clusters/c-1/%61pi/v1%2fnamespaces/a/%73ecrets/s%2e1",
            "get c-1 - a secrets s.1 -",
        );
        check(
            delete.clone(),
            "/apis/auditlog.cattle.io/v1/%61uditpolicies/p",
            "delete local auditlog.cattle.io - auditpolicies p -",
        );
        check(
            get.clone(),
            "/v3/%63lusters/c%2d1",
            "get - - - clusters c-1 -",
        );
        check(get.clone(), "/v1/%73ecret/a/s", "get - - a secret s -");
        check(get.clone(), "/v1/audit", "list - - - audit - -");
        check(
            get.clone(),
            "/v1/audit/follow",
            "get - - - audit follow - stream",
        );
        check(get, "/v3/subscribe", "list - - - subscribe - - stream");
        check(post, "/v1/logout", "logout - - - - - -");
        check(delete, "/v3/users/u-1", "delete - - - users u-1 -");
    }

    #[test]
    fn what_may_change_policies_is_known_however_it_is_written() {
        let check = |method: Method, path: &str, query: Option<&str>, expected: bool| {
            let target = Target::of(&method, path, query);
            assert_eq!(target.touches_policies(), expected, "{method} {path}");
        };
        let (delete, post) = (Method::DELETE, Method::POST);
        let kubernetes = "/apis/auditlog.cattle.io/v1";
        for path in [
            &format!("{kubernetes}/auditpolicies/p"),
            &format!("{kubernetes}/%61uditpolicies/p"),
            &format!("/k8s/clusters/local{kubernetes}%2fauditpolicies/p"),
            "/v1/auditlog.cattle.io.auditpolicies/p",
            "/v1/auditlog.cattle.io.auditpolicy/p",
            "/k8s/clusters/local/v1/auditlog.cattle.io.%61uditpolicies/p",
        ] {
            check(delete.clone(), path, None, true);
        }
        check(delete, "/v1/secrets/a/p", None, false);
        let local = "/v3/clusters/local";
        check(post.clone(), local, Some("action=importYaml"), true);
        check(
            post.clone(),
            local,
            Some("action=generateKubeconfig"),
            false,
        );
        let local = "/v1/management.cattle.io.clusters/local";
        check(post, local, Some("action=apply"), true);
    }
}
