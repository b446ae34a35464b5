//! A question as it is kept for a while, so that its decision can be explained later: what policies could see of it, and
//! who asked. Never a credential, never a value that policies may not see.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::{
    Body, Check, Contract, Decoding, Headers, Host, HttpRequest, Metadata, Pairs, Peer, Principal, Reason,
    RequestPath, Target, TcpConnection, Verdict,
};
use serde_json::{Map, Value};

use super::document::{Credential, Explanation, FORMAT, Recorded, Reply, Request};
use super::views::{principal_of, request_of};
use crate::policy::body_members;
use crate::record::Record;

/// In place of a value that is not kept.
const NOT_KEPT: &str = "(not kept)";

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
    request: Option<Request>,
    again: Option<Again>,
    missing: Vec<String>,
}

/// What it takes to ask again.
#[derive(Debug)]
pub(crate) struct Again {
    contract: Contract,
    tcp: bool,
    method: String,
    scheme: String,
    host: String,
    path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
    extensions: Vec<(String, String)>,
    metadata: KeptMetadata,
    body: Option<Vec<u8>>,
    truncated: bool,
    peer: String,
    port: Option<u16>,
    sni: String,
}

/// The strings of the metadata that policies may see.
#[derive(Debug)]
struct KeptMetadata(Vec<(String, Vec<Box<str>>, String)>);

