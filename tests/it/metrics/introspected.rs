//! What is counted of opaque tokens, about which an endpoint is asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::Scrape;
use crate::house::{TestHouse, until};

/// An introspection endpoint: it vouches for `good`, refuses to be asked about `rude-…`, and lets `slow` wait.
#[derive(Clone)]
struct Endpoint {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    go_on: watch::Sender<bool>,
}

impl Endpoint {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let this = Self {
            address: listener.local_addr().expect("an address"),
            asked: Arc::default(),
            go_on: watch::Sender::new(false),
        };
        let endpoint = this.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let endpoint = endpoint.clone();
                tokio::spawn(async move { endpoint.answer(connection).await });
            }
        });
        this
    }

    async fn answer(&self, mut connection: TcpStream) {
        let mut question = Vec::new();
        while !question.ends_with(b"&token_type_hint=access_token") {
            if connection
                .read_buf(&mut question)
                .await
                .is_ok_and(|read| read == 0)
            {
                return;
            }
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        let question = String::from_utf8(question).expect("UTF-8");
        let (_, token) = question.split_once("\r\n\r\ntoken=").expect("a token");
        let (status, body) = match token.split('&').next() {
            Some("good") => (
                200,
                r#"{"active":true,"sub":"u-1","aud":"ours","exp":99999999999}"#,
            ),
            Some(rude) if rude.starts_with("rude") => (403, ""),
            _ => (200, r#"{"active":false}"#),
        };
        if token.starts_with("slow") {
            let _ = self.go_on.subscribe().wait_for(|go_on| *go_on).await;
        }
        let answer = format!(
            "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let _ = connection.write_all(answer.as_bytes()).await;
    }
}

/// What was counted: active, inactive and failed, then kept, full and cooling down.
async fn counts(house: &TestHouse) -> [u64; 6] {
    let scrape = Scrape::of(house.admin()).await;
    let of = |name: &str, label, value| scrape.sum(name, &[("issuer", "opaque"), (label, value)]) as u64;
    let requests = |outcome| of("portcullis_introspection_requests_total", "outcome", outcome);
    let unasked = |reason| of("portcullis_introspection_unasked_total", "reason", reason);
    [
        requests("active"),
        requests("inactive"),
        requests("failed"),
        unasked("kept"),
        unasked("full"),
        unasked("cooling_down"),
    ]
}

#[tokio::test]
async fn every_question_to_an_endpoint_is_counted_by_its_end_and_so_is_what_was_not_asked() {
    let endpoint = Endpoint::start().await;
    let section = format!(
        "\nintrospection: [{{ name: opaque, url: 'http://{}/', client_id: us, client_secret: s3cret, audiences: [ours], \
         claims: {{ type: {{ otherwise: User }} }}, max_in_flight: 1 }}]\n",
        endpoint.address
    );
    let house = Arc::new(TestHouse::with(|text| text + &section, &[]).await);
    assert_eq!(
        counts(&house).await,
        [0; 6],
        "the series are there before anything is asked"
    );
    let ask = async |token: &str| {
        let token = format!("Bearer {token}");
        let answer = house.ask("GET", "/public/a", &[("authorization", &token)]).await;
        answer.reason
    };
    // Who was verified is in the cache of tokens, and nobody looks at the answer again.
    for (token, reason, expected) in [
        ("good", "permitted", [1, 0, 0, 0, 0, 0]),
        ("good", "permitted", [1, 0, 0, 0, 0, 0]),
        ("junk", "credential_refused", [1, 1, 0, 0, 0, 0]),
        ("junk", "credential_refused", [1, 1, 0, 1, 0, 0]),
    ] {
        assert_eq!(ask(token).await, reason, "{token}");
        assert_eq!(counts(&house).await, expected, "{token}");
    }

    let waiting = tokio::spawn({
        let house = Arc::clone(&house);
        async move {
            house
                .ask("GET", "/public/a", &[("authorization", "Bearer slow")])
                .await
        }
    });
    let asked = async || endpoint.asked.load(Ordering::Relaxed) == 3;
    until("the endpoint is asked", asked).await;
    assert_eq!(ask("another").await, "keys_unavailable");
    assert_eq!(counts(&house).await, [1, 1, 0, 1, 1, 0], "one question at a time");
    endpoint.go_on.send_replace(true);
    assert_eq!(waiting.await.expect("an answer").reason, "credential_refused");
    assert_eq!(counts(&house).await, [1, 2, 0, 1, 1, 0]);

    let mut rude = 0;
    until("the endpoint is left alone", async || {
        rude += 1;
        assert_eq!(ask(&format!("rude-{rude}")).await, "keys_unavailable");
        counts(&house).await[5] > 0
    })
    .await;
    let [active, inactive, failed, kept, full, cooling_down] = counts(&house).await;
    assert_eq!((active, inactive, kept, full), (1, 2, 1, 1));
    assert!(failed > 0);
    assert_eq!(failed + cooling_down, rude, "each of them is counted once");
}
