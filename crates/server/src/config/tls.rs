//! TLS on our own listeners: which files, and what is wrong with them.

use std::path::{Path, PathBuf};

use decide::problem::Problem;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Config;
use super::reads::Reader;
use crate::tls::{Alpn, Clients, Dates, Identities, Identity, Unusable};

/// No certificate is nearly as large, and a list of all public authorities is a quarter of it.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// TLS 1.2 and 1.3 on a listener; what is not encrypted is not answered there any more. Files are PEM, their paths are
/// relative to the configuration file. They are read again when they change, without a restart.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// The listener's certificate, then those between it and its authority. Example: `/run/tls/tls.crt`
    pub certificate: PathBuf,
    /// Its private key, not encrypted (PKCS #8, PKCS #1 or SEC 1). Example: `/run/tls/tls.key`
    pub key: PathBuf,
    /// Mutual TLS: who connects must have a certificate of one of these authorities. Default: nobody needs one.
    /// Example: `/run/tls/ca.crt`
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// With `client_ca`, the names of which a client's certificate must have one (DNS or URI in subjectAltName). Empty: any
    /// certificate of `client_ca`. Example: `[spiffe://cluster.local/ns/ingress/sa/envoy]`
    #[serde(default)]
    pub allowed_names: Vec<String>,
}

/// Reads the files of every listener with TLS.
pub(super) fn read(config: &Config, from: (&Path, &Reader), problems: &mut Vec<Problem>) -> Identities {
    let http = config.listen.http.iter().enumerate().map(|(index, listener)| {
        (
            format!("listen.http[{index}]"),
            format!("/listen/http/{index}/tls"),
            &listener.tls,
            Alpn::Any,
        )
    });
    let section =
        |setting: &str, pointer: &str, tls, alpn| (setting.to_owned(), pointer.to_owned(), tls, alpn);
    let none = None;
    let authority = config.authority.as_ref().map_or(&none, |section| &section.tls);
    let grpc = &config.listen.envoy_grpc_options.tls;
    [
        section(
            "listen.envoy_grpc",
            "/listen/envoy_grpc_options/tls",
            grpc,
            Alpn::Http2,
        ),
        section(
            "admin",
            "/admin_options/tls",
            &config.admin_options.tls,
            Alpn::Any,
        ),
        section("authority", "/authority/tls", authority, Alpn::Any),
    ]
    .into_iter()
    .chain(http)
    .filter_map(|(setting, pointer, tls, alpn)| {
        let identity = Files {
            pointer: &pointer,
            from,
            problems,
        }
        .identity(tls.as_ref()?, alpn)?;
        Some((setting, identity))
    })
    .collect()
}

/// The files of one listener.
struct Files<'a> {
    pointer: &'a str,
    /// The folder of the configuration file, and what reads.
    from: (&'a Path, &'a Reader),
    problems: &'a mut Vec<Problem>,
}

