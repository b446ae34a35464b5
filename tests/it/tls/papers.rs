//! Certificates for tests, by authorities that nobody else believes.

use std::path::Path;
use std::sync::Arc;

use portcullis::demo::scratch::ScratchDir;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Who signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Paper {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // What has the name of its issuer is taken for its own issuer by some.
        params
            .distinguished_name
            .push(DnType::CommonName, "authority of tests");
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        self.pem.clone()
    }

    /// A certificate for these names: DNS names, URIs, addresses.
    pub(crate) fn paper(&self, names: &[&str]) -> Paper {
        self.until(names, 2100)
    }

    /// One that is no longer good.
    pub(crate) fn expired(&self, names: &[&str]) -> Paper {
        self.until(names, 2024)
    }

    /// Until the beginning of that year.
    fn until(&self, names: &[&str], year: i32) -> Paper {
        let mut params = CertificateParams::default();
        let names = names.iter().map(|name| match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) if name.contains("://") => SanType::URI((*name).try_into().expect("ASCII")),
            Err(_) => SanType::DnsName((*name).try_into().expect("ASCII")),
        });
        params.subject_alt_names = names.collect();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Paper {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Of a client that believes this authority alone, and shows this.
    pub(crate) fn client(&self, paper: Option<&Paper>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let own = CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("PEM");
        roots.add(own).expect("an authority");
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("versions")
            .with_root_certificates(roots);
        match paper {
            Some(paper) => {
                let key = PrivateKeyDer::from_pem_slice(paper.key.as_bytes()).expect("PEM");
                builder
                    .with_client_auth_cert(vec![paper.der()], key)
                    .expect("they fit")
            }
            None => builder.with_no_client_auth(),
        }
    }
}

impl Paper {
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("PEM")
    }

    /// Writes `name.crt` and `name.key`, each in the place of what was there.
    pub(crate) fn write(&self, folder: &ScratchDir, name: &str) {
        self.write_to(&folder.path().join(name));
    }

    /// The same with the path without its ending.
    pub(crate) fn write_to(&self, path: &Path) {
        for (ending, text) in [("key", &self.key), ("crt", &self.certificate)] {
            exchange(&path.with_extension(ending), text);
        }
    }
}

/// Puts another file in the place of one.
pub(crate) fn exchange(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).expect("a file");
    std::fs::rename(&new, path).expect("renamed");
}
