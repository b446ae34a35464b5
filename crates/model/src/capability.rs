//! What a credential itself grants: operations, some of them on paths (WLCG Common JWT Profile section 2.2.1).
//!
//! Paths are canonical ones, as of [`RequestPath`], and match by whole segments. How a credential
//! spells its grants is for those who read it.

use std::collections::BTreeMap;
use std::fmt;

use crate::RequestPath;

/// The operations a credential grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What is granted wherever it is asked for.
    anywhere: Operations,
    /// What is granted at a path and below it.
    paths: BTreeMap<String, Operations>,
}

/// Something that a credential can grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Read data that is online.
    StorageRead,
    /// Upload, make directories, rename what was created. Never overwrites and never deletes.
    StorageCreate,
    /// Overwrite, rename and delete, and all of [`Operation::StorageCreate`].
    StorageModify,
    /// Bring data online, pin and release it. Reading it is another operation.
    StorageStage,
    /// Ask where data is.
    StoragePoll,
    /// Ask for size, checksum and the like.
    StorageStat,
    /// Look at jobs.
    ComputeRead,
    /// Submit jobs.
    ComputeCreate,
    /// Change jobs.
    ComputeModify,
    /// End jobs.
    ComputeCancel,
}

/// A set of [`Operation`]s.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Operations(u16);

impl Capabilities {
    /// The paths at which something is granted.
    pub fn paths(&self) -> impl Iterator<Item = &String> {
        self.paths.keys()
    }

    /// Adds an operation, and those it implies, at `path` and below it; without a path wherever it is asked for.
    ///
    /// `/foo` is granted with all below it, and not `/foobar`. With a slash at its end it is a directory: `/foo/` and
    /// all below it are granted, and not a file `/foo`.
    pub fn grant(&mut self, operation: Operation, path: Option<&RequestPath<'_>>) {
        let granted = operation.with_implied();
        match path {
            None => self.anywhere.add(granted),
            Some(path) => self
                .paths
                .entry(path.as_str().to_owned())
                .or_default()
                .add(granted),
        }
    }

    /// True if nothing is granted anywhere.
    pub fn is_empty(&self) -> bool {
        self.anywhere.is_empty() && self.paths.is_empty()
    }

    /// Every grant: a path, or none for what is granted wherever it is asked for.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&str>, Operations)> {
        let anywhere = (!self.anywhere.is_empty()).then_some((None, self.anywhere));
        let paths = self.paths.iter();
        anywhere
            .into_iter()
            .chain(paths.map(|(path, operations)| (Some(path.as_str()), *operations)))
    }

    /// What is granted for the canonical path of a request.
    pub fn at(&self, path: &str) -> Operations {
        let covering = self.paths.iter().filter(|(granted, _)| covers(granted, path));
        covering.fold(self.anywhere, |all, (_, operations)| all.with(*operations))
    }

    /// What is granted somewhere strictly below the canonical path of a request, taken for a directory.
    ///
    /// Who may create `/foo/bar` may also make the directory `/foo` that is missing on the way there, but no file `/foo`.
    pub fn below(&self, path: &str) -> Operations {
        let beneath = self
            .paths
            .iter()
            .filter(|(granted, _)| granted.as_str() != path && is_in(granted, path));
        beneath.fold(Operations::default(), |all, (_, operations)| {
            all.with(*operations)
        })
    }
}

/// True if a grant at `granted` is one for `path`.
fn covers(granted: &str, path: &str) -> bool {
    granted == path || is_in(path, granted)
}

/// True if `path` is in the directory `directory`, with or without a slash at its end, or is that directory's own
/// path with a slash.
fn is_in(path: &str, directory: &str) -> bool {
    let directory = directory.strip_suffix('/').unwrap_or(directory);
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.starts_with('/'))
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 10] = [
        Self::StorageRead,
        Self::StorageCreate,
        Self::StorageModify,
        Self::StorageStage,
        Self::StoragePoll,
        Self::StorageStat,
        Self::ComputeRead,
        Self::ComputeCreate,
        Self::ComputeModify,
        Self::ComputeCancel,
    ];

    /// The name that policies use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StorageRead => "storage.read",
            Self::StorageCreate => "storage.create",
            Self::StorageModify => "storage.modify",
            Self::StorageStage => "storage.stage",
            Self::StoragePoll => "storage.poll",
            Self::StorageStat => "storage.stat",
            Self::ComputeRead => "compute.read",
            Self::ComputeCreate => "compute.create",
            Self::ComputeModify => "compute.modify",
            Self::ComputeCancel => "compute.cancel",
        }
    }

    /// False for what only comes with others, and has no scope of its own.
    pub fn has_scope(self) -> bool {
        self != Self::StorageStat
    }

    /// Itself and what comes with it. Nothing comes with reading but the right to look, and reading comes with nothing.
    fn with_implied(self) -> Operations {
        let implied: &[Self] = match self {
            Self::StorageRead | Self::StorageCreate => &[Self::StorageStat],
            Self::StorageModify => &[Self::StorageCreate, Self::StorageStat],
            Self::StorageStage => &[Self::StoragePoll, Self::StorageStat],
            _ => &[],
        };
        implied.iter().copied().chain([self]).collect()
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl Operations {
    /// True if there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True if this one is among them.
    pub fn contains(self, operation: Operation) -> bool {
        self.0 & operation.bit() != 0
    }

    /// Them, in the order of [`Operation::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Operation> {
        Operation::ALL
            .into_iter()
            .filter(move |operation| self.contains(*operation))
    }

    /// Their names, in the order of [`Operation::ALL`].
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.iter().map(Operation::as_str)
    }

    fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    fn add(&mut self, others: Self) {
        *self = self.with(others);
    }
}

impl FromIterator<Operation> for Operations {
    fn from_iter<I: IntoIterator<Item = Operation>>(operations: I) -> Self {
        Self(
            operations
                .into_iter()
                .fold(0, |bits, operation| bits | operation.bit()),
        )
    }
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests;
