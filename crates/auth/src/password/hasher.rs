//! Working out and checking hashes of passwords.
//!
//! Invariant: at most a few hashes are worked out at once, each on a blocking thread; a flood of logins slows logins,
//! nothing else.

use std::sync::Arc;

use hmac::SimpleHmac;
use secrecy::{ExposeSecret, SecretString};
use sha3::Sha3_512;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use super::{Bcrypt, Hashed, Kept, MAX_LENGTH, PasswordError};
use crate::clock::Entropy;

const ROUNDS: u32 = 210_000;
const LENGTH: usize = 32;

/// What came of checking a password.
#[derive(Debug)]
pub(crate) enum Checked {
    /// It is not the password.
    Wrong,
    /// It is.
    Right,
    /// It is, and was kept in an old form: this is to be kept in its place.
    Outdated(Hashed),
}

impl Checked {
    pub(crate) fn is_right(&self) -> bool {
        match self {
            Self::Wrong => false,
            Self::Right | Self::Outdated(_) => true,
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

    /// Checks a password. `None` as what is kept takes the same time and is wrong.
    pub(crate) async fn verify(
        &self,
        password: &SecretString,
        kept: Option<&Kept>,
    ) -> Result<Checked, PasswordError> {
        match kept {
            Some(Kept::Ours(hashed)) => {
                let key = self.derive(password, hashed.salt.clone(), hashed.key.len());
                let is_right = key.await?.as_slice().ct_eq(&hashed.key).into();
                Ok(if is_right {
                    Checked::Right
                } else {
                    Checked::Wrong
                })
            }
            Some(Kept::Bcrypt(old)) => {
                // Beside each other, so that the old form does not show in how long it takes.
                let (is_right, renewed) =
                    tokio::join!(self.verify_old(password, old.clone()), self.hash(password));
                Ok(match (is_right?, renewed?) {
                    (true, renewed) => Checked::Outdated(renewed),
                    (false, _) => Checked::Wrong,
                })
            }
            None => {
                self.derive(password, vec![0; LENGTH], LENGTH).await?;
                Ok(Checked::Wrong)
            }
        }
    }

    async fn verify_old(
        &self,
        password: &SecretString,
        old: Bcrypt,
    ) -> Result<bool, PasswordError> {
        let (password, too_long) = bounded(password);
        let is_right = self
            .work_out(move || old.verifies(password.expose_secret()))
            .await?;
        Ok(is_right && !too_long)
    }

    async fn derive(
        &self,
        password: &SecretString,
        salt: Vec<u8>,
        length: usize,
    ) -> Result<Vec<u8>, PasswordError> {
        let (password, too_long) = bounded(password);
        let rounds = self.rounds;
        let derived = self.work_out(move || {
            let mut key = vec![0; length.min(1024)];
            pbkdf2::pbkdf2::<SimpleHmac<Sha3_512>>(
                password.expose_secret().as_bytes(),
                &salt,
                rounds,
                &mut key,
            )
            .map(|()| key)
        });
        let key = derived.await?.map_err(|_| PasswordError::Wrong)?;
        if too_long {
            Err(PasswordError::Wrong)
        } else {
            Ok(key)
        }
    }

    /// Does it on a blocking thread, when it is its turn.
    async fn work_out<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let permit = Arc::clone(&self.at_once).acquire_owned().await;
        let permit = permit.map_err(|_| PasswordError::Stopping)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            // Given back when it is done, also if nobody waits for it any more.
            drop(permit);
            done
        });
        done.await.map_err(|_| PasswordError::Stopping)
    }
}

/// The password, and whether it is longer than one can be; then an empty one is worked on, so that the time is the same.
fn bounded(password: &SecretString) -> (SecretString, bool) {
    let password = password.expose_secret();
    let too_long = password.len() > MAX_LENGTH;
    let worked_on = if too_long { "" } else { password };
    (SecretString::from(worked_on), too_long)
}

#[cfg(test)]
mod tests {
    use super::super::of_old_user;
    use super::super::tests::{OLD, old_user};
    use super::*;
    use crate::UserId;

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
        let kept = Kept::of_secret(&secret);
        assert!(check(&hasher, "a-long-password", kept.as_ref()).await);
        assert!(!check(&hasher, "a-long-passwore", kept.as_ref()).await);
        assert!(!check(&hasher, "", kept.as_ref()).await);
        assert!(!check(&hasher, "", None).await);
        assert!(!check(&hasher, &"x".repeat(5000), kept.as_ref()).await);
    }

    async fn check(hasher: &Hasher, password: &str, kept: Option<&Kept>) -> bool {
        let checked = hasher.verify(&password.into(), kept).await;
        checked.is_ok_and(|checked| checked.is_right())
    }

    #[tokio::test]
    async fn a_password_of_the_old_form_verifies_and_comes_back_in_the_new_one() {
        let hasher = Hasher::quick(Entropy::seeded(7));
        let secret = of_old_user(&old_user(OLD)).unwrap();
        let kept = Kept::of_secret(&secret);
        assert!(!check(&hasher, "rasmuslerdorg", kept.as_ref()).await);
        let long = format!("rasmuslerdorf{}", "x".repeat(5000));
        assert!(!check(&hasher, &long, kept.as_ref()).await);
        let checked = hasher.verify(&"rasmuslerdorf".into(), kept.as_ref()).await;
        let Ok(Checked::Outdated(renewed)) = checked else {
            panic!("{checked:?}")
        };
        let kept = Kept::of_secret(&renewed.into_secret(&UserId::new("u-1")));
        assert!(matches!(kept, Some(Kept::Ours(_))));
        assert!(check(&hasher, "rasmuslerdorf", kept.as_ref()).await);
    }
}
