//! The language of `filter`.
//!
//! Terms are separated by commas, any of which may be true: `key op value`
//! with `= == != ~ !~ < >`, `key in (a,b)`, `key notin (a,b)`,
//! `key contains v`, `key notcontains v`, `key` and `!key` (is there a value;
//! the peer knows this of labels only). Words come in any case, values in
//! quotes where they hold signs of the language (reference section 1.4).

use std::borrow::Cow;
use std::cmp::Ordering;

use drover_auth::web::ApiError;
use http::StatusCode;

use crate::fields::{Field, unquoted};
use crate::kind::Kind;

/// Terms of which one must be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) terms: Vec<Term>,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) field: Field,
    pub(crate) operator: Operator,
    pub(crate) values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Like,
    NotLike,
    Less,
    Greater,
    In,
    NotIn,
    Contains,
    NotContains,
    Exists,
    Absent,
}

/// The value of a field of one entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen<'e> {
    Missing,
    Text(Cow<'e, str>),
    Number(f64),
    Many(&'e [Box<str>]),
}

impl Seen<'_> {
    /// As text, lists joined as the peer stores them.
    pub(crate) fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Missing => None,
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Number(number) => Some(Cow::Owned(number.to_string())),
            Self::Many(values) => Some(Cow::Owned(values.join("|"))),
        }
    }
}

impl Term {
    /// Whether an entry with these values passes.
    pub(crate) fn accepts<'e>(&self, value: &impl Fn(&Field) -> Seen<'e>) -> bool {
        let seen = value(&self.field);
        let first = self.values.first().map_or("", String::as_str);
        let among = |text: &str| self.values.iter().any(|value| value == text);
        // Without a label, "is not x" holds; of other fields nothing is said.
        let absent = matches!(self.field, Field::Label(_));
        let with = |yes: &dyn Fn(&str) -> bool, missing: bool| {
            seen.text().map_or(missing, |text| yes(&text))
        };
        match self.operator {
            Operator::Equal => with(&|text| text == first, false),
            Operator::NotEqual => with(&|text| text != first, absent),
            Operator::Like => with(&|text| is_like(text, first), false),
            Operator::NotLike => with(&|text| !is_like(text, first), absent),
            Operator::In => with(&among, false),
            Operator::NotIn => with(&|text| !among(text), absent),
            Operator::Less => ordered(&seen, first) == Some(Ordering::Less),
            Operator::Greater => ordered(&seen, first) == Some(Ordering::Greater),
            Operator::Contains => has_member(&seen, first).unwrap_or(false),
            Operator::NotContains => !has_member(&seen, first).unwrap_or(absent),
            Operator::Exists => seen != Seen::Missing,
            Operator::Absent => seen == Seen::Missing,
        }
    }
}

impl Filter {
    /// Whether an entry with these values passes.
    pub(crate) fn accepts<'e>(&self, value: &impl Fn(&Field) -> Seen<'e>) -> bool {
        self.terms.iter().any(|term| term.accepts(value))
    }
}

/// Whether an entry with these values passes all filters.
pub(crate) fn accept<'e>(filters: &[Filter], value: &impl Fn(&Field) -> Seen<'e>) -> bool {
    filters.iter().all(|filter| filter.accepts(value))
}

/// Whether `part` occurs in `text`, in any case.
fn is_like(text: &str, part: &str) -> bool {
    let text = text.as_bytes();
    let Some((first, others)) = part.as_bytes().split_first() else {
        return true;
    };
    // Most places are ruled out by one letter.
    let first = first.to_ascii_lowercase();
    text.iter().enumerate().any(|(at, letter)| {
        letter.to_ascii_lowercase() == first
            && text[at + 1..]
                .get(..others.len())
                .is_some_and(|rest| rest.eq_ignore_ascii_case(others))
    })
}

