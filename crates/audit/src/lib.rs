//! The audit log: who did what to what, from where, and with which outcome.
//!
//! Owns the form of an entry ([`Entry`], field names of Rancher's log), what a path is about ([`Target`]), which parts
//! of headers and bodies may be written down ([`redact`]), and the file: lines chained by hashes, rotated, written
//! behind a bounded queue ([`AuditLog`]), read backwards by pages ([`Reader`]), and checked by [`verify`]; and the policies
//! that people write for it ([`Policies`]). Who is asking and when belongs to the server.
//!
//! Invariants: a value is written only if a table says that it is harmless (default deny); a request never waits for
//! the disk; what could not be written is counted, and the count is written as soon as that works again.

mod capture;
mod chain;
mod entry;
mod file;
mod follow;
mod level;
mod log;
mod policy;
mod read;
pub mod redact;
mod target;
mod verify;

pub use capture::{Captured, Tee};
pub use entry::{Entry, Object, Stage, User};
pub use file::{FileError, Limits};
pub use follow::follow;
pub use level::{Level, UnknownLevel};
pub use log::{AuditLog, Config, Writer};
pub use policy::{Policies, Policy, PolicyError, Shows, Verdict};
pub use read::{Ask, Filter, Outcome, Page, ReadError, Reader, UnknownOutcome, Words};
pub use target::Target;
pub use verify::{Broken, Report, VerifyError, verify};
