//! The parameters of a reading.

use std::str::FromStr;

use drover_audit::{Ask, Filter, Words};
use drover_auth::web::ApiError;
use jiff::Timestamp;

use crate::query::Pairs;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// Reads them.
///
/// # Errors
/// 422 naming the parameter that is wrong.
pub(super) fn parse(pairs: &Pairs) -> Result<Ask, ApiError> {
    let text = |key: &str| pairs.get(key).map(str::to_owned);
    let words = |key: &str| pairs.get(key).map(Words::parse);
    Ok(Ask {
        filter: Filter {
            user: text("user"),
            cluster: text("cluster"),
            verb: words("verb"),
            kind: words("kind"),
            namespace: text("namespace"),
            name: text("name"),
            audit_id: text("auditID"),
            outcome: value(pairs, "outcome", |error: drover_audit::UnknownOutcome| {
                error.to_string()
            })?,
            since: time(pairs, "since")?,
            until: time(pairs, "until")?,
        },
        before: number(pairs, "before")?,
        after: number(pairs, "after")?,
        limit: number(pairs, "limit")?
            .unwrap_or(DEFAULT_LIMIT)
            .clamp(1, MAX_LIMIT),
    })
}

fn value<T: FromStr>(
    pairs: &Pairs,
    key: &str,
    why: impl Fn(T::Err) -> String,
) -> Result<Option<T>, ApiError> {
    let parsed = pairs.get(key).map(str::parse).transpose();
    parsed.map_err(|error| ApiError::invalid("InvalidFormat", why(error)).with_field(key))
}

fn time(pairs: &Pairs, key: &str) -> Result<Option<Timestamp>, ApiError> {
    value(pairs, key, |_| {
        format!("{key} is no time like 2026-11-29T12:00:00Z")
    })
}

fn number<T: FromStr>(pairs: &Pairs, key: &str) -> Result<Option<T>, ApiError> {
    value(pairs, key, |_| format!("{key} is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_parameters_are_named() {
        for (query, field) in [
            ("since=yesterday", "since"),
            ("until=1", "until"),
            ("outcome=fine", "outcome"),
            ("before=-1", "before"),
            ("after=x", "after"),
            ("limit=many", "limit"),
        ] {
            let refused = parse(&Pairs::parse(Some(query))).unwrap_err();
            assert_eq!(refused.status.as_u16(), 422, "{query}");
            assert_eq!(refused.field_name.as_deref(), Some(field), "{query}");
        }
        let limit = |query| parse(&Pairs::parse(Some(query))).unwrap().limit;
        assert_eq!(
            (limit(""), limit("limit=0"), limit("limit=9999999")),
            (100, 1, 1000)
        );
    }
}
