//! `portcullis node`: the nodes whose users may come here.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::Failure;
use super::remote::{Ask, Limit, Remote, asking, ended, usage};

#[derive(Debug, Subcommand)]
pub(crate) enum NodeVerb {
    /// Print the nodes
    #[command(after_help = asking("  portcullis node list\n  portcullis node list --limit 20 -o json"))]
    List {
        #[command(flatten)]
        limit: Limit,
        #[command(flatten)]
        remote: Remote,
    },
    /// Print what is known of a node
    #[command(after_help = asking("  portcullis node show node-b"))]
    Show(Named),
    /// Add a node
    #[command(after_help = ADD)]
    Add(Addresses),
    /// Change what is known of a node; what is not said stays
    #[command(after_help = asking("  portcullis node change node-b --jwks-url https://b.example.org/network/jwks"))]
    Change(Addresses),
    /// Remove a node, with its users and their tokens
    #[command(after_help = asking("  portcullis node remove node-b"))]
    Remove(Named),
}

const ADD: &str = "\
Example:
  portcullis node add node-b --base-url https://b.example.org --jwks-url https://b.example.org/network/jwks \\
    --token-url https://b.example.org/network/token --authorization-url https://b.example.org/ui/network/authorize \\
    --redirect-uri https://b.example.org/network/link

Exit codes: 0 done, 1 failed (there is one already), 2 wrong usage, 3 the server says no, 4 invalid.";

/// A node.
#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// The node's name
    name: String,
    #[command(flatten)]
    remote: Remote,
}

/// A node and where it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Addresses {
    /// The node's name: letters, digits, `_` and `-`
    name: String,
    /// Where it is
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Where it publishes its keys
    #[arg(long, value_name = "URL")]
    jwks_url: Option<String>,
    /// Where it gives network tokens
    #[arg(long, value_name = "URL")]
    token_url: Option<String>,
    /// Where its users agree to a link of accounts
    #[arg(long, value_name = "URL")]
    authorization_url: Option<String>,
    /// Where a link may lead back to, exactly; may be repeated
    #[arg(long = "redirect-uri", value_name = "URL")]
    redirect_uris: Vec<String>,
    #[command(flatten)]
    remote: Remote,
}

impl NodeVerb {
    pub(super) fn run(self) -> ExitCode {
        ended(self.done())
    }

    fn done(self) -> Result<(), Failure> {
        match self {
            Self::List { limit, remote } => {
                let nodes = remote.list(Ask::get(&["nodes"]), "nodes", &limit)?;
                remote.print_all(
                    nodes,
                    &[("NAME", "name"), ("BASE URL", "base_url"), ("KEYS", "jwks_url")],
                );
            }
            Self::Show(Named { name, remote }) => remote.print(&remote.ask(&Ask::get(&["nodes", &name]))?),
            Self::Add(node) => {
                let mut new = json!({ "name": node.name });
                node.fill(&mut new);
                if node.base_url.is_none() || node.jwks_url.is_none() {
                    return Err(usage("a node needs at least --base-url and --jwks-url"));
                }
                node.remote.print(&node.remote.ask(&Ask::post(&["nodes"], new))?);
            }
            Self::Change(node) => {
                let path = ["nodes", &node.name];
                let mut changed = node.remote.ask(&Ask::get(&path))?;
                if !node.fill(&mut changed) {
                    return Err(usage("nothing to change: see --help"));
                }
                node.remote.print(&node.remote.ask(&Ask::put(&path, changed))?);
            }
            Self::Remove(Named { name, remote }) => {
                remote.ask(&Ask::delete(&["nodes", &name]))?;
                remote.done("removed");
            }
        }
        Ok(())
    }
}

impl Addresses {
    /// Sets what was said; true if anything was.
    fn fill(&self, node: &mut Value) -> bool {
        let mut said = false;
        for (member, value) in [
            ("base_url", &self.base_url),
            ("jwks_url", &self.jwks_url),
            ("token_url", &self.token_url),
            ("authorization_url", &self.authorization_url),
        ] {
            if let Some(value) = value {
                node[member] = json!(value);
                said = true;
            }
        }
        if !self.redirect_uris.is_empty() {
            node["redirect_uris"] = json!(self.redirect_uris);
            said = true;
        }
        said
    }
}
