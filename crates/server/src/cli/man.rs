//! `portcullis man` and `portcullis completions`: what the command line says of itself, for `man`, shells and `docs/cli.md`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Command, CommandFactory as _, ValueEnum};
use clap_complete::Shell;

use super::{Cli, Failure, say};

/// Manual pages.
#[derive(Debug, clap::Args)]
#[command(after_help = MAN)]
pub(crate) struct Man {
    /// Write a page for each verb into this folder; without it, the page of the program is printed
    #[arg(value_name = "DIR", conflicts_with = "output")]
    folder: Option<PathBuf>,
    /// How the page is printed
    #[arg(long, short, value_enum, default_value_t = Output::Roff)]
    output: Output,
}

const MAN: &str = "\
Examples:
  portcullis man | man -l -
  portcullis man target/man
  portcullis man -o markdown

Exit codes: 0 done, 1 cannot write, 2 wrong usage.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For `man`
    Roff,
    /// One page with the help of every verb: docs/cli.md
    Markdown,
}

/// Completions of a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = COMPLETIONS)]
pub(crate) struct Completions {
    /// Whose
    #[arg(value_enum)]
    shell: Shell,
}

const COMPLETIONS: &str = "\
Examples:
  portcullis completions bash > ~/.local/share/bash-completion/completions/portcullis
  portcullis completions zsh > ~/.zfunc/_portcullis
  portcullis completions fish > ~/.config/fish/completions/portcullis.fish

Exit codes: 0 done, 2 wrong usage.";

impl Completions {
    pub(super) fn run(self) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "portcullis", &mut script);
        say(&String::from_utf8_lossy(&script));
        ExitCode::SUCCESS
    }
}

impl Man {
    pub(super) fn run(self) -> ExitCode {
        match self.printed() {
            Ok(text) => {
                say(&text);
                ExitCode::SUCCESS
            }
            Err(failure) => failure.tell(),
        }
    }

    fn printed(&self) -> Result<String, Failure> {
        let command = Cli::command();
        let failed = |error: std::io::Error| Failure::Message(format!("cannot write the pages: {error}"));
        match (&self.folder, self.output) {
            (Some(folder), _) => {
                std::fs::create_dir_all(folder).map_err(failed)?;
                clap_mangen::generate_to(command.disable_help_subcommand(true), folder).map_err(failed)?;
                Ok(String::new())
            }
            (None, Output::Roff) => {
                let mut page = Vec::new();
                clap_mangen::Man::new(command).render(&mut page).map_err(failed)?;
                Ok(String::from_utf8_lossy(&page).into_owned())
            }
            (None, Output::Markdown) => Ok(markdown()),
        }
    }
}

const HEAD: &str = "\
<!-- Written by `cargo xtask generate` from the command line's own help. -->
# The command line

The same is in `portcullis VERB --help` and in the manual pages (`portcullis man DIR`).
";

/// One page with the help of every verb.
fn markdown() -> String {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut page = HEAD.to_owned();
    section(&mut page, &mut command);
    page
}

fn section(page: &mut String, command: &mut Command) {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let name = command.get_bin_name().unwrap_or("portcullis");
    let _ = write!(
        page,
        "\n## {name}\n\n```text\n{}\n```\n",
        lines.join("\n").trim_end()
    );
    for verb in command.get_subcommands_mut() {
        section(page, verb);
    }
}
