//! Every folder below `policies/` with a configuration: its policies are asked about made-up requests, twice each, by index
//! and by Cedar's `Authorizer`, and both must say the same.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use decide::policy::SelfCheckStatus;
use decide::{Pipeline, Record, Recorder};
use model::{
    Actor, Body, Check, Contract, Decoding, Headers, Host, HttpRequest, NoMetadata, Pairs, Peer, Principal,
    PrincipalKind, RequestPath, Target,
};
use portcullis::config;

/// So many requests to each pack.
const CASES: usize = 2_000;

struct Nowhere;

impl Recorder for Nowhere {
    fn offer(&self, _: &Record<'_, '_>) {}
}

fn packs() -> Vec<PathBuf> {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let folders = policies.read_dir().expect("policies/");
    let files = folders.map(|entry| entry.expect("an entry").path().join("portcullis.yaml"));
    files.filter(|file| file.exists()).collect()
}

/// Numbers without a pattern, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound
    }

    fn of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.below(all.len())]
    }

    fn some(&mut self, words: &[String]) -> Vec<String> {
        let count = self.below(3);
        (0..count).map(|_| self.of(words).clone()).collect()
    }
}

/// The words in quotation marks of a pack's policies and the names of its services, besides some that may be in none.
fn words(folder: &Path) -> Vec<String> {
    let mut words: Vec<String> = ["alice", "ws-alice", "ws-bob", "main"]
        .map(str::to_owned)
        .to_vec();
    for entry in folder.read_dir().expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "cedar") {
            let text = std::fs::read_to_string(&path).expect("a policy file");
            words.extend(text.split('"').skip(1).step_by(2).map(str::to_owned));
        }
        if path.file_name().is_some_and(|name| name == "providers.cfg") {
            // Most requests should be to a service that is there.
            let text = std::fs::read_to_string(&path).expect("a file of services");
            let names = text
                .lines()
                .filter_map(|line| line.strip_prefix("  ")?.split_once(':'));
            let names = names
                .map(|(name, _)| name)
                .filter(|name| !name.starts_with([' ', '#']));
            words.extend(names.map(str::to_owned));
        }
    }
    words
}

/// A pattern with a word for each capture.
fn filled(pattern: &str, random: &mut Random, words: &[String]) -> String {
    let mut parts = pattern.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text += random.of::<String>(words);
        text += part.split_once('}').map_or("", |(_, behind)| behind);
    }
    text
}

fn principal(random: &mut Random, issuers: &[&str], words: &[String]) -> Principal {
    let mut principal = Principal::anonymous();
    principal.kind = *random.of(&PrincipalKind::ALL);
    if principal.kind == PrincipalKind::Anonymous {
        return principal;
    }
    principal.issuer = (*random.of(issuers)).to_owned();
    principal.subject = random.of(words).clone();
    principal.id = format!("{}/{}", principal.issuer, principal.subject);
    principal.scopes = random.some(words);
    if random.below(2) == 0 {
        principal.audiences = words.to_vec();
    }
    if random.below(2) == 0 {
        principal.name = Some((*random.of(&["user", "alice"])).to_owned());
    }
    if random.below(2) == 0 {
        principal.client = Some(random.of(words).clone());
    }
    if matches!(principal.kind, PrincipalKind::User | PrincipalKind::Robot) {
        principal.groups = random.some(words);
        let clients = random.some(words);
        for client in clients {
            if principal.roles.iter().all(|(known, _)| *known != client) {
                principal.roles.push((client, random.some(words)));
            }
        }
    }
    if random.below(4) == 0 {
        let client: &String = random.of(words);
        principal.actors.push(Actor::new(&principal.issuer, client));
    }
    principal
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "how much was compared")]
async fn every_pack_is_answered_as_cedar_does() {
    let packs = packs();
    assert!(!packs.is_empty());
    for pack in packs {
        let text = std::fs::read_to_string(&pack).expect("a configuration");
        let text = text.replacen("\npolicies:", "\npolicies:\n  self_check_every: 1\n#", 1);
        let folder = pack.parent().expect("a folder");
        let name = pack.display().to_string();
        let loaded = config::load_text(&name, &text, folder).unwrap_or_else(|problems| panic!("{problems}"));
        let handle = tokio::runtime::Handle::current();
        let pipeline = Pipeline::start(loaded.rules, Box::new(Nowhere), &handle).expect("a pipeline");
        let words = words(folder);
        let live = pipeline.live();
        let routes = live.rules().routes().routes();
        let issuers = live.rules().principal_names();
        let mut random = Random(0x5eed);
        let (mut asked, mut allowed) = (0, 0);
        while asked < CASES {
            let route = random.of(routes);
            let (hosts, pattern) = route
                .name
                .split_at(route.name.find('/').unwrap_or(route.name.len()));
            let hosts: Vec<&str> = hosts.split(',').collect();
            let host = match *random.of(&hosts) {
                "" => "api.example.test".to_owned(),
                host => filled(host, &mut random, &words),
            };
            let host = host.to_ascii_lowercase();
            let target = filled(pattern, &mut random, &words);
            let Ok((path, query)) = RequestPath::parse_target(target.as_bytes(), Decoding::Raw) else {
                continue;
            };
            let Ok(host) = Host::parse(&host) else {
                continue;
            };
            let Some((method, _)) = route.actions.get(random.below(route.actions.len())) else {
                continue;
            };
            let check = Check {
                listener: model::ListenerOptions::default(),
                contract: Contract::Direct,
                target: Target::Http(HttpRequest {
                    method,
                    scheme: "https",
                    host,
                    path,
                    query,
                    headers: Headers::default(),
                    body: Body::Absent,
                }),
                peer: Peer::default(),
                context_extensions: Pairs::new(),
                metadata: &NoMetadata,
                timeout: None,
                traceparent: None,
            };
            let who = principal(&mut random, &issuers, &words);
            let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
            asked += 1;
            allowed += usize::from(pipeline.decide_as(&check, &who, now).is_allow());
        }
        let SelfCheckStatus {
            checked, differences, ..
        } = live.rules().policies().self_check();
        println!("{name}: {asked} requests, {allowed} allowed, {checked} answers compared");
        assert_eq!(differences, 0, "{name}");
        assert!(checked as usize > CASES / 3, "{name}: only {checked} compared");
        assert!(allowed > CASES / 100, "{name}: only {allowed} allowed");
    }
}
