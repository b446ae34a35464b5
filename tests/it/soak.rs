//! A server under half of the load that it can take, for a while: tokens that nobody has seen before, keys that rotate, rules
//! that change, messages that are none. Every verdict is right, and nothing grows.
//!
//! Here for twenty seconds; `cargo xtask soak` does the same with the program as it is shipped, for as long as it is told.

mod load;
mod looks;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join3;
use portcullis::demo::issuer::{LocalIssuer, OldKey};
use portcullis::demo::{http, people, stage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use self::load::{Load, Question};
use self::looks::Looks;
use crate::conformance::resets;
use crate::house::until;
use crate::served::Served;
use crate::tls::papers::exchange;

/// For how many minutes, if not for as long as fits into a test.
const MINUTES: &str = "TESTS_SOAK_MINUTES";
/// The program that is to serve, if not this one.
const SERVER: &str = "TESTS_SOAK_SERVER";
/// How long it is asked as fast as it answers, to learn what half of that is.
const CALIBRATION: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_half_load_nothing_grows_and_every_verdict_is_right() {
    let minutes = std::env::var(MINUTES).ok().map(|minutes| minutes.parse::<f64>());
    let minutes = minutes.map(|minutes| minutes.expect("a number of minutes"));
    let lasts = Duration::from_secs_f64(minutes.map_or(20.0, |minutes| minutes * 60.0));
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let config = stage::config_text(&issuer).replace(
        "trust_roles: true",
        "trust_roles: true\n    min_refresh_interval_seconds: 1",
    );
    let config = config + "\nreload: { watch: false }\ndecision_log: stdout\n";
    // Every record is written, and nobody has to keep them.
    let shell = match std::env::var_os(SERVER) {
        Some(_) => format!("exec \"${SERVER}\" serve --config \"$TESTS_SERVE\" > /dev/null"),
        None => "exec \"$@\" > /dev/null".to_owned(),
    };
    let served = Served::start_by(&shell, &config, &[], &[("RUST_LOG", "info")]).await;
    let at_rest = looks::descriptors(served.process());

    let load = Load::new(&issuer, served.grpc());
    let rate = load.as_fast_as_answered(CALIBRATION).await / 2.0;
    let begun = Instant::now();
    let over = AtomicBool::new(false);
    let mut looks = Looks::new(served.process(), rate);
    let watching = async {
        let pause = (lasts / 60).max(Duration::from_secs(1));
        while begun.elapsed() < lasts {
            tokio::time::sleep(pause).await;
            looks.look(begun.elapsed(), load.asked());
        }
        over.store(true, Ordering::Relaxed);
    };
    // A set has a hundred keys at most.
    let pause = (lasts / 50).max(Duration::from_secs(2));
    join3(
        watching,
        load.at(rate, &over),
        join3(
            changes(&served, &issuer, pause, &over),
            strays(&served, &over),
            async {},
        ),
    )
    .await;
    assert!(load.asked() > 1000, "only {} were asked", load.asked());
    drop(load);
    looks.nothing_grows(minutes.is_some_and(|minutes| minutes >= 5.0));
    until("connections leave nothing behind", async || {
        looks::descriptors(served.process()) <= at_rest + 8
    })
    .await;
}

/// Keys and rules change, again and again.
async fn changes(served: &Served, issuer: &LocalIssuer, pause: Duration, over: &AtomicBool) {
    let file = served.file("public.cedar");
    let good = fs::read_to_string(&file).expect("a file");
    let mut number = 0;
    while !over.load(Ordering::Relaxed) {
        number += 1;
        issuer.rotate(OldKey::Kept).expect("a key");
        let question = Question::of("/workspaces/ws-alice", Some(people::alice(issuer).bearer()));
        until("tokens of the new key are accepted", async || {
            load::ask_once(served.grpc(), &question).await.is_ok()
        })
        .await;
        exchange(
            &file,
            &format!(
                "{good}\n@id(\"soak-{number}\") forbid(principal, action == Action::\"DELETE\", resource);"
            ),
        );
        let answer = http::send(served.admin(), "POST", "/reload", &[], Bytes::new()).await;
        assert_eq!(answer.expect("an answer").status(), 200);
        tokio::time::sleep(pause).await;
    }
}

/// Connections on which nobody asks anything that could be answered.
async fn strays(served: &Served, over: &AtomicBool) {
    let head = [resets::PREFACE, &resets::frame(resets::SETTINGS, 0, 0, &[])].concat();
    let call = resets::frame(resets::HEADERS, resets::END_HEADERS, 1, &resets::call());
    let junk = |message: &[u8]| {
        let data = resets::frame(resets::DATA, resets::END_STREAM, 1, message);
        [&head[..], &call, &data].concat()
    };
    let all = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        head[..20].to_vec(),
        [&head[..], &call].concat(),
        junk(b"\0\0\0\0\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
        junk(b"\0\xFF\xFF\xFF\xFF"),
        junk(b"\x01\0\0\0\x02ab"),
    ];
    for bytes in all.iter().cycle() {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let mut stream = TcpStream::connect(served.grpc()).await.expect("a connection");
        let _ = stream.write_all(bytes).await;
        let mut answer = [0; 64];
        let _ = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut answer)).await;
    }
}
