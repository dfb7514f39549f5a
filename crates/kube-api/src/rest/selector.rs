//! Label and field selectors: the grammar clients send and its meaning.
//!
//! The grammars are those of apimachinery `pkg/labels/selector.go` and `pkg/fields/selector.go`. Parsing never panics and
//! its work is linear in the text; the text's length is bounded by the URL.

use std::collections::BTreeMap;

use drover_structural::names;
use serde_json::Value;

/// A refused selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectorError {
    #[error("unable to parse requirement: {0}")]
    Requirement(String),
    /// What stands between requirements.
    #[error("{0}")]
    Between(String),
    /// A backslash before what needs none.
    #[error("invalid field selector: invalid escape sequence: {0}")]
    Escape(String),
    #[error("invalid selector: '{selector}'; can't understand '{part}'")]
    Field { selector: String, part: String },
}

/// A parsed `labelSelector`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    rule: Rule,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
    Greater(i64),
    Less(i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Equals,
    DoubleEquals,
    NotEquals,
    Not,
    Comma,
    Open,
    Close,
    Greater,
    Less,
    End,
}

impl Token<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Equals => "=",
            Self::DoubleEquals => "==",
            Self::NotEquals => "!=",
            Self::Not => "!",
            Self::Comma => ",",
            Self::Open => "(",
            Self::Close => ")",
            Self::Greater => ">",
            Self::Less => "<",
            Self::End => "",
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Token<'a> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        for (text, token) in [
            ("==", Token::DoubleEquals),
            ("!=", Token::NotEquals),
            ("=", Token::Equals),
            ("!", Token::Not),
            (",", Token::Comma),
            ("(", Token::Open),
            (")", Token::Close),
            (">", Token::Greater),
            ("<", Token::Less),
        ] {
            if let Some(rest) = self.rest.strip_prefix(text) {
                self.rest = rest;
                return token;
            }
        }
        if self.rest.is_empty() {
            return Token::End;
        }
        let end = self
            .rest
            .find([' ', '\t', '\r', '\n', '=', '!', ',', '(', ')', '>', '<'])
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Token::Word(word)
    }

    fn peek(&self) -> Token<'a> {
        Lexer { rest: self.rest }.next()
    }
}

fn syntax(found: &Token<'_>, expected: &str) -> SelectorError {
    SelectorError::Requirement(format!(
        "found '{}'{} expected: {expected}",
        found.text(),
        if expected == "'('" { "" } else { "," }
    ))
}

fn between(found: &Token<'_>, expected: &str) -> SelectorError {
    SelectorError::Between(format!("found '{}', expected: {expected}", found.text()))
}

impl LabelSelector {
    /// Parses a selector; an empty text selects everything.
    pub(crate) fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut lexer = Lexer { rest: text };
        let mut requirements = Vec::new();
        match lexer.peek() {
            Token::End => return Ok(Self::default()),
            Token::Word(_) | Token::Not => {}
            other => {
                return Err(between(&other, "!, identifier, or 'end of string'"));
            }
        }
        loop {
            requirements.push(requirement(&mut lexer)?);
            match lexer.next() {
                Token::End => break,
                Token::Comma => match lexer.peek() {
                    Token::Word(_) | Token::Not => {}
                    other => return Err(between(&other, "identifier after ','")),
                },
                other => return Err(between(&other, "',' or 'end of string'")),
            }
        }
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { requirements })
    }

    /// Selects everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels.0.get(&requirement.key);
            match &requirement.rule {
                Rule::In(values) => value.is_some_and(|value| values.contains(value)),
                Rule::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
                Rule::Exists => value.is_some(),
                Rule::Absent => value.is_none(),
                Rule::Greater(bound) => number(value).is_some_and(|n| n > *bound),
                Rule::Less(bound) => number(value).is_some_and(|n| n < *bound),
            }
        })
    }
}

fn number(value: Option<&String>) -> Option<i64> {
    value?.parse().ok()
}

