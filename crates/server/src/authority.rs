//! The house as an authority: the endpoints where clients, other nodes and administrators ask it for something.
//!
//! What it keeps and signs is in the crate `authority`; whether somebody may is asked of `authority.policies`.

pub(crate) mod asking;
pub(crate) mod token_endpoint;
pub(crate) mod well_known;
