//! Tokens that the house issues in exchange for a user's token, for somebody who acts for that user (RFC 8693).
//!
//! Whether somebody gets one, and how narrow it is, was decided before; here it is signed, and what was given is written
//! down. The tokens themselves are not kept.

mod claims;
mod settings;

use jwt_simple::algorithms::EdDSAKeyPairLike as _;
use jwt_simple::common::HeaderOptions;
use model::{Actor, Principal};
use serde_json::Value;
use sqlx::Row as _;
use sqlx::any::AnyRow;
use uuid::Uuid;

use self::claims::Issue;
pub use self::settings::{DelegationSettings, is_scope};
use crate::keys::{KeyUse, Pair};
use crate::store::{Audit, Change, Page, Paged, Statement, StoreError, now, told};
use crate::{Authority, NewRevocation};

/// How long a token may be in bytes: what is longer is refused wherever it is shown.
const LONGEST_TOKEN: usize = 16 * 1024;
/// How many good tokens there may be at a time that were renewed from the same one.
const MOST_PER_CHAIN: i64 = 1_000;
/// How many good tokens somebody may have at a time, for all users together.
const MOST_PER_HOLDER: i64 = if cfg!(test) { 2_000 } else { 100_000 };

/// What was decided: whom a token is about, who gets it, and what it is limited to.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The user with what counts of their own token; `actors` are those who act already.
    pub subject: Principal,
    /// Who gets it and acts with it.
    pub actor: Actor,
    /// The same as policies name whom the credential was of: `Robot::"main/jobs"`.
    pub holder: String,
    /// The same for others (RFC 8693 section 4.1).
    pub act: Value,
    /// Whom it is for; not empty.
    pub audiences: Vec<String>,
    /// Scopes of the user's token.
    pub scopes: Vec<String>,
    /// The workspaces it is good for; `None`: as far as the user may go.
    pub workspaces: Option<Vec<String>>,
    /// The actions, or groups of actions, it is good for; `None`: as far as the user may go.
    pub actions: Option<Vec<String>>,
    /// For how many seconds.
    pub lifetime_seconds: u64,
    /// The user's own token.
    pub origin: Origin,
    /// The token that it takes the place of.
    pub renews: Option<Renewed>,
}

/// The user's own token: what revokes it revokes all that it was exchanged for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// `jti`
    pub token_id: Option<String>,
    /// `iat`, in Unix seconds.
    pub issued_at: Option<f64>,
    /// The client it was issued to.
    pub client: Option<String>,
}

/// A delegated token that is renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// Its `jti`.
    pub token_id: String,
    /// The `jti` of the first of the chain.
    pub first_id: String,
    /// When that was issued, in Unix seconds.
    pub began_at: i64,
}

/// A token, signed.
pub struct Minted {
    /// The token.
    pub token: String,
    /// Its `jti`.
    pub id: String,
    /// `exp`, in Unix seconds.
    pub expires_at: i64,
}

/// A delegated token that was given; never the token.
#[derive(Clone, Debug, PartialEq)]
pub struct DelegatedToken {
    /// Its `jti`.
    pub id: String,
    /// The `jti` of the first of all tokens that were renewed to become this one; its own if it renews none.
    pub first_id: String,
    /// Whom it is about: `User`, `Client` or `Robot`.
    pub subject_type: String,
    /// The short name of their issuer.
    pub subject_issuer: String,
    /// Their name there.
    pub subject: String,
    /// The short name of the actor's issuer.
    pub actor_issuer: String,
    /// The actor's name there.
    pub actor: String,
    /// Whom it is for.
    pub audiences: Vec<String>,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// The workspaces it is limited to.
    pub workspaces: Option<Vec<String>>,
    /// The actions it is limited to.
    pub actions: Option<Vec<String>>,
    /// Unix seconds.
    pub issued_at: i64,
    /// Unix seconds.
    pub expires_at: i64,
    /// Until when the actor can get another one for it, in Unix seconds.
    pub renewable_until: i64,
}

/// Who issues: the house.
#[derive(Clone, Debug)]
pub struct House {
    /// Its short name, by which revocations name its tokens.
    pub name: String,
    /// Its URL: `iss` of its tokens.
    pub url: String,
}

