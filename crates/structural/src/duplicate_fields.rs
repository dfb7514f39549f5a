//! Fields that stand twice in one JSON object.
//!
//! A parsed value no longer knows of them, so this looks at the bytes. Owns the walk and the limit of its depth; what is
//! no JSON is left to the parser.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// The paths of repeated fields, each as often as it is repeated, in order: `spec.containers[0].name`. At most `limit`.
///
/// # Errors
///
/// Bytes that are no JSON.
pub fn duplicate_fields(json: &[u8], limit: usize) -> Result<Vec<String>, serde_json::Error> {
    let mut state = State {
        path: String::new(),
        found: Vec::new(),
        limit,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    Walk(&mut state).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(state.found)
}

struct State {
    path: String,
    found: Vec<String>,
    limit: usize,
}

struct Walk<'a>(&'a mut State);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Field names compare as borrowed text where the JSON has no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = std::borrow::Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = std::borrow::Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(text.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.to_owned().into())
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let length = self.0.path.len();
        let mut index = 0usize;
        loop {
            self.0.path.push_str(&format!("[{index}]"));
            let more = items.next_element_seed(Walk(self.0))?.is_some();
            self.0.path.truncate(length);
            if !more {
                return Ok(());
            }
            index = index
                .checked_add(1)
                .ok_or_else(|| A::Error::custom("too many items"))?;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let length = self.0.path.len();
        let mut seen = BTreeSet::new();
        while let Some(name) = fields.next_key_seed(Name)? {
            if length > 0 {
                self.0.path.push('.');
            }
            self.0.path.push_str(&name);
            if !seen.insert(name) && self.0.found.len() < self.0.limit {
                self.0.found.push(self.0.path.clone());
            }
            fields.next_value_seed(Walk(self.0))?;
            self.0.path.truncate(length);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_fields_are_found_wherever_they_are() {
        let check = |json: &str, expected: &[&str]| {
            assert_eq!(
                duplicate_fields(json.as_bytes(), 100).unwrap(),
                expected,
                "{json}"
            );
        };
        check(r#"{"a": 1, "b": [1, {"c": null}]}"#, &[]);
        check(r#"{"a": 1, "a": 2, "a": 3}"#, &["a", "a"]);
        check(
            r#"{"spec": {"list": [{"x": 1}, {"y": {"z": 1, "z": true}}], "a": "b", "\u0061": 1.5}}"#,
            &["spec.list[1].y.z", "spec.a"],
        );
        assert_eq!(
            duplicate_fields(br#"{"a":1,"a":1,"a":1}"#, 1)
                .unwrap()
                .len(),
            1
        );
        assert!(duplicate_fields(b"{", 1).is_err());
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        assert!(duplicate_fields(deep.as_bytes(), 1).is_err());
    }
}
