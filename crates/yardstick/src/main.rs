//! Servers that say yes to everything, to compare `portcullis` with: what is left of its cost when it decides nothing.
//!
//! `yardstick tonic ADDRESS ANSWER` is what a tonic server with generated code costs, `yardstick ours ADDRESS ANSWER` what
//! the transport of `portcullis` itself costs. `ANSWER` is a file with a `CheckResponse` of the real server: both give the
//! same headers, so that no side has less to write. One thread answers.
#![allow(clippy::print_stderr, reason = "it talks to the developer")]

mod ours;
mod stock;

use std::error::Error;
use std::net::SocketAddr;

use prost::Message as _;
use stock::envoy::service::auth::v3::CheckResponse;

// The allocator of `portcullis`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [kind, address, answer] = words.as_slice() else {
        return Err("usage: yardstick tonic|ours ADDRESS ANSWER".into());
    };
    let address: SocketAddr = address.parse()?;
    let answer = CheckResponse::decode(&*std::fs::read(answer)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match kind.as_str() {
            "tonic" => stock::serve(address, answer).await,
            "ours" => ours::serve(address, &answer).await,
            other => Err(format!("{other} is neither tonic nor ours").into()),
        }
    })
}