fn ordered(seen: &Seen<'_>, value: &str) -> Option<Ordering> {
    let text = seen.text()?;
    match (text.parse::<f64>(), value.parse::<f64>()) {
        (Ok(one), Ok(other)) => one.partial_cmp(&other),
        _ => Some(text.as_ref().cmp(value)),
    }
}

fn has_member(seen: &Seen<'_>, value: &str) -> Option<bool> {
    match seen {
        Seen::Missing => None,
        Seen::Many(values) => Some(values.iter().any(|one| **one == *value)),
        Seen::Text(text) => Some(text.split('|').any(|one| one == value)),
        Seen::Number(number) => Some(number.to_string() == value),
    }
}

/// 422: what the caller wrote is wrong, where the peer says that the server is (500).
fn malformed(text: &str, what: &str) -> ApiError {
    let shown: String = text.chars().take(120).collect();
    ApiError::invalid("InvalidFormat", format!("filter {shown:?}: {what}")).with_field("filter")
}

/// Reads one `filter` parameter.
///
/// # Errors
/// 422 for a field that lists of the kind do not know, and for what is not in the language.
pub(crate) fn parse(kind: &Kind, text: &str) -> Result<Filter, ApiError> {
    let terms = split(text)
        .map_err(|what| malformed(text, what))?
        .into_iter()
        .map(|term| {
            let (key, operator, values) = read(term).map_err(|what| malformed(text, what))?;
            let field = Field::parse(kind, key)?;
            let asks_existence = matches!(operator, Operator::Exists | Operator::Absent);
            if asks_existence && !matches!(field, Field::Label(_) | Field::Own(_)) {
                return Err(malformed(
                    text,
                    "only labels and fields of the kind can be asked for existence",
                ));
            }
            Ok(Term {
                field,
                operator,
                values,
            })
        })
        .collect::<Result<_, ApiError>>()?;
    Ok(Filter { terms })
}

/// Where a text is: inside which signs.
#[derive(Default)]
struct Nesting {
    quote: Option<char>,
    depth: u32,
}

impl Nesting {
    /// Takes a letter; whether it stands outside of everything.
    fn take(&mut self, letter: char) -> bool {
        match (self.quote, letter) {
            (Some(quote), _) if quote == letter => self.quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => self.quote = Some(letter),
            (None, '(' | '[') => self.depth += 1,
            (None, ')' | ']') => self.depth = self.depth.saturating_sub(1),
            (None, _) => return self.depth == 0,
        }
        false
    }
}

/// Splits at commas outside of quotes, brackets and parentheses.
fn split(text: &str) -> Result<Vec<&str>, &'static str> {
    let mut parts = Vec::new();
    let (mut start, mut nesting) = (0, Nesting::default());
    for (at, letter) in text.char_indices() {
        if nesting.take(letter) && letter == ',' {
            parts.push(text[start..at].trim());
            start = at + 1;
        }
    }
    if nesting.quote.is_some() || nesting.depth > 0 {
        return Err("a quote or parenthesis is not closed");
    }
    parts.push(text[start..].trim());
    if parts.iter().any(|part| part.is_empty()) {
        return Err("a term is empty");
    }
    Ok(parts)
}

/// Signs and words; longer ones first.
const SIGNS: [(&str, Operator); 7] = [
    ("!=", Operator::NotEqual),
    ("!~", Operator::NotLike),
    ("==", Operator::Equal),
    ("=", Operator::Equal),
    ("~", Operator::Like),
    ("<", Operator::Less),
    (">", Operator::Greater),
];
const WORDS: [(&str, Operator); 4] = [
    ("in", Operator::In),
    ("notin", Operator::NotIn),
    ("contains", Operator::Contains),
    ("notcontains", Operator::NotContains),
];

type Read<'t> = (&'t str, Operator, Vec<String>);

