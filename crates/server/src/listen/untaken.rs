//! Connections that could not be taken: there are no descriptors left, or the peer left at once. Neither may end a listener, and
//! neither may fill the log.

use std::io;
use std::time::{Duration, Instant};

/// How long a listener waits before it tries again.
const PAUSE: Duration = Duration::from_millis(10);
/// How long it says nothing of more of them.
const QUIET: Duration = Duration::from_secs(60);

/// What one listener could not take.
#[derive(Debug, Default)]
pub(crate) struct Untaken {
    said: Option<Instant>,
    attempts: u64,
}

impl Untaken {
    /// One more, because of this: says so now and then, and waits for a moment.
    pub(crate) async fn one_more(&mut self, error: &io::Error) {
        self.attempts += 1;
        if self.said.is_none_or(|said| said.elapsed() >= QUIET) {
            tracing::warn!(attempts = self.attempts, %error, "a connection could not be accepted");
            *self = Self {
                said: Some(Instant::now()),
                attempts: 0,
            };
        }
        tokio::time::sleep(PAUSE).await;
    }
}
