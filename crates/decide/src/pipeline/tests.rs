//! The walk without a door and without tokens: what policies say, what is answered, what is recorded.

use std::sync::{Arc, Mutex};

use model::{
    Body, Contract, Decoding, Headers, Host, HttpRequest, NoMetadata, Pairs, Peer, RequestPath, Target,
    Verdict,
};

use super::*;
use crate::policy::{Backend, EngineSettings, SourceFile, Sources};
use crate::routes::RouteSettings;
use crate::settings::Settings;

mod audit;
mod backstage;
mod data;
mod delegated;
mod destination;
mod evaluation;
mod explain;
mod house;
mod login;
mod magpie;
mod measured;
mod replace;
mod shadow;
mod tokens;

/// Keeps of each record: verdict, reason, policies, who, the reason in words, and what failed.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<String>>>);

impl Recorder for Records {
    fn offer(&self, record: &Record<'_, '_>) {
        let who = record
            .principal
            .map_or_else(|| "unknown".to_owned(), ToString::to_string);
        let mut line = format!("{} {} {}", record.decision.reason(), who, record.why());
        for error in record.errors {
            let place = error.place.as_ref();
            let place = place.map(|(file, line)| format!("{file}:{line}"));
            line += &format!("; {place:?} {}: {}", error.policy, error.message);
        }
        self.0.lock().unwrap().push(line);
    }
}

const SCHEMA: &str = "entity Group; entity User in [Group] = { subject: String, issuer: String, name?: String, \
     client?: String } tags Set<String>; entity Robot in [Group] = { subject: String, issuer: String, name?: String, \
     client?: String } tags Set<String>; entity Client = { subject: String, issuer: String, name?: String, \
     client?: String }; entity Anonymous; entity Actor = { issuer: String, client: String }; entity Page = { name: String };";

struct Stage {
    pipeline: Pipeline,
    records: Records,
    runtime: tokio::runtime::Runtime,
}

fn stage(policies: &str, settings: Settings) -> Stage {
    start(rules(policies, settings))
}

fn rules(policies: &str, settings: Settings) -> Rules {
    compile(settings, &sources(policies))
}

fn sources(policies: &str) -> Sources {
    let file = |name: &str, text: &str| SourceFile {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    Sources {
        schema: vec![file("test.cedarschema", SCHEMA)],
        policies: vec![file("test.cedar", policies)],
        ..Sources::default()
    }
}

fn compile(settings: Settings, sources: &Sources) -> Rules {
    let route: RouteSettings = serde_json::from_value(serde_json::json!({
        "path": "/pages/{page}", "methods": ["GET", "POST"],
        "resource": {"type": "Page", "id": "{page}", "attributes": {"name": "{page}"}},
    }))
    .unwrap();
    let settings = Settings {
        routes: [vec![route], settings.routes].concat(),
        actions: match settings.actions.is_empty() {
            true => crate::settings::default_actions(),
            false => settings.actions,
        },
        ..settings
    };
    let compiled = Rules::compile(&settings, sources);
    compiled.unwrap_or_else(|problems| panic!("{problems:#?}")).0
}

fn start(rules: Rules) -> Stage {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let records = Records::default();
    let pipeline = Pipeline::start(rules, Box::new(records.clone()), runtime.handle()).unwrap();
    Stage {
        pipeline,
        records,
        runtime,
    }
}

impl Stage {
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Decision {
        self.ask_from(Peer::default(), method, path, headers)
    }

    fn ask_from(&self, peer: Peer<'_>, method: &str, path: &str, headers: &[(&str, &str)]) -> Decision {
        self.ask_through(Contract::EnvoyGrpc, peer, method, path, headers)
    }

    fn ask_through(
        &self,
        contract: Contract,
        peer: Peer<'_>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Decision {
        let (path, query) = RequestPath::parse_target(path.as_bytes(), Decoding::Raw).unwrap();
        let mut all = Headers::default();
        for (name, value) in headers {
            all.push(name, value.as_bytes());
        }
        let target = Target::Http(HttpRequest {
            method,
            scheme: "https",
            host: Host::parse("api.example.test").unwrap(),
            path,
            query,
            headers: all,
            body: Body::Absent,
        });
        self.decide_through(contract, peer, target)
    }

    fn decide<'a>(&self, peer: Peer<'a>, target: Target<'a>) -> Decision {
        self.decide_through(Contract::EnvoyGrpc, peer, target)
    }

    fn decide_through<'a>(&self, contract: Contract, peer: Peer<'a>, target: Target<'a>) -> Decision {
        let check = Check {
            contract,
            target,
            peer,
            context_extensions: Pairs::new(),
            metadata: &NoMetadata,
            timeout: None,
            traceparent: None,
            listener: model::ListenerOptions::default(),
        };
        self.pipeline.decide_now(&check).expect("no key is needed")
    }
}

