//! Problems, shown: what, where (file:line:column, with the line), and what to do.

use std::fmt;

use decide::policy::{GENERATED, Sources};
use decide::problem::{Place, Problem, Severity};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report};

use super::overrides::ENVIRONMENT;
use super::yaml::Document;
use serde_json::{Value, json};

/// Problems together with the texts they are in. Shown with `Display`.
#[derive(Debug)]
pub struct Invalid {
    document: Box<Document>,
    sources: Box<Sources>,
    problems: Vec<Problem>,
    syntax: Option<Syntax>,
}

/// Why a configuration is not even YAML.
#[derive(Debug)]
pub(super) struct Syntax {
    /// Byte offset.
    pub(super) offset: usize,
    /// What is wrong.
    pub(super) message: String,
    /// What to do about it.
    pub(super) help: &'static str,
}

impl Invalid {
    /// Puts errors first, and each in the order of the texts: the configuration, schema files, policy files. Values that
    /// came from a reference are hidden.
    pub(super) fn new(document: Document, sources: Sources, problems: Vec<Problem>) -> Self {
        let mut problems: Vec<Problem> = problems
            .into_iter()
            .map(|problem| document.references().hide_in(problem))
            .collect();
        problems.sort_by_cached_key(|problem| {
            let (file, start) = match &problem.at {
                Place::Setting(pointer) => (0, document.locate(pointer).0),
                Place::Name(pointer) => (0, document.locate_key(pointer).0),
                Place::Source { file, start, .. } => {
                    let files = sources.texts();
                    (1 + files.take_while(|(known, _)| known != file).count(), *start)
                }
            };
            (problem.severity == Severity::Advice, file, start)
        });
        Self {
            document: Box::new(document),
            sources: Box::new(sources),
            problems,
            syntax: None,
        }
    }

    pub(super) fn syntax(document: Document, problem: Syntax) -> Self {
        Self {
            document: Box::new(document),
            sources: Box::default(),
            problems: Vec::new(),
            syntax: Some(problem),
        }
    }

    pub(crate) fn unreadable(name: &str, error: &str, help: &str) -> Self {
        let problem = Problem::setting("", format!("cannot read {name}: {error}"), help);
        Self::new(Document::unread(name, ""), Sources::default(), vec![problem])
    }

    /// A problem that is in no file.
    pub(crate) fn bare(message: &str) -> Self {
        let problem = Problem::setting("", message, "");
        Self::new(Document::unread("", ""), Sources::default(), vec![problem])
    }

    /// The problems, errors first.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The name of the configuration file.
    pub(crate) fn file(&self) -> &str {
        self.document.name()
    }

    /// The line (from 1) of what a JSON pointer names in the configuration file.
    pub(crate) fn line(&self, pointer: &str) -> usize {
        self.document.line(pointer)
    }

    /// File, line and column (both from 1) of a problem.
    pub(crate) fn place(&self, problem: &Problem) -> (String, usize, usize) {
        let ((name, text), (start, _)) = self.text_of(problem);
        let (line, column) = line_and_column(&text, start);
        (name, line, column)
    }

    /// The same texts with other problems.
    pub(crate) fn about(self, problems: Vec<Problem>) -> Self {
        Self { problems, ..self }
    }

    /// The schema and policy files.
    pub(crate) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// How many of them keep the server from starting.
    pub fn errors(&self) -> usize {
        let errors = self
            .problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .count();
        errors + usize::from(self.syntax.is_some())
    }

    /// As shown at a terminal, but without colours: for logs.
    pub fn plain(&self) -> String {
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = self.render(&mut text, GraphicalTheme::unicode_nocolor(), false);
        text
    }

    /// Each error in a line: `file:line:column: what is wrong; what to do`.
    pub fn lines(&self) -> Vec<String> {
        let line = |(name, text): (String, String), start: usize, message: &str, help: &str| {
            let (row, column) = line_and_column(&text, start);
            let help = if help.is_empty() {
                String::new()
            } else {
                format!("; {help}")
            };
            format!("{name}:{row}:{column}: {message}{help}")
        };
        let syntax = self.syntax.iter();
        let syntax = syntax.map(|found| line(self.configuration(), found.offset, &found.message, found.help));
        let errors = self.problems.iter();
        let errors = errors
            .filter(|problem| problem.severity == Severity::Error)
            .map(|problem| {
                let (source, (start, _)) = self.text_of(problem);
                line(source, start, &problem.message, &problem.help)
            });
        syntax.chain(errors).collect()
    }

