//! The admin listener by TLS: every verb that asks it, and probes.

use std::path::PathBuf;

use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::people;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};

use crate::answers::config_for;
use crate::serving::{Server, config};
use crate::{Ran, root, run};

/// A folder with the papers of an authority: `ca.crt`, `gate.*` for the listeners, `admin.*` for whoever asks.
struct Papers(PathBuf);

impl Papers {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let own = params.self_signed(&key).expect("a certificate").pem();
        std::fs::write(folder.join("ca.crt"), own).expect("a file");
        let issuer = Issuer::new(params, key);
        for name in ["gate", "admin"] {
            let mut params = CertificateParams::default();
            params.subject_alt_names = vec![
                SanType::IpAddress([127, 0, 0, 1].into()),
                SanType::DnsName(format!("{name}.test").try_into().expect("a name")),
            ];
            params.extended_key_usages = vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ];
            let key = KeyPair::generate().expect("a key");
            let certificate = params.signed_by(&key, &issuer).expect("a certificate").pem();
            std::fs::write(folder.join(format!("{name}.crt")), certificate).expect("a file");
            std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("a file");
        }
        Self(folder)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// The section `tls` of a listener; what else is said there.
    fn section(&self, more: &str) -> String {
        format!(
            "tls: {{ certificate: {}, key: {}{more} }}",
            self.file("gate.crt"),
            self.file("gate.key")
        )
    }

    /// With whom these words believe, and what they show.
    fn run(&self, words: &[&str], shows: bool) -> Ran {
        let mut all: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        all.extend(["--ca".to_owned(), self.file("ca.crt")]);
        if shows {
            all.extend(["--client-cert".to_owned(), self.file("admin.crt")]);
            all.extend(["--client-key".to_owned(), self.file("admin.key")]);
        }
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        tokio::task::block_in_place(|| run(&all))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_verb_that_asks_a_server_does_so_by_tls() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let papers = Papers::new("encrypted");
    let file = config_for(&issuer, "encrypted.yaml");
    let policies = root().join("policies/default/authority/administrators.cedar");
    let mutual = format!(
        ", client_ca: {}, allowed_names: [admin.test]",
        papers.file("ca.crt")
    );
    let text = std::fs::read_to_string(&file).expect("the configuration");
    let grpc = "envoy_grpc: 127.0.0.1:0";
    assert!(text.contains(grpc));
    let text = text.replace(
        grpc,
        &format!("{grpc}\n  envoy_grpc_options: {{ {} }}", papers.section("")),
    );
    let text = format!(
        "{text}\nadmin_options: {{ {} }}\nauthority:\n  issuer: http://127.0.0.1:9193\n  listen: 127.0.0.1:0\n  {}\n  \
         store: sqlite:{}\n  policies: [{}]\n",
        papers.section(&mutual),
        papers.section(""),
        papers.file("portcullis.db"),
        policies.display(),
    );
    std::fs::write(&file, text).expect("the configuration");
    let server = tokio::task::block_in_place(|| Server::start_with(&file));
    let admin = format!("https://{}", server.admin);
    let mut administrator = people::admin_claims();
    administrator["groups"] = serde_json::json!(["/platform-admins"]);
    let token = papers.file("administrator.token");
    std::fs::write(&token, issuer.token(administrator)).expect("a file");

    let list = ["revoke", "list", "--token-file", &token, "--server"];
    let with = |server| [&list[..], &[server]].concat();
    assert_eq!(papers.run(&with(&admin), true).expect(0).out, "none\n");
    let told = papers.run(&with(&admin), false).expect(1).err;
    assert!(
        told.contains("cannot ask https://"),
        "it shows no certificate: {told}"
    );
    let words = with(&admin);
    let told = tokio::task::block_in_place(|| run(&words)).expect(1).err;
    assert!(
        told.contains("certificate"),
        "nobody believes that authority: {told}"
    );
    let plain = format!("http://{}", server.admin);
    papers.run(&with(&plain), true).expect(1);

    let told = papers
        .run(&["shadow", "report", "--server", &admin], true)
        .expect(1)
        .err;
    assert!(told.contains("no candidate policies"), "{told}");
    let grpc = format!("https://{}", server.envoy_grpc);
    let url = "https://api.example.test/workspaces/ws-alice";
    let asked = papers
        .run(&["check", "--server", &grpc, "-o", "json", "GET", url], false)
        .expect(3)
        .out;
    let asked: serde_json::Value = serde_json::from_str(&asked).expect("JSON");
    let id = asked["decision_id"].as_str().expect("an id");
    let words = ["check", "--explain", "--decision", id, "--server", &admin];
    let explained = papers.run(&words, true).expect(3).out;
    assert!(explained.contains("/workspaces/ws-alice"), "{explained}");
    papers
        .run(&["check", "--server", &server.envoy_grpc, "GET", url], false)
        .expect(1);

    let ask = ["healthcheck", "--address", &admin];
    assert!(
        papers
            .run(&ask, true)
            .expect(0)
            .out
            .contains("[+] tls admin: the certificate expires in ")
    );
    papers.run(&ask, false).expect(1);
    papers
        .run(&["healthcheck", "--address", &server.admin], true)
        .expect(1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_asks_where_the_configuration_says() {
    let papers = Papers::new("probed");
    // Free a moment ago, and asked for by nobody else: the kernel gives ports in turn.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    for (section, address) in [
        (String::new(), format!("127.0.0.1:{port}")),
        (
            format!("admin_options: {{ {} }}\n", papers.section("")),
            format!("0.0.0.0:{port}"),
        ),
    ] {
        let file = config("probed", &format!("\n{section}"));
        let text = std::fs::read_to_string(&file).expect("the configuration");
        let text = text.replace("admin: 127.0.0.1:0", &format!("admin: {address}"));
        std::fs::write(&file, &text).expect("the configuration");
        let file = file.to_str().expect("UTF-8");
        let probe = |more: &[&str], code| {
            let words = [&["healthcheck", "--config", file][..], more].concat();
            tokio::task::block_in_place(|| run(&words)).expect(code)
        };
        let told = probe(&[], 1).err;
        assert!(told.contains(&format!("127.0.0.1:{port}")), "{told}");
        let server = tokio::task::block_in_place(|| Server::start_with(file.as_ref()));
        assert!(probe(&[], 0).out.ends_with("\nready\n"));
        assert_eq!(probe(&["--live"], 0).out, "ok\n");
        // The server refuses what is in the file now, and answers on.
        let wrong = text.replace("policies:", "polices:") + "\nlimits: { max_connections: many }\n";
        std::fs::write(file, &wrong).expect("the configuration");
        tokio::task::block_in_place(|| run(&["validate", "--config", file])).expect(4);
        assert!(probe(&[], 0).out.ends_with("\nready\n"));
        assert_eq!(probe(&["--live"], 0).out, "ok\n");
        std::fs::write(file, text.replace(&format!("admin: {address}"), "admin: here"))
            .expect("the configuration");
        let told = probe(&[], 4).err;
        assert!(told.contains("this is no address to ask at"), "{told}");
        drop(server);
        std::fs::write(file, &text).expect("the configuration");
        probe(&["--live"], 1);
    }
    for (words, code) in [
        (&["healthcheck", "--config", "/not/there.yaml"][..], 4),
        (&["healthcheck", "--timeout", "0"], 2),
        (&["healthcheck", "--config", "x", "--address", "y"], 2),
        (&["healthcheck", "--client-cert", "x"], 2),
        (
            &[
                "healthcheck",
                "--address",
                "https://127.0.0.1:1",
                "--ca",
                "/not/there",
            ],
            1,
        ),
    ] {
        tokio::task::block_in_place(|| run(words)).expect(code);
    }
}

/// Somebody takes the connection and never answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_ends_in_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    for server in [address.clone(), format!("https://{address}")] {
        let words = ["healthcheck", "--timeout", "1", "--address", &server];
        let told = tokio::task::block_in_place(|| run(&words)).expect(1).err;
        assert!(told.contains("cannot ask"), "{told}");
    }
}

