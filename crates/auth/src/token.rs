//! Tokens: names and keys, hashes, expiry.
//!
//! A token is the object `Token` (reference section 4.2); its key is known to
//! the client alone, what is stored is a hash of it.
//!
//! Invariant: a record of a token cannot show what is stored of its key.

mod scrypt;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use drover_types::management::Token;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use sha3::{Digest, Sha3_512};
use subtle::ConstantTimeEq;

use crate::UserId;
use crate::clock::{Entropy, NoEntropy};
use crate::settings::Settings;
pub(crate) use scrypt::Scrypt;

/// Label with the owner of a token.
pub const USER_LABEL: &str = "authn.management.cattle.io/token-userId";
/// Label with what a token is for: `session`, `kubeconfig`, `shell`; absent on API keys.
pub const KIND_LABEL: &str = "authn.management.cattle.io/kind";
/// Annotation that says `token` is a hash.
pub const HASHED_ANNOTATION: &str = "authn.management.cattle.io/token-hashed";
/// Value of [`KIND_LABEL`] for sessions.
pub const SESSION: &str = "session";
/// Value of [`KIND_LABEL`] for kubeconfigs.
pub const KUBECONFIG: &str = "kubeconfig";
/// Value of [`KIND_LABEL`] for kubectl shells.
pub const SHELL: &str = "shell";

/// Letters of keys and random name parts (those Kubernetes uses: no vowels, nothing easily confused).
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const KEY_LENGTH: usize = 54;
const SUFFIX_LENGTH: usize = 5;
const SALT_LENGTH: usize = 8;

/// The random end of a name such as `token-n75p4`.
pub(crate) fn suffix(entropy: &Entropy) -> Result<String, NoEntropy> {
    entropy.text(ALPHABET, SUFFIX_LENGTH)
}

/// A new key.
pub(crate) fn key(entropy: &Entropy) -> Result<SecretString, NoEntropy> {
    entropy.text(ALPHABET, KEY_LENGTH).map(SecretString::from)
}

/// Five letters of [`ALPHABET`] that follow from `seed`, for names several replicas must agree on.
pub(crate) fn derived_suffix(seed: &str) -> String {
    let digest = Sha256::digest(seed.as_bytes());
    digest
        .iter()
        .take(SUFFIX_LENGTH)
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect()
}

/// `$3:1:<salt>:<SHA3-512 of salt and key>`, base64 without padding (rancher/rancher `pkg/auth/tokens/hashers`).
pub(crate) fn hash(key: &SecretString, entropy: &Entropy) -> Result<String, NoEntropy> {
    let mut salt = [0; SALT_LENGTH];
    entropy.fill(&mut salt)?;
    let digest = Sha3_512::new()
        .chain_update(salt)
        .chain_update(key.expose_secret())
        .finalize();
    Ok(format!(
        "$3:1:{}:{}",
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(digest)
    ))
}

/// What is stored of a key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum StoredKey {
    /// Ours, and the current peer's.
    Sha3 { salt: Vec<u8>, digest: Vec<u8> },
    /// The peer's up to 2.6.
    Sha256 { salt: Vec<u8>, digest: Vec<u8> },
    /// The peer's without its feature token-hashing.
    Plain(Box<[u8]>),
    /// The peer's up to 2.5. Costly to check: not for where requests are served.
    Scrypt(Scrypt),
    /// A form that cannot be checked here; such a token is refused.
    Unknown,
}

impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha3 { .. } => "Sha3(..)",
            Self::Sha256 { .. } => "Sha256(..)",
            Self::Plain(_) => "Plain(..)",
            Self::Scrypt(_) => "Scrypt(..)",
            Self::Unknown => "Unknown",
        })
    }
}

impl StoredKey {
    pub(crate) fn parse(stored: &str, hashed: bool) -> Self {
        if !hashed {
            return if stored.is_empty() {
                Self::Unknown
            } else {
                Self::Plain(stored.as_bytes().into())
            };
        }
        let decode = |text: &str| {
            STANDARD_NO_PAD
                .decode(text)
                .ok()
                .filter(|bytes| !bytes.is_empty())
        };
        let parts: Vec<&str> = stored.split(':').collect();
        match parts.as_slice() {
            ["$3", "1", salt, digest] => match (decode(salt), decode(digest)) {
                (Some(salt), Some(digest)) => Self::Sha3 { salt, digest },
                _ => Self::Unknown,
            },
            ["$2", salt, digest] => match (decode(salt), decode(digest)) {
                (Some(salt), Some(digest)) => Self::Sha256 { salt, digest },
                _ => Self::Unknown,
            },
            ["$1", rest @ ..] => Scrypt::parse(rest).map_or(Self::Unknown, Self::Scrypt),
            _ => Self::Unknown,
        }
    }

