//! A question as it is kept for a while, so that its decision can be explained later: what policies could see of it, and
//! who asked. Never a credential, never a value that policies may not see.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::{Check, Contract, OwnedCheck, Principal, Reason, Verdict};

use super::document::{Credential, Explanation, FORMAT, Recorded, Reply, Request};
use super::redacted::{body_bytes, redacted};
use super::views::{principal_of, request_of};
use super::visible::Visible;
use crate::record::Record;

/// The most bytes of memory that one request may take.
const MOST: usize = 64 * 1024;

/// A question that was decided.
#[derive(Debug)]
pub struct Kept {
    /// The id of the decision.
    pub id: Box<str>,
    time: SystemTime,
    verdict: &'static str,
    status: Option<u16>,
    reason: Reason,
    why: String,
    caller: Option<String>,
    /// The rules that decided.
    pub version: Box<str>,
    policies: Vec<String>,
    principal: Option<Principal>,
    issued_at: Option<f64>,
    client_ip: Option<IpAddr>,
    check: Option<OwnedCheck>,
    /// How long the body was that came.
    body_bytes: Option<usize>,
    missing: Vec<String>,
}

impl Kept {
    /// What is kept of a decision.
    pub fn of(record: &Record<'_, '_>) -> Self {
        let decision = record.decision;
        let (status, caller) = match decision.verdict() {
            Verdict::Allow(_) => (None, None),
            Verdict::Deny(denial) => (Some(denial.status), Some(denial.caller.to_string())),
        };
        let mut missing = Vec::new();
        let check = record.check.map(|check| redacted(check, record, &mut missing));
        if check.as_ref().is_some_and(|check| check.bytes() > MOST) {
            missing.push(format!("the request: it takes more than {MOST} bytes of memory"));
        }
        let policies = decision
            .audited()
            .map_or(decision.policies(), |audited| &audited.policies);
        Self {
            id: decision.id().to_string().into(),
            time: SystemTime::now(),
            verdict: if decision.is_allow() { "allow" } else { "deny" },
            status,
            reason: decision.reason(),
            why: record.why(),
            caller,
            version: (*decision.version().0).into(),
            policies: policies.iter().map(ToString::to_string).collect(),
            principal: record.principal.cloned(),
            issued_at: record.issued_at,
            client_ip: record.client_ip,
            check: check.filter(|check| check.bytes() <= MOST),
            body_bytes: record.check.and_then(body_bytes),
            missing,
        }
    }

    /// About how many bytes of memory it takes.
    pub fn bytes(&self) -> usize {
        let texts = |texts: &[String]| texts.iter().map(|text| text.len() + TEXT).sum::<usize>();
        let caller = self.caller.as_ref().map_or(0, String::len);
        size_of::<Self>()
            + self.id.len()
            + self.why.len()
            + caller
            + self.version.len()
            + texts(&self.policies)
            + texts(&self.missing)
            + self.principal.as_ref().map_or(0, bytes_of)
            + self.check.as_ref().map_or(0, OwnedCheck::bytes)
            + 8 * TEXT
    }

    /// What was decided then.
    pub(crate) fn recorded(&self, same_rules: bool) -> Recorded {
        let since = self.time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let time = jiff::Timestamp::new(since.as_secs().cast_signed(), since.subsec_nanos().cast_signed());
        Recorded {
            time: time
                .map(|time| time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string())
                .unwrap_or_default(),
            verdict: self.verdict.to_owned(),
            status: self.status,
            reason: self.reason.as_str().to_owned(),
            why: self.why.clone(),
            version: self.version.to_string(),
            policies: self.policies.clone(),
            same_rules,
            missing: self.missing.clone(),
        }
    }