#[test]
fn the_configuration_of_the_page_is_valid() {
    let papers = Papers::new("documented-tls");
    for (name, of) in [("tls.crt", "gate.crt"), ("tls.key", "gate.key")] {
        std::fs::copy(papers.file(of), papers.file(name)).expect("a copy");
    }
    let page = std::fs::read_to_string(root().join("docs/tls.md")).expect("the page");
    let block = |kind: &str| {
        let (_, rest) = page.split_once(&format!("```{kind}\n")).expect("a block");
        rest.split_once("```").expect("its end").0
    };
    let folder = root().join("crates/server/tests/cli/broken");
    let rest = format!(
        "  issuer: https://gate.example.org\npolicies: {{ schema: [{0}/house.cedarschema], files: [{0}/house.cedar] }}\n\
         routes: [{{ path: '/pages/{{rest..}}', methods: [GET], resource: {{ type: Page }} }}]\n",
        folder.display()
    );
    let text = block("yaml").replace("/run/tls", &papers.0.display().to_string()) + &rest;
    let file = papers.file("portcullis.yaml");
    std::fs::write(&file, text).expect("the configuration");
    std::fs::write(papers.file("admin.cedar"), block("cedar")).expect("the policies");
    run(&["validate", "--config", &file]).expect(0);
    run(&["schema", "--authority", "--config", &file]).expect(0);
}
