//! Principals: people and groups as their providers know them.
//!
//! Worked out from users; nothing is stored. Local users are found by name;
//! groups are those the caller is a member of.

use drover_auth::web::ApiError;
use serde_json::{Map, Value, json};

use super::{object_of, text, text_at, user};
use crate::call::{Call, Item};
use crate::mapping;
use crate::resource::self_link;
use crate::schema::{Layout, Object, Type};

/// What the principals of local users begin with.
pub(super) const LOCAL: &str = "local://";
/// What rules call principals; nothing is stored under that name.
const PRINCIPALS: Object = Object {
    kind: "Principal",
    resource: "principals",
    namespaced: false,
    layout: Layout::Flat,
};

/// Whether the caller may look for other people.
fn may_see_others(call: &Call<'_>) -> bool {
    call.may("list", PRINCIPALS, None, None)
}

/// The caller and the groups it is a member of.
pub(crate) async fn list(call: &Call<'_>, kind: &Type) -> Result<Vec<Item>, ApiError> {
    let caller = call.caller()?;
    let own = call
        .store()
        .find(object_of(call, "user")?, None, caller.user.as_str())
        .await?;
    let mut items: Vec<Item> = own.iter().map(|user| of_user(call, kind, user)).collect();
    items.extend(
        caller
            .groups
            .iter()
            .filter(|group| group.contains("://"))
            .map(|group| of_group(call, kind, group)),
    );
    Ok(items)
}

/// One principal by its identifier.
pub(crate) async fn get(call: &Call<'_>, kind: &Type, id: &str) -> Result<Item, ApiError> {
    let absent = || ApiError::not_found(format!("principal \"{id}\" not found"));
    let caller = call.caller()?;
    if caller.groups.contains(id) {
        return Ok(of_group(call, kind, id));
    }
    let name = id.strip_prefix(LOCAL).ok_or_else(absent)?;
    if name != caller.user.as_str() && !may_see_others(call) {
        return Err(absent());
    }
    let users = call.registry().get("user").ok_or_else(absent)?;
    let object = object_of(call, "user")?;
    crate::call::split_id(users, object, name).map_err(|_| absent())?;
    let found = call
        .store()
        .find(object, None, name)
        .await?
        .filter(|found| !user::is_system(found));
    found
        .map(|found| of_user(call, kind, &found))
        .ok_or_else(absent)
}

/// People (and the caller's groups) whose name, login name or identifier begins like this, or holds it.
pub(crate) async fn search(
    call: &Call<'_>,
    kind: &Type,
    input: &Map<String, Value>,
) -> Result<Vec<Item>, ApiError> {
    let name = text(input, "name").to_lowercase();
    if name.is_empty() {
        return Err(ApiError::invalid("MissingRequired", "").with_field("name"));
    }
    let wanted = text(input, "principalType");
    if !matches!(wanted, "" | "user" | "group") {
        return Err(
            ApiError::invalid("InvalidOption", "it must be one of user, group")
                .with_field("principalType"),
        );
    }
    let mut items = Vec::new();
    let others = may_see_others(call);
    if wanted != "group" {
        for found in call.store().list(object_of(call, "user")?, None).await? {
            let hit = [
                text_at(&found, "/username"),
                text_at(&found, "/displayName"),
                mapping::name(&found),
            ]
            .iter()
            .any(|text| text.to_lowercase().contains(&name));
            let seen = others || mapping::name(&found) == call.user();
            if hit && seen && !user::is_system(&found) {
                items.push(of_user(call, kind, &found));
            }
        }
    }
    if wanted != "user" {
        let groups = call.caller()?.groups.iter();
        let fitting =
            groups.filter(|group| group.contains("://") && group.to_lowercase().contains(&name));
        items.extend(fitting.map(|group| of_group(call, kind, group)));
    }
    items.sort_by(|one, other| text(one, "id").cmp(text(other, "id")));
    Ok(items)
}

fn of_user(call: &Call<'_>, kind: &Type, user: &Value) -> Item {
    let name = mapping::name(user);
    let shown = text_at(user, "/displayName");
    let login = text_at(user, "/username");
    let mut item = base(call, kind, &format!("{LOCAL}{name}"), "user");
    item.insert(
        "name".to_owned(),
        json!(if shown.is_empty() { login } else { shown }),
    );
    item.insert("loginName".to_owned(), json!(login));
    item.insert("me".to_owned(), json!(name == call.user()));
    item
}

fn of_group(call: &Call<'_>, kind: &Type, id: &str) -> Item {
    let mut item = base(call, kind, id, "group");
    item.insert(
        "name".to_owned(),
        json!(id.split_once("://").map_or(id, |(_, name)| name)),
    );
    item.insert("memberOf".to_owned(), json!(true));
    item
}

fn base(call: &Call<'_>, kind: &Type, id: &str, principal_type: &str) -> Item {
    let provider = id.split_once("://").map_or("local", |(scheme, _)| {
        scheme.split('_').next().unwrap_or(scheme)
    });
    let mut item = Map::new();
    item.insert("id".to_owned(), json!(id));
    item.insert("type".to_owned(), json!(kind.id));
    item.insert("baseType".to_owned(), json!(kind.id));
    item.insert("creatorId".to_owned(), Value::Null);
    item.insert("principalType".to_owned(), json!(principal_type));
    item.insert("provider".to_owned(), json!(provider));
    item.insert("me".to_owned(), json!(false));
    item.insert("memberOf".to_owned(), json!(false));
    item.insert("links".to_owned(), self_link(call, kind, id));
    item
}
