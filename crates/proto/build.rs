//! Generates Rust from `/proto`. The compiler for it is a library: nobody needs `protoc`.
use std::error::Error;

const ROOT: &str = "../../proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let files = protox::compile(["envoy/service/auth/v3/external_auth.proto"], [ROOT])?;
    tonic_prost_build::configure()
        // The server reads the bytes of a request itself.
        .build_server(false)
        // No `connect()`: who calls brings the connection.
        .build_transport(false)
        // Sorted maps: one message has one encoding.
        .btree_map(".")
        // Bodies and raw headers stay slices of what was received.
        .bytes(".")
        .compile_fds(files)?;
    Ok(())
}
