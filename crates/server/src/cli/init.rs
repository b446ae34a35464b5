//! `portcullis init`: a folder to start from.

mod packs;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use decide::problem::did_you_mean;

use self::packs::Pack;
use super::{Failure, exit, say, tell};

/// Write a folder to start from.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Init {
    /// Where to: a folder that is new or empty
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// What to start from; without it, the packs are listed
    #[arg(long, value_name = "NAME", requires = "folder")]
    pack: Option<String>,
    /// Write even if files are there: those of the pack are replaced, others are left alone
    #[arg(long, requires = "pack")]
    force: bool,
}

const AFTER_HELP: &str = "\
A pack is a configuration with its policies, their tests and a page that says what to change.

Examples:
  portcullis init                            which packs there are
  portcullis init --pack default my-gate     small, every line explained
  portcullis init --pack eoepca my-platform
  portcullis init --pack default --force .   the files of the pack anew, over those that are here

Exit codes: 0 done, 1 cannot write (or files are there), 2 wrong usage.";

/// So many files in the way are named.
const NAMED: usize = 8;

impl Init {
    pub(super) fn run(self) -> ExitCode {
        let done = match (&self.folder, &self.pack) {
            (Some(folder), Some(name)) => pack(name).and_then(|pack| self.write(pack, folder)),
            (Some(folder), None) => Err(usage(&format!(
                "which pack is to be written to {}?",
                folder.display()
            ))),
            (None, _) => Ok(list()),
        };
        match done {
            Ok(text) => {
                say(&text);
                ExitCode::SUCCESS
            }
            Err(failure) => failure.tell(),
        }
    }

    /// Writes the pack, and says what was written and what to do next.
    fn write(&self, pack: &Pack, folder: &Path) -> Result<String, Failure> {
        if !self.force {
            let there = there(folder).map_err(|error| cannot_write(folder, &error))?;
            if !there.is_empty() {
                return Err(Failure::Message(in_the_way(folder, &there)));
            }
        }
        let mut told = format!("Wrote the pack {} to {}:\n", pack.name, folder.display());
        for (name, text) in pack.files() {
            let file = folder.join(name);
            let note = match std::fs::read(&file) {
                Ok(before) if before == text.as_bytes() => "   (as it was)",
                Ok(_) => "   (replaced)",
                Err(_) => "",
            };
            put(&file, &text).map_err(|error| cannot_write(&file, &error))?;
            let _ = writeln!(told, "  {name}{note}");
        }
        told.push_str(&next(pack, folder));
        Ok(told)
    }
}

/// The pack of that name.
fn pack(name: &str) -> Result<&'static Pack, Failure> {
    let found = Pack::all().iter().find(|pack| pack.name == name);
    found.ok_or_else(|| {
        let meant = did_you_mean(name, Pack::all().iter().map(|pack| pack.name));
        let gap = if meant.is_empty() { "" } else { "; " };
        usage(&format!("there is no pack {name:?}{gap}{meant}"))
    })
}

/// A command line that says too little.
fn usage(message: &str) -> Failure {
    tell(&format!("{message}\n\n{}", list().trim_end()));
    Failure::Said(exit::usage())
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::Message(format!("cannot write {}: {error}", path.display()))
}

/// The packs, a line each, and how to choose.
fn list() -> String {
    let names = Pack::all().iter().map(|pack| pack.name.chars().count());
    let width = names.max().unwrap_or_default();
    let mut list = String::from("Packs to start from:\n");
    for pack in Pack::all() {
        let _ = writeln!(list, "  {:width$}  {}", pack.name, pack.title());
    }
    list.push_str(
        "\nTake the one of your platform; for any other, `default`, which explains every line:\n  \
         portcullis init --pack default DIR\n",
    );
    list
}

/// What is in the folder already. The folder of Git is no file of anybody.
fn there(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match folder.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let mut name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            name.push('/');
        }
        if name != ".git/" {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

fn in_the_way(folder: &Path, there: &[String]) -> String {
    let mut message = format!("nothing was written: {} has files already\n", folder.display());
    for name in there.iter().take(NAMED) {
        let _ = writeln!(message, "  {name}");
    }
    if let Some(more) = there.len().checked_sub(NAMED).filter(|more| *more > 0) {
        let _ = writeln!(message, "  … and {more} more");
    }
    message
        + "name a folder that is new or empty; --force replaces the files of the pack and leaves others alone"
}

/// Puts the file in place whole: a server may be watching the folder, and a link is replaced, not followed.
fn put(file: &Path, text: &str) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let new = folder.join(format!(".{name}.new"));
    std::fs::write(&new, text)?;
    std::fs::rename(&new, file).inspect_err(|_| {
        let _ = std::fs::remove_file(&new);
    })
}

/// The next three commands.
fn next(pack: &Pack, folder: &Path) -> String {
    let config = folder.join("portcullis.yaml").display().to_string();
    let (config, shown) = (quoted(&config), folder.display().to_string());
    let mut next = format!(
        "\nNext:\n  portcullis validate --config {config}\n  portcullis test {}\n",
        quoted(&shown)
    );
    let _ = match pack.first_question() {
        Some((words, answer)) => writeln!(next, "  portcullis check --config {config} {words}   # {answer}"),
        None => writeln!(next, "  portcullis serve --config {config}"),
    };
    let readme = folder.join("README.md");
    let _ = writeln!(next, "{} goes on from there.", readme.display());
    next
}

/// The word as a shell reads it.
fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    match word.chars().all(plain) {
        true => Cow::Borrowed(word),
        false => Cow::Owned(format!("'{}'", word.replace('\'', r"'\''"))),
    }
}
