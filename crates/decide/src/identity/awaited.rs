//! What a credential that is not known yet waits for.

use super::introspection::AnswerWanted;
use super::keys::KeysWanted;

/// Keys or an answer that are on their way.
#[derive(Debug)]
pub struct Awaited(On);

#[derive(Debug)]
enum On {
    Keys(KeysWanted),
    Answer(AnswerWanted),
}

impl Awaited {
    /// Waits until it is there or will not come, for a bounded time. Needs a runtime with time enabled. Afterwards ask
    /// again with `identify_at_hand`.
    pub async fn wait(self) {
        match self.0 {
            On::Keys(wanted) => wanted.wait().await,
            On::Answer(wanted) => wanted.wait().await,
        }
    }
}

impl From<KeysWanted> for Awaited {
    fn from(wanted: KeysWanted) -> Self {
        Self(On::Keys(wanted))
    }
}

impl From<AnswerWanted> for Awaited {
    fn from(wanted: AnswerWanted) -> Self {
        Self(On::Answer(wanted))
    }
}
