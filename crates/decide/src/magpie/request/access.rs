//! Services of type `access`: all or nothing.

use super::{Needs, Permission};

/// Every request needs the same.
pub(super) fn needs() -> Needs {
    Needs::service(Permission::Access)
}
