//! A configuration file and all that it names, read, checked and compiled.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use decide::Rules;
use decide::policy::{EngineSettings, Sources};
use decide::problem::{Place, Problem, Severity};
use decide::shadow::Candidate;

use super::listen::check_listeners;
use super::overrides::Overrides;
use super::reads::{Reader, Reads};
use super::report::Invalid;
use super::{Config, files, paths, schema, tls, yaml};
use crate::stack;

/// A configuration that passed every check, compiled.
#[derive(Debug)]
pub struct Loaded {
    /// The settings of the server.
    pub config: Config,
    /// The compiled routes and policies.
    pub rules: Arc<Rules>,
    /// What is worth knowing and breaks nothing.
    pub advice: Invalid,
    /// Why the candidate policies are left out, if they are.
    pub unfit: Option<Invalid>,
}

/// What it means that the candidate policies (`shadow`) cannot be used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unfit {
    /// The configuration cannot be used.
    Refuses,
    /// The candidate is left out: it never answers, and must not keep a change away from those that do.
    LeftOut,
}

/// Reads and compiles the configuration file at `path`.
///
/// # Errors
/// Every problem of the file and of the policy and schema files it names, ready to be shown.
pub fn load(path: &Path) -> Result<Loaded, Invalid> {
    noting(path, Unfit::Refuses, &Overrides::default()).0
}

/// The same where flags or the environment say some settings, with what was read for it, whether that is a configuration or
/// not.
pub(crate) fn load_noting(path: &Path, overrides: &Overrides) -> (Result<Loaded, Invalid>, Reads) {
    noting(path, Unfit::Refuses, overrides)
}

/// The same for a server that runs: candidate policies that cannot be used are left out.
pub(crate) fn load_again(path: &Path, overrides: &Overrides) -> (Result<Loaded, Invalid>, Reads) {
    noting(path, Unfit::LeftOut, overrides)
}

/// The name and the text of the configuration file, for those who look at nothing else.
pub(super) fn text_of(path: &Path, reader: &Reader) -> Result<(String, String), Invalid> {
    let name = path.display().to_string();
    match reader.text(path) {
        Ok(text) => Ok((name, text)),
        Err(error) => Err(Invalid::unreadable(
            &name,
            &error.to_string(),
            "name the file with --config FILE",
        )),
    }
}

/// The settings of the text of a file alone, for tests: policies are not looked at, and what is wrong elsewhere is left out.
#[cfg(test)]
pub(crate) fn settings(path: &Path, text: &str) -> Result<Config, Invalid> {
    let document = yaml::Document::parse(&path.display().to_string(), text)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let (_, config, _) = read_settings(document, (folder, &Reader::default()), &Overrides::default())?;
    Ok(config)
}

fn noting(path: &Path, unfit: Unfit, overrides: &Overrides) -> (Result<Loaded, Invalid>, Reads) {
    let noting = || {
        let reader = Reader::default();
        let name = path.display().to_string();
        let loaded = match reader.text(path) {
            Ok(text) => {
                let folder = path.parent().unwrap_or(Path::new("."));
                read_all(&name, &text, (folder, &reader), unfit, overrides)
            }
            Err(error) => Err(Invalid::unreadable(
                &name,
                &error.to_string(),
                "name the file with --config FILE",
            )),
        };
        (loaded, reader.reads())
    };
    stack::with_room(noting).unwrap_or_else(|error| {
        (
            Err(no_room(&path.display().to_string(), &error)),
            Reads::default(),
        )
    })
}

fn no_room(name: &str, error: &std::io::Error) -> Invalid {
    Invalid::unreadable(name, &format!("no thread to compile in: {error}"), "")
}

/// The same for a text that was read already; `name` is for messages, relative paths begin at `folder`.
///
/// # Errors
/// As [`load`].
pub fn load_text(name: &str, text: &str, folder: &Path) -> Result<Loaded, Invalid> {
    let read = || {
        let (reader, overrides) = (Reader::default(), Overrides::default());
        read_all(name, text, (folder, &reader), Unfit::Refuses, &overrides)
    };
    stack::with_room(read).unwrap_or_else(|error| Err(no_room(name, &error)))
}

