//! `cargo xtask soak`: the optimised program under half of the load it can take, for minutes, and whether anything grows.

use crate::tally::Tally;
use crate::workspace::Workspace;

/// For how long, if the caller does not say.
pub(crate) const MINUTES: f64 = 10.0;

/// Builds the program and runs the test that watches it. An empty error means: cargo or the test have said it.
pub(crate) fn run(workspace: &Workspace, minutes: f64) -> Result<(), String> {
    let server = workspace.target.join("release/portcullis");
    let build = "build --workspace --locked --release --bin portcullis";
    let built = workspace.cargo(build).status();
    if !built
        .map_err(|error| format!("cannot start cargo: {error}"))?
        .success()
    {
        return Err(String::new());
    }
    let mut test = workspace.cargo(
        "test --workspace --locked --test it -- --exact --nocapture \
         soak::at_half_load_nothing_grows_and_every_verdict_is_right",
    );
    test.env("TESTS_SOAK_MINUTES", minutes.to_string())
        .env("TESTS_SOAK_SERVER", &server)
        .env("TESTS_TOOLS", "required");
    let (status, tally) = Tally::run(test)?;
    tally.all_passed(status, 1)?;
    println!("{minutes} minutes: every verdict was right, and nothing grew");
    Ok(())
}
