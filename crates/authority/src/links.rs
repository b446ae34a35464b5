//! Links that users here asked for: what a node says about somebody here counts only if they asked that node, and once.
//!
//! Otherwise a node could send a browser back with a link that its user never wanted, and the browser adds the credential.

use model::LocalUser;

use crate::nodes::NONE;
use crate::store::{Change, now};
use crate::{Authority, StoreError};

/// How long a user may take to agree at the other node: twice the longest life of a token between nodes.
const SECONDS: i64 = 600;

impl Authority {
    /// Remembers that a user asks for a link with their account at a node; asking again begins anew.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such node, [`StoreError::Unavailable`]
    pub async fn ask_for_link(&self, node: &str, user: &LocalUser) -> Result<(), StoreError> {
        let by = format!("User::\"{}/{}\"", user.issuer, user.subject);
        let mut change = self.network_change(&by, "remote_user.ask", node, NONE).await?;
        let past = sqlx::query("DELETE FROM links_asked WHERE expires_at < $1");
        change.execute(past.bind(now() - SECONDS)).await?;
        let statement = sqlx::query(
            "INSERT INTO links_asked (local_issuer, local_subject, node, expires_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (local_issuer, local_subject, node) DO UPDATE SET expires_at = excluded.expires_at",
        );
        let statement = statement
            .bind(user.issuer.clone())
            .bind(user.subject.clone())
            .bind(node.to_owned())
            .bind(now() + SECONDS);
        change.execute(statement).await?;
        change.commit().await
    }
}

/// Uses up what the user asked for.
///
/// # Errors
/// [`StoreError::NotFound`] if they did not, or too long ago; [`StoreError::Unavailable`]
pub(crate) async fn use_up(change: &mut Change, node: &str, user: &LocalUser) -> Result<(), StoreError> {
    let statement = sqlx::query(
        "DELETE FROM links_asked WHERE local_issuer = $1 AND local_subject = $2 AND node = $3 AND expires_at > $4",
    );
    let statement = statement
        .bind(user.issuer.clone())
        .bind(user.subject.clone())
        .bind(node.to_owned())
        .bind(now());
    match change.execute(statement).await? {
        0 => Err(StoreError::NotFound),
        _ => Ok(()),
    }
}
