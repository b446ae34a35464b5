use std::io::{self, Write};
use std::sync::Mutex;

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

fn denied() -> Decision {
    let denial = Denial {
        status: 403,
        reason: Reason::NoPermit,
        caller: "access denied".into(),
        log: "no policy permits this".to_owned(),
        challenge: None,
        redirect: None,
        headers: Arc::default(),
    };
    Decision::deny(denial, Vec::new(), Version("v".into()))
}

fn offer(log: &dyn Recorder) {
    log.offer(&Record::of(&denied(), Contract::Direct));
}

fn log(queues: &Arc<Queues>, share: f64, purposes: Purposes) -> DecisionLog {
    DecisionLog(Some(Wanted {
        queues: Arc::clone(queues),
        counts: Arc::new(Counts {
            queues: Arc::clone(queues),
            sinks: Vec::new(),
        }),
        share,
        query: QueryMask::Drop,
        purposes,
    }))
}

/// How many bytes a record takes in its queue, with its length.
fn packed() -> usize {
    struct Packed(Mutex<Parts>);
    impl Recorder for Packed {
        fn offer(&self, record: &Record<'_, '_>) {
            let mut parts = self.0.lock().unwrap();
            parts.put_record(usize::MAX, |parts| {
                pack(record, Purpose::Log, QueryMask::Drop, parts)
            });
        }
    }
    let packed = Packed(Mutex::default());
    offer(&packed);
    packed.0.into_inner().unwrap().size()
}

#[test]
fn a_slow_sink_drops_records_and_counts_them_and_nobody_waits() {
    let (open, gate) = channel();
    let written = Arc::new(Mutex::new(Vec::new()));
    let queues = Arc::new(Queues::of(1, 4 * packed()));
    let log = log(&queues, 1.0, Purposes::Lines);
    // Nobody reads yet: four fit, the others are dropped at once.
    for _ in 0..10 {
        offer(&log);
    }
    assert_eq!(log.dropped(), [("queue", 6)]);
    let sink = Box::new(Gate {
        open: gate,
        written: Arc::clone(&written),
    });
    let mut press = Press::new(vec![Text::stream("gate", sink)], Masks::default());
    let writer = std::thread::spawn(move || press.run(&queues));
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
    let log = log(&queues, 1.0, Purposes::Lines);
    offer(&log);
    queues.push(|queue| queue.put_text("no record"));
    queues.push(|_| {});
    offer(&log);
    drop(log);
    let mut press = Press::new(
        vec![Text::stream("nowhere", Box::new(io::sink()))],
        Masks::default(),
    );
    let mut read = Vec::new();
    queues.drain(|records| {
        let mut records = Taken::of(records);
        while let Some(record) = records.record() {
            read.push(press.take(record));
        }
        assert!(records.is_empty());
    });
    assert_eq!(read, [true, false, false, true]);
    let text = String::from_utf8(press.lines).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
}

/// A sink that fails, or takes what it gets.
struct Moody(Arc<Mutex<Result<Vec<u8>, ()>>>);

impl Write for Moody {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *self.0.lock().unwrap() {
            Ok(written) => written.extend_from_slice(bytes),
            Err(()) => return Err(io::ErrorKind::StorageFull.into()),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_sink_that_fails_costs_its_own_lines_only_and_may_recover() {
    let states = [
        Arc::new(Mutex::new(Ok(Vec::new()))),
        Arc::new(Mutex::new(Err(()))),
    ];
    let texts = states
        .iter()
        .map(|state| Text::stream("moody", Box::new(Moody(Arc::clone(state)))));
    let mut press = Press::new(texts.collect(), Masks::default());
    let mut packed = Parts::default();
    let denied = denied();
    pack(
        &Record::of(&denied, Contract::Direct),
        Purpose::Log,
        QueryMask::Drop,
        &mut packed,
    );
    let write = |press: &mut Press| {
        assert!(press.take(Taken::of(&packed)));
        press.write();
    };
    write(&mut press);
    *states[1].lock().unwrap() = Ok(Vec::new());
    write(&mut press);
    let counts: Vec<_> = press.texts.iter().map(|text| text.count.counts()).collect();
    assert_eq!(counts, [(2, 0), (1, 1)]);
    let lines = |state: &Mutex<Result<Vec<u8>, ()>>| {
        let state = state.lock().unwrap();
        state.as_ref().unwrap().iter().filter(|c| **c == b'\n').count()
    };
    assert_eq!([lines(&states[0]), lines(&states[1])], [2, 1]);
}

/// A sink that panics at the first line.
struct Broken(bool, Arc<Mutex<Vec<u8>>>);

impl Write for Broken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(std::mem::replace(&mut self.0, true), "a panic that is wanted");
        self.1.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_panic_while_writing_costs_some_records_and_the_next_ones_are_written() {
    let written = Arc::new(Mutex::new(Vec::new()));
    let sink = Box::new(Broken(false, Arc::clone(&written)));
    let mut press = Press::new(vec![Text::stream("broken", sink)], Masks::default());
    let denied = denied();
    let mut records = Parts::default();
    for _ in 0..2 {
        let record = Record::of(&denied, Contract::Direct);
        records.put_record(usize::MAX, |parts| {
            pack(&record, Purpose::Log, QueryMask::Drop, parts)
        });
    }
    let queues = Queues::of(1, 0);
    let dropped = || queues.dropped.load(Ordering::Relaxed);
    press.pass(&records, &queues);
    assert_eq!(dropped(), 2);
    press.pass(&records, &queues);
    assert_eq!(dropped(), 2);
    let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn only_allows_are_left_out_and_by_their_lot() {
    use Purpose::{Log, Span};
    let queues = Arc::new(Queues::of(1, 0));
    let low_high_never = [Some(0.2), Some(0.3), None];
    for (share, purposes, expected) in [
        (1.0, Purposes::Lines, [Some(Log), Some(Log), Some(Log)]),
        (0.25, Purposes::Lines, [Some(Log), None, Some(Log)]),
        (0.0, Purposes::Lines, [None, None, Some(Log)]),
        (0.25, Purposes::Both, [Some(Log), Some(Span), Some(Log)]),
        (1.0, Purposes::Spans, [Some(Span), Some(Span), Some(Span)]),
    ] {
        let DecisionLog(Some(wanted)) = &log(&queues, share, purposes) else {
            panic!("it is wanted");
        };
        let found = low_high_never.map(|lot| wanted.purpose_of(lot));
        assert_eq!(found, expected, "{share} {purposes:?}");
        let denied = wanted.purpose(&Record::of(&denied(), Contract::Direct));
        assert_eq!(denied, expected[2], "a denial");
    }
    // Lots are spread evenly.
    let lots = (0..2000).map(|_| denied().id().lot());
    let low = lots.filter(|lot| (0.0..0.25).contains(lot)).count();
    assert!((350..650).contains(&low), "{low} of 2000");
}
