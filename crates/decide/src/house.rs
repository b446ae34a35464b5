//! The house's own questions: what the store says of a credential, and whether somebody may ask something of the house.
//!
//! Administration, token exchange and network mode are decided by Cedar policies of their own (`authority.policies`), so a
//! wide permit for requests never opens the house. Their schema is the user's entity types with those below.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::{ArcSwap, Guard};
use model::HouseView;

use crate::policy::engine::Given;
use crate::policy::{self, ActionTable, Policies, ResourceEntity, Sources};
use crate::problem::Problem;
use crate::routes::{self, Action};
use crate::settings::Settings;

/// The entity types of what is asked of the house.
pub(crate) const TYPES: &str = "
namespace Portcullis {
  // What the store keeps: kind is node, remote_user, network_token, token, revocation or key. Lists have no name. And what the admin
  // listener tells and does for other hosts: kind is decision (its name is the id), shadow or rules.
  // owner is whose it is, as policies write ids: main/alice; owner_issuer and owner_subject are its parts, main and alice.
  entity Item = { kind: String, name?: String, node?: String, owner?: String,
    owner_issuer?: String, owner_subject?: String };
  // A token that somebody wants to get for somebody else. subject is whose it is about: User::\"main/alice\" is subject_type
  // User, subject main/alice. Without workspaces or actions it is good for all that the user may.
  entity Delegation = { subject: String, subject_type: String, subject_issuer: String, workspaces?: Set<String>,
    actions?: Set<String>, scopes: Set<String>, audiences: Set<String>, lifetime_seconds: Long, renewal: Bool };
}
";

/// What can be asked of the house: the names of the actions with the groups they are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HouseAction {
    /// Nodes and what is known of them.
    NodesRead,
    /// Nodes are added, changed and removed.
    NodesWrite,
    /// The users of other nodes and who they are here.
    RemoteUsersRead,
    /// They are added, mapped and removed.
    RemoteUsersWrite,
    /// Network tokens and delegated tokens that were given, without the tokens.
    TokensRead,
    /// They are ended.
    TokensWrite,
    /// What is revoked.
    RevocationsRead,
    /// Something is revoked, or a revocation is lifted.
    RevocationsWrite,
    /// The keys of the house, without their private parts.
    KeysRead,
    /// Keys are rotated.
    KeysWrite,
    /// The explanation of a recent decision.
    DecisionsRead,
    /// What candidate policies would answer otherwise.
    ShadowRead,
    /// The files of the configuration are read again.
    RulesWrite,
    /// A user's token is exchanged for a delegated one (RFC 8693).
    TokenExchange,
    /// Somebody links their own account with one at another node, or gets a token there.
    NetworkUse,
}

/// An attribute of what is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HouseValue {
    /// A String.
    Text(String),
    /// A set of Strings.
    Texts(Vec<String>),
    /// A Long.
    Number(i64),
    /// A Bool.
    Flag(bool),
}

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HouseResource {
    /// `Item` or `Delegation`, see the schema.
    pub kind: HouseKind,
    /// The id of the entity.
    pub id: String,
    /// Its attributes, by the schema.
    pub attributes: Vec<(&'static str, HouseValue)>,
}

/// The entity types of what is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HouseKind {
    /// `Portcullis::Item`
    Item,
    /// `Portcullis::Delegation`
    Delegation,
}

/// The latest view of the store.
#[derive(Debug)]
pub struct House(ArcSwap<HouseView>);

/// The policies about the house itself, compiled.
#[derive(Debug)]
pub(crate) struct HouseRules {
    pub(crate) policies: Policies,
    actions: HashMap<HouseAction, Action>,
}

impl HouseAction {
    /// Every action.
    pub const ALL: [Self; 15] = [
        Self::NodesRead,
        Self::NodesWrite,
        Self::RemoteUsersRead,
        Self::RemoteUsersWrite,
        Self::TokensRead,
        Self::TokensWrite,
        Self::RevocationsRead,
        Self::RevocationsWrite,
        Self::KeysRead,
        Self::KeysWrite,
        Self::DecisionsRead,
        Self::ShadowRead,
        Self::RulesWrite,
        Self::TokenExchange,
        Self::NetworkUse,
    ];

    /// The name in policies and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NodesRead => "nodes.read",
            Self::NodesWrite => "nodes.write",
            Self::RemoteUsersRead => "remote_users.read",
            Self::RemoteUsersWrite => "remote_users.write",
            Self::TokensRead => "tokens.read",
            Self::TokensWrite => "tokens.write",
            Self::RevocationsRead => "revocations.read",
            Self::RevocationsWrite => "revocations.write",
            Self::KeysRead => "keys.read",
            Self::KeysWrite => "keys.write",
            Self::DecisionsRead => "decisions.read",
            Self::ShadowRead => "shadow.read",
            Self::RulesWrite => "rules.write",
            Self::TokenExchange => "token.exchange",
            Self::NetworkUse => "network.use",
        }
    }

    fn kind(self) -> HouseKind {
        match self {
            Self::TokenExchange => HouseKind::Delegation,
            _ => HouseKind::Item,
        }
    }
}