fn told(decision: &Decision) -> (u16, Reason, String) {
    match decision.verdict() {
        Verdict::Allow(_) => (200, Reason::Permitted, String::new()),
        Verdict::Deny(denial) => (denial.status, denial.reason, denial.caller.to_string()),
    }
}

fn evaluated(backend: Backend, self_check_every: u64) -> Settings {
    Settings {
        engine: EngineSettings {
            backend,
            self_check_every,
        },
        ..Settings::default()
    }
}

const PERMIT_ALL: &str = "@id(\"all\") permit(principal, action, resource);";
/// Overflows for every page but "one": not a type error, so the validator lets it pass.
const OVERFLOW: &str = "when { (if resource.name == \"one\" then 1 else 9223372036854775807) + 1 > 0 }";

#[test]
fn policies_decide_and_doubt_is_a_denial() {
    let forbid = |annotations: &str, when: &str| {
        format!("{PERMIT_ALL} @id(\"no\") {annotations} forbid(principal, action, resource) {when};")
    };
    for (policies, page, expected) in [
        (
            String::new(),
            "one",
            (401, Reason::CredentialMissing, "a credential is needed"),
        ),
        (PERMIT_ALL.to_owned(), "one", (200, Reason::Permitted, "")),
        (
            forbid("", "when { resource.name == \"one\" }"),
            "one",
            (401, Reason::Forbidden, "a credential is needed"),
        ),
        (
            forbid("", "when { resource.name == \"one\" }"),
            "two",
            (200, Reason::Permitted, ""),
        ),
        (
            forbid(
                "@status(\"404\") @reason(\"no such page\")",
                "when { resource.name == \"one\" }",
            ),
            "one",
            (404, Reason::Forbidden, "no such page"),
        ),
        // A forbid that cannot be evaluated may have forbidden; a permit that cannot be does not permit.
        (
            forbid("", OVERFLOW),
            "two",
            (401, Reason::PolicyError, "a credential is needed"),
        ),
        (
            format!("@id(\"maybe\") permit(principal, action, resource) {OVERFLOW};"),
            "two",
            (401, Reason::CredentialMissing, "a credential is needed"),
        ),
        (
            format!("{PERMIT_ALL} @id(\"maybe\") permit(principal, action, resource) {OVERFLOW};"),
            "two",
            (200, Reason::Permitted, ""),
        ),
    ] {
        for backend in [Backend::Sliced, Backend::Authorizer] {
            let stage = stage(&policies, evaluated(backend, 0));
            let decision = stage.ask("GET", &format!("/pages/{page}"), &[]);
            let (status, reason, caller) = told(&decision);
            assert_eq!(
                (status, reason, caller.as_str()),
                expected,
                "{policies} for {page}, {backend:?}"
            );
        }
    }
}

#[test]
fn the_determining_policies_are_named() {
    let both = format!("{PERMIT_ALL} @id(\"also\") permit(principal, action in Action::\"read\", resource);");
    let stage = stage(&both, Settings::default());
    let names = |decision: &Decision| {
        decision
            .policies()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&stage.ask("GET", "/pages/one", &[])), ["all", "also"]);
    assert_eq!(names(&stage.ask("POST", "/pages/one", &[])), ["all"]);
}

#[test]
fn what_is_asked_for_must_be_in_the_table() {
    let stage = stage(PERMIT_ALL, Settings::default());
    for (method, path, reason) in [
        ("GET", "/pages/one", Reason::Permitted),
        ("PUT", "/pages/one", Reason::NoMethod),
        ("get", "/pages/one", Reason::NoMethod),
        ("GET", "/pages", Reason::NoRoute),
        ("GET", "/pages/", Reason::NoRoute),
        ("GET", "/pages/one/two", Reason::NoRoute),
    ] {
        assert_eq!(stage.ask(method, path, &[]).reason(), reason, "{method} {path}");
    }
    let connection = model::TcpConnection {
        destination_port: Some(443),
        sni: "api.example.test",
    };
    let decision = stage.decide(Peer::default(), Target::Tcp(connection));
    assert_eq!(decision.reason(), Reason::NoRoute);
}

#[test]
fn a_refused_credential_never_becomes_anonymous() {
    let stage = stage(PERMIT_ALL, Settings::default());
    for credential in [
        "Bearer x",
        "Bearer ",
        "Basic dXNlcjpwdw==",
        "",
        "Bearer eyJhbGciOiJub25lIn0.e30.",
    ] {
        let decision = stage.ask("GET", "/pages/one", &[("authorization", credential)]);
        let (status, reason, _) = told(&decision);
        assert_eq!(
            (status, reason),
            (401, Reason::CredentialRefused),
            "{credential:?}"
        );
    }
}

