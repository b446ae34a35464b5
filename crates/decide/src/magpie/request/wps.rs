//! Services of type `wps`: `request` names the permission, `identifier` the process. WPS 1.0 and 2.0.

use super::ows::{Asked, asked};
use super::parameters::{Parameters, few_enough, malformed, name, unknown};
use super::xml::{Document, Element, Piece};
use super::{Need, Needs, Permission, Reach, ServiceRequest, Unclear};
use crate::policy::percent_decode;

/// What can be asked for.
pub(super) const PERMISSIONS: &[Permission] = &[
    Permission::GetCapabilities,
    Permission::DescribeProcess,
    Permission::Execute,
];

/// The namespaces of requests, and of the identifiers in them.
const NAMESPACES: [(&str, &str); 2] = [
    (
        "http://www.opengis.net/wps/1.0.0",
        "http://www.opengis.net/ows/1.1",
    ),
    ("http://www.opengis.net/wps/2.0", "http://www.opengis.net/ows/2.0"),
];
/// By this host name GeoServer's processes ask GeoServer itself, with its own rights.
const ITSELF: &str = "//geoserver/";

/// What is asked, of which processes.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) permission: Permission,
    /// May be empty: the request names none.
    pub(super) processes: Vec<String>,
}

/// One resource per process, right below the service.
pub(super) fn needs(request: &ServiceRequest<'_>) -> Result<Needs, Unclear> {
    let Operation {
        permission,
        processes,
    } = operation(request)?;
    if permission == Permission::GetCapabilities {
        return Ok(Needs::service(permission));
    }
    if processes.is_empty() {
        return Ok(Needs::one(Vec::new(), Reach::Below, permission));
    }
    let named = processes.into_iter().map(|process| Need {
        resource: vec![process],
        reach: Reach::Exact,
        permission,
    });
    Needs::all(named.collect())
}

/// Reads the request. GetCapabilities names no process, whatever it says.
pub(super) fn operation(request: &ServiceRequest<'_>) -> Result<Operation, Unclear> {
    match asked(request)? {
        Asked::Query(parameters) => from_query(&parameters),
        Asked::Xml(body, parameters) => from_document(body, &parameters),
    }
}

fn from_query(parameters: &Parameters) -> Result<Operation, Unclear> {
    parameters.for_service("WPS")?;
    let permission = parameters.permission()?.among(PERMISSIONS)?;
    let processes = match (permission, parameters.get("identifier")) {
        (Permission::GetCapabilities, _) | (_, None) => Vec::new(),
        (Permission::Execute, Some(process)) => vec![name("identifier", process)?],
        _ => parameters.lists(&["identifier"])?,
    };
    if permission == Permission::Execute
        && let Some(inputs) = parameters.get("datainputs")
        && (fetches_itself(inputs) || percent_decode(inputs).is_some_and(|inner| fetches_itself(&inner)))
    {
        return inner_request();
    }
    not_all(&processes)?;
    Ok(Operation {
        permission,
        processes,
    })
}

fn from_document(body: &[u8], parameters: &Parameters) -> Result<Operation, Unclear> {
    let mut document = Document::new(body)?;
    let root = document.root()?;
    let namespaces = NAMESPACES.iter().find(|(wps, _)| *wps == root.namespace);
    let Some((_, ows)) = namespaces else {
        return unknown("the document is no request of WPS 1.0 or 2.0");
    };
    let permission = super::document_permission(&root, parameters, "WPS")?.among(PERMISSIONS)?;
    if let Some(twice) = parameters.any_of(&["identifier", "datainputs"]) {
        return malformed(&format!("`{twice}` is in the query, and there is a document"));
    }
    let mut processes = Vec::new();
    while let Some(piece) = document.next()? {
        let Piece::Start(element) = piece else { continue };
        if asks_within(&element) {
            return inner_request();
        }
        if element.depth == 2 && element.local.eq_ignore_ascii_case("identifier") {
            if element.namespace != *ows || element.local != "Identifier" {
                return malformed("an identifier that is not of the namespace of identifiers");
            }
            processes.push(name("Identifier", &document.only_text()?)?);
            few_enough(processes.len())?;
        }
    }
    match (permission, processes.len()) {
        (Permission::GetCapabilities, _) => processes.clear(),
        (_, 0) => return malformed("the document names no process"),
        (Permission::Execute, 2..) => return malformed("the document executes two processes"),
        _ => not_all(&processes)?,
    }
    Ok(Operation {
        permission,
        processes,
    })
}

/// True for a request in a request, and for an input that the service is to fetch from itself.
fn asks_within(element: &Element) -> bool {
    let of_a_service = element.namespace.starts_with("http://www.opengis.net/w");
    let local = element.local.to_ascii_lowercase();
    let asks = of_a_service && (local.parse::<Permission>().is_ok() || local == "getcoverage");
    let mut links = element.attributes().filter(|(name, _)| name.ends_with("href"));
    (element.depth > 1 && asks) || links.any(|(_, link)| fetches_itself(link))
}

fn fetches_itself(link: &str) -> bool {
    link.to_ascii_lowercase().contains(ITSELF)
}

fn inner_request<T>() -> Result<T, Unclear> {
    unknown("an input is a request to the service itself")
}

/// `ALL` is every process there is, and some of them may be denied.
fn not_all(processes: &[String]) -> Result<(), Unclear> {
    if processes
        .iter()
        .any(|process| process.eq_ignore_ascii_case("all"))
    {
        return unknown("`all` names every process: ask for them by their names");
    }
    Ok(())
}
