//! What the APIs at `/v1` and `/v3` share.
//!
//! Owns the forms of answers and bodies, the states of objects, segments of
//! links, and the websockets of event streams. What is answered belongs to the
//! two APIs.

pub mod encode;
pub mod summary;
pub mod urls;
pub mod websocket;