fn read(term: &str) -> Result<Read<'_>, &'static str> {
    if let Some(key) = term.strip_prefix('!') {
        let key = key.trim();
        return if is_key(key) {
            Ok((key, Operator::Absent, Vec::new()))
        } else {
            Err("a key is expected after !")
        };
    }
    let end = key_end(term);
    let (key, rest) = term.split_at(end);
    let (key, rest) = (key.trim(), rest.trim());
    if !is_key(key) {
        return Err("a key is expected");
    }
    if rest.is_empty() {
        return Ok((key, Operator::Exists, Vec::new()));
    }
    for (sign, operator) in SIGNS {
        if let Some(value) = rest.strip_prefix(sign) {
            return Ok((key, operator, vec![value_of(value)?]));
        }
    }
    let word_end = rest
        .find(|letter: char| !letter.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    let (word, value) = rest.split_at(word_end);
    let operator = WORDS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(word))
        .map(|(_, operator)| *operator)
        .ok_or("no such operator")?;
    let value = value.trim();
    let list = value
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    let values = match (operator, list) {
        (Operator::In | Operator::NotIn, Some(list)) if list.trim().is_empty() => Vec::new(),
        (Operator::In | Operator::NotIn, Some(list)) => split(list)?
            .into_iter()
            .map(value_of)
            .collect::<Result<_, _>>()?,
        (Operator::In | Operator::NotIn, None) => return Err("a list in parentheses is expected"),
        (_, _) => vec![value_of(list.unwrap_or(value))?],
    };
    Ok((key, operator, values))
}

/// Where the key of a term ends: at a sign or a space outside of brackets.
fn key_end(term: &str) -> usize {
    let mut nesting = Nesting::default();
    for (at, letter) in term.char_indices() {
        let outside = nesting.take(letter);
        if outside && (matches!(letter, '=' | '!' | '~' | '<' | '>') || letter.is_whitespace()) {
            return at;
        }
    }
    term.len()
}

fn is_key(key: &str) -> bool {
    !key.is_empty()
        && !key
            .chars()
            .any(|letter| letter.is_whitespace() || letter.is_control() || letter == ',')
}

/// A value; outside of quotes it holds no sign of the language.
fn value_of(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let inner = unquoted(text);
    if inner.len() == text.len() && text.starts_with(['"', '\'']) {
        return Err("a quote is not closed");
    }
    Ok(inner.to_owned())
}

/// A label selector of Kubernetes, each requirement a filter of its own.
///
/// # Errors
/// 400 for what is no selector.
pub(crate) fn label_selector(text: &str) -> Result<Vec<Filter>, ApiError> {
    let foreign = [
        Operator::Like,
        Operator::NotLike,
        Operator::Contains,
        Operator::NotContains,
    ];
    selector("labelSelector", text, |key, operator| {
        (!foreign.contains(&operator)).then(|| Ok(Field::Label(key.to_owned())))
    })
}

/// A field selector of Kubernetes, over the fields that lists know.
///
/// # Errors
/// 400 for what is no selector, 422 for other fields.
pub(crate) fn field_selector(kind: &Kind, text: &str) -> Result<Vec<Filter>, ApiError> {
    selector("fieldSelector", text, |key, operator| {
        matches!(operator, Operator::Equal | Operator::NotEqual).then(|| Field::parse(kind, key))
    })
}

/// The requirements of a selector; `field` tells what a key means, and nothing for an operator that it does not know.
fn selector(
    parameter: &str,
    text: &str,
    field: impl Fn(&str, Operator) -> Option<Result<Field, ApiError>>,
) -> Result<Vec<Filter>, ApiError> {
    let bad = |what: &str| {
        let message = format!("{parameter}: {what}");
        ApiError::new(StatusCode::BAD_REQUEST, "BadRequest", message).with_field(parameter)
    };
    split(text)
        .map_err(bad)?
        .into_iter()
        .map(|term| {
            let (key, operator, values) = read(term).map_err(bad)?;
            let field = field(key, operator).ok_or_else(|| bad("no such operator"))??;
            Ok(Filter {
                terms: vec![Term {
                    field,
                    operator,
                    values,
                }],
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
