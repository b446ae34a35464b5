//! What is spoken on a connection: HTTP/2 for gRPC, or HTTP/1.1 and HTTP/2 for the HTTP contracts, inside TLS or not. Bounds on
//! all of it.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use contracts::grpc::{AuthorizationService, Gathered};
use contracts::http::HttpDoors;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use model::Decide;
use tokio::io::{AsyncRead, AsyncWrite, Interest};

use super::begun::{self, Begun};
use super::frames::PREFACE;
use super::patient::{Patience, Patient};
use crate::tls::Handshakes;

/// More than any proxy lets through from its client (Envoy: 60 KiB), because some of it may be copied into the call
/// (`tracestate`, baggage). What is over this is answered by HTTP itself, and over gRPC that would be an error.
const MAX_HEADER_LIST: u32 = 96 * 1024;
/// More headers than any proxy lets through; what is over this is refused before it is looked at.
const MAX_HEADERS: usize = 256;
/// A connection on which nobody begins to speak HTTP/2.
const FIRST_BYTES: Duration = Duration::from_secs(10);
/// What connections of the HTTP contracts may take. Proxies keep idle ones for 60 s and would take one that we close
/// first for a failure.
const PATIENCE: Patience = Patience {
    head: Duration::from_secs(10),
    idle: Duration::from_secs(120),
};
/// Pings find peers that went away without a word.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Who may not ask is told so for this long, and is cut off after three times as long.
const STRANGER: Duration = Duration::from_secs(10);

/// The contracts of a listener.
#[derive(Debug)]
pub(crate) enum Language<D> {
    /// Envoy's gRPC service.
    Grpc(AuthorizationService<D>),
    /// The HTTP contracts.
    Http(HttpDoors<D>),
}

impl<D> Clone for Language<D> {
    fn clone(&self) -> Self {
        match self {
            Self::Grpc(service) => Self::Grpc(service.clone()),
            Self::Http(doors) => Self::Http(doors.clone()),
        }
    }
}

impl<D: Decide> Language<D> {
    /// Answers on a connection until its peer or `told` ends it; what is in flight then finishes. A stranger is denied
    /// whatever it asks.
    pub(super) async fn speak(
        self,
        stream: TcpStream,
        tls: Option<Handshakes>,
        stranger: Option<IpAddr>,
        max_streams: u32,
        told: impl Future<Output = ()>,
    ) -> Result<(), String> {
        let stream = tokio::net::TcpStream::from_std(stream).map_err(|error| error.to_string())?;
        let Some(peer) = stranger else {
            return self.answer(stream, tls, max_streams, told).await;
        };
        let told = async {
            let _ = tokio::time::timeout(STRANGER, told).await;
        };
        let answered = self.for_stranger(peer).answer(stream, tls, max_streams, told);
        tokio::time::timeout(STRANGER * 3, answered)
            .await
            .unwrap_or_else(|_| Err(format!("{peer} may not ask, and would not go")))
    }

    fn for_stranger(self, peer: IpAddr) -> Self {
        match self {
            Self::Grpc(service) => Self::Grpc(service.for_stranger(peer)),
            Self::Http(doors) => Self::Http(doors.for_stranger(peer)),
        }
    }

    async fn answer(
        self,
        stream: tokio::net::TcpStream,
        tls: Option<Handshakes>,
        max_streams: u32,
        told: impl Future<Output = ()>,
    ) -> Result<(), String> {
        match (self, tls) {
            (Self::Grpc(service), None) => grpc(service, stream, max_streams, told).await,
            (Self::Http(doors), None) => http(doors, stream, max_streams, PATIENCE, told).await,
            // In a box of its own: connections without TLS need not be as large.
            (language, Some(tls)) => Box::pin(language.encrypted(stream, &tls, max_streams, told)).await,
        }
    }

    async fn encrypted(
        self,
        stream: tokio::net::TcpStream,
        tls: &Handshakes,
        max_streams: u32,
        told: impl Future<Output = ()>,
    ) -> Result<(), String> {
        let stream = tls.shake(stream).await.map_err(|error| error.to_string())?;
        match self {
            Self::Grpc(service) => {
                let begun = Begun::wait(stream, begun::MOST);
                let stream = in_time(FIRST_BYTES, begun, "HTTP/2 was not begun in time").await?;
                speak_grpc(service, stream, max_streams, told).await
            }
            Self::Http(doors) => {
                let mut told = std::pin::pin!(told);
                let begun = Begun::wait(stream, 1);
                let stream = tokio::select! {
                    stream = in_time(PATIENCE.idle, begun, "no request was begun in time") => stream?,
                    () = told.as_mut() => return Ok(()),
                };
                speak_http(doors, stream, max_streams, PATIENCE, told).await
            }
        }
    }
}

