//! What an answer in JSON comes to once it is read, told from its text as it arrives.
//!
//! Three letters, `{},`, become an object of a kilobyte where lists are read as what they list, and seven a map of 640
//! bytes where any value may stand; bytes alone tell nothing. Sans-IO; the text may be cut anywhere, and need be no JSON.

/// An object of a list, read as its kind: a `Node` of Kubernetes has this size with nothing in it.
const ITEM: usize = 768;
/// An object with something in it. Half of what a map takes that has a single member; few have.
const OBJECT: usize = 256;
/// A list: room for four values.
const LIST: usize = 128;
/// A value (`serde_json::Value`).
const VALUE: usize = 32;

/// Where objects of a list begin: inside its outermost object and the list of items.
const AMONG_ITEMS: usize = 2;

/// Weighs a text.
#[derive(Debug, Default)]
pub(super) struct Scales {
    depth: usize,
    in_string: bool,
    /// Whether the last letter was a backslash inside a string.
    is_escaped: bool,
    /// Whether a brace was opened and nothing but space came since.
    is_open: bool,
}

impl Scales {
    /// What the next piece adds, its own bytes included.
    pub(super) fn weigh(&mut self, piece: &[u8]) -> usize {
        let mut weight = piece.len();
        let mut at = 0;
        while let Some(&letter) = piece.get(at) {
            if self.in_string {
                at += self.string(&piece[at..]);
                continue;
            }
            at += 1;
            match letter {
                b'"' => {
                    self.in_string = true;
                    if std::mem::take(&mut self.is_open) {
                        weight += OBJECT;
                    }
                }
                b'{' => {
                    weight += if self.depth == AMONG_ITEMS { ITEM } else { 0 };
                    self.depth += 1;
                    self.is_open = true;
                }
                b'[' => {
                    weight += LIST;
                    self.depth += 1;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.is_open = false;
                }
                b',' => weight += VALUE,
                _ => {}
            }
        }
        weight
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
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn weigh(text: &str) -> usize {
        Scales::default().weigh(text.as_bytes()) - text.len()
    }

    #[test]
    fn what_text_comes_to() {
        let check = |text: &str, expected: usize| assert_eq!(weigh(text), expected, "{text}");
        check("nothing of all this", 0);
        check(r#"{"a": 1}"#, OBJECT);
        check("{ } {}", 0);
        check("[0,0,0]", LIST + 2 * VALUE);
        check(r#"{"items":[{},{}]}"#, OBJECT + LIST + 2 * ITEM + VALUE);
        check(r#"{"items":[{"a":{}}]}"#, 2 * OBJECT + LIST + ITEM);
        // What stands in strings is text.
        check(r#"{"a": "{[,\"{[,\\"}"#, OBJECT);
    }

    proptest! {
        #[test]
        fn it_is_the_same_wherever_the_text_is_cut(text in r#"[{}\[\],"\\a \n]{0,60}"#, at: prop::sample::Index) {
            let (first, second) = text.as_bytes().split_at(at.index(text.len() + 1));
            let mut scales = Scales::default();
            let cut = scales.weigh(first) + scales.weigh(second);
            prop_assert_eq!(cut, weigh(&text) + text.len());
        }

        /// Read as any value, a text takes no more than some times its weight.
        #[test]
        fn values_are_not_much_heavier_than_their_weight(unit in r#"(\{\},|\{"":0\},|\[0\],|0,|"aaaaaaaaaaaaaaaa",|\{"":\{"":0\}\},)"#) {
            let text = format!("[{}0]", unit.repeat(100));
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert!(size(&value) <= 3 * (weigh(&text) + text.len()), "{} {}", size(&value), weigh(&text));
        }
    }

    /// About what the allocator gives for it.
    fn size(value: &serde_json::Value) -> usize {
        use serde_json::Value;

        VALUE
            + match value {
                Value::Null | Value::Bool(_) | Value::Number(_) => 0,
                Value::String(text) => text.len().next_multiple_of(16) + 8,
                Value::Array(values) => {
                    values.len().max(4) * VALUE
                        + values
                            .iter()
                            .map(|value| size(value) - VALUE)
                            .sum::<usize>()
                }
                // A leaf of eleven keys and values (std, `BTreeMap`).
                Value::Object(map) => {
                    map.len().div_ceil(11) * 640
                        + map.values().map(|value| size(value) - VALUE).sum::<usize>()
                }
            }
    }
}
