//! Holds no code: see `Cargo.toml` for why it is there.
