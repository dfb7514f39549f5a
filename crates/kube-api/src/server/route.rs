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
    /// Nothing, since nothing has such a name; the group it would be in.
    Nothing(String),
    /// Not a path this server reads.
    Bad(String),
    /// One of which it cannot be told what it asks for.
    Unclear,
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
    /// Empty for the object itself.
    pub(super) subresource: String,
    /// What follows the subresource, with a slash before it, and with that at the end of the path if there is one.
    pub(super) rest: String,
    /// The old `/watch/` prefix.
    pub(super) watch: bool,
}

/// Parses the path of a request.
pub(super) fn parse(path: &str) -> Route {
    if path.len() > MAX_PATH {
        return Route::Bad("the path is too long".to_owned());
    }
    let ends_with_slash = path.ends_with('/');
    let inner = path.strip_prefix('/').unwrap_or(path).trim_end_matches('/');
    let mut segments = Vec::new();
    let mut is_nothing = false;
    for segment in inner.split('/').filter(|_| !inner.is_empty()) {
        // Bytes that are no text name nothing, as no name has the sign that stands for them.
        let text = percent_decode_str(segment).decode_utf8_lossy();
        // A decoded separator or a step up would name another object than the one that was authorised.
        if matches!(&*text, "." | "..") && segment != text {
            return Route::Bad(format!(
                "Name parameter invalid: {text:?}: may not be '{text}'"
            ));
        }
        // Objects of all namespaces are those of the namespace without a name.
        let everywhere =
            segment.is_empty() && segments.last().is_some_and(|last| last == "namespaces");
        is_nothing |= text.contains('/') || segment == "." || segment == "..";
        is_nothing |= segment.is_empty() && !everywhere;
        if everywhere {
            segments.pop();
        } else {
            segments.push(text.into_owned());
        }
    }
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    if is_nothing {
        let group = match parts.as_slice() {
            ["api", ..] => "",
            ["apis", group, ..] if !group.is_empty() => *group,
            // No group has this name.
            _ => "/",
        };
        return Route::Nothing(group.to_owned());
    }
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
        _ => return Route::Other(segments),
    };
    if rest == ["watch"] {
        return Route::Unclear;
    }
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
    let (subject, more) = match rest {
        ["namespaces", namespace, more @ ..] => {
            (*namespace).clone_into(&mut path.namespace);
            match more {
                // These are parts of the namespace, not collections in it.
                [] | ["status" | "finalize", ..] => rest.split_at(2),
                more => more.split_at(more.len().min(2)),
            }
        }
        rest => rest.split_at(rest.len().min(2)),
    };
    for (part, text) in [&mut path.plural, &mut path.name].into_iter().zip(subject) {
        (*text).clone_into(part);
    }
    if let [subresource, rest @ ..] = more {
        (*subresource).clone_into(&mut path.subresource);
        path.rest = rest.iter().flat_map(|segment| ["/", segment]).collect();
        if ends_with_slash {
            path.rest.push('/');
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
                    rest: String::new(),
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
    fn what_follows_a_subresource_is_kept() {
        for (path, rest) in [
            ("/api/v1/namespaces/a/pods/p/proxy", ""),
            ("/api/v1/namespaces/a/pods/p/proxy/", "/"),
            ("/api/v1/namespaces/a/pods/p/proxy/b/c", "/b/c"),
            ("/api/v1/namespaces/a/pods/p/proxy/b%20d/", "/b d/"),
        ] {
            let Route::Resource(found) = parse(path) else {
                panic!("{path} is no resource");
            };
            assert_eq!((&*found.subresource, &*found.rest), ("proxy", rest));
        }
    }

    #[test]
    fn other_paths_are_left_to_others() {
        assert_eq!(
            parse("/apis/apps/v1"),
            Route::Other(vec!["apis".into(), "apps".into(), "v1".into()])
        );
        assert_eq!(parse("/"), Route::Other(vec![]));
        assert_eq!(parse("/api/v1/pods/..%2f"), Route::Nothing(String::new()));
        assert_eq!(parse("/api//v1/pods"), Route::Nothing(String::new()));
        assert_eq!(parse("/apis/a.b/v1/../x"), Route::Nothing("a.b".into()));
        assert!(
            matches!(parse("/api/v1/namespaces//pods"), Route::Resource(path) if path.plural == "pods")
        );
        assert!(matches!(parse("/api/v1/pods/%2e%2e"), Route::Bad(_)));
        assert_eq!(parse("/apis//v1/pods"), Route::Nothing("/".into()));
        assert_eq!(parse("/api/v1/watch/"), Route::Unclear);
        assert!(
            matches!(parse("/api/v1/pods/a%ff"), Route::Resource(path) if path.name == "a\u{fffd}")
        );
    }

    proptest! {
        #[test]
        fn no_path_panics(path in "\\PC{0,80}") {
            let _ = parse(&path);
        }
    }
}
