//! Changes while the server runs, as operators make them: files, links, signals and requests to a real process.

use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{join, join_all};
use portcullis::ask::{self, Answer, Question};
use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::scratch::ScratchDir;
use portcullis::demo::{http, people, stage};
use serde_json::{Value, json};

use crate::house::until;
use crate::served::Served;

/// The tests show that changes are told of: nothing is found by looking again after a while.
const WATCH: &str = "\nreload: { poll_seconds: 0 }\n";
/// Nothing happens unless it is asked for.
const ASKED: &str = "\nreload: { watch: false }\n";
const NOBODY: &str = "@id(\"nobody\") forbid(principal, action, resource is PublicPage);";

fn public() -> String {
    let sources = stage::default_sources().policies;
    let file = sources.iter().find(|file| file.name.ends_with("public.cedar"));
    file.expect("public.cedar").text.clone()
}

async fn get(served: &Served, target: &str, headers: &[(&str, &str)]) -> Answer {
    let question = Question {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        host: "api.example.test".to_owned(),
        target: target.to_owned(),
        headers: headers
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect(),
    };
    let answer = ask::over_grpc(&served.grpc().to_string(), question).await;
    answer.expect("an answer, whatever happens to the rules")
}

async fn page(served: &Served) -> Answer {
    get(served, "/public/hello", &[]).await
}

async fn until_allowed(served: &Served, allowed: bool) {
    until(&format!("the page is allowed: {allowed}"), async || {
        page(served).await.allowed == allowed
    })
    .await;
}

async fn reload(served: &Served) -> (u16, Value) {
    let answer = http::send(served.admin(), "POST", "/reload", &[], Bytes::new())
        .await
        .expect("an answer");
    let body = serde_json::from_slice(answer.body()).expect("JSON");
    (answer.status().as_u16(), body)
}

async fn readyz(served: &Served) -> (u16, String) {
    let answer = http::send(served.admin(), "GET", "/readyz?verbose", &[], Bytes::new()).await;
    let answer = answer.expect("an answer");
    (
        answer.status().as_u16(),
        String::from_utf8_lossy(answer.body()).into_owned(),
    )
}

/// As editors write: another file in the place of the old one.
fn exchange(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("a file");
    fs::rename(&new, path).expect("renamed");
}

fn reloads(served: &Served) -> usize {
    served.log().matches(" reloaded ").count()
}

#[tokio::test]
async fn files_that_are_changed_count_from_then_on() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let served = Served::start(&(stage::config_text(&issuer) + WATCH), &[], &[]).await;
    let file = served.file("public.cedar");
    let before = page(&served).await;
    assert!(before.allowed, "{before:?}");
    exchange(&file, NOBODY);
    until_allowed(&served, false).await;
    let denied = page(&served).await;
    assert_ne!(denied.version, before.version);
    assert_eq!(denied.policies, ["nobody"]);

    // Written into, as by `cp`.
    fs::write(&file, public()).expect("a file");
    until_allowed(&served, true).await;
    assert_eq!(
        page(&served).await.version,
        before.version,
        "the same rules have the same version"
    );

    // Written again with the same text: nothing to do. The change after it shows that it was seen.
    fs::write(&file, public()).expect("a file");
    exchange(&file, NOBODY);
    until_allowed(&served, false).await;
    until("the log has it", async || reloads(&served) == 3).await;

    // The configuration itself.
    let config = served.file("portcullis.yaml");
    let text = fs::read_to_string(&config).expect("the configuration");
    exchange(
        &config,
        &text.replace("[workspaces.cedar, public.cedar]", "[workspaces.cedar]"),
    );
    until("the page is nobody's concern", async || {
        page(&served).await.reason == "credential_missing"
    })
    .await;
}

#[tokio::test]
async fn a_config_map_that_is_exchanged_is_seen() {
    let mount = ScratchDir::new("config-map").expect("a directory");
    let mount = mount.path();
    let link =
        |target: &str, name: &str| std::os::unix::fs::symlink(target, mount.join(name)).expect("a link");
    // As the kubelet does it: a new directory, and one rename of the link to it; the old directory is removed.
    let version = |name: &str, text: &str| {
        fs::create_dir(mount.join(name)).expect("a directory");
        fs::write(mount.join(name).join("public.cedar"), text).expect("a file");
    };
    version("..2026_1", &public());
    link("..2026_1", "..data");
    link("..data/public.cedar", "public.cedar");
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let config = stage::config_text(&issuer).replace(
        "[workspaces.cedar, public.cedar]",
        &format!("[workspaces.cedar, {}]", mount.display()),
    );
    let served = Served::start(&(config + WATCH), &[], &[]).await;
    assert!(page(&served).await.allowed);
    for (old, new, text, allowed) in [
        ("..2026_1", "..2026_2", NOBODY.to_owned(), false),
        ("..2026_2", "..2026_3", public(), true),
        ("..2026_3", "..2026_1", NOBODY.to_owned(), false),
    ] {
        version(new, &text);
        link(new, "..data_tmp");
        fs::rename(mount.join("..data_tmp"), mount.join("..data")).expect("renamed");
        fs::remove_dir_all(mount.join(old)).expect("removed");
        until_allowed(&served, allowed).await;
    }
}

