//! Which part answers a path.

/// A page that needs no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// `/ping`
    Ping,
    /// `/healthz`
    Health,
    /// `/cacerts`
    Authorities,
    /// `/rancherversion`
    Version,
    /// `/v1-k3s-release/...`, `/v1-rke2-release/...`: a collection of this type.
    Releases(&'static str),
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// `/`
    Root,
    /// Open to everyone.
    Public(Page),
    /// `/dashboard/...`: the web UI.
    Ui,
    /// Login.
    Login,
    /// `/v1/logout`
    Logout,
    /// `/v3/connect`, `/v3/connect/register`, `/v3/connect/checks`
    Connect,
    /// `/v3/connect/review`
    Review,
    /// `/v3/import/...`
    Import,
    /// `/meta`, `/v3/...`
    Api,
    /// `/v1/...`, of the hub or below a cluster.
    Explorer {
        /// Id of the cluster.
        cluster: &'a str,
        /// The path there, starting with `/v1`.
        path: &'a str,
    },
    /// `/v3/clusters/{id}?shell=true`: a kubectl shell.
    Shell {
        /// Id of the cluster.
        cluster: &'a str,
    },
    /// A cluster's Kubernetes API.
    Cluster {
        /// Id of the cluster.
        cluster: &'a str,
        /// The path there, starting with `/`.
        path: &'a str,
    },
    /// Somewhere else.
    Redirect(&'static str),
    /// Nothing is there.
    Unknown,
}

/// Finds the route of a path with its query.
#[must_use]
pub(crate) fn route<'a>(path: &'a str, query: Option<&str>) -> Route<'a> {
    let asks_for_a_shell =
        || query.is_some_and(|query| query.split('&').any(|pair| pair == "shell=true"));
    match path.strip_prefix("/v3/clusters/") {
        Some(cluster) if !cluster.is_empty() && !cluster.contains('/') && asks_for_a_shell() => {
            Route::Shell { cluster }
        }
        _ => of_path(path),
    }
}

