//! The users of other nodes, and who they are here: a local user, or nobody but one of their node's.

use model::LocalUser;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::links;
use crate::node_jwt::{NodeClaims, checked_user};
use crate::nodes::{NONE, TOKENS, checked_name};
use crate::store::{Change, Statement, now, told};
use crate::{Authority, Page, Paged, StoreError};

/// Names that begin so are the house's own: of those who stand for everybody of a node.
pub const RESERVED_PREFIX: &str = "magpie_";
/// Most users of one node. They come by themselves when they ask for a token.
const MAX_USERS: i64 = 100_000;

/// A user of another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteUser {
    /// The node.
    pub node: String,
    /// The name there.
    pub name: String,
    /// Who that is here; `None`: nobody but one of that node's.
    pub local_user: Option<LocalUser>,
}

/// Which users are wanted; `None`: any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteUserFilter {
    /// Of that node.
    pub node: Option<String>,
    /// Who are that user here.
    pub local_user: Option<LocalUser>,
}

/// What changes of a user; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteUserChange {
    /// The node.
    pub node: Option<String>,
    /// The name there.
    pub name: Option<String>,
    /// Who that is here; `Some(None)`: nobody.
    pub local_user: Option<Option<LocalUser>>,
}

impl Authority {
    /// The users of other nodes, by node and name; [`Page::after`] is `node/name`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn remote_users(
        &self,
        filter: &RemoteUserFilter,
        page: Page,
    ) -> Result<Paged<RemoteUser>, StoreError> {
        let after = page.after.clone().unwrap_or_default();
        let (node, name) = after.split_once('/').unwrap_or((&after, ""));
        let local = filter.local_user.clone();
        let (issuer, subject) = local.map_or_else(Default::default, |user| (user.issuer, user.subject));
        let statement = sqlx::query(
            "SELECT node, remote_user, local_issuer, local_subject FROM remote_users \
             WHERE (node > $1 OR (node = $1 AND remote_user > $2)) AND ($3 = '' OR node = $3) \
             AND ($4 = '' OR (local_issuer = $4 AND local_subject = $5)) ORDER BY node, remote_user LIMIT $6",
        );
        let statement = statement
            .bind(node.to_owned())
            .bind(name.to_owned())
            .bind(filter.node.clone().unwrap_or_default())
            .bind(issuer)
            .bind(subject)
            .bind(page.rows());
        let rows = self.store.rows(statement).await?;
        let keyed = rows.iter().map(|row| {
            let user = RemoteUser::read(row)?;
            Ok((format!("{}/{}", user.node, user.name), user))
        });
        let Paged { items, next } = page.cut(keyed.collect::<Result<Vec<_>, StoreError>>()?, |(key, _)| key);
        Ok(Paged {
            items: items.into_iter().map(|(_, user)| user).collect(),
            next,
        })
    }

    /// One of them.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`]
    pub async fn remote_user(&self, node: &str, name: &str) -> Result<RemoteUser, StoreError> {
        let rows = self.store.rows(RemoteUser::select(node, name)).await?;
        rows.first().map_or(Err(StoreError::NotFound), RemoteUser::read)
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such node; [`StoreError::Conflict`] if it has such a user, or another one who is
    /// that local user; [`StoreError::Invalid`], [`StoreError::Unavailable`]
    pub async fn add_remote_user(&self, user: RemoteUser, by: &str) -> Result<(), StoreError> {
        user.check()?;
        let mut change = self
            .network_change(by, "remote_user.add", &user.object(), NONE)
            .await?;
        insert(&mut change, &user).await?;
        change.commit().await
    }

    /// Changes one, and tells how it is then. Its token stays, and is whosever it is then.
    ///
    /// # Errors
    /// As [`Authority::add_remote_user`].
    pub async fn change_remote_user(
        &self,
        node: &str,
        name: &str,
        to: RemoteUserChange,
        by: &str,
    ) -> Result<RemoteUser, StoreError> {
        let object = format!("{node}/{name}");
        let mut change = self
            .network_change(by, "remote_user.change", &object, TOKENS)
            .await?;
        // Read in here: what others change at the same time comes before this or after it, and stays.
        let row = change.row(RemoteUser::select(node, name)).await?;
        let mut user = row.as_ref().map_or(Err(StoreError::NotFound), RemoteUser::read)?;
        if let Some(to) = to.node {
            user.node = to;
        }
        if let Some(to) = to.name {
            user.name = to;
        }
        if let Some(to) = to.local_user {
            user.local_user = to;
        }
        user.check()?;
        let (issuer, subject) = user.local();
        let statement = sqlx::query(
            "UPDATE remote_users SET node = $1, remote_user = $2, local_issuer = $3, local_subject = $4 \
             WHERE node = $5 AND remote_user = $6",
        );
        let statement = statement
            .bind(user.node.clone())
            .bind(user.name.clone())
            .bind(issuer)
            .bind(subject)
            .bind(node.to_owned())
            .bind(name.to_owned());
        if change.execute(statement).await? == 0 {
            return Err(StoreError::NotFound);
        }
        change.commit().await?;
        Ok(user)
    }

    /// Removes one with its token.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`]
    pub async fn remove_remote_user(&self, node: &str, name: &str, by: &str) -> Result<(), StoreError> {
        let mut change = self
            .network_change(by, "remote_user.remove", &format!("{node}/{name}"), TOKENS)
            .await?;
        let statement = sqlx::query("DELETE FROM remote_users WHERE node = $1 AND remote_user = $2");
        let statement = statement.bind(node.to_owned()).bind(name.to_owned());
        if change.execute(statement).await? == 0 {
            return Err(StoreError::NotFound);
        }
        change.commit().await
    }

    /// Associates the user that a node vouches for with a local user, who asked for it by [`Authority::ask_for_link`].
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if they did not ask that node, or too long ago;
    /// [`StoreError::Conflict`] if that user is somebody else here already, or another user of that node is that local user;
    /// [`StoreError::Invalid`] if the node's token was used before; [`StoreError::Unavailable`]
    pub async fn link_remote_user(
        &self,
        claims: &NodeClaims,
        name: &str,
        local_user: LocalUser,
    ) -> Result<(), StoreError> {
        let by = format!("User::\"{}/{}\"", local_user.issuer, local_user.subject);
        let user = RemoteUser {
            node: claims.node.clone(),
            name: name.to_owned(),
            local_user: Some(local_user.clone()),
        };
        user.check()?;
        let mut change = self
            .network_change(&by, "remote_user.link", &user.object(), TOKENS)
            .await?;
        claims.count_once(&mut change).await?;
        links::use_up(&mut change, &claims.node, &local_user).await?;
        match user.find(&mut change).await? {
            None => {
                insert(&mut change, &user).await?;
            }
            Some((_, known)) if known.local_user == user.local_user => {}
            Some((_, known)) if known.local_user.is_some() => return Err(StoreError::Conflict),
            Some((id, _)) => {
                let (issuer, subject) = user.local();
                let statement = sqlx::query(
                    "UPDATE remote_users SET local_issuer = $1, local_subject = $2 WHERE id = $3",
                );
                change
                    .execute(statement.bind(issuer).bind(subject).bind(id))
                    .await?;
            }
        }
        change.commit().await
    }
}

