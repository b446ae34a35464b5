//! Services of type `ncwms` (ncWMS2): layers are variables of data sets, `dir/file.nc/variable`, and the data sets are the
//! resources, one per segment.

use super::ows::query_only;
use super::parameters::malformed;
use super::{Need, Needs, Permission, Reach, ServiceRequest, Unclear};

/// What can be asked for.
pub(super) const PERMISSIONS: &[Permission] = &[
    Permission::GetCapabilities,
    Permission::GetMap,
    Permission::GetFeatureInfo,
    Permission::GetLegendGraphic,
    Permission::GetMetadata,
];

/// Where requests name variables of data sets.
const VARIABLES: &[&str] = &["layers", "layer", "layername", "query_layers"];

/// The data sets of all layers, and the one of `dataset`. Without any, such as for the list of all layers, it is every one.
pub(super) fn needs(request: &ServiceRequest<'_>) -> Result<Needs, Unclear> {
    let parameters = query_only(request)?;
    parameters.for_service("WMS")?;
    let permission = parameters.permission()?.among(PERMISSIONS)?;
    let variables = match permission {
        Permission::GetCapabilities => Vec::new(),
        _ => parameters.lists(VARIABLES)?,
    };
    let mut sets = Vec::new();
    for variable in &variables {
        // A name of one part can only be a data set.
        let (set, _) = variable.rsplit_once('/').unwrap_or((variable, ""));
        sets.push(parts(set)?);
    }
    for set in parameters.lists(&["dataset"])? {
        sets.push(parts(&set)?);
    }
    if sets.is_empty() {
        let reach = match permission {
            Permission::GetCapabilities => Reach::Exact,
            _ => Reach::Everything,
        };
        return Ok(Needs::one(Vec::new(), reach, permission));
    }
    let named = sets.into_iter().map(|resource| Need {
        resource,
        reach: Reach::Exact,
        permission,
    });
    Needs::all(named.collect())
}

fn parts(set: &str) -> Result<Vec<String>, Unclear> {
    let parts: Vec<String> = set.split('/').map(str::to_owned).collect();
    let wrong = |part: &String| matches!(part.as_str(), "" | "." | "..") || part.contains(['\\', '%']);
    if parts.iter().any(wrong) {
        return malformed(&format!(
            "the data set `{}` is no path of names",
            set.escape_debug()
        ));
    }
    Ok(parts)
}
