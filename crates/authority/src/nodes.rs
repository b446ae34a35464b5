//! The other nodes of the network: where they publish their keys, take requests for tokens, and let their users agree to links.

use serde::Serialize;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::node_jwt::acceptable_url;
use crate::store::{Audit, Change, Part, Statement, now, told};
use crate::{Authority, Page, Paged, StoreError};

/// Longest name of a node.
const MAX_NAME: usize = 100;
/// Most nodes.
const MAX_NODES: usize = 1000;
/// Most addresses that a node's users may be sent back to.
const MAX_REDIRECTS: usize = 20;
/// What changes tokens or who their users are: all of them are read again.
pub(crate) const TOKENS: &[Part] = &[Part::NetworkTokens];
/// What changes neither.
pub(crate) const NONE: &[Part] = &[];
const COLUMNS: &str = "name, base_url, jwks_url, token_url, authorization_url, redirect_uris";

/// Another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// The name it goes by in the network: `iss` of the tokens it sends.
    pub name: String,
    /// Where it is, for people.
    pub base_url: String,
    /// Where it publishes its keys.
    pub jwks_url: String,
    /// Where it gives network tokens.
    pub token_url: String,
    /// Where its users agree to be linked with an account here.
    pub authorization_url: String,
    /// Where it wants its own users to be sent back to after agreeing here; each is compared exactly.
    pub redirect_uris: Vec<String>,
}

/// What changes of a node; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeChange {
    /// The name. Tokens and users of the node stay.
    pub name: Option<String>,
    /// See [`Node`].
    pub base_url: Option<String>,
    /// See [`Node`].
    pub jwks_url: Option<String>,
    /// See [`Node`].
    pub token_url: Option<String>,
    /// See [`Node`].
    pub authorization_url: Option<String>,
    /// See [`Node`].
    pub redirect_uris: Option<Vec<String>>,
}

impl Authority {
    /// All nodes, by name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn nodes(&self, page: Page) -> Result<Paged<Node>, StoreError> {
        let statement = format!("SELECT {COLUMNS} FROM nodes WHERE name > $1 ORDER BY name LIMIT $2");
        let statement = sqlx::query(sqlx::AssertSqlSafe(statement));
        let after = page.after.clone().unwrap_or_default();
        let rows = self.store.rows(statement.bind(after).bind(page.rows())).await?;
        let nodes = rows.iter().map(Node::read).collect::<Result<Vec<_>, _>>()?;
        Ok(page.cut(nodes, |node| &node.name))
    }

    /// One node.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`]
    pub async fn node(&self, name: &str) -> Result<Node, StoreError> {
        let rows = self.store.rows(Node::select(name)).await?;
        rows.first().map_or(Err(StoreError::NotFound), Node::read)
    }

    /// Adds a node.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is one of that name, [`StoreError::Invalid`], [`StoreError::Unavailable`]
    pub async fn add_node(&self, node: Node, by: &str) -> Result<(), StoreError> {
        node.check()?;
        let mut change = self.network_change(by, "node.add", &node.name, NONE).await?;
        let count = change.rows(sqlx::query("SELECT name FROM nodes")).await?.len();
        if count >= MAX_NODES {
            return Err(StoreError::Invalid(format!(
                "there are {MAX_NODES} nodes already"
            )));
        }
        change.execute(node.insert()).await?;
        change.commit().await
    }

    /// Changes a node, and tells how it is then.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Conflict`] if the new name is another node's, [`StoreError::Invalid`],
    /// [`StoreError::Unavailable`]
    pub async fn change_node(&self, name: &str, to: NodeChange, by: &str) -> Result<Node, StoreError> {
        // Tokens say which node they are of.
        let parts = if to.name.as_deref().is_some_and(|to| to != name) {
            TOKENS
        } else {
            NONE
        };
        let mut change = self.network_change(by, "node.change", name, parts).await?;
        // Read in here: what others change at the same time comes before this or after it, and stays.
        let row = change.row(Node::select(name)).await?;
        let mut node = row.as_ref().map_or(Err(StoreError::NotFound), Node::read)?;
        let set = |value: &mut String, to: Option<String>| {
            if let Some(to) = to {
                *value = to;
            }
        };
        set(&mut node.name, to.name);
        set(&mut node.base_url, to.base_url);
        set(&mut node.jwks_url, to.jwks_url);
        set(&mut node.token_url, to.token_url);
        set(&mut node.authorization_url, to.authorization_url);
        if let Some(to) = to.redirect_uris {
            node.redirect_uris = to;
        }
        node.check()?;
        if node.name == name {
            let statement = sqlx::query(
                "UPDATE nodes SET base_url = $2, jwks_url = $3, token_url = $4, authorization_url = $5, \
                 redirect_uris = $6 WHERE name = $1",
            );
            if change.execute(node.bind(statement)).await? == 0 {
                return Err(StoreError::NotFound);
            }
        } else {
            // The users follow, and their tokens follow them.
            change.execute(node.insert()).await?;
            let moved = sqlx::query("UPDATE remote_users SET node = $1 WHERE node = $2");
            change
                .execute(moved.bind(node.name.clone()).bind(name.to_owned()))
                .await?;
            let gone = sqlx::query("DELETE FROM nodes WHERE name = $1").bind(name.to_owned());
            if change.execute(gone).await? == 0 {
                return Err(StoreError::NotFound);
            }
        }
        change.commit().await?;
        Ok(node)
    }

    /// Removes a node with its users and their tokens.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`]
    pub async fn remove_node(&self, name: &str, by: &str) -> Result<(), StoreError> {
        let mut change = self.network_change(by, "node.remove", name, TOKENS).await?;
        let gone = sqlx::query("DELETE FROM nodes WHERE name = $1").bind(name.to_owned());
        if change.execute(gone).await? == 0 {
            return Err(StoreError::NotFound);
        }
        change.commit().await
    }

    /// Begins a change of network mode: of [`TOKENS`], or of [`NONE`] of what decisions know.
    pub(crate) async fn network_change(
        &self,
        by: &str,
        what: &'static str,
        object: &str,
        parts: &[Part],
    ) -> Result<Change, StoreError> {
        let details = None;
        let audit = Audit {
            by,
            what,
            object,
            details,
        };
        self.store.change(audit, parts).await
    }
}

