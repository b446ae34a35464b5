//! Who asks something of the house, and whether they may: an HTTP request becomes a question to `authority.policies`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::request::Parts;
use decide::{HouseAction, HouseAnswer, HouseResource, Pipeline, ShownAs, ShownToken, Unfit};
use model::{
    Check, Contract, Decision, Decoding, Headers, Host, HttpRequest, ListenerOptions, NoMetadata, Pairs,
    Peer, Principal, RequestPath, Target,
};

/// Asks the policies about the house.
#[derive(Clone)]
pub(crate) struct Asker(Arc<Pipeline>);

/// A request to the house that is not allowed: the recorded denial.
#[derive(Debug)]
pub(crate) struct Denied(pub(crate) Decision);

/// What of a request to the house its policies may see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'r> {
    /// The request line and the headers.
    pub(crate) parts: &'r Parts,
    /// Who is connected.
    pub(crate) peer: SocketAddr,
}

impl Asker {
    pub(crate) fn new(pipeline: Arc<Pipeline>) -> Self {
        Self(pipeline)
    }

    /// What a token says, if it counts as it would for a request.
    ///
    /// # Errors
    /// [`Unfit`]
    pub(crate) async fn shown(&self, token: &str) -> Result<ShownToken, Unfit> {
        self.0.shown(token, ShownAs::Actor).await
    }

    /// Whoever the credentials of the request say asks, if they may do that; `None` for nobody whom the policies permit it all
    /// the same.
    ///
    /// The query is not shown to anybody: some endpoints take tokens in it, none takes credentials.
    ///
    /// # Errors
    /// [`Denied`], which is recorded already.
    pub(crate) async fn ask(
        &self,
        asked: Asked<'_>,
        action: HouseAction,
        resource: &HouseResource,
    ) -> Result<Option<Principal>, Denied> {
        Ok(self.answer(asked, action, resource).await?.principal)
    }

    /// The same with the decision that allows it.
    ///
    /// # Errors
    /// As [`Asker::ask`].
    pub(crate) async fn answer(
        &self,
        asked: Asked<'_>,
        action: HouseAction,
        resource: &HouseResource,
    ) -> Result<HouseAnswer, Denied> {
        let mut headers = Headers::default();
        for (name, value) in &asked.parts.headers {
            headers.push(name.as_str(), value.as_bytes());
        }
        let uri = &asked.parts.uri;
        let host = asked
            .parts
            .headers
            .get("host")
            .and_then(|host| host.to_str().ok());
        let host = uri
            .authority()
            .map(|authority| authority.as_str())
            .or(host)
            .unwrap_or_default();
        let malformed = |reason, detail: String| {
            Denied(model::Decide::refuse(
                &*self.0,
                &model::Malformed {
                    reason,
                    detail,
                    contract: Contract::House,
                },
            ))
        };
        let host = Host::parse(host)
            .map_err(|refusal| malformed(model::Reason::InvalidHost, refusal.to_string()))?;
        let (path, _) = RequestPath::parse_target(uri.path().as_bytes(), Decoding::Raw)
            .map_err(|refusal| malformed(model::Reason::AmbiguousPath, refusal.to_string()))?;
        let check = Check {
            contract: Contract::House,
            target: Target::Http(HttpRequest {
                method: asked.parts.method.as_str(),
                scheme: "",
                host,
                path,
                query: None,
                headers,
                body: model::Body::Absent,
            }),
            peer: Peer {
                address: Some(asked.peer.ip().to_canonical()),
                principal: "",
            },
            context_extensions: Pairs::default(),
            metadata: &NoMetadata,
            timeout: None,
            traceparent: None,
            listener: ListenerOptions::default(),
        };
        let answer = self.0.decide_house(&check, action, resource).await;
        if answer.decision.is_allow() {
            Ok(answer)
        } else {
            Err(Denied(answer.decision))
        }
    }
}
