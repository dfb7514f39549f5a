//! Passwords of local users: rules, hashes, the Secrets they are kept in.
//!
//! A password is kept as PBKDF2-HMAC-SHA3-512 (210,000 rounds, 32-byte salt and
//! key) in the Secret `cattle-local-user-passwords/<user>` with keys `password`
//! and `salt` (rancher/rancher `pkg/auth/providers/local/pbkdf2`), so that the
//! peer's hashes verify here and ours there. One that the peer still keeps as
//! bcrypt verifies too, and is kept anew when it did.
//!
//! Invariant: what is kept of a password is never shown.

mod bcrypt;
mod hasher;

use std::fmt;

use drover_types::management::User;
use drover_types::names;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource as _, ResourceExt as _};
use secrecy::{ExposeSecret, SecretString};

use crate::UserId;
use crate::clock::NoEntropy;
use crate::settings::Settings;
use bcrypt::Bcrypt;
pub(crate) use hasher::{Checked, Hasher};

/// Says how the Secret of a password holds its hash.
pub const ANNOTATION: &str = "cattle.io/password-hash";
const FORM: &str = "pbkdf2sha3512";
/// The peer's older form.
const OLD_FORM: &str = "bcrypt";
/// Where peers of before 2.12 keep the hash: in the User itself.
const OLD_FIELD: &str = "password";
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
    /// The Secret is in a form that cannot be checked here; the password must be set anew.
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

/// What is kept of a password.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    /// In our form.
    Ours(Hashed),
    /// In the peer's older one.
    Bcrypt(Bcrypt),
}

impl Kept {
    /// Reads the Secret of a user; `None` if it is in another form, or one that asks for too much work.
    pub(crate) fn of_secret(secret: &Secret) -> Option<Self> {
        let form = secret.metadata.annotations.as_ref()?.get(ANNOTATION)?;
        let data = secret.data.as_ref()?;
        let key = &data.get("password")?.0;
        match form.as_str() {
            FORM if !key.is_empty() => Some(Self::Ours(Hashed {
                salt: data.get("salt")?.0.clone(),
                key: key.clone(),
            })),
            OLD_FORM => Bcrypt::parse(key).map(Self::Bcrypt),
            _ => None,
        }
    }
}

/// The Secret for a hash that an old peer left in the User itself; `None` if there is none that could be checked.
#[must_use]
pub fn of_old_user(user: &User) -> Option<Secret> {
    let hash = user.other.get(OLD_FIELD)?.as_str()?;
    Bcrypt::parse(hash.as_bytes())?;
    let owner = OwnerReference {
        api_version: User::api_version(&()).into_owned(),
        kind: User::kind(&()).into_owned(),
        name: user.name_any(),
        uid: user.uid()?,
        ..OwnerReference::default()
    };
    Some(Secret {
        metadata: ObjectMeta {
            name: Some(user.name_any()),
            namespace: Some(names::PASSWORDS_NAMESPACE.to_owned()),
            annotations: Some([(ANNOTATION.to_owned(), OLD_FORM.to_owned())].into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some([("password".to_owned(), ByteString(hash.into()))].into()),
        ..Secret::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A user as peers of before 2.12 left it; the hash is of `rasmuslerdorf`.
    pub(super) fn old_user(hash: &str) -> User {
        let mut user = User::named("u-1");
        user.metadata.uid = Some("uid-1".to_owned());
        user.other.insert(OLD_FIELD.to_owned(), hash.into());
        user
    }

    pub(super) const OLD: &str = "$2y$07$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq";

    #[test]
    fn only_hashes_are_taken_out_of_users() {
        let secret = of_old_user(&old_user(OLD)).unwrap();
        assert_eq!(
            secret.namespace().as_deref(),
            Some(names::PASSWORDS_NAMESPACE)
        );
        assert_eq!(secret.owner_references()[0].uid, "uid-1");
        assert!(of_old_user(&old_user("in clear")).is_none());
        assert!(of_old_user(&old_user("")).is_none());
        assert!(of_old_user(&User::named("u-1")).is_none());
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
            .insert(ANNOTATION.to_owned(), "argon2".to_owned());
        assert!(Kept::of_secret(&secret).is_none());
    }
}