#[tokio::test]
async fn what_is_broken_never_replaces_what_is_good_and_is_said() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let served = Served::start(&(stage::config_text(&issuer) + WATCH), &[], &[]).await;
    let file = served.file("public.cedar");
    let version = page(&served).await.version;
    for (name, text, said) in [
        ("public.cedar", "permit (principal, action,", "public.cedar"),
        (
            "public.cedar",
            "@id(\"x\") permit (principal, action, resource is PublicPagge);",
            "PublicPagge",
        ),
        ("schema.cedarschema", "", "schema.cedarschema"),
    ] {
        let (file, good) = (
            served.file(name),
            fs::read_to_string(served.file(name)).expect("a file"),
        );
        exchange(&file, text);
        until("the refusal is told", async || {
            readyz(&served).await.1.contains("[-] reload: refused ")
        })
        .await;
        let (status, text) = readyz(&served).await;
        assert_eq!(status, 200, "it answers as before: {text}");
        assert!(
            text.contains(&format!("still answering by version {version}; see log")),
            "{text}"
        );
        let answer = page(&served).await;
        assert!(answer.allowed && answer.version == version, "{answer:?}");
        let log = served.log();
        let (_, told) = log
            .rsplit_once("the change is refused, version ")
            .expect("it is in the log");
        assert!(
            told.contains(said) && told.contains('╭'),
            "as `validate` shows it: {told}"
        );
        let (status, outcome) = reload(&served).await;
        assert_eq!(
            (status, &outcome["changed"], &outcome["version"]),
            (422, &json!(false), &json!(version))
        );
        let problem = outcome["problems"][0].as_str().unwrap_or_default().to_owned();
        assert!(problem.contains(':'), "{outcome}");
        exchange(&file, &good);
        until("all is well", async || {
            readyz(&served).await.1.contains("[+] reload: ")
        })
        .await;
    }
    fs::remove_file(&file).expect("removed");
    until("a missing file is told", async || {
        readyz(&served).await.1.contains("[-] reload: refused ")
    })
    .await;
    assert!(page(&served).await.allowed);
    exchange(&file, NOBODY);
    until_allowed(&served, false).await;
}

/// The first half of the file would be valid by itself, and would allow what the whole forbids.
#[tokio::test]
async fn a_file_that_is_being_written_is_not_read() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let files = [("public.cedar", NOBODY)];
    let served = Served::start(&(stage::config_text(&issuer) + WATCH), &files, &[]).await;
    let before = page(&served).await.version;
    for round in 0..3 {
        let mut file = fs::File::create(served.file("public.cedar")).expect("a file");
        let begun = Instant::now();
        file.write_all(format!("// {round}\n{}", public()).as_bytes())
            .expect("written");
        until("a while has passed", async || {
            let answer = page(&served).await;
            assert!(!answer.allowed, "half of the file counts: {answer:?}");
            begun.elapsed() > Duration::from_millis(300)
        })
        .await;
        file.write_all(NOBODY.as_bytes()).expect("written");
        drop(file);
        until("the whole file counts", async || {
            let answer = page(&served).await;
            assert!(!answer.allowed, "{answer:?}");
            reloads(&served) == round + 1
        })
        .await;
    }
    assert_ne!(page(&served).await.version, before);
}

