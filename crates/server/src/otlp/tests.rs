use std::io;
use std::sync::Mutex;

use super::*;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged meanwhile, by this thread.
fn logged(work: impl FnOnce()) -> String {
    let kept = Kept::default();
    let writer = kept.clone();
    let log = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone());
    tracing::subscriber::with_default(log.finish(), work);
    String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
}

#[test]
fn what_finds_no_room_is_counted_and_told_and_so_is_a_thread_that_is_gone() {
    let (go, gate) = channel::<()>();
    let count = Arc::new(SinkCount::of("otlp"));
    let connect = move || -> Result<Send1<u8>, String> {
        Ok(Box::new(move |_| {
            let _ = gate.recv();
            panic!("a panic that is wanted");
        }))
    };
    let started = Exporting::start("test", Duration::ZERO, Arc::clone(&count), connect);
    let (mut exporting, exporter) = started.unwrap();
    let lines = logged(|| {
        exporting.offer(vec![1], ROOM);
        exporting.offer(vec![2, 3], 1);
    });
    assert!(
        lines.contains("the collector is slower than the decisions"),
        "{lines}"
    );
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert_eq!(count.counts(), (0, 2));
    drop(go);
    let lines = logged(|| exporter.finish());
    assert!(lines.contains("panicked; records may be missing"), "{lines}");
    exporting.waiting.store(0, Ordering::Relaxed);
    exporting.complaint = Complaint::default();
    let lines = logged(|| exporting.offer(vec![4], 1));
    assert!(lines.contains("has ended"), "{lines}");
    assert_eq!(count.counts(), (0, 3));
}
