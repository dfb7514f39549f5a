//! Clusters and what controllers do about them, over a hub in this process. Only the session is played.

#![cfg(test)]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod life;
mod matrix;
mod world;
