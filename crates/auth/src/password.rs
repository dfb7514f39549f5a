//! Passwords of local users: rules, hashes, the Secrets they are kept in.
//!
//! A password is kept as PBKDF2-HMAC-SHA3-512 (210,000 rounds, 32-byte salt and
//! key) in the Secret `cattle-local-user-passwords/<user>` with keys `password`
//! and `salt` (rancher/rancher `pkg/auth/providers/local/pbkdf2`), so that the
//! peer's hashes verify here and ours there.
//!
//! Invariant: at most a few hashes are worked out at once, each on a blocking
//! thread; a flood of logins slows logins, nothing else.

use std::fmt;
use std::sync::Arc;

use drover_types::names;
use hmac::SimpleHmac;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use secrecy::{ExposeSecret, SecretString};
use sha3::Sha3_512;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::UserId;
use crate::clock::{Entropy, NoEntropy};
use crate::settings::Settings;

const ANNOTATION: &str = "cattle.io/password-hash";
const FORM: &str = "pbkdf2sha3512";
const ROUNDS: u32 = 210_000;
const LENGTH: usize = 32;
/// Longer passwords are refused before anything is done with them.
const MAX_LENGTH: usize = 1024;

/// Why a password cannot be taken or checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Setting `password-min-length`.
    #[error("Password must be at least {0} characters")]
    TooShort(i64),
    /// More than 1024 bytes.
    #[error("Password must be at most {MAX_LENGTH} bytes")]
    TooLong,
    /// As easy to guess as the name.
    #[error("Password cannot be the same as the username")]
    SameAsUsername,
    /// The same again.
    #[error("The new password must be different from the current one")]
    SameAsCurrent,
    /// What was given as the current password is not it.
    #[error("The current password is not right")]
    Wrong,
    /// The Secret is in a form that cannot be checked here (bcrypt); the password must be set anew.
    #[error("the stored password of {0} has a form that cannot be checked; set a new one")]
    UnknownForm(UserId),
    /// No salt could be drawn.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The blocking thread was taken away: the runtime is shutting down.
    #[error("the server is shutting down")]
    Stopping,
    /// The store did not take or give the Secret.
    #[error("could not {step}")]
    Store {
        /// What was being done.
        step: &'static str,
        /// The store's answer.
        #[source]
        source: kube::Error,
    },
}

/// Checks a new password against the rules (reference section 4.5).
///
/// # Errors
/// [`PasswordError::TooShort`], [`PasswordError::TooLong`], [`PasswordError::SameAsUsername`].
pub fn check_rules(
    settings: &Settings,
    username: &str,
    password: &SecretString,
) -> Result<(), PasswordError> {
    let password = password.expose_secret();
    let least = settings.number("password-min-length").max(1);
    if password.len() > MAX_LENGTH {
        return Err(PasswordError::TooLong);
    }
    if i64::try_from(password.chars().count()).unwrap_or(i64::MAX) < least {
        return Err(PasswordError::TooShort(least));
    }
    if password == username {
        return Err(PasswordError::SameAsUsername);
    }
    Ok(())
}

/// A salted hash. Not the password, but hidden all the same: it can be attacked off line.
#[derive(Clone)]
pub(crate) struct Hashed {
    salt: Vec<u8>,
    key: Vec<u8>,
}

impl fmt::Debug for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hashed(..)")
    }
}

impl Hashed {
    /// Reads the Secret of a user; `None` if it is in another form.
    pub(crate) fn of_secret(secret: &Secret) -> Option<Self> {
        let form = secret.metadata.annotations.as_ref()?.get(ANNOTATION)?;
        let data = secret.data.as_ref()?;
        let (key, salt) = (&data.get("password")?.0, &data.get("salt")?.0);
        (form == FORM && !key.is_empty()).then(|| Self {
            salt: salt.clone(),
            key: key.clone(),
        })
    }

    /// The Secret to keep, owned by nobody: it must survive until the user is deleted on purpose.
    pub(crate) fn into_secret(self, user: &UserId) -> Secret {
        Secret {
            metadata: ObjectMeta {
                name: Some(user.as_str().to_owned()),
                namespace: Some(names::PASSWORDS_NAMESPACE.to_owned()),
                annotations: Some([(ANNOTATION.to_owned(), FORM.to_owned())].into()),
                ..ObjectMeta::default()
            },
            data: Some(
                [
                    ("password".to_owned(), ByteString(self.key)),
                    ("salt".to_owned(), ByteString(self.salt)),
                ]
                .into(),
            ),
            ..Secret::default()
        }
    }
}

/// Works out hashes. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Hasher {
    rounds: u32,
    entropy: Entropy,
    at_once: Arc<Semaphore>,
}

impl Hasher {
    pub(crate) fn new(entropy: Entropy) -> Self {
        Self {
            rounds: ROUNDS,
            entropy,
            at_once: Arc::new(Semaphore::new(2)),
        }
    }

    /// Few rounds, so that tests need not wait; the hashes only verify with the same number.
    #[cfg(test)]
    pub(crate) fn quick(entropy: Entropy) -> Self {
        Self {
            rounds: 3,
            ..Self::new(entropy)
        }
    }

