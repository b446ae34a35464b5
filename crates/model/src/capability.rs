//! What a credential itself grants: operations, some of them on paths (WLCG Common JWT Profile section 2.2.1).

/// The operations a credential grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {}
