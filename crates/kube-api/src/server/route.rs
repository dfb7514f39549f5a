//! What a path names (apiserver `pkg/endpoints/request/requestinfo.go`).

use percent_encoding::percent_decode_str;

/// Longest path taken, in bytes.
const MAX_PATH: usize = 4096;

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// A resource, or one object, or a part of one.
    Resource(ResourcePath),
    /// Anything else, as its segments: health, version, discovery, OpenAPI.
    Other(Vec<String>),
    /// Not a path this server reads.
    Bad(&'static str),
}

/// The parts of `/apis/{group}/{version}/namespaces/{namespace}/{plural}/{name}/{subresource}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ResourcePath {
    pub(super) group: String,
    pub(super) version: String,
    /// Empty if the path names none.
    pub(super) namespace: String,
    pub(super) plural: String,
    /// Empty for the collection.
    pub(super) name: String,
    /// Empty for the object itself; may have slashes.
    pub(super) subresource: String,
    /// The old `/watch/` prefix.
    pub(super) watch: bool,
}

/// Parses the path of a request.
pub(super) fn parse(path: &str) -> Route {
    if path.len() > MAX_PATH {
        return Route::Bad("the path is too long");
    }
    let mut segments = Vec::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let Ok(text) = percent_decode_str(segment).decode_utf8() else {
            return Route::Bad("the path is not UTF-8");
        };
        // A decoded separator or a step up would name another object than the one that was authorised.
        if text.contains('/') || text == "." || text == ".." || text.contains('\0') {
            return Route::Bad("the path is not canonical");
        }
        segments.push(text.into_owned());
    }
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
        _ => return Route::Other(segments),
    };
    let (watch, rest) = match rest {
        ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
        rest => (false, rest),
    };
    let mut path = ResourcePath {
        group: group.to_owned(),
        version: version.to_owned(),
        watch,
        ..ResourcePath::default()
    };
    let rest = match rest {
        ["namespaces", namespace, rest @ ..] => {
            (*namespace).clone_into(&mut path.namespace);
            match rest {
                // These are parts of the namespace, not collections in it.
                [] | ["status" | "finalize", ..] => {
                    "namespaces".clone_into(&mut path.plural);
                    (*namespace).clone_into(&mut path.name);
                    path.subresource = rest.join("/");
                    return Route::Resource(path);
                }
                rest => rest,
            }
        }
        rest => rest,
    };
    if let [plural, rest @ ..] = rest {
        (*plural).clone_into(&mut path.plural);
        if let [name, rest @ ..] = rest {
            (*name).clone_into(&mut path.name);
            path.subresource = rest.join("/");
        }
    }
    Route::Resource(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_name_resources() {
        let check = |path: &str, expected: (&str, &str, &str, &str, &str, &str)| {
            let Route::Resource(found) = parse(path) else {
                panic!("{path} is no resource");
            };
            let (group, version, namespace, plural, name, subresource) = expected;
            assert_eq!(
                found,
                ResourcePath {
                    group: group.to_owned(),
                    version: version.to_owned(),
                    namespace: namespace.to_owned(),
                    plural: plural.to_owned(),
                    name: name.to_owned(),
                    subresource: subresource.to_owned(),
                    watch: false,
                },
                "{path}"
            );
        };
        check("/api/v1/pods", ("", "v1", "", "pods", "", ""));
        check(
            "/api/v1/nodes/n/status",
            ("", "v1", "", "nodes", "n", "status"),
        );
        check("/api/v1/namespaces", ("", "v1", "", "namespaces", "", ""));
        check(
            "/api/v1/namespaces/a",
            ("", "v1", "a", "namespaces", "a", ""),
        );
        check(
            "/api/v1/namespaces/a/finalize",
            ("", "v1", "a", "namespaces", "a", "finalize"),
        );
        check("/api/v1/namespaces/a/pods", ("", "v1", "a", "pods", "", ""));
        check(
            "/apis/g.io/v2/namespaces/a/things/t/scale",
            ("g.io", "v2", "a", "things", "t", "scale"),
        );
        check(
            "/apis/g.io/v2/things/a%3Ab",
            ("g.io", "v2", "", "things", "a:b", ""),
        );
    }

    #[test]
    fn other_paths_are_left_to_others() {
        assert_eq!(
            parse("/apis/apps/v1"),
            Route::Other(vec!["apis".into(), "apps".into(), "v1".into()])
        );
        assert_eq!(parse("/"), Route::Other(vec![]));
        assert!(matches!(parse("/api/v1/pods/..%2f"), Route::Bad(_)));
        assert!(matches!(parse("/api/v1/pods/%2e%2e"), Route::Bad(_)));
        assert!(matches!(parse("/api/v1/%ff"), Route::Bad(_)));
    }

    proptest! {
        #[test]
        fn no_path_panics(path in "\\PC{0,80}") {
            let _ = parse(&path);
        }
    }
}
