//! Service types by the names that Magpie has for them, with their configurations.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::geoserver::{GeoServerConfiguration, Part};
use super::thredds::ThreddsConfiguration;
use super::{GeoServerRules, Namespaces, Permission, ServiceKind, ThreddsRules, ncwms, wfs, wms, wps};

/// All names.
pub(crate) const TYPES: [&str; 12] = [
    "access",
    "api",
    "geoserver",
    "geoserverapi",
    "geoserverwfs",
    "geoserverwms",
    "geoserverwps",
    "ncwms",
    "thredds",
    "wfs",
    "wms",
    "wps",
];

impl ServiceKind {
    /// The kind that Magpie calls `name`, with the `configuration` of the service if it has one.
    ///
    /// # Errors
    /// Texts for whoever wrote that, all at once.
    pub(crate) fn read(name: &str, configuration: Option<&Value>) -> Result<Self, Vec<String>> {
        let configuration = configuration.filter(|value| !value.is_null());
        let only = |part| Ok(Self::GeoServer(GeoServerRules::only(part, Namespaces::default())));
        let kind = match (name, configuration) {
            ("thredds", _) => {
                let rules = ThreddsRules::new(&read::<ThreddsConfiguration>(name, configuration)?)?;
                return Ok(Self::Thredds(rules));
            }
            ("geoserver", _) => {
                let read = read::<GeoServerConfiguration>(name, configuration)?;
                return Ok(Self::GeoServer(GeoServerRules::combined(read)));
            }
            ("wfs", _) => return Ok(Self::Wfs(read::<OfFeatures>(name, configuration)?.namespaces)),
            ("geoserverwfs", _) => {
                let OfFeatures { namespaces } = read(name, configuration)?;
                return Ok(Self::GeoServer(GeoServerRules::only(Part::Wfs, namespaces)));
            }
            ("access", _) => Ok(Self::Access),
            ("api", _) => Ok(Self::Api),
            ("wps", _) => Ok(Self::Wps),
            ("wms", _) => Ok(Self::Wms),
            ("ncwms", _) => Ok(Self::NcWms),
            ("geoserverapi", _) => only(Part::Api),
            ("geoserverwms", _) => only(Part::Wms),
            ("geoserverwps", _) => only(Part::Wps),
            _ => Err(vec![format!(
                "`{name}` is no type of service; there are {}",
                TYPES.join(", ")
            )]),
        };
        match configuration {
            Some(_) if kind.is_ok() => Err(vec![format!("services of type `{name}` have no configuration")]),
            _ => kind,
        }
    }
}

/// The `configuration` of services of features. It is ours, Magpie has none there.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OfFeatures {
    namespaces: Namespaces,
}

impl ServiceKind {
    /// The permissions that requests to such a service can need, on it or on its resources, and those that Magpie lets be
    /// set there although nothing needs them.
    pub(crate) fn permissions(&self) -> Vec<Permission> {
        const API: &[Permission] = &[Permission::Read, Permission::Write];
        match self {
            Self::Access => vec![Permission::Access],
            Self::Api => API.to_vec(),
            Self::Thredds(_) => [&[Permission::Browse], API].concat(),
            Self::Wps => wps::PERMISSIONS.to_vec(),
            Self::Wms => wms::PERMISSIONS.to_vec(),
            Self::NcWms => ncwms::PERMISSIONS.to_vec(),
            Self::Wfs(_) => wfs::PERMISSIONS.to_vec(),
            Self::GeoServer(rules) => {
                let parts = rules.parts().iter().map(|part| match part {
                    Part::Api => API,
                    Part::Wms => wms::PERMISSIONS,
                    Part::Wfs => wfs::PERMISSIONS,
                    Part::Wps => wps::PERMISSIONS,
                });
                let mut all: Vec<Permission> = parts.flatten().copied().collect();
                all.sort_unstable();
                all.dedup();
                all
            }
        }
    }
}

fn read<C: DeserializeOwned + Default>(name: &str, configuration: Option<&Value>) -> Result<C, Vec<String>> {
    let Some(configuration) = configuration else {
        return Ok(C::default());
    };
    let wrong = |why: String| vec![format!("the configuration of a service of type `{name}`: {why}")];
    if !configuration.is_object() {
        return Err(wrong("it is not a list of names with values".to_owned()));
    }
    C::deserialize(configuration).map_err(|error| wrong(error.to_string()))
}
