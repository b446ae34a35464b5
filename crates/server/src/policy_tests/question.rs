//! A request of a suite: read from its line, and asked of the rules.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use decide::identity::Refused;
use decide::{Pipeline, Record, Recorder, Rules};
use model::{
    Audited, Body, Check, Contract, Decision, Decoding, Headers, Host, HttpRequest, Malformed, NoMetadata,
    Pairs, Peer, Principal, Reason, RequestPath, Target, Verdict,
};

/// A request to ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) method: String,
    pub(crate) scheme: String,
    pub(crate) host: String,
    /// Path and query, as written.
    pub(crate) target: String,
    /// Names and values.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
    pub(crate) contract: Contract,
    /// Who is connected to the proxy.
    pub(crate) address: Option<IpAddr>,
}

/// Who asks: somebody, or the bearer of a refused credential.
pub(crate) type Asker = Result<Principal, Refused>;

/// What the rules answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) allowed: bool,
    /// Of a denial.
    pub(crate) status: Option<u16>,
    /// The class.
    pub(crate) reason: &'static str,
    /// The whole reason, as the log has it.
    pub(crate) why: String,
    /// What the caller reads.
    pub(crate) says: Option<String>,
    pub(crate) policies: Vec<Arc<str>>,
    pub(crate) route: Option<String>,
    /// Headers that the upstream gets.
    pub(crate) set: Vec<(String, String)>,
    /// Headers that it does not get.
    pub(crate) removed: Vec<String>,
}

/// The rules of a pack, for people.
pub(super) struct Rehearsal {
    pipeline: Pipeline,
    last: LastRecord,
}

/// Why and by which route the last question was answered.
#[derive(Clone, Default)]
struct LastRecord(Arc<Mutex<(String, Option<String>)>>);

impl Question {
    /// Reads `GET /path` or `GET https://host/path`; `host` is for those that name none.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub(super) fn read(line: &str, host: &str) -> Result<Self, &'static str> {
        let (method, url) = line.split_once(' ').ok_or("this is no method and URL")?;
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err("this does not begin with a method");
        }
        if url.contains(' ') {
            return Err("a URL has no blanks: write %20");
        }
        let (scheme, host, target) = match url.split_once("://") {
            _ if url.starts_with('/') => ("https", host, url),
            Some((scheme @ ("http" | "https"), rest)) => {
                let (host, target) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (scheme, host, if target.is_empty() { "/" } else { target })
            }
            _ => return Err("the URL begins neither with a slash nor with https:// or http://"),
        };
        Ok(Self {
            method: method.to_owned(),
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
            contract: Contract::Direct,
            address: None,
        })
    }

    /// The whole URL.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.host, self.target)
    }

    /// True if there is nothing but method and URL.
    pub(crate) fn is_plain(&self) -> bool {
        self.headers.is_empty()
            && self.body.is_none()
            && self.contract == Contract::Direct
            && self.address.is_none()
    }

    /// The check that the door of the contract makes of it.
    fn check(&self) -> Result<Check<'_>, Malformed> {
        let refuse = |reason, detail| Malformed {
            contract: self.contract,
            reason,
            detail,
        };
        let host = Host::parse(&self.host)
            .map_err(|refusal| refuse(Reason::InvalidHost, format!("the host was refused: {refusal}")))?;
        let decoding = match self.contract {
            Contract::Apisix | Contract::ApisixOpa => Decoding::Decoded,
            _ => Decoding::Raw,
        };
        let (path, query) = RequestPath::parse_target(self.target.as_bytes(), decoding)
            .map_err(|refusal| refuse(Reason::AmbiguousPath, format!("the path was refused: {refusal}")))?;
        let mut headers = Headers::default();
        for (name, value) in &self.headers {
            headers.push(name, value.as_bytes());
        }
        Ok(Check {
            contract: self.contract,
            target: Target::Http(HttpRequest {
                method: &self.method,
                scheme: &self.scheme,
                host,
                path,
                query,
                headers,
                body: self
                    .body
                    .as_ref()
                    .map_or(Body::Absent, |body| Body::Whole(body.as_bytes())),
            }),
            peer: Peer {
                address: self.address,
                principal: "",
            },
            context_extensions: Pairs::new(),
            metadata: &NoMetadata,
            timeout: None,
            traceparent: None,
            listener: model::ListenerOptions::default(),
        })
    }
}

impl Rehearsal {
    pub(super) fn of(rules: &Arc<Rules>) -> Self {
        let last = LastRecord::default();
        Self {
            pipeline: Pipeline::offline(Arc::clone(rules), Box::new(last.clone())),
            last,
        }
    }

    /// Asks: the same walk as behind a door, with a given principal instead of a credential.
    pub(super) fn ask(&self, asker: &Asker, question: &Question, now: SystemTime) -> Answer {
        let decision = match (question.check(), asker) {
            (Err(malformed), _) => model::Decide::refuse(&self.pipeline, &malformed),
            (Ok(check), Ok(principal)) => self.pipeline.decide_as(&check, principal, now),
            (Ok(check), Err(refused)) => self.pipeline.decide_refused(&check, refused, now),
        };
        let (why, route) = self.last.take();
        Answer {
            why,
            route,
            ..Answer::of(&decision)
        }
    }
}

impl Answer {
    /// What policies say; that they are only audited on some route makes their tests no weaker.
    fn of(decision: &Decision) -> Self {
        if let Some(Audited { denial, policies }) = decision.audited() {
            return Self {
                reason: denial.reason.as_str(),
                policies: policies.clone(),
                status: Some(denial.status),
                says: Some(denial.caller.to_string()),
                ..Self::default()
            };
        }
        let answer = Self {
            reason: decision.reason().as_str(),
            policies: decision.policies().to_vec(),
            ..Self::default()
        };
        match decision.verdict() {
            Verdict::Allow(permit) => {
                let set = permit.edits().set().iter();
                Self {
                    allowed: true,
                    set: set
                        .map(|(name, value)| (name.to_string(), value.to_string()))
                        .collect(),
                    removed: permit.edits().remove().map(str::to_owned).collect(),
                    ..answer
                }
            }
            Verdict::Deny(denial) => Self {
                status: Some(denial.status),
                says: Some(denial.caller.to_string()),
                ..answer
            },
        }
    }

    /// `allow`, or the status of the denial.
    pub(crate) fn in_short(&self) -> String {
        match self.status {
            None => "allow".to_owned(),
            Some(status) => status.to_string(),
        }
    }
}

impl LastRecord {
    fn take(&self) -> (String, Option<String>) {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Recorder for LastRecord {
    fn offer(&self, record: &Record<'_, '_>) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (record.why(), record.route.map(str::to_owned));
    }
}
