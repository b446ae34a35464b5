//! The HTTP doors: a proxy asks with an HTTP request, and a status is the answer.
//!
//! 200 is the one yes, because some proxies take nothing else for one and others every 2xx. No is a 4xx, because a 5xx
//! is a failure to some proxies, and their failure mode may be to let everything pass. Which contract is spoken where is
//! configured, by listener and path, and never guessed: what distinguishes them a client could send, too. A path
//! without a door is a denial. One file per request shape: `envoy` (the request itself), `forwarded` (`X-Forwarded-*`),
//! `original` (`X-Original-*`), `opa` (a JSON document, which is answered with another and always with 200); what is
//! answered: `reply`.

mod envoy;
mod forwarded;
mod opa;
mod original;
mod reply;

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body;
use http_body_util::Full;
use model::{Check, Contract, Decide, Decoding, Headers, ListenerOptions, Malformed, Reason};

use crate::Listener;
use crate::message::Message;

/// More headers than any proxy lets through.
const MAX_HEADERS: usize = 200;

/// How long a proxy waits that does not say so: shorter than what the configurations in `deploy/` allow, because their
/// time-outs are failures, and a failure may be a pass.
const PATIENCE: Duration = Duration::from_secs(1);

/// A proxy that began a request and does not finish it.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Where one contract is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// The contract: one of those over HTTP.
    pub contract: Contract,
    /// For [`Contract::EnvoyHttp`] the prefix of the paths that are asked about (`/check`, or empty); for all others the
    /// path at which the proxy asks.
    pub path: Box<str>,
}

/// All doors of one listener.
#[derive(Debug)]
pub struct HttpDoors<D> {
    decide: Arc<D>,
    doors: Arc<[Door]>,
    listener: Listener,
    stranger: Option<IpAddr>,
}

impl<D> Clone for HttpDoors<D> {
    fn clone(&self) -> Self {
        Self {
            decide: Arc::clone(&self.decide),
            doors: Arc::clone(&self.doors),
            listener: self.listener.clone(),
            stranger: self.stranger,
        }
    }
}

/// A request as it came, with the part of its path that is asked about.
struct Asked<'a> {
    contract: Contract,
    parts: &'a Parts,
    /// Path and query behind the prefix of the door.
    target: &'a str,
    body: &'a [u8],
    listener: ListenerOptions,
}

impl<D: Decide> HttpDoors<D> {
    /// Doors that ask `decide`. A longer path is looked at first.
    pub fn new(decide: Arc<D>, mut doors: Vec<Door>, listener: Listener) -> Self {
        doors.sort_by_key(|door| std::cmp::Reverse(door.path.len()));
        Self {
            decide,
            doors: doors.into(),
            listener,
            stranger: None,
        }
    }

    /// The same for a peer that may not ask: every question is denied.
    pub fn for_stranger(mut self, peer: IpAddr) -> Self {
        self.stranger = Some(peer);
        self
    }

    /// Answers one request.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let response = self.answer_parts(&parts, body).await;
        if parts.method == http::Method::HEAD {
            reply::without_body(response)
        } else {
            response
        }
    }

    async fn answer_parts<B>(&self, parts: &Parts, body: B) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if let Some(peer) = self.stranger {
            return self.refuse(&self.nowhere(Reason::StrangePeer, crate::strange(peer)));
        }
        let (contract, target) = match self.find(parts) {
            Ok(found) => found,
            Err(malformed) => return self.refuse(&malformed),
        };
        let body = match self.body(contract, body).await {
            Ok(body) => body,
            Err(malformed) => return self.refuse(&malformed),
        };
        let asked = Asked {
            contract,
            parts,
            target,
            body: body.bytes(),
            listener: self.listener.options,
        };
        // A panic is our bug, and still only a denial.
        let now = catch_unwind(AssertUnwindSafe(|| self.decide_now(&asked)));
        let answered = match now {
            Ok(Some(response)) => Ok(response),
            // On the heap, because few wait: a call is moved several times, and a small one is moved quickly.
            Ok(None) => Box::pin(AssertUnwindSafe(self.decide_later(&asked)).catch_unwind()).await,
            Err(panic) => Err(panic),
        };
        answered.unwrap_or_else(|_| {
            self.refuse(&Malformed {
                contract,
                reason: Reason::Internal,
                detail: "a panic while deciding; please report it".to_owned(),
            })
        })
    }

    /// Decides without waiting; `None` if something has to be waited for.
    fn decide_now(&self, asked: &Asked<'_>) -> Option<Response<Full<Bytes>>> {
        let document = asked.read();
        let decision = match asked.check_of(&document) {
            Ok(check) => self.decide.decide_now(&check)?,
            Err(malformed) => self.decide.refuse(&malformed),
        };
        Some(reply::encode(&decision, asked.contract))
    }

    async fn decide_later(&self, asked: &Asked<'_>) -> Response<Full<Bytes>> {
        let document = asked.read();
        let decision = match asked.check_of(&document) {
            Ok(check) => self.decide.decide(&check).await,
            Err(malformed) => self.decide.refuse(&malformed),
        };
        reply::encode(&decision, asked.contract)
    }

    /// The door of this path, and what is asked about there.
    fn find<'p>(&self, parts: &'p Parts) -> Result<(Contract, &'p str), Malformed> {
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        for door in &*self.doors {
            if door.contract == Contract::EnvoyHttp {
                match target.strip_prefix(&*door.path) {
                    Some(rest) if rest.starts_with('/') => return Ok((door.contract, rest)),
                    _ => {}
                }
            } else if parts.uri.path() == &*door.path {
                if is_document(door.contract) && parts.method != Method::POST {
                    // Whoever asks so is another proxy, and would take the status of a document for its answer.
                    break;
                }
                return Ok((door.contract, target));
            }
        }
        let detail = "the proxy asks at a path where this listener has no door: compare the proxy's configuration with \
                      `listen.http`";
        Err(self.nowhere(Reason::Malformed, detail.to_owned()))
    }

    /// A refusal at no door. As a document it would have status 200, and whoever asks may take that for a yes.
    fn nowhere(&self, reason: Reason, detail: String) -> Malformed {
        let mut contracts = self.doors.iter().map(|door| door.contract);
        Malformed {
            contract: contracts
                .find(|contract| !is_document(*contract))
                .unwrap_or(Contract::EnvoyHttp),
            reason,
            detail,
        }
    }

    /// The body, where the contract passes one on.
    async fn body<B>(&self, contract: Contract, body: B) -> Result<Message, Malformed>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if !matches!(contract, Contract::EnvoyHttp | Contract::Apisix) && !is_document(contract) {
            return Ok(Message::empty(&self.listener.room));
        }
        let most = self.listener.max_message_bytes;
        let read = Message::read(body, most, READ_TIMEOUT, &self.listener.room).await;
        read.map_err(|unread| {
            let help = "let the proxy send less, or raise limits.max_message_bytes";
            let (reason, detail) = unread.told("the body", most, help);
            Malformed {
                contract,
                reason,
                detail,
            }
        })
    }

    fn refuse(&self, malformed: &Malformed) -> Response<Full<Bytes>> {
        let decision = catch_unwind(AssertUnwindSafe(|| self.decide.refuse(malformed)));
        reply::encode(
            &decision.unwrap_or_else(|_| crate::last_resort()),
            malformed.contract,
        )
    }
}

