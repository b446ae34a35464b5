//! What pages take for granted: the repository, the default policies with an issuer that is there, certificates, secrets, tokens.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::people;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use serde_json::{Map, Value, json};

use super::page::Page;
use crate::root;

/// What pages write for an issuer that readers have, once they have put their own in its place.
const ISSUERS: [&str; 4] = [
    "http://127.0.0.1:8080/realms/demo",
    "https://iam.my.domain/realms/eoepca",
    "https://iam.my.domain/realms/birdhouse",
    "https://cms.example.org/",
];

/// A job runner may act for users, as docs/delegation.md has it.
const JOBS: &str = r#"@id("jobs-act-for-users")
permit (principal == Robot::"main/jobs", action == Action::"token.exchange", resource);"#;

/// The folder that the commands of a page begin in.
pub(super) struct Surroundings<'i> {
    pub(super) folder: PathBuf,
    issuer: &'i LocalIssuer,
}

impl<'i> Surroundings<'i> {
    /// A folder as the root of the repository, with the default configuration and what `page` adds to it.
    pub(super) fn new(name: &str, page: Option<&Page>, issuer: &'i LocalIssuer) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join("documented")
            .join(name);
        let _ = fs::remove_dir_all(&folder);
        let this = Self { folder, issuer };
        // One pack is enough to see that a verb does what a page says; all of them are tested elsewhere.
        let packs = if page.is_some() {
            "policies/default"
        } else {
            "policies"
        };
        copy(&root().join(packs), &this.folder.join(packs));
        copy(&root().join("policies/default"), &this.folder);
        for link in ["deploy", "docs"] {
            std::os::unix::fs::symlink(root().join(link), this.folder.join(link)).expect("a link");
        }
        this.write_files(page);
        this.write_papers();
        this.write_node_key(page);
        this.write_configurations(page);
        this
    }

    fn write_files(&self, page: Option<&Page>) {
        let pack = root().join("policies/default");
        let administrators = read(&pack.join("authority/administrators.cedar"));
        let own = |about: &str| {
            let blocks = page.into_iter().flat_map(|page| page.blocks_of("cedar"));
            let texts = blocks
                .map(|block| block.text.as_str())
                .filter(|text| text.contains(about));
            texts.collect::<String>()
        };
        let or = |own: String, otherwise: &str| if own.is_empty() { otherwise.to_owned() } else { own };
        let about_the_house =
            or(own("Action::\"administer\""), &administrators) + &or(own("Action::\"token.exchange\""), JOBS);
        let har = |method: &str| json!({ "request": { "method": method, "url": "https://api.example.test/public/hello", "headers": [] } });
        let har = json!({ "log": { "entries": [har("PUT"), har("POST"), har("GET")] } });
        for (name, text) in [
            ("authority.cedar", about_the_house.as_str()),
            ("admin.cedar", &own("Action::\"rules.write\"")),
            (
                "candidate/same.cedar",
                &(read(&pack.join("workspaces.cedar")) + &read(&pack.join("public.cedar"))),
            ),
            ("key.hex", &"5a".repeat(32)),
            ("site.yaml", "issuers: { trust_roles: true }\n"),
            ("run/secrets/audience", "workspace-api\n"),
            ("run/secrets/introspection", &"5a".repeat(32)),
            ("run/secrets/decision-log-key", &"5a".repeat(32)),
            ("session.har", &har.to_string()),
            ("token.txt", &self.administrator()),
            ("admin.token", &self.administrator()),
            ("leaked.txt", &self.token(people::alice_claims())),
            (".local/share/bash-completion/completions/.keep", ""),
            (".config/fish/completions/.keep", ""),
            (".zfunc/.keep", ""),
            ("target/.keep", ""),
        ] {
            write(&self.folder.join(name), text);
        }
        for name in ["providers.cfg", "permissions.cfg"] {
            let text = read(&root().join("policies/magpie").join(name));
            write(&self.folder.join(name), &text);
            write(&self.folder.join("magpie").join(name), &text);
        }
    }

