//! What is asked for: host + path + method, looked up in the route table, become a resource and an action.
//!
//! The most specific route wins: a literal segment before a `{name}`, a `{name}` before a `{rest..}`, an exact host
//! before any host. Two routes that match the same requests are an error at load. The table is a tree of segments, so a
//! lookup costs the same with ten routes as with ten thousand.

mod compile;
mod pattern;
mod resource;
mod settings;
mod table;
mod template;

pub(crate) use compile::{action, compile, percent_encode};
pub use pattern::{Pattern, Segment};
pub use resource::{Attribute, ResourceTemplate};
pub use settings::{
    AttributeSettings, EntityReference, EntitySettings, OnAllow, OnDeny, ResourceSettings, RouteExpose,
    RouteSettings,
};
pub use table::{Found, RouteTable};
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
    /// The names its pattern captures, in order.
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
    /// Whether denials of policies count, if that is not as for the whole server.
    pub mode: Option<Mode>,
    /// The answer when no policy permits.
    pub on_deny: DenyAnswer,
    /// Where browsers log in.
    pub login: Option<Template>,
    /// What happens on every allow.
    pub on_allow: Arc<RouteEdits>,
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
