//! Services of type `wms`: `request` names the permission, `layers` and the like the layers, all of which must be allowed.

use super::ows::query_only;
use super::parameters::{Parameters, unknown};
use super::{Need, Needs, Permission, Reach, ServiceRequest, Unclear};

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

/// What is asked, of which layers.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) permission: Permission,
    /// May be empty: the request names none.
    pub(super) layers: Vec<String>,
}

/// One resource per layer, right below the service.
pub(super) fn needs(request: &ServiceRequest<'_>) -> Result<Needs, Unclear> {
    let Operation { permission, layers } = operation(request)?;
    if permission == Permission::GetCapabilities {
        return Ok(Needs::service(permission));
    }
    if layers.is_empty() {
        return Ok(Needs::one(Vec::new(), Reach::Below, permission));
    }
    let named = layers.into_iter().map(|layer| Need {
        resource: vec![layer],
        reach: Reach::Exact,
        permission,
    });
    Needs::all(named.collect())
}

/// Reads the request. GetCapabilities names no layer, whatever it says.
pub(super) fn operation(request: &ServiceRequest<'_>) -> Result<Operation, Unclear> {
    let parameters = query_only(request)?;
    parameters.for_service("WMS")?;
    let permission = parameters.permission()?.among(PERMISSIONS)?;
    let layers = match permission {
        Permission::GetCapabilities => Vec::new(),
        _ => parameters.lists(LAYERS)?,
    };
    layers_of_styles(&parameters, permission, &layers)?;
    Ok(Operation { permission, layers })
}

/// A style sheet names layers too, that cannot be seen from here; beside `layers` it only says how those look.
pub(super) fn layers_of_styles(
    parameters: &Parameters,
    permission: Permission,
    layers: &[String],
) -> Result<(), Unclear> {
    match parameters.any_of(&["sld", "sld_body"]) {
        Some(sheet) if layers.is_empty() && permission != Permission::GetCapabilities => unknown(&format!(
            "`{sheet}` without `layers`: which layers it names is not read"
        )),
        _ => Ok(()),
    }
}
