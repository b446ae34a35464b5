//! The names of permissions, as Magpie writes them.

use std::fmt;
use std::str::FromStr;

use super::Unclear;
use super::parameters::unknown;

/// What can be allowed or denied on a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Permission {
    Read,
    Write,
    Access,
    Browse,
    GetCapabilities,
    GetMap,
    GetFeatureInfo,
    GetLegendGraphic,
    GetMetadata,
    GetPropertyValue,
    GetFeature,
    GetFeatureWithLock,
    GetGmlObject,
    DescribeFeatureType,
    DescribeLayer,
    DescribeProcess,
    Execute,
    LockFeature,
    Transaction,
    CreateStoredQuery,
    DropStoredQuery,
    ListStoredQueries,
    DescribeStoredQueries,
}

/// All of them with their names.
const NAMES: [(Permission, &str); 23] = [
    (Permission::Read, "read"),
    (Permission::Write, "write"),
    (Permission::Access, "access"),
    (Permission::Browse, "browse"),
    (Permission::GetCapabilities, "getcapabilities"),
    (Permission::GetMap, "getmap"),
    (Permission::GetFeatureInfo, "getfeatureinfo"),
    (Permission::GetLegendGraphic, "getlegendgraphic"),
    (Permission::GetMetadata, "getmetadata"),
    (Permission::GetPropertyValue, "getpropertyvalue"),
    (Permission::GetFeature, "getfeature"),
    (Permission::GetFeatureWithLock, "getfeaturewithlock"),
    (Permission::GetGmlObject, "getgmlobject"),
    (Permission::DescribeFeatureType, "describefeaturetype"),
    (Permission::DescribeLayer, "describelayer"),
    (Permission::DescribeProcess, "describeprocess"),
    (Permission::Execute, "execute"),
    (Permission::LockFeature, "lockfeature"),
    (Permission::Transaction, "transaction"),
    (Permission::CreateStoredQuery, "createstoredquery"),
    (Permission::DropStoredQuery, "dropstoredquery"),
    (Permission::ListStoredQueries, "liststoredqueries"),
    (Permission::DescribeStoredQueries, "describestoredqueries"),
];

impl Permission {
    /// All there are.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(permission, _)| *permission)
    }

    /// Itself, if it is one of those of a service.
    pub(super) fn among(self, permissions: &[Self]) -> Result<Self, Unclear> {
        if permissions.contains(&self) {
            return Ok(self);
        }
        unknown(&format!("services of this type have no permission `{self}`"))
    }

    /// Its name, in small letters.
    pub(crate) fn as_str(self) -> &'static str {
        let mut names = NAMES.iter();
        names
            .find(|(permission, _)| *permission == self)
            .map_or("", |(_, name)| name)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no permission's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoPermission;

impl FromStr for Permission {
    type Err = NoPermission;

    /// Reads exactly the name in small letters.
    fn from_str(name: &str) -> Result<Self, NoPermission> {
        let mut names = NAMES.iter();
        names
            .find(|(_, known)| *known == name)
            .map(|(permission, _)| *permission)
            .ok_or(NoPermission)
    }
}
