//! Network tokens: random UUIDs that users of other nodes present here. One per user; only digests are kept.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use model::LocalUser;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::node_jwt::{NodeClaims, hex};
use crate::nodes::{NONE, TOKENS};
use crate::remote_users::{self, RemoteUser};
use crate::store::{Change, now, told};
use crate::{Authority, Page, Paged, StoreError};

/// A token that was given, without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenToken {
    /// SHA-256 of the 16 bytes of the UUID, in hexadecimal digits.
    pub id: String,
    /// The node whose user has it.
    pub node: String,
    /// The name of the user there.
    pub remote_user: String,
    /// Who that is here.
    pub local_user: Option<LocalUser>,
    /// Unix seconds.
    pub issued_at: i64,
    /// Unix seconds.
    pub expires_at: i64,
}

/// Which tokens end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Those that have expired.
    Expired,
}

/// How long after its end a node's token is remembered: the clock of another replica may be behind, and still accept it.
const FORGOTTEN_SECONDS: i64 = 600;

const SELECT: &str = "SELECT t.digest AS digest, u.node AS node, u.remote_user AS remote_user, \
    u.local_issuer AS local_issuer, u.local_subject AS local_subject, t.created_at AS created_at, \
    t.expires_at AS expires_at FROM network_tokens t JOIN remote_users u ON u.id = t.remote_user";

