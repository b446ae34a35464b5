//! Developer chores: `cargo xtask test` runs every check there is, `cargo xtask generate` writes the committed
//! generated files again, `cargo xtask image` packs what is shipped. It uses no crate of ours, so that it is built in seconds.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to the developer"
)]

mod bench;
mod deny;
mod generate;
mod image;
mod kill_rounds;
mod soak;
mod tally;
mod test;
mod workspace;

use std::env;
use std::process::ExitCode;

use crate::test::Reach;
use crate::workspace::Workspace;

const HELP: &str = "\
cargo xtask <verb>

  test          format, lints, docs, licences, every test (real proxies included) and the demo
  test --fast   format, lints and the tests that need nothing but cargo
  generate      write the committed generated files again
  image         the container image as an OCI archive, and its bill of materials (`image --help` says more)
  bench         what a decision costs: builds with the profile `dist` and measures (`bench --help` says more)
  kill-rounds [--rounds N]
                kill processes right after they acknowledged a revocation, 1000 times, and look for it
  soak [--minutes N]
                the optimised program under half of the load it can take, 10 minutes: memory, descriptors, verdicts
  help          this text

With CI=true, `test` fails when anything was skipped.";

type Chore = Box<dyn Fn(&Workspace) -> Result<(), String>>;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let ["bench", rest @ ..] = words.as_slice() {
        return ended(Workspace::find().and_then(|workspace| bench::run(&workspace, rest)));
    }
    if let ["image", rest @ ..] = words.as_slice() {
        return ended(Workspace::find().and_then(|workspace| image::run(&workspace, rest)));
    }
    let chore: Chore = match words.as_slice() {
        ["test"] => Box::new(|workspace| test::run(workspace, Reach::Everything)),
        ["test", "--fast"] => Box::new(|workspace| test::run(workspace, Reach::Fast)),
        ["generate"] => Box::new(generate::run),
        ["kill-rounds"] => Box::new(|workspace| kill_rounds::run(workspace, kill_rounds::ROUNDS)),
        ["kill-rounds", "--rounds", rounds] if rounds.parse::<u32>().is_ok() => {
            let rounds = rounds.parse().unwrap_or(kill_rounds::ROUNDS);
            Box::new(move |workspace| kill_rounds::run(workspace, rounds))
        }
        ["soak"] => Box::new(|workspace| soak::run(workspace, soak::MINUTES)),
        ["soak", "--minutes", minutes] if minutes.parse::<f64>().is_ok_and(|minutes| minutes > 0.0) => {
            let minutes = minutes.parse().unwrap_or(soak::MINUTES);
            Box::new(move |workspace| soak::run(workspace, minutes))
        }
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("no such verb: {}\n\n{HELP}", words.join(" "));
            return ExitCode::from(2);
        }
    };
    ended(Workspace::find().and_then(|workspace| chore(&workspace)))
}

fn ended(chore: Result<(), String>) -> ExitCode {
    match chore {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            if !why.is_empty() {
                eprintln!("xtask: {why}");
            }
            ExitCode::FAILURE
        }
    }
}
