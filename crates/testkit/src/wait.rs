//! Waiting for a condition with a deadline, never for a fixed time.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The pause between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(50);

/// Polls `condition` until it yields a value.
///
/// # Errors
///
/// After `limit`, with `what` and the last reason the condition gave.
pub async fn until<T, F, Fut>(what: &str, limit: Duration, mut condition: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let start = Instant::now();
    loop {
        let reason = match condition().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if start.elapsed() > limit {
            bail!("waited {limit:?} for {what}: {reason:#}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
