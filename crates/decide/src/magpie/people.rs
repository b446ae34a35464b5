//! Who somebody is in Magpie's eyes.

use model::{Principal, PrincipalKind};

use super::settings::{MagpieUserSettings, UserName};
use super::tree::{ANONYMOUS, Asker, Tree};

/// How the names of users and groups begin that stand for other nodes of a network: nobody else has them.
const NETWORK: &str = "magpie_network";

/// Somebody as the tree knows them. Whoever is nobody's user is in the group of everybody, and that is all.
pub(super) fn asker(tree: &Tree, users: &[MagpieUserSettings], principal: Option<&Principal>) -> Asker {
    let Some(principal) = principal.filter(|principal| principal.kind != PrincipalKind::Anonymous) else {
        return tree.asker(Some(ANONYMOUS), []);
    };
    let mut users = users.iter();
    let Some(known) = users.find(|known| known.issuer == principal.issuer && known.takes(principal.kind))
    else {
        return tree.asker(None, []);
    };
    let name = match known.user_name {
        UserName::Subject => Some(principal.subject.as_str()),
        UserName::Name => principal.name.as_deref(),
    };
    let name = name.filter(|name| *name != ANONYMOUS && !name.starts_with(NETWORK));
    let groups = principal.groups.iter().filter(|_| known.groups);
    let groups = groups
        .map(String::as_str)
        .filter(|name| !name.starts_with(NETWORK));
    tree.asker(name, groups)
}

impl MagpieUserSettings {
    fn takes(&self, kind: PrincipalKind) -> bool {
        match kind {
            PrincipalKind::User => true,
            PrincipalKind::Robot => self.robots,
            PrincipalKind::Client | PrincipalKind::Anonymous => false,
        }
    }
}

#[cfg(test)]
mod tests;
