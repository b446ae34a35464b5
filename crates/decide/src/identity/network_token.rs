//! Network tokens: opaque tokens that the house gave to users of other nodes, as Magpie's network mode has them.
//!
//! A token is a UUID. Whose it is is in the house's view by the SHA-256 of the UUID's 16 bytes, and is looked up again at every
//! request: a token that was replaced, ended or mapped to somebody else stops being what it was with the next view.

use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use model::{Delegation, NetworkToken, Principal, PrincipalKind};

use super::claims::{Registered, unix_seconds};
use super::credentials::Place;
use super::issuer::Proven;
use super::refusal::TokenRefusal;
use super::verifier::{Answer, Question};
use crate::house::House;

/// The group of everybody who comes from another node, and the beginning of the names of each node's.
const NETWORK: &str = "magpie_network";
/// The parameter of a query that a token may be in.
const PARAMETER: &str = "magpie_token";

/// Network tokens, by what the house knows.
#[derive(Debug)]
pub(super) struct NetworkTokens {
    /// The short name of the house.
    pub(super) name: String,
    /// Where they may be.
    pub(super) places: Vec<Place>,
    house: Arc<House>,
}

impl NetworkTokens {
    /// Of the house with that short name; in the query only if that is wanted.
    pub(super) fn new(name: &str, in_query: bool, house: &Arc<House>) -> Self {
        let mut places = vec![Place::Bearer];
        if in_query {
            places.push(Place::Query(PARAMETER.to_owned()));
        }
        Self {
            name: name.to_owned(),
            places,
            house: Arc::clone(house),
        }
    }

    /// Whose token it is, `here`: where tokens may be.
    pub(super) fn answer(&self, question: &Question<'_>, here: bool) -> Answer {
        let Some(uuid) = uuid(&question.presented.token) else {
            return Answer::NotMine;
        };
        let key = sha256(&uuid);
        // An old view is good enough to know a token by: whether anything counts by now is asked afterwards.
        let view = self.house.view();
        match view.network_tokens.get(&key) {
            Some(_) if !here => Answer::Refused(TokenRefusal::WrongPlace),
            Some(token) => self.judge(token, &key, question.now),
            None if self.house.good_view().is_none() => {
                let why = "the house's store has not been read for too long, so its tokens are not known";
                Answer::NotYet(TokenRefusal::KeysUnavailable(why.to_owned()), None)
            }
            // Other opaque tokens look like that, too.
            None => Answer::NotAccepted(TokenRefusal::UnknownNetworkToken),
        }
    }

    fn judge(&self, token: &NetworkToken, key: &[u8; 32], now: SystemTime) -> Answer {
        let (now, exp) = (unix_seconds(now), token.expires_at as f64);
        if now >= exp {
            return Answer::Refused(TokenRefusal::Expired {
                ago: now - exp,
                exp,
                leeway: 0.0,
            });
        }
        let principal = self.principal(token);
        let registered = Registered {
            expires_at: exp,
            issued_at: Some(token.issued_at as f64),
            token_id: Some(hex(key)),
            ..Registered::without_end(&principal.subject)
        };
        Answer::Verified(Box::new(Proven {
            principal: principal.into(),
            registered,
            signed_with: None,
        }))
    }

    /// The user here whom the token's user is associated with, or else the user who stands for everybody of that node.
    fn principal(&self, token: &NetworkToken) -> Principal {
        match &token.local_user {
            Some(user) => Principal {
                // It is the house that vouches for it, so it ends with the house's tokens as well as with the user's.
                delegation: Some(Box::new(Delegation {
                    issuer: self.name.clone(),
                    issued_at: Some(token.issued_at as f64),
                    began_at: token.issued_at as f64,
                    ..Delegation::default()
                })),
                ..Principal::new(PrincipalKind::User, &user.issuer, &user.subject)
            },
            None => {
                let name = anonymous(&token.node);
                Principal {
                    groups: vec![name.clone(), NETWORK.to_owned()],
                    ..Principal::new(PrincipalKind::User, &self.name, &name)
                }
            }
        }
    }

    /// True while the token is there and the same somebody's. `now` in Unix seconds.
    pub(super) fn still_holds(&self, proven: &Proven, now: f64) -> bool {
        let Some(key) = proven.registered.token_id.as_deref().and_then(unhex) else {
            return false;
        };
        let view = self.house.view();
        let Some(token) = view.network_tokens.get(&key) else {
            return false;
        };
        let principal = &proven.principal;
        let same = match &token.local_user {
            Some(user) => user.issuer == principal.issuer && user.subject == principal.subject,
            None => principal.issuer == self.name && principal.subject == anonymous(&token.node),
        };
        same && now < token.expires_at as f64
    }
}

/// The name of the user and of the group of a node.
fn anonymous(node: &str) -> String {
    format!("{NETWORK}_{node}")
}

/// The bytes of a UUID with its hyphens, the one way in which tokens are given out.
fn uuid(token: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = token.split('-').collect();
    let lengths = groups.iter().map(|group| group.len());
    if !lengths.eq([8, 4, 4, 4, 12]) {
        return None;
    }
    bytes(&groups.concat())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    for (to, from) in key.iter_mut().zip(digest(&SHA256, bytes).as_ref()) {
        *to = *from;
    }
    key
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    bytes(text)
}

/// So many bytes in hexadecimal digits.
fn bytes<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let mut digits = digits.chars();
    for byte in &mut bytes {
        let (high, low) = (digits.next()?.to_digit(16)?, digits.next()?.to_digit(16)?);
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    digits.next().is_none().then_some(bytes)
}

#[cfg(test)]
mod tests;
