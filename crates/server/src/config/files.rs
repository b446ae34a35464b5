//! The files that the configuration names.

use std::path::{Path, PathBuf};

use decide::policy::{DataFile, SourceFile, Sources};
use decide::problem::Problem;

use super::reads::Reader;
use super::report::Invalid;
use super::{json, yaml};

/// How links files of a folder end.
const LINKS: &[&str] = &[".links.yaml", ".links.yml", ".links.json"];
/// How entity files of a folder end.
const ENTITIES: &[&str] = &[".entities.yaml", ".entities.yml", ".entities.json"];

/// How Magpie's files end.
const MAGPIE: &[&str] = &[".cfg", ".yml", ".yaml", ".json"];

/// Reads the files that the setting at the JSON pointer `key` names.
fn read(
    key: &str,
    endings: &[&str],
    paths: &[PathBuf],
    (folder, reader): (&Path, &Reader),
    problems: &mut Vec<Problem>,
) -> Vec<SourceFile> {
    let mut files = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        let full = folder.join(path);
        let pointer = format!("{key}/{index}");
        let named = match reader.list(&full, endings) {
            Ok(named) => named,
            Err(error) => {
                problems.push(Problem::setting(
                    pointer,
                    format!("cannot read {}: {error}", full.display()),
                    "paths are relative to the folder of the configuration file",
                ));
                continue;
            }
        };
        if named.is_empty() {
            let message = format!(
                "there is no *{} file in {}",
                endings.join(" or *"),
                full.display()
            );
            problems.push(Problem::setting(&pointer, message, ""));
        }
        for file in named {
            match reader.text(&file) {
                Ok(text) => files.push(SourceFile {
                    name: file.display().to_string(),
                    text,
                }),
                Err(error) => {
                    let message = format!("cannot read {}: {error}", file.display());
                    problems.push(Problem::setting(&pointer, message, ""));
                }
            }
        }
    }
    files
}

/// Everything that policies are made of, below the JSON pointer `at`. What is not named is as in `otherwise`.
///
/// # Errors
/// The first syntax error of a data file, at its place.
pub(super) fn sources(
    at: &str,
    named: &Named<'_>,
    otherwise: &Sources,
    from: (&Path, &Reader),
    problems: &mut Vec<Problem>,
) -> Result<Sources, Invalid> {
    let mut authority = match named.authority {
        Some(paths) => read("/authority/policies", &[".cedar"], paths, from, problems),
        None => otherwise.authority.clone(),
    };
    authority.extend(read(
        "/admin_options/policies",
        &[".cedar"],
        named.admin,
        from,
        problems,
    ));
    let mut files = |key, endings, paths: &[PathBuf]| {
        let key = format!("{at}/{key}");
        read(&key, endings, paths, from, problems)
    };
    Ok(Sources {
        schema: match named.schema {
            Some(paths) => files("schema", &[".cedarschema"], paths),
            None => otherwise.schema.clone(),
        },
        policies: files("files", &[".cedar"], named.files),
        links: match named.links {
            Some(paths) => parse(files("links", LINKS, paths))?,
            None => otherwise.links.clone(),
        },
        entities: match named.entities {
            Some(paths) => parse(files("entities", ENTITIES, paths))?,
            None => otherwise.entities.clone(),
        },
        authority,
        magpie: match named.magpie {
            Some(paths) => parse(read("/magpie/files", MAGPIE, paths, from, problems))?,
            None => otherwise.magpie.clone(),
        },
    })
}

/// The files that a setting names.
pub(super) struct Named<'n> {
    pub(super) files: &'n [PathBuf],
    pub(super) schema: Option<&'n [PathBuf]>,
    pub(super) links: Option<&'n [PathBuf]>,
    pub(super) entities: Option<&'n [PathBuf]>,
    /// Policies about the house itself.
    pub(super) authority: Option<&'n [PathBuf]>,
    /// More of these, named by the admin listener.
    pub(super) admin: &'n [PathBuf],
    pub(super) magpie: Option<&'n [PathBuf]>,
}

/// Reads data files as YAML, of which JSON is a part.
///
/// # Errors
/// The first syntax error, at its place.
fn parse(files: Vec<SourceFile>) -> Result<Vec<DataFile>, Invalid> {
    let data = |SourceFile { name, text }: SourceFile| {
        let is_json = Path::new(&name)
            .extension()
            .is_some_and(|ending| ending == "json");
        match is_json.then(|| json::data(&text)).flatten() {
            Some(data) => Ok(DataFile { name, text, data }),
            None => yaml::data(name, text),
        }
    };
    files.into_iter().map(data).collect()
}
