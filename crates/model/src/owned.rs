//! A check that outlives the message it came in.

use std::time::Duration;

use crate::{
    Body, Check, Contract, Headers, Host, HttpRequest, ListenerOptions, Metadata, Pairs, Peer, RequestPath,
    Target, TcpConnection,
};

/// A copy of a [`Check`], or of the parts of it that somebody still needs after the answer.
#[derive(Debug)]
pub struct OwnedCheck {
    contract: Contract,
    target: OwnedTarget,
    peer: (Option<std::net::IpAddr>, String),
    context_extensions: Vec<(String, String)>,
    metadata: OwnedMetadata,
    timeout: Option<Duration>,
    listener: ListenerOptions,
}

#[derive(Debug)]
enum OwnedTarget {
    Http(Box<OwnedRequest>),
    Tcp {
        destination_port: Option<u16>,
        sni: String,
    },
}

#[derive(Debug)]
struct OwnedRequest {
    method: String,
    scheme: String,
    host: Host<'static>,
    path: RequestPath<'static>,
    query: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    body: OwnedBody,
}

#[derive(Debug)]
enum OwnedBody {
    Absent,
    Whole(Vec<u8>),
    Truncated(Vec<u8>),
}

/// What a pair of texts takes besides their bytes: two texts, as much again because lists grow by doubling, and what the
/// allocator adds to each of the two.
const PAIR: usize = 2 * size_of::<(String, String)>() + 32;

/// Values of metadata by namespace and path.
#[derive(Debug)]
struct OwnedMetadata(Vec<(String, Vec<Box<str>>, String)>);

/// What to copy besides what every request has.
#[derive(Debug)]
pub struct Keep<'k> {
    /// Headers, in lower case; `None` for all of them.
    pub headers: Option<&'k [String]>,
    /// Headers, in lower case, of which no more is copied than that they are there: their values are secrets.
    pub marks: &'k [&'k str],
    /// Whether the body is needed.
    pub body: bool,
    /// Namespace and path of values in the proxy's metadata.
    pub metadata: &'k [(String, Vec<Box<str>>)],
}

impl Keep<'_> {
    /// What is copied of a header; `None` if it is left out.
    fn value<'v>(&self, name: &str, value: &'v [u8]) -> Option<&'v [u8]> {
        if self.marks.iter().any(|mark| mark.eq_ignore_ascii_case(name)) {
            return Some(&[]);
        }
        let named = |names: &[String]| names.iter().any(|kept| kept.eq_ignore_ascii_case(name));
        self.headers.is_none_or(named).then_some(value)
    }
}

impl OwnedCheck {
    /// About how many bytes a copy of `check` takes; no copy is made.
    pub fn size(check: &Check<'_>, keep: &Keep<'_>) -> usize {
        let metadata = keep.metadata.iter();
        let metadata = metadata.filter_map(|(namespace, path)| check.metadata.string(namespace, path));
        let extensions = check.context_extensions.iter();
        let target = match &check.target {
            Target::Http(request) => OwnedRequest::size(request, keep),
            Target::Tcp(connection) => connection.sni.len(),
        };
        target
            + check.peer.principal.len()
            + metadata.map(|value| value.len()).sum::<usize>()
            + extensions
                .map(|(name, value)| name.len() + value.len())
                .sum::<usize>()
    }

    /// Copies `check`, of headers, body and metadata only what `keep` names.
    pub fn of(check: &Check<'_>, keep: &Keep<'_>) -> Self {
        let target = match &check.target {
            Target::Http(request) => OwnedTarget::Http(Box::new(OwnedRequest::of(request, keep))),
            Target::Tcp(connection) => OwnedTarget::Tcp {
                destination_port: connection.destination_port,
                sni: connection.sni.to_owned(),
            },
        };
        let metadata = keep.metadata.iter().filter_map(|(namespace, path)| {
            let value = check.metadata.string(namespace, path)?;
            Some((namespace.clone(), path.clone(), value))
        });
        let extensions = check.context_extensions.iter();
        Self {
            contract: check.contract,
            target,
            peer: (check.peer.address, check.peer.principal.to_owned()),
            context_extensions: extensions
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            metadata: OwnedMetadata(metadata.collect()),
            timeout: check.timeout,
            listener: check.listener,
        }
    }

    /// About how many bytes of memory it takes.
    pub fn bytes(&self) -> usize {
        let texts = |name: usize, value: usize| name + value + PAIR;
        let target = match &self.target {
            OwnedTarget::Http(request) => request.bytes(),
            OwnedTarget::Tcp { sni, .. } => sni.len(),
        };
        let extensions = self.context_extensions.iter();
        let metadata = self.metadata.0.iter().map(|(namespace, path, value)| {
            let path = path.iter().map(|member| texts(member.len(), 0));
            texts(namespace.len(), value.len()) + path.sum::<usize>()
        });
        size_of::<Self>()
            + self.peer.1.len()
            + target
            + extensions
                .map(|(name, value)| texts(name.len(), value.len()))
                .sum::<usize>()
            + metadata.sum::<usize>()
    }

    /// The check again.
    pub fn check(&self) -> Check<'_> {
        let target = match &self.target {
            OwnedTarget::Http(request) => Target::Http(request.request()),
            OwnedTarget::Tcp {
                destination_port,
                sni,
            } => Target::Tcp(TcpConnection {
                destination_port: *destination_port,
                sni,
            }),
        };
        let extensions = self.context_extensions.iter();
        Check {
            contract: self.contract,
            target,
            peer: Peer {
                address: self.peer.0,
                principal: &self.peer.1,
            },
            context_extensions: extensions
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect::<Pairs<'_>>(),
            metadata: &self.metadata,
            timeout: self.timeout,
            traceparent: None,
            listener: self.listener,
        }
    }
}

