//! Services of type `wms`: `request` names the permission, `layers` and the like the layers, all of which must be allowed.

use super::operation::Operation;
use super::ows::{own_path, query_only};
use super::{Needs, Permission, Reach, ServiceRequest, Unclear};

/// What can be asked for.
pub(super) const PERMISSIONS: &[Permission] = &[
    Permission::GetCapabilities,
    Permission::GetMap,
    Permission::GetFeatureInfo,
    Permission::GetLegendGraphic,
    Permission::DescribeLayer,
];

/// Where requests name layers.
const LAYERS: &[&str] = &["layers", "layer", "query_layers"];
/// Style sheets, whose layers cannot be seen from here.
pub(super) const STYLES: &[&str] = &["sld", "sld_body"];

/// One resource per layer, right below the service. Which of `layers` and of a style sheet an unknown service believes
/// cannot be said.
pub(super) fn needs(request: &ServiceRequest<'_>) -> Result<Needs, Unclear> {
    own_path(request, "wms")?;
    let (mut operation, styled) = read(request)?;
    if styled {
        operation.rest = Some(Reach::Everything);
    }
    operation.needs()
}

/// Reads the request to a GeoServer: beside `layers`, a style sheet only says how those look.
pub(super) fn operation(request: &ServiceRequest<'_>) -> Result<Operation, Unclear> {
    let (mut operation, styled) = read(request)?;
    if styled && operation.rest.is_some() {
        operation.rest = Some(Reach::Everything);
    }
    Ok(operation)
}

/// The operation, and whether there is a style sheet. GetCapabilities names no layer, whatever it says.
fn read(request: &ServiceRequest<'_>) -> Result<(Operation, bool), Unclear> {
    let parameters = query_only(request)?;
    parameters.for_service("WMS")?;
    let permission = parameters.permission()?.among(PERMISSIONS)?;
    if permission == Permission::GetCapabilities {
        return Ok((Operation::of_service(permission), false));
    }
    let styled = parameters.any_of(STYLES).is_some();
    Ok((Operation::on(permission, parameters.lists(LAYERS)?), styled))
}