/// The same, or an error if it takes longer than that.
async fn in_time<T>(
    patience: Duration,
    awaited: impl Future<Output = io::Result<T>>,
    late: &str,
) -> Result<T, String> {
    let in_time = tokio::time::timeout(patience, awaited).await;
    in_time
        .map_err(|_| late.to_owned())?
        .map_err(|error| error.to_string())
}

async fn grpc<D: Decide>(
    service: AuthorizationService<D>,
    stream: tokio::net::TcpStream,
    max_streams: u32,
    told: impl Future<Output = ()>,
) -> Result<(), String> {
    in_time(FIRST_BYTES, preface(&stream), "HTTP/2 was not begun in time").await?;
    speak_grpc(service, stream, max_streams, told).await
}

async fn speak_grpc<D: Decide>(
    service: AuthorizationService<D>,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    max_streams: u32,
    told: impl Future<Output = ()>,
) -> Result<(), String> {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(max_streams)
        .max_header_list_size(MAX_HEADER_LIST)
        // Nobody reads it, and it would be one more header to encode.
        .auto_date_header(false)
        // The peer is a proxy with many clients on one connection: what they cancel at the same time must not end it,
        // because its end is an error for all the others.
        .max_pending_accept_reset_streams(resets(max_streams))
        .max_local_error_reset_streams(resets(max_streams))
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    // One count for each connection: threads that share one would wait for each other at every request.
    let service = Arc::new(service);
    let answer = service_fn(move |request: Request<Incoming>| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(service.answer(request).await) }
    });
    let mut connection = std::pin::pin!(http.serve_connection(Gathered(TokioIo::new(stream)), answer));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told => {
            // GOAWAY, then what is in flight finishes.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(|error| error.to_string())
}

async fn http<D: Decide>(
    doors: HttpDoors<D>,
    stream: tokio::net::TcpStream,
    max_streams: u32,
    patience: Patience,
    told: impl Future<Output = ()>,
) -> Result<(), String> {
    let mut told = std::pin::pin!(told);
    let mut first = [0];
    // Until the first byte says which version of HTTP it is, no other clock runs.
    tokio::select! {
        begun = in_time(patience.idle, stream.peek(&mut first), "no request was begun in time") => begun?,
        () = told.as_mut() => return Ok(()),
    };
    speak_http(doors, stream, max_streams, patience, told).await
}

async fn speak_http<D: Decide>(
    doors: HttpDoors<D>,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    max_streams: u32,
    patience: Patience,
    told: impl Future<Output = ()>,
) -> Result<(), String> {
    let mut told = std::pin::pin!(told);
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_LIST as usize)
        // This clock also runs between two requests; for a head that was begun there is `Patient`.
        .header_read_timeout(patience.idle);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(max_streams)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_pending_accept_reset_streams(resets(max_streams))
        .max_local_error_reset_streams(resets(max_streams))
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let (stream, head) = Patient::new(stream, patience);
    let answer = service_fn(move |request: Request<Incoming>| {
        let doors = doors.clone();
        let head = head.clone();
        head.ended();
        // On HTTP/2, frames come at any time.
        let one_at_a_time = request.version() < hyper::Version::HTTP_2;
        async move {
            let response = doors.answer(request).await;
            if one_at_a_time {
                head.next();
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), answer));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told.as_mut() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(|error| error.to_string())
}

/// How many streams of a connection may be given up, by the peer before anybody looked at them, or by us in all its life: what a
/// proxy does whose clients all go away several times while we are busy, but not as much as a flood.
fn resets(max_streams: u32) -> usize {
    (max_streams as usize).saturating_mul(8).max(1024)
}

/// Waits until the peer has sent as much as the preface of HTTP/2 is long (RFC 9113 section 3.4), without taking it.
async fn preface(stream: &tokio::net::TcpStream) -> io::Result<()> {
    let mut begun = [0; 24];
    loop {
        // Asked before the bytes are looked at: after the end no more of them come.
        let is_ended = stream.ready(Interest::READABLE).await?.is_read_closed();
        match stream.peek(&mut begun).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            24.. => return Ok(()),
            // Something else: nobody has to wait for the rest of it.
            read if begun.get(..read) != PREFACE.get(..read) => return Err(io::ErrorKind::InvalidData.into()),
            _ if is_ended => return Err(io::ErrorKind::UnexpectedEof.into()),
            // Part of it is there, so the socket stays readable: look again in a moment.
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

#[cfg(test)]
mod tests;
