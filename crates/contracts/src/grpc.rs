//! gRPC over HTTP/2 for the one method we serve: headers, the five-byte frame, trailers.
//!
//! Written out instead of generated for one reason: a generated server answers a message it does not like with a gRPC
//! error, and a proxy with an open failure mode lets such a request pass. Here everything that reaches the method is
//! answered with a `CheckResponse`, and everything that does not look like a gRPC call from a proxy gets an HTTP error,
//! never a 200. Protocol: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

mod gathered;

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use model::{Decide, Decision, Malformed, Reason};

pub use self::gathered::Gathered;
use self::gathered::PIECE;
use crate::message::Message;
use crate::{Listener, envoy};

/// The path of the method.
pub const CHECK_PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

/// How large a message may be, unless the configuration says otherwise: proxies cap bodies well below.
pub const DEFAULT_MAX_MESSAGE_BYTES: usize = 8 * 1024 * 1024;

/// W3C trace context. <https://www.w3.org/TR/trace-context/>
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A proxy that began a message and does not finish it.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Envoy's `Authorization` service.
#[derive(Debug)]
pub struct AuthorizationService<D> {
    decide: Arc<D>,
    listener: Listener,
    stranger: Option<IpAddr>,
    read_timeout: Duration,
}

impl<D> Clone for AuthorizationService<D> {
    fn clone(&self) -> Self {
        Self {
            decide: Arc::clone(&self.decide),
            listener: self.listener.clone(),
            stranger: self.stranger,
            read_timeout: self.read_timeout,
        }
    }
}

impl<D: Decide> AuthorizationService<D> {
    /// A service that asks `decide`.
    pub fn new(decide: Arc<D>, listener: Listener) -> Self {
        Self {
            decide,
            listener,
            stranger: None,
            read_timeout: READ_TIMEOUT,
        }
    }

    /// The same for a peer that may not ask: every call is denied.
    pub fn for_stranger(mut self, peer: IpAddr) -> Self {
        self.stranger = Some(peer);
        self
    }

    /// Answers one HTTP request.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Reply>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if let Err(status) = is_grpc_check(&request) {
            return plain(status);
        }
        if let Some(peer) = self.stranger {
            return self.answer_stranger(peer, request.into_body()).await;
        }
        let most = self.listener.max_message_bytes;
        let room = &self.listener.room;
        let (head, body) = request.into_parts();
        let call = envoy::Call {
            timeout: head.headers.get("grpc-timeout").and_then(grpc_timeout),
            traceparent: only(&head.headers, TRACEPARENT),
        };
        // Whoever begins a message and does not finish it gets an answer while it still waits for one.
        let patience = call.timeout.map_or(self.read_timeout, |timeout| {
            self.read_timeout.min(timeout - timeout / 5)
        });
        let answer = match Message::read(body, most.saturating_add(5), patience, room).await {
            // A call always has a message. This is what a proxy sends that takes us for an HTTP contract.
            Ok(frame) if frame.bytes().is_empty() => return plain(StatusCode::BAD_REQUEST),
            Ok(frame) => match unframe(frame.bytes()) {
                Ok(message) => match self.answer_now(message, call) {
                    Some(answer) => answer,
                    // On the heap, because few wait: a call is moved several times, and a small one is moved quickly.
                    None => Box::pin(self.answer_later(message, call)).await,
                },
                Err(detail) => self.refuse(Reason::Malformed, detail),
            },
            Err(unread) => {
                let help = "lower max_request_bytes in the proxy or raise limits.max_message_bytes";
                let (reason, detail) = unread.told("the message", most, help);
                self.refuse(reason, &detail)
            }
        };
        grpc(answer)
    }

    fn answer_now(&self, message: &[u8], call: envoy::Call<'_>) -> Option<Vec<u8>> {
        let answer = || {
            let decision = envoy::decide_now(&*self.decide, message, call, self.listener.options)?;
            Some(framed(&decision))
        };
        catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_| Some(self.panicked()))
    }

    async fn answer_later(&self, message: &[u8], call: envoy::Call<'_>) -> Vec<u8> {
        let answer = async {
            let later = envoy::decide_later(&*self.decide, message, call, self.listener.options);
            framed(&later.await)
        };
        AssertUnwindSafe(answer)
            .catch_unwind()
            .await
            .unwrap_or_else(|_| self.panicked())
    }

    /// A panic is our bug, and still only a denial.
    fn panicked(&self) -> Vec<u8> {
        self.refuse(Reason::Internal, "a panic while deciding; please report it")
    }

    /// Denies without reading the message: no more of it is awaited than shows that there is one, and nothing is kept.
    async fn answer_stranger<B>(&self, peer: IpAddr, body: B) -> Response<Reply>
    where
        B: Body<Data = Bytes>,
    {
        let begun = tokio::time::timeout(self.read_timeout, has_bytes(body)).await;
        if begun == Ok(false) {
            return plain(StatusCode::BAD_REQUEST);
        }
        grpc(self.refuse(Reason::StrangePeer, &crate::strange(peer)))
    }

    fn refuse(&self, reason: Reason, detail: &str) -> Vec<u8> {
        let malformed = Malformed {
            contract: envoy::CONTRACT,
            reason,
            detail: detail.to_owned(),
        };
        catch_unwind(AssertUnwindSafe(|| framed(&self.decide.refuse(&malformed))))
            .unwrap_or_else(|_| framed(&crate::last_resort()))
    }
}

