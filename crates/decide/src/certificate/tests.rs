//! Who asks by which certificate, and which settings are not accepted.

use model::{Headers, Peer};
use serde_json::{Value, json};

use super::*;
use crate::problem::{Place, Problem};

const GATEWAY: &str = "spiffe://td.test/ns/in/sa/gw";
const A: &str = "spiffe://td.test/ns/x/sa/a";

fn compile(settings: Value) -> (ClientCertificates, Vec<Problem>) {
    let names = ["main"];
    let mut problems = Vec::new();
    let settings = serde_json::from_value(settings).unwrap();
    let compiled = ClientCertificates::compile(&settings, &names, &mut problems);
    (compiled, problems)
}

fn certificates(forwarded_from: &[&str]) -> ClientCertificates {
    let (compiled, problems) = compile(json!({
        "name": "mesh", "trust_domains": ["td.test"], "dns_names": ["*.grid.test", "one.test"],
        "forwarded_from": forwarded_from,
    }));
    assert_eq!(problems, []);
    compiled
}

fn peer<'a>(address: &str, principal: &'a str) -> Peer<'a> {
    Peer {
        address: address.parse().ok(),
        principal,
    }
}

fn of_request(
    certificates: &ClientCertificates,
    peer: Peer<'_>,
    forwarded: &[&str],
) -> Result<Option<String>, CertificateRefusal> {
    let mut headers = Headers::default();
    for value in forwarded {
        headers.push("X-Forwarded-Client-Cert", value.as_bytes());
    }
    let principal = certificates.of_request(&headers, peer)?;
    Ok(principal.map(|principal| principal.to_string()))
}

fn robot(id: &str) -> Option<String> {
    Some(format!("Robot::\"mesh/{id}\""))
}

#[test]
fn the_peers_own_certificate() {
    for forwarded_from in [&[][..], &["192.0.2.0/24", GATEWAY]] {
        let certificates = certificates(forwarded_from);
        for (principal, expected) in [
            (A, Some(A)),
            ("se1.grid.test", Some("se1.grid.test")),
            ("SE1.Grid.Test", Some("se1.grid.test")),
            ("one.test", Some("one.test")),
            ("two.test", None),
            ("grid.test", None),
            ("a.se1.grid.test", None),
            ("*.grid.test", None),
            ("CN=se1.grid.test", None),
            ("CN=one.test,O=x", None),
            ("spiffe://other.test/a", None),
            ("spiffe://td.test.evil/a", None),
            ("spiffe://td.test", None),
            ("spiffe://td.test/a/../b", None),
            ("td.test/ns/x/sa/a", None),
        ] {
            let peer = peer("9.9.9.9", principal);
            let expected = expected.and_then(robot);
            assert_eq!(
                of_request(&certificates, peer, &[]),
                Ok(expected.clone()),
                "{principal}"
            );
            // A TCP connection has no other credential: what is not believed is refused.
            let connection = certificates.of_connection(peer);
            let unknown = || CertificateRefusal::Unknown(principal.to_owned());
            assert_eq!(
                connection.map(|who| who.map(|who| who.to_string())),
                expected.map(Some).ok_or_else(unknown),
                "{principal}"
            );
        }
        let nobody = peer("9.9.9.9", "");
        assert_eq!(of_request(&certificates, nobody, &[]), Ok(None));
        assert_eq!(certificates.of_connection(nobody), Ok(None));
    }
}

#[test]
fn without_forwarders_the_header_is_no_credential() {
    let certificates = certificates(&[]);
    for header in ["URI=spiffe://td.test/admin", "not even well-formed", ""] {
        for (principal, expected) in [("", None), (A, robot(A)), ("CN=x", None)] {
            let peer = peer("10.0.0.1", principal);
            let twice = [header, header];
            assert_eq!(
                of_request(&certificates, peer, &[header]),
                Ok(expected.clone()),
                "{header}"
            );
            assert_eq!(of_request(&certificates, peer, &twice), Ok(expected), "{header}");
        }
    }
}