fn requirement(lexer: &mut Lexer<'_>) -> Result<Requirement, SelectorError> {
    let absent = lexer.peek() == Token::Not;
    if absent {
        lexer.next();
    }
    let key = match lexer.next() {
        Token::Word(word) => label_key(word)?,
        other => return Err(syntax(&other, "identifier")),
    };
    if absent {
        return Ok(Requirement {
            key,
            rule: Rule::Absent,
        });
    }
    if matches!(lexer.peek(), Token::End | Token::Comma) {
        return Ok(Requirement {
            key,
            rule: Rule::Exists,
        });
    }
    let operator = lexer.next();
    let rule = match operator {
        Token::Equals | Token::DoubleEquals => Rule::In(vec![exact(&key, lexer)?]),
        Token::NotEquals => Rule::NotIn(vec![exact(&key, lexer)?]),
        Token::Word("in") => Rule::In(values(&key, lexer)?),
        Token::Word("notin") => Rule::NotIn(values(&key, lexer)?),
        Token::Greater => Rule::Greater(bound(&exact(&key, lexer)?)?),
        Token::Less => Rule::Less(bound(&exact(&key, lexer)?)?),
        other => {
            return Err(syntax(&other, "in, notin, =, ==, !=, gt, lt"));
        }
    };
    Ok(Requirement { key, rule })
}

fn bound(text: &str) -> Result<i64, SelectorError> {
    text.parse().map_err(|_| {
        SelectorError::Requirement(format!(
            "values[0]: Invalid value: {text:?}: for 'Gt', 'Lt' operators, the value must be an integer"
        ))
    })
}

/// The value after an operator; none at all means the empty value.
fn exact(key: &str, lexer: &mut Lexer<'_>) -> Result<String, SelectorError> {
    match lexer.peek() {
        Token::End | Token::Comma => Ok(String::new()),
        Token::Word(_) => match lexer.next() {
            Token::Word(word) => label_value(key, word),
            other => Err(syntax(&other, "identifier")),
        },
        other => Err(syntax(&other, "identifier")),
    }
}

/// `(a, b)`, where an empty place is the empty value.
fn values(key: &str, lexer: &mut Lexer<'_>) -> Result<Vec<String>, SelectorError> {
    match lexer.next() {
        Token::Open => {}
        other => return Err(syntax(&other, "'('")),
    }
    let mut values = Vec::new();
    loop {
        match lexer.next() {
            Token::Word(word) => {
                values.push(label_value(key, word)?);
                match lexer.next() {
                    Token::Comma => {
                        if lexer.peek() == Token::Close {
                            values.push(String::new());
                        }
                    }
                    Token::Close => break,
                    other => return Err(syntax(&other, "',' or ')'")),
                }
            }
            Token::Comma => values.push(String::new()),
            Token::Close => {
                if values.is_empty() {
                    values.push(String::new());
                }
                break;
            }
            other => return Err(syntax(&other, "',', ')' or identifier")),
        }
    }
    Ok(values)
}

fn label_key(key: &str) -> Result<String, SelectorError> {
    let problems = names::qualified_name(key);
    if problems.is_empty() {
        return Ok(key.to_owned());
    }
    Err(SelectorError::Requirement(format!(
        "<nil>: Invalid value: {key:?}: {}",
        problems.join("; ")
    )))
}

fn label_value(key: &str, value: &str) -> Result<String, SelectorError> {
    let problems = names::label_value(value);
    if problems.is_empty() {
        return Ok(value.to_owned());
    }
    Err(SelectorError::Requirement(format!(
        "values[0][{key}]: Invalid value: {value:?}: {}",
        problems.join("; ")
    )))
}

/// The labels of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Labels(pub(crate) BTreeMap<String, String>);

impl Labels {
    /// Reads `metadata.labels` without building the rest of the object.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        #[derive(serde::Deserialize)]
        struct Object {
            metadata: Metadata,
        }
        #[derive(serde::Deserialize)]
        struct Metadata {
            #[serde(default)]
            labels: Option<BTreeMap<String, String>>,
        }
        serde_json::from_slice::<Object>(bytes)
            .map(|object| Self(object.metadata.labels.unwrap_or_default()))
            .unwrap_or_default()
    }
}

/// A parsed `fieldSelector`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSelector {
    terms: Vec<FieldTerm>,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldTerm {
    pub(crate) path: String,
    pub(crate) equal: bool,
    pub(crate) value: String,
}