impl Node {
    fn select(name: &str) -> Statement<'static> {
        let statement = format!("SELECT {COLUMNS} FROM nodes WHERE name = $1");
        sqlx::query(sqlx::AssertSqlSafe(statement)).bind(name.to_owned())
    }

    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        let text = |name: &str| row.try_get::<String, _>(name).map_err(told);
        let redirect_uris = text("redirect_uris")?;
        Ok(Self {
            name: text("name")?,
            base_url: text("base_url")?,
            jwks_url: text("jwks_url")?,
            token_url: text("token_url")?,
            authorization_url: text("authorization_url")?,
            redirect_uris: serde_json::from_str(&redirect_uris)
                .map_err(|error| StoreError::Unavailable(format!("the addresses of a node: {error}")))?,
        })
    }

    fn insert(&self) -> Statement<'static> {
        let statement = sqlx::query(
            "INSERT INTO nodes (name, base_url, jwks_url, token_url, authorization_url, redirect_uris, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        );
        self.bind(statement).bind(now())
    }

    /// All that there is of it, as the first six arguments.
    fn bind(&self, statement: Statement<'static>) -> Statement<'static> {
        statement
            .bind(self.name.clone())
            .bind(self.base_url.clone())
            .bind(self.jwks_url.clone())
            .bind(self.token_url.clone())
            .bind(self.authorization_url.clone())
            .bind(serde_json::json!(self.redirect_uris).to_string())
    }

    fn check(&self) -> Result<(), StoreError> {
        let invalid = |what: &str, why: &str| StoreError::Invalid(format!("{what} {why}"));
        checked_name(&self.name).map_err(|why| invalid("`name`", why))?;
        for (what, url) in [
            ("`base_url`", &self.base_url),
            ("`jwks_url`", &self.jwks_url),
            ("`token_url`", &self.token_url),
            ("`authorization_url`", &self.authorization_url),
        ] {
            acceptable_url(url).map_err(|why| invalid(what, why))?;
        }
        if self.redirect_uris.len() > MAX_REDIRECTS {
            return Err(invalid("`redirect_uris`", "has more than 20 addresses"));
        }
        for uri in &self.redirect_uris {
            acceptable_url(uri).map_err(|why| invalid("an address in `redirect_uris`", why))?;
        }
        Ok(())
    }
}

/// The name of a node.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn checked_name(name: &str) -> Result<(), &'static str> {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(letters) {
        return Err("is not 1 to 100 ASCII letters, digits, `_` and `-`");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