    /// Whether `key` is the key, in time that does not depend on where it differs.
    pub(crate) fn verifies(&self, key: &str) -> bool {
        match self {
            Self::Sha3 { salt, digest } => {
                let computed = Sha3_512::new()
                    .chain_update(salt)
                    .chain_update(key)
                    .finalize();
                computed.as_slice().ct_eq(digest).into()
            }
            Self::Sha256 { salt, digest } => {
                let computed = Sha256::new()
                    .chain_update(salt)
                    .chain_update(key)
                    .finalize();
                computed.as_slice().ct_eq(digest).into()
            }
            Self::Plain(stored) => {
                // Digests, so that the comparison does not give the length away.
                let (stored, given) = (Sha256::digest(stored), Sha256::digest(key));
                stored.as_slice().ct_eq(given.as_slice()).into()
            }
            Self::Scrypt(stored) => stored.verifies(key),
            Self::Unknown => false,
        }
    }
}

/// What authentication needs of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) user: UserId,
    pub(crate) key: StoredKey,
    pub(crate) enabled: bool,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) cluster: Option<String>,
    pub(crate) kind: String,
    pub(crate) derived: bool,
    pub(crate) last_used: Option<Timestamp>,
    pub(crate) last_seen: Option<Timestamp>,
}

impl Record {
    pub(crate) fn of(token: Token) -> Self {
        let hashed = token
            .annotations()
            .get(HASHED_ANNOTATION)
            .is_some_and(|value| value == "true");
        let parse = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        Self {
            name: token.name_any(),
            uid: token.uid().unwrap_or_default(),
            key: StoredKey::parse(&token.token, hashed),
            enabled: token.enabled.unwrap_or(true),
            expires: expiry(&token),
            kind: token.labels().get(KIND_LABEL).cloned().unwrap_or_default(),
            last_used: parse(&token.last_used_at),
            last_seen: parse(&token.activity_last_seen_at),
            derived: token.is_derived,
            user: UserId::new(token.user_id),
            cluster: Some(token.cluster_name).filter(|cluster| !cluster.is_empty()),
        }
    }

    /// Whether the token may be used at `now`: enabled, not expired, not idle for longer than `idle_limit`.
    pub(crate) fn is_live(&self, now: Timestamp, idle_limit: Option<SignedDuration>) -> bool {
        let idle = match (self.last_seen, idle_limit) {
            (Some(seen), Some(limit)) => now.duration_since(seen) > limit,
            _ => false,
        };
        self.enabled && self.expires.is_none_or(|expires| now < expires) && !idle
    }
}

/// When a token ends: creation plus `ttl` milliseconds; never for 0 and less.
#[must_use]
pub fn expiry(token: &Token) -> Option<Timestamp> {
    if token.ttl_millis <= 0 {
        return None;
    }
    let created = token
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|time| time.0)?;
    Some(
        created
            .checked_add(SignedDuration::from_millis(token.ttl_millis))
            .unwrap_or(Timestamp::MAX),
    )
}

const MINUTE: i64 = 60_000;

/// Milliseconds a new session lives.
pub(crate) fn session_ttl(settings: &Settings) -> i64 {
    clamp(
        settings,
        settings
            .number("auth-user-session-ttl-minutes")
            .saturating_mul(MINUTE),
    )
}

/// Milliseconds a new kubeconfig token lives.
pub(crate) fn kubeconfig_ttl(settings: &Settings) -> i64 {
    clamp(
        settings,
        settings
            .number("kubeconfig-default-token-ttl-minutes")
            .saturating_mul(MINUTE),
    )
}

/// Milliseconds an API key lives that was asked for with `ttl`: 0 is the default, negative is for ever, and all is
/// cut to `auth-token-max-ttl-minutes` unless that is 0.
pub(crate) fn api_key_ttl(settings: &Settings, ttl: i64) -> i64 {
    clamp(settings, ttl)
}

fn clamp(settings: &Settings, ttl: i64) -> i64 {
    let most = settings
        .number("auth-token-max-ttl-minutes")
        .saturating_mul(MINUTE);
    match (most > 0, ttl > 0) {
        (true, true) => ttl.min(most),
        (true, false) => most,
        (false, _) => ttl.max(0),
    }
}

