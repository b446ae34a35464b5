//! `portcullis init`: what it writes works where it was written, and nobody's files are lost.
//!
//! Each `init/*.txt` is what one command says. After a change of the words, run with `PORTCULLIS_UPDATE=1` and read the
//! difference as a newcomer would.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::serving::Server;
use crate::{Ran, portcullis, root, run};

/// The folders that are packs.
fn packs() -> Vec<String> {
    let entries = fs::read_dir(root().join("policies")).expect("policies");
    let folders = entries.map(|entry| entry.expect("an entry").path());
    let mut packs: Vec<String> = folders
        .filter(|folder| folder.join("portcullis.yaml").is_file())
        .map(|folder| folder.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    packs.sort();
    packs
}

/// A folder that is not there yet, in one that is.
fn nowhere(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("init").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder.join("deeper/gate")
}

fn init(pack: &str, folder: &Path) -> Ran {
    run(&["init", "--pack", pack, folder.to_str().expect("UTF-8")])
}

/// All files in and below a folder, by their path there.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(below) = folders.pop() {
        for entry in fs::read_dir(below).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below it").display().to_string();
                found.insert(name, fs::read_to_string(&path).expect("a text"));
            }
        }
    }
    found
}

#[test]
fn every_pack_is_written_whole() {
    assert!(packs().len() >= 2, "{:?}", packs());
    for pack in packs() {
        let folder = nowhere(&format!("whole-{pack}"));
        let told = init(&pack, &folder).expect(0).out;
        let written = files(&folder);
        let original = files(&root().join("policies").join(&pack));
        let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&written), names(&original), "{pack}");
        for (name, text) in &written {
            assert!(told.contains(&format!("\n  {name}\n")), "{name}: {told}");
            assert!(
                !text.contains(&format!("policies/{pack}")),
                "{pack}/{name} names its old place"
            );
            if !name.ends_with(".md") {
                assert_eq!(text, &original[name], "{pack}/{name}");
                continue;
            }
            let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            for link in links.filter(|link| !link.contains("://")) {
                let target = folder.join(name).with_file_name(link);
                assert!(target.exists(), "{pack}/{name}: {link} leads nowhere");
            }
        }
    }
}

#[test]
fn every_pack_works_where_it_was_written() {
    for pack in packs() {
        let folder = nowhere(&format!("works-{pack}"));
        let base = folder.ancestors().nth(2).expect("a folder above");
        let told = at(base, &["init", "--pack", &pack, "deeper/gate"]).expect(0).out;
        let valid = at(&folder, &["validate"]).expect(0);
        assert_eq!(valid.err, "", "{pack}: valid without advice");
        at(&folder, &["test", "--require-coverage"]).expect(0);
        at(&folder, &["matrix", "--check"]).expect(0);
        at(&folder, &["lint", "--deny"]).expect(0);

        let (_, next) = told.split_once("\nNext:\n").expect("what to do next");
        let commands = next.lines().filter_map(|line| line.strip_prefix("  portcullis "));
        let commands: Vec<&str> = commands.collect();
        assert_eq!(commands.len(), 3, "{told}");
        for command in &commands {
            at(base, &words(command)).expect(0);
        }
        assert!(commands[2].contains(" # allow"), "{told}");
        answers_are_as_the_readme_says(&folder);
        it_starts(&folder, &words(commands[2])[3..]);
    }
}

/// The binary, run there.
fn at(folder: &Path, words: &[&str]) -> Ran {
    let ran = portcullis(words).current_dir(folder).output();
    Ran::of(&ran.expect("the binary starts"))
}

/// The words of a command, without what is said about it.
fn words(command: &str) -> Vec<&str> {
    let (command, _) = command.split_once(" # ").unwrap_or((command, ""));
    command
        .split_whitespace()
        .map(|word| word.trim_matches('\''))
        .collect()
}

/// Runs what the README says is an allow or a deny, but for what needs a token that was made a line before.
fn answers_are_as_the_readme_says(folder: &Path) {
    let readme = fs::read_to_string(folder.join("README.md")).expect("a page");
    let mut seen = Vec::new();
    for (command, said) in readme.lines().filter_map(|line| line.split_once(" # ")) {
        let Some(command) = command.strip_prefix("portcullis check ") else {
            continue;
        };
        if command.contains('$') {
            continue;
        }
        let answer = said.split(':').next().unwrap_or_default().trim();
        let code = if answer == "allow" { 0 } else { 3 };
        let ran = at(folder, &[&["check"][..], &words(command)].concat()).expect(code);
        assert_eq!(ran.out.lines().next(), Some(answer), "{command}");
        seen.push(code);
    }
    assert!(
        seen.contains(&0) && seen.contains(&3),
        "an allow and a deny: {readme}"
    );
}