    /// False when it ended before anything that could be asked again: at its credential, or before it could be read. What was
    /// asked of the house itself is decided by other policies.
    pub(crate) fn can_be_asked_again(&self) -> bool {
        let of_house = self
            .check()
            .is_some_and(|check| check.contract == Contract::House);
        let ended = matches!(self.reason, Reason::Timeout | Reason::Internal);
        !of_house && !ended && !self.ended_at_credential()
    }

    fn ended_at_credential(&self) -> bool {
        matches!(
            self.reason,
            Reason::CredentialRefused
                | Reason::Revoked
                | Reason::KeysUnavailable
                | Reason::RevocationsUnknown
        )
    }

    /// The explanation of a question that cannot be asked again: what is known of it.
    pub(crate) fn as_it_was(&self, recorded: Recorded, visible: Visible<'_>) -> Explanation {
        let refused = self.ended_at_credential();
        let request = self.check().map(|check| Request {
            body_bytes: self.body_bytes,
            ..request_of(&check, visible, self.client_ip, "passed".to_owned())
        });
        Explanation {
            format: FORMAT,
            verdict: self.verdict.to_owned(),
            status: self.status,
            reason: self.reason.as_str().to_owned(),
            why: self.why.clone(),
            decision_id: self.id.to_string(),
            version: self.version.to_string(),
            request,
            credential: Credential {
                found: self.credential().to_owned(),
                refusal: refused.then(|| self.why.clone()),
                ..Credential::default()
            },
            principal: self.principal.as_ref().map(principal_of),
            reply: Reply {
                status: self.status,
                body: self.caller.clone(),
                ..Reply::default()
            },
            recorded: Some(recorded),
            ..Explanation::default()
        }
    }

    /// What to say of the credential, which is not kept.
    pub(crate) fn credential(&self) -> &'static str {
        let principal = self.principal.as_ref();
        let nobody = principal.is_none_or(|who| who.kind == model::PrincipalKind::Anonymous);
        match self.ended_at_credential() {
            true => "one that was refused; it is not kept",
            false if nobody => "none",
            false => "one that was verified; it is not kept, who it says is",
        }
    }

    /// The check again, as far as it is kept.
    pub(crate) fn check(&self) -> Option<Check<'_>> {
        self.check.as_ref().map(OwnedCheck::check)
    }

    pub(crate) fn body_bytes(&self) -> Option<usize> {
        self.body_bytes
    }

    pub(crate) fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    pub(crate) fn time(&self) -> SystemTime {
        self.time
    }

    pub(crate) fn issued_at(&self) -> Option<f64> {
        self.issued_at
    }

    pub(crate) fn client_ip(&self) -> Option<IpAddr> {
        self.client_ip
    }
}

/// What a text takes besides its bytes: itself, as much again because lists grow by doubling, and what the allocator adds.
const TEXT: usize = 2 * size_of::<String>() + 16;

/// About how many bytes of memory a principal takes besides itself.
fn bytes_of(principal: &Principal) -> usize {
    let text = |text: &String| text.len() + TEXT;
    let all = |texts: &[String]| texts.iter().map(text).sum::<usize>();
    let pairs = principal
        .claims
        .iter()
        .map(|(name, value)| text(name) + text(value));
    let roles = principal.roles.iter();
    let granted = principal.capabilities.iter();
    let actors = principal.actors.iter();
    let names = [&principal.name, &principal.client].into_iter().flatten();
    [&principal.id, &principal.issuer, &principal.subject]
        .into_iter()
        .chain(names)
        .map(text)
        .sum::<usize>()
        + all(&principal.groups)
        + all(&principal.scopes)
        + all(&principal.audiences)
        + roles
            .map(|(client, roles)| text(client) + all(roles) + TEXT)
            .sum::<usize>()
        + granted
            .map(|(path, _)| path.map_or(0, str::len) + 2 * TEXT)
            .sum::<usize>()
        + pairs.sum::<usize>()
        + actors
            .map(|actor| text(&actor.id) + text(&actor.issuer) + text(&actor.client))
            .sum::<usize>()
}