const GATEWAY: &str = "spiffe://td.test/ns/in/sa/gw";
const FORWARDED: &str = "x-forwarded-client-cert";

fn with_certificates(forwarded_from: &[&str]) -> Settings {
    let settings = serde_json::json!({
        "name": "mesh", "trust_domains": ["td.test"], "dns_names": ["*.grid.test"],
        "forwarded_from": forwarded_from,
    });
    Settings {
        client_certificates: serde_json::from_value(settings).unwrap(),
        ..Settings::default()
    }
}

/// Who asks, as the record has it, by the peer, the header and a token.
#[test]
fn a_client_certificate_says_who_asks_without_a_token() {
    let peer = |address: &str, principal| Peer {
        address: address.parse().ok(),
        principal,
    };
    let a = "spiffe://td.test/a";
    let plain = || stage(PERMIT_ALL, Settings::default());
    let mesh = || stage(PERMIT_ALL, with_certificates(&[]));
    let behind_gateway = || stage(PERMIT_ALL, with_certificates(&["10.0.0.0/8", GATEWAY]));
    let permitted = |who: &str| format!("permitted {who} permitted by all");
    let robot = |id: &str| permitted(&format!("Robot::\"mesh/{id}\""));
    let anonymous = || permitted("Anonymous");
    let refused = |why: &str| format!("credential_refused unknown {why}");
    let forwarded = |value| (FORWARDED, value);
    let element = forwarded("Hash=0a;Subject=\"CN=b\";URI=spiffe://td.test/b");
    let two = forwarded("URI=spiffe://td.test/b,URI=spiffe://td.test/c");
    let token = ("authorization", "Bearer x");
    for (stage, peer, headers, expected) in [
        (plain(), peer("9.9.9.9", a), &[][..], anonymous()),
        (plain(), peer("9.9.9.9", a), &[element], anonymous()),
        (mesh(), peer("9.9.9.9", a), &[], robot(a)),
        (
            mesh(),
            peer("9.9.9.9", "SE1.grid.test"),
            &[],
            robot("se1.grid.test"),
        ),
        (mesh(), peer("9.9.9.9", ""), &[], anonymous()),
        (mesh(), peer("9.9.9.9", "spiffe://other.test/a"), &[], anonymous()),
        (mesh(), peer("9.9.9.9", "CN=a"), &[], anonymous()),
        // A token decides, and a bad one is not made good by a certificate.
        (mesh(), peer("9.9.9.9", a), &[token], refused("")),
        (
            behind_gateway(),
            peer("9.9.9.9", GATEWAY),
            &[element, token],
            refused(""),
        ),
        // Without forwarders nobody is believed, whatever they say of themselves.
        (mesh(), peer("9.9.9.9", ""), &[element], anonymous()),
        (mesh(), peer("10.1.2.3", a), &[element], robot(a)),
        (mesh(), peer("9.9.9.9", a), &[two, two], robot(a)),
        (
            behind_gateway(),
            peer("10.1.2.3", ""),
            &[element],
            robot("spiffe://td.test/b"),
        ),
        (
            behind_gateway(),
            peer("9.9.9.9", GATEWAY),
            &[element],
            robot("spiffe://td.test/b"),
        ),
        (behind_gateway(), peer("9.9.9.9", GATEWAY), &[], anonymous()),
        (behind_gateway(), peer("9.9.9.9", a), &[], robot(a)),
        (
            behind_gateway(),
            peer("9.9.9.9", a),
            &[element],
            refused(
                "x-forwarded-client-cert came from 9.9.9.9 with the certificate of \"spiffe://td.test/a\"",
            ),
        ),
        (
            behind_gateway(),
            peer("9.9.9.9", ""),
            &[element],
            refused("x-forwarded-client-cert came from 9.9.9.9 without a certificate"),
        ),
        (
            behind_gateway(),
            peer("9.9.9.9", GATEWAY),
            &[two],
            refused("x-forwarded-client-cert has several elements"),
        ),
        (
            behind_gateway(),
            peer("9.9.9.9", GATEWAY),
            &[element, element],
            refused("x-forwarded-client-cert is there 2 times"),
        ),
        (
            behind_gateway(),
            peer("9.9.9.9", GATEWAY),
            &[forwarded("URI=spiffe://other.test/b")],
            refused("the forwarded certificate has no SPIFFE id or DNS name that is believed"),
        ),
    ] {
        let decision = stage.ask_from(peer, "GET", "/pages/one", headers);
        let row = format!("{peer:?} {headers:?}");
        let status = if expected.starts_with("permitted") {
            200
        } else {
            401
        };
        assert_eq!(told(&decision).0, status, "{row}");
        let records = stage.records.0.lock().unwrap();
        assert!(records.concat().starts_with(&expected), "{row}: {records:?}");
    }
}

