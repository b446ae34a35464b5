//! The packs in the binary: every folder of `policies` with a `portcullis.yaml`, as `build.rs` found it.

use std::borrow::Cow;

include!(concat!(env!("OUT_DIR"), "/packs.rs"));

/// A folder to start from.
#[derive(Debug)]
pub(super) struct Pack {
    /// The name of the folder.
    pub(super) name: &'static str,
    /// Paths below the folder, with `/`, and texts.
    files: &'static [(&'static str, &'static str)],
}

impl Pack {
    /// All of them, by name.
    pub(super) fn all() -> &'static [Self] {
        PACKS
    }

    /// What it is for: the heading of its README.
    pub(super) fn title(&self) -> &'static str {
        let heading = self.readme().lines().next().unwrap_or_default();
        heading.trim_start_matches('#').trim()
    }

    /// The arguments of the first `portcullis check` in its README, and what comes of it.
    pub(super) fn first_question(&self) -> Option<(&'static str, &'static str)> {
        let mut lines = self.readme().lines();
        let line = lines.find_map(|line| line.strip_prefix("portcullis check --config portcullis.yaml "))?;
        let (words, answer) = line.split_once('#').unwrap_or((line, ""));
        Some((words.trim(), answer.trim()))
    }

    /// The files as they are written elsewhere.
    pub(super) fn files(&self) -> impl Iterator<Item = (&'static str, Cow<'static, str>)> {
        self.files
            .iter()
            .map(|&(name, text)| match name.ends_with(".md") {
                true => (name, Cow::Owned(without_links_out(name, text))),
                false => (name, Cow::Borrowed(text)),
            })
    }

    fn readme(&self) -> &'static str {
        let readme = self.files.iter().find(|(name, _)| *name == "README.md");
        readme.map_or("", |(_, text)| text)
    }
}

/// The page with only the words of links that lead out of the pack: what they lead to is not there any more.
fn without_links_out(name: &str, page: &str) -> String {
    let out = format!("]({}", "../".repeat(1 + name.matches('/').count()));
    let (mut kept, mut rest) = (String::new(), page);
    while let Some((before, after)) = rest.split_once(&out) {
        let (Some((before, words)), Some((_, after))) = (before.rsplit_once('['), after.split_once(')'))
        else {
            break;
        };
        kept.push_str(before);
        kept.push_str(words);
        rest = after;
    }
    kept + rest
}