    /// Certificates of the server and of the proxy that asks it, and of who vouches for them.
    fn write_papers(&self) {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = params.self_signed(&key).expect("a certificate").pem();
        write(&self.folder.join("ca.crt"), &authority);
        write(&self.folder.join("run/tls/ca.crt"), &authority);
        let issuer = Issuer::new(params, key);
        let proxy = "spiffe://cluster.local/ns/ingress/sa/envoy";
        for (name, who) in [
            ("run/tls/tls", SanType::IpAddress([127, 0, 0, 1].into())),
            ("envoy", SanType::URI(proxy.try_into().expect("a name"))),
        ] {
            let mut params = CertificateParams::default();
            params.subject_alt_names = vec![who];
            let key = KeyPair::generate().expect("a key");
            let certificate = params.signed_by(&key, &issuer).expect("a certificate").pem();
            write(&self.folder.join(format!("{name}.crt")), &certificate);
            write(&self.folder.join(format!("{name}.key")), &key.serialize_pem());
        }
    }

    /// What a page has somebody make who has no such key yet, if it is about such keys.
    fn write_node_key(&self, page: Option<&Page>) {
        let named = |page: &Page| page.blocks.iter().any(|block| block.text.contains("node.pem"));
        if page.is_none_or(named) {
            let node = Command::new("openssl")
                .args(["genrsa", "-out", "node.pem", "2048"])
                .current_dir(&self.folder)
                .output()
                .expect("openssl");
            assert!(node.status.success(), "{node:?}");
        }
    }

    /// The default configuration in two places, and that of a house that vouches for itself, each with the settings that
    /// stand on the page.
    fn write_configurations(&self, page: Option<&Page>) {
        let default = self.configuration_of("default");
        let house = self.house(default.clone());
        let settings: Vec<Value> = page.map(settings_of).unwrap_or_default();
        let about_the_house = settings
            .iter()
            .any(|settings| settings.get("authority").is_some());
        let own = if about_the_house { &house } else { &default };
        for (config, file) in [
            (&house, "house.yaml"),
            (own, "portcullis.yaml"),
            (&default, "policies/default/portcullis.yaml"),
        ] {
            let mut config = config.clone();
            for settings in &settings {
                merge(&mut config, self.here(settings.clone()));
            }
            write(&self.folder.join(file), &config.to_string());
        }
    }

    /// The configuration of a pack, with an issuer and ports that are there.
    pub(super) fn configuration_of(&self, pack: &str) -> Value {
        let file = root().join(format!("policies/{pack}/portcullis.yaml"));
        self.here(serde_saphyr::from_str(&read(&file)).expect("YAML"))
    }

    /// The same with a house that vouches for itself, and candidates.
    pub(super) fn house(&self, mut config: Value) -> Value {
        let more = json!({
            "shadow": { "files": ["candidate"] },
            "authority": {
                "issuer": "https://gate.example.org", "listen": "127.0.0.1:0", "store": "sqlite:portcullis.db",
                "max_stale_seconds": 3600, "policies": ["authority.cedar"], "keys": { "encryption_key": { "$file": "key.hex" } },
                "delegation": { "audiences": ["workspace-api"] },
            },
        });
        merge(&mut config, more);
        config
    }

    /// Settings with the addresses and files of this place.
    fn here(&self, settings: Value) -> Value {
        texts(settings, &|text| self.addresses_here(&self.files_here(text)))
    }

    /// What is below `/run` is in the folder.
    pub(super) fn files_here(&self, text: &str) -> String {
        text.replace("/run/", &format!("{}/run/", self.folder.display()))
    }

    fn addresses_here(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for port in 9191..=9194 {
            for address in ["127.0.0.1", "0.0.0.0"] {
                text = text.replace(&format!("{address}:{port}"), "127.0.0.1:0");
            }
        }
        for issuer in ISSUERS {
            text = text.replace(issuer, self.issuer.issuer());
        }
        text
    }

