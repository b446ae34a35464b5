//! What the house vouches for itself: the store and what is built on it.

mod admin;
pub(crate) mod delegation;
mod examined;
mod federation;
mod kill;
mod outages;
mod postgres;
mod replica;
mod store;
