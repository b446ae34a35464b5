//! The words that every room of the house shares: what was asked ([`Check`]), who asked ([`Principal`]), what was
//! answered ([`Decision`]) and what the caller gets to see of it ([`Reply`]).
//!
//! This crate does no IO and knows no wire format, no policy language and no token format. A contract turns bytes into
//! a `Check` and a `Reply` into bytes; a [`Decide`] turns a `Check` into a `Decision`.

#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unreachable
    )
)]

mod capability;
mod check;
mod decide;
mod decision;
mod headers;
mod host;
mod house_view;
mod owned;
mod path;
mod principal;
mod reply;
mod route_edits;

pub use capability::{Capabilities, Operation, Operations};
pub use check::{
    Body, Check, HttpRequest, ListenerOptions, Metadata, NoMetadata, Pairs, Peer, Target, TcpConnection,
};
pub use decide::{Decide, Malformed};
pub use decision::{
    Audited, Contract, Decision, DecisionId, Denial, ErrorBody, Permit, Reason, Verdict, Version,
};
pub use headers::{HeaderEdits, Headers};
pub use host::{Host, HostRefusal};
pub use house_view::{Before, HouseKey, HouseView, LocalUser, NetworkToken, Revocations, Revoked};
pub use owned::{Keep, OwnedCheck};
pub use path::{Decoding, PathRefusal, RequestPath};
pub use principal::{Actor, Delegation, Principal, PrincipalKind};
pub use reply::{DECISION_ID_HEADER, Reply};
pub use route_edits::RouteEdits;
