//! Magpie's permissions: who may do what with which resource of which service, answered as Magpie answers it.

#![allow(dead_code, reason = "the resolver that asks is on its way")]

mod request;
