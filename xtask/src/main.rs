//! Checks, tests, benchmarks and development start.
fn main() {}
