//! Encryption of a token to the key of a command line.
//!
//! Two forms of keys, each base64 of JSON. `{"N": n, "E": e}`: the peer's command line, RSA-OAEP with SHA-256 (RFC 8017,
//! 7.1.1), as its own decrypts it. `{"X25519": base64}`: ours; an ephemeral key (RFC 7748), HKDF-SHA-256 (RFC 5869) over
//! what both share, with [`HANDOVER_CONTEXT`] and both public keys as `info`, ChaCha20-Poly1305 (RFC 8439) with the request's name as
//! associated data. The nonce is zero: no key is used twice. What is sent is the ephemeral public key before the ciphertext.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use drover_types::names::HANDOVER_CONTEXT;
use num_bigint::BigUint;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::SystemRandom;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::clock::{Entropy, NoEntropy};

const HASH: usize = 32;
/// Sizes of RSA keys that are taken, in bits.
const SIZES: std::ops::RangeInclusive<u64> = 2048..=8192;
/// Longest text of a key: the digits of the largest, and a little.
const LONGEST: usize = 8192;

/// To whom something is encrypted.
#[derive(Clone, PartialEq)]
pub(super) enum Recipient {
    Rsa { modulus: BigUint, exponent: u32 },
    X25519([u8; 32]),
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa { .. } => "Rsa",
            Self::X25519(_) => "X25519",
        })
    }
}

#[derive(Deserialize)]
struct Written<'a> {
    // Digits, more than any number type has.
    #[serde(rename = "N", borrow)]
    modulus: Option<&'a RawValue>,
    #[serde(rename = "E")]
    exponent: Option<u32>,
    #[serde(rename = "X25519")]
    x25519: Option<String>,
}

impl Recipient {
    /// Reads a key as it stands in addresses; or says what is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        let no_key = "it must be base64 of JSON with N and E of an RSA key, or with X25519";
        if text.len() > LONGEST {
            return Err("it is too long");
        }
        let decoded = STANDARD.decode(text.trim()).map_err(|_| no_key)?;
        let written: Written<'_> = serde_json::from_slice(&decoded).map_err(|_| no_key)?;
        match (written.modulus, written.exponent, written.x25519) {
            (Some(modulus), Some(exponent), None) => {
                let digits = modulus.get().as_bytes();
                let modulus = BigUint::parse_bytes(digits, 10).ok_or(no_key)?;
                let fits = SIZES.contains(&modulus.bits()) && modulus.bit(0);
                if !fits || exponent < 3 || exponent % 2 == 0 {
                    return Err("it must be an RSA key of 2048 to 8192 bits");
                }
                Ok(Self::Rsa { modulus, exponent })
            }
            (None, None, Some(key)) => {
                let key = STANDARD.decode(key).map_err(|_| no_key)?;
                let key = <[u8; 32]>::try_from(key).map_err(|_| no_key)?;
                Ok(Self::X25519(key))
            }
            _ => Err(no_key),
        }
    }

    /// Encrypts a text; in base64.
    pub(super) fn seal(
        &self,
        text: &[u8],
        request: &str,
        entropy: &Entropy,
    ) -> Result<String, NoEntropy> {
        let sealed = match self {
            Self::Rsa { modulus, exponent } => {
                let mut seed = [0; HASH];
                entropy.fill(&mut seed)?;
                let length = usize::try_from(modulus.bits().div_ceil(8)).map_err(|_| NoEntropy)?;
                let padded = BigUint::from_bytes_be(&pad(text, length, seed));
                let cipher = padded.modpow(&BigUint::from(*exponent), modulus);
                let cipher = cipher.to_bytes_be();
                let mut sealed = vec![0; length - cipher.len()];
                sealed.extend(cipher);
                sealed
            }
            Self::X25519(theirs) => seal_to(theirs, text, request)?,
        };
        Ok(STANDARD.encode(sealed))
    }
}

/// OAEP with an empty label; `length` is that of the modulus in bytes.
///
/// Tokens have a third of the bytes that fit into the smallest key that is taken.
fn pad(text: &[u8], length: usize, seed: [u8; HASH]) -> Vec<u8> {
    debug_assert!(text.len() + 2 * HASH + 2 <= length);
    let mut block = Sha256::digest(b"").to_vec();
    block.resize(length.saturating_sub(HASH + 2 + text.len()), 0);
    block.push(1);
    block.extend(text);
    mask(&mut block, &seed);
    let mut seed = seed;
    mask(&mut seed, &block);
    [&[0], seed.as_slice(), block.as_slice()].concat()
}

/// Exclusive-or with MGF1 of a seed (RFC 8017, B.2.1).
fn mask(bytes: &mut [u8], seed: &[u8]) {
    for (counter, chunk) in (0_u32..).zip(bytes.chunks_mut(HASH)) {
        let mask = Sha256::new()
            .chain_update(seed)
            .chain_update(counter.to_be_bytes())
            .finalize();
        chunk
            .iter_mut()
            .zip(mask)
            .for_each(|(byte, mask)| *byte ^= mask);
    }
}

