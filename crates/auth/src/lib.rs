//! Tokens, identities and access decisions.
