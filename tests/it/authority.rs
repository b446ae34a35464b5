//! What the house vouches for itself: the store and what is built on it.

mod delegation;
mod kill;
mod outages;
mod postgres;
mod replica;
mod store;
