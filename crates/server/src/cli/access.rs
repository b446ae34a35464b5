//! How a running server is asked: encrypted or not, and as whom.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;
use serde_json::Value;

use super::remote::table::plain;
use super::{Failure, remote};
use crate::tls;

/// The variable with the token of whoever asks.
pub(super) const TOKEN: &str = "PORTCULLIS_TOKEN";

/// Whom to believe, and what to show, where a server is asked by https.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Trust {
    /// With https: believe the authorities in this PEM file, and none of those that the system trusts
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// With https: show this certificate (PEM), where the server has `client_ca`
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub(super) client_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub(super) client_key: Option<PathBuf>,
}

/// The same, and as whom.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Access {
    /// Read the token of whoever asks from this file; otherwise it is in PORTCULLIS_TOKEN
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) trust: Trust,
}

/// Whose certificates are good where no `--ca` says it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Otherwise {
    /// Those of authorities that the system trusts.
    System,
    /// Any.
    Any,
}

impl Trust {
    /// For connections that these flags are about.
    ///
    /// # Errors
    /// A file cannot be used.
    pub(super) fn config(&self) -> Result<ClientConfig, String> {
        self.config_or(Otherwise::System)
    }

    fn config_or(&self, otherwise: Otherwise) -> Result<ClientConfig, String> {
        let provider = tls::provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match (&self.ca, otherwise) {
            (Some(path), _) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(path)? {
                    roots.add(authority).map_err(|error| unusable(path, &error))?;
                }
                builder.with_root_certificates(roots)
            }
            (None, Otherwise::System) => {
                let verifier = Verifier::new(provider).map_err(|error| {
                    format!(
                        "the authorities that the system trusts cannot be had: {error}; name yours with --ca"
                    )
                })?;
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
            }
            (None, Otherwise::Any) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody(provider))),
        };
        let (Some(certificate), Some(key)) = (&self.client_cert, &self.client_key) else {
            return Ok(builder.with_no_client_auth());
        };
        let read = PrivateKeyDer::from_pem_file(key).map_err(|_| {
            format!(
                "cannot read a private key (PEM, not encrypted) from {}",
                key.display()
            )
        })?;
        builder
            .with_client_auth_cert(certificates(certificate)?, read)
            .map_err(|error| unusable(certificate, &error))
    }

    /// A client for HTTP.
    ///
    /// # Errors
    /// A file cannot be used.
    pub(super) fn client(&self, patience: Duration) -> Result<Client, String> {
        client(self.config()?, patience)
    }

    /// The same for probes, to which any certificate is good unless `--ca` says whose.
    ///
    /// # Errors
    /// A file cannot be used.
    pub(super) fn client_for_probes(&self, patience: Duration) -> Result<Client, String> {
        client(self.config_or(Otherwise::Any)?, patience)
    }
}

fn client(tls: ClientConfig, patience: Duration) -> Result<Client, String> {
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(patience)
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(|error| error.to_string())
}

impl Access {
    /// The token of whoever asks, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub(super) fn token(&self) -> Result<Option<String>, Failure> {
        let text = match &self.token_file {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| Failure::Message(format!("cannot read {}: {error}", path.display())))?,
            None => std::env::var(TOKEN).unwrap_or_default(),
        };
        let text = text.trim();
        let text = match text.split_at_checked(7) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer ") => token,
            _ => text,
        };
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let from = self
                .token_file
                .as_ref()
                .map_or(TOKEN.to_owned(), |path| path.display().to_string());
            return Err(Failure::Message(format!(
                "{from} has no token: there are blanks inside it"
            )));
        }
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    /// `GET`s a path of the admin listener of a server, with the token: the status and the body.
    ///
    /// # Errors
    /// Nobody answers there, or a file cannot be used.
    pub(super) async fn get(
        &self,
        server: &str,
        path: &[&str],
        patience: Duration,
    ) -> Result<(u16, String), Failure> {
        let mut url = base(server).map_err(remote::usage)?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let mut request = self.trust.client(patience).map_err(Failure::Message)?.get(url);
        if let Some(token) = self.token()? {
            request = request.bearer_auth(token);
        }
        let asked = async {
            let answer = request.send().await?;
            let status = answer.status().as_u16();
            Ok((status, answer.text().await?))
        };
        asked
            .await
            .map_err(|error: reqwest::Error| Failure::Message(unreachable(server, error)))
    }
}

/// What an answer that is no yes says to people: the detail of a problem (RFC 9457), or the whole of it.
pub(super) fn refusal(body: &str) -> String {
    let problem: Value = serde_json::from_str(body).unwrap_or_default();
    let told = plain(problem["detail"].as_str().unwrap_or_else(|| body.trim()));
    match problem["decision_id"].as_str() {
        Some(id) => format!("{told}, decision {}", plain(id)),
        None => told,
    }
}

/// Why a server could not be asked, and what may be wrong.
pub(super) fn unreachable(server: &str, error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut told = format!("cannot ask {server}: {error}");
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        let line = inner.to_string();
        if !told.contains(&line) {
            told += &format!(": {line}");
        }
        cause = inner.source();
    }
    told + "\nis that the `admin` address of a running server?"
}

/// The URL of an admin listener, which may be an address alone. A token goes to another host only encrypted.
pub(super) fn base(server: &str) -> Result<Url, String> {
    let text = if server.contains("://") {
        server.to_owned()
    } else {
        format!("http://{server}")
    };
    let url = Url::parse(&text).map_err(|error| format!("--server {server}: {error}"))?;
    if !["http", "https"].contains(&url.scheme()) || !url.username().is_empty() || url.password().is_some() {
        return Err(format!(
            "--server {server}: it is a URL like http://127.0.0.1:9192"
        ));
    }
    let host = url.host_str().unwrap_or_default();
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<std::net::IpAddr>();
    let here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    if url.scheme() == "http" && !here {
        return Err(format!(
            "--server {server}: a token does not go to another host unencrypted; use https, or ask on the host itself"
        ));
    }
    Ok(url)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(|all| all.collect::<Result<Vec<_>, _>>());
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(format!("there is no certificate (PEM) in {}", path.display())),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

fn unusable(path: &Path, error: &rustls::Error) -> String {
    format!("{} cannot be used: {error}", path.display())
}

/// Takes any certificate whose key the server has.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
