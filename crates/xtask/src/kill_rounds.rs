//! `cargo xtask kill-rounds`: the tests that kill processes which have just acknowledged a revocation, with many more rounds
//! than fit into a test: in a file, on a server, and the server itself in one round of ten.

use crate::workspace::Workspace;

/// How many rounds, if the caller does not say.
pub(crate) const ROUNDS: u32 = 1000;

/// Runs that many rounds each. An empty error means: the tests have said it.
pub(crate) fn run(workspace: &Workspace, rounds: u32) -> Result<(), String> {
    println!("{rounds} rounds in a file, as many on a server");
    let status = workspace
        .cargo("test --workspace --locked --test it -- authority::kill:: --nocapture")
        .env("TESTS_KILL_ROUNDS", rounds.to_string())
        .env("TESTS_TOOLS", "required")
        .status()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(String::new())
    }
}
