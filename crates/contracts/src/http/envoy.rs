//! Envoy's `ext_authz` in HTTP mode: the request that is asked about is the request itself.
//!
//! Envoy sends the client's method, host and path (behind the prefix of the door), `authorization`, and of the other
//! headers those that its configuration allows. There is no peer, no certificate and no scheme.

use std::time::Duration;

use http::Version;
use model::{
    Body, Check, Decoding, Host, HttpRequest, Malformed, NoMetadata, Pairs, Peer, Reason, RequestPath, Target,
};

use super::Asked;

/// Envoy's own word on the body it buffered; a client's header of this name never gets here.
const PARTIAL_BODY: &str = "x-envoy-auth-partial-body";
/// How long Envoy waits for the answer, in milliseconds. Its router writes it.
const PATIENCE: &str = "x-envoy-expected-rq-timeout-ms";

/// What is Envoy's and not the client's.
const OWN: [&str; 4] = ["host", PARTIAL_BODY, PATIENCE, "x-envoy-internal"];

impl<'a> Asked<'a> {
    pub(super) fn itself(&self) -> Result<Check<'_>, Malformed> {
        let (path, query) =
            RequestPath::parse_target(self.target.as_bytes(), Decoding::Raw).map_err(|refusal| {
                self.refused(Reason::AmbiguousPath, format!("the path was refused: {refusal}"))
            })?;
        let host = Host::parse(self.authority()?).map_err(|refusal| {
            self.refused(Reason::InvalidHost, format!("the host was refused: {refusal}"))
        })?;
        let partial = self
            .parts
            .headers
            .get_all(PARTIAL_BODY)
            .iter()
            .any(|value| value != "false");
        let body = match self.body {
            b"" => Body::Absent,
            body if partial => Body::Truncated(body),
            body => Body::Whole(body),
        };
        let patience = self.parts.headers.get(PATIENCE);
        let patience = patience.and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Check {
            contract: self.contract,
            target: Target::Http(HttpRequest {
                method: self.method(self.parts.method.as_str().as_bytes())?,
                scheme: "",
                host,
                path,
                query,
                headers: self.headers_without(&OWN),
                body,
            }),
            peer: Peer::default(),
            context_extensions: Pairs::new(),
            metadata: &NoMetadata,
            timeout: patience.map(Duration::from_millis),
            traceparent: None,
            listener: self.listener,
        })
    }

    /// `:authority`, or `Host`; if both are there, they must be the same.
    fn authority(&self) -> Result<&'a str, Malformed> {
        let uri = &self.parts.uri;
        if self.parts.version < Version::HTTP_2 && uri.scheme().is_some() {
            return Err(self.malformed("the target is in absolute-form, which no proxy sends".to_owned()));
        }
        let authority = uri.authority().map(http::uri::Authority::as_str);
        if authority.is_some() && !self.parts.headers.contains_key("host") {
            return Ok(authority.unwrap_or_default());
        }
        let host = self.text(self.only("host")?, "the host")?;
        match authority {
            Some(other) if other != host => {
                Err(self.malformed("`:authority` and `host` are not the same".to_owned()))
            }
            _ => Ok(host),
        }
    }
}
