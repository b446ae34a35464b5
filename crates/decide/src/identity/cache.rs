//! Verified tokens, kept so that each is verified once and not at every request.
//!
//! Those presented lately are found by their text, with all that was derived from them. Many more are found by their SHA-256,
//! with what they say and nothing that can be derived. Either way the whole token is compared, signature included, so two
//! tokens never share an entry. Only verified tokens are stored, so junk cannot push out good entries. An entry that is
//! found still has to be checked against the clock and the keys; the cache itself only sees to it that the number of bytes
//! is bounded, and that none is found by its digest after [`MAX_AGE`], whatever the wall clock does.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;
use model::Principal;
use quick_cache::sync::{Cache as Quick, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};

use super::Verified;
use super::issuer::Proven;

/// Longest life of an entry, by the monotonic clock.
pub(super) const MAX_AGE: Duration = Duration::from_secs(300);
/// What a proof takes beside the texts it has of the token.
const PROOF_BYTES: usize = 832;
/// And what is derived from it. Where conditions need what few do, such as Cedar's own form of the principal, that is some
/// kilobytes more for each token presented lately, which are not counted.
const DERIVED_BYTES: usize = 1024;
/// What a text takes beside its characters.
const TEXT_BYTES: usize = 48;
/// About how large an entry is, to begin with.
const USUAL_BYTES: u64 = 8 * 1024;
/// And how large a proof is.
const USUAL_PROOF_BYTES: u64 = 2 * 1024;

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

/// When what is proven `now` of the token with that digest ceases to count: after [`MAX_AGE`], or up to a third earlier. Those
/// who all came at once, when a replica had joined, are not all verified at once again.
pub(super) fn until(digest: &Digest, now: Instant) -> Instant {
    let [high, low, ..] = digest.0;
    let part = f64::from(u16::from_be_bytes([high, low])) / f64::from(u16::MAX);
    now + MAX_AGE.mul_f64(1.0 - part / 3.0)
}

/// The verified tokens. Clones share them.
pub(super) struct TokenCache<D> {
    lately: Arc<Quick<Token, Lately<D>, Weight, RandomState>>,
    proofs: Arc<Quick<Digest, Proved, Weight, RandomState>>,
}

impl<D> Clone for TokenCache<D> {
    fn clone(&self) -> Self {
        Self {
            lately: Arc::clone(&self.lately),
            proofs: Arc::clone(&self.proofs),
        }
    }
}

/// What was proven to whom and when.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    pub(super) proven: Arc<Proven>,
    /// The verifier, by its place.
    pub(super) verifier: usize,
    /// When it ceases to count, see [`until`].
    pub(super) until: Instant,
}

/// What a cache of tokens holds, about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptTokens {
    /// `lately`: with all that was derived from them; `verified`: only what was proven.
    pub cache: &'static str,
    /// How many tokens.
    pub entries: u64,
    /// How much memory they take.
    pub bytes: u64,
    /// How much they may take.
    pub max_bytes: u64,
}

/// A token presented lately.
struct Token(Box<str>);

/// A token that is looked for.
struct Sought<'t>(&'t str);

/// An entry with its size in bytes.
struct Lately<D>(Arc<Verified<D>>, u32);

/// A proof with its size in bytes.
#[derive(Clone)]
struct Proved(Proof, u32);

#[derive(Clone)]
struct Weight;

impl<D: Send + Sync + 'static> TokenCache<D> {
    /// A cache of at most about so many bytes: three tenths for those presented lately.
    pub(super) fn new(bytes: u64) -> Self {
        let lately = bytes / 10 * 3;
        Self {
            lately: Arc::new(quick(lately, USUAL_BYTES)),
            proofs: Arc::new(quick(bytes - lately, USUAL_PROOF_BYTES)),
        }
    }

    /// The entry of a token that was presented lately, yet to be checked.
    pub(super) fn get(&self, token: &str) -> Option<Arc<Verified<D>>> {
        self.lately
            .get(&Sought(token))
            .map(|Lately(verified, _)| verified)
    }

    /// What was proven of the token with that digest, yet to be checked.
    pub(super) fn proof(&self, digest: &Digest) -> Option<Proof> {
        let Proved(proof, _) = self.proofs.get(digest)?;
        (Instant::now() < proof.until).then_some(proof)
    }

    /// Keeps what was proven of a token.
    pub(super) fn prove(&self, digest: Digest, proof: &Proof) {
        let bytes = proof_bytes(&proof.proven);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.proofs.insert(digest, Proved(proof.clone(), bytes));
    }

    /// Keeps a verified token with what was derived from it: what was read of it is there in two more forms, and `more`
    /// bytes come from elsewhere.
    pub(super) fn put(&self, token: &str, verified: &Arc<Verified<D>>, more: usize) {
        let proven = &verified.proof.proven;
        let derived = DERIVED_BYTES + 2 * texts_of(&proven.principal);
        let bytes = token.len() + proof_bytes(proven) + derived + more;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.lately
            .insert(Token(token.into()), Lately(Arc::clone(verified), bytes));
    }

    /// What is kept: of tokens presented lately, and of all that were verified.
    pub(super) fn sizes(&self) -> [KeptTokens; 2] {
        [kept("lately", &self.lately), kept("verified", &self.proofs)]
    }

    /// How many tokens there are.
    #[cfg(test)]
    pub(super) fn held(&self) -> (u64, u64) {
        (self.proofs.len() as u64, self.lately.len() as u64)
    }
}

