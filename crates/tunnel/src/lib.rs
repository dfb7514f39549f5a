//! The reverse tunnel protocol: sans-IO core and thin tokio driver.
