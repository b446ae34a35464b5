//! `portcullis revoke`: credentials that stop counting now, and revocations taken back.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Subcommand;
use serde_json::{Value, json};

use super::Failure;
use super::remote::{Ask, Limit, Remote, asking, ended, usage};

/// More than this is not read: no token is that long.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

#[derive(Debug, Subcommand)]
#[command(after_help = AFTER_HELP)]
pub(crate) enum RevokeVerb {
    /// Revoke one token
    #[command(after_help = TOKEN)]
    Token(Token),
    /// Revoke the credentials of somebody
    #[command(after_help = SUBJECT)]
    Subject(Of),
    /// Revoke what was issued to a client, and what it acts with for others
    #[command(after_help = asking("  portcullis revoke client main/jobs --reason 'its secret leaked'"))]
    Client(Of),
    /// Revoke everything that an issuer issued
    #[command(after_help = asking("  portcullis revoke issuer main --issued-before 2026-11-22T07:30:00Z"))]
    Issuer(Issuer),
    /// Print what is revoked
    #[command(after_help = asking("  portcullis revoke list\n  portcullis revoke list -o json"))]
    List {
        #[command(flatten)]
        limit: Limit,
        #[command(flatten)]
        remote: Remote,
    },
    /// Take a revocation back
    #[command(after_help = asking("  portcullis revoke lift 3f8e0c52"))]
    Lift {
        /// The revocation's id, as `revoke list` prints it
        id: String,
        #[command(flatten)]
        remote: Remote,
    },
}

const AFTER_HELP: &str = "\
When a verb ends with 0, the revocation is stored and the server that was asked refuses; other servers on the same
store follow within a second.

Examples:
  portcullis revoke token --from-token-file leaked.txt --reason 'was in a build log'
  portcullis revoke subject main/7d2f6c1e-5b1a-4c55-9a38-0f6a3d1b8e01 --issued-before now
  portcullis revoke client main/jobs
  portcullis revoke issuer main --issued-before 2026-11-22T07:30:00Z
  portcullis revoke list
  portcullis revoke lift 3f8e…";
const TOKEN: &str = "\
Examples:
  portcullis revoke token --from-token-file leaked.txt       its `iss` and `jti`; nothing is verified
  portcullis revoke token onrtac:8a6f… --issuer main

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the server says no, 4 the server finds it invalid.";
const SUBJECT: &str = "\
With --issued-before, what somebody gets later counts: they have to log in again. `now` is this machine's clock; what the
issuer's clock says is in the tokens. Without it, nothing of theirs counts until the revocation is lifted.

Examples:
  portcullis revoke subject main/7d2f6c1e-5b1a-4c55-9a38-0f6a3d1b8e01 --issued-before now
  portcullis revoke subject alice --issuer main --reason 'left the project'

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the server says no, 4 the server finds it invalid.";

/// One token.
#[derive(Debug, clap::Args)]
pub(crate) struct Token {
    /// The token's id: its `jti`, or of a network token the id that `token list` prints
    #[arg(
        required_unless_present = "from_token_file",
        conflicts_with = "from_token_file",
        allow_hyphen_values = true
    )]
    id: Option<String>,
    /// The short name of whoever issued it
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present = "from_token_file",
        conflicts_with = "from_token_file"
    )]
    issuer: Option<String>,
    /// Read `iss`, `jti` and `exp` from the token in this file
    #[arg(long, value_name = "FILE")]
    from_token_file: Option<PathBuf>,
    #[command(flatten)]
    why: Why,
}

/// Somebody, or a client.
#[derive(Debug, clap::Args)]
pub(crate) struct Of {
    /// Whose: `<issuer's short name>/<name>` as policies write it, or with --issuer the name alone
    of: String,
    /// The short name of the issuer
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    #[command(flatten)]
    before: Before,
    #[command(flatten)]
    why: Why,
}

/// An issuer.
#[derive(Debug, clap::Args)]
pub(crate) struct Issuer {
    /// The issuer's short name
    name: String,
    #[command(flatten)]
    before: Before,
    #[command(flatten)]
    why: Why,
}

/// Up to when.
#[derive(Debug, clap::Args)]
struct Before {
    /// Only what was issued before: `now`, or a time like 2026-11-22T07:30:00Z. Default: whatever is issued, also later
    #[arg(long, value_name = "TIME", value_parser = time)]
    issued_before: Option<String>,
}

/// Why, and where to ask.
#[derive(Debug, clap::Args)]
struct Why {
    /// Why, for those who find it later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

impl RevokeVerb {
    pub(super) fn run(self) -> ExitCode {
        ended(self.done())
    }

