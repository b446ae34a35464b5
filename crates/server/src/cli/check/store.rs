//! What is revoked, as the server would know it: read from the store when nobody but the configuration is asked.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use authority::Store;
use decide::Pipeline;
use model::HouseView;
use secrecy::ExposeSecret as _;

use crate::cli::tell;
use crate::config::AuthoritySection;

const PATIENCE: Duration = Duration::from_secs(5);

/// Publishes what is in the store, and changes nothing there. In a file that nobody has made yet nothing is revoked; a store that cannot
/// be read leaves it unknown what is.
pub(super) async fn read(section: &AuthoritySection, pipeline: &Arc<Pipeline>) {
    let file = section.store.store.expose_secret().strip_prefix("sqlite:");
    let is_there = file.map(|file| Path::new(file.trim_start_matches("//")).try_exists());
    let problem = match is_there {
        Some(Ok(false)) => return pipeline.publish(HouseView::none()),
        Some(Err(error)) => error.to_string(),
        Some(Ok(true)) | None => {
            let decisions = Arc::clone(pipeline);
            let publish: authority::Publish = Arc::new(move |view| decisions.publish(view));
            match tokio::time::timeout(PATIENCE, Store::read(&section.store, publish)).await {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {PATIENCE:?}"),
            }
        }
    };
    tell(&format!(
        "the store cannot be read, so nobody knows what is revoked: {problem}"
    ));
}