impl Authority {
    /// Signs what was decided, and writes down that it was given.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the renewal of a token that was never given, or to somebody else, or has been forgotten;
    /// [`StoreError::Invalid`] for a token that would be too long, and when there are too many good ones already (1,000 renewed
    /// from the same one, 100,000 of one client); [`StoreError::Unavailable`], also without keys.
    pub async fn mint(
        &self,
        house: &House,
        settings: &DelegationSettings,
        grant: &Grant,
    ) -> Result<Minted, StoreError> {
        self.ensure_keys(KeyUse::Tokens).await.map_err(no_key)?;
        let id = Uuid::now_v7().to_string();
        let (first_id, what) = match &grant.renews {
            None => (id.as_str(), "exchange"),
            Some(renewed) => (renewed.first_id.as_str(), "renew"),
        };
        let audit = Audit {
            by: &grant.holder,
            what,
            object: &id,
            details: Some(format!("{} for {}", grant.subject, grant.audiences.join(" "))),
        };
        let mut change = self.store.change(audit, &[]).await?;
        let now = now();
        if let Some(renewed) = &grant.renews {
            was_given(&mut change, renewed, grant).await?;
            let of = sqlx::query(
                "SELECT COUNT(*) AS number FROM delegated_tokens WHERE first_id = $1 AND expires_at >= $2",
            );
            let of = of.bind(first_id).bind(now);
            few(
                &mut change,
                of,
                MOST_PER_CHAIN,
                "that were renewed from the same one",
            )
            .await?;
        }
        let of = sqlx::query(
            "SELECT COUNT(*) AS number FROM delegated_tokens WHERE actor_issuer = $1 AND actor = $2 AND expires_at >= $3",
        );
        let of = of
            .bind(grant.actor.issuer.as_str())
            .bind(grant.actor.client.as_str())
            .bind(now);
        few(&mut change, of, MOST_PER_HOLDER, "of the same client").await?;
        let lifetime = i64::try_from(grant.lifetime_seconds).unwrap_or(i64::MAX);
        let issue = Issue {
            issuer: &house.url,
            id: &id,
            first_id,
            began_at: grant.renews.as_ref().map_or(now, |renewed| renewed.began_at),
            now,
            expires_at: now.saturating_add(lifetime),
        };
        let Pair::Token(pair) = self
            .token_key(&mut change, issue.expires_at)
            .await
            .map_err(no_key)?
        else {
            return Err(unsigned());
        };
        let kid = Pair::Token(pair.clone()).kid().ok_or_else(unsigned)?;
        let header = HeaderOptions {
            content_type: None,
            signature_type: Some("at+jwt".to_owned()),
        };
        let signed = pair
            .with_key_id(&kid)
            .sign_with_options(claims::claims(grant, &issue), &header);
        let token = signed.map_err(|_| unsigned())?;
        if token.len() > LONGEST_TOKEN {
            let length = token.len();
            return Err(StoreError::Invalid(format!(
                "the token would have {length} bytes, more than {LONGEST_TOKEN}; ask for fewer workspaces or actions"
            )));
        }
        write_down(&mut change, grant, &issue, settings).await?;
        change.commit().await?;
        Ok(Minted {
            token,
            expires_at: issue.expires_at,
            id,
        })
    }

    /// Delegated tokens that were given and may still be good or renewed, by their ids; of one subject (`main/alice`) if asked.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn delegated_tokens(
        &self,
        page: &Page,
        subject: Option<&str>,
    ) -> Result<Paged<DelegatedToken>, StoreError> {
        let statement = sqlx::query(
            "SELECT * FROM delegated_tokens WHERE id > $1 AND ($2 = '' OR subject_issuer || '/' || subject = $2) \
             AND (expires_at >= $3 OR renewable_until >= $3) ORDER BY id LIMIT $4",
        );
        let statement = statement
            .bind(page.after.clone().unwrap_or_default())
            .bind(subject.unwrap_or_default())
            .bind(now())
            .bind(page.rows());
        let rows = self.store.rows(statement).await?;
        let items: Result<Vec<_>, _> = rows.iter().map(DelegatedToken::read).collect();
        Ok(page.cut(items?, |token| &token.id))
    }

    /// One of them.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`]
    pub async fn delegated_token(&self, id: &str) -> Result<DelegatedToken, StoreError> {
        let statement = sqlx::query("SELECT * FROM delegated_tokens WHERE id = $1").bind(id);
        let rows = self.store.rows(statement).await?;
        rows.first()
            .map_or(Err(StoreError::NotFound), DelegatedToken::read)
    }

    /// Ends a delegated token with everything that it renews or that renews it: revokes the first of them, which all the
    /// others name.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`]
    pub async fn end_delegated_token(&self, by: &str, house: &str, id: &str) -> Result<(), StoreError> {
        let token = self.delegated_token(id).await?;
        let revocation = NewRevocation {
            issuer: house.to_owned(),
            what: model::Revoked::Token(token.first_id),
            before: model::Before::Ever,
            reason: Some(format!("the delegated token {id} was ended")),
            expires_at: Some(token.renewable_until.max(token.expires_at)),
        };
        self.revoke(by, revocation).await.map(|_| ())
    }
}

