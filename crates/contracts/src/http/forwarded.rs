//! APISIX, Traefik, Caddy and HAProxy: the request that is asked about is in `X-Forwarded-*`.
//!
//! All five headers are the proxy's own word, and each must be there once: a missing one means that the proxy is not
//! configured for this door, and a default would be a guess. Everything else of the request is the client's.

use std::net::IpAddr;

use model::{
    Body, Check, Decoding, Host, HttpRequest, Malformed, NoMetadata, Pairs, Peer, Reason, RequestPath, Target,
};

use super::Asked;

const METHOD: &str = "x-forwarded-method";
const PROTO: &str = "x-forwarded-proto";
const HOST: &str = "x-forwarded-host";
const URI: &str = "x-forwarded-uri";
const FOR: &str = "x-forwarded-for";

/// What is the proxy's and not the client's; `host` is our own.
const OWN: [&str; 6] = ["host", METHOD, PROTO, HOST, URI, FOR];

impl<'a> Asked<'a> {
    /// `decoding` says in which form the proxy forwards the path.
    pub(super) fn forwarded(&self, decoding: Decoding) -> Result<Check<'_>, Malformed> {
        let (path, query) = RequestPath::parse_target(self.only(URI)?, decoding).map_err(|refusal| {
            self.refused(Reason::AmbiguousPath, format!("{URI} was refused: {refusal}"))
        })?;
        let host = Host::parse(self.text(self.only(HOST)?, HOST)?)
            .map_err(|refusal| self.refused(Reason::InvalidHost, format!("{HOST} was refused: {refusal}")))?;
        let (before, address) = self.forwarded_for()?;
        let mut headers = self.headers_without(&OWN);
        if !before.is_empty() {
            // What earlier proxies said, for whoever counts hops.
            headers.push(FOR, before);
        }
        Ok(Check {
            contract: self.contract,
            target: Target::Http(HttpRequest {
                method: self.method(self.only(METHOD)?)?,
                scheme: self.scheme(self.only(PROTO)?)?,
                host,
                path,
                query,
                headers,
                body: if self.body.is_empty() {
                    Body::Absent
                } else {
                    Body::Whole(self.body)
                },
            }),
            peer: Peer {
                address: Some(address),
                principal: "",
            },
            context_extensions: Pairs::new(),
            metadata: &NoMetadata,
            timeout: Some(super::PATIENCE),
            traceparent: None,
            listener: self.listener,
        })
    }

    /// The last address of `X-Forwarded-For` is that of the proxy's own peer; what is before it came with the request.
    fn forwarded_for(&self) -> Result<(&'a [u8], IpAddr), Malformed> {
        let list = self.only(FOR)?;
        let comma = list.iter().rposition(|byte| *byte == b',');
        let (before, last) = match comma {
            Some(at) => {
                let (before, rest) = list.split_at(at);
                (before, rest.strip_prefix(b",").unwrap_or(rest))
            }
            None => (&b""[..], list),
        };
        let address = self.text(last, FOR)?.trim().parse::<IpAddr>();
        let address =
            address.map_err(|_| self.malformed(format!("the last entry of {FOR} is no address")))?;
        Ok((before, address.to_canonical()))
    }
}
