//! What goes wrong around a server: its issuers, its files, its network, its own process. `catalogue.txt` has every fault, and
//! which test holds it, here or elsewhere.

mod catalogue;
mod files;
mod issuers;
mod origin;
mod process;
mod wire;
