//! What a path means.
//!
//! Owns the routes of `/`, `/meta` and `/v3`. Pure: a path and the registry in,
//! a target out. Segments are decoded one by one, so identifiers may hold
//! slashes; empty segments do not count (reference section 1.1).

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::registry::Registry;
use crate::schema::{Base, Type};
use crate::urls::segment;

/// A cluster or project that a request is made below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) base: Base,
    pub(crate) id: String,
}

impl Context {
    /// The type that contexts of this base are.
    pub(crate) fn type_id(&self) -> &'static str {
        if self.base == Base::Project {
            "project"
        } else {
            "cluster"
        }
    }
}

/// Whether a resource belongs to the cluster or project it is asked for in.
pub(crate) fn is_within(kind: &Type, context: Option<&Context>, item: &Map<String, Value>) -> bool {
    context.is_none_or(|context| {
        Registry::reference_to(kind, context.type_id())
            .is_some_and(|field| item.get(field.name) == Some(&json!(context.id)))
    })
}

/// What a request asks for.
#[derive(Clone, Debug)]
pub(crate) enum Target<'a> {
    /// `/`: the list of APIs.
    Roots,
    /// `/meta`, `/v3`, `/v3/cluster/{id}`-less roots: one API.
    Root(RootOf),
    /// The schemas of `/meta`.
    MetaSchemas(Option<String>),
    /// The schemas of an API, or one of them.
    Schemas {
        base: Base,
        context: Option<String>,
        id: Option<String>,
    },
    /// The event stream.
    Subscribe(Option<Context>),
    /// A collection, or a resource of it, perhaps a link of that.
    Resource {
        kind: &'a Type,
        context: Option<Context>,
        id: Option<String>,
        link: Option<String>,
    },
    /// No such type.
    Unknown(String),
}

/// Which API a root is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RootOf {
    Meta,
    Api(Base),
}

/// A parsed path: the target and the place of the schemas that describe it.
#[derive(Clone, Debug)]
pub(crate) struct Located<'a> {
    pub(crate) target: Target<'a>,
    /// Path of the schemas collection, for the header `X-Api-Schemas`.
    pub(crate) schemas: String,
}

/// Parses a path of the API. `None`: not a path of ours.
pub(crate) fn locate<'a>(registry: &'a Registry, path: &str) -> Option<Located<'a>> {
    let segments: Vec<String> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let located = |target, schemas: &str| {
        Some(Located {
            target,
            schemas: schemas.to_owned(),
        })
    };
    match parts.as_slice() {
        [] => located(Target::Roots, "/meta/schemas"),
        ["meta"] => located(Target::Root(RootOf::Meta), "/meta/schemas"),
        ["meta", "schemas"] => located(Target::MetaSchemas(None), "/meta/schemas"),
        ["meta", "schemas", id] => {
            located(Target::MetaSchemas(Some((*id).to_owned())), "/meta/schemas")
        }
        ["meta", kind] if kind.eq_ignore_ascii_case("apiroots") => {
            located(Target::Roots, "/meta/schemas")
        }
        ["meta", kind, ..] => located(Target::Unknown((*kind).to_owned()), "/meta/schemas"),
        ["v3"] => located(Target::Root(RootOf::Api(Base::Management)), "/v3/schemas"),
        ["v3", rest @ ..] => Some(locate_v3(registry, rest)),
        _ => None,
    }
}

fn locate_v3<'a>(registry: &'a Registry, parts: &[&str]) -> Located<'a> {
    let sub_api = |part: &str| {
        [Base::Cluster, Base::Project].into_iter().find(|base| {
            let name = base.path().rsplit('/').next().unwrap_or_default();
            part.eq_ignore_ascii_case(name) || part.eq_ignore_ascii_case(&format!("{name}s"))
        })
    };
    let Some(base) = parts.first().and_then(|part| sub_api(part)) else {
        return Located {
            target: within(registry, Base::Management, None, parts),
            schemas: "/v3/schemas".to_owned(),
        };
    };
    match parts {
        [_, "schemas", rest @ ..] => Located {
            target: Target::Schemas {
                base,
                context: None,
                id: rest.first().map(|id| (*id).to_owned()),
            },
            schemas: format!("{}/schemas", base.path()),
        },
        [_, id, rest @ ..] => {
            let own = format!("{}/{}/schemas", base.path(), segment(id));
            let context = Context {
                base,
                id: (*id).to_owned(),
            };
            let Some(next) = rest.first() else {
                return Located {
                    target: resource(registry, parts),
                    schemas: own,
                };
            };
            let schemas = if registry.find(base, next).is_none()
                && registry.find(Base::Management, next).is_some()
            {
                "/v3/schemas".to_owned()
            } else {
                own
            };
            Located {
                target: within(registry, base, Some(context), rest),
                schemas,
            }
        }
        [_] | [] => Located {
            target: resource(registry, parts),
            schemas: format!("{}/schemas", base.path()),
        },
    }
}

