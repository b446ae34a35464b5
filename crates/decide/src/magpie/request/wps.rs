//! Services of type `wps`: `request` names the permission, `identifier` the process. WPS 1.0 and 2.0.

use super::operation::Operation;
use super::ows::{Asked, asked, own_path};
use super::parameters::{Parameters, few_enough, malformed, name, unknown};
use super::xml::{Document, Element, Piece};
use super::{Needs, Permission, Reach, ServiceRequest, Unclear};
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

/// One resource per process, right below the service.
pub(super) fn needs(request: &ServiceRequest<'_>) -> Result<Needs, Unclear> {
    own_path(request, "wps")?;
    operation(request)?.needs()
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
        (Permission::GetCapabilities, _) => return Ok(Operation::of_service(permission)),
        (_, None) => Vec::new(),
        (Permission::Execute, Some(process)) => vec![name("identifier", process)?],
        _ => parameters.lists(&["identifier"])?,
    };
    if permission == Permission::Execute
        && let Some(inputs) = parameters.get("datainputs")
        && (fetches_itself(inputs) || percent_decode(inputs).is_some_and(|inner| fetches_itself(&inner)))
    {
        return inner_request();
    }
    Ok(on(permission, processes))
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
        (Permission::GetCapabilities, _) => Ok(Operation::of_service(permission)),
        (_, 0) => malformed("the document names no process"),
        (Permission::Execute, 2..) => malformed("the document executes two processes"),
        _ => Ok(on(permission, processes)),
    }
}

/// `ALL` describes every process there is.
fn on(permission: Permission, processes: Vec<String>) -> Operation {
    let (all, named): (Vec<_>, Vec<_>) = processes
        .into_iter()
        .partition(|process| process.eq_ignore_ascii_case("all"));
    let operation = Operation::on(permission, named);
    match all.is_empty() {
        true => operation,
        false => Operation {
            rest: Some(Reach::Everything),
            ..operation
        },
    }
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
