//! Links in answers.
//!
//! Owns how identifiers and types become URLs. The base (scheme, host,
//! prefix) is worked out by the edge from the request's headers.

use std::fmt::Write;

pub(crate) use drover_api::urls::segment;

use crate::schema::{Base, Type};

/// The links of one request's answer.
#[derive(Clone, Debug)]
pub(crate) struct Urls {
    base: String,
    /// The request's own path, as sent.
    path: String,
    /// The request's query, in order, decoded.
    query: Vec<(String, String)>,
}

impl Urls {
    pub(crate) fn new(base: String, path: &str, query: Vec<(String, String)>) -> Self {
        Self {
            base,
            path: path.to_owned(),
            query,
        }
    }

    /// A URL below the server's root.
    pub(crate) fn absolute(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The request's own URL without its query.
    pub(crate) fn current(&self) -> String {
        self.absolute(&self.path)
    }

    /// The root of an API: of `/v3`, or below the cluster or project `context`.
    pub(crate) fn base_url(&self, base: Base, context: Option<&str>) -> String {
        match context {
            Some(id) if base != Base::Management => {
                format!("{}{}/{}", self.base, base.path(), segment(id))
            }
            _ => self.absolute(base.path()),
        }
    }

    /// A collection of the management API.
    pub(crate) fn collection(&self, kind: &Type) -> String {
        format!(
            "{}/{}",
            self.base_url(Base::Management, None),
            kind.plural().to_ascii_lowercase()
        )
    }

    /// A resource of the management API.
    pub(crate) fn resource(&self, kind: &Type, id: &str) -> String {
        format!(
            "{}/{}/{}",
            self.base_url(Base::Management, None),
            kind.plural(),
            segment(id)
        )
    }

    /// The request's URL sorted by `field`.
    pub(crate) fn sorted_by(&self, field: &str) -> String {
        self.with(&["order", "marker", "sort"], ("sort", field))
    }

    /// The request's URL in the other order.
    pub(crate) fn ordered(&self, order: &str) -> String {
        self.with(&["order", "marker"], ("order", order))
    }

    /// The page of the request that starts with `marker`.
    pub(crate) fn page(&self, marker: &str) -> String {
        self.with(&["marker"], ("marker", marker))
    }

    /// Keys come in order, as Go's `url.Values.Encode` writes them.
    fn with(&self, without: &[&str], (key, value): (&str, &str)) -> String {
        let mut pairs: Vec<(&str, &str)> = self
            .query
            .iter()
            .filter(|(key, _)| !without.contains(&key.as_str()))
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .chain([(key, value)])
            .collect();
        pairs.sort_by_key(|(key, _)| *key);
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        let mut url = self.current();
        // Writing to a String never fails.
        let _ = write!(url, "?{query}");
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls() -> Urls {
        let query = [
            ("name_prefix", "ora"),
            ("limit", "1"),
            ("sort", "name"),
            ("order", "desc"),
        ];
        Urls::new(
            "https://server.example:8443".to_owned(),
            "/v3/clusters",
            query
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .to_vec(),
        )
    }

    #[test]
    fn page_and_sort_links_are_as_recorded() {
        let urls = urls();
        assert_eq!(
            urls.page("local"),
            "https://server.example:8443/v3/clusters?limit=1&marker=local&name_prefix=ora&order=desc&sort=name"
        );
        assert_eq!(
            urls.sorted_by("agentImage"),
            "https://server.example:8443/v3/clusters?limit=1&name_prefix=ora&sort=agentImage"
        );
    }
}
