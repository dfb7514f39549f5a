//! How many requests of one connection are being answered.
//!
//! A request counts from its header until the last byte of its answer was handed to the connection.

use std::time::Duration;

use drover_auth::web::Response;
use tokio::sync::watch;

use crate::holding::holding;

/// Counts them; clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Busy(watch::Sender<usize>);

/// One request that is being answered.
#[derive(Debug)]
pub(super) struct Running(watch::Sender<usize>);

impl Busy {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(super) fn begin(&self) -> Running {
        self.0.send_modify(|running| *running += 1);
        Running(self.0.clone())
    }

    /// Completes when nothing was answered for as long as `time`.
    pub(super) async fn idle(&self, time: Duration) {
        let mut running = self.0.subscribe();
        loop {
            // The sender lives as long as this does.
            if running.wait_for(|running| *running == 0).await.is_err() {
                return;
            }
            let begins = running.wait_for(|running| *running > 0);
            if tokio::time::timeout(time, begins).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

impl Running {
    /// The answer, which counts until its body is done.
    pub(super) fn with(self, answer: Response) -> Response {
        answer.map(|body| holding(body, self))
    }
}