#[tokio::test]
async fn sighup_and_a_request_reload_and_what_is_the_same_stays() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let served = Served::start(&(stage::config_text(&issuer) + ASKED), &[], &[]).await;
    let before = page(&served).await.version;
    let (status, outcome) = reload(&served).await;
    assert_eq!(status, 200);
    assert!(outcome["took"].is_number(), "{outcome}");
    assert_eq!(
        (&outcome["version"], &outcome["changed"], &outcome["problems"]),
        (&json!(before), &json!(false), &json!([]))
    );
    exchange(&served.file("public.cedar"), NOBODY);
    let (status, outcome) = reload(&served).await;
    let after = page(&served).await;
    assert_eq!(
        (status, &outcome["changed"], &outcome["version"]),
        (200, &json!(true), &json!(after.version))
    );
    assert!(!after.allowed, "from the answer to the request on: {after:?}");

    exchange(&served.file("public.cedar"), &public());
    let hangup = Command::new("kill")
        .args(["-HUP", &served.process().to_string()])
        .status();
    assert!(hangup.expect("kill is there").success());
    until_allowed(&served, true).await;
    assert_eq!(page(&served).await.version, before);
    assert_eq!(reloads(&served), 2);

    // What takes effect later is named; the rest counts.
    let config = served.file("portcullis.yaml");
    let text = fs::read_to_string(&config).expect("the configuration");
    exchange(&config, &format!("{text}\nthreads: 2\nmethod_override: ignore\n"));
    let (_, outcome) = reload(&served).await;
    assert_eq!(
        (&outcome["changed"], &outcome["restart"]),
        (&json!(true), &json!(["threads"]))
    );
    assert!(
        served
            .log()
            .contains("`threads` changed: takes effect at the next start")
    );
    let get = http::send(served.admin(), "GET", "/reload", &[], Bytes::new())
        .await
        .expect("an answer");
    assert_eq!(get.status(), 405);
}

#[tokio::test]
async fn keys_are_kept_and_tokens_of_issuers_that_did_not_change_are_never_refused() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let served = Served::start(&(stage::config_text(&issuer) + ASKED), &[], &[]).await;
    let token = people::alice(&issuer).bearer();
    let headers = [("authorization", token.as_str())];
    assert_eq!(issuer.fetches(), 1);
    let config = served.file("portcullis.yaml");
    let text = fs::read_to_string(&config).expect("the configuration");
    for (what, from, to, fetches) in [
        ("audiences", "[workspace-api]", "[workspace-api, other]", 1),
        ("roles", "trust_roles: true", "trust_roles: false", 1),
        ("headers", "x-auth-subject: subject", "x-auth-who: subject", 1),
        ("name", "- name: main", "- name: other", 2),
        ("nothing", "", "", 3),
    ] {
        assert!(text.contains(from), "{what}");
        exchange(&config, &text.replacen(from, to, 1));
        let over = Cell::new(false);
        let asking = async {
            while !over.get() {
                let answer = get(&served, "/public/hello", &headers).await;
                assert!(answer.allowed, "{what}: {answer:?}");
            }
        };
        let reloading = async {
            let (status, outcome) = reload(&served).await;
            over.set(true);
            assert_eq!(
                (status, &outcome["changed"]),
                (200, &json!(true)),
                "{what}: {outcome}"
            );
        };
        join(asking, reloading).await;
        assert_eq!(issuer.fetches(), fetches, "{what}");
    }
}

