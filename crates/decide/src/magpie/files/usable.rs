//! Which permissions mean something at a service: one that no request ever needs would be set and never count.

use super::super::request::{Permission, ServiceKind};

impl ServiceKind {
    /// The permissions that requests to a service of this kind, or to its resources, can need.
    pub(super) fn permissions(&self) -> &'static [Permission] {
        match self {
            Self::Access => &[Permission::Access],
            Self::Api => &[Permission::Read, Permission::Write],
        }
    }
}
