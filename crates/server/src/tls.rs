//! TLS of our own listeners: certificates that are replaced while they serve, and handshakes that end in time.

mod clients;
mod dates;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use ::aws_lc_rs::digest::{Context, SHA256};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, ServerConfig};
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, Error, InconsistentKeys};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) use self::clients::Clients;
pub(crate) use self::dates::Dates;

/// How long a peer may take for its part of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How often failed handshakes of a listener are told of in the log.
const SILENCE: Duration = Duration::from_secs(60);

/// What every listener with TLS presents, by the setting with its address (`listen.envoy_grpc`, `listen.http[0]`, `admin`,
/// `authority`).
pub(crate) type Identities = BTreeMap<String, Identity>;

/// The certificate of a listener with its key, and whose connections are taken.
#[derive(Clone)]
pub(crate) struct Identity {
    config: Arc<ServerConfig>,
    dates: Option<Dates>,
    demands: Demands,
    /// Of all that it was made of.
    digest: Vec<u8>,
}

/// What clients have to show; the later of two demands more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Demands {
    Nothing,
    /// A certificate of some authorities.
    Certificate,
    /// One with certain names.
    Name,
}

/// What a listener speaks inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alpn {
    /// HTTP/2 only: gRPC.
    Http2,
    /// HTTP/2 or HTTP/1.1.
    Any,
}

/// Why certificate, key and authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("the certificate cannot be used: {}", plain(.0))]
    Certificate(Error),
    #[error("the private key cannot be used: {0}")]
    Key(Error),
    #[error("this private key belongs to another certificate")]
    OtherKey,
    #[error("an authority of clients cannot be used: {0}")]
    Clients(String),
}

/// What is wrong with our own certificate; rustls speaks of that of a peer.
fn plain(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::Other(error)) => error.to_string(),
        Error::InvalidCertificate(flaw) => flaw.to_string(),
        error => error.to_string(),
    }
}

impl Identity {
    /// A certificate with those between it and its authority, and its key.
    ///
    /// # Errors
    /// They do not fit together, or cannot be used at all.
    pub(crate) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        clients: Option<Clients>,
        alpn: Alpn,
    ) -> Result<Self, Unusable> {
        let dates = chain.first().and_then(|leaf| Dates::of(leaf));
        let digest = digest_of(&chain, &key, clients.as_ref());
        let demands = match &clients {
            None => Demands::Nothing,
            Some(clients) if clients.names.is_empty() => Demands::Certificate,
            Some(_) => Demands::Name,
        };
        let provider = provider();
        provider
            .key_provider
            .load_private_key(key.clone_key())
            .map_err(Unusable::Key)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(Unusable::Certificate)?;
        let builder = match clients {
            Some(clients) => {
                let verifier = clients.verifier(&provider).map_err(Unusable::Clients)?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Unusable::OtherKey,
                error => Unusable::Certificate(error),
            })?;
        config.alpn_protocols = match alpn {
            Alpn::Http2 => vec![b"h2".to_vec()],
            Alpn::Any => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        // Proxies keep their connections. What resumes none cannot outlive a certificate that has expired meanwhile.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self {
            config: Arc::new(config),
            dates,
            demands,
            digest,
        })
    }
}

impl PartialEq for Identity {
    /// The same files were read.
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("dates", &self.dates)
            .finish_non_exhaustive()
    }
}

/// SHA-256 of everything that an identity is made of, each part after its length.
fn digest_of(chain: &[CertificateDer<'_>], key: &PrivateKeyDer<'_>, clients: Option<&Clients>) -> Vec<u8> {
    let mut digest = Context::new(&SHA256);
    let mut add = |part: &[u8]| {
        digest.update(&part.len().to_be_bytes());
        digest.update(part);
    };
    let authorities = clients.iter().flat_map(|clients| &clients.authorities);
    let names = clients.iter().flat_map(|clients| &clients.names);
    for list in [
        chain.iter().map(AsRef::as_ref).collect::<Vec<&[u8]>>(),
        vec![key.secret_der()],
        authorities.map(AsRef::as_ref).collect(),
        names.map(String::as_bytes).collect(),
    ] {
        add(&list.len().to_be_bytes());
        list.into_iter().for_each(&mut add);
    }
    digest.finish().as_ref().to_vec()
}

/// The cryptography of all our TLS.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// What the listeners present now. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tls(Arc<BTreeMap<String, Port>>);

/// The TLS of one listener.
#[derive(Debug)]
struct Port {
    identity: RwLock<Identity>,
    failed: AtomicU64,
    told: Mutex<Option<Instant>>,
}

/// What is to be known of the TLS of a listener.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    /// The setting with the listener's address.
    pub(crate) setting: String,
    /// When the certificate expires, if it says so.
    pub(crate) until: Option<SystemTime>,
    /// When the certificate expires, as the end of a sentence about it.
    pub(crate) expires: String,
    /// What is wrong with that, if anything is: the same.
    pub(crate) flaw: Option<String>,
    /// How many handshakes have failed.
    pub(crate) failed: u64,
}