    fn done(self) -> Result<(), Failure> {
        match self {
            Self::Token(token) => {
                let asked = token.asked()?;
                token.why.revoke(asked)
            }
            Self::Subject(of) => of.revoke("subject"),
            Self::Client(of) => of.revoke("client"),
            Self::Issuer(Issuer { name, before, why }) => {
                why.revoke(before.with(json!({ "kind": "issuer", "issuer": name })))
            }
            Self::List { limit, remote } => {
                let all = remote.list(Ask::get(&["revocations"]), "revocations", &limit)?;
                remote.print_all(
                    all,
                    &[
                        ("ID", "id"),
                        ("ISSUER", "issuer"),
                        ("KIND", "kind"),
                        ("OF", "value"),
                        ("ISSUED BEFORE", "issued_before"),
                        ("MADE", "created_at"),
                        ("REASON", "reason"),
                    ],
                );
                Ok(())
            }
            Self::Lift { id, remote } => {
                remote.ask(&Ask::delete(&["revocations", &id]))?;
                remote.done("lifted");
                Ok(())
            }
        }
    }
}

impl Why {
    fn revoke(&self, mut asked: Value) -> Result<(), Failure> {
        asked["reason"] = json!(self.reason.as_deref().unwrap_or_default());
        let revocation = self.remote.ask(&Ask::post(&["revocations"], asked))?;
        self.remote.print(&revocation);
        Ok(())
    }
}

impl Before {
    fn with(&self, mut asked: Value) -> Value {
        if let Some(time) = &self.issued_before {
            asked["issued_before"] = json!(time);
        }
        asked
    }
}

impl Of {
    fn revoke(&self, kind: &str) -> Result<(), Failure> {
        let (issuer, of) = match &self.issuer {
            Some(issuer) => (&**issuer, &*self.of),
            None => self.of.split_once('/').ok_or_else(|| {
                usage(format!(
                    "whose {kind} is {:?}? Write <issuer's short name>/{}, or add --issuer",
                    self.of, self.of
                ))
            })?,
        };
        let asked = json!({ "kind": kind, "issuer": issuer, "value": of });
        self.why.revoke(self.before.with(asked))
    }
}

impl Token {
    fn asked(&self) -> Result<Value, Failure> {
        let Some(file) = &self.from_token_file else {
            return Ok(json!({ "kind": "token", "issuer": self.issuer, "value": self.id }));
        };
        let unfit = |why: &str| Failure::Message(format!("{}: {why}", file.display()));
        let token = read(file).map_err(|error| unfit(&error.to_string()))?;
        let claims = claims(&token).ok_or_else(|| {
            unfit("that is no JWT; what cannot be read can be revoked by subject, client or issuer")
        })?;
        let claim = |name: &str| {
            let text = claims[name].as_str();
            text.filter(|text| !text.is_empty()).ok_or_else(|| {
                unfit(&format!(
                    "the token has no `{name}`: revoke it by subject, client or issuer"
                ))
            })
        };
        let mut asked = json!({ "kind": "token", "issuer_url": claim("iss")?, "value": claim("jti")? });
        // An expiry that nobody can read is none: the revocation stays.
        let expiry = claims["exp"]
            .as_i64()
            .map(|seconds| proto::google::protobuf::Timestamp { seconds, nanos: 0 });
        if let Some(expiry) = expiry.as_ref().and_then(proto::rfc3339::text) {
            asked["expires_at"] = json!(expiry);
        }
        Ok(asked)
    }
}

fn read(file: &std::path::Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(file)?
        .take(MAX_TOKEN_BYTES)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// The claims of a JWT, verified by nobody.
fn claims(token: &str) -> Option<Value> {
    let token = token.trim();
    let token = match token.split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer ") => rest.trim(),
        _ => token,
    };
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    serde_json::from_slice::<Value>(&claims)
        .ok()
        .filter(Value::is_object)
}

/// `now`, or a time as RFC 3339 has it.
fn time(text: &str) -> Result<String, String> {
    if text == "now" {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = proto::google::protobuf::Timestamp {
            seconds: i64::try_from(now.as_secs()).unwrap_or_default(),
            nanos: i32::try_from(now.subsec_nanos()).unwrap_or_default(),
        };
        return proto::rfc3339::text(&now).ok_or_else(|| "this machine's clock is wrong".to_owned());
    }
    proto::rfc3339::parse(text).map(|_| text.to_owned())
}
