//! Semantic versions (k8s.io/apiserver `cel/library/semverlib.go`, v0.36).

use std::cmp::Ordering;
use std::fmt;
use std::rc::Rc;

use super::{Outcome, Value, failed};

/// A semantic version; what follows a plus sign does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Semver {
    numbers: [u64; 3],
    before: Vec<Part>,
    build: String,
}

/// A part of what stands before a release; numbers come before words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Word(String),
}

fn number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    (plain && !leading_zero).then(|| text.parse().ok())?
}

fn is_word(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty() && text.bytes().all(known)
}

impl Semver {
    fn parse(text: &str) -> Option<Self> {
        let (rest, build) = match text.split_once('+') {
            Some((rest, build)) => (rest, Some(build)),
            None => (text, None),
        };
        let (core, before) = match rest.split_once('-') {
            Some((core, before)) => (core, Some(before)),
            None => (rest, None),
        };
        let mut numbers = core.splitn(3, '.').map(number);
        let numbers = [numbers.next()??, numbers.next()??, numbers.next()??];
        let before = match before {
            None => Vec::new(),
            Some(before) => before
                .split('.')
                .map(|part| match number(part) {
                    Some(number) => Some(Part::Number(number)),
                    None if part.bytes().all(|byte| byte.is_ascii_digit()) => None,
                    None => is_word(part).then(|| Part::Word(part.to_owned())),
                })
                .collect::<Option<_>>()?,
        };
        if build.is_some_and(|build| !build.split('.').all(is_word)) {
            return None;
        }
        Some(Self {
            numbers,
            before,
            build: build.unwrap_or_default().to_owned(),
        })
    }

    /// As [`Semver::parse`], of a text that may begin with a `v`, have leading zeros and lack numbers.
    fn parse_loosely(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let mut parts = text.splitn(3, '.').map(without_zeros).collect::<Vec<_>>();
        if parts.len() < 3 && parts.last()?.contains(['+', '-']) {
            return None;
        }
        parts.resize(3, "0".to_owned());
        Self::parse(&parts.join("."))
    }
}

fn without_zeros(part: &str) -> String {
    let rest = part.trim_start_matches('0');
    if part.len() > 1 && !rest.starts_with(|c: char| c.is_ascii_digit()) {
        format!("0{rest}")
    } else if part.len() > 1 {
        rest.to_owned()
    } else {
        part.to_owned()
    }
}

impl PartialOrd for Semver {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Semver {
    fn cmp(&self, other: &Self) -> Ordering {
        let numbers = self.numbers.cmp(&other.numbers);
        numbers.then_with(|| match (&self.before[..], &other.before[..]) {
            ([], []) => Ordering::Equal,
            ([], _) => Ordering::Greater,
            (_, []) => Ordering::Less,
            (a, b) => a.cmp(b),
        })
    }
}

impl fmt::Display for Semver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        for (index, part) in self.before.iter().enumerate() {
            f.write_str(if index == 0 { "-" } else { "." })?;
            match part {
                Part::Number(number) => write!(f, "{number}")?,
                Part::Word(word) => f.write_str(word)?,
            }
        }
        if !self.build.is_empty() {
            write!(f, "+{}", self.build)?;
        }
        Ok(())
    }
}

pub(super) fn call<'a>(name: &str, all: &[Value<'a>]) -> Option<Outcome<'a>> {
    let parsed = |text: &str, loosely: bool| {
        if loosely {
            Semver::parse_loosely(text)
        } else {
            Semver::parse(text)
        }
    };
    let loosely = match all.get(1) {
        Some(Value::Bool(loosely)) => *loosely,
        _ => false,
    };
    let count = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    Some(match (name, all) {
        ("isSemver", [Value::Text(text)] | [Value::Text(text), Value::Bool(_)]) => {
            Ok(Value::Bool(parsed(text, loosely).is_some()))
        }
        ("semver", [Value::Text(text)] | [Value::Text(text), Value::Bool(_)]) => {
            match parsed(text, loosely) {
                Some(version) => Ok(Value::Semver(Rc::new(version))),
                None => Err(failed("No Major.Minor.Patch elements found")),
            }
        }
        ("isGreaterThan", [Value::Semver(a), Value::Semver(b)]) => Ok(Value::Bool(a > b)),
        ("isLessThan", [Value::Semver(a), Value::Semver(b)]) => Ok(Value::Bool(a < b)),
        ("compareTo", [Value::Semver(a), Value::Semver(b)]) => Ok(Value::Int(a.cmp(b) as i64)),
        ("major", [Value::Semver(version)]) => Ok(count(version.numbers[0])),
        ("minor", [Value::Semver(version)]) => Ok(count(version.numbers[1])),
        ("patch", [Value::Semver(version)]) => Ok(count(version.numbers[2])),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        let ordered = [
            "0.9.0",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-2x",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "2.0.0",
        ];
        let versions = ordered.map(|text| Semver::parse(text).expect(text));
        let mut sorted = versions.to_vec();
        sorted.sort();
        let alpha = Semver::parse("1.0.0-2x").unwrap();
        assert!(alpha < versions[1], "digits before letters");
        assert!(versions[5] < versions[6], "numbers as numbers");
        assert!(versions[8] > versions[7] && versions[8] < versions[9]);
        for wrong in [
            "1.0", "v1.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.0+", "one",
        ] {
            assert_eq!(Semver::parse(wrong), None, "{wrong}");
        }
        let loose = |text: &str| Semver::parse_loosely(text).map(|version| version.to_string());
        assert_eq!(loose("v01.00"), Some("1.0.0".to_owned()));
        assert_eq!(loose("1-rc"), None);
        assert_eq!(loose("1.2.3-rc+x"), Some("1.2.3-rc+x".to_owned()));
    }
}