/// The ephemeral key is of the library's own chance: it takes no other.
fn seal_to(theirs: &[u8; 32], text: &[u8], request: &str) -> Result<Vec<u8>, NoEntropy> {
    let own =
        EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).map_err(|_| NoEntropy)?;
    let public = own.compute_public_key().map_err(|_| NoEntropy)?;
    let info = [HANDOVER_CONTEXT, public.as_ref(), theirs];
    let key = agree_ephemeral(own, &UnparsedPublicKey::new(&X25519, theirs), |shared| {
        let derived = Salt::new(HKDF_SHA256, &[]).extract(shared);
        derived
            .expand(&info, &CHACHA20_POLY1305)
            .map(|key| LessSafeKey::new(UnboundKey::from(key)))
    });
    let key = key.and_then(|key| key).map_err(|_| NoEntropy)?;
    let mut sealed = text.to_vec();
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    key.seal_in_place_append_tag(nonce, Aad::from(request.as_bytes()), &mut sealed)
        .map_err(|_| NoEntropy)?;
    Ok([public.as_ref(), &sealed].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "abcdfghjklmnpqrstvwxz12456789abc";
    const TEXT: &[u8] = b"token-abcde:key";

    fn encoded(json: &str) -> String {
        STANDARD.encode(json)
    }

    /// Modulus and private exponent.
    fn key() -> [BigUint; 2] {
        let mut numbers = include_str!("key.txt").lines().skip(1);
        [(); 2].map(|()| numbers.next().unwrap().parse().unwrap())
    }

    #[test]
    fn the_peers_keys_are_read_whatever_their_size() {
        let [modulus, _] = key();
        let text = encoded(&format!("{{\"N\":{modulus},\"E\":65537}}"));
        let exponent = 65537;
        assert!(Recipient::read(&text) == Ok(Recipient::Rsa { modulus, exponent }));
        for (bad, why) in [
            (format!("{{\"N\":{},\"E\":3}}", u64::MAX), "short"),
            (
                format!("{{\"N\":{},\"E\":65537}}", BigUint::from(2_u8).pow(2047)),
                "even",
            ),
            (
                format!("{{\"N\":{},\"E\":65536}}", key()[0]),
                "even exponent",
            ),
            (format!("{{\"N\":{},\"E\":1}}", key()[0]), "no encryption"),
            (format!("{{\"N\":-{},\"E\":3}}", key()[0]), "negative"),
            (format!("{{\"N\":\"{}\",\"E\":3}}", key()[0]), "a text"),
            (format!("{{\"N\":{}e3,\"E\":3}}", key()[0]), "not whole"),
            ("{\"X25519\":\"AQEB\"}".to_owned(), "short"),
            ("[1,2]".to_owned(), "a list"),
        ] {
            assert!(Recipient::read(&encoded(&bad)).is_err(), "{why}");
        }
    }

    #[test]
    fn the_padding_is_what_openssl_takes_away() {
        // `openssl pkeyutl -decrypt` with OAEP and SHA-256 gave the text back from what this padding was encrypted to.
        let seed = std::array::from_fn(|n| u8::try_from(n).unwrap());
        let digest = Sha256::digest(pad(TEXT, 256, seed));
        assert_eq!(
            hex::encode(digest),
            "12d9d1dc5d3a7f019ca776608738083faf6aa948337bcfe10c384a7e4da615d4"
        );
    }

    #[test]
    fn the_private_key_brings_the_padding_back() {
        let [modulus, private] = key();
        let recipient = Recipient::Rsa {
            modulus: modulus.clone(),
            exponent: 65537,
        };
        let sealed = recipient.seal(TEXT, REQUEST, &Entropy::seeded(5)).unwrap();
        let sealed = STANDARD.decode(sealed).unwrap();
        assert_eq!(sealed.len(), 256);
        let mut seed = [0; HASH];
        Entropy::seeded(5).fill(&mut seed).unwrap();
        let opened = BigUint::from_bytes_be(&sealed).modpow(&private, &modulus);
        assert_eq!(opened, BigUint::from_bytes_be(&pad(TEXT, 256, seed)));
    }

    #[test]
    fn only_the_own_key_opens_what_was_sealed_and_for_its_request_alone() {
        let open = |own: EphemeralPrivateKey, sealed: &[u8], request: &str| {
            let public = own.compute_public_key().unwrap();
            let (theirs, cipher) = sealed.split_at(32);
            let info = [HANDOVER_CONTEXT, theirs, public.as_ref()];
            agree_ephemeral(own, &UnparsedPublicKey::new(&X25519, theirs), |shared| {
                let derived = Salt::new(HKDF_SHA256, &[]).extract(shared);
                let key = derived.expand(&info, &CHACHA20_POLY1305).unwrap();
                let mut text = cipher.to_vec();
                LessSafeKey::new(UnboundKey::from(key))
                    .open_in_place(
                        Nonce::assume_unique_for_key([0; 12]),
                        Aad::from(request.as_bytes()),
                        &mut text,
                    )
                    .map(|text| text.to_vec())
                    .ok()
            })
            .unwrap()
        };
        let fresh = || EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).unwrap();
        let sealed_to = |own: &EphemeralPrivateKey| {
            let public = STANDARD.encode(own.compute_public_key().unwrap());
            let recipient = Recipient::read(&encoded(&format!("{{\"X25519\":\"{public}\"}}")));
            let sealed = recipient.unwrap().seal(TEXT, REQUEST, &Entropy::seeded(1));
            STANDARD.decode(sealed.unwrap()).unwrap()
        };
        let own = fresh();
        let sealed = sealed_to(&own);
        assert_eq!(open(own, &sealed, REQUEST).as_deref(), Some(TEXT));
        let own = fresh();
        let sealed = sealed_to(&own);
        assert_eq!(open(own, &sealed, "another"), None);
        assert_eq!(open(fresh(), &sealed_to(&fresh()), REQUEST), None);
    }
}
