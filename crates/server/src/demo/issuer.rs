//! A real OIDC issuer on a loopback port, with keys nobody else has: discovery, JWKS, tokens, and all the ways an
//! issuer can let its relying parties down.
//!
//! It has no login page and no token endpoint: the demo and the tests mint what they need with [`LocalIssuer::token`].

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use uuid::Uuid;

use super::keys::{KeyError, KeyKind, SigningKey};
use super::loopback::Loopback;
use served::{Ring, Shared, lock, router};

mod served;

/// The audience every token gets that does not name its own.
pub const AUDIENCE: &str = "workspace-api";

/// How long a token lives that does not say so itself.
const LIFETIME: Duration = Duration::from_secs(300);

/// A running issuer; dropping it frees its port, [`LocalIssuer::stop`] does so before it returns.
#[derive(Debug)]
pub struct LocalIssuer {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: Option<Loopback>,
}

/// How the issuer answers. [`Answer::Unavailable`] and [`Answer::Never`] hold for discovery too, the others only for
/// the JWKS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Answer {
    /// With its keys.
    #[default]
    Keys,
    /// With its keys, after this long.
    Slow(Duration),
    /// With 200 and this body, whatever it is.
    Body(String),
    /// With 503.
    Unavailable,
    /// Takes the request and never answers.
    Never,
}

/// What becomes of the old key on a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldKey {
    /// It stays published, as a well-behaved issuer does for a while.
    Kept,
    /// It is gone at once, as after a compromise.
    Removed,
}

/// The issuer could not start.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The port is taken, or there is no loopback interface.
    #[error("cannot listen on 127.0.0.1:{port}: {source}; use another port, or 0 for any free one")]
    Listen {
        /// The port that was asked for; 0 is any.
        port: u16,
        /// What the kernel said.
        source: io::Error,
    },
    /// A key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl LocalIssuer {
    /// Listens on a loopback port that the kernel chooses.
    pub async fn start() -> Result<Self, IssuerError> {
        Self::start_on(0).await
    }

    /// Listens on this port with new keys; the port of an issuer that was dropped a moment ago is waited for.
    pub async fn start_on(port: u16) -> Result<Self, IssuerError> {
        let ring = Ring::generate()?;
        let listen = |source| IssuerError::Listen { port, source };
        // The issuer's name has the port in it, so the port comes before the routes.
        let listener = Loopback::bind(port).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let shared = Arc::new(Shared {
            issuer: format!("http://{address}"),
            ring: Mutex::new(ring),
            answer: Mutex::default(),
            fetches: AtomicUsize::new(0),
            discoveries: AtomicUsize::new(0),
        });
        let server = Loopback::serve(listener, router(&shared)).map_err(listen)?;
        Ok(Self {
            address,
            shared,
            server: Some(server),
        })
    }

    /// Stops answering, ends all connections and frees the port. The keys stay, tokens can still be minted.
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    /// Comes back after [`LocalIssuer::stop`] on the same port with the same keys; does nothing if it never left.
    pub async fn restart(&mut self) -> Result<(), IssuerError> {
        if self.server.is_none() {
            let port = self.address.port();
            let started = Loopback::start(port, router(&self.shared)).await;
            self.server = Some(started.map_err(|source| IssuerError::Listen { port, source })?);
        }
        Ok(())
    }

    /// Its name, the `iss` of its tokens: `http://127.0.0.1:PORT`, without a slash.
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its keys are: what discovery says as `jwks_uri`.
    pub fn jwks_uri(&self) -> String {
        self.shared.jwks_uri()
    }

    /// A token signed with RS256, of [`LocalIssuer::complete`] claims.
    pub fn token(&self, claims: Value) -> String {
        self.token_by(KeyKind::Rs256, claims)
    }

    /// A token signed with the newest key of this kind, of [`LocalIssuer::complete`] claims.
    pub fn token_by(&self, kind: KeyKind, claims: Value) -> String {
        let key = self.key(kind);
        self.mint(&key.header(), &self.complete(claims), &key)
    }

    /// A token of exactly this header and these claims, with nothing added and nothing checked.
    pub fn mint(&self, header: &Value, claims: &Value, key: &SigningKey) -> String {
        key.sign(header, claims)
    }

    /// Adds `iss`, `aud`, `iat`, `exp` (in 5 minutes) and a fresh `jti` where there is none. A claim that is there
    /// stays, `null` included.
    pub fn complete(&self, mut claims: Value) -> Value {
        let now = now();
        if let Some(claims) = claims.as_object_mut() {
            claims.entry("iss").or_insert_with(|| self.issuer().into());
            claims.entry("aud").or_insert_with(|| AUDIENCE.into());
            claims.entry("iat").or_insert_with(|| now.into());
            claims
                .entry("exp")
                .or_insert_with(|| (now + LIFETIME.as_secs()).into());
            claims
                .entry("jti")
                .or_insert_with(|| Uuid::new_v4().to_string().into());
        }
        claims
    }

    /// The newest key of this kind.
    pub fn key(&self, kind: KeyKind) -> Arc<SigningKey> {
        let ring = lock(&self.shared.ring);
        Arc::clone(match kind {
            KeyKind::Rs256 => &ring.rs256,
            KeyKind::Ps256 => &ring.ps256,
            KeyKind::Es256 => &ring.es256,
            KeyKind::Es384 => &ring.es384,
            KeyKind::EdDsa => &ring.eddsa,
        })
    }

    /// The JWKS it would publish now, as JSON.
    pub fn jwks(&self) -> Value {
        lock(&self.shared.ring).jwks()
    }

    /// Replaces the RS256 key by a new one with a new `kid` (`rsa-2`, `rsa-3`, ...), and returns the new one. Take
    /// [`LocalIssuer::key`] first to go on signing with the old one.
    pub fn rotate(&self, old: OldKey) -> Result<Arc<SigningKey>, IssuerError> {
        let mut ring = lock(&self.shared.ring);
        let number = ring.rotations + 2;
        let new = Arc::new(SigningKey::generate(KeyKind::Rs256, format!("rsa-{number}"))?);
        ring.rotations += 1;
        let replaced = std::mem::replace(&mut ring.rs256, Arc::clone(&new));
        match old {
            OldKey::Kept => ring.old.push(replaced),
            OldKey::Removed => {}
        }
        Ok(new)
    }

    /// Changes how it answers from now on.
    pub fn set_answer(&self, answer: Answer) {
        *lock(&self.shared.answer) = answer;
    }

    /// How many requests for the JWKS have arrived, answered or not.
    pub fn fetches(&self) -> usize {
        self.shared.fetches.load(Ordering::Relaxed)
    }

    /// How many requests for the discovery document have arrived, answered or not.
    pub fn discoveries(&self) -> usize {
        self.shared.discoveries.load(Ordering::Relaxed)
    }
}

/// Seconds since 1970, the unit of `iat` and `exp`; 0 on a machine whose clock is before that.
pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
