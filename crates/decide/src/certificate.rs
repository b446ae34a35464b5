//! Client certificates as a credential: whose are believed, and who may pass on somebody else's.
//!
//! The proxy verified the certificate; what arrives here is the name in it. Two places say a name: the proxy itself, about
//! the peer of its connection, and the header `x-forwarded-client-cert`, in which a proxy further out tells of the
//! connection that it ended. The header is only as good as the peer that sent it.

mod names;
mod settings;
mod xfcc;

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;
use model::{Headers, Peer, Principal, PrincipalKind};

use names::DnsPattern;
pub use settings::ClientCertificateSettings;
use xfcc::{Element, XfccRefusal};

/// The header in which proxies forward the client's certificate.
const FORWARDED: &str = "x-forwarded-client-cert";

/// Whose client certificates are believed. Compiled from [`ClientCertificateSettings`].
#[derive(Debug)]
pub(crate) struct ClientCertificates {
    name: Box<str>,
    trust_domains: Vec<Box<str>>,
    dns_names: Vec<DnsPattern>,
    forwarded_from: Vec<Forwarder>,
}

/// A peer that speaks for the clients behind it.
#[derive(Debug, PartialEq, Eq)]
enum Forwarder {
    /// Every peer with an address in this network.
    Network(IpNet),
    /// The peer with this SPIFFE id.
    Spiffe(Box<str>),
}

/// Why a client certificate that was presented is refused; the text is for the log.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CertificateRefusal {
    /// The peer of a TCP connection is nobody we know.
    #[error(
        "the peer {0:?} is not believed: its trust domain or name is not listed in `client_certificates`"
    )]
    Unknown(String),
    /// Somebody sent the header who may not.
    #[error(
        "x-forwarded-client-cert came from {0}, which is not in `client_certificates.forwarded_from`; list it if it is a \
         proxy that overwrites what clients send, else let the asking proxy remove the header (Envoy: SANITIZE)"
    )]
    Forwarder(String),
    /// The header is there this many times.
    #[error(
        "x-forwarded-client-cert is there {0} times; the forwarding proxy must overwrite what clients send (Envoy: \
         SANITIZE_SET)"
    )]
    SeveralHeaders(usize),
    /// The header is not one well-formed element.
    #[error("x-forwarded-client-cert {0}")]
    Header(#[from] XfccRefusal),
    /// The forwarded certificate names nobody we know.
    #[error(
        "the forwarded certificate has no SPIFFE id or DNS name that is believed: list the trust domain or the name in \
         `client_certificates`, and let the forwarding proxy send both kinds (Envoy: set_current_client_cert_details)"
    )]
    Nobody,
    /// The forwarded certificate has several names that could each be the id.
    #[error(
        "the forwarded certificate has {0} and which of them asks would be a guess; use certificates with one"
    )]
    SeveralNames(&'static str),
    /// The forwarded certificate is the forwarder's own.
    #[error(
        "the forwarded certificate is that of a forwarding proxy, {0:?}: the proxy that asks replaced what was forwarded; \
         let it pass the header on (Envoy: FORWARD_ONLY)"
    )]
    ForwarderItself(String),
}

impl ClientCertificates {
    /// The short name in ids.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Who asks by the peer of a TCP connection; `None` for a peer without a certificate.
    ///
    /// # Errors
    /// A certificate that is not believed.
    pub(crate) fn of_connection(&self, peer: Peer<'_>) -> Result<Option<Principal>, CertificateRefusal> {
        if peer.principal.is_empty() {
            return Ok(None);
        }
        match self.believed(peer.principal) {
            Some(id) => Ok(Some(self.robot(&id))),
            None => Err(CertificateRefusal::Unknown(peer.principal.to_owned())),
        }
    }

