//! `portcullis remote-user`: the users of other nodes, and who they are here.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::Failure;
use super::remote::{Ask, Limit, Remote, asking, ended};

#[derive(Debug, Subcommand)]
pub(crate) enum RemoteUserVerb {
    /// Print the users of other nodes
    #[command(after_help = asking("  portcullis remote-user list --node node-b\n  portcullis remote-user list --local-user main/7d2f6c1e-5b1a-4c55-9a38-0f6a3d1b8e01 -o json"))]
    List(List),
    /// Print one of them
    #[command(after_help = asking("  portcullis remote-user show node-b bob"))]
    Show(Named),
    /// Add one
    #[command(after_help = ADD)]
    Add(Added),
    /// Say who somebody is here
    #[command(after_help = MAP)]
    Map(Mapped),
    /// Say that somebody is nobody here but a user of their node
    #[command(after_help = asking("  portcullis remote-user unmap node-b bob"))]
    Unmap(Named),
    /// Remove one, with their token
    #[command(after_help = asking("  portcullis remote-user remove node-b bob"))]
    Remove(Named),
}

const ADD: &str = "\
Example:
  portcullis remote-user add node-b bob --local-user main/7d2f6c1e-5b1a-4c55-9a38-0f6a3d1b8e01

Exit codes: 0 done, 1 failed (there is one already), 2 wrong usage, 3 the server says no, 4 invalid.";
const MAP: &str = "\
Example:
  portcullis remote-user map node-b bob main/7d2f6c1e-5b1a-4c55-9a38-0f6a3d1b8e01

A user here is written as policies write it: the issuer's short name, `/`, and the subject in its tokens.

Exit codes: 0 done, 1 failed (nobody of that name), 2 wrong usage, 3 the server says no, 4 invalid.";

/// Which of them.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only those of this node
    #[arg(long)]
    node: Option<String>,
    /// Only those who are this user here: main/7d2f…
    #[arg(long, value_name = "USER")]
    local_user: Option<String>,
    #[command(flatten)]
    limit: Limit,
    #[command(flatten)]
    remote: Remote,
}

/// One of them.
#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// The node
    node: String,
    /// Their name there
    name: String,
    #[command(flatten)]
    remote: Remote,
}

/// A new one.
#[derive(Debug, clap::Args)]
pub(crate) struct Added {
    #[command(flatten)]
    who: Named,
    /// Who they are here: main/7d2f…
    #[arg(long, value_name = "USER")]
    local_user: Option<String>,
}

/// One of them, and who that is here.
#[derive(Debug, clap::Args)]
pub(crate) struct Mapped {
    /// The node
    node: String,
    /// Their name there
    name: String,
    /// Who they are here: main/7d2f…
    local_user: String,
    #[command(flatten)]
    remote: Remote,
}

impl RemoteUserVerb {
    pub(super) fn run(self) -> ExitCode {
        ended(self.done())
    }

    fn done(self) -> Result<(), Failure> {
        match self {
            Self::List(asked) => {
                let ask = Ask::get(&["remote_users"])
                    .only("node", asked.node.as_deref())
                    .only("local_user", asked.local_user.as_deref());
                let users = asked.remote.list(ask, "remote_users", &asked.limit)?;
                let columns = [("NODE", "node"), ("NAME", "name"), ("HERE", "local_user")];
                asked.remote.print_all(users, &columns);
            }
            Self::Show(who) => {
                let user = who
                    .remote
                    .ask(&Ask::get(&["remote_users", &who.node, &who.name]))?;
                who.remote.print(&user);
            }
            Self::Add(Added { who, local_user }) => {
                let new = json!({
                    "node": who.node, "name": who.name, "local_user": local_user.unwrap_or_default(),
                });
                who.remote
                    .print(&who.remote.ask(&Ask::post(&["remote_users"], new))?);
            }
            Self::Map(to) => map(&to.remote, &to.node, &to.name, &to.local_user)?,
            Self::Unmap(who) => map(&who.remote, &who.node, &who.name, "")?,
            Self::Remove(who) => {
                who.remote
                    .ask(&Ask::delete(&["remote_users", &who.node, &who.name]))?;
                who.remote.done("removed");
            }
        }
        Ok(())
    }
}

fn map(remote: &Remote, node: &str, name: &str, local_user: &str) -> Result<(), Failure> {
    let user = json!({ "node": node, "name": name, "local_user": local_user });
    remote.print(&remote.ask(&Ask::put(&["remote_users", node, name], user))?);
    Ok(())
}