/// Serves it, on other ports and with issuers that are nowhere, and asks the question to which the answer is yes.
fn it_starts(folder: &Path, question: &[&str]) {
    let config = folder.join("portcullis.yaml");
    let mut text = fs::read_to_string(&config).expect("the configuration");
    for port in ["9191", "9192", "9193"] {
        text = text.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:0");
    }
    text = text.replace("issuer: https://", "issuer: https://127.0.0.1:1/");
    fs::write(&config, text).expect("written");
    let server = Server::start_with(&config);
    run(&[&["check", "--server", &server.envoy_grpc], question].concat()).expect(0);
}

#[test]
fn what_it_says() {
    let base = nowhere("says").with_file_name("");
    fs::create_dir_all(base.join("taken")).expect("a folder");
    fs::write(base.join("file"), "").expect("a file");
    for n in 1..12 {
        fs::write(base.join(format!("taken/{n:02}.txt")), "").expect("a file");
    }
    let update = std::env::var_os("PORTCULLIS_UPDATE").is_some();
    let expected = root().join("crates/server/tests/cli/init");
    let list = run(&["init"]).expect(0).out;
    let mut different = Vec::new();
    for (name, code, words) in [
        ("list", 0, &["init"][..]),
        ("no-pack", 2, &["init", "gate"]),
        ("unknown-pack", 2, &["init", "--pack", "defualt", "gate"]),
        ("written", 0, &["init", "--pack", "default", "my gate"]),
        ("again", 1, &["init", "--pack", "default", "my gate"]),
        ("many-in-the-way", 1, &["init", "--pack", "default", "taken"]),
        ("a-file", 1, &["init", "--pack", "default", "file"]),
        ("force", 0, &["init", "--pack", "default", "--force", "my gate"]),
    ] {
        if name == "force" {
            fs::write(base.join("my gate/public.cedar"), "// mine").expect("a file");
            fs::remove_file(base.join("my gate/matrix.txt")).expect("it was there");
        }
        let ran = portcullis(words).current_dir(&base).output();
        let ran = Ran::of(&ran.expect("the binary starts")).expect(code);
        let shown = format!(
            "$ portcullis {}\n{}{}exit code {code}\n",
            words.join(" "),
            ran.err,
            ran.out
        );
        // The packs stand in one of the files only.
        let shown = if name == "list" {
            shown
        } else {
            shown.replace(&list, "(the list)\n")
        };
        let file = expected.join(format!("{name}.txt"));
        if update {
            fs::create_dir_all(&expected).expect("a folder");
            fs::write(&file, shown).expect("the file can be written");
        } else if fs::read_to_string(&file).unwrap_or_default() != shown {
            different.push(format!("---- {name}\n{shown}"));
        }
    }
    assert!(
        different.is_empty(),
        "these differ from tests/cli/init/*.txt; if they are better, run with PORTCULLIS_UPDATE=1\n{}",
        different.join("\n")
    );
    assert!(!base.join("gate").exists(), "nothing is written without a pack");
}

#[test]
fn files_of_others_are_left_alone() {
    let folder = nowhere("others");
    fs::create_dir_all(folder.join(".git")).expect("a folder");
    init("default", &folder).expect(0);
    let before = files(&folder);
    let (mine, linked) = (folder.join("mine.cedar"), folder.with_file_name("linked.cedar"));
    for file in [&mine, &linked] {
        fs::write(file, "// mine").expect("a file");
    }
    fs::remove_file(folder.join("public.cedar")).expect("it was there");
    std::os::unix::fs::symlink(&linked, folder.join("public.cedar")).expect("a link");
    let refused = init("default", &folder).expect(1);
    assert!(refused.err.contains("\n  mine.cedar\n"), "{}", refused.err);
    assert_eq!(refused.out, "");
    run(&[
        "init",
        "--pack",
        "default",
        "--force",
        folder.to_str().expect("UTF-8"),
    ])
    .expect(0);
    for file in [&mine, &linked] {
        assert_eq!(
            fs::read_to_string(file).expect("a file"),
            "// mine",
            "{}",
            file.display()
        );
    }
    fs::remove_file(mine).expect("it was there");
    assert_eq!(files(&folder), before);

    // A folder in the place of a file stays, and nothing half done beside it.
    fs::remove_file(folder.join("README.md")).expect("it was there");
    fs::create_dir(folder.join("README.md")).expect("a folder");
    let words = ["init", "--pack", "default", "--force", "."];
    let refused = at(&folder, &words).expect(1);
    assert!(
        refused.err.starts_with("cannot write ./README.md: "),
        "{}",
        refused.err
    );
    let left = files(&folder).into_keys().find(|name| name.contains(".new"));
    assert_eq!(left, None);
}