    /// Each problem for programs, errors first.
    pub(crate) fn json(&self) -> Vec<Value> {
        let told =
            |severity: &str, (file, line, column): (String, usize, usize), message: &str, help: &str| {
                json!({
                    "severity": severity,
                    "file": file,
                    "line": line,
                    "column": column,
                    "message": message,
                    "help": help,
                })
            };
        let syntax = self.syntax.iter().map(|found| {
            let (name, text) = self.configuration();
            let (line, column) = line_and_column(&text, found.offset);
            told("error", (name, line, column), &found.message, found.help)
        });
        let problems = self.problems.iter().map(|problem| {
            let severity = match problem.severity {
                Severity::Error => "error",
                Severity::Advice => "advice",
            };
            told(severity, self.place(problem), &problem.message, &problem.help)
        });
        syntax.chain(problems).collect()
    }

    /// Name and text of the file in which a problem is, and where in it.
    fn text_of(&self, problem: &Problem) -> ((String, String), (usize, usize)) {
        match &problem.at {
            Place::Setting(pointer) => (self.configuration(), self.document.locate(pointer)),
            Place::Name(pointer) => (self.configuration(), self.document.locate_key(pointer)),
            Place::Source { file, start, length } => {
                let text = self.source(file).unwrap_or_default();
                ((file.clone(), text.to_owned()), (*start, *length))
            }
        }
    }

    fn diagnostic(&self, problem: &Problem) -> Report {
        let (source, span) = self.text_of(problem);
        self.report(&problem.message, &problem.help, problem.severity, source, span)
    }

    /// Name and text of the configuration file.
    fn configuration(&self) -> (String, String) {
        (self.document.name().to_owned(), self.document.text().to_owned())
    }

    fn report(
        &self,
        message: &str,
        help: &str,
        severity: Severity,
        (name, text): (String, String),
        (start, length): (usize, usize),
    ) -> Report {
        let mut diagnostic = MietteDiagnostic::new(message).with_severity(match severity {
            Severity::Error => miette::Severity::Error,
            Severity::Advice => miette::Severity::Advice,
        });
        if !help.is_empty() {
            diagnostic = diagnostic.with_help(help);
        }
        if text.is_empty() {
            return Report::new(diagnostic);
        }
        let start = start.min(text.len());
        let length = length.min(text.len() - start);
        diagnostic = diagnostic.with_label(LabeledSpan::at(start..start + length, "here"));
        Report::new(diagnostic).with_source_code(NamedSource::new(name, text))
    }

    fn source(&self, name: &str) -> Option<&str> {
        if name == ENVIRONMENT {
            return Some(self.document.environment());
        }
        let mut texts = self.sources.texts().filter(|_| name != GENERATED);
        texts.find(|(known, _)| *known == name).map(|(_, text)| text)
    }

    /// For people on a terminal, or for logs and files: there nothing is wrapped, so that what is looked for is found.
    fn render(&self, f: &mut impl fmt::Write, theme: GraphicalTheme, for_people: bool) -> fmt::Result {
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_links(false)
            .with_width(110)
            .with_wrap_lines(for_people);
        if let Some(Syntax {
            offset,
            message,
            help,
        }) = &self.syntax
        {
            let report = self.report(message, help, Severity::Error, self.configuration(), (*offset, 1));
            handler.render_report(f, report.as_ref())?;
            writeln!(f)?;
        }
        for problem in &self.problems {
            handler.render_report(f, self.diagnostic(problem).as_ref())?;
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Line and column (both from 1, in characters) of a byte offset.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use std::io::IsTerminal as _;
        let for_people = std::io::stderr().is_terminal();
        let theme = if for_people && std::env::var_os("NO_COLOR").is_none() {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        self.render(f, theme, for_people)
    }
}
