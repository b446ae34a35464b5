//! Everything that the configuration says about decisions, compiled as a whole.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::sync::Arc;

use model::{Principal, Version};

use crate::certificate::ClientCertificates;
use crate::denials::Denials;
use crate::house::HouseRules;
use crate::identity::{self, IdentitySettings};
use crate::identity_headers::IdentityHeaders;
use crate::magpie::Magpie;
use crate::policy::{self, ActionTable, EntityData, Policies, PrincipalEntity, ResourceEntity, Sources};
use crate::problem::{Problem, Severity};
use crate::rerouting;
use crate::routes::{self, Action, RouteTable};
use crate::settings::{CorsPreflight, Expose, Mode, OnReserved, Settings, TcpRouteSettings};
use crate::shadow::Candidate;
use crate::steps::Every;
use crate::upstream_paths::UpstreamPaths;

/// How often secrets are hashed for the version. The version is shown to everybody who operates the server, so whoever wants
/// to guess a secret by it must pay for each guess.
const GUESSES: NonZeroU32 = NonZeroU32::MIN.saturating_add(99_999);

/// Compiled routes, policies and settings. Replaced whole or not at all.
#[derive(Debug)]
pub struct Rules {
    pub(crate) identity: IdentitySettings,
    pub(crate) routes: RouteTable,
    pub(crate) tcp: Vec<TcpRouteSettings>,
    pub(crate) client_certificates: Option<ClientCertificates>,
    pub(crate) policies: Policies,
    pub(crate) magpie: Option<Magpie>,
    pub(crate) identity_headers: Arc<IdentityHeaders>,
    pub(crate) anonymous: Persona,
    pub(crate) cors_preflight: Option<Action>,
    pub(crate) tcp_connect: Action,
    pub(crate) trusted_hops: u8,
    pub(crate) upstream_paths: UpstreamPaths,
    pub(crate) denials: Denials,
    /// What policies may see where no route says otherwise.
    pub(crate) expose: Expose,
    /// What policies may see on some route.
    pub(crate) exposed_anywhere: Expose,
    pub(crate) mode: Mode,
    pub(crate) method_override: OnReserved,
    pub(crate) url_override: OnReserved,
    pub(crate) header_aliases: OnReserved,
    pub(crate) measure_steps_every: Every,
    pub(crate) version: Version,
    /// The policies about the house itself, if it has an authority or there are any.
    pub(crate) house: Option<HouseRules>,
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
    pub(crate) fn new(
        principal: &Arc<Principal>,
        headers: &IdentityHeaders,
        entities: &EntityData,
    ) -> Result<Self, String> {
        Ok(Self {
            entity: PrincipalEntity::new(principal, entities)?,
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
        let mut identity_headers = IdentityHeaders::new(&settings.identity_headers, &mut problems);
        let denials = Denials::new(&settings.denials, &mut problems);
        if settings.url_override == OnReserved::Refuse {
            identity_headers = identity_headers.also_remove(&rerouting::QUESTIONS);
        }
        let actions = ActionTable::of(settings, &mut problems);
        let routes = routes::compile(&settings.routes, &settings.expose, &mut problems);
        let mut exposed_anywhere = settings.expose.clone();
        for route in routes.routes() {
            exposed_anywhere.add(&route.expose);
        }
        let upstream_paths = UpstreamPaths::new(&settings.upstream_paths, &settings.routes, &mut problems);
        let client_certificates = settings.client_certificates.as_ref().map(|certificates| {
            ClientCertificates::compile(certificates, &settings.identity.names(), &mut problems)
        });
        check_tcp(settings, &mut problems);
        advise_on_audit(settings, &mut problems);
        for (name, attribute) in identity_headers.attributes() {
            let mut resources = settings.routes.iter().map(|route| &route.resource);
            if !resources.any(|resource| {
                resource
                    .attributes
                    .get(attribute)
                    .is_some_and(|value| value.is_one())
            }) {
                problems.push(Problem::setting(
                    format!("/identity_headers/{name}/template"),
                    format!("no route gives its resource an attribute `{attribute}`, so the header would never be set"),
                    "name an attribute of `routes[].resource.attributes`",
                ));
            }
        }
        let magpie = settings.magpie.as_ref().map(|magpie| {
            let certificates = client_certificates.as_ref().map(ClientCertificates::name);
            let names: Vec<&str> = settings
                .identity
                .names()
                .into_iter()
                .chain(certificates)
                .collect();
            Magpie::compile(magpie, &sources.magpie, &names, &mut problems)
        });
        let policies = policy::load(settings, &actions, sources, &mut problems);
        let look_at_magpie = policies.as_ref().is_none_or(Policies::look_at_magpie);
        Magpie::check_routes(magpie.as_ref(), &settings.routes, look_at_magpie, &mut problems);
        if let Some(policies) = &policies {
            check_resources(settings, policies, &mut problems);
            identity_headers = identity_headers.grant(policies.header_names());
        }
        let has_house = settings.identity.house.is_some() || !sources.authority.is_empty();
        let house = has_house.then(|| HouseRules::compile(settings, sources, &mut problems));
        let house = house.flatten();
        let granted = policies.as_ref().map(Policies::header_names).unwrap_or_default();
        check_answers(settings, granted, &mut problems);
        let nothing = Arc::default();
        let entities = policies.as_ref().map_or(&nothing, Policies::entities);
        let anonymous = Persona::new(&Arc::new(Principal::anonymous()), &identity_headers, entities);
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
                    magpie,
                    identity_headers: Arc::new(identity_headers),
                    anonymous,
                    cors_preflight: (settings.cors_preflight == CorsPreflight::Allow).then_some(preflight),
                    tcp_connect,
                    trusted_hops: settings.trusted_hops,
                    upstream_paths,
                    method_override: settings.method_override,
                    denials,
                    expose: settings.expose.clone(),
                    exposed_anywhere,
                    mode: settings.mode,
                    url_override: settings.url_override,
                    header_aliases: settings.header_aliases,
                    measure_steps_every: settings.measure_steps_every,
                    version: version(settings, sources),
                    house,
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

    /// The names of all policies, also of those about the house itself. They are the very ones that decisions have.
    pub fn policy_names(&self) -> impl Iterator<Item = &Arc<str>> {
        let house = self.house.iter();
        let house = house.flat_map(|house| house.policies.shared_names());
        self.policies.shared_names().chain(house)
    }

    /// The schema of the policies about the house itself; `None` without an authority.
    pub fn house_schema_text(&self) -> Option<&str> {
        self.house.as_ref().map(|house| house.policies.schema_text())
    }

    /// The compiled routes.
    pub fn routes(&self) -> &RouteTable {
        &self.routes
    }

    /// The headers that are set or cleared on requests that pass: identity headers, those of `@set_header`, and the
    /// decision's id. A proxy that copies headers by name must list them all.
    pub fn upstream_headers(&self) -> Vec<&str> {
        self.identity_headers.names().collect()
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

    /// The short name of whoever puts that into `iss` of its tokens, exactly.
    pub fn short_name(&self, iss: &str) -> Option<&str> {
        let mut issuers = self.identity.issuers.iter();
        let issuer = issuers
            .find(|issuer| issuer.issuer == iss)
            .map(|issuer| &*issuer.name);
        let house = self.identity.house.as_ref().filter(|house| house.issuer == iss);
        issuer.or(house.map(|house| &*house.name))
    }

    /// The short name of the house, if it has an authority.
    pub fn house_name(&self) -> Option<&str> {
        self.identity.house.as_ref().map(|house| &*house.name)
    }

    /// What is only audited: the names of routes, or `everything`, which then are all but those that enforce. Empty if
    /// every denial counts.
    pub fn audited(&self) -> Vec<&str> {
        let routes = self.routes.routes().iter();
        let audited = routes.filter(|route| route.mode == Some(Mode::Audit));
        match self.mode {
            Mode::Enforce => audited.map(|route| &*route.name).collect(),
            Mode::Audit => vec!["everything"],
        }
    }

    /// True if these decide as `other` do, and ask the same candidate.
    pub fn is_same(&self, other: &Self) -> bool {
        let candidate = |rules: &Self| {
            let candidate = rules.candidate.as_ref()?;
            Some((candidate.rules.version.clone(), candidate.sample))
        };
        self.version == other.version && candidate(self) == candidate(other)
    }

    /// Which rules these are.
    pub fn version(&self) -> &Version {
        &self.version
    }
}

fn serious(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}

/// The first twelve hex digits of a digest over all that decides.
fn version(settings: &Settings, sources: &Sources) -> Version {
    let mut all = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    all.update(format!("{settings:?}\n").as_bytes());
    for (name, text) in sources.texts() {
        all.update(format!("{name:?} {}\n", text.len()).as_bytes());
        all.update(text.as_bytes());
    }
    let mut bytes = all.finish().as_ref().to_vec();
    let secrets = settings.identity.secrets();
    if !secrets.is_empty() {
        let mut stretched = [0; 32];
        aws_lc_rs::pbkdf2::derive(
            aws_lc_rs::pbkdf2::PBKDF2_HMAC_SHA256,
            GUESSES,
            &bytes,
            format!("{secrets:?}").as_bytes(),
            &mut stretched,
        );
        bytes = stretched.to_vec();
    }
    let hex = bytes.iter().take(6).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    Version(hex.into())
}

fn advise_on_audit(settings: &Settings, problems: &mut Vec<Problem>) {
    let mut advise = |pointer: String, what: &str| {
        let message = format!("{what} is only audited: what policies deny passes, and is recorded");
        let help = "`mode: enforce` when the records say that nothing is denied that should pass";
        problems.push(Problem::setting(pointer, message, help).advice());
    };
    if settings.mode == Mode::Audit {
        advise("/mode".to_owned(), "the whole server");
    }
    for (index, route) in settings.routes.iter().enumerate() {
        if route.mode == Some(Mode::Audit) {
            advise(format!("/routes/{index}/mode"), "this route");
        }
    }
}

/// What clients are told must not look like what upstreams are told about them: the two go through the same proxy.
fn check_answers(settings: &Settings, granted: &[Arc<str>], problems: &mut Vec<Problem>) {
    for (index, route) in settings.routes.iter().enumerate() {
        let denied = route.on_deny.headers.iter().enumerate();
        let allowed = route.on_allow.response_headers.iter().enumerate();
        let denied = denied.map(|(at, (name, _))| (format!("on_deny/headers/{at}"), name));
        let allowed = allowed.map(|(at, (name, _))| (format!("on_allow/response_headers/{at}"), name));
        for (field, name) in denied.chain(allowed) {
            let declared = settings.identity_headers.keys().map(String::as_str);
            let declared = declared.map(|name| ("is the identity header", name));
            let granted = granted
                .iter()
                .map(|name| ("is the header of a `@set_header`,", &**name));
            let mut known = declared.chain(granted);
            if let Some((what, known)) = known.find(|(_, known)| rerouting::is(name, known)) {
                problems.push(Problem::setting(
                    format!("/routes/{index}/{field}"),
                    format!("`{name}` {what} `{known}`, and some proxies take it for that"),
                    "identity headers are for upstreams: give the header for clients another name",
                ));
            }
        }
    }
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

/// Fills every route's resource with sample values and asks Cedar whether the schema lets it exist. Routes that differ in
/// texts only are the same to the schema.
fn check_resources(settings: &Settings, policies: &Policies, problems: &mut Vec<Problem>) {
    let mut known: HashMap<String, Result<(), String>> = HashMap::new();
    let mut check =
        |pointer: String, whose: &str, shape: String, sample: &dyn Fn() -> Result<ResourceEntity, String>| {
            let conforms = || sample().and_then(|sample| sample.conforms(policies.schema()));
            if let Err(message) = known.entry(shape).or_insert_with(conforms) {
                problems.push(Problem::setting(
                    pointer,
                    format!("the resource of {whose} does not fit the schema: {message}"),
                    "the schema file and the route must agree on attributes and on what an entity is `in`",
                ));
            }
        };
    for (index, route) in settings.routes.iter().enumerate() {
        let sample = || route.resource.sample();
        let whose = format!("the route {}{}", route.hosts.join(","), route.path);
        check(
            format!("/routes/{index}/resource"),
            &whose,
            route.resource.shape(),
            &sample,
        );
    }
    for (index, tcp) in settings.tcp.iter().enumerate() {
        let sample = || {
            let uid = policy::uid(&tcp.resource.kind, &tcp.resource.id)?;
            Ok(ResourceEntity::new(
                uid,
                [],
                [],
                Vec::new(),
                &EntityData::default(),
            ))
        };
        let shape = format!("tcp {} {}", tcp.resource.kind, tcp.resource.id);
        check(
            format!("/tcp/{index}/resource"),
            "this destination",
            shape,
            &sample,
        );
    }
    for (index, route) in settings.routes.iter().enumerate() {
        for name in route.resource.contradicted(policies.entities()) {
            problems.push(Problem::setting(
                format!("/routes/{index}/resource/attributes/{name}"),
                format!("an entity file gives this entity another `{name}`"),
                "say it in one place: here or in the file",
            ));
        }
    }
}
