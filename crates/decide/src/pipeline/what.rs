//! What is asked for: the route's action and the entity it makes of the request.

use std::borrow::Cow;

use model::{Check, HttpRequest, PrincipalKind, Reason, Target, TcpConnection};

use super::answer::{Stop, denial_of, internal};
use super::live::Live;
use super::magpie::At;
use crate::policy::ResourceEntity;
use crate::routes::{Action, DenyAnswer, Found, Route};

/// What is asked for.
pub(super) struct What<'r> {
    pub(super) route: Option<&'r Route>,
    pub(super) action: &'r Action,
    pub(super) resource: ResourceEntity,
    /// The attributes of the resource, if identity headers show some.
    pub(super) attributes: Vec<(&'r str, String)>,
    /// The canonical path that capabilities of a token are matched with, if it is not that of the request.
    pub(super) capability_path: Option<String>,
    /// Where Magpie's permissions are asked, if they are.
    pub(super) magpie: Option<At>,
}

impl Live {
    /// The canonical path of the request as it is compared; empty for a connection.
    pub(super) fn comparable<'c>(&self, check: &'c Check<'_>) -> Cow<'c, str> {
        match &check.target {
            Target::Http(request) => {
                let (host, path) = (request.host.as_str(), request.path.as_str());
                self.rules.upstream_paths.comparable(host, path)
            }
            Target::Tcp(_) => Cow::Borrowed(""),
        }
    }

    /// The route of a request whose path is compared as `path`.
    pub(super) fn route<'r>(
        &'r self,
        check: &Check<'_>,
        path: &str,
        who: PrincipalKind,
        matched: &mut Option<&'r str>,
    ) -> Result<What<'r>, Stop> {
        match &check.target {
            Target::Http(request) => self.http_route(request, path, who, matched),
            Target::Tcp(connection) => self.tcp_route(connection, who),
        }
    }

    fn http_route<'r>(
        &'r self,
        request: &HttpRequest<'_>,
        path: &str,
        who: PrincipalKind,
        matched: &mut Option<&'r str>,
    ) -> Result<What<'r>, Stop> {
        let rules = &self.rules;
        let host = request.host.as_str();
        let preflight = rules.cors_preflight.as_ref().zip(preflight_method(request));
        let method = preflight.map_or(request.method, |(_, announced)| announced);
        let nothing = DenyAnswer::default();
        let (route, action, captures) = match rules.routes.find(host, path, method) {
            Found::Route(route, action, captures) => (route, action, captures),
            Found::NoMethod(route) => {
                *matched = Some(&route.name);
                let log = format!("the route {} has no method {method:?}", route.name);
                return Err(denial_of(&route.on_deny, who, Reason::NoMethod, log).into());
            }
            Found::Nothing => {
                let log = format!("no route matches {host}{path}");
                return Err(denial_of(&nothing, who, Reason::NoRoute, log).into());
            }
        };
        *matched = Some(&route.name);
        let value = |name: &str| match name {
            "host" => host,
            "path" => path,
            name => {
                let index = route.captures.iter().position(|captured| **captured == *name);
                index
                    .and_then(|index| captures.get(index))
                    .copied()
                    .unwrap_or_default()
            }
        };
        let template = &route.resource;
        let resource = template.fill(value, rules.policies.entities());
        let capability_path = route.capability_path.as_ref();
        let shown = rules.identity_headers.need_resource();
        let shown = template.attributes.iter().filter(|_| shown);
        let shown = shown.filter_map(|(name, attribute)| Some((&**name, attribute.shown(value)?)));
        Ok(What {
            attributes: shown.collect(),
            capability_path: capability_path.map(|template| template.fill(value).into_owned()),
            // A preflight asks for nothing yet.
            magpie: route
                .magpie
                .as_ref()
                .filter(|_| preflight.is_none())
                .map(|(service, below)| At {
                    service: service.fill(value).into_owned(),
                    below: below.fill(value).into_owned(),
                }),
            route: Some(route),
            action: preflight.map_or(action, |(action, _)| action),
            resource,
        })
    }

    fn tcp_route(&self, connection: &TcpConnection<'_>, who: PrincipalKind) -> Result<What<'_>, Stop> {
        let matches = |port: Option<u16>| port.is_none() || port == connection.destination_port;
        let Some(tcp) = self.rules.tcp.iter().find(|tcp| matches(tcp.destination_port)) else {
            let log = match connection.destination_port {
                Some(port) => format!("no entry of `tcp` is for port {port}"),
                None => "the request has no `http` part, and no entry of `tcp` is for any port".to_owned(),
            };
            return Err(denial_of(&DenyAnswer::default(), who, Reason::NoRoute, log).into());
        };
        let uid = crate::policy::uid(&tcp.resource.kind, &tcp.resource.id).map_err(internal)?;
        let resource = ResourceEntity::new(uid, [], [], Vec::new(), self.rules.policies.entities());
        Ok(What {
            attributes: Vec::new(),
            capability_path: None,
            magpie: None,
            route: None,
            action: &self.rules.tcp_connect,
            resource,
        })
    }
}

/// The method that a CORS preflight announces; `None` if this is no preflight.
fn preflight_method<'a>(request: &HttpRequest<'a>) -> Option<&'a str> {
    if request.method != "OPTIONS" || request.headers.single("authorization") != Ok(None) {
        return None;
    }
    request.headers.single("origin").ok().flatten()?;
    let announced = request
        .headers
        .single("access-control-request-method")
        .ok()
        .flatten()?;
    std::str::from_utf8(announced).ok()
}
