//! A list of a Kubernetes API, taken apart while it arrives.
//!
//! Sans-IO: pieces of text go in, batches of whole items come out; in the end there is the list without its items. So an
//! item is read while the API server still writes the ones after it, and never the whole list is held at once.

use std::str::Utf8Error;

use super::table::Metadata;

/// Bytes of a batch at least, but for the last.
const BATCH: usize = 256 << 10;
/// Bytes of an item, and of what is no item, at most: an object of the largest that etcd takes, several times over.
const LARGEST: usize = 8 << 20;
/// Brackets in an item at most: what takes two letters, or six, can take a kilobyte once it is read.
const MOST_PARTS: usize = 200_000;

/// Whole items, one after the other.
#[derive(Debug, Default)]
pub(super) struct Batch {
    text: Vec<u8>,
    /// Where each item ends.
    ends: Vec<usize>,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The texts of the items.
    ///
    /// # Errors
    /// If they are no text.
    pub(super) fn items(&self) -> Result<impl Iterator<Item = &str>, Utf8Error> {
        let text = str::from_utf8(&self.text)?;
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        Ok(starts
            .zip(&self.ends)
            .map(|(start, &end)| &text[start..end]))
    }
}

/// Takes a list apart.
#[derive(Debug, Default)]
pub(super) struct Split {
    /// The list without its items.
    head: Vec<u8>,
    batch: Batch,
    /// Brackets that are open.
    depth: usize,
    /// Brackets of the item that has begun.
    parts: usize,
    /// Whether something was larger than it may be; nothing is kept of what comes after that.
    is_too_large: bool,
    in_items: bool,
    in_string: bool,
    /// Whether the last letter was a backslash inside a string.
    is_escaped: bool,
    /// Whether something among the items was no object.
    has_others: bool,
}

impl Split {
    /// Takes the next piece, wherever it was cut.
    pub(super) fn push(&mut self, piece: &[u8]) {
        if self.is_too_large {
            return;
        }
        // What lies before it is put away.
        let mut from = 0;
        let mut at = 0;
        while let Some(&letter) = piece.get(at) {
            if self.in_string {
                at += self.string(&piece[at..]);
                continue;
            }
            match letter {
                b'"' => {
                    self.has_others |= self.is_between();
                    self.in_string = true;
                }
                b'{' | b'[' => {
                    if self.is_between() {
                        self.has_others |= letter == b'[';
                        self.parts = 0;
                        from = at;
                    }
                    self.depth += 1;
                    self.parts += 1;
                    self.is_too_large |= self.parts > MOST_PARTS;
                    if letter == b'[' && self.depth == 2 && !self.in_items {
                        self.head.extend_from_slice(&piece[from..=at]);
                        from = at + 1;
                        self.in_items = names_items(&self.head);
                    }
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.is_between() {
                        self.batch.text.extend_from_slice(&piece[from..=at]);
                        self.batch.ends.push(self.batch.text.len());
                        from = at + 1;
                    } else if self.in_items && self.depth == 1 {
                        self.in_items = false;
                        from = at;
                    }
                }
                b',' | b' ' | b'\n' | b'\r' | b'\t' => {}
                _ => self.has_others |= self.is_between(),
            }
            at += 1;
        }
        if self.is_between() {
            return;
        }
        let rest = if self.in_items {
            &mut self.batch.text
        } else {
            &mut self.head
        };
        rest.extend_from_slice(piece.get(from..).unwrap_or_default());
        let begun = self.batch.text.len() - self.batch.ends.last().copied().unwrap_or_default();
        self.is_too_large |= begun.max(self.head.len()) > LARGEST;
    }

    /// Whether the list is given up: something in it is larger than anything in a cluster.
    pub(super) const fn is_too_large(&self) -> bool {
        self.is_too_large
    }

    /// Goes through a string; how long it is in this piece.
    fn string(&mut self, piece: &[u8]) -> usize {
        if std::mem::take(&mut self.is_escaped) {
            return 1;
        }
        let special = |letter: &u8| matches!(letter, b'"' | b'\\');
        let Some(at) = piece.iter().position(special) else {
            return piece.len();
        };
        self.is_escaped = piece[at] == b'\\';
        self.in_string = self.is_escaped;
        at + 1
    }

    /// Whether the next item may begin here.
    const fn is_between(&self) -> bool {
        self.in_items && self.depth == 2
    }

    /// The items so far, once they are enough for a batch.
    pub(super) fn full(&mut self) -> Option<Batch> {
        (self.batch.text.len() >= BATCH).then(|| self.batch())
    }

    fn batch(&mut self) -> Batch {
        let end = self.batch.ends.last().copied().unwrap_or_default();
        let begun = self.batch.text.split_off(end);
        let rest = Batch {
            text: begun,
            ends: Vec::new(),
        };
        std::mem::replace(&mut self.batch, rest)
    }

