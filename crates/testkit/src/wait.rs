//! Waiting for a condition with a deadline, never for a fixed time.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::process::Ended;

/// The pause between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(50);

/// Polls `condition` until it yields a value.
///
/// # Errors
///
/// After `limit`, with `what` and the last reason the condition gave; at once when a process that it needs has [`Ended`].
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
        if reason.is::<Ended>() {
            return Err(reason.context(format!("waited for {what}")));
        }
        if start.elapsed() > limit {
            bail!("waited {limit:?} for {what}: {reason:#}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
