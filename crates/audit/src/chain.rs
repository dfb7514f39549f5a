//! Lines that each hold the hash of the line before.
//!
//! A line is `{"sequence":N,"previousHash":"…", … ,"hash":"…"}`: `hash` is the SHA-256 of all bytes before its own
//! field, so of the previous hash too. Changing, removing or swapping a line breaks the chain behind it.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// The hash before the first line.
pub(crate) const ORIGIN: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const HASH_FIELD: &str = ",\"hash\":\"";
const HASH_LENGTH: usize = 64;

/// Where a chain stands: number and hash of its last line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
pub(crate) struct Head {
    /// Number of the last line; 0 before the first.
    pub(crate) sequence: u64,
    /// Its hash.
    pub(crate) hash: String,
}

impl Head {
    /// Before the first line.
    pub(crate) fn origin() -> Self {
        Self {
            sequence: 0,
            hash: ORIGIN.to_owned(),
        }
    }

    /// Appends `object` (JSON, an object with at least one field) as the next line to `lines` and steps on.
    pub(crate) fn seal(&mut self, object: &[u8], lines: &mut Vec<u8>) {
        let start = lines.len();
        let sequence = self.sequence + 1;
        lines.extend_from_slice(
            format!(
                "{{\"sequence\":{sequence},\"previousHash\":\"{}\",",
                self.hash
            )
            .as_bytes(),
        );
        lines.extend_from_slice(&object[1..object.len() - 1]);
        let hash = hex::encode(Sha256::digest(&lines[start..]));
        lines.extend_from_slice(HASH_FIELD.as_bytes());
        lines.extend_from_slice(hash.as_bytes());
        lines.extend_from_slice(b"\"}\n");
        *self = Self { sequence, hash };
    }
}

/// What a line says of its place.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Place {
    pub(crate) sequence: u64,
    pub(crate) previous_hash: String,
    /// Set in lines that tell of removed files.
    #[serde(default)]
    pub(crate) first_kept: Option<u64>,
    /// Set in lines that tell of lost entries.
    #[serde(default)]
    pub(crate) lost: Option<u64>,
}

/// Why a line is broken in itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadLine {
    /// Not the form of a sealed line.
    #[error("it is not a line of an audit log")]
    Form,
    /// Its bytes do not give its hash.
    #[error("it was changed: its hash does not fit its content")]
    Hash,
}

/// Checks a line (without its line end) against its own hash.
pub(crate) fn open(line: &[u8]) -> Result<(Place, Head), BadLine> {
    let tail = HASH_FIELD.len() + HASH_LENGTH + 2;
    let at = line.len().checked_sub(tail).ok_or(BadLine::Form)?;
    let (content, end) = line.split_at(at);
    let hash = end
        .strip_prefix(HASH_FIELD.as_bytes())
        .and_then(|end| end.strip_suffix(b"\"}"))
        .and_then(|hash| std::str::from_utf8(hash).ok())
        .ok_or(BadLine::Form)?;
    let place: Place = serde_json::from_slice(line).map_err(|_| BadLine::Form)?;
    if hex::encode(Sha256::digest(content)) != hash {
        return Err(BadLine::Hash);
    }
    let head = Head {
        sequence: place.sequence,
        hash: hash.to_owned(),
    };
    Ok((place, head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_line_opens_and_a_changed_one_does_not() {
        let mut head = Head::origin();
        let mut lines = Vec::new();
        head.seal(br#"{"verb":"list"}"#, &mut lines);
        let line = lines.strip_suffix(b"\n").unwrap();
        let (place, opened) = open(line).unwrap();
        assert_eq!((place.sequence, place.previous_hash.as_str()), (1, ORIGIN));
        assert_eq!(opened, head);
        for at in 0..line.len() {
            let mut changed = line.to_vec();
            changed[at] ^= 1;
            assert!(open(&changed).is_err(), "byte {at}");
        }
    }
}
