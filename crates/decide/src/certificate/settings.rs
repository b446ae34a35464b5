//! What is configured about client certificates, and what can be wrong with it.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::names::{self, DnsPattern};
use super::{ClientCertificates, Forwarder};
use crate::identity::short_name;
use crate::problem::Problem;

/// Client certificates as a credential: of the peers of TCP connections, and of HTTP requests without a token.
///
/// The proxy verifies them; what is configured here is whose are believed. On HTTP a token decides who asks where there
/// is one, and a peer whose certificate is not believed is anonymous: in a mesh every connection has a certificate. A
/// TCP connection of such a peer is refused.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificateSettings {
    /// The short name in ids, lower-case letters, digits and `-`: `Robot::"<name>/spiffe://…"`,
    /// `Robot::"<name>/se1.grid.example.org"`. No issuer may have the same.
    pub name: String,
    /// The SPIFFE trust domains that are believed, without `spiffe://`. Example: `cluster.local`
    #[serde(default)]
    pub trust_domains: Vec<String>,
    /// The DNS names that are believed; `*.` stands for exactly one label. Example: `*.grid.example.org`
    #[serde(default)]
    pub dns_names: Vec<String>,
    /// The peers whose `x-forwarded-client-cert` is believed: networks (`10.0.0.0/8`) and SPIFFE ids. They must
    /// overwrite what clients send in that header (Envoy: `SANITIZE_SET`), and the proxy that asks must pass it on
    /// (`FORWARD_ONLY`). From every other peer a request with the header is refused. The own certificate of such a peer
    /// never says who asks on HTTP. Empty: the header is ignored.
    #[serde(default)]
    pub forwarded_from: Vec<String>,
}

impl ClientCertificates {
    /// Compiles the settings and tells everything that is wrong with them.
    pub(crate) fn compile(
        settings: &ClientCertificateSettings,
        names: &[&str],
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut problem = |field: &str, message: String, help: &str| {
            problems.push(Problem::setting(
                format!("/client_certificates{field}"),
                message,
                help,
            ));
        };
        let name = &settings.name;
        if let Err(message) = short_name(name) {
            problem("/name", message.to_owned(), "for example `mesh`");
        }
        if names.contains(&name.as_str()) {
            problem(
                "/name",
                format!(
                    "an issuer is called `{name}` too, and principals of the two could not be told apart"
                ),
                "choose another name",
            );
        }
        if settings.trust_domains.is_empty() && settings.dns_names.is_empty() {
            problem(
                "",
                "no certificate would be believed: there are neither `trust_domains` nor `dns_names`"
                    .to_owned(),
                "add `trust_domains: [cluster.local]` or `dns_names: [\"*.grid.example.org\"]`",
            );
        }
        for (index, trust_domain) in settings.trust_domains.iter().enumerate() {
            if !names::is_trust_domain(trust_domain) {
                problem(
                    &format!("/trust_domains/{index}"),
                    format!("`{trust_domain}` is not the name of a SPIFFE trust domain"),
                    "write what is between `spiffe://` and the next `/`: lower-case letters, digits, `.`, `-`, `_`",
                );
            }
        }
        let mut dns_names = Vec::with_capacity(settings.dns_names.len());
        for (index, text) in settings.dns_names.iter().enumerate() {
            match DnsPattern::parse(text) {
                Some(pattern) => dns_names.push(pattern),
                None => problem(
                    &format!("/dns_names/{index}"),
                    format!("`{text}` is neither a DNS name in lower case nor `*.` and such a name"),
                    "for example `se1.grid.example.org` or `*.grid.example.org`",
                ),
            }
        }
        let mut forwarded_from = Vec::with_capacity(settings.forwarded_from.len());
        for (index, text) in settings.forwarded_from.iter().enumerate() {
            match Forwarder::parse(text) {
                Ok(forwarder) => forwarded_from.push(forwarder),
                Err((why, help)) => problem(
                    &format!("/forwarded_from/{index}"),
                    format!("`{text}` {why}"),
                    help,
                ),
            }
        }
        Self {
            name: name.as_str().into(),
            trust_domains: settings
                .trust_domains
                .iter()
                .map(|td| td.as_str().into())
                .collect(),
            dns_names,
            forwarded_from,
        }
    }
}

impl Forwarder {
    /// A network, or a SPIFFE id.
    fn parse(text: &str) -> Result<Self, (&'static str, &'static str)> {
        if text.starts_with("spiffe:") {
            return match names::trust_domain_of(text) {
                Some(_) => Ok(Self::Spiffe(text.into())),
                None => Err((
                    "is not the SPIFFE id of a workload",
                    "for example `spiffe://cluster.local/ns/ingress/sa/gateway`",
                )),
            };
        }
        let network: IpNet = text.parse().map_err(|_| {
            (
                "is neither a network nor a SPIFFE id",
                "for example `10.0.0.0/8`, `10.1.2.3/32` or `spiffe://cluster.local/ns/ingress/sa/gateway`",
            )
        })?;
        if network.prefix_len() == 0 {
            return Err((
                "is everybody: whoever sends the header could be anybody",
                "list the proxies that overwrite the header",
            ));
        }
        if network.trunc() != network {
            return Err((
                "has bits set behind its prefix",
                "write the first address of the network, or `/32` (IPv6: `/128`) for one address",
            ));
        }
        Ok(Self::Network(network))
    }
}
