//! Everything that the configuration says about decisions, compiled as a whole.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;

use model::{Principal, Version};

use crate::certificate::ClientCertificates;
use crate::denials::Denials;
use crate::identity::{self, IdentitySettings};
use crate::identity_headers::IdentityHeaders;
use crate::policy::{self, ActionTable, Policies, PrincipalEntity, ResourceEntity, Sources};
use crate::problem::{Problem, Severity};
use crate::routes::{self, Action, RouteTable};
use crate::settings::{CorsPreflight, MethodOverride, Settings, TcpRouteSettings};
use crate::shadow::Candidate;
use crate::upstream_paths::UpstreamPaths;

/// Compiled routes, policies and settings. Replaced whole or not at all.
#[derive(Debug)]
pub struct Rules {
    pub(crate) identity: IdentitySettings,
    pub(crate) routes: RouteTable,
    pub(crate) tcp: Vec<TcpRouteSettings>,
    pub(crate) client_certificates: Option<ClientCertificates>,
    pub(crate) policies: Policies,
    pub(crate) identity_headers: Arc<IdentityHeaders>,
    pub(crate) anonymous: Persona,
    pub(crate) cors_preflight: Option<Action>,
    pub(crate) tcp_connect: Action,
    pub(crate) trusted_hops: u8,
    pub(crate) upstream_paths: UpstreamPaths,
    pub(crate) method_override: MethodOverride,
    pub(crate) denials: Denials,
    pub(crate) version: Version,
    /// Rules that are asked beside these.
    pub(crate) candidate: Option<Candidate>,
}

/// A principal in the forms that a decision needs; made once per verified credential.
#[derive(Clone, Debug)]
pub(crate) struct Persona {
    pub(crate) entity: PrincipalEntity,
    pub(crate) edits: Arc<model::HeaderEdits>,
}

impl Persona {
    pub(crate) fn new(principal: &Principal, headers: &IdentityHeaders) -> Result<Self, String> {
        Ok(Self {
            entity: PrincipalEntity::new(principal)?,
            edits: Arc::new(headers.edits(principal)?),
        })
    }
}

impl Rules {
    /// Compiles and validates everything; does no IO.
    ///
    /// # Errors
    /// Every problem that was found, advice included. Advice alone is returned beside the rules.
    pub fn compile(settings: &Settings, sources: &Sources) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let mut problems = identity::validate(&settings.identity);
        let identity_headers = Arc::new(IdentityHeaders::new(&settings.identity_headers, &mut problems));
        let denials = Denials::new(&settings.denials, &mut problems);
        let actions = ActionTable::of(settings, &mut problems);
        let routes = routes::compile(&settings.routes, &mut problems);
        let upstream_paths = UpstreamPaths::new(&settings.upstream_paths, &settings.routes, &mut problems);
        let client_certificates = settings.client_certificates.as_ref().map(|certificates| {
            ClientCertificates::compile(certificates, &settings.identity.names(), &mut problems)
        });
        check_tcp(settings, &mut problems);
        for (name, attribute) in identity_headers.attributes() {
            let mut resources = settings.routes.iter().map(|route| &route.resource);
            if !resources.any(|resource| resource.attributes.contains_key(attribute)) {
                problems.push(Problem::setting(
                    format!("/identity_headers/{name}/template"),
                    format!("no route gives its resource an attribute `{attribute}`, so the header would never be set"),
                    "name an attribute of `routes[].resource.attributes`",
                ));
            }
        }
        let policies = policy::load(settings, &actions, sources, &mut problems);
        if let Some(policies) = &policies {
            check_resources(settings, policies, &mut problems);
        }
        let anonymous = Persona::new(&Principal::anonymous(), &identity_headers);
        match (
            policies,
            anonymous,
            routes::action(policy::TCP_CONNECT),
            routes::action(policy::CORS_PREFLIGHT),
        ) {
            (Some(policies), Ok(anonymous), Ok(tcp_connect), Ok(preflight)) if !serious(&problems) => Ok((
                Self {
                    identity: IdentitySettings {
                        exposed_claims: identity_headers.claims(),
                        ..settings.identity.clone()
                    },
                    routes,
                    tcp: settings.tcp.clone(),
                    client_certificates,
                    policies,
                    identity_headers,
                    anonymous,
                    cors_preflight: (settings.cors_preflight == CorsPreflight::Allow).then_some(preflight),
                    tcp_connect,
                    trusted_hops: settings.trusted_hops,
                    upstream_paths,
                    method_override: settings.method_override,
                    denials,
                    version: version(settings, sources),
                    candidate: None,
                },
                problems,
            )),
            (_, Err(message), ..) | (_, _, Err(message), _) | (_, _, _, Err(message)) => {
                problems.push(Problem::setting("", message, ""));
                Err(problems)
            }
            _ => Err(problems),
        }
    }

    /// The same, with a candidate that is asked beside them and never answers.
    #[must_use]
    pub fn with_candidate(mut self, candidate: Candidate) -> Self {
        self.candidate = Some(candidate);
        self
    }

    /// The loaded policies.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The compiled routes.
    pub fn routes(&self) -> &RouteTable {
        &self.routes
    }

    /// Whom claims would make, by the issuers of these rules.
    pub fn rehearsal(&self) -> identity::Rehearsal {
        identity::Rehearsal::new(&self.identity)
    }

    /// The short names with which ids of principals can begin.
    pub fn principal_names(&self) -> Vec<&str> {
        let certificates = self.client_certificates.as_ref().map(ClientCertificates::name);
        self.identity.names().into_iter().chain(certificates).collect()
    }

    /// Which rules these are.
    pub fn version(&self) -> &Version {
        &self.version
    }
}

