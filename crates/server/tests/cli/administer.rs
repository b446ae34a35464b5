//! `revoke`, `node`, `remote-user`, `token` and `keys` against a real server: words, exit codes, and that it is done.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::people;
use serde_json::{Value, json};

use crate::answers::config_for;
use crate::serving::Server;
use crate::{Ran, portcullis, root, run};

/// A server with an authority, and the tokens of those who ask it.
struct Place {
    config: PathBuf,
    server: Server,
    issuer: LocalIssuer,
    folder: PathBuf,
}

impl Place {
    async fn open(name: &str) -> Self {
        let issuer = LocalIssuer::start().await.expect("an issuer");
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        let config = config_for(&issuer, &format!("{name}.yaml"));
        let policies = root().join("policies/default/authority/administrators.cedar");
        let text = std::fs::read_to_string(&config).expect("the configuration");
        let text = format!(
            "{text}\nauthority:\n  issuer: http://127.0.0.1:9193\n  listen: 127.0.0.1:0\n  store: sqlite:{}\n  policies: [{}]\n  \
             keys: {{ encryption_key: {} }}\n",
            folder.join("portcullis.db").display(),
            policies.display(),
            "5a".repeat(32),
        );
        std::fs::write(&config, text).expect("the configuration");
        let server = tokio::task::block_in_place(|| Server::start_with(&config));
        let this = Self {
            config,
            server,
            issuer,
            folder,
        };
        let mut administrator = people::admin_claims();
        administrator["groups"] = json!(["/platform-admins"]);
        this.write("administrator.token", &this.issuer.token(administrator));
        this.write("alice.token", &people::alice(&this.issuer).token);
        this
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::write(&path, format!("{text}\n")).expect("a file");
        path
    }

    /// Runs a verb as somebody: the name of their token's file.
    fn run_as(&self, who: &str, words: &[&str]) -> Ran {
        let token = self.folder.join(format!("{who}.token"));
        self.run(&token, words)
    }

    fn run(&self, token: &Path, words: &[&str]) -> Ran {
        let server = format!("http://{}", self.server.admin);
        let token = token.to_str().expect("UTF-8");
        let mut all = words.to_vec();
        all.extend(["--server", &server, "--token-file", token]);
        tokio::task::block_in_place(|| run(&all))
    }

    fn administer(&self, words: &[&str]) -> Ran {
        self.run_as("administrator", words)
    }

    /// The answer as JSON.
    fn json(&self, words: &[&str]) -> Value {
        let mut words = words.to_vec();
        words.extend(["-o", "json"]);
        serde_json::from_str(&self.administer(&words).expect(0).out).expect("JSON")
    }