impl Metadata for KeptMetadata {
    fn string(&self, namespace: &str, path: &[Box<str>]) -> Option<String> {
        let mut strings = self.0.iter();
        let (.., value) = strings.find(|(kept, place, _)| kept == namespace && place == path)?;
        Some(value.clone())
    }
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
        let request = record
            .check
            .map(|check| request_of(check, record.visible, record.client_ip, "passed".to_owned()));
        Self {
            id: decision.id().to_string().into(),
            time: SystemTime::now(),
            verdict: if decision.is_allow() { "allow" } else { "deny" },
            status,
            reason: decision.reason(),
            why: record.why(),
            caller,
            version: (*decision.version().0).into(),
            policies: decision.policies().iter().map(ToString::to_string).collect(),
            principal: record.principal.cloned(),
            issued_at: record.issued_at,
            client_ip: record.client_ip,
            again: record.check.map(|check| Again::of(check, record, &mut missing)),
            request,
            missing,
        }
    }

    /// About how many bytes of memory it takes.
    pub fn bytes(&self) -> usize {
        let pairs =
            |pairs: &[(String, String)]| pairs.iter().map(|(a, b)| a.len() + b.len() + 48).sum::<usize>();
        let texts = |texts: &[String]| texts.iter().map(|text| text.len() + 24).sum::<usize>();
        let principal = self.principal.as_ref().map_or(0, |principal| {
            let roles = principal
                .roles
                .iter()
                .map(|(client, roles)| client.len() + 48 + texts(roles));
            let lists = [&principal.groups, &principal.scopes, &principal.audiences];
            let granted = principal
                .capabilities
                .iter()
                .map(|(path, _)| path.map_or(0, str::len) + 48);
            lists.into_iter().map(|list| texts(list)).sum::<usize>()
                + roles.chain(granted).sum::<usize>()
                + pairs(&principal.claims)
                + 512
        });
        // The request is there twice: as it is shown, and as it is asked again.
        let again = self.again.as_ref().map_or(0, |again| {
            let query = again.query.as_ref().map_or(0, String::len);
            let metadata = again.metadata.0.iter().map(|(a, _, b)| a.len() + b.len() + 128);
            2 * (again.method.len() + again.host.len() + again.path.len() + query + pairs(&again.headers))
                + pairs(&again.extensions)
                + metadata.sum::<usize>()
                + again.body.as_ref().map_or(0, Vec::len)
        });
        size_of::<Self>() + self.why.len() + texts(&self.policies) + principal + again + 256
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

    /// False when it ended before anything that could be asked again: at its credential, or before it could be read.
    pub(crate) fn can_be_asked_again(&self) -> bool {
        !matches!(
            self.reason,
            Reason::CredentialRefused | Reason::KeysUnavailable | Reason::Timeout | Reason::Internal
        )
    }

    /// The explanation of a question that cannot be asked again: what is known of it.
    pub(crate) fn as_it_was(&self, recorded: Recorded) -> Explanation {
        let refused = self.reason == Reason::CredentialRefused || self.reason == Reason::KeysUnavailable;
        Explanation {
            format: FORMAT,
            verdict: self.verdict.to_owned(),
            status: self.status,
            reason: self.reason.as_str().to_owned(),
            why: self.why.clone(),
            decision_id: self.id.to_string(),
            version: self.version.to_string(),
            request: self.request.clone(),
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
        match self.reason {
            Reason::CredentialRefused | Reason::KeysUnavailable => "one that was refused; it is not kept",
            _ if self
                .principal
                .as_ref()
                .is_none_or(|p| p.kind == model::PrincipalKind::Anonymous) =>
            {
                "none"
            }
            _ => "one that was verified; it is not kept, who it says is",
        }
    }

    pub(crate) fn check(&self) -> Option<&Again> {
        self.again.as_ref()
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

impl Again {
    fn of(check: &Check<'_>, record: &Record<'_, '_>, missing: &mut Vec<String>) -> Self {
        let visible = record.visible;
        let expose = visible.expose;
        let mut again = Self {
            contract: check.contract,
            tcp: matches!(check.target, Target::Tcp(_)),
            method: String::new(),
            scheme: String::new(),
            host: String::new(),
            path: String::new(),
            query: None,
            headers: Vec::new(),
            extensions: Vec::new(),
            metadata: KeptMetadata(Vec::new()),
            body: None,
            truncated: false,
            peer: check.peer.principal.to_owned(),
            port: None,
            sni: String::new(),
        };
        for (name, value) in check
            .context_extensions
            .iter()
            .filter(|(name, _)| expose.extensions.iter().any(|e| e == name))
        {
            again.extensions.push(((*name).to_owned(), (*value).to_owned()));
        }
        for place in expose.metadata.values() {
            if let Some(value) = check.metadata.string(&place.namespace, &place.path) {
                again
                    .metadata
                    .0
                    .push((place.namespace.clone(), place.path.clone(), value));
            }
        }
        match &check.target {
            Target::Http(request) => again.http(request, record, missing),
            Target::Tcp(connection) => {
                again.port = connection.destination_port;
                again.sni = connection.sni.to_owned();
            }
        }
        again
    }

    fn http(&mut self, request: &HttpRequest<'_>, record: &Record<'_, '_>, missing: &mut Vec<String>) {
        let (visible, expose) = (record.visible, record.visible.expose);
        self.method = request.method.to_owned();
        self.scheme = request.scheme.to_owned();
        self.host = request.host.as_str().to_owned();
        self.path = request.path.as_str().to_owned();
        let shown: Vec<&String> = visible.header_names().collect();
        let preflight = request.method == "OPTIONS";
        for (name, value) in request.headers.iter() {
            let name = name.to_ascii_lowercase();
            let needed = preflight && name == "access-control-request-method";
            let kept = shown.contains(&&name) || needed;
            let value = if kept {
                String::from_utf8_lossy(value)
            } else {
                NOT_KEPT.into()
            };
            self.headers.push((name, value.into_owned()));
        }
        for name in expose.headers.iter().filter(|name| !shown.contains(name)) {
            if request.headers.all(name).next().is_some() {
                missing.push(format!("the value of the header {name:?}: it is a credential"));
            }
        }
        // Values that policies may not see are left out, and what could be read in two ways stays so.
        self.query = request.query.map(|query| {
            let pairs = query.split('&').map(|pair| match pair.split_once('=') {
                Some((name, _)) if !visible.parameter(name) => format!("{name}="),
                _ => pair.to_owned(),
            });
            pairs.collect::<Vec<_>>().join("&")
        });
        match request.body {
            Body::Absent => {}
            Body::Truncated(_) => self.truncated = true,
            Body::Whole(_) if expose.body.is_empty() => {}
            Body::Whole(bytes) => match body_members(bytes, &expose.body) {
                Ok(members) => {
                    let named = expose.body.iter().zip(members);
                    let present =
                        named.filter_map(|(name, value)| Some((name.clone(), Value::String(value?))));
                    let members: Map<String, Value> = present.collect();
                    self.body = Some(Value::Object(members).to_string().into_bytes());
                }
                Err(why) => missing.push(format!("the body: {why}")),
            },
        }
    }

    /// The check that is asked again.
    pub(crate) fn check(&self) -> Option<Check<'_>> {
        let mut headers = Headers::default();
        for (name, value) in &self.headers {
            headers.push(name, value.as_bytes());
        }
        let mut context_extensions = Pairs::new();
        for (name, value) in &self.extensions {
            context_extensions.push((name, value));
        }
        let target = if self.tcp {
            Target::Tcp(TcpConnection {
                destination_port: self.port,
                sni: &self.sni,
            })
        } else {
            // It was decoded when it came.
            let (path, _) = RequestPath::parse_target(self.path.as_bytes(), Decoding::Decoded).ok()?;
            Target::Http(HttpRequest {
                method: &self.method,
                scheme: &self.scheme,
                host: Host::parse(&self.host).ok()?,
                path,
                query: self.query.as_deref(),
                headers,
                body: match (&self.body, self.truncated) {
                    (_, true) => Body::Truncated(b""),
                    (Some(bytes), _) => Body::Whole(bytes),
                    (None, _) => Body::Absent,
                },
            })
        };
        Some(Check {
            listener: model::ListenerOptions::default(),
            contract: self.contract,
            target,
            peer: Peer {
                address: None,
                principal: &self.peer,
            },
            context_extensions,
            metadata: &self.metadata,
            timeout: None,
        })
    }
}
