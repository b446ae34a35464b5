//! Room for recursion: reading, checking and evaluating policies goes as deep as their expressions are.

use std::io;
use std::thread;

/// Bytes of stack where configurations are compiled. Only what is used of it takes memory.
pub(crate) const COMPILING: usize = 64 << 20;
/// Bytes of stack of threads that evaluate policies.
pub(crate) const ANSWERING: usize = decide::policy::STACK;

/// Does it where there is room to compile, whatever thread this is.
///
/// # Errors
/// No thread can be had.
pub(crate) fn with_room<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("compiles".to_owned());
        let done = thread.stack_size(COMPILING).spawn_scoped(scope, work)?.join();
        Ok(done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}
