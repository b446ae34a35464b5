//! Generates Rust from `/proto`. The compiler for it is a library: nobody needs `protoc`.
use std::error::Error;
use std::path::Path;

const ROOT: &str = "../../proto";

/// Fields with times, which JSON has as text.
const TIMES: [&str; 7] = [
    "created_at",
    "expires_at",
    "issued_at",
    "issued_before",
    "renewable_until",
    "retired_at",
    "verifies_until",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    envoy()?;
    admin()
}

/// What proxies ask.
fn envoy() -> Result<(), Box<dyn Error>> {
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

/// What operators ask, over gRPC and as JSON.
fn admin() -> Result<(), Box<dyn Error>> {
    let mut compiler = protox::Compiler::new([ROOT])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_file("portcullis/admin/v1/admin.proto")?;
    let out = std::env::var("OUT_DIR")?;
    // For reflection: what is there to call, with its comments.
    std::fs::write(
        Path::new(&out).join("admin_descriptor.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    let mut generated = tonic_prost_build::configure()
        .build_transport(false)
        .message_attribute(
            ".portcullis",
            "#[derive(::serde::Serialize, ::serde::Deserialize)] #[serde(default, deny_unknown_fields)]",
        );
    for field in TIMES {
        generated = generated.field_attribute(
            field,
            "#[serde(with = \"crate::rfc3339\", skip_serializing_if = \"Option::is_none\")]",
        );
    }
    generated.compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