#[test]
fn who_may_forward() {
    let header = format!("Hash=0a;Subject=\"CN=a\";URI={A}");
    let networks = ["10.0.0.0/8", "2001:db8::/32", GATEWAY];
    let certificates = certificates(&networks);
    for (address, principal, trusted) in [
        ("10.1.2.3", "", true),
        ("10.1.2.3", "CN=anything", true),
        ("::ffff:10.1.2.3", "", true),
        ("2001:db8::1", "", true),
        ("9.9.9.9", GATEWAY, true),
        ("", GATEWAY, true),
        ("11.1.2.3", "", false),
        ("2001:db9::1", "", false),
        ("", "", false),
        ("9.9.9.9", "spiffe://td.test/ns/in/sa/gw2", false),
        ("9.9.9.9", "spiffe://td.test/ns/in/sa", false),
        ("9.9.9.9", "SPIFFE://td.test/ns/in/sa/gw", false),
        ("9.9.9.9", A, false),
    ] {
        let peer = peer(address, principal);
        let got = of_request(&certificates, peer, &[&header]);
        let row = format!("{address} {principal}");
        if trusted {
            assert_eq!(got, Ok(robot(A)), "{row}");
            assert_eq!(of_request(&certificates, peer, &[]), Ok(None), "{row}: its own");
        } else {
            assert_eq!(got, Err(CertificateRefusal::Forwarder(described(peer))), "{row}");
            let twice = of_request(&certificates, peer, &[&header, &header]);
            assert_eq!(
                twice,
                Err(CertificateRefusal::Forwarder(described(peer))),
                "{row}"
            );
        }
    }
    let told = CertificateRefusal::Forwarder(described(peer("9.9.9.9", A))).to_string();
    for part in ["9.9.9.9", A, "forwarded_from", "SANITIZE"] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn what_a_forwarder_may_say() {
    use CertificateRefusal::{ForwarderItself, Header, Nobody, SeveralHeaders, SeveralNames};
    let certificates = certificates(&["10.0.0.0/8", GATEWAY]);
    let from = peer("10.1.2.3", "spiffe://td.test/ns/in/sa/other-gw");
    for (headers, expected) in [
        (&["URI=spiffe://td.test/ns/x/sa/a"][..], Ok(robot(A))),
        (
            &[
                "By=spiffe://td.test/ns/in/sa/gw;Hash=0a;Subject=\"O=x, y\";URI=\"spiffe://td.test/ns/x/sa/a\";DNS=se1.grid.test",
            ],
            Ok(robot(A)),
        ),
        (&["Hash=0a;URI=;DNS=SE1.grid.test"], Ok(robot("se1.grid.test"))),
        (
            &["URI=https://other.test/a;DNS=foo.test;DNS=se1.grid.test"],
            Ok(robot("se1.grid.test")),
        ),
        (&["URI=spiffe://other.test/a"], Err(Nobody)),
        (&["Subject=\"CN=se1.grid.test\""], Err(Nobody)),
        (&["By=spiffe://td.test/ns/x/sa/a;Hash=0a"], Err(Nobody)),
        (&["DNS=two.test"], Err(Nobody)),
        (
            &["DNS=se1.grid.test;DNS=one.test"],
            Err(SeveralNames("several DNS names that are believed")),
        ),
        (
            &["URI=spiffe://td.test/a;URI=spiffe://other.test/a"],
            Err(SeveralNames("several URIs")),
        ),
        (
            &["URI=spiffe://td.test/a", "URI=spiffe://td.test/a"],
            Err(SeveralHeaders(2)),
        ),
        (
            &["URI=spiffe://td.test/a,URI=spiffe://td.test/b"],
            Err(Header(XfccRefusal::SeveralElements)),
        ),
        (&["URI"], Err(Header(XfccRefusal::NoValue))),
        (&[""], Err(Header(XfccRefusal::NoValue))),
        (
            &["URI=spiffe://td.test/ns/in/sa/gw"],
            Err(ForwarderItself(GATEWAY.to_owned())),
        ),
        (
            &["URI=spiffe://td.test/ns/in/sa/other-gw"],
            Err(ForwarderItself(from.principal.to_owned())),
        ),
    ] {
        assert_eq!(of_request(&certificates, from, headers), expected, "{headers:?}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let at = |problem: &Problem| match &problem.at {
        Place::Setting(pointer) => format!("{pointer}: {}", problem.message),
        other => panic!("{other:?}"),
    };
    let long = "a".repeat(256);
    for (settings, expected) in [
        (
            json!({"name": "main"}),
            &[
                "/name: an issuer is called `main`",
                ": no certificate would be believed",
            ][..],
        ),
        (
            json!({"name": "Mesh/", "trust_domains": ["td.test"]}),
            &["/name: the short name is not"],
        ),
        (
            json!({"name": "", "dns_names": ["a.test"]}),
            &["/name: the short name is not"],
        ),
        (
            json!({"name": "m", "trust_domains": ["ok.test", "spiffe://td.test", "TD.test", "", "*.test", long]}),
            &[
                "/trust_domains/1:",
                "/trust_domains/2:",
                "/trust_domains/3:",
                "/trust_domains/4:",
                "/trust_domains/5:",
            ],
        ),
        (
            json!({"name": "m", "dns_names": ["*.ok.test", "*", "*.*.test", "A.test", "a.test.", "https://a.test"]}),
            &[
                "/dns_names/1:",
                "/dns_names/2:",
                "/dns_names/3:",
                "/dns_names/4:",
                "/dns_names/5:",
            ],
        ),
        (
            json!({"name": "m", "dns_names": ["a.test"], "forwarded_from": [
                "10.0.0.0/8", "fd00::/8", GATEWAY, "10.1.2.3", "10.1.2.3/8", "0.0.0.0/0", "::/0", "gw.test",
                "spiffe://td.test", "spiffe://td.test/a/", "10.0.0.0/33", "",
            ]}),
            &[
                "/forwarded_from/3: `10.1.2.3` is neither",
                "/forwarded_from/4: `10.1.2.3/8` has bits",
                "/forwarded_from/5: `0.0.0.0/0` is everybody",
                "/forwarded_from/6: `::/0` is everybody",
                "/forwarded_from/7: `gw.test` is neither",
                "/forwarded_from/8: `spiffe://td.test` is not the SPIFFE id",
                "/forwarded_from/9: `spiffe://td.test/a/` is not the SPIFFE id",
                "/forwarded_from/10: `10.0.0.0/33` is neither",
                "/forwarded_from/11: `` is neither",
            ],
        ),
    ] {
        let (_, problems) = compile(settings.clone());
        let told: Vec<String> = problems.iter().map(at).collect();
        assert_eq!(told.len(), expected.len(), "{settings}: {told:#?}");
        for (told, expected) in told.iter().zip(expected) {
            let expected = format!("/client_certificates{expected}");
            assert!(told.starts_with(&expected), "{told} is not {expected}");
        }
    }
}