    /// What the list says of itself, and the last items.
    ///
    /// # Errors
    /// If it is no list, or not a whole one.
    pub(super) fn end(mut self) -> serde_json::Result<(Metadata, Batch)> {
        use serde::de::Error as _;

        let last = self.batch();
        // A sequence would be read as the members of a list, in order.
        let is_object = self.head.trim_ascii_start().starts_with(b"{");
        if !is_object || self.has_others || self.is_too_large || !self.batch.text.is_empty() {
            return Err(serde_json::Error::custom("not a list of objects"));
        }
        Ok((Metadata::of_list(&self.head)?, last))
    }
}

/// Whether the bracket at the end of a list's head begins its items.
fn names_items(head: &[u8]) -> bool {
    let name = |text: &[u8]| -> Option<bool> {
        let text = text.strip_suffix(b"[")?.trim_ascii_end();
        let text = text.strip_suffix(b":")?.trim_ascii_end();
        Some(text.ends_with(b"\"items\""))
    };
    name(head).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// The items of a text that comes in pieces of these sizes, and where it goes on.
    fn split(text: &str, sizes: &[usize]) -> serde_json::Result<(Vec<String>, Metadata)> {
        let mut split = Split::default();
        let mut batches = Vec::new();
        let mut rest = text.as_bytes();
        for size in sizes.iter().chain(std::iter::repeat(&usize::MAX)) {
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            split.push(piece);
            batches.extend(split.full());
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        let (metadata, last) = split.end()?;
        batches.push(last);
        let items = batches
            .iter()
            .flat_map(|batch| batch.items().unwrap().map(str::to_owned))
            .collect();
        Ok((items, metadata))
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z\"\\\\{}\\[\\],:\u{1f600}]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let keys = prop_oneof![Just("items".to_owned()), "[a-z\"\\\\\\[{]{0,4}"];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(keys, inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Wherever a list is cut, and however it is written, its items are what a parser finds.
        #[test]
        fn items_are_what_a_parser_finds(
            values in prop::collection::vec(any_value(), 0..6),
            other in any_value(),
            sizes in prop::collection::vec(0_usize..40, 0..60),
            is_first: bool,
            is_pretty: bool,
            repeat in 1_usize..40,
        ) {
            let items: Vec<Value> = values.iter().map(|value| json!({"metadata": {"items": value}})).collect();
            let items: Vec<Value> = items.iter().cycle().take(items.len() * repeat).cloned().collect();
            let head = json!({"resourceVersion": "5", "continue": "there", "other": other});
            let list = if is_first {
                json!({"items": items, "metadata": head})
            } else {
                json!({"a": other, "metadata": head, "z": {"items": [1]}, "zitems": [2], "items": items})
            };
            let text = if is_pretty { serde_json::to_string_pretty(&list) } else { serde_json::to_string(&list) }.unwrap();
            let (found, metadata) = split(&text, &sizes).unwrap();
            let found: Vec<Value> = found.iter().map(|item| serde_json::from_str(item).unwrap()).collect();
            prop_assert_eq!(found, items);
            prop_assert_eq!((metadata.revision(), metadata.place()), (5, "there"));
        }

        /// No text is taken for a list that a parser would not take.
        #[test]
        fn what_is_cut_short_is_no_list(values in prop::collection::vec(any_value(), 1..4), at: prop::sample::Index) {
            let items: Vec<Value> = values.iter().map(|value| json!({"data": value})).collect();
            let text = json!({"metadata": {}, "items": items}).to_string();
            let end = at.index(text.len());
            prop_assume!(text.is_char_boundary(end));
            prop_assert!(split(&text[..end], &[]).is_err());
        }
    }

    #[test]
    fn what_is_larger_than_any_object_is_given_up() {
        let check = |item: &str| {
            let mut split = Split::default();
            split.push(b"{\"items\":[{},");
            let (mut read, unit) = (0, item.repeat(1000));
            split.push(b"{\"a\":[");
            while !split.is_too_large() {
                split.push(unit.as_bytes());
                read += unit.len();
                assert!(read <= LARGEST + unit.len(), "{item}");
            }
            split.push(b"0]}]}");
            assert!(split.batch.text.len() <= LARGEST + unit.len());
            assert!(split.end().is_err());
            read
        };
        assert!(check("0,") > 4 << 20);
        assert!(check("\"{\",") > 4 << 20);
        assert!(check("{},") < 1 << 20);
    }

    #[test]
    fn what_is_no_list_of_objects_is_refused() {
        for text in [
            "",
            "[]",
            "{\"items\": [}",
            "{\"items\": [1]}",
            "{\"items\": [\"a\"]}",
            "{\"items\": [{}, null]}",
            "{\"items\": [[]]}",
            "{\"items\": [{}]]}",
            "{\"items\": []}}",
            "{\"metadata\": 5, \"items\": []}",
        ] {
            assert!(split(text, &[]).is_err(), "{text}");
        }
        let (items, metadata) = split("{\"items\": null, \"metadata\": {}}", &[]).unwrap();
        assert_eq!((items.len(), metadata.place()), (0, ""));
    }
}
