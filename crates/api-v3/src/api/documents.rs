//! Documents that describe the API: its roots and schemas.

use drover_auth::web::{ApiError, Response};
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::call::{Call, Item};
use crate::collection::Collection;
use crate::encode::Writer;
use crate::registry::Registry;
use crate::resource::api_root;
use crate::schema::{Base, Type};
use crate::target::{RootOf, Target};
use crate::urls::Urls;

/// Roots and schemas.
pub(super) fn documents(
    call: &Call<'_>,
    writer: &Writer,
    target: Target<'_>,
) -> Result<Response, ApiError> {
    let registry = call.registry();
    let urls = &call.urls;
    let no_schema = || ApiError::not_found("no such schema");
    match target {
        Target::Roots => {
            let bases = [
                None,
                Some(Base::Management),
                Some(Base::Cluster),
                Some(Base::Project),
            ];
            let roots = bases.map(|base| api_root(registry, urls, base)).to_vec();
            Ok(writer.answer(
                StatusCode::OK,
                &Collection::plain("apiRoot", urls, &call.query, roots),
            ))
        }
        Target::Root(RootOf::Meta) => {
            Ok(writer.answer(StatusCode::OK, &api_root(registry, urls, None)))
        }
        Target::Root(RootOf::Api(base)) => {
            Ok(writer.answer(StatusCode::OK, &api_root(registry, urls, Some(base))))
        }
        Target::MetaSchemas(id) => {
            let meta = crate::declare::meta();
            let document = |kind: &Type| meta_document(kind, urls);
            match id {
                None => {
                    let items = meta.iter().map(document).collect();
                    Ok(writer.answer(
                        StatusCode::OK,
                        &Collection::plain("schema", urls, &call.query, items),
                    ))
                }
                Some(id) => {
                    let kind = meta
                        .iter()
                        .find(|kind| kind.id.eq_ignore_ascii_case(&id))
                        .ok_or_else(no_schema)?;
                    Ok(writer.answer(StatusCode::OK, &document(kind)))
                }
            }
        }
        Target::Schemas { base, context, id } => {
            let document = |kind: &Type| Registry::document(kind, urls, context.as_deref());
            match id {
                None => {
                    let items = registry
                        .documented(base)
                        .filter_map(|kind| match document(kind) {
                            Value::Object(fields) => Some(fields),
                            _ => None,
                        });
                    Ok(writer.answer(
                        StatusCode::OK,
                        &Collection::plain("schema", urls, &call.query, items.collect()),
                    ))
                }
                Some(id) => {
                    // Only ids, in any case; a plural finds nothing.
                    let kind = registry
                        .documented(base)
                        .find(|kind| kind.id.eq_ignore_ascii_case(&id))
                        .ok_or_else(no_schema)?;
                    Ok(writer.answer(StatusCode::OK, &document(kind)))
                }
            }
        }
        Target::Subscribe(_) => Err(no_schema()),
        Target::Resource { .. } | Target::Unknown(_) => Err(no_schema()),
    }
}

fn meta_document(kind: &Type, urls: &Urls) -> Item {
    let mut document = match Registry::document(kind, urls, None) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    document.insert(
        "version".to_owned(),
        json!({"group": "meta.cattle.io", "path": "/meta", "version": "v1"}),
    );
    document.insert(
        "links".to_owned(),
        json!({"self": urls.absolute(&format!("/meta/schemas/{}", kind.id))}),
    );
    document
}
