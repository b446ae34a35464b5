use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// Says that it was given lines, and takes or refuses them when it is told to.
struct Gate {
    given: Sender<String>,
    answers: Receiver<io::Result<()>>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.given.send(String::from_utf8_lossy(bytes).into_owned());
        self.answers.recv().map_err(io::Error::other)??;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines into a gate; what it was given, the answers to it, and the numbers of lost lines that were told.
fn gated(
    room: usize,
) -> (
    Arc<Shared>,
    Receiver<String>,
    Sender<io::Result<()>>,
    Receiver<usize>,
) {
    let (given, gave) = channel();
    let (answer, answers) = channel();
    let (tell, told) = channel();
    let shared = Shared::of(room);
    let ours = Arc::clone(&shared);
    std::thread::spawn(move || {
        ours.write(Gate { given, answers }, |lost| {
            let _ = tell.send(lost);
        });
    });
    (shared, gave, answer, told)
}

#[test]
fn nobody_waits_for_a_reader_and_what_is_lost_is_told_when_it_reads_again() {
    let (shared, given, answer, told) = gated(8);
    let mut lines = Lines(Arc::clone(&shared));
    lines.write_all(b"one\n").unwrap();
    assert_eq!(given.recv().unwrap(), "one\n");
    // The reader is stuck: two lines find room, three do not.
    for _ in 0..5 {
        lines.write_all(b"two\n").unwrap();
    }
    assert_eq!(shared.waiting().lost, 3);
    answer.send(Ok(())).unwrap();
    assert_eq!(told.recv().unwrap(), 3);
    assert_eq!(given.recv().unwrap(), "two\ntwo\n");
    // The reader is gone: nothing is told that nobody would read.
    answer.send(Err(io::ErrorKind::BrokenPipe.into())).unwrap();
    lines.write_all(b"six\n").unwrap();
    assert_eq!(given.recv().unwrap(), "six\n");
    assert_eq!(shared.waiting().lost, 2);
    answer.send(Ok(())).unwrap();
    assert_eq!(told.recv().unwrap(), 2);
}

#[test]
fn the_end_waits_for_what_is_not_written_yet() {
    let (shared, given, answer, _told) = gated(ROOM);
    let log = ServerLog(Arc::clone(&shared));
    Lines(Arc::clone(&shared)).write_all(b"last\n").unwrap();
    let reader = std::thread::spawn(move || {
        let last = given.recv();
        let _ = answer.send(Ok(()));
        last
    });
    drop(log);
    assert!(!shared.waiting().is_writing && shared.waiting().lines.is_empty());
    assert_eq!(reader.join().unwrap().unwrap(), "last\n");
}

#[test]
fn the_end_does_not_wait_for_a_reader_that_is_stuck() {
    let (shared, given, answer, _told) = gated(ROOM);
    Lines(Arc::clone(&shared)).write_all(b"last\n").unwrap();
    assert_eq!(given.recv().unwrap(), "last\n");
    drop(ServerLog(Arc::clone(&shared)));
    assert!(shared.waiting().is_writing);
    drop(answer);
}
