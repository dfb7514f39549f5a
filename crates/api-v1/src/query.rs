//! The query of a list: filters, order, page and projections.
//!
//! Owns the parameters (reference section 1.4). Pure: values come from entries,
//! which hold what can be asked for.

pub(crate) mod filter;
pub(crate) mod project;
pub(crate) mod sort;

use drover_auth::web::ApiError;
use http::StatusCode;

use crate::kind::Kind;
use filter::Filter;
use project::Projection;
use sort::Order;

/// The pairs of a query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs(Vec<(String, String)>);

impl Pairs {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        Self(
            form_urlencoded::parse(query.unwrap_or_default().as_bytes())
                .map(|(key, value)| (key.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// The first value of `key`, if it is not empty.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, value)| name == key && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// A switch: named without a value, or with `true`.
    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.all(key)
            .any(|value| value.is_empty() || value.eq_ignore_ascii_case("true"))
    }

    /// The pairs in order of keys, some left out and one added, as Go's `url.Values.Encode` writes them.
    pub(crate) fn encoded(&self, without: &[&str], added: Option<(&str, &str)>) -> String {
        let mut pairs: Vec<(&str, &str)> = self
            .0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .filter(|(key, _)| !without.contains(key))
            .chain(added)
            .collect();
        pairs.sort_by_key(|(key, _)| *key);
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish()
    }
}

/// Which part of the found is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// How many are left out before it.
    pub(crate) start: usize,
    /// `None`: all.
    pub(crate) size: Option<usize>,
}

/// Namespaces by their own name or their project's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Namespaces {
    pub(crate) names: Vec<String>,
    /// All but these.
    pub(crate) inverted: bool,
}

/// What a list is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListQuery {
    pub(crate) filters: Vec<Filter>,
    pub(crate) order: Order,
    pub(crate) window: Window,
    /// The least revision that counts.
    pub(crate) revision: Option<u64>,
    pub(crate) namespaces: Option<Namespaces>,
    pub(crate) summary: Vec<(String, crate::fields::Field)>,
    pub(crate) summary_only: bool,
    pub(crate) summary_by_namespace: bool,
    pub(crate) projection: Projection,
}

impl ListQuery {
    /// # Errors
    /// 400 and 422 naming the parameter or field that is wrong.
    pub(crate) fn parse(kind: &Kind, pairs: &Pairs) -> Result<Self, ApiError> {
        let mut filters = Vec::new();
        for text in pairs.all("filter").filter(|text| !text.trim().is_empty()) {
            filters.push(filter::parse(kind, text)?);
        }
        if let Some(selector) = pairs.get("labelSelector") {
            filters.extend(filter::label_selector(selector)?);
        }
        if let Some(selector) = pairs.get("fieldSelector") {
            filters.extend(filter::field_selector(kind, selector)?);
        }
        let namespaces = namespaces(pairs);
        let summary = pairs
            .all("summary")
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(|name| Ok((name.to_owned(), crate::fields::Field::parse(kind, name)?)))
            .collect::<Result<_, ApiError>>()?;
        Ok(Self {
            filters,
            order: Order::parse(kind, pairs.get("sort"))?,
            window: window(pairs)?,
            revision: revision(pairs)?,
            namespaces,
            summary,
            summary_only: pairs.is_set("summaryonly"),
            summary_by_namespace: pairs.is_set("summarynamespaced"),
            projection: Projection::parse(pairs),
        })
    }
}

fn number(pairs: &Pairs, key: &str) -> Result<Option<usize>, ApiError> {
    pairs
        .get(key)
        .map(|text| {
            text.parse().map_err(|_| {
                ApiError::new(
                    StatusCode::BAD_REQUEST,
                    "InvalidFormat",
                    format!("{key} is not a number"),
                )
                .with_field(key)
            })
        })
        .transpose()
}

