//! Lists of resources: filtered, sorted, cut into pages, and the document around them.
//!
//! Pure. Keys of the document stand in the peer's order with `data` last, so
//! that a reader that streams knows the page before the items.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::query::{Query, shown};
use crate::registry::filters;
use crate::schema::Type;
use crate::urls::Urls;

type Item = Map<String, Value>;

/// What the document says about its extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Limit and total, items cut to pages.
    Paged,
    /// The limit only; all items are there (types that make their own lists).
    Limit,
    /// Nothing (answers of actions).
    Silent,
}

/// A collection as it is answered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Collection {
    #[serde(rename = "type")]
    kind: &'static str,
    links: Value,
    #[serde(skip_serializing_if = "Map::is_empty")]
    create_types: Map<String, Value>,
    actions: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sort: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filters: Option<Value>,
    resource_type: String,
    data: Vec<Item>,
}

impl Collection {
    /// A collection that is neither filtered nor cut: schemas, API roots.
    pub(crate) fn plain(resource_type: &str, urls: &Urls, query: &Query, data: Vec<Item>) -> Self {
        let total = data.len();
        Self {
            kind: "collection",
            links: json!({"self": urls.current()}),
            create_types: Map::new(),
            actions: Map::new(),
            pagination: Some(json!({"limit": query.limit(), "total": total})),
            sort: Some(json!({"order": "asc", "reverse": urls.ordered("desc")})),
            filters: None,
            resource_type: resource_type.to_owned(),
            data,
        }
    }

    /// Where a client creates resources of this collection, if not in the management API.
    pub(crate) fn creates_at(&mut self, kind: &Type, url: &str) {
        if let Some(at) = self.create_types.get_mut(kind.id) {
            *at = json!(url);
        }
    }

    /// A collection of resources of `kind`.
    pub(crate) fn of(
        kind: &Type,
        urls: &Urls,
        query: &Query,
        actions: Map<String, Value>,
        extent: Extent,
        items: Vec<Item>,
    ) -> Self {
        let mut create_types = Map::new();
        if kind.collection_methods.contains(&"POST") {
            create_types.insert(kind.id.to_owned(), json!(urls.collection(kind)));
        }
        let (data, pagination) = match extent {
            Extent::Paged => {
                let items = arrange(kind, query, items);
                let (data, pagination) = page(query, urls, items);
                (data, Some(pagination))
            }
            Extent::Limit => (items, Some(json!({"limit": query.limit()}))),
            Extent::Silent => (items, None),
        };
        Self {
            kind: "collection",
            links: json!({"self": urls.current()}),
            create_types,
            actions,
            pagination,
            sort: Some(sort(kind, query, urls)),
            filters: Some(asked(kind, query)),
            resource_type: kind.id.to_owned(),
            data,
        }
    }
}

