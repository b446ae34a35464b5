//! The client's address, as far as it can be known.

use std::net::IpAddr;

use model::{Check, Target};

/// The address of the client: the connection's own with `trusted_hops` 0, else that many entries from the right of
/// `X-Forwarded-For` (each trusted proxy appends the address it saw). Where the proxy that asks states that address
/// besides, it is the first of them.
///
/// `None` when there are fewer entries than trusted proxies, or one that is no address: then somebody between does not
/// do what the configuration says, and a policy must not take a guess for an address.
pub(crate) fn client_ip(check: &Check<'_>, trusted_hops: u8) -> Option<IpAddr> {
    let Target::Http(request) = &check.target else {
        return check.peer.address;
    };
    let Some(skipped) = usize::from(trusted_hops).checked_sub(1) else {
        return check.peer.address;
    };
    // Envoy appends its peer to the header before it asks; of the others we have it besides.
    let skipped = match (check.contract.states_peer(), skipped.checked_sub(1)) {
        (false, _) => skipped,
        (true, None) => return check.peer.address,
        (true, Some(skipped)) => skipped,
    };
    let values: Vec<&str> = request
        .headers
        .all("x-forwarded-for")
        .map(std::str::from_utf8)
        .collect::<Result<_, _>>()
        .ok()?;
    let entry = values
        .iter()
        .flat_map(|value| value.split(','))
        .rev()
        .nth(skipped)?
        .trim();
    entry.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use model::{Body, Contract, Decoding, Headers, Host, HttpRequest, NoMetadata, Pairs, Peer, RequestPath};

    use super::*;

    #[test]
    fn hops_are_counted_from_the_right() {
        for (forwarded, hops, expected) in [
            (&["1.1.1.1, 2.2.2.2"][..], 0, Some("9.9.9.9")),
            (&["1.1.1.1, 2.2.2.2"], 1, Some("2.2.2.2")),
            (&["1.1.1.1, 2.2.2.2"], 2, Some("1.1.1.1")),
            (&["1.1.1.1, 2.2.2.2"], 3, None),
            (&["1.1.1.1", "2.2.2.2"], 1, Some("2.2.2.2")),
            (&["6.6.6.6", "1.1.1.1, 2.2.2.2"], 2, Some("1.1.1.1")),
            (&["1.1.1.1, unknown"], 1, None),
            (&["::ffff:10.0.0.1"], 1, Some("10.0.0.1")),
            (&[], 0, Some("9.9.9.9")),
            (&[], 1, None),
        ] {
            let mut headers = Headers::default();
            for value in forwarded {
                headers.push("x-forwarded-for", value.as_bytes());
            }
            let (path, query) = RequestPath::parse_target(b"/", Decoding::Raw).unwrap();
            let mut check = Check {
                contract: Contract::Direct,
                target: Target::Http(HttpRequest {
                    method: "GET",
                    scheme: "https",
                    host: Host::parse("h").unwrap(),
                    path,
                    query,
                    headers,
                    body: Body::Absent,
                }),
                peer: Peer {
                    address: Some("9.9.9.9".parse().unwrap()),
                    principal: "",
                },
                context_extensions: Pairs::new(),
                metadata: &NoMetadata,
                timeout: None,
                traceparent: None,
                listener: model::ListenerOptions::default(),
            };
            assert_eq!(
                client_ip(&check, hops),
                expected.map(|ip| ip.parse().unwrap()),
                "{forwarded:?} {hops}"
            );
            // Where the proxy states its peer besides, that is one entry more.
            check.contract = Contract::Nginx;
            assert_eq!(client_ip(&check, 1), check.peer.address, "{forwarded:?}");
            if hops > 0 {
                let expected = expected.map(|ip| ip.parse().unwrap());
                assert_eq!(
                    client_ip(&check, hops + 1),
                    expected,
                    "{forwarded:?} {hops} besides"
                );
            }
        }
    }
}
