//! Everything together: a real server, a local issuer with real keys, and real proxies.
//!
//! One binary, so that it links once. Each module is a topic; [`house`] is what they all start.

mod admin;
mod architecture;
mod audit;
mod authority;
mod caddy;
mod conformance;
mod credentials;
mod deploy;
mod doors;
mod envoy;
mod faults;
mod haproxy;
mod house;
mod idp;
mod metrics;
mod nginx;
mod otlp;
mod packs;
mod pages;
mod proxy;
mod reload;
mod second_opinion;
mod served;
mod soak;
mod tls;
mod traefik;
mod under_load;
