//! What is asked, in whichever form it was given.

use std::path::{Path, PathBuf};

use model::{Principal, PrincipalKind};

use super::super::Failure;
use super::super::remote::usage;
use super::{check_request, curl, har};
use crate::ask::Question;

/// The question, in one of its forms.
#[derive(Debug, clap::Args)]
pub(super) struct Asked {
    /// The method, such as GET
    #[arg(requires = "url")]
    method: Option<String>,
    /// The URL, taken as it stands: nothing is normalised before it is judged
    url: Option<String>,
    /// A request header; may be given several times
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// A curl command, in quotes; it is read and not run
    #[arg(long, value_name = "COMMAND", conflicts_with = "method")]
    curl: Option<String>,
    /// An entry of a HAR file; entries are counted from 1
    #[arg(long, value_name = "FILE[#N]", conflicts_with_all = ["method", "curl"])]
    har: Option<PathBuf>,
    /// A CheckRequest of Envoy as JSON
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "curl", "har"])]
    check_request: Option<PathBuf>,
    /// With --explain: a decision that a running server remembers, by its id
    #[arg(long, value_name = "ID", conflicts_with_all = ["method", "curl", "har", "check_request", "config"])]
    decision: Option<String>,
    #[command(flatten)]
    given: Given,
}

/// Somebody, instead of whoever a credential says.
#[derive(Debug, clap::Args)]
struct Given {
    /// Ask as this principal, such as 'User::"main/alice"'; credentials are not looked at then
    #[arg(long = "as", value_name = "PRINCIPAL", conflicts_with_all = ["decision", "server"])]
    principal: Option<String>,
    /// A group of that principal, as its issuer names it
    #[arg(long = "group", value_name = "GROUP", requires = "principal")]
    groups: Vec<String>,
    /// A role of that principal
    #[arg(long = "role", value_name = "CLIENT:ROLE", requires = "principal")]
    roles: Vec<String>,
    /// The name for people of that principal
    #[arg(long, value_name = "NAME", requires = "principal")]
    name: Option<String>,
    /// A scope of that principal
    #[arg(long = "scope", value_name = "SCOPE", requires = "principal")]
    scopes: Vec<String>,
}

/// What is asked.
pub(super) enum Form {
    /// A request, with its body.
    Request(Question, Option<Vec<u8>>),
    /// A message of Envoy's.
    Message(Vec<u8>),
    /// What was decided once.
    Decision(String),
}

impl Asked {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(super) fn read(&self) -> Result<Form, Failure> {
        let mut form = match self {
            Self {
                decision: Some(id), ..
            } => return Ok(Form::Decision(id.clone())),
            Self {
                curl: Some(command), ..
            } => {
                let (question, body) = curl::parse(command)
                    .and_then(curl::Sent::question)
                    .map_err(|message| format!("--curl: {message}"))?;
                Form::Request(question, body)
            }
            Self { har: Some(file), .. } => {
                let (path, number) = numbered(file);
                let (question, body) = har::parse(&text_of(&path)?, number)
                    .map_err(|message| format!("{}: {message}", path.display()))?;
                Form::Request(question, body)
            }
            Self {
                check_request: Some(file),
                ..
            } => {
                let message = check_request::parse(&text_of(file)?);
                Form::Message(message.map_err(|message| format!("{}: {message}", file.display()))?)
            }
            Self {
                method: Some(method),
                url: Some(url),
                ..
            } => {
                let url = Url::parse(url);
                let question = Question {
                    method: method.clone(),
                    scheme: url.scheme,
                    host: url.host,
                    target: url.target,
                    headers: Vec::new(),
                };
                Form::Request(question, None)
            }
            _ => {
                return Err(usage(
                    "there is no question: give METHOD and URL, --curl, --har, --check-request or --decision",
                ));
            }
        };
        for header in &self.headers {
            let (name, value) = header
                .split_once(':')
                .ok_or_else(|| format!("-H {header:?}: a header is `name: value`"))?;
            match &mut form {
                Form::Request(question, _) => {
                    let name = name.trim().to_ascii_lowercase();
                    question.headers.push((name, value.trim().to_owned()));
                }
                Form::Message(_) | Form::Decision(_) => {
                    return Err("-H: a CheckRequest has its headers inside".to_owned().into());
                }
            }
        }
        Ok(form)
    }

    /// Who asks, if somebody is named.
    ///
    /// # Errors
    /// What is no principal.
    pub(super) fn given(&self) -> Result<Option<Principal>, String> {
        let Some(named) = &self.given.principal else {
            return Ok(None);
        };
        let mut principal = principal(named)?;
        let nothing = principal.kind == PrincipalKind::Anonymous;
        if nothing
            && !(self.given.name.is_none()
                && self.given.groups.is_empty()
                && self.given.roles.is_empty()
                && self.given.scopes.is_empty())
        {
            return Err("--as Anonymous: nobody has no name, groups, roles or scopes".to_owned());
        }
        principal.groups.clone_from(&self.given.groups);
        principal.scopes.clone_from(&self.given.scopes);
        principal.name.clone_from(&self.given.name);
        for role in &self.given.roles {
            let (client, role) = role.split_once(':').ok_or_else(|| {
                format!("--role {role:?}: a role is `client:role`, such as ws-alice:ws_access")
            })?;
            match principal.roles.iter_mut().find(|(known, _)| known == client) {
                Some((_, roles)) => roles.push(role.to_owned()),
                None => principal.roles.push((client.to_owned(), vec![role.to_owned()])),
            }
        }
        Ok(Some(principal))
    }
}

/// `User::"main/alice"` or `Anonymous`.
fn principal(named: &str) -> Result<Principal, String> {
    if named == "Anonymous" {
        return Ok(Principal::anonymous());
    }
    let wrong = || {
        format!(
            "--as {named:?}: a principal is written as User::\"issuer/subject\" (or Client, Robot), or Anonymous"
        )
    };
    let (kind, id) = named.split_once("::").ok_or_else(wrong)?;
    let id = id
        .strip_prefix('"')
        .and_then(|id| id.strip_suffix('"'))
        .unwrap_or(id);
    let kinds = [PrincipalKind::User, PrincipalKind::Client, PrincipalKind::Robot];
    let kind = kinds
        .into_iter()
        .find(|known| known.as_str() == kind)
        .ok_or_else(wrong)?;
    let (issuer, subject) = id.split_once('/').ok_or_else(wrong)?;
    Ok(Principal::new(kind, issuer, subject))
}

/// A URL, taken apart and left as it is.
pub(super) struct Url {
    pub(super) scheme: String,
    pub(super) host: String,
    pub(super) target: String,
}

impl Url {
    /// `https` if it says nothing, `/` if there is no path; a fragment is never sent.
    pub(super) fn parse(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let rest = rest.split('#').next().unwrap_or_default();
        let path = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, target) = rest.split_at(path);
        let slash = if target.starts_with('/') { "" } else { "/" };
        Self {
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            target: format!("{slash}{target}"),
        }
    }
}

/// `FILE#N`.
fn numbered(file: &Path) -> (PathBuf, Option<usize>) {
    let text = file.to_string_lossy();
    match text.rsplit_once('#').map(|(path, number)| (path, number.parse())) {
        Some((path, Ok(number))) => (PathBuf::from(path), Some(number)),
        _ => (file.to_owned(), None),
    }
}

fn text_of(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
}
