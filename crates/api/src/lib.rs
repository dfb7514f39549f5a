//! What the APIs at `/v1` and `/v3` share.
//!
//! Owns the forms of answers and bodies, the states of objects, segments of
//! links, the websockets of event streams, and what the one asks of the other.
//! What is answered belongs to the two APIs.

pub mod applied;
pub mod encode;
pub mod keeper;
pub mod summary;
pub mod urls;
pub mod websocket;
