//! Time and chance, handed in.
//!
//! The server passes the system's clock and generator; tests and simulations pass their own, so that expiry and
//! token names are reproducible.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;
use rand::rngs::{StdRng, SysRng};
use rand::{Rng, RngExt, SeedableRng, TryRng};

/// Where "now" comes from.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's wall clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(
            start.as_millisecond(),
        ))))
    }

    /// The present moment (a manual clock counts whole milliseconds).
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp::now(),
            Source::Manual(millis) => {
                Timestamp::from_millisecond(millis.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Moves a manual clock forward; the system's clock takes no notice.
    pub fn advance(&self, by: std::time::Duration) {
        if let Source::Manual(millis) = &self.0 {
            millis.fetch_add(
                i64::try_from(by.as_millis()).unwrap_or(i64::MAX),
                Ordering::SeqCst,
            );
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// Where token keys, salts and names come from.
#[derive(Clone)]
pub struct Entropy(Chance);

#[derive(Clone)]
enum Chance {
    System,
    Seeded(Arc<Mutex<StdRng>>),
}

/// The operating system gave no randomness; nothing secret can be made.
#[derive(Debug, thiserror::Error)]
#[error("the operating system's random generator failed")]
pub struct NoEntropy;

impl Entropy {
    /// The operating system's generator.
    #[must_use]
    pub fn system() -> Self {
        Self(Chance::System)
    }

    /// A reproducible sequence, for tests and simulations only.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Chance::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(
            seed,
        )))))
    }

    /// Fills `bytes` with unpredictable bytes.
    pub fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        match &self.0 {
            Chance::System => SysRng.try_fill_bytes(bytes).map_err(|_| NoEntropy),
            Chance::Seeded(generator) => {
                generator.lock().fill_bytes(bytes);
                Ok(())
            }
        }
    }

    /// A random unique id (RFC 9562, version 4).
    pub fn uuid(&self) -> Result<String, NoEntropy> {
        let mut bytes = [0; 16];
        self.fill(&mut bytes)?;
        Ok(uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .to_string())
    }

    /// `n_characters` drawn evenly from `alphabet` (ASCII, at most 256 letters).
    pub fn text(&self, alphabet: &[u8], n_characters: usize) -> Result<String, NoEntropy> {
        let mut seed = [0; 32];
        self.fill(&mut seed)?;
        // A ChaCha generator seeded from the operating system: one system call per text, no bias from rejection.
        let mut generator = StdRng::from_seed(seed);
        Ok((0..n_characters)
            .map(|_| char::from(alphabet[generator.random_range(0..alphabet.len())]))
            .collect())
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Chance::System => "Entropy::System",
            Chance::Seeded(_) => "Entropy::Seeded",
        })
    }
}
