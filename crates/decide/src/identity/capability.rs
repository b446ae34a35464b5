//! What the scopes of a token grant, by the WLCG Common JWT Profile (version 1.3, sections 2.2.1 and 2.2.3) and by
//! SciTokens.
//!
//! A scope that limits a grant in a way that is not understood spoils the whole token: a path that could be read in two
//! ways, none where there must be one, one where none is defined. A verb that is not understood grants nothing.

use model::{Capabilities, Decoding, Operation, RequestPath};

use super::refusal::{Quoted, ScopeFault, TokenRefusal};

/// What the scopes of SciTokens stand for.
const READ: [Operation; 1] = [Operation::StorageRead];
const WRITE: [Operation; 2] = [Operation::StorageCreate, Operation::StorageModify];
const CONDOR_READ: [Operation; 1] = [Operation::ComputeRead];
const CONDOR_WRITE: [Operation; 3] = [
    Operation::ComputeCreate,
    Operation::ComputeModify,
    Operation::ComputeCancel,
];

/// What the scopes of a WLCG token grant below the path `base` of its issuer (canonical, no slash at its end; empty for
/// none). `storage.<verb>:<path>` and `compute.<verb>`; all other scopes grant nothing here.
///
/// # Errors
/// [`TokenRefusal::Scope`] for a `storage` scope without a path, even if its verb is unknown, for one with a path that
/// has no canonical form, and for a `compute` scope with a path: none is defined, and to ignore it could widen the grant.
pub(super) fn wlcg(scopes: &[String], base: &str) -> Result<Capabilities, TokenRefusal> {
    let mut capabilities = Capabilities::default();
    for scope in scopes {
        grant_wlcg(&mut capabilities, scope, base).map_err(|fault| refused(scope, fault))?;
    }
    Ok(capabilities)
}

/// What the scopes of a SciToken grant below the path `base` of its issuer: `read` and `write` with an optional path,
/// `condor:/READ` and `condor:/WRITE`, and what [`wlcg`] knows.
///
/// # Errors
/// [`TokenRefusal::Scope`] as for [`wlcg`]; but `read` and `write` without a path are for everything.
pub(super) fn scitokens(scopes: &[String], base: &str) -> Result<Capabilities, TokenRefusal> {
    let mut capabilities = Capabilities::default();
    for scope in scopes {
        let granted = match parts(scope) {
            ("read", path) => grant_below(&mut capabilities, &READ, base, path.unwrap_or("/")),
            ("write", path) => grant_below(&mut capabilities, &WRITE, base, path.unwrap_or("/")),
            ("condor", Some("/READ")) => grant_anywhere(&mut capabilities, &CONDOR_READ),
            ("condor", Some("/WRITE")) => grant_anywhere(&mut capabilities, &CONDOR_WRITE),
            _ => grant_wlcg(&mut capabilities, scope, base),
        };
        granted.map_err(|fault| refused(scope, fault))?;
    }
    Ok(capabilities)
}

/// True if a WLCG token with these scopes is to be judged by capabilities and not by groups.
///
/// A verb that we do not know is a capability nevertheless: a later version may have added it, and the groups must not
/// give what the scopes were to limit.
pub(super) fn outweigh_groups(scopes: &[String]) -> bool {
    scopes
        .iter()
        .any(|scope| matches!(parts(scope).0.split_once('.'), Some(("storage" | "compute", _))))
}

fn grant_wlcg(capabilities: &mut Capabilities, scope: &str, base: &str) -> Result<(), ScopeFault> {
    let (name, path) = parts(scope);
    match (name.split_once('.'), path) {
        (Some(("storage", _)), Some(path)) => grant_below(capabilities, operations(name), base, path),
        (Some(("storage", _)), None) => Err(ScopeFault::NoPath),
        (Some(("compute", _)), Some(_)) => Err(ScopeFault::StrayPath),
        (Some(("compute", _)), None) => grant_anywhere(capabilities, operations(name)),
        _ => Ok(()),
    }
}

fn grant_anywhere(capabilities: &mut Capabilities, operations: &[Operation]) -> Result<(), ScopeFault> {
    for operation in operations {
        capabilities.grant(*operation, None);
    }
    Ok(())
}

/// Grants at the path of a scope, which is relative to that of the issuer. A base of `/vo` and a path of `/` make
/// `/vo/`, a directory: nothing is granted at a file `/vo`.
fn grant_below(
    capabilities: &mut Capabilities,
    operations: &[Operation],
    base: &str,
    path: &str,
) -> Result<(), ScopeFault> {
    if path.is_empty() {
        return Err(ScopeFault::NoPath);
    }
    // By itself first: what does not begin with a slash would lengthen the last segment of the base.
    let absolute = format!("{base}{}", canonical(path)?);
    let absolute = canonical(&absolute)?;
    for operation in operations {
        capabilities.grant(*operation, Some(&absolute));
    }
    Ok(())
}

fn canonical(path: &str) -> Result<RequestPath<'_>, ScopeFault> {
    match RequestPath::parse_target(path.as_bytes(), Decoding::Raw) {
        Ok((path, None)) => Ok(path),
        Ok((_, Some(_))) => Err(ScopeFault::Query),
        Err(why) => Err(ScopeFault::Path(why)),
    }
}

/// What a scope of that name grants; nothing if the name is unknown. `storage.stat` is: it comes with other operations
/// and has no scope of its own.
fn operations(name: &str) -> &'static [Operation] {
    match name {
        "storage.read" => &[Operation::StorageRead],
        "storage.create" => &[Operation::StorageCreate],
        "storage.modify" => &[Operation::StorageModify],
        "storage.stage" => &[Operation::StorageStage],
        "storage.poll" => &[Operation::StoragePoll],
        "compute.read" => &[Operation::ComputeRead],
        "compute.create" => &[Operation::ComputeCreate],
        "compute.modify" => &[Operation::ComputeModify],
        "compute.cancel" => &[Operation::ComputeCancel],
        _ => &[],
    }
}

/// The name of a scope, and the path behind the first colon.
fn parts(scope: &str) -> (&str, Option<&str>) {
    match scope.split_once(':') {
        Some((name, path)) => (name, Some(path)),
        None => (scope, None),
    }
}

fn refused(scope: &str, fault: ScopeFault) -> TokenRefusal {
    let scope = Quoted::new(scope);
    TokenRefusal::Scope { scope, fault }
}

#[cfg(test)]
mod tests;
