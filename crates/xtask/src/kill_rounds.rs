//! `cargo xtask kill-rounds`: the tests that kill processes which have just acknowledged a revocation, with many more rounds
//! than fit into a test: in a file, on a server, and the server itself in one round of ten.

use crate::tally::Tally;
use crate::workspace::Workspace;

/// How many rounds, if the caller does not say.
pub(crate) const ROUNDS: u32 = 1000;

/// How many tests there are of that kind.
const TESTS: usize = 3;

/// Runs that many rounds each. An empty error means: the tests have said it.
pub(crate) fn run(workspace: &Workspace, rounds: u32) -> Result<(), String> {
    println!("{rounds} rounds in a file, as many on a server");
    let mut tests = workspace.cargo("test --workspace --locked --test it -- authority::kill:: --nocapture");
    tests
        .env("TESTS_KILL_ROUNDS", rounds.to_string())
        .env("TESTS_TOOLS", "required");
    let (status, tally) = Tally::run(tests)?;
    tally.all_passed(status, TESTS)
}
