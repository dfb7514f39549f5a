//! Authenticated requests into clusters.
