//! Who asks: the bearer of a token, the peer of a connection, or nobody.

use std::sync::Arc;
use std::time::SystemTime;

use model::{Check, Contract, HeaderEdits, Headers, Peer, Principal, PrincipalKind, Reason, Target};

use super::answer::{Stop, deny, internal, refused, revoked};
use super::live::Live;
use super::what::What;
use super::{Asking, Given, Waited};
use crate::identity::{CacheUse, Identified, Verified};
use crate::policy::Judgement;
use crate::rules::{Persona, Rules};

/// The verified bearer with what the pipeline derived from it.
pub(super) type Bearer = Arc<Verified<Result<Persona, String>>>;

/// Who asks, in the forms the later steps need.
#[derive(Clone)]
pub(super) enum Who {
    Anonymous,
    Bearer(Bearer, CacheUse),
    /// Somebody without a token at hand: the peer of a connection.
    Known(Arc<Known>),
}

/// Somebody who is known without a token at hand.
pub(super) struct Known {
    principal: Arc<Principal>,
    persona: Persona,
    /// When the credential was issued, in Unix seconds.
    issued_at: Option<f64>,
}

impl Live {
    pub(super) fn identify(&self, check: &Check<'_>, asking: &Asking<'_>) -> Result<Who, Stop> {
        let now = asking.now;
        match asking.given {
            Some(Given::Principal {
                principal, issued_at, ..
            }) => {
                let somebody = principal.kind != PrincipalKind::Anonymous;
                return self.known(somebody.then(|| principal.clone()), issued_at);
            }
            Some(Given::Refused(refused)) => return Err(self::refused(refused.to_string())),
            None => {}
        }
        let (headers, query) = match &check.target {
            Target::Http(request) => (&request.headers, request.query),
            Target::Tcp(_) => return self.connection(check.peer),
        };
        let identified = match asking.waited {
            Waited::No => self.identity.identify(headers, query, now),
            Waited::Yes => self.identity.identify_at_hand(headers, query, now),
        };
        match identified {
            Identified::Anonymous => self.certificate(headers, check.contract, check.peer),
            Identified::Verified(verified, known) => {
                self.still_counts(verified.principal(), verified.token_id(), verified.issued_at())?;
                Ok(Who::Bearer(verified, known))
            }
            Identified::NotYet(wanted) => Err(Stop::Wait(wanted)),
            Identified::Refused(refused) => {
                let log = refused.to_string();
                if refused.is_for_want_of_keys() {
                    // No fault of the credential's: asking for another one would not help.
                    let caller = "the credential cannot be checked right now";
                    return Err(deny(403, Reason::KeysUnavailable, caller, log).into());
                }
                Err(self::refused(log))
            }
        }
    }

    /// Whether a good credential is not revoked. If that is not known, it does not count.
    pub(super) fn still_counts(
        &self,
        principal: &Principal,
        token_id: Option<&str>,
        issued_at: Option<f64>,
    ) -> Result<(), Stop> {
        let Some(view) = self.identity.house().good_view() else {
            let log = format!(
                "the store of revocations has not been read for too long, so nobody knows whether the credential of {principal} \
                 still counts"
            );
            let caller = "the credential cannot be checked right now";
            return Err(deny(403, Reason::RevocationsUnknown, caller, log).into());
        };
        match view.revocations.find(principal, token_id, issued_at) {
            None => Ok(()),
            Some(what) => Err(revoked(format!(
                "the credential of {principal} is revoked, by {what}"
            ))),
        }
    }

    /// The identity headers of an allow: those of the principal, and those that depend on what it asks for.
    pub(super) fn edits(
        &self,
        who: &Who,
        persona: &Persona,
        what: &What<'_>,
        judgement: &Judgement,
    ) -> Result<Arc<HeaderEdits>, Stop> {
        let headers = &self.rules.identity_headers;
        let mut edits = Arc::clone(&persona.edits);
        if !what.attributes.is_empty() && headers.need_resource() {
            let nobody = Principal::anonymous();
            let principal = who.principal().unwrap_or(&nobody);
            let filled = headers.with_resource(&edits, principal, &what.attributes);
            edits = filled.map(Arc::new).map_err(internal)?;
        }
        if let Judgement::Permit(permits) = judgement {
            let more = self.rules.policies.headers_of(permits).map_err(internal)?;
            if !more.is_empty() {
                edits = Arc::new(edits.with(more));
            }
        }
        Ok(edits)
    }

