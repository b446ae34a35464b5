//! What the house itself vouches for, at one moment: revocations, network tokens, the keys of tokens it issued.
//!
//! A plain snapshot. Whoever keeps the store makes a new one after every change and after every look at the store that
//! found none; decisions read the latest and never the store.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Principal;

/// All that decisions need of the store.
#[derive(Clone, Debug)]
pub struct HouseView {
    /// Of the store's contents: a greater one is newer. 0 before anything was read.
    pub revision: u64,
    /// Until when it may be relied on; after that nobody knows what was revoked. `None`: for ever, because there is no store.
    pub good_until: Option<Instant>,
    /// Which credentials do not count any more.
    pub revocations: Arc<Revocations>,
    /// Network tokens by their digest: SHA-256 of the 16 bytes of the UUID.
    pub network_tokens: Arc<HashMap<[u8; 32], NetworkToken>>,
    /// The keys that verify tokens the house issued: the one that signs, and those before it whose tokens may still be good.
    pub keys: Arc<[HouseKey]>,
}

/// A token that the house gave to the user of another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkToken {
    /// The node whose user it is.
    pub node: String,
    /// The name of the user at that node.
    pub remote_user: String,
    /// Who that is here; `None` for somebody who is not associated with anybody here.
    pub local_user: Option<LocalUser>,
    /// When it was given, in Unix seconds.
    pub issued_at: i64,
    /// Good until then, in Unix seconds.
    pub expires_at: i64,
}

/// A user of this house by the name policies know them by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LocalUser {
    /// The short name of the issuer.
    pub issuer: String,
    /// The subject as that issuer says it.
    pub subject: String,
}

/// A key that verifies tokens of the house: Ed25519 (RFC 8037).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HouseKey {
    /// Its name in the header of tokens and in the published key set.
    pub kid: String,
    /// The public key.
    pub public: [u8; 32],
}

/// Which credentials do not count any more, whoever issued them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations {
    issuers: HashMap<String, OfIssuer>,
}

/// What is revoked of one issuer. Times are Unix seconds: what was issued before is revoked; infinite for whatever is issued.
#[derive(Clone, Debug, Default, PartialEq)]
struct OfIssuer {
    everything: Option<Before>,
    ids: HashMap<String, ()>,
    subjects: HashMap<String, Before>,
    clients: HashMap<String, Before>,
}

impl Eq for OfIssuer {}

/// Which of the credentials that something is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Before {
    /// All of them, whenever they were issued.
    Ever,
    /// Those issued before this time, in Unix seconds, and those that do not say when.
    Time(f64),
}

/// What a revocation is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// One token, by its `jti`; of a network token the hexadecimal digest.
    Token(String),
    /// The credentials of a subject.
    Subject(String),
    /// What was issued to a client (`azp`, `client_id`), and what it acts with for others.
    Client(String),
    /// Everything of the issuer.
    Issuer,
}

impl Revoked {
    /// The word for it in logs and commands.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Subject(_) => "subject",
            Self::Client(_) => "client",
            Self::Issuer => "issuer",
        }
    }
}

impl HouseView {
    /// For a server without a store: nothing is revoked, ever.
    pub fn none() -> Self {
        Self {
            good_until: None,
            ..Self::unknown()
        }
    }

    /// Before the store was read: nothing can be relied on.
    pub fn unknown() -> Self {
        Self {
            revision: 0,
            good_until: Some(Instant::now()),
            revocations: Arc::default(),
            network_tokens: Arc::default(),
            keys: Arc::new([]),
        }
    }

    /// The same contents, known to be the newest at `now`, and good for as long as that.
    #[must_use]
    pub fn confirmed(mut self, now: Instant, good_for: Duration) -> Self {
        self.good_until = Some(now + good_for);
        self
    }

    /// True if it may still be relied on.
    pub fn is_good(&self, now: Instant) -> bool {
        self.good_until.is_none_or(|until| now < until)
    }
}

impl Before {
    /// True if that covers what was issued at the time `issued_at`, in Unix seconds.
    fn covers(self, issued_at: Option<f64>) -> bool {
        match (self, issued_at) {
            (Self::Ever, _) | (Self::Time(_), None) => true,
            (Self::Time(time), Some(issued_at)) => issued_at < time,
        }
    }

