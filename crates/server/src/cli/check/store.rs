//! What is revoked, as the server would know it: read from the store when nobody but the configuration is asked.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use authority::Authority;
use decide::Pipeline;
use model::HouseView;
use secrecy::ExposeSecret as _;

use crate::cli::tell;
use crate::config::AuthoritySection;

const PATIENCE: Duration = Duration::from_secs(5);

/// Publishes what is in the store for as long as the answer is kept. A store that nobody has made yet is not made here: nothing is
/// revoked in it.
pub(super) async fn read(section: &AuthoritySection, pipeline: &Arc<Pipeline>) -> Option<Authority> {
    let file = section.store.store.expose_secret().strip_prefix("sqlite:");
    if file.is_some_and(|file| !Path::new(file.trim_start_matches("//")).exists()) {
        pipeline.publish(HouseView::none());
        return None;
    }
    let decisions = Arc::downgrade(pipeline);
    let publish: authority::Publish = Arc::new(move |view| {
        if let Some(pipeline) = decisions.upgrade() {
            pipeline.publish(view);
        }
    });
    match tokio::time::timeout(PATIENCE, Authority::start(&section.store, publish)).await {
        Ok(Ok(authority)) => Some(authority),
        Ok(Err(error)) => {
            tell(&format!(
                "the store cannot be read, so nobody knows what is revoked: {error}"
            ));
            None
        }
        Err(_) => {
            tell(&format!(
                "the store does not answer within {PATIENCE:?}, so nobody knows what is revoked"
            ));
            None
        }
    }
}
