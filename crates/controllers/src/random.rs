//! Names and tokens in Kubernetes' own alphabet.
//!
//! Owns the alphabet without vowels that Kubernetes' `generateName` and
//! Rancher's registration tokens share (reference 3.1: 54 characters of it).

use drover_auth::Entropy;
use drover_auth::clock::NoEntropy;
use sha2::{Digest as _, Sha256};

/// Characters of generated names and tokens.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// A secret token of 54 characters, about 256 bits.
pub(crate) fn token(entropy: &Entropy) -> Result<String, NoEntropy> {
    entropy.text(ALPHABET, 54)
}

/// Five characters that follow from `seed` alone, so that making an object
/// twice makes it once.
pub(crate) fn suffix(seed: &str) -> String {
    let digest = Sha256::digest(seed.as_bytes());
    digest
        .iter()
        .take(5)
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect()
}

/// The first ten hexadecimal digits of the SHA-256 of a text.
pub(crate) fn short_hash(text: &str) -> String {
    hex::encode(&Sha256::digest(text.as_bytes())[..5])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_the_peers_length_and_alphabet() {
        let token = token(&Entropy::seeded(1)).unwrap();
        assert_eq!(token.len(), 54);
        assert!(token.bytes().all(|byte| ALPHABET.contains(&byte)));
    }

    #[test]
    fn a_suffix_follows_from_its_seed() {
        assert_eq!(suffix("a"), suffix("a"));
        assert_ne!(suffix("a"), suffix("b"));
        assert_eq!(suffix("a").len(), 5);
    }
}
