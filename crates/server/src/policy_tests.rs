//! Tests of policies: suites beside a configuration, each question of which has one right answer.
//!
//! A *pack* is a folder with a `portcullis.yaml`; its suites are `tests/*.yaml` in it. Everything runs offline: no key is
//! fetched, and whoever asks is given. Printing is not here, but in `cli`.

mod coverage;
mod people;
mod question;
mod read;
mod run;
mod suite;
mod table;

use std::path::{Path, PathBuf};

pub(crate) use coverage::Coverage;
pub(crate) use read::{Case, ReadSuite};
pub(crate) use run::{Ran, Row};
pub(crate) use table::{COMMITTED, answers, diff, matrix};

use crate::config::{self, Invalid, Loaded};
use read::Reader;

/// The name of the configuration of a pack.
const CONFIGURATION: &str = "portcullis.yaml";
/// Folders that are full of what nobody wrote.
const BUILT: [&str; 2] = ["target", "node_modules"];
/// The folder of its suites.
pub(crate) const SUITES: &str = "tests";

/// A configuration with its suites, ready to run.
#[derive(Debug)]
pub(crate) struct Pack {
    /// Its configuration.
    pub(crate) file: PathBuf,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// What is tested.
    pub(crate) loaded: Loaded,
    /// By what.
    pub(crate) suites: Vec<ReadSuite>,
}

/// Runs the suites beside the configuration against what was loaded from it, and says in a line each what is wrong: with
/// the suites, or with the answers. A configuration without suites has no problems.
pub fn problems(loaded: &Loaded) -> Vec<String> {
    let folder = folder_of(loaded);
    let suites = match read(loaded, &folder) {
        Ok(suites) => suites,
        Err(invalid) => return invalid.iter().flat_map(in_lines).collect(),
    };
    let ran = run::run(&loaded.rules, &suites, |_, _| true);
    let failed = ran.iter().flat_map(|suite| {
        let failed = suite.rows.iter().filter(|row| !row.passed());
        failed.map(|row| format!("{}:{}: {}", suite.file, row.case.line, row.in_a_line()))
    });
    failed.collect()
}

/// The configurations in and below `folder`, in the order of their names; or the file itself. Hidden folders, those of what
/// is built, and links to folders are not looked into.
///
/// # Errors
/// A folder that cannot be read.
pub(crate) fn packs(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    if folder.is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let here = folder == Path::new(".");
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let configuration = folder.join(CONFIGURATION);
        if configuration.is_file() {
            found.push(configuration);
        }
        for entry in folder.read_dir()? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let passed_over = name.starts_with('.') || BUILT.contains(&&*name);
            if entry.file_type()?.is_dir() && !passed_over {
                folders.push(entry.path());
            }
        }
    }
    if here {
        // Shorter to read, and what annotations of workflows need.
        let bare = |path: PathBuf| path.strip_prefix(".").map(Path::to_owned).unwrap_or(path);
        found = found.into_iter().map(bare).collect();
    }
    found.sort();
    Ok(found)
}

impl Pack {
    /// Loads the configuration `file` and the suites beside it.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration, or with the suites.
    pub(crate) fn load(file: &Path) -> Result<Self, Vec<Invalid>> {
        let loaded = config::load(file).map_err(|invalid| vec![invalid])?;
        let folder = folder_of(&loaded);
        let suites = read(&loaded, &folder)?;
        Ok(Self {
            file: file.to_owned(),
            folder,
            loaded,
            suites,
        })
    }

    /// Asks every question for which `wanted` is true.
    pub(crate) fn run(&self, wanted: impl Fn(&ReadSuite, &Case) -> bool) -> Vec<Ran> {
        run::run(&self.loaded.rules, &self.suites, wanted)
    }
}

impl Row {
    /// Who asked for what, and what is not as it should be.
    pub(crate) fn in_a_line(&self) -> String {
        let differences: Vec<String> = self
            .differences
            .iter()
            .map(|d| format!("{} should be {}, and is {}", d.what, d.expected, d.got))
            .collect();
        format!(
            "{}: {} as {}: {} ({})",
            self.case.id,
            self.case.request,
            self.case.who,
            differences.join("; "),
            self.answer.why
        )
    }
}

/// Reads all suites beside the configuration; there may be none.
fn read(loaded: &Loaded, folder: &Path) -> Result<Vec<ReadSuite>, Vec<Invalid>> {
    let files = match suite_files(&folder.join(SUITES)) {
        Ok(files) => files,
        Err(error) => {
            let name = folder.join(SUITES).display().to_string();
            return Err(vec![Invalid::unreadable(&name, &error.to_string(), "")]);
        }
    };
    let issuers = loaded.rules.rehearsal();
    let mut reader = Reader::new(&loaded.rules, &issuers);
    let (mut suites, mut invalid) = (Vec::new(), Vec::new());
    for file in files {
        let name = file.display().to_string();
        let read = match std::fs::read_to_string(&file) {
            Ok(text) => reader.suite(&name, &text),
            Err(error) => Err(Invalid::unreadable(&name, &error.to_string(), "")),
        };
        match read {
            Ok(suite) => suites.push(suite),
            Err(problems) => invalid.push(problems),
        }
    }
    if invalid.is_empty() {
        Ok(suites)
    } else {
        Err(invalid)
    }
}

/// The YAML files of the folder, in the order of their names; none if there is no such folder.
fn suite_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in folder.read_dir()? {
        let file = entry?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn folder_of(loaded: &Loaded) -> PathBuf {
    let file = Path::new(loaded.advice.file());
    file.parent().unwrap_or(Path::new("")).to_owned()
}

/// Problems in a line each, for logs.
fn in_lines(invalid: &Invalid) -> Vec<String> {
    let problems = invalid.problems().iter();
    let lines: Vec<String> = problems
        .map(|problem| format!("{}: {problem}", invalid.file()))
        .collect();
    if lines.is_empty() {
        vec![format!("{}: this is not YAML", invalid.file())]
    } else {
        lines
    }
}

#[cfg(test)]
mod tests;
