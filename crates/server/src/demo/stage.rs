//! A server with the default configuration and policies, on ports the kernel chooses, trusting one local issuer.

use decide::policy::{SourceFile, Sources};

use super::issuer::LocalIssuer;
use crate::config::{self, Invalid, Loaded};

/// The default configuration, as it is in the repository.
pub const DEFAULT_CONFIG: &str = include_str!("../../../../policies/default/portcullis.yaml");

/// The default schema and policies.
pub fn default_sources() -> Sources {
    let file = |name: &str, text: &str| SourceFile {
        name: format!("policies/default/{name}"),
        text: text.to_owned(),
    };
    Sources {
        schema: vec![file(
            "schema.cedarschema",
            include_str!("../../../../policies/default/schema.cedarschema"),
        )],
        policies: vec![
            file(
                "workspaces.cedar",
                include_str!("../../../../policies/default/workspaces.cedar"),
            ),
            file(
                "public.cedar",
                include_str!("../../../../policies/default/public.cedar"),
            ),
        ],
        ..Sources::default()
    }
}

/// The default configuration, altered for a stage: the local issuer, ports from the kernel, no decision log on stdout.
pub fn config_text(issuer: &LocalIssuer) -> String {
    let mut text = DEFAULT_CONFIG.to_owned();
    for (default, here) in [
        (
            "issuer: http://127.0.0.1:8080/realms/demo",
            format!("issuer: {}", issuer.issuer()),
        ),
        ("envoy_grpc: 127.0.0.1:9191", "envoy_grpc: 127.0.0.1:0".to_owned()),
        ("admin: 127.0.0.1:9192", "admin: 127.0.0.1:0".to_owned()),
    ] {
        debug_assert!(
            text.contains(default),
            "the default configuration no longer has `{default}`"
        );
        text = text.replace(default, &here);
    }
    text
}

/// The default configuration and policies, compiled for this issuer.
///
/// # Errors
/// The problems of a default configuration that somebody broke.
pub fn load(issuer: &LocalIssuer) -> Result<Loaded, Invalid> {
    config::load_with_sources(
        "policies/default/portcullis.yaml",
        &config_text(issuer),
        default_sources(),
    )
}
