//! `portcullis token list`, `show` and `end`: the tokens that the house gave, never the tokens themselves.

use clap::ValueEnum;
use serde_json::Value;

use super::super::Failure;
use super::super::remote::{Ask, Limit, Remote};

/// Which kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Issued in exchange for a user's token
    Delegated,
    /// Given to users of other nodes
    Network,
}

/// Which tokens.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Which kind of token
    #[arg(long, value_enum, default_value_t = Kind::Delegated)]
    kind: Kind,
    /// Only delegated tokens about this user: main/7d2f…
    #[arg(long, value_name = "USER")]
    subject: Option<String>,
    /// Only network tokens of users of this node
    #[arg(long)]
    node: Option<String>,
    #[command(flatten)]
    limit: Limit,
    #[command(flatten)]
    remote: Remote,
}

/// A token.
#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// Its id as `token list` prints it: the `jti` of a delegated token, the digest of a network token
    id: String,
    #[command(flatten)]
    remote: Remote,
}

impl Kind {
    fn path(self) -> &'static str {
        match self {
            Self::Delegated => "delegated_tokens",
            Self::Network => "network_tokens",
        }
    }

    /// A digest is 64 hexadecimal digits, which no `jti` of ours is.
    fn of(id: &str) -> Self {
        if id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Self::Network
        } else {
            Self::Delegated
        }
    }
}

impl List {
    pub(super) fn done(self) -> Result<(), Failure> {
        let path = [self.kind.path()];
        let ask = Ask::get(&path)
            .only("subject", self.subject.as_deref())
            .only("node", self.node.as_deref());
        let tokens = self.remote.list(ask, self.kind.path(), &self.limit)?;
        match self.kind {
            Kind::Delegated => self.remote.print_all(
                tokens,
                &[
                    ("ID", "id"),
                    ("SUBJECT", "subject"),
                    ("ACTOR", "actor"),
                    ("EXPIRES", "expires_at"),
                    ("RENEWABLE UNTIL", "renewable_until"),
                ],
            ),
            Kind::Network => self.remote.print_all(
                tokens,
                &[
                    ("ID", "id"),
                    ("NODE", "node"),
                    ("USER", "remote_user"),
                    ("HERE", "local_user"),
                    ("EXPIRES", "expires_at"),
                ],
            ),
        }
        Ok(())
    }
}

impl Named {
    pub(super) fn show(self) -> Result<(), Failure> {
        let token: Value = self
            .remote
            .ask(&Ask::get(&[Kind::of(&self.id).path(), &self.id]))?;
        self.remote.print(&token);
        Ok(())
    }

    pub(super) fn end(self) -> Result<(), Failure> {
        self.remote
            .ask(&Ask::delete(&[Kind::of(&self.id).path(), &self.id]))?;
        self.remote.done("ended");
        Ok(())
    }
}
