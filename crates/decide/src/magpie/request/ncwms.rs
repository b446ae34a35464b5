//! Services of type `ncwms` (ncWMS2): layers are variables of data sets, `dir/file.nc/variable`, and the data sets are the
//! resources, one per segment.

use super::ows::{own_path, query_only};
use super::parameters::malformed;
use super::wms::STYLES;
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

/// Items of GetMetadata that are about the layers that are named; others, such as `menu`, tell of all there are.
const ITEMS: [&str; 4] = ["layerdetails", "timesteps", "minmax", "animationtimesteps"];

/// The data sets of all layers, and the one of `dataset`. Without any, such as for the list of all layers, it is every one;
/// so it is with a style sheet, whose layers ncWMS takes in place of those of the query.
pub(super) fn needs(request: &ServiceRequest<'_>) -> Result<Needs, Unclear> {
    own_path(request, "wms")?;
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
    let of_service = permission == Permission::GetCapabilities;
    let item = parameters.get("item").unwrap_or_default();
    let tells_of_all = permission == Permission::GetMetadata
        && !ITEMS.iter().any(|narrow| item.eq_ignore_ascii_case(narrow));
    let unnamed = !of_service && (tells_of_all || parameters.any_of(STYLES).is_some());
    let rest = (sets.is_empty() || unnamed).then_some(match of_service {
        true => Reach::Exact,
        false => Reach::Everything,
    });
    let need = |(resource, reach)| Need {
        resource,
        reach,
        permission,
    };
    let named = sets.into_iter().map(|set| (set, Reach::Exact));
    let rest = rest.map(|reach| (Vec::new(), reach));
    Needs::all(named.chain(rest).map(need).collect())
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
