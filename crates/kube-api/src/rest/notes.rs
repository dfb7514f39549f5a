//! What a body says beside its value: fields that occur twice, and the order of all.
//!
//! A decoded object has lost both, and `fieldValidation` reports them: the last of two fields wins, as in Go, and the
//! real server tells of each problem in the order in which it met them.

use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Notes on one body. The default is of a body that was made and not sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes {
    /// Paths of fields that occur more than once, as `a.b[0].c`.
    pub(crate) duplicates: Vec<String>,
    /// JSON in its order; empty if there is none to tell.
    body: Bytes,
}

/// A problem of a field.
#[derive(Debug)]
pub(crate) enum Problem {
    Unknown(String),
    Duplicate(String),
}

impl Problem {
    fn path(&self) -> &str {
        match self {
            Self::Unknown(path) | Self::Duplicate(path) => path,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(path) => write!(f, "unknown field {path:?}"),
            Self::Duplicate(path) => write!(f, "duplicate field {path:?}"),
        }
    }
}

impl Notes {
    pub(crate) fn new(duplicates: Vec<String>, body: Bytes) -> Self {
        Self { duplicates, body }
    }

    /// Brings problems into the order of the body.
    pub(crate) fn sort(&self, problems: &mut [Problem]) {
        if problems.len() < 2 || self.body.is_empty() {
            return;
        }
        let mut places: HashMap<String, Vec<usize>> = problems
            .iter()
            .map(|problem| (problem.path().to_owned(), Vec::new()))
            .collect();
        let walk = Walk {
            path: &mut String::new(),
            met: &mut 0,
            places: &mut places,
        };
        let mut reader = serde_json::Deserializer::from_slice(&self.body);
        if walk.deserialize(&mut reader).is_err() {
            return;
        }
        problems.sort_by_key(|problem| {
            let met = places.get(problem.path());
            let met = met.map(Vec::as_slice).unwrap_or_default();
            match problem {
                Problem::Unknown(_) => met.first(),
                Problem::Duplicate(_) => met.get(1),
            }
            .copied()
        });
    }
}

/// Counts fields and notes when those of interest are met.
struct Walk<'a> {
    path: &'a mut String,
    met: &'a mut usize,
    places: &'a mut HashMap<String, Vec<usize>>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let length = self.path.len();
        for index in 0.. {
            self.path.push_str(&format!("[{index}]"));
            let walk = Walk {
                path: self.path,
                met: self.met,
                places: self.places,
            };
            let more = list.next_element_seed(walk)?;
            self.path.truncate(length);
            if more.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let length = self.path.len();
        while let Some(key) = map.next_key::<String>()? {
            if length > 0 {
                self.path.push('.');
            }
            self.path.push_str(&key);
            *self.met += 1;
            if let Some(places) = self.places.get_mut(self.path.as_str()) {
                places.push(*self.met);
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(Walk {
                    path: self.path,
                    met: self.met,
                    places: self.places,
                })?;
            }
            self.path.truncate(length);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_come_in_the_order_of_the_body() {
        let body = Bytes::from_static(br#"{"b":{"x":1},"z":2,"l":[{"d":1,"d":2}],"a":3}"#);
        let notes = Notes::new(vec!["l[0].d".to_owned()], body);
        let mut problems = [
            Problem::Unknown("a".to_owned()),
            Problem::Unknown("b.x".to_owned()),
            Problem::Unknown("z".to_owned()),
            Problem::Duplicate("l[0].d".to_owned()),
        ];
        notes.sort(&mut problems);
        let paths = problems.each_ref().map(Problem::path);
        assert_eq!(paths, ["b.x", "z", "l[0].d", "a"]);
    }
}
