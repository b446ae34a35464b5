//! Every command of every page is typed, and comes to what the page says; every piece of configuration is valid.
//!
//! Pages are found where they are, so a new one is read as well. What cannot be run here stands in `documented/elsewhere.rs`
//! with the reason. Needs bash, curl and openssl, as readers do.

mod elsewhere;
mod page;
mod reader;
mod snippets;
mod surroundings;

use std::collections::BTreeSet;

use portcullis::demo::issuer::LocalIssuer;

use crate::root;
use elsewhere::{ENDS_WITH, NOT_HERE, STANDS_FOR};
use page::{Command, Page, Step, pages};
use reader::Reader;

/// The row that says why it is not run.
fn excuse(command: &Command) -> Option<&'static str> {
    let mut rows = NOT_HERE.iter().map(|(begins, _)| *begins);
    rows.find(|begins| command.text.starts_with(begins))
}

/// Reads these pages as somebody does who types every command.
async fn follow(wanted: fn(&str) -> bool, at_least: usize) {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let (mut ran, mut wrong) = (0, Vec::new());
    tokio::task::block_in_place(|| {
        for page in pages().iter().filter(|page| wanted(&page.name)) {
            let steps = page.steps();
            let steps = steps.iter().filter(|step| match step {
                Step::Command(command) => excuse(command).is_none(),
                Step::File { .. } => true,
            });
            let steps: Vec<&Step> = steps.collect();
            let commands = steps
                .iter()
                .filter(|step| matches!(step, Step::Command(_)))
                .count();
            if commands > 0 {
                let mut reader = Reader::of(page, &issuer);
                wrong.extend(steps.into_iter().filter_map(|step| reader.follow(step).err()));
                ran += commands;
            }
        }
    });
    assert!(
        wrong.is_empty(),
        "{} of {ran} commands:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    assert!(ran >= at_least, "{ran} commands were found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_do_what_they_say() {
    follow(
        |name| !name.contains('/') || name.starts_with("docs/") && name != "docs/cli.md",
        40,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_of_every_verb_do_what_they_say() {
    follow(|name| name == "docs/cli.md", 70).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_packs_and_proxies_do_what_they_say() {
    follow(
        |name| name.starts_with("policies/") || name.starts_with("deploy/"),
        30,
    )
    .await;
}

#[test]
fn no_command_stands_where_nobody_looks() {
    for page in pages() {
        for block in &page.blocks {
            let language = block.language.as_str();
            let known = ["bash", "cedar", "console", "json", "sh", "shell", "text", "yaml"];
            let place = block.place(&page);
            assert!(
                known.contains(&language),
                "{place}: what is in a block of {language:?}?"
            );
            let typed = block.text.lines().any(|line| line.starts_with("$ "));
            assert!(
                language == "console" || !typed,
                "{place}: commands are in blocks of `console`"
            );
        }
    }
}

#[test]
fn no_row_is_there_for_nothing() {
    let pages = pages();
    let commands: Vec<Command> = pages
        .iter()
        .flat_map(Page::steps)
        .filter_map(|step| match step {
            Step::Command(command) => Some(command),
            Step::File { .. } => None,
        })
        .collect();
    let used: BTreeSet<&str> = commands.iter().filter_map(excuse).collect();
    for (begins, reason) in NOT_HERE {
        assert!(
            used.contains(begins),
            "no page has a command that begins with {begins:?}"
        );
        for file in reason.split('`').filter(|word| word.ends_with(".rs")) {
            assert!(root().join(file).exists(), "{begins:?}: there is no {file}");
        }
    }
    let parts = STANDS_FOR.iter().map(|(part, _)| part);
    for part in parts.chain(ENDS_WITH.iter().map(|(part, _)| part)) {
        let mut ran = commands.iter().filter(|command| excuse(command).is_none());
        assert!(
            ran.any(|command| command.text.contains(part)),
            "no page has {part:?} in a command that is run"
        );
    }
}