/// `continue` says where to go on; else `page` and `pagesize`, else `limit`.
fn window(pairs: &Pairs) -> Result<Window, ApiError> {
    let (page, size, limit) = (
        number(pairs, "page")?,
        number(pairs, "pagesize")?,
        number(pairs, "limit")?,
    );
    let size = size.or(limit).filter(|size| *size > 0);
    let start = match (number(pairs, "continue")?, page, size) {
        (Some(start), _, _) => start,
        (None, Some(page), Some(size)) => page.saturating_sub(1).saturating_mul(size),
        (None, _, _) => 0,
    };
    Ok(Window { start, size })
}

fn revision(pairs: &Pairs) -> Result<Option<u64>, ApiError> {
    pairs
        .get("revision")
        .map(|text| {
            text.parse().map_err(|_| {
                ApiError::new(
                    StatusCode::BAD_REQUEST,
                    "invalid revision query param",
                    "revision is not a number",
                )
                .with_field("revision")
            })
        })
        .transpose()
}

fn namespaces(pairs: &Pairs) -> Option<Namespaces> {
    let of = |key: &str, inverted| {
        let names: Vec<String> = pairs
            .all(key)
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        (!names.is_empty()).then_some(Namespaces { names, inverted })
    };
    of("projectsornamespaces", false).or_else(|| of("projectsornamespaces!", true))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(text: &str) -> Result<ListQuery, ApiError> {
        ListQuery::parse(
            &Kind::new("", "v1", "Pod", "pods"),
            &Pairs::parse(Some(text)),
        )
    }

    #[test]
    fn pages_limits_and_tokens_become_windows() {
        let check = |text: &str, start: usize, size: Option<usize>| {
            assert_eq!(
                query(text).unwrap().window,
                Window { start, size },
                "{text}"
            );
        };
        check("", 0, None);
        check("page=3&pagesize=10", 20, Some(10));
        check("page=0&pagesize=10", 0, Some(10));
        check("page=2", 0, None);
        check("limit=5", 0, Some(5));
        check("limit=5&continue=15", 15, Some(5));
        check("continue=2&page=1&pagesize=2", 2, Some(2));
        check(
            "page=18446744073709551615&pagesize=18446744073709551615",
            usize::MAX,
            Some(usize::MAX),
        );
        for wrong in [
            "page=x",
            "pagesize=-1",
            "limit=1.5",
            "continue=abc",
            "revision=abc",
        ] {
            assert_eq!(query(wrong).unwrap_err().status, 400, "{wrong}");
        }
    }

    proptest! {
        /// Whatever somebody writes, they are told what of it is wrong; nothing is the server's fault.
        #[test]
        fn any_query_is_read_or_refused_by_name(
            key in prop::sample::select(&[
                "filter", "sort", "page", "pagesize", "limit", "continue", "revision", "labelSelector", "fieldSelector",
                "projectsornamespaces", "projectsornamespaces!", "summary", "summaryonly", "include", "exclude", "excludeValues",
            ][..]),
            value in prop_oneof![
                "\\PC{0,40}",
                "[-a-z0-9.,()\\[\\]'\"=!~<> ]{0,40}",
                "(metadata\\.(name|labels|fields)(\\[|\\.|=|~| in \\()?){0,6}[0-9\\])]{0,24}",
            ],
        ) {
            let text = form_urlencoded::Serializer::new(String::new()).append_pair(key, &value).finish();
            if let Err(error) = query(&text) {
                prop_assert!(error.status.is_client_error(), "{}", error);
                prop_assert!(error.field_name.is_some() && !error.message.is_empty(), "{}", error);
            }
        }
    }

    #[test]
    fn namespaces_come_by_list_and_inverted() {
        let of = |text: &str| query(text).unwrap().namespaces.unwrap();
        assert_eq!(of("projectsornamespaces=a,p-1").names, ["a", "p-1"]);
        assert!(of("projectsornamespaces!=a").inverted);
        assert!(query("projectsornamespaces=").unwrap().namespaces.is_none());
    }
}
