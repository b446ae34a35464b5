//! What junk does to a running server: it must not grow.

use std::time::Instant;

use portcullis::ask::Question;
use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::people;
use prost::Message as _;
use proto::envoy::service::auth::v3::CheckRequest;
use proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tonic::transport::{Channel, Endpoint};

use crate::answers::config_for;
use crate::serving::Server;

/// Checks before the first look at the memory: allocator, threads and connections have what they want by then.
const WARM_UP: usize = 5_000;
/// Checks between the two looks. If each left half a KiB behind, half of its token, that would be twice what is allowed.
const FLOOD: usize = 60_000;
/// Most that the process may grow meanwhile, in KiB.
const GROWTH: u64 = 15 * 1024;
/// Checks under way at a time.
const STREAMS: usize = 32;

/// Resident memory of the process, in KiB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number.and_then(|kb| kb.parse().ok()).expect("a number of kB")
}

/// Asks about `token` as Envoy would; the status of the answer.
async fn ask(client: &mut AuthorizationClient<Channel>, token: String) -> i32 {
    let question = Question {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        host: "api.example.test".to_owned(),
        target: "/workspaces/ws-alice".to_owned(),
        headers: vec![("authorization".to_owned(), format!("Bearer {token}"))],
    };
    let check = CheckRequest::decode(question.encode().as_slice()).expect("a check");
    let answer = client.check(check).await.expect("an answer, whatever the token");
    answer.into_inner().status.expect("a status").code
}

/// The tokens of numbers `from` to `to`, each different and none good, by many at a time.
async fn junk(channel: &Channel, good: &str, from: usize, to: usize) {
    let segments: Vec<&str> = good.split('.').collect();
    let [_, claims, signature] = segments[..] else {
        panic!("a JWT")
    };
    let streams = (0..STREAMS).map(|stream| {
        let (claims, signature) = (claims.to_owned(), signature.to_owned());
        let mut client = AuthorizationClient::new(channel.clone());
        tokio::spawn(async move {
            for number in (from..to).skip(stream).step_by(STREAMS) {
                let token = match number % 4 {
                    // Of the issuer, by a key that nobody knows.
                    0 | 1 => {
                        let header = format!("{{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"k-{number}\"}}");
                        format!("{}.{claims}.{signature}", base64url(header.as_bytes()))
                    }
                    // Of somebody else.
                    2 => {
                        let issuer = format!("{{\"iss\":\"https://{number}.test\"}}");
                        format!(
                            "{}.{}.{signature}",
                            base64url(br#"{"alg":"RS256","kid":"k"}"#),
                            base64url(issuer.as_bytes())
                        )
                    }
                    _ => format!("{number}-{signature}"),
                };
                assert_ne!(ask(&mut client, token).await, 0, "junk was let in");
            }
        })
    });
    for stream in streams.collect::<Vec<_>>() {
        stream.await.expect("a stream");
    }
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn junk_does_not_make_the_server_grow() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let config = config_for(&issuer, "flood.yaml");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    std::fs::write(&config, format!("{text}\ndecision_log: off\n")).expect("the file can be written");
    let begun = Instant::now();
    let server = Server::start_with(&config);
    let endpoint = Endpoint::from_shared(format!("http://{}", server.envoy_grpc)).expect("an address");
    let channel = endpoint.connect().await.expect("a connection");
    let mut client = AuthorizationClient::new(channel.clone());
    let alice = people::alice(&issuer).token;
    assert_eq!(ask(&mut client, alice.clone()).await, 0);

    junk(&channel, &alice, 0, WARM_UP).await;
    let before = resident(server.process());
    junk(&channel, &alice, WARM_UP, WARM_UP + FLOOD).await;
    let after = resident(server.process());
    assert!(
        after.saturating_sub(before) < GROWTH,
        "{before} KiB became {after} KiB"
    );
    assert_eq!(ask(&mut client, alice).await, 0, "alice is still let in");
    // The default of `min_refresh_interval_seconds` lets ten seconds pass from one fetch to the next.
    let (fetches, most) = (issuer.fetches(), 1 + begun.elapsed().as_secs() / 10);
    assert!(
        fetches as u64 <= most,
        "{fetches} fetches, at most {most} are in order"
    );
}