    /// Who asks by the certificates of an HTTP request without a token; `None` for nobody.
    ///
    /// The forwarded certificate counts where there is one to be believed, else the peer's own. A peer that forwards
    /// for others is never itself the caller, and a peer whose own certificate is not believed presented no
    /// credential of ours: behind a proxy every connection may have some certificate.
    ///
    /// # Errors
    /// A forwarded certificate from a peer that may not forward, or one that cannot be read in one way only, or that
    /// is not believed.
    pub(crate) fn of_request(
        &self,
        headers: &Headers<'_>,
        peer: Peer<'_>,
    ) -> Result<Option<Principal>, CertificateRefusal> {
        let forwards = self.forwards(peer);
        if !self.forwarded_from.is_empty() {
            match headers.single(FORWARDED) {
                Ok(None) => {}
                _ if !forwards => return Err(CertificateRefusal::Forwarder(described(peer))),
                Err(several) => return Err(CertificateRefusal::SeveralHeaders(several)),
                Ok(Some(value)) => return self.forwarded(value, peer).map(Some),
            }
        }
        if forwards {
            return Ok(None);
        }
        Ok(self.believed(peer.principal).map(|id| self.robot(&id)))
    }

    /// The id that a name in a certificate is believed to be: a SPIFFE id as it stands, a DNS name in lower case.
    pub(crate) fn believed<'n>(&self, name: &'n str) -> Option<Cow<'n, str>> {
        if self.believes_spiffe(name) {
            return Some(Cow::Borrowed(name));
        }
        self.believed_dns(name)
    }

    fn believes_spiffe(&self, id: &str) -> bool {
        names::trust_domain_of(id)
            .is_some_and(|trust_domain| self.trust_domains.iter().any(|known| **known == *trust_domain))
    }

    fn believed_dns<'n>(&self, name: &'n str) -> Option<Cow<'n, str>> {
        if self.dns_names.is_empty() {
            return None;
        }
        let name = names::dns_name(name)?;
        self.dns_names
            .iter()
            .any(|pattern| pattern.matches(&name))
            .then_some(name)
    }

    /// Whether this peer speaks for clients behind it.
    fn forwards(&self, peer: Peer<'_>) -> bool {
        self.forwarded_from.iter().any(|forwarder| match forwarder {
            Forwarder::Network(network) => peer
                .address
                .is_some_and(|address| network.contains(&address.to_canonical())),
            Forwarder::Spiffe(id) => **id == *peer.principal,
        })
    }

    /// Who asks by a header of a peer that may forward.
    fn forwarded(&self, value: &[u8], peer: Peer<'_>) -> Result<Principal, CertificateRefusal> {
        let element = xfcc::parse(value)?;
        let id = self.id_of(&element)?;
        let listed = Peer {
            address: None,
            principal: &id,
        };
        if self.forwards(listed) || self.believed(peer.principal).as_deref() == Some(&*id) {
            return Err(CertificateRefusal::ForwarderItself(id.into_owned()));
        }
        Ok(self.robot(&id))
    }

    /// The URI if it is believed (X.509-SVIDs have exactly one), else the one DNS name that is.
    fn id_of<'e>(&self, element: &'e Element) -> Result<Cow<'e, str>, CertificateRefusal> {
        match element.uris.as_slice() {
            [uri] if self.believes_spiffe(uri) => return Ok(Cow::Borrowed(uri)),
            [] | [_] => {}
            _ => return Err(CertificateRefusal::SeveralNames("several URIs")),
        }
        let mut believed = element
            .dns_names
            .iter()
            .filter_map(|name| self.believed_dns(name));
        match (believed.next(), believed.next()) {
            (Some(name), None) => Ok(name),
            (None, _) => Err(CertificateRefusal::Nobody),
            (Some(_), Some(_)) => Err(CertificateRefusal::SeveralNames(
                "several DNS names that are believed",
            )),
        }
    }

    fn robot(&self, id: &str) -> Principal {
        Principal::new(PrincipalKind::Robot, &self.name, id)
    }
}

/// A peer as the log names it.
fn described(peer: Peer<'_>) -> String {
    let address = peer.address.map_or_else(
        || "a peer without an address".to_owned(),
        |ip: IpAddr| ip.to_string(),
    );
    match peer.principal {
        "" => format!("{address} without a certificate"),
        principal => format!("{address} with the certificate of {principal:?}"),
    }
}

#[cfg(test)]
mod tests;
