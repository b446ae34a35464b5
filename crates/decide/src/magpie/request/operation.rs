//! What an OGC request asks for, before it is known where the resources of a service lie.

use super::{Need, Needs, Permission, Reach, Unclear};

/// One operation on what it names.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) permission: Permission,
    /// Layers, feature types or processes.
    pub(super) named: Vec<Named>,
    /// What it asks of the service beside them: of itself, of something below it, or of everything there.
    pub(super) rest: Option<Reach>,
}

/// A name of something that a service has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Named {
    /// The name of the namespace that it is in, if the request says so.
    pub(super) workspace: Option<String>,
    pub(super) name: String,
}

impl Operation {
    /// On the service itself.
    pub(super) fn of_service(permission: Permission) -> Self {
        Self {
            permission,
            named: Vec::new(),
            rest: Some(Reach::Exact),
        }
    }

    /// On these, or on something below the service if there are none.
    pub(super) fn on(permission: Permission, names: Vec<String>) -> Self {
        let named: Vec<Named> = names
            .into_iter()
            .map(|name| Named {
                workspace: None,
                name,
            })
            .collect();
        let rest = named.is_empty().then_some(Reach::Below);
        Self {
            permission,
            named,
            rest,
        }
    }

    /// One resource per name, right below the service: `name`, or `workspace:name`.
    pub(super) fn needs(self) -> Result<Needs, Unclear> {
        let Self {
            permission,
            named,
            rest,
        } = self;
        let names = named.into_iter().map(|Named { workspace, name }| Need {
            resource: vec![match workspace {
                Some(workspace) => format!("{workspace}:{name}"),
                None => name,
            }],
            reach: Reach::Exact,
            permission,
        });
        let rest = rest.map(|reach| Need {
            resource: Vec::new(),
            reach,
            permission,
        });
        Needs::all(names.chain(rest).collect())
    }
}
