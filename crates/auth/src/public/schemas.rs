//! Schemas of the public API: the providers and what a login takes.

use serde_json::{Value, json};

/// The list `/v3-public/schemas`.
pub(super) fn all(base: &str) -> Value {
    json!({
        "type": "collection",
        "resourceType": "schema",
        "actions": {},
        "links": {"self": format!("{base}/schemas")},
        "pagination": {"limit": 1000, "total": IDS.len()},
        "data": IDS.iter().filter_map(|id| one(base, id)).collect::<Vec<_>>(),
    })
}

const IDS: [&str; 4] = ["authProvider", "basicLogin", "localProvider", "token"];

/// One schema by its id, in any case.
pub(super) fn one(base: &str, id: &str) -> Option<Value> {
    let field =
        |kind: &str| json!({"type": kind, "create": false, "update": false, "nullable": true});
    let input =
        |kind: &str| json!({"type": kind, "create": true, "update": true, "nullable": true});
    let flag = || json!({"type": "boolean", "create": false, "update": false, "default": false});
    let provider = || {
        json!({
            "type": field("string"), "created": field("date"), "creatorId": field("reference[/v3/schemas/user]"),
            "name": field("string"), "removed": field("date"), "uuid": field("string"),
            "logoutAllEnabled": flag(), "logoutAllForced": flag(), "logoutAllSupported": flag(),
        })
    };
    let id = *IDS.iter().find(|known| known.eq_ignore_ascii_case(id))?;
    let (plural, listed, fields, actions) = match id {
        "authProvider" => ("authProviders", true, provider(), json!({})),
        "localProvider" => (
            "localProviders",
            true,
            provider(),
            json!({"login": {"input": "basicLogin", "output": "token"}}),
        ),
        "basicLogin" => {
            let password =
                json!({"type": "password", "create": true, "update": true, "required": true});
            let username =
                json!({"type": "string", "create": true, "update": true, "required": true});
            let fields = json!({
                "username": username, "password": password, "description": input("string"),
                "ttl": input("int"), "responseType": input("string"),
            });
            ("basicLogins", false, fields, json!({}))
        }
        _ => {
            let fields = json!({"token": field("string"), "expiresAt": field("string")});
            ("tokens", false, fields, json!({}))
        }
    };
    let methods = if listed { json!(["GET"]) } else { json!([]) };
    let mut links = json!({ "self": format!("{base}/schemas/{id}") });
    if listed {
        links["collection"] = json!(format!("{base}/{}", plural.to_ascii_lowercase()));
    }
    Some(json!({
        "id": id,
        "type": "schema",
        "baseType": "schema",
        "pluralName": plural,
        "version": {"group": "management.cattle.io", "path": "/v3-public", "version": "v3public"},
        "resourceMethods": methods,
        "collectionMethods": methods,
        "resourceFields": fields,
        "resourceActions": actions,
        "collectionActions": {},
        "collectionFilters": {},
        "links": links,
    }))
}