impl OwnedRequest {
    fn size(request: &HttpRequest<'_>, keep: &Keep<'_>) -> usize {
        let headers = request.headers.iter();
        let headers = headers.filter_map(|(name, value)| Some(name.len() + keep.value(name, value)?.len()));
        let body = match request.body {
            Body::Whole(bytes) | Body::Truncated(bytes) if keep.body => bytes.len(),
            _ => 0,
        };
        let texts = [request.method, request.scheme, request.query.unwrap_or_default()];
        texts.map(str::len).iter().sum::<usize>()
            + request.host.as_str().len()
            + request.path.as_str().len()
            + headers.sum::<usize>()
            + body
    }

    fn of(request: &HttpRequest<'_>, keep: &Keep<'_>) -> Self {
        let headers = request.headers.iter();
        let headers = headers.filter_map(|(name, value)| Some((name, keep.value(name, value)?)));
        let body = match request.body {
            Body::Whole(bytes) if keep.body => OwnedBody::Whole(bytes.to_vec()),
            Body::Truncated(bytes) if keep.body => OwnedBody::Truncated(bytes.to_vec()),
            Body::Truncated(_) => OwnedBody::Truncated(Vec::new()),
            Body::Absent | Body::Whole(_) => OwnedBody::Absent,
        };
        Self {
            method: request.method.to_owned(),
            scheme: request.scheme.to_owned(),
            host: request.host.to_static(),
            path: request.path.to_static(),
            query: request.query.map(str::to_owned),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_vec()))
                .collect(),
            body,
        }
    }

    fn bytes(&self) -> usize {
        let headers = self.headers.iter();
        let body = match &self.body {
            OwnedBody::Absent => 0,
            OwnedBody::Whole(bytes) | OwnedBody::Truncated(bytes) => bytes.len(),
        };
        size_of::<Self>()
            + self.method.len()
            + self.scheme.len()
            + self.host.as_str().len()
            + self.path.as_str().len()
            + self.query.as_ref().map_or(0, String::len)
            + headers
                .map(|(name, value)| name.len() + value.len() + PAIR)
                .sum::<usize>()
            + body
    }

    fn request(&self) -> HttpRequest<'_> {
        let mut headers = Headers::default();
        for (name, value) in &self.headers {
            headers.push(name, value);
        }
        HttpRequest {
            method: &self.method,
            scheme: &self.scheme,
            host: self.host.borrowed(),
            path: self.path.borrowed(),
            query: self.query.as_deref(),
            headers,
            body: match &self.body {
                OwnedBody::Absent => Body::Absent,
                OwnedBody::Whole(bytes) => Body::Whole(bytes),
                OwnedBody::Truncated(bytes) => Body::Truncated(bytes),
            },
        }
    }
}

impl Metadata for OwnedMetadata {
    fn string(&self, namespace: &str, path: &[Box<str>]) -> Option<String> {
        let mut values = self.0.iter();
        values
            .find(|(n, p, _)| n == namespace && p == path)
            .map(|(_, _, value)| value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decoding, NoMetadata};

    #[test]
    fn a_copy_has_what_was_asked_for_and_no_more() {
        let (path, query) = RequestPath::parse_target(b"/a/%41?x=1", Decoding::Raw).unwrap();
        let mut headers = Headers::default();
        headers.push("X-Tier", b"gold");
        headers.push("authorization", b"Bearer secret");
        let check = Check {
            contract: Contract::EnvoyGrpc,
            target: Target::Http(HttpRequest {
                method: "GET",
                scheme: "https",
                host: Host::parse("API.example.test:443").unwrap(),
                path,
                query,
                headers,
                body: Body::Whole(b"{}"),
            }),
            peer: Peer {
                address: Some([127, 0, 0, 1].into()),
                principal: "spiffe://td/a",
            },
            context_extensions: Pairs::from_slice(&[("tier", "gold")]),
            metadata: &NoMetadata,
            timeout: None,
            traceparent: None,
            listener: ListenerOptions {
                trusted_hops: Some(2),
                ignores_method_override: None,
            },
        };
        let tier = ["x-tier".to_owned()];
        let both = [tier[0].clone(), "authorization".to_owned()];
        for (keep, marks, headers, body, bytes) in [
            (Some(&[][..]), &[][..], 0, false, 52),
            (Some(&tier[..]), &[], 1, true, 64),
            (Some(&[]), &["authorization"], 1, false, 65),
            (Some(&both), &["authorization"], 2, false, 75),
            (None, &["authorization"], 2, false, 75),
        ] {
            let keep = Keep {
                headers: keep,
                marks,
                body,
                metadata: &[],
            };
            let owned = OwnedCheck::of(&check, &keep);
            assert_eq!(OwnedCheck::size(&check, &keep), bytes);
            let again = owned.check();
            let Target::Http(request) = &again.target else {
                panic!("a request")
            };
            assert_eq!(
                (request.host.as_str(), request.path.as_str()),
                ("api.example.test", "/a/A")
            );
            assert_eq!((request.query, request.headers.len()), (Some("x=1"), headers));
            let mark = (!marks.is_empty()).then_some(&b""[..]);
            assert_eq!(request.headers.single("authorization"), Ok(mark));
            assert_eq!(request.body, if body { Body::Whole(b"{}") } else { Body::Absent });
            assert_eq!((request.host.port(), again.listener), (Some(443), check.listener));
            assert_eq!(again.peer.principal, "spiffe://td/a");
            assert_eq!(again.context_extensions.as_slice(), [("tier", "gold")]);
        }
    }
}
