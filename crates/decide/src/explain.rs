//! The explanation of a decision, for people: a document that the walk itself fills in.
//!
//! Start with [`Explanation`]. It is made by `Pipeline::explain` and judges nothing: the verdict is that of the decision.

mod document;
mod hints;
mod kept;
mod redacted;
mod routes;
mod views;
mod visible;

pub use document::{
    Condition, Credential, CredentialCheck, Entity, Explanation, FORMAT, Magpie, MagpieNeed, MagpieSeen,
    NearRoute, Part, Policy, Principal, Question, Recorded, Reply, Request, Route, Step, Unmet,
};
pub use kept::Kept;
pub use visible::Visible;

pub(crate) use hints::hints;
pub(crate) use routes::near;
pub(crate) use views::{credential_of, principal_of, reply_of, request_of};