/// How long a session may be idle; `None` if that is not limited.
pub(crate) fn idle_limit(settings: &Settings) -> Option<SignedDuration> {
    let minutes = settings.number("auth-user-session-idle-ttl-minutes");
    (minutes > 0).then(|| SignedDuration::from_mins(minutes.min(i64::from(i32::MAX))))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_and_names_have_the_letters_and_lengths_of_the_peer() {
        let entropy = Entropy::seeded(3);
        let drawn = key(&entropy).unwrap();
        assert_eq!(drawn.expose_secret().len(), 54);
        assert!(
            drawn
                .expose_secret()
                .bytes()
                .all(|letter| ALPHABET.contains(&letter))
        );
        assert_ne!(
            drawn.expose_secret(),
            key(&entropy).unwrap().expose_secret()
        );
        assert_eq!(suffix(&entropy).unwrap().len(), 5);
        assert_eq!(derived_suffix("uid"), derived_suffix("uid"));
        assert_ne!(derived_suffix("uid"), derived_suffix("uie"));
    }

    proptest! {
        #[test]
        fn a_hash_verifies_its_key_and_no_other(one in "[a-z0-9]{1,60}", other in "[a-z0-9]{1,60}", seed: u64) {
            let stored = hash(&one.clone().into(), &Entropy::seeded(seed)).unwrap();
            prop_assert!(stored.starts_with("$3:1:"));
            let stored = StoredKey::parse(&stored, true);
            prop_assert!(stored.verifies(&one));
            prop_assert_eq!(stored.verifies(&other), one == other);
        }

        #[test]
        fn nothing_verifies_against_garbage(stored in ".{0,80}", key in ".{0,60}") {
            prop_assert!(!StoredKey::parse(&stored, true).verifies(&key));
        }
    }

    #[test]
    fn the_peers_older_forms_verify() {
        // Worked out with Python: base64 of b"saltsalt" and of sha256(b"saltsalt" + b"key").
        let stored = "$2:c2FsdHNhbHQ:KOkUAiWtqAQwVO/beZEUnX63os6Hc54/EClA3Gc06Fc";
        assert!(StoredKey::parse(stored, true).verifies("key"));
        let stored = "$3:1:c2FsdHNhbHQ:KQv5xBXUNDD6pt5vHwoLZevCvs7ywOVLzS41t9kJhKO2O0Hl0Al+h2do5B8zWp+KusLzzfKsYSdhpl3Dy8fIOg";
        assert!(StoredKey::parse(stored, true).verifies("key"));
        assert!(StoredKey::parse("key", false).verifies("key"));
        assert!(!StoredKey::parse("key", false).verifies("kez"));
        assert!(
            !StoredKey::parse("", false).verifies(""),
            "an empty key opens nothing"
        );
        assert!(!StoredKey::parse("$3:1::", true).verifies(""));
    }

    #[test]
    fn records_hide_what_is_stored() {
        let mut token = Token::named("token-abcde");
        "sesame".clone_into(&mut token.token);
        assert!(!format!("{:?}", Record::of(token)).contains("sesame"));
    }

    fn token(ttl: i64) -> Token {
        let mut token = Token::named("token-abcde");
        token.metadata.creation_timestamp = Some(Time(Timestamp::from_second(1_000).unwrap()));
        token.ttl_millis = ttl;
        token
    }

    #[test]
    fn tokens_end_and_idle_out() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let record = Record::of(token(10_000));
        assert!(record.is_live(at(1_009), None));
        assert!(!record.is_live(at(1_010), None));
        assert!(Record::of(token(0)).is_live(at(1 << 36), None));
        let idle = Record {
            last_seen: Some(at(1_000)),
            ..record.clone()
        };
        assert!(idle.is_live(at(1_005), Some(SignedDuration::from_secs(5))));
        assert!(!idle.is_live(at(1_006), Some(SignedDuration::from_secs(5))));
        assert!(
            record.is_live(at(1_006), Some(SignedDuration::from_secs(5))),
            "unset is not checked"
        );
        assert!(
            !Record {
                enabled: false,
                ..record
            }
            .is_live(at(1_001), None)
        );
    }

    #[test]
    fn times_to_live_stay_within_the_settings() {
        let settings = Settings::of(&[]);
        assert_eq!(session_ttl(&settings), 57_600_000);
        assert_eq!(kubeconfig_ttl(&settings), 43_200 * MINUTE);
        assert_eq!(api_key_ttl(&settings, 0), 129_600 * MINUTE);
        assert_eq!(api_key_ttl(&settings, 5), 5);
        assert_eq!(api_key_ttl(&settings, -5), 129_600 * MINUTE);
        assert_eq!(api_key_ttl(&settings, i64::MAX), 129_600 * MINUTE);
        let unlimited = Settings::of(&[("auth-token-max-ttl-minutes", "0")]);
        assert_eq!(api_key_ttl(&unlimited, -5), 0);
        assert_eq!(api_key_ttl(&unlimited, 0), 0);
        assert_eq!(
            idle_limit(&Settings::of(&[(
                "auth-user-session-idle-ttl-minutes",
                "0"
            )])),
            None
        );
    }
}