impl HouseKind {
    /// The Cedar entity type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Item => "Portcullis::Item",
            Self::Delegation => "Portcullis::Delegation",
        }
    }
}

impl House {
    /// With a view that counts until a newer one is published.
    pub fn new(view: HouseView) -> Self {
        Self(ArcSwap::from_pointee(view))
    }

    /// The latest view.
    pub fn view(&self) -> Guard<Arc<HouseView>> {
        self.0.load()
    }

    /// The latest view, if it may still be relied on.
    pub fn good_view(&self) -> Option<Guard<Arc<HouseView>>> {
        let view = self.0.load();
        let good = view.good_until.is_none() || view.is_good(Instant::now());
        good.then_some(view)
    }

    /// Replaces the view.
    pub fn publish(&self, view: HouseView) {
        self.0.store(Arc::new(view));
    }
}

impl HouseRules {
    /// Compiles `authority.policies` and `admin_options.policies`; the entity types and the entities are those of the other policies.
    pub(crate) fn compile(
        settings: &Settings,
        sources: &Sources,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let own = Sources {
            policies: sources.authority.clone(),
            links: Vec::new(),
            ..sources.clone()
        };
        // Of the settings only how policies are evaluated: routes and what they show are of another world.
        let settings = Settings {
            actions: groups(),
            engine: settings.engine.clone(),
            ..Settings::default()
        };
        let table = ActionTable::of_house(
            HouseAction::ALL.map(|action| (action.as_str(), action.kind().as_str())),
            TYPES,
            &settings,
            problems,
        );
        let mut found = Vec::new();
        let policies = policy::load(&settings, &table, &own, &mut found);
        // What is wrong with schema and entity files was found for the other policies already.
        let known = |problem: &Problem| !problem.is_in(&sources.authority) && policies.is_some();
        found.retain(|problem| !known(problem) && !problems.contains(problem));
        problems.append(&mut found);
        let actions = HouseAction::ALL
            .into_iter()
            .filter_map(|action| Some((action, routes::action(action.as_str()).ok()?)))
            .collect();
        Some(Self {
            policies: policies?,
            actions,
        })
    }

    pub(crate) fn action(&self, action: HouseAction) -> Option<&Action> {
        self.actions.get(&action)
    }
}

/// `authority.read`, `authority.write`, and both.
fn groups() -> BTreeMap<String, Vec<String>> {
    let ending = |end: &str| {
        let names = HouseAction::ALL.map(HouseAction::as_str).into_iter();
        names
            .filter(|name| name.ends_with(end))
            .map(str::to_owned)
            .collect()
    };
    BTreeMap::from([
        (
            "administer".to_owned(),
            vec!["read".to_owned(), "write".to_owned()],
        ),
        ("read".to_owned(), ending(".read")),
        ("write".to_owned(), ending(".write")),
    ])
}

impl HouseResource {
    /// Something that the store keeps.
    pub fn item(kind: &str, name: Option<&str>) -> Self {
        let mut attributes = vec![("kind", HouseValue::Text(kind.to_owned()))];
        attributes.extend(name.map(|name| ("name", HouseValue::Text(name.to_owned()))));
        Self {
            kind: HouseKind::Item,
            id: name.map_or_else(|| kind.to_owned(), |name| format!("{kind}/{name}")),
            attributes,
        }
    }

    /// The same with another attribute.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: HouseValue) -> Self {
        self.attributes.push((name, value));
        self
    }

    /// As Cedar knows it.
    ///
    /// # Errors
    /// Cedar's message, when it cannot be an entity.
    pub(crate) fn entity(&self, rules: &HouseRules) -> Result<ResourceEntity, String> {
        let value = |value: &HouseValue| match value {
            HouseValue::Text(text) => Given::text(text),
            HouseValue::Texts(texts) => Given::texts(texts.iter().map(String::as_str)),
            HouseValue::Number(number) => Given::number(*number),
            HouseValue::Flag(flag) => Given::boolean(*flag),
        };
        let attributes = self.attributes.iter();
        let attributes = attributes.map(|(name, it)| (*name, value(it)));
        let uid = policy::uid(self.kind.as_str(), &self.id)?;
        let entity = ResourceEntity::new(uid, attributes, [], Vec::new(), rules.policies.entities());
        entity.conforms(rules.policies.schema())?;
        Ok(entity)
    }
}
