//! Keys of tokens that an old peer keeps as scrypt: `$1:<salt>:<n>:<r>:<p>:<key>` (rancher/rancher
//! `pkg/auth/tokens/hashers/scrypt.go`).
//!
//! Owns reading and checking them; nothing is hashed this way here (decision 0011).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use scrypt::Params;
use subtle::ConstantTimeEq;

/// The most memory one check may take; the peer's own take half of it.
const MOST_MEMORY: u64 = 64 << 20;
/// The most passes over it; the peer's own take one.
const MOST_PASSES: u32 = 2;
/// Bytes of keys; the peer's have 64.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;

/// A scrypt hash of bounded cost. Hidden, as it can be attacked off line.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Scrypt {
    salt: Vec<u8>,
    log_n: u8,
    block: u32,
    passes: u32,
    key: Vec<u8>,
}

impl fmt::Debug for Scrypt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrypt(..)")
    }
}

impl Scrypt {
    /// Reads what follows `$1:`; `None` if it is something else or asks for too much work.
    pub(super) fn parse(parts: &[&str]) -> Option<Self> {
        let [salt, log_n, block, passes, key] = parts else {
            return None;
        };
        let found = Self {
            salt: hex::decode(salt).ok()?,
            log_n: log_n.parse().ok()?,
            block: block.parse().ok()?,
            passes: passes.parse().ok()?,
            key: STANDARD_NO_PAD.decode(key).ok()?,
        };
        let memory = 128_u64
            .checked_mul(u64::from(found.block))?
            .checked_mul(1_u64.checked_shl(found.log_n.into())?)?;
        let is_bounded = found.log_n > 0 && memory <= MOST_MEMORY && found.passes <= MOST_PASSES;
        (is_bounded && LENGTHS.contains(&found.key.len()) && found.params().is_some())
            .then_some(found)
    }

    fn params(&self) -> Option<Params> {
        Params::new(self.log_n, self.block, self.passes).ok()
    }

    /// Whether this is the key. Takes about a tenth of a second: for blocking threads.
    pub(crate) fn verifies(&self, key: &str) -> bool {
        let mut computed = vec![0; self.key.len()];
        self.params().is_some_and(|params| {
            scrypt::scrypt(key.as_bytes(), &self.salt, &params, &mut computed).is_ok()
                && bool::from(computed.as_slice().ct_eq(&self.key))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(stored: &str) -> Option<Scrypt> {
        Scrypt::parse(&stored.split(':').skip(1).collect::<Vec<_>>())
    }

    #[test]
    fn keys_verify_as_other_programs_compute_them() {
        // Python: `hashlib.scrypt(b"key", salt=b"saltsalt", n=2**15, r=8, p=1, maxmem=2**26, dklen=64)`.
        let stored = parse(KNOWN).unwrap();
        assert!(stored.verifies("key"));
        assert!(!stored.verifies("kez"));
        assert!(!stored.verifies(""));
        assert_eq!(format!("{stored:?}"), "Scrypt(..)");
    }

    #[test]
    fn what_costs_too_much_or_is_no_hash_is_not_read() {
        assert!(parse(&KNOWN.replace(":15:8:1:", ":16:8:2:")).is_some());
        for changed in [
            ":17:8:1:",
            ":63:8:1:",
            ":64:8:1:",
            ":255:8:1:",
            ":15:8:3:",
            ":15:4294967295:1:",
            ":15:0:1:",
            ":15:8:0:",
            ":0:8:1:",
            ":-1:8:1:",
            ":15:8:",
            ":x:8:1:",
        ] {
            let stored = KNOWN.replace(":15:8:1:", changed);
            assert!(parse(&stored).is_none(), "{changed}");
        }
        assert!(parse("$1:zz:15:8:1:AAAAAAAAAAAAAAAAAAAAAA").is_none());
        assert!(
            parse("$1:00:15:8:1:AA").is_none(),
            "a short key is a guess away"
        );
    }

    const KNOWN: &str = "$1:73616c7473616c74:15:8:1:nrDsBs5N0hQJ9iHueABzUbneEOFsir/vBUgRxPmYpUst79mk6sPkBxGeN1vuDowpZnVK4LcvTN8BF5E2p6VuAQ";
}