/// Only what a gRPC library sends gets as far as an answer with HTTP status 200.
///
/// A proxy that was pointed at this port with an HTTP contract forwards its client's method and path; the headers
/// looked at here are not among those it forwards by default, so a client cannot ask for a 200 through it.
fn is_grpc_check<B>(request: &Request<B>) -> Result<(), StatusCode> {
    if request
        .uri()
        .path_and_query()
        .is_none_or(|path| path != CHECK_PATH)
    {
        return Err(StatusCode::NOT_FOUND);
    }
    if request.method() != Method::POST {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let is_grpc = |value: &[u8]| {
        // `application/grpc+proto` and parameters; not `application/grpc-web`.
        value
            .strip_prefix(b"application/grpc")
            .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
    };
    if !only(request.headers(), header::CONTENT_TYPE).is_some_and(is_grpc)
        || only(request.headers(), header::TE) != Some(b"trailers")
    {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    Ok(())
}

/// The value of a header that is there once.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&[u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

/// True as soon as a byte has come, or the body broke off; false for an empty one.
async fn has_bytes<B: Body<Data = Bytes>>(body: B) -> bool {
    let mut body = std::pin::pin!(body);
    while let Some(frame) = body.frame().await {
        if frame.is_ok_and(|frame| frame.is_trailers() || frame.data_ref().is_some_and(Bytes::is_empty)) {
            continue;
        }
        return true;
    }
    false
}

/// Takes the message out of its frame: one byte of flags (0: not compressed), four of length.
fn unframe(frame: &[u8]) -> Result<&[u8], &'static str> {
    match frame.split_first_chunk::<5>() {
        None => Err("the gRPC frame is shorter than its five-byte head"),
        Some(([0, length @ ..], message)) if message.len() == u32::from_be_bytes(*length) as usize => {
            Ok(message)
        }
        Some(([0, ..], _)) => Err("the length in the gRPC frame is not the length of the message"),
        Some(_) => Err("the message is compressed, which was never offered"),
    }
}

/// `grpc-timeout`: at most eight digits and a unit.
fn grpc_timeout(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(amount * 3600)),
        b'M' => Some(Duration::from_secs(amount * 60)),
        b'S' => Some(Duration::from_secs(amount)),
        b'm' => Some(Duration::from_millis(amount)),
        b'u' => Some(Duration::from_micros(amount)),
        b'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// The `CheckResponse` for a decision in its frame.
fn framed(decision: &Decision) -> Vec<u8> {
    let mut frame = envoy::encode(decision, &[0; 5]);
    // A reply is a few kilobytes; one that does not fit 32 bits cannot be made.
    let length = u32::try_from(frame.len().saturating_sub(5)).unwrap_or(u32::MAX);
    let written = frame.iter_mut().skip(1).zip(length.to_be_bytes());
    written.for_each(|(to, from)| *to = from);
    frame
}

fn grpc(frame: Vec<u8>) -> Response<Reply> {
    let mut response = Response::new(Reply {
        frame: Some(Bytes::from(frame)),
        trailers: Some(()),
    });
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// An HTTP error without a body. gRPC clients read a 404 as UNIMPLEMENTED.
pub fn plain(status: StatusCode) -> Response<Reply> {
    let mut response = Response::new(Reply {
        frame: None,
        trailers: None,
    });
    *response.status_mut() = status;
    response
}

/// The body of an answer: one frame and the trailers of a call that went well, or nothing at all.
#[derive(Debug)]
pub struct Reply {
    frame: Option<Bytes>,
    trailers: Option<()>,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(mut piece) = self.frame.take() {
            if piece.len() > PIECE {
                // Halves of it, or pieces: a tiny one would count as a flood to some clients.
                let rest = piece.split_off(PIECE.min(piece.len() / 2));
                self.frame = Some(rest);
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        Poll::Ready(self.trailers.take().map(|()| {
            let mut trailers = HeaderMap::with_capacity(1);
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            Ok(Frame::trailers(trailers))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.frame.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.frame.as_ref().map_or(0, |frame| frame.len() as u64))
    }
}

#[cfg(test)]
mod tests;
