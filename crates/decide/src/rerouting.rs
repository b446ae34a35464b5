//! Headers by which a client could make the upstream see another request than the one that is judged: another method,
//! another path or host, or what only a proxy in front may say, in a spelling that the proxy does not know.

use model::{Contract, Headers};

/// Headers by which frameworks let a client name another method than that of the request.
const METHODS: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// Headers by which frameworks let a client name another path or host, and that no proxy sends when it asks.
const URLS: [&str; 6] = [
    "x-rewrite-url",
    "x-override-url",
    "x-forwarded-path",
    "x-forwarded-prefix",
    "x-host",
    "x-http-host-override",
];

/// Headers by which one proxy tells another what was asked for, and which frameworks believe as well. Many requests have
/// one for a good reason, so they pass, and lose it where headers can be removed.
pub(crate) const QUESTIONS: [&str; 5] = [
    "x-original-url",
    "x-original-uri",
    "x-original-method",
    "x-forwarded-uri",
    "x-forwarded-method",
];

/// How the headers begin that proxies set and upstreams believe.
const PROXIES: [&str; 10] = [
    "x-forwarded-",
    "x-original-",
    "x-real-",
    "x-envoy-",
    "x-auth-",
    "x-authenticated-",
    "x-webauth-",
    "x-remote-",
    "remote-",
    "x-portcullis-",
];

/// A header that names another method, with `-` or `_`.
pub(crate) fn method<'a>(headers: &Headers<'a>) -> Option<&'a str> {
    find(headers, |name| METHODS.iter().any(|known| is(name, known)))
}

/// A header that names another path or host, with `-` or `_`.
pub(crate) fn url<'a>(headers: &Headers<'a>, contract: Contract) -> Option<&'a str> {
    // It is Traefik itself that says which prefix it has stripped.
    let own = |known: &str| contract == Contract::Traefik && known == "x-forwarded-prefix";
    find(headers, |name| {
        URLS.iter().any(|known| is(name, known) && !own(known))
    })
}

/// A header that some upstreams take for one that only proxies may set, because they make one character of everything
/// that is neither a letter nor a digit (CGI, WSGI, PHP): `X_Forwarded_Proto`, `Remote_User`.
///
/// For what is `excepted` there are other rules.
pub(crate) fn alias<'a>(headers: &Headers<'a>, excepted: impl Fn(&str) -> bool) -> Option<&'a str> {
    find(headers, |name| {
        let begins = |known: &&str| name.get(..known.len()).is_some_and(|start| is(start, known));
        is_odd(name) && PROXIES.iter().any(begins) && !excepted(name)
    })
}

/// Whether some header has a name that can be taken for another one. Most requests have none, and no spelling to compare.
pub(crate) fn has_odd_names(headers: &Headers<'_>) -> bool {
    headers.iter().any(|(name, _)| is_odd(name))
}

fn is_odd(name: &str) -> bool {
    // Looks at every byte whatever was found, which is quicker than stopping.
    let odd = |b: u8| !b.is_ascii_alphanumeric() && b != b'-';
    name.bytes().fold(false, |found, b| found | odd(b))
}

fn find<'a>(headers: &Headers<'a>, wanted: impl Fn(&str) -> bool) -> Option<&'a str> {
    headers.iter().map(|(name, _)| name).find(|name| wanted(name))
}

/// Whether an upstream may take `name` for `known`.
pub(crate) fn is(name: &str, known: &str) -> bool {
    let folded = |b: u8| {
        if b.is_ascii_alphanumeric() {
            b.to_ascii_lowercase()
        } else {
            b'-'
        }
    };
    name.len() == known.len() && name.bytes().map(folded).eq(known.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_make_the_upstream_see_another_request() {
        for (name, found) in [
            ("X-HTTP-Method-Override", "method"),
            ("x_http_method_override", "method"),
            ("X-HTTP-Method", "method"),
            ("x-method-override", "method"),
            ("X-Rewrite-URL", "url"),
            ("x.override_url", "url"),
            ("X-Forwarded-Path", "url"),
            ("X-Forwarded-Prefix", "url"),
            ("X-Host", "url"),
            ("X-HTTP-Host-Override", "url"),
            ("X_Forwarded_Path", "alias url"),
            ("X_Forwarded_Proto", "alias"),
            ("X-Forwarded_For", "alias"),
            ("X.Forwarded.Host", "alias"),
            ("X_Original_URI", "alias"),
            ("X_Auth_User", "alias"),
            ("Remote_User", "alias"),
            ("x_real_ip", "alias"),
            ("X-Forwarded-Proto", ""),
            ("X-Original-URL", ""),
            ("X-Forwarded-Host", ""),
            ("Remote-User", ""),
            ("X-Request-Id", ""),
            ("session_id", ""),
            ("x_forward", ""),
            ("x_auth_mine", ""),
            ("forwarded", ""),
            ("host", ""),
        ] {
            let mut headers = Headers::default();
            headers.push(name, b"a");
            let looks = [
                ("alias", alias(&headers, |name| name == "x_auth_mine")),
                ("method", method(&headers)),
                ("url", url(&headers, Contract::EnvoyGrpc)),
            ];
            let got: Vec<&str> = looks
                .iter()
                .filter(|(_, got)| *got == Some(name))
                .map(|(what, _)| *what)
                .collect();
            assert_eq!(got.join(" "), found, "{name}");
        }
    }

    #[test]
    fn traefik_says_itself_what_it_stripped() {
        for (name, contract, refused) in [
            ("x-forwarded-prefix", Contract::Traefik, false),
            ("x-forwarded-prefix", Contract::Caddy, true),
            ("x-forwarded-path", Contract::Traefik, true),
        ] {
            let mut headers = Headers::default();
            headers.push(name, b"/admin");
            assert_eq!(url(&headers, contract).is_some(), refused, "{name} {contract:?}");
        }
    }
}