/// A cache of so many bytes, of entries that usually have so many.
fn quick<K, V>(bytes: u64, usual: u64) -> Quick<K, V, Weight, RandomState>
where
    K: Eq + Hash,
    V: Clone,
    Weight: Weighter<K, V>,
{
    let entries = usize::try_from(bytes / usual).unwrap_or(usize::MAX);
    let lifecycle = DefaultLifecycle::default();
    Quick::with(entries, bytes, Weight, RandomState::default(), lifecycle)
}

fn kept<K, V>(cache: &'static str, kept: &Quick<K, V, Weight, RandomState>) -> KeptTokens
where
    K: Eq + Hash,
    V: Clone,
    Weight: Weighter<K, V>,
{
    KeptTokens {
        cache,
        entries: kept.len() as u64,
        bytes: kept.weight(),
        max_bytes: kept.capacity(),
    }
}

/// What a proof takes.
fn proof_bytes(proven: &Proven) -> usize {
    let texts = proven
        .kid()
        .into_iter()
        .chain(proven.registered.token_id.as_deref());
    PROOF_BYTES + texts.map(str::len).sum::<usize>() + texts_of(&proven.principal)
}

/// The bytes of what a principal has of its token, as far as they vary.
fn texts_of(principal: &Principal) -> usize {
    let names = [&principal.id, &principal.issuer, &principal.subject];
    let names = names.into_iter().chain(&principal.name).chain(&principal.client);
    let lists = [&principal.groups, &principal.scopes, &principal.audiences];
    let roles = principal.roles.iter();
    let roles = roles.flat_map(|(client, roles)| [client].into_iter().chain(roles));
    let claims = principal.claims.iter().flat_map(|(place, value)| [place, value]);
    let actors = principal.actors.iter();
    let actors = actors.flat_map(|actor| [&actor.id, &actor.issuer, &actor.client]);
    let delegation = principal.delegation.iter().flat_map(|delegation| {
        let texts = [&delegation.issuer, &delegation.chain, &delegation.holder];
        let known = delegation.token_id.iter().chain(&delegation.client);
        let limits = delegation.workspaces.iter().chain(&delegation.actions).flatten();
        texts.into_iter().chain(known).chain(limits)
    });
    let texts = names
        .chain(lists.into_iter().flatten())
        .chain(roles)
        .chain(claims);
    let texts = texts.chain(actors).chain(delegation);
    let texts = texts.chain(principal.capabilities.paths());
    texts.map(|text| text.len() + TEXT_BYTES).sum()
}

impl<D> Clone for Lately<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), self.1)
    }
}

impl<D> Weighter<Token, Lately<D>> for Weight {
    fn weight(&self, _: &Token, entry: &Lately<D>) -> u64 {
        entry.1.into()
    }
}

impl Weighter<Digest, Proved> for Weight {
    fn weight(&self, _: &Digest, entry: &Proved) -> u64 {
        entry.1.into()
    }
}

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Sought(&self.0).hash(state);
    }
}

impl Hash for Sought<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        Sought(&self.0).equivalent(other)
    }
}

impl Eq for Token {}

impl Equivalent<Token> for Sought<'_> {
    /// Compares all of both, whatever is found: how long it takes tells nothing of a token.
    fn equivalent(&self, token: &Token) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_bytes(), token.0.as_bytes()).is_ok()
    }
}

#[cfg(test)]
mod tests;