impl Authority {
    /// Gives the user that a node vouches for a token that is good for so many seconds. The one before ends with it. A user
    /// who was never here is added, as nobody but one of that node's.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] if the node's token was used before, [`StoreError::Unavailable`]
    pub async fn give_network_token(
        &self,
        claims: &NodeClaims,
        name: &str,
        seconds: u64,
    ) -> Result<String, StoreError> {
        let user = RemoteUser {
            node: claims.node.clone(),
            name: name.to_owned(),
            local_user: None,
        };
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).map_err(|_| StoreError::Unavailable("no random numbers".to_owned()))?;
        let token = uuid::Builder::from_random_bytes(bytes).into_uuid();
        let mut change = self
            .network_change(&claims.by(), "network_token.give", &user.object(), TOKENS)
            .await?;
        claims.count_once(&mut change).await?;
        let id = match user.find(&mut change).await? {
            Some((id, _)) => id,
            None => remote_users::insert(&mut change, &user).await?,
        };
        let before = sqlx::query("DELETE FROM network_tokens WHERE remote_user = $1");
        change.execute(before.bind(id.clone())).await?;
        let statement = sqlx::query(
            "INSERT INTO network_tokens (digest, remote_user, created_at, expires_at) VALUES ($1, $2, $3, $4)",
        );
        let now = now();
        let statement = statement
            .bind(hex(digest(&SHA256, token.as_bytes()).as_ref()))
            .bind(id)
            .bind(now)
            .bind(now.saturating_add_unsigned(seconds));
        change.execute(statement).await?;
        change.commit().await?;
        Ok(token.to_string())
    }

    /// Ends the token of the user that a node vouches for. Who is nobody here is forgotten.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none; as [`Authority::give_network_token`]
    pub async fn return_network_token(&self, claims: &NodeClaims, name: &str) -> Result<(), StoreError> {
        let user = RemoteUser {
            node: claims.node.clone(),
            name: name.to_owned(),
            local_user: None,
        };
        let mut change = self
            .network_change(&claims.by(), "network_token.end", &user.object(), TOKENS)
            .await?;
        claims.count_once(&mut change).await?;
        let (id, user) = user.find(&mut change).await?.ok_or(StoreError::NotFound)?;
        let token = sqlx::query("DELETE FROM network_tokens WHERE remote_user = $1");
        if change.execute(token.bind(id.clone())).await? == 0 {
            return Err(StoreError::NotFound);
        }
        if user.local_user.is_none() {
            let nobody = sqlx::query("DELETE FROM remote_users WHERE id = $1");
            change.execute(nobody.bind(id)).await?;
        }
        change.commit().await
    }

    /// That network token's user, if the token is good: as the store says, for who asks no more than that.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if it is not; [`StoreError::Unavailable`]
    pub async fn good_network_token(&self, token: &str) -> Result<GivenToken, StoreError> {
        let uuid = uuid::Uuid::try_parse(token).map_err(|_| StoreError::NotFound)?;
        let given = self
            .network_token(&hex(digest(&SHA256, uuid.as_bytes()).as_ref()))
            .await?;
        match given.expires_at > now() {
            true => Ok(given),
            false => Err(StoreError::NotFound),
        }
    }

    /// Remembers a token of a node that was good for something else than a network token, so that it counts once.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] if it was used before, [`StoreError::Unavailable`]
    pub async fn count_node_token(&self, claims: &NodeClaims) -> Result<(), StoreError> {
        let mut change = self
            .network_change(&claims.by(), "node_token.use", &claims.digest, NONE)
            .await?;
        claims.count_once(&mut change).await?;
        change.commit().await
    }

    /// Tokens that were given, of all nodes or of one, by their ids; those that have expired are among them until they are
    /// removed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn network_tokens(
        &self,
        node: Option<&str>,
        page: Page,
    ) -> Result<Paged<GivenToken>, StoreError> {
        let statement =
            format!("{SELECT} WHERE t.digest > $1 AND ($2 = '' OR u.node = $2) ORDER BY t.digest LIMIT $3");
        let statement = sqlx::query(sqlx::AssertSqlSafe(statement));
        let statement = statement
            .bind(page.after.clone().unwrap_or_default())
            .bind(node.unwrap_or_default().to_owned())
            .bind(page.rows());
        let rows = self.store.rows(statement).await?;
        let tokens = rows.iter().map(GivenToken::read).collect::<Result<Vec<_>, _>>()?;
        Ok(page.cut(tokens, |token| &token.id))
    }

    /// One of them.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`]
    pub async fn network_token(&self, id: &str) -> Result<GivenToken, StoreError> {
        let statement = sqlx::query(sqlx::AssertSqlSafe(format!("{SELECT} WHERE t.digest = $1")));
        let rows = self.store.rows(statement.bind(id.to_owned())).await?;
        rows.first().map_or(Err(StoreError::NotFound), GivenToken::read)
    }

    /// Ends a token.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`]
    pub async fn end_network_token(&self, id: &str, by: &str) -> Result<(), StoreError> {
        let mut change = self.network_change(by, "network_token.end", id, TOKENS).await?;
        let statement = sqlx::query("DELETE FROM network_tokens WHERE digest = $1").bind(id.to_owned());
        if change.execute(statement).await? == 0 {
            return Err(StoreError::NotFound);
        }
        change.commit().await
    }

    /// Ends tokens of everybody, and forgets those without a token who are nobody here; how many tokens ended.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn end_network_tokens(&self, which: Which, by: &str) -> Result<u64, StoreError> {
        let object = match which {
            Which::All => "all",
            Which::Expired => "expired",
        };
        let mut change = self
            .network_change(by, "network_tokens.end", object, TOKENS)
            .await?;
        let until = match which {
            Which::All => i64::MAX,
            Which::Expired => now(),
        };
        let ended = sqlx::query("DELETE FROM network_tokens WHERE expires_at <= $1").bind(until);
        let ended = change.execute(ended).await?;
        let nobodies = sqlx::query(
            "DELETE FROM remote_users WHERE local_issuer IS NULL \
             AND id NOT IN (SELECT remote_user FROM network_tokens)",
        );
        change.execute(nobodies).await?;
        change.commit().await?;
        Ok(ended)
    }
}

impl NodeClaims {
    /// Fails if the token was used before.
    pub(crate) async fn count_once(&self, change: &mut Change) -> Result<(), StoreError> {
        let past = sqlx::query("DELETE FROM node_tokens_seen WHERE expires_at < $1");
        change.execute(past.bind(now() - FORGOTTEN_SECONDS)).await?;
        let statement = sqlx::query(
            "INSERT INTO node_tokens_seen (digest, expires_at) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING",
        );
        let statement = statement.bind(self.digest.clone()).bind(self.ends_at);
        match change.execute(statement).await? {
            0 => Err(StoreError::Invalid("the token was used before".to_owned())),
            _ => Ok(()),
        }
    }

    /// Who did it, in the audit.
    fn by(&self) -> String {
        format!("node {}", self.node)
    }
}

impl GivenToken {
    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        let number = |name: &str| row.try_get::<i64, _>(name).map_err(told);
        let user = RemoteUser::read(row)?;
        Ok(Self {
            id: row.try_get("digest").map_err(told)?,
            node: user.node,
            remote_user: user.name,
            local_user: user.local_user,
            issued_at: number("created_at")?,
            expires_at: number("expires_at")?,
        })
    }
}