impl RemoteUser {
    fn select(node: &str, name: &str) -> Statement<'static> {
        let statement = sqlx::query(
            "SELECT id, node, remote_user, local_issuer, local_subject FROM remote_users \
             WHERE node = $1 AND remote_user = $2",
        );
        statement.bind(node.to_owned()).bind(name.to_owned())
    }

    pub(crate) fn read(row: &AnyRow) -> Result<Self, StoreError> {
        let text = |name: &str| row.try_get::<String, _>(name).map_err(told);
        let maybe = |name: &str| row.try_get::<Option<String>, _>(name).map_err(told);
        let local_user = match (maybe("local_issuer")?, maybe("local_subject")?) {
            (Some(issuer), Some(subject)) => Some(LocalUser { issuer, subject }),
            _ => None,
        };
        Ok(Self {
            node: text("node")?,
            name: text("remote_user")?,
            local_user,
        })
    }

    /// Its id, and how it is in the store.
    pub(crate) async fn find(&self, change: &mut Change) -> Result<Option<(String, Self)>, StoreError> {
        let row = change.row(Self::select(&self.node, &self.name)).await?;
        let found = row.as_ref().map(|row| {
            let id = row.try_get::<String, _>("id").map_err(told)?;
            Ok((id, Self::read(row)?))
        });
        found.transpose()
    }

    /// How logs name it.
    pub(crate) fn object(&self) -> String {
        format!("{}/{}", self.node, self.name)
    }

    fn local(&self) -> (Option<String>, Option<String>) {
        let user = self.local_user.clone();
        user.map(|user| (user.issuer, user.subject)).unzip()
    }

    fn check(&self) -> Result<(), StoreError> {
        let invalid = |what: &str, why: &str| StoreError::Invalid(format!("{what} {why}"));
        checked_name(&self.node).map_err(|why| invalid("the name of the node", why))?;
        checked_user(&self.name).map_err(|why| invalid("the name of the user", why))?;
        if let Some(user) = &self.local_user {
            if is_reserved(user) {
                return Err(invalid(
                    "the local user",
                    "is one that stands for everybody of a node",
                ));
            }
            checked_user(&user.subject).map_err(|why| invalid("the local user", why))?;
            checked_name(&user.issuer).map_err(|why| invalid("the issuer of the local user", why))?;
        }
        Ok(())
    }
}

/// True for names that no user may be given.
pub fn is_reserved(user: &LocalUser) -> bool {
    user.subject.starts_with(RESERVED_PREFIX)
}

/// Adds a user; its id.
pub(crate) async fn insert(change: &mut Change, user: &RemoteUser) -> Result<String, StoreError> {
    let count = sqlx::query("SELECT COUNT(*) AS n FROM remote_users WHERE node = $1");
    let rows = change.rows(count.bind(user.node.clone())).await?;
    let count: i64 = rows.first().map_or(Ok(0), |row| row.try_get("n").map_err(told))?;
    if count >= MAX_USERS {
        return Err(StoreError::Invalid(format!(
            "the node has {MAX_USERS} users here already"
        )));
    }
    let id = uuid::Uuid::new_v4().to_string();
    let (issuer, subject) = user.local();
    let statement = sqlx::query(
        "INSERT INTO remote_users (id, node, remote_user, local_issuer, local_subject, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    );
    let statement = statement
        .bind(id.clone())
        .bind(user.node.clone())
        .bind(user.name.clone())
        .bind(issuer)
        .bind(subject)
        .bind(now());
    change.execute(statement).await?;
    Ok(id)
}
