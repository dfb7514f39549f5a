//! Bodies: reading them within limits, and JSON or YAML to values.
//!
//! The JSON reader notes fields that occur twice, which `fieldValidation` reports; the last one wins, as in Go.

use std::fmt;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::BoxError;
use crate::protobuf::ProtobufError;
use crate::rest::notes::Notes;
use crate::status::StatusError;

/// The body of a request.
pub(super) trait RequestBody:
    http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static
{
}

impl<B> RequestBody for B where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static
{
}

/// A decoded body.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    pub(super) value: Value,
    pub(super) notes: Notes,
}

/// Reads a body of at most `limit` bytes.
pub(super) async fn read<B: RequestBody>(body: B, limit: usize) -> Result<Bytes, StatusError> {
    let too_large =
        || StatusError::request_too_large(format!("Request entity too large: limit is {limit}"));
    if http_body::Body::size_hint(&body).lower() > limit as u64 {
        return Err(too_large());
    }
    let mut body = std::pin::pin!(body);
    let mut read = BytesMut::new();
    while let Some(frame) = body.as_mut().frame().await {
        let frame = frame.map_err(|error| {
            let error: BoxError = error.into();
            StatusError::bad_request(format!("the body could not be read: {error}"))
        })?;
        if let Ok(data) = frame.into_data() {
            if read.len() + data.len() > limit {
                return Err(too_large());
            }
            read.extend_from_slice(&data);
        }
    }
    Ok(read.freeze())
}

/// Decodes JSON.
pub(super) fn json(bytes: &Bytes) -> Result<Decoded, String> {
    let mut duplicates = Vec::new();
    let mut path = String::new();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Reader {
        path: &mut path,
        duplicates: &mut duplicates,
    }
    .deserialize(&mut reader)
    .and_then(|value| reader.end().map(|()| value))
    .map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => "unexpected end of JSON input".to_owned(),
        _ => error.to_string(),
    })?;
    Ok(Decoded {
        value,
        notes: Notes::new(duplicates, bytes.clone()),
    })
}

/// Decodes YAML, of which JSON is a part.
pub(super) fn yaml(bytes: &Bytes) -> Result<Decoded, String> {
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
        && let Ok(decoded) = json(bytes)
    {
        return Ok(decoded);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let value: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    Ok(Decoded {
        value,
        notes: Notes::default(),
    })
}

/// The start of a body, as errors quote it (apiserver `handlers/rest.go`, `summarizeData`).
pub(crate) fn summary(bytes: &[u8]) -> String {
    const LENGTH: usize = 30;
    let Some(first) = bytes.first() else {
        return "<empty>".to_owned();
    };
    let head = bytes.get(..LENGTH).unwrap_or(bytes);
    let text = if *first == b'{' {
        String::from_utf8_lossy(head).into_owned()
    } else {
        hex::encode(head)
    };
    if bytes.len() > LENGTH {
        format!("{text} ...")
    } else {
        text
    }
}

/// Decodes protobuf, for built-in kinds.
pub(super) fn protobuf(bytes: &[u8]) -> Result<Decoded, StatusError> {
    let value = crate::protobuf::decode(bytes).map_err(|error| match error {
        // Custom resources have no form in protobuf.
        ProtobufError::Kind(_) => StatusError::unsupported_media_type(super::negotiate::BODY_TYPES),
        other => StatusError::bad_request(other.to_string()),
    })?;
    Ok(Decoded {
        value,
        notes: Notes::default(),
    })
}

struct Reader<'a> {
    path: &'a mut String,
    duplicates: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        let length = self.path.len();
        loop {
            self.path.push_str(&format!("[{}]", values.len()));
            let next = list.next_element_seed(Reader {
                path: self.path,
                duplicates: self.duplicates,
            })?;
            self.path.truncate(length);
            match next {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        let length = self.path.len();
        while let Some(key) = map.next_key::<String>()? {
            if length > 0 {
                self.path.push('.');
            }
            self.path.push_str(&key);
            if values.contains_key(&key) {
                self.duplicates.push(self.path.clone());
            }
            let value = map.next_value_seed(Reader {
                path: self.path,
                duplicates: self.duplicates,
            })?;
            self.path.truncate(length);
            values.insert(key, value);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn duplicates_are_noted_by_path() {
        let decoded = json(&Bytes::from_static(
            br#"{"a":{"b":1,"b":2},"c":[{"d":1,"d":1}],"a":{}}"#,
        ))
        .unwrap();
        assert_eq!(decoded.notes.duplicates, ["a.b", "c[0].d", "a"]);
        assert_eq!(decoded.value, json!({"a": {}, "c": [{"d": 1}]}));
        let check = |body: &'static str, expected: &[&str]| {
            let decoded = json(&Bytes::from_static(body.as_bytes())).unwrap();
            assert_eq!(decoded.notes.duplicates, expected, "{body}");
        };
        check(r#"{"a": 1, "b": [1, {"c": null}]}"#, &[]);
        check(r#"{"a": 1, "a": 2, "a": 3}"#, &["a", "a"]);
        check(
            r#"{"spec": {"list": [{"x": 1}, {"y": {"z": 1, "z": true}}], "a": "b", "\u0061": 1.5}}"#,
            &["spec.list[1].y.z", "spec.a"],
        );
    }

    #[test]
    fn deep_nesting_is_an_error_and_not_a_crash() {
        let deep = Bytes::from("[".repeat(100_000));
        assert!(json(&deep).is_err());
        assert!(yaml(&deep).is_err());
    }

    #[test]
    fn yaml_and_json_are_yaml() {
        assert_eq!(
            yaml(&Bytes::from_static(b"a: 1\nb: [x]\n")).unwrap().value,
            json!({"a": 1, "b": ["x"]})
        );
        assert_eq!(
            yaml(&Bytes::from_static(b" {\"a\": 1}")).unwrap().value,
            json!({"a": 1})
        );
    }

    proptest! {
        #[test]
        fn what_serde_json_reads_is_read_the_same(text in "[\\[\\]{}:,\"a0. -]{0,24}") {
            let body = Bytes::from(text.clone());
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                prop_assert_eq!(json(&body).unwrap().value, value);
            } else {
                prop_assert!(json(&body).is_err());
            }
        }
    }
}
