//! Services of type `wfs`: `request` names the permission, `typenames` the feature types, all of which must be allowed.
//! WFS 1.0 to 2.0, in queries and in documents.
//!
//! What is asked for by the id of a feature or by a stored query does not say which types it touches, and is denied unless
//! types are named too and restrict it.

mod document;
mod namespaces;

use super::ows::{Asked, asked};
use super::parameters::{Parameters, unknown};
use super::{Need, Needs, Permission, Reach, ServiceRequest, Unclear};
pub(crate) use namespaces::Namespaces;
use namespaces::{Bindings, FeatureType};

/// What can be asked for.
pub(super) const PERMISSIONS: &[Permission] = &[
    Permission::GetCapabilities,
    Permission::GetFeature,
    Permission::DescribeFeatureType,
    Permission::LockFeature,
    Permission::Transaction,
    Permission::GetFeatureWithLock,
    Permission::GetPropertyValue,
    Permission::GetGmlObject,
    Permission::CreateStoredQuery,
    Permission::DropStoredQuery,
    Permission::ListStoredQueries,
    Permission::DescribeStoredQueries,
];

/// Both spellings are taken by services of all versions.
const TYPES: &[&str] = &["typenames", "typename"];
/// What can stand in place of types.
const INSTEAD: &[&str] = &["storedquery_id", "storedqueryid", "gmlobjectid"];

/// What is asked, of which types.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) permission: Permission,
    /// Empty if and only if the operation is about the service.
    pub(super) types: Vec<FeatureType>,
}

/// One resource per type, right below the service: `type`, or `namespace:type`.
pub(super) fn needs(request: &ServiceRequest<'_>, known: &Namespaces) -> Result<Needs, Unclear> {
    let Operation { permission, types } = operation(request, known)?;
    if types.is_empty() {
        return Ok(Needs::service(permission));
    }
    let named = types.into_iter().map(|named| Need {
        resource: vec![match named.workspace {
            Some(workspace) => format!("{workspace}:{}", named.name),
            None => named.name,
        }],
        reach: Reach::Exact,
        permission,
    });
    Needs::all(named.collect())
}

/// Reads the request.
pub(super) fn operation(request: &ServiceRequest<'_>, known: &Namespaces) -> Result<Operation, Unclear> {
    match asked(request)? {
        Asked::Query(parameters) => from_query(&parameters, known),
        Asked::Xml(body, parameters) => document::operation(body, &parameters, known),
    }
}

fn from_query(parameters: &Parameters, known: &Namespaces) -> Result<Operation, Unclear> {
    parameters.for_service("WFS")?;
    let permission = parameters.permission()?.among(PERMISSIONS)?;
    let mut types = Vec::new();
    if !of_the_service(permission) {
        if let Some(instead) = parameters.any_of(INSTEAD) {
            return unknown(&format!(
                "`{instead}` does not say which feature types are asked for"
            ));
        }
        let bindings = Bindings::of_query(parameters)?;
        for name in parameters.lists(TYPES)? {
            types.push(known.feature_type(&name, |prefix| bindings.get(prefix))?);
        }
        if types.is_empty() {
            return no_types(permission);
        }
    }
    Ok(Operation { permission, types })
}

/// Operations that are about no feature type.
fn of_the_service(permission: Permission) -> bool {
    matches!(
        permission,
        Permission::GetCapabilities
            | Permission::CreateStoredQuery
            | Permission::DropStoredQuery
            | Permission::ListStoredQueries
            | Permission::DescribeStoredQueries
    )
}

/// To ask the service instead would let everything through that is denied below.
fn no_types<T>(permission: Permission) -> Result<T, Unclear> {
    unknown(&format!(
        "the request names no feature types: {permission} of all or of some that ids stand for"
    ))
}
