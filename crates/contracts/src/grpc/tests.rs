//! Calls as a gRPC library makes them, and everything else that can arrive on the port.

mod calls;
mod strangers;

use std::convert::Infallible;
use std::io;
use std::sync::Mutex;

use futures_util::stream;
use http_body_util::{BodyExt as _, Full, StreamBody};
use model::{Check, Decision, HeaderEdits, RouteEdits, Target};
use prost::Message;
use proto::envoy::service::auth::v3::{self as auth, attribute_context as context};

use super::*;
use crate::samples::{allow, deny};

/// How the judge of these tests behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Mood {
    /// Answers at once.
    #[default]
    Now,
    /// Has to wait for something.
    Later,
    /// Panics at once, after waiting, or whatever it is asked.
    PanicsNow,
    PanicsLater,
    PanicsAlways,
}

/// A judge that lets `/open` pass and remembers what it was asked.
#[derive(Debug, Default)]
struct Judge {
    mood: Mood,
    heard: Mutex<Vec<String>>,
}

impl Judge {
    fn hears(&self, what: String) {
        self.heard.lock().unwrap().push(what);
    }

    fn judge(check: &Check<'_>) -> Decision {
        match &check.target {
            Target::Http(http) if http.path.as_str() == "/open" => {
                allow(HeaderEdits::default(), RouteEdits::default())
            }
            _ => deny(403, Reason::NoPermit, &[]),
        }
    }
}

impl Decide for Judge {
    fn decide_now(&self, check: &Check<'_>) -> Option<Decision> {
        self.hears(format!("now {:?}", check.timeout));
        match self.mood {
            Mood::Now => Some(Self::judge(check)),
            Mood::Later | Mood::PanicsLater => None,
            Mood::PanicsNow | Mood::PanicsAlways => panic!("on purpose"),
        }
    }

    async fn decide(&self, check: &Check<'_>) -> Decision {
        tokio::task::yield_now().await;
        self.hears(format!("later {:?}", check.timeout));
        match self.mood {
            Mood::PanicsLater => panic!("on purpose"),
            _ => Self::judge(check),
        }
    }

    fn refuse(&self, malformed: &Malformed) -> Decision {
        self.hears(format!("refuse {} {}", malformed.reason, malformed.detail));
        match self.mood {
            Mood::PanicsAlways => panic!("on purpose"),
            _ => deny(403, malformed.reason, &[]),
        }
    }
}

/// What a caller gets.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    /// The code of the `CheckResponse`; `None` if there is none.
    code: Option<i32>,
    /// The class of the reason, from the dynamic metadata.
    reason: String,
    /// What the judge was asked.
    heard: Vec<String>,
}

fn service(mood: Mood) -> AuthorizationService<Judge> {
    let judge = Judge {
        mood,
        ..Judge::default()
    };
    AuthorizationService::new(Arc::new(judge), crate::Listener::new(1000))
}

/// Sends the request and reads the answer the way a gRPC library does.
async fn answer<B>(service: &AuthorizationService<Judge>, request: Request<B>) -> Answer
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let response = service.answer(request).await;
    let status = response.status().as_u16();
    let content_type = response.headers().get("content-type").cloned();
    let announced = response.body().size_hint().exact();
    let ended = response.body().is_end_stream();
    let collected = response.into_body().collect().await.unwrap();
    let trailers = collected.trailers().cloned();
    let body = collected.to_bytes();
    assert_eq!(announced, Some(body.len() as u64));
    let mut answer = Answer {
        status,
        code: None,
        reason: String::new(),
        heard: service.decide.heard.lock().unwrap().clone(),
    };
    if status != 200 {
        assert!((400..500).contains(&status), "{status}");
        assert!(ended, "one HEADERS frame and that is it");
        assert_eq!((body.len(), trailers, content_type), (0, None, None));
        return answer;
    }
    assert!(!ended);
    assert_eq!(content_type.unwrap(), "application/grpc");
    let trailers = trailers.unwrap();
    assert_eq!(
        (trailers.len(), trailers.get("grpc-status").unwrap().as_bytes()),
        (1, &b"0"[..])
    );
    let (head, message) = body.split_first_chunk::<5>().unwrap();
    assert_eq!(
        (
            head[0],
            u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize
        ),
        (0, message.len())
    );
    let response = auth::CheckResponse::decode(message).unwrap();
    answer.code = Some(response.status.unwrap().code);
    let reason = response
        .dynamic_metadata
        .unwrap()
        .fields
        .remove("reason")
        .unwrap();
    if let Some(proto::google::protobuf::value::Kind::StringValue(reason)) = reason.kind {
        answer.reason = reason;
    }
    answer
}

/// A call that is answered, with this body.
fn call<B>(body: B) -> Request<B> {
    Request::post(CHECK_PATH)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap()
}

fn full(bytes: &[u8]) -> Full<Bytes> {
    Full::new(Bytes::copy_from_slice(bytes))
}

/// A body that arrives in these parts, and the error that ends it if the last is `Err`.
fn parts(parts: Vec<io::Result<&'static [u8]>>) -> impl Body<Data = Bytes, Error = io::Error> {
    let frames = parts
        .into_iter()
        .map(|part| part.map(|bytes| Frame::data(Bytes::from_static(bytes))));
    StreamBody::new(stream::iter(frames))
}

/// A body whose first part arrives and whose rest never does.
fn unfinished(part: &'static [u8]) -> impl Body<Data = Bytes, Error = Infallible> {
    use futures_util::StreamExt as _;
    let part = stream::iter([Ok(Frame::data(Bytes::from_static(part)))]);
    StreamBody::new(part.chain(stream::pending()))
}

/// The framed message that asks about `path`.
fn framed(path: &str) -> Vec<u8> {
    let http = context::HttpRequest {
        method: "GET".into(),
        path: path.into(),
        host: "host.example.org".into(),
        ..Default::default()
    };
    let request = auth::CheckRequest {
        attributes: Some(auth::AttributeContext {
            request: Some(context::Request { http: Some(http) }),
            ..Default::default()
        }),
    };
    frame(0, &request.encode_to_vec())
}

fn frame(flags: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![flags];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

#[tokio::test]
async fn large_answers_come_whole_and_in_pieces_that_are_neither_large_nor_tiny() {
    for length in (0..=3 * PIECE).chain([100_000, 1 << 20]) {
        let frame: Bytes = (0..length).map(|at| at as u8).collect();
        let mut reply = Reply {
            frame: Some(frame.clone()),
            trailers: Some(()),
        };
        let (mut whole, mut pieces, mut ended) = (Vec::new(), 0, false);
        assert_eq!(reply.size_hint().exact(), Some(length as u64));
        while let Some(Ok(next)) = reply.frame().await {
            assert!(!ended, "nothing comes after the trailers");
            match next.into_data() {
                Ok(piece) => {
                    assert!(piece.len() <= PIECE, "{} of {length}", piece.len());
                    assert!(piece.len() >= length.min(256), "{} of {length}", piece.len());
                    whole.extend_from_slice(&piece);
                    pieces += 1;
                }
                Err(_) => ended = true,
            }
        }
        assert!(ended && reply.is_end_stream(), "{length}");
        assert_eq!(whole, frame, "{length}");
        assert!(pieces <= length / 256 + 1, "{pieces} of {length}");
    }
}