    /// Who asks for a TCP connection.
    fn connection(&self, peer: Peer<'_>) -> Result<Who, Stop> {
        let certificates = self.rules.client_certificates.as_ref();
        match certificates.map(|certificates| certificates.of_connection(peer)) {
            Some(Ok(principal)) => self.certified(principal),
            None if peer.principal.is_empty() => Ok(Who::Anonymous),
            None => Err(unknown_peer("no `client_certificates` are configured".to_owned())),
            Some(Err(refusal)) => Err(unknown_peer(refusal.to_string())),
        }
    }

    /// Who asks for an HTTP request without a token.
    fn certificate(
        &self,
        headers: &Headers<'_>,
        contract: Contract,
        mut peer: Peer<'_>,
    ) -> Result<Who, Stop> {
        let Some(certificates) = &self.rules.client_certificates else {
            return Ok(Who::Anonymous);
        };
        if contract != Contract::EnvoyGrpc {
            // Other proxies say in a header whom they are connected to, and may have it from a header of their client's.
            // That is good enough for a policy about addresses, and not for believing who somebody is.
            peer.address = None;
        }
        match certificates.of_request(headers, peer) {
            Ok(principal) => self.certified(principal),
            Err(refusal) => Err(refused(refusal.to_string())),
        }
    }

    /// The bearer of a certificate, if there is one. It has no id and no time of issue here, so only what is revoked
    /// altogether is.
    fn certified(&self, principal: Option<Principal>) -> Result<Who, Stop> {
        if let Some(principal) = &principal {
            self.still_counts(principal, None, None)?;
        }
        self.known(principal, None)
    }

    fn known(&self, principal: Option<Principal>, issued_at: Option<f64>) -> Result<Who, Stop> {
        let Some(principal) = principal else {
            return Ok(Who::Anonymous);
        };
        let principal = Arc::new(principal);
        let entities = self.rules.policies.entities();
        let persona = Persona::new(&principal, &self.rules.identity_headers, entities).map_err(internal)?;
        Ok(Who::Known(Arc::new(Known {
            principal,
            persona,
            issued_at,
        })))
    }
}

impl Known {
    pub(super) fn principal(&self) -> &Principal {
        &self.principal
    }
}

impl Who {
    pub(super) fn kind(&self) -> PrincipalKind {
        self.principal()
            .map_or(PrincipalKind::Anonymous, |principal| principal.kind)
    }

    /// `None` for nobody.
    pub(super) fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Anonymous => None,
            Self::Bearer(verified, _) => Some(verified.principal()),
            Self::Known(known) => Some(&known.principal),
        }
    }

    pub(super) fn persona<'w>(&'w self, rules: &'w Rules) -> Result<&'w Persona, Stop> {
        match self {
            Self::Anonymous => Ok(&rules.anonymous),
            Self::Known(known) => Ok(&known.persona),
            Self::Bearer(verified, _) => verified
                .derived()
                .as_ref()
                .map_err(|message| internal(message.clone())),
        }
    }

    pub(super) fn key_id(&self) -> Option<&str> {
        match self {
            Self::Bearer(verified, _) => verified.key_id(),
            Self::Anonymous | Self::Known(_) => None,
        }
    }

    pub(super) fn token_cache(&self) -> Option<CacheUse> {
        match self {
            Self::Bearer(_, known) => Some(*known),
            Self::Anonymous | Self::Known(_) => None,
        }
    }

    pub(super) fn token_age(&self, now: SystemTime) -> Option<i64> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs_f64();
        Some((now - self.issued_at()?) as i64)
    }

    /// When the credential was issued, in Unix seconds.
    pub(super) fn issued_at(&self) -> Option<f64> {
        match self {
            Self::Anonymous => None,
            Self::Bearer(verified, _) => verified.issued_at(),
            Self::Known(known) => known.issued_at,
        }
    }
}

fn unknown_peer(log: String) -> Stop {
    deny(403, Reason::CredentialRefused, "the peer is not known", log).into()
}