/// Filters and sorts. The identifier decides where the sort field does not.
fn arrange(kind: &Type, query: &Query, mut items: Vec<Item>) -> Vec<Item> {
    let conditions = query.conditions(kind);
    items.retain(|item| {
        conditions
            .iter()
            .all(|(field, condition)| condition.accepts(&shown(field, item.get(field.name))))
    });
    let identifier = |item: &Item| {
        item.get("id")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    match query.sort(kind) {
        Some(field) => {
            items.sort_by_cached_key(|item| (shown(field, item.get(field.name)), identifier(item)))
        }
        None => items.sort_by_cached_key(identifier),
    }
    if query.descending() {
        items.reverse();
    }
    items
}

fn page(query: &Query, urls: &Urls, items: Vec<Item>) -> (Vec<Item>, Value) {
    let limit = query.limit();
    let total = items.len();
    let ids: Vec<String> = items
        .iter()
        .map(|item| {
            item.get("id")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    let marker = query.get("marker");
    let start = marker
        .and_then(|marker| ids.iter().position(|id| id == marker))
        .unwrap_or(0);
    let data: Vec<Item> = items.into_iter().skip(start).take(limit).collect();
    let mut pagination = Map::new();
    pagination.insert("limit".to_owned(), json!(limit));
    pagination.insert("total".to_owned(), json!(total));
    if data.len() < total && limit > 0 {
        pagination.insert("partial".to_owned(), json!(true));
        pagination.insert("first".to_owned(), json!(urls.page(&ids[0])));
        if start > 0 {
            pagination.insert(
                "previous".to_owned(),
                json!(urls.page(&ids[start.saturating_sub(limit)])),
            );
        }
        if let Some(next) = ids.get(start + limit) {
            pagination.insert("next".to_owned(), json!(urls.page(next)));
        }
        pagination.insert(
            "last".to_owned(),
            json!(urls.page(&ids[total.saturating_sub(limit)])),
        );
        if let Some(marker) = marker {
            pagination.insert("marker".to_owned(), json!(marker));
        }
    }
    (data, Value::Object(pagination))
}

fn sort(kind: &Type, query: &Query, urls: &Urls) -> Value {
    let links: Map<String, Value> = filters(kind)
        .filter(|field| field.kind.offered_for_sort())
        .map(|field| (field.name.to_owned(), json!(urls.sorted_by(field.name))))
        .collect();
    let (order, other) = if query.descending() {
        ("desc", "asc")
    } else {
        ("asc", "desc")
    };
    let mut sort = Map::new();
    if let Some(field) = query.sort(kind) {
        sort.insert("name".to_owned(), json!(field.name));
    }
    sort.insert("order".to_owned(), json!(order));
    sort.insert("reverse".to_owned(), json!(urls.ordered(other)));
    if !links.is_empty() {
        sort.insert("links".to_owned(), Value::Object(links));
    }
    Value::Object(sort)
}

fn asked(kind: &Type, query: &Query) -> Value {
    let mut shown: Map<String, Value> = filters(kind)
        .map(|field| (field.name.to_owned(), Value::Null))
        .collect();
    for (field, condition) in query.conditions(kind) {
        let value = match condition.values.as_slice() {
            [one] => json!(one),
            several => json!(several),
        };
        let entry = json!({"modifier": condition.modifier.name(), "value": value});
        match shown.get_mut(field.name) {
            Some(Value::Array(entries)) => entries.push(entry),
            _ => {
                shown.insert(field.name.to_owned(), json!([entry]));
            }
        }
    }
    Value::Object(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    fn list(path_query: &str) -> Value {
        let registry = Registry::new();
        let kind = registry.get("cluster").unwrap();
        let query = Query::parse(path_query.split_once('?').map(|(_, query)| query));
        let urls = Urls::new("https://h".to_owned(), "/v3/clusters", query.pairs.clone());
        let items = [
            ("c-96nwv", "down1"),
            ("c-skw55", "oracle1"),
            ("local", "local"),
            ("c-a", "x"),
            ("c-b", "y"),
        ]
        .map(|(id, name)| {
            json!({"id": id, "name": name, "internal": id == "local"})
                .as_object()
                .unwrap()
                .clone()
        })
        .to_vec();
        serde_json::to_value(Collection::of(
            kind,
            &urls,
            &query,
            Map::new(),
            Extent::Paged,
            items,
        ))
        .unwrap()
    }

    fn ids(list: &Value) -> Vec<&str> {
        list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap())
            .collect()
    }

    #[test]
    fn pages_start_with_their_marker() {
        let first = list("?limit=2");
        assert_eq!(ids(&first), ["c-96nwv", "c-a"]);
        assert_eq!(
            first["pagination"],
            json!({
                "limit": 2, "total": 5, "partial": true,
                "first": "https://h/v3/clusters?limit=2&marker=c-96nwv",
                "next": "https://h/v3/clusters?limit=2&marker=c-b",
                "last": "https://h/v3/clusters?limit=2&marker=c-skw55",
            })
        );
        let second = list("?limit=2&marker=c-b");
        assert_eq!(ids(&second), ["c-b", "c-skw55"]);
        assert_eq!(
            second["pagination"]["previous"],
            "https://h/v3/clusters?limit=2&marker=c-96nwv"
        );
        assert_eq!(
            second["pagination"]["next"],
            "https://h/v3/clusters?limit=2&marker=local"
        );
        assert_eq!(ids(&list("?limit=2&marker=local")), ["local"]);
        assert_eq!(ids(&list("?limit=0")), Vec::<&str>::new());
    }

    #[test]
    fn every_item_is_on_exactly_one_page() {
        for limit in 1..7 {
            let (mut seen, mut query) = (Vec::new(), format!("?limit={limit}"));
            loop {
                let page = list(&query);
                seen.extend(ids(&page).into_iter().map(str::to_owned));
                match page["pagination"]["next"].as_str() {
                    Some(next) => query = next.to_owned(),
                    None => break,
                }
            }
            assert_eq!(seen, ["c-96nwv", "c-a", "c-b", "c-skw55", "local"]);
        }
    }

    #[test]
    fn order_and_filters_are_answered() {
        let sorted = list("?sort=name&order=desc&name_ne=x&internal=false");
        assert_eq!(ids(&sorted), ["c-b", "c-skw55", "c-96nwv"]);
        assert_eq!(sorted["pagination"]["total"], 3);
        assert_eq!(
            sorted["filters"]["name"],
            json!([{"modifier": "ne", "value": "x"}])
        );
        assert_eq!(
            sorted["filters"]["internal"],
            json!([{"modifier": "eq", "value": "false"}])
        );
        assert_eq!(sorted["filters"]["driver"], Value::Null);
        assert_eq!(sorted["sort"]["order"], "desc");
        assert_eq!(sorted["sort"]["name"], "name");
        // Names are labels here, which are not offered, but may be asked for.
        assert_eq!(sorted["sort"]["links"].get("name"), None);
    }
}
