//! What is refused before anybody asks who it is: headers that make the upstream see another request than we do.

use model::{Check, Contract, Reason, Target};

use super::answer::{Stop, deny};
use super::live::Live;
use crate::identity_headers::Removable;
use crate::rerouting;
use crate::settings::OnReserved;

impl Live {
    /// Refuses headers that some upstreams cannot tell from one that only we or a proxy may set, and those that name
    /// another method, path or host.
    pub(super) fn gate(&self, check: &Check<'_>) -> Result<(), Stop> {
        let Target::Http(request) = &check.target else {
            return Ok(());
        };
        let removable = match check.contract {
            Contract::EnvoyGrpc | Contract::EnvoyHttp | Contract::Direct => Removable::Yes,
            _ => Removable::No,
        };
        // Spellings are compared only where a name has something else than letters, digits and `-`.
        let odd = rerouting::has_odd_names(&request.headers);
        if odd && let Some(name) = self.rules.identity_headers.alias(&request.headers, removable) {
            let log = format!("the header {name:?} is an identity header in another spelling");
            return Err(reserved("a header has a name that is reserved", log));
        }
        // A list of headers to copy that was written before the policy was would let the client's pass.
        if removable == Removable::No
            && let Some(name) = self.rules.identity_headers.forged(&request.headers)
        {
            let log = format!(
                "only a policy may set the header {name:?} (`@set_header`), and this proxy cannot remove it"
            );
            return Err(reserved("a header has a name that is reserved", log));
        }
        let (headers, rules) = (&request.headers, &self.rules);
        let refused = |setting: OnReserved| setting == OnReserved::Refuse;
        if odd
            && let Some(name) = rerouting::alias(headers, |name| rules.identity_headers.is_spelling(name))
            && refused(rules.header_aliases)
        {
            let log = format!(
                "some upstreams take the header {name:?} for one that only proxies set; if none of yours does, set \
                 `header_aliases: ignore`"
            );
            return Err(reserved("a header has a name that is reserved", log));
        }
        if let Some(name) = rerouting::url(headers, check.contract)
            && refused(rules.url_override)
        {
            let log = format!(
                "the header {name:?} names another path or host than that of the request; if no upstream looks at it, set \
                 `url_override: ignore`"
            );
            return Err(reserved("a header names another path or host", log));
        }
        let ignored = check.listener.ignores_method_override;
        if let Some(name) = rerouting::method(headers)
            && ignored.map_or(refused(rules.method_override), |ignored| !ignored)
        {
            let log = format!(
                "the header {name:?} names another method than that of the request; if no upstream looks at it, set \
                 `method_override: ignore`"
            );
            return Err(reserved("a header names another method", log));
        }
        Ok(())
    }
}

fn reserved(caller: &'static str, log: String) -> Stop {
    deny(400, Reason::Malformed, caller, log).into()
}
