//! Work that nobody waits for gives way to the threads that answer: records are written and rules are reloaded in what is left of
//! a busy processor.

/// How much nicer such threads are. Where nothing is left, they still get about a quarter of a processor: enough to write the records
/// of one that does nothing but answer.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// From here on, this thread and those that it starts give way to others. Where the system does not allow that they do not.
pub(crate) fn give_way() {
    // Elsewhere it would be the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "a thread in the background runs like those that answer");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::getpriority_process;

    #[test]
    fn only_the_thread_and_its_children_give_way() {
        let before = getpriority_process(None).unwrap();
        let niceness = std::thread::spawn(|| {
            super::give_way();
            let child = std::thread::spawn(|| getpriority_process(None).unwrap());
            [getpriority_process(None).unwrap(), child.join().unwrap()]
        });
        assert_eq!(niceness.join().unwrap(), [(before + super::NICENESS).min(19); 2]);
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
