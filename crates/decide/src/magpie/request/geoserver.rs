//! GeoServer: the services of type `geoserverwms`, `geoserverwfs`, `geoserverwps`, `geoserverapi`, and `geoserver`, which
//! is all of them at once. Workspaces lie below the service, layers and processes below those.
//!
//! Paths are `[/geoserver][/workspace]/wms`; `ows` in place of `wms` is whatever `service` says.

use serde::Deserialize;

use super::operation::{Named, Operation};
use super::parameters::{Parameters, malformed, name, unknown};
use super::wfs::Namespaces;
use super::{Need, Needs, Permission, Reach, ServiceRequest, Unclear, api, names, wfs, wms, wps};

/// One of the services of a GeoServer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Maps.
    Wms,
    /// Features.
    Wfs,
    /// Processes.
    Wps,
    /// Every other path, as a service of type `api`.
    Api,
}

/// The `configuration` of a service of type `geoserver`: which parts there are (all, unless said otherwise). `namespaces`
/// is ours: the URIs of the workspaces, for requests that write them instead of workspaces.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GeoServerConfiguration {
    wms: bool,
    wfs: bool,
    wps: bool,
    api: bool,
    namespaces: Namespaces,
}

/// How requests to one GeoServer are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GeoServerRules {
    parts: Vec<Part>,
    namespaces: Namespaces,
}

/// Whose names stand at the end of paths of OGC requests.
const OWS: [(&str, Part); 3] = [("wms", Part::Wms), ("wfs", Part::Wfs), ("wps", Part::Wps)];
/// Other services that answer OGC requests, where no permission is for them.
const OTHERS: [&str; 4] = ["ows", "wcs", "wmts", "csw"];

impl Default for GeoServerConfiguration {
    fn default() -> Self {
        Self {
            wms: true,
            wfs: true,
            wps: true,
            api: true,
            namespaces: Namespaces::default(),
        }
    }
}

impl GeoServerRules {
    /// All parts that are there.
    pub(crate) fn combined(configuration: GeoServerConfiguration) -> Self {
        let GeoServerConfiguration {
            wms,
            wfs,
            wps,
            api,
            namespaces,
        } = configuration;
        let parts = [
            (wms, Part::Wms),
            (wfs, Part::Wfs),
            (wps, Part::Wps),
            (api, Part::Api),
        ];
        let parts = parts.iter().filter_map(|(there, part)| there.then_some(*part));
        Self {
            parts: parts.collect(),
            namespaces,
        }
    }

    /// The parts that are there.
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// One part alone.
    pub(crate) fn only(part: Part, namespaces: Namespaces) -> Self {
        Self {
            parts: vec![part],
            namespaces,
        }
    }
}

/// The resources of whichever part is asked.
pub(super) fn needs(request: &ServiceRequest<'_>, rules: &GeoServerRules) -> Result<Needs, Unclear> {
    let path = names(request.segments)?;
    let path = match path.split_first() {
        Some((first, rest)) if first.eq_ignore_ascii_case("geoserver") => rest,
        _ => &path,
    };
    let (part, workspace) = part(request, path, rules)?;
    if !rules.parts.contains(&part) {
        return unknown(&format!("the service has no {part:?}"));
    }
    let Operation {
        permission,
        named,
        rest,
    } = match part {
        Part::Api => return Ok(api::below(request.method, path.to_vec())),
        Part::Wms => scoped(wms::operation(request)?)?,
        Part::Wfs => wfs::operation(request, &rules.namespaces)?,
        // A `:` in the name of a process is part of it.
        Part::Wps => wps::operation(request)?,
    };
    if permission == Permission::GetCapabilities {
        let reach = workspace.map_or(Reach::Exact, |_| Reach::Below);
        return Ok(Needs::one(Vec::new(), reach, permission));
    }
    let named = named.into_iter().map(|Named { workspace: own, name }| {
        let within = match (workspace, own) {
            (Some(path), Some(own)) if *path != own => None,
            (Some(path), _) => Some(path.clone()),
            (None, own) => own,
        };
        match within {
            Some(workspace) => (vec![workspace, name], Reach::Exact),
            // In which workspace GeoServer finds it cannot be said.
            None => (Vec::new(), Reach::Everything),
        }
    });
    let rest = rest.map(|reach| {
        let reach = match reach {
            Reach::Everything => reach,
            Reach::Exact | Reach::Below => Reach::Below,
        };
        (workspace.into_iter().cloned().collect(), reach)
    });
    let need = |(resource, reach)| Need {
        resource,
        reach,
        permission,
    };
    Needs::all(named.chain(rest).map(need).collect())
}