fn serious(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}

/// The first twelve hex digits of a SHA-256 over all that decides.
fn version(settings: &Settings, sources: &Sources) -> Version {
    let all = format!("{settings:?}\n{sources:?}");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, all.as_bytes());
    let hex = digest
        .as_ref()
        .iter()
        .take(6)
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
    Version(hex.into())
}

fn check_tcp(settings: &Settings, problems: &mut Vec<Problem>) {
    if !settings.tcp.is_empty() && settings.client_certificates.is_none() {
        problems.push(Problem::setting(
            "/tcp",
            "a TCP connection is judged by its peer, and no `client_certificates` says whose peers are believed",
            "add `client_certificates: {name: mesh, trust_domains: [cluster.local]}`",
        ));
    }
}

/// Fills every route's resource with sample values and asks Cedar whether the schema lets it exist.
fn check_resources(settings: &Settings, policies: &Policies, problems: &mut Vec<Problem>) {
    let mut check = |pointer: String, sample: Result<ResourceEntity, String>| {
        if let Err(message) = sample.and_then(|sample| sample.conforms(policies.schema())) {
            problems.push(Problem::setting(
                pointer,
                format!("this resource does not fit the schema: {message}"),
                "the schema file and the route must agree on attributes and on what an entity is `in`",
            ));
        }
    };
    for (index, route) in settings.routes.iter().enumerate() {
        let attributes = route
            .resource
            .attributes
            .keys()
            .map(|name| (name.clone(), "sample".to_owned()));
        let ancestors: Result<HashSet<_>, _> = route
            .resource
            .ancestors
            .iter()
            .map(|entity| policy::uid(&entity.kind, "sample"))
            .collect();
        let sample = policy::uid(&route.resource.kind, "sample")
            .and_then(|uid| ResourceEntity::new(uid, attributes, ancestors?));
        check(format!("/routes/{index}/resource"), sample);
    }
    for (index, tcp) in settings.tcp.iter().enumerate() {
        let sample = policy::uid(&tcp.resource.kind, &tcp.resource.id)
            .and_then(|uid| ResourceEntity::new(uid, [], HashSet::new()));
        check(format!("/tcp/{index}/resource"), sample);
    }
}
