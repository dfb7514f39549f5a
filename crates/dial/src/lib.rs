//! Outgoing connections of the programs that run beside a server: the cluster agent, the command line.
//!
//! Owns three things, each usable alone: which proxy a host is reached through ([`proxy`]), whom a TLS
//! connection trusts ([`trust`]), and the way from a host name to an encrypted stream ([`dialer`]), with a
//! small HTTP exchange on top ([`exchange`]). Knows no product type and reads no environment: values are handed in.
//!
//! Invariant: every failure names the step that failed, because the agent's start checks turn it into advice.

pub mod dialer;
pub mod exchange;
pub mod proxy;
pub mod trust;

mod chain;

pub use chain::Chain;
pub use dialer::{Connection, DialError, Dialer, Io};
pub use exchange::{Client, ExchangeError};
pub use proxy::{Proxy, ProxyError, Rules};
pub use trust::{Trust, TrustError};