/// Whether there is a collection of a type, or resources.
fn is_served(kind: &Type, one: bool) -> bool {
    !kind.collection_methods.is_empty() || one && !kind.resource_methods.is_empty()
}

/// A collection or resource of the management API itself.
fn resource<'a>(registry: &'a Registry, parts: &[&str]) -> Target<'a> {
    let name = parts.first().copied().unwrap_or_default();
    match registry.find(Base::Management, name) {
        Some(kind) => Target::Resource {
            kind,
            context: None,
            id: parts.get(1).map(|id| (*id).to_owned()),
            link: parts.get(2).map(|link| (*link).to_owned()),
        },
        None => Target::Unknown(name.to_owned()),
    }
}

fn within<'a>(
    registry: &'a Registry,
    base: Base,
    context: Option<Context>,
    parts: &[&str],
) -> Target<'a> {
    match parts {
        ["schemas", rest @ ..] => Target::Schemas {
            base,
            context: context.map(|context| context.id),
            id: rest.first().map(|id| (*id).to_owned()),
        },
        [name, ..] if name.eq_ignore_ascii_case("subscribe") => Target::Subscribe(context),
        _ => {
            let name = parts.first().copied().unwrap_or_default();
            let own = context.as_ref().and_then(|_| registry.find(base, name));
            match own.or_else(|| registry.find(Base::Management, name)) {
                Some(kind) if is_served(kind, parts.len() > 1) => Target::Resource {
                    kind,
                    context,
                    id: parts.get(1).map(|id| (*id).to_owned()),
                    link: parts.get(2).map(|link| (*link).to_owned()),
                },
                _ => Target::Unknown(name.to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schemas(path: &str) -> String {
        locate(&Registry::new(), path).unwrap().schemas
    }

    #[test]
    fn the_schemas_header_follows_the_path() {
        // Reference section 1.2.
        for (path, expected) in [
            ("/", "/meta/schemas"),
            ("/v3", "/v3/schemas"),
            ("/v3/settings", "/v3/schemas"),
            ("/v3/nope", "/v3/schemas"),
            ("/v3/clusters", "/v3/cluster/schemas"),
            ("/v3/projects", "/v3/project/schemas"),
            ("/v3/clusters/c-1", "/v3/cluster/c-1/schemas"),
            ("/v3/clusters/c-1/namespaces", "/v3/cluster/c-1/schemas"),
            ("/v3/clusters/c-1/projects", "/v3/schemas"),
            ("/v3/clusters/c-1/clusterregistrationtokens", "/v3/schemas"),
            ("/v3/projects/c-1:p-1", "/v3/project/c-1:p-1/schemas"),
        ] {
            assert_eq!(schemas(path), expected, "{path}");
        }
    }

    #[test]
    fn paths_are_read_loosely() {
        let registry = Registry::new();
        let target = |path: &str| locate(&registry, path).map(|located| located.target);
        for path in [
            "/v3/clusters/c-1",
            "/v3/cluster/c-1",
            "//v3///CLUSTERS/c-1//",
        ] {
            let Some(Target::Resource {
                kind,
                id,
                context: None,
                ..
            }) = target(path)
            else {
                panic!("{path}")
            };
            assert_eq!((kind.id, id.as_deref()), ("cluster", Some("c-1")));
        }
        let Some(Target::Resource { id: Some(id), .. }) =
            target("/v3/principals/local:%2F%2Fuser-1")
        else {
            panic!()
        };
        assert_eq!(id, "local://user-1");
        assert!(matches!(target("/v3/nope"), Some(Target::Unknown(name)) if name == "nope"));
        assert!(matches!(
            target("/v3/clusters/c-1/nope"),
            Some(Target::Unknown(_))
        ));
        assert!(matches!(
            target("/v3/policyRules"),
            Some(Target::Unknown(_))
        ));
        assert!(matches!(
            target("/v3/cluster/c-1/schemas/token"),
            Some(Target::Schemas {
                base: Base::Cluster,
                id: Some(_),
                ..
            })
        ));
        assert!(target("/v1/clusters").is_none());
        assert!(matches!(
            target("/v3/clusters/c-1/subscribe"),
            Some(Target::Subscribe(Some(_)))
        ));
    }
}