    /// What covers all that either of them covers.
    #[must_use]
    pub fn or_later(self, other: Self) -> Self {
        match (self, other) {
            (Self::Time(one), Self::Time(other)) => Self::Time(one.max(other)),
            _ => Self::Ever,
        }
    }
}

impl Revocations {
    /// Adds one: what `issuer` (a short name) issued before that. `Before` is not looked at for single tokens.
    pub fn add(&mut self, issuer: &str, what: Revoked, before: Before) {
        let of = self.issuers.entry(issuer.to_owned()).or_default();
        match what {
            Revoked::Token(id) => {
                of.ids.insert(id, ());
            }
            Revoked::Subject(subject) => widened(&mut of.subjects, subject, before),
            Revoked::Client(client) => widened(&mut of.clients, client, before),
            Revoked::Issuer => {
                let known = of.everything;
                of.everything = Some(known.map_or(before, |known| known.or_later(before)));
            }
        }
    }

    /// True if nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.issuers.is_empty()
    }

    /// What revokes the credential of `principal` with that id (`jti`), issued at that time (Unix seconds): the name of the
    /// kind of revocation. A token that was exchanged for another one ends with either, and with the clients that act with it.
    pub fn find(
        &self,
        principal: &Principal,
        token_id: Option<&str>,
        issued_at: Option<f64>,
    ) -> Option<&'static str> {
        if self.issuers.is_empty() {
            return None;
        }
        let (token_id, issued_at) = match &principal.delegation {
            None => (token_id, issued_at),
            Some(delegation) => {
                // What was renewed ends with what it came from: otherwise a renewal would undo a revocation.
                let chain = Some(delegation.chain.as_str());
                let found = self
                    .of_token(&delegation.issuer, token_id, issued_at)
                    .or_else(|| self.of_token(&delegation.issuer, chain, Some(delegation.began_at)));
                if found.is_some() {
                    return found;
                }
                let of = self.issuers.get(&principal.issuer);
                let client = delegation.client.as_ref();
                if of.is_some_and(|of| {
                    covers(
                        client.and_then(|client| of.clients.get(client)),
                        delegation.issued_at,
                    )
                }) {
                    return Some("client");
                }
                (delegation.token_id.as_deref(), delegation.issued_at)
            }
        };
        self.of_token(&principal.issuer, token_id, issued_at)
            .or_else(|| self.of_somebody(principal, issued_at))
    }

    fn of_token(&self, issuer: &str, id: Option<&str>, issued_at: Option<f64>) -> Option<&'static str> {
        let of = self.issuers.get(issuer)?;
        if id.is_some_and(|id| of.ids.contains_key(id)) {
            return Some("token");
        }
        covers(of.everything.as_ref(), issued_at).then_some("issuer")
    }

    fn of_somebody(&self, principal: &Principal, issued_at: Option<f64>) -> Option<&'static str> {
        if let Some(of) = self.issuers.get(&principal.issuer) {
            if covers(of.subjects.get(&principal.subject), issued_at) {
                return Some("subject");
            }
            let client = principal.client.as_ref();
            if covers(client.and_then(|client| of.clients.get(client)), issued_at) {
                return Some("client");
            }
        }
        let revoked = principal.actors.iter().any(|actor| {
            let of = self.issuers.get(&actor.issuer);
            of.is_some_and(|of| {
                // A robot without a client is an actor by its subject.
                let named = [&of.clients, &of.subjects].map(|names| names.get(&actor.client));
                named
                    .into_iter()
                    .chain([of.everything.as_ref()])
                    .any(|before| covers(before, issued_at))
            })
        });
        revoked.then_some("client")
    }
}

fn covers(before: Option<&Before>, issued_at: Option<f64>) -> bool {
    before.is_some_and(|before| before.covers(issued_at))
}

fn widened(known: &mut HashMap<String, Before>, name: String, before: Before) {
    known
        .entry(name)
        .and_modify(|known| *known = known.or_later(before))
        .or_insert(before);
}

#[cfg(test)]
mod tests;