/// Policies see the peer that is believed, and no other, whoever asks.
#[test]
fn policies_see_the_peer() {
    let policy = format!(
        "@id(\"inside\") permit(principal, action, resource) when {{ context has peer && context.peer == \"{GATEWAY}\" }};"
    );
    for (settings, principal, status) in [
        (with_certificates(&[GATEWAY]), GATEWAY, 200),
        (with_certificates(&[]), GATEWAY, 200),
        (with_certificates(&[]), "spiffe://td.test/ns/in/sa/gw2", 403),
        (with_certificates(&[]), "", 401),
        (Settings::default(), GATEWAY, 401),
    ] {
        let stage = stage(&policy, settings);
        let peer = Peer {
            address: None,
            principal,
        };
        let decision = stage.ask_from(peer, "GET", "/pages/one", &[]);
        assert_eq!(told(&decision).0, status, "{principal:?}");
    }
}

/// A proxy that was told which headers to copy before a policy set this one would let the client's pass.
#[test]
fn a_header_that_only_policies_set_is_refused_where_it_cannot_be_removed() {
    let policies = r#"@set_header("x-tier: gold") permit(principal, action, resource);"#;
    let stage = stage(policies, Settings::default());
    for (contract, name, status) in [
        (Contract::EnvoyGrpc, "x-tier", 200),
        (Contract::EnvoyHttp, "x-tier", 200),
        (Contract::Nginx, "x-tier", 400),
        (Contract::Traefik, "X-Tier", 400),
        (Contract::Caddy, "x_tier", 400),
        (Contract::Haproxy, "x-tiers", 200),
    ] {
        let decision = stage.ask_through(contract, Peer::default(), "GET", "/pages/one", &[(name, "gold")]);
        assert_eq!(told(&decision).0, status, "{} {name}", contract.as_str());
    }
}

/// An address that came in a header is nobody to believe who somebody is.
#[test]
fn networks_forward_certificates_only_where_the_transport_says_the_address() {
    let settings: Settings = serde_json::from_value(serde_json::json!({"client_certificates": {
        "name": "mesh", "trust_domains": ["td.test"], "forwarded_from": ["10.0.0.0/8"],
    }}))
    .unwrap();
    let stage = stage(PERMIT_ALL, settings);
    let peer = Peer {
        address: Some([10, 1, 2, 3].into()),
        principal: "",
    };
    let headers = [("x-forwarded-client-cert", "URI=spiffe://td.test/admin")];
    for (contract, status) in [
        (Contract::EnvoyGrpc, 200),
        (Contract::EnvoyHttp, 401),
        (Contract::Apisix, 401),
        (Contract::Nginx, 401),
        (Contract::Traefik, 401),
        (Contract::Caddy, 401),
        (Contract::Haproxy, 401),
    ] {
        let decision = stage.ask_through(contract, peer, "GET", "/pages/one", &headers);
        assert_eq!(told(&decision).0, status, "{}", contract.as_str());
    }
}

#[test]
fn every_check_leaves_one_record() {
    let stage = stage(PERMIT_ALL, Settings::default());
    stage.ask("GET", "/pages/one", &[]);
    stage.ask("GET", "/nowhere", &[]);
    stage.ask("GET", "/pages/one", &[("authorization", "Bearer x")]);
    stage.pipeline.refuse(&Malformed {
        contract: Contract::Direct,
        reason: Reason::AmbiguousPath,
        detail: "the path was refused".to_owned(),
    });
    let records = stage.records.0.lock().unwrap();
    let starts = [
        "permitted Anonymous permitted by all",
        "no_route Anonymous no route matches api.example.test/nowhere",
        "credential_refused unknown ",
        "ambiguous_path unknown the path was refused",
    ];
    assert_eq!(records.len(), starts.len(), "{records:#?}");
    for (record, start) in records.iter().zip(starts) {
        assert!(record.starts_with(start), "{record}");
    }
}

#[test]
fn decisions_name_the_version_of_their_rules() {
    let version = |policies: &str| {
        let stage = stage(policies, Settings::default());
        stage.ask("GET", "/pages/one", &[]).version().to_string()
    };
    assert_eq!(version(PERMIT_ALL), version(PERMIT_ALL));
    assert_ne!(version(PERMIT_ALL), version(&format!("{PERMIT_ALL} // changed")));
}
