//! Programs that obey lines on standard input, for tests that are not written in Rust.

use anyhow::Result;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// Hands each line to `command` and answers `ok` or `error: ...`, until standard input ends.
///
/// # Errors
///
/// When standard input cannot be read.
#[expect(
    clippy::print_stdout,
    reason = "the answers are for a parent that reads standard output"
)]
pub async fn obey(mut command: impl AsyncFnMut(&str) -> Result<()>) -> Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        match command(&line).await {
            Ok(()) => println!("ok"),
            Err(error) => println!("error: {error:#}"),
        }
    }
    Ok(())
}
