//! Tokens, identities and access decisions.
//!
//! Owns who a request comes from ([`Authenticator`]), what that identity may do ([`Access`]), how people sign in
//! ([`Logins`], [`public`]), and the shared vocabulary of the HTTP edge ([`web`]). Routes, connections and the store
//! belong to others: everything here works on a `kube::Client` and on plain requests.
//!
//! Invariant: no secret (password, token key) is ever part of a `Debug` output, a log line or an error message.

pub mod access;
mod assembly;
pub mod authenticator;
pub mod bootstrap;
pub mod clock;
pub mod csrf;
pub mod ext;
#[cfg(test)]
mod fake;
mod freshness;
pub mod identity;
mod limiter;
pub mod logins;
mod mirror;
pub mod namespaces;
pub mod password;
mod people;
pub mod public;
pub mod settings;
pub mod token;
pub mod web;

pub use access::{Access, Attributes, ClustersVisible, Decision};
pub use assembly::{Auth, Config, Driver};
pub use authenticator::{AuthError, Authenticator, Revocation};
pub use clock::{Clock, Entropy};
pub use freshness::LONGEST_SILENCE;
pub use identity::{Identity, TokenRef, UserId};
pub use logins::{IssuedToken, LoginError, Logins};
pub use settings::Settings;
