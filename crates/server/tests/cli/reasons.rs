//! `docs/why-denied.md` has every reason that a decision can have, no other, and the statuses that callers see.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use model::Reason;

use crate::{root, run};

/// A token as it should be, of an issuer whose keys nobody can fetch: nothing listens at the address.
const TOKEN: &str = "authorization: Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.\
    eyJpc3MiOiJodHRwOi8vMTI3LjAuMC4xOjEvIiwic3ViIjoiYSIsImF1ZCI6IngiLCJleHAiOjE5OTk5OTk5OTl9.\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const SOMEBODY: [&str; 2] = ["--as", "User::\"main/ann\""];

/// The rows of the table: reason, and the statuses.
fn rows() -> BTreeMap<String, BTreeSet<u16>> {
    let page = fs::read_to_string(root().join("docs/why-denied.md")).expect("the page");
    let (_, table) = page.split_once("\n| reason | status |").expect("the table");
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut rows = BTreeMap::new();
    for line in lines {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let &[reason, status, meaning, help] = &cells[..] else {
            panic!("not of four cells: {line}");
        };
        let reason = reason.trim_matches('`').to_owned();
        assert!(meaning.len() > 20 && help.len() > 10, "{reason} says nothing");
        let status = status.split(", ").map(|status| status.parse().expect("a status"));
        let before = rows.insert(reason, status.collect());
        assert_eq!(before, None, "a reason is there twice: {line}");
    }
    rows
}

#[test]
fn every_reason_is_on_the_page_and_no_other() {
    let of_the_code = Reason::ALL
        .into_iter()
        .filter(|reason| !matches!(reason, Reason::Permitted | Reason::Audited));
    let of_the_code: BTreeSet<&str> = of_the_code.map(Reason::as_str).collect();
    let rows = rows();
    let of_the_page: BTreeSet<&str> = rows.keys().map(String::as_str).collect();
    assert_eq!(of_the_page, of_the_code);
    let page = fs::read_to_string(root().join("docs/why-denied.md")).expect("the page");
    for allowed in [Reason::Permitted, Reason::Audited] {
        assert!(page.contains(&format!("`{allowed}`")), "{allowed}");
    }
}

/// Those that can be had without a server.
#[test]
fn the_statuses_of_the_page_are_those_that_callers_see() {
    let config = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("reasons.yaml");
    let folder = root().join("policies/default");
    let default = fs::read_to_string(folder.join("portcullis.yaml")).expect("the default configuration");
    let there = |name: &str| folder.join(name).display().to_string();
    let text = default
        .replace("http://127.0.0.1:8080/realms/demo", "http://127.0.0.1:1/")
        .replace("audiences: [workspace-api]", "audiences: [x]")
        .replace("schema.cedarschema", &there("schema.cedarschema"))
        .replace("workspaces.cedar", &there("workspaces.cedar"))
        .replace("public.cedar", &there("public.cedar"));
    fs::write(&config, text).expect("a file");
    let config = config.to_str().expect("UTF-8");
    let mut seen: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    for (who, method, url, header) in [
        (&SOMEBODY[..], "GET", "/workspaces/a", ""),
        (&[], "GET", "/workspaces/a", ""),
        (&SOMEBODY, "GET", "/workspaces/workspace-api", ""),
        (&[], "GET", "/workspaces/workspace-api", ""),
        (&[], "GET", "/public/a", "authorization: Bearer abc"),
        (&[], "GET", "/public/a", TOKEN),
        (&SOMEBODY, "GET", "/nowhere", ""),
        (&[], "GET", "/nowhere", ""),
        (&SOMEBODY, "PUT", "/public/a", ""),
        (&[], "PUT", "/public/a", ""),
        (&[], "GET", "/public/../a", ""),
        (&[], "GET", "!/public/a", ""),
        (&[], "GET", "/public/a", "x-http-method-override: PUT"),
    ] {
        let url = format!("https://api.example.test{url}");
        let mut words = vec!["check", "--config", config, method, &url];
        words.extend(who);
        if !header.is_empty() {
            words.extend(["-H", header]);
        }
        let out = run(&words).expect(3).out;
        let status = out.lines().next().and_then(|line| line.strip_prefix("deny "));
        let status = status.and_then(|status| status.parse().ok()).expect("a status");
        let reason = out.lines().find_map(|line| line.strip_prefix("  reason "));
        let reason = reason.expect("a reason").trim().to_owned();
        seen.entry(reason).or_default().insert(status);
    }
    assert_eq!(seen.len(), 10, "{seen:?}");
    let rows = rows();
    for (reason, statuses) in seen {
        assert_eq!(rows[&reason], statuses, "{reason}");
    }
}
