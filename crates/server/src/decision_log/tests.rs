use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use model::{Contract, Decision, Denial, Reason, Version};

use super::*;

/// A sink that waits for a word before each write, and keeps what it got.
struct Gate {
    open: Receiver<()>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.open.recv();
        self.written.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn offer(log: &dyn Recorder) {
    let denial = Denial {
        status: 403,
        reason: Reason::NoPermit,
        caller: "access denied".into(),
        log: "no policy permits this".to_owned(),
        challenge: None,
        redirect: None,
        headers: Arc::default(),
    };
    let decision = Decision::deny(denial, Vec::new(), Version("v".into()));
    log.offer(&Record::of(&decision, Contract::Direct));
}

/// How many bytes a record takes in its queue, with its length.
fn packed() -> usize {
    struct Packed(Mutex<Vec<u8>>);
    impl Recorder for Packed {
        fn offer(&self, record: &Record<'_, '_>) {
            line::pack(record, &mut self.0.lock().unwrap());
        }
    }
    let packed = Packed(Mutex::default());
    offer(&packed);
    packed.0.into_inner().unwrap().len() + 4
}

#[test]
fn a_slow_sink_drops_records_and_counts_them_and_nobody_waits() {
    let (open, gate) = channel();
    let written = Arc::new(Mutex::new(Vec::new()));
    let queues = Arc::new(Queues::of(1, 4 * packed()));
    let log = DecisionLog(Some(Arc::clone(&queues)));
    // Nobody reads yet: four fit, the others are dropped at once.
    for _ in 0..10 {
        offer(&log);
    }
    assert_eq!(log.dropped(), [("queue", 6)]);
    let sink = Box::new(Gate {
        open: gate,
        written: Arc::clone(&written),
    });
    let writer = std::thread::spawn(move || write(&queues, sink));
    drop(open);
    drop(log);
    writer.join().unwrap();
    let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    for line in lines {
        assert_eq!(line["verdict"], "deny");
        assert_eq!(line["why"], "no policy permits this");
        assert_eq!(line["decision_id"].as_str().map(str::len), Some(36));
    }
}

#[test]
fn a_record_that_cannot_be_read_costs_only_itself() {
    let queues = Arc::new(Queues::of(1, 4 * packed()));
    let log = DecisionLog(Some(Arc::clone(&queues)));
    offer(&log);
    queues.push(|queue| queue.extend_from_slice(b"no record"));
    queues.push(|_| {});
    offer(&log);
    drop(log);
    let (mut lines, mut clock) = (Vec::new(), Clock::default());
    let mut read = Vec::new();
    queues.drain(|mut records| {
        let mut records = Taken(&mut records);
        while let Some(record) = records.record() {
            read.push(append(record, &mut lines, &mut clock));
        }
        assert!(records.0.is_empty());
    });
    assert_eq!(read, [true, false, false, true]);
    let text = String::from_utf8(lines).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
}
