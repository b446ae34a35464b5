//! Verified tokens, kept so that each is verified once and not at every request.
//!
//! The key is the SHA-256 of the whole token, signature included: two tokens never share an entry, and no token is kept
//! in memory. Only verified tokens are stored, so junk cannot push out good entries. An entry that is found still has
//! to be checked against the clock and the keys; the cache itself only sees to it that none lives longer than
//! [`MAX_AGE`], whatever the wall clock does.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::Verified;

/// Longest life of an entry, by the monotonic clock.
pub(super) const MAX_AGE: Duration = Duration::from_secs(300);
/// What an entry takes beside what it copies from the token: the structures, and what the caller derives.
const ENTRY_BYTES: usize = 2048;
/// What a text takes beside its characters.
const ENTRY_TEXT_BYTES: usize = 48;

/// SHA-256 of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// Of the token as sent.
    pub(super) fn of(token: &str) -> Self {
        let mut bytes = [0; 32];
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
        for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// As 64 hexadecimal digits.
    pub(super) fn from_hex(hex: &str) -> Option<Self> {
        let digits: Vec<u8> = hex
            .chars()
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()?;
        let bytes: Vec<u8> = digits
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |sum, d| sum * 16 + d))
            .collect();
        (digits.len() == 64).then_some(())?;
        bytes.try_into().ok().map(Self)
    }

    /// The digest.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The verified tokens with their sizes. Clones share them.
pub(super) struct TokenCache<D>(Cache<Digest, Entry<D>>);

impl<D> Clone for TokenCache<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Entry<D> {
    verified: Arc<Verified<D>>,
    bytes: u32,
}

impl<D> Clone for Entry<D> {
    fn clone(&self) -> Self {
        Self {
            verified: Arc::clone(&self.verified),
            bytes: self.bytes,
        }
    }
}

impl<D: Send + Sync + 'static> TokenCache<D> {
    /// A cache of at most about so many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        let cache = Cache::builder()
            .max_capacity(bytes)
            .weigher(|_, entry: &Entry<D>| entry.bytes)
            .time_to_live(MAX_AGE)
            .build();
        Self(cache)
    }

    /// The entry of the token with that digest, yet to be checked.
    pub(super) fn get(&self, digest: &Digest) -> Option<Arc<Verified<D>>> {
        self.0.get(digest).map(|entry| entry.verified)
    }

    /// Keeps a verified token. What was read of it is there about three times: as text, and in two forms for policies.
    pub(super) fn put(&self, digest: Digest, token: &str, verified: &Arc<Verified<D>>) {
        let principal = verified.principal();
        let texts = [&principal.groups, &principal.scopes, &principal.audiences];
        let texts = texts
            .into_iter()
            .flatten()
            .chain(principal.roles.iter().flat_map(|(_, roles)| roles));
        let read: usize = texts.map(|text| text.len() + ENTRY_TEXT_BYTES).sum();
        let bytes = u32::try_from(2 * token.len() + 3 * read + ENTRY_BYTES).unwrap_or(u32::MAX);
        let verified = Arc::clone(verified);
        self.0.insert(digest, Entry { verified, bytes });
    }

    /// How many entries there are, and their bytes.
    #[cfg(test)]
    pub(super) fn held(&self) -> (u64, u64) {
        self.0.run_pending_tasks();
        (self.0.entry_count(), self.0.weighted_size())
    }
}
