//! The transport of `portcullis` with nobody behind it.
//!
//! It grants without asking, which nothing that is shipped may do: this program is never part of it.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use contracts::Listener;
use contracts::grpc::{AuthorizationService, DEFAULT_MAX_MESSAGE_BYTES, Gathered};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use model::{
    Check, DECISION_ID_HEADER, Decide, Decision, Denial, HeaderEdits, Malformed, Permit, RouteEdits, Version,
};
use tokio::net::TcpListener;

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
        let remove = ok
            .headers_to_remove
            .iter()
            .map(|name| name.as_str().into())
            .collect();
        Ok(Self {
            edits: Arc::new(HeaderEdits::new(set, Vec::new(), &remove)),
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

/// As `server/src/listen` does it: HTTP/2 on this thread, with the same bounds.
pub(crate) async fn serve(address: SocketAddr, answer: &CheckResponse) -> Result<(), Box<dyn Error>> {
    let told = Listener::new(DEFAULT_MAX_MESSAGE_BYTES);
    let service = AuthorizationService::new(Arc::new(Yes::like(answer)?), told);
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service.clone();
        let answer = service_fn(move |request: Request<Incoming>| {
            let service = service.clone();
            async move { Ok::<_, Infallible>(service.answer(request).await) }
        });
        tokio::spawn(async move {
            let mut http = http2::Builder::new(TokioExecutor::new());
            http.timer(TokioTimer::new())
                .max_concurrent_streams(1000)
                .auto_date_header(false)
                .max_header_list_size(96 * 1024)
                .max_pending_accept_reset_streams(8000)
                .max_local_error_reset_streams(8000)
                .keep_alive_interval(Duration::from_secs(60))
                .keep_alive_timeout(Duration::from_secs(20));
            if let Err(error) = http
                .serve_connection(Gathered(TokioIo::new(stream)), answer)
                .await
            {
                eprintln!("a connection ended: {error}");
            }
        });
    }
}