/// Which part is asked, and the workspace in the path.
fn part<'p>(
    request: &ServiceRequest<'_>,
    path: &'p [String],
    rules: &GeoServerRules,
) -> Result<(Part, Option<&'p String>), Unclear> {
    let (workspace, end) = match path {
        [] => (None, None),
        [end] => (None, Some(end)),
        [workspace, end] => (Some(workspace), Some(end)),
        [.., end] if is_ows(end) => return unknown("the path goes through more than a workspace"),
        _ => (None, None),
    };
    let is_api = rules.parts.contains(&Part::Api);
    let by_path = end.and_then(|end| OWS.iter().find(|(name, _)| end.eq_ignore_ascii_case(name)));
    let by_service = end.is_some_and(|end| end.eq_ignore_ascii_case("ows"));
    if let Some((_, part)) = by_path {
        return Ok((*part, workspace_name(workspace)?));
    }
    if by_service || (path.is_empty() && (!is_api || asks_ows(request))) {
        return Ok((of_service(request, rules)?, workspace_name(workspace)?));
    }
    if !is_api {
        return unknown("the path does not end in the name of a service");
    }
    if path.iter().any(|name| is_ows(name)) || asks_ows(request) {
        return unknown("an OGC request where none is read");
    }
    Ok((Part::Api, None))
}

/// The part that `service` names; a service that has one part needs no name for it.
fn of_service(request: &ServiceRequest<'_>, rules: &GeoServerRules) -> Result<Part, Unclear> {
    let parameters = Parameters::read(request.query)?;
    match (parameters.get("service"), rules.parts.as_slice()) {
        (None, [only]) => Ok(*only),
        (None, _) => malformed("neither the path nor `service` says which service is asked"),
        (Some(service), _) => {
            let part = OWS.iter().find(|(name, _)| service.eq_ignore_ascii_case(name));
            part.map_or_else(
                || unknown(&format!("`service` is `{}`", service.escape_debug())),
                |(_, part)| Ok(*part),
            )
        }
    }
}

/// True if the query looks like that of an OGC request, or cannot be read.
fn asks_ows(request: &ServiceRequest<'_>) -> bool {
    let query = request.query.unwrap_or_default();
    query.contains(';')
        || query.split('&').any(|pair| {
            let (name, _) = pair.split_once('=').unwrap_or((pair, ""));
            let name = crate::policy::percent_decode(name).map(|name| name.to_ascii_lowercase());
            name.is_none_or(|name| matches!(name.as_str(), "service" | "request") || !name.is_ascii())
        })
}

fn is_ows(name: &str) -> bool {
    let mut known = OWS.iter().map(|(name, _)| *name).chain(OTHERS);
    known.any(|known| name.eq_ignore_ascii_case(known))
}

fn workspace_name(workspace: Option<&String>) -> Result<Option<&String>, Unclear> {
    match workspace {
        Some(name) if is_ows(name) => unknown("the path goes through two services"),
        other => Ok(other),
    }
}

/// Layers are `workspace:layer`, or `layer`.
fn scoped(operation: Operation) -> Result<Operation, Unclear> {
    let scoped = operation
        .named
        .iter()
        .map(|Named { name: layer, .. }| match layer.split_once(':') {
            Some((_, name)) if name.contains(':') => {
                malformed(&format!("`{}` is no name of a layer", layer.escape_debug()))
            }
            Some((workspace, layer)) => Ok(Named {
                workspace: Some(name("a workspace", workspace)?),
                name: name("a layer", layer)?,
            }),
            None => Ok(Named {
                workspace: None,
                name: layer.clone(),
            }),
        });
    Ok(Operation {
        named: scoped.collect::<Result<_, _>>()?,
        ..operation
    })
}
