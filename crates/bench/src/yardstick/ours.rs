//! The listener of `portcullis` with nobody behind it.
//!
//! It grants without asking, which nothing that is shipped may do: this program is never part of it.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use model::{
    Check, DECISION_ID_HEADER, Decide, Decision, Denial, HeaderEdits, Malformed, Permit, RouteEdits, Version,
};
use portcullis::listen::Bare;

use crate::stock::envoy::service::auth::v3::CheckResponse;
use crate::stock::envoy::service::auth::v3::check_response::HttpResponse;

struct Yes {
    edits: Arc<HeaderEdits>,
    route: Arc<RouteEdits>,
    policy: Arc<str>,
    version: Version,
}

impl Yes {
    /// Sets and removes the headers that this answer does.
    fn like(answer: &CheckResponse) -> Result<Self, &'static str> {
        let Some(HttpResponse::OkResponse(ok)) = &answer.http_response else {
            return Err("the answer is no allow");
        };
        let headers = ok.headers.iter().filter_map(|option| option.header.as_ref());
        let set = headers
            .filter(|header| header.key != DECISION_ID_HEADER)
            .map(|header| (header.key.as_str().into(), header.value.as_str().into()))
            .collect();
        let remove = ok.headers_to_remove.iter().map(|name| name.as_str().into());
        Ok(Self {
            edits: Arc::new(HeaderEdits::new(set, Vec::new(), remove)),
            route: Arc::default(),
            policy: "members-read".into(),
            version: Version("0123456789abcdef".into()),
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "what an allow costs without a decision cannot be measured without one"
    )]
    fn say(&self) -> Decision {
        let permit = Permit::grant(Arc::clone(&self.edits), Arc::clone(&self.route));
        Decision::allow(permit, vec![Arc::clone(&self.policy)], self.version.clone())
    }
}

impl Decide for Yes {
    fn decide_now(&self, _: &Check<'_>) -> Option<Decision> {
        Some(self.say())
    }

    async fn decide(&self, _: &Check<'_>) -> Decision {
        self.say()
    }

    fn refuse(&self, malformed: &Malformed) -> Decision {
        let denial = Denial {
            status: 400,
            reason: malformed.reason,
            caller: "malformed".into(),
            log: String::new(),
            challenge: None,
            redirect: None,
            headers: Arc::default(),
        };
        Decision::deny(denial, Vec::new(), self.version.clone())
    }
}

pub(crate) async fn serve(address: SocketAddr, answer: &CheckResponse) -> Result<(), Box<dyn Error>> {
    let bare = Bare::start(address, Arc::new(Yes::like(answer)?)).await?;
    tokio::signal::ctrl_c().await?;
    bare.stop().await;
    Ok(())
}
