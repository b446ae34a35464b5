//! nginx `auth_request` and ingress-nginx `auth-url`: the request that is asked about is in `X-Original-*`.
//!
//! `X-Original-URL` is `$scheme://$http_host$request_uri`, as the client sent it. All other forwarding headers pass
//! through nginx as the client sends them, and none of them is looked at.

use std::net::IpAddr;

use model::{
    Body, Check, Decoding, Host, HttpRequest, Malformed, NoMetadata, Pairs, Peer, Reason, RequestPath, Target,
};

use super::Asked;

const METHOD: &str = "x-original-method";
const URL: &str = "x-original-url";
const REAL_IP: &str = "x-real-ip";

/// What is nginx's and not the client's; `host` is our own.
const OWN: [&str; 4] = ["host", METHOD, URL, REAL_IP];

impl Asked<'_> {
    pub(super) fn original(&self) -> Result<Check<'_>, Malformed> {
        let url = self.only(URL)?;
        let (scheme, rest) = match (url.strip_prefix(b"https://"), url.strip_prefix(b"http://")) {
            (Some(rest), _) => ("https", rest),
            (_, Some(rest)) => ("http", rest),
            _ => return Err(self.malformed(format!("{URL} begins with neither http:// nor https://"))),
        };
        let slash = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        let (authority, target) = rest.split_at(slash);
        let (path, query) = RequestPath::parse_target(target, Decoding::Raw).map_err(|refusal| {
            self.refused(Reason::AmbiguousPath, format!("{URL} was refused: {refusal}"))
        })?;
        let host = Host::parse(self.text(authority, URL)?)
            .map_err(|refusal| self.refused(Reason::InvalidHost, format!("{URL} was refused: {refusal}")))?;
        let address = self.text(self.only(REAL_IP)?, REAL_IP)?.parse::<IpAddr>();
        let address = address.map_err(|_| self.malformed(format!("{REAL_IP} is no address")))?;
        Ok(Check {
            contract: self.contract,
            target: Target::Http(HttpRequest {
                method: self.method(self.only(METHOD)?)?,
                scheme,
                host,
                path,
                query,
                headers: self.headers_without(&OWN),
                body: Body::Absent,
            }),
            peer: Peer {
                address: Some(address.to_canonical()),
                principal: "",
            },
            context_extensions: Pairs::new(),
            metadata: &NoMetadata,
            timeout: Some(super::PATIENCE),
            traceparent: None,
            listener: self.listener,
        })
    }
}
