//! `portcullis keys`: what the house signs with.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::Failure;
use super::remote::table::Column;
use super::remote::{Ask, Remote, asking, ended};

#[derive(Debug, Subcommand)]
pub(crate) enum KeysVerb {
    /// Print the house's keys, without their private parts
    #[command(after_help = asking("  portcullis keys list\n  portcullis keys list -o json"))]
    List(Remote),
    /// Make new keys; those before verify until their tokens are gone
    #[command(after_help = ROTATE)]
    Rotate(Rotate),
    /// Remove a key that leaked: every token that it signed is refused from now on
    #[command(after_help = asking("  portcullis keys remove token-2026-11"))]
    Remove {
        /// The key's name, as `keys list` prints it
        // One in 64 begins like a flag.
        #[arg(allow_hyphen_values = true)]
        kid: String,
        #[command(flatten)]
        remote: Remote,
    },
}

const ROTATE: &str = "\
Examples:
  portcullis keys rotate                       the new keys sign when everybody has had time to learn them
  portcullis keys rotate --now                 the ones before must not sign any more
  portcullis keys rotate --algorithm EdDSA

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the server says no, 4 the server finds it invalid.";

const COLUMNS: [Column; 6] = [
    ("KID", "kid"),
    ("ALGORITHM", "algorithm"),
    ("SIGNS", "signs"),
    ("MADE", "created_at"),
    ("RETIRED", "retired_at"),
    ("VERIFIES UNTIL", "verifies_until"),
];

/// Which keys, and when the new ones sign.
#[derive(Debug, clap::Args)]
pub(crate) struct Rotate {
    /// Sign with the new keys at once: whoever keeps the published ones refuses new tokens until they look again
    #[arg(long)]
    now: bool,
    /// Only the keys for this algorithm: EdDSA (delegated tokens) or RS256 (tokens to other nodes)
    #[arg(long, value_name = "NAME")]
    algorithm: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

impl KeysVerb {
    pub(super) fn run(self) -> ExitCode {
        ended(self.done())
    }

    fn done(self) -> Result<(), Failure> {
        match self {
            Self::List(remote) => print(&remote, &Ask::get(&["keys"])),
            Self::Rotate(Rotate {
                now,
                algorithm,
                remote,
            }) => {
                let asked = json!({ "now": now, "algorithm": algorithm.unwrap_or_default() });
                print(&remote, &Ask::post(&["keys", "rotate"], asked))
            }
            Self::Remove { kid, remote } => {
                remote.ask(&Ask::delete(&["keys", &kid]))?;
                remote.done("removed");
                Ok(())
            }
        }
    }
}

/// Both verbs are answered with all the keys there are.
fn print(remote: &Remote, ask: &Ask<'_>) -> Result<(), Failure> {
    let mut answer = remote.ask(ask)?;
    let Value::Array(keys) = answer["keys"].take() else {
        return Err(Failure::Message(
            "the server does not say which keys there are".to_owned(),
        ));
    };
    remote.print_all(keys, &COLUMNS);
    Ok(())
}
