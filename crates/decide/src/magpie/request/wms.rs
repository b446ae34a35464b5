//! Services of type `wms`: `request` names the permission, `layers` and the like the layers, all of which must be allowed.

use super::operation::Operation;
use super::ows::query_only;
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

/// One resource per layer, right below the service.
pub(super) fn needs(request: &ServiceRequest<'_>) -> Result<Needs, Unclear> {
    operation(request)?.needs()
}

/// Reads the request. GetCapabilities names no layer, whatever it says.
pub(super) fn operation(request: &ServiceRequest<'_>) -> Result<Operation, Unclear> {
    let parameters = query_only(request)?;
    parameters.for_service("WMS")?;
    let permission = parameters.permission()?.among(PERMISSIONS)?;
    if permission == Permission::GetCapabilities {
        return Ok(Operation::of_service(permission));
    }
    let operation = Operation::on(permission, parameters.lists(LAYERS)?);
    Ok(match operation.rest {
        // A style sheet names layers too, that cannot be seen from here; beside `layers` it only says how those look.
        Some(_) if parameters.any_of(STYLES).is_some() => Operation {
            rest: Some(Reach::Everything),
            ..operation
        },
        _ => operation,
    })
}