    /// Whether alice gets at her workspace: the exit code of a check, of the server and without it.
    fn alice(&self, code: i32) {
        let token = std::fs::read_to_string(self.folder.join("alice.token")).expect("a token");
        let header = format!("authorization: Bearer {}", token.trim());
        let url = "https://api.example.test/workspaces/ws-alice";
        let config = self.config.to_str().expect("UTF-8");
        for whom in [["--server", &self.server.envoy_grpc], ["--config", config]] {
            let words = ["check", whom[0], whom[1], "GET", url, "-H", &header];
            tokio::task::block_in_place(|| run(&words)).expect(code);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_stops_counting_until_it_is_lifted() {
    let place = Place::open("revoke").await;
    let file = place.folder.join("alice.token");
    let file = file.to_str().expect("UTF-8");
    let alice = format!("main/{}", people::ALICE);
    for words in [
        &[
            "revoke",
            "token",
            "--from-token-file",
            file,
            "--reason",
            "was in a build log",
        ][..],
        &["revoke", "subject", &alice],
        &["revoke", "subject", people::ALICE, "--issuer", "main"],
        &[
            "revoke",
            "client",
            "main/workspace-api",
            "--issued-before",
            "2000-01-01T00:00:00Z",
        ],
    ] {
        place.alice(0);
        let made = place.json(words);
        let old = made["issued_before"].is_string();
        place.alice(if old { 0 } else { 3 });
        let listed = place.json(&["revoke", "list"]);
        assert_eq!(listed, json!([made]), "{words:?}");
        let id = made["id"].as_str().expect("an id");
        let text = place.administer(&["revoke", "list"]).expect(0).out;
        assert!(text.contains(id) && text.contains("ISSUED BEFORE"), "{text}");
        let lifted = place.administer(&["revoke", "lift", id]).expect(0);
        assert_eq!(lifted.out, "lifted\n");
        place.administer(&["revoke", "lift", id]).expect(1);
    }
    place.alice(0);
    assert_eq!(place.administer(&["revoke", "list"]).expect(0).out, "none\n");
    let first = place.json(&["revoke", "token", "--from-token-file", file]);
    assert!(
        first["expires_at"].is_string() && first["issuer"] == "main",
        "{first:#}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_is_told_with_the_decision_and_ends_with_3() {
    let place = Place::open("administer-no").await;
    let told = place.run_as("alice", &["revoke", "list"]).expect(3);
    assert!(told.err.starts_with("the server says no: "), "{}", told.err);
    assert!(
        told.err.contains(", decision ") && told.err.contains("decision log"),
        "{}",
        told.err
    );
    let empty = place.write("empty.token", "");
    let told = place.run(&empty, &["keys", "list"]).expect(3);
    assert!(told.err.contains("there was no token"), "{}", told.err);
    // The token may be in the environment.
    let token = std::fs::read_to_string(place.folder.join("administrator.token")).expect("a token");
    let listed = tokio::task::block_in_place(|| {
        let mut command = portcullis(&["revoke", "list", "--server", &place.server.admin]);
        let command = command.env("PORTCULLIS_TOKEN", token.trim());
        Ran::of(
            &command
                .stdout(Stdio::piped())
                .output()
                .expect("the binary starts"),
        )
    });
    assert_eq!(listed.expect(0).out, "none\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_finds_invalid_ends_with_4() {
    let place = Place::open("administer-invalid").await;
    for (words, says) in [
        (&["revoke", "subject", "mian/alice"][..], "there are: main"),
        (
            &[
                "revoke",
                "issuer",
                "main",
                "--issued-before",
                "2999-01-01T00:00:00Z",
            ],
            "later than now",
        ),
        (&["remote-user", "list", "--local-user", "alice"], "main/alice"),
    ] {
        let told = place.administer(words).expect(4);
        assert!(
            told.err.contains("invalid") && told.err.contains(says),
            "{}",
            told.err
        );
    }
    let foreign = people::wrong_issuer(&place.issuer).token;
    let foreign = place.write("foreign.token", &foreign);
    let told = place
        .administer(&[
            "revoke",
            "token",
            "--from-token-file",
            foreign.to_str().expect("UTF-8"),
        ])
        .expect(4);
    assert!(told.err.contains("https://issuer.invalid"), "{}", told.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_and_their_users_are_added_changed_and_removed() {
    let place = Place::open("administer-nodes").await;
    let url = |path: &str| format!("https://b.example.test{path}");
    let (base, keys, tokens, links) = (url(""), url("/jwks"), url("/token"), url("/authorize"));
    let add = [
        "node",
        "add",
        "node-b",
        "--base-url",
        &base,
        "--jwks-url",
        &keys,
        "--token-url",
        &tokens,
        "--authorization-url",
        &links,
        "--redirect-uri",
        &links,
    ];
    let node = place.json(&add);
    assert_eq!(
        (&node["name"], &node["token_url"]),
        (&json!("node-b"), &json!(tokens)),
        "{node:#}"
    );
    place.administer(&add).expect(1);
    assert_eq!(place.json(&["node", "show", "node-b"]), node);
    assert_eq!(place.json(&["node", "list"]), json!([node]));
    let changed = place.json(&["node", "change", "node-b", "--jwks-url", &url("/keys")]);
    assert_eq!(
        (&changed["jwks_url"], &changed["token_url"]),
        (&json!(url("/keys")), &node["token_url"])
    );

    place
        .administer(&["remote-user", "add", "node-b", "bob"])
        .expect(0);
    place
        .administer(&["remote-user", "map", "node-b", "bob", "main/bob-here"])
        .expect(0);
    let bob = json!({ "node": "node-b", "name": "bob", "local_user": "main/bob-here" });
    assert_eq!(place.json(&["remote-user", "show", "node-b", "bob"]), bob);
    assert_eq!(
        place.json(&["remote-user", "list", "--local-user", "main/bob-here"]),
        json!([bob])
    );
    let unmapped = place.json(&["remote-user", "unmap", "node-b", "bob"]);
    assert_eq!(unmapped["local_user"], "");
    assert_eq!(
        place.json(&["remote-user", "list", "--node", "node-b", "--limit", "1"]),
        json!([unmapped])
    );
    place
        .administer(&["remote-user", "remove", "node-b", "bob"])
        .expect(0);
    place
        .administer(&["remote-user", "show", "node-b", "bob"])
        .expect(1);
    place.administer(&["node", "remove", "node-b"]).expect(0);
    assert_eq!(place.json(&["node", "list"]), json!([]));
    for kind in ["delegated", "network"] {
        assert_eq!(place.json(&["token", "list", "--kind", kind]), json!([]));
    }
    place.administer(&["token", "show", "none"]).expect(1);
    place.administer(&["token", "end", &"0".repeat(64)]).expect(1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_rotated_and_removed() {
    let place = Place::open("administer-keys").await;
    assert_eq!(place.json(&["keys", "list"]), json!([]));
    place.administer(&["keys", "rotate"]).expect(4);
    let first = place.json(&["keys", "rotate", "--algorithm", "EdDSA"]);
    let both = place.json(&["keys", "rotate", "--now"]);
    let kid = &first[0]["kid"];
    let signing: Vec<&Value> = both
        .as_array()
        .expect("keys")
        .iter()
        .filter(|key| key["signs"] == true)
        .collect();
    assert!(signing.len() == 1 && signing[0]["kid"] != *kid, "{both:#}");
    let old: Vec<&Value> = both
        .as_array()
        .expect("keys")
        .iter()
        .filter(|key| key["kid"] == *kid)
        .collect();
    assert!(old.len() == 1 && old[0]["verifies_until"].is_string(), "{both:#}");
    let kid = kid.as_str().expect("a name");
    place.administer(&["keys", "remove", kid]).expect(0);
    place.administer(&["keys", "remove", kid]).expect(1);
    // There is none of that name, but it may be one.
    place.administer(&["keys", "remove", "-9AtNk"]).expect(1);
    assert_eq!(place.json(&["keys", "list"]), json!(signing));
}

#[test]
fn wrong_usage_is_found_before_anybody_is_asked() {
    for (words, says) in [
        (&["revoke", "subject", "alice"][..], "add --issuer"),
        (&["revoke", "token", "some-jti"], "--issuer"),
        (
            &[
                "revoke",
                "token",
                "some-jti",
                "--issuer",
                "main",
                "--from-token-file",
                "x",
            ],
            "cannot be used with",
        ),
        (
            &["revoke", "issuer", "main", "--issued-before", "yesterday"],
            "not a time like",
        ),
        (&["node", "add", "b"], "--base-url"),
        (
            &["revoke", "list", "--server", "http://gate.example.org:9192"],
            "unencrypted",
        ),
        (&["revoke", "list", "--server", "ftp://127.0.0.1"], "a URL like"),
        (&["keys", "list", "--token", "secret"], "unexpected argument"),
    ] {
        let told = run(words).expect(2);
        assert!(told.err.contains(says), "{words:?}: {}", told.err);
    }
    let told = run(&["keys", "list", "--server", "127.0.0.1:1"]).expect(1);
    assert!(told.err.contains("is that the `admin` address"), "{}", told.err);
    let told = run(&["keys", "list", "--token-file", "/nonexistent"]).expect(1);
    assert!(told.err.contains("cannot read /nonexistent"), "{}", told.err);
    for verb in ["revoke", "node", "remote-user", "token", "keys"] {
        let help = run(&[verb, "--help"]).expect(0).out;
        assert!(help.contains("list"), "{help}");
    }
}

#[test]
fn a_file_without_a_token_that_can_be_named_says_what_to_do() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    // {"alg":"none"}.{"iss":"https://x"} and {"alg":"none"}.[]
    for (name, text, says) in [
        (
            "no-jti",
            "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL3gifQ.",
            "no `jti`",
        ),
        ("no-claims", "eyJhbGciOiJub25lIn0.W10.", "no JWT"),
        ("opaque", "hunter2", "no JWT"),
    ] {
        let file = folder.join(format!("{name}.token"));
        std::fs::write(&file, text).expect("a file");
        let told = run(&[
            "revoke",
            "token",
            "--from-token-file",
            file.to_str().expect("UTF-8"),
        ])
        .expect(1);
        assert!(
            told.err.contains(says) && !told.err.contains("hunter2"),
            "{}",
            told.err
        );
    }
}