#[tokio::test]
async fn each_of_many_answers_is_by_one_version_only() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let served = Served::start(&(stage::config_text(&issuer) + ASKED), &[], &[]).await;
    let token = people::alice(&issuer).bearer();
    let headers = [("authorization", token.as_str())];
    let config = served.file("portcullis.yaml");
    let text = fs::read_to_string(&config).expect("the configuration");
    let one = (text.clone(), public());
    let two = (
        text.replace("x-auth-subject: subject", "x-auth-subject: type"),
        public().replace("public-read", "public-two"),
    );
    let alice = people::alice_claims();
    let first = page(&served).await.version;
    let over = Cell::new(false);
    let asker = async || {
        let mut seen = [0_usize; 2];
        while !over.get() {
            let answer = get(&served, "/public/hello", &headers).await;
            let subject = answer.headers.iter().find(|(name, _)| name == "x-auth-subject");
            let subject = subject.map(|(_, value)| value.as_str());
            let expected = match answer.version == first {
                true => (alice["sub"].as_str(), "public-read"),
                false => (Some("User"), "public-two"),
            };
            assert_eq!((subject, answer.policies[0].as_str()), expected, "{answer:?}");
            seen[usize::from(answer.version != first)] += 1;
        }
        seen
    };
    let reloading = async {
        for round in 0..50 {
            let (config_text, policy) = [&two, &one][round % 2];
            exchange(&config, config_text);
            exchange(&served.file("public.cedar"), policy);
            let (status, outcome) = reload(&served).await;
            assert_eq!((status, &outcome["changed"]), (200, &json!(true)), "{outcome}");
            assert_eq!(outcome["version"] == json!(first), round % 2 == 1);
        }
        over.set(true);
    };
    let (seen, ()) = join(join_all((0..3).map(|_| asker())), reloading).await;
    for which in 0..2 {
        assert!(
            seen.iter().map(|seen| seen[which]).sum::<usize>() > 50,
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn ten_thousand_policies_come_while_requests_are_answered() {
    let many = ScratchDir::new("many-policies").expect("a directory");
    let file = |name: String, text: &str| fs::write(many.path().join(name), text).expect("a file");
    file(
        "first.cedar".to_owned(),
        "@id(\"first\") permit(principal == User::\"main/0\", action, resource);",
    );
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let config = stage::config_text(&issuer).replace(
        "[workspaces.cedar, public.cedar]",
        &format!("[workspaces.cedar, public.cedar, {}]", many.path().display()),
    );
    let served = Served::start(&(config + ASKED), &[], &[]).await;
    for part in 0..100 {
        let policies = (0..100).map(|number| {
            let id = part * 100 + number;
            format!("@id(\"p{id}\") permit(principal == User::\"main/{id}\", action, resource);\n")
        });
        file(format!("part-{part}.cedar"), &policies.collect::<String>());
    }
    let over = Cell::new(false);
    let asking = async {
        let mut asked = 0;
        while !over.get() {
            let answer = page(&served).await;
            assert!(answer.allowed, "{answer:?}");
            asked += 1;
        }
        asked
    };
    let reloading = async {
        let (status, outcome) = reload(&served).await;
        over.set(true);
        assert_eq!((status, &outcome["changed"]), (200, &json!(true)), "{outcome}");
    };
    let (asked, ()) = join(asking, reloading).await;
    assert!(asked > 10, "only {asked} requests were answered meanwhile");
    let (_, text) = readyz(&served).await;
    assert!(text.contains("policies: 10008 loaded"), "{text}");
}

#[tokio::test]
async fn conditions_that_are_too_deep_are_refused_and_as_deep_ones_as_are_allowed_are_answered() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let served = Served::start(&(stage::config_text(&issuer) + ASKED), &[], &[]).await;
    let file = served.file("public.cedar");
    let version = page(&served).await.version;
    let nested = |depth: usize| {
        let terms: String = (0..depth)
            .map(|n| format!("(context.path == \"x{n}\" || "))
            .collect();
        format!("{terms}true{}", ")".repeat(depth))
    };
    let flat = |terms: usize| "context.path == \"x\" || ".repeat(terms) + "true";
    let parentheses = |depth: usize| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    for (condition, good) in [
        (nested(200), false),
        (nested(800), false),
        (nested(50_000), false),
        (flat(600), false),
        (flat(190), true),
        (nested(65), true),
        (parentheses(190), true),
    ] {
        let policy = format!(
            "@id(\"deep\") permit(principal, action, resource is PublicPage) when {{ {condition} }};"
        );
        exchange(&file, &policy);
        let (status, outcome) = reload(&served).await;
        let answer = page(&served).await;
        assert!(answer.allowed, "{answer:?}");
        if good {
            assert_eq!(
                (status, &answer.policies),
                (200, &vec!["deep".to_owned()]),
                "{outcome}"
            );
        } else {
            let problem = outcome["problems"][0].as_str().unwrap_or_default();
            assert!(status == 422 && problem.contains("levels deep"), "{outcome}");
            assert_eq!(answer.version, version);
        }
    }
}

#[tokio::test]
async fn a_broken_candidate_keeps_no_change_away() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let config = stage::config_text(&issuer) + ASKED + "\nshadow: { files: [workspaces.cedar] }\n";
    let served = Served::start(&config, &[], &[]).await;
    let path = served.file("portcullis.yaml");
    let good = fs::read_to_string(&path).expect("the configuration");
    let candidate = served.file("candidate.cedar");
    exchange(&served.file("public.cedar"), NOBODY);
    exchange(
        &path,
        &good.replace("{ files: [workspaces.cedar] }", "{ files: [candidate.cedar] }"),
    );
    for broken in [None, Some("permit (principal,")] {
        if let Some(text) = broken {
            exchange(&candidate, text);
        }
        let (status, outcome) = reload(&served).await;
        assert_eq!((status, &outcome["problems"]), (200, &json!([])), "{outcome}");
        assert!(outcome["candidate"][0].is_string(), "{outcome}");
        assert!(!page(&served).await.allowed, "the forbid counts");
        let (_, text) = readyz(&served).await;
        assert!(
            text.contains("[!] reload: ") && text.contains("(`shadow`) are left out"),
            "{text}"
        );
        assert!(
            served.log().contains("are left out, they cannot be used"),
            "{}",
            served.log()
        );
    }
    exchange(&path, &good);
    exchange(&served.file("public.cedar"), &public());
    let (status, outcome) = reload(&served).await;
    assert!(status == 200 && outcome.get("candidate").is_none(), "{outcome}");
    assert!(readyz(&served).await.1.contains("[+] reload: "));
    assert!(
        served.log().contains("forbids are GONE with this change"),
        "{}",
        served.log()
    );
}