fn read_all(
    name: &str,
    text: &str,
    (folder, reader): (&Path, &Reader),
    unfit: Unfit,
    overrides: &Overrides,
) -> Result<Loaded, Invalid> {
    let document = yaml::Document::parse(name, text)?;
    let (document, config, mut problems) = read_settings(document, (folder, reader), overrides)?;
    let before = problems.len();
    let named = config.named();
    let sources = files::sources(
        "/policies",
        &named,
        &Sources::default(),
        (folder, reader),
        &mut problems,
    )?;
    let mut lacking = Vec::new();
    let mut left_out = None;
    let candidate = config.shadow.as_ref().map(|shadow| {
        files::sources(
            "/shadow",
            &shadow.named(),
            &sources,
            (folder, reader),
            &mut lacking,
        )
    });
    let candidate = match candidate {
        Some(Err(invalid)) if unfit == Unfit::LeftOut => {
            left_out = Some(invalid);
            None
        }
        Some(Ok(_)) if unfit == Unfit::LeftOut && !lacking.is_empty() => {
            left_out = Some(Invalid::new(
                document.clone(),
                sources.clone(),
                lacking.split_off(0),
            ));
            None
        }
        candidate => candidate.transpose()?,
    };
    problems.extend(lacking);
    if config.reload.run_tests {
        // Read where they are run; here only so that a change of them is noticed.
        let suites = reader.list(&folder.join(crate::policy_tests::SUITES), &[".yaml", ".yml"]);
        for suite in suites.into_iter().flatten() {
            let _ = reader.text(&suite);
        }
    }
    let unread = problems.split_off(before);
    if !unread.is_empty() || document.references().failed_near("/policies") {
        // What the missing file would have declared must not be reported as well.
        problems.extend(
            unread
                .into_iter()
                .filter(|problem| !document.references().explains(problem)),
        );
        return Err(Invalid::new(document, sources, problems));
    }
    let loaded = compile(document, config, (sources, candidate), problems, unfit)?;
    Ok(Loaded {
        unfit: left_out.or(loaded.unfit),
        ..loaded
    })
}

/// The same with the sources at hand instead of in files; other relative paths begin at the current folder.
///
/// # Errors
/// As [`load`].
pub fn load_with_sources(name: &str, text: &str, sources: Sources) -> Result<Loaded, Invalid> {
    let here = || {
        let document = yaml::Document::parse(name, text)?;
        let (reader, overrides) = (Reader::default(), Overrides::default());
        let (document, config, problems) = read_settings(document, (Path::new(""), &reader), &overrides)?;
        compile(document, config, (sources, None), problems, Unfit::Refuses)
    };
    stack::with_room(here).unwrap_or_else(|error| Err(no_room(name, &error)))
}

/// The settings, with the unknown ones left out and reported: everything else can be looked at all the same.
pub(super) fn read_settings(
    mut document: yaml::Document,
    (folder, reader): (&Path, &Reader),
    overrides: &Overrides,
) -> Result<(yaml::Document, Config, Vec<Problem>), Invalid> {
    let referenced = RefCell::new(BTreeSet::new());
    let environment = |name: &str| {
        referenced.borrow_mut().insert(name.to_owned());
        std::env::var(name)
    };
    let mut problems = document.resolve(folder, &environment, reader);
    document.override_by(overrides);
    problems.extend(overrides.unknown(&referenced.borrow()));
    let mut known = document.value().clone();
    let overridden = overrides.places().map(|(pointer, _)| pointer);
    let texts: Vec<String> = overridden
        .chain(document.references().replaced().iter().cloned())
        .collect();
    schema::convert(&mut known, &texts);
    for problem in schema::check(&known) {
        let follows = document.references().explains(&problem);
        match &problem.at {
            Place::Name(pointer) => remove(&mut known, pointer),
            // The empty text in place of a value that is missing.
            Place::Setting(pointer) if follows => remove(&mut known, pointer),
            Place::Setting(_) | Place::Source { .. } => {}
        }
        if !follows {
            problems.push(overrides.place_of(problem));
        }
    }
    paths::begin_at(folder, &mut known);
    match serde_json::from_value::<Config>(known) {
        Ok(mut config) => {
            config.tls = tls::read(&config, (folder, reader), &mut problems);
            Ok((document, config, problems))
        }
        Err(error) => {
            if problems.is_empty() {
                problems.push(Problem::setting("", error.to_string(), ""));
            }
            Err(Invalid::new(document, Sources::default(), problems))
        }
    }
}

