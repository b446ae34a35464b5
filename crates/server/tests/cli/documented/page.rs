//! What a page has for somebody to type: its blocks, the commands in them, and what it says comes of them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::root;

/// A page, by its path below the root of the repository.
pub(super) struct Page {
    pub(super) name: String,
    pub(super) blocks: Vec<Block>,
}

/// What stands between three backquotes and the next three.
pub(super) struct Block {
    pub(super) language: String,
    /// The number of its first line.
    pub(super) line: usize,
    pub(super) text: String,
}

/// What a reader does.
pub(super) enum Step {
    /// Write a file: a block that begins with `# file: name` or `// file: name`.
    File { name: String, text: String },
    /// Type a command.
    Command(Command),
}

/// A command of a page.
pub(super) struct Command {
    /// `file:line`.
    pub(super) place: String,
    /// As it stands there, comment included, and continued lines, too.
    pub(super) text: String,
    /// What the page says is printed: the lines below it, or the answer in the comment behind it (`# deny 401: why`).
    pub(super) shown: String,
}

/// Every page, found where pages are.
pub(super) fn pages() -> Vec<Page> {
    let mut files = vec![root().join("README.md"), root().join("ARCHITECTURE.md")];
    files.extend(markdown(&root().join("docs"), |_| true));
    for folder in ["deploy", "policies"] {
        files.extend(markdown(&root().join(folder), |file| file.ends_with("README.md")));
    }
    let pages: Vec<Page> = files.iter().map(|file| Page::read(file)).collect();
    assert!(pages.len() > 40, "{} pages were found", pages.len());
    pages
}

/// The pages at or below a folder.
fn markdown(folder: &Path, wanted: fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(markdown(&path, wanted));
        } else if path.extension().is_some_and(|ending| ending == "md") && wanted(&path) {
            found.push(path);
        }
    }
    found.sort();
    found
}

impl Page {
    fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).expect("a page");
        let name = file.strip_prefix(root()).expect("below the root");
        let mut page = Self {
            name: name.display().to_string(),
            blocks: Vec::new(),
        };
        let mut open: Option<Block> = None;
        for (number, line) in (1..).zip(text.lines()) {
            match (line.trim_start().strip_prefix("```"), open.take()) {
                (Some(_), Some(block)) => page.blocks.push(block),
                (Some(language), None) => {
                    open = Some(Block {
                        language: language.trim().to_owned(),
                        line: number + 1,
                        text: String::new(),
                    });
                }
                (None, Some(mut block)) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                    open = Some(block);
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block does not end", page.name);
        page
    }

    /// The blocks in one language.
    pub(super) fn blocks_of(&self, language: &str) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(move |block| block.language == language)
    }

    /// What a reader does from the top of the page to its end.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for block in &self.blocks {
            if let Some(name) = block.file() {
                steps.push(Step::File {
                    name: name.to_owned(),
                    text: block.text.clone(),
                });
                continue;
            }
            let commands = match block.language.as_str() {
                "console" => block.typed("$ "),
                "sh" | "bash" | "shell" => block.typed(""),
                "text" if self.name == "docs/cli.md" => block.examples(),
                "yaml" => block.typed("- run: "),
                _ => Vec::new(),
            };
            steps.extend(commands.into_iter().map(|(line, text, below)| {
                let place = format!("{}:{line}", self.name);
                let shown = if below.is_empty() { answer(&text) } else { below };
                Step::Command(Command { place, text, shown })
            }));
        }
        steps
    }
}

impl Block {
    /// The name of the file that it is.
    pub(super) fn file(&self) -> Option<&str> {
        let first = self.text.lines().next()?;
        first.strip_prefix("# file: ").or(first.strip_prefix("// file: "))
    }

    /// `file:line`, on this page.
    pub(super) fn place(&self, page: &Page) -> String {
        format!("{}:{}", page.name, self.line)
    }

    /// The commands whose first lines begin with a prompt, with their lines' numbers and what stands below them. Without a
    /// prompt every line is a command.
    fn typed(&self, prompt: &str) -> Vec<(usize, String, String)> {
        let mut found: Vec<(usize, String, String)> = Vec::new();
        for (number, line) in (self.line..).zip(self.text.lines()) {
            match (line.trim_start().strip_prefix(prompt), found.last_mut()) {
                (_, Some((_, text, below))) if below.is_empty() && goes_on(text) => {
                    text.push('\n');
                    text.push_str(line);
                }
                (Some(text), _)
                    if (prompt != "$ " || line.starts_with(prompt))
                        && !text.is_empty()
                        && !text.starts_with('#') =>
                {
                    found.push((number, text.to_owned(), String::new()));
                }
                (_, Some((_, _, below))) if prompt == "$ " => {
                    below.push_str(line);
                    below.push('\n');
                }
                _ => {}
            }
        }
        found
    }

    /// The commands below `Examples:` in the help of a verb, without what is said about them.
    fn examples(&self) -> Vec<(usize, String, String)> {
        let lines = (self.line..).zip(self.text.lines());
        let lines = lines.skip_while(|(_, line)| !line.starts_with("Example"));
        let lines = lines.skip(1).take_while(|(_, line)| !line.is_empty());
        let mut found: Vec<(usize, String, String)> = Vec::new();
        for (number, line) in lines {
            match found.last_mut() {
                Some((_, text, _)) if goes_on(text) => {
                    text.push('\n');
                    text.push_str(line);
                }
                _ => {
                    let command = line.trim().split("   ").next().unwrap_or_default();
                    found.push((number, command.to_owned(), String::new()));
                }
            }
        }
        found
    }
}

/// Whether a shell would wait for more: a backslash at the end, or a quote that is open.
fn goes_on(text: &str) -> bool {
    let code = text.split(" # ").next().unwrap_or_default();
    text.ends_with('\\')
        || !code.matches('\'').count().is_multiple_of(2) && code.matches('"').count().is_multiple_of(2)
}

/// What a comment behind a check says of the answer.
fn answer(text: &str) -> String {
    let said = text.rsplit_once(" # ").map_or("", |(_, said)| said.trim());
    let said = said.split([':', ';']).next().unwrap_or_default();
    if said == "allow" || said.starts_with("deny ") {
        said.to_owned()
    } else {
        String::new()
    }
}
