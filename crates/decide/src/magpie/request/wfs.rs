//! Services of type `wfs`: `request` names the permission, `typenames` the feature types, all of which must be allowed.
//! WFS 1.0 to 2.0, in queries and in documents.
//!
//! What is asked for by the id of a feature or by a stored query does not say which types it touches: everything must be
//! allowed, unless types are named too and restrict it.

mod document;
mod namespaces;

use std::collections::HashSet;

use super::operation::{Named, Operation};
use super::ows::{Asked, asked, own_path};
use super::parameters::Parameters;
use super::{Needs, Permission, Reach, ServiceRequest, Unclear};
use namespaces::Bindings;
pub(crate) use namespaces::Namespaces;

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

/// One resource per type, right below the service: `type`, or `namespace:type`.
pub(super) fn needs(request: &ServiceRequest<'_>, known: &Namespaces) -> Result<Needs, Unclear> {
    own_path(request, "wfs")?;
    operation(request, known)?.needs()
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
    if of_the_service(permission) {
        return Ok(Operation::of_service(permission));
    }
    let bindings = Bindings::of_query(parameters)?;
    let mut types = Types::default();
    for name in parameters.lists(TYPES)? {
        types.add(known.named(&name, |prefix| bindings.get(prefix))?);
    }
    types.some_unnamed |= parameters.any_of(INSTEAD).is_some();
    Ok(types.operation(permission))
}

/// The feature types of a request.
#[derive(Debug, Default)]
struct Types {
    /// Each once.
    named: Vec<Named>,
    seen: HashSet<Named>,
    /// There are some that the request does not name, or by a name that cannot be believed.
    some_unnamed: bool,
}

impl Types {
    fn add(&mut self, named: Option<Named>) {
        match named {
            None => self.some_unnamed = true,
            Some(named) if self.seen.contains(&named) => {}
            Some(named) => {
                self.seen.insert(named.clone());
                self.named.push(named);
            }
        }
    }

    /// Without any type it is all, or some that ids stand for: to ask the service itself would let everything through that
    /// is denied below it.
    fn operation(self, permission: Permission) -> Operation {
        let Self {
            named, some_unnamed, ..
        } = self;
        let rest = (named.is_empty() || some_unnamed).then_some(Reach::Everything);
        Operation {
            permission,
            named,
            rest,
        }
    }
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
