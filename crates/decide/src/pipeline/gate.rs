//! What is refused before anybody asks who it is: headers that make the upstream see another request than we do.

use model::{Check, Contract, Headers, Reason, Target};

use super::answer::{Stop, deny};
use super::live::Live;
use crate::identity_headers::Removable;
use crate::settings::MethodOverride;

/// Headers by which frameworks let a client name another method than that of the request.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

impl Live {
    /// Refuses headers that some upstreams cannot tell from an identity header of ours, and those that name another
    /// method.
    pub(super) fn gate(&self, check: &Check<'_>) -> Result<(), Stop> {
        let Target::Http(request) = &check.target else {
            return Ok(());
        };
        let removable = match check.contract {
            Contract::EnvoyGrpc | Contract::EnvoyHttp | Contract::Direct => Removable::Yes,
            _ => Removable::No,
        };
        if let Some(name) = self.rules.identity_headers.alias(&request.headers, removable) {
            let log = format!("the header {name:?} is an identity header in another spelling");
            return Err(reserved("a header has a name that is reserved", log));
        }
        match method_override(&request.headers) {
            Some(name) if self.rules.method_override == MethodOverride::Refuse => {
                let log = format!(
                    "the header {name:?} names another method than that of the request; if no upstream looks at it, set \
                     `method_override: ignore`"
                );
                Err(reserved("a header names another method", log))
            }
            _ => Ok(()),
        }
    }
}

/// Such a header, with `-` or `_`.
fn method_override<'a>(headers: &Headers<'a>) -> Option<&'a str> {
    let folded = |byte: u8| {
        if byte == b'_' {
            b'-'
        } else {
            byte.to_ascii_lowercase()
        }
    };
    let is =
        |name: &str, known: &str| name.len() == known.len() && name.bytes().map(folded).eq(known.bytes());
    headers
        .iter()
        .map(|(name, _)| name)
        .find(|name| METHOD_OVERRIDES.iter().any(|known| is(name, known)))
}

fn reserved(caller: &'static str, log: String) -> Stop {
    deny(400, Reason::Malformed, caller, log).into()
}