/// Takes the handshakes of one listener.
#[derive(Clone, Debug)]
pub(crate) struct Handshakes {
    tls: Tls,
    setting: String,
    patience: Duration,
}

impl Tls {
    /// With what was read at the start. Which listeners have TLS does not change any more.
    pub(crate) fn new(identities: &Identities) -> Self {
        let port = |identity: &Identity| Port {
            identity: RwLock::new(identity.clone()),
            failed: AtomicU64::new(0),
            told: Mutex::new(None),
        };
        let ports = identities.iter();
        let this = Self(Arc::new(
            ports.map(|(setting, it)| (setting.clone(), port(it))).collect(),
        ));
        this.warn_of_dates();
        this
    }

    /// For the listener with this setting; `None` if it has no TLS.
    pub(crate) fn of(&self, setting: &str) -> Option<Handshakes> {
        self.0.contains_key(setting).then(|| Handshakes {
            tls: self.clone(),
            setting: setting.to_owned(),
            patience: HANDSHAKE,
        })
    }

    /// Connections from now on get these, where the rest of the listener is as it was at its start (`steady`), and where they demand
    /// no less of clients: what is to make up for that would count at the next start only. Which others wait for it. Connections that
    /// are open go on with what they began with.
    pub(crate) fn replace(&self, identities: &Identities, steady: &BTreeSet<String>) -> Vec<&str> {
        let mut waiting = Vec::new();
        let mut replaced = false;
        for (setting, port) in &*self.0 {
            let now = port.identity();
            let Some(new) = identities.get(setting).filter(|new| **new != now) else {
                continue;
            };
            if !steady.contains(setting) || new.demands < now.demands {
                waiting.push(setting.as_str());
                continue;
            }
            *port.identity.write().unwrap_or_else(PoisonError::into_inner) = new.clone();
            replaced = true;
            tracing::info!("TLS of `{setting}`: other files count from now on");
        }
        if replaced {
            self.warn_of_dates();
        }
        waiting
    }

    /// What is to be known of each listener with TLS.
    pub(crate) fn told(&self) -> Vec<Certificate> {
        let now = SystemTime::now();
        let told = |(setting, port): (&String, &Port)| {
            let dates = port.identity().dates;
            Certificate {
                setting: setting.clone(),
                until: dates.map(Dates::until),
                expires: dates.map_or_else(
                    || "does not say when it expires".to_owned(),
                    |dates| dates.expires(now),
                ),
                flaw: dates.and_then(|dates| dates.flaw(now)),
                failed: port.failed.load(Ordering::Relaxed),
            }
        };
        self.0.iter().map(told).collect()
    }

    /// Says so where a certificate has expired, or will soon.
    fn warn_of_dates(&self) {
        for Certificate { setting, flaw, .. } in self.told() {
            if let Some(flaw) = flaw {
                tracing::warn!("TLS of `{setting}`: the certificate {flaw}");
            }
        }
    }

    /// Says it again from time to time, without an end.
    pub(crate) async fn watch_dates(self) {
        loop {
            tokio::time::sleep(Duration::from_secs(12 * 3600)).await;
            self.warn_of_dates();
        }
    }
}

impl Port {
    fn identity(&self) -> Identity {
        self.identity
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A flood of them must not become a flood of lines.
    fn tell(&self, setting: &str, error: &io::Error) {
        let failed = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() > SILENCE) {
            *told = Some(Instant::now());
            tracing::warn!(failed, "TLS of `{setting}`: a handshake failed: {error}");
        }
    }
}

impl Handshakes {
    /// Does the listener's part of a handshake, in time.
    ///
    /// # Errors
    /// The peer speaks no TLS or an old one, has no certificate that is asked for, does not like ours, or is too slow.
    pub(crate) async fn shake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<TlsStream<S>> {
        let Some(port) = self.tls.0.get(&self.setting) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let acceptor = TlsAcceptor::from(port.identity().config);
        let shaken = tokio::time::timeout(self.patience, acceptor.accept(stream)).await;
        let shaken =
            shaken.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "it took too long")));
        shaken.inspect_err(|error| port.tell(&self.setting, error))
    }
}

#[cfg(test)]
mod tests;