fn of_path(path: &str) -> Route<'_> {
    match path {
        "/" => return Route::Root,
        "/ping" => return Route::Public(Page::Ping),
        "/healthz" => return Route::Public(Page::Health),
        "/cacerts" | "/v3/settings/cacerts.pem" => return Route::Public(Page::Authorities),
        "/rancherversion" => return Route::Public(Page::Version),
        // `recorded/http/01`: both redirect to the path with a slash.
        "/v3" => return Route::Redirect("/v3/"),
        "/v3-public" => return Route::Redirect("/v3-public/"),
        "/dashboard" => return Route::Redirect(drover_ui::ROOT),
        // Browsers ask for one of these by themselves, the peer's dashboard for the first.
        "/favicon.png" | "/favicon.ico" => return Route::Redirect(drover_ui::ICON),
        "/v3/connect" | "/v3/connect/register" | drover_types::checks::PATH => {
            return Route::Connect;
        }
        drover_types::review::PATH => return Route::Review,
        "/v1/logout" => return Route::Logout,
        _ => {}
    }
    if let Some(kind) = of_releases(path) {
        return Route::Public(Page::Releases(kind));
    }
    for prefix in ["/k8s/clusters/", "/k8s/proxy/"] {
        if let Some(rest) = path.strip_prefix(prefix) {
            let (cluster, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
            return if cluster.is_empty() {
                Route::Unknown
            } else if path == "/v1" || path.starts_with("/v1/") {
                Route::Explorer { cluster, path }
            } else {
                Route::Cluster { cluster, path }
            };
        }
    }
    let below = |folder: &str| {
        path.strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if path.starts_with("/v3/import/") {
        Route::Import
    } else if below("/v3-public") || below("/v1-public") {
        Route::Login
    } else if below("/v3") || below("/meta") {
        Route::Api
    } else if below("/v1") {
        Route::Explorer {
            cluster: drover_types::names::LOCAL_CLUSTER,
            path,
        }
    } else if below("/dashboard") {
        Route::Ui
    } else if ["/api", "/apis", "/openapi", "/version", "/livez", "/readyz"]
        .iter()
        .any(|folder| below(folder))
    {
        // The root of the server is the local cluster's API as well (reference tunnel-and-import, 6.1).
        Route::Cluster {
            cluster: drover_types::names::LOCAL_CLUSTER,
            path,
        }
    } else {
        Route::Unknown
    }
}

/// The type that a path of the peer's channel server lists (rancher/channelserver v0.11.0, `pkg/server/server.go`).
fn of_releases(path: &str) -> Option<&'static str> {
    let inside = path
        .strip_prefix("/v1-k3s-release/")
        .or_else(|| path.strip_prefix("/v1-rke2-release/"))?;
    match inside {
        "channels" => Some("channel"),
        "releases" => Some("release"),
        "appdefaults" => Some("appDefault"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_the_reference_says() {
        let check =
            |path: &str, expected: Route<'_>| assert_eq!(route(path, None), expected, "{path}");
        check("/", Route::Root);
        check("/ping", Route::Public(Page::Ping));
        check("/v3", Route::Redirect("/v3/"));
        check("/v3/", Route::Api);
        check("/v3/clusters", Route::Api);
        check("/v3/connect", Route::Connect);
        check("/v3/connect/register", Route::Connect);
        check("/v3/connect/checks", Route::Connect);
        check("/v3/connectors", Route::Api);
        check("/v3/connect/review", Route::Review);
        check("/v3/import/abc", Route::Import);
        check("/v3-public/localProviders/local", Route::Login);
        check("/v1-public/login", Route::Login);
        check("/v1/logout", Route::Logout);
        check("/dashboard", Route::Redirect("/dashboard/"));
        check("/favicon.png", Route::Redirect("/dashboard/icon.svg"));
        check("/favicon.ico", Route::Redirect("/dashboard/icon.svg"));
        check("/dashboard/c/local", Route::Ui);
        for (path, cluster, inside) in [
            ("/v1/pods", "local", "/v1/pods"),
            ("/k8s/clusters/c-abcde/v1", "c-abcde", "/v1"),
            ("/k8s/clusters/c-abcde/v1/pods", "c-abcde", "/v1/pods"),
        ] {
            let expected = Route::Explorer {
                cluster,
                path: inside,
            };
            check(path, expected);
        }
        check(
            "/k8s/clusters/c-abcde/v1beta",
            Route::Cluster {
                cluster: "c-abcde",
                path: "/v1beta",
            },
        );
        check(
            "/k8s/clusters/c-abcde",
            Route::Cluster {
                cluster: "c-abcde",
                path: "/",
            },
        );
        check(
            "/k8s/clusters/c-abcde/api/v1/pods",
            Route::Cluster {
                cluster: "c-abcde",
                path: "/api/v1/pods",
            },
        );
        check(
            "/k8s/proxy/local/version",
            Route::Cluster {
                cluster: "local",
                path: "/version",
            },
        );
        check("/k8s/clusters//api", Route::Unknown);
        check(
            "/api/v1/pods",
            Route::Cluster {
                cluster: "local",
                path: "/api/v1/pods",
            },
        );
        check("/apix", Route::Unknown);
        for (path, query, expected) in [
            (
                "/v3/clusters/c-1",
                "a=1&shell=true",
                Route::Shell { cluster: "c-1" },
            ),
            ("/v3/clusters/c-1", "shell=false", Route::Api),
            ("/v3/clusters/c-1/nodes", "shell=true", Route::Api),
            ("/v3/clusters/", "shell=true", Route::Api),
        ] {
            assert_eq!(route(path, Some(query)), expected, "{path}?{query}");
        }
        check("/nope", Route::Unknown);
        check(
            "/v1-rke2-release/channels",
            Route::Public(Page::Releases("channel")),
        );
        check("/v1-k3s-release/nope", Route::Unknown);
    }
}
