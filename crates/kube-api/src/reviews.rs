//! Access reviews and token reviews: `Action`s that ask the authorizer.
//!
//! Registered by `builtin::install`.