impl Files<'_> {
    /// What they come to; whatever is wrong is told, all of it.
    fn identity(&mut self, tls: &TlsSettings, alpn: Alpn) -> Option<Identity> {
        let within = |path: &PathBuf| self.from.0.join(path);
        let (certificate, private) = (within(&tls.certificate), within(&tls.key));
        let client_ca = tls.client_ca.as_ref().map(within);
        let chain = self.certificates("certificate", &certificate);
        let key = self.key(&private);
        let authorities = match &client_ca {
            Some(path) => self.certificates("client_ca", path).map(Some),
            None => Some(None),
        };
        if tls.client_ca.is_none() && !tls.allowed_names.is_empty() {
            self.problem(
                "allowed_names",
                "nobody shows a certificate, so there are no names to compare".to_owned(),
                "add `client_ca`: the authority of the clients' certificates",
            );
            return None;
        }
        for (index, name) in tls.allowed_names.iter().enumerate() {
            if name.is_empty() || name.contains(['*', ' ']) {
                let message =
                    format!("`{name}` is no name that a certificate has: names are compared as they are");
                self.problem(
                    &format!("allowed_names/{index}"),
                    message,
                    "for example `envoy.ingress.svc` or `spiffe://cluster.local/ns/ingress/sa/envoy`",
                );
            }
        }
        let (chain, key, authorities) = (chain?, key?, authorities?);
        let dates = chain.first().and_then(|leaf| Dates::of(leaf));
        let clients = authorities.map(|authorities| Clients {
            authorities,
            names: tls.allowed_names.clone(),
        });
        let identity = match Identity::new(chain, key, clients, alpn) {
            Ok(identity) => identity,
            Err(unusable) => {
                let (member, path) = match (&unusable, &client_ca) {
                    (Unusable::Key(_) | Unusable::OtherKey, _) => ("key", &private),
                    (Unusable::Clients(_), Some(path)) => ("client_ca", path),
                    _ => ("certificate", &certificate),
                };
                let help = match unusable {
                    Unusable::OtherKey => {
                        "take the key with which the certificate was requested; compare `openssl pkey -in KEY -pubout` \
                         with `openssl x509 -in CERTIFICATE -noout -pubkey`"
                    }
                    _ => "",
                };
                self.problem(member, format!("{}: {unusable}", path.display()), help);
                return None;
            }
        };
        if let Some(flaw) = dates.and_then(|dates| dates.flaw(std::time::SystemTime::now())) {
            let message = format!("{}: the certificate {flaw}", certificate.display());
            let problem = Problem::setting(
                format!("{}/certificate", self.pointer),
                message,
                "clients that look at it do not connect; put another one in its place, which is read without a restart",
            );
            self.problems.push(problem.advice());
        }
        Some(identity)
    }

    fn certificates(&mut self, member: &str, path: &Path) -> Option<Vec<CertificateDer<'static>>> {
        let bytes = self.bytes(member, path)?;
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        match read {
            Ok(certificates) if !certificates.is_empty() => return Some(certificates),
            Ok(_) => self.problem(
                member,
                format!("there is no certificate in {}", path.display()),
                "it is PEM: `-----BEGIN CERTIFICATE-----` and so on",
            ),
            Err(_) => self.not_pem(member, path),
        }
        None
    }

    fn key(&mut self, path: &Path) -> Option<PrivateKeyDer<'static>> {
        let bytes = self.bytes("key", path)?;
        match PrivateKeyDer::from_pem_slice(&bytes) {
            Ok(key) => return Some(key),
            Err(rustls_pki_types::pem::Error::NoItemsFound) => {
                let encrypted = String::from_utf8_lossy(&bytes).contains("BEGIN ENCRYPTED PRIVATE KEY");
                let help = if encrypted {
                    "it is encrypted: take the password off with `openssl pkey`, and guard the file instead"
                } else {
                    "it is PEM: `-----BEGIN PRIVATE KEY-----` and so on"
                };
                self.problem(
                    "key",
                    format!("there is no private key in {}", path.display()),
                    help,
                );
            }
            // What the reader says of it could show parts of the key.
            Err(_) => self.not_pem("key", path),
        }
        None
    }

    fn not_pem(&mut self, member: &str, path: &Path) {
        let message = format!("{} is no PEM file, or breaks off", path.display());
        self.problem(
            member,
            message,
            "it has lines `-----BEGIN …-----` and `-----END …-----`, and base64 between them",
        );
    }

    fn bytes(&mut self, member: &str, path: &Path) -> Option<Vec<u8>> {
        match self.from.1.bytes(path, MAX_FILE_BYTES) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                let message = format!("cannot read {}: {error}", path.display());
                self.problem(
                    member,
                    message,
                    "paths are relative to the folder of the configuration file",
                );
                None
            }
        }
    }

    fn problem(&mut self, member: &str, message: String, help: &str) {
        let pointer = format!("{}/{member}", self.pointer);
        self.problems.push(Problem::setting(pointer, message, help));
    }
}
