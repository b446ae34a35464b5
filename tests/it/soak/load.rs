//! Questions with the answers that they must have, as fast as they are answered or at a rate.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::keys::{KeyKind, SigningKey};
use portcullis::demo::people;
use prost::Message as _;
use proto::envoy::service::auth::v3::CheckRequest;
use proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use proto::envoy::service::auth::v3::check_response::HttpResponse;
use tonic::transport::{Channel, Endpoint};

const CONNECTIONS: usize = 4;
/// Questions that wait for an answer at a time on one connection.
const STREAMS: usize = 8;
/// Tokens that are used again.
const KNOWN: usize = 256;

/// A request to ask about.
pub(super) struct Question(CheckRequest);

/// Somebody who asks, and knows the answers.
pub(super) struct Load<'i> {
    issuer: &'i LocalIssuer,
    /// Has the name of one of the issuer's keys.
    forger: SigningKey,
    /// Has a name that the issuer never heard.
    stranger: SigningKey,
    address: SocketAddr,
    known: Mutex<Vec<String>>,
    /// How many questions were begun.
    begun: AtomicUsize,
    asked: AtomicUsize,
}

impl Question {
    pub(super) fn of(target: &str, bearer: Option<String>) -> Self {
        let question = portcullis::ask::Question {
            method: "GET".to_owned(),
            scheme: "https".to_owned(),
            host: "api.example.test".to_owned(),
            target: target.to_owned(),
            headers: bearer
                .into_iter()
                .map(|bearer| ("authorization".to_owned(), bearer))
                .collect(),
        };
        Self(CheckRequest::decode(question.encode().as_slice()).expect("a check"))
    }
}

/// Asks on a connection of its own: the status of a denial is the error.
pub(super) async fn ask_once(address: SocketAddr, question: &Question) -> Result<(), i32> {
    ask(&mut AuthorizationClient::new(connect(address).await), question).await
}

async fn connect(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("a connection")
}

async fn ask(client: &mut AuthorizationClient<Channel>, question: &Question) -> Result<(), i32> {
    let answer = client.check(question.0.clone()).await;
    let answer = answer.expect("an answer, whatever is asked").into_inner();
    match answer.http_response {
        Some(HttpResponse::DeniedResponse(denied)) => Err(denied.status.expect("a status").code),
        _ => {
            assert_eq!(answer.status.expect("a status").code, 0);
            Ok(())
        }
    }
}

impl<'i> Load<'i> {
    pub(super) fn new(issuer: &'i LocalIssuer, address: SocketAddr) -> Self {
        let key = |name: &str| SigningKey::generate(KeyKind::EdDsa, name).expect("a key");
        Self {
            issuer,
            forger: key(issuer.key(KeyKind::EdDsa).kid()),
            stranger: key("stranger"),
            address,
            known: Mutex::default(),
            begun: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
        }
    }

    /// How many questions were answered, each as it must be.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// How many a second are answered if nobody pauses.
    pub(super) async fn as_fast_as_answered(&self, lasts: Duration) -> f64 {
        let begun = Instant::now();
        self.go_on(&|_| Instant::now(), &|| begun.elapsed() < lasts).await;
        self.asked() as f64 / begun.elapsed().as_secs_f64()
    }

    /// So many a second until it is over.
    pub(super) async fn at(&self, rate: f64, over: &AtomicBool) {
        let (begun, before) = (Instant::now(), self.begun.load(Ordering::Relaxed));
        let due = |number: usize| begun + Duration::from_secs_f64((number - before) as f64 / rate);
        self.go_on(&due, &|| !over.load(Ordering::Relaxed)).await;
    }

    async fn go_on(&self, due: &impl Fn(usize) -> Instant, goes_on: &impl Fn() -> bool) {
        let connections = join_all((0..CONNECTIONS).map(|_| connect(self.address))).await;
        let streams = (0..CONNECTIONS * STREAMS).map(|stream| {
            let mut client = AuthorizationClient::new(connections[stream % CONNECTIONS].clone());
            async move {
                while goes_on() {
                    let number = self.begun.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep_until(due(number).into()).await;
                    let (question, expected) = self.question(number);
                    let answer = ask(&mut client, &question).await;
                    assert_eq!(answer, expected, "question {number}");
                    self.asked.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        join_all(streams).await;
    }

    /// The question of this number, and what the answer must be.
    fn question(&self, number: usize) -> (Question, Result<(), i32>) {
        let own = "/workspaces/ws-alice";
        match number % 20 {
            0..=3 => (Question::of(own, Some(self.new_token(number))), Ok(())),
            4 => (Question::of("/public/hello", None), Ok(())),
            5 => (
                Question::of("/workspaces/ws-bob", Some(self.new_token(number))),
                Err(403),
            ),
            6 => (Question::of(own, None), Err(401)),
            7 => (
                Question::of(own, Some(self.token(number, &self.forger))),
                Err(401),
            ),
            8 => (
                Question::of(own, Some(self.token(number, &self.stranger))),
                Err(401),
            ),
            9 => (Question::of("/public/%2e%2e/workspaces", None), Err(400)),
            _ => {
                let known = self.known.lock().expect("no panic");
                let token = known.get(number % known.len().max(1)).cloned();
                drop(known);
                match token {
                    Some(token) => (Question::of(own, Some(token)), Ok(())),
                    None => (Question::of(own, None), Err(401)),
                }
            }
        }
    }

    /// One that nobody has seen before, and that is used again later.
    fn new_token(&self, number: usize) -> String {
        let token = self.token(number, &self.issuer.key(KeyKind::EdDsa));
        let mut known = self.known.lock().expect("no panic");
        if known.len() < KNOWN {
            known.push(token.clone());
        } else {
            known[number % KNOWN].clone_from(&token);
        }
        token
    }

    /// A member of `ws-alice` like no other.
    fn token(&self, number: usize, key: &SigningKey) -> String {
        let mut claims = people::alice_claims();
        claims["sub"] = format!("member-{number}").into();
        format!(
            "Bearer {}",
            key.sign(&key.header(), &self.issuer.complete(claims))
        )
    }
}
