//! `CheckRequest` -> [`Check`], borrowing everything from the message.
//!
//! Text that has to be text and is not, a target or a host that two parsers could read differently, and more entries
//! than any proxy sends are refused; what is merely missing is left empty. How the bytes are read: [`read`].

mod metadata;
mod read;

use std::net::IpAddr;

use model::{
    Body, Check, Decoding, Headers, Host, HttpRequest, ListenerOptions, Malformed, Metadata, Pairs, Peer,
    Reason, RequestPath, Target, TcpConnection,
};

use super::{CONTRACT, Call};
pub(super) use read::CheckRequest;

/// More headers than any proxy lets through (Envoy's default is 100).
const MAX_HEADERS: usize = 200;
/// More context extensions or metadata namespaces than a configuration has.
const MAX_PAIRS: usize = 64;
/// Envoy's own word on the body it buffered; a client's header of this name never gets here.
const PARTIAL_BODY: &str = "x-envoy-auth-partial-body";

impl<'a> CheckRequest<'a> {
    /// Reads the message.
    pub(super) fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let request = Self::parse(message).map_err(|error| {
            malformed(format!(
                "the CheckRequest cannot be read: {error}; is the caller Envoy's ext_authz v3 over gRPC?"
            ))
        })?;
        let headers = request.http.as_ref().map_or(0, |http| http.headers.len());
        let pairs = request
            .context_extensions
            .len()
            .max(request.filter_metadata.len());
        if headers > MAX_HEADERS || pairs > MAX_PAIRS {
            return Err(malformed(format!(
                "more than {MAX_HEADERS} headers, or more than {MAX_PAIRS} context extensions or metadata namespaces"
            )));
        }
        Ok(request)
    }

    /// Makes the check; this is where the path gets its canonical form.
    pub(super) fn check<'c>(
        &'c self,
        call: Call<'c>,
        listener: ListenerOptions,
    ) -> Result<Check<'c>, Malformed> {
        let mut context_extensions = Pairs::new();
        for (key, value) in &self.context_extensions {
            context_extensions.push((
                text(key, "the name of a context extension")?,
                text(value, "a context extension")?,
            ));
        }
        let target = match &self.http {
            Some(http) => Target::Http(http.request()?),
            None => Target::Tcp(TcpConnection {
                // Proto3 does not tell port 0 from none, and nobody connects to port 0.
                destination_port: u16::try_from(self.destination.port)
                    .ok()
                    .filter(|port| *port != 0),
                sni: text(self.sni, "tls_session.sni")?,
            }),
        };
        Ok(Check {
            contract: CONTRACT,
            target,
            peer: Peer {
                address: std::str::from_utf8(self.source.address)
                    .ok()
                    .and_then(|address| address.parse::<IpAddr>().ok())
                    .map(|address| address.to_canonical()),
                principal: text(self.source_principal, "source.principal")?,
            },
            context_extensions,
            metadata: self,
            timeout: call.timeout,
            traceparent: call.traceparent,
            listener,
        })
    }
}

impl read::Http<'_> {
    fn request(&self) -> Result<HttpRequest<'_>, Malformed> {
        let (path, query) = RequestPath::parse_target(self.path, Decoding::Raw)
            .map_err(|refusal| refused(Reason::AmbiguousPath, format!("the path was refused: {refusal}")))?;
        // Envoy leaves the field empty. Whoever fills it must not say something else than the path.
        if !self.query.is_empty() && query.map(str::as_bytes) != Some(self.query) {
            return Err(malformed(
                "the field `query` is not the query in the field `path`, where Envoy puts it".to_owned(),
            ));
        }
        let host = Host::parse(text(self.host, "the host")?)
            .map_err(|refusal| refused(Reason::InvalidHost, format!("the host was refused: {refusal}")))?;
        let headers = self.headers(&host)?;
        let bytes = if self.raw_body.is_empty() {
            self.body
        } else {
            self.raw_body
        };
        let body = match headers.single(PARTIAL_BODY) {
            Ok(None) if bytes.is_empty() => Body::Absent,
            Ok(None | Some(b"false")) => Body::Whole(bytes),
            _ => Body::Truncated(bytes),
        };
        Ok(HttpRequest {
            method: method(self.method)?,
            scheme: text(self.scheme, "the scheme")?,
            host,
            path,
            query,
            headers,
            body,
        })
    }
}

impl read::Http<'_> {
    /// The headers, of which a real proxy's parser would have let every one through.
    fn headers(&self, host: &Host<'_>) -> Result<Headers<'_>, Malformed> {
        let mut headers = Headers::default();
        let mut hosts = 0;
        for (name, value) in &self.headers {
            let name = text(name, "a header name")?;
            if !crate::is_token(name.strip_prefix(':').unwrap_or(name).as_bytes()) {
                return Err(malformed(format!("the header name {name:?} is not a token")));
            }
            if !crate::is_field_value(value) {
                return Err(malformed(format!("the header {name:?} has a control character")));
            }
            if name.eq_ignore_ascii_case("host") {
                hosts += 1;
                let same =
                    Host::parse(text(value, "the host")?).is_ok_and(|other| other.as_str() == host.as_str());
                if hosts > 1 || !same {
                    let detail =
                        "there are several hosts: the headers and the field `host` must name the same one";
                    return Err(refused(Reason::InvalidHost, detail.to_owned()));
                }
            }
            headers.push(name, value);
        }
        Ok(headers)
    }
}

impl Metadata for CheckRequest<'_> {
    fn string(&self, namespace: &str, path: &[Box<str>]) -> Option<String> {
        // The last of two entries with one key counts, as in any protobuf map.
        let (_, encoded) = self
            .filter_metadata
            .iter()
            .rev()
            .find(|(name, _)| *name == namespace.as_bytes())?;
        metadata::string(encoded, path)
    }
}

/// A method is a token (RFC 9110 section 9.1), and none that is known is long.
fn method(bytes: &[u8]) -> Result<&str, Malformed> {
    let method = text(bytes, "the method")?;
    if crate::is_method(method) {
        Ok(method)
    } else {
        Err(malformed(
            "the method is not a token of 1 to 32 characters".to_owned(),
        ))
    }
}

fn text<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| malformed(format!("{what} is not UTF-8")))
}

fn malformed(detail: String) -> Malformed {
    refused(Reason::Malformed, detail)
}

fn refused(reason: Reason, detail: String) -> Malformed {
    Malformed {
        contract: CONTRACT,
        reason,
        detail,
    }
}

#[cfg(test)]
mod tests;
