//! What the command line says of itself: examples in every `--help`, the generated pages, completions and manual pages.

use clap::Parser as _;
use portcullis::cli::Cli;

use crate::{Ran, portcullis, root, run};

/// The help of every verb, by its words; from `man -o markdown`.
fn verbs() -> Vec<(Vec<String>, String)> {
    let page = run(&["man", "-o", "markdown"]).expect(0).out;
    let sections = page.split("\n## portcullis").skip(1);
    let verbs = sections.map(|section| {
        let (words, help) = section.split_once('\n').expect("a heading");
        (
            words.split_whitespace().map(str::to_owned).collect(),
            help.to_owned(),
        )
    });
    verbs.collect()
}

/// The commands in a help text, without what is said about them.
fn examples(help: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut continued = false;
    for line in help.lines() {
        let text = line.trim();
        if continued {
            let last = found.last_mut().expect("a line before");
            *last = format!("{} {}", last.trim_end_matches('\\'), text);
        } else if line.starts_with("  ")
            && (text.starts_with("portcullis ") || text.contains(" portcullis "))
            && !text.starts_with("Usage")
        {
            // What is said about a command stands behind three blanks or more.
            found.push(text.split("   ").next().unwrap_or(text).to_owned());
        } else {
            continue;
        }
        continued = found.last().is_some_and(|last| last.ends_with('\\'));
    }
    found.retain(|line| {
        line.starts_with("portcullis") || line.contains("| portcullis") || line.starts_with("PORTCULLIS_")
    });
    found
}

/// The words of the part of a shell's line that begins with `portcullis`.
fn words(line: &str) -> Vec<String> {
    let start = line.find("portcullis ").expect("the program");
    let (mut words, mut word, mut quote, mut inside) = (Vec::new(), String::new(), None, false);
    let mut end = |word: &mut String, inside: &mut bool| {
        if std::mem::take(inside) {
            words.push(std::mem::take(word));
        }
    };
    let mut chars = line[start..].chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.push(c),
            (_, '\\') => word.extend(chars.next()),
            (None, '\'' | '"') => (quote, inside) = (Some(c), true),
            (None, '|' | '<' | '>') => break,
            (None, ' ') => end(&mut word, &mut inside),
            (_, c) => {
                word.push(c);
                inside = true;
            }
        }
    }
    end(&mut word, &mut inside);
    words
}

/// Verbs that other verbs are below.
const FAMILIES: [&str; 7] = [
    "config",
    "keys",
    "node",
    "remote-user",
    "revoke",
    "shadow",
    "token",
];

#[test]
fn every_help_has_examples_that_can_be_parsed() {
    let mut parsed = 0;
    for (verb, help) in verbs() {
        let family = verb.len() == 1 && FAMILIES.contains(&verb[0].as_str());
        let examples = examples(&help);
        assert!(family || !examples.is_empty(), "{verb:?} has no example:\n{help}");
        for line in examples {
            let words = words(&line);
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{verb:?}: {line}\n{error}");
            }
            parsed += 1;
        }
    }
    assert!(parsed > 60, "{parsed}");
}

#[test]
fn examples_that_need_nothing_work() {
    let mut ran = 0;
    for (verb, help) in verbs() {
        let needs_nothing = [
            "validate",
            "config",
            "completions",
            "man",
            "lint",
            "matrix",
            "schema",
            "test",
            "version",
        ];
        if !verb
            .first()
            .is_some_and(|verb| needs_nothing.contains(&verb.as_str()))
        {
            continue;
        }
        for line in examples(&help) {
            let words = words(&line);
            let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
            // Those that write, and those that speak of the reader's own folder.
            let own = line.contains("--config portcullis.yaml")
                || (["test", "lint", "matrix"].contains(&verb[0].as_str()) && !line.contains("policies"));
            if own || line.contains("--write") || words.contains(&"target/man") {
                continue;
            }
            let done = Ran::of(&portcullis(&words).output().expect("the binary starts"));
            assert_eq!(done.code, Some(0), "{line}\n{}{}", done.out, done.err);
            ran += 1;
        }
    }
    assert!(ran > 15, "{ran}");
}

#[test]
fn the_generated_pages_are_those_of_the_code() {
    for (file, words) in [
        ("docs/cli.md", &["man", "-o", "markdown"][..]),
        ("docs/configuration.md", &["config", "schema", "-o", "markdown"]),
    ] {
        let printed = run(words).expect(0).out;
        let committed = std::fs::read_to_string(root().join(file)).unwrap_or_default();
        assert!(
            committed == printed,
            "{file} is not what {words:?} prints; run `cargo xtask generate`"
        );
    }
}

#[test]
fn every_verb_has_a_manual_page() {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("man");
    let _ = std::fs::remove_dir_all(&folder);
    run(&["man", folder.to_str().expect("UTF-8")]).expect(0);
    for (verb, _) in verbs() {
        let name = [&["portcullis".to_owned()], verb.as_slice()].concat().join("-");
        let page = std::fs::read_to_string(folder.join(format!("{name}.1")));
        let page = page.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            page.contains(".SH SYNOPSIS") && page.contains("portcullis"),
            "{name}:\n{page}"
        );
    }
    assert!(run(&["man"]).expect(0).out.contains(".TH portcullis 1"));
}

#[test]
fn completions_know_every_verb() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]).expect(0).out;
        for (verb, _) in verbs() {
            for word in verb {
                assert!(script.contains(&word), "{shell} does not know {word}");
            }
        }
    }
    // The one shell that is everywhere reads its script and completes with it.
    let script = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("completions.bash");
    std::fs::write(&script, run(&["completions", "bash"]).expect(0).out).expect("a file");
    let line = "source \"$0\"; COMP_WORDS=(portcullis heal); COMP_CWORD=1; _portcullis portcullis heal portcullis; echo ${COMPREPLY[@]}";
    let done = std::process::Command::new("bash")
        .args(["-c", line])
        .arg(&script)
        .output()
        .expect("bash");
    assert_eq!(
        String::from_utf8_lossy(&done.stdout).trim(),
        "healthcheck",
        "{done:?}"
    );
}