    /// A configuration that `init` wrote there gets ports and an issuer that are there.
    pub(super) fn settle(&self, folder: &Path) {
        self.change(folder, |text| self.addresses_here(text));
    }

    /// And nobody is asked who is elsewhere.
    pub(super) fn close_off(&self, folder: &Path) {
        self.change(folder, |text| {
            text.replace("issuer: https://", "issuer: https://127.0.0.1:1/")
                .replace("https://portal.example.org/", "http://127.0.0.1:1/")
        });
    }

    fn change(&self, folder: &Path, how: impl Fn(&str) -> String) {
        let file = folder.join("portcullis.yaml");
        if file.exists() {
            let before = read(&file);
            let after = how(&before);
            if after != before {
                write(&file, &after);
            }
        }
    }

    /// Somebody with the role of an administrator, and in the groups of those who administer the house.
    fn administrator(&self) -> String {
        let mut claims = people::admin_claims();
        claims["groups"] = json!(["/platform-admins", "/administrators"]);
        self.token(claims)
    }

    /// A token that is good for as long as anybody takes for a page.
    fn token(&self, mut claims: Value) -> String {
        let now = jiff::Timestamp::now().as_second();
        claims["exp"] = (now + 3600).into();
        self.issuer.token(claims)
    }

    /// The variables that pages speak of.
    pub(super) fn variables(&self, page: &str) -> Vec<(&'static str, String)> {
        let mut jobs = people::robot_claims();
        for (claim, value) in [
            ("sub", "jobs"),
            ("azp", "jobs"),
            ("client_id", "jobs"),
            ("preferred_username", "service-account-jobs"),
        ] {
            jobs[claim] = value.into();
        }
        let grid = json!({
            "wlcg.ver": "1.0", "sub": "7d2f6c1e", "client_id": "portal", "aud": "https://se.example.org",
            "scope": "storage.read:/ storage.stat:/",
        });
        let token = match page {
            "policies/wlcg/README.md" => self.token(grid),
            _ => self.administrator(),
        };
        vec![
            ("TOKEN", token),
            ("PORTCULLIS_TOKEN", self.administrator()),
            ("ALICE", self.token(people::alice_claims())),
            ("JOBS", self.token(jobs)),
            ("KEYCLOAK_HOST", "127.0.0.1:1".to_owned()),
            ("AUDIENCE", "workspace-api".to_owned()),
            ("CI_TOKEN", "5a".repeat(32)),
            ("DB_PASSWORD", "s3cret".to_owned()),
        ]
    }
}

/// What a page says the configuration is, but for what is asked for and by whom.
fn settings_of(page: &Page) -> Vec<Value> {
    let blocks = page.blocks_of("yaml").filter(|block| block.file().is_none());
    let parsed = blocks.filter_map(|block| serde_saphyr::from_str::<Map<String, Value>>(&block.text).ok());
    let wanted = parsed.filter(|block| {
        let known = [
            "listen",
            "admin",
            "admin_options",
            "authority",
            "explain",
            "reload",
            "trusted_hops",
        ];
        block.keys().all(|key| known.contains(&key.as_str()))
    });
    wanted.map(Value::Object).collect()
}

/// The same value with all texts in it changed.
pub(super) fn texts(value: Value, how: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(how(&text)),
        Value::Array(all) => all.into_iter().map(|it| texts(it, how)).collect(),
        Value::Object(all) => all.into_iter().map(|(name, it)| (name, texts(it, how))).collect(),
        other => other,
    }
}

/// Puts one into the other: objects member by member, anything else whole.
pub(super) fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

pub(super) fn write(file: &Path, text: &str) {
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    fs::write(file, text).expect("a file");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let there = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &there);
        } else {
            fs::copy(&path, &there).expect("a copy");
        }
    }
}