impl Authority {
    /// What has to be revoked besides, so that a delegated token ends with everything it renews: the first of them.
    pub(crate) async fn chain_of(&self, new: &NewRevocation) -> Result<Option<NewRevocation>, StoreError> {
        let model::Revoked::Token(id) = &new.what else {
            return Ok(None);
        };
        let first = match self.delegated_token(id).await {
            Ok(token) if token.first_id != *id => token.first_id,
            Ok(_) | Err(StoreError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(NewRevocation {
            what: model::Revoked::Token(first),
            // It ends later than the token that is named.
            expires_at: None,
            ..new.clone()
        }))
    }
}

/// Only what was given, to the same actor and about the same subject, is renewed.
async fn was_given(change: &mut Change, renewed: &Renewed, grant: &Grant) -> Result<(), StoreError> {
    let known = sqlx::query(
        "SELECT id FROM delegated_tokens WHERE id = $1 AND first_id = $2 AND actor_issuer = $3 AND actor = $4 \
         AND subject_issuer = $5 AND subject = $6",
    );
    let known = known
        .bind(renewed.token_id.as_str())
        .bind(renewed.first_id.as_str())
        .bind(grant.actor.issuer.as_str())
        .bind(grant.actor.client.as_str())
        .bind(grant.subject.issuer.as_str())
        .bind(grant.subject.subject.as_str());
    change.row(known).await?.map(|_| ()).ok_or(StoreError::NotFound)
}

/// Refuses one more than that many.
async fn few(change: &mut Change, count: Statement<'_>, most: i64, which: &str) -> Result<(), StoreError> {
    let row = change.row(count).await?;
    let number = row.map(|row| row.try_get::<i64, _>("number")).transpose();
    if number.map_err(told)?.unwrap_or_default() < most {
        return Ok(());
    }
    Err(StoreError::Invalid(format!(
        "there are {most} good delegated tokens {which} already: use a token until it ends, then renew it"
    )))
}

async fn write_down(
    change: &mut Change,
    grant: &Grant,
    issue: &Issue<'_>,
    settings: &DelegationSettings,
) -> Result<(), StoreError> {
    let list = |names: &[String]| Value::from(names.to_vec()).to_string();
    let grace = issue
        .expires_at
        .saturating_add_unsigned(settings.renewal_grace_seconds);
    let end = issue.began_at.saturating_add_unsigned(settings.max_total_seconds);
    let statement = sqlx::query(
        "INSERT INTO delegated_tokens (id, first_id, subject_type, subject_issuer, subject, subject_token_id, \
         subject_issued_at, actor_issuer, actor, audiences, scopes, workspaces, actions, issued_at, expires_at, \
         renewable_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
    )
    .bind(issue.id)
    .bind(issue.first_id)
    .bind(grant.subject.kind.as_str())
    .bind(grant.subject.issuer.as_str())
    .bind(grant.subject.subject.as_str())
    .bind(grant.origin.token_id.clone())
    .bind(grant.origin.issued_at)
    .bind(grant.actor.issuer.as_str())
    .bind(grant.actor.client.as_str())
    .bind(list(&grant.audiences))
    .bind(list(&grant.scopes))
    .bind(grant.workspaces.as_deref().map(list))
    .bind(grant.actions.as_deref().map(list))
    .bind(issue.now)
    .bind(issue.expires_at)
    .bind(grace.min(end));
    change.execute(statement).await.map(|_| ())
}

impl DelegatedToken {
    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        let list = |text: String| {
            serde_json::from_str(&text).map_err(|_| sqlx::Error::Decode("a list that is none".into()))
        };
        let limit = |name: &str| row.try_get::<Option<String>, _>(name)?.map(list).transpose();
        let read = || {
            Ok(Self {
                id: row.try_get("id")?,
                first_id: row.try_get("first_id")?,
                subject_type: row.try_get("subject_type")?,
                subject_issuer: row.try_get("subject_issuer")?,
                subject: row.try_get("subject")?,
                actor_issuer: row.try_get("actor_issuer")?,
                actor: row.try_get("actor")?,
                audiences: list(row.try_get("audiences")?)?,
                scopes: list(row.try_get("scopes")?)?,
                workspaces: limit("workspaces")?,
                actions: limit("actions")?,
                issued_at: row.try_get("issued_at")?,
                expires_at: row.try_get("expires_at")?,
                renewable_until: row.try_get("renewable_until")?,
            })
        };
        read().map_err(told)
    }
}

/// What is wrong with the keys is not the fault of whoever asks.
fn no_key(error: StoreError) -> StoreError {
    match error {
        StoreError::Invalid(why) => StoreError::Unavailable(why),
        error => error,
    }
}

fn unsigned() -> StoreError {
    StoreError::Unavailable("the token could not be signed".to_owned())
}

#[cfg(test)]
mod tests;