    pub(crate) async fn hash(&self, password: &SecretString) -> Result<Hashed, PasswordError> {
        let mut salt = vec![0; LENGTH];
        self.entropy.fill(&mut salt)?;
        let key = self.derive(password, salt.clone(), LENGTH).await?;
        Ok(Hashed { salt, key })
    }

    /// Whether this is the password. `None` as hash takes the same time and says no.
    pub(crate) async fn verify(
        &self,
        password: &SecretString,
        hashed: Option<&Hashed>,
    ) -> Result<bool, PasswordError> {
        let nobody = Hashed {
            salt: vec![0; LENGTH],
            key: vec![0; LENGTH],
        };
        let against = hashed.unwrap_or(&nobody);
        let key = self
            .derive(password, against.salt.clone(), against.key.len())
            .await?;
        Ok(bool::from(key.as_slice().ct_eq(&against.key)) && hashed.is_some())
    }

    async fn derive(
        &self,
        password: &SecretString,
        salt: Vec<u8>,
        length: usize,
    ) -> Result<Vec<u8>, PasswordError> {
        // A longer one cannot have been set; hashing its beginning keeps the time the same.
        let password = password.expose_secret();
        let too_long = password.len() > MAX_LENGTH;
        let password = SecretString::from(if too_long {
            String::new()
        } else {
            password.to_owned()
        });
        let rounds = self.rounds;
        let _permit = self
            .at_once
            .acquire()
            .await
            .map_err(|_| PasswordError::Stopping)?;
        let derived = tokio::task::spawn_blocking(move || {
            let mut key = vec![0; length.min(1024)];
            pbkdf2::pbkdf2::<SimpleHmac<Sha3_512>>(
                password.expose_secret().as_bytes(),
                &salt,
                rounds,
                &mut key,
            )
            .map(|()| key)
        });
        let key = derived
            .await
            .map_err(|_| PasswordError::Stopping)?
            .map_err(|_| PasswordError::Wrong)?;
        if too_long {
            Err(PasswordError::Wrong)
        } else {
            Ok(key)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out with Python's `hashlib.pbkdf2_hmac("sha3_512", b"password", b"salt", n, 32)`.
    #[tokio::test]
    async fn hashes_are_pbkdf2_with_hmac_sha3_512() {
        let hasher = Hasher {
            rounds: 3,
            ..Hasher::new(Entropy::seeded(1))
        };
        let key = hasher
            .derive(&"password".into(), b"salt".to_vec(), 32)
            .await
            .unwrap();
        assert_eq!(
            hex::encode(key),
            "cf022071b51477a7783157cbf39fe43377494e295da4d9bb8905117d0a4e998c"
        );
        let hasher = Hasher::new(Entropy::seeded(1));
        let key = hasher
            .derive(&"password".into(), b"salt".to_vec(), 32)
            .await
            .unwrap();
        assert_eq!(
            hex::encode(key),
            "bf93c441b741c5b6592076203d524d9ca92dccd5d7f7f11f7c61ca91f25eab30"
        );
    }

    #[tokio::test]
    async fn a_password_verifies_through_its_secret_and_no_other_does() {
        let hasher = Hasher::quick(Entropy::seeded(7));
        let hashed = hasher.hash(&"a-long-password".into()).await.unwrap();
        let secret = hashed.into_secret(&UserId::new("u-1"));
        let hashed = Hashed::of_secret(&secret).unwrap();
        assert!(
            hasher
                .verify(&"a-long-password".into(), Some(&hashed))
                .await
                .unwrap()
        );
        assert!(
            !hasher
                .verify(&"a-long-passwore".into(), Some(&hashed))
                .await
                .unwrap()
        );
        assert!(!hasher.verify(&"".into(), Some(&hashed)).await.unwrap());
        assert!(!hasher.verify(&"".into(), None).await.unwrap());
        assert!(
            hasher
                .verify(&"x".repeat(5000).into(), Some(&hashed))
                .await
                .is_err()
        );
    }

    #[test]
    fn rules_count_characters_and_forbid_the_name() {
        let settings = Settings::of(&[("password-min-length", "4")]);
        let check = |password: &str| check_rules(&settings, "jürg", &password.into());
        assert!(matches!(check("äöü"), Err(PasswordError::TooShort(4))));
        assert!(check("äöüß").is_ok());
        assert!(matches!(check("jürg"), Err(PasswordError::SameAsUsername)));
        assert!(matches!(
            check(&"x".repeat(2000)),
            Err(PasswordError::TooLong)
        ));
        assert_eq!(
            check("x").unwrap_err().to_string(),
            "Password must be at least 4 characters"
        );
    }

    #[test]
    fn a_hash_is_never_shown() {
        let hashed = Hashed {
            salt: b"salt".to_vec(),
            key: b"key".to_vec(),
        };
        assert_eq!(format!("{hashed:?}"), "Hashed(..)");
    }

    #[test]
    fn a_secret_of_another_form_is_not_read() {
        let mut secret = Hashed {
            salt: vec![1],
            key: vec![2],
        }
        .into_secret(&UserId::new("u-1"));
        secret
            .metadata
            .annotations
            .as_mut()
            .unwrap()
            .insert(ANNOTATION.to_owned(), "bcrypt".to_owned());
        assert!(Hashed::of_secret(&secret).is_none());
    }
}
