//! The language of `sort`: fields in order, `-` for descending, `ip(field)` for addresses, `natural(field)` for people.
//!
//! Pure. Text compares in any case, numbers as numbers; what is missing comes
//! last; objects that are equal so far come in order of ids. `natural` is ours:
//! it puts `web-2` before `web-10`.

use std::cmp::Ordering;
use std::net::IpAddr;

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
                let (descending, part) = match part.strip_prefix('-') {
                    Some(rest) => (true, rest),
                    None => (false, part),
                };
                let (part, compare) = WAYS
                    .iter()
                    .find_map(|(way, compare)| {
                        let inner = part.strip_prefix(way)?.strip_suffix(')')?;
                        Some((inner, *compare))
                    })
                    .unwrap_or((part, Compare::Value));
                Ok(Key {
                    field: Field::parse(kind, part)?,
                    descending,
                    compare,
                })
            })
            .collect::<Result<_, ApiError>>()?;
        Ok(Self(keys))
    }

    pub(crate) fn compare<'e>(
        &self,
        one: &impl Fn(&Field) -> Seen<'e>,
        other: &impl Fn(&Field) -> Seen<'e>,
    ) -> Ordering {
        for key in &self.0 {
            let (one, other) = (one(&key.field), other(&key.field));
            let ordering = match (&one, &other) {
                (Seen::Missing, Seen::Missing) => Ordering::Equal,
                (Seen::Missing, _) => Ordering::Greater,
                (_, Seen::Missing) => Ordering::Less,
                (one, other) => {
                    let ascending = match key.compare {
                        Compare::Value => by_value(one, other),
                        Compare::Address => by_address(one, other),
                        Compare::Natural => by_nature(one, other),
                    };
                    if key.descending {
                        ascending.reverse()
                    } else {
                        ascending
                    }
                }
            };
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        Ordering::Equal
    }
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

/// Numbers before texts, so that the order is one also where a column mixes them.
fn by_value(one: &Seen<'_>, other: &Seen<'_>) -> Ordering {
    match (one, other) {
        (Seen::Number(one), Seen::Number(other)) => one.total_cmp(other),
        (Seen::Number(_), _) => Ordering::Less,
        (_, Seen::Number(_)) => Ordering::Greater,
        (one, other) => {
            let (one, other) = (
                one.text().unwrap_or_default(),
                other.text().unwrap_or_default(),
            );
            one.bytes()
                .map(|byte| byte.to_ascii_lowercase())
                .cmp(other.bytes().map(|byte| byte.to_ascii_lowercase()))
        }
    }
}

/// As [`by_value`], but digits within texts compare by the number they make.
fn by_nature(one: &Seen<'_>, other: &Seen<'_>) -> Ordering {
    if matches!(one, Seen::Number(_)) || matches!(other, Seen::Number(_)) {
        return by_value(one, other);
    }
    let (one, other) = (
        one.text().unwrap_or_default(),
        other.text().unwrap_or_default(),
    );
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    loop {
        let (Some(first), Some(second)) = (one.first(), other.first()) else {
            return one.len().cmp(&other.len());
        };
        let ordering = if first.is_ascii_digit() && second.is_ascii_digit() {
            let (this, that) = (number(&mut one), number(&mut other));
            this.len().cmp(&that.len()).then_with(|| this.cmp(that))
        } else {
            let ordering = first.to_ascii_lowercase().cmp(&second.to_ascii_lowercase());
            (one, other) = (&one[1..], &other[1..]);
            ordering
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}

/// Takes the digits that a text begins with, without leading zeros.
fn number<'t>(text: &mut &'t [u8]) -> &'t [u8] {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    &digits[zeros..]
}

/// Addresses by their numbers, IPv4 before IPv6; what is none comes after, as text.
fn by_address(one: &Seen<'_>, other: &Seen<'_>) -> Ordering {
    let address = |seen: &Seen<'_>| seen.text().and_then(|text| text.parse::<IpAddr>().ok());
    match (address(one), address(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => by_value(one, other),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;

    fn pod() -> Kind {
        Kind::new("", "v1", "Pod", "pods")
    }

    fn compare(order: &str, one: Option<&str>, other: Option<&str>) -> Ordering {
        let order = Order::parse(&pod(), Some(order)).unwrap();
        let value = |text: Option<&str>| {
            text.map_or(Seen::Missing, |text| {
                text.parse()
                    .map_or_else(|_| Seen::Text(Cow::Owned(text.to_owned())), Seen::Number)
            })
        };
        order.compare(&|_| value(one), &|_| value(other))
    }

    #[test]
    fn orders_are_read_and_compare() {
        assert_eq!(
            compare("metadata.name", Some("a"), Some("B")),
            Ordering::Less
        );
        assert_eq!(
            compare("-metadata.name", Some("a"), Some("B")),
            Ordering::Greater
        );
        assert_eq!(
            compare("metadata.fields[3]", Some("9"), Some("10")),
            Ordering::Less
        );
        assert_eq!(compare("metadata.name", None, Some("x")), Ordering::Greater);
        assert_eq!(
            compare("-metadata.name", None, Some("x")),
            Ordering::Greater
        );
        assert_eq!(
            compare("ip(status.podIP)", Some("10.0.0.9"), Some("10.0.0.10")),
            Ordering::Less
        );
        let natural =
            |one: &str, other: &str| compare("natural(metadata.name)", Some(one), Some(other));
        assert_eq!(natural("web-2", "web-10"), Ordering::Less);
        assert_eq!(natural("Web-10", "web-9x"), Ordering::Greater);
        assert_eq!(natural("web-02", "web-2"), Ordering::Equal);
        assert_eq!(natural("web", "web-1"), Ordering::Less);
        assert_eq!(natural("5 (3h ago)", "10 (2m ago)"), Ordering::Less);
        let order = Order::parse(&pod(), Some("-metadata.labels[a/b,c], metadata.name")).unwrap();
        assert_eq!(order.0.len(), 2);
        assert_eq!(order.0[0].field, Field::Label("a/b,c".to_owned()));
        assert_eq!(
            Order::parse(&pod(), Some("spec.nope")).unwrap_err().status,
            422
        );
    }

    fn word() -> impl Strategy<Value = Option<String>> {
        proptest::option::of("[aAbB0-9.:]{0,4}")
    }

    proptest! {
        #[test]
        fn an_order_is_total(mut words in proptest::collection::vec(word(), 0..12), way in 0_usize..3, descending: bool) {
            let field = ["ip(status.podIP)", "metadata.name", "natural(metadata.name)"][way];
            let order = format!("{}{field}", if descending { "-" } else { "" });
            // Panics if the comparison contradicts itself.
            words.sort_by(|one, other| compare(&order, one.as_deref(), other.as_deref()));
            for pair in words.windows(2) {
                prop_assert_ne!(compare(&order, pair[0].as_deref(), pair[1].as_deref()), Ordering::Greater);
            }
            for one in &words {
                for other in &words {
                    let there = compare(&order, one.as_deref(), other.as_deref());
                    prop_assert_eq!(there, compare(&order, other.as_deref(), one.as_deref()).reverse());
                }
            }
        }
    }
}
