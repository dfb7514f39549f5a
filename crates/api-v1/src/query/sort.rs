//! The language of `sort`: fields in order, `-` for descending, `ip(field)` for addresses, `natural(field)` for people.
//!
//! Pure. Text compares in any case, numbers as numbers; what is missing comes
//! last, but for labels in descending order; objects that are equal so far come
//! in order of ids. `natural` is ours: it puts `web-2` before `web-10`.

mod bytes;

use drover_auth::web::ApiError;

use super::filter::Seen;
use crate::fields::Field;
use crate::kind::Kind;

/// One field of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) field: Field,
    pub(crate) descending: bool,
    pub(crate) compare: Compare,
}

/// How values of a field compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Value,
    Address,
    /// Digits within texts by the number they make.
    Natural,
}

/// What may stand around a field.
const WAYS: [(&str, Compare); 2] = [("ip(", Compare::Address), ("natural(", Compare::Natural)];

/// The order of a list; empty: by ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Order(pub(crate) Vec<Key>);

impl Order {
    /// # Errors
    /// 422 for a field that lists of the kind do not know.
    pub(crate) fn parse(kind: &Kind, text: Option<&str>) -> Result<Self, ApiError> {
        let keys = fields(text.unwrap_or_default())
            .map(|part| {
                let (before, part) = direction(part);
                let (part, compare) = WAYS
                    .iter()
                    .find_map(|(way, compare)| {
                        let inner = part.strip_prefix(way)?.strip_suffix(')')?;
                        Some((inner, *compare))
                    })
                    .unwrap_or((part, Compare::Value));
                // The peer writes `ip(-field)`.
                let (within, part) = direction(part);
                let descending = before || within;
                Ok(Key {
                    field: Field::parse(kind, part)?,
                    descending,
                    compare,
                })
            })
            .collect::<Result<_, ApiError>>()?;
        Ok(Self(keys))
    }

    /// Whether ids alone say the order.
    pub(crate) fn is_by_id(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what an entry is ordered by to `to`, as bytes that compare as the values do.
    pub(crate) fn write<'e>(&self, value: &impl Fn(&Field) -> Seen<'e>, to: &mut Vec<u8>) {
        for key in &self.0 {
            // As the peer has it (steve 7972270, pkg/sqlcache/informer/sqlgenerator.go, `buildSortLabelsClause`).
            let turns = matches!(key.field, Field::Label(_));
            let seen = value(&key.field);
            bytes::write(&seen, key.compare, key.descending, turns, to);
        }
    }
}

/// Whether it is descending, and of what.
fn direction(part: &str) -> (bool, &str) {
    part.strip_prefix('-')
        .map_or((false, part), |rest| (true, rest))
}

/// The parts between commas; those in brackets belong to labels.
fn fields(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    text.split(move |letter| {
        match letter {
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests;
