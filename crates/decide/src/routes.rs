//! What is asked for: host + path + method, looked up in the route table, become a resource and an action.
//!
//! The most specific route wins. Of segments: a literal one before one with text and captures (`{workspace}.{name}`; more text
//! first), that before a `{name}`, a `{name}` before a `{rest..}`. Of hosts: an exact one before patterns (more text first),
//! those before any host. Two routes that match the same requests, and two patterns of which neither is more specific, are
//! an error at load. The table is a tree of segments per host, so a lookup costs the same with ten routes as with ten
//! thousand; patterns in one place are tried one by one, and there are at most a hundred.

mod blend;
mod compile;
mod hosts;
mod pattern;
mod resource;
mod settings;
mod table;
mod template;

pub(crate) use compile::{action, compile, percent_encode};
pub use hosts::HostPattern;
pub use pattern::{Pattern, Segment};
pub use resource::{Attribute, ResourceTemplate};
pub use settings::{
    AttributeSettings, DestinationSettings, EntityReference, EntitySettings, OnAllow, OnDeny,
    ResourceSettings, RouteExpose, RouteSettings,
};
pub use table::{Conflict, Found, RouteTable};
pub use template::Template;

use std::sync::Arc;

use cedar_policy::EntityUid;
use model::RouteEdits;

use crate::settings::{Expose, Mode};

/// One compiled route.
#[derive(Debug)]
pub struct Route {
    /// How logs name it: host, if it has one, and path pattern.
    pub name: Arc<str>,
    /// The names its patterns capture, in order: of the host, then of the path.
    pub captures: Vec<Box<str>>,
    /// The action of every method of this route.
    pub actions: Vec<(Box<str>, Action)>,
    /// The entity that a match becomes.
    pub resource: ResourceTemplate,
    /// Whether everybody may pass unless a forbid says no.
    pub public: bool,
    /// What policies may see of its requests.
    pub expose: Arc<Expose>,
    /// The path that capabilities are matched with, if it is not that of the request.
    pub capability_path: Option<Template>,
    /// The service that Magpie's permissions are asked about, and the path below it.
    pub magpie: Option<(Template, Template)>,
    /// What COPY and MOVE ask about their destination, if somebody looks at it.
    pub destination: Option<DestinationRule>,
    /// Whether denials of policies count, if that is not as for the whole server.
    pub mode: Option<Mode>,
    /// The answer when no policy permits.
    pub on_deny: DenyAnswer,
    /// Where browsers log in.
    pub login: Option<Template>,
    /// What happens on every allow.
    pub on_allow: Arc<RouteEdits>,
}

/// What COPY and MOVE of a route ask about their destination.
#[derive(Clone, Debug)]
pub struct DestinationRule {
    /// It may be on another host, or a `Source` on another host may be there instead.
    pub third_party: bool,
    /// The names of the server, beside the one that a request is for.
    pub hosts: Vec<HostPattern>,
    /// The second action of each of the two methods that the route lists.
    pub actions: Vec<(Box<str>, Action)>,
}

/// An action, as policies name it.
#[derive(Clone, Debug)]
pub struct Action {
    /// The name alone: `GET`, `workspace.credentials.read`.
    pub name: Arc<str>,
    /// `Action::"<name>"`.
    pub uid: EntityUid,
}

/// How a denial of a route looks from outside.
#[derive(Clone, Debug, Default)]
pub struct DenyAnswer {
    /// HTTP status; 401 without a credential and 403 otherwise, unless set.
    pub status: Option<u16>,
    /// The line the caller gets.
    pub reason: Option<Arc<str>>,
    /// More response headers.
    pub headers: Arc<[(Box<str>, Box<str>)]>,
}

impl Route {
    /// What a request of this method asks about its destination; `None` if it has none.
    pub fn destination(&self, method: &str) -> Option<(&DestinationRule, &Action)> {
        let rule = self.destination.as_ref()?;
        let (_, action) = rule.actions.iter().find(|(m, _)| **m == *method)?;
        Some((rule, action))
    }
}

/// The methods that name a second resource in `Destination` (RFC 4918 sections 9.8 and 9.9).
const WITH_DESTINATION: [&str; 2] = ["COPY", "MOVE"];

impl RouteSettings {
    /// Each method that asks about its destination, with the name of its second action.
    pub(crate) fn destination_actions(&self) -> impl Iterator<Item = (&str, String)> {
        let asked = !matches!(self.destination, None | Some(DestinationSettings::Ignore));
        let methods = self.methods.iter().map(String::as_str);
        methods
            .filter(move |method| asked && WITH_DESTINATION.contains(method))
            .map(|method| {
                (
                    method,
                    format!("{}.destination", self.action.as_deref().unwrap_or(method)),
                )
            })
    }
}