impl<'a> Asked<'a> {
    /// The question as a document, if it is one.
    fn read(&self) -> Option<Result<opa::Document<'a>, Malformed>> {
        is_document(self.contract).then(|| self.document())
    }

    fn check_of<'c>(
        &'c self,
        document: &'c Option<Result<opa::Document<'a>, Malformed>>,
    ) -> Result<Check<'c>, Malformed> {
        match document {
            Some(Ok(document)) => document.check(self),
            Some(Err(malformed)) => Err(malformed.clone()),
            None => self.check(),
        }
    }

    fn check(&self) -> Result<Check<'_>, Malformed> {
        if self.parts.headers.len() > MAX_HEADERS {
            return Err(self.malformed(format!("more than {MAX_HEADERS} headers")));
        }
        match self.contract {
            Contract::EnvoyHttp => self.itself(),
            Contract::Apisix => self.forwarded(Decoding::Decoded),
            Contract::Nginx => self.original(),
            _ => self.forwarded(Decoding::Raw),
        }
    }

    /// All headers but those named.
    fn headers_without(&self, names: &[&str]) -> Headers<'a> {
        let mut headers = Headers::default();
        for (name, value) in &self.parts.headers {
            if !names.contains(&name.as_str()) {
                headers.push(name.as_str(), value.as_bytes());
            }
        }
        headers
    }

    /// The value of a header that is the proxy's word: it must be there exactly once.
    fn only(&self, name: &str) -> Result<&'a [u8], Malformed> {
        let mut values = self.parts.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) if !value.is_empty() => Ok(value.as_bytes()),
            (Some(_), Some(_)) => Err(self.malformed(format!(
                "the header {name} is there several times: let the proxy overwrite what clients send"
            ))),
            _ => Err(self.malformed(format!(
                "the header {name} is missing: compare the proxy's configuration with deploy/"
            ))),
        }
    }

    fn text(&self, bytes: &'a [u8], what: &str) -> Result<&'a str, Malformed> {
        std::str::from_utf8(bytes).map_err(|_| self.malformed(format!("{what} is not UTF-8")))
    }

    /// A method is a token (RFC 9110 section 9.1), and none that is known is long.
    fn method(&self, bytes: &'a [u8]) -> Result<&'a str, Malformed> {
        self.token(self.text(bytes, "the method")?)
    }

    fn token<'m>(&self, method: &'m str) -> Result<&'m str, Malformed> {
        if crate::is_method(method) {
            Ok(method)
        } else {
            Err(self.malformed("the method is not a token of 1 to 32 characters".to_owned()))
        }
    }

    /// A scheme in lower case: policies that compare it must not miss another spelling.
    fn scheme(&self, bytes: &[u8]) -> Result<&'static str, Malformed> {
        ["http", "https", "ws", "wss"]
            .into_iter()
            .find(|scheme| bytes.eq_ignore_ascii_case(scheme.as_bytes()))
            .ok_or_else(|| self.malformed("the scheme is none of http, https, ws and wss".to_owned()))
    }

    fn malformed(&self, detail: String) -> Malformed {
        self.refused(Reason::Malformed, detail)
    }

    fn refused(&self, reason: Reason, detail: String) -> Malformed {
        Malformed {
            contract: self.contract,
            reason,
            detail,
        }
    }
}

/// Whether the question is a JSON document and the answer another.
fn is_document(contract: Contract) -> bool {
    matches!(contract, Contract::ApisixOpa | Contract::KongOpa)
}

#[cfg(test)]
mod tests;
