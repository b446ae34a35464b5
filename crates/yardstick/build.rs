//! Generates the server that anybody would get from `/proto`: all settings at their defaults.
use std::error::Error;

const ROOT: &str = "../../proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let files = protox::compile(["envoy/service/auth/v3/external_auth.proto"], [ROOT])?;
    tonic_prost_build::configure()
        .build_client(false)
        .compile_fds(files)?;
    Ok(())
}