/// Removes the member of an object that a JSON pointer names.
pub(super) fn remove(value: &mut serde_json::Value, pointer: &str) {
    let Some((parent, name)) = pointer.rsplit_once('/') else {
        return;
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    if let Some(object) = value
        .pointer_mut(parent)
        .and_then(serde_json::Value::as_object_mut)
    {
        object.remove(&name);
    }
}

fn compile(
    document: yaml::Document,
    mut config: Config,
    (sources, candidate_sources): (Sources, Option<Sources>),
    mut problems: Vec<Problem>,
    unfit: Unfit,
) -> Result<Loaded, Invalid> {
    config.settings.engine = EngineSettings {
        backend: config.policies.engine,
        self_check_every: config.policies.self_check_every,
    };
    if let Some(authority) = &config.authority {
        config.settings.identity.house = Some(authority.house());
        problems.extend(authority.problems(&config.settings.identity));
    }
    check_listeners(&config.listen, &mut problems);
    problems.extend(config.decision_log.problems());
    problems.extend(config.limits.problem());
    let (advice, mut problems): (Vec<Problem>, Vec<Problem>) = problems
        .into_iter()
        .partition(|problem| problem.severity == Severity::Advice);
    let (rules, mut found) = compiled(Rules::compile(&config.settings, &sources));
    let mut left_out = None;
    let candidate = match config.shadow.as_ref().zip(candidate_sources.as_ref()) {
        None => Ok(None),
        Some((shadow, sources)) => {
            let (candidate, more) = compiled(Rules::compile(&config.settings, sources));
            let sample = shadow.sample;
            let candidate = candidate.map(|rules| Candidate {
                rules: Arc::new(rules),
                sample,
            });
            if candidate.is_none() && rules.is_some() && unfit == Unfit::LeftOut {
                left_out = Some(Invalid::new(document.clone(), sources.clone(), more));
                Ok(None)
            } else {
                // What is wrong with the settings is wrong for both.
                let known = std::mem::take(&mut found);
                found.extend(more.into_iter().filter(|problem| !known.contains(problem)));
                found.splice(0..0, known);
                candidate.map(Some).ok_or(())
            }
        }
    };
    found.extend(advice);
    let all = Sources::all([Some(sources), candidate_sources].into_iter().flatten());
    match (rules, candidate) {
        (Some(rules), Ok(candidate)) if problems.is_empty() => Ok(Loaded {
            config,
            rules: Arc::new(match candidate {
                Some(candidate) => rules.with_candidate(candidate),
                None => rules,
            }),
            advice: Invalid::new(document, all, found),
            unfit: left_out,
        }),
        _ => {
            let references = document.references();
            problems.extend(found.into_iter().filter(|problem| !references.explains(problem)));
            Err(Invalid::new(document, all, problems))
        }
    }
}

/// The rules, if there are any, and what was found.
fn compiled(rules: Result<(Rules, Vec<Problem>), Vec<Problem>>) -> (Option<Rules>, Vec<Problem>) {
    match rules {
        Ok((rules, advice)) => (Some(rules), advice),
        Err(found) => (None, found),
    }
}
