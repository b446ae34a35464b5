//! The pages: each is in the index, and every link leads to something.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::architecture::{files, read, root};

/// Where the index is.
const INDEX: &str = "docs/README.md";

/// What stands outside of blocks of code, line by line.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

/// The targets of all links of a page to something in the repository.
fn links(page: &str) -> Vec<&str> {
    let links = prose(page).flat_map(|line| line.split("](").skip(1));
    let targets = links.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    targets.filter(|target| !target.contains("://")).collect()
}

/// The names by which the headings of a page can be linked to, made as code hosts make them.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let headings = prose(page).filter(|line| line.starts_with('#'));
    let names = headings.map(|heading| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter_map(|character| match character {
            ' ' => Some('-'),
            '-' | '_' => Some(character),
            _ => character.is_alphanumeric().then_some(character),
        });
        let name: String = kept.collect();
        let before = seen.entry(name.clone()).or_default();
        *before += 1;
        match *before {
            1 => name,
            more => format!("{name}-{}", more - 1),
        }
    });
    names.collect()
}

/// Fails unless the link of this page leads to a file or folder, and to a heading if it names one.
fn follow(from: &Path, target: &str) -> Result<(), String> {
    let (file, anchor) = target
        .split_once('#')
        .map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let place = match file {
        "" => from.to_owned(),
        file => from.parent().expect("a folder").join(file),
    };
    if !place.exists() {
        return Err("there is no such file".to_owned());
    }
    match anchor {
        Some(anchor) if place.is_dir() || !anchors(&read(&place)).contains(anchor) => {
            Err(format!("it has no heading #{anchor}"))
        }
        _ => Ok(()),
    }
}

#[test]
fn every_link_leads_to_something() {
    let (mut followed, mut wrong) = (0, Vec::new());
    for (name, path) in files(".", Some(".md")) {
        for target in links(&read(&path)) {
            followed += 1;
            if let Err(why) = follow(&path, target) {
                wrong.push(format!("{name}: {target}: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(followed > 200, "{followed}");
}

#[test]
fn every_page_is_in_the_index_once_with_a_line_about_it() {
    let index = read(&root().join(INDEX));
    for group in ["Tutorials", "How-to guides", "Reference", "Explanation"] {
        assert!(index.contains(&format!("\n## {group}: ")), "{group}");
    }
    let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
    for row in index.lines().filter(|line| line.starts_with("| [")) {
        let (_, about) = row.split_once(") |").expect("a link and a line");
        assert!(about.trim_matches(['|', ' ']).len() > 3, "{row}");
        for target in links(row) {
            *rows.entry(target).or_default() += 1;
        }
    }
    let pages = ["docs", "deploy", "policies"].into_iter().flat_map(|folder| {
        let pages = files(folder, Some(".md"))
            .into_iter()
            .map(move |(name, _)| name.trim_start_matches("./").to_owned());
        pages.filter(move |name| name != INDEX && (folder == "docs" || name.ends_with("/README.md")))
    });
    let pages: Vec<String> = pages.collect();
    assert!(pages.len() > 40, "{pages:?}");
    for page in &pages {
        let target = page
            .strip_prefix("docs/")
            .map_or_else(|| format!("../{page}"), str::to_owned);
        let times = rows.remove(target.as_str()).unwrap_or_default();
        assert_eq!(times, 1, "{page} is in {INDEX} {times} times");
    }
    let others: Vec<&str> = rows.into_keys().collect();
    assert_eq!(others, ["../ARCHITECTURE.md"]);
}

#[test]
fn links_and_headings_are_found() {
    let page = "# One `two`: three\n[a](b.md#c) [x](https://example.org/)\n```text\n# no [d](e)\n```\n## Same\n## Same\n";
    assert_eq!(links(page), ["b.md#c"]);
    let found = anchors(page);
    assert_eq!(
        found.iter().map(String::as_str).collect::<Vec<_>>(),
        ["one-two-three", "same", "same-1"]
    );
}