impl FieldSelector {
    /// Parses `a=b,c!=d`, with `\`, `,` and `=` escaped by a backslash in values.
    pub(crate) fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut terms = Vec::new();
        for part in split_terms(text) {
            if part.is_empty() {
                continue;
            }
            let wrong = || SelectorError::Field {
                selector: text.to_owned(),
                part: part.to_owned(),
            };
            let (path, equal, value) = split_operator(part).ok_or_else(wrong)?;
            terms.push(FieldTerm {
                path: path.to_owned(),
                equal,
                value: unescape(value).map_err(|escape| match escape {
                    Some(escape) => SelectorError::Escape(escape),
                    None => wrong(),
                })?,
            });
        }
        Ok(Self { terms })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    pub(crate) fn terms(&self) -> &[FieldTerm] {
        &self.terms
    }

    /// The value `path` must have, if the selector demands one.
    pub(crate) fn exactly(&self, path: &str) -> Option<&str> {
        self.terms
            .iter()
            .find(|term| term.equal && term.path == path)
            .map(|term| term.value.as_str())
    }

    /// Whether `lookup` answers as the selector demands.
    pub(crate) fn matches(&self, mut lookup: impl FnMut(&str) -> String) -> bool {
        self.terms
            .iter()
            .all(|term| (lookup(&term.path) == term.value) == term.equal)
    }
}

fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == ',' {
            terms.push(&text[start..index]);
            start = index + 1;
        }
    }
    terms.push(&text[start..]);
    terms
}

fn split_operator(term: &str) -> Option<(&str, bool, &str)> {
    for (index, _) in term.char_indices() {
        let rest = &term[index..];
        if let Some(value) = rest.strip_prefix("!=") {
            return Some((&term[..index], false, value));
        }
        if let Some(value) = rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')) {
            return Some((&term[..index], true, value));
        }
    }
    None
}

/// The plain text, or the sequence that is wrong, if it is one.
fn unescape(value: &str) -> Result<String, Option<String>> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                Some(c) => return Err(Some(format!("\\{c}"))),
                None => return Err(Some("\\".to_owned())),
            },
            ',' | '=' => return Err(None),
            c => out.push(c),
        }
    }
    Ok(out)
}

/// The text of the field at a dotted path, empty if there is none: how selectors see fields.
pub(crate) fn field_text(object: &Value, path: &str) -> String {
    let mut at = object;
    for part in path.split('.') {
        match at.get(part) {
            Some(next) => at = next,
            None => return String::new(),
        }
    }
    match at {
        Value::String(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels(
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn label_selectors_select() {
        let check = |text: &str, pairs: &[(&str, &str)], expected: bool| {
            let selector = LabelSelector::parse(text).unwrap();
            assert_eq!(
                selector.matches(&labels(pairs)),
                expected,
                "{text} on {pairs:?}"
            );
        };
        check("", &[], true);
        check("a=b", &[("a", "b")], true);
        check("a==b", &[("a", "c")], false);
        check("a!=b", &[], true);
        check("a", &[("a", "")], true);
        check("!a", &[("a", "")], false);
        check("a in (x, y)", &[("a", "y")], true);
        check("a in (,y)", &[("a", "")], true);
        check("a notin (x,y)", &[("a", "y")], false);
        check("a notin (x)", &[], true);
        check("a>3,a<10", &[("a", "4")], true);
        check("a>3", &[("a", "3")], false);
        check("x/y = z , b", &[("x/y", "z"), ("b", "1")], true);
        check("a=", &[("a", "")], true);
        check("in in (in)", &[("in", "in")], true);
    }

    #[test]
    fn bad_label_selectors_are_refused() {
        for text in [
            ",", "a,", "a in", "a in (", "a in x", "=b", "a=b c", "!", "a>x", "-a", "a=&",
            "a b (c)",
        ] {
            assert!(LabelSelector::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn field_selectors_select() {
        let object = serde_json::json!({"metadata": {"name": "n"}, "spec": {"on": true, "n": 3, "x": "a,b"}});
        let check = |text: &str, expected: bool| {
            let selector = FieldSelector::parse(text).unwrap();
            assert_eq!(
                selector.matches(|path| field_text(&object, path)),
                expected,
                "{text}"
            );
        };
        check("", true);
        check("metadata.name=n", true);
        check("metadata.name!=n", false);
        check("spec.on=true,spec.n==3", true);
        check("spec.none=", true);
        check("spec.x=a\\,b", true);
        assert!(FieldSelector::parse("a").is_err());
        assert!(FieldSelector::parse("a=b=c").is_err());
        assert!(FieldSelector::parse("a=\\x").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,64}") {
            let _ = LabelSelector::parse(&text);
            let _ = FieldSelector::parse(&text);
        }
    }
}
