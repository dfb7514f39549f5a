//! Objects without `metadata.managedFields`: often half of an object, and only the API server and who asks for it read it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// The way to what is left out.
pub const LEFT_OUT: [&str; 2] = ["metadata", "managedFields"];

/// Reads an object.
///
/// # Errors
/// If it is no JSON object.
pub fn read(text: &[u8]) -> serde_json::Result<Value> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let object = deserialize(&mut reader)?;
    reader.end()?;
    Ok(object)
}

/// [`read`] as a part of something larger.
///
/// # Errors
/// If it is no object.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    deserializer
        .deserialize_map(Without(&LEFT_OUT))
        .map(Value::Object)
}

/// A value without what lies at the end of the way, if it is an object.
struct Without<'w>(&'w [&'w str]);

impl<'de> Visitor<'de> for Without<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            match self.0 {
                [last] if *last == key => {
                    map.next_value::<IgnoredAny>()?;
                }
                [first, rest @ ..] if *first == key => {
                    let value = map.next_value_seed(Inner(rest))?;
                    fields.insert(key, value);
                }
                _ => {
                    let value = map.next_value()?;
                    fields.insert(key, value);
                }
            }
        }
        Ok(fields)
    }
}

/// The value at a step of the way: an object, or whatever it is.
struct Inner<'w>(&'w [&'w str]);

impl<'de> DeserializeSeed<'de> for Inner<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer
            .deserialize_map(Without(self.0))
            .map(Value::Object)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        /// Only what is left out is gone, wherever else its name stands.
        #[test]
        fn the_rest_is_as_it_was(text in "[a-z\"\\\\\u{1f600}]{0,8}", number: i64, managed: bool) {
            let mut object = json!({"managedFields": text, "metadata": {"name": text, "annotations": {"managedFields": number}},
                "data": [{"metadata": {"managedFields": text}}, number, null]});
            let expected = object.clone();
            if managed {
                object["metadata"]["managedFields"] = json!([{"manager": text}]);
            }
            prop_assert_eq!(read(object.to_string().as_bytes()).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["[]", "5", "{\"metadata\": 5}", "{} {}", "{\"a\""] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
